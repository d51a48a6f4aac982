"""Other values for the sources of a pass, as unlike as they can be without leaving their domain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from torchlens_core.compare import has_values

#: Elements of a source that are changed at most: enough to show, cheap beside a forward pass.
MAX_CHANGED = 4096
#: Relative change of an element at most, and what takes the place of zeros.
RELATIVE, INSTEAD_OF_ZERO = 2.0**-6, 2.0**-10
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
            part.copy_(_nearby(before))
        except (RuntimeError, NotImplementedError):
            return False
        self._undo.append((part, before))
        return True

    def undo(self) -> None:
        """Put everything back."""
        for part, before in reversed(self._undo):
            part.copy_(before)
        self._undo.clear()


def change_input(tensor: Tensor, with_integers: bool) -> bool:
    """Change ``tensor``, an argument made for this pass; integers change places with one another."""
    if not _is_plain(tensor):
        return False
    if tensor.is_floating_point() or tensor.is_complex():
        tensor.data.copy_(_nearby(tensor.data))
        return True
    if not with_integers or tensor.numel() < 2:
        return False
    moved = tensor.flatten().roll(1).view(tensor.shape)
    if torch.equal(moved, tensor):
        return False
    tensor.data.copy_(moved)
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


def _nearby(values: Tensor) -> Tensor:
    count = values.numel()
    factors = 1 - RELATIVE * (torch.arange(1, _FACTORS + 1, device=values.device) / _FACTORS)
    factors = factors.repeat(-(-count // _FACTORS))[:count].view(values.shape).to(values.dtype)
    return torch.where(values == 0, torch.full_like(values, INSTEAD_OF_ZERO), values * factors)
