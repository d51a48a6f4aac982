"""Functions of place: scenes, signals, solutions of equations, and operators from one function to another."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class NeRF(nn.Module):
    """Density and colour of points on a ray, encoded by waves; added up by what light gets through. Coarse, then fine.

    B. Mildenhall, P. Srinivasan, M. Tancik, J. Barron, R. Ramamoorthi, R. Ng: NeRF: Representing Scenes as Neural
    Radiance Fields for View Synthesis. ECCV 2020, arXiv:2003.08934.
    """

    def __init__(self, width: int = 16, bands: int = 3, coarse: int = 5, fine: int = 4) -> None:
        super().__init__()
        self.bands, self.coarse, self.fine = bands, coarse, fine
        encoded = 3 * (1 + 2 * bands)
        self.first, self.again = nn.Linear(encoded, width), nn.Linear(encoded + width, width)
        self.density, self.colour = (
            nn.Linear(width, 1),
            nn.Sequential(nn.Linear(width + encoded, 3), nn.Sigmoid()),
        )

    def encode(self, x: Tensor) -> Tensor:
        """x with its sines and cosines of doubling frequencies."""
        angles = x[..., None, :] * (2.0 ** torch.arange(self.bands) * math.pi)[:, None]
        return torch.cat([x, angles.sin().flatten(-2), angles.cos().flatten(-2)], -1)

    def render(self, origin: Tensor, direction: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        """Colours f32[N, 3], and the weight f32[N, S] that each depth f32[N, S] has in them."""
        points = self.encode(origin[:, None] + depth[..., None] * direction[:, None])
        h = F.relu(self.first(points))
        h = F.relu(self.again(torch.cat([points, h], -1)))
        view = self.encode(F.normalize(direction, dim=-1))[:, None].expand_as(points)
        gaps = F.pad(depth.diff(dim=-1), (0, 1), value=1e10)
        opaque = 1 - torch.exp(-F.softplus(self.density(h).squeeze(-1)) * gaps)
        passed = F.pad(torch.cumprod(1 - opaque + 1e-10, -1)[:, :-1], (1, 0), value=1.0)
        weights = passed * opaque
        return (weights[..., None] * self.colour(torch.cat([h, view], -1))).sum(1), weights

    def resample(self, depth: Tensor, weights: Tensor) -> Tensor:
        """Depths f32[N, fine], drawn where the weights are, by inverting their sum."""
        middle = (depth[:, 1:] + depth[:, :-1]) / 2
        inner = weights[:, 1:-1] + 1e-5
        total = F.pad((inner / inner.sum(-1, keepdim=True)).cumsum(-1), (1, 0))
        u = torch.rand(len(depth), self.fine)
        above = torch.searchsorted(total.detach(), u, right=True).clamp(max=total.shape[1] - 1)
        below = (above - 1).clamp(min=0)
        low, high = total.gather(1, below), total.gather(1, above)
        share = (u - low) / (high - low).clamp(min=1e-5)
        return torch.lerp(middle.gather(1, below), middle.gather(1, above), share)

    def forward(self, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
        """Colours f32[N, 3] of rays, by the fine points and by the coarse ones."""
        edges = torch.linspace(1, 4, self.coarse + 1)
        depth = torch.lerp(edges[:-1], edges[1:], torch.rand(len(origin), self.coarse))
        coarse, weights = self.render(origin, direction, depth)
        drawn = self.resample(depth, weights.detach())
        return self.render(origin, direction, torch.cat([depth, drawn], -1).sort(-1).values)[0], coarse


class SIREN(nn.Module):
    """Sines all the way, begun with care; the picture comes with its gradient and Laplacian.

    V. Sitzmann, J. Martel, A. Bergman, D. Lindell, G. Wetzstein: Implicit Neural Representations with Periodic
    Activation Functions. NeurIPS 2020, arXiv:2006.09661.
    """

    def __init__(self, width: int = 8, depth: int = 2, omega: float = 30.0) -> None:
        super().__init__()
        self.omega = omega
        self.layers = nn.ModuleList(nn.Linear(width if index else 2, width) for index in range(depth + 1))
        self.last = nn.Linear(width, 1)
        for index, parameter in enumerate(self.parameters()):
            bound = math.sqrt(6 / width) / omega if index > 1 else 1 / 2
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Values f32[N, 1], gradients f32[N, 2] and Laplacians f32[N, 1] at f32[N, 2]."""
        with torch.enable_grad():
            places = places.detach().requires_grad_()
            x = places
            for layer in self.layers:
                x = torch.sin(self.omega * layer(x))
            value = self.last(x)
            (gradient,) = torch.autograd.grad(value.sum(), places, create_graph=True)
            laplacian = torch.zeros_like(value)
            for axis in range(2):
                (second,) = torch.autograd.grad(gradient[:, axis].sum(), places, create_graph=True)
                laplacian = laplacian + second[:, axis : axis + 1]
        return value, gradient, laplacian


