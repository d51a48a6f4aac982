"""What the arguments of the marker may be, and what is said of other values."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from pytest_torchlens.arguments import MODEL, SNAPSHOT, VALIDATION, fault, ignored, is_shape
from torchlens_core.validate import CHECKS

ALL = list(CHECKS)
KNOWN = f"The checks are {', '.join(map(repr, CHECKS))}."
NUMBER = "Expected a finite number, 0 or more."
GRAD = "Expected True, False or None."
SEED = "Expected an int of 64 bits, or None."
INPUTS = (
    "Expected a shape such as (1, 3, 32, 32), a list of shapes, or a callable that returns the arguments."
)
IGNORE = (
    "Expected 'breaking', 'shape', 'order', patterns of addresses of modules such as 'layer4.*', "
    "or a list of them."
)
BATCH = "Expected an int, 1 or more, or None."
INIT = "Expected a dict of named arguments, or a tuple or list of positional ones."


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("checks", [None, ALL, tuple(ALL), set(ALL), frozenset(ALL), *ALL]),
        ("rtol", [0, 0.0, 1, 1e-3, np.float32(0.5), Fraction(1, 3)]),
        ("atol", [0, 1e300]),
        ("grad", [True, False, None]),
        ("seed", [None, 0, -1, 3, -(2**63), 2**64 - 1]),
        (
            "inputs",
            [None, (2, 3), [2], (0,), torch.Size([2]), [(2,), (3, 4)], ((2,),), [()], list, lambda: 3],
        ),
        ("init", [None, (), [], (1, "a"), {}, {"width": 3}]),
        ("ignore", [(), [], "order", ["shape", "layer4.*"], ("a",), {"a"}, frozenset("a")]),
        ("batch", [None, 1, 64]),
    ],
)
def test_good_values(name, values):
    assert [fault(name, value) for value in values] == [None] * len(values)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("checks", "reply", f"names 'reply', which is no check. {KNOWN}"),
        ("checks", [*ALL, "reply", 3], f"names 'reply', 3, which is no check. {KNOWN}"),
        ("checks", [ALL], f"names {ALL}, which is no check. {KNOWN}"),
        ("checks", 3, f"names 3, which is no check. {KNOWN}"),
        ("checks", "", f"names '', which is no check. {KNOWN}"),
        ("checks", [], f"names no check. {KNOWN}"),
        ("rtol", -1e-9, f"has rtol=-1e-09. {NUMBER}"),
        ("rtol", math.nan, f"has rtol=nan. {NUMBER}"),
        ("rtol", math.inf, f"has rtol=inf. {NUMBER}"),
        ("rtol", "0.1", f"has rtol='0.1'. {NUMBER}"),
        ("rtol", True, f"has rtol=True. {NUMBER}"),
        ("rtol", None, f"has rtol=None. {NUMBER}"),
        ("atol", 1j, f"has atol=1j. {NUMBER}"),
        ("grad", 1, f"has grad=1. {GRAD}"),
        ("grad", "yes", f"has grad='yes'. {GRAD}"),
        ("seed", 3.0, f"has seed=3.0. {SEED}"),
        ("seed", True, f"has seed=True. {SEED}"),
        ("seed", "3", f"has seed='3'. {SEED}"),
        ("seed", 2**64, f"has seed={2**64}. {SEED}"),
        ("seed", -(2**63) - 1, f"has seed={-(2**63) - 1}. {SEED}"),
        ("inputs", (), f"has inputs=(). {INPUTS}"),
        ("inputs", [], f"has inputs=[]. {INPUTS}"),
        ("inputs", 3, f"has inputs=3. {INPUTS}"),
        ("inputs", (True,), f"has inputs=(True,). {INPUTS}"),
        ("inputs", (2, -1), f"has inputs=(2, -1). {INPUTS}"),
        ("inputs", (2.0,), f"has inputs=(2.0,). {INPUTS}"),
        ("inputs", [(2,), 3], f"has inputs=[(2,), 3]. {INPUTS}"),
        ("inputs", {"x": (2,)}, f"has inputs={{'x': (2,)}}. {INPUTS}"),
        ("inputs", torch.zeros(2), f"has inputs=tensor([0., 0.]). {INPUTS}"),
        ("ignore", None, f"has ignore=None. {IGNORE}"),
        ("ignore", "", f"has ignore=''. {IGNORE}"),
        ("ignore", ["order", 3], f"has ignore=['order', 3]. {IGNORE}"),
        ("ignore", [["order"]], f"has ignore=[['order']]. {IGNORE}"),
        ("batch", 0, f"has batch=0. {BATCH}"),
        ("batch", True, f"has batch=True. {BATCH}"),
        ("batch", "2", f"has batch='2'. {BATCH}"),
        ("init", 3, f"has init=3. {INIT}"),
        ("init", "ab", f"has init='ab'. {INIT}"),
        ("init", {3: 4}, f"has init={{3: 4}}. {INIT}"),
    ],
)
def test_other_values(name, value, message):
    assert fault(name, value) == message


def test_a_large_value_is_told_in_one_line():
    said = fault("inputs", torch.rand(30, 40))
    assert len(said) < 200
    assert "\n" not in said


def test_each_argument_refuses_something():
    assert [name for name in (*VALIDATION, *SNAPSHOT, *MODEL) if fault(name, object()) is None] == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((), ()),
        ("order", ("order",)),
        (["b", "a"], ("b", "a")),
        (("b", "a"), ("b", "a")),
        ({"b", "a"}, ("a", "b")),
    ],
)
def test_what_is_ignored(value, expected):
    assert ignored(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((2, 3), True),
        ([2], True),
        ((), True),
        (3, False),
        ("23", False),
        ([(2,)], False),
        ((2, None), False),
    ],
)
def test_shapes(value, expected):
    assert is_shape(value) is expected
