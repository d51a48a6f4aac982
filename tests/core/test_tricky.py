"""Every tricky model: its history is valid, its values and its graph are what independent witnesses say.

The last part shows of each witness that it can say no.
"""

import dataclasses
import random

import numpy as np
import pytest
import torch
from oracles import (
    differences,
    outcome,
    recorded_dependence,
    seed,
    state_of,
    true_dependence,
    values_in_order,
    wrong_values,
)
from torch import nn
from tricky import ALL, Cond, FlexAttention, FlexAttentionMasked, NestedCond, Tricky, WhileLoop
from tricky.memory import RowsApart
from tricky.modules import LoggedInside
from tricky.saving import ActivationStashed
from tricky.storage import FunctionsDisabled, OnAThread
from tricky.transforms import Linearized

import torchlens_core as tl
from torchlens_core.errors import StaleValueError
from torchlens_core.saving import SavingOptions
from torchlens_core.trace import trace

pytestmark = pytest.mark.filterwarnings("ignore")

#: Opened, so that their gradients are not those of the compiled op.
_HIGHER_ORDER = (Cond, FlexAttention, FlexAttentionMasked, NestedCond, WhileLoop)
#: The oracle of values does not look into higher-order ops, nor know what uninitialised memory held; and an inner
#: trace shows the copies that it makes to outer recorders alone.
_VALUES_UNKNOWN = (*_HIGHER_ORDER, Linearized, LoggedInside)
#: What no mode sees is found by its autograd graph.
_FOUND_BY_AUTOGRAD = (FunctionsDisabled, OnAThread)


def _id(case: Tricky) -> str:
    return f"{case.name}{'-train' if case.training else ''}{'' if case.grad else '-nograd'}"


@pytest.fixture(params=ALL, ids=_id)
def case(request):
    defect = request.param.defects.get(request.function.__name__)
    if defect is not None:
        request.applymarker(pytest.mark.xfail(reason=defect, strict=True))
    return request.param


def _log(case: Tricky) -> tl.ModelHistory:
    model, args, kwargs = case.make()
    seed()
    with torch.set_grad_enabled(case.grad):
        return tl.log_forward_pass(model, list(args), kwargs)


def _logged(model, args, kwargs):
    """The result of a pass that is logged."""
    return trace(model, args, kwargs, SavingOptions()).result


def _plain(model, args, kwargs):
    return model(*args, **kwargs)


def _unreadable(history: tl.ModelHistory) -> list[str]:
    """Ops whose saved value was overwritten, so that it is not given out."""
    found = []
    for op in history.layer_list:
        try:
            op.tensor_contents  # noqa: B018
        except StaleValueError:
            found.append(op.layer_label)
    return found


