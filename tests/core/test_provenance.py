"""Who made what a call reads: tensors by identity, edges by the bytes that are read."""

import gc

import pytest
import torch
from models import Of
from torch import Tensor

import torchlens_core as tl
from torchlens_core import internals
from torchlens_core.functions import FACTS
from torchlens_core.nodes import Node, Value
from torchlens_core.provenance import Provenance


def parents(function, *args) -> dict[str, list[str]]:
    """The parents of each op."""
    with torch.no_grad():
        history = tl.log_forward_pass(Of(function), list(args))
    return {op.layer_label: op.parent_layers for op in history.ops}


A, B = torch.rand(3), torch.rand(3)


# -- edges -------------------------------------------------------------------------------------------


def test_a_reader_depends_on_what_it_reads():
    assert parents(lambda a, b: a * 2 + b, A, B) == {
        "mul_1_1": ["input_1"],
        "add_1_2": ["mul_1_1", "input_2"],
    }


def test_a_reader_after_a_write_depends_on_the_writer_alone():
    def forward(a, b):
        y = a * 2
        y.copy_(b)
        return y + 1

    assert parents(forward, A, B) == {
        "mul_1_1": ["input_1"],
        "copy_1_2": ["input_2"],
        "add_1_3": ["copy_1_2"],
    }


def test_a_write_that_reads_keeps_what_was_there():
    def forward(a, b):
        y = a * 2
        y.add_(b)
        return y + 1

    assert parents(forward, A, B)["add_1_2"] == ["mul_1_1", "input_2"]
    assert parents(forward, A, B)["add_2_3"] == ["add_1_2"]


def test_rows_are_apart():
    def forward(a, b):
        rows = torch.zeros(2, 3)
        rows[0] = a
        rows[1] = b
        return rows[0] * 1, rows[1] * 1, rows * 1

    assert list(parents(forward, A, B).values()) == [
        [],  # zeros
        *(["input_1"], ["input_2"]),
        *(["setitem_1_2"], ["getitem_1_4"]),
        *(["setitem_2_3"], ["getitem_2_6"]),
        ["setitem_1_2", "setitem_2_3"],
    ]


def test_a_view_made_before_a_write_shows_the_write():
    def forward(a, b):
        y = a * 2
        look = y.view(-1)
        y.copy_(b)
        return look + 1

    assert parents(forward, A, B)["add_1_4"] == ["copy_1_3"]


def test_a_part_written_through_a_view_leaves_the_rest():
    def forward(a, b):
        y = a * 2
        y[:1].copy_(b[:1])
        return y + 1

    found = parents(forward, A, B)
    (add,) = (found[label] for label in found if label.startswith("add"))
    assert add == ["mul_1_1", "copy_1_4"]


def test_metadata_is_no_dependence():
    assert parents(lambda a, b: torch.zeros_like(a) + b, A, B)["zeroslike_1_1"] == []


def test_foreach_elements_are_apart():
    with torch.no_grad():
        history = tl.log_forward_pass(Of(lambda a, b: torch._foreach_mul([a, b], 2)), [A, B])
    outputs = [history[label] for label in history.output_layers]
    assert [output.input_ancestors for output in outputs] == [{"input_1"}, {"input_2"}]


def test_edges_through_memory_that_cannot_be_followed_are_marked():
    def forward(a):
        y = a * 2
        return torch.from_numpy(y.numpy()) + 1, y + 1

    with torch.no_grad():
        history = tl.log_forward_pass(Of(forward), [A])
    assert "input_1" in history[history.output_layers[0]].ancestors
    assert all(edge.certain for edge in history["mul_1"]._node.edges)


def test_tensors_that_die_are_not_taken_for_those_that_get_their_ids():
    def forward(a):
        total = a
        for _ in range(200):
            total = total + torch.ones(3)
        return total

    found = parents(forward, A)
    labels = list(found)
    for number in range(3, len(labels), 2):
        assert found[labels[number]] == [labels[number - 2], labels[number - 1]]


# -- the table itself --------------------------------------------------------------------------------


@pytest.fixture
def table():
    """A table of one node, and the tensors it was asked to adopt."""
    made = Table()
    yield made
    made.provenance.release()


class Table:
    def __init__(self):
        self.adopted = []
        self.written = []
        self.provenance = Provenance(self._adopt, self._adopt_write)
        self.node = Node(FACTS[torch.add], 0)

    def _adopt(self, tensor: Tensor) -> Value:
        self.adopted.append(tensor)
        return self.provenance.note_result(self.node, tensor)

    def _adopt_write(self, tensor: Tensor, value: Value) -> Value:
        self.written.append(tensor)
        return value


def test_a_tensor_is_adopted_at_first_sight_and_known_from_then_on(table):
    x = torch.zeros(3)
    assert table.provenance.recognised(x) is table.provenance.known(x) is None
    value = table.provenance.value(x)
    assert table.adopted == [x]
    assert table.provenance.value(x) is table.provenance.known(x) is table.provenance.recognised(x) is value


def test_views_share_their_storage(table):
    x = torch.zeros(3)
    value, view = table.provenance.value(x), table.provenance.value(x[1:])
    assert value.storage is view.storage is table.provenance.storage(x)
    assert table.provenance.storage(torch.zeros(3)) is not value.storage


def test_a_write_that_nobody_announced_is_noticed(table):
    x = torch.zeros(3)
    value = table.provenance.value(x)
    x.add_(1)
    assert table.provenance.known(x) is value
    assert table.written == [x]
    assert table.provenance.known(x) is value
    assert table.written == [x]  # once


def test_memory_exchanged_unseen_is_noticed(table):
    x = torch.zeros(3)
    table.provenance.value(x)
    internals.set_memory(x, torch.ones(3))
    assert table.provenance.known(x) is None


def test_arguments_are_bound(table):
    x, y = torch.zeros(3), torch.zeros(3)
    args = (x, 2, "text", [y, None], slice(x, None), torch.float32)
    bound, parameters, is_plain = table.provenance.bind(args, FACTS[torch.add])
    vx, vy = table.provenance.known(x), table.provenance.known(y)
    assert bound == (vx, 2, "text", [vy, None], slice(vx, None), torch.float32)
    assert (parameters, is_plain) == ((), True)


def test_addresses_are_held_until_the_release(table):
    x = torch.zeros(3)
    key = internals.storage_key(x)
    table.provenance.value(x)
    table.adopted.clear()
    del x
    assert key not in {internals.storage_key(t) for t in [torch.zeros(3) for _ in range(500)]}
    table.provenance.release()
    assert table.provenance.all_storages() == []
    gc.collect()
    assert key in {internals.storage_key(t) for t in [torch.zeros(3) for _ in range(500)]}
