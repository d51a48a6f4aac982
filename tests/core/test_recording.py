"""A finished pass as plain data: numbered runs, calls, facts of modules."""

import pytest
import torch
from torch import nn

import torchlens_core as tl
from torchlens_core.assemble import forward_parameters, module_facts


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x, *, times=2):
        for _ in range(times):
            x = self.fc(x)
        return x


@pytest.fixture(scope="module")
def recording():
    return tl.log_forward_pass(Loop(), torch.rand(2, 3)).recording


def test_entries_leave_parameters_out(recording):
    kinds = [node.kind for node in recording.nodes]
    assert kinds == ["input", "parameter", "parameter", "op", "op", "output"]
    assert list(recording.entries) == [0, 3, 4, 5]
    assert recording.entry_of == {0: 0, 3: 1, 4: 2, 5: 3}


def test_runs_are_numbered(recording):
    assert list(recording.numbers) == [1, 0, 0, 1, 2, 1]


def test_innermost_calls(recording):
    calls = [None if call is None else (call.address, call.number) for call in recording.call_of]
    assert calls[3:5] == [("fc", 1), ("fc", 2)]
    assert calls[0] is None or calls[0][0] == ""


def test_facts_of_the_pass(recording):
    assert recording.model_name == "Loop"
    assert recording.model_class.endswith(".Loop")
    assert list(recording.forward_parameters) == ["x"]  # times is given by name alone
    assert (recording.random_seed, recording.error, recording.failed_call) == (None, None, None)
    assert recording.seconds >= recording.seconds_forward > 0


def test_nothing_can_be_changed(recording):
    with pytest.raises(AttributeError):
        recording.model_name = "Other"


def test_facts_of_a_module():
    model = nn.BatchNorm1d(3).eval()
    facts = module_facts("norm", model)
    assert (facts.address, facts.class_name, facts.training) == ("norm", "BatchNorm1d", False)
    assert list(facts.parameters.values()) == [(3, 12), (3, 12)]


def test_facts_of_a_module_with_one_tensor_twice():
    model = nn.Module()
    model.one = model.other = nn.Parameter(torch.ones(4, dtype=torch.float64))
    assert list(module_facts("", model).parameters.values()) == [(4, 32)]


def test_facts_of_a_module_that_waits_for_its_first_call():
    facts = module_facts("", nn.LazyLinear(3))
    assert list(facts.parameters.values()) == [(0, 0), (0, 0)]


def test_lazy_parameters_are_counted_after_the_pass():
    history = tl.log_forward_pass(nn.Sequential(nn.LazyLinear(3)), torch.rand(2, 4))
    assert history.total_params == 15


def test_forward_that_tells_no_parameters():
    class Unknown(nn.Module):
        forward = torch.relu

    assert forward_parameters(Unknown()) == []
