"""Other values for the sources of a pass, as unlike as they can be without leaving their domain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

from torchlens_core.compare import has_values

#: Elements of a source that are changed at most: enough to show, cheap beside a forward pass.
MAX_CHANGED = 512
#: Relative change of an element at most, beside some steps of its dtype; what takes the place of zeros.
RELATIVE, INSTEAD_OF_ZERO = 2.0**-6, 2.0**-16
#: Factors differ from element to element, since many models do not mind their input scaled; a prime number of them.
_FACTORS = 251


@dataclass
class Perturbation:
    """Changes made in place, to be undone."""

    _undo: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def change(self, tensor: Tensor) -> bool:
        """Change ``tensor``, towards zero; False if that cannot be done."""
        if not _is_plain(tensor) or not (tensor.is_floating_point() or tensor.is_complex()):
            return False
        try:
            part = _part(tensor.data)
            before = part.clone()
            _move(part)
        except (RuntimeError, NotImplementedError):
            return False
        self._undo.append((part, before))
        return True

    def undo(self) -> None:
        """Put everything back."""
        for part, before in reversed(self._undo):
            part.copy_(before)
        self._undo.clear()


def change_input(tensor: Tensor, with_integers: bool, is_large: bool = False) -> bool:
    """Change ``tensor``, an argument made for this pass: a little, or so much that what is rounded changes too.

    A little, integers change places with one another.
    """
    if not _is_plain(tensor):
        return False
    try:
        if is_large:
            return _move_far(tensor, with_integers)
        if tensor.is_floating_point() or tensor.is_complex():
            _move(tensor.data)
            return True
        if not with_integers or tensor.numel() < 2:
            return False
        moved = tensor.flatten().roll(1).view(tensor.shape)
        if torch.equal(moved, tensor):
            return False
        tensor.data.copy_(moved)
    except (RuntimeError, NotImplementedError):  # expanded, or of a kind that cannot be computed with
        return False
    return True


def change_all(perturbation: Perturbation, tensors: Iterable[tuple[int, Tensor]]) -> set[int]:
    """Change every tensor that can be; returns the keys of those."""
    return {key for key, tensor in tensors if perturbation.change(tensor)}


def _is_plain(tensor: Tensor) -> bool:
    return (
        has_values(tensor)
        and tensor.layout is torch.strided
        and not tensor.is_quantized
        and not tensor.is_nested
        and tensor.numel() > 0
    )


def _part(tensor: Tensor) -> Tensor:
    """A view of `MAX_CHANGED` elements at most, spread evenly; all, where that is no view."""
    if tensor.numel() <= MAX_CHANGED or not tensor.is_contiguous():
        return tensor
    step = -(-tensor.numel() // MAX_CHANGED) | 1  # odd, so that no row or column is left out
    return tensor.view(-1)[::step]


def _move(values: Tensor) -> None:
    """Change each element a little: towards zero, zeros away from it."""
    count = values.numel()
    factors = _factors(min(count, MAX_CHANGED), values.dtype, values.device)
    if count > MAX_CHANGED:
        factors = factors.repeat(-(-count // MAX_CHANGED))[:count]
    zeros = values == 0
    values.mul_(factors.view(values.shape)).masked_fill_(zeros, INSTEAD_OF_ZERO)


def _move_far(tensor: Tensor, with_integers: bool) -> bool:
    """Change every element by much: other places and sizes, other signs where there are some; integers by one."""
    if tensor.is_floating_point() or tensor.is_complex():
        few = torch.tensor([0.25, 1.75], dtype=tensor.dtype, device=tensor.device)
        if not tensor.is_complex() and bool((tensor < 0).any()):
            few = -few
        factors = few.repeat(tensor.numel() // 2 + 1)[: tensor.numel()].view(tensor.shape)
        tensor.data.copy_(tensor.flatten().roll(tensor.numel() // 3 + 1).view(tensor.shape) * factors)
        return True
    if not with_integers:
        return False
    if tensor.dtype is torch.bool:
        tensor.data.logical_not_()
        return True
    tensor.data.copy_(torch.where(tensor > 0, tensor - 1, tensor + (tensor.max() == 0).to(tensor.dtype)))
    return True


@lru_cache(maxsize=512)
def _factors(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    steps = torch.arange(count, device=device) % _FACTORS + 1
    least = 4 * torch.finfo(dtype).eps  # what rounding does not take back
    return 1 - least - RELATIVE * steps / _FACTORS
