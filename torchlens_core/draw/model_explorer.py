"""A graph in the JSON format of Model Explorer, so that there is a second viewer.

The format is that of its `graph_builder`: nodes with a namespace, edges kept by their heads. A file is opened
there with ``model-explorer graph.json``.
"""

from __future__ import annotations

from typing import Any

from torchlens_core.draw.tree import Group, Leaf, Tree, Wire, groups_of, leaves_of
from torchlens_core.draw.words import count


def model_explorer(tree: Tree) -> dict[str, Any]:
    """Every op of ``tree`` with what it reads, in nested namespaces, as data for JSON."""
    namespaces = _namespaces(tree.root)
    ids = {leaf: str(number) for number, leaf in enumerate(leaves_of(tree.root))}
    into: dict[Leaf, list[Wire]] = {}
    for wire in tree.wires:
        into.setdefault(wire.head, []).append(wire)
    nodes = [
        {
            "id": ids[leaf],
            "label": leaf.words.title,
            "namespace": namespaces[leaf.parent],
            "attrs": [{"key": key, "value": value} for key, value in _attributes(leaf).items()],
            "incomingEdges": [
                {
                    "sourceNodeId": ids[wire.tail],
                    "sourceNodeOutputId": wire.label.partition(",")[0] or "0",
                    "targetNodeInputId": str(number),
                }
                for number, wire in enumerate(into.get(leaf, ()))
            ],
            "outputsMetadata": [{"id": "0", "attrs": [{"key": "shape", "value": leaf.words.shape}]}],
        }
        for leaf in ids
    ]
    groups = {namespaces[group]: _group_attributes(group) for group in groups_of(tree.root)}
    graph = {
        "id": tree.title,
        "nodes": nodes,
        "groupNodeAttributes": {k: v for k, v in groups.items() if v},
    }
    return {"label": tree.title, "graphs": [graph]}


def _namespaces(root: Group) -> dict[Group, str]:
    """A path for each group; strokes in names would be levels, and equal names of neighbours one group."""
    found = {root: ""}
    taken: set[str] = set()
    for group in groups_of(root):
        assert group.parent is not None
        name = (group.name or group.kind).replace("/", "∕")
        around = found[group.parent]
        path = f"{around}/{name}" if around else name
        number = 2
        while path in taken:
            path = f"{around}/{name} ({number})" if around else f"{name} ({number})"
            number += 1
        taken.add(path)
        found[group] = path
    return found


def _attributes(leaf: Leaf) -> dict[str, str]:
    words = leaf.words
    found = {
        "arguments": words.details,
        "shape": words.shape,
        "parameters": count(words.parameters) if words.parameters else "",
        "name": words.name,
        "passes": str(leaf.passes) if leaf.passes > 1 else "",
        "place": leaf.tooltip.replace("\n", " "),
    }
    return {key: value for key, value in found.items() if value}


def _group_attributes(group: Group) -> dict[str, str]:
    found = {
        "class": group.class_name,
        "parameters": count(group.parameters) if group.parameters else "",
        "passes": str(group.passes) if group.passes > 1 else "",
        "copies": str(group.count) if group.count > 1 else "",
    }
    return {key: value for key, value in found.items() if value}
