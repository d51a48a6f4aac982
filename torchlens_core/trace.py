"""`log_forward_pass` and its kin: one call, one forward pass, one history."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from torchlens_core import draw, internals, origins
from torchlens_core.assemble import assemble
from torchlens_core.errors import ArgumentError
from torchlens_core.history import ModelHistory
from torchlens_core.inputs import argument_leaves, arguments_of, check_arguments
from torchlens_core.intercept import Interception
from torchlens_core.randomness import GeneratorState
from torchlens_core.recorder import Recorder
from torchlens_core.saving import SavingOptions
from torchlens_core.selection import Selection, check_keys, unknown_key
from torchlens_core.sites import stack_of
from torchlens_core.witness import Witness


def log_forward_pass(
    model: nn.Module,
    input_args: Any,
    input_kwargs: Mapping[str, Any] | None = None,
    *,
    layers_to_save: str | Sequence[Any] | None = "all",
    keep_unsaved_layers: bool = False,
    output_device: str | torch.device = "same",
    activation_postfunc: Callable[[Tensor], Any] | None = None,
    detach_saved_tensors: bool = False,
    save_gradients: bool = False,
    random_seed: int | None = None,
    vis_opt: str = "none",
    vis_nesting_depth: int | None = None,
    vis_outpath: str = "graph.gv",
    vis_save_only: bool = False,
    vis_fileformat: str = "pdf",
    vis_buffer_layers: bool = False,
    vis_direction: str = "topdown",
    vis_node_overrides: Mapping[str, Any] | None = None,
    vis_edge_overrides: Mapping[str, Any] | None = None,
    vis_gradient_edge_overrides: Mapping[str, Any] | None = None,
    vis_module_overrides: Mapping[str, Any] | None = None,
) -> ModelHistory:
    """Run ``model`` once and return the history of the pass: every op, what it returned, and the graph.

    The model is run as it is, in the mode it is in, and comes out as an ordinary call would leave it.

    Args:
        model: any module.
        input_args: one argument, or a list or tuple of positional arguments.
        input_kwargs: arguments by name.
        layers_to_save: ``"all"``, ``"none"`` or None, or a list of labels, indices, module addresses and
            parts of labels. What is not selected is never kept in memory.
        keep_unsaved_layers: with a list, name the other layers too in ``layer_labels`` and ``layer_list``.
        output_device: where activations are moved to; ``"same"`` leaves them.
        activation_postfunc: applied to each activation before it is kept.
        detach_saved_tensors: cut activations out of the autograd graph.
        save_gradients: keep the gradients that later backward passes give to activations.
        random_seed: seed of the generators for this pass; they are put back afterwards.
        vis_opt: ``"none"``, ``"rolled"`` (a node a layer) or ``"unrolled"`` (a node a pass): draw the graph.
        vis_nesting_depth: levels of modules drawn open; None for as many as keep the picture readable.
        vis_outpath: where the picture is written, without the format's ending.
        vis_save_only: write the picture, and do not show it.
        vis_fileformat: ``"pdf"``, ``"svg"``, ``"png"``, ``"dot"``, or ``"json"`` for Model Explorer.
        vis_buffer_layers: draw buffers too.
        vis_direction: ``"topdown"``, ``"bottomup"`` or ``"leftright"``.
        vis_node_overrides: attributes of boxes by their names in DOT (``fillcolor``, ``color``, ``fontcolor``,
            ``penwidth``, ``style``, ``label``, ``tooltip``); a callable is given the history and the layer.
        vis_edge_overrides: the same for edges; a callable is given the history and the layers at both ends.
        vis_gradient_edge_overrides: the same for edges of gradients.
        vis_module_overrides: the same for modules; a callable is given the history and the module call.

    Raises:
        ArgumentError: ``model`` is no module, or cannot be called with these arguments; nothing was run.
        DeviceMismatchError: model and inputs are on different devices; nothing was run.
        UnknownLayerError: ``layers_to_save`` names something that is not there.
        Exception: what the model raises, with the history up to there as ``partial_history``.

    >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    >>> history = log_forward_pass(model, torch.rand(2, 4))
    >>> history.layer_labels
    ['input_1', 'linear_1_1', 'relu_1_2', 'output_1']
    >>> history["relu"].tensor_contents.shape
    torch.Size([2, 3])
    """
    drawing = draw.Drawing(
        *(vis_opt, vis_nesting_depth, vis_outpath, vis_save_only, vis_fileformat),
        *(vis_buffer_layers, vis_direction),
        draw.Overrides(
            node=vis_node_overrides or {},
            edge=vis_edge_overrides or {},
            gradient_edge=vis_gradient_edge_overrides or {},
            module=vis_module_overrides or {},
        ),
    )
    args, kwargs = _arguments(model, input_args, input_kwargs)
    options = _saving(
        model, layers_to_save, output_device, activation_postfunc, detach_saved_tensors, save_gradients
    )
    history = _observed_trace(model, args, kwargs, options, random_seed, keep_unsaved_layers)
    drawing.show(history)
    return history


def _arguments(model: Any, input_args: Any, input_kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    args, kwargs = arguments_of(input_args, input_kwargs)
    with internals.WithoutTorchFunction():  # a mode around this call has nothing to see here
        check_arguments(model, args, kwargs)
    return args, kwargs


def _saving(
    model: nn.Module, layers_to_save: Any, device: Any, postfunc: Any, detach: bool, gradients: bool
) -> SavingOptions:
    if postfunc is not None and not callable(postfunc):
        raise ArgumentError(
            f"activation_postfunc is {postfunc!r}. Expected a function of one tensor, or None."
        )
    return SavingOptions(
        which=_selection(model, layers_to_save),
        device=_device(device),
        postfunc=postfunc,
        detach=detach,
        gradients=gradients,
    )


def _observed_trace(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: SavingOptions,
    random_seed: int | None,
    keep_unsaved_layers: bool,
) -> ModelHistory:
    """Trace, tell the observers, and see that every key of a selection has named something."""
    which = options.which
    keeps_unsaved = keep_unsaved_layers or not isinstance(which, Selection)
    told = [(observer, observer.before_pass(model, args, kwargs)) for observer in _observers]
    traced = trace(model, args, kwargs, options, random_seed=random_seed, keeps_unsaved=keeps_unsaved)
    history = traced.history
    for observer, token in told:
        observer.after_pass(history, token)
    if isinstance(which, Selection) and which.unmatched:
        names = [*history.entries_by_name, *history.entries_by_module]
        error = unknown_key(which.unmatched[0], names)
        error.partial_history = history  # type: ignore[attr-defined]
        raise error
    return history


class Observer(Protocol):
    """Somebody who wants to know of every pass that is logged; see `observed`."""

    def before_pass(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A pass of ``model`` with these arguments is about to be logged; what is returned comes back."""

    def after_pass(self, history: ModelHistory, token: Any) -> None:
        """It has been, without an error; ``token`` is what `before_pass` returned for it."""


