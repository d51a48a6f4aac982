"""Every model of the catalogue, logged and validated: ``pytest model_suite --lens-tier=all``.

Models of moderate size are run with values, and validated with all checks; larger ones on the meta device, where only
the structure can be looked at. The structures of the smoke tier are kept in ``__lens__``.
"""

import pytest
import torch

from model_suite import ModelCase, cases, smoke_cases, standard_cases


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The cases of the tier that is asked for; those that cannot be built are skipped with their reason."""
    tier = metafunc.config.getoption("--lens-tier", "smoke")
    chosen = {"smoke": smoke_cases, "standard": standard_cases, "all": cases}[tier]()
    params = [pytest.param(case, marks=_marks(case), id=case.id) for case in chosen]
    metafunc.parametrize("case", params)


def _marks(case: ModelCase) -> list[pytest.MarkDecorator]:
    if case.limits:
        return [pytest.mark.skip(reason=f"a limit of this model: {case.limits}")]
    return [pytest.mark.lens_validate] if case.has_values else []


def test_model(case: ModelCase, lens, lens_snapshot):  # type: ignore[no-untyped-def]
    """The model builds, runs, its history is true, and its structure is what it was."""
    device = "cpu" if case.has_values else "meta"
    torch.manual_seed(0)
    model = case.build(device)
    args, kwargs = case.inputs(device)
    with torch.no_grad():
        history = lens(model, *args, **kwargs)
    assert history.output_layers
    assert len(history.ops) >= len(history.layers_computed_with_params)
    if "smoke" in case.tags:
        # how many boxes are found depends on the last bits of the numbers, which differ from machine to machine
        lens_snapshot.check(history, ignore=["shape"] if "dynamic" in case.tags else ())
