"""What a history costs: freed at once, little memory an op, time that grows with the number of ops."""

import gc
import sys
import tracemalloc
import weakref

import pytest
import torch
from torch import nn

import torchlens_core as tl

OPS = 20_000
MAX_BYTES_AN_OP = 1536


class Tiny(nn.Module):
    """So many tiny ops in one loop."""

    def __init__(self, count):
        super().__init__()
        self.count = count

    def forward(self, x):
        for _ in range(self.count // 2):
            x = x * 2
            x = x - 1
        return x


class Cache(nn.Module):
    """One memory, written a row at a time, and each row read before that."""

    def __init__(self, count):
        super().__init__()
        self.count = count

    def forward(self, x):
        rows = torch.zeros(self.count // 3, 2)
        for n in range(self.count // 3):
            row = rows[n] + x
            rows[n] = row
        return rows.sum()


class Appended(nn.Module):
    """A recurrent cell whose results are gathered."""

    def __init__(self, count):
        super().__init__()
        self.cell = nn.GRUCell(2, 2)
        self.count = count

    def forward(self, x):
        state, states = x, []
        for _ in range(self.count):
            state = self.cell(x, state)
            states.append(state)
        return torch.stack(states)


@pytest.fixture
def no_garbage_collection():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


# -- freed at once -----------------------------------------------------------------------------------


def _watched(history) -> list[weakref.ref]:
    return [weakref.ref(op.tensor_contents) for op in history.ops]


@pytest.mark.usefixtures("no_garbage_collection")
@pytest.mark.parametrize("grad", [True, False])
def test_a_history_is_freed_with_its_last_name(grad):
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True), nn.BatchNorm1d(2))
    with torch.set_grad_enabled(grad):
        history = tl.log_forward_pass(model, torch.rand(3, 2))
    refs = _watched(history)
    assert all(ref() is not None for ref in refs)
    del history
    assert all(ref() is None for ref in refs)


@pytest.mark.usefixtures("no_garbage_collection")
def test_a_history_that_was_looked_at_is_freed_too():
    history = tl.log_forward_pass(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), torch.rand(3, 2))
    op, layer = history["relu"], history.layers
    assert repr(history)
    assert repr(op)
    assert repr(layer)
    assert op.parent_layers == ["linear_1_1"]
    assert "linear_1_1" in history
    refs = _watched(history)
    del history, op, layer
    assert all(ref() is None for ref in refs)


@pytest.mark.usefixtures("no_garbage_collection")
def test_an_op_keeps_its_history():
    op = tl.log_forward_pass(nn.ReLU(), torch.rand(3))["relu"]
    assert op.tensor_contents is not None


@pytest.mark.usefixtures("no_garbage_collection")
def test_a_pass_that_raised_is_freed_with_its_error():
    def failing(x):
        refs.append(weakref.ref(x * 2))
        kept = x * 3
        refs.append(weakref.ref(kept))
        raise ValueError("stop")

    class Failing(nn.Module):
        def forward(self, x):
            return failing(x)

    refs: list[weakref.ref] = []
    caught = None
    try:
        tl.log_forward_pass(Failing(), torch.rand(3))
    except ValueError as error:
        caught = error
    assert refs[0]() is not None
    assert refs[1]() is not None
    caught.__traceback__ = None  # holds the frames of the model
    del caught
    assert [ref() for ref in refs] == [None, None]


@pytest.mark.usefixtures("no_garbage_collection")
def test_a_history_without_values_frees_them_at_once():
    refs = []

    class Watched(nn.Module):
        def forward(self, x):
            y = x * 2
            refs.append(weakref.ref(y))
            return y + 1

    with torch.no_grad():
        history = tl.get_model_metadata(Watched(), torch.rand(3))
    assert refs[0]() is None
    assert history.num_operations == 4


def test_the_watch_sees_what_is_kept():
    """The control: somebody else's name keeps a value."""
    history = tl.log_forward_pass(nn.Sequential(nn.ReLU(), nn.Tanh()), torch.rand(3))
    refs = _watched(history)
    keep = history["relu"].tensor_contents
    del history
    assert [ref() is not None for ref in refs] == [True, False]
    assert keep is refs[0]()


# -- memory ------------------------------------------------------------------------------------------


def _bytes_an_op(save: str) -> float:
    """Bytes that Python holds for each op of a history, the tensors themselves left out."""
    model, x = Tiny(OPS), torch.rand(1)
    with torch.no_grad():
        tl.log_forward_pass(Tiny(10), x, layers_to_save=save)
        gc.collect()
        tracemalloc.start()
        history = tl.log_forward_pass(model, x, layers_to_save=save)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    saved = {id(tensor): tensor for node in history.recording.nodes for tensor in node.saved or ()}
    return (held - sum(map(sys.getsizeof, saved.values()))) / len(history.ops)


@pytest.mark.parametrize("save", ["none", "all"])
def test_memory_of_an_op(save):
    assert _bytes_an_op(save) <= MAX_BYTES_AN_OP


# -- time --------------------------------------------------------------------------------------------


def _calls(model: nn.Module) -> int:
    """Calls of Python and C functions during one logged pass and a look at the result."""
    count = 0

    def profile(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    x = torch.rand(1, 2)
    sys.setprofile(profile)
    try:
        history = tl.log_forward_pass(model, x)
        assert len(history.layer_labels) > model.count / 2
        assert history[-1].ancestors
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("kind", [Tiny, Appended, Cache])
def test_work_grows_with_the_number_of_ops(kind):
    _calls(kind(6))
    once, twice = _calls(kind(300)), _calls(kind(600))
    assert twice / once < 2.15


def test_the_count_sees_work_that_grows_faster():
    class Quadratic(Tiny):
        def forward(self, x):
            for _ in range(self.count):
                for _ in range(self.count):
                    x.size()
                x = x * 2
            return x

    assert _calls(Quadratic(60)) / _calls(Quadratic(30)) > 2.5
