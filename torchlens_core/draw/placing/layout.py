"""Where things stand: what a layout engine returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Point(NamedTuple):
    """In points (1/72 inch) from the left and from the top."""

    x: float
    y: float


class Rect(NamedTuple):
    """A rectangle by its upper left corner, in points."""

    x: float
    y: float
    width: float
    height: float


#: A chain of cubic Bézier curves, 1 + 3n points, from the border of the tail's box to that of the head's.
Curve = tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Places for everything on a `Sheet`; the heading of the whole picture is not part of it."""

    #: ``pygraphviz``, ``dot`` or ``ranks``.
    engine: str
    width: float
    height: float
    #: By the keys of boxes.
    boxes: Mapping[str, Rect]
    #: By the keys of frames; each holds its heading and what is inside with room around it.
    frames: Mapping[str, Rect]
    #: For each edge of the sheet, in its order.
    edges: tuple[Curve, ...]
    #: What engines that were tried before said: ``pygraphviz: no layout within 20 s``.
    said: tuple[str, ...] = ()
    #: Whether one of them was stopped, for it took too long.
    is_late: bool = False
