"""Who likes what: sparse features, their crosses, and tables."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def mlp(*widths: int) -> nn.Sequential:
    """Layers with ReLU between, and none at the end."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class FieldEmbedding(nn.Embedding):
    """One table for all fields; each field's values begin where those of the one before end."""

    starts: Tensor

    def __init__(self, sizes: tuple[int, ...], width: int) -> None:
        super().__init__(sum(sizes), width)
        self.register_buffer("starts", torch.tensor([0, *sizes[:-1]]).cumsum(0))

    def forward(self, values: Tensor) -> Tensor:
        """f32[N, fields, width] of i64[N, fields]."""
        return super().forward(values + self.starts)


def pairwise_products(x: Tensor) -> Tensor:
    """The sum f32[N, D] of the products of all pairs of f32[N, fields, D]; the squared sum has each twice."""
    return (x.sum(1).square() - x.square().sum(1)) / 2


class FactorizationMachine(nn.Module):
    """A weight for each feature, and for each pair the product of two vectors; in linear time.

    S. Rendle: Factorization Machines. ICDM 2010.
    """

    def __init__(self, sizes: tuple[int, ...] = (5, 4, 3), width: int = 4) -> None:
        super().__init__()
        self.linear, self.factors = FieldEmbedding(sizes, 1), FieldEmbedding(sizes, width)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, values: Tensor) -> Tensor:
        """Scores f32[N] of i64[N, fields]."""
        pairs = pairwise_products(self.factors(values)).sum(1)
        return self.bias + self.linear(values).sum((1, 2)) + pairs


class WideAndDeep(nn.Module):
    """Crossed features in a linear model, embeddings in a deep one, trained as one.

    H.-T. Cheng et al.: Wide & Deep Learning for Recommender Systems. DLRS 2016, arXiv:1606.07792.
    """

    def __init__(self, sizes: tuple[int, int, int] = (5, 4, 3), dense: int = 2, width: int = 4) -> None:
        super().__init__()
        self.second = sizes[1]
        self.wide = nn.Embedding(sizes[0] * sizes[1], 1)
        self.embeddings = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        self.deep = mlp(len(sizes) * width + dense, 16, 8, 1)

    def forward(self, values: Tensor, dense: Tensor) -> Tensor:
        """Probabilities f32[N] of i64[N, 3] and f32[N, dense]."""
        crossed = values[:, 0] * self.second + values[:, 1]
        embedded = [table(column) for table, column in zip(self.embeddings, values.unbind(1), strict=True)]
        return torch.sigmoid(self.wide(crossed) + self.deep(torch.cat([*embedded, dense], 1))).squeeze(1)


class DeepFM(nn.Module):
    """A factorization machine and a deep net on the same embeddings.

    H. Guo, R. Tang, Y. Ye, Z. Li, X. He: DeepFM: A Factorization-Machine based Neural Network for CTR Prediction.
    IJCAI 2017, arXiv:1703.04247.
    """

    def __init__(self, sizes: tuple[int, ...] = (5, 4, 3), width: int = 4) -> None:
        super().__init__()
        self.linear, self.factors = FieldEmbedding(sizes, 1), FieldEmbedding(sizes, width)
        self.deep = mlp(len(sizes) * width, 16, 16, 1)

    def forward(self, values: Tensor) -> Tensor:
        """Probabilities f32[N] of i64[N, fields]."""
        x = self.factors(values)
        shallow = self.linear(values).sum((1, 2)) + pairwise_products(x).sum(1)
        return torch.sigmoid(shallow + self.deep(x.flatten(1)).squeeze(1))


