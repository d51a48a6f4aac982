"""What the rank layout places at a time: one frame's boxes and frames, each a single item, and nets between them.

A net is what leaves one box as one line, and may branch. What crosses the border of a frame comes in through
its first row and goes out through its last one, so that each frame can be placed by itself, inner ones first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torchlens_core.draw.sheet import Edge, Frame, Sheet, Style

#: As the item where a net begins: it comes in from outside. As one where it ends: it goes out.
OUTSIDE = -1


@dataclass(slots=True)
class Item:
    """A box, or a frame that is placed already; main is the direction of the edges, cross the other one."""

    key: str
    cross: float
    main: float
    #: Rows that it takes.
    span: int = 1
    #: Where nets come in and go out, from its middle along cross; empty for boxes, which have room anywhere.
    ins: dict[int, float] = field(default_factory=dict)
    outs: dict[int, float] = field(default_factory=dict)
    #: Room wanted on its far side, for edges to itself.
    beside: float = 0.0
    is_box: bool = True


@dataclass(slots=True)
class Net:
    """A net within one frame, from an item or `OUTSIDE` to items or `OUTSIDE`."""

    source: int
    heads: list[int] = field(default_factory=list)
    #: Whether it goes against the direction, so that rows do not depend on it.
    back: bool = False


@dataclass(slots=True)
class Level:
    """One frame: what is directly inside, and the nets there by their numbers."""

    frame: Frame
    depth: int
    outer: Level | None
    #: Which of the outer level's items it is.
    place: int
    #: Items by keys of boxes and frames.
    places: dict[str, int] = field(default_factory=dict)
    inner: list[Level] = field(default_factory=list)
    nets: dict[int, Net] = field(default_factory=dict)
    #: Numbers of this level's edges from a box to itself, by box.
    loops: dict[str, list[int]] = field(default_factory=dict)


@dataclass(slots=True)
class Piece:
    """The part of an edge that lies within one level."""

    level: Level
    net: int
    head: int


def levels_of(sheet: Sheet) -> tuple[Level, list[list[Piece]]]:
    """The sheet's root as a level, and for each edge its pieces from tail to head; none for one to its own tail."""
    root = Level(sheet.root, 0, None, 0)
    homes: dict[str, Level] = {}
    stack = [root]
    while stack:
        level = stack.pop()
        for number, one in enumerate(level.frame.inside):
            if isinstance(one, str):
                level.places[one] = number
                homes[one] = level
            else:
                level.places[one.key] = number
                inner = Level(one, level.depth + 1, level, number)
                level.inner.append(inner)
                stack.append(inner)
    nets: dict[tuple[str, str, str, Style, int], int] = {}
    repeats: dict[tuple[str, str, str, str, Style], int] = {}
    pieces: list[list[Piece]] = []
    for number, edge in enumerate(sheet.edges):
        if edge.tail == edge.head:
            homes[edge.tail].loops.setdefault(edge.tail, []).append(number)
            pieces.append([])
            continue
        # an edge that is there twice is drawn twice, so the second is of another net
        same = (edge.tail, edge.head, edge.kind, edge.change, edge.style)
        repeat = repeats[same] = repeats.get(same, -1) + 1
        net = nets.setdefault((edge.tail, edge.kind, edge.change, edge.style, repeat), len(nets))
        pieces.append(_pieces(edge, net, homes))
    return root, pieces


def _pieces(edge: Edge, net: int, homes: dict[str, Level]) -> list[Piece]:
    """An edge's way out of its tail's frames and into those of its head; adds it to the nets of these levels."""
    out, into = homes[edge.tail], homes[edge.head]
    source, head = out.places[edge.tail], into.places[edge.head]
    first: list[Piece] = []
    last: list[Piece] = []
    while out is not into:
        if out.depth >= into.depth:
            first.append(_added(out, net, source, OUTSIDE, edge))
            assert out.outer is not None
            source, out = out.place, out.outer
        else:
            last.append(_added(into, net, OUTSIDE, head, edge))
            assert into.outer is not None
            head, into = into.place, into.outer
    return [*first, _added(out, net, source, head, edge), *reversed(last)]


def _added(level: Level, number: int, source: int, head: int, edge: Edge) -> Piece:
    net = level.nets.setdefault(number, Net(source))
    if head not in net.heads:
        net.heads.append(head)
    # against the direction only where both ends are: in frames further in, it is an edge like others
    net.back = edge.kind == "back" and source != OUTSIDE != head
    return Piece(level, number, head)
