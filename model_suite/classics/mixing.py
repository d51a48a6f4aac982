"""Transformers that are not: other ways of mixing places, and experts that are chosen for each."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def feed_forward(width: int, hidden: int) -> nn.Sequential:
    """Two layers with GELU between."""
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class MLPMixer(nn.Module):
    """Perceptrons over the patches and over the channels, in turns.

    I. Tolstikhin et al.: MLP-Mixer: An all-MLP Architecture for Vision. NeurIPS 2021, arXiv:2105.01601.
    """

    def __init__(self, patch: int = 4, side: int = 16, width: int = 8, depth: int = 2) -> None:
        super().__init__()
        patches = (side // patch) ** 2
        self.embed = nn.Conv2d(3, width, patch, stride=patch)
        self.tokens = nn.ModuleList(feed_forward(patches, 8) for _ in range(depth))
        self.channels = nn.ModuleList(feed_forward(width, 16) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * depth + 1))
        self.head = nn.Linear(width, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits f32[N, 10] of images f32[N, 3, side, side]."""
        x = self.embed(image).flatten(2).mT
        for index, (tokens, channels) in enumerate(zip(self.tokens, self.channels, strict=True)):
            x = x + tokens(self.norms[2 * index](x).mT).mT
            x = x + channels(self.norms[2 * index + 1](x))
        return self.head(self.norms[-1](x).mean(1))


