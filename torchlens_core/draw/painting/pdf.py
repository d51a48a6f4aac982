"""Pictures as PDF: one page of shapes and text, as large as the picture, for papers and for print."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from typing import Any

from torchlens_core.draw.painting.bezier import Segment, simplified
from torchlens_core.draw.painting.colors import rgba
from torchlens_core.draw.painting.glyphs import DRAWN, placed_strokes, runs_of, stroke_width
from torchlens_core.draw.painting.paint import painting
from torchlens_core.draw.painting.shapes import (
    Columns,
    Ink,
    Line,
    Painting,
    Part,
    Pixels,
    Plate,
    Words,
    head_of,
)
from torchlens_core.draw.painting.svg import column_rects, png_bytes
from torchlens_core.draw.painting.themes import Theme, themes_of
from torchlens_core.draw.placing.layout import Layout, Point
from torchlens_core.draw.sheet import Sheet
from torchlens_core.errors import DrawingError

try:
    import reportlab
    from reportlab.lib.colors import Color
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfgen.canvas import Canvas
except ImportError:  # the extra `pictures` is not installed
    reportlab = None

#: The longest side that readers of PDF must take (ISO 32000-1, annex C).
SIDE = 14_400.0
_RIM = 3.5
#: Of the standard fonts; they have the characters of code page 1252.
_FONT, _BOLD = "Helvetica", "Helvetica-Bold"
#: What Adobe's Symbol has beside them.
_SYMBOL = frozenset("αβγδεζηθικλμνξοπρστυφχψωΓΔΘΛΞΠΣΦΨΩ≤≥≠≈∞∂∇√∑∏∈∅∪∩⇒⇐⇔↔−")


def pdf(sheet: Sheet, layout: Layout, *, theme: str = "light") -> bytes:
    """The picture as a PDF file of one page; ``auto`` is light, as paper is.

    What is longer than `SIDE` is made smaller. Characters that neither Helvetica nor Symbol has become ``?``.

    Raises `ArgumentError` for an unknown theme, `DrawingError` if reportlab is missing.
    """
    themes = themes_of(theme)
    if reportlab is None:
        raise DrawingError(
            "PDF pictures need the reportlab package, which is not installed. "
            "Install the extra: pip install 'pytest-torchlens[pictures]'."
        )
    return _Page(painting(sheet, layout), themes[0]).bytes()


class _Page:
    """One picture on one canvas; y runs downwards, as in the layout."""

    def __init__(self, picture: Painting, theme: Theme) -> None:
        self._picture = picture
        self._theme = theme
        self._file = io.BytesIO()
        scale = min(1.0, SIDE / max(picture.width, picture.height))
        size = picture.width * scale, picture.height * scale
        # without the time of day, so that equal pictures are equal files
        self._canvas = Canvas(self._file, pagesize=size, pageCompression=1, invariant=1)
        self._canvas.setTitle(picture.title)
        self._canvas.setSubject(picture.description)
        self._canvas.setCreator("pytest-torchlens")
        self._canvas.transform(scale, 0, 0, -scale, 0, size[1])
        self._canvas.setLineJoin(1)

    def bytes(self) -> bytes:
        picture, canvas = self._picture, self._canvas
        self._paint(Ink(fill="@paper"))
        canvas.rect(0, 0, picture.width, picture.height, stroke=0, fill=1)
        for area in picture.areas:
            self._plate(area.plate)
        for line in picture.lines:
            self._line(line)
        for stamp in picture.stamps:
            canvas.saveState()
            canvas.translate(stamp.x, stamp.y)
            self._parts(stamp.parts)
            canvas.restoreState()
        self._parts(picture.words)
        canvas.showPage()
        canvas.save()
        return self._file.getvalue()

    def _parts(self, parts: Iterable[Part]) -> None:
        for part in parts:
            if isinstance(part, Plate):
                self._plate(part)
            elif isinstance(part, Words):
                self._words(part)
            elif isinstance(part, Columns):
                self._paint(part.ink)
                for rect in column_rects(part):
                    self._canvas.rect(*rect, stroke=0, fill=1)
            elif isinstance(part, Pixels):
                self._pixels(part)
            else:
                self._line(part)

    def _color(self, role: str) -> Any:
        return Color(*rgba(self._theme.color(role)))

    def _paint(self, ink: Ink) -> tuple[int, int]:
        """Set colours and dashes; whether to stroke and whether to fill."""
        canvas = self._canvas
        if ink.stroke != "none":
            canvas.setStrokeColor(self._color(ink.stroke))
            canvas.setLineWidth(ink.width)
            canvas.setDash([float(length) for length in ink.dash.split()])
        if ink.fill != "none":
            canvas.setFillColor(self._color(ink.fill))
        return int(ink.stroke != "none"), int(ink.fill != "none")

    def _plate(self, plate: Plate) -> None:
        stroke, fill = self._paint(plate.ink)
        radius = min(plate.radius, plate.rect.width / 2, plate.rect.height / 2)
        self._canvas.roundRect(*plate.rect, radius, stroke=stroke, fill=fill)

    def _line(self, line: Line) -> None:
        self._paint(line.ink)
        path = self._canvas.beginPath()
        path.moveTo(*line.curve[0])
        for step in simplified(line.curve):
            if isinstance(step, Point):
                path.lineTo(*step)
            else:
                path.curveTo(*_controls(step))
        self._canvas.drawPath(path, stroke=1, fill=0)
        end = line.curve[-1]
        angle = math.atan2(line.tip.y - end.y, line.tip.x - end.x)
        self._canvas.saveState()
        self._canvas.translate(end.x, end.y)
        self._canvas.rotate(math.degrees(angle))
        self._canvas.setFillColor(self._color(line.ink.stroke))
        head = self._canvas.beginPath()
        points = head_of(line.ink)
        head.moveTo(*points[0])
        for point in points[1:]:
            head.lineTo(*point)
        head.close()
        self._canvas.drawPath(head, stroke=0, fill=1)
        self._canvas.restoreState()

    def _pixels(self, pixels: Pixels) -> None:
        x, y, width, height = pixels.rect
        self._canvas.saveState()
        self._canvas.translate(x, y + height)
        self._canvas.scale(1, -1)
        image = ImageReader(io.BytesIO(png_bytes(pixels.raster)))
        self._canvas.drawImage(image, 0, 0, width, height)
        self._canvas.restoreState()

    def _words(self, words: Words) -> None:
        if words.halo:
            for run in runs_of(words):
                self._run(run, words.halo, _RIM)
        for run in runs_of(words):
            self._run(run, words.color, 0.0)
        if words.struck:
            self._paint(Ink(stroke=words.color, width=words.size / 10))
            y = words.y - 0.3 * words.size
            self._canvas.line(words.x, y, words.x + words.width, y)

    def _run(self, words: Words, color: str, rim: float) -> None:
        """One run: filled, or with a ``rim`` outlined that wide."""
        canvas = self._canvas
        if words.text in DRAWN:
            self._paint(Ink(stroke=color, width=stroke_width(words) + rim))
            canvas.setLineCap(1)
            for points in placed_strokes(words):
                path = canvas.beginPath()
                path.moveTo(*points[0])
                for point in points[1:]:
                    path.lineTo(*point)
                canvas.drawPath(path, stroke=1, fill=0)
            canvas.setLineCap(0)
            return
        self._paint(Ink(fill=color, stroke=color if rim else "none", width=rim))
        text = _standard(words.text)
        font = _BOLD if words.bold else _FONT
        width = pdfmetrics.stringWidth(text, font, words.size)
        canvas.saveState()
        canvas.translate(words.x, words.y)
        canvas.scale(min(words.width / width, 1.0) if width else 1.0, -1)
        run = canvas.beginText(0, 0)
        run.setFont(font, words.size)
        run.setTextRenderMode(1 if rim else 0)
        run.textOut(text)
        canvas.drawText(run)
        canvas.restoreState()


def _controls(segment: Segment) -> tuple[float, ...]:
    return tuple(value for point in segment[1:] for value in point)


def _standard(text: str) -> str:
    """``text`` with ``?`` for what no standard font has.

    >>> _standard("α → 日")
    'α ? ?'
    """
    # Symbol's minus is thin beside Helvetica-Bold
    text = text.replace("−", "–")
    return "".join(char if char in _SYMBOL or _is_latin(char) else "?" for char in text)


def _is_latin(char: str) -> bool:
    try:
        char.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return char.isprintable()
