"""One module of a model alone: what it is given becomes inputs, what is read of it outputs."""

from __future__ import annotations

import difflib

from torchlens_core.draw.tree import Group, Leaf, Tree, Wire, groups_of, leaves_of
from torchlens_core.draw.words import Words, count, count_of
from torchlens_core.errors import ArgumentError


def part_of(tree: Tree, address: str) -> Tree:
    """The first call of the module at ``address``, with what goes in and out.

    Raises `ArgumentError` if no module of that address was called.
    """
    groups = [group for group in groups_of(tree.root) if group.kind == "module"]
    group = next((one for one in groups if one.address == address), None)
    if group is None:
        near = difflib.get_close_matches(
            address, dict.fromkeys(one.address for one in groups), n=3, cutoff=0.4
        )
        hint = (
            f"Did you mean {' or '.join(map(repr, near))}?"
            if near
            else "Those that were called are in history.module_passes."
        )
        raise ArgumentError(f"no module {address!r} was called in {tree.title}. {hint}")
    root = Group(None, class_name=group.class_name, entry=group.entry)
    root.address = group.address
    inside = set(leaves_of(group))
    given: dict[Leaf, Leaf] = {}
    first = min((leaf.order for leaf in inside), default=0)
    wires: list[Wire] = []
    data = [wire for wire in tree.wires if wire.kind != "gradient"]
    outside = [wire for wire in data if wire.head in inside and wire.tail not in inside]
    for wire in outside:
        if wire.tail not in given:
            given[wire.tail] = _end(root, "input", wire.tail, first - 1)
        wires.append(wire.between(given[wire.tail], wire.head))
    root.inside += group.inside
    for one in group.inside:
        one.parent = root
    wires += [wire for wire in tree.wires if wire.head in inside and wire.tail in inside]
    read = dict.fromkeys(wire.tail for wire in data if wire.tail in inside and wire.head not in inside)
    for tail in read:
        wires.append(Wire(tail, _end(root, "output", tail, tail.order + 1)))
    ops = sum(leaf.words.category not in ("buffer", "parameter", "constant") for leaf in inside)
    subtitle = (
        f"{group.class_name} of {tree.title} · {count_of(ops, 'op')} · {count(group.parameters)} params"
    )
    return Tree(address, root, wires, subtitle)


def _end(root: Group, kind: str, other: Leaf, order: int) -> Leaf:
    words = other.words
    name = words.name or (words.title if words.title != kind else "")
    leaf = Leaf(root, Words(kind, kind, "", words.shape, 0, name), order, other.tooltip)
    leaf.labels = other.labels
    return leaf