_observers: list[Observer] = []


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Inside, ``observer`` is told of every pass that `log_forward_pass` and its kin log, on any thread."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def get_model_metadata(
    model: nn.Module, input_args: Any, input_kwargs: Mapping[str, Any] | None = None
) -> ModelHistory:
    """The history of a pass without its activations: `log_forward_pass` with ``layers_to_save="none"``.

    >>> get_model_metadata(nn.ReLU(), torch.rand(2)).layers_with_saved_activations
    []
    """
    return log_forward_pass(model, input_args, input_kwargs, layers_to_save="none")


def show_model_graph(
    model: nn.Module,
    input_args: Any,
    input_kwargs: Mapping[str, Any] | None = None,
    *,
    vis_opt: str = "unrolled",
    save_only: bool = False,
    random_seed: int | None = None,
    **vis_options: Any,
) -> None:
    """Draw the graph of ``model`` without keeping activations; the arguments are those of `log_forward_pass`."""
    log_forward_pass(
        model,
        input_args,
        input_kwargs,
        layers_to_save="none",
        random_seed=random_seed,
        vis_opt=vis_opt,
        vis_save_only=save_only,
        **vis_options,
    )


def _device(name: Any) -> torch.device | None:
    """The device that activations are moved to; None if they stay where they are."""
    if isinstance(name, str) and name == "same":
        return None
    try:
        return torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ArgumentError(f"output_device is {name!r}. Expected 'same' or a device: {error}") from None


def _selection(model: nn.Module, layers_to_save: str | Sequence[Any] | None) -> bool | Selection:
    """True for all, False for none, else the selection; raises for keys that can name nothing."""
    if isinstance(layers_to_save, str) and layers_to_save.lower() in ("all", "none"):
        return layers_to_save.lower() == "all"
    if layers_to_save is None or (isinstance(layers_to_save, list | tuple) and not layers_to_save):
        return False
    addresses = [address for address, _ in origins.walk(model) if address]
    check_keys(layers_to_save, addresses)
    return Selection(list(layers_to_save), addresses)


@dataclass(frozen=True, slots=True)
class Traced:
    """What one traced pass gives."""

    history: ModelHistory
    #: What the model returned.
    result: Any


def trace(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: SavingOptions,
    *,
    random_seed: int | None = None,
    keeps_unsaved: bool = True,
    witness: Witness | None = None,
) -> Traced:
    """Run ``model`` once under a recorder, watched by ``witness``; the arguments have been checked."""
    internals.require_torch()
    started = time.perf_counter()
    outer_stack = stack_of(sys._getframe(1))
    recorder = Recorder(model, options, _run.__code__, None if witness is None else witness.nodes)

    def finished(seconds: float, error: BaseException | None) -> ModelHistory:
        return assemble(
            recorder,
            model,
            started=started,
            seconds_forward=seconds,
            outer_stack=outer_stack,
            random_seed=random_seed,
            generator=generator,
            keeps_unsaved=keeps_unsaved,
            error=error,
        )

    with _seeded(random_seed):
        with internals.WithoutTorchFunction():
            generator = GeneratorState.of(None, torch.device("cpu"))
            recorder.add_inputs(argument_leaves(args, kwargs))
        begun = time.perf_counter()
        try:
            with nullcontext() if witness is None else witness, Interception(recorder):
                result = _run(model, args, kwargs)
        except BaseException as error:
            with internals.WithoutTorchFunction():
                _attach(error, finished(time.perf_counter() - begun, error))
            raise
        seconds = time.perf_counter() - begun
        with internals.WithoutTorchFunction():
            if witness is not None:
                witness.finish(result)
            recorder.add_outputs(result)
            return Traced(finished(seconds, None), result)


def _run(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return model(*args, **kwargs)


def _attach(error: BaseException, history: ModelHistory) -> None:
    """Hang the history up to the error on the error."""
    try:
        error.partial_history = history  # type: ignore[attr-defined]
        where = history.recording.failed_call
        last = history.layer_labels[-1] if history.layer_labels else "nothing"
        error.add_note(
            f"torchlens: the pass of {history.model_name} failed{f' in {where}' if where else ''} after "
            f"{len(history.ops)} ops, the last entry being {last}. The history up to there is this "
            "error's partial_history."
        )
    except AttributeError:  # an error that takes no attributes
        pass


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """The generators of torch, Python and numpy seeded, and put back afterwards."""
    if seed is None:
        yield
        return
    if not isinstance(seed, int):
        raise ArgumentError(f"random_seed is {seed!r}; expected an int or None.")
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
