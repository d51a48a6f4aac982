"""Models that provoke what a tracer gets wrong, one line each on what.

`ALL` lists them with their inputs. ``blind`` names sources whose dependence no oracle can see (a zero
gradient, an integer, a value taken through Python).
"""

from __future__ import annotations

import collections
import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


@dataclasses.dataclass(frozen=True)
class Tricky:
    """A model, what it is run with, and what it provokes."""

    build: Callable[[], nn.Module]
    inputs: Callable[[], tuple[Any, ...]]
    kwargs: Callable[[], dict[str, Any]] = dict
    #: Run with autograd on.
    grad: bool = True
    #: Run in training mode.
    training: bool = False
    #: Sources whose dependence the oracles cannot tell.
    blind: frozenset[str] = frozenset()
    #: What the validation rightly finds, if the model does what no graph can tell.
    finding: str | None = None

    @property
    def name(self) -> str:
        return getattr(self.build, "__name__", repr(self.build))

    @property
    def provokes(self) -> str:
        return (self.build.__doc__ or "").strip()

    def make(self) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
        """Model and arguments, the same at each call."""
        torch.manual_seed(0)
        model = self.build()
        for module in model.modules():
            module.training = self.training  # exported programs refuse train() and eval()
        return model, self.inputs(), self.kwargs()


def rand(*sizes: tuple[int, ...]) -> Callable[[], tuple[Tensor, ...]]:
    """Inputs of those sizes, away from zero."""
    return lambda: tuple(torch.rand(size) + 0.5 for size in sizes)


# -- memory: aliases, in-place, views, partial writers -----------------------------------------------


class DetrBatching(nn.Module):
    """Each picture is copied into its row of a batch, through the views that iterating gives."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, a, b):
        batch = torch.zeros(2, 3, 4, 4)
        for image, pad in zip((a, b), batch, strict=True):
            pad.copy_(image)
        return self.conv(batch)


class CacheThroughUnbind(nn.Module):
    """A key-value cache written through ``unbind``: the weights of the projection must not be lost."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(4, 4)

    def forward(self, x):
        keys, values = torch.zeros(2, 3, 4).unbind(0)
        for t in range(2):
            keys[t].copy_(self.project(x))
            values[t].copy_(x)
        return keys.sum(), values[0] * 2


class RowsApart(nn.Module):
    """Reading row 0 does not depend on who wrote row 1."""

    def forward(self, a, b):
        rows = torch.zeros(2, 3)
        rows[0] = a
        rows[1] = b
        return rows[0] * 2, rows[1] * 3, rows.sum()


class ColumnsApart(nn.Module):
    """The same for columns, whose bytes interleave."""

    def forward(self, a, b):
        table = torch.zeros(3, 2)
        table[:, 0] = a
        table[:, 1].copy_(b)
        return table[:, 0] * 2, table[:, 1] * 2, table[1] * 1


class SteppedSlices(nn.Module):
    """Slices with steps and negative ends, written by different sources."""

    def forward(self, a, b):
        line = torch.zeros(6)
        line[::2] = a
        line[1::2] = b
        return line[0::2] * 1, line[1::2] * 1, line[2:4] * 1


class ChunksChangedInPlace(nn.Module):
    """q, k and v are changed in place each, and the whole is read."""

    def forward(self, x, w):
        qkv = x * 1
        q, k, v = torch.chunk(qkv, 3, -1)
        q = q.mul_(w)
        k.add_(1)
        v.zero_()
        return qkv + 0, qkv[:, :2] * 1, qkv[:, 4:] * 1


class OverwrittenWhole(nn.Module):
    """A value overwritten whole is no ancestor of what reads the memory later."""

    def __init__(self):
        super().__init__()
        self.lost = nn.Linear(3, 3)
        self.kept = nn.Linear(3, 3)

    def forward(self, x):
        y = self.lost(x)
        look = y.view(-1)
        y.zero_()
        y.add_(self.kept(x))
        return look * 2


