"""Which edges are ways around something: skip connections."""

from __future__ import annotations

from torchlens_core.draw.sheet import Edge, Sheet

#: Boxes with more readers are hubs: their edges are ways to everywhere.
MAX_READERS = 32


def skips_of(sheet: Sheet) -> frozenset[tuple[str, str]]:
    """Tail and head of the edges beside which there is another, longer way from the one to the other."""
    ahead: dict[str, list[str]] = {key: [] for key in sheet.boxes}
    for edge in sheet.edges:
        if _is_forward(edge):
            ahead[edge.tail].append(edge.head)
    depths = _depths(ahead)
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


def _depths(ahead: dict[str, list[str]]) -> dict[str, int]:
    """The longest way to each box, in edges; a circle that is none of a loop's ends where it began."""
    waiting = dict.fromkeys(ahead, 0)
    for heads in ahead.values():
        for head in heads:
            waiting[head] += 1
    depths = dict.fromkeys(ahead, 0)
    ready = [key for key, count in waiting.items() if not count]
    while ready:
        key = ready.pop()
        for head in ahead[key]:
            depths[head] = max(depths[head], depths[key] + 1)
            waiting[head] -= 1
            if not waiting[head]:
                ready.append(head)
    return depths
