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
#: Relative change of an element at most, and what is added besides: less than the least of the changes takes from 1,
#: so that probabilities stay what they are.
RELATIVE, AWAY = 2.0**-6, 2.0**-16
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


def change_input(tensor: Tensor, with_integers: bool) -> bool:
    """Change ``tensor``, an argument made for this pass; integers change places with one another."""
    if not _is_plain(tensor):
        return False
    if tensor.is_floating_point() or tensor.is_complex():
        _move(tensor.data)
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


def _move(values: Tensor) -> None:
    """Change each element a little: towards zero, zeros away from it."""
    count = values.numel()
    factors = _factors(min(count, MAX_CHANGED), values.device)
    if count > MAX_CHANGED:
        factors = factors.repeat(-(-count // MAX_CHANGED))[:count]
    values.mul_(factors.view(values.shape)).add_(AWAY)


@lru_cache(maxsize=512)
def _factors(count: int, device: torch.device) -> Tensor:
    steps = torch.arange(count, device=device) % _FACTORS + 1
    return 1 - RELATIVE * steps / _FACTORS
