"""A second pass beside the first: what changes with other sources, and nothing without."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from torchlens_core.compare import Tolerance
from torchlens_core.nodes import OP, OUTPUT
from torchlens_core.sweep import Change, Sweep, is_equal, sweep
from torchlens_core.trial import Trial


class Calling(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


X = torch.rand(2, 3) + 0.5
#: A number and no tensor: what a model finds outside, if it is a tensor, is a source and moved too.
TOTAL = X.sum().item()


def is_first(x: torch.Tensor) -> bool:
    """Whether ``x`` is `X`, and no other source."""
    return x.sum().item() == TOTAL


def swept(model: Any, *args: Any, change: Change = Change.SOURCES) -> Sweep:
    model = model if isinstance(model, nn.Module) else Calling(model)
    trial = Trial(model, args, {}, Tolerance(), None, 0, is_watched=False)
    try:
        return sweep(trial, change)
    finally:
        trial.restore()


def names(found: Sweep, indices: Any) -> list[str]:
    nodes = found.history.recording.nodes
    return [nodes[index].address or nodes[index].info.name for index in sorted(indices)]


def computed(found: Sweep) -> set[int]:
    return {node.index for node in found.history.recording.nodes if node.kind in (OP, OUTPUT)}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.drop = nn.Dropout()
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        self.steps += 1
        hidden = self.drop(self.norm(self.fc(x)))
        hidden[0] = hidden[1] * torch.rand(3)
        return hidden + torch.ones(3), self.steps


# -- without other sources ---------------------------------------------------------------------------


def test_nothing_changes_without_other_sources():
    found = swept(Net(), X, change=Change.NOTHING)
    assert (found.moved, found.changed, found.reshaped, found.escapes) == (set(), set(), set(), set())
    assert (found.numbers, found.parted, found.error) == ({}, None, None)
    assert found.common == len(found.history.recording.nodes)
    assert computed(found) <= found.seen


def test_much_does_with_them():
    """The control of the test above."""
    found = swept(Net(), X)
    assert set(names(found, found.moved)) >= {"input.0", "fc.weight", "fc.bias", "norm.running_mean"}
    assert {"linear", "batch_norm", "dropout"} <= set(names(found, found.changed))


def test_a_model_that_counts_changes_by_itself():
    count = [0]

    def counting(x):
        count[0] += 1
        return x + count[0]

    found = swept(counting, X, change=Change.NOTHING)
    assert names(found, found.changed) == ["add", "output"]


# -- with them ---------------------------------------------------------------------------------------


def test_what_changes_and_what_does_not():
    def mixed(x):
        return x * 2, x * 0, torch.ones(3) * 2, x.clamp(max=-1)

    found = swept(mixed, X)
    unchanged = found.seen - found.changed
    assert names(found, found.changed) == ["input.0", "mul", "output.0"]
    assert names(found, unchanged) == ["mul", "ones", "mul", "clamp", "output.1", "output.2", "output.3"]


def test_draws_are_the_same():
    found = swept(lambda x: x * torch.rand(3), X)
    assert "rand" in names(found, found.seen - found.changed)


def test_buffers_and_constants_are_moved():
    class Holding(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("scale", torch.ones(3))
            self.constant = torch.ones(3)

        def forward(self, x):
            return x * self.scale + self.constant

    model = Holding()
    found = swept(model, X)
    assert len(found.moved) == 3
    assert torch.equal(model.scale, torch.ones(3))
    assert torch.equal(model.constant, torch.ones(3))


def test_an_argument_given_twice_is_moved_once():
    found = swept(lambda x, y: (x - y, x + 1), X, X)
    assert len(found.moved) == 2
    assert names(found, computed(found) - found.changed) == ["sub", "output.0"]


def test_one_changed_element_among_many_is_seen():
    class One(nn.Module):
        """Of so many elements, one comes from the input."""

        def forward(self, x):
            many = torch.zeros(100_000)
            many[54_321] = x[0]
            return many

    found = swept(One(), torch.ones(1))
    assert "setitem" in names(found, found.changed)


def test_not_a_number_is_itself():
    found = swept(lambda x: (x * 0 / 0, x), X)
    assert "output.0" not in names(found, found.changed)
    assert "output.1" in names(found, found.changed)


def test_model_and_arguments_are_as_they_were():
    model, x = Net(), X.clone()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    swept(model, x)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(x, X)


# -- numbers -----------------------------------------------------------------------------------------


def test_numbers_among_the_arguments():
    found = swept(lambda x: torch.add(x, 1, alpha=x.sum().item()), X)
    ((index, (path, old, new)),) = found.numbers.items()
    assert names(found, [index]) == ["add"]
    assert path == ("alpha",)
    assert old == pytest.approx(float(X.sum()))
    assert new != old
    assert names(found, found.escapes) == ["item"]


def test_numbers_in_lists_and_slices():
    def sliced(x):
        n = 0 if is_first(x) else 1
        return x[:, n:], torch.full([2 + n], 1.0)

    found = swept(sliced, X)
    assert set(found.numbers.values()) == {((1, 1, 0), 0, 1), ((0, 0), 2, 3)}


def test_numbers_that_stay_are_not_told():
    found = swept(lambda x: x * 2 + x.shape[0] + int(x.sum() > 0), X)
    assert found.numbers == {}
    assert found.escapes == set()


def test_other_shapes():
    found = swept(lambda x: x[: 2 if is_first(x) else 1] * 2, X)
    assert {"getitem", "mul", "output"} <= set(names(found, found.reshaped))
    assert found.parted is None


# -- where both part ---------------------------------------------------------------------------------


def test_parted_where_the_way_is_another():
    def branching(x):
        y = x * 2
        return y.sin() if is_first(x) else y.cos()

    found = swept(branching, X)
    assert found.parted == ("sin", "cos")
    assert found.common == [node.info.name for node in found.history.recording.nodes].index("sin")


def test_nothing_is_seen_beyond_the_parting():
    found = swept(lambda x: x.sin() if is_first(x) else x.cos(), X)
    assert found.parted == ("sin", "cos")
    assert max(found.seen) < found.common


@pytest.mark.parametrize(
    ("is_longer", "parted"), [(False, ("output.1", "nothing")), (True, ("nothing", "output.1"))]
)
def test_parted_at_the_end(is_longer, parted):
    found = swept(lambda x: (x.sin(), x)[: 1 if is_first(x) is is_longer else 2], X)
    nodes = found.history.recording.nodes
    assert found.parted == tuple("output" if "output" in name else name for name in parted)
    assert found.common == len(nodes) - (not is_longer)


def test_no_way_parts_without_other_sources():
    found = swept(lambda x: x.sin() if x.sum() > 0 else x.cos(), X, change=Change.NOTHING)
    assert found.parted is None


# -- errors ------------------------------------------------------------------------------------------


def test_errors_of_the_model_are_told():
    def strict(x):
        y = x * 2
        if not is_first(x):
            raise ValueError("another x")
        return y + 1

    found = swept(strict, X)
    assert found.error == "ValueError: another x"
    assert "mul" in names(found, found.changed)
    assert "output" not in names(found, found.seen)
    assert found.common < len(found.history.recording.nodes)
    assert found.parted is None


def test_sources_are_put_back_after_an_error():
    class Strict(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, x):
            if not torch.equal(self.weight, torch.ones(3)):
                raise ValueError
            return x * self.weight

    model = Strict()
    assert swept(model, X).error == "ValueError: "
    assert torch.equal(model.weight, torch.ones(3))


def test_integers_that_the_model_does_not_like_stay():
    def ordered(x, lengths):
        if lengths.tolist() != sorted(lengths.tolist()):
            raise ValueError("not sorted")
        return x * lengths.sum()

    found = swept(ordered, X, torch.tensor([1, 2, 3]))
    assert found.error is None
    assert names(found, found.moved) == ["input.0"]


def test_integers_that_it_does_not_mind_are_moved():
    """The control of the test above."""
    found = swept(lambda x, index: x[:, index], X, torch.tensor([0, 1, 2]))
    assert names(found, found.moved) == ["input.0", "input.1"]


# -- things that are no tensors ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "yours", "is_same"),
    [
        (1, 1.0, True),
        (1, 2, False),
        (float("nan"), float("nan"), True),
        (float("nan"), 1.0, False),
        ("a", "b", False),
        ([1, 2], [1, 3], False),
        ([1, 2], [1, 2, 3], False),
        (None, None, True),
    ],
)
def test_equal(mine, yours, is_same):
    assert is_equal(mine, yours) is is_same


@pytest.mark.parametrize("value", [[[1], [2, 3]], [float("nan")]])
def test_lists_are_equal_to_themselves(value):
    assert is_equal(value, [*value])


def test_far_away_inputs_alone_are_moved():
    found = swept(Net(), X, change=Change.INPUTS)
    kinds = {found.history.recording.nodes[index].kind for index in found.moved}
    assert kinds == {"input"}


def test_what_is_rounded_changes_far_away_only():
    model, x = lambda x: x * round(x.sum().item()), torch.tensor([0.1, 0.3, 0.8, 5.0])
    assert not swept(model, x).numbers
    assert swept(model, x, change=Change.INPUTS).numbers
