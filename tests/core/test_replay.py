"""A recorded graph run again: whole, in part, and where it cannot be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import torchlens_core as tl
from torchlens_core.nodes import Node
from torchlens_core.replay import Replay, is_given


class Net(nn.Module):
    """A draw, a buffer, a write through a view, an op that nothing needs."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.register_buffer("scale", torch.full((3,), 2.0))

    def forward(self, x):
        hidden = self.fc(x) * self.scale + torch.rand(3)
        torch.exp(hidden)
        hidden[0] = 0.0
        return hidden.tanh()


@pytest.fixture
def history():
    torch.manual_seed(0)
    return tl.log_forward_pass(Net(), torch.rand(2, 3))


class Seen:
    """What a witness was shown."""

    def __init__(self) -> None:
        self.values: dict[tuple[int, int], Any] = {}

    def __call__(self, node: Node, slot: int, value: Any) -> None:
        with torch.enable_grad():
            self.values[node.index, slot] = value.clone() if isinstance(value, torch.Tensor) else value

    @property
    def nodes(self) -> set[int]:
        return {index for index, _ in self.values}


def replayed(history: tl.ModelHistory, *labels: str) -> Seen:
    seen = Seen()
    wanted = [history[label]._node.index for label in labels] or None
    Replay(history, wanted).run(seen)
    return seen


def test_every_value_comes_again(history):
    seen = replayed(history)
    assert seen.nodes == {node.index for node in history.recording.nodes}
    for op in history:
        assert torch.equal(seen.values[op._node.index, 0], op.tensor_contents), op.layer_label


def test_values_are_computed_and_not_looked_up(history):
    """The control of the test above: what was saved of ops is not asked for."""
    expected = history["tanh"].tensor_contents.clone()
    for op in history.ops:
        op._node.saved = None
    assert torch.equal(replayed(history).values[history["tanh"]._node.index, 0], expected)


def test_sources_are_not_changed(history):
    before = {op.layer_label: op.tensor_contents.clone() for op in history}
    replayed(history)
    assert all(torch.equal(op.tensor_contents, before[op.layer_label]) for op in history)


def test_pruned(history):
    """Only what the wanted op depends on is run."""
    wanted = history["mul"]
    seen = replayed(history, "mul")
    names = {history.recording.nodes[index].address or op for index in seen.nodes for op in ["op"]}
    assert names == {"input.0", "fc.weight", "fc.bias", "scale", "op"}
    assert len(seen.nodes) == 6
    assert torch.equal(seen.values[wanted._node.index, 0], wanted.tensor_contents)


def test_what_leads_nowhere_is_pruned(history):
    exp = history["exp"]._node.index
    assert exp in replayed(history).nodes
    assert exp not in replayed(history, "output_1").nodes


def test_memory_that_is_needed_but_not_read():
    """What an ``out=`` argument held before is filled with NaN, and nobody notices."""

    class Out(nn.Module):
        def forward(self, x):
            memory = torch.zeros(3) + 1
            torch.mul(x, 2, out=memory)
            return memory * 1

    history = tl.log_forward_pass(Out(), torch.ones(3))
    seen = replayed(history, "output_1")
    assert torch.equal(seen.values[history["output_1"]._node.index, 0], torch.full((3,), 2.0))
    assert history["add"]._node.index not in seen.nodes


def test_memory_that_is_read_without_an_edge_is_nan(history):
    node = history["add"]._node
    node.special_edges = [edge for edge in node.edges if edge.path != (0,)]
    seen = replayed(history, "add")
    assert seen.values[node.index, 0].isnan().all()


def test_escapes_are_taken_again():
    class Escaping(nn.Module):
        def forward(self, x):
            return x * x.sum().item()

    history = tl.log_forward_pass(Escaping(), torch.ones(3))
    assert replayed(history).values[history["item"]._node.index, 0] == 3.0


def test_grad_mode_and_autocast_are_those_of_the_op():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x):
            with torch.autocast("cpu", torch.bfloat16):
                y = self.fc(x)
            with torch.no_grad():
                return self.fc(x), y

    history = tl.log_forward_pass(Mixed(), torch.rand(2, 3))
    seen = replayed(history)
    half, plain = (seen.values[history[label]._node.index, 0] for label in ("output_2", "output_1"))
    assert (half.dtype, half.requires_grad) == (torch.bfloat16, True)
    assert (plain.dtype, plain.requires_grad) == (torch.float32, False)


@pytest.mark.parametrize("is_on", [True, False])
def test_grad_mode_around_does_not_matter(history, is_on):
    with torch.set_grad_enabled(is_on):
        values = replayed(history).values
    assert values[history["tanh"]._node.index, 0].requires_grad


