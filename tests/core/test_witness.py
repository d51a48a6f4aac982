"""A watched pass: the witnesses are told of each node, and torch and the model are as they were afterwards."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import nn

from torchlens_core import internals, structure
from torchlens_core.nodes import OUTPUT, SOURCES
from torchlens_core.saving import SavingOptions
from torchlens_core.trace import Traced, trace
from torchlens_core.witness import Witness

X = torch.rand(2, 3)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.fc.register_forward_hook(lambda module, args, result: result * 2)

    def forward(self, x):
        hidden = self.norm(self.fc(x))
        hidden[0] = hidden.sum().item()
        return hidden, hidden[1]


class Late(Net):
    """Raises after a few ops, inside a module."""

    def forward(self, x):
        self.norm(self.fc(x))
        return self.fc(torch.ones(5))


def watched(model: nn.Module, *args: Any) -> tuple[Witness, Traced]:
    witness = Witness(model)
    try:
        return witness, trace(model, args, {}, SavingOptions(which=True), witness=witness)
    finally:
        witness.kernels.release()


def look(model: nn.Module) -> dict[str, Any]:
    """All that a witness touches."""
    hooks = [
        (address, name, tuple(held.items()))
        for address, module in model.named_modules()
        for name, held in vars(module).items()
        if "hooks" in name and isinstance(held, dict)
    ]
    return {
        "hooks": hooks,
        "modes": (internals.function_mode_depth(), internals.dispatch_mode_depth()),
        "threads": (threading.Thread.start, ThreadPoolExecutor.submit),
        "calls": (nn.Module.__call__, torch.autograd.Function.apply, torch.add),
    }


def test_kernels_hooks_and_threads_are_watched():
    witness, _ = watched(Net(), X)
    assert [call.address for call in witness.hooks.calls] == ["", "fc", "norm"]
    assert [call.node.info.name for call in witness.kernels.calls][:2] == ["linear", "mul"]
    assert witness.threads.stacks == []


def test_each_node_that_ran_is_told_of_once():
    witness, traced = watched(Net(), X)
    nodes = [
        node
        for node in traced.history.recording.nodes
        if node.kind not in SOURCES and node.kind is not OUTPUT
    ]
    assert [call.node for call in witness.kernels.calls] == nodes


def test_the_results_are_told_of():
    witness, traced = watched(Net(), X)
    assert len(witness.kernels.results) == len(structure.tensors(traced.result)) == 2


def test_arguments_that_no_kernel_was_given():
    """The C++ of an op might have read them."""
    witness, _ = watched(Net(), X)
    linear = witness.kernels.calls[0]
    assert len(linear.unsure) == 3


def test_results_and_history_are_those_of_an_unwatched_pass():
    torch.manual_seed(0)
    model = Net().eval()
    _, traced = watched(model, X)
    alone = trace(model, (X,), {}, SavingOptions(which=True))
    assert traced.history.layer_labels == alone.history.layer_labels
    assert traced.history.graph.parents == alone.history.graph.parents
    for mine, other in zip(traced.result, alone.result, strict=True):
        assert torch.equal(mine, other)


def test_the_same_without_the_recorder_seeing_it():
    """Kernels of the witnesses' own are none of the model's: they are not in the history."""
    witness, traced = watched(Net(), X)
    alone = trace(Net(), (X,), {}, SavingOptions(which=True))
    assert len(traced.history.ops) == len(alone.history.ops)
    assert witness.kernels.count > 0


def test_torch_and_the_model_are_as_they_were():
    model = Net()
    before = look(model)
    watched(model, X)
    assert look(model) == before


def test_torch_and_the_model_are_as_they_were_after_an_error():
    model = Late()
    before = look(model)
    with pytest.raises(RuntimeError, match=r"cannot be multiplied|size mismatch"):
        watched(model, X)
    assert look(model) == before


def test_inside_a_pass_they_are_not():
    """The control of the two above."""
    model = Net()
    before, inside = look(model), []
    model.norm.register_forward_pre_hook(lambda module, args: inside.append(look(model)))
    watched(model, X)
    assert [key for key in before if inside[0][key] != before[key]] == list(before)


def test_errors_have_what_was_seen_up_to_there():
    model = Late()
    witness = Witness(model)
    with pytest.raises(RuntimeError) as caught:
        trace(model, (X,), {}, SavingOptions(which=True), witness=witness)
    witness.kernels.release()
    assert [call.address for call in witness.hooks.calls] == ["", "fc", "norm", "fc"]
    seen = [call.node for call in witness.kernels.calls if call.node is not None]
    assert seen[-1] is caught.value.partial_history.recording.nodes[-1]


def test_the_model_is_as_it_was_where_a_module_takes_no_hooks():
    class Refusing(nn.Module):
        def register_forward_hook(self, *args, **kwargs):
            raise RuntimeError("no hooks here")

    model = nn.Sequential(nn.Tanh(), Refusing())
    before = look(model)
    with pytest.raises(RuntimeError, match="no hooks here"):
        watched(model, X)
    assert look(model) == before


def test_one_witness_inside_another():
    """A model that logs a pass of its own."""
    inner = nn.Sequential(nn.Linear(3, 3), nn.Tanh())

    class Logging(nn.Module):
        def forward(self, x):
            watched(inner, x)
            return x + 1

    model = Logging()
    before = look(model)
    watched(model, X)
    assert look(model) == before
