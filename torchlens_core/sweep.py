"""The model logged once more, with other sources or the same: what of the first history does it change?

Nodes of both passes are compared one by one, as long as both take the same way through the program. Values
are looked at as they come, and none is kept.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchlens_core.compare import difference
from torchlens_core.errors import IncomparableError
from torchlens_core.history import ModelHistory
from torchlens_core.inputs import argument_leaves
from torchlens_core.nodes import BUFFER, CONSTANT, ESCAPE, INPUT, PARAMETER, ArgPath, Node, Value
from torchlens_core.perturbation import Perturbation, change_all, change_input
from torchlens_core.saving import SavingOptions
from torchlens_core.trace import trace
from torchlens_core.trial import Trial

#: Numbers and what else of arguments can be compared.
_SCALARS = frozenset({bool, int, float, complex, str})
_PLAIN = (bool, int, float, complex, str, np.ndarray, np.generic)


@dataclass
class Sweep:
    """What a second pass has shown, by index of the first one's nodes."""

    history: ModelHistory
    #: Sources that were given other values.
    moved: set[int] = field(default_factory=set)
    #: Nodes some value of which is another; those of which it can be said.
    changed: set[int] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)
    #: Nodes handed another number: where it stands, what it was, what it is.
    numbers: dict[int, tuple[ArgPath, Any, Any]] = field(default_factory=dict)
    #: Nodes whose results have another shape.
    reshaped: set[int] = field(default_factory=set)
    #: Escapes that gave Python something else.
    escapes: set[int] = field(default_factory=set)
    #: How many nodes both passes share before they part; both names of the first that they do not.
    common: int = 0
    parted: tuple[str, str] | None = None
    #: Why the pass did not come to its end.
    error: str | None = None


class Change(enum.Enum):
    """What a sweep changes."""

    NOTHING = enum.auto()
    #: All sources, a little.
    SOURCES = enum.auto()
    #: The inputs alone, by much: what is rounded or compared on its way through Python shows.
    INPUTS = enum.auto()


def sweep(trial: Trial, change: Change) -> Sweep:
    """Run the model of ``trial`` again, with what ``change`` says changed."""
    found = _run(trial, change, with_integers=True)
    if found.error is not None and change is not Change.NOTHING:  # other integers are not always allowed
        again = _run(trial, change, with_integers=False)
        found = again if again.common >= found.common else found
    return found


def _run(trial: Trial, change: Change, with_integers: bool) -> Sweep:
    base = trial.history
    found = Sweep(base)
    model, args, kwargs = trial.start()
    perturbation = Perturbation()
    if change is not Change.NOTHING:
        _move_inputs(found, (args, kwargs), with_integers, change is Change.INPUTS)
    if change is Change.SOURCES:
        found.moved |= change_all(perturbation, _held(base))
    options = SavingOptions(which=False, watch=_Watch(found))
    recording = None
    try:
        recording = trace(model, args, kwargs, options).history.recording
    except Exception as error:  # of the model's: it does not like its arguments
        found.error = f"{type(error).__name__}: {error}"
        partial = getattr(error, "partial_history", None)
        recording = None if partial is None else partial.recording
    finally:
        perturbation.undo()
    if recording is not None:
        _align(found, base.recording.nodes, recording.nodes)
    common = set(range(found.common))  # beyond, nodes with one number need not be the same
    found.seen &= common
    found.changed &= common
    return found


def _move_inputs(found: Sweep, arguments: Any, with_integers: bool, is_large: bool) -> None:
    """Change the copies of the arguments; ``input.0`` and the like are known by where they stand."""
    leaves = argument_leaves(*arguments)
    inputs = [node for node in found.history.recording.nodes if node.kind is INPUT]
    done: set[int] = set()
    for node, (_, tensor) in zip(inputs, leaves, strict=False):
        if id(tensor) in done or change_input(tensor, with_integers, is_large):
            done.add(id(tensor))
            found.moved.add(node.index)


def _held(history: ModelHistory) -> Iterator[tuple[int, Tensor]]:
    """Parameters, buffers and constants that outlive the pass."""
    for node in history.recording.nodes:
        if node.kind in (PARAMETER, BUFFER, CONSTANT):
            tensor = node.tensor if node.tensor is not None else node.values[0].ref()
            if tensor is not None:
                yield node.index, tensor


class _Watch:
    """Compares every value with that of the first pass."""

    def __init__(self, found: Sweep) -> None:
        self._found = found
        self._nodes = found.history.recording.nodes

    def __call__(self, node: Node, tensors: list[Tensor]) -> None:
        if node.index >= len(self._nodes):
            return
        first = self._nodes[node.index]
        if not is_alike(first, node) or first.saved is None:
            return
        for slot, tensor in enumerate(tensors[: len(first.saved)]):
            saved = first.saved[slot]
            if saved is None or slot in first.stale:
                continue
            is_same = _is_same(saved, tensor)
            if is_same is not None:
                self._found.seen.add(first.index)
                if not is_same:
                    self._found.changed.add(first.index)


