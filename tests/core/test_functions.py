"""What is known of each function: its part in the graph, what it reads, whether it draws."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import get_overridable_functions

from torchlens_core.functions import FACTS, Role, describe, gives_memory

pytestmark = pytest.mark.filterwarnings("ignore")

#: Arguments that most functions of metadata take.
SIMPLE = [
    lambda: (torch.ones(3, 3),),
    lambda: (torch.ones(3, 3), torch.ones(3, 3)),
    lambda: (torch.ones(3), 0),
]


@pytest.mark.parametrize(
    ("function", "role"),
    [
        (torch.conv2d, Role.OP),
        (Tensor.detach, Role.OP),
        (Tensor.data.__get__, Role.OP),
        (Tensor.shape.__get__, Role.PASS),
        (Tensor.size, Role.PASS),
        (Tensor.requires_grad.__get__, Role.PASS),
        (Tensor.item, Role.ESCAPE),
        (Tensor.__bool__, Role.ESCAPE),
        (Tensor.numpy, Role.ESCAPE),
        (Tensor.data_ptr, Role.MEMORY),
        (Tensor.requires_grad_, Role.FLAG),
        (Tensor.requires_grad.__set__, Role.FLAG),
        (F.normalize, Role.OPEN),
        (torch.ops.higher_order.cond, Role.OPEN),
        (torch.ops.higher_order.map_impl, Role.CLOSED),
    ],
)
def test_roles(function, role):
    assert describe(function).role is role


def test_functions_that_are_passed_on_give_no_tensor():
    """The control of the list of metadata: none of them computes."""
    names = set()
    for group in get_overridable_functions().values():
        for function in group:
            info = FACTS[function]
            if info.role is not Role.PASS or info.name.startswith(("register", "sym", "set_")):
                continue
            called = call_result(function)
            if called is not None:
                names.add(info.name)
                assert not isinstance(called[0], Tensor), info.name
    assert len(names) > 30


def call_result(function) -> list | None:
    for make in SIMPLE:
        try:
            return [function(*make())]
        except Exception:
            continue
    return None


def test_what_gives_memory_away():
    assert gives_memory(describe(Tensor.data_ptr))
    assert gives_memory(describe(Tensor.numpy))
    assert not gives_memory(describe(Tensor.item))


def test_simple_functions():
    assert describe(torch.conv2d).is_simple
    assert not describe(Tensor.add_).is_simple
    info = describe(F.relu)
    assert not info.is_simple
    assert info.is_simple_now((torch.ones(2),), {})
    assert not info.is_simple_now((torch.ones(2),), {"inplace": True})
    assert not describe(Tensor.add_).is_simple_now((torch.ones(2), 1), {})


def test_facts_are_looked_up_once():
    assert FACTS[torch.conv2d] is FACTS[torch.conv2d]


def test_only_metadata_is_read_of_some():
    assert describe(torch.zeros_like).unread == {0, "input", "self"}
    assert describe(Tensor.to).unread == {1, "other"}
    assert describe(torch.add).unread == frozenset()