class FourierNeuralOperator(nn.Module):
    """The lowest modes of each channel are mixed by complex weights, beside a pointwise way.

    Z. Li et al.: Fourier Neural Operator for Parametric Partial Differential Equations. ICLR 2021,
    arXiv:2010.08895.
    """

    def __init__(self, width: int = 4, modes: int = 3, depth: int = 2) -> None:
        super().__init__()
        self.modes = modes
        self.lift, self.project = nn.Conv2d(3, width, 1), nn.Conv2d(width, 1, 1)
        self.weights = nn.ParameterList(
            torch.rand(2, width, width, modes, modes, dtype=torch.cfloat) / width for _ in range(depth)
        )
        self.local = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(depth))

    def spectral(self, x: Tensor, weight: Tensor) -> Tensor:
        """f32[N, C, H, W] to the same shape, by way of its modes."""
        modes = torch.fft.rfft2(x)
        mixed = torch.zeros_like(modes)
        for corner, rows in enumerate((slice(self.modes), slice(-self.modes, None))):
            low = modes[:, :, rows, : self.modes]
            mixed[:, :, rows, : self.modes] = torch.einsum("nihw,iohw->nohw", low, weight[corner])
        return torch.fft.irfft2(mixed, s=x.shape[-2:])

    def forward(self, field: Tensor) -> Tensor:
        """The solution f32[N, 1, H, W] for a coefficient f32[N, 1, H, W]."""
        axes = [torch.linspace(0, 1, size) for size in field.shape[2:]]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij")).expand(len(field), -1, -1, -1)
        x = self.lift(torch.cat([field, grid], 1))
        for weight, local in zip(self.weights, self.local, strict=True):
            x = F.gelu(self.spectral(x, weight) + local(x))
        return self.project(x)


class DeepONet(nn.Module):
    """A branch reads a function at its sensors, a trunk a place; their product is the operator's value there.

    L. Lu, P. Jin, G. Pang, Z. Zhang, G. E. Karniadakis: Learning Nonlinear Operators via DeepONet. Nature Machine
    Intelligence 3, 2021, arXiv:1910.03193.
    """

    def __init__(self, sensors: int = 10, width: int = 8) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(sensors, 16), nn.ReLU(), nn.Linear(16, width))
        self.trunk = nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, width), nn.ReLU())
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, function: Tensor, places: Tensor) -> Tensor:
        """f32[N, P] of functions f32[N, sensors] at places f32[P, 1]."""
        return self.branch(function) @ self.trunk(places).T + self.bias


class PhysicsInformedNet(nn.Module):
    """A solution of Burgers' equation as a net; what it misses the equation by is made of its own derivatives.

    M. Raissi, P. Perdikaris, G. E. Karniadakis: Physics-informed Neural Networks. Journal of Computational Physics
    378, 2019, arXiv:1711.10561.
    """

    def __init__(self, width: int = 12, viscosity: float = 0.01 / math.pi) -> None:
        super().__init__()
        self.viscosity = viscosity
        self.net = nn.Sequential(
            nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)
        )

    def forward(self, time: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """u f32[N, 1] at time and place f32[N, 1], and the residual u_t + u u_x - ν u_xx."""
        with torch.enable_grad():
            time, place = time.detach().requires_grad_(), place.detach().requires_grad_()
            u = self.net(torch.cat([time, place], 1))
            by_time, by_place = torch.autograd.grad(u.sum(), (time, place), create_graph=True)
            (twice,) = torch.autograd.grad(by_place.sum(), place, create_graph=True)
        return u, by_time + u * by_place - self.viscosity * twice


class NeuralProcess(nn.Module):
    """Points of a function are read as a set, with attention; a latent is drawn, and other points are foretold.

    M. Garnelo et al.: Neural Processes. 2018, arXiv:1807.01622.
    H. Kim et al.: Attentive Neural Processes. ICLR 2019, arXiv:1901.05761.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.path, self.latent = (
            nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width)) for _ in range(2)
        )
        self.moments = nn.Linear(width, 2 * width)
        self.places = nn.Linear(1, width)
        self.attend = nn.MultiheadAttention(width, 2, batch_first=True)
        self.decode = nn.Sequential(nn.Linear(2 * width + 1, width), nn.ReLU(), nn.Linear(width, 2))

    def forward(self, x: Tensor, y: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        """Means and deviations f32[N, Q, 1] at f32[N, Q, 1], given f32[N, T, 1] at f32[N, T, 1]."""
        seen = torch.cat([x, y], -1)
        mean, log_scale = self.moments(self.latent(seen).mean(1)).chunk(2, -1)
        z = torch.distributions.Normal(mean, 0.1 + 0.9 * torch.sigmoid(log_scale)).rsample()
        r, _ = self.attend(self.places(asked), self.places(x), self.path(seen), need_weights=False)
        z = z[:, None].expand(-1, asked.shape[1], -1)
        mean, log_scale = self.decode(torch.cat([r, z, asked], -1)).chunk(2, -1)
        return mean, 0.1 + 0.9 * F.softplus(log_scale)