class GatedMLP(nn.Module):
    """gMLP: half of the channels, mixed over the places, gate the other half; a tiny attention helps (aMLP).

    H. Liu, Z. Dai, D. R. So, Q. V. Le: Pay Attention to MLPs. NeurIPS 2021, arXiv:2105.08050.
    """

    def __init__(self, words: int = 20, length: int = 6, width: int = 8, hidden: int = 16) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.norm = nn.LayerNorm(width)
        self.grow = nn.Linear(width, hidden)
        self.gate_norm = nn.LayerNorm(hidden // 2)
        self.spatial = nn.Parameter(torch.randn(length, length) * 1e-3)
        self.spatial_bias = nn.Parameter(torch.ones(length, 1))  # passes all through at first
        self.tiny = nn.Linear(width, 3 * (hidden // 2))
        self.shrink = nn.Linear(hidden // 2, width)
        self.out = nn.Linear(width, words)

    def forward(self, words: Tensor) -> Tensor:
        """Logits f32[N, T, words] of i64[N, T]."""
        x = self.embed(words)
        normed = self.norm(x)
        u, v = F.gelu(self.grow(normed)).chunk(2, -1)
        q, k, tiny = self.tiny(normed).chunk(3, -1)
        attended = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ tiny
        return self.out(
            x + self.shrink(u * (self.spatial @ self.gate_norm(v) + self.spatial_bias + attended))
        )


class FNet(nn.Module):
    """A Fourier transform over places and channels, of which the real part is kept, instead of attention.

    J. Lee-Thorp, J. Ainslie, I. Eckstein, S. Ontañón: FNet: Mixing Tokens with Fourier Transforms. NAACL 2022,
    arXiv:2105.03824.
    """

    def __init__(self, words: int = 20, width: int = 8, depth: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.feeds = nn.ModuleList(feed_forward(width, 16) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * depth))
        self.head = nn.Linear(width, 2)

    def forward(self, words: Tensor) -> Tensor:
        """Logits f32[N, 2] of i64[N, T]."""
        x = self.embed(words)
        for index, feed in enumerate(self.feeds):
            x = self.norms[2 * index](x + torch.fft.fft2(x).real)
            x = self.norms[2 * index + 1](x + feed(x))
        return self.head(x[:, 0])


class Synthesizer(nn.Module):
    """Attention weights that no pair of words has made: a dense one from each word, and a random one.

    Y. Tay, D. Bahri, D. Metzler, D.-C. Juan, Z. Zhao, C. Zheng: Synthesizer: Rethinking Self-Attention in
    Transformer Models. ICML 2021, arXiv:2005.00743.
    """

    def __init__(self, length: int = 6, width: int = 8) -> None:
        super().__init__()
        self.dense = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, length))
        self.random = nn.Parameter(torch.randn(length, length))
        self.mix = nn.Parameter(torch.zeros(2))
        self.value = nn.Linear(width, width)
        self.feed = feed_forward(width, 16)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, length, width] to the same shape."""
        dense, random = self.mix.softmax(0)
        x = x + (dense * self.dense(x) + random * self.random).softmax(-1) @ self.value(x)
        return x + self.feed(x)


class SparseMoE(nn.Module):
    """A gate, noisy in training, keeps the best few experts for each input; only these are run.

    N. Shazeer et al.: Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer.
    ICLR 2017, arXiv:1701.06538.
    """

    def __init__(self, width: int = 8, experts: int = 4, kept: int = 2) -> None:
        super().__init__()
        self.kept = kept
        self.gate = nn.Linear(width, experts, bias=False)
        self.noise = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(feed_forward(width, 16) for _ in range(experts))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """f32[N, width] to the same shape, and the importance of each expert, whose spread is a loss."""
        logits = self.gate(x)
        if self.training:
            logits = logits + torch.randn_like(logits) * F.softplus(self.noise(x))
        best, chosen = logits.topk(self.kept, -1)
        gates = torch.zeros_like(logits).scatter(-1, chosen, best.softmax(-1))
        y = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            rows = (gates[:, index] > 0).nonzero().squeeze(1)
            y.index_add_(0, rows, gates[rows, index, None] * expert(x[rows]))
        return y, gates.sum(0)


class SwitchTransformer(nn.Module):
    """Each word goes to one expert, if that has room, through tensors of dispatch and return of a fixed size.

    W. Fedus, B. Zoph, N. Shazeer: Switch Transformers: Scaling to Trillion Parameter Models with Simple and
    Efficient Sparsity. JMLR 2022, arXiv:2101.03961.
    """

    def __init__(self, width: int = 8, experts: int = 3, capacity_factor: float = 1.25) -> None:
        super().__init__()
        self.capacity_factor = capacity_factor
        self.attend = nn.MultiheadAttention(width, 2, batch_first=True)
        self.router = nn.Linear(width, experts)
        self.w1 = nn.Parameter(torch.randn(experts, width, 16) / width**0.5)
        self.w2 = nn.Parameter(torch.randn(experts, 16, width) / 4)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def switch(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the experts make of f32[S, width], and the loss that keeps them evenly loaded."""
        chances = self.router(x).softmax(-1)
        experts = chances.shape[-1]
        capacity = int(self.capacity_factor * len(x) / experts)
        chance, chosen = chances.max(-1)
        mask = F.one_hot(chosen, experts).to(x.dtype)
        balance = experts * (mask.mean(0) * chances.mean(0)).sum()
        place = (mask.cumsum(0) * mask).sum(-1).long() - 1  # in the queue of its expert
        fits = (place < capacity).to(x.dtype)
        slot = F.one_hot(place.clamp(max=capacity - 1), capacity).to(x.dtype) * fits[:, None]
        dispatch = torch.einsum("se,sc->sec", mask, slot)
        hidden = F.relu(torch.einsum("sec,sd,edh->ech", dispatch, x, self.w1))
        return torch.einsum("sec,s,ech,ehd->sd", dispatch, chance, hidden, self.w2), balance

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """f32[N, T, width] to the same shape, and the balance loss; words that found no room pass by."""
        normed = self.norm1(x)
        x = x + self.attend(normed, normed, normed, need_weights=False)[0]
        y, balance = self.switch(self.norm2(x).flatten(0, 1))
        return x + y.view_as(x), balance


class KolmogorovArnoldNet(nn.Module):
    """No weights on the edges, but functions: splines, each with a SiLU beside, which are added in the nodes.

    Z. Liu et al.: KAN: Kolmogorov-Arnold Networks. ICLR 2025, arXiv:2404.19756.
    """

    grid: Tensor

    def __init__(self, widths: tuple[int, ...] = (2, 4, 1), intervals: int = 4, order: int = 3) -> None:
        super().__init__()
        self.order = order
        step = 2 / intervals
        self.register_buffer("grid", torch.arange(-order, intervals + order + 1) * step - 1)
        pairs = list(pairwise(widths))
        self.base = nn.ParameterList(torch.randn(o, i) / i**0.5 for i, o in pairs)
        self.spline = nn.ParameterList(torch.randn(o, i, intervals + order) / 10 for i, o in pairs)

    def basis(self, x: Tensor) -> Tensor:
        """B-splines f32[N, inputs, intervals + order] at f32[N, inputs], by the recursion of Cox and de Boor."""
        x, grid = x[..., None], self.grid
        b = ((x >= grid[:-1]) & (x < grid[1:])).to(x.dtype)
        for k in range(1, self.order + 1):
            rising = (x - grid[: -k - 1]) / (grid[k:-1] - grid[: -k - 1]) * b[..., :-1]
            falling = (grid[k + 1 :] - x) / (grid[k + 1 :] - grid[1:-k]) * b[..., 1:]
            b = rising + falling
        return b

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, widths[-1]] of f32[N, widths[0]]."""
        for base, spline in zip(self.base, self.spline, strict=True):
            x = F.linear(F.silu(x), base) + torch.einsum("nik,oik->no", self.basis(x), spline)
        return x


class UniversalTransformer(nn.Module):
    """One layer, again and again; each word halts when it has had enough (adaptive computation time).

    M. Dehghani, S. Gouws, O. Vinyals, J. Uszkoreit, Ł. Kaiser: Universal Transformers. ICLR 2019,
    arXiv:1807.03819.
    """

    def __init__(self, width: int = 8, most: int = 6, threshold: float = 0.99) -> None:
        super().__init__()
        self.most, self.threshold = most, threshold
        self.layer = nn.TransformerEncoderLayer(width, 2, 16, 0, batch_first=True)
        self.halt = nn.Linear(width, 1)
        self.signals = nn.Embedding(most, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """f32[N, T, width] to the same shape, and the steps f32[N, T] that each word took."""
        halted = x.new_zeros(x.shape[:2])
        steps, result = torch.zeros_like(halted), torch.zeros_like(x)
        for step in range(self.most):
            running = halted < self.threshold
            if not running.any():
                break
            x = x + self.signals.weight[step]
            chance = torch.sigmoid(self.halt(x)).squeeze(-1)
            ends = running & (halted + chance >= self.threshold)
            # the last step gets what is left of one
            weight = torch.where(ends, 1 - halted, chance) * running
            halted, steps = halted + weight, steps + running
            x = self.layer(x)
            result = result + weight[..., None] * x
        return result, steps


class AdaptiveComputationTime(nn.Module):
    """A recurrent net that ponders each input as long as it likes; the cost of pondering is returned too.

    A. Graves: Adaptive Computation Time for Recurrent Neural Networks. 2016, arXiv:1603.08983.
    """

    def __init__(self, inputs: int = 3, width: int = 8, most: int = 5, epsilon: float = 0.01) -> None:
        super().__init__()
        self.width, self.most, self.epsilon = width, most, epsilon
        self.cell = nn.RNNCell(inputs + 1, width)
        self.halt = nn.Linear(width, 1)
        self.out = nn.Linear(width, 2)

    def ponder(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The mean state f32[N, width] over the steps of one input, and what they cost f32[N]."""
        total, remainder, steps = x.new_zeros(len(x)), x.new_ones(len(x)), x.new_zeros(len(x))
        mean = torch.zeros_like(state)
        for step in range(self.most):
            first = x.new_full((len(x), 1), float(step == 0))
            state = self.cell(torch.cat([x, first], 1), state)
            chance = torch.sigmoid(self.halt(state)).squeeze(1)
            running = remainder > 0
            ends = (total + chance > 1 - self.epsilon) | (step == self.most - 1)
            weight = torch.where(ends, remainder, chance) * running
            mean = mean + weight[:, None] * state
            total, remainder, steps = (
                total + weight,
                torch.where(ends, 0, remainder - weight),
                steps + running,
            )
            if not (remainder > 0).any():
                break
        return mean, steps

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs f32[N, T, 2] of f32[N, T, inputs], and the steps taken f32[N, T]."""
        state, outputs, costs = x.new_zeros(len(x), self.width), [], []
        for step in x.unbind(1):
            state, cost = self.ponder(step, state)
            outputs.append(self.out(state))
            costs.append(cost)
        return torch.stack(outputs, 1), torch.stack(costs, 1)
