"""Densities: flows that can be inverted, energies that are sampled from, and noise that is taken away in steps."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def mlp(inputs: int, outputs: int, hidden: int = 16) -> nn.Sequential:
    """Two layers with SiLU between."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))


def log_normal(z: Tensor) -> Tensor:
    """Log density f32[N] of f32[N, ...] under the standard normal distribution."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).flatten(1).sum(1)


class RealNVP(nn.Module):
    """Affine couplings: one half says how the other is scaled and moved, in turns.

    L. Dinh, J. Sohl-Dickstein, S. Bengio: Density Estimation Using Real NVP. ICLR 2017, arXiv:1605.08803.
    """

    mask: Tensor

    def __init__(self, width: int = 4, depth: int = 4) -> None:
        super().__init__()
        self.nets = nn.ModuleList(mlp(width, 2 * width) for _ in range(depth))
        self.register_buffer("mask", (torch.arange(width) % 2).float())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Codes f32[N, width], and the log density f32[N] of f32[N, width]."""
        log_det = x.new_zeros(len(x))
        for index, net in enumerate(self.nets):
            mask = self.mask if index % 2 else 1 - self.mask
            scale, shift = net(x * mask).chunk(2, 1)
            scale = torch.tanh(scale) * (1 - mask)
            x = x * scale.exp() + shift * (1 - mask)
            log_det = log_det + scale.sum(1)
        return x, log_normal(x) + log_det


class Glow(nn.Module):
    """Squeeze; then steps of actnorm, an invertible 1 x 1 convolution by its LU parts, and a coupling; then a split.

    D. P. Kingma, P. Dhariwal: Glow: Generative Flow with Invertible 1x1 Convolutions. NeurIPS 2018,
    arXiv:1807.03039.
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, channels: int = 4, hidden: int = 8) -> None:
        super().__init__()
        rotation, _ = torch.linalg.qr(torch.randn(channels, channels))
        permutation, lower, upper = torch.linalg.lu(rotation)
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", upper.diagonal().sign())
        self.lower, self.upper = nn.Parameter(lower), nn.Parameter(upper.triu(1))
        self.log_s = nn.Parameter(upper.diagonal().abs().log())
        self.log_scale, self.shift = (nn.Parameter(torch.zeros(channels, 1, 1)) for _ in range(2))
        self.couple = nn.Sequential(
            nn.Conv2d(channels // 2, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 1),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 3, padding=1),
        )

    def weight(self) -> Tensor:
        """The 1 x 1 convolution f32[C, C]."""
        lower = self.lower.tril(-1) + torch.eye(len(self.lower))
        return self.permutation @ lower @ (self.upper.triu(1) + torch.diag(self.sign * self.log_s.exp()))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What goes on f32[N, 2, H/2, W/2], what is split off, and the log density f32[N] of f32[N, 1, H, W]."""
        x = F.pixel_unshuffle(image, 2)
        pixels = x.shape[2] * x.shape[3]
        x = (x + self.shift) * self.log_scale.exp()
        x = F.conv2d(x, self.weight()[:, :, None, None])
        log_det = pixels * (self.log_scale.sum() + self.log_s.sum())
        a, b = x.chunk(2, 1)
        log_s, shift = self.couple(a).chunk(2, 1)
        scale = torch.sigmoid(log_s + 2)
        b = (b + shift) * scale
        log_det = log_det + scale.log().flatten(1).sum(1)
        return a, b, log_normal(torch.cat([a, b], 1)) + log_det