class DeepAndCross(nn.Module):
    """Layers that multiply by the first input raise the degree of the crosses by one each.

    R. Wang et al.: DCN V2: Improved Deep & Cross Network. WWW 2021, arXiv:2008.13535. Low-rank, stacked.
    """

    def __init__(
        self, sizes: tuple[int, ...] = (5, 4, 3), width: int = 4, depth: int = 3, rank: int = 2
    ) -> None:
        super().__init__()
        self.embed = FieldEmbedding(sizes, width)
        size = len(sizes) * width
        self.v = nn.ModuleList(nn.Linear(size, rank, bias=False) for _ in range(depth))
        self.u = nn.ModuleList(nn.Linear(rank, size) for _ in range(depth))
        self.deep = mlp(size, 16, 1)

    def forward(self, values: Tensor) -> Tensor:
        """Logits f32[N, 1] of i64[N, fields]."""
        first = x = self.embed(values).flatten(1)
        for u, v in zip(self.u, self.v, strict=True):
            x = torch.addcmul(x, first, u(v(x)))
        return self.deep(x)


class ExtremeDeepFM(nn.Module):
    """xDeepFM: fields are crossed as vectors, outer products compressed by a convolution in each layer.

    J. Lian, X. Zhou, F. Zhang, Z. Chen, X. Xie, G. Sun: xDeepFM: Combining Explicit and Implicit Feature
    Interactions for Recommender Systems. KDD 2018, arXiv:1803.05170.
    """

    def __init__(
        self, sizes: tuple[int, ...] = (5, 4, 3), width: int = 4, maps: tuple[int, ...] = (4, 3)
    ) -> None:
        super().__init__()
        self.embed = FieldEmbedding(sizes, width)
        fields = len(sizes)
        self.compress = nn.ModuleList(
            nn.Conv1d(fields * before, after, 1)
            for before, after in zip((fields, *maps), maps, strict=False)
        )
        self.out = nn.Linear(sum(maps), 1)

    def forward(self, values: Tensor) -> Tensor:
        """Logits f32[N, 1] of i64[N, fields]."""
        first = x = self.embed(values)
        pooled = []
        for compress in self.compress:
            x = compress(torch.einsum("nid,njd->nijd", x, first).flatten(1, 2))
            pooled.append(x.sum(2))
        return self.out(torch.cat(pooled, 1))


