"""What must hold for every layout of every sheet, as functions that list what does not; and sheets to try it on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from torchlens_core.draw.placing.layout import Curve, Layout, Point, Rect
from torchlens_core.draw.sheet import Box, Edge, Frame, Sheet, frames_of, keys_of

#: Points by which rounded coordinates may be off.
SLACK = 0.6
Sizes = Mapping[str, tuple[float, float]]


def faults(sheet: Sheet, layout: Layout, sizes: Sizes, headings: Sizes) -> list[str]:
    """Everything that is wrong with a layout, whatever the engine."""
    return [
        *missing(sheet, layout),
        *resized(layout, sizes),
        *overlapping(layout),
        *escaped(sheet, layout, headings),
        *intruding(sheet, layout),
        *loose(sheet, layout),
        *outside(layout),
    ]


def missing(sheet: Sheet, layout: Layout) -> list[str]:
    """What has no place, or is placed without being there."""
    frames = {frame.key for frame in frames_of(sheet.root)}
    found = [f"box {key}" for key in sorted(set(sheet.boxes) ^ set(layout.boxes))]
    found += [f"frame {key}" for key in sorted(frames ^ set(layout.frames))]
    return found + ([] if len(sheet.edges) == len(layout.edges) else ["edges"])


def resized(layout: Layout, sizes: Sizes) -> list[str]:
    """Boxes of another size than they were to be."""
    return [
        f"box {key} resized"
        for key, (_, _, width, height) in layout.boxes.items()
        if abs(width - sizes[key][0]) > SLACK or abs(height - sizes[key][1]) > SLACK
    ]


def overlapping(layout: Layout) -> list[str]:
    """Pairs of boxes that share a place."""
    pairs = itertools.combinations(sorted(layout.boxes.items(), key=lambda pair: pair[1].y), 2)
    return [f"boxes {one} and {two} overlap" for (one, a), (two, b) in pairs if overlap(a, b)]


def escaped(sheet: Sheet, layout: Layout, headings: Sizes) -> list[str]:
    """Boxes and frames that their frame does not hold, or that stand in its heading."""
    found = []
    for frame in frames_of(sheet.root):
        rect, (width, height) = layout.frames[frame.key], headings[frame.key]
        if rect.width < width:
            found.append(f"frame {frame.key} is narrower than its heading")
        room = Rect(rect.x, rect.y + height, rect.width, rect.height - height)
        inner = [one.key if isinstance(one, Frame) else one for one in frame.inside]
        for key in inner:
            part = layout.boxes[key] if key in layout.boxes else layout.frames[key]
            if not holds(room, part):
                found.append(f"{key} escapes {frame.key}")
    return found


def intruding(sheet: Sheet, layout: Layout) -> list[str]:
    """Frames that share a place with a box or frame that is neither in them nor around them."""
    found = []
    frames = {frame.key: frame for frame in frames_of(sheet.root)}
    inside = {
        key: {*keys_of(frame), *(inner.key for inner in frames_of(frame))} for key, frame in frames.items()
    }
    for key in frames:
        for other, rect in itertools.chain(layout.boxes.items(), layout.frames.items()):
            related = other == key or other in inside[key] or key in inside.get(other, ())
            if not related and overlap(layout.frames[key], rect):
                found.append(f"{other} intrudes into {key}")
    return found


def loose(sheet: Sheet, layout: Layout) -> list[str]:
    """Edges whose ends are not on the borders of their boxes, or that are no chain of curves."""
    found = []
    for edge, curve in zip(sheet.edges, layout.edges, strict=True):
        if len(curve) < 4 or len(curve) % 3 != 1:
            found.append(f"{edge.tail} to {edge.head} is no chain of curves")
        elif not on_border(curve[0], layout.boxes[edge.tail]):
            found.append(f"{edge.tail} to {edge.head} does not begin at its tail")
        elif not on_border(curve[-1], layout.boxes[edge.head]):
            found.append(f"{edge.tail} to {edge.head} does not end at its head")
    return found


def outside(layout: Layout) -> list[str]:
    """What lies outside the picture."""
    page = Rect(0.0, 0.0, layout.width, layout.height)
    rects = itertools.chain(layout.boxes.items(), layout.frames.items())
    found = [f"{key} lies outside" for key, rect in rects if not holds(page, rect)]
    return found + [
        f"edge {number} lies outside"
        for number, curve in enumerate(layout.edges)
        if not all(holds(page, Rect(x, y, 0.0, 0.0)) for x, y in samples(curve))
    ]


def crossed(sheet: Sheet, layout: Layout) -> list[str]:
    """Edges that run through boxes, their own ones too."""
    found = []
    for edge, curve in zip(sheet.edges, layout.edges, strict=True):
        points = list(samples(curve))
        left, right = min(x for x, _ in points), max(x for x, _ in points)
        top, bottom = min(y for _, y in points), max(y for _, y in points)
        hull = Rect(left - 2, top - 2, right - left + 4, bottom - top + 4)
        found += [
            f"{edge.tail} to {edge.head} runs through {key}"
            for key, rect in layout.boxes.items()
            if overlap(hull, rect) and any(is_within(point, rect) for point in points)
        ]
    return found


def against(sheet: Sheet, layout: Layout) -> list[str]:
    """Edges of data whose head does not come after their tail, in the direction of the sheet."""
    found = []
    for edge in sheet.edges:
        tail, head = layout.boxes[edge.tail], layout.boxes[edge.head]
        way = {
            "topdown": head.y - tail.y - tail.height,
            "bottomup": tail.y - head.y - head.height,
            "leftright": head.x - tail.x - tail.width,
        }[sheet.direction]
        if edge.kind != "back" and way < 0:
            found.append(f"{edge.tail} to {edge.head} goes against the direction")
    return found


def overlap(one: Rect, two: Rect) -> bool:
    return (
        one.x + SLACK < two.x + two.width
        and two.x + SLACK < one.x + one.width
        and one.y + SLACK < two.y + two.height
        and two.y + SLACK < one.y + one.height
    )


def holds(outer: Rect, inner: Rect) -> bool:
    return (
        outer.x - SLACK <= inner.x
        and outer.y - SLACK <= inner.y
        and inner.x + inner.width <= outer.x + outer.width + SLACK
        and inner.y + inner.height <= outer.y + outer.height + SLACK
    )


def is_within(point: Point, rect: Rect) -> bool:
    return (
        rect.x + SLACK < point.x < rect.x + rect.width - SLACK
        and rect.y + SLACK < point.y < rect.y + rect.height - SLACK
    )


def on_border(point: Point, rect: Rect) -> bool:
    return holds(rect, Rect(point.x, point.y, 0.0, 0.0)) and not is_within(point, rect)


def samples(curve: Curve, count: int = 16) -> Iterator[Point]:
    """Points of a curve, ends included."""
    for at in range(0, len(curve) - 3, 3):
        a, b, c, d = curve[at : at + 4]
        for step in range(count + 1):
            t = step / count
            u = 1 - t
            weights = (u**3, 3 * u * u * t, 3 * u * t * t, t**3)
            yield Point(
                sum(w * p.x for w, p in zip(weights, (a, b, c, d), strict=True)),
                sum(w * p.y for w, p in zip(weights, (a, b, c, d), strict=True)),
            )


@dataclass
class Draft:
    """A sheet in the making: boxes and frames are added in the order of the pass."""

    direction: str = "topdown"
    boxes: dict[str, Box] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    open: list[tuple[str, list[str | Frame]]] = field(default_factory=lambda: [("", [])])

    def box(self, title: str, *tails: str) -> str:
        key = f"b{len(self.boxes)}"
        self.boxes[key] = Box(key=key, category="other", title=title)
        self.open[-1][1].append(key)
        self.edges += [Edge(tail=tail, head=key) for tail in tails]
        return key

    def chain(self, titles: str, tail: str) -> str:
        for title in titles.split():
            tail = self.box(title, tail)
        return tail

    def begin(self, title: str) -> None:
        self.open.append((title, []))

    def end(self) -> None:
        title, inside = self.open.pop()
        around = self.open[-1][1]
        key = f"f{len(self.boxes)}.{len(self.open)}.{len(around)}"
        around.append(Frame(key=key, title=title, inside=tuple(inside)))

    def sheet(self) -> Sheet:
        root = Frame(key="root", inside=tuple(self.open[0][1]))
        return Sheet(
            title="a sheet",
            boxes=self.boxes,
            root=root,
            edges=tuple(self.edges),
            direction=self.direction,
        )


def sizes_for(sheet: Sheet) -> tuple[Sizes, Sizes]:
    """Sizes of boxes and headings, as measured text would give."""
    sizes = {key: (40 + 6.0 * len(box.title), 32.0) for key, box in sheet.boxes.items()}
    return sizes, {frame.key: (20 + 6.0 * len(frame.title), 16.0) for frame in frames_of(sheet.root)}


def residual(blocks: int = 2, direction: str = "topdown") -> Sheet:
    """Blocks in two frames each with a skip connection; the second has a frame on it."""
    draft = Draft(direction)
    tail = draft.chain("conv2d batch_norm relu max_pool2d", draft.box("input"))
    for number in range(blocks):
        draft.begin(f"layer{number} Sequential")
        draft.begin("0 BasicBlock")
        skip = tail
        tail = draft.chain("conv2d batch_norm relu conv2d batch_norm", tail)
        if number:
            draft.begin("downsample Sequential")
            skip = draft.chain("conv2d batch_norm", skip)
            draft.end()
        tail = draft.chain("relu", draft.box("add", tail, skip))
        draft.end()
        draft.end()
    draft.chain("flatten linear output", tail)
    return draft.sheet()


def recurrent() -> Sheet:
    """A loop with two back edges, an edge twice and one to its own box."""
    draft = Draft()
    tail, state = draft.box("input"), draft.box("zeros")
    draft.begin("loop")
    hidden = draft.box("linear", state)
    gate = draft.box("add", draft.box("linear", tail), hidden)
    cell = draft.box("mul", draft.box("sigmoid", gate), draft.box("tanh", gate))
    last = draft.box("mul", draft.box("tanh", cell), draft.box("sigmoid", gate))
    draft.end()
    draft.edges += [
        Edge(tail=last, head=hidden, kind="back"),
        Edge(tail=cell, head=gate, kind="back"),
        Edge(tail=gate, head=gate, kind="back"),
    ]
    draft.box("output", draft.box("mul", last, last))
    return draft.sheet()


def skipping(count: int, every: int = 5) -> Sheet:
    """A chain with an edge over ``every`` boxes."""
    draft = Draft()
    keys = [draft.box("input")]
    for number in range(count):
        keys.append(draft.box("op" + "x" * (number % 7), keys[-1]))
        if number % every == every - 1:
            draft.edges.append(Edge(tail=keys[-1 - every], head=keys[-1]))
    return draft.sheet()


def nested(stages: int, blocks: int) -> Sheet:
    """Stages of blocks with frames inside, four deep, with branches, sources and skip connections."""
    draft = Draft()
    tail = draft.box("input")
    draft.begin("features")
    for stage, block in itertools.product(range(stages), range(blocks)):
        if block == 0:
            draft.begin(f"stage {stage}")
        draft.begin(f"block {block}")
        skip = tail
        draft.begin("attention")
        tail = draft.chain("pad roll view permute reshape linear reshape permute", tail)
        query, key, value = (draft.box("getitem", tail) for _ in range(3))
        bias = draft.chain("linear relu linear sigmoid", draft.box("getitem"))
        mask = draft.chain("setitem " * 8, draft.box("zeros"))
        scores = draft.box("matmul", draft.box("normalize", query), draft.chain("normalize transpose", key))
        scores = draft.box("add", draft.box("add", scores, bias), mask)
        tail = draft.box("matmul", draft.chain("view softmax dropout", scores), value)
        tail = draft.chain("transpose reshape linear dropout view permute reshape roll", tail)
        draft.end()
        tail = skip = draft.box("add", draft.chain("layer_norm", tail), skip)
        draft.begin("mlp")
        tail = draft.chain("linear gelu dropout linear dropout", tail)
        draft.end()
        tail = draft.box("add", draft.chain("layer_norm", tail), skip)
        draft.end()
        if block == blocks - 1:
            draft.end()
    draft.end()
    draft.box("output", tail)
    return draft.sheet()


@st.composite
def sheets(draw: st.DrawFn, most: int = 14) -> tuple[Sheet, Sizes, Sizes]:
    """Any sheet: frames in frames, empty ones, edges of all kinds from anywhere to anywhere; with sizes."""
    draft = Draft(draw(st.sampled_from(["topdown", "bottomup", "leftright"])))
    for step in draw(st.lists(st.sampled_from(["box", "box", "box", "begin", "end"]), max_size=2 * most)):
        if step == "box":
            draft.box("op")
        elif step == "begin" and len(draft.open) < 5:
            draft.begin("frame")
        elif step == "end" and len(draft.open) > 1:
            draft.end()
    while len(draft.open) > 1:
        draft.end()
    keys = list(draft.boxes)
    if keys:
        pairs = st.tuples(st.integers(0, len(keys) - 1), st.integers(0, len(keys) - 1))
        kinds = st.sampled_from(["data", "data", "data", "gradient", "back"])
        for (one, two), kind in draw(st.lists(st.tuples(pairs, kinds), max_size=2 * most)):
            ends = sorted((one, two), reverse=kind == "back")
            kind = "back" if one == two else kind
            draft.edges.append(Edge(tail=keys[ends[0]], head=keys[ends[1]], kind=kind))
    sheet = draft.sheet()
    extents = st.tuples(st.integers(8, 200).map(float), st.integers(8, 80).map(float))
    sizes = {key: draw(extents) for key in keys}
    widths = st.tuples(st.integers(0, 200).map(float), st.integers(0, 30).map(float))
    return sheet, sizes, {frame.key: draw(widths) for frame in frames_of(sheet.root)}


def moved(rect: Rect, x: float, y: float) -> Rect:
    return Rect(rect.x + x, rect.y + y, rect.width, rect.height)


def directions() -> Sequence[str]:
    return ("topdown", "bottomup", "leftright")
