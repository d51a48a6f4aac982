"""Every model of the catalogue, logged and validated: ``pytest model_suite --lens-tier=all``.

The structures of the smoke tier are kept in ``__lens__``.
"""

import pytest
import torch

from model_suite import ModelCase, cases


@pytest.mark.lens_validate
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)
def test_model(case: ModelCase, lens, lens_snapshot, request):  # type: ignore[no-untyped-def]
    """The model builds, runs, its history is true, and its structure is what it was."""
    is_kept = "smoke" in case.tags
    if not is_kept and request.config.getoption("--lens-tier", "smoke") == "smoke":
        pytest.skip("outside the smoke tier; run with --lens-tier=all")
    torch.manual_seed(0)
    model = case.build()
    args, kwargs = case.inputs()
    with torch.no_grad():
        history = lens(model, *args, **kwargs)
    assert history.output_layers
    assert len(history.ops) >= len(history.layers_computed_with_params)
    if is_kept:
        # how many boxes are found depends on the last bits of the numbers, which differ from machine to machine
        lens_snapshot.check(history, ignore=["shape"] if "dynamic" in case.tags else ())
