"""Which functions draw random numbers, and the state of generators before they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from torchlens_core import internals

#: Python functions of torch that draw; for the rest the operator's tag tells (`draws`).
_DRAWING = frozenset(
    {
        "alpha_dropout",
        "dropout",
        "dropout1d",
        "dropout2d",
        "dropout3d",
        "feature_alpha_dropout",
        "feature_dropout",
        "fractional_max_pool2d",
        "fractional_max_pool2d_with_indices",
        "fractional_max_pool3d",
        "fractional_max_pool3d_with_indices",
        "kaiming_uniform_",
        "lobpcg",
        "normal_",
        "rrelu",
        "uniform_",
    }
)


def draws(name: str) -> bool:
    """Whether the function of that name may draw random numbers.

    >>> draws("dropout"), draws("bernoulli"), draws("conv2d")
    (True, True, False)
    """
    return name in _DRAWING or torch.Tag.nondeterministic_seeded in tags_of(name)


def tags_of(name: str) -> set[Any]:
    """The tags of all overloads of the operator called ``name``."""
    packet = getattr(torch.ops.aten, name, None) if name.isidentifier() else None
    if packet is None:
        return set()
    return {tag for overload in packet.overloads() for tag in getattr(packet, overload).tags}


@dataclass(frozen=True, slots=True)
class GeneratorState:
    """A generator before an op drew from it."""

    #: The generator; None for the default one of ``device``.
    generator: Generator | None
    device: torch.device
    state: Tensor

    @classmethod
    def of(cls, generator: Generator | None, device: torch.device) -> GeneratorState:
        """The present state of ``generator``, or of the default generator of ``device``."""
        if device.type == "meta":  # draws there take their seed from the CPU's generator, if at all
            device = torch.device("cpu")
        return cls(generator, device, _get_state(generator, device))

    def restore(self) -> None:
        """Put the generator back to this state."""
        with internals.without_dispatch_modes():
            self._restore()

    def _restore(self) -> None:
        if self.generator is not None:
            self.generator.set_state(self.state)
        elif self.device.type == "cpu":
            torch.default_generator.set_state(self.state)
        else:
            torch.get_device_module(self.device).set_rng_state(self.state, self.device)

    def has_moved(self) -> bool:
        """Whether the generator was drawn from since."""
        now = _get_state(self.generator, self.device)
        with internals.without_dispatch_modes():
            return not torch.equal(now, self.state)


def _get_state(generator: Generator | None, device: torch.device) -> Tensor:
    with internals.without_dispatch_modes():
        return _state_of(generator, device)


def _state_of(generator: Generator | None, device: torch.device) -> Tensor:
    if generator is not None:
        return generator.get_state()
    if device.type == "cpu":
        return torch.default_generator.get_state()
    state = torch.get_device_module(device).get_rng_state(device)
    assert isinstance(state, Tensor)
    return state
