"""Every model of the catalogue, logged and validated: ``pytest model_suite --lens-tier=all``.

Models of moderate size are run with values, and validated with all checks; larger ones on the meta device, where the
checks see structure alone. So are those of the tier ``all`` whose folded structure one before them has: resnet152 does
nothing that resnet50 does not. For a gallery, all are traced there that can be, and none is validated:
``pytest model_suite --lens-gallery=out``. The structures of the smoke tier are kept in ``__lens__``.
"""

from collections import Counter
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest
import torch

import torchlens_core as tl
from model_suite import ModelCase, cases, smoke_cases, standard_cases
from model_suite.conftest import TIME_LIMIT
from model_suite.registry import sources


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The cases of the tier that is asked for; those that cannot be built are skipped with their reason."""
    draws = bool(metafunc.config.getoption("--lens-gallery"))
    tier = metafunc.config.getoption("--lens-tier") or ("all" if draws else "smoke")
    with_values = not draws or metafunc.config.getoption("--lens-values")
    chosen = {"smoke": smoke_cases, "standard": standard_cases, "all": cases}[tier]()
    chosen += [case for case in _of_hooks(metafunc.config) if tier == "all" or "smoke" in case.tags]
    missing = Counter(case.source for case in chosen if not _is_there(case.source))
    chosen = [case for case in chosen if case.source not in missing]
    repeated = _repeated(chosen) if tier == "all" else frozenset()
    params = [
        pytest.param(case, device, marks=_marks(case, device, with_values), id=case.id)
        for case in chosen
        for device in [_device(case, with_values and case.name not in repeated)]
    ]
    params += [_skipped(source, number) for source, number in missing.items()]
    metafunc.parametrize(("case", "device"), params)


def _repeated(chosen: list[ModelCase]) -> frozenset[str]:
    """Names of the cases whose folded structure one before them has that is run with values."""
    found, taken = set(), set()
    for case in chosen:
        folded = case.record.folded if case.record is not None else ""
        if folded in taken:
            found.add(case.name)
        elif folded and case.has_values and not case.limits:
            taken.add(folded)
    return frozenset(found)


def _of_hooks(config: pytest.Config) -> list[ModelCase]:
    """The cases of other projects. Raises `pytest.UsageError` for a name that is there already."""
    added = [case for given in config.hook.pytest_lens_models(config=config) for case in given]
    names = Counter(case.name for case in (*cases(), *added))
    for case in added:
        if names[case.name] > 1:
            raise pytest.UsageError(
                f"pytest_lens_models: a case {case.name!r} is there already. Give it another name."
            )
    return added


@cache
def _is_there(source: str) -> bool:
    """Whether the library of a source is installed: sources of this package are called as what they import."""
    return source == "classics" or source not in sources() or find_spec(source) is not None


def _skipped(source: str, number: int) -> Any:
    """One test for all models of a library that is not installed."""
    reason = f"{source} is not installed ({number} models): pip install 'pytest-torchlens[catalogue]'"
    return pytest.param(None, "", marks=pytest.mark.skip(reason=reason), id=source)


def _device(case: ModelCase, with_values: bool) -> str:
    goes_on_meta = case.record is not None and case.record.on_meta
    return "cpu" if (case.has_values and with_values) or not goes_on_meta else "meta"


def _marks(case: ModelCase, device: str, is_validated: bool) -> list[pytest.MarkDecorator]:
    tags = sorted(case.tags - {"smoke", case.task})
    facets = {"source": case.source, "family": case.family, "task": case.task, "tags": tags}
    marks = [
        pytest.mark.lens_gallery(title=case.id, **{name: value for name, value in facets.items() if value})
    ]
    if case.limits and not _wants_library(case):
        return [*marks, pytest.mark.skip(reason=f"a limit of this model: {case.limits}")]
    if not is_validated:
        return marks
    # without values nothing can be told of where they go
    known = (
        [pytest.mark.xfail(reason=case.findings, strict=True)] if case.findings and device != "meta" else []
    )
    return [*marks, pytest.mark.lens_validate, *known]


def _wants_library(case: ModelCase) -> bool:
    """Whether all that was wrong with a case is a library that it needs, which may be there by now."""
    return case.limits.startswith(("ImportError", "ModuleNotFoundError"))


@pytest.mark.timeout(TIME_LIMIT)
def test_model(case: ModelCase, device: str, lens, lens_snapshot, record_property, request):  # type: ignore[no-untyped-def]
    """The model builds, runs, its history is true, and its structure is what it was."""
    torch.manual_seed(0)
    try:
        model = case.build(device)
        args, kwargs = case.inputs(device)
        with torch.no_grad():
            history = lens(model, *args, **kwargs)
    except ImportError as error:
        if _wants_library(case):
            pytest.skip(f"a library is missing: {error}")
        raise
    assert history.output_layers
    assert len(history.ops) >= len(history.layers_computed_with_params)
    record_property("folded", tl.structure_hash(history, shapes=False, folded=True))
    if request.node.get_closest_marker("lens_validate"):
        record_property("validated", device)
    if "smoke" in case.tags and case.source in sources():
        # how many boxes are found depends on the last bits of the numbers, which differ from machine to machine
        lens_snapshot.check(history, ignore=["shape"] if "dynamic" in case.tags else ())
