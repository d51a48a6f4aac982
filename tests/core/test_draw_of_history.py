"""Histories as sheets: a box a layer or a pass, modules, loops, buffers, gradients."""

from __future__ import annotations

import pytest
import torch
from drawn import edges, lines
from models import Of, With
from torch import nn

import torchlens_core as tl
from torchlens_core.draw.composing import compose
from torchlens_core.draw.of_history import tree_of_history
from torchlens_core.draw.opening import open_to_depth


def sheet_of(model, *inputs, depth=99, rolled=True, **options):
    history = tl.log_forward_pass(model, list(inputs), save_gradients=options.get("gradients", False))
    if options.get("gradients"):
        history[-1].tensor_contents.sum().backward()
    tree = tree_of_history(history, rolled=rolled, **options)
    return compose(tree, open_to_depth(tree, depth))


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.register_buffer("shift", torch.ones(3))

    def forward(self, x):
        return torch.tanh(self.fc(x) + self.shift)


class Net(nn.Module):
    """A module called twice, one with two inside, a buffer, a condition."""

    def __init__(self):
        super().__init__()
        self.inner = Inner()
        self.outer = nn.Sequential(nn.Linear(3, 3), nn.ReLU())

    def forward(self, x):
        for _ in range(2):
            x = self.inner(x)
        if x.sum() > -9.0:
            x = self.outer(x)
        return x * 2


X = torch.rand(2, 3)


def test_rolled():
    sheet = sheet_of(Net(), X)
    assert lines(sheet) == [
        "input | 2×3 x",
        "[inner Inner 12 ↻ 2]",
        "  linear(3→3) 12 | 2×3 fc",
        "  add | 2×3",
        "  tanh | 2×3",
        "sum | scalar",
        "gt(-9.0) | bool scalar",
        "bool(to Python) | = True",
        "[outer Sequential 12]",
        "  linear(3→3) 12 | 2×3 0",
        "  relu | 2×3 1",
        "mul(2) | 2×3",
        "output | 2×3",
    ]
    assert edges(sheet) == [
        *(
            "input -> linear",
            "linear -> add",
            "add -> tanh",
            "tanh -> linear back",
            "tanh -> sum",
            "sum -> gt",
        ),
        *("gt -> bool", "tanh -> linear", "linear -> relu", "relu -> mul", "mul -> output"),
    ]
    assert (sheet.title, sheet.subtitle) == ("Net", "11 ops · 24 params")


def test_unrolled():
    sheet = sheet_of(Net(), X, rolled=False)
    assert [line for line in lines(sheet) if line[0] == "["] == [
        "[inner Inner 12]",
        "[inner:2 Inner 12]",
        "[outer Sequential 12]",
    ]
    assert "↻" not in "".join(lines(sheet))
    assert len(sheet.edges) == len(sheet.boxes) - 1, "no way back: it is a tree here"


@pytest.mark.parametrize(
    ("rolled", "shown"),
    [
        (True, ["inner(Inner) 12 ↻ 2 | 2×3 3 ops"]),
        (False, ["inner(Inner) 12 | 2×3 3 ops", "inner:2(Inner) 12 | 2×3 3 ops"]),
    ],
)
def test_closed(rolled, shown):
    assert [line for line in lines(sheet_of(Net(), X, depth=1, rolled=rolled)) if "Inner" in line] == shown


def test_what_ran_equally_often_stands_in_a_loop():
    def loop(x):
        for _ in range(3):
            x = (x + 1).relu()
        return x

    sheet = sheet_of(Of(loop), X)
    assert lines(sheet) == ["input | 2×3 args.0", "[↻ 3]", "  add(1) | 2×3", "  relu | 2×3", "output | 2×3"]
    assert "relu -> add back" in edges(sheet)


def test_one_op_that_runs_several_times():
    def loop(x):
        for _ in range(3):
            x = x.relu()
        return x

    sheet = sheet_of(Of(loop), X)
    assert "relu ↻ 3 | 2×3" in lines(sheet)
    assert "relu -> relu back" in edges(sheet)


def test_what_runs_on_one_line_without_reading_each_other_is_no_loop():
    """``[f(a), f(b)]``: one box would mix what comes of both."""

    def both(x, y):
        x, y = [one.transpose(1, 0) for one in (x, y)]
        return x.exp() + y.sin()

    sheet = sheet_of(Of(both), X, X)
    assert "↻" not in "".join(lines(sheet))
    assert [one for one in edges(sheet) if "transpose" in one] == [
        "input -> transpose",
        "input -> transpose",
        "transpose -> exp",
        "transpose -> sin",
    ]


