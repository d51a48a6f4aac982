"""The markers ``lens_validate`` and ``lens_snapshot``: where they may stand, and what may stand in them."""

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

VALIDATE, SNAPSHOT = "lens_validate", "lens_snapshot"
DESCRIPTIONS = (
    f"{VALIDATE}(checks=None, rtol=0.0, atol=0.0, grad=None, seed=None): validate every forward pass "
    "that the test logs; a test that logs none fails. A marked nn.Module class is a test of its own: it is "
    "built with init=, run on inputs=, and that pass is validated",
    f"{SNAPSHOT}(ignore=(), batch=None): compare the graph of every forward pass that the test logs, in order, "
    "with the snapshot beside the test; a test that logs none fails. An nn.Module class may carry it as it may "
    f"carry {VALIDATE}, with init= and inputs=",
)
#: The arguments that each takes, anywhere.
_TAKES = {VALIDATE: arguments.VALIDATION, SNAPSHOT: arguments.SNAPSHOT}


@dataclass(frozen=True, slots=True)
class SnapshotSettings:
    """How the passes of a test are compared with their snapshots."""

    #: Classes of changes, and patterns of modules, that do not count.
    ignore: tuple[str, ...] = ()
    #: The size that is written B.
    batch: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What is done with the passes of a test."""

    #: Arguments of `torchlens_core.validate_model_activations`; None if nothing is validated.
    validation: Mapping[str, Any] | None = None
    #: None if nothing is compared with snapshots.
    snapshots: SnapshotSettings | None = None
    #: What a model class is run on, and built with, as its markers have them.
    inputs: Any = None
    init: Any = None

    @property
    def markers(self) -> str:
        """The names of the markers, to be read after "marked"."""
        given = {VALIDATE: self.validation, SNAPSHOT: self.snapshots}
        return " and ".join(name for name, one in given.items() if one is not None)


def settings_of(item: pytest.Item) -> Settings | None:
    """The settings of a marked test, None if it is not marked; the closest marker of each name wins.

    What a marker does not say of a validation, the command line does, then the ini file. ``inputs=`` and
    ``init=`` may stand in either marker, and are taken from the closer one.

    Raises `pytest.UsageError` for arguments that do not exist, and for values that they do not take.
    """
    found = {name: marker for name in _TAKES if (marker := item.get_closest_marker(name)) is not None}
    for name, marker in found.items():
        wrong = _fault(marker, isinstance(item, ModelItem))
        if wrong:
            raise pytest.UsageError(f"{item.nodeid}: the marker {name} {wrong}")
        if isinstance(item, ModelItem) and item.get_closest_marker("parametrize"):
            raise pytest.UsageError(
                f"{item.nodeid}: a model class marked {name} is one test, which parametrize cannot multiply. "
                "Mark a subclass for each case, or log the model in a test function."
            )
    if not found:
        return None
    closest_first = [
        marker for marker in item.iter_markers() if any(marker is one for one in found.values())
    ]
    of_model = {name: value for marker in reversed(closest_first) for name, value in marker.kwargs.items()}
    return Settings(
        validation=_validation(item, found[VALIDATE]) if VALIDATE in found else None,
        snapshots=_snapshots(found[SNAPSHOT]) if SNAPSHOT in found else None,
        inputs=of_model.get("inputs"),
        init=of_model.get("init"),
    )


def _validation(item: pytest.Item, marker: pytest.Mark) -> Mapping[str, Any]:
    given = options.validation(item.config)
    given |= {name: value for name, value in marker.kwargs.items() if name in arguments.VALIDATION}
    if "seed" in given:
        given["random_seed"] = given.pop("seed")
    return given


def _snapshots(marker: pytest.Mark) -> SnapshotSettings:
    return SnapshotSettings(arguments.ignored(marker.kwargs.get("ignore", ())), marker.kwargs.get("batch"))


def _fault(marker: pytest.Mark, is_of_model: bool) -> str | None:
    """What is wrong with a marker, as the end of a sentence."""
    known = (*_TAKES[marker.name], *(arguments.MODEL if is_of_model else ()))
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
    """Whether a thing is a model class that carries a mark itself, and not only a base of it."""
    if not issubclass(type(thing), type):  # isinstance would ask proxies what they stand for
        return False
    assert isinstance(thing, type)
    if all(mark.name not in _TAKES for mark in own_marks(thing)):
        return False
    module = getattr(getattr(sys.modules.get("torch"), "nn", None), "Module", None)
    return module is not None and issubclass(thing, module)


def is_tested_here(collector: pytest.Module | pytest.Class, model_class: type) -> bool:
    """Whether a marked class is a test of the file in which it was found: the one that defines it.

    pytest itself collects a test class again wherever it is imported, for the sake of shared bases. A model is
    imported in order to be used, and would be built and run again for nothing; its name in the report
    would not lead to it either. To test a model from elsewhere, mark a subclass of it.
    """
    is_wanted = getattr(model_class, "__test__", True)
    return bool(is_wanted) and model_class.__module__ == collector.module.__name__