class DLRM(nn.Module):
    """Bags of categories and dense numbers become vectors; all their scalar products go to the top.

    M. Naumov et al.: Deep Learning Recommendation Model for Personalization and Recommendation Systems. 2019,
    arXiv:1906.00091.
    """

    def __init__(self, dense: int = 4, sizes: tuple[int, ...] = (10, 8, 6), width: int = 4) -> None:
        super().__init__()
        self.bottom = mlp(dense, 8, width)
        self.bags = nn.ModuleList(nn.EmbeddingBag(size, width, mode="sum") for size in sizes)
        count = len(sizes) + 1
        self.top = mlp(width + count * (count - 1) // 2, 8, 1)

    def forward(self, dense: Tensor, indices: list[Tensor], offsets: list[Tensor]) -> Tensor:
        """Probabilities f32[N] of f32[N, dense], and for each feature i64[many] that fall into bags at i64[N]."""
        x = F.relu(self.bottom(dense))
        bags = [bag(i, o) for bag, i, o in zip(self.bags, indices, offsets, strict=True)]
        vectors = torch.stack([x, *bags], 1)
        rows, columns = torch.tril_indices(vectors.shape[1], vectors.shape[1], -1)
        products = (vectors @ vectors.mT)[:, rows, columns]
        return torch.sigmoid(self.top(torch.cat([x, products], 1))).squeeze(1)


class NeuralCollaborativeFiltering(nn.Module):
    """NeuMF: a product of one pair of embeddings, a deep net on another, and a layer over both.

    X. He, L. Liao, H. Zhang, L. Nie, X. Hu, T.-S. Chua: Neural Collaborative Filtering. WWW 2017, arXiv:1708.05031.
    """

    def __init__(self, users: int = 6, items: int = 8, width: int = 4) -> None:
        super().__init__()
        self.user_product, self.user_deep = nn.Embedding(users, width), nn.Embedding(users, width)
        self.item_product, self.item_deep = nn.Embedding(items, width), nn.Embedding(items, width)
        self.deep = mlp(2 * width, 8, 4)
        self.out = nn.Linear(width + 4, 1)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """Probabilities f32[N] that users i64[N] take items i64[N]."""
        product = self.user_product(user) * self.item_product(item)
        deep = F.relu(self.deep(torch.cat([self.user_deep(user), self.item_deep(item)], 1)))
        return torch.sigmoid(self.out(torch.cat([product, deep], 1))).squeeze(1)


class TwoTower(nn.Module):
    """A tower for the query, one for the item; the others of the batch are the negatives, less their frequency.

    X. Yi et al.: Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations. RecSys 2019.
    """

    def __init__(self, users: int = 6, items: int = 8, width: int = 4, temperature: float = 0.1) -> None:
        super().__init__()
        self.temperature = temperature
        self.user = nn.Sequential(
            nn.Embedding(users, width), nn.Linear(width, 8), nn.ReLU(), nn.Linear(8, width)
        )
        self.item = nn.Sequential(
            nn.Embedding(items, width), nn.Linear(width, 8), nn.ReLU(), nn.Linear(8, width)
        )

    def forward(self, user: Tensor, item: Tensor, frequency: Tensor) -> tuple[Tensor, Tensor]:
        """Scores f32[N, N] of i64[N] and i64[N], and the loss, with the items' frequencies f32[N]."""
        u, v = F.normalize(self.user(user), dim=-1), F.normalize(self.item(item), dim=-1)
        scores = u @ v.T / self.temperature
        return scores, F.cross_entropy(scores - frequency.log(), torch.arange(len(user)))


class DeepInterestNet(nn.Module):
    """What a user did is weighed anew for each advertisement; the activation adapts to the batch (Dice).

    G. Zhou et al.: Deep Interest Network for Click-Through Rate Prediction. KDD 2018, arXiv:1706.06978.
    """

    def __init__(self, items: int = 10, width: int = 4) -> None:
        super().__init__()
        self.embed = nn.Embedding(items, width, padding_idx=0)
        self.unit = nn.Sequential(nn.Linear(4 * width, 8), nn.Sigmoid(), nn.Linear(8, 1))
        self.first, self.second = nn.Linear(2 * width, 8), nn.Linear(8, 1)
        self.norm, self.alpha = nn.BatchNorm1d(8, affine=False), nn.Parameter(torch.zeros(8))

    def dice(self, x: Tensor) -> Tensor:
        """x where its normalised value is high, alpha x where it is low."""
        share = torch.sigmoid(self.norm(x))
        return share * x + (1 - share) * self.alpha * x

    def forward(self, history: Tensor, candidate: Tensor) -> Tensor:
        """Logits f32[N, 1] of i64[N, T], zero where there is nothing, and candidates i64[N]."""
        past, item = self.embed(history), self.embed(candidate)
        item_by_step = item[:, None].expand_as(past)
        weights = self.unit(torch.cat([past, item_by_step, past - item_by_step, past * item_by_step], -1))
        interest = (weights * (history != 0)[..., None] * past).sum(1)
        return self.second(self.dice(self.first(torch.cat([interest, item], 1))))


def sparsemax(z: Tensor) -> Tensor:
    """The nearest distribution to f32[N, D], with zeros (A. Martins, R. Astudillo, arXiv:1602.02068)."""
    ordered = z.sort(-1, descending=True).values
    count = torch.arange(1, z.shape[-1] + 1)
    total = ordered.cumsum(-1)
    kept = (1 + count * ordered > total).sum(-1, keepdim=True)
    return F.relu(z - (total.gather(-1, kept - 1) - 1) / kept)


class TabNet(nn.Module):
    """Steps that each look at few features, chosen by sparsemax, and less at those that were seen before.

    S. Ö. Arık, T. Pfister: TabNet: Attentive Interpretable Tabular Learning. AAAI 2021, arXiv:1908.07442.
    """

    def __init__(self, features: int = 6, width: int = 4, steps: int = 3, relaxation: float = 1.3) -> None:
        super().__init__()
        self.width, self.relaxation = width, relaxation
        self.norm = nn.BatchNorm1d(features)
        self.shared = nn.Linear(features, 4 * width)
        self.own = nn.ModuleList(nn.Linear(2 * width, 4 * width) for _ in range(steps + 1))
        self.attend = nn.ModuleList(
            nn.Sequential(nn.Linear(width, features), nn.BatchNorm1d(features)) for _ in range(steps)
        )
        self.out = nn.Linear(width, 2)

    def transform(self, index: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """What a step decides, and what it tells the next attention: f32[N, width] both."""
        h = F.glu(self.shared(x), -1)
        h = (h + F.glu(self.own[index](h), -1)) * 0.5**0.5
        decided, told = h.chunk(2, -1)
        return decided, told

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits f32[N, 2] of f32[N, features], and the masks f32[N, steps, features]."""
        x = self.norm(x)
        _, told = self.transform(0, x)
        prior, total, masks = torch.ones_like(x), x.new_zeros(len(x), self.width), []
        for index, attend in enumerate(self.attend):
            mask = sparsemax(attend(told) * prior)
            prior = prior * (self.relaxation - mask)
            decided, told = self.transform(index + 1, mask * x)
            total = total + F.relu(decided)
            masks.append(mask)
        return self.out(total), torch.stack(masks, 1)


class ObliviousTrees(nn.Module):
    """NODE: trees that ask the same question at each depth; features and answers are soft; layers are dense.

    S. Popov, S. Morozov, A. Babenko: Neural Oblivious Decision Ensembles for Deep Learning on Tabular Data.
    ICLR 2020, arXiv:1909.06312. With softmax for entmax in the choice, and a clipped line for it in the answer.
    """

    codes: Tensor

    def __init__(self, features: int = 6, trees: int = 3, depth: int = 3, layers: int = 2) -> None:
        super().__init__()
        sizes = [features + index * trees for index in range(layers)]
        self.choice = nn.ParameterList(torch.randn(size, trees, depth) for size in sizes)
        self.threshold = nn.ParameterList(torch.rand(trees, depth) for _ in sizes)
        self.log_slope = nn.ParameterList(torch.zeros(trees, depth) for _ in sizes)
        self.response = nn.ParameterList(torch.randn(trees, 2**depth) for _ in sizes)
        self.register_buffer("codes", torch.arange(2**depth)[:, None] >> torch.arange(depth) & 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores f32[N] of f32[N, features]."""
        answers = []
        parts = zip(self.choice, self.threshold, self.log_slope, self.response, strict=True)
        for choice, threshold, log_slope, response in parts:
            asked = torch.einsum("nf,ftd->ntd", x, choice.softmax(0))
            right = ((asked - threshold) * torch.exp(-log_slope) / 2 + 0.5).clamp(0, 1)
            leaf = torch.where(self.codes == 1, right[:, :, None], 1 - right[:, :, None]).prod(-1)
            answer = (leaf * response).sum(-1)
            answers.append(answer)
            x = torch.cat([x, answer], 1)
        return torch.cat(answers, 1).mean(1)


class SelfAttentiveRecommender(nn.Module):
    """SASRec: causal attention over what was bought; the next item is scored by its embedding.

    W.-C. Kang, J. McAuley: Self-Attentive Sequential Recommendation. ICDM 2018, arXiv:1808.09781.
    """

    def __init__(self, items: int = 10, width: int = 8, length: int = 6, depth: int = 2) -> None:
        super().__init__()
        self.embed, self.places = nn.Embedding(items, width, padding_idx=0), nn.Embedding(length, width)
        self.attend = nn.ModuleList(nn.MultiheadAttention(width, 1, batch_first=True) for _ in range(depth))
        self.feed = nn.ModuleList(mlp(width, width, width) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * depth + 1))

    def forward(self, history: Tensor) -> Tensor:
        """Scores f32[N, T, items] of i64[N, T], zero where there is nothing."""
        there = (history != 0)[..., None]
        length = history.shape[1]
        x = (self.embed(history) * self.embed.embedding_dim**0.5 + self.places.weight[:length]) * there
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        for index, (attend, feed) in enumerate(zip(self.attend, self.feed, strict=True)):
            q = self.norms[2 * index](x)
            x = q + attend(q, x, x, attn_mask=later, need_weights=False)[0]
            x = self.norms[2 * index + 1](x)
            x = (x + feed(x)) * there
        return self.norms[-1](x) @ self.embed.weight.T