def test_many_of_them_are_one_box_and_called_parallel():
    sheet = sheet_of(Of(lambda x: torch.stack([x * n for n in range(20)])), X)
    assert "mul(0 … 19) ×20 in parallel | 2×3" in lines(sheet)


def test_two_calls_of_a_composite_are_two_frames():
    def forward(x):
        return nn.functional.normalize(x) @ nn.functional.normalize(x * 2).T

    frames = [line for line in lines(sheet_of(Of(forward), X)) if "normalize" in line]
    assert len(frames) == 2


def test_shapes_that_differ_from_pass_to_pass():
    def shorter(model, x):
        while len(x) > 1:
            x = model.fc(x)[1:]
        return x

    sheet = sheet_of(With(shorter, fc=nn.Linear(3, 3)), torch.rand(4, 3))
    assert any("| 4×3 … 2×3 fc" in line for line in lines(sheet))


def test_parameters_that_are_read_are_named():
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.positions = nn.Parameter(torch.ones(3))

        def forward(self, x):
            return x + self.positions

    assert "add 3 | 2×3 positions" in lines(sheet_of(Positions(), X))


def test_closed_modules_have_the_shape_of_what_they_return():
    class Early(nn.Module):
        def forward(self, x):
            kept = x.exp()
            x.sum()
            return kept

    sheet = sheet_of(nn.Sequential(Early()), X, depth=1)
    assert "0(Early) | 2×3 2 ops" in lines(sheet)


def test_recursion_leaves_no_empty_frames():
    def forward(model, tree):
        if isinstance(tree, torch.Tensor):
            return model.leaf(tree)
        return model.merge(torch.cat([forward(model, one) for one in tree], -1))

    model = With(forward, leaf=nn.Sequential(nn.Linear(2, 2), nn.Tanh()), merge=nn.Linear(4, 2))
    a, b, c = torch.rand(3, 2)
    sheet = sheet_of(model, (a, (b, c)))
    assert [line for line in lines(sheet) if "leaf" in line] == ["[leaf Sequential 6 ↻ 3]"]
    assert not any(line.startswith("[merge") for line in lines(sheet))


def test_buffers_stand_beside_their_readers():
    sheet = sheet_of(Net(), X, buffers=True)
    assert "  shift(buffer) | 3" in lines(sheet)
    assert "shift -> add" in edges(sheet)
    assert not any("weight" in line for line in lines(sheet))


def test_parameters():
    sheet = sheet_of(nn.Linear(3, 2), X, parameters=True)
    assert {"weight -> linear", "bias -> linear"} <= set(edges(sheet))


def test_which_of_several_results_is_read():
    def halves(x):
        a, b = x.chunk(2, 0)
        return a * b.exp()

    sheet = sheet_of(Of(halves), X)
    assert {"chunk -> mul [0]", "chunk -> exp [1]"} <= set(edges(sheet))
    assert "chunk(2) | 1×3, 1×3" in lines(sheet)


def test_gradients_run_back():
    sheet = sheet_of(Of(lambda x: x.exp().sum()), X.clone().requires_grad_(), gradients=True)
    assert [one for one in edges(sheet) if "gradient" in one] == [
        "exp -> input gradient",
        "sum -> exp gradient",
        "output -> sum gradient",
    ]


def test_composites_are_frames():
    attention = nn.MultiheadAttention(4, 2)
    x = torch.rand(3, 1, 4)
    sheet = sheet_of(attention, x, x, x)
    assert any(line.startswith("[multi_head_attention_forward function") for line in lines(sheet))
    closed = sheet_of(attention, x, x, x, depth=1)
    assert any(line.startswith("multi_head_attention_forward(function)") for line in lines(closed))


def test_nothing():
    assert lines(sheet_of(Of(lambda: None))) == []


def test_memory_that_is_overwritten_unread():
    def forward(x):
        kept = torch.zeros(4, 3)
        kept[1:3].copy_(x)
        return kept.exp()

    sheet = sheet_of(Of(forward), X)
    assert "getitem -> copy_ memory" in edges(sheet)
    assert "getitem -> copy_" not in edges(sheet)
