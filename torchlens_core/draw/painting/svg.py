"""Pictures as SVG: one text that any browser, or paper, shows alike.

Boxes that look the same are written once and used by reference; colours are classes. Nothing in it runs or is
fetched from elsewhere.
"""

from __future__ import annotations

import base64
import html
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import groupby
from urllib.parse import quote

from torchlens_core.draw.painting.bezier import simplified
from torchlens_core.draw.painting.glyphs import DRAWN, placed_strokes, runs_of, stroke_width
from torchlens_core.draw.painting.paint import painting
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
from torchlens_core.draw.painting.themes import Theme, themes_of
from torchlens_core.draw.placing.layout import Curve, Layout, Point, Rect
from torchlens_core.draw.sheet import Raster, Sheet
from torchlens_core.errors import ArgumentError

#: Of letters with a rim: the rim lies below them, and the frame is pointed at, not its heading.
_RIM = "paint-order:stroke;pointer-events:none"
#: Em that a letter takes in the widest of fonts, on average.
_WIDEST = 0.85
#: Pictures of more boxes are written shorter: places in whole points, one tooltip for the boxes of a module.
LARGE = 600
#: Lines up to so long lie between a box and the next, and over nothing.
_SHORT = 24.0
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}|", re.ASCII)


def svg(sheet: Sheet, layout: Layout, *, theme: str = "light", prefix: str = "", data: bool = False) -> str:
    """The picture as an SVG document; ``auto`` is light or dark as the reader's machine prefers.

    A box's element has the ``id`` that `paint.idents` tells, a frame's ``f`` and its place in `sheet.frames_of`.
    With ``data``, ``data-op`` and ``data-module`` of both say what they stand for, ``data-from`` and ``data-to`` of
    an edge its boxes; an edge that is part of the box it leads to has ``data-from`` there.
    Every id and class begins with ``prefix``: documents that are put into one HTML page need different ones.

    Raises `ArgumentError` for an unknown theme, a prefix that is no identifier or a style that is none.
    """
    if _PREFIX.fullmatch(prefix) is None:
        raise ArgumentError(
            f"prefix={prefix[:60]!r} cannot begin an id. Expected a letter and up to 31 letters, digits, - or _."
        )
    return _Writer(themes_of(theme), prefix, data=data).document(painting(sheet, layout))


def written(picture: Painting, themes: tuple[Theme, ...], drawn: frozenset[str] = frozenset()) -> str:
    """A `Painting` as an SVG document; the characters ``drawn`` become shapes, where there is no font for them."""
    return _Writer(themes, "", drawn).document(picture)


