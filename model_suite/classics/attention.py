"""Attention without the square of the length, and attention to other things than words."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def split_heads(x: Tensor, heads: int) -> Tensor:
    """f32[N, T, C] to f32[N, heads, T, C / heads]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """f32[N, heads, T, D] to f32[N, T, heads · D]."""
    return x.transpose(1, 2).flatten(2)


class LinearTransformer(nn.Module):
    """A feature map instead of the softmax, so that the causal sums are running ones.

    A. Katharopoulos, A. Vyas, N. Pappas, F. Fleuret: Transformers are RNNs. ICML 2020, arXiv:2006.16236.
    """

    def __init__(self, width: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, width] to the same shape; each place sees those before it."""
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(self.norm(x)).chunk(3, -1))
        q, k = F.elu(q) + 1, F.elu(k) + 1
        memory = torch.einsum("nhtd,nhte->nhtde", k, v).cumsum(2)
        total = torch.einsum("nhtd,nhtd->nht", q, k.cumsum(2))
        read = torch.einsum("nhtd,nhtde->nhte", q, memory) / (total[..., None] + 1e-6)
        return x + self.out(merge_heads(read))


class Performer(nn.Module):
    """FAVOR+: random positive features, orthogonal ones, whose products are the softmax kernel in the mean.

    K. Choromanski et al.: Rethinking Attention with Performers. ICLR 2021, arXiv:2009.14794.
    """

    projection: Tensor

    def __init__(self, width: int = 8, heads: int = 2, features: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        size = width // heads
        directions, _ = torch.linalg.qr(torch.randn(size, size))
        lengths = torch.randn(features, size).norm(dim=1)
        self.register_buffer("projection", directions[:features] * lengths[:, None])

    def features(self, x: Tensor) -> Tensor:
        """exp(w·x - |x|²/2), positive features f32[N, heads, T, features] of scaled queries or keys."""
        x = x / x.shape[-1] ** 0.25
        along = x @ self.projection.T - x.square().sum(-1, keepdim=True) / 2
        positive = (along - along.amax((-1, -2), keepdim=True)).exp() + 1e-4
        return positive / math.sqrt(len(self.projection))

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, width] to the same shape."""
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, -1))
        q, k = self.features(q), self.features(k)
        total = (q * k.sum(2, keepdim=True)).sum(-1, keepdim=True)
        return x + self.out(merge_heads(q @ (k.transpose(-1, -2) @ v) / total))


class Linformer(nn.Module):
    """Keys and values are projected along their length to a few.

    S. Wang, B. Z. Li, M. Khabsa, H. Fang, H. Ma: Linformer: Self-Attention with Linear Complexity. 2020,
    arXiv:2006.04768.
    """

    def __init__(self, width: int = 8, heads: int = 2, length: int = 12, kept: int = 3) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.shorten = nn.Linear(length, kept, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, length, width] to the same shape."""
        short = self.shorten(x.transpose(1, 2)).transpose(1, 2)
        q, k, v = (split_heads(part, self.heads) for part in (self.q(x), self.k(short), self.v(short)))
        return x + self.out(merge_heads(F.scaled_dot_product_attention(q, k, v)))


class ReformerLayer(nn.Module):
    """Places are sorted by a random hash, and see their own chunk and the one before; reversible residuals.

    One round of hashing, and no causal mask; within the chunks, other hashes are masked as in the paper.

    N. Kitaev, Ł. Kaiser, A. Levskaya: Reformer: The Efficient Transformer. ICLR 2020, arXiv:2001.04451.
    """

    def __init__(self, width: int = 8, buckets: int = 4, chunk: int = 4) -> None:
        super().__init__()
        self.buckets, self.chunk = buckets, chunk
        self.qk, self.v = nn.Linear(width, width, bias=False), nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def attend(self, x: Tensor) -> Tensor:
        """f32[N, T, width] to the same shape; T is a multiple of the chunk."""
        n, length, width = x.shape
        qk, v = self.qk(x), self.v(x)
        rotations = torch.randn(width, self.buckets // 2)
        turned = F.normalize(qk, dim=-1) @ rotations
        bucket = torch.cat([turned, -turned], -1).argmax(-1)
        order = (bucket * length + torch.arange(length)).argsort(-1)  # stable: by hash, then by place
        index = order[..., None].expand(-1, -1, width)

        def chunked(values: Tensor) -> Tensor:
            return values.view(n, -1, self.chunk, *values.shape[2:])

        def with_previous(values: Tensor) -> Tensor:
            return torch.cat([values.roll(1, 1), values], 2)

        q, v = chunked(qk.gather(1, index)), with_previous(chunked(v.gather(1, index)))
        k = with_previous(F.normalize(q, dim=-1))
        hashes, places = chunked(bucket.gather(1, order)), chunked(order)
        scores = q @ k.transpose(-1, -2) / math.sqrt(width)
        scores = scores.masked_fill(hashes[..., None] != with_previous(hashes)[:, :, None], -1e9)
        # a place attends to itself only if there is nothing else
        scores = scores.masked_fill(places[..., None] == with_previous(places)[:, :, None], -1e5)
        seen = (scores.softmax(-1) @ v).view(n, length, width)
        return torch.zeros_like(seen).scatter(1, index, seen)

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        """The two streams f32[N, T, width], from which the inputs could be computed back."""
        y1 = x1 + self.attend(x2)
        return y1, x2 + self.feed(y1)


class Nystromformer(nn.Module):
    """The attention matrix from a few landmarks; its inverse by an iteration of products.

    Y. Xiong et al.: Nyströmformer: A Nyström-Based Algorithm for Approximating Self-Attention. AAAI 2021,
    arXiv:2102.03902.
    """

    def __init__(self, width: int = 8, heads: int = 2, landmarks: int = 3, iterations: int = 4) -> None:
        super().__init__()
        self.heads, self.landmarks, self.iterations = heads, landmarks, iterations
        self.qkv = nn.Linear(width, 3 * width)
        self.residual = nn.Conv2d(heads, heads, (3, 1), padding=(1, 0), groups=heads, bias=False)

    def inverse(self, a: Tensor) -> Tensor:
        """A pseudo-inverse of f32[..., L, L]."""
        eye = torch.eye(a.shape[-1])
        z = a.mT / (a.abs().sum(-2).amax() * a.abs().sum(-1).amax())
        for _ in range(self.iterations):
            az = a @ z
            z = z @ (13 * eye - az @ (15 * eye - az @ (7 * eye - az))) / 4
        return z

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, width] to the same shape; T is a multiple of the landmarks."""
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, -1))
        q = q / math.sqrt(q.shape[-1])
        few_q, few_k = (part.unflatten(2, (self.landmarks, -1)).mean(3) for part in (q, k))
        left, middle, right = ((a @ b.mT).softmax(-1) for a, b in ((q, few_k), (few_q, few_k), (few_q, k)))
        return x + merge_heads(left @ self.inverse(middle) @ (right @ v) + self.residual(v))


