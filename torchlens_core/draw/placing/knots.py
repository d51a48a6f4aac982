"""Geometry that all engines share: curves through knots, ends on borders, everything from the origin on."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from torchlens_core.draw.placing.layout import Curve, Layout, Point, Rect

#: Widths and heights in points, by the keys of boxes or frames.
Sizes = Mapping[str, tuple[float, float]]

#: Of the way to the next knot, along a knot's direction, how much is the handle of the curve there.
_REACH = 0.5
#: Points up to which two places are one.
_SAME = 1e-6


class Knot(NamedTuple):
    """A point that a curve passes, and the direction in which it does, as a vector of length 1."""

    x: float
    y: float
    dx: float
    dy: float


def extend(knots: list[Knot], more: Iterable[Knot]) -> None:
    """Add knots at the end, but for those that a straight line passes anyway.

    >>> knots = [Knot(0, 0, 0, 1)]
    >>> extend(knots, [Knot(0, 5, 0, 1), Knot(0, 9, 0, 1)])
    >>> knots
    [Knot(x=0, y=0, dx=0, dy=1), Knot(x=0, y=9, dx=0, dy=1)]
    """
    for knot in more:
        if knots and abs(knots[-1].x - knot.x) < _SAME and abs(knots[-1].y - knot.y) < _SAME:
            continue
        if len(knots) > 1 and _passes(knots[-2], knots[-1]) and _passes(knots[-1], knot):
            knots.pop()
        knots.append(knot)


def _passes(one: Knot, two: Knot) -> bool:
    """Whether it is a straight way down or up from one to the other."""
    return one.dx == two.dx == 0.0 and one.dy == two.dy and abs(one.x - two.x) < _SAME


def curve_through(knots: Sequence[Knot]) -> Curve:
    """The smooth curve through all knots: 1 + 3n points.

    >>> curve_through([Knot(0, 0, 0, 1), Knot(8, 40, 0, 1)])
    (Point(x=0, y=0), Point(x=0.0, y=20.0), Point(x=8.0, y=20.0), Point(x=8, y=40))
    """
    points = [Point(knots[0].x, knots[0].y)]
    for one, two in itertools.pairwise(knots):
        first = abs((two.x - one.x) * one.dx + (two.y - one.y) * one.dy) * _REACH
        second = abs((two.x - one.x) * two.dx + (two.y - one.y) * two.dy) * _REACH
        points += [
            Point(one.x + one.dx * first, one.y + one.dy * first),
            Point(two.x - two.dx * second, two.y - two.dy * second),
            Point(two.x, two.y),
        ]
    return tuple(points)


def snapped(point: Point, rect: Rect) -> Point:
    """The point of the rectangle's border that is nearest to ``point``.

    >>> snapped(Point(5, 9.6), Rect(0, 0, 20, 10))
    Point(x=5, y=10)
    """
    right, bottom = rect.x + rect.width, rect.y + rect.height
    x, y = min(max(point.x, rect.x), right), min(max(point.y, rect.y), bottom)
    sides = {
        Point(x, rect.y): y - rect.y,
        Point(x, bottom): bottom - y,
        Point(rect.x, y): x - rect.x,
        Point(right, y): right - x,
    }
    return min(sides, key=sides.__getitem__)


def from_origin(layout: Layout) -> Layout:
    """``layout`` moved so that nothing of it lies left of or above the origin, with its width and height set."""
    left, top, right, bottom = _extent([*layout.boxes.values(), *layout.frames.values()], layout.edges)
    return replace(
        layout,
        width=right - left,
        height=bottom - top,
        boxes={key: _moved(rect, left, top) for key, rect in layout.boxes.items()},
        frames={key: _moved(rect, left, top) for key, rect in layout.frames.items()},
        edges=tuple(tuple(Point(x - left, y - top) for x, y in curve) for curve in layout.edges),
    )


def _moved(rect: Rect, left: float, top: float) -> Rect:
    return Rect(rect.x - left, rect.y - top, rect.width, rect.height)


def _extent(rects: Iterable[Rect], curves: Iterable[Curve]) -> tuple[float, float, float, float]:
    xs: list[float] = []
    ys: list[float] = []
    for x, y, width, height in rects:
        xs += (x, x + width)
        ys += (y, y + height)
    for curve in curves:  # a curve lies within the hull of its points
        xs += [x for x, _ in curve]
        ys += [y for _, y in curve]
    return (min(xs), min(ys), max(xs), max(ys)) if xs else (0.0, 0.0, 0.0, 0.0)
