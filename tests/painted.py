"""Sheets to be drawn, with places that need no engine: boxes one below the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from torchlens_core.draw.painting.metrics import box_size, heading_size
from torchlens_core.draw.placing.layout import Layout, Point, Rect
from torchlens_core.draw.sheet import CATEGORIES, Bars, Box, Edge, Frame, Raster, Sheet, frames_of

#: Names that user code may have, and what each has broken somewhere.
HOSTILE = {
    "markup": "</svg><script>alert(1)</script>",
    "attribute": "\" onload='alert(1)' x=\"",
    "cdata": "]]>&amp;&#0;<!--",
    "long": "x" * 10_000,
    "hebrew": "שלום עולם",
    "override": "abc\u202edcba\u202c\u2066x",
    "emoji": "👩‍👩‍👧‍👦🔥",
    "newlines": "a\nb\r\nc\u2028d\x85e",
    "controls": "a\x00b\x1b[31mc\x7f\ufffe\uffff",
    "surrogates": "a\ud800b\udfff",
    "marks": "Z" + "\u0301" * 500,
    "wide": "層" * 200,
    "blank": " \t ",
}


def stacked(sheet: Sheet) -> Layout:
    """A layout with everything in one column."""
    boxes: dict[str, Rect] = {}
    frames: dict[str, Rect] = {}

    def stack(frame: Frame, x: float, y: float) -> Rect:
        width, height = heading_size(frame)
        bottom = y + height + 8
        for one in frame.inside:
            if isinstance(one, Frame):
                rect = stack(one, x + 10, bottom)
            else:
                rect = boxes[one] = Rect(x + 10, bottom, *box_size(sheet.boxes[one]))
            width, bottom = max(width, rect.width + 20), rect.y + rect.height + 20
        frames[frame.key] = Rect(x, y, width, bottom - y)
        return frames[frame.key]

    root = stack(sheet.root, 0.0, 0.0)
    edges = []
    for edge in sheet.edges:
        tail, head = boxes[edge.tail], boxes[edge.head]
        start = Point(tail.x + tail.width / 2, tail.y + tail.height)
        end = Point(head.x + head.width / 2, head.y)
        edges.append((start, Point(start.x, start.y + 5), Point(end.x, end.y - 5), end))
    return Layout(
        engine="stack", width=root.width, height=root.height, boxes=boxes, frames=frames, edges=tuple(edges)
    )


def sheet_of(boxes: list[Box], edges: tuple[Edge, ...] | None = None, **more: Any) -> Sheet:
    """A sheet of boxes in one chain, without frames unless ``root`` is given."""
    keys = [box.key for box in boxes]
    chain = tuple(Edge(tail=tail, head=head) for tail, head in itertools.pairwise(keys))
    fields_given = {"title": "model", "root": Frame(key="", inside=tuple(keys))} | more
    return Sheet(
        boxes={box.key: box for box in boxes}, edges=chain if edges is None else edges, **fields_given
    )


def everything() -> Sheet:
    """A box of every category, an edge of every kind, frames of every kind, changes and images."""
    boxes = [
        Box(
            key=f"b{number}",
            category=category,
            title=f"{category}_op",
            details="3→64 k3",
            badge="1.2K",
            mark="×3" if number % 5 == 0 else ("↻ 4" if number % 7 == 0 else ""),
            shape="1×64×56×56",
            name="conv1",
            tooltip=f"features.{number}\nop_{number}",
        )
        for number, category in enumerate(CATEGORIES)
    ]
    for number, change in enumerate(("added", "removed", "changed", "same")):
        boxes.append(
            Box(key=f"c{number}", category="linear", title="relu → gelu", shape="2", change=change)
        )
    boxes.append(
        Box(key="bars", category="activation", title="relu", shape="2", image=Bars((0.1, 1.0, 0.5, 0.0)))
    )
    raster = Raster(width=4, height=3, levels=bytes(range(0, 240, 20)))
    boxes.append(Box(key="pixels", category="activation", title="relu", image=raster))
    keys = [box.key for box in boxes]
    kinds = ("data", "back", "gradient", "memory")
    edges = tuple(
        Edge(tail=keys[at], head=keys[at + 1], kind=kinds[at % 4], label="label" if at % 3 else "")
        for at in range(len(keys) - 1)
    )
    changed = [replace(edges[number], change=change) for number, change in enumerate(("added", "removed"))]
    far = Edge(tail=keys[0], head=keys[-1])
    inner = Frame(
        key="f1", kind="loop", title="cell", class_name="GRUCell", mark="↻ 4", inside=tuple(keys[2:6])
    )
    middle = Frame(
        key="f2", kind="composite", title="softmax", badge="9", inside=(inner, *keys[6:9]), tooltip="a"
    )
    gone = Frame(key="f3", title="old", class_name="Block", change="removed", inside=tuple(keys[9:12]))
    root = Frame(key="", inside=(*keys[:2], middle, gone, *keys[12:]))
    return sheet_of(
        boxes,
        (*edges, *changed, far),
        root=root,
        subtitle="24 ops · 1.2K params",
        notes=("modules open to depth 2 of 4", "far readers name what they read (↳)"),
    )


def hostile_sheet(text: str) -> Sheet:
    """A sheet with ``text`` wherever there is text."""
    texts = {
        one.name: text
        for one in fields(Box)
        if one.name in "title details badge mark shape name tooltip".split()
    }
    boxes = [
        Box(key=text + str(number), category=category, change=change, **texts)
        for number, (category, change) in enumerate(
            (("linear", ""), (text, ""), ("module", "removed"), ("reference", "added"), ("input", text))
        )
    ]
    frame = Frame(
        key=text,
        kind=text,
        title=text,
        class_name=text,
        badge=text,
        mark=text,
        tooltip=text,
        change=text,
        inside=tuple(box.key for box in boxes[1:]),
    )
    root = Frame(key=text + "root", inside=(boxes[0].key, frame))
    edges = tuple(
        Edge(tail=one.key, head=other.key, label=text, kind=text, change=text)
        for one, other in itertools.pairwise(boxes)
    )
    return sheet_of(boxes, edges, title=text, subtitle=text, notes=(text, text), root=root)


def many(count: int) -> Sheet:
    """A sheet of about ``count`` boxes in equal blocks, as large transformers have them."""
    kinds = [
        ("normalization", "layer_norm"),
        ("linear", "linear"),
        ("shape", "reshape"),
        ("attention", "softmax"),
    ]
    kinds += [("arithmetic", "add"), ("activation", "gelu"), ("dropout", "dropout"), ("shape", "permute")]
    boxes: list[Box] = []
    blocks: list[Frame] = []
    while len(boxes) < count:
        stage = 1 + 4 * len(boxes) // count
        keys = []
        for number in range(40):
            category, title = kinds[number % 8]
            is_linear = category == "linear"
            box = Box(
                key=f"b{len(boxes)}",
                category=category,
                title=title,
                details=f"{96 * stage}→{384 * stage}" if is_linear else "",
                badge=f"{37 * stage}K" if is_linear else "",
                shape=f"1×{64 // stage}×{64 // stage}×{96 * stage}",
                name=("", "0", "norm1", "qkv")[number % 4],
                tooltip=f"features.{stage}.{len(blocks)}.attn\n{title}_{number}_{len(boxes)} · swin.py:369",
            )
            boxes.append(box)
            keys.append(box.key)
        tooltip = f"features.{stage}.{len(blocks)}"
        blocks.append(
            Frame(
                key=f"f{len(blocks)}",
                title=str(len(blocks)),
                class_name="Block",
                inside=tuple(keys),
                tooltip=tooltip,
            )
        )
    edges = [Edge(tail=one.key, head=two.key) for one, two in itertools.pairwise(boxes)]
    edges += [Edge(tail=boxes[at].key, head=boxes[at + 7].key) for at in range(0, len(boxes) - 8, 8)]
    return sheet_of(boxes, tuple(edges), root=Frame(key="", inside=tuple(blocks)))


def all_frames(sheet: Sheet) -> Iterator[Frame]:
    """The root and every frame inside."""
    yield sheet.root
    yield from frames_of(sheet.root)
