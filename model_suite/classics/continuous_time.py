"""Time that is continuous: nets given by differential equations, and solved as part of the pass."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn


def runge_kutta(slope: Callable[[Tensor, Tensor], Tensor], x: Tensor, times: Tensor) -> Tensor:
    """The states f32[T, ...] at ``times``, from ``x`` at the first, by the classical method of order four."""
    states = [x]
    for start, end in pairwise(times):
        h = end - start
        k1 = slope(start, x)
        k2 = slope(start + h / 2, x + h / 2 * k1)
        k3 = slope(start + h / 2, x + h / 2 * k2)
        k4 = slope(end, x + h * k3)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        states.append(x)
    return torch.stack(states)


class NeuralODE(nn.Module):
    """A net is the slope of the state; depth is time, here in fixed steps.

    R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud: Neural Ordinary Differential Equations.
    NeurIPS 2018, arXiv:1806.07366.
    """

    def __init__(self, width: int = 4, hidden: int = 16) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width + 1, hidden), nn.Tanh(), nn.Linear(hidden, width))

    def slope(self, time: Tensor, x: Tensor) -> Tensor:
        """dx/dt, f32[N, width]."""
        return self.net(torch.cat([x, time.expand(len(x), 1)], 1))

    def forward(self, x: Tensor, times: Tensor) -> Tensor:
        """States f32[T, N, width] at times f32[T], from f32[N, width]."""
        return runge_kutta(self.slope, x, times)


class LatentODE(nn.Module):
    """Observations at odd times: a recurrent net reads them backwards, an equation runs on from what it found.

    Y. Rubanova, R. T. Q. Chen, D. Duvenaud: Latent ODEs for Irregularly-Sampled Time Series. NeurIPS 2019,
    arXiv:1907.03907.
    """

    def __init__(self, inputs: int = 2, latent: int = 3, hidden: int = 8) -> None:
        super().__init__()
        self.hidden = hidden
        self.between = nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, hidden))
        self.cell = nn.GRUCell(inputs, hidden)
        self.posterior = nn.Linear(hidden, 2 * latent)
        self.dynamics = nn.Sequential(nn.Linear(latent, hidden), nn.Tanh(), nn.Linear(hidden, latent))
        self.decode = nn.Linear(latent, inputs)

    def forward(self, x: Tensor, times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction f32[N, T, inputs] of f32[N, T, inputs] at f32[T]; mean and log variance of the latent."""
        state = x.new_zeros(len(x), self.hidden)
        for index in reversed(range(x.shape[1])):
            if index + 1 < x.shape[1]:  # an Euler step back to this observation
                state = state - (times[index + 1] - times[index]) * self.between(state)
            state = self.cell(x[:, index], state)
        mean, log_variance = self.posterior(state).chunk(2, 1)
        start = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        path = runge_kutta(lambda _, z: self.dynamics(z), start, times)
        return self.decode(path).transpose(0, 1), mean, log_variance


class LiquidTimeConstantNet(nn.Module):
    """Neurons whose time constants depend on what they see, by some fused implicit steps an input.

    R. Hasani, M. Lechner, A. Amini, D. Rus, R. Grosu: Liquid Time-constant Networks. AAAI 2021,
    arXiv:2006.04439.
    """

    def __init__(self, inputs: int = 3, width: int = 6, unfold: int = 3) -> None:
        super().__init__()
        self.unfold = unfold
        self.f = nn.Sequential(nn.Linear(inputs + width, width), nn.Sigmoid())
        self.log_tau = nn.Parameter(torch.zeros(width))
        self.bias = nn.Parameter(torch.randn(width))

    def forward(self, x: Tensor, gaps: Tensor) -> Tensor:
        """States f32[N, T, width] of f32[N, T, inputs], with the time between them f32[N, T]."""
        state = x.new_zeros(len(x), len(self.bias))
        states = []
        for step, gap in zip(x.unbind(1), gaps.unbind(1), strict=True):
            dt = gap[:, None] / self.unfold
            for _ in range(self.unfold):
                f = self.f(torch.cat([step, state], 1))
                state = (state + dt * f * self.bias) / (1 + dt * (torch.exp(-self.log_tau) + f))
            states.append(state)
        return torch.stack(states, 1)


