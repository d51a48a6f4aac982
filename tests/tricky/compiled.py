"""Code that somebody else runs: TorchScript, torch.compile, export, fx, higher-order and custom ops."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch._higher_order_ops.associative_scan import associative_scan
from torch._higher_order_ops.map import map as higher_order_map
from torch._higher_order_ops.scan import scan
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from .case import Tricky, rand


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
        return flex_attention(q, q, q, score_mod=lambda s, b, h, i, j: s + self.bias[i, j])


class CompiledParts(nn.Module):
    """Compiled submodules and functions run op by op."""

    def __init__(self):
        super().__init__()
        self.body = torch.compile(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), backend="eager")
        self.function = torch.compile(lambda t: (t * 2).sin(), backend="eager")

    def forward(self, x):
        return self.function(self.body(x))


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


def _scaled_in_place(y: Tensor, w: Tensor):
    y.mul_(w)
    return y[0]


class ScriptWrites(nn.Module):
    """TorchScript writes its argument."""

    def __init__(self):
        super().__init__()
        self.scaled_in_place = torch.jit.script(_scaled_in_place)

    def forward(self, x, w):
        y = x * 1
        before = y + 0
        row = self.scaled_in_place(y, w)
        return y * 1, row * 1, before


class ScriptReturnsAView(nn.Module):
    """TorchScript returns a view of its argument, which is then written."""

    def __init__(self):
        super().__init__()
        self.scaled_in_place = torch.jit.script(_scaled_in_place)

    def forward(self, x, w):
        y = x * 1
        row = self.scaled_in_place(y, w)
        row.add_(1)
        return y * 1, row * 1


class ScriptedTwice(nn.Module):
    """A scripted module with dropout is called twice, and a frozen one."""

    def __init__(self):
        super().__init__()
        self.script = torch.jit.script(nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)))
        self.frozen = torch.jit.freeze(torch.jit.script(nn.Sequential(nn.Linear(3, 3), nn.ReLU()).eval()))

    def forward(self, x):
        return self.frozen(self.script(self.script(x)))


class Forked(nn.Module):
    """``torch.jit.fork`` and ``wait``."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        future = torch.jit.fork(torch.sin, self.fc(x))
        return torch.jit.wait(future) * 2


class NestedCond(nn.Module):
    """A ``cond`` in the branch of another, and one whose condition is Python's."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x, w):
        def positive(t):
            return torch.cond(t.max() > 100, lambda u: u * 2, lambda u: self.fc(u) + w, (t,))

        y = torch.cond(x.sum() > 0, positive, lambda t: t * 1, (x,))
        return torch.cond(True, lambda t: t + w, lambda t: t * 1, (y,))


class Scans(nn.Module):
    """``scan``, ``associative_scan`` and ``map``: higher-order ops that stay one op each."""

    def forward(self, x, w):
        carried, summed = scan(lambda carry, row: (carry + row, carry * row), w * 2, x)
        joined = associative_scan(torch.add, x * w, 0, combine_mode="generic")
        return carried, summed, joined, higher_order_map(lambda row, factor: row * factor, x, w)


class FlexAttentionMasked(nn.Module):
    """``flex_attention`` with a block mask and a score that closes over a parameter."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(2))

    def forward(self, q):
        mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, 16, 16, device="cpu")
        return flex_attention(
            q, q * 2, q, score_mod=lambda s, b, h, i, j: s * self.scale[h], block_mask=mask
        )


class CompiledMethods(nn.Module):
    """A compiled method, and a module compiled in place."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        self.body.compile(backend="eager")
        self.fc = nn.Linear(3, 3)

    @torch.compile(backend="eager")
    def step(self, x):
        return self.fc(x) + 1

    def forward(self, x):
        return self.step(self.body(x))


class _Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x):
        self.passes.add_(1)
        return self.norm(self.fc(x)) * self.passes


class ExportedState(nn.Module):
    """An exported program of any batch size writes its buffer."""

    def __init__(self):
        super().__init__()
        sizes = ({0: torch.export.Dim("batch")},)
        program = torch.export.export(_Counting().eval(), (torch.rand(2, 3),), dynamic_shapes=sizes)
        self.program = program.module(check_guards=False)

    def forward(self, x):
        return self.program(x)


class FxInterpreted(nn.Module):
    """A graph of torch.fx is run by its interpreter."""

    def __init__(self):
        super().__init__()
        self.graph = torch.fx.symbolic_trace(nn.Sequential(nn.Linear(3, 3), nn.ReLU()))

    def forward(self, x):
        return torch.fx.Interpreter(self.graph).run(x) + self.graph(x)


class TracedInForward(nn.Module):
    """``make_fx`` inside forward runs a function on tensors that are none, and its graph on real ones."""

    def forward(self, x):
        graph = make_fx(lambda t: t.sin() * 2)(x.detach())
        return graph(x) + 1


class FakeInside(nn.Module):
    """Fake tensors inside forward: only their shapes are used."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        with FakeTensorMode():
            width = (torch.empty(2, 3) @ torch.empty(3, 4)).shape[1]
        return self.fc(x) * width


