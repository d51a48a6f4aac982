"""What a forward pass may change besides its result, so that it can be put back.

The model with everything that its modules hold, the gradients of its parameters, arrays among the arguments,
generators.
"""

from __future__ import annotations

import copy
import functools
import operator
import random
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy

from torchlens_core import intercept, internals, structure
from torchlens_core.compare import difference, has_values
from torchlens_core.errors import IncomparableError
from torchlens_core.memory import has_memory
from torchlens_core.randomness import GeneratorState
from torchlens_core.settings import Baseline

#: Objects that hold nothing that a pass may change, or that are none of our business.
_LEFT_ALONE = (
    *(str, bytes, int, float, complex, bool, type(None), type, range, slice, types.ModuleType),
    *(types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.GeneratorType),
    *(torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format, torch.jit.ScriptFunction),
)
#: The commonest of them, for a quick look.
_PLAIN_TYPES = frozenset(
    {str, bytes, int, float, complex, bool, type(None), type, types.FunctionType, torch.Size}
)
#: Objects nested deeper than this are not looked at.
_MAX_DEPTH = 12


class Snapshot:
    """The contents of a model, and of all that can be reached from it, at one moment.

    Parameters are taken to be left alone by a forward pass; of one that is not, the recorder keeps the first
    value, which `restore` is given.
    """

    def __init__(self, model: Any, *arguments: Any) -> None:
        self._seen: dict[int, Any] = {}
        self._undo: list[Callable[[], None]] = []
        self._parameters: list[Tensor] = []
        #: What is looked at by `changes`: tensors with their values, containers with their contents.
        self._tensors: list[tuple[_Path, Tensor, Tensor]] = []
        self._containers: list[tuple[_Path, Any, Any]] = []
        #: The same of arrays, and of attributes kept in slots.
        self._arrays: list[tuple[_Path, Any, Any]] = []
        self._slots: list[tuple[_Path, Any, str, Any]] = []
        #: The dicts among the containers in which modules keep their hooks, by identity.
        self._hook_holders: set[int] = set()
        #: Generators handed in or held, of torch.
        self.generators: list[Generator] = []
        self._visit(model, 0, (None, "model"))
        for root in arguments:
            self._visit(root, 0, (None, "input"))

    def restore(self, written: Mapping[int, Tensor], others: Sequence[tuple[Tensor, Tensor]] = ()) -> None:
        """Put everything back; ``written`` has the first values of parameters that were written, by id.

        ``others`` are tensors that the pass has met and that nothing here holds, with their first values.
        """
        with torch.no_grad(), internals.without_dispatch_modes():
            for undo in reversed(self._undo):
                undo()
            for _, container, content in self._containers:
                _refill(container, content)
            for parameter in self._parameters:
                if id(parameter) in written:
                    _put_back(parameter, written[id(parameter)])
            for tensor, value in others:
                if id(tensor) not in self._seen:
                    _put_back(tensor, value)

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors that are put back."""
        return [tensor for _, tensor, _ in self._tensors]

    def changes(self) -> dict[str, Any]:
        """What is not as it was, by path, parameters left out: tensors and plain values, copied."""
        found: dict[str, Any] = {}
        with torch.no_grad(), internals.without_dispatch_modes():
            for path, tensor, value in self._tensors:
                if _is_same(tensor, value) is False:
                    found[_shown(path)] = tensor.detach().clone()
            for path, array, content in self._arrays:
                if not np.array_equal(array, content):
                    found[_shown(path)] = str(array.tolist())
            for path, thing, name, child in self._slots:
                item = getattr(thing, name, None)
                if item is not child:
                    found |= {_shown((path, name)) + inner: leaf for inner, leaf in _plain_leaves(item)}
            found |= self._changed_hooks()
            for path, container, content in self._containers:
                if _is_unchanged(container, content) or id(container) in self._hook_holders:
                    continue
                for key, item in _differing(container, content):
                    if str(key).startswith("_torchdynamo") or "_torchdynamo_orig_backend" in _shown(path):
                        continue  # the compiler keeps its own state where it likes
                    for inner, leaf in _plain_leaves(item):
                        found[_shown((path, key)) + inner] = leaf
        return found

    def _changed_hooks(self) -> dict[str, Any]:
        """Hooks that came or went, by path.

        The process numbers hooks as they come, and a pass that registers one makes a new function for it. Two
        such passes have done the same if the hooks run the same code, and stand in the same places.
        """
        changed = [
            (_shown(path), holder, content)
            for path, holder, content in self._containers
            if id(holder) in self._hook_holders and not _is_unchanged(holder, content)
        ]
        new = dict.fromkeys(key for _, holder, content in changed for key in holder if key not in content)
        names = {key: f"new {n}" for n, key in enumerate(new, 1)}
        found: dict[str, Any] = {}
        for path, holder, content in changed:
            found[f"{path}."] = ", ".join(str(names.get(key, key)) for key in holder)
            found |= {
                f"{path}.{names.get(key, key)}": _gist(hook)
                for key, hook in holder.items()
                if content.get(key, content) is not hook
            }
        return found

    def _visit(self, thing: Any, depth: int, path: _Path) -> None:
        if type(thing) in _PLAIN_TYPES or id(thing) in self._seen or depth > _MAX_DEPTH:
            return
        if isinstance(thing, _LEFT_ALONE):
            return
        self._seen[id(thing)] = thing
        if isinstance(thing, Tensor):
            self._keep_tensor(thing, path)
        elif isinstance(thing, Generator):
            self.generators.append(thing)
        elif isinstance(thing, np.ndarray):
            content = thing.copy()
            self._undo.append(_refiller(thing, content))
            self._arrays.append((path, thing, content))
        elif isinstance(thing, random.Random):
            self._undo.append(_caller(thing.setstate, thing.getstate()))
        elif isinstance(thing, np.random.RandomState):
            self._undo.append(_caller(thing.set_state, thing.get_state()))
        elif isinstance(thing, np.random.Generator):
            bits, state = thing.bit_generator, copy.deepcopy(thing.bit_generator.state)
            self._undo.append(lambda: setattr(bits, "state", state))
        else:
            self._keep_container(thing, depth, path)

    def _keep_tensor(self, tensor: Tensor, path: _Path) -> None:
        if is_lazy(tensor):
            return
        if isinstance(tensor, nn.Parameter):
            self._parameters.append(tensor)
        elif has_values(tensor) and has_memory(tensor):
            value = tensor.detach().clone()
            self._undo.append(lambda: _put_back(tensor, value))
            self._tensors.append((path, tensor, value))
        if tensor.is_leaf:
            self._undo.append(_flag_setter(tensor, tensor.requires_grad))
        if tensor.is_leaf and tensor.requires_grad:
            gradient = tensor.grad
            self._undo.append(lambda: setattr(tensor, "grad", gradient))
            if gradient is not None:
                self._visit(gradient, _MAX_DEPTH, (path, "grad"))

    def _keep_container(self, thing: Any, depth: int, path: _Path) -> None:
        if isinstance(thing, list | deque | set | dict):
            self._containers.append((path, thing, copy.copy(thing)))
        if isinstance(thing, nn.Module):
            self._keep_attributes(thing, depth, path)
            return
        children = thing.items() if isinstance(thing, dict) else enumerate(_items(thing))
        for name, child in children:
            self._visit(child, depth + 1, (path, name))
        if type(thing) in _BUILTIN:
            return
        for name, child in structure.slots(thing):
            self._undo.append(_attribute_setter(thing, name, child))
            self._slots.append((path, thing, name, child))
            self._visit(child, depth + 1, (path, name))
        self._keep_attributes(thing, depth + 1, path)

    def _keep_attributes(self, thing: Any, depth: int, path: _Path) -> None:
        held = getattr(thing, "__dict__", None)
        if isinstance(thing, torch.jit.ScriptModule):
            for name, tensor in (*thing.named_parameters(), *thing.named_buffers()):
                self._visit(tensor, depth, (path, name))
        elif isinstance(held, dict):
            attributes = dict(held)
            self._containers.append((path, held, attributes))
            is_module = isinstance(thing, nn.Module)
            for name, child in attributes.items():
                if is_module and name in internals.HOOK_HOLDERS:
                    self._hook_holders.add(id(child))
                if type(child) in _PLAIN_TYPES:
                    continue
                if type(child) in _BUILTIN and not child:  # most of what a module holds are empty dicts
                    self._containers.append(((path, name), child, type(child)()))
                    continue
                self._visit(child, depth, (path, name))


#: Containers that hold nothing but their items.
_BUILTIN = frozenset({dict, OrderedDict, list, deque, set})

#: The way to something from a root: the way to what holds it, and its name there.
_Path = tuple[Any, Any]


def _shown(path: _Path | None) -> str:
    """A way as text; the dicts in which modules keep what they hold are left out."""
    names: list[str] = []
    while path is not None:
        path, name = path
        if name not in internals.MODULE_HOLDERS:
            names.append(str(name))
    return ".".join(reversed(names))


def _is_unchanged(container: Any, content: Any) -> bool:
    """Whether a container holds the same objects as its copy; quickly, since nearly all do."""
    if len(container) != len(content):
        return False
    if not content:
        return True
    if isinstance(container, dict):
        return all(map(operator.is_, container.values(), content.values())) and all(
            map(operator.is_, container, content)
        )
    if isinstance(container, set):
        return bool(container == content)
    return all(map(operator.is_, container, content))


def _is_same(tensor: Tensor, value: Tensor) -> bool | None:
    """None if nobody can tell."""
    try:
        return difference(value, tensor) is None
    except IncomparableError:
        return None


def _differing(container: Any, content: Any) -> list[tuple[Any, Any]]:
    """What stands in a changed container that was not there before, or is gone: with None in its place."""
    if isinstance(container, dict):
        new = [(key, item) for key, item in container.items() if content.get(key, content) is not item]
        return new + [(key, None) for key in content if key not in container]
    if isinstance(container, set):
        return [("", sorted(map(repr, container)))]
    return [("", list(container))]


@dataclass(frozen=True, slots=True)
class _Hook:
    """What a hook is, the same for all that one line of a program has made."""

    name: str
    code: Any = field(repr=False)


def _gist(hook: Any, depth: int = 0) -> Any:
    """A hook without its identity: its name and code, and those of what it wraps or is bound to."""
    if type(hook) in _PLAIN_TYPES - {types.FunctionType}:  # what is said of a hook
        return hook
    inner: Any
    if isinstance(hook, types.MethodType):
        inner = hook.__func__
    elif isinstance(hook, functools.partial):
        inner = hook.func
    else:
        inner = None if hasattr(hook, "__code__") else getattr(hook, "__wrapped__", None)
    is_wrapper = inner is not None and depth < _MAX_DEPTH
    code = _gist(inner, depth + 1) if is_wrapper else getattr(hook, "__code__", None)
    return _Hook(getattr(hook, "__qualname__", None) or type(hook).__qualname__, code)


def _plain_leaves(item: Any, depth: int = 0) -> list[tuple[str, Any]]:
    """The tensors (copied) and plain values in ``item`` with the way to each; of other things, their kind."""
    if isinstance(item, Tensor):
        return [("", item if is_lazy(item) or not has_values(item) else item.detach().clone())]
    if item is None or isinstance(item, str | int | float | complex):
        return [("", item)]
    if depth < _MAX_DEPTH and isinstance(item, list | tuple | deque | dict):
        parts = item.items() if isinstance(item, dict) else enumerate(item)
        inside = [
            (f".{key}{inner}", leaf)
            for key, part in parts
            for inner, leaf in _plain_leaves(part, depth + 1)
        ]
        return [("", f"{type(item).__name__} of {len(item)}"), *inside]
    return [("", type(item).__name__)]


def _flag_setter(tensor: Tensor, requires_grad: bool) -> Callable[[], None]:
    def put() -> None:
        if tensor.requires_grad is not requires_grad and tensor.is_leaf:
            tensor.requires_grad_(requires_grad)

    return put


def _items(thing: Any) -> Any:
    return list(thing) if isinstance(thing, list | tuple | deque | set | frozenset) else ()


def _attribute_setter(thing: Any, name: str, value: Any) -> Callable[[], None]:
    def put() -> None:
        if getattr(thing, name, None) is not value:
            object.__setattr__(thing, name, value)

    return put


def _refill(container: Any, content: Any) -> None:
    if _is_unchanged(container, content):
        return
    container.clear()
    container.update(content) if isinstance(container, dict | set) else container.extend(content)


def _refiller(array: np.ndarray[Any, Any], content: np.ndarray[Any, Any]) -> Callable[[], None]:
    def refill() -> None:
        if array.flags.writeable:
            array[...] = content

    return refill


def _caller(function: Callable[[Any], Any], argument: Any) -> Callable[[], None]:
    return lambda: function(argument)


def _put_back(tensor: Tensor, value: Tensor) -> None:
    if not has_values(tensor):
        return
    if tensor.shape != value.shape or tensor.dtype != value.dtype or not has_memory(tensor):
        tensor.data = value.clone()
    elif _is_same(tensor, value) is not True:
        tensor.data.copy_(value)


class Surroundings:
    """What holds for the whole process or thread, and is none of a model's business to change."""

    def __init__(self) -> None:
        self._facts = {
            "the stack of function modes": internals.function_mode_depth(),
            "the stack of dispatch modes": internals.dispatch_mode_depth(),
            **intercept.standing(),
            "grad mode": torch.is_grad_enabled(),
            "inference mode": torch.is_inference_mode_enabled(),
            "autocast": tuple(map(torch.is_autocast_enabled, ("cpu", "cuda"))),
            "the number of threads": torch.get_num_threads(),
            "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
            **{setting.name: value for setting, value in Baseline().standing},
        }

    def differences(self, later: Surroundings) -> list[str]:
        """What is another in ``later``."""
        return [name for name, fact in self._facts.items() if fact != later._facts[name]]


