"""What follows from edges: on random graphs whose recipe is known, and where values decide branches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import torchlens_core as tl

INPUTS = 2
Recipe = list[tuple[int, int]]


class Sums(nn.Module):
    """Each step adds two values known so far; the last one is the result."""

    def __init__(self, recipe: Recipe):
        super().__init__()
        self.recipe = recipe

    def forward(self, *inputs):
        values = list(inputs)
        for one, other in self.recipe:
            values.append(values[one] + values[other])
        return values[-1] * 1


@st.composite
def recipes(draw) -> Recipe:
    steps = draw(st.integers(1, 12))
    return [
        (draw(st.integers(0, INPUTS + n - 1)), draw(st.integers(0, INPUTS + n - 1))) for n in range(steps)
    ]


def logged(recipe: Recipe) -> tl.ModelHistory:
    return tl.log_forward_pass(Sums(recipe), [torch.rand(2) for _ in range(INPUTS)])


def parents_of(recipe: Recipe) -> list[list[int]]:
    """By entry, the inputs first, then sums, the last product and the output."""
    sums = [list(dict.fromkeys(step)) for step in recipe]
    last = INPUTS + len(recipe) - 1
    return [*([] for _ in range(INPUTS)), *sums, [last], [last + 1]]


def paths(parents: list[list[int]], node: int) -> list[list[int]]:
    """Every way from a node back to an input, spelled out."""
    if node < INPUTS:
        return [[node]]
    return [[*way, node] for parent in parents[node] for way in paths(parents, parent)]


def unlike(history: tl.ModelHistory, recipe: Recipe) -> list[str]:
    """Where the history differs from what all paths through the recipe tell."""
    parents = parents_of(recipe)
    labels = [op.layer_label for op in history]
    ways = [paths(parents, node) for node in range(len(parents))]
    outward = {way[at]: [] for way in ways[-1] for at in range(len(way))}
    for way in ways[-1]:
        for at, node in enumerate(way):
            outward[node].append(len(way) - 1 - at)
    wrong = []
    for node, op in enumerate(history):
        lengths = [len(way) - 1 for way in ways[node]]
        ahead = outward.get(node, [])
        expected = {
            "parent_layers": [labels[parent] for parent in parents[node]],
            "child_layers": [labels[n] for n, given in enumerate(parents) if node in given],
            "ancestors": {labels[n] for way in ways[node] for n in way} - {labels[node]},
            "input_ancestors": {labels[way[0]] for way in ways[node]},
            "output_descendents": {labels[-1]} if ahead else set(),
            "min_distance_from_input": min(lengths),
            "max_distance_from_input": max(lengths),
            "min_distance_from_output": min(ahead, default=None),
            "max_distance_from_output": max(ahead, default=None),
        }
        wrong += [f"{labels[node]}.{name}" for name, v in expected.items() if getattr(op, name) != v]
    return wrong


@settings(max_examples=30, deadline=None)
@given(recipes())
def test_random_graphs(recipe):
    assert unlike(logged(recipe), recipe) == []


def test_the_oracle_sees_another_recipe():
    history = logged([(0, 1), (2, 0), (3, 2)])
    assert unlike(history, [(0, 1), (2, 0), (3, 2)]) == []
    assert "add_1_1:3.parent_layers" in unlike(history, [(0, 1), (2, 0), (3, 1)])
    assert "output_1.min_distance_from_input" in unlike(history, [(0, 1), (2, 0), (3, 1)])


def test_an_op_with_several_results_keeps_them_apart():
    """What reads one result does not depend on what reached only the other."""

    class Net(nn.Module):
        def forward(self, a, b):
            left, right = torch._foreach_mul([a, b], 2)
            return left + 1, right + 1

    history = tl.log_forward_pass(Net(), [torch.rand(2), torch.rand(2)])
    assert history["output_1"].input_ancestors == {"input_1"}
    assert history["output_2"].input_ancestors == {"input_2"}
    assert history["input_1"].output_descendents == {"output_1"}
    assert history["output_1"].ancestors == {"input_1", "foreachmul_1_1", history[3].layer_label}


# -- branches ----------------------------------------------------------------------------------------


def branches(forward) -> tl.ModelHistory:
    net = nn.Module()
    net.forward = forward
    return tl.log_forward_pass(net, torch.ones(3))


def by_if(x):
    if x.sum() > 0:
        x = x * 2
    return x


def by_if_bool(x):
    if bool(x.sum() > 0):
        x = x * 2
    return x


def by_if_not(x):
    if not x.sum() > 0:
        x = x * 2
    return x


def by_elif(x):
    if x is None:
        return x
    elif x.sum() > 0:
        x = x * 2
    return x


def by_while(x):
    while x.sum() < 10:
        x = x * 2
    return x


def by_expression(x):
    return x * 2 if x.sum() > 0 else x


def by_and(x):
    if x.dim() == 1 and x.sum() > 0:
        x = x * 2
    return x


def by_assert(x):
    assert x.sum() > 0
    return x * 2


def by_comprehension(x):
    return sum([row * 2 for row in x if row > 0])


def by_item(x):
    if x.sum().item() > 0:
        x = x * 2
    return x


@pytest.mark.parametrize(
    "forward",
    [
        by_item,
        by_if,
        by_if_bool,
        by_if_not,
        by_elif,
        by_while,
        by_expression,
        by_and,
        by_assert,
        by_comprehension,
    ],
)
def test_tensors_that_decide(forward):
    history = branches(forward)
    assert history.model_has_conditional_branching
    assert any(op.is_branch_point for op in history)
    assert not any(op.in_cond_branch for op in history if op.output_descendents)
    assert all(op.in_cond_branch for op in history.escapes)


def by_shape(x):
    if x.shape[0] > 2:
        x = x * 2
    return x


def stored(x):
    flag = bool(x.sum() > 0)
    return (x * 2, flag)


def returned(x):
    return x * 2, bool(x.any())


@pytest.mark.parametrize("forward", [by_shape, stored, returned])
def test_nothing_that_decides(forward):
    history = branches(forward)
    assert not history.model_has_conditional_branching
    assert not any(op.in_cond_branch or op.is_branch_point for op in history)


def test_each_turn_of_a_loop_decides():
    history = branches(by_while)
    decided = [op.atomic_bool_val for op in history if op.is_terminal_bool_layer]
    assert decided == [True, True, False]


def test_turns_of_a_loop_are_passes_of_one_layer():
    history = branches(by_while)
    assert history.internally_terminated_bool_layers == ["bool_1_3:1", "bool_1_3:2", "bool_1_3:3"]


def test_what_also_reaches_the_output_serves_not_only_to_decide():
    def forward(x):
        total = x.sum()
        if total > 0:
            x = x * total
        return x

    history = branches(forward)
    assert [op.layer_label for op in history if op.in_cond_branch] == ["gt_1_2", "bool_1_3"]
