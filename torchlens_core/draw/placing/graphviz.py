"""A sheet in DOT: for Graphviz to place, and for people to read; the only module that knows DOT.

Graphviz gets boxes of a fixed size without text and gives back coordinates, so that the same picture comes out
on machines without fonts. Its y grows upwards, ours downwards.
"""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from torchlens_core.draw.placing.knots import Sizes, from_origin, snapped
from torchlens_core.draw.placing.layout import Curve, Layout, Point, Rect
from torchlens_core.draw.sheet import ADDED, CHANGED, REMOVED, Box, Edge, Frame, Sheet, Style, frames_of
from torchlens_core.draw.skips import depths_of
from torchlens_core.errors import DrawingError

try:
    import graphviz
except ImportError:  # the extra `pictures` is not installed
    graphviz = None

_RANKDIR = {"topdown": "TB", "bottomup": "BT", "leftright": "LR"}
#: Points between boxes of a rank, and between ranks.
_NODESEP, _RANKSEP = 14.0, 20.0
#: Points between a frame and what is inside.
_MARGIN = 9.0
#: Of edges along the main line: they stay straight. More of it, on all edges, makes Graphviz slow.
_MAIN_WEIGHT = 4
#: Boxes and ranks passed by edges above which Graphviz must not improve positions to the end.
_LARGE = 800


def placing_source(sheet: Sheet, sizes: Sizes, headings: Sizes) -> str:
    """DOT of boxes and frames of the sizes given, without text; `layout_from` reads what comes of it."""
    numbers = {key: number for number, key in enumerate(sheet.boxes)}
    flow = _Flow(sheet)
    # a smaller limit, or one for ranks, makes it slower and pictures worse
    effort = " nslimit=2" if _cost(flow) > _LARGE else ""
    lines = [
        "digraph {",
        f"graph [rankdir={_RANKDIR[sheet.direction]} nodesep={_inches(_NODESEP)} ranksep={_inches(_RANKSEP)}"
        f" margin=0 pad=0{effort}"
        # Graphviz turns these pictures upside down with their labels
        f" labelloc={'b' if sheet.direction == 'bottomup' else 't'}]",
        'node [shape=box fixedsize=true label=""]',
        "edge [dir=none]",
    ]
    for key, number in numbers.items():
        width, height = sizes[key]
        lines.append(f"n{number} [width={_inches(width)} height={_inches(height)}]")
    frames = {frame.key: number for number, frame in enumerate(frames_of(sheet.root))}
    lines += _clusters(sheet.root, numbers, frames, headings)
    for number, (edge, main) in enumerate(zip(sheet.edges, _main_line(sheet, flow), strict=True)):
        tail, head = numbers[edge.tail], numbers[edge.head]
        if edge.kind == "back":  # the other way round, for ranks go from head to tail
            tail, head = head, tail
        weight = f" weight={_MAIN_WEIGHT}" if main else ""
        lines.append(f"n{tail} -> n{head} [id=e{number}{weight}]")
    return "\n".join([*lines, "}", ""])


def cost_of(sheet: Sheet) -> int:
    """Boxes, ranks that edges pass between them, and the widest rank: what Graphviz' time grows with.

    It orders a rank of 1,000 boxes for half a minute, and one of 100 in no time.
    """
    return _cost(_Flow(sheet))


def _cost(flow: _Flow) -> int:
    passed = (flow.span(edge) - 1 for edges in flow.leaving.values() for edge in edges)
    widest = max(Counter(flow.depths.values()).values(), default=0)
    return len(flow.leaving) + sum(count for count in passed if count > 0) + widest**2 // 30


def _inches(points: float) -> str:
    return f"{points / 72:.4f}"


def _main_line(sheet: Sheet, flow: _Flow) -> list[bool]:
    """By edge: whether all others at its two boxes are ways around it, such as skip connections, or none."""

    def is_around(edge: Edge) -> bool:
        return flow.span(edge) > 1 and len(flow.leaving[edge.tail]) > 1

    return [
        edge.kind != "back"
        and sum(not is_around(other) for other in flow.leaving[edge.tail]) == 1
        and sum(not is_around(other) for other in flow.entering[edge.head]) == 1
        and not is_around(edge)
        for edge in sheet.edges
    ]


