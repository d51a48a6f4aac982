"""Bits, samples and small changes: what is rounded, drawn, sorted, left out, or added to what is frozen."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GumbelSoftmaxVAE(nn.Module):
    """Categorical codes, drawn by the noise whose maximum has their chances; hard forward, soft backward.

    E. Jang, S. Gu, B. Poole: Categorical Reparameterization with Gumbel-Softmax. ICLR 2017, arXiv:1611.01144.
    """

    def __init__(
        self, inputs: int = 16, groups: int = 3, classes: int = 4, temperature: float = 0.7
    ) -> None:
        super().__init__()
        self.groups, self.classes, self.temperature = groups, classes, temperature
        self.encode = nn.Sequential(nn.Linear(inputs, 12), nn.ReLU(), nn.Linear(12, groups * classes))
        self.decode = nn.Sequential(nn.Linear(groups * classes, 12), nn.ReLU(), nn.Linear(12, inputs))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits f32[N, inputs] of f32[N, inputs], and the divergence from even chances."""
        logits = self.encode(x).unflatten(-1, (self.groups, self.classes))
        gumbel = -torch.empty_like(logits).exponential_().log()
        soft = ((logits + gumbel) / self.temperature).softmax(-1)
        hard = torch.zeros_like(soft).scatter_(-1, soft.argmax(-1, keepdim=True), 1.0)
        drawn = hard - soft.detach() + soft
        chances = logits.softmax(-1)
        divergence = (chances * (chances * self.classes + 1e-20).log()).sum((1, 2))
        return self.decode(drawn.flatten(1)), divergence.mean()


class Sign(torch.autograd.Function):
    """The sign, whose gradient passes as if it were the identity within [-1, 1]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """-1 or 1."""
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """The gradient, where x is small."""
        (x,) = ctx.saved_tensors
        return grads[0] * (x.abs() <= 1)


class XNORNet(nn.Module):
    """Weights and inputs of a convolution are signs; the means of their sizes scale it, place by place.

    M. Rastegari, V. Ordonez, J. Redmon, A. Farhadi: XNOR-Net: ImageNet Classification Using Binary Convolutional
    Neural Networks. ECCV 2016, arXiv:1603.05279.
    """

    def __init__(self, width: int = 8, depth: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(depth))
        self.weights = nn.ParameterList(torch.randn(width, width, 3, 3) for _ in range(depth))
        self.head = nn.Linear(width, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits f32[N, 10] of images f32[N, 3, H, W]."""
        x = self.stem(image)
        for norm, weight in zip(self.norms, self.weights, strict=True):
            x = norm(x)
            sizes = F.avg_pool2d(x.abs().mean(1, keepdim=True), 3, stride=1, padding=1)
            alpha = weight.abs().mean((1, 2, 3))[:, None, None]
            x = F.conv2d(Sign.apply(x), Sign.apply(weight), padding=1) * sizes * alpha
            x = F.relu(x)
        return self.head(x.mean((2, 3)))


class QuantizationAwareNet(nn.Module):
    """Weights a channel, activations a tensor: rounded to eight bits and back, gradients as if not rounded.

    B. Jacob et al.: Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference.
    CVPR 2018, arXiv:1712.05877. The range of the activations is a running average, that is moved in use here too.
    """

    ranges: Tensor

    def __init__(self, inputs: int = 6, width: int = 8, outputs: int = 3) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, width), nn.Linear(width, outputs)
        self.register_buffer("ranges", torch.tensor([[0.0, 1.0], [0.0, 1.0]]))

    def activation(self, index: int, x: Tensor) -> Tensor:
        """f32[N, C] as unsigned eight bits would have it."""
        observed = torch.stack(x.detach().aminmax())
        self.ranges[index].lerp_(observed, 0.1)
        low, high = self.ranges[index]
        low, high = low.clamp(max=0), high.clamp(min=0)
        scale = ((high - low) / 255).clamp(min=1e-8)
        zero = (-low / scale).round().to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(x, scale, zero, 0, 255)

    @staticmethod
    def weight(w: Tensor) -> Tensor:
        """f32[O, I] as signed eight bits would have it, with a scale for each row."""
        scale = w.detach().abs().amax(1) / 127
        zero = torch.zeros(len(w), dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(w, scale, zero, 0, -127, 127)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, outputs] of f32[N, inputs]."""
        x = F.relu(F.linear(self.activation(0, x), self.weight(self.first.weight), self.first.bias))
        return F.linear(self.activation(1, x), self.weight(self.second.weight), self.second.bias)


class LowRankAdapter(nn.Linear):
    """A frozen linear layer, and a product of two thin matrices that is learnt beside it."""

    def __init__(self, inputs: int, outputs: int, rank: int = 2, alpha: float = 4.0) -> None:
        super().__init__(inputs, outputs)
        self.requires_grad_(False)
        self.scale = alpha / rank
        self.a = nn.Parameter(torch.randn(rank, inputs) / inputs**0.5)
        self.b = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, x: Tensor) -> Tensor:
        """f32[..., inputs] to f32[..., outputs]."""
        return super().forward(x) + self.scale * F.linear(F.linear(x, self.a), self.b)


class LoRATransformer(nn.Module):
    """Adapters at the queries and values of an attention whose weights stay.

    E. Hu et al.: LoRA: Low-Rank Adaptation of Large Language Models. ICLR 2022, arXiv:2106.09685.
    """

    def __init__(self, width: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.v = LowRankAdapter(width, width), LowRankAdapter(width, width)
        self.k, self.out = (nn.Linear(width, width).requires_grad_(False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, width] to the same shape."""
        q, k, v = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.q, self.k, self.v)
        )
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return x + self.out(seen.transpose(1, 2).flatten(2))


