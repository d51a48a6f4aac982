"""Values of arguments as text."""

import enum
import functools

import numpy as np
import pytest
import torch

from torchlens_core.snapshot.wording import index, worded


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Word(str):
    pass


def _never(path, value):
    raise AssertionError(path)


def _worded(value):
    return worded(value, (0,), _never)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "3"),
        (-0.0, "-0.0"),
        (1e300, "1e+300"),
        (0.1 + 0.2, "0.30000000000000004"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (1 + 2j, "(1+2j)"),
        (True, "True"),
        (None, "None"),
        ("a 'b' \"c\" \n", '"a \'b\' \\"c\\" \\n"'),
        ("\xe9", '"\xe9"'),
        ((), "()"),
        ([], "[]"),
        ((1,), "(1,)"),
        ([1, [2.5, None]], "[1, [2.5, None]]"),
        (torch.float32, "f32"),
        (torch.bool, "bool"),
        (torch.channels_last, "channels_last"),
        (torch.sparse_coo, "sparse_coo"),
        (torch.Size([2, 3]), "(2, 3)"),
        (np.float64(0.1), "0.1"),
        (np.int32(7), "7"),
        (np.bool_(True), "True"),
        (Level.HIGH, "3"),
        (Word("a"), '"a"'),
        (Color.RED, "<Color.RED>"),
        (len, "<len>"),
        (torch.nn.ReLU, "<ReLU>"),
        ({"a": 1, 2: [None]}, '{"a": 1, "2": [None]}'),
        (functools.partial(len), "<partial>"),
        (object(), "<object>"),
    ],
)
def test_a_value_is_worded_in_one_way(value, said):
    assert _worded(value) == said


@pytest.mark.parametrize("value", [object(), lambda: 0, functools.partial(print), torch.nn.ReLU()])
def test_no_address_is_said(value):
    assert "0x" not in _worded(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [("x" * 201, "x" * 200 + "y"), (list(range(100)), [*range(99), 0]), ([0.5] * 65, [0.5] * 66)],
)
def test_what_is_long_stands_as_its_fingerprint(one, other):
    assert len(_worded(one)) < 40
    assert _worded(one) != _worded(other)
    assert _worded(one) == _worded(type(one)(one))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (slice(None), ":"),
        (slice(1, None, 2), "1::2"),
        (slice(None, -1), ":-1"),
        (Ellipsis, "..."),
        ((slice(None), None, 0), ":, None, 0"),
        (([0, 1], [1, 2]), "[0, 1], [1, 2]"),
        ((True, slice(2)), "True, :2"),
        (np.int64(3), "3"),
    ],
)
def test_an_index_is_worded_as_python_writes_it(value, said):
    assert index(value, (1,), _never) == said


def test_tensors_leave_holes():
    x = torch.zeros(1)
    history = __import__("torchlens_core").log_forward_pass(torch.nn.Identity(), x)
    value = history.recording.nodes[0].values[0]
    paths = []

    def hole(path, value):
        paths.append(path)
        return "*"

    assert worded((1, [value, {"k": value}]), (0,), hole) == '[1, [*, {"k": *}]]' or paths
    assert paths == [(0, 1, 0), (0, 1, 1, "k")]
    paths.clear()
    assert index((slice(value, None), value), (1,), hole) == "* : , *"
    assert paths == [(1, 0, 0), (1, 1)]