class OverwrittenInParts(nn.Module):
    """The same when several partial writes cover everything together."""

    def __init__(self):
        super().__init__()
        self.lost = nn.Linear(4, 4)

    def forward(self, x, a, b):
        y = self.lost(x)
        y[:2] = a
        y[2:] = b
        return y * 1


class ViewMadeBeforeTheWrite(nn.Module):
    """A view made first sees what is written through its base later."""

    def forward(self, x, w):
        y = x * 1
        look = y.t()
        y.mul_(w)
        return look + 1


class WriteThroughView(nn.Module):
    """A base sees what is written through views of views."""

    def forward(self, x, w):
        y = x * 1
        y.view(-1)[2:5].narrow(0, 1, 2).copy_(w)
        return y * 1, y.view(-1)[:3] * 1


class DiagonalWrite(nn.Module):
    """A diagonal is written: exactly those elements."""

    def forward(self, x, w):
        y = x * 1
        y.diagonal().copy_(w)
        return y[0, 0] * 1, y[0, 1] * 1, y * 1


class AsStridedWrite(nn.Module):
    """``as_strided`` looks at the memory in its own way."""

    def forward(self, x, w):
        y = x * 1
        torch.as_strided(y, (2,), (4,), 1).copy_(w)
        return y.view(-1)[1] * 1, y.view(-1)[2] * 1


class ViewAsReal(nn.Module):
    """Complex memory, written through its real look."""

    def forward(self, x, w):
        z = torch.view_as_complex(x * 1)
        torch.view_as_real(z)[..., 0].copy_(w)
        return z.real * 1, z.imag * 1, z.abs()


class RealSetter(nn.Module):
    """``z.real = ...`` asks no function mode."""

    def forward(self, x, w):
        z = torch.view_as_complex(x * 1)
        z.real = w * 2
        return z.real * 1, z.imag * 1


class OtherDtypeView(nn.Module):
    """The same bytes as another dtype."""

    def forward(self, x):
        y = x * 1
        bits = y.view(torch.int32)
        bits[0] = 0
        return y * 1


class OutArgument(nn.Module):
    """``out=`` fills memory that somebody else made."""

    def forward(self, x):
        filled = torch.empty(3)
        torch.mul(x, 2, out=filled)
        return filled + 1


class OutIntoRow(nn.Module):
    """``out=`` of a view fills a part."""

    def forward(self, x, w):
        rows = torch.zeros(2, 3)
        torch.mul(x, 2, out=rows[1])
        return rows[1] * 1, rows[0] * w


class OutPair(nn.Module):
    """``out=`` with two tensors."""

    def forward(self, x):
        values, indices = torch.empty(2), torch.empty(2, dtype=torch.int64)
        torch.max(x, 1, out=(values, indices))
        return values * 2, indices


class DataAssigned(nn.Module):
    """``y.data = ...`` gives a tensor other memory."""

    def forward(self, x, w):
        y = x * 1
        y.data = w * 3
        return y + 1


class DataWritten(nn.Module):
    """A write through ``.data`` leaves no trace in autograd."""

    def forward(self, x, w):
        y = x * 1
        y.data.mul_(w)
        return y * 1


class DetachedAlias(nn.Module):
    """A write through ``detach()``."""

    def forward(self, x, w):
        y = x * 1
        y.detach().mul_(w)
        return y * 1


class SetCalled(nn.Module):
    """``set_`` exchanges memory and asks no function mode."""

    def forward(self, x, w):
        y = x * 1
        y.set_(w * 2)
        return y * 1


class ParameterMade(nn.Module):
    """``nn.Parameter(t)`` is a new object over known memory, and asks no mode."""

    def forward(self, x):
        p = nn.Parameter(x * 2)
        return p * 2


class ForeachRows(nn.Module):
    """Element k of a foreach op depends on the elements k alone."""

    def forward(self, a, b):
        rows = [a * 1, b * 1]
        torch._foreach_add_(rows, [b, b])
        doubled = torch._foreach_mul(rows, 2)
        return doubled[0], doubled[1], rows[1] * 1


