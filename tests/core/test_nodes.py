"""The records of a pass: values, edges, and arguments with values in place of tensors."""

import gc
import weakref

import torch

from torchlens_core.functions import FACTS
from torchlens_core.memory import Storage
from torchlens_core.nodes import Node, Value, fill, values_in


def value(shape=(2,), node=0, slot=0) -> Value:
    return Value(node, torch.zeros(shape), Storage(1), slot)


def test_a_value_knows_its_tensor_weakly():
    tensor = torch.zeros(2, 3).add_(1)
    made = Value(4, tensor, Storage(1), 1)
    assert (made.node, made.time, made.slot, made.version) == (4, 4, 1, 1)
    assert made.ref() is tensor
    assert str(made.spec) == "f32[2, 3]"
    del tensor
    assert made.ref() is None


def test_a_value_of_an_inference_tensor_has_no_version():
    with torch.inference_mode():
        tensor = torch.zeros(2)
    assert Value(0, tensor, Storage(1)).version is None


def test_values_are_found_with_their_paths():
    a, b, c, d = (value() for _ in range(4))
    args = (a, 3, [b, {"k": c}], "text", slice(d, None), None)
    found = list(values_in(args, {"out": a, "flag": True, "more": (b,)}))
    assert found == [
        ((0,), a),
        ((2, 0), b),
        ((2, 1, "k"), c),
        ((4, 0), d),
        (("out",), a),
        (("more", 0), b),
    ]


def test_arguments_are_filled():
    a, b = value(), value()
    names = {id(a): "A", id(b): "B"}
    arg = [a, (b, 3), {"k": a}, slice(b, None, 2), torch.Size([2]), None]
    filled = fill(arg, lambda v: names[id(v)])
    assert filled == ["A", ("B", 3), {"k": "A"}, slice("B", None, 2), torch.Size([2]), None]
    assert type(filled[4]) is torch.Size
    assert arg[0] is a


def test_plain_edges_are_the_values_among_the_arguments():
    node = Node(FACTS[torch.add], 5)
    a, b = value(), value()
    node.args, node.kwargs = (a, [b]), {"alpha": 2}
    assert [(edge.origin, edge.path) for edge in node.edges] == [(a, (0,)), (b, (1, 0))]
    assert all(edge.certain and edge.slot is None for edge in node.edges)
    node.special_edges = []
    assert node.edges == []


def test_nodes_and_values_make_no_cycle():
    gc.collect()
    gc.disable()
    try:
        node = Node(FACTS[torch.add], 0)
        node.values = (value(),)
        node.args = (value(),)
        refs = [weakref.ref(node), weakref.ref(node.values[0])]
        del node
        assert [ref() for ref in refs] == [None, None]
    finally:
        gc.enable()
