"""A marked model class in its test: built, given inputs, and logged once, all from one seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from torch import nn

from pytest_torchlens.arguments import is_shape
from pytest_torchlens.items import ModelItem
from pytest_torchlens.markers import Settings
from torchlens_core import ArgumentError, log_forward_pass
from torchlens_core.inputs import Arguments, arguments_of, check_arguments
from torchlens_core.state import Generators

_HOOK = "the hook pytest_lens_inputs"
_GIVE_INIT = "Give its marker init=, a dict of named arguments, or a tuple or list of positional ones."


def log_model(item: ModelItem, settings: Settings) -> None:
    """Build the model of an item and log one pass; who observes the test sees it.

    The generators are seeded before the model is built, with 0 if no seed is given, and put back afterwards.
    """
    seed = (settings.validation or {}).get("random_seed")
    with _seeded(0 if seed is None else seed):
        model = _built(item.model_class, settings.init)
        given, source = _inputs(item, model, settings.inputs)
        args, kwargs = arguments_of(None, given) if isinstance(given, Mapping) else arguments_of(given)
        try:
            check_arguments(model, args, kwargs)
        except ArgumentError as error:
            _fail(f"{error}\nThe arguments come from {source}.")
        log_forward_pass(model, list(args), kwargs)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The generators of torch, Python and numpy seeded, and put back afterwards."""
    before = Generators()
    try:
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        yield
    finally:
        before.restore()


def _built(model_class: type[nn.Module], init: Any) -> nn.Module:
    args, kwargs = _init_arguments(init)
    shown = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])
    name = model_class.__name__
    model: nn.Module = _called(
        lambda error: f"{name} cannot be built by {name}({shown}): {error}.\n{_GIVE_INIT}",
        *(model_class, *args),
        **kwargs,
    )
    return model


def _init_arguments(init: Any) -> Arguments:
    if isinstance(init, Mapping):
        return (), dict(init)
    return tuple(init or ()), {}


def _inputs(item: ModelItem, model: nn.Module, inputs: Any) -> tuple[Any, str]:
    """The arguments of the pass, and who gave them."""
    name = item.model_class.__name__
    if inputs is None:
        found = item.ihook.pytest_lens_inputs(model=model, item=item)
        if found is None:
            _fail(
                f"{name} is marked to be run, but nothing says on what.\n"
                "Give its marker inputs=, a shape such as (1, 3, 32, 32) or a callable that\n"
                f"returns the arguments of forward; or return them in conftest.py from\n"
                f"{_HOOK}(model, item)."
            )
        return found, _HOOK
    if is_shape(inputs):
        return torch.rand(inputs), "the shape in inputs="
    if not callable(inputs):
        return [torch.rand(shape) for shape in inputs], "the shapes in inputs="
    found = _called(lambda error: f"inputs= of {name} is called without arguments: {error}.", inputs)
    if found is None:
        _fail(
            f"inputs= of {name} returned None.\n"
            "Return one argument, a tuple or list of positional arguments, or a dict of named ones."
        )
    return found, "inputs="


def _called(
    told: Callable[[TypeError], str], function: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    """What a function of the user returns; if it cannot be called so, the test fails with what is told."""
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        if error.__traceback__ is None or error.__traceback__.tb_next is not None:  # raised inside
            raise
        _fail(told(error))


def _fail(message: str) -> NoReturn:
    raise pytest.fail.Exception(message, pytrace=False) from None
