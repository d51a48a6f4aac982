"""A sheet and its layout as shapes and text in colours by role: what every kind of file is written from."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

from torchlens_core.draw.painting.bezier import line, middle, simplified, trimmed
from torchlens_core.draw.painting.colors import contrast, rgba
from torchlens_core.draw.painting.metrics import (
    Piece,
    Plan,
    box_plan,
    clean,
    cut,
    heading_plan,
    natural_width,
    width_of,
    wrap,
)
from torchlens_core.draw.painting.shapes import (
    Area,
    Columns,
    Ink,
    Line,
    Painting,
    Part,
    Pixels,
    Plate,
    Stamp,
    Words,
    head_of,
)
from torchlens_core.draw.painting.themes import check_style, tone_of, tone_of_depth
from torchlens_core.draw.placing.layout import Curve, Layout, Point, Rect
from torchlens_core.draw.sheet import (
    ADDED,
    CHANGED,
    PLAIN,
    REMOVED,
    SAME,
    Bars,
    Box,
    Edge,
    Frame,
    Raster,
    Sheet,
    Style,
    frames_of,
)
from torchlens_core.draw.skips import skips_of
from torchlens_core.errors import DrawingError

_MARGIN = 16.0
_TITLE, _SUBTITLE, _NOTE, _LABEL = 18.0, 11.0, 9.0, 8.5
_LEAD = 13.0
#: Headings and notes may be this wide, however narrow the picture.
_LEAST = 320.0


#: Ends of lines are moved by up to so many points to make them upright: further between neighbours.
_LEAN, _LEAN_NEAR, _NEAR = 8.0, 26.0, 60.0


def idents(sheet: Sheet) -> dict[str, str]:
    """The ``id`` that a box's element has in an SVG, by the box's key.

    >>> idents(Sheet(title="", boxes={"relu_1": Box(key="relu_1", category="activation", title="relu")},
    ...              root=Frame(key="")))
    {'relu_1': 'n0'}
    """
    return {key: f"n{number}" for number, key in enumerate(sheet.boxes)}


def painting(sheet: Sheet, layout: Layout) -> Painting:
    """The shapes and the text of a picture, heading and notes included.

    Raises `ArgumentError` for a `Style` that cannot be followed, `DrawingError` for a layout that is not the sheet's.
    """
    _check(sheet, layout)
    content = max(layout.width, 0.0)
    heading, top = _heading(sheet, max(content, _LEAST))
    used = max((words.x + words.width for words in heading), default=0.0)
    notes = [line for note in sheet.notes for line in wrap(note, _NOTE, max(content, _LEAST))]
    used = max(used, *(width_of(line, _NOTE) + _MARGIN for line in notes)) if notes else used
    width = max(content + 2 * _MARGIN, used + _MARGIN)
    shift = Point((width - content) / 2, top)
    bottom = top + layout.height + (_MARGIN if not notes else 12 + _LEAD * len(notes) + 6)
    depths = _depths(sheet.root, 0)
    areas, headings = _frames(sheet, layout, shift, depths)
    lines, labels = _edges(sheet, layout, shift, depths, width)
    ids = idents(sheet)
    around = {
        key: _tooltip(frame.tooltip)
        for frame in frames_of(sheet.root)
        for key in frame.inside
        if isinstance(key, str)
    }
    stamps = [
        replace(_box_stamp(box, layout.boxes[key], shift, ids[key]), around=around.get(key, ""))
        for key, box in sheet.boxes.items()
    ]
    foot = top + layout.height + 12
    notices = [
        _words(line, _MARGIN, foot + _LEAD * (number + 0.7), _NOTE, "@note")
        for number, line in enumerate(notes)
    ]
    return Painting(
        width=_round_up(width),
        height=_round_up(bottom),
        title=clean(sheet.title),
        description=_description(sheet, layout),
        areas=tuple(areas),
        lines=tuple(lines),
        stamps=(*headings, *stamps),
        words=(*labels, *heading, *notices),
    )


def _check(sheet: Sheet, layout: Layout) -> None:
    frames = list(frames_of(sheet.root))
    missing = [key for key in sheet.boxes if key not in layout.boxes]
    missing += [frame.key for frame in frames if frame.key not in layout.frames]
    if missing or len(layout.edges) != len(sheet.edges):
        raise DrawingError(
            f"The layout is not of this sheet: {len(missing)} of its boxes and frames have no place"
            f"{f' (the first is {missing[0][:60]!r})' if missing else ''}, and {len(layout.edges)} curves are there "
            f"for {len(sheet.edges)} edges. Lay the sheet out again."
        )
    for box in sheet.boxes.values():
        if box.style is not PLAIN:
            check_style(box.style, f"box {box.key[:60]!r}")
    for frame in frames:
        if frame.style is not PLAIN:
            check_style(frame.style, f"frame {frame.key[:60]!r}")
    for edge in sheet.edges:
        if edge.style is not PLAIN:
            check_style(edge.style, f"the edge from {edge.tail[:60]!r} to {edge.head[:60]!r}")


def _words(
    text: str, x: float, y: float, size: float, color: str, bold: bool = False, halo: str = ""
) -> Words:
    width = natural_width(text, size, bold)
    return Words(text=text, x=x, y=y, width=width, size=size, color=color, bold=bold, halo=halo)


def _heading(sheet: Sheet, width: float) -> tuple[list[Words], float]:
    """Title and subtitle, on one line where they fit, and where the picture begins below them."""
    title = cut(clean(sheet.title).strip(), _TITLE, width, bold=True)
    words: list[Words] = []
    y, end = _MARGIN, _MARGIN
    if title:
        y += _TITLE
        words.append(_words(title, _MARGIN, y - 3, _TITLE, "@heading", bold=True))
        end += width_of(title, _TITLE, bold=True) + 12
    subtitle = clean(sheet.subtitle).strip()
    if subtitle and title and end + width_of(subtitle, _SUBTITLE) <= width + _MARGIN:
        words.append(_words(subtitle, end, y - 3, _SUBTITLE, "@subtitle"))
    elif subtitle:
        for line in wrap(subtitle, _SUBTITLE, width):
            y += _LEAD + 2
            words.append(_words(line, _MARGIN, y - 3, _SUBTITLE, "@subtitle"))
    return words, y + 14 if words else _MARGIN


def _description(sheet: Sheet, layout: Layout) -> str:
    """What is in the picture, for readers who do not see it, and how it was laid out."""
    counts = f"{len(sheet.boxes)} boxes, {len(sheet.edges)} edges, laid out by {layout.engine}"
    parts = (sheet.subtitle, counts, *sheet.notes, *layout.said)
    return clean("; ".join(part for part in parts if part), 2000)


def _depths(frame: Frame, depth: int) -> dict[str, int]:
    """How many frames with a border are around each."""
    found: dict[str, int] = {}
    for one in frame.inside:
        if isinstance(one, Frame):
            found[one.key] = depth
            found |= _depths(one, depth + 1)
    return found


def _frames(
    sheet: Sheet, layout: Layout, shift: Point, depths: dict[str, int]
) -> tuple[list[Area], list[Stamp]]:
    areas, headings = [], []
    for number, frame in enumerate(frames_of(sheet.root)):
        rect = _moved(layout.frames[frame.key], shift)
        ink = _frame_ink(frame, depths[frame.key])
        plate = Plate(rect=rect, radius=8.0, ink=ink)
        tooltip = _tooltip(frame.tooltip)
        areas.append(Area(ident=f"f{number}", plate=plate, tooltip=tooltip, modules=frame.modules))
        parts = _texts(
            heading_plan(frame), _frame_tone(frame, depths[frame.key]), frame.style, 0.0, ink.fill
        )
        if parts:
            headings.append(Stamp(ident="", x=rect.x, y=rect.y, parts=parts))
    return areas, headings


def _frame_tone(frame: Frame, depth: int) -> str:
    return frame.change if frame.change in (ADDED, REMOVED, CHANGED) else tone_of_depth(depth)


def _frame_ink(frame: Frame, depth: int) -> Ink:
    tone = _frame_tone(frame, depth)
    ink = Ink(fill=f"@{tone}.fill", stroke=f"@{tone}.stroke", width=2.2 if "×" in frame.mark else 1.0)
    if frame.kind == "loop" and not frame.change:
        ink = replace(ink, stroke="@loop", width=1.3, dash="7 3")
    elif frame.kind == "composite":
        ink = replace(ink, stroke="@edge", dash="4 3")
    if frame.change in (ADDED, REMOVED, CHANGED):
        ink = replace(ink, width=1.8, dash="5 3" if frame.change == REMOVED else ink.dash)
    return _styled(ink, frame.style)


def _box_stamp(box: Box, place: Rect, shift: Point, ident: str) -> Stamp:
    look = _look(replace(box, key="", tooltip="", ops=(), modules=()), place.width, place.height)
    return Stamp(
        ident=ident,
        x=place.x + shift.x,
        y=place.y + shift.y,
        parts=look,
        tooltip=_tooltip(box.tooltip),
        ops=box.ops,
        modules=box.modules,
    )


@lru_cache(maxsize=4096)
def _look(box: Box, width: float, height: float) -> tuple[Part, ...]:
    """What is drawn of a box, from its upper left corner: the same for all that look the same."""
    plan = box_plan(box)
    tone = tone_of(box.category, box.change)
    chip = box.category == "reference"
    line = 1.1
    if box.change in (ADDED, REMOVED, CHANGED):
        line = 1.8
    elif box.category == "module":
        line = 1.5
    dash = "5 3" if box.change == REMOVED else ("3 2" if chip else "")
    ink = Ink(fill=f"@{tone}.fill", stroke=f"@{tone}.stroke", width=line, dash=dash)
    ink = _styled(ink, box.style)
    radius = height / 2 if chip else 6.0
    parts: list[Part] = [Plate(rect=Rect(0.0, 0.0, width, height), radius=radius, ink=ink)]
    if "×" in box.mark:  # a pile: the second plate looks out from behind
        parts.insert(0, Plate(rect=Rect(3.0, 3.0, width, height), radius=radius, ink=ink))
    # the layout's box is the plan's; should it be larger, the text is in its middle
    aside = (width - plan.width) / 2
    parts += _texts(plan, tone, box.style, aside)
    if plan.image is not None and box.image is not None:
        parts.append(_picture(box.image, _moved(plan.image, Point(aside, 0.0)), tone))
    return tuple(parts)


def _picture(image: Raster | Bars, rect: Rect, tone: str) -> Part:
    if isinstance(image, Bars):
        return Columns(
            rect=rect, bars=image, ink=Ink(fill="@bars" if tone not in _INVERSE else f"@{tone}.accent")
        )
    return Pixels(rect=rect, raster=image)


#: Boxes that are dark on light paper and light on dark.
_INVERSE = ("input", "output")


def _texts(plan: Plan, tone: str, style: Style, aside: float, halo: str = "") -> tuple[Words, ...]:
    """The text of a box or heading in the colours of its tone, or in those that the user's style asks for."""
    parts = {
        "sign": "text",
        "title": "text",
        "details": "soft",
        "shape": "soft",
        "badge": "accent",
        "name": "accent",
    }
    found = []
    for piece in plan.pieces:
        if style.text or style.fill:
            color = style.text or _readable(style.fill)
        elif piece.role != "mark":
            color = f"@{tone}.{parts[piece.role]}"
        elif tone in _INVERSE or tone == SAME:
            color = f"@{tone}.accent"
        else:
            color = "@repeat" if "×" in piece.text else "@loop"
        found.append(
            Words(
                text=piece.text,
                x=piece.x + aside,
                y=piece.y,
                width=natural_width(piece.text, piece.size, piece.bold),
                size=piece.size,
                color=color,
                bold=piece.bold,
                struck=piece.struck,
                halo=halo,
                room=_room(piece, plan),
            )
        )
    return tuple(found)


