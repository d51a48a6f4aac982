"""Our own layout: rows of boxes from top to bottom, frame by frame, for machines without Graphviz and large sheets.

Each frame is placed by itself, inner ones first, and is then one item of the frame around it: so frames hold
what is theirs and nothing else. Lines run straight down within rows and bend in the gaps between rows, where
there are no boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from torchlens_core.draw.placing.columns import columns_of
from torchlens_core.draw.placing.knots import Knot, Sizes, curve_through, extend, from_origin
from torchlens_core.draw.placing.layout import Layout, Point, Rect
from torchlens_core.draw.placing.levels import OUTSIDE, Item, Level, Piece, levels_of
from torchlens_core.draw.placing.ports import spread_ports
from torchlens_core.draw.placing.rows import Grid, Segment, grid_of
from torchlens_core.draw.sheet import Sheet

#: Points between rows, at least and at most; more where lines have a long way to the side.
_GAP, _GAP_AT_MOST, _GAP_PER_WAY = 20.0, 44.0, 0.06
#: Between a frame's border or heading and what is inside.
_PADDING = 9.0
#: Between lines that leave or enter a box, at most.
_PORTS = 14.0
#: Of lanes in the margin, and of what turns into them.
_LANE, _TURN = 9.0, 10.0
#: Of a loop of a box to itself.
_LOOP = 16.0
#: How far down a box's side lines leave and enter, as a part of its height.
_OUT, _IN = 0.65, 0.35


@dataclass(slots=True)
class _Placed:
    """A level in its own coordinates, from its upper left corner: x along the rows, y from row to row."""

    level: Level
    items: list[Item]
    inner: dict[int, _Placed]
    grid: Grid
    #: By node: x of its anchor.
    xs: list[float]
    #: By row: where it begins and ends.
    tops: list[float] = field(default_factory=list)
    bottoms: list[float] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0
    #: Upper left corners of items.
    corners: list[tuple[float, float]] = field(default_factory=list)
    #: For each net and head the knots of its line.
    lines: dict[tuple[int, int], list[Knot]] = field(default_factory=dict)
    #: By net and head: x of its lane in the margin.
    lanes: dict[tuple[int, int], float] = field(default_factory=dict)
    #: Nodes whose right sides are taken.
    left_by_lanes: set[int] = field(default_factory=set)
    entered_by_lanes: set[int] = field(default_factory=set)
    origin: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Room:
    """What a frame keeps free: before and after its rows, and beside them; and its least extents."""

    before: float = 0.0
    after: float = 0.0
    left: float = 0.0
    right: float = 0.0
    width: float = 0.0
    height: float = 0.0


def place_by_ranks(sheet: Sheet, sizes: Sizes, headings: Sizes) -> Layout:
    """Places for everything on the sheet; the same ones for the same sheet and sizes on every machine."""
    root, pieces = levels_of(sheet)
    turned = sheet.direction == "leftright"
    placed: dict[int, _Placed] = {}
    _place(root, sizes, headings, sheet.direction, placed)
    boxes, frames = _rects(root, placed)
    curves = []
    for edge, way in zip(sheet.edges, pieces, strict=True):
        knots = _joined(way, placed) if way else _loop(boxes[edge.tail])
        curves.append(curve_through(knots))
    there = _ORIENTATIONS[sheet.direction]
    return from_origin(
        Layout(
            engine="ranks",
            width=0.0,
            height=0.0,
            boxes={key: _turned(boxes[key], turned, there) for key in sheet.boxes},
            frames={key: _turned(rect, turned, there) for key, rect in frames.items()},
            edges=tuple(tuple(there(x, y) for x, y in curve) for curve in curves),
        )
    )


_ORIENTATIONS: dict[str, Callable[[float, float], Point]] = {
    "topdown": lambda x, y: Point(x, y),
    "bottomup": lambda x, y: Point(x, -y),
    "leftright": lambda x, y: Point(y, x),
}


def _turned(rect: Rect, turned: bool, there: Callable[[float, float], Point]) -> Rect:
    one, two = there(rect.x, rect.y), there(rect.x + rect.width, rect.y + rect.height)
    width, height = (rect.height, rect.width) if turned else (rect.width, rect.height)
    return Rect(min(one.x, two.x), min(one.y, two.y), width, height)


def _rects(root: Level, placed: dict[int, _Placed]) -> tuple[dict[str, Rect], dict[str, Rect]]:
    """Boxes and frames in the coordinates of the root; sets the origins of levels."""
    boxes: dict[str, Rect] = {}
    frames: dict[str, Rect] = {}
    stack = [placed[id(root)]]
    while stack:
        one = stack.pop()
        left, top = one.origin
        for number, (item, (x, y)) in enumerate(zip(one.items, one.corners, strict=True)):
            rect = Rect(left + x, top + y, item.cross, item.main)
            if inner := one.inner.get(number):
                frames[item.key] = rect
                inner.origin = (rect.x, rect.y)
                stack.append(inner)
            else:
                boxes[item.key] = rect
    return boxes, frames


def _joined(way: Iterable[Piece], placed: dict[int, _Placed]) -> list[Knot]:
    """Knots of an edge over all levels that it passes."""
    knots: list[Knot] = []
    for piece in way:
        one = placed[id(piece.level)]
        left, top = one.origin
        extend(
            knots, (Knot(left + x, top + y, dx, dy) for x, y, dx, dy in one.lines[piece.net, piece.head])
        )
    return knots


def _loop(rect: Rect) -> list[Knot]:
    side, far = rect.x + rect.width, rect.x + rect.width + _LOOP - 4
    middle, reach = rect.y + rect.height / 2, min(rect.height / 2 - 3, 9.0)
    return [
        Knot(side, middle + reach, 1.0, 0.0),
        Knot(far, middle, 0.0, -1.0),
        Knot(side, middle - reach, -1.0, 0.0),
    ]


def _place(
    level: Level, sizes: Sizes, headings: Sizes, direction: str, placed: dict[int, _Placed]
) -> _Placed:
    """The level with all that is in it, placed; each is put into ``placed`` too."""
    frames = {inner.place: inner for inner in level.inner}
    inner = {}
    items = []
    for number, one in enumerate(level.frame.inside):
        if number in frames:
            inner[number] = _place(frames[number], sizes, headings, direction, placed)
            items.append(_item(inner[number]))
        elif isinstance(one, str):
            width, height = sizes[one]
            cross, main = (height, width) if direction == "leftright" else (width, height)
            items.append(Item(one, cross, main, beside=_LOOP if one in level.loops else 0.0))
    grid = grid_of(items, level.nets)
    found = placed[id(level)] = _Placed(level, items, inner, grid, columns_of(grid))
    spread_ports(grid, found.xs, items)
    room = _room(level, headings, direction)
    _set_lanes(found)
    _set_columns(found, room)
    _set_rows(found, room)
    _draw_lines(found)
    return found


def _item(placed: _Placed) -> Item:
    """A placed frame as an item of the frame around it."""
    middle = placed.width / 2
    return Item(
        placed.level.frame.key,
        placed.width,
        placed.height,
        span=max(1, len(placed.tops) - 2),
        ins={net: placed.xs[node] - middle for net, node in placed.grid.entries.items()},
        outs={net: placed.xs[node] - middle for net, node in placed.grid.exits.items()},
        is_box=False,
    )


def _room(level: Level, headings: Sizes, direction: str) -> _Room:
    if level.outer is None:
        return _Room()
    width, height = headings[level.frame.key]
    above, wide = height + _PADDING, width + 2 * _PADDING
    if direction == "leftright":
        return _Room(_PADDING, _PADDING, above, _PADDING, height=wide)
    if direction == "bottomup":
        return _Room(_PADDING, above, _PADDING, _PADDING, width=wide)
    return _Room(above, _PADDING, _PADDING, _PADDING, width=wide)


def _set_lanes(placed: _Placed) -> None:
    """Lanes in the margin, to the right of everything; those whose rows do not overlap share one."""
    grid, nodes = placed.grid, placed.grid.nodes
    right = max((x + node.right for x, node in zip(placed.xs, nodes, strict=True)), default=0.0)
    ends: list[int] = []
    spans = {
        way: sorted((nodes[source].row, nodes[head].row)) for way, (source, head) in grid.turns.items()
    }
    for way, (first, last) in sorted(spans.items(), key=lambda pair: (pair[1][1] - pair[1][0], pair[0])):
        free = next((lane for lane, used in enumerate(ends) if used < first), len(ends))
        ends[free : free + 1] = [last]
        placed.lanes[way] = right + _LANE + _TURN + free * _LANE


def _set_columns(placed: _Placed, room: _Room) -> None:
    """Set the width, and move everything so that it begins at 0."""
    nodes = placed.grid.nodes
    left = min((x - node.left for x, node in zip(placed.xs, nodes, strict=True)), default=0.0)
    right = max((x + node.right for x, node in zip(placed.xs, nodes, strict=True)), default=0.0)
    right = max([right, *placed.lanes.values()])
    extra = max(0.0, room.width - (right - left + room.left + room.right))
    shift = room.left + extra / 2 - left
    placed.width = right - left + room.left + room.right + extra
    placed.xs = [x + shift for x in placed.xs]
    placed.lanes = {way: x + shift for way, x in placed.lanes.items()}


def _set_rows(placed: _Placed, room: _Room) -> None:
    """Set where rows begin and end, and with that the height and the corners of items."""
    grid, items = placed.grid, placed.items
    gaps = _gaps(placed)
    count = len(grid.rows)
    starts = [grid.nodes[node].row for node in grid.firsts]
    ends = [grid.nodes[node].row for node in grid.lasts]
    ending: list[list[int]] = [[] for _ in range(count)]
    for number, row in enumerate(ends):
        ending[row].append(number)
    tops = [room.before]
    for row in range(count - 1):
        # an item over several rows may need more than they do
        bottom = max(
            (tops[starts[number]] + items[number].main for number in ending[row]), default=tops[row]
        )
        tops.append(bottom + gaps[row])
    extra = max(0.0, room.height - tops[-1] - room.after)
    placed.height = tops[-1] + room.after + extra
    placed.tops = [top + extra / 2 for top in tops]
    placed.bottoms = [top - gap for top, gap in zip(placed.tops[1:], gaps, strict=True)] + placed.tops[-1:]
    for number, item in enumerate(items):
        top, bottom = placed.tops[starts[number]], placed.bottoms[ends[number]]
        placed.corners.append(
            (placed.xs[grid.firsts[number]] - item.cross / 2, (top + bottom - item.main) / 2)
        )


def _gaps(placed: _Placed) -> list[float]:
    """Room below each row but the last, for the longest way to the side of a line there."""
    grid, xs = placed.grid, placed.xs
    count = len(grid.rows)
    ways = [0.0] * count
    for one in grid.segments:
        row = grid.nodes[one.tail].row
        ways[row] = max(ways[row], abs(xs[one.tail] + one.start - xs[one.head] - one.end))
    for source, head in grid.turns.values():
        for row in (grid.nodes[source].row, grid.nodes[head].row - 1):
            ways[row] = max(ways[row], 2 * _TURN)
    gaps = [min(_GAP_AT_MOST, _GAP + way * _GAP_PER_WAY) for way in ways[:-1]]
    for row in {0, count - 2}:  # beside the border, where a straight line needs no room
        if ways[row] < 1.0:
            gaps[row] = 0.0
    return gaps


def _draw_lines(placed: _Placed) -> None:
    """The knots of all nets' lines; those of one net share what they have in common."""
    nodes = placed.grid.nodes
    placed.left_by_lanes = {one.tail for one in placed.grid.segments if one.start_side > 0}
    placed.entered_by_lanes = {one.head for one in placed.grid.segments if one.end_side > 0}
    trunks: dict[int, tuple[int, list[Knot]]] = {}
    for (net, head), (along, last) in placed.grid.paths.items():
        way = placed.grid.ways[net]
        done, trunk = trunks.get(net, (0, []))
        if along and not trunk:
            trunk += _leaving(placed, way[0])
        for one in way[done:along]:
            row, x = nodes[one.head].row, placed.xs[one.head]
            extend(trunk, (Knot(x, placed.tops[row], 0.0, 1.0), Knot(x, placed.bottoms[row], 0.0, 1.0)))
        trunks[net] = along, trunk
        knots = list(trunk) if along else _leaving(placed, last)
        extend(
            knots,
            _beside(placed, last.head, last.end_side, out=False) or _end(placed, last.head, last.end),
        )
        placed.lines[net, head] = knots
    for pair, (source, end) in placed.grid.turns.items():
        placed.lines[pair] = _turn(placed, pair, source, end)


