"""The writers of a storage, against a list with one writer a byte."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchlens_core import shadow
from torchlens_core.shadow import NOBODY, Shadow, is_dense

exploring = settings(database=None, deadline=None)
DTYPES = [torch.uint8, torch.float16, torch.float32, torch.float64, torch.complex128]


# -- the oracle --------------------------------------------------------------------------------------


def bytes_of(tensor: torch.Tensor) -> set[int]:
    """The bytes of its storage that ``tensor`` covers, element by element."""
    width = tensor.element_size()
    found = set()
    for index in itertools.product(*map(range, tensor.shape)):
        steps = sum(n * stride for n, stride in zip(index, tensor.stride(), strict=True))
        start = (tensor.storage_offset() + steps) * width
        found |= set(range(start, start + width))
    return found


class Bytes:
    """One writer a byte."""

    def __init__(self, size: int, writer: int) -> None:
        self.last = [writer] * size

    def write(self, tensor: torch.Tensor, writer: int) -> None:
        for byte in bytes_of(tensor):
            self.last[byte] = writer

    def read(self, tensor: torch.Tensor) -> set[int]:
        return {self.last[byte] for byte in bytes_of(tensor)}


# -- random looks at one storage ---------------------------------------------------------------------


@st.composite
def looks(draw, storage: torch.UntypedStorage):
    """A tensor somewhere in ``storage``: any offset, sizes and strides, overlapping, empty and whole ones too."""
    dtype = draw(st.sampled_from(DTYPES))
    count = storage.nbytes() // dtype.itemsize
    if count == 0 or draw(st.integers(0, 5)) == 0:
        sizes, strides, offset = [count], [1], 0
    else:
        sizes, strides, room = [], [], count - 1
        for _ in range(draw(st.integers(0, 3))):
            stride, size = draw(st.integers(0, 9)), draw(st.integers(0, 5))
            reach = stride * max(size - 1, 0)
            stride, reach = (stride, reach) if reach <= room else (0, 0)
            room -= reach
            sizes.append(size)
            strides.append(stride)
        offset = draw(st.integers(0, room))
    return torch.empty(0, dtype=dtype).set_(storage, offset, sizes, strides)


@st.composite
def histories(draw):
    """A number of bytes, also odd ones, and what is written to and read from them."""
    storage = torch.UntypedStorage(draw(st.sampled_from([7, 30, 64, 96])))
    actions = st.tuples(st.sampled_from(["write", "read"]), looks(storage), st.integers(0, 4))
    return storage.nbytes(), draw(st.lists(actions, max_size=12))


@exploring
@given(histories())
def test_writers_are_those_of_every_byte(history):
    size, actions = history
    mine, bytes_ = Shadow(NOBODY), Bytes(size, NOBODY)
    for action, tensor, writer in actions:
        if action == "write":
            mine.write(tensor, writer)
            bytes_.write(tensor, writer)
        else:
            assert mine.read(tensor) == bytes_.read(tensor)
    for byte in range(size):
        at = torch.empty(0, dtype=torch.uint8).set_(torch.UntypedStorage(size), byte, [1], [1])
        assert mine.read(at) == {bytes_.last[byte]}


def test_the_oracle_sees_a_write_that_is_left_out():
    """The control of the test above."""
    x = torch.zeros(4)
    mine, bytes_ = Shadow(1), Bytes(16, 1)
    bytes_.write(x[1:2], 2)
    assert mine.read(x) != bytes_.read(x)


@exploring
@given(st.data())
def test_dense_tensors_have_each_byte_in_one_element(data):
    storage = torch.UntypedStorage(96)
    tensor = data.draw(looks(storage).filter(lambda t: t.numel()))
    covered = bytes_of(tensor)
    is_gapless = len(covered) == max(covered) - min(covered) + 1
    assert is_dense(tensor) == (is_gapless and len(covered) == tensor.numel() * tensor.element_size())


# -- by example --------------------------------------------------------------------------------------


def test_a_storage_that_was_written_as_a_whole_has_no_cells():
    x = torch.zeros(4, 6)
    mine = Shadow(1)
    mine.write(x.t(), 2)
    assert (mine.whole, mine.cells) == (2, None)
    mine.write(x[0], 3)
    assert mine.cells is not None, "the control"
    mine.write(x, 4)
    assert (mine.whole, mine.cells) == (4, None)


def test_writing_again_what_one_has_written_costs_nothing():
    x = torch.zeros(4)
    mine = Shadow(1)
    mine.write(x[:2], 1)
    assert mine.cells is None


def test_cells_become_finer_with_the_elements():
    x = torch.zeros(2, dtype=torch.float64)
    mine = Shadow(1)
    mine.write(x[0], 2)
    assert mine.grain == 8
    mine.write(x.view(torch.float16)[1], 3)
    assert mine.grain == 2
    assert [mine.read(half) for half in x.view(torch.float16)] == [{2}, {3}, {2}, {2}, {1}, {1}, {1}, {1}]


def test_memory_that_was_added_is_nobodys():
    storage = torch.UntypedStorage(8)
    mine = Shadow(1)
    mine.write(torch.empty(0, dtype=torch.uint8).set_(storage, 0, [1], [1]), 2)
    storage.resize_(16)
    assert mine.read(torch.empty(0, dtype=torch.uint8).set_(storage, 0, [16], [1])) == {NOBODY, 1, 2}


@pytest.mark.xfail(strict=True, reason="a storage with one writer is not asked whether it has grown since")
def test_memory_that_was_added_to_a_storage_with_one_writer_is_nobodys():
    storage = torch.UntypedStorage(8)
    mine = Shadow(1)
    storage.resize_(16)
    assert mine.read(torch.empty(0, dtype=torch.uint8).set_(storage, 0, [16], [1])) == {NOBODY, 1}


def test_a_storage_that_is_too_large_is_lost(monkeypatch):
    monkeypatch.setattr(shadow, "MAX_GRAINS", 8)
    small, large = torch.zeros(8), torch.zeros(9)
    for tensor, is_lost in ((small, False), (large, True)):
        mine = Shadow(1)
        mine.write(tensor[0], 2)
        assert mine.is_lost is is_lost


@pytest.mark.parametrize("size", [64, 65])
def test_a_storage_that_becomes_too_large_is_lost(monkeypatch, size):
    monkeypatch.setattr(shadow, "MAX_GRAINS", 16)
    storage = torch.UntypedStorage(size)
    mine = Shadow(1)
    for dtype in (torch.float32, torch.uint8):
        mine.write(torch.empty(0, dtype=dtype).set_(storage, 0, [1], [1]), 2)
    assert mine.is_lost or len(mine.cells) <= 16


def test_what_is_empty_is_neither_written_nor_read():
    x = torch.zeros(4)
    mine = Shadow(1)
    mine.write(x[:0], 2)
    assert (mine.read(x), mine.read(x[:0])) == ({1}, set())