def _room(piece: Piece, plan: Plan) -> float:
    """How far the text of ``piece`` may reach: to the next text on its line, or to the border."""
    starts = [other.x - 2 for other in plan.pieces if other.y == piece.y and other.x > piece.x]
    return min(starts, default=plan.width - 4) - piece.x


def _readable(fill: str) -> str:
    """Black or white, whichever is read better on ``fill``; what is see-through has paper behind it, the theme's."""
    if rgba(fill)[3] < 0.5:
        return "@heading"
    return max("#111827", "#ffffff", key=lambda color: contrast(color, fill))


def _styled(ink: Ink, style: Style) -> Ink:
    """``ink`` with what the user wants otherwise."""
    return Ink(
        fill=style.fill or ink.fill,
        stroke=style.stroke or ink.stroke,
        width=float(style.width) or ink.width,
        dash=ink.dash or ("5 3" if style.dashed else ""),
    )


def _edges(
    sheet: Sheet, layout: Layout, shift: Point, depths: dict[str, int], width: float
) -> tuple[list[Line], list[Words]]:
    """Lines, those that pass by many boxes first and so behind the others, and labels beside them."""
    skipping, ids = skips_of(sheet), idents(sheet)
    lines: list[tuple[bool, Line]] = []
    labels: list[Words] = []
    for edge, curve in zip(sheet.edges, layout.edges, strict=True):
        if len(curve) < 4:
            continue
        curve = _upright(
            curve, layout.boxes[edge.tail], layout.boxes[edge.head], sheet.direction == "leftright"
        )
        moved = tuple(Point(point.x + shift.x, point.y + shift.y) for point in curve)
        skips = (edge.tail, edge.head) in skipping
        ink = _edge_ink(edge.kind, edge.change, edge.style, skips)
        tip = head_of(ink)[0].x
        ends = {"tail": ids[edge.tail], "head": ids[edge.head]}
        drawn = Line(curve=trimmed(moved, tip), tip=moved[-1], ink=ink, **ends)
        lines.append((not skips, drawn))
        if edge.label:
            labels.append(_label(edge, moved, ink, _behind(sheet, layout, middle(curve), depths), width))
    lines.sort(key=lambda pair: pair[0])
    return [line for _, line in lines], labels


