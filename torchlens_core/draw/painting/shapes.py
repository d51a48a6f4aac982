"""What painters draw: shapes and text at their places, in colours by role."""

from __future__ import annotations

from dataclasses import dataclass

from torchlens_core.draw.placing.layout import Curve, Point, Rect
from torchlens_core.draw.sheet import Bars, Raster


@dataclass(frozen=True, slots=True, kw_only=True)
class Ink:
    """How a shape is filled and outlined; colours are roles of a `Theme` (``@edge``) or CSS colours."""

    fill: str = "none"
    stroke: str = "none"
    width: float = 0.0
    #: Lengths of dashes and gaps: ``5 3``.
    dash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plate:
    """A rectangle with round corners."""

    rect: Rect
    radius: float
    ink: Ink


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A run of text; ``x`` is its left end, ``y`` its baseline, ``width`` what it must take in any font."""

    text: str
    x: float
    y: float
    width: float
    size: float
    color: str
    bold: bool = False
    struck: bool = False
    #: The colour of a rim around the letters, over lines behind them; empty for none.
    halo: str = ""
    #: How far it may reach before it meets other text or a border.
    room: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """A grey picture."""

    rect: Rect
    raster: Raster


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The bars of a histogram, on one base line."""

    rect: Rect
    bars: Bars
    ink: Ink


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An edge, cut short where its arrowhead begins."""

    curve: Curve
    #: Where the arrowhead points.
    tip: Point
    ink: Ink
    #: The `Stamp.ident` of the boxes it leads from and to.
    tail: str = ""
    head: str = ""


Part = Plate | Words | Pixels | Columns | Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A box, or a heading, drawn from its own corner: equal ones are written once in a file."""

    #: ``n`` and its place among the sheet's boxes; empty for headings.
    ident: str
    x: float
    y: float
    parts: tuple[Part, ...]
    tooltip: str = ""
    #: The tooltip of the frame that it is in.
    around: str = ""
    #: Labels and addresses of what it stands for.
    ops: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    #: The boxes from which lines lead that are part of it.
    tails: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A frame behind its boxes."""

    #: ``f`` and its place in `frames_of`.
    ident: str
    plate: Plate
    tooltip: str
    modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Painting:
    """Everything to be drawn, in the order of drawing."""

    width: float
    height: float
    title: str
    description: str
    areas: tuple[Area, ...]
    lines: tuple[Line, ...]
    stamps: tuple[Stamp, ...]
    words: tuple[Words, ...]


def head_of(ink: Ink) -> tuple[Point, Point, Point, Point]:
    """The arrowhead of a line in that ink, pointing right: tip, corner, notch and corner.

    The line ends at the notch, which is at the origin.
    """
    length = 5.5 + 1.6 * ink.width
    notch = 0.24 * length
    half = 0.41 * length
    return Point(length - notch, 0.0), Point(-notch, half), Point(0.0, 0.0), Point(-notch, -half)
