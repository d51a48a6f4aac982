"""All cases, by source; listing them imports none of the libraries that the models come from."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from itertools import islice, zip_longest

from model_suite.case import ModelCase, SizeClass
from model_suite.sources import (
    classics,
    diffusers_models,
    geometric_models,
    kornia_models,
    monai_models,
    open_clip_models,
    pytorchcv_models,
    segmentation_models,
    timm_models,
    torchvision_models,
    transformers_models,
    x_transformers_models,
)

#: By name, how the cases of a source are listed: without its library, and anew from what the library lists.
_SOURCES: dict[str, tuple[Callable[[], Iterable[ModelCase]], Callable[[], Iterable[ModelCase]]]] = {
    "torchvision": (torchvision_models.cases, torchvision_models.cases),
    "classics": (classics.cases, classics.cases),
    "timm": (timm_models.cases, timm_models.discover),
    "transformers": (transformers_models.cases, transformers_models.discover),
    "segmentation_models_pytorch": (segmentation_models.cases, segmentation_models.discover),
    "pytorchcv": (pytorchcv_models.cases, pytorchcv_models.discover),
    "torch_geometric": (geometric_models.cases, geometric_models.discover),
    "diffusers": (diffusers_models.cases, diffusers_models.discover),
    "x_transformers": (x_transformers_models.cases, x_transformers_models.discover),
    "open_clip": (open_clip_models.cases, open_clip_models.discover),
    "monai": (monai_models.cases, monai_models.discover),
    "kornia": (kornia_models.cases, kornia_models.discover),
}
#: Entry points of other packages: functions that return cases.
GROUP = "torchlens_models"


def sources() -> list[str]:
    """Names of the sources that this package has."""
    return list(_SOURCES)


def discovered(source: str) -> list[ModelCase]:
    """The cases of a source as its library lists them now."""
    return list(_SOURCES[source][1]())


@cache
def _all() -> tuple[ModelCase, ...]:
    own = [_tagged(case) for lists, _ in _SOURCES.values() for case in lists()]
    return (*own, *_of_others({case.name for case in own}))


def _tagged(case: ModelCase) -> ModelCase:
    """The case with what was seen in its graph among its tags."""
    record = case.record
    return replace(case, tags=case.tags.union(record.traits)) if record and record.traits else case


def _of_others(taken: set[str]) -> Iterator[ModelCase]:
    """The cases of other packages. Raises `ValueError` for a name that is there already."""
    for point in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        for case in point.load()():
            if case.name in taken:
                raise ValueError(
                    f"the entry point {point.name!r} of {GROUP} lists a case {case.name!r}, which is there already. "
                    "Give it another name."
                )
            taken.add(case.name)
            yield case


def cases(source: str | None = None) -> list[ModelCase]:
    """Every case, or those of one source, in a fixed order.

    Raises `KeyError` for a source that neither this package nor an installed one has, with the nearest.
    """
    found = [case for case in _all() if source in (None, case.source)]
    if not found and source not in _SOURCES:
        known = sorted({*_SOURCES, *(case.source for case in _all())})
        near = difflib.get_close_matches(str(source), known) or known
        raise KeyError(f"no source {source!r}: one of {', '.join(near)}?")
    return found


def smoke_cases() -> list[ModelCase]:
    """Some 30 varied cases that run in under 90 seconds together: one of each kind."""
    return [case for case in _all() if "smoke" in case.tags]


#: How many cases the standard tier has.
STANDARD = 300


@cache
def _standard() -> frozenset[str]:
    chosen = {case.name for case in smoke_cases()}
    taken = {case.record.folded for case in smoke_cases() if case.record is not None}
    families: dict[str, dict[str, list[ModelCase]]] = {}
    for case in _all():
        record = case.record
        if record is None or not record.folded or record.folded in taken:
            continue
        if case.size is SizeClass.SMALL:
            taken.add(record.folded)
            families.setdefault(case.source, {}).setdefault(case.family, []).append(case)
    # a case of each source in turn, and of each source one of each family in turn
    sources = [_in_turn(of_source.values()) for of_source in families.values()]
    for case in islice(_in_turn(sources), STANDARD - len(chosen)):
        chosen.add(case.name)
    return frozenset(chosen)


def _in_turn(lists: Iterable[Iterable[ModelCase]]) -> list[ModelCase]:
    """The first of each list, the second of each, and so on."""
    turns = zip_longest(*lists)
    return [case for turn in turns for case in turn if case is not None]


def standard_cases() -> list[ModelCase]:
    """Some 300 cases of distinct structures, as many families as there are, all small."""
    return [case for case in _all() if case.name in _standard()]


def find(name: str) -> ModelCase:
    """The case called ``name``.

    Raises `KeyError` with the nearest names.

    >>> find("torchvision/resnet18").family
    'resnet'
    """
    for case in _all():
        if case.name == name:
            return case
    # who leaves the source out, or mistakes it, means the model still: of the first source that has it
    names: dict[str, str] = {}
    for case in _all():
        for key in (case.name, case.name.partition("/")[2]):
            names.setdefault(key, case.name)
    near = dict.fromkeys(names[key] for key in difflib.get_close_matches(name, names))
    raise KeyError(f"no model {name!r} in the catalogue; nearest: {', '.join(near) or 'none'}")
