"""How histories, layers and passes look when printed."""

import re

import pytest
import torch
from torch import nn

import torchlens_core as tl


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 5)

    def forward(self, x):
        for _ in range(2):
            x = self.fc(x)
            x = x + 1
        return x


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        self.register_buffer("scale", torch.ones(3))

    def forward(self, x):
        if x.sum() > -1.0:
            x = x * self.scale
        return self.body(x)


def lines(value: object) -> list[str]:
    """The printed lines, times masked."""
    return re.sub(r"\d+\.\d{3}(E[+-]\d\d)?s", "_s", str(value)).split("\n")


def test_recurrent_history():
    history = tl.log_forward_pass(Recurrent(), torch.rand(2, 5), random_seed=3)
    assert lines(history) == [
        "Log of Recurrent forward pass:",
        "\tRandom seed: 3",
        "\tTime elapsed: _s (_s spent logging)",
        "\tStructure:",
        "\t\t- recurrent (at most 2 loops)",
        "\t\t- no branching",
        "\t\t- no conditional (if-then) branching",
        "\t\t- 1 total modules",
        "\tTensor info:",
        "\t\t- 6 total tensors (240 B) computed in forward pass.",
        "\t\t- 6 tensors (200 B) with saved activations.",  # the output is the last add's own
        "\tParameters: 1 parameter operations (30 params total; 120 B)",
        "\tModule Hierarchy:",
        "\t\tfc:1",
        "\t\tfc:2",
        "\tLayers (all have saved activations):",
        "\t\t  (0) input_1 ",
        "\t\t  (1) linear_1_1:1  (1/2 passes)",
        "\t\t  (2) add_1_2:1  (1/2 passes)",
        "\t\t  (3) linear_1_1:2  (2/2 passes)",
        "\t\t  (4) add_1_2:2  (2/2 passes)",
        "\t\t  (5) output_1 ",
    ]


def test_branching_history():
    history = tl.log_forward_pass(Branching(), torch.rand(2, 3))
    assert lines(history) == [
        "Log of Branching forward pass:",
        "\tRandom seed: None",
        "\tTime elapsed: _s (_s spent logging)",
        "\tStructure:",
        "\t\t- purely feedforward, no recurrence",
        "\t\t- with branching",
        "\t\t- with conditional (if-then) branching",
        "\t\t- contains 1 buffer layers",
        "\t\t- 3 total modules",
        "\tTensor info:",
        "\t\t- 8 total tensors (137 B) computed in forward pass.",
        "\t\t- 8 tensors (113 B) with saved activations.",
        "\tParameters: 1 parameter operations (12 params total; 48 B)",
        "\tModule Hierarchy:",
        "\t\tbody",
        "\t\t    body.0, body.1",
        "\tLayers (all have saved activations):",
        "\t\t  (0) input_1 ",
        "\t\t  (1) sum_1_1 ",
        "\t\t  (2) gt_1_2 ",
        "\t\t  (3) bool_1_3 ",
        "\t\t  (4) buffer_1 ",
        "\t\t  (5) mul_1_4 ",
        "\t\t  (6) linear_1_5 ",
        "\t\t  (7) relu_1_6 ",
        "\t\t  (8) output_1 ",
    ]


def test_some_saved():
    history = tl.log_forward_pass(
        Recurrent(), torch.rand(2, 5), layers_to_save=["add"], keep_unsaved_layers=True
    )
    printed = lines(history)
    assert "\t\t- 2 tensors (80 B) with saved activations." in printed
    assert printed[-7:-3] == [
        "\tLayers (* means layer has saved activations):",
        "\t\t  (0) input_1 ",
        "\t\t  (1) linear_1_1:1  (1/2 passes)",
        "\t\t* (2) add_1_2:1  (1/2 passes)",
    ]


def test_tensors_computed_do_not_depend_on_those_listed():
    history = tl.log_forward_pass(Recurrent(), torch.rand(2, 5), layers_to_save=["add"])
    assert "\t\t- 6 total tensors (240 B) computed in forward pass." in lines(history)


def test_none_saved():
    assert "\tLayers (no layer activations are saved):" in lines(
        tl.get_model_metadata(Recurrent(), torch.rand(2, 5))
    )


def test_pass_that_failed():
    class Failing(nn.Module):
        def forward(self, x):
            raise ValueError("too far")

    with pytest.raises(ValueError, match="too far") as caught:
        tl.log_forward_pass(Failing(), torch.rand(2))
    assert lines(caught.value.partial_history)[1] == "\tThe pass did not end: ValueError: too far"


def test_long_rows_of_modules_are_broken():
    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(*(nn.ReLU() for _ in range(10)))

        def forward(self, x):
            return self.body(x)

    printed = lines(tl.get_model_metadata(Wide(), torch.rand(2)))
    start = printed.index("\tModule Hierarchy:")
    assert printed[start + 1 : start + 4] == [
        "\t\tbody",
        "\t\t    body.0, body.1, body.2, body.3, body.4, body.5, body.6, body.7, ",
        "\t\t    body.8, body.9",
    ]


# -- entries -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def history():
    return tl.log_forward_pass(Recurrent(), torch.zeros(1, 5))


