"""Where the nodes of a level stand across its rows: the second half of the rank layout.

Nodes that should stand in one line are joined to blocks, the most important lines first, as long as no two lines
cross (after Brandes and Köpf 2001, with priorities instead of four passes). Blocks then move to the means of what
they are linked with, pushing each other, once from the left and once from the right; the mean of both keeps all
distances, for they are linear.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from dataclasses import dataclass, field

from torchlens_core.draw.placing.levels import OUTSIDE
from torchlens_core.draw.placing.rows import Grid, Segment

#: Rounds in which blocks move, and in large levels.
_ROUNDS, _ROUNDS_OF_LARGE, _LARGE = 40, 8, 4000
#: The priority of lines that are not made straight.
_NEVER = 4
#: How far a block may be from where it began, through frames that are left elsewhere than entered: stairs.
_STAIRS = 120.0
#: How much each block is drawn to the middle of all, beside links of 0.5 to 4.
_GRAVITY = 0.1
#: Pairs of lines in and out of a frame up to which they are drawn to each other.
_FEW = 4
#: Points kept free at each side of an item and of a lane.
_BESIDE_ITEM, _BESIDE_LANE = 8.0, 5.0


@dataclass(slots=True)
class _Blocks:
    """Nodes joined to lines: the block of each node, and where it stands in it."""

    block: list[int] = field(default_factory=list)
    offset: list[float] = field(default_factory=list)
    count: int = 0


def columns_of(grid: Grid) -> list[float]:
    """The position of each node's anchor across the rows, and of each net's line at it."""
    blocks = _joined(grid)
    after = _distances(grid, blocks)
    order = _topological(blocks.count, after)
    places = _packed(order, after, [0.0] * blocks.count)
    links = _links(grid, blocks)
    rounds = _ROUNDS if blocks.count < _LARGE else _ROUNDS_OF_LARGE
    before: list[list[tuple[int, float]]] = [[] for _ in range(blocks.count)]
    for one, others in enumerate(after):
        for other, distance in others.items():
            before[other].append((one, distance))
    for _ in range(rounds):
        middle = sum(places) / max(1, blocks.count)
        wanted = [_wanted(block, places, links[block], middle) for block in range(blocks.count)]
        pushed = list(wanted)
        for block in order:
            for other, distance in before[block]:
                pushed[block] = max(pushed[block], pushed[other] + distance)
        for block in reversed(order):
            for other, distance in after[block].items():
                wanted[block] = min(wanted[block], wanted[other] - distance)
        places = [(one + two) / 2 for one, two in zip(pushed, wanted, strict=True)]
    return [places[block] + offset for block, offset in zip(blocks.block, blocks.offset, strict=True)]


def _joined(grid: Grid) -> _Blocks:
    """Blocks of nodes whose lines shall be straight."""
    up: list[Segment | None] = [None] * len(grid.nodes)
    down: list[Segment | None] = [None] * len(grid.nodes)
    positions = [0] * len(grid.nodes)
    for row in grid.rows:
        for position, node in enumerate(row):
            positions[node] = position
    taken: list[tuple[list[int], list[int]]] = [([], []) for _ in grid.rows]
    for priority, segment in sorted(
        zip(_priorities(grid), grid.segments, strict=True), key=lambda pair: pair[0]
    ):
        tail, head = segment.tail, segment.head
        if priority == _NEVER or down[tail] is not None or up[head] is not None:
            continue
        starts, ends = taken[grid.nodes[tail].row]
        at = bisect_left(starts, positions[tail])
        if at == bisect_left(ends, positions[head]):
            starts.insert(at, positions[tail])
            ends.insert(at, positions[head])
            down[tail] = up[head] = segment
    blocks = _Blocks([0] * len(grid.nodes), [0.0] * len(grid.nodes))
    for row in grid.rows:
        for node in row:
            line = up[node]
            shift = blocks.offset[line.tail] + line.start - line.end if line else 0.0
            if line is None or (abs(shift) > _STAIRS and not line.rigid):
                blocks.block[node] = blocks.count
                blocks.count += 1
            else:
                blocks.block[node] = blocks.block[line.tail]
                blocks.offset[node] = shift
    return blocks


def _priorities(grid: Grid) -> list[int]:
    """What must be straight first: items that span rows, lines between items, lanes, lanes and items.

    Of several lines at an item, only the middle one may be straight; what has an even number shall stand
    between its neighbours. Those are `_NEVER`.
    """
    below: dict[int, list[Segment]] = {}
    above: dict[int, list[Segment]] = {}
    nodes = grid.nodes
    for one in grid.segments:
        if one.rigid or nodes[one.head].lane:
            continue
        if not nodes[one.tail].lane:
            below.setdefault(one.tail, []).append(one)
        if not nodes[one.tail].lane or nodes[one.tail].branch:
            above.setdefault(one.head, []).append(one)
    positions = {node: position for row in grid.rows for position, node in enumerate(row)}
    ending = _ending(grid)
    main_below = {
        node: _middle(
            lines,
            [ending[one.head] for one in lines],
            [(positions[one.head], one.start) for one in lines],
            even=any(one.start for one in lines),
        )
        for node, lines in below.items()
    }
    main_above = {
        node: _middle(
            lines,
            [_is_source(grid, one.tail) for one in lines],
            [(positions[one.tail], one.end) for one in lines],
            even=any(one.end for one in lines),
        )
        for node, lines in above.items()
    }
    found = []
    for one in grid.segments:
        tail, head = nodes[one.tail], nodes[one.head]
        if one.rigid:
            found.append(0)
        elif tail.lane and head.lane:
            found.append(2)
        elif head.lane:
            found.append(3 if one.tail not in main_below else _NEVER)
        elif tail.lane:
            found.append(3 if one.head not in main_above or main_above[one.head] is one else _NEVER)
        else:
            found.append(1 if main_below[one.tail] is one and main_above[one.head] is one else _NEVER)
    return found


def _middle(
    lines: list[Segment], minor: list[bool], places: list[tuple[int, float]], *, even: bool
) -> Segment | None:
    """The middle one of the lines, of those that are not minor if there are any.

    None of an even number, but for frames, where each line has a place of its own.
    """
    if len(lines) == 1:
        return lines[0]
    # what is led to one place twice is one line here
    pairs = list(
        dict(zip(reversed(places), reversed(list(zip(lines, minor, strict=True))), strict=True)).items()
    )
    major = sorted([pair for pair in pairs if not pair[1][1]] or pairs, key=lambda pair: pair[0])
    return major[(len(major) - 1) // 2][1][0] if even or len(major) % 2 else None


def _ending(grid: Grid) -> list[bool]:
    """By node: whether nothing leaves its item."""
    ending = [True] * len(grid.nodes)
    for one in grid.segments:
        ending[one.tail] = False
    for node in grid.exits.values():
        ending[node] = False
    for first, last in zip(grid.firsts, grid.lasts, strict=True):
        ending[first] = ending[last]
    return ending


def _is_source(grid: Grid, node: int) -> bool:
    item = grid.nodes[node].item
    return item != OUTSIDE and grid.sources[item]


def _distances(grid: Grid, blocks: _Blocks) -> list[dict[int, float]]:
    """For each block the blocks beside it, on its far side, and the least distance."""
    after: list[dict[int, float]] = [{} for _ in range(blocks.count)]
    for row in grid.rows:
        for one, two in itertools.pairwise(row):
            first, second = grid.nodes[one], grid.nodes[two]
            room = sum(_BESIDE_ITEM if node.item != OUTSIDE else _BESIDE_LANE for node in (first, second))
            distance = blocks.offset[one] + first.right + room + second.left - blocks.offset[two]
            here, there = blocks.block[one], blocks.block[two]
            after[here][there] = max(distance, after[here].get(there, distance))
    return after


def _topological(count: int, after: list[dict[int, float]]) -> list[int]:
    waiting = [0] * count
    for others in after:
        for other in others:
            waiting[other] += 1
    order = [block for block in range(count) if not waiting[block]]
    for block in order:
        for other in after[block]:
            waiting[other] -= 1
            if not waiting[other]:
                order.append(other)
    return order


def _packed(order: list[int], after: list[dict[int, float]], places: list[float]) -> list[float]:
    for block in order:
        for other, distance in after[block].items():
            places[other] = max(places[other], places[block] + distance)
    return places


def _links(grid: Grid, blocks: _Blocks) -> list[list[tuple[int, float, float]]]:
    """For each block those that it should be in line with: which, how far from it, and how much it matters."""
    links: list[list[tuple[int, float, float]]] = [[] for _ in range(blocks.count)]
    for one in grid.segments:
        tail, head = blocks.block[one.tail], blocks.block[one.head]
        if tail == head:
            continue
        lanes = grid.nodes[one.tail].lane + grid.nodes[one.head].lane
        weight = (4.0, 0.5, 2.0)[lanes]
        shift = blocks.offset[one.tail] + one.start - blocks.offset[one.head] - one.end
        links[head].append((tail, shift, weight))
        links[tail].append((head, -shift, weight))
    if len(grid.entries) * len(grid.exits) <= _FEW:
        # frames that are left where they are entered make no stairs
        for entry, end in itertools.product(grid.entries.values(), grid.exits.values()):
            above, below = blocks.block[entry], blocks.block[end]
            if above != below:
                shift = blocks.offset[entry] - blocks.offset[end]
                links[below].append((above, shift, 1.0))
                links[above].append((below, -shift, 1.0))
    return links


def _wanted(block: int, places: list[float], links: list[tuple[int, float, float]], middle: float) -> float:
    """Half the way to the mean of its links: all the way, two that are linked would change places for ever."""
    total, weights = middle * _GRAVITY, _GRAVITY
    for other, shift, weight in links:
        total += (places[other] + shift) * weight
        weights += weight
    return (places[block] + total / weights) / 2
