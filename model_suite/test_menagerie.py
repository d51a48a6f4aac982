"""Every model of the catalogue, logged and validated: ``pytest model_suite --lens-tier=all``."""

import pytest
import torch

from model_suite import ModelCase, cases


@pytest.mark.lens_validate
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)
def test_model(case: ModelCase, lens, request):  # type: ignore[no-untyped-def]
    """The model builds, runs, and its history is true."""
    if "smoke" not in case.tags and request.config.getoption("--lens-tier", "smoke") == "smoke":
        pytest.skip("outside the smoke tier; run with --lens-tier=all")
    torch.manual_seed(0)
    model = case.build()
    args, kwargs = case.inputs()
    with torch.no_grad():
        history = lens(model, *args, **kwargs)
    assert history.output_layers
    assert len(history.ops) >= len(history.layers_computed_with_params)
