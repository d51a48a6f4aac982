"""Chains of Bézier curves: cut short for arrowheads, tested for straightness, walked to the middle."""

from __future__ import annotations

import itertools
import math

from torchlens_core.draw.placing.layout import Curve, Point

Segment = tuple[Point, Point, Point, Point]
#: Points this near a straight line are on it.
_FLAT = 0.35


def segments(curve: Curve) -> list[Segment]:
    """The cubic curves of a chain, each with its own four points."""
    return [(curve[at], curve[at + 1], curve[at + 2], curve[at + 3]) for at in range(0, len(curve) - 3, 3)]


def line(start: Point, end: Point) -> Curve:
    """A straight line as a curve."""
    return start, _between(start, end, 1 / 3), _between(start, end, 2 / 3), end


def split(segment: Segment, share: float) -> tuple[Segment, Segment]:
    """Two curves that together are ``segment``, parted at ``share`` of its parameter (de Casteljau)."""
    a, b, c, d = segment
    ab, bc, cd = _between(a, b, share), _between(b, c, share), _between(c, d, share)
    abc, bcd = _between(ab, bc, share), _between(bc, cd, share)
    middle = _between(abc, bcd, share)
    return (a, ab, abc, middle), (middle, bcd, cd, d)


def trimmed(curve: Curve, length: float) -> Curve:
    """``curve`` without its last ``length`` points, of which at most two thirds of the last curve.

    >>> down = (Point(0, 0), Point(0, 10), Point(0, 20), Point(0, 30))
    >>> round(trimmed(down, 6)[-1].y, 1)
    24.0
    """
    last = segments(curve)[-1]
    tip = last[3]
    if last[0].x == last[1].x == last[2].x == tip.x and abs(tip.y - last[0].y) > 3 * length:
        end = Point(tip.x, tip.y - math.copysign(length, tip.y - last[0].y))
        return (*curve[:-3], *line(last[0], end)[1:])
    low, high = 1 / 3, 1.0
    for _ in range(12):  # to 1/6,000 of the curve
        share = (low + high) / 2
        if math.dist(_at(last, share), tip) > length:
            low = share
        else:
            high = share
    return (*curve[:-3], *split(last, low)[0][1:])


def _at(segment: Segment, share: float) -> tuple[float, float]:
    """The point at ``share`` of a curve's parameter (Bernstein)."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = segment
    rest = 1 - share
    a, b, c, d = rest**3, 3 * rest * rest * share, 3 * rest * share * share, share**3
    return a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy


def simplified(curve: Curve) -> list[Point | Segment]:
    """What is drawn after the first point: ends of straight lines, and curves where they bend.

    >>> simplified((Point(0, 0), Point(0, 10), Point(0, 20), Point(0, 30)))
    [Point(x=0, y=30)]
    """
    drawn: list[Point | Segment] = []
    start = curve[0]
    for segment in segments(curve):
        a, b, c, d = segment
        if not (_on_line(b, a, d) and _on_line(c, a, d)):
            drawn.append(segment)
            start = d
            continue
        if drawn and isinstance(drawn[-1], Point) and _on_line(a, start, d):
            drawn[-1] = d
        else:
            start = a
            drawn.append(d)
    return drawn


def middle(curve: Curve) -> Point:
    """The point halfway along the curve, by the lengths of chords."""
    points = flattened(curve, 8)
    lengths = [math.dist(one, other) for one, other in itertools.pairwise(points)]
    left = sum(lengths) / 2
    for number, length in enumerate(lengths):
        if length >= left and length > 0:
            return _between(points[number], points[number + 1], left / length)
        left -= length
    return points[-1]


def flattened(curve: Curve, pieces: int) -> list[Point]:
    """Points on the curve, ``pieces`` for each of its segments and the first."""
    points = [curve[0]]
    for segment in segments(curve):
        points += [split(segment, number / pieces)[0][3] for number in range(1, pieces + 1)]
    return points


def _between(one: Point, other: Point, share: float) -> Point:
    return Point(one.x + (other.x - one.x) * share, one.y + (other.y - one.y) * share)


def _on_line(point: Point, start: Point, end: Point) -> bool:
    """Whether ``point`` lies on the line from ``start`` to ``end``, and between them."""
    dx, dy = end.x - start.x, end.y - start.y
    length = math.hypot(dx, dy)
    if length < _FLAT:
        return math.dist(point, start) < 2 * _FLAT
    along = ((point.x - start.x) * dx + (point.y - start.y) * dy) / length
    across = abs((point.x - start.x) * dy - (point.y - start.y) * dx) / length
    return across <= _FLAT and -_FLAT <= along <= length + _FLAT