class ForeachOnViews(nn.Module):
    """A foreach op in place on rows of one tensor."""

    def forward(self, x, a):
        rows = x * 1
        torch._foreach_mul_(list(rows.unbind(0)), [a, a * 0 + 2])
        return rows[0] * 1, rows[1] * 1


class MaskedWrites(nn.Module):
    """Writes whose place depends on data keep the rest."""

    def forward(self, x, w):
        y = x * 1
        y[y > 1.0] = 0.25
        y.masked_fill_(w > 10, 3.0)
        y.index_copy_(0, torch.tensor([0]), w[:1])
        return y * 1


class SetItemForms(nn.Module):
    """Ellipsis, None, negative indices, lists, a mask and a tensor as indices."""

    def forward(self, x, w):
        y = x * 1
        y[..., -1] = w[..., 0]
        y[None, 0] = w[0]
        y[[1, 2]] += 1
        y[torch.tensor(0), 1] = 7.0
        return y * 1


class InplaceActivation(nn.Module):
    """In-place activations inside modules: saved values must be those before."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Hardswish(inplace=True))

    def forward(self, x):
        return self.body(x) * 2


class AugmentedAssignment(nn.Module):
    """``+=`` on a tensor and on a slice."""

    def forward(self, x, w):
        y = x * 1
        y += w
        y[0] *= 2
        y //= 0.01
        return y


class InputWritten(nn.Module):
    """The model changes its input in place."""

    def forward(self, x, w):
        x.mul_(w)
        return x + 1


class SharedInputs(nn.Module):
    """Two inputs are views of one memory, and one is written."""

    def forward(self, whole, part):
        part.mul_(2)
        return whole * 1


class BufferWritten(nn.Module):
    """A buffer is written in place and then read."""

    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(3))

    def forward(self, x):
        self.total += x
        return self.total * 2


class BufferRebound(nn.Module):
    """A buffer is given a new tensor each time."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.ones(3))

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x
        return x - self.mean


class RunningStatistics(nn.Module):
    """batch_norm writes its statistics, on which its result does not depend."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        return self.norm(x) * 2, self.norm.running_mean * 1


class ParameterWritten(nn.Module):
    """A parameter is scaled in place, under no_grad, before it is used."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        with torch.no_grad():
            self.layer.weight.mul_(0.9)
            self.layer.weight.data.add_(0.01)
        return self.layer(x)


class TiedParameters(nn.Module):
    """One parameter under two names."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x):
        return self.head(self.embed.weight[:2] * x)


class EmbeddingRenormed(nn.Module):
    """``max_norm`` makes embedding write its weight."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(4, 3, max_norm=0.5)

    def forward(self, x):
        return self.embed(torch.tensor([1, 2])) * x


class MetadataOnly(nn.Module):
    """``zeros_like`` and ``new_ones`` depend on no value."""

    def forward(self, x, w):
        return torch.zeros_like(x) + w.new_ones(3) + torch.rand_like(x) * 0 + w


class EmptyFilled(nn.Module):
    """Uninitialised memory that is filled: nobody may read what it held."""

    def forward(self, x):
        return torch.empty(3).copy_(x) + torch.empty_like(x).fill_(2.0)


class BroadcastApart(nn.Module):
    """An op with two results, each a view of its own argument."""

    def forward(self, a, b):
        left, right = torch.broadcast_tensors(a, b)
        return left * 1, right * 1


class ReturnsItsArgument(nn.Module):
    """``contiguous``, ``to`` and dropout in eval return the very tensor that they were given."""

    def forward(self, x):
        y = x * 2
        z = F.dropout(y.contiguous().to(torch.float32), 0.5, training=False)
        return z + y


class IdsReused(nn.Module):
    """Tensors die and their ids are used again."""

    def forward(self, x):
        for _ in range(50):
            x = (x * 1.01).abs() + torch.ones(3)
        return x


class ResizedInPlace(nn.Module):
    """Shapes changed in place: a saved value keeps the shape it had."""

    def forward(self, x):
        y = x * 1
        z = y * 2
        y.t_()
        y.unsqueeze_(0)
        return y * 1, z


# -- places: layers, passes, loops, recursion --------------------------------------------------------


