"""A case builds its model when it is asked to."""

import dataclasses

import pytest
import torch
from torch import nn

from model_suite import ModelCase, SizeClass


def case(builder=nn.ReLU, **more):
    return ModelCase(
        name="own/net",
        source="own",
        family="net",
        builder=builder,
        maker=lambda: ((torch.ones(2),), {}),
        **more,
    )


def test_nothing_is_built_before_it_is_asked_for():
    built = []

    class Noted(nn.ReLU):
        def __init__(self):
            super().__init__()
            built.append("built")

    one = case(Noted)
    assert built == []
    one.build()
    assert built == ["built"]


def test_models_are_in_eval_mode():
    assert nn.Sequential(nn.Dropout()).training
    assert not any(
        module.training for module in case(lambda: nn.Sequential(nn.Dropout())).build().modules()
    )


def test_each_model_is_a_new_one():
    one = case()
    assert one.build() is not one.build()


def test_inputs_are_those_of_the_maker():
    args, kwargs = case().inputs()
    assert args[0].tolist() == [1.0, 1.0]
    assert kwargs == {}


def test_what_is_known_by_default():
    one = case()
    assert (one.id, one.task, one.tags, one.size, one.limits) == (
        "own/net",
        "",
        frozenset(),
        SizeClass.SMALL,
        "",
    )


def test_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        case().name = "other"
