"""Linear recurrences and long convolutions: state spaces, retention, time mixing, delta rules."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def causal_convolution(x: Tensor, kernel: Tensor) -> Tensor:
    """x f32[..., T] with a kernel as long f32[..., T], by Fourier transforms of twice the length."""
    length = x.shape[-1]
    product = torch.fft.rfft(x, 2 * length) * torch.fft.rfft(kernel, 2 * length)
    return torch.fft.irfft(product, 2 * length)[..., :length]


class S4(nn.Module):
    """A state matrix that is diagonal plus rank one (HiPPO-LegS); its kernel by its generating function.

    A. Gu, K. Goel, C. Ré: Efficiently Modeling Long Sequences with Structured State Spaces. ICLR 2022,
    arXiv:2111.00396.
    """

    def __init__(self, width: int = 4, states: int = 6) -> None:
        super().__init__()
        n = torch.arange(states, dtype=torch.float32)
        p = (n + 0.5).sqrt()
        b = (2 * n + 1).sqrt()
        # HiPPO-LegS plus p pᵀ is normal: -1/2 and a skew part, which a unitary matrix makes diagonal
        legs = -torch.tril(b[:, None] * b) + torch.diag(n)
        skew = legs + p[:, None] * p
        imaginary, v = torch.linalg.eigh(skew.to(torch.complex64) * -1j)
        real = skew.diagonal().mean().expand(states)
        self.log_real = nn.Parameter((-real).log())
        self.imaginary = nn.Parameter(imaginary)
        self.p = nn.Parameter(torch.view_as_real(v.mH @ p.to(v.dtype)))
        self.b = nn.Parameter(torch.view_as_real(v.mH @ b.to(v.dtype)))
        self.c = nn.Parameter(torch.randn(width, states, 2) / 2)
        self.log_step = nn.Parameter(torch.linspace(math.log(1e-3), math.log(1e-1), width))
        self.d = nn.Parameter(torch.ones(width))
        self.mix = nn.Linear(width, 2 * width)

    def kernel(self, length: int) -> Tensor:
        """f32[width, length]: the function at the roots of unity, and back."""
        poles = torch.complex(-self.log_real.exp(), self.imaginary)
        b, c, p = (torch.view_as_complex(part) for part in (self.b, self.c, self.p))
        omega = torch.exp(-2j * math.pi * torch.arange(length) / length)
        step = self.log_step.exp()[:, None]
        g = 2 / step * ((1 - omega) / (1 + omega))
        cauchy = 1 / (g[..., None] - poles)
        k00, k01 = (cauchy * (c * b)[:, None]).sum(-1), (cauchy * (c * p)[:, None]).sum(-1)
        k10, k11 = (cauchy * (p.conj() * b)).sum(-1), (cauchy * (p.conj() * p)).sum(-1)
        return torch.fft.ifft(2 / (1 + omega) * (k00 - k01 * k10 / (1 + k11))).real

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, width] to the same shape; T is odd, so that no root of unity is -1."""
        y = causal_convolution(x.mT, self.kernel(x.shape[1])).mT + x * self.d
        return x + F.glu(self.mix(F.gelu(y)), -1)


