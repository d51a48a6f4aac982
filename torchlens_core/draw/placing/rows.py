"""Rows for the items of a level, and the order within each row: the first half of the rank layout.

Longest paths give the rows; edges that skip rows get a lane, a node without width, in each row that they skip;
sweeps down and up put nodes at the mean of their neighbours' positions, and the order with the fewest crossings
is kept (Sugiyama, Tagawa and Toda 1981).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from dataclasses import dataclass, field

from torchlens_core.draw.placing.levels import OUTSIDE, Item, Net

#: Sweeps over all rows; fewer in large levels.
_SWEEPS, _SWEEPS_OF_LARGE, _LARGE = 12, 4, 6000
#: Lanes allowed beside those of a level's items; the longest ones beyond run in the margin.
_LANES, _LANES_PER_ITEM = 60_000, 6
#: Items without any edge in one row.
_LONERS = 8


@dataclass(slots=True)
class Node:
    """What stands in one row: an item, a part of one that spans rows, a lane, or an end of a net at the border."""

    row: int
    #: Number of the item, or `OUTSIDE` for lanes and ends.
    item: int
    #: Room to both sides of its anchor.
    left: float = 0.0
    right: float = 0.0
    lane: bool = False
    #: Of a lane: whether its net is all that leaves its source, so that it is a branch and no way around one.
    branch: bool = False


@dataclass(slots=True)
class Segment:
    """A line from a node to one in the next row, by the offsets of its ends from their anchors."""

    tail: int
    head: int
    start: float
    end: float
    #: Whether it is the inside of an item that spans rows, so that nothing may cross it.
    rigid: bool = False
    #: The side of a box at which it leaves or enters: -1 for left, 1 for right, 0 for below and above.
    start_side: int = 0
    end_side: int = 0


@dataclass(slots=True)
class Grid:
    """A level in rows. Row 0 holds ends of nets that come in, the last row those that go out."""

    nodes: list[Node] = field(default_factory=list)
    rows: list[list[int]] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    #: First and last node of each item.
    firsts: list[int] = field(default_factory=list)
    lasts: list[int] = field(default_factory=list)
    #: For each net its segments along lanes, from its source on.
    ways: dict[int, list[Segment]] = field(default_factory=dict)
    #: For each net and each of its heads, in the order of rows: on how many of those it goes, and its last segment.
    paths: dict[tuple[int, int], tuple[int, Segment]] = field(default_factory=dict)
    #: Nets and heads that are led through the margin, with the nodes at their ends.
    turns: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    #: Nodes of nets at the border, by net.
    entries: dict[int, int] = field(default_factory=dict)
    exits: dict[int, int] = field(default_factory=dict)
    #: Items that hang on nothing from above, such as parameters and what is made of them.
    sources: list[bool] = field(default_factory=list)


def grid_of(items: list[Item], nets: dict[int, Net]) -> Grid:
    """Rows and orders for items and nets; items that span rows do so only if no net has to cross them."""
    grid = _ordered(items, nets, [item.span for item in items])
    if any(item.span > 1 for item in items) and not _is_free(grid):
        grid = _ordered(items, nets, [1] * len(items))
    return grid


def _ordered(items: list[Item], nets: dict[int, Net], spans: list[int]) -> Grid:
    grid = Grid()
    against = _against(len(items), nets)
    rows = _rows(grid, spans, nets, against)
    _fill(grid, items, spans, rows)
    _lead(grid, items, nets, spans, rows)
    _sort(grid)
    return grid


def _against(count: int, nets: dict[int, Net]) -> set[tuple[int, int]]:
    """Pairs of items between which a net goes against the direction: it closes a cycle."""
    following = _following(count, nets, set())
    state = bytearray(count)  # 1 while on the way, 2 when done
    found = set()
    for start in range(count):
        if state[start]:
            continue
        state[start] = 1
        stack = [(start, iter(following[start]))]
        while stack:
            item, heads = stack[-1]
            for head in heads:
                if state[head] == 1:
                    found.add((item, head))
                elif state[head] == 0:
                    state[head] = 1
                    stack.append((head, iter(following[head])))
                    break
            else:
                state[item] = 2
                stack.pop()
    return found


def _following(count: int, nets: dict[int, Net], against: set[tuple[int, int]]) -> list[list[int]]:
    following: list[dict[int, None]] = [{} for _ in range(count)]
    for net in nets.values():
        if net.source != OUTSIDE and not net.back:
            following[net.source].update(
                (head, None) for head in net.heads if head != OUTSIDE and (net.source, head) not in against
            )
    return [list(heads) for heads in following]


def _rows(grid: Grid, spans: list[int], nets: dict[int, Net], against: set[tuple[int, int]]) -> list[int]:
    """The first row of each item, from 1: longest paths, then whatever hangs on nothing close to its readers."""
    count = len(spans)
    following = _following(count, nets, against)
    entering, touched = [0] * count, [False] * count
    leading: list[list[int]] = [[] for _ in range(count)]
    for item, heads in enumerate(following):
        for head in heads:
            leading[head].append(item)
    waiting = [len(tails) for tails in leading]
    for net in nets.values():
        for head in net.heads:
            if head != OUTSIDE:
                touched[head] = True
                entering[head] += net.source == OUTSIDE
        if net.source != OUTSIDE:
            touched[net.source] = True
    ready = [item for item in range(count) if not waiting[item]]
    rows = [1] * count
    loners = 0
    for item in ready:
        if not touched[item]:
            rows[item] = 1 + loners // _LONERS
            loners += 1
        for head in following[item]:
            rows[head] = max(rows[head], rows[item] + spans[item])
            waiting[head] -= 1
            if not waiting[head]:
                ready.append(head)
    grid.sources = sources = [False] * count
    for item in ready:
        sources[item] = not entering[item] and all(
            sources[tail] and len(following[tail]) == 1 for tail in leading[item]
        )
    for item in reversed(ready):
        heads = following[item]
        if heads and (sources[item] or len(heads) > len(leading[item]) + entering[item]):
            rows[item] = min(rows[head] for head in heads) - spans[item]
    return rows


def _fill(grid: Grid, items: list[Item], spans: list[int], rows: list[int]) -> None:
    """One node an item and row."""
    count = max((row + span for row, span in zip(rows, spans, strict=True)), default=1) + 1
    grid.rows = [[] for _ in range(count)]
    for number, item in enumerate(items):
        half = item.cross / 2
        for row in range(rows[number], rows[number] + spans[number]):
            node = _add(grid, Node(row, number, half, half + item.beside))
            if row == rows[number]:
                grid.firsts.append(node)
            else:
                grid.segments.append(Segment(node - 1, node, 0.0, 0.0, rigid=True))
        grid.lasts.append(len(grid.nodes) - 1)


def _add(grid: Grid, node: Node) -> int:
    grid.nodes.append(node)
    grid.rows[node.row].append(len(grid.nodes) - 1)
    return len(grid.nodes) - 1


def _lead(grid: Grid, items: list[Item], nets: dict[int, Net], spans: list[int], rows: list[int]) -> None:
    """Each net along its lanes, which its heads share; what goes against the direction, through the margin."""
    bottom = len(grid.rows) - 1
    ways: list[tuple[int, int, int]] = []
    for number, net in nets.items():
        if net.source == OUTSIDE:
            grid.entries[number] = _add(grid, Node(0, OUTSIDE))
        if OUTSIDE in net.heads:
            grid.exits[number] = _add(grid, Node(bottom, OUTSIDE))
        start = 0 if net.source == OUTSIDE else rows[net.source] + spans[net.source] - 1
        ends = [bottom if head == OUTSIDE else rows[head] for head in net.heads]
        ways.append((max(ends) - start, number, start))
    left = _LANES + _LANES_PER_ITEM * len(items)
    through = set()
    for length, number, _ in sorted(ways):  # the shortest first
        left -= max(0, length - 1)
        if left >= 0:
            through.add(number)
    leaving = Counter(net.source for net in nets.values() if net.source != OUTSIDE)
    for _, number, start in ways:
        net = nets[number]
        branch = len(net.heads) == 1 and leaving[net.source] == 1
        _lead_net(grid, items, net, number, start, number in through, branch)


def _lead_net(
    grid: Grid, items: list[Item], net: Net, number: int, start: int, through: bool, branch: bool
) -> None:
    source = grid.entries[number] if net.source == OUTSIDE else grid.lasts[net.source]
    offset = 0.0 if net.source == OUTSIDE else items[net.source].outs.get(number, 0.0)
    lasts = [grid.exits[number] if head == OUTSIDE else grid.firsts[head] for head in net.heads]
    way = grid.ways[number] = []
    for last, head in sorted(zip(lasts, net.heads, strict=True), key=lambda pair: grid.nodes[pair[0]].row):
        end = grid.nodes[last].row
        if end <= start or (not through and end > start + 1):
            grid.turns[number, head] = (source, last)
            continue
        while len(way) < end - start - 1:
            lane = _add(grid, Node(start + len(way) + 1, OUTSIDE, lane=True, branch=branch))
            way.append(_line(grid, way[-1].head if way else source, lane, 0.0 if way else offset, 0.0))
        entry = 0.0 if head == OUTSIDE else items[head].ins.get(number, 0.0)
        along = end - start - 1
        tail = way[along - 1].head if along else source
        grid.paths[number, head] = along, _line(grid, tail, last, 0.0 if along else offset, entry)


def _line(grid: Grid, tail: int, head: int, start: float, end: float) -> Segment:
    grid.segments.append(Segment(tail, head, start, end))
    return grid.segments[-1]


class _Order:
    """Positions in rows, improved in sweeps."""

    def __init__(self, grid: Grid) -> None:
        self.nodes = grid.nodes
        self.rows = [list(row) for row in grid.rows]
        self.positions = [0] * len(grid.nodes)
        #: By node: its neighbours above and below, with how far from their middle it is led, from -0.5 to 0.5.
        self.above: list[list[tuple[int, float, float]]] = [[] for _ in grid.nodes]
        self.below: list[list[tuple[int, float, float]]] = [[] for _ in grid.nodes]
        for segment in grid.segments:
            start = self._share(segment.tail, segment.start)
            end = self._share(segment.head, segment.end)
            weight = 8.0 if segment.rigid else 1.0
            self.above[segment.head].append((segment.tail, start, weight))
            self.below[segment.tail].append((segment.head, end, weight))
        for row in self.rows:
            self._number(row)

    def _share(self, node: int, offset: float) -> float:
        width = self.nodes[node].left + self.nodes[node].right
        return 0.8 * offset / width if width else 0.0

    def _number(self, row: list[int]) -> None:
        for position, node in enumerate(row):
            self.positions[node] = position

    def sweep(self, down: bool, *, first: bool = False) -> None:
        """Sort each row by the means of the positions of neighbours in the row before."""
        near = self.above if down else self.below
        positions, nodes = self.positions, self.nodes
        for row in self.rows if down else reversed(self.rows):
            if len(row) < 2:
                continue
            keys = {}
            for node in row:
                total = weights = 0.0
                for other, share, weight in near[node]:
                    total += (positions[other] + share) * weight
                    weights += weight
                here = positions[node]
                mean = total / weights if weights else (float(len(row)) if first else float(here))
                keys[node] = (mean, nodes[node].lane, here)
            row.sort(key=keys.__getitem__)
            self._number(row)

    def crossings(self) -> int:
        """How many pairs of segments cross; those of items that span rows count more."""
        count = 0
        for row in self.rows:
            if len(row) < 2:
                continue
            ends: list[tuple[float, float, bool]] = []
            for node in row:
                here = self.positions[node]
                near = self.below[node]
                if len(near) == 1:
                    head, share, weight = near[0]
                    ends.append((here, self.positions[head] + share, weight > 1.0))
                else:
                    ends += sorted(
                        (here, self.positions[head] + share, weight > 1.0) for head, share, weight in near
                    )
            seen: list[float] = []
            for _, end, rigid in ends:
                at = bisect_left(seen, end + 1e-9)
                count += (len(seen) - at) * (10 if rigid else 1)
                insort(seen, end)
        return count


def _sort(grid: Grid) -> None:
    order = _Order(grid)
    order.sweep(down=True, first=True)
    best, least = [list(row) for row in order.rows], order.crossings()
    for number in range(_SWEEPS if len(grid.nodes) < _LARGE else _SWEEPS_OF_LARGE):
        if not least:
            break
        order.sweep(down=number % 2 == 1)
        count = order.crossings()
        if count < least:
            best, least = [list(row) for row in order.rows], count
    grid.rows = best


def _is_free(grid: Grid) -> bool:
    """Whether no line crosses an item that spans rows."""
    positions = {node: position for row in grid.rows for position, node in enumerate(row)}
    lines: list[list[tuple[int, int, bool]]] = [[] for _ in grid.rows]
    for one in grid.segments:
        lines[grid.nodes[one.tail].row].append((positions[one.tail], positions[one.head], one.rigid))
    for gap in lines:
        gap.sort()
        rigid = [(start, end) for start, end, is_rigid in gap if is_rigid]
        if not rigid:
            continue
        ends = [end for _, end in rigid]
        if ends != sorted(ends):
            return False
        for start, end, _ in gap:
            if bisect_left(rigid, (start, -1)) != bisect_left(ends, end):
                return False
    for source, head in grid.turns.values():  # these run above and below others in their rows to the margin
        above, below = lines[grid.nodes[source].row], lines[grid.nodes[head].row - 1]
        if any(rigid and start > positions[source] for start, _, rigid in above):
            return False
        if any(rigid and end > positions[head] for _, end, rigid in below):
            return False
    return True
