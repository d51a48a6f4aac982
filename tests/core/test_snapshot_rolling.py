"""Loops: what is a pass of one, and how values, numbers and sizes are written that differ from pass to pass."""

import random

import programs
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from snapshots import ROWS, checked, model, text
from torch import nn
from unrolled import as_recorded, recorded, unrolled

import torchlens_core as tl
from torchlens_core.snapshot import read_snapshot, rolling, take_snapshot
from torchlens_core.snapshot.naming import written_name


def test_a_loop_is_written_once():
    def forward(self, x):
        for _ in range(4):
            x = x.sin() + 1
        return x

    expected = """\
model Model
input x -> f32[2, 3]
loop x4 passes
  sin(x~add) -> f32[2, 3]
  add(_, other=1) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(model(forward), ROWS) == expected


def test_loops_in_loops_say_which_carries():
    def forward(self, x):
        for _ in range(2):
            x = x.cos()
            for _ in range(3):
                x = x.sin()
        return x

    expected = """\
model Model
input x -> f32[2, 3]
loop x2 passes
  cos(x~sin) -> f32[2, 3]
  loop x3 passes
    sin(cos~sin) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(model(forward), ROWS) == expected


def test_what_only_the_outer_loop_carries():
    def forward(self, x):
        for _ in range(2):
            before = x
            for _ in range(3):
                x = before.sin()
        return x

    expected = """\
model Model
input x -> f32[2, 3]
loop x2 passes
  loop x3 passes
    sin(x~~sin) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(model(forward), ROWS) == expected


def test_numbers_that_grow():
    def forward(self, x):
        for number in range(2, 14, 3):
            x = x + number
        return x

    expected = """\
model Model
input x -> f32[2, 3]
loop x4 passes
  add(x~add, other=2..11) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(model(forward), ROWS) == expected


def test_sizes_that_grow():
    def forward(self, x):
        for _ in range(4):
            x = torch.cat([x, x[:1]])
        return x

    expected = """\
model Model
input x -> f32[2, 3]
loop x4 passes
  getitem(x~cat, [:1]) -> f32[1, 3]
  cat([x~cat, _]) -> f32[3..6, 3]
output = _ -> f32[6, 3]
end
"""
    assert text(model(forward), ROWS) == expected


def test_two_numbers_are_no_progression():
    def forward(self, x):
        for number in (1, 5):
            x = x + number
        return x

    expected = """\
model Model
input x -> f32[2, 3]
add(_, other=1) -> f32[2, 3]
add(_, other=5) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(model(forward), ROWS) == expected


def test_results_taken_one_after_the_other():
    def forward(self, x):
        total = x[0]
        for row in x.unbind():
            total = total * row
        return total

    expected = """\
model Model
input x -> f32[5, 2]
getitem(_, [0]) -> f32[2]
unbind(x) -> f32[2] x5
loop x5 passes
  mul(getitem~mul, unbind[0..4]) -> f32[2]
output = _ -> f32[2]
end
"""
    assert text(model(forward), torch.rand(5, 2)) == expected


def test_passes_read_after_the_loop():
    def forward(self, x):
        rows = []
        for _ in range(5):
            x = x.sin()
            rows.append(x)
        return torch.stack(rows), torch.stack(rows[1:]), rows[1], x

    expected = """\
model Model
input x -> f32[2, 3]
loop x5 passes
  sin(x~sin) -> f32[2, 3]
stack([sin:*]) -> f32[5, 2, 3]
stack([sin:2..5]) -> f32[4, 2, 3]
output.0 = stack -> f32[5, 2, 3]
output.1 = _ -> f32[4, 2, 3]
output.2 = sin:2 -> f32[2, 3]
output.3 = sin -> f32[2, 3]
end
"""
    assert text(model(forward), ROWS) == expected


def test_passes_of_a_loop_in_a_loop():
    def forward(self, x):
        rows = []
        for _ in range(2):
            for _ in range(3):
                x = x.sin()
                rows.append(x)
            x = x + rows[-3]
        return rows[0] + rows[4]

    expected = """\
model Model
input x -> f32[2, 3]
loop x2 passes
  loop x3 passes
    sin(x~~add~sin) -> f32[2, 3]
  add(_, sin:1) -> f32[2, 3]
add(sin:1:1, sin:2:2) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(model(forward), ROWS) == expected


def test_a_module_in_a_loop():
    def forward(self, x):
        state = torch.zeros(2, 3)
        for step in x.unbind(1):
            state = self.cell(step, state)
        return state

    expected = """\
model Model
input x -> f32[2, 5, 4]
zeros(size=(2, 3)) -> f32[2, 3]
unbind(x, dim=1) -> f32[2, 4] x5
loop x5 passes
  cell: RNNCell rnn_tanh_cell(unbind[0..4], zeros~cell, @weight_ih, @weight_hh, @bias_ih, @bias_hh) -> f32[2, 3] | weight_ih[3, 4] weight_hh[3, 3] bias_ih[3] bias_hh[3]
output = _ -> f32[2, 3]
end
"""  # noqa: E501
    assert text(model(forward, cell=nn.RNNCell(4, 3)), torch.rand(2, 5, 4)) == expected


