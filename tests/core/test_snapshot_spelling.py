"""How ops are spelled: one text for one structure however it is written, other texts for other structures."""

import enum

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from snapshots import model, text
from torch import nn

_libraries = []


@pytest.fixture(scope="module", autouse=True)
def custom_ops():
    """Ops of the same name in two libraries."""
    for name in ("onelens", "twolens"):
        library = torch.library.Library(name, "DEF")
        library.define("same(Tensor x) -> Tensor")
        library.define("add(Tensor self, Tensor other) -> Tensor")
        library.define("said(Tensor x, str text, str more='<') -> Tensor")
        library.impl("same", lambda x: x * 1, "CompositeExplicitAutograd")
        library.impl("add", lambda x, y: x * y, "CompositeExplicitAutograd")
        library.impl("said", lambda x, text, more="<": x * 1, "CompositeExplicitAutograd")
        _libraries.append(library)


X, Y = torch.linspace(0.1, 0.9, 9).reshape(3, 3), torch.linspace(0.9, 0.2, 9).reshape(3, 3)


def _text(function):
    """The text of a model of two inputs with some state, which is one function of all."""
    one = model(function, p=nn.Linear(3, 3), q=nn.Linear(3, 3))
    for name in ("a", "b"):
        one.register_buffer(name, torch.zeros(3, 3))
    for name in ("w", "v"):
        one.register_parameter(name, nn.Parameter(torch.ones(3, 3)))
    return text(one, X, Y)


def _op(function):
    """The one line of its op."""
    lines = [line for line in _text(function).split("\n") if line and line.split()[0] not in _OTHERS]
    assert len(lines) == 1, lines
    return lines[0].partition(" -> ")[0]


_OTHERS = {"model", "input", "output", "unused", "end"}


@pytest.mark.parametrize(
    ("functions", "spelled"),
    [
        (
            [lambda s, x, y: x + y, lambda s, x, y: torch.add(x, y), lambda s, x, y: x.add(other=y)],
            "add(x, _)",
        ),
        (
            [lambda s, x, y: x + 2, lambda s, x, y: 2 + x, lambda s, x, y: x.add(2, alpha=1)],
            "add(x, other=2)",
        ),
        (
            [lambda s, x, y: x / y, lambda s, x, y: torch.true_divide(x, y), lambda s, x, y: x.divide(y)],
            "div(x, _)",
        ),
        (
            [lambda s, x, y: x @ y, lambda s, x, y: torch.matmul(x, y), lambda s, x, y: x.matmul(y)],
            "matmul(x, _)",
        ),
        ([lambda s, x, y: -x, lambda s, x, y: x.negative(), lambda s, x, y: torch.neg(x)], "neg(x)"),
        ([lambda s, x, y: x > y, lambda s, x, y: x.greater(y), lambda s, x, y: torch.gt(x, y)], "gt(x, _)"),
        (
            [lambda s, x, y: x.clip(0, 1), lambda s, x, y: torch.clamp(x, min=0, max=1)],
            "clamp(x, min=0, max=1)",
        ),
        ([lambda s, x, y: torch.cat([x, y]), lambda s, x, y: torch.concat((x, y), axis=0)], "cat([x, _])"),
        (
            [lambda s, x, y: x.sum(1), lambda s, x, y: torch.sum(x, dim=(1,)), lambda s, x, y: x.sum([1])],
            "sum(x, dim=1)",
        ),
        (
            [lambda s, x, y: x.sum(1, True), lambda s, x, y: x.sum(axis=1, keepdims=True)],
            "sum(x, dim=1, keepdim=True)",
        ),
        (
            [lambda s, x, y: x.view(1, 9), lambda s, x, y: x.view((1, 9)), lambda s, x, y: x.view([1, 9])],
            "view(x, size=(1, 9))",
        ),
        ([lambda s, x, y: x.view(9), lambda s, x, y: x.view((9,))], "view(x, size=(9,))"),
        (
            [lambda s, x, y: x.permute(1, 0), lambda s, x, y: torch.permute(x, (1, 0))],
            "permute(x, dims=(1, 0))",
        ),
        ([lambda s, x, y: x.softmax(-1), lambda s, x, y: F.softmax(x, dim=-1)], "softmax(x, dim=-1)"),
        ([lambda s, x, y: F.relu(x), lambda s, x, y: torch.relu(x), lambda s, x, y: x.relu()], "relu(x)"),
        (
            [
                lambda s, x, y: F.relu(x, inplace=True),
                lambda s, x, y: torch.relu_(x),
                lambda s, x, y: x.relu_(),
            ],
            "relu_(x)",
        ),
        (
            [lambda s, x, y: x.transpose(0, 1), lambda s, x, y: x.swapaxes(0, 1)],
            "transpose(x, dim0=0, dim1=1)",
        ),
        (
            [
                lambda s, x, y: x.sum(np.int64(1)),
                lambda s, x, y: x.sum(_Number.ONE),
                lambda s, x, y: x.sum(_Int(1)),
            ],
            "sum(x, dim=1)",
        ),
        (
            [
                lambda s, x, y: x.to(torch.float64),
                lambda s, x, y: x.to(dtype=torch.float64),
                lambda s, x, y: x.to("cpu", torch.float64),
            ],
            "to(x, dtype=f64)",
        ),
        (
            [
                lambda s, x, y: torch.zeros(3, 2),
                lambda s, x, y: torch.zeros((3, 2), device="cpu"),
                lambda s, x, y: torch.zeros(size=[3, 2]),
            ],
            "zeros(size=(3, 2))",
        ),
    ],
)
def test_one_op_however_it_is_called(functions, spelled):
    assert [_op(function) for function in functions] == [spelled] * len(functions)