def is_alike(one: Node, other: Node) -> bool:
    """Whether two nodes stand for the same call, as far as names tell."""
    return (
        one.kind == other.kind
        and one.info.name == other.info.name
        and (one.kind is PARAMETER or one.site.layer.label == other.site.layer.label)
    )


def _is_same(saved: Any, tensor: Tensor) -> bool | None:
    """None if nobody can tell."""
    if type(saved) is Tensor and type(tensor) is Tensor and not (saved.is_nested or tensor.is_nested):
        if saved.shape != tensor.shape or saved.dtype != tensor.dtype:
            return False
        try:
            if _is_plainly_other(saved, tensor):
                return False
            if torch.equal(saved, tensor):
                return True
        except (RuntimeError, NotImplementedError):
            pass
    try:
        return difference(saved, tensor) is None
    except IncomparableError:
        return None


def _is_plainly_other(one: Tensor, other: Tensor) -> bool:
    """Whether a few numbers, spread over both, are enough to tell them apart."""
    is_flat = one.is_contiguous() and other.is_contiguous()
    first, second = _sample(one, is_flat), _sample(other, is_flat)
    return any(mine != yours and mine == mine for mine, yours in zip(first, second, strict=True))


def _sample(tensor: Tensor, is_flat: bool) -> list[Any]:
    tensor = tensor.detach()
    if is_flat:
        return tensor.view(-1)[:: tensor.numel() // _PROBED + 1].tolist()
    few = tensor[tuple(slice(None, None, size // _PROBED_EACH + 1) for size in tensor.shape)]
    return few.flatten().tolist()


#: Elements looked at first, at most.
_PROBED = 64
#: The same of each dimension, of tensors that lie in memory otherwise.
_PROBED_EACH = 3


def _align(found: Sweep, first: Any, second: Any) -> None:
    """Compare what stands beside the values: numbers among the arguments, shapes, what Python got."""
    for one, other in zip(first, second, strict=False):
        if not is_alike(one, other):
            found.parted = one.info.name, other.info.name
            break
        found.common += 1
        if [value.shape for value in one.values] != [value.shape for value in other.values]:
            found.reshaped.add(one.index)
        number = _other_number(one, other)
        if number is not None:
            found.numbers[one.index] = number
        if one.kind is ESCAPE and not is_equal(one.result, other.result):
            found.escapes.add(one.index)
    else:
        if len(first) != len(second) and found.error is None:
            names = [node.info.name for node in (first[found.common :] or second[found.common :])[:1]]
            found.parted = (names[0], "nothing") if len(first) > len(second) else ("nothing", names[0])


def _other_number(one: Node, other: Node) -> tuple[ArgPath, Any, Any] | None:
    """The first argument that is no tensor and differs."""
    for key, mine, yours in _pairs(one, other):
        for path, old, new in _differing((key,), mine, yours):
            return path, old, new
    return None


def _pairs(one: Node, other: Node) -> Iterator[tuple[Any, Any, Any]]:
    yield from ((n, mine, yours) for n, (mine, yours) in enumerate(zip(one.args, other.args, strict=False)))
    yield from ((name, one.kwargs[name], other.kwargs.get(name)) for name in one.kwargs)


def _differing(path: ArgPath, mine: Any, yours: Any) -> Iterator[tuple[ArgPath, Any, Any]]:
    if isinstance(mine, Value) or isinstance(yours, Value):
        return
    if isinstance(mine, slice) and isinstance(yours, slice):
        mine, yours = (mine.start, mine.stop, mine.step), (yours.start, yours.stop, yours.step)
    if isinstance(mine, list | tuple) and isinstance(yours, list | tuple):
        for n, (a, b) in enumerate(zip(mine, yours, strict=False)):
            yield from _differing((*path, n), a, b)
    elif isinstance(mine, Mapping) and isinstance(yours, Mapping):
        for key in mine:
            yield from _differing((*path, key), mine[key], yours.get(key))
    elif isinstance(mine, _PLAIN) and isinstance(yours, _PLAIN) and not is_equal(mine, yours):
        yield path, mine, yours


def is_equal(mine: Any, yours: Any) -> bool:
    """Whether two things that are no tensors are the same; what cannot be compared is."""
    if mine is yours:
        return True
    if type(mine) in _SCALARS and type(yours) in _SCALARS:
        return bool(mine == yours or (mine != mine and yours != yours))
    if isinstance(mine, list) and isinstance(yours, list):
        return len(mine) == len(yours) and all(map(is_equal, mine, yours))
    try:
        return bool(np.array_equal(mine, yours))
    except (TypeError, ValueError):
        return bool(mine == yours) if type(mine) is type(yours) else True
