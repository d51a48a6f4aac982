"""Arrows as strokes of ours, for kinds of files whose fonts may lack them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from torchlens_core.draw.painting.metrics import natural_width
from torchlens_core.draw.painting.shapes import Words
from torchlens_core.draw.placing.layout import Point

Polyline = tuple[Point, ...]


def _line(*numbers: float) -> Polyline:
    return tuple(Point(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True))


def _turned() -> tuple[Polyline, ...]:
    """Three quarters of a circle, clockwise, that end in an arrowhead."""
    angles = [math.radians(45 - number * 18) for number in range(17)]
    circle = tuple(Point(0.45 + 0.31 * math.cos(angle), 0.34 + 0.31 * math.sin(angle)) for angle in angles)
    return circle, _line(0.24, 0.63, 0.47, 0.66, 0.36, 0.45)


#: Strokes by character, in em to the right of its left end and up from the baseline.
STROKES: dict[str, tuple[Polyline, ...]] = {
    "→": (_line(0.08, 0.29, 0.9, 0.29), _line(0.67, 0.48, 0.9, 0.29, 0.67, 0.1)),
    "←": (_line(0.08, 0.29, 0.9, 0.29), _line(0.31, 0.48, 0.08, 0.29, 0.31, 0.1)),
    "↑": (_line(0.3, 0.0, 0.3, 0.68), _line(0.1, 0.46, 0.3, 0.68, 0.5, 0.46)),
    "↓": (_line(0.3, 0.0, 0.3, 0.68), _line(0.1, 0.22, 0.3, 0.0, 0.5, 0.22)),
    "↳": (_line(0.2, 0.68, 0.2, 0.25, 0.76, 0.25), _line(0.57, 0.43, 0.76, 0.25, 0.57, 0.07)),
    "↻": _turned(),
}
DRAWN = frozenset(STROKES)


def stroke_width(words: Words) -> float:
    """The width of a glyph's strokes in points, as heavy as the letters beside it."""
    return words.size * (0.115 if words.bold else 0.075)


def runs_of(words: Words) -> Iterator[Words]:
    """``words`` cut into runs that have a font, and single characters that are drawn."""
    x = words.x
    for drawn, group in groupby(words.text, DRAWN.__contains__):
        for text in group if drawn else ("".join(group),):
            width = natural_width(text, words.size, words.bold)
            shown = text.strip()  # SVG drops space at the ends of a text
            if shown:
                left = natural_width(text[: len(text) - len(text.lstrip())], words.size, words.bold)
                inner = natural_width(shown, words.size, words.bold)
                yield replace(words, text=shown, x=x + left, width=inner)
            x += width


def placed_strokes(words: Words) -> list[Polyline]:
    """The strokes of one drawn character at its place on the page, y downwards."""
    return [
        tuple(Point(words.x + point.x * words.size, words.y - point.y * words.size) for point in line)
        for line in STROKES[words.text]
    ]
