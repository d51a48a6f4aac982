"""Witnesses that share no code with the recorder: what was computed, and what depends on what."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode, redispatch_function

from torchlens_core import ModelHistory, structure
from torchlens_core.composites import OPENED


def copied(arguments: Any) -> Any:
    """The arguments in memory of their own; views of one another stay so."""
    return copy.deepcopy(arguments)


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
            self.calls.append((func, [t.detach().clone() for t in tensors]))
        return result


def values_in_order(model: nn.Module, args: Any, kwargs: Any, grad: bool) -> list[tuple[Any, list[Tensor]]]:
    """What each call returned, copied at once."""
    log = Log()
    torch.manual_seed(1)
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
    return {name: t for name, t in found.items() if t.is_floating_point()}


def true_dependence(model: nn.Module, args: Any, kwargs: Any, grad: bool) -> dict[str, set[str]]:
    """For each source, the outputs that change when it does: each is changed in turn, all else equal."""
    base = _run(model, args, kwargs, grad)
    found = {}
    for name in sources_of(model, args, kwargs):
        changed = _run(model, args, kwargs, grad, name)
        found[name] = {key for key, value in changed.items() if not same(value, base[key])}
    return found


def _run(
    model: nn.Module, args: Any, kwargs: Any, grad: bool, changed: str | None = None
) -> dict[str, Tensor]:
    model, args, kwargs = copy.deepcopy((model, args, kwargs))
    if changed is not None:
        source = sources_of(model, args, kwargs)[changed]
        source.data.mul_(1.0 + 0.13 * torch.rand(source.shape)).add_(0.07)
    torch.manual_seed(1)
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
