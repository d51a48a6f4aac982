"""What a model is to be run with: checked before anything runs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from torchlens_core import internals, origins, structure
from torchlens_core.errors import ArgumentError, DeviceMismatchError
from torchlens_core.specs import TensorSpec

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def arguments_of(input_args: Any, input_kwargs: Mapping[str, Any] | None = None) -> Arguments:
    """Positional and named arguments: one argument alone, or a list or tuple of them.

    >>> arguments_of([1, 2], {"mask": None})
    ((1, 2), {'mask': None})
    >>> arguments_of("text")
    (('text',), {})
    """
    if input_args is None:
        args: tuple[Any, ...] = ()
    elif type(input_args) in (list, tuple):
        args = tuple(input_args)
    else:
        args = (input_args,)
    if input_kwargs is not None and not isinstance(input_kwargs, Mapping):
        raise ArgumentError(
            f"input_kwargs is {input_kwargs!r}, of type {type(input_kwargs).__name__}. "
            "Expected a dict of named arguments."
        )
    return args, dict(input_kwargs or {})


def argument_leaves(
    args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> list[tuple[structure.Path, Tensor]]:
    """The tensors of all arguments: ``input.0["ids"]``, ``input.mask``."""
    named = [
        ((("attribute", name), *path), tensor)
        for name, value in kwargs.items()
        for path, tensor in structure.leaves(value)
    ]
    return [*structure.leaves(args), *named]


def check_arguments(model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Raise `ArgumentError` if ``model`` cannot be called with these arguments."""
    if not isinstance(model, nn.Module):
        kind = "the class" if isinstance(model, type) else "an object of type"
        name = model.__name__ if isinstance(model, type) else type(model).__name__
        hint = " Make an instance of it first." if isinstance(model, type) else ""
        raise ArgumentError(f"Expected a torch.nn.Module, got {kind} {name}.{hint}")
    _check_signature(model, args, kwargs)
    _check_devices(model, args, kwargs)


def _check_signature(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    if internals.changes_arguments(model):
        return
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):  # TorchScript, C++
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        given = [_summary(arg) for arg in args]
        given += [f"{name}={_summary(arg)}" for name, arg in kwargs.items()]
        name = type(model).__name__
        raise ArgumentError(
            f"{name} cannot be called with ({', '.join(given)}): {error}.\n"
            f"Expected {name}.forward{signature}.\n"
            "A list or tuple is taken as the positional arguments; to hand over one list as a single "
            "argument, put it into another: [inputs]."
        ) from None


def _summary(arg: Any) -> str:
    return str(TensorSpec.of(arg)) if isinstance(arg, Tensor) else type(arg).__name__


def _check_devices(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """A model on one device and all its inputs on another."""
    given = [tensor for tensor in structure.tensors((args, dict(kwargs))) if tensor.dim() > 0]
    owned = origins.tensors_of(module for _, module in origins.walk(model))
    home = next((tensor.device for tensor in owned), None)
    if not given or home is None or not all(_differs(tensor.device, home) for tensor in given):
        return
    if all(tensor.device == home for tensor in owned):
        device = given[0].device
        raise DeviceMismatchError(
            f"{type(model).__name__} is on {home}, and its inputs are on {device}: "
            f"{', '.join(str(TensorSpec.of(tensor)) for tensor in given[:4])}. "
            f"Move one of them: model.to({str(device)!r}) or inputs.to({str(home)!r})."
        )


def _differs(one: torch.device, other: torch.device) -> bool:
    return one.type != other.type or (None not in (one.index, other.index) and one.index != other.index)
