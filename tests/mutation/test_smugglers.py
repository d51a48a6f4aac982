"""What no function mode sees, and models that are another at each run: found, with where."""

import numpy as np
import pytest
import torch
from torch import nn

import torchlens_core as tl
from mutation.smugglers import LIARS, SMUGGLERS, Smuggler
from torchlens_core import validate


def _name(case: Smuggler) -> str:
    return case.name


def _report(case: Smuggler, checks=None) -> tl.ValidationReport:
    torch.manual_seed(0)
    with torch.set_grad_enabled(case.grad):
        return tl.validate_model_activations(
            case.build(), list(case.inputs()), random_seed=0, checks=checks
        )


@pytest.mark.parametrize("case", SMUGGLERS, ids=_name)
def test_smuggled_values_are_found(case):
    if case.check not in validate.CHECKS:
        pytest.skip(f"there is no check {case.check!r}")
    found = [str(finding) for finding in _report(case).findings if finding.check == case.check]
    assert any(case.says in text and all(place in text for place in case.places) for text in found), found


@pytest.mark.parametrize("case", LIARS, ids=_name)
def test_models_that_are_another_at_each_run_are_found(case):
    report = _report(case)
    found = [str(finding) for finding in report.findings if finding.check == case.check]
    assert any(case.says in text for text in found), str(report)


@pytest.mark.parametrize("case", LIARS, ids=_name)
def test_it_differs_without_the_tracer_too(case):
    """The control: the models do what they are here for."""
    model, inputs = case.build(), case.inputs()
    results = [model(*inputs) for _ in range(3)]
    assert any(not _equal(results[0], other) for other in results[1:])


def _equal(one, other) -> bool:
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return torch.equal(one, other)


@pytest.mark.parametrize("case", SMUGGLERS, ids=_name)
def test_places_are_marked(case):
    assert case.places


class OfArray(nn.Module):
    """The old constructor copies arrays that are no value of the pass."""

    def forward(self, x):
        return x + torch.Tensor(np.arange(3)) + torch.Tensor(np.ones(3, dtype=np.float32))


def test_a_constant_that_is_copied_of_an_array_is_no_finding():
    assert tl.validate_model_activations(OfArray(), [torch.rand(3)]).findings == []
