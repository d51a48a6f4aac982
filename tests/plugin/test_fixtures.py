"""The fixture ``lens``: it logs, with all options, and keeps what it has logged."""

import pytest
import torch
from torch import nn

import torchlens_core
from pytest_torchlens.fixtures import Lens


class Scaled(nn.Module):
    """Takes a named argument."""

    def forward(self, x, scale=1.0):
        return x * scale


def test_returns_the_history(lens):
    history = lens(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.rand(2, 4))
    assert isinstance(history, torchlens_core.ModelHistory)
    assert history.layer_labels == ["input_1", "linear_1_1", "relu_1_2", "output_1"]
    assert history["relu"].tensor_contents.shape == (2, 3)


def test_passes_arguments_on_as_they_are(lens):
    history = lens(Scaled(), torch.ones(2), scale=3.0)
    assert history["output_1"].tensor_contents.tolist() == [3.0, 3.0]


def test_a_list_is_one_argument(lens):
    class Summed(nn.Module):
        def forward(self, tensors):
            return tensors[0] + tensors[1]

    history = lens(Summed(), [torch.ones(2), torch.ones(2)])
    assert len(history.input_layers) == 2


def test_log_takes_all_options(lens):
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    history = lens.log(model, torch.rand(2, 4), layers_to_save=["relu"], keep_unsaved_layers=True)
    assert history.layers_with_saved_activations == ["relu_1_2"]
    control = lens.log(model, torch.rand(2, 4))
    assert len(control.layers_with_saved_activations) == 4


def test_log_takes_arguments_as_log_forward_pass_does(lens):
    history = lens.log(Scaled(), [torch.ones(2)], {"scale": 2.0})
    assert history["output_1"].tensor_contents.tolist() == [2.0, 2.0]


def test_an_option_that_does_not_exist(lens):
    with pytest.raises(TypeError, match="layers_to_sav"):
        lens.log(nn.ReLU(), torch.rand(2), layers_to_sav="all")
    assert lens.histories == []


def test_keeps_its_histories_in_order(lens):
    first, second = lens(nn.ReLU(), torch.rand(2)), lens.log(nn.Tanh(), torch.rand(2))
    assert lens.histories == [first, second]


def test_each_test_has_its_own(lens):
    assert isinstance(lens, Lens)
    assert lens.histories == []


def test_is_listed_with_what_it_does(pytester):
    result = pytester.runpytest_inprocess("--fixtures")
    result.stdout.fnmatch_lines(
        ["lens -- *plugin.py:*", "    ``lens(model, [*]args, [*][*]kwargs)`` logs a forward pass *"]
    )
