"""Where lines leave and enter boxes, so that no two of them share a point while there is room."""

from __future__ import annotations

from torchlens_core.draw.placing.levels import OUTSIDE, Item
from torchlens_core.draw.placing.rows import Grid, Segment

#: Points between lines at a box, at most, and between a line and the box's corner.
_APART, _CORNER = 14.0, 8.0


def spread_ports(grid: Grid, xs: list[float], items: list[Item]) -> None:
    """Set where segments leave and enter boxes.

    The straight line gets the middle, others stand in the order of where they go. A lane beside a box at the end
    of its row starts or ends at the box's side, if the box has other lines too.
    """
    leaving: dict[int, list[Segment]] = {}
    entering: dict[int, list[Segment]] = {}
    for one in grid.segments:
        if _is_box(grid, items, one.tail):
            leaving.setdefault(one.tail, []).append(one)
        if _is_box(grid, items, one.head):
            entering.setdefault(one.head, []).append(one)
    for row in grid.rows:
        for side, node in ((-1, row[0]), (1, row[-1])) if row else ():
            if not _is_box(grid, items, node) or items[grid.nodes[node].item].beside:
                continue
            if line := _beside(grid, xs, node, side, {one.head: one for one in leaving.get(node, ())}):
                line.start_side = side
            if line := _beside(grid, xs, node, side, {one.tail: one for one in entering.get(node, ())}):
                line.end_side = side
    for node, lines in leaving.items():
        lines = [line for line in lines if not line.start_side]
        others = [xs[line.head] + line.end for line in lines]
        for line, offset in zip(lines, _offsets(others, xs[node], grid.nodes[node].left), strict=True):
            line.start = offset
    for node, lines in entering.items():
        lines = [line for line in lines if not line.end_side]
        others = [xs[line.tail] + line.start for line in lines]
        for line, offset in zip(lines, _offsets(others, xs[node], grid.nodes[node].left), strict=True):
            line.end = offset


def _is_box(grid: Grid, items: list[Item], node: int) -> bool:
    item = grid.nodes[node].item
    return item != OUTSIDE and items[item].is_box


def _beside(grid: Grid, xs: list[float], node: int, side: int, lines: dict[int, Segment]) -> Segment | None:
    """Of the lines at a box, by the nodes at their other ends, the outermost one if it is a lane beside the box."""
    if len(lines) < 2:
        return None
    other = max(lines, key=lambda end: xs[end] * side)
    is_beside = (xs[other] - xs[node]) * side > grid.nodes[node].left + _CORNER
    return lines[other] if is_beside and grid.nodes[other].lane else None


def _offsets(others: list[float], middle: float, half: float) -> list[float]:
    """Offsets from the middle for lines that come from or go to ``others``."""
    order = sorted(range(len(others)), key=others.__getitem__)
    straight = [place for place, number in enumerate(order) if abs(others[number] - middle) < 0.5]
    centre = float(straight[0]) if straight else (len(order) - 1) / 2
    most = max(centre, len(order) - 1 - centre)
    step = min(_APART, max(0.0, half - _CORNER) / most) if most else 0.0
    offsets = [0.0] * len(others)
    for place, number in enumerate(order):
        offsets[number] = (place - centre) * step
    return offsets
