"""Pictures as PNG, by resvg; on machines without any fonts too."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from torchlens_core.draw.painting.glyphs import DRAWN
from torchlens_core.draw.painting.paint import painting
from torchlens_core.draw.painting.svg import written
from torchlens_core.draw.painting.themes import themes_of
from torchlens_core.draw.placing.layout import Layout
from torchlens_core.draw.sheet import Sheet
from torchlens_core.errors import ArgumentError, DrawingError

try:
    import resvg_py
except ImportError:  # the extra `pictures` is not installed
    resvg_py = None  # type: ignore[assignment]

try:
    import reportlab
except ImportError:  # the same; fonts of the machine are used then
    reportlab = None

#: Pictures are made smaller where they would have more pixels, or a longer side, than this.
PIXELS, SIDE = 20_000_000, 30_000


def png(sheet: Sheet, layout: Layout, *, theme: str = "light", scale: float = 2.0) -> bytes:
    """The picture as a PNG file, ``scale`` pixels a point; ``auto`` is light, as paper is.

    What would be larger than `PIXELS` is made smaller, and says so in a note at its foot.

    Raises `ArgumentError` for an unknown theme or a scale that is not positive, `DrawingError` if resvg is missing
    or fails.
    """
    themes = themes_of(theme)
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < math.inf:
        raise ArgumentError(f"scale={scale!r}: expected a positive number of pixels a point.")
    if resvg_py is None:
        raise DrawingError(
            "PNG pictures need the resvg-py package, which is not installed. "
            "Install the extra: pip install 'pytest-torchlens[pictures]'."
        )
    picture = painting(sheet, layout)
    allowed = scale_within(picture.width, picture.height, scale)
    if allowed < scale:
        note = f"drawn at {allowed:.2g} pixels a point instead of {scale:g}: a PNG has at most {PIXELS:,} pixels"
        picture = painting(replace(sheet, notes=(*sheet.notes, note)), layout)
        allowed = scale_within(picture.width, picture.height, scale)
    # every arrow is drawn: resvg would take the whole text around it from whatever font has one
    text = written(picture, themes[:1], drawn=DRAWN)
    fonts = fallback_fonts()
    try:
        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=text,
                width=max(int(picture.width * allowed), 1),
                height=max(int(picture.height * allowed), 1),
                font_files=fonts,
                sans_serif_family="Bitstream Vera Sans" if fonts else None,
            )
        )
    except ValueError as error:
        raise DrawingError(f"resvg could not draw the picture: {error}") from error


def scale_within(width: float, height: float, scale: float) -> float:
    """``scale``, or less where the picture would be larger than `PIXELS` or longer than `SIDE`.

    >>> scale_within(500, 1000, 2.0), scale_within(1000, 60_000, 2.0)
    (2.0, 0.5)
    """
    return min(scale, math.sqrt(PIXELS / (width * height)), SIDE / max(width, height))


def fallback_fonts() -> list[str]:
    """Files of the Vera fonts that reportlab brings along, for machines that have none."""
    if reportlab is None:
        return []
    folder = Path(reportlab.__file__).with_name("fonts")
    return [str(path) for path in (folder / "Vera.ttf", folder / "VeraBd.ttf") if path.is_file()]
