"""A model that provokes something, and what it is run with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


@dataclasses.dataclass(frozen=True)
class Tricky:
    """A model, what it is run with, and what it provokes."""

    build: Callable[[], nn.Module]
    inputs: Callable[[], tuple[Any, ...]]
    kwargs: Callable[[], dict[str, Any]] = dict
    #: Run with autograd on.
    grad: bool = True
    #: Run in training mode.
    training: bool = False
    #: Sources whose dependence the oracles cannot tell.
    blind: frozenset[str] = frozenset()
    #: What the validation rightly finds, if the model does what no graph can tell.
    finding: str | None = None
    #: How often some of its layers run, if it is about those.
    passes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    #: Known defects of torchlens_core: the test that fails, and why.
    defects: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        return getattr(self.build, "__name__", repr(self.build))

    @property
    def provokes(self) -> str:
        return (self.build.__doc__ or "").strip()

    def make(self) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
        """Model and arguments, the same at each call."""
        torch.manual_seed(0)
        model = self.build()
        for module in model.modules():
            module.training = self.training  # exported programs refuse train() and eval()
        return model, self.inputs(), self.kwargs()


def rand(*sizes: tuple[int, ...]) -> Callable[[], tuple[Tensor, ...]]:
    """Inputs of those sizes, away from zero."""
    return lambda: tuple(torch.rand(size) + 0.5 for size in sizes)
