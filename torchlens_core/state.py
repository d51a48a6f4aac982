"""What a forward pass may change besides its result, so that it can be put back.

The model with everything that its modules hold, the gradients of its parameters, arrays among the arguments,
generators.
"""

from __future__ import annotations

import copy
import random
import types
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy

from torchlens_core import internals, structure
from torchlens_core.compare import has_values
from torchlens_core.memory import has_memory
from torchlens_core.randomness import GeneratorState

#: Objects that hold nothing that a pass may change, or that are none of our business.
_LEFT_ALONE = (
    *(str, bytes, int, float, complex, bool, type(None), type, range, slice, types.ModuleType),
    *(types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.GeneratorType),
    *(torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format, torch.jit.ScriptFunction),
)
#: Objects nested deeper than this are not looked at.
_MAX_DEPTH = 12


class Snapshot:
    """The contents of a model, and of all that can be reached from it, at one moment.

    Parameters are taken to be left alone by a forward pass; of one that is not, the recorder keeps the first
    value, which `restore` is given.
    """

    def __init__(self, *roots: Any) -> None:
        self._seen: dict[int, Any] = {}
        self._undo: list[Callable[[], None]] = []
        self._parameters: list[Tensor] = []
        #: Generators handed in or held, of torch.
        self.generators: list[Generator] = []
        for root in roots:
            self._visit(root, 0)

    def restore(self, written: Mapping[int, Tensor]) -> None:
        """Put everything back; ``written`` has the first values of parameters that were written, by id."""
        with torch.no_grad(), internals.without_dispatch_modes():
            for undo in reversed(self._undo):
                undo()
            for parameter in self._parameters:
                if id(parameter) in written:
                    _put_back(parameter, written[id(parameter)])

    def _visit(self, thing: Any, depth: int) -> None:
        if isinstance(thing, _LEFT_ALONE) or id(thing) in self._seen or depth > _MAX_DEPTH:
            return
        self._seen[id(thing)] = thing
        if isinstance(thing, Tensor):
            self._keep_tensor(thing)
        elif isinstance(thing, Generator):
            self.generators.append(thing)
        elif isinstance(thing, np.ndarray):
            self._undo.append(_refiller(thing, thing.copy()))
        elif isinstance(thing, random.Random):
            self._undo.append(_caller(thing.setstate, thing.getstate()))
        elif isinstance(thing, np.random.RandomState):
            self._undo.append(_caller(thing.set_state, thing.get_state()))
        elif isinstance(thing, np.random.Generator):
            bits, state = thing.bit_generator, copy.deepcopy(thing.bit_generator.state)
            self._undo.append(lambda: setattr(bits, "state", state))
        else:
            self._keep_container(thing, depth)

    def _keep_tensor(self, tensor: Tensor) -> None:
        if is_lazy(tensor):
            return
        if isinstance(tensor, nn.Parameter):
            self._parameters.append(tensor)
        elif has_values(tensor) and has_memory(tensor):
            value = tensor.detach().clone()
            self._undo.append(lambda: _put_back(tensor, value))
        if tensor.is_leaf and tensor.requires_grad:
            gradient = tensor.grad
            self._undo.append(lambda: setattr(tensor, "grad", gradient))
            if gradient is not None:
                self._visit(gradient, _MAX_DEPTH)

    def _keep_container(self, thing: Any, depth: int) -> None:
        if isinstance(thing, list | deque | set | dict):
            content = copy.copy(thing)
            self._undo.append(lambda: _refill(thing, content))
        for child in thing.values() if isinstance(thing, dict) else _items(thing):
            self._visit(child, depth + 1)
        for name, child in structure.slots(thing):
            self._undo.append(_attribute_setter(thing, name, child))
            self._visit(child, depth + 1)
        held = getattr(thing, "__dict__", None)
        if isinstance(thing, torch.jit.ScriptModule):
            for tensor in (*thing.parameters(), *thing.buffers()):
                self._visit(tensor, depth)
        elif isinstance(held, dict):
            attributes = dict(held)
            self._undo.append(lambda: _refill(held, attributes))
            for child in attributes.values():
                self._visit(child, depth + (not isinstance(thing, nn.Module)))


def _items(thing: Any) -> Any:
    return list(thing) if isinstance(thing, list | tuple | deque | set | frozenset) else ()


def _attribute_setter(thing: Any, name: str, value: Any) -> Callable[[], None]:
    def put() -> None:
        if getattr(thing, name, None) is not value:
            object.__setattr__(thing, name, value)

    return put


def _refill(container: Any, content: Any) -> None:
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
    elif not torch.equal(tensor, value):
        tensor.data.copy_(value)


_new_buffer: Any = UninitializedBuffer


def copy_of_lazy(model: nn.Module) -> nn.Module:
    """A copy of a model whose parameters or buffers may wait for its first call; buffers cannot be copied then."""
    waiting = {
        id(buffer): _new_buffer(device=buffer.device, dtype=buffer.dtype)
        for buffer in model.buffers()
        if is_lazy(buffer)
    }
    return copy.deepcopy(model, waiting)


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