class S4D(nn.Module):
    """A diagonal state matrix: the kernel is a Vandermonde product.

    A. Gu, A. Gupta, K. Goel, C. Ré: On the Parameterization and Initialization of Diagonal State Space Models.
    NeurIPS 2022, arXiv:2206.11893. S4D-Lin, with zero-order hold.
    """

    def __init__(self, width: int = 4, states: int = 8) -> None:
        super().__init__()
        half = states // 2  # of each conjugate pair one
        self.log_step = nn.Parameter(torch.rand(width) * 2 - 4)
        self.log_real = nn.Parameter(torch.full((width, half), math.log(0.5)))
        self.imaginary = nn.Parameter(math.pi * torch.arange(half).repeat(width, 1))
        self.c = nn.Parameter(torch.randn(width, half, 2))
        self.d = nn.Parameter(torch.ones(width))
        self.mix = nn.Conv1d(width, 2 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, width] to the same shape."""
        poles = torch.complex(-self.log_real.exp(), self.imaginary)
        per_step = poles * self.log_step.exp()[:, None]
        c = torch.view_as_complex(self.c) * (per_step.exp() - 1) / poles
        powers = torch.exp(per_step[..., None] * torch.arange(x.shape[1]))
        kernel = 2 * torch.einsum("hn,hnl->hl", c, powers).real
        u = x.mT
        y = F.gelu(causal_convolution(u, kernel) + self.d[:, None] * u)
        return x + F.glu(self.mix(y), 1).mT


class LinearRecurrentUnit(nn.Module):
    """Complex diagonal recurrence, by a scan that doubles its reach in each round.

    A. Orvieto et al.: Resurrecting Recurrent Neural Networks for Long Sequences. ICML 2023, arXiv:2303.06349.
    """

    def __init__(self, width: int = 4, states: int = 6) -> None:
        super().__init__()
        radius, phase = 0.9 + 0.09 * torch.rand(states), torch.rand(states) * math.pi / 5
        self.nu_log = nn.Parameter((-radius.log()).log())
        self.theta_log = nn.Parameter(phase.log())
        self.b = nn.Parameter(torch.randn(states, width, 2) / math.sqrt(2 * width))
        self.c = nn.Parameter(torch.randn(width, states, 2) / math.sqrt(states))
        self.d = nn.Parameter(torch.randn(width))

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, width] to the same shape."""
        decay = torch.exp(torch.complex(-self.nu_log.exp(), self.theta_log.exp()))
        gamma = torch.sqrt(1 - decay.abs() ** 2)
        states = gamma * (x.to(torch.complex64) @ torch.view_as_complex(self.b).T)
        reach = 1
        while reach < x.shape[1]:  # Hillis and Steele: after each round a state sums twice as many steps
            states = states + decay**reach * F.pad(states, (0, 0, reach, 0))[:, : x.shape[1]]
            reach *= 2
        return (states @ torch.view_as_complex(self.c).T).real + self.d * x


