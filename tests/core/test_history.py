"""A history as a container, and when it is freed."""

import gc
import weakref

import pytest
import torch
from torch import nn

import torchlens_core as tl


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


@pytest.fixture(scope="module")
def history():
    return tl.log_forward_pass(model(), torch.rand(2, 4))


def test_iterated_in_order(history):
    assert [op.layer_label for op in history] == history.layer_labels
    assert [op.index for op in history] == list(range(len(history)))


def test_length(history):
    assert len(history) == history.num_operations == 5


def test_contains(history):
    assert "relu" in history
    assert 4 in history
    assert "gelu" not in history
    assert 5 not in history


def test_membership_of_an_ambiguous_part(history):
    """It names no single entry: `history[key]` raises."""
    assert "linear" not in history


def test_ops_are_calls_alone(history):
    assert [op.layer_label for op in history.ops] == ["linear_1_1", "relu_1_2", "linear_2_3"]


def test_listed_layers_follow_what_is_kept():
    history = tl.log_forward_pass(model(), torch.rand(2, 4), layers_to_save=["relu"])
    assert (len(history), history.layer_labels, list(history)) == (1, ["relu_1_2"], [history["relu"]])
    assert history.num_operations == 5


def test_totals_do_not_follow_what_is_listed(history):
    some = tl.log_forward_pass(model(), torch.rand(2, 4), layers_to_save=["relu"])
    assert some.num_tensors_total == history.num_tensors_total
    assert some.tensor_fsize_total == history.tensor_fsize_total


def test_nothing_kept_is_no_bytes():
    history = tl.get_model_metadata(model(), torch.rand(2, 4))
    assert (history.tensor_fsize_saved, history.num_tensors_saved) == (0, 0)
    assert history.tensor_fsize_total > 0


def looked_up(history: tl.ModelHistory) -> None:
    assert history["relu"].func_call_stack
    assert history[-1].ancestors
    assert history.module_layers


@pytest.mark.parametrize(
    "use",
    [
        lambda history: None,
        looked_up,
        lambda history: repr(history["relu"]),
        repr,
    ],
    ids=["unused", "looked up", "entry printed", "printed"],
)
def test_freed_with_its_last_name(use):
    """By reference counting alone: no cycle keeps the activations."""
    gc.collect()
    gc.disable()
    try:
        history = tl.log_forward_pass(model(), torch.rand(2, 4))
        activation = weakref.ref(history["relu"].tensor_contents)
        use(history)
        assert activation() is not None
        del history
        assert activation() is None
    finally:
        gc.enable()


def test_model_is_not_held():
    net = model()
    history = tl.log_forward_pass(net, torch.rand(2, 4))
    held = weakref.ref(net)
    del net
    gc.collect()
    assert held() is None
    assert history.model_name == "Sequential"


def test_parameters_are_those_of_the_model():
    net = model()
    history = tl.log_forward_pass(net, torch.rand(2, 4))
    assert history["linear_1_1"].parent_params == [net[0].weight, net[0].bias]
    assert history["linear_1_1"].parent_param_names == ["0.weight", "0.bias"]


def test_parameters_never_used_are_counted():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.spare = nn.Linear(10, 10)

        def forward(self, x):
            return x + 1

    history = tl.log_forward_pass(Net(), torch.rand(2))
    assert history.total_params == 110
    assert history.layers_computed_with_params == {}
    assert history.module_num_passes == {"spare": 0}
