"""A history as DOT source."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from torchlens_core.draw.boxes import Box, Boxes, Frame, boxes_of, count_boxes
from torchlens_core.errors import DrawingError
from torchlens_core.history import ModelHistory

try:
    import graphviz
except ImportError:  # the extra `pictures` is not installed
    graphviz = None

_FILLS = {
    "input": "#1f2937",
    "output": "#1f2937",
    "buffer": "#e5e7eb",
    "constant": "#e5e7eb",
    "escape": "#fde68a",
    "module": "#e8eaf0",
}
#: A pastel colour a family of functions, told by parts of their names.
_FAMILIES = (
    (("conv",), "#dbeafe"),
    (("linear", "matmul", "mm", "einsum", "addmm"), "#e4dffc"),
    (("norm",), "#dcf5ec"),
    (("relu", "gelu", "silu", "sigmoid", "tanh", "softmax", "hardswish", "elu", "mish"), "#fdebd8"),
    (("pool", "interpolate", "upsample"), "#fbe0ee"),
    (("attention", "lstm", "gru", "rnn"), "#fce1e1"),
    (("dropout",), "#f3f4f6"),
)
_RANKDIR = {"bottomup": "BT", "topdown": "TB", "leftright": "LR"}
#: Boxes up to which modules are drawn open by `depth_for`.
BOX_BUDGET = 90


@dataclass(frozen=True, slots=True)
class Picture:
    """DOT source of a history, with what it shows."""

    source: str
    boxes: int
    arrows: int
    depth: int


def dot_source(
    history: ModelHistory,
    *,
    rolled: bool = True,
    depth: int = 1000,
    buffers: bool = False,
    direction: str = "topdown",
) -> Picture:
    """The graph of ``history`` in DOT: a node a layer (``rolled``) or a pass, modules open to ``depth`` levels.

    Raises `DrawingError` if the ``graphviz`` package is missing.
    """
    if graphviz is None:
        raise DrawingError(
            "Pictures need the graphviz package, which is not installed. "
            "Install the extra: pip install 'pytest-torchlens[pictures]'."
        )
    content = boxes_of(history, rolled=rolled, depth=depth, buffers=buffers)
    graph = graphviz.Digraph(
        graph_attr={
            "rankdir": _RANKDIR[direction],
            "bgcolor": "white",
            "fontname": "Helvetica",
            "fontsize": "12",
            "nodesep": "0.2",
            "ranksep": "0.25",
            "label": _heading(history, content),
            "labelloc": "t",
            "nslimit": "2",
        },
        node_attr={"shape": "box", "style": "rounded,filled", "fontname": "Helvetica", "fontsize": "10"},
        edge_attr={"color": "#6b7280", "arrowsize": "0.5", "penwidth": "0.8"},
    )
    names = {key: f"n{number}" for number, key in enumerate(content.boxes)}
    _add_frame(graph, content, content.root, names, "0")
    for tail, head in content.arrows:
        graph.edge(names[tail], names[head])
    return Picture(graph.source, len(content.boxes), len(content.arrows), depth)


def depth_for(history: ModelHistory, rolled: bool = True) -> int:
    """The greatest depth at which a picture keeps within `BOX_BUDGET` boxes, at least 1."""
    deepest = max((len(history.calls_around(node)) for node in history.recording.nodes), default=0) + 1
    for depth in range(deepest, 1, -1):
        if count_boxes(history, depth, rolled) <= BOX_BUDGET:
            return depth
    return 1


def _heading(history: ModelHistory, content: Boxes) -> str:
    text = f"{history.model_name}   {len(history.ops)} ops   {history.total_params:,} params"
    return f"<<B>{_escaped(text)}</B>>"


def _add_frame(graph: Any, content: Boxes, frame: Frame, names: dict[str, str], path: str) -> None:
    for key in frame.boxes:
        box = content.boxes[key]
        graph.node(
            names[key],
            label=_label(box),
            fillcolor=_fill(box),
            color="#1f2937" if box.kind == "module" else "#9ca3af",
            fontcolor="white" if box.kind in ("input", "output") else "#111827",
            tooltip=_plain(box.tooltip),
        )
    for number, inner in enumerate(frame.frames.values()):
        name = f"{path}_{number}"
        with graph.subgraph(name=f"cluster_{name}") as cluster:
            cluster.attr(
                label=f"<{_escaped(inner.title)}>",
                labeljust="l",
                style="rounded,filled",
                fillcolor="#f8f9fb" if path.count("_") % 2 else "#eef0f4",
                color="#c3c8d1",
                fontsize="10",
                tooltip=_plain(inner.title),
            )
            _add_frame(cluster, content, inner, names, name)


def _label(box: Box) -> str:
    passes = f'  <FONT COLOR="#b91c1c"><B>x{box.passes}</B></FONT>' if box.passes > 1 else ""
    size = f'  <FONT COLOR="#4b5563">{_short_count(box.parameters)}</FONT>' if box.parameters else ""
    second = f'<BR/><FONT POINT-SIZE="9">{_escaped(box.detail)}</FONT>' if box.detail else ""
    return f"<<B>{_escaped(box.title)}</B>{size}{passes}{second}>"


def _fill(box: Box) -> str:
    if box.kind in _FILLS:
        return _FILLS[box.kind]
    families = (color for words, color in _FAMILIES if any(word in box.title for word in words))
    return next(families, "#ffffff")


def _short_count(count: int) -> str:
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "K")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)


def _plain(text: str, limit: int = 200) -> str:
    """``text`` without control characters, cut."""
    kept = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def _escaped(text: str) -> str:
    return html.escape(_plain(text.replace("\n", " "), 60)) or " "
