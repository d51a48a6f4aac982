"""Every tricky model: its history is valid, its saved values and its graph are what independent witnesses say."""

import copy

import pytest
import torch
from oracles import recorded_dependence, true_dependence, values_in_order, wrong_values
from tricky import ALL, Cond, FlexAttention, Tricky, WhileLoop

import torchlens_core as tl

pytestmark = pytest.mark.filterwarnings("ignore")


def _id(case: Tricky) -> str:
    return f"{case.name}{'-train' if case.training else ''}{'' if case.grad else '-nograd'}"


@pytest.fixture(params=ALL, ids=_id)
def case(request):
    return request.param


def _log(case: Tricky):
    model, args, kwargs = case.make()
    torch.manual_seed(1)
    with torch.set_grad_enabled(case.grad):
        return tl.log_forward_pass(model, list(args), kwargs)


def test_each_says_what_it_provokes(case):
    assert case.provokes


def test_valid(case):
    model, args, kwargs = case.make()
    with torch.set_grad_enabled(case.grad):
        report = tl.validate_model_activations(model, list(args), kwargs)
    if case.finding is not None:
        assert not report
        assert case.finding in str(report)
        return
    assert report, str(report)
    assert report.checks[1].covered["values"] > 0


def test_saved_values(case):
    if case.build in (Cond, WhileLoop, FlexAttention):
        pytest.skip("the oracle does not look into higher-order ops")
    model, args, kwargs = case.make()
    calls = values_in_order(model, args, kwargs, case.grad)
    assert wrong_values(_log(case), calls) == []


def test_dependence(case):
    model, args, kwargs = case.make()
    try:
        copy.deepcopy(model)
    except Exception as error:
        pytest.skip(f"the oracle cannot copy this model: {error}")
    truth = true_dependence(model, args, kwargs, case.grad)
    recorded = recorded_dependence(_log(case), list(truth))
    for name, outputs in truth.items():
        missing = outputs - recorded[name]
        too_many = recorded[name] - outputs
        assert not missing, f"no path from {name} to {missing}"
        assert not too_many or name in case.blind, f"a false path from {name} to {too_many}"