def _leaving(placed: _Placed, line: Segment) -> list[Knot]:
    return _beside(placed, line.tail, line.start_side, out=True) or _start(placed, line.tail, line.start)


def _start(placed: _Placed, node: int, offset: float) -> list[Knot]:
    """From an item, or the border, to where its row ends."""
    row, item = placed.grid.nodes[node].row, placed.grid.nodes[node].item
    x = placed.xs[node] + offset
    y = 0.0 if item == OUTSIDE else placed.corners[item][1] + placed.items[item].main
    return [Knot(x, y, 0.0, 1.0), Knot(x, placed.bottoms[row], 0.0, 1.0)]


def _end(placed: _Placed, node: int, offset: float) -> list[Knot]:
    """From where its row begins to an item, or the border."""
    row, item = placed.grid.nodes[node].row, placed.grid.nodes[node].item
    x = placed.xs[node] + offset
    y = placed.height if item == OUTSIDE else placed.corners[item][1]
    return [Knot(x, placed.tops[row], 0.0, 1.0), Knot(x, y, 0.0, 1.0)]


def _beside(placed: _Placed, node: int, side: int, *, out: bool) -> list[Knot]:
    """At a box's side, below its middle on the way out and above it on the way in; nothing for no side."""
    if not side:
        return []
    item = placed.grid.nodes[node].item
    (x, y), one = placed.corners[item], placed.items[item]
    return [
        Knot(
            x + (one.cross if side > 0 else 0.0),
            y + one.main * (_OUT if out else _IN),
            float(side if out else -side),
            0.0,
        )
    ]