class TransformerXL(nn.Module):
    """A segment sees the states of the one before; distances, not places, with two learnt biases.

    Z. Dai et al.: Transformer-XL: Attentive Language Models beyond a Fixed-Length Context. ACL 2019,
    arXiv:1901.02860.
    """

    def __init__(self, words: int = 20, width: int = 8, heads: int = 2, depth: int = 2) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.embed = nn.Embedding(words, width)
        self.q, self.kv, self.r, self.feed = (
            nn.ModuleList(nn.Linear(width, size) for _ in range(depth))
            for size in (width, 2 * width, width, width)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * depth))
        self.content_bias, self.place_bias = (
            nn.Parameter(torch.randn(heads, 1, width // heads)) for _ in "uv"
        )

    def distances(self, count: int) -> Tensor:
        """Sinusoids f32[count, width] of the distances count - 1 down to 0."""
        rates = 10000 ** (-torch.arange(0, self.width, 2) / self.width)
        angles = torch.arange(count - 1, -1, -1.0)[:, None] * rates
        return torch.cat([angles.sin(), angles.cos()], -1)

    @staticmethod
    def shift(x: Tensor) -> Tensor:
        """Row i of f32[N, H, T, S] moved left by T - 1 - i, so that columns mean places and not distances."""
        n, heads, rows, columns = x.shape
        padded = F.pad(x, (1, 0)).view(n, heads, columns + 1, rows)
        return padded[:, :, 1:].view(n, heads, rows, columns)

    def layer(self, index: int, x: Tensor, memory: Tensor) -> Tensor:
        """f32[N, T, width] after a layer."""
        context = torch.cat([memory, x], 1)
        q = split_heads(self.q[index](x), self.heads)
        k, v = (split_heads(part, self.heads) for part in self.kv[index](context).chunk(2, -1))
        r = split_heads(self.r[index](self.distances(context.shape[1]))[None], self.heads)
        scores = (q + self.content_bias) @ k.mT + self.shift((q + self.place_bias) @ r.mT)
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1 + memory.shape[1])
        scores = (scores / math.sqrt(q.shape[-1])).masked_fill(later, -math.inf)
        x = self.norms[2 * index](x + merge_heads(scores.softmax(-1) @ v))
        return self.norms[2 * index + 1](x + F.relu(self.feed[index](x)))

    def forward(self, words: Tensor, length: int = 4) -> Tensor:
        """Logits f32[N, T, words] of i64[N, T], read in segments of ``length``."""
        memories = [words.new_zeros((len(words), 0, self.width), dtype=torch.float32)] * len(self.q)
        logits = []
        for segment in words.split(length, 1):
            x = self.embed(segment)
            for index, memory in enumerate(memories):
                memories[index] = x.detach()  # no gradient goes back over the border
                x = self.layer(index, x, memory)
            logits.append(x @ self.embed.weight.T)
        return torch.cat(logits, 1)


class SetAttention(nn.Module):
    """The multihead attention block: X sees Y, then each on its own."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(width, heads, batch_first=True)
        self.feed = nn.Linear(width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """f32[N, T, width], in the shape of x."""
        h = self.norm1(x + self.attend(x, y, y, need_weights=False)[0])
        return self.norm2(h + F.relu(self.feed(h)))


class SetTransformer(nn.Module):
    """Sets: attention through inducing points, and pooling by seeds that attend.

    J. Lee, Y. Lee, J. Kim, A. Kosiorek, S. Choi, Y. W. Teh: Set Transformer. ICML 2019, arXiv:1810.00825.
    """

    def __init__(
        self, inputs: int = 3, width: int = 8, heads: int = 2, points: int = 3, seeds: int = 2
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(inputs, width)
        self.inducing = nn.Parameter(torch.randn(1, points, width))
        self.seeds = nn.Parameter(torch.randn(1, seeds, width))
        self.gather, self.spread, self.pool, self.among = (SetAttention(width, heads) for _ in range(4))
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, seeds] of sets f32[N, T, inputs]; their order does not matter."""
        x = self.embed(x)
        x = self.spread(x, self.gather(self.inducing.expand(len(x), -1, -1), x))
        pooled = self.pool(self.seeds.expand(len(x), -1, -1), x)
        return self.out(self.among(pooled, pooled)).squeeze(-1)


class SlotAttention(nn.Module):
    """Slots, drawn at random, compete for the pixels in some rounds, and each paints its object.

    F. Locatello et al.: Object-Centric Learning with Slot Attention. NeurIPS 2020, arXiv:2006.15055.
    """

    def __init__(self, width: int = 8, slots: int = 3, rounds: int = 3, side: int = 8) -> None:
        super().__init__()
        self.slots, self.rounds, self.side = slots, rounds, side
        self.encode = nn.Sequential(nn.Conv2d(3, width, 5, padding=2), nn.ReLU())
        self.place = nn.Parameter(torch.randn(side**2, width) / 10)
        self.mean = nn.Parameter(torch.randn(1, 1, width))
        self.log_scale = nn.Parameter(torch.zeros(1, 1, width))
        self.q, self.k, self.v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.cell = nn.GRUCell(width, width)
        self.feed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)
        )
        self.norm_inputs, self.norm_slots = nn.LayerNorm(width), nn.LayerNorm(width)
        self.decode = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The image f32[N, 3, side, side] put together again, and the masks f32[N, slots, side², 1]."""
        inputs = self.norm_inputs(self.encode(image).flatten(2).mT + self.place)
        k, v = self.k(inputs), self.v(inputs)
        slots = self.mean + self.log_scale.exp() * torch.randn(len(image), self.slots, k.shape[-1])
        for _ in range(self.rounds):
            scores = k @ self.q(self.norm_slots(slots)).mT / math.sqrt(k.shape[-1])
            share = scores.softmax(-1) + 1e-8  # over the slots: they compete
            updates = (share / share.sum(1, keepdim=True)).mT @ v
            slots = self.cell(updates.flatten(0, 1), slots.flatten(0, 1)).view_as(slots)
            slots = slots + self.feed(slots)
        painted = self.decode(slots[:, :, None] + self.place)  # each slot is broadcast over the places
        colour, alpha = painted.split([3, 1], -1)
        masks = alpha.softmax(1)
        return (masks * colour).sum(1).mT.unflatten(2, (self.side, self.side)), masks


class PerceiverIO(nn.Module):
    """A few latents read the inputs, think among themselves, and are read by queries of the output.

    A. Jaegle et al.: Perceiver IO: A General Architecture for Structured Inputs & Outputs. ICLR 2022,
    arXiv:2107.14795.
    """

    def __init__(self, inputs: int = 3, width: int = 8, latents: int = 4, depth: int = 2) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(latents, width))
        self.read = nn.MultiheadAttention(width, 1, kdim=inputs, vdim=inputs, batch_first=True)
        self.think = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 2, 16, 0, "gelu", batch_first=True) for _ in range(depth)
        )
        self.write = nn.MultiheadAttention(2, 1, kdim=width, vdim=width, batch_first=True)
        self.out = nn.Linear(2, 1)

    def forward(self, x: Tensor, queries: Tensor) -> Tensor:
        """f32[N, Q, 1] for queries f32[N, Q, 2] about inputs f32[N, T, inputs]."""
        z = self.latents.expand(len(x), -1, -1)
        z = z + self.read(z, x, x, need_weights=False)[0]
        for layer in self.think:
            z = layer(z)
        return self.out(self.write(queries, z, z, need_weights=False)[0])
