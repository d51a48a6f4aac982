"""A finished recorder into a `ModelHistory`."""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from types import CodeType
from typing import Any

from torch import nn

from torchlens_core import internals, origins
from torchlens_core.history import ModelHistory
from torchlens_core.randomness import GeneratorState
from torchlens_core.recorder import Recorder
from torchlens_core.recording import ModuleFacts, Recording


def assemble(
    recorder: Recorder,
    model: nn.Module,
    *,
    started: float,
    seconds_forward: float,
    outer_stack: Sequence[tuple[CodeType, int]],
    random_seed: int | None,
    generator: GeneratorState | None,
    keeps_unsaved: bool,
    error: BaseException | None = None,
) -> ModelHistory:
    """The history of the pass that ``recorder`` has listened to; the recorder is empty afterwards."""
    modules = list(origins.walk(model))
    recorder.finish((module for _, module in modules), error is not None)
    recording = Recording(
        model_name=type(model).__name__,
        model_class=f"{type(model).__module__}.{type(model).__qualname__}",
        nodes=recorder.nodes,
        calls=recorder.calls,
        modules=[module_facts(address, module) for address, module in modules],
        stacks=recorder.layers.stacks,
        outer_stack=outer_stack,
        forward_parameters=forward_parameters(model),
        random_seed=random_seed,
        generator=generator,
        settings=recorder.baseline.standing,
        seconds=time.perf_counter() - started,
        seconds_forward=seconds_forward,
        keeps_unsaved=keeps_unsaved,
        gradients=recorder.saver.gradients,
        error=None if error is None else f"{type(error).__name__}: {error}",
        failed_call=recorder.failed_call,
    )
    recorder.close()
    return ModelHistory(recording)


def module_facts(address: str, module: nn.Module) -> ModuleFacts:
    """What a history keeps of a module."""
    own = internals.own_parameters(module).values()
    sizes = {id(p): _size(p) for p in own if p is not None}
    return ModuleFacts(address, type(module).__name__, module.training, sizes)


def _size(parameter: Any) -> tuple[int, int]:
    if isinstance(parameter, nn.UninitializedParameter):
        return 0, 0
    return parameter.numel(), parameter.numel() * parameter.element_size()


def forward_parameters(model: nn.Module) -> list[str]:
    """Names of what ``forward`` takes by position, ``*args`` among them, as far as they can be known."""
    try:
        found = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = inspect.Parameter
    named = [one for one in found if one.kind not in (kinds.VAR_KEYWORD, kinds.KEYWORD_ONLY)]
    return [f"*{one.name}" if one.kind is kinds.VAR_POSITIONAL else one.name for one in named]