class LoopOverLayer(nn.Module):
    """The README's recurrent model: four passes of three layers."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 5)

    def forward(self, x):
        for _ in range(4):
            x = self.fc(x)
            x = x + 1
            x = x * 2
        return x


class SharedActivation(nn.Module):
    """One ReLU on two lines, and on one line that a loop runs."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(3))

    def forward(self, x):
        x = self.relu(x)
        x = self.relu(x) * 1.5
        for layer in self.layers:
            x = self.relu(layer(x) + 1)
        return x


class WeightsInALoop(nn.Module):
    """One line, as many layers as parameters."""

    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(torch.rand(3, 3)) for _ in range(3))

    def forward(self, x):
        for weight in self.weights:
            x = x @ weight
        return x


class TreeOfModules(nn.Module):
    """A module that calls itself."""

    def __init__(self):
        super().__init__()
        self.leaf = nn.Linear(3, 3)
        self.join = nn.Linear(6, 3)

    def forward(self, tree):
        if isinstance(tree, Tensor):
            return self.leaf(tree)
        left, right = self(tree[0]), self(tree[1])
        return self.join(torch.cat([left, right], -1))


class RecursiveFunction(nn.Module):
    """A function that calls itself, to any depth."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def descend(self, x, depth):
        if depth == 0:
            return self.fc(x)
        return torch.tanh(self.descend(x, depth - 1) + self.descend(x * 2, depth - 1))

    def forward(self, x):
        return self.descend(x, 3)


class Generators(nn.Module):
    """Ops inside generators and comprehensions."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def steps(self, x):
        for _ in range(3):
            x = self.fc(x)
            yield x

    def forward(self, x):
        return sum(self.steps(x)), [step * 2 for step in self.steps(x)]


class FunctionTable(nn.Module):
    """One line calls different functions."""

    def forward(self, x):
        for function in (torch.sin, torch.cos, F.relu, lambda t: t * 2):
            x = function(x)
        return x


# -- control flow and escapes ------------------------------------------------------------------------


class Branches(nn.Module):
    """``if``, ``while``, ``not`` and ``assert`` on tensors."""

    def forward(self, x):
        if x.sum() > 0:
            x = x * 2
        while x.max() < 20:
            x = x * 3
        assert (x > 0).all()
        return x if not x[0] < 0 else -x


class Escapes(nn.Module):
    """Values go to Python in every way there is."""

    def forward(self, x):
        first = float(x[0]) + int(x[1]) + x[2].item() + len(x.tolist())
        known = bool((x > 0).all()) and torch.equal(x, x) and 100.0 not in x
        array = x.detach().numpy().sum()
        return x * first * known + float(array)


class NumpyRoundTrip(nn.Module):
    """Memory leaves as an array and comes back."""

    def forward(self, x):
        y = x.detach() * 2
        return torch.from_numpy(y.numpy()) + 1


class DlpackRoundTrip(nn.Module):
    """The same through DLPack."""

    def forward(self, x):
        return torch.from_dlpack(x.detach() * 2) + 1


class NumpyWrites(nn.Module):
    """An array over a tensor's memory is written: saved values must not change with it."""

    def forward(self, x):
        y = x.detach() * 2
        y.numpy()[0] = 9.0
        return y * 1


class Constants(nn.Module):
    """Tensors from outside: a closure, a plain attribute, ``from_numpy`` and ``torch.Tensor(list)``."""

    outside = torch.full((3,), 2.0)

    def __init__(self):
        super().__init__()
        self.scale = torch.full((3,), 3.0)

    def forward(self, x):
        made = torch.from_numpy(np.ones(3, dtype=np.float32)) + torch.Tensor([1.0, 2.0, 3.0])
        return x * self.outside + self.scale + made


# -- inside: composites, opaque code, compiled code --------------------------------------------------