class TestCannot:
    def message(self, history, *labels) -> str:
        with pytest.raises(tl.ReplayError) as caught:
            replayed(history, *labels)
        return str(caught.value)

    def test_source_not_kept(self, history):
        history["input_1"]._node.saved = None
        assert self.message(history) == "the value of input.0 was not kept"

    def test_op_that_raises(self, history):
        node = history["tanh"]._node
        node.args = (*node.args, "x")
        assert self.message(history).startswith("TypeError: ")

    def test_another_number_of_results(self, history):
        node = history["tanh"]._node
        node.values = [*node.values, *node.values]
        assert self.message(history) == "tanh returned 1 tensors, not 2"

    def test_value_that_is_not_there_yet(self, history):
        node = history["linear"]._node
        node.args = (history["tanh"]._node.values[0], *node.args[1:])
        late = history["tanh"]._node.index
        assert self.message(history) == f"node {late} gave no value 0 before it was needed"

    @pytest.mark.filterwarnings("ignore:.*torch.jit.script")
    def test_opaque_op_that_was_not_kept(self):
        model = nn.Sequential(torch.jit.script(nn.ReLU()), nn.Tanh())
        history = tl.log_forward_pass(model, torch.rand(3))
        history[1]._node.saved = None
        assert self.message(history).endswith(" was not kept, and its inside cannot be run")


def test_metadata_alone_cannot_be_replayed():
    history = tl.get_model_metadata(nn.ReLU(), torch.rand(3))
    with pytest.raises(tl.ReplayError, match=r"the value of input\.0 was not kept"):
        replayed(history)


def test_given():
    class Empty(nn.Module):
        def forward(self, x):
            return torch.empty_like(x).copy_(x)

    history = tl.log_forward_pass(Empty(), torch.rand(3))
    assert [op.layer_label for op in history if is_given(op._node)] == ["emptylike_1_1"]
    assert torch.equal(
        replayed(history).values[history["output_1"]._node.index, 0], history["input_1"].tensor_contents
    )


# -- once more, in part, with other values -----------------------------------------------------------


def test_all_is_whole(history):
    assert Replay(history).is_whole
    assert Replay(history, [history["output_1"]._node.index]).is_whole


def test_a_part_without_what_writes_is_not_whole(history):
    assert not Replay(history, [history["linear"]._node.index]).is_whole


def test_a_part_with_memory_that_is_not_read_is_not_whole():
    class Out(nn.Module):
        def forward(self, x):
            return torch.mul(x, 2, out=torch.zeros(3) + 1) * 1

    history = tl.log_forward_pass(Out(), torch.ones(3))
    assert not Replay(history, [history["output_1"]._node.index]).is_whole


def run_again(history: tl.ModelHistory) -> dict[str, Any]:
    """What each op gives first, and what `Replay.run_again` says of it then."""
    replay, found = Replay(history), {}

    def see(node: Node, slot: int, value: Any) -> None:
        if node.kind == "op":
            found[node.info.name] = value.clone(), replay.run_again(node)

    replay.run(see)
    return found


def test_an_op_that_is_run_again_gives_the_same(history):
    found = run_again(history)
    for name in ("linear", "mul", "rand", "add", "exp", "tanh"):
        first, (again,) = found[name]
        assert torch.equal(first, again), name


def test_writes_and_what_is_given_are_not_run_again(history):
    assert run_again(history)["setitem"][1] is None

    class Empty(nn.Module):
        def forward(self, x):
            return torch.mul(torch.empty_like(x), x, out=torch.zeros(3))

    found = run_again(tl.log_forward_pass(Empty(), torch.rand(3)))
    assert [found[name][1] for name in ("empty_like", "mul")] == [None, None]


def test_values_put_in_are_gone_on_with(history):
    replay, seen = Replay(history), Seen()
    mul = history["mul"]._node

    def see(node: Node, slot: int, value: Any) -> None:
        if node is mul:
            replay.put(node, slot, torch.zeros(2, 3))
        seen(node, slot, value)

    replay.run(see)
    draw = seen.values[history["rand"]._node.index, 0]
    assert torch.equal(seen.values[history["output_1"]._node.index, 0][1], draw.tanh())
    assert not torch.equal(history["output_1"].tensor_contents[1], draw.tanh()), "the control"


def test_values_of_another_shape_are_not_put_in(history):
    replay, seen = Replay(history), Seen()

    def see(node: Node, slot: int, value: Any) -> None:
        replay.put(node, slot, torch.zeros(7))
        seen(node, slot, value)

    replay.run(see)
    expected = history["output_1"].tensor_contents
    assert torch.equal(seen.values[history["output_1"]._node.index, 0], expected)


def test_other_contents_of_uninitialised_memory():
    class Empty(nn.Module):
        def forward(self, x):
            return torch.empty_like(x) * 0 + 1, torch.empty_like(x).fill_(2), torch.empty_like(x)

    history = tl.log_forward_pass(Empty(), torch.rand(3))
    given = {op._node.index: [torch.full((3,), 5.0)] for op in history if op.layer_type == "emptylike"}
    assert len(given) == 3
    seen = Seen()
    Replay(history, None, given).run(seen)
    outputs = [seen.values[index, 0].tolist() for index in history.graph.outputs]
    assert outputs == [[1] * 3, [2] * 3, [5] * 3]


def test_other_values_of_what_is_computed_are_not_asked_for(history):
    mul = history["mul"]._node.index
    seen = Seen()
    Replay(history, None, {mul: [torch.zeros(2, 3)]}).run(seen)
    assert torch.equal(seen.values[mul, 0], history["mul"].tensor_contents)
