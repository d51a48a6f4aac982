"""What the fixture ``lens`` gives to a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from torchlens_core import ModelHistory, log_forward_pass


class Lens:
    """Logs forward passes: ``lens(model, *args, **kwargs)`` runs ``model(*args, **kwargs)``."""

    def __init__(self) -> None:
        #: The histories that this fixture has logged, first to last.
        self.histories: list[ModelHistory] = []

    def __call__(self, model: nn.Module, *args: Any, **kwargs: Any) -> ModelHistory:
        """Run ``model(*args, **kwargs)`` once and return the history of the pass."""
        return self.log(model, list(args), kwargs)

    def log(
        self,
        model: nn.Module,
        input_args: Any,
        input_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> ModelHistory:
        """`torchlens_core.log_forward_pass` with all its options, the same arguments."""
        history = log_forward_pass(model, input_args, input_kwargs, **options)
        self.histories.append(history)
        return history
