"""A model class that carries the marker, as a test."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torch import nn


class ModelItem(pytest.Function):
    """The test of a model class: it builds the model, and logs one pass of it.

    To pytest it is a test function without arguments that carries the marks of the class. So fixtures that
    are used automatically or named by ``usefixtures`` set it up, and ``setup_module`` and its kin; skip and
    xfail are honoured. What it cannot do is run more than once: a parametrized fixture fails its setup, and
    ``parametrize`` is refused.
    """

    #: The class.
    model_class: type[nn.Module]

    @classmethod
    def of(
        cls,
        collector: pytest.Module | pytest.Class,
        name: str,
        model_class: type[nn.Module],
        log: Callable[[ModelItem], None],
    ) -> ModelItem:
        """The item of a class that has that name in its file or test class; ``log`` runs it."""

        def run(_instance: object = None) -> None:
            log(item)

        run.pytestmark = marks_of(model_class)  # type: ignore[attr-defined]
        # fixtures that are methods of a test class, and its setup_method, want an instance
        is_method = isinstance(collector, pytest.Class)
        function = MethodType(run, collector.obj()) if is_method else run
        item: ModelItem = cls.from_parent(collector, name=name, callobj=function)
        item.model_class = model_class
        return item

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Where the class is, and its name."""
        try:
            line = inspect.getsourcelines(self.model_class)[1] - 1
        except (OSError, TypeError):  # made by exec, say
            line = 0
        return self.path, line, self.getmodpath()


def own_marks(thing: type) -> list[pytest.Mark]:
    """The marks that stand at a class itself, the closest first; anything else of that name is passed over."""
    held = vars(thing).get("pytestmark", [])
    marks = [getattr(one, "mark", one) for one in (held if isinstance(held, list) else [held])]
    return [one for one in marks if isinstance(one, pytest.Mark)]


def marks_of(thing: type) -> list[pytest.Mark]:
    """Those of its bases too, after its own."""
    return [mark for base in thing.__mro__ for mark in own_marks(base)]