class _Flow:
    """The edges that leave and that enter each box, but for back edges, and how deep in them it is."""

    def __init__(self, sheet: Sheet) -> None:
        self.leaving: dict[str, list[Edge]] = {key: [] for key in sheet.boxes}
        self.entering: dict[str, list[Edge]] = {key: [] for key in sheet.boxes}
        for edge in sheet.edges:
            if edge.kind != "back":
                self.leaving[edge.tail].append(edge)
                self.entering[edge.head].append(edge)
        #: Edges on the longest way to each box; what hangs on nothing, such as parameters, is near what reads it.
        self.depths, order = depths_of(
            {key: [edge.head for edge in edges] for key, edges in self.leaving.items()}
        )
        self._bring_near(order)

    def _bring_near(self, order: list[str]) -> None:
        loose: dict[str, bool] = {}
        for key in order:
            tails = [edge.tail for edge in self.entering[key]]
            loose[key] = all(loose[tail] and len(self.leaving[tail]) == 1 for tail in tails)
        for key in reversed(order):
            if loose[key] and self.leaving[key]:
                self.depths[key] = min(self.depths[edge.head] for edge in self.leaving[key]) - 1

    def span(self, edge: Edge) -> int:
        """How much deeper its head is than its tail."""
        return self.depths[edge.head] - self.depths[edge.tail]


def _clusters(
    frame: Frame, numbers: dict[str, int], frames: dict[str, int], headings: Sizes
) -> Iterator[str]:
    for one in frame.inside:
        if isinstance(one, str):
            if frame.key in frames:
                yield f"n{numbers[one]}"
            continue
        width, height = headings[one.key]
        yield f"subgraph cluster_{frames[one.key]} {{"
        # a table without text keeps the room of the heading free
        yield (
            f'graph [margin={_MARGIN:g} labeljust=l label=<<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="0"'
            f' CELLSPACING="0" FIXEDSIZE="TRUE" WIDTH="{width:.0f}" HEIGHT="{height:.0f}">'
            "<TR><TD></TD></TR></TABLE>>]"
        )
        if not one.inside:  # Graphviz gives no place to a cluster without nodes
            yield f"empty{frames[one.key]} [width={_inches(width)} height=0.01]"
        yield from _clusters(one, numbers, frames, headings)
        yield "}"


def layout_from(sheet: Sheet, answer: bytes, engine: str) -> Layout:
    """The layout in Graphviz' answer, in the format ``json0``, to `placing_source`.

    Raises whatever reading a wrong answer raises, such as `KeyError` if a place is missing in it.
    """
    found: dict[str, Any] = json.loads(answer)
    objects = {one["name"]: one for one in found.get("objects", ())}
    lines = {one["id"]: one for one in found.get("edges", ())}
    boxes = {key: _box(objects[f"n{number}"]) for number, key in enumerate(sheet.boxes)}
    frames = {
        frame.key: _frame(objects[f"cluster_{number}"])
        for number, frame in enumerate(frames_of(sheet.root))
    }
    edges = [
        _curve(lines[f"e{number}"], boxes[edge.tail], boxes[edge.head], reverse=edge.kind == "back")
        for number, edge in enumerate(sheet.edges)
    ]
    return from_origin(
        Layout(engine=engine, width=0.0, height=0.0, boxes=boxes, frames=frames, edges=tuple(edges))
    )


def _box(found: dict[str, Any]) -> Rect:
    x, y = map(float, found["pos"].split(","))
    width, height = float(found["width"]) * 72, float(found["height"]) * 72
    return Rect(x - width / 2, -y - height / 2, width, height)


def _frame(found: dict[str, Any]) -> Rect:
    left, bottom, right, top = map(float, found["bb"].split(","))
    return Rect(left, -top, right - left, top - bottom)


def _curve(found: dict[str, Any], tail: Rect, head: Rect, reverse: bool) -> Curve:
    pairs = (pair.split(",") for pair in found["pos"].split())
    points = [Point(float(x), -float(y)) for x, y in pairs]
    if reverse:
        points.reverse()
    points[0], points[-1] = snapped(points[0], tail), snapped(points[-1], head)
    return tuple(points)