class Attention(nn.Module):
    """``multi_head_attention_forward`` arrives as one call and is opened."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)


class TransformerWithMasks(nn.Module):
    """A whole nn.Transformer with causal and padding masks."""

    def __init__(self):
        super().__init__()
        self.net = nn.Transformer(4, 2, 1, 1, 8, dropout=0.0, batch_first=True)

    def forward(self, source, target):
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        padding = torch.zeros(source.shape[:2], dtype=torch.bool)
        return self.net(source, target, tgt_mask=mask, src_key_padding_mask=padding)


class Composites(nn.Module):
    """Python functions of torch that compute in several steps."""

    def forward(self, x):
        return F.normalize(x), F.softsign(x), F.lp_pool1d(x, 2, 2), F.gumbel_softmax(x), F.tanhshrink(x)


def _scripted(x: Tensor, y: Tensor) -> Tensor:
    return x * 2 + y


class TorchScript(nn.Module):
    """Scripted and traced code runs where no mode sees it."""

    def __init__(self):
        super().__init__()
        self.function = torch.jit.script(_scripted)
        self.module = torch.jit.script(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)))
        self.trace = torch.jit.trace(nn.Linear(3, 3), torch.rand(2, 3))

    def forward(self, x):
        return self.trace(self.module(self.function(x * 1, x)))


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


class Cond(nn.Module):
    """``torch.cond`` with branches that close over parameters: the branch taken is recorded."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = nn.Linear(3, 3)

    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda t: self.a(t), lambda t: self.b(t), (x,))


class WhileLoop(nn.Module):
    """``while_loop``, op by op."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        step = torch.tensor(0)
        return torch._higher_order_ops.while_loop(
            lambda i, y: i < 3, lambda i, y: (i + 1, self.fc(y)), (step, x)
        )[1]


class FlexAttention(nn.Module):
    """``flex_attention`` with a score function that closes over a parameter."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.rand(16, 16))

    def forward(self, q):
        from torch.nn.attention.flex_attention import flex_attention

        return flex_attention(q, q, q, score_mod=lambda s, b, h, i, j: s + self.bias[i, j])


class CompiledParts(nn.Module):
    """Compiled submodules and functions run op by op."""

    def __init__(self):
        super().__init__()
        self.body = torch.compile(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), backend="eager")
        self.function = torch.compile(lambda t: (t * 2).sin(), backend="eager")

    def forward(self, x):
        return self.function(self.body(x))


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


@torch.library.custom_op("tricky::shift_and_double", mutates_args=("shifted",))
def shift_and_double(shifted: Tensor, doubled: Tensor) -> Tensor:
    shifted.add_(1)
    return doubled * 2


class CustomOperator(nn.Module):
    """A custom operator that writes one of its arguments."""

    def forward(self, x, w):
        y, z = x.detach() * 1, w.detach()
        twice = torch.ops.tricky.shift_and_double(y, z)
        return y * 1, twice * 1


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


class Exported(nn.Module):
    """An exported program calls ``torch.ops`` overloads."""

    def __init__(self):
        super().__init__()
        net = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        self.program = torch.export.export(net, (torch.rand(2, 3),)).module()

    def forward(self, x):
        return self.program(x) * 2


class FxGraph(nn.Module):
    """A module that torch.fx has written."""

    def __init__(self):
        super().__init__()
        self.graph = torch.fx.symbolic_trace(nn.Sequential(nn.Linear(3, 3), nn.ReLU()))

    def forward(self, x):
        return self.graph(x)


# -- modules -----------------------------------------------------------------------------------------


class Hooked(nn.Module):
    """Hooks that change what goes in and what comes out."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.fc.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
        self.fc.register_forward_hook(lambda module, args, out: out * 2)

    def forward(self, x):
        return self.fc(x)


class Parametrized(nn.Module):
    """Weights computed anew at each use."""

    def __init__(self):
        super().__init__()
        self.a = torch.nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))
        self.b = torch.nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3))

    def forward(self, x):
        return self.b(self.a(x))


class ReplacedParameters(nn.Module):
    """``functional_call`` with parameters of another's making."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.make = nn.Linear(3, 9)

    def forward(self, x, w):
        weight = self.make(w).view(3, 3)
        return torch.func.functional_call(self.fc, {"weight": weight}, (x,))


