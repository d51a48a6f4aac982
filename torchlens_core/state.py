"""What a forward pass may change besides its result, so that it can be put back: the model, its inputs, generators."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy

from torchlens_core import internals, origins, structure
from torchlens_core.compare import has_values
from torchlens_core.randomness import GeneratorState

_CONTAINERS = (list, dict, set)


class ModelState:
    """The buffers and attributes of a model at one moment.

    Parameters are taken to be left alone by a forward pass; of one that is not, the recorder keeps the
    first value, which `restore` is given.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = [module for _, module in origins.walk(model)]
        self._attributes = [dict(vars(module)) for module in self._modules]
        self._contents = [
            {name: copy.copy(value) for name, value in vars(module).items() if type(value) in _CONTAINERS}
            for module in self._modules
        ]
        self._buffers = [
            (tensor, tensor.detach().clone())
            for module in self._modules
            for tensor in internals.own_buffers(module).values()
            if tensor is not None and not is_lazy(tensor)
        ]
        self._training = [module.training for module in self._modules]

    def restore(self, written: Mapping[int, Tensor]) -> None:
        """Put everything back; ``written`` has the first values of parameters that were written, by id."""
        for module, attributes, contents in zip(
            self._modules, self._attributes, self._contents, strict=True
        ):
            held = vars(module)
            for name in held.keys() - attributes.keys():
                del held[name]
            held.update(attributes)
            for name, content in contents.items():
                _refill(attributes[name], content)
        with torch.no_grad(), internals.without_dispatch_modes():
            for tensor, value in self._buffers:
                _put_back(tensor, value)
            for module in self._modules:
                for parameter in internals.own_parameters(module).values():
                    if parameter is not None and id(parameter) in written:
                        _put_back(parameter, written[id(parameter)])


_new_buffer: Any = UninitializedBuffer


def copy_of_lazy(model: nn.Module) -> nn.Module:
    """A copy of a model whose parameters or buffers may wait for its first call; buffers cannot be copied then."""
    waiting = {
        id(buffer): _new_buffer(device=buffer.device, dtype=buffer.dtype)
        for buffer in model.buffers()
        if is_lazy(buffer)
    }
    return copy.deepcopy(model, waiting)


def _refill(container: Any, content: Any) -> None:
    if container != content if not _holds_tensors(content) else True:
        container.clear()
        container.extend(content) if isinstance(container, list) else container.update(content)


def _holds_tensors(content: Any) -> bool:
    items = content.values() if isinstance(content, dict) else content
    return any(isinstance(item, (Tensor, *_CONTAINERS)) for item in items)


def _put_back(tensor: Tensor, value: Tensor) -> None:
    if not has_values(tensor):
        return
    if tensor.shape != value.shape or tensor.dtype != value.dtype:
        tensor.data = value.clone()
    elif not torch.equal(tensor, value):
        tensor.data.copy_(value)


class Generators:
    """The state of every generator that a pass may draw from: torch, Python, numpy, and those handed in."""

    def __init__(self, *holders: Any) -> None:
        self._python = random.getstate()
        self._numpy = np.random.get_state()
        self._torch = [GeneratorState.of(None, torch.device("cpu"))]
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            for index in range(torch.cuda.device_count()):
                self._torch.append(GeneratorState.of(None, torch.device("cuda", index)))
        for holder in holders:
            for generator in _generators_in(holder, set(), 0):
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


def _generators_in(holder: Any, seen: set[int], depth: int) -> Iterator[Generator]:
    if isinstance(holder, Generator):
        yield holder
    elif isinstance(holder, nn.Module):
        for _, module in origins.walk(holder):
            yield from (value for value in vars(module).values() if isinstance(value, Generator))
    elif isinstance(holder, list | tuple | dict) and depth < 8 and id(holder) not in seen:
        seen.add(id(holder))
        for item in holder.values() if isinstance(holder, dict) else holder:
            yield from _generators_in(item, seen, depth + 1)


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