def dot_source(sheet: Sheet) -> str:
    """The sheet in DOT with its text, for people and for other programs that draw.

    Raises `DrawingError` if the ``graphviz`` package is missing.
    """
    if graphviz is None:
        raise DrawingError(
            "DOT source is written by the graphviz package, which is not installed. "
            "Install the extra: pip install 'pytest-torchlens[pictures]'."
        )
    graph = graphviz.Digraph(
        graph_attr={
            "rankdir": _RANKDIR[sheet.direction],
            "bgcolor": "white",
            "fontname": "Helvetica",
            "fontsize": "12",
            "nodesep": _inches(_NODESEP),
            "ranksep": _inches(_RANKSEP),
            "label": f"<<B>{_words(sheet.title)}</B>  {_words(sheet.subtitle)}>",
            "labelloc": "t",
        },
        node_attr={
            "shape": "box",
            "style": "rounded,filled",
            "fillcolor": "white",
            "color": "#6b7280",
            "fontname": "Helvetica",
            "fontsize": "10",
        },
        edge_attr={
            "color": "#6b7280",
            "arrowsize": "0.5",
            "penwidth": "0.8",
            "fontname": "Helvetica",
            "fontsize": "8",
        },
    )
    names = {key: f"n{number}" for number, key in enumerate(sheet.boxes)}
    clusters = {frame.key: f"cluster_{number}" for number, frame in enumerate(frames_of(sheet.root))}
    _add_frame(graph, sheet, sheet.root, names, clusters, 0)
    for edge in sheet.edges:
        graph.edge(names[edge.tail], names[edge.head], **_edge_attributes(edge))
    return str(graph.source)


def _add_frame(
    graph: Any,
    sheet: Sheet,
    frame: Frame,
    names: dict[str, str],
    clusters: dict[str, str],
    depth: int,
) -> None:
    for one in frame.inside:
        if isinstance(one, str):
            box = sheet.boxes[one]
            graph.node(names[one], **_box_attributes(box))
            continue
        rest = "  ".join(
            word for word in map(_words, (one.class_name, one.badge, one.mark)) if word.strip()
        )
        with graph.subgraph(name=clusters[one.key]) as cluster:
            attributes = {
                "label": f"<<B>{_words(one.title)}</B>  {rest}>",
                "labeljust": "l",
                "style": "rounded,filled",
                "fillcolor": "#f8f9fb" if depth % 2 == 0 else "#eef0f4",
                "color": "#c3c8d1",
                "fontsize": "10",
                "tooltip": graphviz.escape(_printable(one.tooltip)),
            }
            cluster.attr(**attributes | _dressed(one.style, one.change))
            _add_frame(cluster, sheet, one, names, clusters, depth + 1)


def _box_attributes(box: Box) -> dict[str, str]:
    above = [f"<B>{_words(box.title)}</B>", _words(box.details), _words(box.badge), _words(box.mark)]
    below = [_words(box.shape), _words(box.name)]
    first = "  ".join(word for word in above if word.strip())
    second = "  ".join(word for word in below if word.strip())
    lines = f'{first}<BR/><FONT POINT-SIZE="9">{second}</FONT>' if second else first
    dark = {"fillcolor": "#1f2937", "fontcolor": "white"} if box.category in ("input", "output") else {}
    return {
        "label": f"<{lines}>",
        "tooltip": graphviz.escape(_printable(box.tooltip)),
        **dark,
        **_dressed(box.style, box.change),
    }


def _edge_attributes(edge: Edge) -> dict[str, str]:
    found = {"label": graphviz.escape(_printable(edge.label))} if edge.label else {}
    if edge.kind == "back":
        found["constraint"] = "false"
    if edge.kind in ("back", "gradient", "memory"):
        found["style"] = "dashed"
    return found | {
        name: value for name, value in _dressed(edge.style, edge.change).items() if name != "fillcolor"
    }


_CHANGES = {
    ADDED: {"color": "#15803d", "penwidth": "1.6"},
    REMOVED: {"color": "#b91c1c", "penwidth": "1.6", "style": "dashed"},
    CHANGED: {"color": "#b45309", "penwidth": "1.6"},
}
_COLOR = re.compile(r"#[0-9a-fA-F]{6}([0-9a-fA-F]{2})?|[A-Za-z]+")


def _dressed(style: Style, change: str) -> dict[str, str]:
    """Attributes for a change and a user's style; colours that Graphviz does not know are left out."""
    colors = {"fillcolor": style.fill, "color": style.stroke, "fontcolor": style.text}
    found = dict(_CHANGES.get(change, {}))
    found |= {name: color for name, color in colors.items() if _COLOR.fullmatch(color)}
    if style.width:
        found["penwidth"] = f"{style.width:g}"
    if style.dashed:
        found["style"] = "dashed"
    return found


def _words(text: str) -> str:
    """``text`` for a label in Graphviz' HTML, in one line, never empty: an empty one is an error of syntax."""
    return html.escape(_printable(text.replace("\n", " "))) or " "


def _printable(text: str, limit: int = 200) -> str:
    kept = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"