def _turn(placed: _Placed, way: tuple[int, int], source: int, head: int) -> list[Knot]:
    """A line through the margin: to the right, along its lane, and back; out of and into the side where it can."""
    lane = placed.lanes[way]
    start, end = _side(placed, source, out=True), _side(placed, head, out=False)
    if not start:
        start = _start(placed, source, _exit(placed, source, way, out=True))
        x, y = start[-1].x, start[-1].y + _GAP / 2
        start.append(Knot(min(x + _TURN, (x + lane) / 2), y, 1.0, 0.0))
    if not end:
        end = _end(placed, head, _exit(placed, head, way, out=False))
        x, y = end[0].x, end[0].y - _GAP / 2
        end.insert(0, Knot(min(x + _TURN, (x + lane) / 2), y, -1.0, 0.0))
    way_down = end[0].y - start[-1].y
    sign = 1.0 if way_down > 0 else -1.0
    turn = min(_TURN, abs(way_down) / 2)
    near = lane - min(_TURN, (lane - max(start[-1].x, end[0].x)) / 2)
    return [
        *start,
        Knot(near, start[-1].y, 1.0, 0.0),
        Knot(lane, start[-1].y + sign * turn, 0.0, sign),
        Knot(lane, end[0].y - sign * turn, 0.0, sign),
        Knot(near, end[0].y, -1.0, 0.0),
        *end,
    ]


def _exit(placed: _Placed, node: int, way: tuple[int, int], *, out: bool) -> float:
    """The port of a frame, or of a box its right half, for its middle is others'."""
    item = placed.grid.nodes[node].item
    if item == OUTSIDE:
        return 0.0
    one = placed.items[item]
    if not one.is_box:
        return (one.outs if out else one.ins)[way[0]]
    return one.cross / 4


def _side(placed: _Placed, node: int, *, out: bool) -> list[Knot]:
    """A knot at the right side of a box, if nothing stands in its row to the right of it; else nothing."""
    grid = placed.grid
    item = grid.nodes[node].item
    row = grid.rows[grid.nodes[node].row]
    free = (
        item != OUTSIDE and placed.items[item].is_box and row[-1] == node and not placed.items[item].beside
    )
    if not free or node in (placed.left_by_lanes if out else placed.entered_by_lanes):
        return []
    return _beside(placed, node, 1, out=out)
