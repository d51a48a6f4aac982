"""Autograd inside forward: backward passes, optimisers, checkpoints, grad modes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from .case import Tricky, rand


class Checkpointed(nn.Module):
    """Activation checkpointing, of both kinds."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        y = checkpoint(lambda t: self.fc(t).relu(), x * 1, use_reentrant=False)
        return checkpoint(lambda t: self.fc(t).tanh(), y + 1, use_reentrant=True)


class GradientsInside(nn.Module):
    """Autograd inside forward: ``autograd.grad``, ``backward`` and ``.grad``."""

    def forward(self, x, w):
        with torch.enable_grad():
            y = (x.detach() * 1).requires_grad_()
            (slope,) = torch.autograd.grad((y**2).sum(), y)
            z = (w.detach() * 1).requires_grad_()
            (z**3).sum().backward()
        return x - slope, z.grad + 1


class GradAccumulated(nn.Module):
    """Two backward passes add to one ``.grad``, which was looked at in between."""

    def forward(self, x, w):
        with torch.enable_grad():
            z = torch.ones(3, requires_grad=True)
            (z * x.detach()).sum().backward()
            held = z.grad
            before = held * 1
            (z * w.detach()).sum().backward()
        return z.grad * 1, held * 1, before


class GradAssigned(nn.Module):
    """``.grad`` is assigned, and a backward pass adds to it."""

    def forward(self, x, w):
        with torch.enable_grad():
            z = torch.ones(3, requires_grad=True)
            z.grad = x.detach() * 1
            assigned = z.grad + 1
            (z * w.detach()).sum().backward()
        return z.grad * 1, assigned


class GradZeroed(nn.Module):
    """``.grad`` is zeroed in place, or set to None, between backward passes."""

    def forward(self, x, w):
        with torch.enable_grad():
            z = x.detach().clone().requires_grad_()
            (z**2).sum().backward()
            first = z.grad.clone()
            z.grad.zero_()
            (z * w.detach()).sum().backward()
            second = z.grad * 1
            z.grad = None
            (z**3).sum().backward()
        return first, second, z.grad * 1


class OptimizerInside(nn.Module):
    """An optimiser with momentum steps inside forward."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        weight = self.fc.weight.detach().clone().requires_grad_()
        optimizer = torch.optim.SGD([weight], 0.1, momentum=0.9)
        with torch.enable_grad():
            for _ in range(2):
                optimizer.zero_grad()
                F.mse_loss(x.detach() @ weight, x.detach()).backward()
                optimizer.step()
        return x @ weight


class OptimizerHeld(nn.Module):
    """The model holds an Adam, whose moments must be put back, and steps its own parameters."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 1)
        self.optimizer = torch.optim.Adam(self.fc.parameters())

    def forward(self, x):
        self.optimizer.zero_grad(set_to_none=False)
        (self.fc(x.detach()) ** 2).sum().backward()
        self.optimizer.step()
        return self.fc(x)


class FusedAdam(nn.Module):
    """One op writes parameters, moments and steps."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 1)

    def forward(self, x):
        optimizer = torch.optim.Adam(self.fc.parameters(), fused=True)
        (self.fc(x.detach()) ** 2).sum().backward()
        optimizer.step()
        return self.fc(x), [state["exp_avg"] * 1 for state in optimizer.state.values()]


class ForeachAdam(nn.Module):
    """An optimiser that steps by foreach ops."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 1)

    def forward(self, x):
        optimizer = torch.optim.AdamW(self.fc.parameters(), foreach=True)
        (self.fc(x.detach()) ** 2).sum().backward()
        optimizer.step()
        return self.fc(x)


class SecondOrder(nn.Module):
    """A gradient of a gradient, and a step along it."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        with torch.enable_grad():
            y = x.detach().requires_grad_()
            energy = self.fc(y).pow(2).sum() + y.pow(3).sum()
            (slope,) = torch.autograd.grad(energy, y, create_graph=True)
            (bend,) = torch.autograd.grad(slope.sum(), y)
        return x - 0.1 * slope + bend


class LearnsToLearn(nn.Module):
    """MAML: parameters of a functional call are stepped along gradients that stay differentiable."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        with torch.enable_grad():
            fast = dict(self.fc.named_parameters())
            for _ in range(2):
                loss = torch.func.functional_call(self.fc, fast, (x,)).pow(2).mean()
                slopes = torch.autograd.grad(loss, list(fast.values()), create_graph=True)
                fast = {
                    name: old - 0.1 * slope for (name, old), slope in zip(fast.items(), slopes, strict=True)
                }
        return torch.func.functional_call(self.fc, fast, (x,))


class HookOnAGradient(nn.Module):
    """A hook changes a gradient while a backward pass runs inside forward."""

    def forward(self, x, w):
        with torch.enable_grad():
            z = torch.ones(3, requires_grad=True)
            y = z * 1
            y.register_hook(lambda gradient: gradient * w.detach())
            (y * x.detach()).sum().backward()
        return z.grad * 1