class Mamba(nn.Module):
    """A state space whose step, input and output matrices depend on what it reads.

    A. Gu, T. Dao: Mamba: Linear-Time Sequence Modeling with Selective State Spaces. COLM 2024, arXiv:2312.00752.
    """

    def __init__(self, width: int = 4, states: int = 4, expand: int = 2, rank: int = 2) -> None:
        super().__init__()
        self.states, self.rank = states, rank
        inner = expand * width
        self.norm = nn.RMSNorm(width)
        self.inward = nn.Linear(width, 2 * inner, bias=False)
        self.conv = nn.Conv1d(inner, inner, 4, groups=inner, padding=3)
        self.select = nn.Linear(inner, rank + 2 * states, bias=False)
        self.step = nn.Linear(rank, inner)
        self.a_log = nn.Parameter(torch.arange(1.0, states + 1).repeat(inner, 1).log())
        self.d = nn.Parameter(torch.ones(inner))
        self.outward = nn.Linear(inner, width, bias=False)

    def scan(self, x: Tensor) -> Tensor:
        """f32[N, T, inner] to the same shape, step by step."""
        step, b, c = self.select(x).split([self.rank, self.states, self.states], -1)
        step = F.softplus(self.step(step))
        decay = torch.exp(-step[..., None] * self.a_log.exp())
        drive = (step * x)[..., None] * b[:, :, None]
        state, outputs = torch.zeros_like(drive[:, 0]), []
        for time in range(x.shape[1]):
            state = decay[:, time] * state + drive[:, time]
            outputs.append(torch.einsum("nds,ns->nd", state, c[:, time]))
        return torch.stack(outputs, 1) + self.d * x

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, width] to the same shape."""
        inner, gate = self.inward(self.norm(x)).chunk(2, -1)
        inner = F.silu(self.conv(inner.mT)[..., : x.shape[1]].mT)
        return x + self.outward(self.scan(inner) * F.silu(gate))


class RWKV(nn.Module):
    """Time mixing: exponentially fading sums, with a bonus for the present; channel mixing with squared ReLU.

    B. Peng et al.: RWKV: Reinventing RNNs for the Transformer Era. EMNLP 2023 (Findings), arXiv:2305.13048.
    Version 4.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix = nn.Parameter(torch.rand(5, width))
        self.decay, self.bonus = nn.Parameter(torch.randn(width)), nn.Parameter(torch.randn(width))
        self.r, self.k, self.v, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.channel_r, self.channel_v = (
            nn.Linear(width, width, bias=False),
            nn.Linear(16, width, bias=False),
        )
        self.channel_k = nn.Linear(width, 16, bias=False)

    def shifted(self, x: Tensor, which: int) -> Tensor:
        """x f32[N, T, width], mixed with the step before."""
        return torch.lerp(F.pad(x, (0, 0, 1, -1)), x, self.mix[which])

    def wkv(self, k: Tensor, v: Tensor) -> Tensor:
        """The weighted means f32[N, T, width], with exponents kept small by a running maximum."""
        above, below = torch.zeros_like(k[:, 0]), torch.zeros_like(k[:, 0])
        largest, means = torch.full_like(above, -1e38), []
        for key, value in zip(k.unbind(1), v.unbind(1), strict=True):
            top = torch.maximum(largest, self.bonus + key)
            old, new = (largest - top).exp(), (self.bonus + key - top).exp()
            means.append((old * above + new * value) / (old * below + new))
            top = torch.maximum(largest - self.decay.exp(), key)
            old, new = (largest - self.decay.exp() - top).exp(), (key - top).exp()
            above, below, largest = old * above + new * value, old * below + new, top
        return torch.stack(means, 1)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, width] to the same shape."""
        y = self.norm1(x)
        r, k, v = (part(self.shifted(y, index)) for index, part in enumerate((self.r, self.k, self.v)))
        x = x + self.out(torch.sigmoid(r) * self.wkv(k, v))
        y = self.norm2(x)
        k = F.relu(self.channel_k(self.shifted(y, 3))).square()
        return x + torch.sigmoid(self.channel_r(self.shifted(y, 4))) * self.channel_v(k)


class Hyena(nn.Module):
    """Long convolutions, whose filters a small net makes from the place, in turns with gates.

    M. Poli et al.: Hyena Hierarchy: Towards Larger Convolutional Language Models. ICML 2023, arXiv:2302.10866.
    """

    def __init__(self, width: int = 4, order: int = 2, bands: int = 3) -> None:
        super().__init__()
        self.order, self.bands = order, bands
        self.inward = nn.Linear(width, (order + 1) * width)
        self.short = nn.Conv1d(
            (order + 1) * width, (order + 1) * width, 3, padding=2, groups=(order + 1) * width
        )
        self.filter = nn.ModuleList([nn.Linear(1 + 2 * bands, 16), nn.Linear(16, order * width)])
        self.fading = nn.Parameter(torch.linspace(0.5, 3, width))
        self.bias = nn.Parameter(torch.zeros(order, width, 1))
        self.out = nn.Linear(width, width)

    def filters(self, length: int) -> Tensor:
        """f32[order, width, length], sines of a net, under a window."""
        t = torch.linspace(0, 1, length)[:, None]
        angles = 2 * math.pi * t * torch.arange(1, self.bands + 1)
        encoded = torch.cat([t, angles.cos(), angles.sin()], -1)
        h = self.filter[1](torch.sin(self.filter[0](encoded)))
        return h.T.unflatten(0, (self.order, -1)) * torch.exp(-self.fading[:, None] * t.T)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, width] to the same shape."""
        projected = self.short(self.inward(x).mT)[..., : x.shape[1]]
        v, *gates = projected.chunk(self.order + 1, 1)
        for gate, kernel, bias in zip(gates, self.filters(x.shape[1]), self.bias, strict=True):
            v = gate * (causal_convolution(v, kernel) + bias * v)
        return self.out(v.mT)