class _Int(int):
    pass


class _Number(enum.IntEnum):
    ONE = 1


def _after(write):
    """A model that writes something, and returns something else."""

    def forward(self, x, y):
        write(self, x, y)
        return x * 1

    return forward


def _item(index):
    def forward(self, x, y):
        z = x.clone()
        z[index] = 3
        return z

    return forward


def _written(which):
    def forward(self, x, y):
        z, u = x.clone(), x.clone()
        (z, u)[which].copy_(y)
        return z + u * 2

    return forward


#: Two models each, which are not the same.
_PAIRS = {
    "operands": (lambda s, x, y: x - y, lambda s, x, y: y - x),
    "number left": (lambda s, x, y: 1 - x, lambda s, x, y: x - 1),
    "exponent": (lambda s, x, y: 2**x, lambda s, x, y: x**2),
    "divisor": (lambda s, x, y: 2 / x, lambda s, x, y: x / 2),
    "floor": (lambda s, x, y: x // 2, lambda s, x, y: 2 // x),
    "remainder": (lambda s, x, y: x % 2, lambda s, x, y: 2 % x),
    "rounding": (
        lambda s, x, y: torch.div(x, y, rounding_mode="floor"),
        lambda s, x, y: torch.div(x, y, rounding_mode="trunc"),
    ),
    "alpha": (lambda s, x, y: torch.add(x, y, alpha=2), lambda s, x, y: torch.add(x, y)),
    "number": (lambda s, x, y: x * 2, lambda s, x, y: x * 3),
    "zeros and ones": (lambda s, x, y: torch.zeros(3) * x, lambda s, x, y: torch.ones(3) * x),
    "dim of mean": (lambda s, x, y: x.mean(0), lambda s, x, y: x.mean(1)),
    "dim of softmax": (lambda s, x, y: x.softmax(0), lambda s, x, y: x.softmax(1)),
    "slice": (lambda s, x, y: x[:, :2], lambda s, x, y: x[:, 1:]),
    "step": (lambda s, x, y: x[::2], lambda s, x, y: x[1:]),
    "order of cat": (lambda s, x, y: torch.cat([x, y]), lambda s, x, y: torch.cat([y, x])),
    "parameters": (lambda s, x, y: x * s.w + s.v, lambda s, x, y: x * s.v + s.w),
    "buffers": (lambda s, x, y: x * s.a + s.b, lambda s, x, y: x * s.b + s.a),
    "modules": (lambda s, x, y: s.p(x) + s.q(y), lambda s, x, y: s.q(x) + s.p(y)),
    "order of modules": (lambda s, x, y: s.q(s.p(x)), lambda s, x, y: s.p(s.q(x))),
    "parameter of a function": (
        lambda s, x, y: F.linear(x, s.p.weight),
        lambda s, x, y: F.linear(x, s.q.weight),
    ),
    "bias": (lambda s, x, y: F.linear(x, s.w, s.a[0]), lambda s, x, y: F.linear(x, s.w)),
    "statistics": (
        lambda s, x, y: F.batch_norm(x, s.a[0], s.b[0]),
        lambda s, x, y: F.batch_norm(x, s.b[0], s.a[0]),
    ),
    "eps": (
        lambda s, x, y: F.batch_norm(x, s.a[0], s.b[0], eps=1e-3),
        lambda s, x, y: F.batch_norm(x, s.a[0], s.b[0]),
    ),
    "outputs": (lambda s, x, y: (x, y), lambda s, x, y: (y, x)),
    "keys": (lambda s, x, y: {"a": x, "b": y}, lambda s, x, y: {"b": x, "a": y}),
    "keys with dots": (lambda s, x, y: {"a": {"b": x}}, lambda s, x, y: {"a.b": x}),
    "keys that are numbers": (lambda s, x, y: {0: x, "0": y}, lambda s, x, y: {"0": x, 0: y}),
    "equation": (
        lambda s, x, y: torch.einsum("ij,jk->ik", x, y),
        lambda s, x, y: torch.einsum("ij,kj->ik", x, y),
    ),
    "branches": (lambda s, x, y: torch.where(x > 0, x, y), lambda s, x, y: torch.where(x > 0, y, x)),
    "bounds": (lambda s, x, y: x.clamp(0), lambda s, x, y: x.clamp(max=0)),
    "results": (
        lambda s, x, y: x.unbind()[0] + y.unbind()[1],
        lambda s, x, y: x.unbind()[1] + y.unbind()[0],
    ),
    "singular vectors": (lambda s, x, y: torch.svd(x)[2], lambda s, x, y: torch.linalg.svd(x)[2]),
    "default dim": (lambda s, x, y: torch.cross(x, y), lambda s, x, y: torch.linalg.cross(x, y)),
    "norm": (lambda s, x, y: torch.norm(x, 2), lambda s, x, y: torch.linalg.norm(x, 2)),
    "largest": (lambda s, x, y: x.topk(2, largest=False)[0], lambda s, x, y: x.topk(2)[0]),
    "padding": (lambda s, x, y: F.pad(x, (1, 0)), lambda s, x, y: F.pad(x, (0, 1))),
    "mode": (
        lambda s, x, y: F.pad(x[None], (1, 1), mode="reflect"),
        lambda s, x, y: F.pad(x[None], (1, 1), mode="replicate"),
    ),
    "approximation": (lambda s, x, y: F.gelu(x, approximate="tanh"), lambda s, x, y: F.gelu(x)),
    "start": (lambda s, x, y: torch.arange(0, 3) * x, lambda s, x, y: torch.arange(1, 4) * x),
    "value": (lambda s, x, y: torch.full((3, 3), 1.0) * x, lambda s, x, y: torch.full((3, 3), 2.0) * x),
    "causal": (
        lambda s, x, y: F.scaled_dot_product_attention(x, x, x, is_causal=True),
        lambda s, x, y: F.scaled_dot_product_attention(x, x, x),
    ),
    "bits": (lambda s, x, y: x.view(torch.int32) + 0, lambda s, x, y: x.to(torch.int32) + 0),
    "correction": (lambda s, x, y: x.std(0, correction=0), lambda s, x, y: x.std(0)),
    "in place": (lambda s, x, y: F.relu(x), lambda s, x, y: F.relu_(x)),
    "side": (
        lambda s, x, y: torch.bucketize(x, y[0], right=True),
        lambda s, x, y: torch.bucketize(x, y[0]),
    ),
    "same operand": (lambda s, x, y: (x > 0) & (x > 0), lambda s, x, y: (x > 0) & (y > 0)),
    "strides": (lambda s, x, y: x.as_strided((2, 2), (1, 2)), lambda s, x, y: x.as_strided((2, 2), (2, 1))),
    "probability": (lambda s, x, y: F.dropout(x, 0.3), lambda s, x, y: F.dropout(x, 0.4)),
    "generator": (lambda s, x, y: torch.rand(3) * x, lambda s, x, y: torch.randn(3) * x),
    "detached": (lambda s, x, y: x * y.detach(), lambda s, x, y: x * y),
    "buffer written": (_after(lambda s, x, y: s.a.copy_(y)), _after(lambda s, x, y: s.b.copy_(y))),
    "buffer cleared": (_after(lambda s, x, y: s.a.zero_()), _after(lambda s, x, y: s.b.zero_())),
    "row of a buffer": (
        _after(lambda s, x, y: s.a[0].copy_(y[0])),
        _after(lambda s, x, y: s.b[0].copy_(y[0])),
    ),
    "item of a buffer": (
        _after(lambda s, x, y: s.a.__setitem__(0, y[0])),
        _after(lambda s, x, y: s.b.__setitem__(0, y[0])),
    ),
    "out": (
        _after(lambda s, x, y: torch.add(x, y, out=s.a)),
        _after(lambda s, x, y: torch.add(x, y, out=s.b)),
    ),
    "input written": (
        lambda s, x, y: (x.copy_(s.a), s.b * 1)[1],
        lambda s, x, y: (y.copy_(s.a), s.b * 1)[1],
    ),
    "view written": (
        lambda s, x, y: (x.clone()[0].add_(1), x)[1],
        lambda s, x, y: (x.clone()[1].add_(1), x)[1],
    ),
    "which is written": (_written(0), _written(1)),
    "list and pair": (_item([0, 1]), _item((0, 1))),
    "table and pair of lists": (_item([[0, 1], [1, 2]]), _item(([0, 1], [1, 2]))),
    "new axis": (_item((0, None)), _item((None, 0))),
    "true and zero": (_item(True), _item(0)),
    "array": (lambda s, x, y: x[np.array([0, 1])], lambda s, x, y: x[np.array([1, 2])]),
    "range": (lambda s, x, y: x[range(2)], lambda s, x, y: x[range(1, 3)]),
    "number of a subclass": (lambda s, x, y: x.sum(_Int(0)), lambda s, x, y: x.sum(_Int(1))),
    "number of an enum": (lambda s, x, y: x.sum(_Number.ONE), lambda s, x, y: x.sum(0)),
    "library": (lambda s, x, y: torch.ops.onelens.same(x), lambda s, x, y: torch.ops.twolens.same(x)),
    "an op called as torch's": (lambda s, x, y: torch.ops.onelens.add(x, y), lambda s, x, y: x + y),
    "quotes": (
        lambda s, x, y: torch.ops.onelens.said(x, "a", "b"),
        lambda s, x, y: torch.ops.onelens.said(x, 'a", more="b'),
    ),
    "long words": (
        lambda s, x, y: torch.ops.onelens.said(x, "a" * 300),
        lambda s, x, y: torch.ops.onelens.said(x, "a" * 299 + "b"),
    ),
}


@pytest.mark.parametrize("pair", _PAIRS.values(), ids=_PAIRS)
def test_models_that_differ_have_texts_that_differ(pair):
    first, second = map(_text, pair)
    assert first != second


@pytest.mark.xfail(reason="values are not part of the structure, nor how memory is laid out", strict=True)
@pytest.mark.parametrize("inputs", [(X, Y), (X.to_sparse(), Y)], ids=["values", "layout"])
def test_what_the_text_does_not_say(inputs):
    def of(number, *args):
        return text(model(lambda self, x, y: torch.mm(x, y) * torch.tensor(number)), *args)

    assert of(2.0, X, Y) != of(2.0 if inputs[0] is not X else 3.0, *inputs)


_WORDS = [
    "",
    '"',
    "'",
    "\\",
    "\n",
    "\r\n",
    "\t",
    "<",
    "<a>",
    "{",
    ")",
    " | ",
    " -> ",
    " writes ",
    ", ",
    "a=b",
    "_",
    "x",
    "$0",
    "@w",
]
_WORDS += [
    "%41",
    "0..3",
    "~",
    "\u2028",
    "\x85",
    "\0",
    "\xe9",
    "\U0001f642",
    " = same as 0",
    "end",
    "x" * 300,
    "\N{WHITE SQUARE}",
]


@pytest.mark.parametrize("said", _WORDS)
def test_any_words_can_be_arguments(said):
    """The helper reads every text back."""
    written = _text(lambda s, x, y: torch.ops.onelens.said(x, said, said))
    assert "onelens.said(x, " in written
    assert len(written.split("\n")) == len(
        _text(lambda s, x, y: torch.ops.onelens.said(x, "-", "-")).split("\n")
    )


def test_an_unknown_overload_is_spelled_by_position():
    class Strange:
        pass

    assert _op(lambda s, x, y: torch.mul(input=x, other=3)) == "mul(x, other=3)"
    assert repr(Strange) not in _text(lambda s, x, y: x.masked_fill(y > 1, float("-inf")))