def _upright(curve: Curve, tail: Rect, head: Rect, is_sideways: bool) -> Curve:
    """``curve``, upright to the middle of its head if it is a line that leans a little.

    Boxes in a row are seldom on one axis exactly.
    """
    if len(simplified(curve)) > 1 or isinstance(simplified(curve)[0][0], Point):
        return curve
    start, end = curve[0], curve[-1]
    lean = _LEAN_NEAR if math.dist(start, end) < _NEAR else _LEAN
    if is_sideways:
        y = head.y + head.height / 2
        fits = tail.y + 4 <= y <= tail.y + tail.height - 4 and max(abs(start.y - y), abs(end.y - y)) <= lean
        upright = line(Point(start.x, y), Point(end.x, y))
    else:
        x = head.x + head.width / 2
        fits = tail.x + 8 <= x <= tail.x + tail.width - 8 and max(abs(start.x - x), abs(end.x - x)) <= lean
        upright = line(Point(x, start.y), Point(x, end.y))
    return upright if fits else curve


@lru_cache(maxsize=4096)
def _edge_ink(kind: str, change: str, style: Style, skips: bool) -> Ink:
    kinds = {
        "back": Ink(stroke="@edge.back", width=1.4),
        "gradient": Ink(stroke="@edge.gradient", width=1.1, dash="5 3"),
        "memory": Ink(stroke="@edge.memory", width=1.2, dash="1.2 2.4"),
    }
    plain = Ink(stroke="@edge.skip", width=1.4) if skips else Ink(stroke="@edge", width=1.1)
    ink = kinds.get(kind, plain)
    if change == SAME:
        ink = replace(ink, stroke="@edge.same", width=1.1)
    elif change in (ADDED, REMOVED, CHANGED):
        dash = "5 3" if change == REMOVED else ink.dash
        ink = replace(ink, stroke=f"@edge.{change}", width=1.8, dash=dash)
    return replace(_styled(ink, style), fill="none")