class NestedDropout(nn.Module):
    """All units after a random one are dropped, so that the first ones learn what matters most.

    O. Rippel, M. Gelbart, R. P. Adams: Learning Ordered Representations with Nested Dropout. ICML 2014,
    arXiv:1402.0915.
    """

    def __init__(self, inputs: int = 12, width: int = 8, stop: float = 0.2) -> None:
        super().__init__()
        self.stop = stop
        self.encode, self.decode = nn.Linear(inputs, width), nn.Linear(width, inputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstructions f32[N, inputs] of f32[N, inputs], and how many units were kept i64[N, 1]."""
        code = self.encode(x)
        kept = code.new_empty(len(x), 1).geometric_(self.stop).clamp(max=code.shape[1]).long()
        return self.decode(code * (torch.arange(code.shape[1]) < kept)), kept


class LateralInhibition(nn.Module):
    """A shunting field of on-centre, off-surround cells comes to rest; the winner takes most.

    S. Grossberg: Contour Enhancement, Short Term Memory, and Constancies in Reverberating Neural Networks. Studies
    in Applied Mathematics 52(3), 1973.
    """

    def __init__(self, cells: int = 7, decay: float = 1.0, step: float = 0.05, steps: int = 8) -> None:
        super().__init__()
        self.decay, self.step, self.steps = decay, step, steps
        self.ceiling = nn.Parameter(torch.full((cells,), 2.0))

    def forward(self, x: Tensor) -> Tensor:
        """Activities f32[N, cells] that f32[N, cells] settle into."""
        for _ in range(self.steps):
            signal = x.square()  # faster than linear: it enhances contrast
            others = signal.sum(1, keepdim=True) - signal
            x = x + self.step * (-self.decay * x + (self.ceiling - x) * signal - x * others)
        return x


class SelfOrganizingMap(nn.Module):
    """Inputs come one by one; the best cell and its neighbours on the map move towards each.

    T. Kohonen: Self-organized Formation of Topologically Correct Feature Maps. Biological Cybernetics 43, 1982.
    """

    cells: Tensor
    places: Tensor

    def __init__(self, inputs: int = 3, side: int = 3, rate: float = 0.3, spread: float = 1.0) -> None:
        super().__init__()
        self.rate, self.spread = rate, spread
        self.register_buffer("cells", torch.rand(side**2, inputs))
        self.register_buffer("places", torch.cartesian_prod(torch.arange(side), torch.arange(side)).float())

    def forward(self, x: Tensor) -> Tensor:
        """The best cells i64[N] of f32[N, inputs]; the map has moved by then."""
        best = []
        for index, one in enumerate(x):
            winner = (self.cells - one).square().sum(1).argmin()
            apart = (self.places - self.places[winner]).square().sum(1, keepdim=True)
            spread = self.spread / (1 + index)
            self.cells += self.rate * torch.exp(-apart / (2 * spread**2)) * (one - self.cells)
            best.append(winner)
        return torch.stack(best)


class NeuralSort(nn.Module):
    """A sort whose permutation matrix is soft, by differences of all pairs; Sinkhorn's steps make one that matches.

    A. Grover, E. Wang, A. Zweig, S. Ermon: Stochastic Optimization of Sorting Networks via Continuous Relaxations.
    ICLR 2019, arXiv:1903.08850. G. Mena, D. Belanger, S. Linderman, J. Snoek: Learning Latent Permutations with
    Gumbel-Sinkhorn Networks. ICLR 2018, arXiv:1802.08665.
    """

    def __init__(self, inputs: int = 3, temperature: float = 0.5, rounds: int = 4) -> None:
        super().__init__()
        self.temperature, self.rounds = temperature, rounds
        self.score = nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Rows f32[N, T, inputs] in falling order of a learnt score, and the matrices f32[N, T, T]."""
        score = self.score(x)
        count = x.shape[1]
        apart = (score - score.mT).abs().sum(-1)[:, None]
        ranks = (count + 1 - 2 * torch.arange(1, count + 1))[:, None]
        logits = (ranks * score.mT - apart) / self.temperature
        for _ in range(self.rounds):
            logits = logits.log_softmax(1).log_softmax(2)
        return logits.exp() @ x, logits.exp()


class MixtureDensityNet(nn.Module):
    """A mixture of Gaussians for each input, from which a target's likelihood and a draw are taken.

    C. M. Bishop: Mixture Density Networks. Aston University, NCRG/94/004, 1994.
    """

    def __init__(self, inputs: int = 2, mixtures: int = 3) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(inputs, 12), nn.Tanh(), nn.Linear(12, 3 * mixtures))

    def forward(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Draws f32[N] for f32[N, inputs], and the negative log likelihood of f32[N]."""
        shares, means, logs = self.net(x).chunk(3, 1)
        each = torch.distributions.Normal(means, logs.exp())
        mixture = torch.distributions.MixtureSameFamily(
            torch.distributions.Categorical(logits=shares), each
        )
        return mixture.sample(), -mixture.log_prob(target).mean()