@pytest.fixture
def plain_attention():
    """Attention that takes no fused kernel, whether it is logged or not."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(fused)


def test_each_says_what_it_provokes(case):
    assert case.provokes


def test_valid(case):
    model, args, kwargs = case.make()
    before = state_of((model, args, kwargs))
    with torch.set_grad_enabled(case.grad):
        report = tl.validate_model_activations(model, list(args), kwargs)
    assert differences(before, state_of((model, args, kwargs))) == []
    if case.finding is not None:
        assert not report
        assert case.finding in str(report)
        return
    assert report, str(report)
    assert report.checks[1].covered["values"] > 0


@pytest.mark.usefixtures("plain_attention")
def test_leaves_what_a_plain_pass_leaves(case):
    plain = outcome(case.make(), case.grad, _plain)
    logged = outcome(case.make(), case.grad, _logged)
    expected = {"gradients"} if case.build in _HIGHER_ORDER else set()
    assert set(differences(plain, logged)) <= expected


def test_saved_values(case):
    if case.build in _VALUES_UNKNOWN:
        pytest.skip("the oracle does not know these values")
    model, args, kwargs = case.make()
    calls = values_in_order(model, args, kwargs, case.grad)
    assert wrong_values(_log(case), calls) == []


def test_saved_values_can_be_read(case):
    if case.finding is not None:
        pytest.skip("memory is written unseen")
    assert _unreadable(_log(case)) == []


def test_dependence(case):
    truth = true_dependence(case.make, case.grad)
    recorded = recorded_dependence(_log(case), list(truth))
    assert case.blind <= truth.keys()
    for name, outputs in truth.items():
        missing = outputs - recorded[name]
        too_many = recorded[name] - outputs
        assert not missing, f"no path from {name} to {missing}"
        if name in case.blind:
            assert too_many, f"the oracles are not blind for {name}"
        else:
            assert not too_many, f"a false path from {name} to {too_many}"


def test_same_layers_with_and_without_grad(case):
    other = dataclasses.replace(case, grad=not case.grad)
    if case.build in _FOUND_BY_AUTOGRAD:
        pytest.skip("without autograd it is seen as a constant")
    try:
        outcome(other.make(), other.grad, _plain)
    except RuntimeError as error:
        pytest.skip(f"the model runs in one mode only: {error}")
    assert _log(case).layer_labels == _log(other).layer_labels


@pytest.mark.parametrize("case", [case for case in ALL if case.passes], ids=_id)
def test_passes(case):
    passes = _log(case).layer_num_passes
    assert {label: passes.get(label) for label in case.passes} == case.passes


# -- that the witnesses can say no


class Watched(nn.Module):
    """A model that leaves something else when it is watched."""

    def __init__(self, differs):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.kept = {"rows": [torch.zeros(3)], "generator": torch.Generator().manual_seed(1)}
        self.register_buffer("passes", torch.zeros(3))
        self.optimizer = torch.optim.SGD(self.fc.parameters())
        self.differs = differs

    def forward(self, x):
        if torch.overrides._get_current_function_mode_stack():
            self.differs(self, x)
        return self.fc(x)


def _with_other_gradient(model, x):
    model.fc.weight.register_hook(lambda gradient: gradient * 2)


@pytest.mark.parametrize(
    ("differs", "where"),
    [
        (lambda model, x: None, []),
        (lambda model, x: model.passes.add_(1), [".model._buffers.passes"]),
        (lambda model, x: model.kept["rows"][0].add_(1), [".model.kept.rows.0"]),
        (lambda model, x: model.kept.update(more=3), [".model.kept.more"]),
        (lambda model, x: torch.rand(1, generator=model.kept["generator"]), [".model.kept.generator"]),
        (
            lambda model, x: model.optimizer.state[model.fc.weight].update(steps=1),
            [".model.optimizer.state.0.steps"],
        ),
        (lambda model, x: model.fc.eval(), [".model._modules.fc.training"]),
        (lambda model, x: x.add_(1), [".args.0", ".result", "gradients"]),
        (lambda model, x: torch.rand(1), ["torch generator"]),
        (lambda model, x: random.random(), ["python generator"]),
        (lambda model, x: np.random.rand(), ["numpy generator"]),
        (_with_other_gradient, ["gradients"]),
    ],
)
def test_what_is_left_otherwise_is_noticed(differs, where):
    def make():
        torch.manual_seed(0)
        return Watched(differs), (torch.rand(3),), {}

    differing = differences(outcome(make(), True, _plain), outcome(make(), True, _logged))
    assert [path for path in differing if not path.endswith(".requires_grad")] == where


def _pair():
    return torch.rand(3), torch.rand(3)


class Mixed(nn.Module):
    """Each result depends on both arguments, which those of `RowsApart` do not."""

    def forward(self, a, b):
        return a + b, a * b, a - b


def test_wrong_values_are_noticed():
    others = values_in_order(RowsApart(), _pair(), {}, True)
    assert "sum_1_8" in wrong_values(_log(Tricky(RowsApart, _pair)), others)


def test_other_dependence_is_noticed():
    apart, mixed = Tricky(RowsApart, _pair), Tricky(Mixed, _pair)
    truth = true_dependence(apart.make, True)
    assert recorded_dependence(_log(apart), list(truth)) == truth
    assert recorded_dependence(_log(mixed), list(truth)) != truth


def test_overwritten_values_are_noticed():
    history = _log(Tricky(RowsApart, _pair))
    history["sum_1_8"].tensor_contents.detach().add_(1)
    assert "sum_1_8" in _unreadable(history)


@pytest.mark.parametrize("build", _FOUND_BY_AUTOGRAD)
def test_other_layers_are_noticed(build):
    case = Tricky(build, lambda: (torch.rand(2, 3),))
    assert _log(case).layer_labels != _log(dataclasses.replace(case, grad=False)).layer_labels


def test_the_next_pass_does_not_change_what_was_saved():
    model = ActivationStashed()
    history = tl.log_forward_pass(model, torch.rand(3))
    stashed = history["mul_1_1"].tensor_contents.clone()
    model(torch.rand(3))
    assert torch.equal(history["mul_1_1"].tensor_contents, stashed)
