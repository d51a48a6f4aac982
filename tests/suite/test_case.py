"""A case builds its model when it is asked to."""

import dataclasses

import pytest
import torch
from torch import nn

from model_suite import ModelCase, SizeClass
from model_suite.records import Record


def case(builder=nn.ReLU, **more):
    return ModelCase(
        name="own/net",
        source="own",
        family="net",
        builder=builder,
        maker=lambda: ((torch.ones(2),), {}),
        **more,
    )


def test_an_error_tells_of_another_version(monkeypatch):
    def broken():
        raise KeyError("dory")

    monkeypatch.setattr("model_suite.case.version_of", lambda source: "5.24.0")
    monkeypatch.setattr("model_suite.case.installed_version", lambda source: "5.0.1")
    with pytest.raises(KeyError) as found:
        case(broken).build()
    (note,) = found.value.__notes__
    assert note.startswith("The catalogue knows own 5.24.0, and 5.0.1 is installed")
    monkeypatch.setattr("model_suite.case.installed_version", lambda source: "5.24.0")
    with pytest.raises(KeyError) as found:
        case(broken).build()
    assert not hasattr(found.value, "__notes__")


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


def measured(monkeypatch, **numbers):
    """A case with a record that says so."""
    record = Record(name="own/net", **numbers)
    monkeypatch.setattr("model_suite.case.records_of", lambda source: {"own/net": record})
    return case()


@pytest.mark.parametrize(
    ("numbers", "size"),
    [
        ({"parameters": 1_000, "flops": 1_000, "ops": 10}, SizeClass.SMALL),
        ({"parameters": 100_000_000, "flops": 10**10, "ops": 1_000}, SizeClass.SMALL),
        ({"parameters": 100_000_001}, SizeClass.MEDIUM),
        ({"flops": 10**10 + 1}, SizeClass.MEDIUM),
        ({"ops": 1_001}, SizeClass.MEDIUM),
        ({"parameters": 400_000_001}, SizeClass.LARGE),
        ({"flops": 5 * 10**10 + 1}, SizeClass.LARGE),
        ({"ops": 5_001}, SizeClass.LARGE),
    ],
)
def test_the_size_is_that_of_what_was_measured(numbers, size, monkeypatch):
    one = measured(monkeypatch, **numbers)
    assert one.size is size
    assert one.has_values is (size is not SizeClass.LARGE)


def test_the_canonical_size_is_the_smallest_where_no_other_is_known():
    one = case()
    assert one.at_canonical_size() is one


def test_at_the_canonical_size():
    one = case(canonical=(nn.Tanh, lambda: ((torch.ones(5),), {})))
    canonical = one.at_canonical_size()
    assert (type(one.build()), type(canonical.build())) == (nn.ReLU, nn.Tanh)
    assert [len(some.inputs()[0][0]) for some in (one, canonical)] == [2, 5]
    assert canonical.name == one.name
    assert canonical.at_canonical_size() is canonical


def test_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        case().name = "other"
