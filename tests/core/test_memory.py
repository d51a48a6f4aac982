"""Who wrote which byte: the maps against a table with one writer a byte, filled in by numpy."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from torchlens_core import memory
from torchlens_core.memory import (
    EMPTY,
    EVERYTHING,
    Cells,
    Loose,
    Region,
    Segments,
    Storage,
    complex_part_region,
    indexed_region,
    region_of,
    storage_size,
)

exploring = settings(database=None, deadline=None)
SIZE = 96
DTYPES = [torch.uint8, torch.float16, torch.float32, torch.float64, torch.complex64]


@dataclasses.dataclass(frozen=True)
class Writer:
    time: int


# -- the oracle --------------------------------------------------------------------------------------


def bytes_of(tensor: torch.Tensor) -> set[int]:
    """The bytes of its storage that ``tensor`` covers: those that change when it is filled."""
    width, count = tensor.element_size(), tensor.untyped_storage().nbytes()
    cells = np.zeros(count, dtype=np.uint8)
    strides = [stride * width for stride in tensor.stride()]
    first = cells[tensor.storage_offset() * width :]
    np.lib.stride_tricks.as_strided(first, (*tensor.shape, width), (*strides, 1))[...] = 1
    return set(np.flatnonzero(cells).tolist())


def bytes_in(region: Region) -> set[int]:
    """The bytes that a region says it covers."""
    if region.strided is None:
        return set(range(region.start, region.stop))
    sizes, strides, width = region.strided
    starts = {region.start}
    for size, stride in zip(sizes, strides, strict=True):
        starts = {start + stride * n for start in starts for n in range(size)}
    return {start + n for start in starts for n in range(width)}


class Table:
    """One writer a byte."""

    def __init__(self, size: int, writer: Writer):
        self.last = [writer] * size

    def write(self, covered: set[int], writer: Writer) -> None:
        for byte in covered:
            self.last[byte] = writer

    def read(self, covered: set[int]) -> list[Writer]:
        return sorted({self.last[byte] for byte in covered}, key=lambda writer: writer.time)


# -- random looks at one storage ---------------------------------------------------------------------


@st.composite
def looks(draw, dtypes=DTYPES):
    """A tensor somewhere in ``SIZE`` bytes: any offset, strides and sizes, overlapping ones too."""
    dtype = draw(st.sampled_from(dtypes))
    base = torch.zeros(SIZE, dtype=torch.uint8).view(dtype)
    room = len(base) - 1
    sizes, strides = [], []
    for _ in range(draw(st.integers(0, 3))):
        stride = draw(st.integers(0, 12))
        count = draw(st.integers(0, 5))
        reach = stride * max(count - 1, 0)
        if reach > room:
            stride, reach = 0, 0
        room -= reach
        sizes.append(count)
        strides.append(stride)
    return base.as_strided(sizes, strides, draw(st.integers(0, room)))


@st.composite
def slices(draw):
    """A piece without gaps, which keeps the map one of intervals."""
    start = draw(st.integers(0, SIZE - 1))
    return torch.zeros(SIZE, dtype=torch.uint8)[start : draw(st.integers(start, SIZE))]


def run(writes, reads):
    """The storage and the table after the same writes; for each read what both say, and if that claims to be exact."""
    first = Writer(0)
    storage, table = Storage(1), Table(SIZE, first)
    storage.write(Region(0, SIZE), SIZE, first)
    found = []
    for time, (written, read) in enumerate(zip(writes, reads, strict=True), 1):
        storage.write(region_of(written), storage_size(written), Writer(time))
        table.write(bytes_of(written), Writer(time))
        said = storage.writers(region_of(read))
        found.append((said, table.read(bytes_of(read)), storage.is_exact))
    return storage, found


def histories(tensors):
    """As many writes as reads; reading nothing asks for no writer."""
    reads = tensors.filter(lambda tensor: tensor.numel() > 0)
    return st.lists(st.tuples(tensors, reads), min_size=1, max_size=12).map(lambda p: zip(*p, strict=True))


# -- regions -----------------------------------------------------------------------------------------


@exploring
@given(looks())
def test_a_region_is_the_bytes_of_its_tensor(tensor):
    region = region_of(tensor)
    assert bytes_in(region) == bytes_of(tensor)
    assert region.is_empty == (tensor.numel() == 0)


@exploring
@given(looks())
def test_a_region_has_bounds_that_are_reached(tensor):
    region = region_of(tensor)
    if tensor.numel():
        assert (region.start, region.stop) == (min(bytes_of(tensor)), max(bytes_of(tensor)) + 1)


def test_the_oracle_of_bytes_tells_rows_from_columns():
    table = torch.zeros(2, 3)
    assert bytes_of(table[1]) == set(range(12, 24))
    assert bytes_of(table[:, 0]) == {0, 1, 2, 3, 12, 13, 14, 15}
    assert bytes_in(region_of(table[1])) != bytes_of(table[0])


def test_regions_without_gaps_are_plain():
    x = torch.zeros(4, 4)
    for view in (x, x.t(), x[1:3], x[2], x[:, None], x[1:2].expand(3, 4), x[0, 0]):
        assert region_of(view).strided is None
    assert region_of(x[:, 0]).strided is not None


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_will_not_tell_covers_everything():
    assert region_of(torch.eye(2).to_sparse_csr()) == EVERYTHING


index_items = (
    st.integers(-3, 2)
    | st.slices(3)
    | st.builds(slice, st.none(), st.none(), st.integers(1, 3))
    | st.just(None)
)
indices = st.tuples(
    st.lists(index_items, max_size=2), st.sampled_from([[], [Ellipsis]]), st.lists(index_items, max_size=2)
).map(lambda parts: tuple(item for part in parts for item in part))


@exploring
@given(indices, st.permutations([0, 1, 2]))
def test_an_indexed_region_is_that_of_the_view(index, order):
    base = torch.zeros(3, 3, 3).permute(*order)
    try:
        view = base[index]
    except (IndexError, ValueError):  # too many indices, negative steps: no such view
        return
    region = indexed_region(base, index)
    assert bytes_in(region) == bytes_of(view)


def test_an_index_with_two_ellipses():
    base = torch.zeros(3, 3)
    assert bytes_in(indexed_region(base, (..., ...)) or region_of(base)) == bytes_of(base[..., ...])


@pytest.mark.parametrize("index", [[0, 1], torch.tensor(0), True, ([0], 1), (None, torch.tensor([0]))])
def test_other_indices_have_no_region(index):
    assert indexed_region(torch.zeros(3, 3), index) is None


@pytest.mark.parametrize("index", [0, 2, -1, slice(1, None), ..., None])
def test_single_indices_have_one(index):
    base = torch.zeros(3, 3)
    assert bytes_in(indexed_region(base, index)) == bytes_of(base[index])


@exploring
@given(looks().filter(lambda t: t.dtype is torch.complex64 and t.numel() > 0))
def test_parts_of_complex_tensors(tensor):
    assert bytes_in(complex_part_region(tensor, imaginary=False)) == bytes_of(tensor.real)
    assert bytes_in(complex_part_region(tensor, imaginary=True)) == bytes_of(tensor.imag)


# -- writers -----------------------------------------------------------------------------------------


@exploring
@given(histories(looks([torch.float16])) | histories(looks([torch.float32])))
def test_exactly_the_last_writers(pairs):
    storage, found = run(*pairs)
    assert storage.is_exact
    for said, true, _ in found:
        assert said == true


def _floats() -> torch.Tensor:
    return torch.zeros(SIZE // 4)


@exploring
@given(histories(looks()))
@example(zip(*[(_floats()[::2], _floats().view(torch.uint8)[1:3])], strict=True))
def test_exactly_the_last_writers_through_looks_of_all_widths(pairs):
    storage, found = run(*pairs)
    assert storage.is_exact
    for said, true, _ in found:
        assert said == true


def test_half_an_element_has_the_writer_of_the_element():
    storage = Storage(1)
    storage.write(Region(0, 16), 16, Writer(0))
    storage.write(region_of(torch.zeros(4)[::2]), 16, Writer(1))
    assert storage.writers(Region(0, 4)) == [Writer(1)]
    assert storage.writers(Region(1, 3)) == [Writer(1)]


@exploring
@given(histories(slices()))
def test_intervals_stay_intervals(pairs):
    storage, found = run(*pairs)
    assert not isinstance(storage.map, Cells | Loose)
    for said, true, _ in found:
        assert said == true


@exploring
@given(histories(looks()))
def test_beyond_the_limit_no_writer_is_lost(pairs):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "MAX_CELLS", 0)
        storage, found = run(*pairs)
    for said, true, is_exact in found:
        assert set(true) <= set(said)
        assert said == sorted(said, key=lambda writer: writer.time)
        assert said == true or not is_exact
    assert not isinstance(storage.map, Cells)


def test_beyond_the_limit_false_writers_are_possible_and_said_to_be():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "MAX_CELLS", 3)
        table = torch.zeros(2, 2)
        storage = Storage(1)
        storage.write(region_of(table), 16, Writer(0))
        storage.write(region_of(table[:, 0]), 16, Writer(1))
    assert storage.writers(region_of(table[:, 1])) == [Writer(0), Writer(1)]
    assert not storage.is_exact


def test_the_limit_counts_elements_not_bytes(monkeypatch):
    table = torch.zeros(2, 2)
    monkeypatch.setattr(memory, "MAX_CELLS", 4)
    storage = Storage(1)
    storage.write(region_of(table), 16, Writer(0))
    storage.write(region_of(table[:, 0]), 16, Writer(1))
    assert storage.is_exact
    assert storage.writers(region_of(table[:, 1])) == [Writer(0)]


@pytest.mark.parametrize("wrong", ["lost", "added"])
def test_the_table_catches_a_wrong_map(wrong):
    """The control: a map that forgets a write, or names one too many, is told from the table."""
    whole = torch.zeros(SIZE, dtype=torch.uint8)
    table = Table(SIZE, Writer(0))
    segments = Segments(Writer(0))
    table.write(bytes_of(whole[:4]), Writer(1))
    if wrong == "added":
        segments.write(Region(0, 5), Writer(1))
    assert segments.read(Region(0, 5)) != table.read(set(range(5)))


def test_many_writes_keep_a_map_of_cells_small():
    rng = np.random.default_rng(0)
    columns = torch.zeros(4, 4).unbind(1)
    storage, table = Storage(1), Table(64, Writer(0))
    storage.write(Region(0, 64), 64, Writer(0))
    for time in range(1, 600):
        column = columns[rng.integers(4)]
        storage.write(region_of(column), 64, Writer(time))
        table.write(bytes_of(column), Writer(time))
        assert storage.writers(region_of(column[:3])) == [Writer(time)]
    assert len(storage.map.writers) < 200
    assert storage.writers(Region(0, 64)) == table.read(set(range(64)))


def test_one_whole_writer_needs_no_map():
    storage = Storage(1)
    assert storage.is_new
    assert storage.writers(EVERYTHING) == []
    storage.write(Region(0, 16), 16, Writer(0))
    storage.write(Region(4, 8), 16, Writer(1))
    assert storage.map is not None
    storage.write(Region(0, 16), 16, Writer(2))
    assert (storage.single, storage.map) == (Writer(2), None)
    assert not storage.is_new


def test_writing_nothing_leaves_the_writers():
    storage = Storage(1)
    storage.write(Region(0, 16), 16, Writer(0))
    storage.write(EMPTY, 16, Writer(1))
    assert storage.writers(Region(0, 16)) == [Writer(0)]


def test_a_storage_that_grows_keeps_what_it_had():
    storage = Storage(1)
    storage.write(Region(0, 16), 16, Writer(0))
    storage.write(region_of(torch.zeros(2, 2)[:, 0]), 16, Writer(1))
    storage.write(Region(16, 32), 32, Writer(2))
    assert storage.writers(Region(8, 12)) == [Writer(1)]
    assert storage.writers(Region(4, 8)) == [Writer(0)]
    assert storage.writers(Region(12, 20)) == [Writer(0), Writer(2)]


def test_reads_are_ordered_by_time_and_counted_once():
    storage = Storage(1)
    storage.write(Region(0, 16), 16, Writer(0))
    storage.write(Region(8, 12), 16, Writer(2))
    storage.write(Region(0, 4), 16, Writer(5))
    assert storage.writers(Region(0, 16)) == [Writer(0), Writer(2), Writer(5)]
    assert storage.epoch == 3


def test_bounds_meet():
    assert Region(0, 4).meets(Region(3, 5))
    assert not Region(0, 4).meets(Region(4, 5))
    assert EVERYTHING.meets(Region(7, 8))
    assert EMPTY.is_empty