class RetNet(nn.Module):
    """Retention: products of queries and keys that fade with distance and turn with place; all steps at once.

    Y. Sun et al.: Retentive Network: A Successor to Transformer for Large Language Models. 2023,
    arXiv:2307.08621.
    """

    def __init__(self, width: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.fading = [1 - 2.0 ** (-5 - head) for head in range(heads)]
        self.q, self.k, self.v, self.gate, self.out = (
            nn.Linear(width, width, bias=False) for _ in range(5)
        )
        self.norm = nn.GroupNorm(heads, width, affine=False)

    def turned(self, x: Tensor) -> Tensor:
        """f32[N, T, width] to f32[N, heads, T, D], pairs of channels turned by an angle that grows with place."""
        x = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        rates = 10000 ** -torch.linspace(0, 1, x.shape[-1] // 2)
        angles = (torch.arange(x.shape[2])[:, None] * rates).repeat_interleave(2, 1)
        even, odd = x[..., ::2], x[..., 1::2]
        return x * angles.cos() + torch.stack([-odd, even], -1).flatten(-2) * angles.sin()

    def retain(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """f32[N, heads, T, D], in parallel."""
        apart = torch.arange(q.shape[2])[:, None] - torch.arange(q.shape[2])
        fading = torch.tensor(self.fading)[:, None, None]
        return (q @ k.mT * torch.where(apart >= 0, fading ** apart.clamp(min=0), 0)) @ v

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, width] to the same shape."""
        q, k = self.turned(self.q(x)), self.turned(self.k(x)) / math.sqrt(x.shape[-1] / self.heads)
        v = self.v(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        y = self.retain(q, k, v).transpose(1, 2).flatten(2)
        y = self.norm(y.flatten(0, 1)).view_as(x)
        return self.out(F.silu(self.gate(x)) * y)


class RecurrentRetNet(RetNet):
    """The same numbers step by step, with a state instead of a matrix of distances.

    Y. Sun et al.: Retentive Network: A Successor to Transformer for Large Language Models. 2023,
    arXiv:2307.08621, its equation 6.
    """

    def retain(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """f32[N, heads, T, D], one after the other."""
        fading = torch.tensor(self.fading)[:, None, None]
        state, outputs = torch.zeros_like(k[:, :, 0, :, None] * v[:, :, 0, None]), []
        for time in range(q.shape[2]):
            state = fading * state + k[:, :, time, :, None] * v[:, :, time, None]
            outputs.append((q[:, :, time, None] @ state).squeeze(2))
        return torch.stack(outputs, 2)


class DeltaNet(nn.Module):
    """A fast weight matrix that is corrected, by a learnt rate, towards the value that a key should give.

    I. Schlag, K. Irie, J. Schmidhuber: Linear Transformers Are Secretly Fast Weight Programmers. ICML 2021,
    arXiv:2102.11174.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.slow = nn.Linear(width, 3 * width + 1, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, width] to the same shape."""
        q, k, v, rate = self.slow(x).split([x.shape[-1]] * 3 + [1], -1)
        q, k = (F.normalize(F.elu(part) + 1, p=1, dim=-1) for part in (q, k))
        rate = torch.sigmoid(rate)
        weights, outputs = x.new_zeros(len(x), x.shape[-1], x.shape[-1]), []
        for time in range(x.shape[1]):
            old = torch.einsum("nvk,nk->nv", weights, k[:, time])
            change = rate[:, time] * (v[:, time] - old)
            weights = torch.baddbmm(weights, change[:, :, None], k[:, time, None])
            outputs.append(torch.einsum("nvk,nk->nv", weights, q[:, time]))
        return self.out(torch.stack(outputs, 1))


class MatrixLSTM(nn.Module):
    """xLSTM's matrix cell: a covariance update with exponential gates, kept finite by a stabiliser.

    M. Beck et al.: xLSTM: Extended Long Short-Term Memory. NeurIPS 2024, arXiv:2405.04517.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.qkv, self.gates, self.o = (
            nn.Linear(width, 3 * width),
            nn.Linear(width, 2),
            nn.Linear(width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, width] to the same shape."""
        q, k, v = self.qkv(x).chunk(3, -1)
        k = k / math.sqrt(x.shape[-1])
        write, keep = self.gates(x).split(1, -1)
        keep = F.logsigmoid(keep)
        cell, total = x.new_zeros(len(x), x.shape[-1], x.shape[-1]), x.new_zeros(len(x), x.shape[-1])
        largest, outputs = x.new_zeros(len(x), 1), []
        for time in range(x.shape[1]):
            top = torch.maximum(keep[:, time] + largest, write[:, time])
            f, i = (keep[:, time] + largest - top).exp(), (write[:, time] - top).exp()
            cell = f[..., None] * cell + i[..., None] * v[:, time, :, None] * k[:, time, None]
            total, largest = f * total + i * k[:, time], top
            scale = (total * q[:, time]).sum(-1, keepdim=True).abs().clamp(min=1)
            outputs.append((cell @ q[:, time, :, None]).squeeze(-1) / scale)
        return torch.sigmoid(self.o(x)) * torch.stack(outputs, 1)