@torch.library.custom_op("tricky::scale_all", mutates_args={"rows", "filled"})
def scale_all(rows: list[Tensor], factor: Tensor, filled: Tensor) -> None:
    for row in rows:
        row.mul_(factor)
    filled.copy_(factor * 3)


class CustomOperatorOnLists(nn.Module):
    """A custom operator writes the tensors of a list, among them a row."""

    def forward(self, x, w):
        y = x.detach() * 1
        rows = torch.ones(2, 3)
        scale_all([y, rows[0]], w.detach(), rows[1])
        return y * 1, rows[0] * 1, rows[1] * 1


@torch.library.custom_op("tricky::double_and_add", mutates_args=())
def double_and_add(x: Tensor, w: Tensor | None = None) -> list[Tensor]:
    return [x * 2, x.clone() if w is None else w + x]


double_and_add.register_autograd(lambda ctx, gradients: (gradients[0] * 2 + gradients[1], gradients[1]))


class CustomOperatorWithGradient(nn.Module):
    """A custom operator that returns a list and brings its own backward pass."""

    def forward(self, x, w):
        doubled, added = torch.ops.tricky.double_and_add(x * 1, w * 1)
        return doubled * 1, added * 1


_LIBRARY = torch.library.Library("tricky_library", "DEF")
_LIBRARY.define("add_into(Tensor(a!) x, Tensor w) -> Tensor(a!)")
_LIBRARY.impl("add_into", lambda x, w: x.add_(w), "CompositeExplicitAutograd")


class LibraryOperatorInPlace(nn.Module):
    """An operator of a library that returns the argument that it wrote."""

    def forward(self, x, w):
        y = x * 1
        z = torch.ops.tricky_library.add_into(y, w)
        torch.ops.tricky_library.add_into.default(y[:1], w[:1])
        return y * 1, z * 1


_3 = (3,)
_23 = (2, 3)
_33 = (3, 3)

CASES: list[Tricky] = [
    # batch norm in training does not read its mean, and a script does not say so
    Tricky(
        TorchScript,
        rand(_23),
        training=True,
        blind=frozenset({"module.1.running_mean", "module.1.running_var"}),
    ),
    Tricky(TorchScript, rand(_23), grad=False),
    Tricky(Cond, rand(_23)),
    Tricky(WhileLoop, rand(_23)),
    Tricky(FlexAttention, rand((1, 1, 16, 8))),
    Tricky(CompiledParts, rand(_23)),
    Tricky(CustomOperator, rand(_3, _3), blind=frozenset({"input.0", "input.1"})),
    Tricky(Exported, rand(_23)),
    Tricky(FxGraph, rand(_23)),
    Tricky(ScriptWrites, rand(_23, _23), grad=False),
    Tricky(
        ScriptReturnsAView,
        rand(_23, _23),
        grad=False,
        defects={"test_valid": "a replay does not write through the view that TorchScript returned"},
    ),
    Tricky(ScriptedTwice, rand(_23), training=True),
    Tricky(Forked, rand(_23)),
    Tricky(NestedCond, rand(_33, _3)),
    Tricky(Scans, rand(_33, _3)),
    Tricky(FlexAttentionMasked, rand((1, 2, 16, 8))),
    Tricky(CompiledMethods, rand(_23)),
    Tricky(ExportedState, rand(_23)),
    Tricky(FxInterpreted, rand(_23)),
    Tricky(TracedInForward, rand(_23)),
    Tricky(FakeInside, rand(_23)),
    # a custom operator is opaque: what it writes depends on all that it is given
    Tricky(CustomOperatorOnLists, rand(_3, _3), blind=frozenset({"input.0"})),
    Tricky(CustomOperatorWithGradient, rand(_3, _3), blind=frozenset({"input.1"})),
    Tricky(LibraryOperatorInPlace, rand(_3, _3), grad=False),
]
