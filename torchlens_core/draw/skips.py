"""Which edges are ways around something: skip connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from torchlens_core.draw.sheet import Edge, Sheet

#: Boxes with more readers are hubs: their edges are ways to everywhere.
MAX_READERS = 32


def skips_of(sheet: Sheet) -> frozenset[tuple[str, str]]:
    """Tail and head of the edges beside which there is another, longer way from the one to the other."""
    ahead: dict[str, list[str]] = {key: [] for key in sheet.boxes}
    for edge in sheet.edges:
        if _is_forward(edge):
            ahead[edge.tail].append(edge.head)
    depths, _ = depths_of(ahead)
    found = set()
    for tail, heads in ahead.items():
        far = {head for head in heads if depths[head] > depths[tail] + 1}
        if far and 1 < len(heads) <= MAX_READERS:
            limit = max(depths[head] for head in far)
            found |= {(tail, head) for head in far & _beyond(heads, ahead, depths, limit)}
    return frozenset(found)


def _is_forward(edge: Edge) -> bool:
    return edge.kind == "data" and edge.tail != edge.head


def _beyond(heads: list[str], ahead: dict[str, list[str]], depths: dict[str, int], limit: int) -> set[str]:
    """What can be reached from some boxes by a step or more, no deeper than a limit."""
    reached: set[str] = set()
    stack = list(heads)
    while stack:
        for key in ahead[stack.pop()]:
            if key not in reached and depths[key] <= limit:
                reached.add(key)
                stack.append(key)
    return reached


def depths_of(ahead: Mapping[str, Sequence[str]]) -> tuple[dict[str, int], list[str]]:
    """The longest way to each box, in edges, and the boxes in an order that no edge is against.

    A circle, and what comes after it, is not in the order; the ways end where it began.
    """
    waiting = Counter(head for heads in ahead.values() for head in heads)
    depths = dict.fromkeys(ahead, 0)
    order = [key for key in ahead if not waiting[key]]
    for key in order:
        for head in ahead[key]:
            depths[head] = max(depths[head], depths[key] + 1)
            waiting[head] -= 1
            if not waiting[head]:
                order.append(head)
    return depths, order