class _Writer:
    """Collects the classes and symbols of one document."""

    def __init__(
        self,
        themes: tuple[Theme, ...],
        prefix: str,
        drawn: frozenset[str] = frozenset(),
        data: bool = False,
    ) -> None:
        self.themes = themes
        self.prefix = prefix
        self.drawn = drawn
        #: Whether elements say what they stand for.
        self.data = data
        #: Names of classes by their declarations, one text for each theme.
        self.classes: dict[tuple[str, ...], str] = {}
        self.markers: dict[Ink, str] = {}
        #: Digits after the point of places; fewer where there are many.
        self.digits = 1
        #: Names of parts that many looks share, in large pictures.
        self.shared: dict[Part, str] = {}

    def document(self, picture: Painting) -> str:
        width, height = _number(picture.width), _number(picture.height)
        paper = self._class("fill:{0}", "@paper")
        body = [f'<path class="{paper}" d="M0 0h{width}v{height}H0z"/>']
        is_large = len(picture.stamps) > LARGE
        if is_large:
            self.digits = 0
            picture = gathered(picture)
        body += map(self._area, picture.areas)
        body += self._lines(picture.lines)
        shared = self._share(picture.stamps) if is_large else []
        symbols, uses = self._stamps(picture.stamps, is_large)
        body += uses
        body += map(self._text, picture.words)
        defs = "".join(self._marker(ink, name) for ink, name in self.markers.items()) + "".join(
            shared + symbols
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" font-family="Helvetica,Arial,Liberation Sans,sans-serif">'
            f"<title>{_escaped(picture.title)}</title><desc>{_escaped(picture.description)}</desc>"
            f"<style>{self._styles()}</style><defs>{defs}</defs>\n" + "\n".join(body) + "\n</svg>\n"
        )

    def _class(self, declarations: str, *roles: str) -> str:
        """The class that declares this, ``{0}`` and so on replaced by the colours of ``roles``."""
        key = tuple(declarations.format(*map(theme.color, roles)) for theme in self.themes)
        return self.classes.setdefault(key, self.prefix + _short(len(self.classes)))

    def _styles(self) -> str:
        rules = "".join(f".{name}{{{key[0]}}}" for key, name in self.classes.items())
        if len(self.themes) > 1:
            other = "".join(
                f".{name}{{{key[1]}}}" for key, name in self.classes.items() if key[0] != key[1]
            )
            rules += f"@media (prefers-color-scheme:dark){{{other}}}"
        return rules

    def _ink(self, ink: Ink, more: str = "") -> str:
        dash = f";stroke-dasharray:{ink.dash}" if ink.dash else ""
        lines = f";stroke:{{1}};stroke-width:{_number(ink.width)}{dash}" if ink.stroke != "none" else ""
        return self._class(f"fill:{{0}}{lines}{more}", ink.fill, ink.stroke)

    def _area(self, area: Area) -> str:
        shape = self._plate(area.plate, self._ident(area.ident) + self._data(module=area.modules))
        has_tooltip = bool(area.tooltip and self.digits)  # in large pictures the boxes in it have it
        return f"{shape[:-2]}>{_tooltip(area.tooltip)}</rect>" if has_tooltip else shape

    def _lines(self, lines: Iterable[Line]) -> list[str]:
        """Paths in groups of one ink, which gives them their arrowhead."""
        groups: dict[Ink, list[str]] = {}
        for line in lines:
            path = f'<path d="{_path(line.curve, self.digits)}"{self._ends(line)}/>'
            groups.setdefault(line.ink, []).append(path)
        found = []
        for ink, paths in groups.items():
            found.append(f'<g class="{self._line_class(ink)}">{"".join(paths)}</g>')
        return found

    def _data(self, **names: Iterable[str]) -> str:
        return "".join(_data(name, values) for name, values in names.items()) if self.data else ""

    def _ends(self, line: Line) -> str:
        return self._data(**{"from": [self.prefix + line.tail], "to": [self.prefix + line.head]})

    def _line_class(self, ink: Ink) -> str:
        marker = self.markers.setdefault(ink, f"{self.prefix}m{len(self.markers)}")
        return self._ink(ink, f";marker-end:url(#{marker})")

    def _marker(self, ink: Ink, name: str) -> str:
        points = head_of(ink)
        left, top = min(point.x for point in points), min(point.y for point in points)
        width, height = points[0].x - left, -2 * top
        shape = "L".join(f"{_number(point.x - left, 2)} {_number(point.y - top, 2)}" for point in points)
        fill = self._class("fill:{0}", ink.stroke)
        return (
            f'<marker id="{name}" orient="auto" markerUnits="userSpaceOnUse" refX="{_number(-left - 0.3, 2)}" '
            f'refY="{_number(-top, 2)}" markerWidth="{_number(width, 2)}" markerHeight="{_number(height, 2)}">'
            f'<path class="{fill}" d="M{shape}z"/></marker>'
        )

    def _share(self, stamps: Iterable[Stamp]) -> list[str]:
        """Parts that several looks have in common, as symbols of their own."""
        looks = dict.fromkeys(stamp.parts for stamp in stamps)
        counts = Counter(part for parts in looks for part in parts)
        found: list[str] = []
        for part, count in counts.items():
            shape = self._part(part) if count > 1 else ""
            # a reference takes 20 characters
            if shape.startswith("<") and shape.count("<") <= 2 and (len(shape) - 20) * (count - 1) > 30:
                name = f"{self.prefix}T{_short(len(found))}"
                found.append(re.sub(r"(?<=^<)\w+", rf'\g<0> id="{name}"', shape))
                self.shared[part] = name
        return found

    def _stamps(self, stamps: Iterable[Stamp], is_large: bool) -> tuple[list[str], list[str]]:
        """Symbols for what is drawn more than once, and all stamps at their places.

        In large pictures pointing at a box tells its module, once for all boxes of a module that follow each
        other; in others, its own tooltip.
        """
        stamps = list(stamps)
        counts = Counter(stamp.parts for stamp in stamps)
        names = {
            parts: f"{self.prefix}S{_short(number)}"
            for number, parts in enumerate(parts for parts, count in counts.items() if count > 1)
        }
        symbols = [f'<g id="{name}">{"".join(map(self._part, parts))}</g>' for parts, name in names.items()]
        if not is_large:
            return symbols, [self._stamp(stamp, names, _tooltip(stamp.tooltip)) for stamp in stamps]
        uses = []
        for around, group in groupby(stamps, lambda stamp: stamp.around):
            members = list(group)
            left, top = min(round(one.x) for one in members), min(round(one.y) for one in members)
            moved = (replace(one, x=one.x - left, y=one.y - top) for one in members)
            shapes = "".join(self._stamp(stamp, names, "") for stamp in moved)
            uses.append(f'<g transform="translate({left} {top})">{_tooltip(around)}{shapes}</g>')
        return symbols, uses

    def _place(self, value: float) -> str:
        return _number(value, self.digits)

    def _stamp(self, stamp: Stamp, names: Mapping[tuple[Part, ...], str], tip: str) -> str:
        x, y = self._place(stamp.x), self._place(stamp.y)
        ident = self._ident(stamp.ident)
        tails = [self.prefix + tail for tail in stamp.tails]
        data = self._data(**{"op": stamp.ops, "module": stamp.modules, "from": tails})
        if stamp.parts not in names:
            shapes = "".join(map(self._part, stamp.parts))
            return f'<g{ident} transform="translate({x} {y})"{data}>{tip}{shapes}</g>'
        use = f'<use{ident} href="#{names[stamp.parts]}" x="{x}" y="{y}"{data}'
        return f"{use}>{tip}</use>" if tip else f"{use}/>"

    def _ident(self, ident: str) -> str:
        return f' id="{self.prefix}{ident}"' if ident else ""

    def _part(self, part: Part) -> str:
        if part in self.shared:
            return f'<use href="#{self.shared[part]}"/>'
        if isinstance(part, Plate):
            return self._plate(part)
        if isinstance(part, Words):
            return self._text(part)
        if isinstance(part, Line):
            return f'<path class="{self._line_class(part.ink)}" d="{_path(part.curve, self.digits)}"/>'
        if isinstance(part, Columns):
            return f'<path class="{self._ink(part.ink)}" d="{_columns(part)}"/>'
        return _image(part)

    def _plate(self, plate: Plate, ident: str = "") -> str:
        x, y, width, height = map(self._place, plate.rect)
        corner = f' x="{x}" y="{y}"' if (x, y) != ("0", "0") else ""
        return (
            f'<rect{ident} class="{self._ink(plate.ink)}"{corner} width="{width}" height="{height}" '
            f'rx="{_number(plate.radius)}"/>'
        )

    def _text(self, words: Words) -> str:
        if not self.drawn.isdisjoint(words.text):
            return "".join(
                self._glyph(run) if run.text in DRAWN else self._run(run) for run in runs_of(words)
            )
        return self._run(words)

    def _run(self, words: Words) -> str:
        declared = f"fill:{{0}};font-size:{_number(words.size)}px" + (
            ";font-weight:700" if words.bold else ""
        )
        has_rim = bool(words.halo) and (words.bold or bool(self.digits))
        if has_rim:
            declared += f";stroke:{{1}};stroke-width:3.5px;stroke-linejoin:round;{_RIM}"
        name = self._class(declared, words.color, words.halo if has_rim else "")
        # fonts are told apart by their widths: where any font fits, nothing is said of it
        widest = max(len(words.text) * words.size * _WIDEST, 1.2 * words.width)
        is_tight = bool(self.drawn) or words.room < widest
        length = f' textLength="{self._place(words.width)}"' if is_tight else ""
        # in large pictures, where rims are for titles alone, the space between letters gives way instead, 33 bytes
        # less; but not where letters have rims, which would cover the letters before them
        if length and (self.digits or has_rim):
            length += ' lengthAdjust="spacingAndGlyphs"'
        place = f'x="{self._place(words.x)}" y="{_number(words.y)}"'
        text = f'<text class="{name}" {place}{length}>{_escaped(words.text)}</text>'
        if not words.struck:
            return text
        # a path: text-decoration is drawn under, over or within a rim, as each browser likes
        ink = Ink(stroke=words.color, width=words.size / 10)
        height = _number(words.y - 0.3 * words.size)
        return f'{text}<path class="{self._ink(ink)}" d="M{_number(words.x)} {height}h{_number(words.width)}"/>'

    def _glyph(self, words: Words) -> str:
        data = "".join(
            "M" + "L".join(f"{_number(point.x, 2)} {_number(point.y, 2)}" for point in line)
            for line in placed_strokes(words)
        )
        round_ends = ";stroke-linecap:round;stroke-linejoin:round"
        widths = [stroke_width(words)]
        colors = [words.color]
        if words.halo:
            widths.insert(0, widths[0] + 3.5)
            colors.insert(0, words.halo)
        inks = [Ink(stroke=color, width=width) for color, width in zip(colors, widths, strict=True)]
        return "".join(f'<path class="{self._ink(ink, round_ends)}" d="{data}"/>' for ink in inks)


