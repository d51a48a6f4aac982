"""Which activations are kept: keys of ``layers_to_save``, and the errors for those that name nothing."""

import pytest
import torch
from torch import nn

import torchlens_core as tl
from torchlens_core.selection import Selection, check_keys


class Net(nn.Module):
    """Two passes of a layer, a submodule called twice, a buffer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.body = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        self.register_buffer("shift", torch.ones(3))

    def forward(self, x):
        for _ in range(2):
            x = self.fc(x)
        x = self.body(x) + self.shift
        return self.body(x)


#: input_1, linear_1_1:1, linear_1_1:2, linear_2_2, relu_1_3, buffer_1, add_1_4, linear_3_5, relu_2_6, output_1
ALL = tl.get_model_metadata(Net(), torch.rand(2, 3)).layer_labels


def kept(*keys) -> list[str]:
    return tl.log_forward_pass(
        Net(), torch.rand(2, 3), layers_to_save=list(keys)
    ).layers_with_saved_activations


def test_the_entries_of_the_model():
    assert [
        *("input_1", "linear_1_1:1", "linear_1_1:2", "linear_2_2", "relu_1_3", "buffer_1"),
        *("add_1_4", "linear_3_5", "relu_2_6", "output_1"),
    ] == ALL


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["add_1_4"], ["add_1_4"]),
        (["linear_1_1"], ["linear_1_1:1", "linear_1_1:2"]),
        (["linear_1_1:2"], ["linear_1_1:2"]),
        (["linear_1:1"], ["linear_1_1:1"]),
        (["add_1"], ["add_1_4"]),
        (["relu"], ["relu_1_3", "relu_2_6"]),
        (["RELU"], ["relu_1_3", "relu_2_6"]),
        (["fc"], ["linear_1_1:1", "linear_1_1:2"]),
        (["fc:1"], ["linear_1_1:1"]),
        (["body"], ["relu_1_3", "relu_2_6"]),
        (["body:2"], ["relu_2_6"]),
        (["body.0"], ["linear_2_2", "linear_3_5"]),
        ([0], ["input_1"]),
        ([3], ["linear_2_2"]),
        ([-1], ["output_1"]),
        ([-2, -4], ["add_1_4", "relu_2_6"]),
        ([0, -1, "fc:1", "add"], ["input_1", "linear_1_1:1", "add_1_4", "output_1"]),
        (["input", "buffer_1"], ["input_1", "buffer_1"]),
    ],
    ids=str,
)
def test_keys(keys, expected):
    assert kept(*keys) == expected


@pytest.mark.parametrize("key", ["all", "ALL", None, "none", []])
def test_all_and_none(key):
    history = tl.log_forward_pass(Net(), torch.rand(2, 3), layers_to_save=key)
    assert history.layers_with_saved_activations == (ALL if str(key).lower() == "all" else [])


def test_every_label_selects_itself():
    for label in ALL:
        assert kept(label) == [label]


def test_every_index_selects_its_entry():
    for index, label in enumerate(ALL):
        assert kept(index) == kept(index - len(ALL)) == [label]


def test_kept_values_are_those_of_a_full_pass():
    model, x = Net(), torch.rand(2, 3)
    full = tl.log_forward_pass(model, x)
    some = tl.log_forward_pass(model, x, layers_to_save=["relu", -3, "fc:2"])
    assert len(some) == 4
    for op in some:
        assert torch.equal(op.tensor_contents, full[op.layer_label].tensor_contents)


def test_unsaved_entries_are_listed_on_request():
    x = torch.rand(2, 3)
    listed = [
        tl.log_forward_pass(Net(), x, layers_to_save=["relu"], keep_unsaved_layers=keep).layer_labels
        for keep in (True, False)
    ]
    assert listed == [ALL, ["relu_1_3", "relu_2_6"]]


# -- errors ------------------------------------------------------------------------------------------


class Unrun(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        raise AssertionError("was run")


@pytest.mark.parametrize("keys", ["relu", 3, {"relu": 1}])
def test_what_is_no_list_is_refused(keys):
    with pytest.raises(tl.ArgumentError) as caught:
        tl.log_forward_pass(Unrun(), torch.rand(1), layers_to_save=keys)
    assert str(caught.value) == (
        f"layers_to_save is {keys!r}. Expected 'all', 'none', None, or a list of labels, indices, "
        "module addresses and parts of labels."
    )


@pytest.mark.parametrize("key", [1.5, True, None, nn.ReLU])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(tl.ArgumentError) as caught:
        tl.log_forward_pass(Unrun(), torch.rand(1), layers_to_save=[key])
    assert str(caught.value) == (
        f"layers_to_save holds {key!r}, of type {type(key).__name__}. Expected labels, indices, "
        "module addresses and parts of labels."
    )


def test_what_can_name_nothing_is_refused_before_anything_runs():
    with pytest.raises(tl.UnknownLayerError) as caught:
        tl.log_forward_pass(Unrun(), torch.rand(1), layers_to_save=["cnov1"])
    assert str(caught.value).startswith(
        "layers_to_save names 'cnov1', which is no layer, module or index of the model. Nearest: 'conv1'"
    )
    assert str(caught.value).endswith("get_model_metadata(model, inputs).layer_labels lists all layers.")


@pytest.mark.parametrize("key", ["relu_9_9", "fc:3", "linear_1_1:7", 99, -99, "conv2d"])
def test_what_named_nothing_raises_after_the_pass_with_its_history(key):
    with pytest.raises(tl.UnknownLayerError, match=f"layers_to_save names {key!r}") as caught:
        kept(key)
    assert caught.value.partial_history.num_operations == len(ALL)


@pytest.mark.parametrize(
    "key", ["relu", "conv2d_3_7", "conv2d_3", "linear_1_1:2", "input_1", "max", "7", 3]
)
def test_keys_that_may_name_something(key):
    check_keys([key], ["features"])


def test_labels_of_custom_operators_may_be_named():
    library = torch.library.Library("torchlens_tests_selection", "DEF")
    library.define("my_very_own_operator(Tensor x) -> Tensor")
    check_keys(["myveryownoperator_1_1"], [])
    library._destroy()


def test_unmatched_keys():
    selection = Selection(["relu", 3, "fc"], ["fc"])
    assert selection.unmatched == ["relu", 3, "fc"]
    assert selection.wants_output_of("fc", 1)
    assert not selection.wants_output_of("other", 1)
    assert selection.unmatched == ["relu", 3]
    assert not selection.reaches_back
    assert Selection([-2, "relu"], []).reaches_back