def test_input(history):
    assert lines(history["input_1"]) == [
        "Layer input_1, operation 1/6:",
        "\tOutput tensor: shape=(1, 5), dtype=torch.float32, size=20 B",
        "\t\ttensor([[0., 0., 0., 0., 0.]])",
        "\tParams: no params used",
        "\tParent Layers: none",
        "\tChild Layers: linear_1_1:1",
        "\tAddress: input.0",
        "\tOutput of modules: none",
        "\tLookup keys: -6, 0, input_1, input_1:1",
    ]


def test_pass_of_a_layer(history):
    printed = lines(history["linear_1_1:2"])
    assert printed[0] == "Layer linear_1_1 (pass 2/2), operation 4/6:"
    assert printed[-9:] == [
        "\tParams: Computed from params with shape (5,), (5, 5); 30 params total (120 B)",
        "\tParent Layers: add_1_2:1",
        "\tChild Layers: add_1_2:2",
        "\tFunction: linear (gradfunc=AddmmBackward0) ",
        "\tComputed inside module: fc:2",
        "\tTime elapsed:  _s",
        "\tOutput of modules: fc",
        "\tOutput of bottom-level module: fc:2",
        "\tLookup keys: -3, 3, linear_1_1:2, fc:2",
    ]


def test_layer(history):
    assert lines(history["linear_1_1"]) == [
        "Layer linear_1_1, 2 passes:",
        "\tPasses: linear_1_1:1, linear_1_1:2",
        "\tParent Layers: input_1, add_1_2",
        "\tChild Layers: add_1_2",
        "\tFunction: linear",
        "\tLookup keys: linear_1_1, linear_1, fc:linear",
    ]


def test_layer_with_many_passes():
    class Long(nn.Module):
        def forward(self, x):
            for _ in range(20):
                x = torch.sin(x)
            return x

    layer = tl.log_forward_pass(Long(), torch.rand(2))["sin"]
    assert "\tPasses: sin_1_1:1, sin_1_1:2, sin_1_1:3, ..., sin_1_1:20" in lines(layer)


def printed_of(function, *inputs: torch.Tensor, key: str | int = -2, **options) -> list[str]:
    class Net(nn.Module):
        def forward(self, *args):
            return function(*args)

    return lines(tl.log_forward_pass(Net(), list(inputs), **options)[key])


def test_not_saved():
    printed = printed_of(torch.sin, torch.zeros(2), layers_to_save="none")
    assert printed[1:3] == [
        "\tOutput tensor: shape=(2,), dtype=torch.float32, size=8 B (not saved)",
        "\tParams: no params used",
    ]


def test_several_outputs():
    printed = printed_of(lambda x: torch.max(x, 1).values, torch.zeros(2, 3))
    assert printed[1:5] == [
        "\tOutput tensor 0: shape=(2,), dtype=torch.float32, size=8 B",
        "\t\ttensor([0., 0.])",
        "\tOutput tensor 1: shape=(2,), dtype=torch.int64, size=16 B",
        "\t\ttensor([0, 0])",
    ]


def test_escape():
    assert printed_of(lambda x: x * x.sum().item(), torch.zeros(2), key="item")[1] == (
        "\tValue given to Python: 0.0"
    )


def test_excerpt_of_many_dimensions():
    printed = printed_of(lambda x: x * 1, torch.zeros(2, 2, 6, 7))
    assert printed[2:7] == [
        "\t\ttensor([[0., 0., 0., 0., 0.],",
        *["        [0., 0., 0., 0., 0.],"] * 3,
        "        [0., 0., 0., 0., 0.]])...",
    ]


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 3)])
def test_empty_tensors(shape):
    assert printed_of(lambda x: x * 1, torch.zeros(shape))[2].startswith("\t\ttensor([]")


def test_scalar():
    assert printed_of(lambda x: x * 1, torch.zeros(()))[2] == "\t\ttensor(0.)"


def test_meta_tensor():
    assert printed_of(lambda x: x * 1, torch.zeros(2, device="meta"))[2] == (
        "\t\ttensor(..., device='meta', size=(2,))"
    )


def test_sparse_tensor():
    printed = printed_of(lambda x: x.to_sparse() * 2, torch.eye(2), key="mul")
    assert printed[2].startswith("\t\ttensor(indices=")
    assert "layout=torch.sparse_coo" in printed[2]


def test_activation_that_is_no_tensor():
    printed = printed_of(torch.sin, torch.zeros(2), activation_postfunc=lambda t: t.tolist())
    assert printed[2] == "\t\t[0.0, 0.0]"


def test_overwritten_activation_is_printed_as_such():
    history = tl.log_forward_pass(Recurrent(), torch.rand(2, 5))
    history["add_1_2:1"].tensor_contents.detach().add_(1)
    printed = lines(history["add_1_2:1"])
    assert printed[1] == "\tOutput tensor: shape=(2, 5), dtype=torch.float32, size=40 B"
    assert printed[2].startswith("\t\t'The activation of add_1_2:1 (:add) was overwritten after the pass")


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_opaque_op():
    scripted = torch.jit.script(nn.ReLU())
    printed = printed_of(lambda x: scripted(x) * 1, torch.zeros(2), key=1)
    assert printed[5].startswith("\tChild Layers: mul")
    assert printed[6].startswith("\tFunction: ")