class ContinuousFlow(nn.Module):
    """FFJORD: the density follows the trace of the slope's derivative, guessed by one random direction.

    W. Grathwohl, R. T. Q. Chen, J. Bettencourt, I. Sutskever, D. Duvenaud: FFJORD: Free-form Continuous Dynamics
    for Scalable Reversible Generative Models. ICLR 2019, arXiv:1810.01367. In Euler steps.
    """

    def __init__(self, width: int = 3, steps: int = 4) -> None:
        super().__init__()
        self.steps = steps
        self.slope = mlp(width + 1, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Codes f32[N, width] and the log density f32[N] of f32[N, width]."""
        direction = torch.randn_like(x).sign()
        log_det = x.new_zeros(len(x))
        for step in range(self.steps):
            with torch.enable_grad():
                here = x.detach().requires_grad_()
                time = x.new_full((len(x), 1), step / self.steps)
                slope = self.slope(torch.cat([here, time], 1))
                (along,) = torch.autograd.grad(slope, here, direction, create_graph=True)
            x = x + slope / self.steps
            log_det = log_det + (along * direction).sum(1) / self.steps
        return x, log_normal(x) + log_det


class LangevinSampler(nn.Module):
    """Samples roll down a learnt energy, with noise: the gradient is taken inside the pass.

    Y. Du, I. Mordatch: Implicit Generation and Modeling with Energy-Based Models. NeurIPS 2019,
    arXiv:1903.08689.
    """

    def __init__(self, width: int = 6, steps: int = 4, size: float = 0.1) -> None:
        super().__init__()
        self.steps, self.size = steps, size
        self.energy = mlp(width, 1)

    def forward(self, start: Tensor) -> tuple[Tensor, Tensor]:
        """Samples f32[N, width] and their energies f32[N, 1]."""
        x = start
        for _ in range(self.steps):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                (downhill,) = torch.autograd.grad(self.energy(x).sum(), x)
            x = x - self.size / 2 * downhill.clamp(-1, 1) + 0.01 * torch.randn_like(x)
        x = x.detach()
        return x, self.energy(x)


class RestrictedBoltzmannMachine(nn.Module):
    """Visible units draw hidden ones, and these visible ones again: contrastive divergence.

    G. E. Hinton: Training Products of Experts by Minimizing Contrastive Divergence. Neural Computation 14(8), 2002.
    """

    def __init__(self, visible: int = 8, hidden: int = 5, rounds: int = 2) -> None:
        super().__init__()
        self.rounds = rounds
        self.weight = nn.Parameter(torch.randn(hidden, visible) / 10)
        self.to_visible, self.to_hidden = (
            nn.Parameter(torch.zeros(visible)),
            nn.Parameter(torch.zeros(hidden)),
        )

    def free_energy(self, v: Tensor) -> Tensor:
        """f32[N] of f32[N, visible]."""
        return -v @ self.to_visible - F.softplus(F.linear(v, self.weight, self.to_hidden)).sum(-1)

    def forward(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Fantasies f32[N, visible] that begin at f32[N, visible], and the difference of the free energies."""
        fantasy = v
        for _ in range(self.rounds):
            h = torch.bernoulli(torch.sigmoid(F.linear(fantasy, self.weight, self.to_hidden)))
            fantasy = torch.bernoulli(torch.sigmoid(F.linear(h, self.weight.T, self.to_visible)))
        return fantasy, (self.free_energy(v) - self.free_energy(fantasy)).mean()


class BoltzmannMachine(nn.Module):
    """Units with links among all are drawn one after the other, while the temperature falls.

    D. H. Ackley, G. E. Hinton, T. J. Sejnowski: A Learning Algorithm for Boltzmann Machines. Cognitive Science 9(1),
    1985. The first units are clamped to what is given.
    """

    def __init__(self, units: int = 6, temperatures: tuple[float, ...] = (4.0, 2.0, 1.0)) -> None:
        super().__init__()
        self.temperatures = temperatures
        self.links = nn.Parameter(torch.randn(units, units))
        self.bias = nn.Parameter(torch.randn(units))

    def forward(self, clamped: Tensor) -> tuple[Tensor, Tensor]:
        """States f32[N, units] and energies f32[N], with the first units as in f32[N, C]."""
        links = (self.links + self.links.T) / 2 * (1 - torch.eye(len(self.bias)))
        state = torch.bernoulli(clamped.new_full((len(clamped), len(self.bias)), 0.5))
        state[:, : clamped.shape[1]] = clamped
        for temperature in self.temperatures:
            for unit in range(clamped.shape[1], len(self.bias)):
                gap = state @ links[unit] + self.bias[unit]
                state[:, unit] = torch.bernoulli(torch.sigmoid(gap / temperature))
        return state, -torch.einsum("ni,ij,nj->n", state, links, state) / 2 - state @ self.bias


class TimeEmbedding(nn.Module):
    """Sinusoids of a step, through two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.net = mlp(width, width)

    def forward(self, step: Tensor) -> Tensor:
        """f32[N, width] of steps [N]."""
        rates = torch.exp(-math.log(10000) * torch.arange(self.width // 2) / (self.width // 2))
        angles = step[:, None] * rates
        return self.net(torch.cat([angles.sin(), angles.cos()], 1))


class TimedResidual(nn.Module):
    """Two convolutions; what time it is comes in between."""

    def __init__(self, inputs: int, outputs: int, time: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(2, inputs), nn.GroupNorm(2, outputs)
        self.conv1, self.conv2 = (nn.Conv2d(size, outputs, 3, padding=1) for size in (inputs, outputs))
        self.time = nn.Linear(time, outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """f32[N, inputs, H, W] to f32[N, outputs, H, W]."""
        h = self.conv1(F.silu(self.norm1(x))) + self.time(F.silu(time))[:, :, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(h)))


class DDPM(nn.Module):
    """A U-Net that is told the step, with attention at the bottom, predicts the noise.

    J. Ho, A. Jain, P. Abbeel: Denoising Diffusion Probabilistic Models. NeurIPS 2020, arXiv:2006.11239.
    """

    def __init__(self, channels: int = 1, width: int = 4, time: int = 8) -> None:
        super().__init__()
        self.time = TimeEmbedding(time)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down1, self.down2 = TimedResidual(width, width, time), TimedResidual(width, 2 * width, time)
        self.shrink = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(2, 2 * width)
        self.attend = nn.MultiheadAttention(2 * width, 1, batch_first=True)
        self.middle = TimedResidual(2 * width, 2 * width, time)
        self.up2, self.up1 = TimedResidual(4 * width, width, time), TimedResidual(2 * width, width, time)
        self.last = nn.Sequential(
            nn.GroupNorm(2, width), nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1)
        )

    def forward(self, noisy: Tensor, step: Tensor) -> Tensor:
        """The noise f32[N, C, H, W] in pictures f32[N, C, H, W] at steps [N]."""
        time = self.time(step)
        fine = self.down1(self.first(noisy), time)
        coarse = self.down2(self.shrink(fine), time)
        flat = self.norm(coarse).flatten(2).mT
        seen = self.attend(flat, flat, flat, need_weights=False)[0].mT.view_as(coarse)
        x = self.up2(torch.cat([self.middle(coarse + seen, time), coarse], 1), time)
        x = F.interpolate(x, scale_factor=2.0)
        return self.last(self.up1(torch.cat([x, fine], 1), time))


class DDIMSampler(nn.Module):
    """From noise to a picture in few steps, without noise on the way.

    J. Song, C. Meng, S. Ermon: Denoising Diffusion Implicit Models. ICLR 2021, arXiv:2010.02502.
    """

    kept: Tensor

    def __init__(self, train_steps: int = 100, steps: int = 3) -> None:
        super().__init__()
        self.net = DDPM()
        self.steps = [(train_steps - 1) * left // (steps - 1) for left in reversed(range(steps))]
        self.register_buffer("kept", torch.cumprod(1 - torch.linspace(1e-4, 0.02, train_steps), 0))

    def forward(self, noise: Tensor) -> Tensor:
        """Pictures f32[N, 1, H, W] of noise in the same shape."""
        x = noise
        for step, following in zip(self.steps, [*self.steps[1:], None], strict=True):
            kept = self.kept[step]
            predicted = self.net(x, torch.full((len(x),), step))
            clean = ((x - (1 - kept).sqrt() * predicted) / kept.sqrt()).clamp(-1, 1)
            after = self.kept[following] if following is not None else torch.ones(())
            x = after.sqrt() * clean + (1 - after).sqrt() * predicted
        return x


class ScoreNet(nn.Module):
    """Noise-conditional scores, and annealed Langevin dynamics from coarse noise to fine.

    Y. Song, S. Ermon: Generative Modeling by Estimating Gradients of the Data Distribution. NeurIPS 2019,
    arXiv:1907.05600.
    """

    sigmas: Tensor

    def __init__(self, width: int = 2, levels: int = 3, rounds: int = 2, size: float = 0.01) -> None:
        super().__init__()
        self.rounds, self.size = rounds, size
        self.register_buffer("sigmas", torch.logspace(0, -1, levels))
        self.first, self.scales = nn.Linear(width, 16), nn.Embedding(levels, 16)
        self.last = nn.Linear(16, width)

    def score(self, x: Tensor, level: int) -> Tensor:
        """f32[N, width], the gradient of the log density of the noisy data."""
        return self.last(F.elu(self.first(x) * self.scales.weight[level])) / self.sigmas[level]

    def forward(self, start: Tensor) -> Tensor:
        """Samples f32[N, width]."""
        x = start
        for level in range(len(self.sigmas)):
            step = self.size * (self.sigmas[level] / self.sigmas[-1]) ** 2
            for _ in range(self.rounds):
                x = x + step / 2 * self.score(x, level) + step.sqrt() * torch.randn_like(x)
        return x


class ConsistencyModel(nn.Module):
    """One step from any noise to the data, and a second one from a little noise again; the teacher is an average.

    Y. Song, P. Dhariwal, M. Chen, I. Sutskever: Consistency Models. ICML 2023, arXiv:2303.01469.
    """

    def __init__(self, width: int = 2, sigma_data: float = 0.5, least: float = 0.002) -> None:
        super().__init__()
        self.sigma_data, self.least = sigma_data, least
        self.net, self.teacher = mlp(width + 1, width), mlp(width + 1, width)
        self.teacher.requires_grad_(False)

    def clean(self, net: nn.Module, x: Tensor, sigma: Tensor) -> Tensor:
        """f32[N, width]; at the least noise it is x itself, by the two coefficients."""
        keep = self.sigma_data**2 / ((sigma - self.least) ** 2 + self.sigma_data**2)
        change = self.sigma_data * (sigma - self.least) / (sigma**2 + self.sigma_data**2).sqrt()
        return keep * x + change * net(torch.cat([x, sigma.log() / 4], 1))

    def forward(self, data: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Samples f32[N, width] in two steps, and the loss between neighbouring noises f32[N, 1] on f32[N, width]."""
        noise = torch.randn_like(data)
        with torch.no_grad():
            target = self.clean(self.teacher, data + sigma * noise, sigma)
        loss = F.mse_loss(self.clean(self.net, data + 1.2 * sigma * noise, 1.2 * sigma), target)
        sample = self.clean(self.net, 80 * noise, torch.full_like(sigma, 80.0))
        between = torch.full_like(sigma, 0.8)
        return self.clean(self.net, sample + between * torch.randn_like(sample), between), loss


class FlowMatching(nn.Module):
    """A velocity that carries noise to data on straight lines; sampled by midpoint steps.

    Y. Lipman, R. T. Q. Chen, H. Ben-Hamu, M. Nickel, M. Le: Flow Matching for Generative Modeling. ICLR 2023,
    arXiv:2210.02747.
    """

    def __init__(self, width: int = 2, steps: int = 3) -> None:
        super().__init__()
        self.steps = steps
        self.velocity = mlp(width + 1, width)

    def at(self, x: Tensor, time: Tensor) -> Tensor:
        """The velocity f32[N, width]."""
        return self.velocity(torch.cat([x, time], 1))

    def forward(self, data: Tensor) -> tuple[Tensor, Tensor]:
        """Samples f32[N, width], and the loss on f32[N, width]."""
        noise, time = torch.randn_like(data), torch.rand(len(data), 1)
        loss = F.mse_loss(self.at(torch.lerp(noise, data, time), time), data - noise)
        x, step = noise, 1 / self.steps
        for index in range(self.steps):
            now = torch.full_like(time, index * step)
            x = x + step * self.at(x + step / 2 * self.at(x, now), now + step / 2)
        return x, loss