class LegendreMemoryUnit(nn.Module):
    """A linear memory that holds the last moments as Legendre polynomials, beside a nonlinear state.

    A. Voelker, I. Kajić, C. Eliasmith: Legendre Memory Units: Continuous-Time Representation in Recurrent
    Neural Networks. NeurIPS 2019.
    """

    a: Tensor
    b: Tensor

    def __init__(self, inputs: int = 2, width: int = 6, order: int = 5, theta: float = 8.0) -> None:
        super().__init__()
        i = torch.arange(order, dtype=torch.float32)
        sign = (-1.0) ** (i[:, None] - i + 1)
        a = (2 * i[:, None] + 1) * torch.where(i[:, None] < i, -torch.ones(()), sign) / theta
        b = (2 * i + 1) * (-1.0) ** i / theta
        # held constant over a step of time one
        discrete = torch.linalg.matrix_exp(a)
        self.register_buffer("a", discrete)
        self.register_buffer("b", torch.linalg.solve(a, (discrete - torch.eye(order)) @ b))
        self.encode_x = nn.Linear(inputs, 1, bias=False)
        self.encode_h = nn.Linear(width, 1, bias=False)
        self.encode_m = nn.Linear(order, 1, bias=False)
        self.kernel = nn.Linear(inputs + width + order, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """States f32[N, T, width] of f32[N, T, inputs], and the memory f32[N, order] at the end."""
        h = x.new_zeros(len(x), self.kernel.out_features)
        m = x.new_zeros(len(x), len(self.b))
        states = []
        for step in x.unbind(1):
            u = self.encode_x(step) + self.encode_h(h) + self.encode_m(m)
            m = m @ self.a.T + u * self.b
            h = torch.tanh(self.kernel(torch.cat([step, h, m], 1)))
            states.append(h)
        return torch.stack(states, 1), m


class Spike(torch.autograd.Function):
    """A step forward, and a fast sigmoid's slope backward."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, above: Tensor) -> Tensor:
        """One where the threshold is passed."""
        ctx.save_for_backward(above)
        return (above > 0).to(above.dtype)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
        """The surrogate gradient."""
        (above,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return grads[0] / (1 + 10 * above.abs()) ** 2


class SpikingNet(nn.Module):
    """Leaky integrate-and-fire neurons; a reset by subtraction; a readout that leaks and does not fire.

    E. O. Neftci, H. Mostafa, F. Zenke: Surrogate Gradient Learning in Spiking Neural Networks.
    IEEE Signal Processing Magazine 36(6), 2019, arXiv:1901.09948.
    """

    def __init__(self, inputs: int = 6, width: int = 10, outputs: int = 3, decay: float = 0.9) -> None:
        super().__init__()
        self.decay = decay
        self.inward = nn.Linear(inputs, width)
        self.recur = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, outputs)

    def forward(self, spikes: Tensor) -> tuple[Tensor, Tensor]:
        """Potentials of the readout f32[N, T, outputs] of spikes f32[N, T, inputs], and how many spikes there were."""
        membrane = spikes.new_zeros(len(spikes), self.inward.out_features)
        fired, readout = membrane, spikes.new_zeros(len(spikes), self.out.out_features)
        potentials, count = [], spikes.new_zeros(())
        for step in spikes.unbind(1):
            membrane = self.decay * membrane + self.inward(step) + self.recur(fired) - fired.detach()
            fired = Spike.apply(membrane - 1)
            readout = self.decay * readout + self.out(fired)
            potentials.append(readout)
            count = count + fired.sum()
        return torch.stack(potentials, 1), count


class HamiltonianNet(nn.Module):
    """Learns an energy; the state moves along its symplectic gradient, taken inside the pass.

    S. Greydanus, M. Dzamba, J. Yosinski: Hamiltonian Neural Networks. NeurIPS 2019, arXiv:1906.01563.
    """

    def __init__(self, degrees: int = 2, hidden: int = 16) -> None:
        super().__init__()
        self.energy = nn.Sequential(nn.Linear(2 * degrees, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def slope(self, _: Tensor, state: Tensor) -> Tensor:
        """dq/dt = ∂H/∂p, dp/dt = -∂H/∂q."""
        with torch.enable_grad():
            state = state if state.requires_grad else state.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.energy(state).sum(), state, create_graph=True)
        by_q, by_p = gradient.chunk(2, -1)
        return torch.cat([by_p, -by_q], -1)

    def forward(self, state: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """States f32[T, N, 2 degrees] at times f32[T], from f32[N, 2 degrees], and their energies."""
        path = runge_kutta(self.slope, state, times)
        return path, self.energy(path).squeeze(-1)


class LagrangianNet(nn.Module):
    """Learns a Lagrangian; accelerations come from its second derivatives, by the Euler-Lagrange equation.

    M. Cranmer, S. Greydanus, S. Hoyer, P. Battaglia, D. Spergel, S. Ho: Lagrangian Neural Networks. 2020,
    arXiv:2003.04630.
    """

    def __init__(self, degrees: int = 2, hidden: int = 16) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2 * degrees, hidden), nn.Softplus(), nn.Linear(hidden, 1))

    def lagrangian(self, q: Tensor, v: Tensor) -> Tensor:
        """f32[N]; a kinetic energy is added to what is learnt, so that the mass matrix can be inverted."""
        return self.net(torch.cat([q, v], -1)).squeeze(-1) + v.square().sum(-1)

    def forward(self, q: Tensor, v: Tensor) -> Tensor:
        """Accelerations f32[N, degrees] of places and velocities f32[N, degrees]."""
        with torch.enable_grad():
            q, v = q.detach().requires_grad_(), v.detach().requires_grad_()
            by_q, by_v = torch.autograd.grad(self.lagrangian(q, v).sum(), (q, v), create_graph=True)
            rows = [
                torch.autograd.grad(column.sum(), (q, v), create_graph=True) for column in by_v.unbind(-1)
            ]
        mixed = torch.stack([row[0] for row in rows], 1)
        mass = torch.stack([row[1] for row in rows], 1)
        force = by_q - torch.einsum("nij,nj->ni", mixed, v)
        return torch.linalg.solve(mass, force)
