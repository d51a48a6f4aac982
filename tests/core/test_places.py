"""Layers are places in the program: labels, passes, and names that stay."""

import pytest
import torch
from models import With
from torch import nn

import torchlens_core as tl
from torchlens_core.places import Layer, Layers, Places


def labels(function, **modules) -> list[str]:
    return [op.layer_label for op in log(function, **modules).ops]


def stable(function, **modules) -> list[str]:
    return [op.stable_name for op in log(function, **modules).ops]


def log(function, **modules):
    return tl.log_forward_pass(With(function, **modules), torch.rand(2, 3))


# -- labels ------------------------------------------------------------------------------------------


def test_labels_count_by_type_and_in_all():
    assert labels(lambda m, x: ((x * 2).relu() * 3).sum()) == ["mul_1_1", "relu_1_2", "mul_2_3", "sum_1_4"]


def test_inputs_outputs_and_buffers_have_no_place_in_the_numbering():
    history = tl.log_forward_pass(nn.Sequential(nn.BatchNorm1d(3)).eval(), torch.rand(2, 3))
    assert history.layer_labels == ["input_1", "buffer_1", "buffer_2", "batchnorm_1_1", "output_1"]


def test_a_line_that_runs_again_is_another_pass():
    def forward(m, x):
        for _ in range(3):
            x = x * 2
        return x + 1

    assert labels(forward) == ["mul_1_1:1", "mul_1_1:2", "mul_1_1:3", "add_1_2"]


def test_two_calls_on_one_line_are_two_layers():
    assert labels(lambda m, x: x * 2 * 3) == ["mul_1_1", "mul_2_2"]


def test_one_module_on_two_lines_is_two_layers():
    def forward(m, x):
        x = m.act(x)
        return m.act(x)

    assert labels(forward, act=nn.ReLU()) == ["relu_1_1", "relu_2_2"]


def test_one_module_on_one_line_is_one_layer():
    def forward(m, x):
        for _ in range(2):
            x = m.act(x)
        return x

    assert labels(forward, act=nn.ReLU()) == ["relu_1_1:1", "relu_1_1:2"]


def test_modules_of_a_list_walked_by_one_line_are_as_many_layers():
    def forward(m, x):
        for layer in m.list:
            x = layer(x)
        return x

    modules = nn.ModuleList(nn.Linear(3, 3) for _ in range(3))
    assert labels(forward, list=modules) == ["linear_1_1", "linear_2_2", "linear_3_3"]
    assert stable(forward, list=modules) == ["list.0:linear", "list.1:linear", "list.2:linear"]


def test_parameters_tell_layers_apart():
    weights = [nn.Parameter(torch.rand(3, 3)) for _ in range(2)]

    def forward(m, x):
        for _ in range(2):
            for weight in weights:
                x = x @ weight
        return x

    assert labels(forward) == ["matmul_1_1:1", "matmul_2_2:1", "matmul_1_1:2", "matmul_2_2:2"]


def test_functions_of_one_line_are_apart():
    def forward(m, x):
        for function in (torch.sin, torch.cos, torch.sin):
            x = function(x)
        return x

    assert labels(forward) == ["sin_1_1:1", "cos_1_2", "sin_1_1:2"]


def test_a_helper_called_from_two_lines_makes_two_layers():
    def helper(x):
        return x * 2

    def forward(m, x):
        x = helper(x)
        return helper(x)

    assert labels(forward) == ["mul_1_1", "mul_2_2"]


# -- recursion ---------------------------------------------------------------------------------------


def test_a_recursive_function_is_one_place():
    def shrink(x, depth):
        x = x * 2
        return shrink(x, depth - 1) if depth else x

    found = labels(lambda m, x: shrink(x, 3))
    assert found == ["mul_1_1:1", "mul_1_1:2", "mul_1_1:3", "mul_1_1:4"]


@pytest.mark.parametrize("depth", [6, 20])
def test_functions_that_call_each_other_are_few_places(depth):
    """The first run, which comes from outside, is a place of its own; all others are one a line."""

    def even(x, n):
        return odd(x * 2, n - 1) if n else x

    def odd(x, n):
        return even(x + 1, n - 1) if n else x

    names = [label.split(":")[0] for label in labels(lambda m, x: even(x, depth))]
    assert len(names) == depth
    assert dict.fromkeys(names) == dict.fromkeys(["mul_1_1", "add_1_2", "mul_2_3"])


