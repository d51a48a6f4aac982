"""The marker ``lens_validate``: where it may stand, what may stand in it, and what else is said of a validation."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import pytest

from pytest_torchlens import arguments, options
from pytest_torchlens.items import ModelItem, own_marks

if TYPE_CHECKING:
    from torch import nn

NAME = "lens_validate"
DESCRIPTION = (
    "lens_validate(checks=None, rtol=0.0, atol=0.0, grad=None, seed=None): validate every forward pass "
    "that the test logs; a test that logs none fails. A marked nn.Module class is a test of its own: it is "
    "built with init=, run on inputs=, and that pass is validated"
)


@dataclass(frozen=True, slots=True)
class Settings:
    """How the passes of a test are validated."""

    #: Arguments of `torchlens_core.validate_model_activations`.
    arguments: Mapping[str, Any]
    #: What a model class is run on, and built with, as the marker has them.
    inputs: Any = None
    init: Any = None


def settings_of(item: pytest.Item) -> Settings | None:
    """The settings of a marked test, None if it is not marked; the closest marker wins.

    What the marker does not say, the command line does, then the ini file.

    Raises `pytest.UsageError` for arguments that do not exist, and for values that they do not take.
    """
    marker = item.get_closest_marker(NAME)
    if marker is None:
        return None
    wrong = _fault(marker, isinstance(item, ModelItem))
    if wrong:
        raise pytest.UsageError(f"{item.nodeid}: the marker {NAME} {wrong}")
    if isinstance(item, ModelItem) and item.get_closest_marker("parametrize"):
        raise pytest.UsageError(
            f"{item.nodeid}: a model class marked {NAME} is one test, which parametrize cannot multiply. "
            "Mark a subclass for each case, or log the model in a test function."
        )
    given = options.validation(item.config)
    given |= {name: value for name, value in marker.kwargs.items() if name in arguments.VALIDATION}
    if "seed" in given:
        given["random_seed"] = given.pop("seed")
    return Settings(given, marker.kwargs.get("inputs"), marker.kwargs.get("init"))


def _fault(marker: pytest.Mark, is_of_model: bool) -> str | None:
    """What is wrong with a marker, as the end of a sentence."""
    known = (*arguments.VALIDATION, *(arguments.MODEL if is_of_model else ()))
    misplaced = [f"{name}=" for name in marker.kwargs if name in arguments.MODEL and name not in known]
    if misplaced:
        return (
            f"has {' and '.join(misplaced)}, for marks on nn.Module classes alone: a test function builds "
            "and runs its models itself, lens(model, inputs)."
        )
    unknown = [*map(repr, marker.args), *(name for name in marker.kwargs if name not in known)]
    if unknown:
        return f"does not take {', '.join(unknown)}. It takes {', '.join(f'{name}=' for name in known)}."
    faults = (arguments.fault(name, value) for name, value in marker.kwargs.items())
    return next((one for one in faults if one is not None), None)


def is_marked_model(thing: object) -> TypeGuard[type[nn.Module]]:
    """Whether a thing is a model class that carries the mark itself, and not only a base of it."""
    if not issubclass(type(thing), type):  # isinstance would ask proxies what they stand for
        return False
    assert isinstance(thing, type)
    if all(mark.name != NAME for mark in own_marks(thing)):
        return False
    module = getattr(getattr(sys.modules.get("torch"), "nn", None), "Module", None)
    return module is not None and issubclass(thing, module)


def is_tested_here(collector: pytest.Module | pytest.Class, model_class: type) -> bool:
    """Whether a marked class is a test of the file in which it was found: the one that defines it.

    pytest itself collects a test class again wherever it is imported, for the sake of shared bases. A model is
    imported in order to be used, and would be built and validated again for nothing; its name in the report
    would not lead to it either. To validate a model from elsewhere, mark a subclass of it.
    """
    is_wanted = getattr(model_class, "__test__", True)
    return bool(is_wanted) and model_class.__module__ == collector.module.__name__