def test_a_body_whose_sizes_grow_with_the_passes_around_it():
    def forward(self, x):
        kept = x
        for _ in range(4):
            kept = torch.cat([kept, self.inner(kept)[:1]])
        return kept

    expected = """\
model Model
input x -> f32[2, 3]
loop x4 passes
  inner: Sequential(x~cat)
    0: Tanh tanh($0) -> f32[2..5, 3]
    1: Sigmoid sigmoid(_) -> f32[2..5, 3]
  getitem(_, [:1]) -> f32[1, 3]
  cat([x~cat, _]) -> f32[3..6, 3]
output = _ -> f32[6, 3]
end
"""
    assert text(model(forward, inner=nn.Sequential(nn.Tanh(), nn.Sigmoid())), ROWS) == expected


def test_contents_of_several_writers_are_carried():
    def forward(self, x, y):
        for _ in range(3):
            x = x.clone()
            x[:, 0].mul_(y[:, 2])
        return x

    expected = """\
model Model
input x -> f32[2, 3]
input y -> f32[2, 3]
loop x3 passes
  clone(x~{clone, mul_}) -> f32[2, 3]
  getitem(_, [:, 0]) -> f32[2]
  getitem(y, [:, 2]) -> f32[2]
  mul_(getitem, _) -> f32[2]
output = {clone, _} -> f32[2, 3]
end
"""
    assert text(model(forward), ROWS, ROWS + 1) == expected


def test_a_pass_that_differs_stands_apart():
    def forward(self, x):
        for number in range(5):
            x = x.sin() if number != 2 else x.sin() * 2
        return x

    expected = """\
model Model
input x -> f32[2, 3]
loop x2 passes
  sin(x~sin) -> f32[2, 3]
sin(_) -> f32[2, 3]
mul(_, other=2) -> f32[2, 3]
loop x2 passes
  sin#3(mul~sin#3) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(model(forward), ROWS) == expected


# -- against the expansion of a text into its graph --------------------------------------------------


def _graph_of(history, monkeypatch):
    """What the text says, and what it would say without loops."""
    read = unrolled(read_snapshot(str(take_snapshot(history))).outline)
    with monkeypatch.context() as patched:
        patched.setattr(rolling, "rolled", lambda items, returns: (items, returns))
        return read, unrolled(take_snapshot(history).outline)


def _check(source, monkeypatch):
    with torch.no_grad():
        history = tl.get_model_metadata(programs.model(source), programs.inputs())
    checked(history)
    rolled, flat = _graph_of(history, monkeypatch)
    assert rolled == flat
    assert as_recorded(rolled) == recorded(history.recording, written_name)


@pytest.mark.parametrize("seed", range(80))
def test_random_programs_mean_what_ran(seed, monkeypatch):
    rng = random.Random(seed)
    _check(programs.source(rng, classes=rng.randint(1, 3), lines=rng.randint(2, 9)), monkeypatch)


@pytest.mark.long
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(rng=st.randoms(use_true_random=True))
def test_many_random_programs_mean_what_ran(rng):
    with pytest.MonkeyPatch.context() as monkeypatch:
        _check(programs.source(rng, classes=rng.randint(1, 3), lines=rng.randint(2, 9)), monkeypatch)


#: Lines of a loop body that move values about, so that many ways to carry them come up.
_MOVES = [
    "a = b",
    "b = a",
    "c = a",
    "a = c",
    "a = x",
    "a = a.sin()",
    "a = b.sin()",
    "b = a.sin()",
    "a = a + b",
]


def _loops(rng):
    lines, depth = ["def forward(self, x, b):", "  a = c = x"], rng.choice([1, 2, 2, 3])
    for level in range(depth):
        lines.append(f"{'  ' * (level + 1)}for {'ijk'[level]} in range({rng.choice([2, 3, 3])}):")
        lines += ["  " * (level + 2) + rng.choice(_MOVES) for _ in range(rng.randint(0, 2))]
    lines.append("  " * (depth + 1) + rng.choice(_MOVES))
    for level in range(depth - 1, 0, -1):
        lines += ["  " * (level + 1) + rng.choice(_MOVES) for _ in range(rng.randint(0, 2))]
    return "\n".join([*lines, "  return a, b"])


def _made(source):
    names = {}
    exec(compile(source, "<loops>", "exec"), names)
    return model(names["forward"])


def test_other_loops_have_other_texts():
    """No two programs share a text that did not do the same."""
    rng, known = random.Random(1), {}
    for _ in range(250):
        source = _loops(rng)
        with torch.no_grad():
            history = tl.get_model_metadata(_made(source), [ROWS, ROWS + 1])
        graph = recorded(history.recording, written_name)
        assert known.setdefault(checked(history), graph) == graph, source


def test_what_the_expansion_notices(monkeypatch):
    """Control: a text whose loop carries another value means another graph."""

    def forward(self, x, y):
        for _ in range(3):
            x = x.sin() + y
        return x

    history = tl.log_forward_pass(model(forward), [ROWS, ROWS + 1])
    said = str(take_snapshot(history))
    _, flat = _graph_of(history, monkeypatch)
    assert unrolled(read_snapshot(said).outline) == flat
    assert unrolled(read_snapshot(said.replace("x~add", "x~sin")).outline) != flat
    assert unrolled(read_snapshot(said.replace("loop x3", "loop x4")).outline) != flat
