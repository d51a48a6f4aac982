"""Cases from records: what a library listed when it was measured, so that listing does not import it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch import nn

from model_suite.case import Inputs, ModelCase
from model_suite.records import records_of

#: Makes what builds a model, and what makes its inputs, of the name that the library knows.
Maker = Callable[[str], tuple[Callable[[], nn.Module], Callable[[], Inputs]]]


def listed(
    source: str, make: Maker, canonical: Callable[[str], Inputs] | None = None
) -> Iterator[ModelCase]:
    """The cases of a source that have a record; ``canonical`` makes inputs of a model's own size."""
    for record in records_of(source).values():
        name = record.name.partition("/")[2]
        known = (record.family, record.task, *record.tags)
        yield case(source, name, make, *known, limits=record.limits, canonical=canonical)


def case(
    source: str,
    name: str,
    make: Maker,
    family: str,
    task: str,
    *tags: str,
    limits: str = "",
    canonical: Callable[[str], Inputs] | None = None,
) -> ModelCase:
    """A case by the name that the library knows."""
    builder, maker = make(name)
    return ModelCase(
        name=f"{source}/{name}",
        source=source,
        family=family,
        task=task,
        builder=builder,
        maker=maker,
        tags=frozenset(tags),
        canonical=(builder, partial(canonical, name)) if canonical is not None else None,
        limits=limits,
    )


def library(module: str, package: str) -> Any:
    """A module of a library that a source needs. Raises `ImportError` that says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"Models of the catalogue need {package}: {error}. "
            "Install what the catalogue needs: pip install 'pytest-torchlens[catalogue]'."
        ) from error