class Nested(nn.Module):
    """Calls itself."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x, depth=3):
        x = self.linear(x)
        return self(x, depth - 1) if depth else x


def test_a_module_that_calls_itself_is_one_place():
    history = tl.log_forward_pass(Nested(), torch.rand(2, 3))
    assert [op.layer_label for op in history.ops] == [f"linear_1_1:{n}" for n in range(1, 5)]


# -- names that stay ---------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, extra):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.extra = extra

    def forward(self, x):
        x = self.linear(x)
        if self.extra:
            x = x.tanh() * 0.5
        return x.relu() * 2


def _names(*extras) -> list[str]:
    model = nn.Sequential(*(Block(extra) for extra in extras))
    return [op.stable_name for op in tl.log_forward_pass(model, torch.rand(2, 3)).ops]


def test_an_op_put_into_a_module_renames_nothing_outside_it():
    before, after = _names(False, False, False), _names(False, True, False)
    assert len(after) == len(before) + 2
    outside = [name for name in after if not name.startswith("1")]
    assert outside == [name for name in before if not name.startswith("1")]
    assert set(before) <= set(after)
    assert "1:mul#2" in after


def test_labels_do_change():
    """The control: what names are for."""
    histories = [
        tl.log_forward_pass(nn.Sequential(Block(False), Block(extra)), torch.rand(2, 3)) for extra in (0, 1)
    ]
    last = [history.ops[-1].layer_label for history in histories]
    assert last == ["mul_2_6", "mul_3_8"]


def test_stable_names_are_distinct_and_found():
    history = tl.log_forward_pass(nn.Sequential(Block(True), Block(False)), torch.rand(2, 3))
    names = [op.stable_name for op in history]
    assert len(set(names)) == len(names)
    for op in history.ops:
        assert history[op.stable_name] == op


def test_two_passes_have_the_same_names():
    model = nn.Sequential(Block(True), Nested())
    first, second = (tl.log_forward_pass(model, torch.rand(2, 3)) for _ in range(2))
    assert [(op.layer_label, op.stable_name) for op in first] == [
        (op.layer_label, op.stable_name) for op in second
    ]


# -- the tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "label", "short", "name"),
    [
        (Layer("conv2d", "conv2d", "features.6", 3, 7), "conv2d_3_7", "conv2d_3", "features.6:conv2d"),
        (Layer("input", "input", "", 1, 0), "input_1", "input_1", ":input"),
    ],
)
def test_names_of_a_layer(layer, label, short, name):
    assert (layer.label, layer.short_label, layer.stable_name) == (label, short, name)


def test_layers_of_one_name_in_one_module_are_numbered():
    layers = Layers()
    made = [layers.new("relu", "relu", address) for address in ("a", "b", "a")]
    assert [layer.stable_name for layer in made] == ["a:relu", "b:relu", "a:relu#2"]
    assert [layer.label for layer in made] == ["relu_1_1", "relu_2_2", "relu_3_3"]
    assert layers.new("input", "input", "", counted=False).label == "input_1"
    assert layers.new("relu", "relu", "c").label == "relu_4_4"


def _here() -> None: ...


def test_a_place_is_a_module_called_from_a_line():
    places = Places()
    stacks = {line: [(_here.__code__, line)] for line in (0, 2)}
    chains = {line: (id(_here.__code__), line) for line in (0, 2)}

    def enter(outer, line, module):
        return places.enter(outer, chains[line], stacks[line], module, f"m{module}")

    first = enter(places.root, 0, 1)
    assert enter(places.root, 0, 1) is first
    assert places.find(places.root, chains[0], 1) is first
    assert places.find(places.root, chains[2], 1) is None
    assert enter(places.root, 0, 2) is not first
    inner = enter(first, 2, 3)
    assert enter(inner, 2, 1) is first  # recursion leads back
    assert enter(inner, 0, 3) is inner
    assert [place.address for place in (first, inner)] == ["m1", "m3"]
