"""Pictures as thumbnails: boxes as blocks of colour, the tall picture cut into columns side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torchlens_core.draw.painting.bezier import flattened
from torchlens_core.draw.painting.metrics import clean
from torchlens_core.draw.painting.themes import Theme, themes_of, tone_of
from torchlens_core.draw.placing.layout import Layout, Point, Rect
from torchlens_core.draw.sheet import ADDED, CHANGED, REMOVED, SAME, Box, Sheet
from torchlens_core.errors import ArgumentError

_MARGIN, _GAP = 8.0, 10.0
_MOST_COLUMNS = 16
#: Blocks and lines that are written; of larger sheets, every so many.
_BLOCKS, _EDGES = 480, 160
#: Up to so many blocks have round corners; more are strokes as wide as the blocks are high, half as long a text.
_ROUND = 220
#: The share of boxes at each side that do not make a column wider: they stand at its border.
_ASIDE = 0.03
#: Kinds of boxes that say little about what a model is; they share one colour.
_PLAIN = ("arithmetic", "shape", "other", "reduction", "constant", "buffer", "dropout", "reference", "same")
_PALE = {"light": "#c6cdd7", "dark": "#4a5463"}
_LINE = {"light": "#b9c1cc", "dark": "#4d5766"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """How a picture is cut: columns of ``height`` points, drawn ``scale`` times as large."""

    columns: int
    height: float
    scale: float
    #: What of the layout a column shows, from left to right.
    start: float
    width: float
    left: float
    top: float

    def place(self, point: Point, column: int) -> Point:
        """Where a point of the layout is in the thumbnail, drawn in that column."""
        inside = min(max(point.x - self.start, 0.0), self.width)
        x = self.left + column * (self.width * self.scale + _GAP) + inside * self.scale
        return Point(x, self.top + (point.y - column * self.height) * self.scale)

    def column(self, y: float) -> int:
        """The column that shows height ``y`` of the layout."""
        return min(max(int(y // self.height), 0), self.columns - 1)


def silhouette(
    sheet: Sheet, layout: Layout, *, width: int = 320, height: int = 200, theme: str = "light"
) -> str:
    """A thumbnail of the picture as an SVG document of a few kilobytes, without text.

    Raises `ArgumentError` for an unknown theme or a size that leaves no room.
    """
    themes = themes_of(theme)
    if min(width, height) < 4 * _MARGIN:
        raise ArgumentError(
            f"A silhouette of {width} × {height} points: expected at least {4 * _MARGIN:g} each way."
        )
    cut = _cut(layout, width - 2 * _MARGIN, height - 2 * _MARGIN)
    groups = _blocks(sheet, layout, cut)
    lines = _lines(layout, cut)
    names = {tone: chr(97 + number) for number, tone in enumerate(groups)}
    rules = [_rules(names, one) for one in themes]
    style = rules[0] + (f"@media (prefers-color-scheme:dark){{{rules[1]}}}" if len(rules) > 1 else "")
    is_round = len(sheet.boxes) <= _ROUND
    shapes = "".join(_paths(names[tone], blocks, is_round) for tone, blocks in groups.items())
    title = clean(sheet.title).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img"><title>{title}</title><style>{style}</style>'
        f'<path class="P" d="M0 0h{width}v{height}H0z"/><path class="E" d="{lines}"/>{shapes}</svg>\n'
    )


def _cut(layout: Layout, width: float, height: float) -> _Cut:
    """The number of columns that shows the picture largest."""
    start, stop = _extent(layout)
    full, tall = max(stop - start, 1.0), max(layout.height, 1.0)
    best: tuple[float, int] = (0.0, 1)
    for columns in range(1, _MOST_COLUMNS + 1):
        room = (width - _GAP * (columns - 1)) / columns
        best = max(best, (min(room / full, height * columns / tall, 0.62), -columns))
    columns = -best[1] if best[1] < 0 else 1
    scale = best[0]
    used = columns * full * scale + (columns - 1) * _GAP
    part = tall / columns
    return _Cut(
        columns=columns,
        height=part,
        scale=scale,
        start=start,
        width=full,
        left=_MARGIN + (width - used) / 2,
        top=_MARGIN + (height - part * scale) / 2,
    )


def _extent(layout: Layout) -> tuple[float, float]:
    """From where to where columns reach, a few boxes at the sides of large pictures left out."""
    lefts = sorted(rect.x for rect in layout.boxes.values())
    rights = sorted(rect.x + rect.width for rect in layout.boxes.values())
    if len(lefts) <= _ROUND:
        return 0.0, max(layout.width, 1.0)
    aside = int(len(lefts) * _ASIDE)
    return lefts[aside], rights[-1 - aside]


def _tone(box: Box) -> str:
    tone = tone_of(box.category, box.change)
    return "plain" if tone in _PLAIN else ("input" if tone == "output" else tone)


def _blocks(sheet: Sheet, layout: Layout, cut: _Cut) -> dict[str, list[Rect]]:
    """Blocks at their places, by tone."""
    every = max(-(-len(sheet.boxes) // _BLOCKS), 1)
    found: dict[str, list[Rect]] = {}
    for number, (key, box) in enumerate(sheet.boxes.items()):
        if number % every and box.category not in ("input", "output"):
            continue
        rect = layout.boxes[key]
        column = cut.column(rect.y + rect.height / 2)
        corner = cut.place(Point(rect.x, rect.y), column)
        width = max(rect.width * cut.scale, 3.0 if every == 1 else 5.0)
        block = Rect(
            corner.x,
            corner.y,
            width,
            max(rect.height * cut.scale * min(every, 2), 1.2 if every == 1 else 1.8),
        )
        found.setdefault(_tone(box), []).append(block)
    return dict(sorted(found.items()))


def _paths(name: str, blocks: Sequence[Rect], is_round: bool) -> str:
    """The blocks of one tone as paths, with relative coordinates."""
    heights: dict[float, list[Rect]] = {}
    for block in blocks:
        heights.setdefault(round(block.height, 1), []).append(block)
    paths = ""
    for height, group in heights.items():
        rim = min(height / 4, 3.0) if is_round else height
        data, x, y = "", 0.0, 0.0
        for block in group:
            # the stroke is part of the block: inside it, half its width from the border
            left = round(block.x + (rim / 2 if is_round else 0), 1)
            top = round(block.y + rim / 2, 1)
            data += f"m{left - x:.1f} {top - y:.1f}"
            x, y = left, top
            across = round(block.width - (rim if is_round else 0), 1)
            data += f"h{across:g}"
            if is_round:
                data += f"v{height - rim:.1f}h-{across:g}z"
            else:
                x = round(x + across, 1)
        data = data.replace(".0", "").replace(" -", "-")
        paths += f'<path class="{name}" stroke-width="{rim:.1f}" d="{data}"/>'
    return paths


def _lines(layout: Layout, cut: _Cut) -> str:
    """Path data of edges as straight pieces; what passes from a column to the next is left out."""
    most = _EDGES if len(layout.boxes) <= _ROUND else _EDGES // 3
    every = max(-(-len(layout.edges) // most), 1)
    data = ""
    for curve in layout.edges[::every]:
        if len(curve) < 4:
            continue
        column = cut.column((curve[0].y + curve[-1].y) / 2)
        bounds = (column * cut.height - 40, (column + 1) * cut.height + 40)
        points = [point for point in flattened(curve, 2) if bounds[0] <= point.y <= bounds[1]]
        placed = [cut.place(point, column) for point in points]
        if len(placed) > 1:
            data += "M" + "L".join(f"{point.x:.0f} {point.y:.0f}" for point in _thinned(placed))
    return data


def _thinned(points: list[Point]) -> list[Point]:
    """``points`` without those within two points of the last kept one."""
    kept = [points[0]]
    for point in points[1:-1]:
        if math.dist(point, kept[-1]) > 6:
            kept.append(point)
    return [*kept, points[-1]]


def _rules(names: dict[str, str], theme: Theme) -> str:
    rules = f".P{{fill:{theme.paper}}}.E{{fill:none;stroke:{_LINE[theme.name]};stroke-width:.8}}"
    for tone, name in names.items():
        if tone == "plain":
            color = _PALE[theme.name]
        elif tone in ("input", ADDED, REMOVED, CHANGED, SAME):
            color = theme.tones[tone].fill if tone == "input" else theme.tones[tone].stroke
        else:
            color = theme.tones[tone].stroke
        rules += f".{name}{{fill:{color};stroke:{color};stroke-linejoin:round}}"
    return rules
