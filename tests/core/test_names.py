"""What torch's functions are called."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import get_overridable_functions

from torchlens_core.functions import describe
from torchlens_core.names import public_name, raw_name, words


@pytest.mark.parametrize(
    ("function", "name", "layer_type"),
    [
        (F.max_pool2d, "max_pool2d", "maxpool2d"),
        (Tensor.__add__, "add", "add"),
        (Tensor.__radd__, "radd", "radd"),
        (Tensor.__iadd__, "add_", "add"),
        (Tensor.__truediv__, "div", "div"),
        (Tensor.__and__, "bitwise_and", "bitwiseand"),
        (Tensor.__setitem__, "setitem", "setitem"),
        (Tensor.T.__get__, "T", "t"),
        (Tensor.data.__set__, "set_data", "setdata"),
        (torch._foreach_add_, "foreach_add_", "foreachadd"),
        (torch.ops.aten.linear.default, "linear", "linear"),
        (torch.ops.aten.linear, "linear", "linear"),
        (Tensor.add_, "add_", "add"),
    ],
)
def test_names(function, name, layer_type):
    assert public_name(function) == name
    assert describe(function).layer_type == layer_type


def test_every_function_has_a_name_that_can_be_a_label():
    every = {f for group in get_overridable_functions().values() for f in group}
    assert len(every) > 1000
    for function in every:
        assert public_name(function).isidentifier(), function
        assert public_name(function).replace("_", ""), function


def test_what_has_no_name_is_called_by_its_class():
    class Nameless:
        pass

    assert raw_name(Nameless()) == "Nameless"


def test_words():
    assert words(" add\n  mul add ") == {"add", "mul"}
