"""Who last wrote each byte of a storage, by brute force: the memory of the oracle, not of the recorder.

It shares no code with `torchlens_core.memory`, and knows no cleverness: a storage that was written as a whole
has one writer, any other a number for each grain of it.
"""

from __future__ import annotations

from math import gcd

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

#: Grains of the largest storage that is followed (4 bytes each).
MAX_GRAINS = 1 << 26
#: The writer of bytes that nobody has written in the pass.
NOBODY = -1


class Shadow:
    """The writers of one storage, as numbers."""

    __slots__ = ("cells", "grain", "is_lost", "whole")

    def __init__(self, writer: int) -> None:
        #: The writer of every byte, where ``cells`` is None.
        self.whole = writer
        self.cells: NDArray[np.int32] | None = None
        #: Bytes a cell stands for.
        self.grain = 0
        #: Whether it could not be followed any further.
        self.is_lost = False

    def write(self, tensor: Tensor, writer: int) -> None:
        """From now on the bytes of ``tensor`` were written by ``writer``."""
        if (self.cells is None and self.whole == writer) or tensor.numel() == 0:
            return
        size = tensor.untyped_storage().nbytes()
        width = tensor.element_size()
        if tensor.numel() * width == size and is_dense(tensor):
            self.whole, self.cells = writer, None
            return
        if self.cells is None:
            self.grain = gcd(width, size)
            if size // self.grain > MAX_GRAINS:
                self.is_lost = True
                return
            self.cells = np.full(size // self.grain, self.whole, dtype=np.int32)
        self._view(tensor)[...] = writer

    def lose(self) -> None:
        """It is not what it was: nobody can tell from now on."""
        self.whole, self.cells, self.is_lost = NOBODY, None, True

    def read(self, tensor: Tensor) -> set[int]:
        """The writers of the bytes of ``tensor``."""
        if tensor.numel() == 0:
            return set()
        if self.cells is None:
            return {self.whole}
        view = self._view(tensor)
        first = int(view.flat[0])
        if (view == first).all():
            return {first}
        return {int(writer) for writer in np.unique(view)}

    def _view(self, tensor: Tensor) -> NDArray[np.int32]:
        """The cells behind ``tensor``, with a last dimension for those of one element."""
        assert self.cells is not None
        width = tensor.element_size()
        if width % self.grain:
            finer = gcd(width, self.grain)
            if len(self.cells) * self.grain // finer > MAX_GRAINS:
                self.is_lost = True
            self.cells = np.repeat(self.cells, self.grain // finer)
            self.grain = finer
        missing = tensor.untyped_storage().nbytes() // self.grain - len(self.cells)
        if missing > 0:  # it was resized
            self.cells = np.append(self.cells, np.full(missing, NOBODY, dtype=np.int32))
        inner = width // self.grain
        step = self.cells.itemsize
        start = self.cells[tensor.storage_offset() * inner :]
        strides = (*(stride * inner * step for stride in tensor.stride()), step)
        return np.lib.stride_tricks.as_strided(start, (*tensor.shape, inner), strides)


def is_dense(tensor: Tensor) -> bool:
    """Whether each byte between the first and the last element belongs to just one element.

    >>> import torch
    >>> is_dense(torch.zeros(2, 3).t()), is_dense(torch.zeros(2, 4)[:, ::2]), is_dense(torch.zeros(1).expand(2))
    (True, False, False)
    """
    if tensor.is_contiguous():
        return True
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size == 1:
            continue
        if stride != expected:
            return False
        expected *= size
    return True
