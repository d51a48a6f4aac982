"""A model with its arguments, run with and without the tracer from one state: what the checks look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from torchlens_core import internals, structure
from torchlens_core.compare import Tolerance, has_values
from torchlens_core.history import ModelHistory
from torchlens_core.inputs import argument_leaves
from torchlens_core.nodes import BUFFER, CONSTANT, PARAMETER
from torchlens_core.saving import SavingOptions
from torchlens_core.state import Generators, Snapshot, Surroundings, copy_of_lazy, fresh_copy
from torchlens_core.trace import trace
from torchlens_core.witness import Witness


@dataclass
class Run:
    """What one run of the model gave and left behind."""

    results: list[tuple[str, Any]]
    gradients: list[tuple[str, Any]]
    buffers: list[tuple[str, Any]]
    #: What else it has changed of the model and what that holds, by path.
    changes: dict[str, Any]
    generators: Generators
    #: What the process had set before and after.
    before: Surroundings
    after: Surroundings


@dataclass
class Logged:
    """A logged run."""

    history: ModelHistory
    run: Run
    #: What watched it; None if nothing did.
    witness: Witness | None


@dataclass
class Trial:
    """A model with its arguments, and the state in which each check finds them."""

    model: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    tolerance: Tolerance
    grad: bool | None
    seed: int | None
    #: Whether the logged run is watched by the witnesses of kernels and module calls.
    is_watched: bool = True
    #: The history, or the part of it up to an error: it has the first values of parameters that were written.
    _seen: ModelHistory | None = field(init=False, default=None)
    #: Whether a check has told that the model is not the same from run to run.
    is_unlike_itself: bool = field(init=False, default=False)
    is_lazy: bool = field(init=False)
    #: Whether nothing was run since the state was put back.
    _is_clean: bool = field(init=False, default=True)
    _logged: Logged | None = field(init=False, default=None)
    _with_gradient: set[str] | None = field(init=False, default=None)
    _unlogged: Run | None = field(init=False, default=None)
    _state: Snapshot = field(init=False)
    _generators: Generators = field(init=False)

    def __post_init__(self) -> None:
        self.is_lazy = any(is_lazy(parameter) for parameter in self.model.parameters())
        self._state = Snapshot(self.model, self.args, self.kwargs)
        self._generators = Generators(self._state.generators)

    def restore(self) -> None:
        """Model and generators as they were at the start."""
        self._generators.restore()  # a replay moves them too
        if self._is_clean:
            return
        written = {
            id(node.tensor): node.saved[0]
            for node in (self._seen.recording.nodes if self._seen is not None else ())
            if node.kind is PARAMETER and node.saved is not None
        }
        self._state.restore(written, self._met())
        self._is_clean = True

    def _met(self) -> list[tuple[Tensor, Tensor]]:
        """Buffers and constants that the logged pass has met, with their first values: of a closure, say."""
        nodes = self._seen.recording.nodes if self._seen is not None else ()
        sources = [node for node in nodes if node.kind in (BUFFER, CONSTANT) and node.saved]
        found = [(node.values[0].ref(), node.saved[0]) for node in sources if node.saved is not None]
        return [(tensor, value) for tensor, value in found if tensor is not None and type(value) is Tensor]

    def disturb_generators(self) -> None:
        """Put the generators into a state that the pass has not met; `restore` puts them back."""
        self._generators.disturb()

    def start(self) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
        """Model and arguments for a run from the state at the start."""
        self.restore()
        self._is_clean = False
        # a lazy model is copied, since what its first call does to it cannot be undone
        model = copy_of_lazy(self.model) if self.is_lazy else self.model
        args, kwargs = fresh_copy((self.args, self.kwargs))
        if self.seed is not None:  # `restore` puts the generator back
            torch.manual_seed(self.seed)
        return model, args, kwargs

    @property
    def logged(self) -> Logged:
        """One logged pass, and what it gave."""
        # no `cached_property`, whose frame would stand in the stacks of the history
        if self._logged is None:
            self._logged = self._log(self.is_watched)
        return self._logged

    def log_alone(self) -> Logged:
        """The same with nobody watching."""
        return self._log(False)

    def _log(self, is_watched: bool) -> Logged:
        model, args, kwargs = self.start()
        before = Surroundings()
        witness = Witness(model) if is_watched else None
        try:
            traced = trace(model, args, kwargs, SavingOptions(which=True), witness=witness)
        except BaseException as error:
            self._seen = getattr(error, "partial_history", None)
            raise
        finally:
            if witness is not None:
                witness.kernels.release()
        if self._seen is None:  # a second history is not kept
            self._seen = traced.history
        run = self._run(model, lambda: traced.result, args, kwargs, before)
        return Logged(traced.history, run, witness)

    @property
    def history(self) -> ModelHistory:
        """The history of the logged pass."""
        return self.logged.history

    @property
    def witness(self) -> Witness:
        """What watched it."""
        witness = self.logged.witness
        assert witness is not None, "the trial was not to be watched"
        return witness

    @property
    def unlogged(self) -> Run:
        """The same pass without the recorder; after the logged one, which keeps the parameters that are written."""
        if self._unlogged is None:
            assert self.logged
            self._unlogged = self.run_again()
        return self._unlogged

    def run_open(self) -> Run:
        """The same without the fused kernels of attention, as the logged pass goes without them."""
        is_fused = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            return self.run_again()
        finally:
            torch.backends.mha.set_fastpath_enabled(is_fused)

    def run_again(self) -> Run:
        """One more pass without the recorder, from the same state."""
        model, args, kwargs = self.start()
        before = Surroundings()
        return self._run(model, lambda: model(*args, **kwargs), args, kwargs, before)

    def _run(
        self,
        model: nn.Module,
        call: Callable[[], Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        before: Surroundings,
    ) -> Run:
        result = call()
        held = [*self._state.tensors, *(t for t, _ in self._met())]
        held += [tensor for _, tensor in argument_leaves(args, kwargs)]
        shared = {internals.storage_key(t) for t in (*held, *model.parameters(), *model.buffers())}
        generators, after = Generators(self._state.generators), Surroundings()
        leaves = structure.leaves(result)
        buffers = dict(model.named_buffers())
        changes = {} if self.is_lazy else self._state.changes()
        return Run(
            # what lies in memory that is put back later is copied
            results=[
                (
                    structure.show("output", path),
                    tensor.detach().clone() if internals.storage_key(tensor) in shared else tensor.detach(),
                )
                for path, tensor in leaves
            ],
            gradients=self._gradients(model, [tensor for _, tensor in leaves], (args, kwargs)),
            buffers=[(name, buffer.detach().clone()) for name, buffer in buffers.items()],
            changes={path: v for path, v in changes.items() if path.removeprefix("model.") not in buffers},
            generators=generators,
            before=before,
            after=after,
        )

    @property
    def with_gradient(self) -> set[str]:
        """Parameters and inputs by which the unlogged results have a gradient that is not zero."""
        if self._with_gradient is None:
            self._with_gradient = {
                name
                for name, gradient in self.unlogged.gradients
                if isinstance(gradient, Tensor)
                and has_values(gradient)
                and gradient.layout is torch.strided
                and bool((gradient != 0).any())
            }
        return self._with_gradient

    def forget_gradients(self) -> None:
        """Let go of the gradients, which have been compared: they are as large as the parameters."""
        assert self.with_gradient is not None
        self.logged.run.gradients, self.unlogged.gradients = [], []

    def _gradients(
        self, model: nn.Module, outputs: Sequence[Tensor], arguments: Any
    ) -> list[tuple[str, Any]]:
        """Gradients of the sum of all outputs, by parameters and inputs."""
        wanted = torch.is_grad_enabled() if self.grad is None else self.grad
        outputs = [t for t in outputs if t.requires_grad and (t.is_floating_point() or t.is_complex())]
        leaves: dict[str, Tensor] = dict(model.named_parameters())
        for path, tensor in argument_leaves(*arguments):
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