class AutogradFunctional(nn.Module):
    """``torch.autograd.functional``: Jacobian, Hessian and products with them."""

    def forward(self, x, w):
        with torch.enable_grad():
            jacobian = torch.autograd.functional.jacobian(lambda t: t.sin() * w, x)
            hessian = torch.autograd.functional.hessian(lambda t: (t**3).sum(), w)
            _, pulled = torch.autograd.functional.vjp(lambda t: t**2, w, w)
            _, pushed = torch.autograd.functional.jvp(lambda t: t**2, w, w)
        return jacobian, hessian, pulled, pushed


class CheckpointedInPlace(nn.Module):
    """Checkpoints with dropout and writes in place inside, and a checkpointed Sequential."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.drop = nn.Dropout(0.5)

    def block(self, x, _unused=None):
        y = self.drop(self.fc(x))
        y.mul_(2)
        return y.relu_(), x

    def forward(self, x):
        a, b = checkpoint(self.block, x * 1, use_reentrant=False)
        c, d = checkpoint(self.block, a + b, use_reentrant=True)
        chain = nn.Sequential(self.fc, nn.ReLU(), self.fc)
        return checkpoint_sequential(chain, 2, c + d, use_reentrant=False)


class SavedTensorHooks(nn.Module):
    """What autograd saves is packed: by functions, onto the CPU, and so that it may be overwritten."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x, w):
        hooks = torch.autograd.graph
        with hooks.saved_tensors_hooks(lambda t: t.detach().numpy().copy(), torch.from_numpy):
            y = x * w * self.weight
        with hooks.save_on_cpu():
            z = (x * self.weight).sin()
        with hooks.allow_mutation_on_saved_tensors():
            overwritten = (self.weight * x).exp()
            sine = overwritten.sin() * 2
            overwritten.mul_(w)
        return y, z, overwritten.detach() * 1, sine.detach() * 1


class GradModes(nn.Module):
    """Grad modes as decorators and as contexts, ``retain_grad`` and hooks on activations."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    @torch.no_grad()
    def without(self, x):
        return self.fc(x)

    def forward(self, x):
        y = self.without(x)
        with torch.enable_grad():
            z = self.fc(x)
            z.retain_grad()
            z.register_hook(lambda gradient: gradient * 2)
        with torch.set_grad_enabled(False):
            w = z * 2
        return y + w + z


class InferenceInside(nn.Module):
    """Inference mode inside: its tensors have no versions, and are written through views."""

    def forward(self, x, w):
        with torch.inference_mode():
            y = x * 1
            y[0] = w[0]
            y[1:].mul_(w[1:])
            rows = torch.zeros(2, 3)
            rows[1].copy_(w)
        return y.clone() * 1, rows[0] + 0, rows[1] + 0


class InferenceThroughout(nn.Module):
    """All of forward runs in inference mode, and leaves an activation on the model."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    @torch.inference_mode()
    def forward(self, x, w):
        y = self.fc(x).relu_()
        self.kept = torch.zeros(2, 3)
        self.kept[0] = y
        self.kept[1] = w
        return self.kept[0] * 1, self.kept[1] * 1, self.kept


_3 = (3,)
_23 = (2, 3)

CASES: list[Tricky] = [
    Tricky(Checkpointed, rand(_23)),
    Tricky(GradientsInside, rand(_3, _3)),
    Tricky(GradAccumulated, rand(_3, _3)),
    Tricky(GradAccumulated, rand(_3, _3), grad=False),
    Tricky(GradAssigned, rand(_3, _3)),
    # the gradient of a product is the other factor; a zeroed gradient is written on
    Tricky(GradZeroed, rand(_3, _3), blind=frozenset({"input.0", "input.1"})),
    Tricky(OptimizerInside, rand(_23)),
    Tricky(OptimizerHeld, rand(_23)),
    Tricky(FusedAdam, rand(_23)),
    Tricky(ForeachAdam, rand(_23)),
    Tricky(SecondOrder, rand(_23)),
    Tricky(LearnsToLearn, rand(_23)),
    Tricky(
        HookOnAGradient,
        rand(_3, _3),
        defects={
            "test_valid": "what hooks on gradients read is no edge of the backward pass",
            "test_dependence": "what hooks on gradients read is no edge of the backward pass",
        },
    ),
    Tricky(AutogradFunctional, rand(_3, _3)),
    Tricky(CheckpointedInPlace, rand(_23), training=True),
    Tricky(CheckpointedInPlace, rand(_23), training=True, grad=False),
    Tricky(SavedTensorHooks, rand(_3, _3)),
    Tricky(GradModes, rand(_23)),
    Tricky(InferenceInside, rand(_3, _3)),
    Tricky(InferenceThroughout, rand(_3, _3), grad=False),
]
