"""Cases from records: what a library listed when it was measured, so that listing does not import it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from model_suite.case import Inputs, ModelCase
from model_suite.records import records_of


def listed(
    source: str,
    build: Callable[[str], nn.Module],
    inputs: Callable[[str], Inputs],
    canonical: Callable[[str], Inputs] | None = None,
    through_python: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[ModelCase]:
    """The cases of a source that have a record.

    ``build`` and ``inputs`` make a model and what it is run with, of the name that the library knows; ``canonical``
    makes inputs of a model's own size. ``through_python`` has, by how names begin, which values go through Python's
    numbers and come back, so that the graph cannot show what depends on them.
    """
    for record in records_of(source).values():
        name = record.name.partition("/")[2]
        known = (record.family, record.task, *record.tags)
        said = next((text for begin, text in through_python.items() if name.startswith(begin)), "")
        findings = said and f"hidden dependence: {said}"
        yield case(
            source,
            name,
            build,
            inputs,
            *known,
            limits=record.limits,
            findings=findings,
            canonical=canonical,
        )


def case(
    source: str,
    name: str,
    build: Callable[[str], nn.Module],
    inputs: Callable[[str], Inputs],
    family: str,
    task: str,
    *tags: str,
    limits: str = "",
    findings: str = "",
    canonical: Callable[[str], Inputs] | None = None,
) -> ModelCase:
    """A case by the name that the library knows."""
    builder = partial(build, name)
    return ModelCase(
        name=f"{source}/{name}",
        source=source,
        family=family,
        task=task,
        builder=builder,
        maker=partial(inputs, name),
        tags=frozenset(tags),
        canonical=(builder, partial(canonical, name)) if canonical is not None else None,
        limits=limits,
        findings=findings,
    )


def library(module: str, package: str) -> Any:
    """A module of a library that a source needs. Raises `ImportError` that says what to install.

    It is imported on the CPU, wherever a model is being built: tensors that a module makes for itself stay with it.
    """
    try:
        with torch.device("cpu"):
            return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"Models of the catalogue need {package}: {error}. "
            "Install what the catalogue needs: pip install 'pytest-torchlens[catalogue]'."
        ) from error
