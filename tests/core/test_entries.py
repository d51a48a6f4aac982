"""Layers with several passes, module calls, and entries as values."""

import pytest
import torch
from torch import nn

import torchlens_core as tl


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 5)

    def forward(self, x):
        for _ in range(4):
            x = torch.tanh(self.fc(x))
        return x


@pytest.fixture(scope="module")
def history():
    return tl.log_forward_pass(Loop(), torch.rand(2, 5))


@pytest.fixture(scope="module")
def layer(history):
    return history["fc"]


class TestEntriesAsValues:
    def test_equal_if_the_same_entry(self, history):
        assert history["linear_1_1:2"] == history["fc:2"]
        assert history["linear_1_1:2"] != history["linear_1_1:3"]
        assert history[0] != "input_1"

    def test_not_equal_across_histories(self, history):
        assert history[0] != tl.log_forward_pass(Loop(), torch.rand(2, 5))[0]

    def test_hashable(self, history):
        assert len({history["linear_1_1:2"], history["fc:2"], history["fc:3"]}) == 2


class TestLayer:
    def test_names(self, layer):
        assert (layer.label, layer.stable_name, len(layer)) == ("linear_1_1", "fc:linear", 4)

    def test_passes_by_number(self, history, layer):
        assert layer[1] == history["linear_1_1:1"]
        assert layer[4] == layer[-1] == history["linear_1_1:4"]

    def test_neighbours_over_all_passes(self, layer):
        assert layer.parent_layers == ["input_1", "tanh_1_2"]
        assert layer.child_layers == ["tanh_1_2"]

    def test_what_all_passes_share(self, layer):
        assert layer.layer_type == "linear"
        assert layer.layer_passes_total == 4
        assert layer.num_params_total == 30

    @pytest.mark.parametrize("field", ["tensor_contents", "pass_num", "index", "lookup_keys"])
    def test_what_passes_do_not_share(self, layer, field):
        with pytest.raises(tl.AmbiguousLayerError) as caught:
            getattr(layer, field)
        assert str(caught.value) == (
            f"linear_1_1 ran 4 times, and {field} differs from pass to pass. Name one: "
            "history['linear_1_1:1'] to history['linear_1_1:4']."
        )

    def test_unknown_attribute(self, layer):
        with pytest.raises(AttributeError, match="a layer has no 'tensor'"):
            layer.tensor  # noqa: B018

    def test_as_a_value(self, history, layer):
        assert layer == history["linear_1_1"]
        assert layer != history["tanh"]
        assert len({layer, history["linear_1_1"]}) == 1

    def test_in_the_history(self, history, layer):
        assert history.layers["linear_1_1"] == layer
        assert list(history.layers) == ["input_1", "linear_1_1", "tanh_1_2", "output_1"]

    def test_iterated(self, layer):
        assert list(layer) == list(layer.passes)

    def test_there_is_no_pass_zero(self, layer):
        with pytest.raises(IndexError):
            layer[0]

    def test_pass_outside(self, layer):
        with pytest.raises(tl.LayerIndexError, match="linear_1_1"):
            layer[5]


class TestModuleCall:
    def test_calls(self, history):
        names = [(call.address, call.number, call.class_name) for call in history.module_calls]
        assert names == [("", 1, "Loop"), *(("fc", number, "Linear") for number in (1, 2, 3, 4))]

    def test_one_call(self, history):
        call = history.module_calls[2]
        assert [op.layer_label for op in call.ops] == ["linear_1_1:2"]
        assert (call.inputs, call.outputs) == (["tanh_1_2:1"], ["linear_1_1:2"])
        assert call.seconds > 0

    def test_parents(self, history):
        model, first, *_ = history.module_calls
        assert first.parent == model
        assert model.parent is None
        assert first != history.module_calls[2]
        assert len({model, first.parent}) == 1

    def test_training_flags(self):
        model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3))
        model[1].eval()
        calls = tl.log_forward_pass(model, torch.rand(2, 3)).module_calls
        assert {call.address: call.training for call in calls} == {"": True, "0": True, "1": False}

    def test_printed(self, history):
        assert repr(history.module_calls[0]) == "ModuleCall(model:1, Loop, 8 ops)"
        assert repr(history.module_calls[3]) == "ModuleCall(fc:3, Linear, 1 ops)"
