"""Who last wrote each byte of a storage.

Two tensors may share memory in part, and several writers may each fill a part of it. A reader depends
on the last writer of each byte that it reads, and on no other: reading row 0 does not depend on who
wrote row 1. Most storages are written once, whole, by the op that made them; `Storage.single` answers
for them at the cost of one attribute. The others keep a map from bytes to writers:

* `Segments`, for regions without gaps: sorted intervals, the last writer of each.
* `Cells`, for strided regions such as columns: one writer number an element, exact.
* `Loose`, for strided regions of storages beyond `MAX_CELLS`: bounds only, so that a reader may be given
  writers that it does not read; such edges are marked.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from math import gcd
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

#: Elements of the largest storage for which strided writes are tracked exactly (4 bytes each).
MAX_CELLS = 1 << 22


@dataclass(frozen=True, slots=True)
class Region:
    """The bytes of a storage that a tensor covers."""

    #: First byte, and the one after the last.
    start: int
    stop: int
    #: Sizes and strides in bytes where there are gaps between ``start`` and ``stop``, else None.
    strided: tuple[tuple[int, ...], tuple[int, ...], int] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it has no element."""
        return self.stop <= self.start

    def meets(self, other: Region) -> bool:
        """Whether the bounds of both overlap."""
        return self.start < other.stop and other.start < self.stop


EMPTY = Region(0, 0)
EVERYTHING = Region(0, 1 << 62)


#: First byte, ``(stride in bytes, size)`` of each dimension, and bytes an element.
Geometry = tuple[int, list[tuple[int, int]], int]


def _geometry(tensor: Tensor) -> Geometry:
    width = tensor.element_size()
    dims = [
        (int(stride) * width, int(size)) for size, stride in zip(tensor.shape, tensor.stride(), strict=True)
    ]
    return int(tensor.storage_offset()) * width, dims, width


def region_of(tensor: Tensor) -> Region:
    """The bytes that ``tensor`` covers; everything where it will not say."""
    try:
        if tensor.is_contiguous():
            width = tensor.element_size()
            start = int(tensor.storage_offset()) * width
            return Region(start, start + int(tensor.numel()) * width)
        return _region(*_geometry(tensor))
    except (RuntimeError, NotImplementedError, TypeError):
        return EVERYTHING


def _region(start: int, dims: list[tuple[int, int]], width: int) -> Region:
    if any(size == 0 for _, size in dims):
        return EMPTY
    # dimensions of one element, and expanded ones, add no bytes
    dims = sorted((stride, size) for stride, size in dims if stride != 0 and size != 1)
    stop = start + sum(stride * (size - 1) for stride, size in dims) + width
    expected = width
    for stride, size in dims:
        if stride != expected:
            sizes, strides = tuple(d[1] for d in dims), tuple(d[0] for d in dims)
            return Region(start, stop, (sizes, strides, width))
        expected *= size
    return Region(start, stop)


def indexed_region(tensor: Tensor, index: Any) -> Region | None:
    """The bytes of ``tensor[index]``; None if the index is none that a view can have."""
    items = tuple(map(_plain_index, index if isinstance(index, tuple) else (index,)))
    if not all(i is None or i is Ellipsis or type(i) in (int, slice) for i in items):
        return None
    if sum(i is Ellipsis for i in items) > 1:
        return None
    try:
        start, dims, width = _geometry(tensor)
        for item, dim in _aligned(items, len(dims)):
            stride, size = dims[dim]
            if type(item) is int:
                start += (item + size if item < 0 else item) * stride
                dims[dim] = (0, 1)
            else:
                steps = range(*item.indices(size))
                start += steps.start * stride if len(steps) else 0
                dims[dim] = (stride * steps.step, len(steps))
        return _region(start, dims, width)
    except (RuntimeError, NotImplementedError, TypeError, IndexError):
        return None


def _plain_index(item: Any) -> Any:
    """Integers of numpy as Python's."""
    return int(item) if isinstance(item, np.integer) else item


def _aligned(items: tuple[Any, ...], rank: int) -> list[tuple[Any, int]]:
    """Each int and slice of an index with the dimension that it applies to."""
    used = [item for item in items if item is not None]
    split = next((n for n, item in enumerate(used) if item is Ellipsis), len(used))
    head, tail = used[:split], used[split + 1 :]
    return [*zip(head, range(rank)), *zip(tail, range(rank - len(tail), rank))]  # noqa: B905