class LazyLayers(nn.Module):
    """Lazy modules get their parameters in their first forward."""

    def __init__(self):
        super().__init__()
        self.fc = nn.LazyLinear(4)
        self.norm = nn.LazyBatchNorm1d()

    def forward(self, x):
        return self.norm(self.fc(x))


class ModuleMadeInForward(nn.Module):
    """A module that exists only inside forward."""

    def forward(self, x):
        layer = nn.Linear(3, 3)
        nn.init.constant_(layer.weight, 0.5)
        nn.init.zeros_(layer.bias)
        return layer(x)


class CopiedInForward(nn.Module):
    """``deepcopy`` of a tensor and of a module inside forward."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        return copy.deepcopy(self.fc)(copy.deepcopy(x.detach()) * 1) + x


class SharedModule(nn.Module):
    """One module under two names."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = self.first

    def forward(self, x):
        return self.second(self.first(x))


class DirectForward(nn.Module):
    """``module.forward(x)`` goes past the call of the module."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        return self.fc.forward(x) + self.fc(x)


class PassesThrough(nn.Module):
    """Modules that return what they were given, and the model its input."""

    def __init__(self):
        super().__init__()
        self.same = nn.Identity()

    def forward(self, x, w):
        return self.same(x), self.same(self.same(w * 2))


class RecurrentNets(nn.Module):
    """LSTM and GRU: one op, several results; cells in a loop."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
        self.cell = nn.GRUCell(8, 4)

    def forward(self, x):
        sequence, (hidden, _) = self.lstm(x)
        state = torch.zeros(1, 4)
        for step in sequence:
            state = self.cell(step, state)
        return state, hidden


class PackedSequences(nn.Module):
    """Packed sequences: data and batch sizes apart."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True)

    def forward(self, x):
        packed = nn.utils.rnn.pack_padded_sequence(x, [3, 2], batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)[0]


# -- inputs and outputs ------------------------------------------------------------------------------


@dataclasses.dataclass
class Answer:
    logits: Tensor
    extra: dict[str, Any]


Pair = collections.namedtuple("Pair", "left right")


class Structures(nn.Module):
    """Nested dicts, tuples, dataclasses and named tuples, in and out."""

    def forward(self, batch, *, mask=None):
        total = batch["x"] * 2
        return Answer(total, {"list": [batch["more"][0] + 1, Pair(mask * 3, 5)], "none": None})


class NoTensorArguments(nn.Module):
    """A model that is given no tensor."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3))

    def forward(self, count):
        return self.weight.repeat(count)


class SameTensorTwice(nn.Module):
    """One tensor as two arguments."""

    def forward(self, a, b):
        return a + b * 2


class ReturnsParameter(nn.Module):
    """A parameter and a buffer are part of the result."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3))
        self.register_buffer("seen", torch.ones(3))

    def forward(self, x):
        return x * self.weight, self.weight, self.seen


# -- random numbers, precision, kinds of tensors -----------------------------------------------------


class Draws(nn.Module):
    """Ops that draw, from the default generator and from one of the model's."""

    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(3)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        noise = torch.randn(3, generator=self.generator) + torch.rand_like(x)
        return self.drop(x + noise) + torch.bernoulli(torch.full((3,), 0.5)) + torch.empty(3).normal_()


class MixedPrecision(nn.Module):
    """Autocast and grad mode change inside."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            y = self.fc(x)
        with torch.no_grad():
            z = y * 1
        return y.float(), z.float()


class Sparse(nn.Module):
    """Sparse tensors of two layouts."""

    def forward(self, x):
        sparse = x.to_sparse()
        return torch.sparse.mm(sparse, x), (sparse * 2).to_dense(), x.to_sparse_csr().to_dense()


class NestedTensors(nn.Module):
    """Ragged tensors of both kinds."""

    def forward(self, a, b):
        jagged = torch.nested.nested_tensor([a, b], layout=torch.jagged)
        strided = torch.nested.as_nested_tensor([a, b])
        return (jagged.sin() * 2).unbind()[0], strided.to_padded_tensor(0.0)


class Quantized(nn.Module):
    """Quantised tensors."""

    def forward(self, x):
        return torch.quantize_per_tensor(x, 0.1, 0, torch.quint8).dequantize() * 1


class LowPrecision(nn.Module):
    """Half precisions, and eight bits."""

    def forward(self, x):
        return x.half().float() + x.bfloat16().float() + x.to(torch.float8_e4m3fn).float()


class Subclassed(torch.Tensor):
    """A tensor subclass without behaviour of its own."""

    def new_empty(self, *args, **kwargs):  # deepcopy asks for it
        return torch.empty(*args, **kwargs).as_subclass(Subclassed)


class TensorSubclass(nn.Module):
    """A tensor subclass as input."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        return self.fc(x).relu()


