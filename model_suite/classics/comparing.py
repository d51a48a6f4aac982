"""Learning by comparison: pairs, triplets, prototypes, and views of the same thing."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def encoder(width: int = 6, outputs: int = 8) -> nn.Sequential:
    """Features f32[N, outputs] of images f32[N, 1, H, W]."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, 2, 1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, 2, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * width, outputs),
    )


def views(image: Tensor) -> tuple[Tensor, Tensor]:
    """Two views of images, by a random brightness for each and a flip of all."""
    bright, dark = (image * (0.5 + torch.rand(len(image), 1, 1, 1)) for _ in range(2))
    return bright, dark.flip(-1)


class SiameseNet(nn.Module):
    """One net for both images; the distance of its features, feature by feature, says whether they are alike.

    G. Koch, R. Zemel, R. Salakhutdinov: Siamese Neural Networks for One-shot Image Recognition. ICML Deep Learning
    Workshop 2015. J. Bromley et al.: Signature Verification using a "Siamese" Time Delay Neural Network. NIPS 1993.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.compare = encoder(), nn.Linear(8, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Probabilities f32[N, 1] that images f32[N, 1, H, W] are of one kind."""
        return torch.sigmoid(self.compare((self.encode(a) - self.encode(b)).abs()))


class TripletNet(nn.Module):
    """On a sphere; in the batch, the hardest negative that is still further than the positive is looked for.

    F. Schroff, D. Kalenichenko, J. Philbin: FaceNet: A Unified Embedding for Face Recognition and Clustering.
    CVPR 2015, arXiv:1503.03832.
    """

    def __init__(self, margin: float = 0.2) -> None:
        super().__init__()
        self.margin = margin
        self.encode = encoder()

    def forward(self, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings f32[N, 8] of f32[N, 1, H, W], and the loss under labels i64[N]."""
        x = F.normalize(self.encode(image), dim=1)
        distance = 2 - 2 * x @ x.T
        same = label[:, None] == label
        positive = torch.where(same, distance, 0).amax(1)
        further = ~same & (distance > positive[:, None])
        hardest = torch.where(further, distance, torch.where(same, 4, distance)).amin(1)
        return x, F.relu(positive - hardest + self.margin).mean()


class PrototypicalNet(nn.Module):
    """A class is the mean of its few examples; a query goes to the nearest.

    J. Snell, K. Swersky, R. Zemel: Prototypical Networks for Few-shot Learning. NIPS 2017, arXiv:1703.05175.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encode = encoder()

    def forward(self, support: Tensor, query: Tensor) -> Tensor:
        """Log probabilities f32[Q, classes] of f32[Q, 1, H, W], with examples f32[classes, shots, 1, H, W]."""
        prototypes = self.encode(support.flatten(0, 1)).unflatten(0, support.shape[:2]).mean(1)
        return (-torch.cdist(self.encode(query), prototypes).square()).log_softmax(1)


class MatchingNet(nn.Module):
    """Attention over the examples, each read in the light of the others, and the query in that of all.

    O. Vinyals, C. Blundell, T. Lillicrap, K. Kavukcuoglu, D. Wierstra: Matching Networks for One Shot Learning.
    NIPS 2016, arXiv:1606.04080. With full context embeddings.
    """

    def __init__(self, width: int = 8, reads: int = 3) -> None:
        super().__init__()
        self.reads = reads
        self.encode = encoder(outputs=width)
        self.among, self.read = nn.LSTM(width, width, bidirectional=True), nn.LSTMCell(width, 2 * width)
        self.shrink = nn.Linear(2 * width, width)

    def forward(self, support: Tensor, labels: Tensor, query: Tensor) -> Tensor:
        """Probabilities f32[Q, classes] of f32[Q, 1, H, W], with f32[S, 1, H, W] and one-hot f32[S, classes]."""
        g = self.encode(support)
        both, _ = self.among(g)
        g = g + both[:, : g.shape[1]] + both[:, g.shape[1] :]
        f = self.encode(query)
        h, read, cell = f, torch.zeros_like(f), f.new_zeros(len(f), 2 * f.shape[1])
        for _ in range(self.reads):
            state, cell = self.read(f, (torch.cat([h, read], 1), cell))
            h = self.shrink(state) + f
            read = (h @ g.T).softmax(1) @ g
        alike = F.cosine_similarity(h[:, None], g, dim=-1)
        return alike.softmax(1) @ labels


class RelationScore(nn.Module):
    """The metric is learnt too: maps of a query and of a class are put together, and a net scores them.

    F. Sung, Y. Yang, L. Zhang, T. Xiang, P. Torr, T. Hospedales: Learning to Compare: Relation Network for Few-Shot
    Learning. CVPR 2018, arXiv:1711.06025.
    """

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.relate = nn.Sequential(
            nn.Conv2d(2 * width, width, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(9 * width, 1),
            nn.Sigmoid(),
        )

    def forward(self, support: Tensor, query: Tensor) -> Tensor:
        """Scores f32[Q, classes] of f32[Q, 1, 16, 16], with examples f32[classes, shots, 1, 16, 16]."""
        classes = self.embed(support.flatten(0, 1)).unflatten(0, support.shape[:2]).sum(1)
        asked = self.embed(query)
        pairs = torch.cat(
            [
                classes.expand(len(asked), *classes.shape),
                asked[:, None].expand(-1, len(classes), -1, -1, -1),
            ],
            2,
        )
        return self.relate(pairs.flatten(0, 1)).view(len(asked), -1)


class SimCLR(nn.Module):
    """Two views of each image find each other among all others of the batch.

    T. Chen, S. Kornblith, M. Norouzi, G. Hinton: A Simple Framework for Contrastive Learning of Visual
    Representations. ICML 2020, arXiv:2002.05709.
    """

    def __init__(self, temperature: float = 0.5) -> None:
        super().__init__()
        self.temperature = temperature
        self.encode = encoder()
        self.project = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Representations f32[2N, 8] of f32[N, 1, H, W], and the NT-Xent loss."""
        h = self.encode(torch.cat(views(image)))
        z = F.normalize(self.project(h), dim=1)
        alike = (z @ z.T / self.temperature).fill_diagonal_(-torch.inf)
        partner = torch.arange(len(z)).roll(len(image))
        return h, F.cross_entropy(alike, partner)


class BarlowTwins(nn.Module):
    """Features of two views should correlate with themselves, and with no other.

    J. Zbontar, L. Jing, I. Misra, Y. LeCun, S. Deny: Barlow Twins: Self-Supervised Learning via Redundancy
    Reduction. ICML 2021, arXiv:2103.03230.
    """

    def __init__(self, width: int = 8, weight: float = 0.005) -> None:
        super().__init__()
        self.weight = weight
        self.encode = encoder(outputs=width)
        self.norm = nn.BatchNorm1d(width, affine=False, track_running_stats=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The cross-correlation f32[8, 8] over images f32[N, 1, H, W], and the loss."""
        a, b = (self.norm(self.encode(view)) for view in views(image))
        c = a.T @ b / len(image)
        on = (c.diagonal() - 1).square().sum()
        return c, on + self.weight * (c.square().sum() - c.diagonal().square().sum())


class BYOL(nn.Module):
    """A view foretells what a slow average of the net sees in the other; the average moves within the pass.

    J.-B. Grill et al.: Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning. NeurIPS 2020,
    arXiv:2006.07733.
    """

    def __init__(self, momentum: float = 0.99) -> None:
        super().__init__()
        self.momentum = momentum
        self.online, self.predict = encoder(), nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
        self.target = copy.deepcopy(self.online).requires_grad_(False)

    @torch.no_grad()
    def follow(self) -> None:
        """Moves the target a little towards the online net."""
        for slow, fast in zip(self.target.parameters(), self.online.parameters(), strict=True):
            slow.lerp_(fast, 1 - self.momentum)

    def forward(self, image: Tensor) -> Tensor:
        """The symmetric loss over images f32[N, 1, H, W]."""
        self.follow()
        a, b = views(image)
        loss = image.new_zeros(())
        for seen, hidden in ((a, b), (b, a)):
            foretold = self.predict(self.online(seen))
            with torch.no_grad():
                wanted = self.target(hidden)
            loss = loss + 2 - 2 * F.cosine_similarity(foretold, wanted).mean()
        return loss


class MoCo(nn.Module):
    """Negatives come from a queue of what a slow encoder made of earlier images; the queue moves within the pass.

    K. He, H. Fan, Y. Wu, S. Xie, R. Girshick: Momentum Contrast for Unsupervised Visual Representation Learning.
    CVPR 2020, arXiv:1911.05722.
    """

    queue: Tensor

    def __init__(self, width: int = 8, length: int = 12, temperature: float = 0.07) -> None:
        super().__init__()
        self.temperature = temperature
        self.query = encoder(outputs=width)
        self.key = copy.deepcopy(self.query).requires_grad_(False)
        self.register_buffer("queue", F.normalize(torch.randn(length, width), dim=1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits f32[N, 1 + length], of which the first is right, over images f32[N, 1, H, W], and the loss."""
        a, b = views(image)
        q = F.normalize(self.query(a), dim=1)
        with torch.no_grad():
            k = F.normalize(self.key(b), dim=1)
        logits = torch.cat([(q * k).sum(1, keepdim=True), q @ self.queue.clone().T], 1) / self.temperature
        self.queue = torch.cat([k, self.queue[: -len(k)]])
        return logits, F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))


class ContrastivePredictiveCoding(nn.Module):
    """The past foretells the codes of the next steps, each by a matrix of its own, against those of other series.

    A. van den Oord, Y. Li, O. Vinyals: Representation Learning with Contrastive Predictive Coding. 2018,
    arXiv:1807.03748.
    """

    def __init__(self, width: int = 6, ahead: int = 2) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv1d(1, width, 4, 2, 1), nn.ReLU(), nn.Conv1d(width, width, 4, 2, 1)
        )
        self.past = nn.GRU(width, width, batch_first=True)
        self.foretell = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(ahead))

    def forward(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Contexts f32[N, T / 4, width] of f32[N, 1, T], and the InfoNCE loss."""
        codes = self.encode(sound).mT
        contexts, _ = self.past(codes)
        loss = sound.new_zeros(())
        for step, foretell in enumerate(self.foretell, start=1):
            scores = torch.einsum("ntd,mtd->tnm", foretell(contexts[:, :-step]), codes[:, step:])
            loss = loss - scores.log_softmax(-1).diagonal(dim1=1, dim2=2).mean()
        return contexts, loss
