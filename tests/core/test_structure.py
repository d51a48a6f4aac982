"""Walks over nested arguments: the paths found, the structure rebuilt."""

import collections
import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from torchlens_core import structure

exploring = settings(database=None, deadline=None)
Pair = collections.namedtuple("Pair", "left right")


@dataclasses.dataclass(frozen=True)
class Frozen:
    logits: Any
    note: str = ""


class Slotted:
    __slots__ = ("inner",)

    def __init__(self, inner):
        self.inner = inner


class Plain:
    def __init__(self, inner):
        self.inner = inner


class Output(collections.OrderedDict):
    """As the output classes of transformers: a mapping with attributes."""


def at(root, path):
    """What stands at ``path``, found in the plainest way."""
    for kind, key in path:
        root = getattr(root, key) if kind == "attribute" else list(root)[key] if is_set(root) else root[key]
    return root


def is_set(node) -> bool:
    return isinstance(node, set | frozenset)


numbers = st.integers(0, 9).map(lambda n: torch.tensor(float(n)))
trees = st.recursive(
    numbers | st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
        | st.builds(Pair, inner, inner)
        | st.builds(Frozen, inner)
        | st.builds(Slotted, inner)
        | st.builds(Plain, inner)
    ),
    max_leaves=12,
)


@exploring
@given(trees)
def test_each_path_leads_to_its_tensor(tree):
    for path, tensor in structure.leaves(tree):
        assert at(tree, path) is tensor


@exploring
@given(trees)
def test_tensors_are_the_leaves_in_order(tree):
    assert list(map(id, structure.tensors(tree))) == [id(leaf) for _, leaf in structure.leaves(tree)]


@exploring
@given(trees)
def test_replace_changes_every_tensor_and_nothing_else(tree):
    before = structure.leaves(tree)
    changed = structure.replace(tree, lambda t: t + 100)
    after = structure.leaves(changed)
    assert [path for path, _ in after] == [path for path, _ in before]
    assert [t.item() for _, t in after] == [t.item() + 100 for _, t in before]
    assert type(changed) is (Tensor if isinstance(tree, Tensor) else type(tree))
    assert [id(t) for _, t in structure.leaves(tree)] == [id(t) for _, t in before]


@exploring
@given(trees)
def test_paths_as_text_are_distinct(tree):
    shown = [structure.show("input", path) for path, _ in structure.leaves(tree)]
    assert len(set(shown)) == len(shown)


@pytest.mark.parametrize("root", [nn.Linear(2, 2), "text", 3, None, int, torch, range(3), len, slice(1, 2)])
def test_what_is_no_data_is_not_entered(root):
    assert structure.leaves(root) == []
    assert structure.replace(root, lambda t: t + 1) is root


def test_cycles_end():
    ring: list[Any] = [torch.zeros(1)]
    ring.append(ring)
    assert len(structure.leaves(ring)) == 1
    assert structure.replace(ring, lambda t: t + 1)[0] == 1


def test_a_tensor_met_twice_is_listed_twice_and_replaced_once():
    one = torch.zeros(1)
    assert len(structure.leaves([one, {"again": one}])) == 2
    left, right = structure.replace((one, [one]), lambda t: t + 1)
    assert left is right[0]


def test_depth_has_an_end():
    deep: Any = torch.zeros(1)
    for _ in range(structure.MAX_DEPTH + 1):
        deep = {"in": deep}
    assert structure.leaves(deep) == []
    assert len(structure.leaves(deep["in"])) == 1


def test_mappings_keep_their_class():
    made = structure.replace(Output(logits=torch.zeros(1)), lambda t: t + 1)
    assert type(made) is Output
    assert made["logits"] == 1


def test_sets_are_walked():
    tensor = torch.zeros(1)
    assert structure.leaves({tensor}) == [((("item", 0),), tensor)]
    assert structure.replace({tensor}, lambda t: 7) == {7}


def test_containers_without_tensors_are_not_shared_with_the_copy():
    inner = [1, 2]
    copy = structure.replace({"n": inner}, lambda t: t)
    copy["n2"] = 3
    assert inner == [1, 2]


def test_strange_keys_are_shown_as_code():
    path = (("item", (1, 2)), ("item", None), ("item", 3), ("attribute", "c"))
    assert structure.show("output", path) == "output[(1, 2)][None].3.c"
    assert structure.show("output", ()) == "output"