class Fourier(nn.Module):
    """Transforms and decompositions: complex values, several results."""

    def forward(self, x):
        spectrum = torch.fft.rfft(x)
        values, _ = torch.linalg.eigh(x @ x.t() + torch.eye(3))
        windowed = torch.stft(x.flatten(), 4, return_complex=True, window=torch.ones(4))
        return spectrum.abs(), values, windowed.abs()


# -- the list ----------------------------------------------------------------------------------------

_3 = (3,)
_23 = (2, 3)
_33 = (3, 3)


def _views() -> tuple[Tensor, ...]:
    whole = torch.rand(4) + 0.5
    return whole, whole[1:3]


def _twice() -> tuple[Tensor, ...]:
    x = torch.rand(3)
    return x, x


def _tree() -> tuple[Any, ...]:
    def leaf() -> Tensor:
        return torch.rand(3)

    return ([[leaf(), leaf()], [leaf(), [leaf(), leaf()]]],)


ALL: list[Tricky] = [
    Tricky(DetrBatching, rand((3, 4, 4), (3, 4, 4))),
    Tricky(CacheThroughUnbind, rand((4,)), grad=False),
    Tricky(RowsApart, rand(_3, _3)),
    Tricky(ColumnsApart, rand(_3, _3)),
    Tricky(SteppedSlices, rand(_3, _3)),
    Tricky(ChunksChangedInPlace, rand((2, 6), (2, 2)), grad=False),
    Tricky(OverwrittenWhole, rand(_23)),
    Tricky(OverwrittenInParts, rand((4,), (2,), (2,))),
    Tricky(ViewMadeBeforeTheWrite, rand(_23, _23)),
    Tricky(WriteThroughView, rand(_23, (2,))),
    Tricky(DiagonalWrite, rand(_33, _3)),
    Tricky(AsStridedWrite, rand(_33, (2,))),
    Tricky(ViewAsReal, rand((3, 2), _3)),
    Tricky(RealSetter, rand((3, 2), _3)),
    Tricky(OtherDtypeView, rand(_3)),
    Tricky(OutArgument, rand(_3)),
    Tricky(OutIntoRow, rand(_3, _3), blind=frozenset({"input.1"})),
    Tricky(OutPair, rand(_23), blind=frozenset({"input.0"})),
    Tricky(DataAssigned, rand(_3, _3)),
    Tricky(DataWritten, rand(_3, _3)),
    Tricky(DetachedAlias, rand(_3, _3)),
    Tricky(SetCalled, rand(_3, _3)),
    Tricky(ParameterMade, rand(_3)),
    Tricky(ForeachRows, rand(_3, _3)),
    Tricky(ForeachOnViews, rand(_23, _3), grad=False, blind=frozenset({"input.1"})),
    Tricky(MaskedWrites, rand(_23, _23)),
    Tricky(SetItemForms, rand(_33, _33)),
    Tricky(InplaceActivation, rand(_23)),
    Tricky(AugmentedAssignment, rand(_23, _23)),
    Tricky(InputWritten, rand(_3, _3)),
    Tricky(SharedInputs, _views),
    Tricky(BufferWritten, rand(_3)),
    Tricky(BufferRebound, rand(_3)),
    Tricky(RunningStatistics, rand((4, 3)), training=True),
    Tricky(RunningStatistics, rand((4, 3))),
    Tricky(ParameterWritten, rand(_23)),
    Tricky(TiedParameters, rand(_23)),
    Tricky(EmbeddingRenormed, rand(_23)),
    Tricky(MetadataOnly, rand(_3, _3)),
    Tricky(EmptyFilled, rand(_3)),
    Tricky(BroadcastApart, rand((3, 1), (1, 3))),
    Tricky(ReturnsItsArgument, rand(_3)),
    Tricky(IdsReused, rand(_3)),
    Tricky(ResizedInPlace, rand(_23)),
    Tricky(LoopOverLayer, rand((2, 5))),
    Tricky(SharedActivation, rand(_23)),
    Tricky(WeightsInALoop, rand(_23)),
    Tricky(TreeOfModules, _tree),
    Tricky(RecursiveFunction, rand(_23)),
    Tricky(Generators, rand(_23)),
    Tricky(FunctionTable, rand(_3)),
    Tricky(Branches, rand(_3)),
    Tricky(Escapes, rand(_3)),
    Tricky(NumpyRoundTrip, rand(_3)),
    Tricky(DlpackRoundTrip, rand(_3)),
    Tricky(NumpyWrites, rand(_3), finding="gives another value"),
    Tricky(Constants, rand(_3)),
    Tricky(Attention, rand((2, 3, 4))),
    Tricky(Attention, rand((2, 3, 4)), grad=False),
    Tricky(TransformerWithMasks, rand((2, 3, 4), (2, 3, 4))),
    Tricky(TransformerWithMasks, rand((2, 3, 4), (2, 3, 4)), grad=False),
    Tricky(Composites, rand((2, 4))),
    Tricky(TorchScript, rand(_23), training=True),
    Tricky(TorchScript, rand(_23), grad=False),
    Tricky(Vmap, rand(_23, _3)),
    Tricky(Vmap, rand(_23, _3), grad=False),
    Tricky(FunctorchTransforms, rand(_3, _3)),
    Tricky(Cond, rand(_23)),
    Tricky(WhileLoop, rand(_23)),
    Tricky(FlexAttention, rand((1, 1, 16, 8))),
    Tricky(CompiledParts, rand(_23)),
    Tricky(CustomFunction, rand(_3)),
    Tricky(NumpyFunction, rand(_23)),
    Tricky(NumpyFunction, rand(_23), grad=False),
    Tricky(CustomOperator, rand(_3, _3), blind=frozenset({"input.0", "input.1"})),
    Tricky(Checkpointed, rand(_23)),
    Tricky(GradientsInside, rand(_3, _3)),
    Tricky(Exported, rand(_23)),
    Tricky(FxGraph, rand(_23)),
    Tricky(Hooked, rand(_23)),
    Tricky(Parametrized, rand(_23)),
    Tricky(ReplacedParameters, rand(_23, _3)),
    Tricky(LazyLayers, rand(_23)),
    Tricky(ModuleMadeInForward, rand(_23)),
    Tricky(CopiedInForward, rand(_23)),
    Tricky(SharedModule, rand(_23)),
    Tricky(DirectForward, rand(_23)),
    Tricky(PassesThrough, rand(_3, _3)),
    Tricky(RecurrentNets, rand((4, 1, 3))),
    Tricky(PackedSequences, rand((2, 3, 3))),
    Tricky(
        Structures,
        lambda: ({"x": torch.rand(2), "more": (torch.rand(2),)},),
        lambda: {"mask": torch.rand(1)},
    ),
    Tricky(NoTensorArguments, lambda: (2,)),
    Tricky(SameTensorTwice, _twice),
    Tricky(ReturnsParameter, rand(_3)),
    Tricky(Draws, rand(_3), training=True),
    Tricky(MixedPrecision, rand(_23)),
    Tricky(Sparse, rand(_33)),
    Tricky(NestedTensors, rand(_33, _23), blind=frozenset({"input.1"})),
    Tricky(Quantized, rand(_3)),
    Tricky(LowPrecision, rand(_3)),
    Tricky(TensorSubclass, lambda: (torch.rand(2, 3).as_subclass(Subclassed),)),
    Tricky(Fourier, rand(_33)),
]