def _label(edge: Edge, curve: Curve, ink: Ink, halo: str, width: float) -> Words:
    """The label to the right of the middle of its edge, or to the left where the picture ends."""
    text = cut(clean(edge.label).strip(), _LABEL, 120.0)
    place = middle(curve)
    extent = width_of(text, _LABEL)
    x = place.x + 4 if place.x + 4 + extent < width - 4 else max(place.x - 4 - extent, 2.0)
    color = edge.style.text or (ink.stroke if edge.kind == "back" else "@label")
    return _words(text, x, place.y + 3, _LABEL, color, halo=halo)


def _behind(sheet: Sheet, layout: Layout, point: Point, depths: dict[str, int]) -> str:
    """The colour behind ``point``: of the innermost frame around it, or the paper's."""
    found = "@paper"
    for frame in frames_of(sheet.root):  # outer ones come first
        rect = layout.frames[frame.key]
        if rect.x <= point.x <= rect.x + rect.width and rect.y <= point.y <= rect.y + rect.height:
            found = _frame_ink(frame, depths[frame.key]).fill
    return found


def _tooltip(text: str) -> str:
    """Lines of ``text``, each cleaned, for a small window."""
    return "\n".join(clean(line, 200) for line in text[:4000].splitlines()[:12])


def _moved(rect: Rect, by: Point) -> Rect:
    return Rect(rect.x + by.x, rect.y + by.y, rect.width, rect.height)


def _round_up(value: float) -> float:
    return float(-(-value // 1))
