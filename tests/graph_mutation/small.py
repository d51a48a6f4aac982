"""Small models before and after an edit, and the exact lines that a diff has for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Net(nn.Module):
    """Convolution, norm, activation, pooling, classifier."""

    def __init__(
        self,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        width: int = 10,
        bias: bool = True,
        eps: float = 1e-5,
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, kernel, stride=stride, padding=1, groups=groups)
        self.norm = nn.BatchNorm2d(8, eps=eps)
        self.act = activation()
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(8, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.conv(x)))
        return self.fc(self.drop(x.mean((2, 3))))


class Renamed(nn.Module):
    """`Two` with another name for its first module."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embed(x).relu())


class Two(nn.Module):
    """Two modules."""

    def __init__(self, is_nested: bool = False) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 4)
        if is_nested:
            self.stem = nn.Sequential(self.stem)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x).relu())


class Tied(nn.Module):
    """An embedding whose weights are those of the last layer, or not."""

    def __init__(self, is_tied: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        if is_tied:
            self.head.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embedding(x))


class Function(nn.Module):
    """A function as a model."""

    def __init__(self, function: Callable[..., Any], **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


class Branches(nn.Module):
    """Two branches that do not depend on each other, in either order."""

    def __init__(self, is_left_first: bool) -> None:
        super().__init__()
        self.left = nn.Linear(4, 4)
        self.right = nn.Linear(4, 4)
        self.is_left_first = is_left_first

    def forward(self, x: Tensor) -> Tensor:
        if self.is_left_first:
            left = self.left(x).relu()
            right = self.right(x).relu()
        else:
            right = self.right(x).relu()
            left = self.left(x).relu()
        return left - right


class Twins(nn.Module):
    """Two tensors made alike, and used apart, in either order."""

    def __init__(self, is_first_first: bool) -> None:
        super().__init__()
        self.is_first_first = is_first_first

    def forward(self, x: Tensor) -> Tensor:
        one, two = torch.arange(4), torch.arange(4)
        if not self.is_first_first:
            one, two = two, one
        return x[one] + two


class Cells(nn.Module):
    """A cell, some times."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(4, 4)
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        state = x
        for _ in range(self.steps):
            state = self.cell(x, state)
        return state


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallEdit:
    """One edit, and what is printed for it."""

    name: str
    before: Callable[[], nn.Module]
    after: Callable[[], nn.Module]
    #: Empty where nothing is known but the class.
    lines: str = ""
    classes: frozenset[str] = frozenset({"breaking"})
    inputs: Callable[[], Tensor] = lambda: torch.zeros(1, 4, 8, 8)
    inputs_after: Callable[[], Tensor] | None = None
    dtype_after: torch.dtype | None = None


def _rows() -> Tensor:
    return torch.zeros(4, 4)


def _tokens() -> Tensor:
    return torch.zeros(1, 3, dtype=torch.long)


def _function(function: Callable[..., Any]) -> Callable[[], nn.Module]:
    return lambda: Function(function)


SHAPE, BOTH, ORDER = frozenset({"shape"}), frozenset({"breaking", "shape"}), frozenset({"order"})

SMALL: list[SmallEdit] = [
    SmallEdit(
        name="conv kernel",
        before=Net,
        after=lambda: Net(kernel=5),
        classes=SHAPE,
        lines="""
        graph of Net changed: ops 6 (same), params 402 → 914
          @ Net
            ~ conv: weight[8, 4, 3, 3] → [8, 4, 5, 5]; f32[1, 8, 8, 8] → f32[1, 8, 6, 6]
          … 2 shape changes downstream follow (first: norm)
        """,
    ),
    SmallEdit(
        name="conv stride",
        before=Net,
        after=lambda: Net(stride=2),
        lines="""
        graph of Net changed: ops 6 (same), params 402 (same)
          @ Net
            ~ conv: stride default → 2; f32[1, 8, 8, 8] → f32[1, 8, 4, 4]
          … 2 shape changes downstream follow (first: norm)
        """,
    ),
    SmallEdit(
        name="conv groups",
        before=Net,
        after=lambda: Net(groups=2),
        lines="""
        graph of Net changed: ops 6 (same), params 402 → 258
          @ Net
            ~ conv: groups default → 2; weight[8, 4, 3, 3] → [8, 2, 3, 3]
        """,
    ),
    SmallEdit(
        name="linear width",
        before=Net,
        after=lambda: Net(width=20),
        classes=SHAPE,
        lines="""
        graph of Net changed: ops 6 (same), params 402 → 492
          @ Net
            ~ fc: weight[10, 8] → [20, 8]; bias[10] → [20]; f32[1, 10] → f32[1, 20]
        """,
    ),
    SmallEdit(
        name="bias removed",
        before=Net,
        after=lambda: Net(bias=False),
        lines="""
        graph of Net changed: ops 6 (same), params 402 → 392
          @ Net
            ~ fc: bias removed
        """,
    ),
    SmallEdit(
        name="leaky slope",
        before=lambda: Net(activation=lambda: nn.LeakyReLU(0.1)),
        after=lambda: Net(activation=lambda: nn.LeakyReLU(0.2)),
        lines="""
        graph of Net changed: ops 6 (same), params 402 (same)
          @ Net
            ~ act: negative_slope 0.1 → 0.2
        """,
    ),
    SmallEdit(
        name="softmax dim",
        before=_function(lambda self, x: x.softmax(-1)),
        after=_function(lambda self, x: x.softmax(1)),
        lines="""
        graph of Function changed: ops 1 (same), params 0 (same)
          @ Function
            ~ softmax: dim -1 → 1
        """,
    ),
    SmallEdit(
        name="batch-norm eps",
        before=Net,
        after=lambda: Net(eps=1e-3),
        lines="""
        graph of Net changed: ops 6 (same), params 402 (same)
          @ Net
            ~ norm: eps default → 0.001
        """,
    ),
    SmallEdit(
        name="x * 2 to x * 3",
        before=_function(lambda self, x: (x * 2).relu()),
        after=_function(lambda self, x: (x * 3).relu()),
        lines="""
        graph of Function changed: ops 2 (same), params 0 (same)
          @ Function
            ~ mul: other 2 → 3
        """,
    ),
    SmallEdit(
        name="mean dim",
        before=_function(lambda self, x: x.mean(2).relu()),
        after=_function(lambda self, x: x.mean(3).relu()),
        lines="""
        graph of Function changed: ops 2 (same), params 0 (same)
          @ Function
            ~ mean: dim 2 → 3
        """,
    ),
    SmallEdit(
        name="reshape target",
        before=_function(lambda self, x: x.reshape(2, 128).relu()),
        after=_function(lambda self, x: x.reshape(4, 64).relu()),
        lines="""
        graph of Function changed: ops 2 (same), params 0 (same)
          @ Function
            ~ reshape: shape[0] 2 → 4, shape[1] 128 → 64; f32[2, 128] → f32[4, 64]
          … 1 shape change downstream follows (first: relu)
        """,
    ),
    SmallEdit(
        name="slice",
        before=_function(lambda self, x: x[:, :3].relu()),
        after=_function(lambda self, x: x[:, 3:].relu()),
        lines="""
        graph of Function changed: ops 2 (same), params 0 (same)
          @ Function
            ~ getitem: [:, :3] → [:, 3:]; f32[1, 3, 8, 8] → f32[1, 1, 8, 8]
          … 1 shape change downstream follows (first: relu)
        """,
    ),
    SmallEdit(
        name="weights untied",
        before=lambda: Tied(True),
        after=lambda: Tied(False),
        inputs=_tokens,
        lines="""
        graph of Tied changed: ops 2 (same), params 40 → 80
          @ Tied
            ~ head: weight untied from embedding.weight
        """,
    ),
    SmallEdit(
        name="weights tied",
        before=lambda: Tied(False),
        after=lambda: Tied(True),
        inputs=_tokens,
        lines="""
        graph of Tied changed: ops 2 (same), params 80 → 40
          @ Tied
            ~ head: weight tied to embedding.weight
        """,
    ),
    SmallEdit(
        name="dropout p",
        before=Net,
        after=lambda: Net(dropout=0.1),
        lines="""
        graph of Net changed: ops 6 (same), params 402 (same)
          @ Net
            ~ drop: p default → 0.1
        """,
    ),
    SmallEdit(
        name="input size",
        before=Net,
        after=Net,
        inputs_after=lambda: torch.zeros(1, 4, 16, 8),
        classes=SHAPE,
        lines="""
        graph of Net changed: ops 6 (same), params 402 (same)
          @ Net
            ~ input x: f32[1, 4, 8, 8] → f32[1, 4, 16, 8]
          … 3 shape changes downstream follow (first: conv)
        """,
    ),
    SmallEdit(
        name="module renamed",
        before=Two,
        after=lambda: _named(Renamed(), "Two"),
        inputs=_rows,
        lines="""
        graph of Two changed: ops 3 (same), params 30 (same)
          @ Two
            ~ stem renamed to embed
        """,
    ),
    SmallEdit(
        name="module nested",
        before=Two,
        after=lambda: Two(is_nested=True),
        inputs=_rows,
        lines="""
        graph of Two changed: ops 3 (same), params 30 (same)
          @ Two
            ~ stem wrapped: Linear → Sequential(0: Linear)
        """,
    ),
    SmallEdit(
        name="operand order",
        before=_function(lambda self, x: x.relu() + x.tanh()),
        after=_function(lambda self, x: _swapped(x.relu(), x.tanh())),
        lines="""
        graph of Function changed: ops 3 (same), params 0 (same)
          @ Function
            ~ add: inputs 0 and 1 swapped
        """,
    ),
    SmallEdit(
        name="relu to gelu, function",
        before=_function(lambda self, x: F.relu(x).tanh()),
        after=_function(lambda self, x: F.gelu(x).tanh()),
        lines="""
        graph of Function changed: ops 2 (same), params 0 (same)
          @ Function
            ~ relu → gelu   x → · → tanh
        """,
    ),
    SmallEdit(
        name="relu to gelu, module",
        before=Net,
        after=lambda: Net(activation=nn.GELU),
        lines="""
        graph of Net changed: ops 6 (same), params 402 (same)
          @ Net
            ~ act: ReLU relu → GELU gelu   norm → · → mean
        """,
    ),
    SmallEdit(
        name="float to double",
        before=Net,
        after=Net,
        dtype_after=torch.float64,
        classes=SHAPE,
        lines="""
        graph of Net changed: ops 6 (same), params 402 (same)
          @ Net
            ~ input x: f32[1, 4, 8, 8] → f64[1, 4, 8, 8]
          … 6 dtype changes downstream follow (first: conv)
        """,
    ),
    SmallEdit(
        name="zeros to ones",
        before=_function(lambda self, x: x + torch.zeros(8)),
        after=_function(lambda self, x: x + torch.ones(8)),
        lines="""
        graph of Function changed: ops 2 (same), params 0 (same)
          @ Function
            ~ zeros(size=(8,)) → ones(size=(8,))   · → add
        """,
    ),
    SmallEdit(
        name="passes of a loop",
        before=lambda: Cells(4),
        after=lambda: Cells(6),
        inputs=_rows,
        lines="""
        graph of Cells changed: ops 4 → 6, params 120 (same)
          @ Cells
            ~ passes of the loop over cell#2: 3 → 5
        """,
    ),
    SmallEdit(
        name="op inserted",
        before=_function(lambda self, x: (x + 1).relu()),
        after=_function(lambda self, x: ((x + 1) * 0.5).relu()),
        lines="""
        graph of Function changed: ops 2 → 3, params 0 (same)
          @ Function
            + mul(other=0.5)   add → · → relu   f32[1, 4, 8, 8]
        """,
    ),
    SmallEdit(
        name="op removed",
        before=_function(lambda self, x: ((x + 1) * 0.5).relu()),
        after=_function(lambda self, x: (x + 1).relu()),
        lines="""
        graph of Function changed: ops 3 → 2, params 0 (same)
          @ Function
            - mul(other=0.5)   add → · → relu   f32[1, 4, 8, 8]
        """,
    ),
    SmallEdit(
        name="result added",
        before=_function(lambda self, x: (x.relu(), x.tanh())),
        after=_function(lambda self, x: (x.relu(), x.tanh(), x.relu().sum())),
        lines="""
        graph of Function changed: ops 2 → 4, params 0 (same)
          @ Function
            + relu   x → · → sum   f32[1, 4, 8, 8]
            + sum   relu#2 → · → return   f32[]
            ~ returns sum too
            ~ outputs: + output.2
        """,
    ),
    SmallEdit(
        name="branches in another order",
        before=lambda: Branches(True),
        after=lambda: Branches(False),
        inputs=_rows,
        classes=ORDER,
        lines="""
        graph of Branches changed: ops 5 (same), params 40 (same)
          @ Branches
            ↕ left: Linear linear, relu run after relu#2, not after x
        """,
    ),
    SmallEdit(
        name="twins in another order",
        before=lambda: Twins(True),
        after=lambda: Twins(False),
        inputs=_rows,
        classes=ORDER,
    ),
]


def _swapped(a: Tensor, b: Tensor) -> Tensor:
    return b + a


def _named(model: nn.Module, name: str) -> nn.Module:
    type(model).__name__ = type(model).__qualname__ = name
    return model
