"""Keys of a history: every form, their order, and what is said of keys that name nothing or too much."""

import pytest
import torch
from torch import nn

import torchlens_core as tl


class Body(nn.Module):
    """A loop over one layer, two layers of one type, a module whose name is that of a function."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 5)
        self.relu = nn.Tanh()
        self.pair = nn.Identity()

    def forward(self, x):
        for _ in range(3):
            x = self.fc(x)
        left = torch.relu(x)
        right = torch.relu(x + 1)
        x, _ = self.pair((left, right))
        return self.relu(x)


@pytest.fixture(scope="module")
def history():
    return tl.log_forward_pass(Body(), torch.rand(2, 5))


def test_labels(history):
    assert history.layer_labels == [
        *("input_1", "linear_1_1:1", "linear_1_1:2", "linear_1_1:3"),
        *("relu_1_2", "add_1_3", "relu_2_4", "tanh_1_5", "output_1"),
    ]


@pytest.mark.parametrize(
    ("key", "label"),
    [
        (0, "input_1"),
        (4, "relu_1_2"),
        (-1, "output_1"),
        (-9, "input_1"),
        ("relu_1_2", "relu_1_2"),
        ("relu_1_2:1", "relu_1_2"),
        ("relu_2", "relu_2_4"),
        ("relu_2:1", "relu_2_4"),
        ("linear_1_1:2", "linear_1_1:2"),
        ("linear_1:3", "linear_1_1:3"),
        ("fc:linear:2", "linear_1_1:2"),
        (":relu#2", "relu_2_4"),
        ("input.0", "input_1"),
        ("output", "output_1"),
        ("fc:3", "linear_1_1:3"),
        ("add", "add_1_3"),
        ("tan", "tanh_1_5"),
        ("RELU_1_2", "relu_1_2"),
        ("FC:2", "linear_1_1:2"),
    ],
)
def test_key_of_one_entry(history, key, label):
    assert isinstance(history[key], tl.Op)
    assert history[key].layer_label == label
    assert key in history


@pytest.mark.parametrize("key", ["linear_1_1", "linear_1", "fc:linear", "fc", "linear", "lin"])
def test_key_of_all_passes(history, key):
    layer = history[key]
    assert isinstance(layer, tl.Layer)
    assert [op.layer_label for op in layer.passes] == ["linear_1_1:1", "linear_1_1:2", "linear_1_1:3"]


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("relu", "tanh_1_5"),  # the module of that name, not the part of two labels
        ("relu_1", "relu_1_2"),  # a short label
        ("output", "output_1"),  # an address
    ],
)
def test_exact_names_go_before_parts(history, key, label):
    assert history[key].layer_label == label


class Misnamed(nn.Module):
    """A module with the short label of an op outside it."""

    def __init__(self):
        super().__init__()
        self.exp_1 = nn.Tanh()

    def forward(self, x):
        return self.exp_1(torch.exp(x))


def test_names_go_before_modules():
    history = tl.log_forward_pass(Misnamed(), torch.rand(2))
    assert history["exp_1"].layer_label == "exp_1_1"
    assert history["exp_1:1"].layer_label == "exp_1_1"


def test_keys_of_a_misnamed_module_find_its_output():
    history = tl.log_forward_pass(Misnamed(), torch.rand(2))
    op = history["tanh_1_2"]
    assert [history[key] for key in op.lookup_keys] == [op] * len(op.lookup_keys)


@pytest.mark.parametrize("key", ["zzz", "", "fc:4", "linear_1_1:0", 9, -10, None, 1.5, True, ("fc",)])
def test_key_of_nothing(history, key):
    assert key not in history
    with pytest.raises(tl.UnknownLayerError):
        history[key]


def test_unknown_layer_is_an_error_of_mappings_and_of_values(history):
    with pytest.raises(KeyError):
        history["zzz"]
    with pytest.raises(ValueError):
        history["zzz"]
    with pytest.raises(IndexError):
        history[99]


def _message(history, key) -> str:
    with pytest.raises(tl.UnknownLayerError) as caught:
        history[key]
    return str(caught.value)


FORMS = (
    "A key is an index, a label (conv2d_3_7, linear_1_1:2), a module address (features.6, fc:2) "
    "or a part of one label."
)


def test_nearest_keys(history):
    assert _message(history, "liner_1_1:2") == (
        "'liner_1_1:2' names no entry of this history of Body. Nearest: 'linear_1_1:2', 'linear_1_1:3', "
        f"'linear_1_1:1', 'linear_1_1', 'linear_1:2'. {FORMS}"
    )


def test_nearest_keys_of_the_label_s_first_part(history):
    """A number far off says nothing: then its type alone is looked for."""
    assert "Nearest: " in _message(history, "tanh_71_43_19_28_37")
    assert "'tanh_1'" in _message(history, "tanh_71_43_19_28_37")


def test_nothing_near(history):
    assert _message(history, "§§§") == f"'§§§' names no entry of this history of Body. {FORMS}"


def test_index_outside(history):
    expected = "Index {} is outside this history, whose 9 entries have the indices 0 to 8 (or -9 to -1)."
    assert _message(history, 9) == expected.format(9)
    assert _message(history, -10) == expected.format(-10)


def test_other_types(history):
    assert _message(history, 1.5) == (
        "A history is indexed by a label, index, module address or part of a label; got 1.5."
    )


def test_ambiguous_part(history):
    with pytest.raises(tl.AmbiguousLayerError) as caught:
        history["relu_"]
    assert str(caught.value) == "'relu_' names 2 entries: 'relu_1_2', 'relu_2_4'. Name one of them."


def test_ambiguous_module(history):
    """A module that returns two tensors of two ops."""
    with pytest.raises(tl.AmbiguousLayerError, match="'pair' names 2 entries: 'relu_1_2', 'relu_2_4'"):
        history["pair"]


def test_long_lists_are_cut():
    class Many(nn.Module):
        def forward(self, x):
            for _ in range(9):
                x = torch.exp(x) + torch.sin(x)
            return x

    history = tl.log_forward_pass(Many(), torch.rand(2))
    with pytest.raises(tl.AmbiguousLayerError, match=r"\(and \d+ more\)\. Name one of them\.$"):
        history["_"]


def test_module_that_returned_no_tensor():
    class Silent(nn.Module):
        def forward(self, x):
            return None

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.silent = Silent()

        def forward(self, x):
            self.silent(x)
            return x + 1

    history = tl.log_forward_pass(Net(), torch.rand(2))
    assert _message(history, "silent") == "Module 'silent' returned no tensor in this pass."


def test_keys_listed_find_the_entry_alone(history):
    for op in history:
        assert op.lookup_keys[:2] == [op.index - len(history), op.index]
        assert all(history[key] == op for key in op.lookup_keys)


def test_keys_shared_by_entries_are_not_listed(history):
    assert "linear_1_1" not in history["linear_1_1:2"].lookup_keys
    assert "pair" not in history["relu_1_2"].lookup_keys


def test_unsaved_entries_are_found_too():
    history = tl.log_forward_pass(Body(), torch.rand(2, 5), layers_to_save=["relu_1"])
    assert history.layer_labels == ["relu_1_2"]
    assert history["tanh_1_5"].tensor_contents is None
    assert history[-1].layer_label == "output_1"