def gathered(picture: Painting) -> Painting:
    """``picture`` with short upright lines made part of the boxes that they lead to, which then look alike."""
    places = {stamp.ident: stamp for stamp in picture.stamps if stamp.ident}
    own: dict[str, list[Line]] = {}
    tails: dict[str, list[str]] = {}
    others = []
    for line in picture.lines:
        (x, y), stamp = line.curve[0], places.get(line.head)
        if stamp is None or line.curve[-1].x != x or not 0 < line.tip.y - y <= _SHORT:
            others.append(line)
            continue
        curve = tuple(Point(round(x - stamp.x), round(point.y - stamp.y)) for point in line.curve)
        tip = Point(curve[-1].x, round(line.tip.y - stamp.y))
        own.setdefault(line.head, []).append(replace(line, curve=curve, tip=tip, tail="", head=""))
        tails.setdefault(line.head, []).append(line.tail)
    stamps = [
        replace(stamp, parts=(*own[stamp.ident], *stamp.parts), tails=tuple(tails[stamp.ident]))
        if stamp.ident in own
        else stamp
        for stamp in picture.stamps
    ]
    return replace(picture, lines=tuple(others), stamps=tuple(stamps))


def png_bytes(raster: Raster) -> bytes:
    """A raster as a grey PNG file.

    >>> png_bytes(Raster(width=1, height=1, levels=b"x"))[1:4]
    b'PNG'
    """
    size = raster.width * raster.height
    levels = raster.levels[:size].ljust(size, b"\0")
    rows = b"".join(
        b"\0" + levels[start : start + raster.width] for start in range(0, size, max(raster.width, 1))
    )
    header = struct.pack(">IIBBBBB", raster.width, raster.height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def column_rects(columns: Columns) -> list[Rect]:
    """The bars of a histogram as rectangles on its lower edge."""
    heights = columns.bars.heights
    left, top, width, height = columns.rect
    step = width / max(len(heights), 1)
    return [
        Rect(left + number * step, top + height * (1 - share), max(step - 0.6, step / 2), height * share)
        for number, share in enumerate(min(max(float(height), 0.0), 1.0) for height in heights)
    ]


def _image(pixels: Pixels) -> str:
    x, y, width, height = map(_number, pixels.rect)
    data = base64.b64encode(png_bytes(pixels.raster)).decode()
    return (
        f'<image x="{x}" y="{y}" width="{width}" height="{height}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
    )


def _columns(columns: Columns) -> str:
    base = columns.rect.y + columns.rect.height
    return "".join(
        f"M{_number(rect.x)} {_number(base)}v-{_number(rect.height)}h{_number(rect.width)}v{_number(rect.height)}z"
        for rect in column_rects(columns)
        if rect.height >= 0.05
    )


def _path(curve: Curve, digits: int) -> str:
    """Path data with relative, rounded coordinates; what is rounded off does not add up along the way."""
    x, y = round(curve[0].x, digits), round(curve[0].y, digits)
    data = "M" + _joined((x, y))
    for step in simplified(curve):
        points: tuple[Point, ...] = (step,) if isinstance(step, Point) else step[1:]
        moves = [(round(point.x - x, digits), round(point.y - y, digits)) for point in points]
        across, down = moves[-1]
        if len(moves) > 1:
            data += "c" + _joined(value for move in moves for value in move)
        elif across == 0:
            data += f"v{_number(down)}"
        elif down == 0:
            data += f"h{_number(across)}"
        else:
            data += "l" + _joined(moves[0])
        x, y = round(x + across, digits), round(y + down, digits)
    return data


def _joined(values: Iterable[float]) -> str:
    """Numbers, with a space between them only where the next has no sign.

    >>> _joined((1.0, -2.5, 0.5))
    '1-2.5 .5'
    """
    return " ".join(map(_number, values)).replace(" -", "-")


def _number(value: float, digits: int = 1) -> str:
    """The shortest text of a rounded number.

    >>> _number(12.04), _number(-0.25, 2), _number(-0.01), _number(120, 0)
    ('12', '-.25', '0', '120')
    """
    text = f"{value:.{digits}f}"
    if digits:
        text = text.rstrip("0").rstrip(".")
    if text.startswith("0."):
        return text[1:]
    if text.startswith("-0"):
        return "-" + text[2:] if len(text) > 2 else "0"
    return text or "0"


def _short(number: int) -> str:
    """The names ``a``, ``b`` … ``z``, ``aa`` and so on."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(97 + rest) + letters
    return letters


def _tooltip(text: str) -> str:
    return f"<title>{_escaped(text)}</title>" if text else ""


#: What cannot be in the attribute of an XML file, or would not be told from the space between names.
_UNSAFE = re.compile(r"[%\s\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


#: Longer names are left out: a part of one would name something else.
_LONGEST = 1000


def _data(name: str, values: Iterable[str]) -> str:
    """An attribute that names things, with spaces between them; in a name, a space is ``%20``.

    >>> _data("module", ["blocks.0", "my block"]), _data("op", ())
    (' data-module="blocks.0 my%20block"', '')
    """
    names = [
        _UNSAFE.sub(lambda found: quote(found[0], errors="replace"), value)
        for value in values
        if len(value) <= _LONGEST
    ]
    return f' data-{name}="{html.escape(" ".join(names))}"' if names else ""


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)
