"""All cases, by source; listing them imports none of the libraries that the models come from."""

from __future__ import annotations

import difflib
from functools import cache

from model_suite.case import ModelCase
from model_suite.sources import torchvision_models

#: Each source is a module with ``cases()``.
SOURCES = (torchvision_models,)


@cache
def _all() -> tuple[ModelCase, ...]:
    return tuple(case for source in SOURCES for case in source.cases())


def cases(source: str | None = None) -> list[ModelCase]:
    """Every case, or those of one source, in a fixed order."""
    return [case for case in _all() if source in (None, case.source)]


def smoke_cases() -> list[ModelCase]:
    """Some 30 varied cases that run in under 90 seconds together: one of each kind."""
    return [case for case in _all() if "smoke" in case.tags]


def find(name: str) -> ModelCase:
    """The case called ``name``.

    Raises `KeyError` with the nearest names.

    >>> find("torchvision/resnet18").family
    'resnet'
    """
    for case in _all():
        if case.name == name:
            return case
    # who leaves the source out, or mistakes it, means the model still
    names = {key: case.name for case in _all() for key in (case.name, case.name.partition("/")[2])}
    near = dict.fromkeys(names[key] for key in difflib.get_close_matches(name, names))
    raise KeyError(f"no model {name!r} in the catalogue; nearest: {', '.join(near) or 'none'}")