_new_buffer: Any = UninitializedBuffer


def copy_of_lazy(model: nn.Module) -> nn.Module:
    """A copy of a model whose parameters or buffers may wait for its first call; buffers cannot be copied then."""
    waiting = {
        id(buffer): _new_buffer(device=buffer.device, dtype=buffer.dtype)
        for buffer in model.buffers()
        if is_lazy(buffer)
    }
    return copy.deepcopy(model, waiting)


_UNLIKELY_SEED = 0x1E45_0DD5


class Generators:
    """The state of every generator that a pass may draw from: torch, Python, numpy, and those handed in."""

    def __init__(self, handed_in: Sequence[Generator] = ()) -> None:
        self._python = random.getstate()
        self._numpy = np.random.get_state()
        self._torch = [GeneratorState.of(None, torch.device("cpu"))]
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            for index in range(torch.cuda.device_count()):
                self._torch.append(GeneratorState.of(None, torch.device("cuda", index)))
        for generator in handed_in:
            self._torch.append(GeneratorState.of(generator, generator.device))

    def restore(self) -> None:
        """Put them all back."""
        random.setstate(self._python)
        np.random.set_state(self._numpy)
        for state in self._torch:
            state.restore()

    def __len__(self) -> int:
        return len(self._torch) + 2

    def disturb(self) -> None:
        """Put those of torch into a state that no pass has begun with: what needs its own must have kept it."""
        for state in self._torch:
            if state.generator is not None:
                state.generator.manual_seed(_UNLIKELY_SEED)
        torch.default_generator.manual_seed(_UNLIKELY_SEED)

    def differences(self, later: Generators) -> list[str]:
        """The generators whose state is another one in ``later``."""
        with internals.without_dispatch_modes():
            found = self._torch_differences(later)
        if self._python != later._python:
            found.append("random")
        if any(
            not np.array_equal(mine, other) for mine, other in zip(self._numpy, later._numpy, strict=True)
        ):
            found.append("numpy.random")
        return found

    def _torch_differences(self, later: Generators) -> list[str]:
        return [
            "torch" if mine.generator is None else "a torch.Generator"
            for mine, other in zip(self._torch, later._torch, strict=True)
            if not torch.equal(mine.state, other.state)
        ]


def fresh_copy(arguments: Any) -> Any:
    """``arguments`` with tensors in memory of their own; those that shared memory share it again."""
    storages: dict[int, Any] = {}

    def copied(tensor: Tensor) -> Tensor:
        key = internals.storage_key(tensor)
        is_odd = tensor.is_meta or tensor.is_quantized or tensor.is_nested
        if not key or is_odd or type(tensor) not in (Tensor, nn.Parameter):
            clone = tensor.detach().clone()
        else:
            if key not in storages:
                storages[key] = tensor.untyped_storage().clone()
            clone = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
            clone.set_(storages[key], tensor.storage_offset(), tensor.size(), tensor.stride())
        return clone.requires_grad_(tensor.requires_grad)

    return structure.replace(arguments, copied)
