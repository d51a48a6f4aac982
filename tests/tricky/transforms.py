"""functorch, forward-mode differentiation and autograd.Function."""

from __future__ import annotations

import torch
from torch import nn
from torch.autograd import forward_ad

from .case import Tricky, rand


class Vmap(nn.Module):
    """``vmap`` over a function that closes over a parameter and an activation."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3, 3))

    def forward(self, x, w):
        hidden = w * 2
        return torch.vmap(lambda row: row @ self.weight + hidden)(x) + 1


class FunctorchTransforms(nn.Module):
    """``grad``, ``jacrev``, ``jvp`` and ``vjp``, one after the other."""

    def forward(self, x, w):
        slope = torch.func.grad(lambda z: (z**2 * w).sum())(x)
        jacobian = torch.func.jacrev(lambda z: z**2)(w)
        value, tangent = torch.func.jvp(torch.sin, (x,), (w,))
        out, pull = torch.func.vjp(lambda z: z**3, x)
        return slope * 1, jacobian.sum(), value + tangent, pull(out)[0]


class _Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x * w, x

    @staticmethod
    def backward(ctx, g, h):
        x, w = ctx.saved_tensors
        return g * w + h, g * x


class CustomFunction(nn.Module):
    """An autograd.Function: its ops are seen, and a returned input is a new view."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3) + 1)

    def forward(self, x):
        scaled, same = _Scale.apply(x * 1, self.weight)
        return scaled + same


class _NumpyScale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        return torch.from_numpy(x.detach().numpy() * w.detach().numpy())

    @staticmethod
    def backward(ctx, g):
        return g, g


class NumpyFunction(nn.Module):
    """An autograd.Function that computes where nobody sees it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3) + 1)
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        return _NumpyScale.apply(self.fc(x), self.weight) + 1


class JvpFirst(nn.Module):
    """``jvp`` is the first thing that happens."""

    def forward(self, x):
        return torch.func.jvp(torch.sin, (x,), (x * 2,))


class JvpOfGrad(nn.Module):
    """Forward mode over reverse mode: a product with the Hessian."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        slope = torch.func.grad(lambda t: (self.fc(t) ** 3).sum())
        return torch.func.jvp(slope, (x,), (torch.ones_like(x),))[1]


class ForwardModeLevels(nn.Module):
    """Dual numbers inside a level of forward-mode differentiation."""

    def forward(self, x, w):
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x, torch.ones_like(x))
            value, tangent = forward_ad.unpack_dual((dual * w).sin())
            return value * 1, tangent * 1


class Linearized(nn.Module):
    """``linearize`` gives a function that torch.fx has written."""

    def forward(self, w):
        value, tangent = torch.func.linearize(torch.sin, w)
        return value, tangent(w)


class PerSampleGradients(nn.Module):
    """``vmap`` of ``grad``, ``hessian`` and ``grad_and_value`` over a function that closes over a layer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x, w):
        def loss(row):
            return ((self.fc(row).sin() * w) ** 2).sum()

        slope, value = torch.func.grad_and_value(loss)(x[0])
        hessian = torch.func.hessian(loss)(x[1])
        return slope, value, hessian, torch.vmap(torch.func.grad(loss))(x)


class VmapDraws(nn.Module):
    """``vmap`` in chunks, in another, and with draws that differ from row to row."""

    def forward(self, x, w):
        chunks = torch.vmap(lambda row: row.relu() + w, chunk_size=1)(x)
        nested = torch.vmap(torch.vmap(lambda value: value * 2))(x)
        drawn = torch.vmap(lambda row: row * torch.rand(3), randomness="different")(x)
        return chunks, nested, drawn


class Ensemble(nn.Module):
    """``vmap`` of a functional call over the stacked parameters of several layers."""

    def __init__(self):
        super().__init__()
        self.nets = nn.ModuleList(nn.Linear(3, 2) for _ in range(2))

    def forward(self, x):
        names = dict(self.nets[0].named_parameters())
        stacked = {name: torch.stack([net.get_parameter(name) for net in self.nets]) for name in names}

        def call(parameters, x):
            return torch.func.functional_call(self.nets[0], parameters, (x,))

        return torch.vmap(call, (0, None))(stacked, x)


class BuffersReplaced(nn.Module):
    """``functional_call`` of a batch norm in training writes the buffers that it is given."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x, w):
        buffers = {
            "running_mean": w + 0,
            "running_var": w * 1,
            "num_batches_tracked": torch.tensor(0),
        }
        y = torch.func.functional_call(self.norm.train(), buffers, (x,))
        return y, buffers["running_mean"] * 1


