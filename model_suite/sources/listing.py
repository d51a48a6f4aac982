"""Cases from records: what a library listed when it was measured, so that listing does not import it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from model_suite.case import Inputs, ModelCase
from model_suite.records import records_of

#: Makes what builds a model, and what makes its inputs, of the name that the library knows.
Maker = Callable[[str], tuple[Callable[[], nn.Module], Callable[[], Inputs]]]


def listed(source: str, make: Maker) -> Iterator[ModelCase]:
    """The cases of a source that have a record."""
    for record in records_of(source).values():
        builder, maker = make(record.name.partition("/")[2])
        yield ModelCase(
            name=record.name,
            source=source,
            family=record.family,
            task=record.task,
            builder=builder,
            maker=maker,
            tags=frozenset(record.tags),
            limits=record.limits,
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