def complex_part_region(tensor: Tensor, imaginary: bool) -> Region:
    """The bytes of ``tensor.real`` or ``tensor.imag`` of a complex tensor."""
    start, dims, width = _geometry(tensor)
    return _region(start + (width // 2 if imaginary else 0), dims, width // 2)


class Writer(Protocol):
    """What a storage keeps of a write: anything that has a place in time."""

    time: int


class Segments:
    """Sorted intervals without gaps between them, each with its last writer."""

    __slots__ = ("starts", "writers")

    def __init__(self, writer: Writer) -> None:
        self.starts: list[int] = [0]
        self.writers: list[Writer] = [writer]

    def write(self, region: Region, writer: Writer) -> None:
        """From now on ``region`` was written by ``writer``."""
        first = bisect_right(self.starts, region.start) - 1
        last = bisect_left(self.starts, region.stop)  # one past the last segment touched
        starts, writers = [region.start], [writer]
        if self.starts[first] < region.start:
            starts.insert(0, self.starts[first])
            writers.insert(0, self.writers[first])
        if last == len(self.starts) or self.starts[last] > region.stop:
            starts.append(region.stop)
            writers.append(self.writers[last - 1])
        self.starts[first:last] = starts
        self.writers[first:last] = writers

    def read(self, region: Region) -> list[Writer]:
        """The writers of ``region``."""
        first = bisect_right(self.starts, region.start) - 1
        last = bisect_left(self.starts, region.stop)
        return distinct(self.writers[first:last])


class Cells:
    """The number of the last writer of each cell of a storage (numpy: no torch mode can get in its way)."""

    __slots__ = ("numbers", "width", "writers")

    def __init__(self, segments: Segments, size: int, width: int) -> None:
        self.width = width
        self.writers: list[Writer] = []
        self.numbers: NDArray[np.int32] = np.zeros(-(-size // width), dtype=np.int32)
        stops = [*segments.starts[1:], size]
        for start, stop, writer in zip(segments.starts, stops, segments.writers, strict=True):
            self.numbers[start // width : stop // width] = len(self.writers)
            self.writers.append(writer)

    def fits(self, region: Region) -> bool:
        """Whether ``region`` lies in this map and is made of whole cells."""
        if region.stop > len(self.numbers) * self.width:
            return False
        steps = (region.strided[2], *region.strided[1]) if region.strided else (region.stop,)
        return all(step % self.width == 0 for step in (region.start, *steps))

    def _view(self, region: Region) -> NDArray[np.int32]:
        first = region.start // self.width
        if region.strided is None:
            return self.numbers[first : region.stop // self.width]
        sizes, strides, width = region.strided
        inner = width // self.width  # cells an element
        step = self.numbers.itemsize
        steps = (*(stride // self.width * step for stride in strides), step)
        return np.lib.stride_tricks.as_strided(self.numbers[first:], (*sizes, inner), steps)

    def write(self, region: Region, writer: Writer) -> None:
        """From now on ``region`` was written by ``writer``."""
        self._view(region)[...] = len(self.writers)
        self.writers.append(writer)
        if len(self.writers) > 2 * len(self.numbers) + 64:
            self._forget_overwritten()

    def _forget_overwritten(self) -> None:
        live, inverse = np.unique(self.numbers, return_inverse=True)
        self.numbers = inverse.astype(np.int32).reshape(self.numbers.shape)
        self.writers = [self.writers[number] for number in live]

    def read(self, region: Region) -> list[Writer]:
        """The writers of ``region``."""
        counts = np.bincount(self._view(region).ravel(), minlength=len(self.writers))
        return distinct([self.writers[number] for number in np.flatnonzero(counts)])


class Loose:
    """Bounds of all writes: what is read may include writers of bytes between."""

    __slots__ = ("writes",)

    def __init__(self, segments: Segments) -> None:
        stops = [*segments.starts[1:], EVERYTHING.stop]
        self.writes = [
            (Region(start, stop), writer)
            for start, stop, writer in zip(segments.starts, stops, segments.writers, strict=True)
        ]

    def write(self, region: Region, writer: Writer) -> None:
        """From now on ``region`` was written by ``writer``."""
        if region.strided is None:
            self.writes = [
                (old, who)
                for old, who in self.writes
                if not (region.start <= old.start and old.stop <= region.stop)
            ]
        self.writes.append((region, writer))

    def read(self, region: Region) -> list[Writer]:
        """The writers of ``region``."""
        return distinct([writer for old, writer in self.writes if old.meets(region)])


class Storage:
    """One storage met in a pass: its writers, and the saved values that lie in it."""

    #: The writer of every byte, if there is but one.
    single: Any = None
    map: Segments | Cells | Loose | None = None
    #: Values saved by reference, which would change if these bytes were written.
    saved: list[Any] | None = None
    #: Whether code that nobody sees may write here (after ``numpy()``, ``data_ptr()``, ...).
    escaped = False
    #: Whether it is known under several addresses.
    is_shared = False
    #: How many writes to it were seen, the first one left out.
    epoch = 0
    size = 0

    def __init__(self, key: int) -> None:
        #: Its address, or `internals.NO_STORAGE`.
        self.key = key

    @property
    def is_new(self) -> bool:
        """Whether nobody is known to have written it."""
        return self.single is None and self.map is None

    def write(self, region: Region, size: int, writer: Writer) -> None:
        """Note that ``writer`` has written ``region``; the storage now has ``size`` bytes."""
        self.epoch += 1
        if region.is_empty:
            return
        self.size = max(self.size, size, 0 if region is EVERYTHING else region.stop)
        if region.strided is None and region.start <= 0 and region.stop >= self.size:
            self.single, self.map = writer, None
            return
        if self.map is None:
            self.map, self.single = Segments(self.single or writer), None
        self._map_for(region).write(region, writer)

    def writers(self, region: Region) -> list[Any]:
        """The last writers of the bytes of ``region``, oldest first."""
        if self.map is None:
            return [] if self.single is None else [self.single]
        if region.is_empty:
            return []
        if isinstance(self.map, Cells) and not self.map.fits(region):
            return sorted(self._map_for(region).read(region), key=lambda writer: writer.time)
        found = self.map.read(region)
        if len(found) > 1 and region.strided is not None and isinstance(self.map, Segments):
            found = self._map_for(region).read(region)
        return sorted(found, key=lambda writer: writer.time)

    @property
    def is_exact(self) -> bool:
        """Whether `writers` names only writers of bytes that are read."""
        return not isinstance(self.map, Loose)

    def _map_for(self, region: Region) -> Segments | Cells | Loose:
        """The map, changed to a kind that can express ``region``."""
        old = self.map
        assert old is not None
        if isinstance(old, Segments):
            if region.strided is None:
                return old
            width = gcd(region.strided[2], region.start, *region.strided[1], *old.starts, self.size)
            if self.size // width <= MAX_CELLS:
                self.map = Cells(old, self.size, width)
            else:
                self.map = Loose(old)
        elif isinstance(old, Cells) and not old.fits(region):
            self.map = _segments_of(old)
            return self._map_for(region)
        assert self.map is not None
        return self.map


def _segments_of(cells: Cells) -> Segments:
    """The same writers as intervals, for the rare change of cell width."""
    segments = Segments(cells.writers[cells.numbers[0]])
    firsts = np.flatnonzero(np.diff(cells.numbers)) + 1
    segments.starts += [int(first) * cells.width for first in firsts]
    segments.writers += [cells.writers[cells.numbers[first]] for first in firsts]
    return segments


def has_memory(tensor: Tensor) -> bool:
    """Whether the storage behind ``tensor`` holds all its elements; one that was resized to nothing does not."""
    region = region_of(tensor)
    return region is EVERYTHING or region.is_empty or region.stop <= storage_size(tensor)


def is_lazy_view(tensor: Tensor) -> bool:
    """Whether the values of ``tensor`` are those in memory conjugated or negated."""
    return tensor.is_conj() or tensor.is_neg()


def storage_size(tensor: Tensor) -> int:
    """Bytes of the storage behind ``tensor``; 0 where it will not say."""
    try:
        return int(tensor.untyped_storage().nbytes())
    except (RuntimeError, NotImplementedError, TypeError):
        return 0


def distinct(writers: list[Writer]) -> list[Writer]:
    """``writers`` without repetitions, in order."""
    return list({id(writer): writer for writer in writers}.values())
