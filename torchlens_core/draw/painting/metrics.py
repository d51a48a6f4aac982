"""How wide text is, and where each piece of it stands in a box or a heading.

Sizes are told before anything is laid out, and on machines without fonts, so widths come from a table: the
advance widths of Adobe's Helvetica and Helvetica-Bold. Painters squeeze what another font makes wider.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from torchlens_core.draw.placing.layout import Rect
from torchlens_core.draw.sheet import ADDED, CHANGED, REMOVED, Bars, Box, Frame, Raster

#: Widths of U+0020 to U+007E in 1/1000 em: Adobe Core 14 AFM, Helvetica and Helvetica-Bold.
_REGULAR = """
278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278
584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944
667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500
278 556 500 722 500 500 500 334 260 334 584
"""
_BOLD = """
278 333 474 556 556 889 722 238 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 333 333
584 584 584 611 975 722 722 722 722 667 611 778 722 278 556 722 611 833 722 778 667 778 722 667 611 722 667 944
667 667 611 333 278 333 584 556 333 556 611 556 611 556 333 611 611 278 278 556 278 889 611 611 611 611 389 556
333 611 556 778 556 556 500 389 280 389 584
"""
#: Widths that both weights share, or nearly: the wider one.
_SHARED = {
    **dict.fromkeys("¡¨¯´¸‹›²³¹ˆ˜", 333),
    **dict.fromkeys("¢£¤¥§«»–€ƒ†‡", 556),
    **dict.fromkeys("±×÷¬≤≥≠≈−", 584),
    **dict.fromkeys("©®", 737),
    **dict.fromkeys("—…‰™ÆŒ", 1000),
    **dict.fromkeys("¼½¾", 834),
    **dict.fromkeys("←→⇒⇐", 987),
    **dict.fromkeys("↑↓", 603),
    **dict.fromkeys("↔⇔", 1042),
    **dict.fromkeys("↻↺↳", 900),
    **dict.fromkeys("µßøðþđħ¿", 611),
    **dict.fromkeys("·ıłìíîï‘’", 278),
    **dict.fromkeys("“”„", 500),
    "¦": 280,
    "ª": 370,
    "º": 365,
    "¶": 556,
    "°": 400,
    "•": 350,
    "Ð": 722,
    "Ø": 778,
    "Þ": 667,
    "æ": 889,
    "œ": 944,
    "Ł": 611,
    "∞": 713,
    "∑": 713,
    "∏": 823,
    "√": 549,
    "∂": 494,
    "∇": 713,
    "∈": 713,
    "∅": 823,
    "\N{ZERO WIDTH JOINER}": 0,
    "\N{ZERO WIDTH NON-JOINER}": 0,
}
_TABLES = tuple(
    {**_SHARED, **{chr(32 + number): int(width) for number, width in enumerate(table.split())}}
    for table in (_REGULAR, _BOLD)
)
#: Room for rounding, hinting and kerning.
_SLACK = 1.02

TITLE, DETAIL, BADGE, MARK = 12.0, 10.0, 9.5, 11.0
HEADING = 11.0
#: Text is cut at these widths, in points.
_TITLE_LIMIT, _DETAIL_LIMIT, _NAME_LIMIT, _BADGE_LIMIT = 230.0, 230.0, 150.0, 80.0
_PAD = 9.0
_GAP, _WIDE_GAP = 6.0, 14.0
_RASTER, _BARS = 96.0, (104.0, 26.0)
#: What stands before the title of what a diff speaks of, so that nothing hangs on colour alone.
_SIGNS = {ADDED: "+", REMOVED: "−", CHANGED: "~"}
#: Combining marks that one letter may carry; more would climb out of the box.
_MARKS_KEPT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of text in one font, placed from the upper left corner of what holds it."""

    #: ``sign`` of a change, ``title``, ``details``, ``badge``, ``mark``, ``shape`` or ``name``.
    role: str
    text: str
    x: float
    #: Of the baseline.
    y: float
    width: float
    size: float
    bold: bool = False
    struck: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a box or a heading measures, and where its text and its image stand."""

    width: float
    height: float
    pieces: tuple[Piece, ...]
    #: Room for the box's image.
    image: Rect | None = None


def clean(text: str, limit: int = 400) -> str:
    r"""``text`` on one line, without what could break the line or the XML, cut after ``limit`` characters.

    Control characters, lone surrogates, overrides of the writing direction and what Unicode does not assign
    become ``�``; of marks heaped upon one letter two are kept.

    >>> clean("a\nb\x00\u202ec")
    'a b��c'
    """
    kept: list[str] = []
    marks = 0
    for char in text[: limit + 1]:
        if char.isspace():
            char = " "
        elif not (char.isprintable() or char in "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"):
            char = "\N{REPLACEMENT CHARACTER}"
        marks = marks + 1 if char > "\u02ff" and unicodedata.category(char)[0] == "M" else 0
        if marks <= _MARKS_KEPT:
            kept.append(char)
    return "".join(kept) if len(text) <= limit else "".join(kept[:limit]).rstrip() + "…"


def width_of(text: str, size: float, bold: bool = False) -> float:
    """The width of ``text`` in points, Helvetica at ``size``, with 2 % of room.

    >>> round(width_of("conv2d", 12, bold=True), 2)
    42.85
    """
    return natural_width(text, size, bold) * _SLACK


def natural_width(text: str, size: float, bold: bool = False) -> float:
    """The sum of the advance widths of ``text`` in points: what Helvetica itself takes.

    >>> natural_width("ab", 10)
    11.12
    """
    return sum(_advance(char, bold) for char in text) * size / 1000


@lru_cache(maxsize=4096)
def _advance(char: str, bold: bool) -> int:
    """The advance width of one character in 1/1000 em, guessed high where no table has it."""
    table = _TABLES[bold]
    if char in table:
        return table[char]
    base = unicodedata.normalize("NFD", char)[0]
    if base in table:
        return table[base]
    category = unicodedata.category(char)
    if category[0] == "M":
        return 0
    if category in ("Lu", "Lt") or unicodedata.east_asian_width(char) in "WF":
        return 1000
    return 700 if category in ("Ll", "Lo", "Lm", "Nd") else 1000


def cut(text: str, size: float, limit: float, bold: bool = False) -> str:
    """``text`` if it fits into ``limit`` points, else its beginning and an ellipsis.

    >>> cut("encoder_layer_0", 10, 50)
    'encoder…'
    """
    if len(text) * size < limit or width_of(text, size, bold) <= limit:
        return text
    room = limit - width_of("…", size, bold)
    count = 0
    for char in text:
        room -= width_of(char, size, bold)
        if room < 0:
            break
        count += 1
    # a letter is not parted from its marks
    while count < len(text) and count and unicodedata.category(text[count])[0] == "M":
        count -= 1
    return text[:count].rstrip() + "…"


def wrap(text: str, size: float, limit: float) -> list[str]:
    """Lines of ``text``, broken at spaces so that each fits into ``limit`` points.

    >>> wrap("modules open to depth 2 of 4", 10, 80)
    ['modules open to', 'depth 2 of 4']
    """
    lines: list[str] = []
    for word in clean(text).split():
        if lines and width_of(f"{lines[-1]} {word}", size) <= limit:
            lines[-1] += f" {word}"
        else:
            lines.append(cut(word, size, limit))
    return lines


def box_plan(box: Box) -> Plan:
    """Where text and image of a box stand, and so how large it is.

    Two lines, ``title details … badge mark`` and ``shape … name``; one where the second is empty.
    """
    image = _image_size(box.image)
    return _plan(
        *(box.title, box.details, box.badge, box.mark, box.shape, box.name),
        *(box.change, box.category == "reference", image),
    )


@lru_cache(maxsize=16384)
def _plan(
    title: str,
    details: str,
    badge: str,
    mark: str,
    shape: str,
    name: str,
    change: str,
    chip: bool,
    area: tuple[float, float] | None,
) -> Plan:
    """The same for all boxes that look the same."""
    upper = _run(
        _font("sign", _SIGNS.get(change, ""), TITLE, _TITLE_LIMIT, bold=True),
        _font("title", title, DETAIL if chip else TITLE, _TITLE_LIMIT, bold=not chip),
        _font("details", details, DETAIL, _DETAIL_LIMIT),
    )
    right = _run(
        _font("badge", badge, BADGE, _BADGE_LIMIT, bold=True),
        _font("mark", mark, MARK, _BADGE_LIMIT, bold=True),
    )
    lower = _run(_font("shape", shape, DETAIL, _DETAIL_LIMIT))
    own = _run(_font("name", name, DETAIL, _NAME_LIMIT))
    inner = max(_together(upper, right), _together(lower, own), area[0] if area else 0.0, 22.0)
    width = _even(inner + 2 * _PAD)
    two = bool(lower or own)
    first = 15.0 if chip and not two else 16.0
    pieces = [*_placed(upper, _PAD, first), *_placed(right, width - _PAD - _extent(right), first)]
    pieces += [*_placed(lower, _PAD, 30.0), *_placed(own, width - _PAD - _extent(own), 30.0)]
    height = 38.0 if two else (22.0 if chip else 24.0)
    if area is None:
        return Plan(width=width, height=height, pieces=_struck(pieces, change))
    image = Rect((width - area[0]) / 2, height - 1, *area)
    height = _even(height + area[1] + 6)
    return Plan(width=width, height=height, pieces=_struck(pieces, change), image=image)


def heading_plan(frame: Frame) -> Plan:
    """Where the text of a frame's heading stands, from the frame's upper left corner."""
    pieces = _run(
        _font("sign", _SIGNS.get(frame.change, ""), HEADING, _TITLE_LIMIT, bold=True),
        _font("title", frame.title, HEADING, 1.5 * _TITLE_LIMIT, bold=True),
        _font("details", frame.class_name, HEADING - 0.5, _DETAIL_LIMIT),
        _font("badge", frame.badge, HEADING - 0.5, _BADGE_LIMIT),
        _font("mark", frame.mark, HEADING + 1.5, _BADGE_LIMIT, bold=True),
    )
    if not pieces:
        return Plan(width=0.0, height=0.0, pieces=())
    width = _even(_extent(pieces) + 2 * _PAD)
    return Plan(width=width, height=24.0, pieces=_struck(_placed(pieces, _PAD, 17.0), frame.change))


def box_size(box: Box) -> tuple[float, float]:
    """Width and height of a box in points, both even.

    >>> box_size(Box(key="a", category="activation", title="relu", shape="1×64×56×56"))
    (76.0, 38.0)
    """
    plan = box_plan(box)
    return plan.width, plan.height


def heading_size(frame: Frame) -> tuple[float, float]:
    """Width and height in points of a frame's heading, room around it included; nothing if it has no text.

    >>> heading_size(Frame(key="f", title="layer1", class_name="Sequential"))
    (108.0, 24.0)
    """
    plan = heading_plan(frame)
    return plan.width, plan.height


def _font(role: str, text: str, size: float, limit: float, bold: bool = False) -> Piece:
    text = cut(clean(text).strip(), size, limit, bold)
    return Piece(role=role, text=text, x=0.0, y=0.0, width=width_of(text, size, bold), size=size, bold=bold)


def _run(*pieces: Piece) -> list[Piece]:
    """Those that have text, one beside the other."""
    placed: list[Piece] = []
    x = 0.0
    for piece in pieces:
        if piece.text:
            placed += _placed([piece], x, 0.0)
            x += piece.width + (_GAP if piece.role != "sign" else _GAP / 2)
    return placed


def _extent(pieces: list[Piece]) -> float:
    return pieces[-1].x + pieces[-1].width if pieces else 0.0


def _together(left: list[Piece], right: list[Piece]) -> float:
    return _extent(left) + _extent(right) + (_WIDE_GAP if left and right else 0.0)


def _placed(pieces: Iterable[Piece], x: float, y: float) -> list[Piece]:
    return [replace(piece, x=piece.x + x, y=y) for piece in pieces]


def _struck(pieces: Iterable[Piece], change: str) -> tuple[Piece, ...]:
    """``pieces``, with a line through the title of what was removed."""
    return tuple(replace(piece, struck=change == REMOVED and piece.role == "title") for piece in pieces)


def _image_size(image: Raster | Bars | None) -> tuple[float, float] | None:
    """How large an image is drawn: small rasters enlarged by a whole number, so that their pixels are equal."""
    if image is None:
        return None
    if isinstance(image, Bars):
        return _BARS
    scale = _RASTER / max(image.width, image.height, 1)
    scale = math.floor(scale) if scale >= 1 else scale
    return max(image.width * scale, 2.0), max(image.height * scale, 2.0)


def _even(value: float) -> float:
    """The next even number: centres and corners then print short."""
    return 2.0 * math.ceil(value / 2)
