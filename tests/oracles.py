"""Witnesses that share no code with the recorder: what is computed, what depends on what, what is left."""

from __future__ import annotations

import collections
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor
from torch.masked import MaskedTensor
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode, redispatch_function

from torchlens_core import ModelHistory, structure
from torchlens_core.composites import OPENED

#: Model, positional arguments and arguments by name.
Made = tuple[nn.Module, tuple[Any, ...], dict[str, Any]]


def seed() -> None:
    """Seed the generators of the process, as at the start of every pass."""
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)


class Log(TorchFunctionMode):
    """Every function called, inner ones of Python functions too, with a copy of what it returned."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, list[Tensor]]] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in OPENED:
            with self:
                result = redispatch_function(func, types, args, kwargs or {})
        else:
            result = func(*args, **(kwargs or {}))
        tensors = [tensor for tensor in structure.tensors(result) if not is_lazy(tensor)]
        if not any(torch._C._functorch.is_functorch_wrapped_tensor(t) for t in tensors):
            self.calls.append((func, [_copy(tensor) for tensor in tensors]))
        return result


def _copy(tensor: Tensor) -> Tensor:
    return tensor if _has_no_values(tensor) else tensor.detach().clone()


def _has_no_values(tensor: Tensor) -> bool:
    return isinstance(tensor, FakeTensor) or tensor.is_meta or is_lazy(tensor)


def values_in_order(model: nn.Module, args: Any, kwargs: Any, grad: bool) -> list[tuple[Any, list[Tensor]]]:
    """What each call returned, copied at once."""
    log = Log()
    seed()
    with torch.set_grad_enabled(grad), torch.compiler.set_stance("force_eager"), log:
        model(*args, **kwargs)
    return log.calls


def wrong_values(history: ModelHistory, calls: list[tuple[Any, list[Tensor]]]) -> list[str]:
    """Ops whose saved values are none that a call of their function returned, in order."""
    wrong = []
    position = 0
    for op in history.ops:
        node = op._node
        returned = len(node.values) - node.written
        if node.is_opaque or not returned or op.func_applied_name in _NOT_COMPARED:
            continue
        saved = [node.saved[slot] for slot in range(returned)]
        for at in range(position, len(calls)):
            func, copies = calls[at]
            if func == op.func_applied and len(copies) == len(saved) and all(map(same, saved, copies)):
                position = at + 1
                break
        else:
            wrong.append(op.layer_label)
    return wrong


#: What no mode sees, looks at known memory, which no call makes, and memory that holds what was there before.
_NOT_COMPARED = {"set_", "alias", "empty", "empty_like", "new_empty"}


def same(one: Tensor, other: Tensor) -> bool:
    """Equal, NaN included; layouts that cannot be compared count as equal if their shapes are."""
    if _has_no_values(one) or _has_no_values(other):
        return type(one) is type(other) and (is_lazy(one) or one.shape == other.shape)
    if isinstance(one, MaskedTensor) and isinstance(other, MaskedTensor):
        return same(one.get_mask(), other.get_mask()) and same(one.get_data(), other.get_data())
    one, other = one.detach(), other.detach()
    if one.is_nested or other.is_nested or one.layout is not torch.strided:
        return one.layout is other.layout
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.is_quantized:
        return torch.equal(one.int_repr(), other.int_repr())
    return torch.equal(one, other) or bool(((one == other) | ((one != one) & (other != other))).all())


def sources_of(model: nn.Module, args: Any, kwargs: Any) -> dict[str, Tensor]:
    """Floating inputs, parameters and buffers by name."""
    found: dict[str, Tensor] = {}
    for path, tensor in structure.leaves(args):
        found[structure.show("input", path)] = tensor
    for name, value in kwargs.items():
        for path, tensor in structure.leaves(value):
            found[structure.show(f"input.{name}", path)] = tensor
    found |= dict(model.named_parameters())
    found |= dict(model.named_buffers())
    return {name: t for name, t in found.items() if not is_lazy(t) and t.is_floating_point()}


def true_dependence(make: Callable[[], Made], grad: bool) -> dict[str, set[str]]:
    """For each source, the outputs that change when it does: each is changed in turn, all else equal."""
    base = _run(make, grad)
    found = {}
    for name in sources_of(*make()):
        changed = _run(make, grad, name)
        found[name] = {key for key, value in changed.items() if not same(value, base[key])}
    return found


def _run(make: Callable[[], Made], grad: bool, changed: str | None = None) -> dict[str, Tensor]:
    model, args, kwargs = make()
    if changed is not None:
        source = sources_of(model, args, kwargs)[changed]
        source.data.mul_(1.0 + 0.13 * torch.rand(source.shape)).add_(0.07)
    seed()
    with torch.set_grad_enabled(grad):
        result = model(*args, **kwargs)
    return {structure.show("output", path): t.detach().clone() for path, t in structure.leaves(result)}


def recorded_dependence(history: ModelHistory, names: list[str]) -> dict[str, set[str]]:
    """The same as the graph says it."""
    found: dict[str, set[str]] = {name: set() for name in names}
    for label in history.output_layers:
        output = history[label]
        sources = {history[name].address for name in output.ancestors} | output.param_ancestors
        for source in sources & found.keys():
            found[source].add(output.address)
    return found


def outcome(
    made: Made, grad: bool, call: Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], Any]
) -> dict[str, Any]:
    """What a pass leaves: model, arguments and results as they end, gradients and generators."""
    model, args, kwargs = made
    seed()
    with torch.set_grad_enabled(grad):
        result = call(model, args, kwargs)
    left = state_of({"model": model, "args": args, "kwargs": kwargs, "result": result})
    left["gradients"] = _gradients(model, (args, kwargs), result)
    return left


def _gradients(model: nn.Module, arguments: Any, result: Any) -> list[Tensor | None] | str:
    """Of the sum of all results, with respect to whatever may have one; or why there are none."""
    goals = [t for t in structure.tensors(result) if t.requires_grad and not _has_no_values(t)]
    sources = [*model.parameters(), *structure.tensors(arguments)]
    sources = [t for t in sources if t.requires_grad and t.is_leaf]
    if not goals or not sources:
        return []
    try:
        return list(
            torch.autograd.grad(goals, sources, [torch.ones_like(t) for t in goals], allow_unused=True)
        )
    except RuntimeError as error:
        return str(error)


def state_of(root: Any) -> dict[str, Any]:
    """Everything below ``root`` that has a value, by path, and the generators of the process."""
    state = dict(_leaves(root, "", set()))
    state["torch generator"] = torch.get_rng_state()
    state["python generator"] = random.getstate()
    state["numpy generator"] = np.random.get_state()[1].tolist()
    return state


def _leaves(node: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Tensor):
        yield path, _copy(node)
        yield f"{path}.requires_grad", node.requires_grad
        if node.is_leaf and node.grad is not None:
            yield f"{path}.grad", _copy(node.grad)
    elif isinstance(node, str | int | float | None):
        yield path, node
    elif isinstance(node, torch.Generator):
        yield path, node.get_state()
    elif isinstance(node, np.random.Generator):
        yield path, repr(node.bit_generator.state)
    elif isinstance(node, random.Random):
        yield path, node.getstate()
    elif isinstance(node, np.ndarray):
        yield path, node.tolist()
    elif id(node) not in seen:
        seen.add(id(node))
        for name, child in _children(node):
            yield from _leaves(child, f"{path}.{name}", seen)


def _children(node: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(node, dict):  # keys that are not text, such as those of hooks, differ from run to run
        return [
            (key if isinstance(key, str) else at, child) for at, (key, child) in enumerate(node.items())
        ]
    if isinstance(node, list | tuple | collections.deque):
        return enumerate(node)
    is_state = isinstance(node, nn.Module | torch.optim.Optimizer)
    if not is_state and (callable(node) or type(node).__module__.startswith(("torch", "builtins"))):
        return []
    # torch.compile numbers what it wraps
    attributes = [*getattr(node, "__dict__", {}).items(), *structure.slots(node)]
    return [(name, child) for name, child in attributes if not name.startswith("_torchdynamo")]


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Paths whose values differ, or which only one has."""
    return [path for path in [*one, *(other.keys() - one.keys())] if not _equal(one, other, path)]


def _equal(one: dict[str, Any], other: dict[str, Any], path: str) -> bool:
    if (path in one) != (path in other):
        return False
    return _same_leaf(one[path], other[path])


def _same_leaf(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return same(one, other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same_leaf, one, other))
    return type(one) is type(other) and (one == other or one != one)
