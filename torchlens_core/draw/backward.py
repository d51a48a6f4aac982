"""The backward pass as a `Tree`: from the outputs to parameters and inputs, by autograd's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchlens_core.draw.of_history import tree_of_history
from torchlens_core.draw.tree import Group, Leaf, Tree, Wire, leaves_of, prune
from torchlens_core.draw.words import count_of
from torchlens_core.nodes import INPUT, OP, OUTPUT, PARAMETER

if TYPE_CHECKING:
    from torchlens_core.history import ModelHistory


def tree_of_backward(history: ModelHistory, *, rolled: bool = True) -> Tree:
    """What a backward pass runs: for each op of the forward pass its autograd node, edges turned round.

    Empty if nothing needed a gradient.
    """
    tree = tree_of_history(history, rolled=rolled, parameters=True)
    kept = {leaf for leaf in leaves_of(tree.root) if _is_kept(history, leaf)}
    for leaf in kept:
        node = history.recording.nodes[leaf.order]
        name = node.grad_fn if node.kind is OP else "AccumulateGrad" if node.kind != OUTPUT else "gradient"
        details = leaf.words.title if node.kind in (PARAMETER, INPUT) else ""
        leaf.words = leaf.words._replace(title=name or "", details=details)
        leaf.order = -leaf.order
    _turn(tree.root, kept)
    prune(tree.root)
    pairs = (wire for wire in tree.wires if wire.tail in kept and wire.head in kept)
    tree.wires = [Wire(wire.head, wire.tail, "back" if wire.kind == "back" else "data") for wire in pairs]
    number = sum(history.recording.nodes[-leaf.order].kind is OP for leaf in kept)
    tree.subtitle = f"backward pass · {count_of(number, 'op')}"
    return tree


def _is_kept(history: ModelHistory, leaf: Leaf) -> bool:
    node = history.recording.nodes[leaf.order]
    if node.kind is OP:
        return node.grad_fn is not None
    if node.kind is OUTPUT:
        return any(history.recording.nodes[parent].grad_fn for parent in history.graph.parents[node.index])
    return any(value.requires_grad for value in node.values)


def _turn(group: Group, kept: set[Leaf]) -> None:
    """Leave only what is kept, last first."""
    inside = [one for one in group.inside if isinstance(one, Group) or one in kept]
    for one in inside:
        if isinstance(one, Group):
            _turn(one, kept)
    group.inside = inside[::-1]
