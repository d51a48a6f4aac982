"""A model with its arguments, run with and without the tracer from one state: what the checks look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from torchlens_core import structure
from torchlens_core.compare import Tolerance
from torchlens_core.history import ModelHistory
from torchlens_core.nodes import PARAMETER
from torchlens_core.saving import SavingOptions
from torchlens_core.state import Generators, Snapshot, copy_of_lazy, fresh_copy
from torchlens_core.trace import trace


@dataclass
class Run:
    """What one run of the model gave and left behind."""

    results: list[tuple[str, Any]]
    gradients: list[tuple[str, Any]]
    buffers: list[tuple[str, Any]]
    generators: Generators


@dataclass
class Trial:
    """A model with its arguments, and the state in which each check finds them."""

    model: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    tolerance: Tolerance
    grad: bool | None
    seed: int | None
    #: The history, or the part of it up to an error: it has the first values of parameters that were written.
    _seen: ModelHistory | None = field(init=False, default=None)
    _is_lazy: bool = field(init=False)
    _state: Snapshot = field(init=False)
    _generators: Generators = field(init=False)

    def __post_init__(self) -> None:
        self._is_lazy = any(is_lazy(parameter) for parameter in self.model.parameters())
        self._state = Snapshot(self.model, self.args, self.kwargs)
        self._generators = Generators(self._state.generators)

    def restore(self) -> None:
        """Model and generators as they were at the start."""
        written = {
            id(node.tensor): node.saved[0]
            for node in (self._seen.recording.nodes if self._seen is not None else ())
            if node.kind is PARAMETER and node.saved is not None
        }
        self._state.restore(written)
        self._generators.restore()

    @cached_property
    def traced(self) -> tuple[ModelHistory, Run]:
        """The history of one pass, and what the pass gave."""
        self.restore()
        model = self._fresh_model()
        args, kwargs = fresh_copy((self.args, self.kwargs))
        self._sow()
        try:
            traced = trace(model, args, kwargs, SavingOptions(which=True))
        except BaseException as error:
            self._seen = getattr(error, "partial_history", None)
            raise
        self._seen = traced.history
        return traced.history, self._run(model, traced.result, args, kwargs)

    def _fresh_model(self) -> nn.Module:
        """The model; a copy if it is lazy, since what its first call does to it cannot be undone."""
        return copy_of_lazy(self.model) if self._is_lazy else self.model

    @property
    def history(self) -> ModelHistory:
        """The history of that pass."""
        return self.traced[0]

    @cached_property
    def untraced(self) -> Run:
        """The same pass without the recorder."""
        self.restore()
        model = self._fresh_model()
        args, kwargs = fresh_copy((self.args, self.kwargs))
        self._sow()
        return self._run(model, model(*args, **kwargs), args, kwargs)

    def _sow(self) -> None:
        """Seed torch's generator, if a seed is given; `restore` puts it back."""
        if self.seed is not None:
            torch.manual_seed(self.seed)

    def _run(self, model: nn.Module, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Run:
        generators = Generators(self._state.generators)
        leaves = structure.leaves(result)
        results = [(structure.show("output", path), tensor.detach().clone()) for path, tensor in leaves]
        buffers = [(name, buffer.detach().clone()) for name, buffer in model.named_buffers()]
        gradients = self._gradients(model, [tensor for _, tensor in leaves], (args, kwargs))
        return Run(results, gradients, buffers, generators)

    def _gradients(
        self, model: nn.Module, outputs: Sequence[Tensor], arguments: Any
    ) -> list[tuple[str, Any]]:
        """Gradients of the sum of all outputs, by parameters and inputs."""
        wanted = torch.is_grad_enabled() if self.grad is None else self.grad
        outputs = [t for t in outputs if t.requires_grad and (t.is_floating_point() or t.is_complex())]
        leaves: dict[str, Tensor] = dict(model.named_parameters())
        for path, tensor in structure.leaves(arguments):
            leaves[structure.show("input", path)] = tensor
        leaves = {name: leaf for name, leaf in leaves.items() if leaf.requires_grad and leaf.is_leaf}
        if not wanted or not outputs or not leaves or any(t.is_meta for t in outputs):
            return []
        try:
            found = torch.autograd.grad(
                outputs, list(leaves.values()), [torch.ones_like(t) for t in outputs], allow_unused=True
            )
        except RuntimeError as error:  # a model whose result has no backward pass
            return [("backward", f"{type(error).__name__}: {error}")]
        return list(zip(leaves, found, strict=True))