class TransformsWrite(nn.Module):
    """Functions that write their own copies, under ``vmap`` and ``functionalize``."""

    def forward(self, x, w):
        y = torch.vmap(lambda value: value.clone().mul_(2))(x)
        z = torch.func.functionalize(lambda t: t.clone().view(-1).add_(1))(w)
        return y * 1, z * 1


class VmapWritesOutside(nn.Module):
    """``vmap`` writes memory that is known: it is seen that it did, but not what."""

    def forward(self, x, w):
        y = x * 1
        torch.vmap(lambda row, factor: row.mul_(factor))(y, w)
        return y * 1


class _ScaledInPlace(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(w)
        ctx.mark_dirty(x)
        return x.mul_(w)

    @staticmethod
    def backward(ctx, g):
        (w,) = ctx.saved_tensors
        return g * w, None


class DirtyFunction(nn.Module):
    """An autograd.Function that writes its argument, a whole one and a row."""

    def forward(self, x, w):
        y = x * 1
        before = y * 2
        written = _ScaledInPlace.apply(y, w)
        rows = torch.zeros(2, 3) + x
        _ScaledInPlace.apply(rows[0], w)
        return y * 1, written * 1, before, rows[0] * 1, rows[1] * 1


class _ReturnsViews(torch.autograd.Function):
    @staticmethod
    def forward(x, w):
        return x, w.view(-1), x.view(3, 1), 5

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g, h, column, _):
        return g + column.view(-1), h


class FunctionReturnsViews(nn.Module):
    """An autograd.Function that returns an argument, views of arguments and a number."""

    def forward(self, x, w):
        same, flat, column, count = _ReturnsViews.apply(x, w)
        return same * count, flat * 1, column * 1


class _ReversedGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return g.neg()


class GradientReversed(nn.Module):
    """An autograd.Function that only looks, and turns the gradient."""

    def forward(self, x):
        return _ReversedGradient.apply(x * 2) * 1, _ReversedGradient.apply(x)


class _SaysWhere(torch.autograd.Function):
    @staticmethod
    def forward(x, factor):
        return x * factor, x > 1, x.sum().item()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.factor = inputs[1]
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g, *_):
        return g * ctx.factor, None


class FunctionOfManyKinds(nn.Module):
    """An autograd.Function with a result that has no gradient and one that is a number."""

    def forward(self, x):
        scaled, mask, total = _SaysWhere.apply(x * 1, 3)
        return scaled * mask, scaled + total


class _NumpyInPlace(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        x.detach().numpy()[...] *= 2
        return x

    @staticmethod
    def backward(ctx, g):
        return g * 2


class NumpyInPlaceFunction(nn.Module):
    """An autograd.Function that writes its argument through numpy."""

    def forward(self, x):
        y = x * 1
        return _NumpyInPlace.apply(y) * 1


_3 = (3,)
_23 = (2, 3)

CASES: list[Tricky] = [
    Tricky(Vmap, rand(_23, _3)),
    Tricky(Vmap, rand(_23, _3), grad=False),
    Tricky(FunctorchTransforms, rand(_3, _3)),
    Tricky(CustomFunction, rand(_3)),
    Tricky(NumpyFunction, rand(_23)),
    Tricky(NumpyFunction, rand(_23), grad=False),
    Tricky(JvpFirst, rand(_23)),
    Tricky(JvpFirst, rand(_23), grad=False),
    Tricky(JvpOfGrad, rand(_23)),
    Tricky(ForwardModeLevels, rand(_3, _3)),
    Tricky(Linearized, rand(_3)),
    Tricky(PerSampleGradients, rand(_23, _3)),
    Tricky(VmapDraws, rand(_23, _3)),
    Tricky(Ensemble, rand(_23)),
    Tricky(Ensemble, rand(_23), grad=False),
    Tricky(BuffersReplaced, rand(_23, _3)),
    Tricky(TransformsWrite, rand(_3, _3)),
    Tricky(VmapWritesOutside, rand(_23, _23), grad=False, finding="written unseen"),
    Tricky(DirtyFunction, rand(_3, _3)),
    Tricky(DirtyFunction, rand(_3, _3), grad=False),
    Tricky(FunctionReturnsViews, rand(_3, _3)),
    Tricky(FunctionReturnsViews, rand(_3, _3), grad=False),
    Tricky(GradientReversed, rand(_3)),
    Tricky(
        FunctionOfManyKinds, rand(_3), finding="Hidden dependence: a value left the graph through Python"
    ),
    Tricky(NumpyInPlaceFunction, rand(_3), finding="written unseen"),
]
