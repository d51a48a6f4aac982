"""What a tensor is without its values, written ``f32[1, 64, 56, 56]`` everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_SHORT = {
    "float64": "f64",
    "float32": "f32",
    "float16": "f16",
    "bfloat16": "bf16",
    "int64": "i64",
    "int32": "i32",
    "int16": "i16",
    "int8": "i8",
    "uint64": "u64",
    "uint32": "u32",
    "uint16": "u16",
    "uint8": "u8",
    "complex128": "c128",
    "complex64": "c64",
    "complex32": "c32",
}


def short_dtype(dtype: torch.dtype) -> str:
    """The short name of a dtype.

    >>> short_dtype(torch.float32), short_dtype(torch.bool), short_dtype(torch.float8_e4m3fn)
    ('f32', 'bool', 'float8_e4m3fn')
    """
    name = str(dtype).removeprefix("torch.")
    return _SHORT.get(name, name)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape, dtype and the rest of one tensor.

    >>> print(TensorSpec.of(torch.zeros(2, 3)))
    f32[2, 3]
    """

    #: Sizes; an int each, or text for a symbolic or ragged one.
    shape: tuple[Any, ...]
    dtype: torch.dtype
    device: torch.device
    requires_grad: bool = False
    layout: torch.layout = torch.strided

    @classmethod
    def of(cls, tensor: Tensor) -> TensorSpec:
        """The spec of ``tensor``; reads no value."""
        return cls(plain_shape(tensor), tensor.dtype, tensor.device, tensor.requires_grad, tensor.layout)

    @property
    def numel(self) -> int:
        """Number of elements; 0 when a size is not a plain number."""
        count = 1
        for size in self.shape:
            if not isinstance(size, int):
                return 0
            count *= size
        return count

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, as if stored densely."""
        return self.numel * self.dtype.itemsize

    def __str__(self) -> str:
        text = f"{short_dtype(self.dtype)}[{', '.join(map(str, self.shape))}]"
        return text if self.layout is torch.strided else f"{text} {str(self.layout)[6:]}"


def plain_shape(tensor: Tensor) -> tuple[Any, ...]:
    """The sizes of ``tensor`` as plain numbers, or as text where they are not numbers."""
    try:
        shape = tensor.shape
    except RuntimeError:  # nested tensors of the old, strided kind have no sizes
        return (tensor.size(0), "?")
    return tuple(size if type(size) is int else str(size) for size in shape)


def human_bytes(count: int) -> str:
    """``count`` bytes as people write it.

    >>> human_bytes(259584), human_bytes(20)
    ('253.5 KB', '20 B')
    """
    size = float(count)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024 or unit == "TB":
            break
        size /= 1024
    return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
