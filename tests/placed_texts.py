"""What must hold for an SVG of a sheet, read by a second reader and measured by other tables than the painter's."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import painted
import pictures
import svg_reading
from svg_reading import Drawn, Page

from torchlens_core.draw import Picture
from torchlens_core.draw.sheet import Box, frames_of

#: Width of a text by its size and whether it is bold.
Measure = Callable[[str, float, bool], float]
#: Points that rounding may take; in large pictures places are whole points.
ROUNDED, ROUNDED_LARGE = 0.6, 1.1
#: Widths in points below which no text of a box may be cut, by field, and characters for which words are cut before.
UNCUT = {"title": 215, "details": 215, "shape": 215, "name": 138, "badge": 72, "mark": 72}


def faults(picture: Picture, *measures: Measure) -> list[str]:
    """Everything that is wrong with the drawn picture, its geometry apart."""
    page = svg_reading.read(picture.svg())
    large = len(picture.sheet.boxes) + sum(1 for _ in frames_of(picture.sheet.root)) > 600
    slack = ROUNDED_LARGE if large else ROUNDED
    found = [*not_once(picture, page), *moved(picture, page, slack), *cut(picture, page)]
    for measure in measures or (helvetica,):
        found += sticking_out(picture, page, measure, slack)
    return found


def geometry(picture: Picture) -> list[str]:
    """What is wrong with the layout."""
    sheet = picture.sheet
    sizes = {key: painted.box_size(box) for key, box in sheet.boxes.items()}
    headings = {frame.key: painted.heading_size(frame) for frame in frames_of(sheet.root)}
    return pictures.faults(sheet, picture.layout, sizes, headings)


def crossings(picture: Picture) -> list[str]:
    """Edges that run through boxes of others."""
    found = []
    for said in pictures.crossed(picture.sheet, picture.layout):
        edge, _, key = said.partition(" runs through ")
        if key not in edge.split(" to "):
            found.append(said)
    return found


def not_once(picture: Picture, page: Page) -> list[str]:
    """Boxes, frames and edges that are drawn not once, and elements that pictures have not."""
    sheet = picture.sheet
    wanted = [f"n{number}" for number in range(len(sheet.boxes))]
    wanted += [f"f{number}" for number, _ in enumerate(frames_of(sheet.root))]
    counts = Counter(page.idents)
    found = [f"{ident} is drawn {counts[ident]} times" for ident in wanted if counts[ident] != 1]
    found += [f"{ident} is there {n} times" for ident, n in counts.items() if n > 1]
    lines = sum(one.is_edge for one in page.drawn)
    found += [f"{lines} lines for {len(sheet.edges)} edges"] if lines != len(sheet.edges) else []
    return found + [f"<{tag}>" for tag in sorted(page.tags - svg_reading.ALLOWED)]


def moved(picture: Picture, page: Page, slack: float) -> list[str]:
    """Boxes that are not drawn where the layout has them, all moved by the same."""
    layout, plates = picture.layout, _plates(page)
    found, shifts = [], []
    for number, key in enumerate(picture.sheet.boxes):
        plate, rect = plates.get(f"n{number}"), layout.boxes[key]
        if (
            plate is None
            or abs(plate.width - rect.width) > slack
            or abs(plate.height - rect.height) > slack
        ):
            found.append(f"box {key} is drawn as {plate}")
        else:
            shifts.append((plate.x - rect.x, plate.y - rect.y, key))
    for x, y, key in shifts:
        if abs(x - shifts[0][0]) > 2 * slack or abs(y - shifts[0][1]) > 2 * slack:
            found.append(
                f"box {key} is moved by {x:.1f} {y:.1f}, others by {shifts[0][0]:.1f} {shifts[0][1]:.1f}"
            )
    return found


def _plates(page: Page) -> dict[str, Drawn]:
    """The rectangle of each box and frame; of a pile, the one in front."""
    return {one.ident: one for one in page.of("rect") if one.ident}


def cut(picture: Picture, page: Page) -> list[str]:
    """Texts of boxes that are not there in full, and would have had room."""
    texts: dict[str, list[str]] = {}
    for one in page.of("text"):
        texts.setdefault(one.ident, []).append(one.text)
    found = []
    for number, box in enumerate(picture.sheet.boxes.values()):
        for field, limit in UNCUT.items():
            text = " ".join(getattr(box, field).split())
            shown = texts.get(f"n{number}", [])
            if text and text.isprintable() and text not in shown and _width(box, field) < limit:
                found.append(f"{field} {text!r} of {box.key} is shown as one of {shown}")
    return found


def _width(box: Box, field: str) -> float:
    sizes = {"title": 12.0, "badge": 9.5, "mark": 11.0}
    return helvetica(getattr(box, field), sizes.get(field, 10.0), field in ("title", "badge", "mark"))


def sticking_out(picture: Picture, page: Page, measure: Measure, slack: float) -> Iterator[str]:
    """Texts that leave their box, meet the next text on their line, or leave the page."""
    plates = _plates(page)
    frames = [plates[f"f{n}"] for n, _ in enumerate(frames_of(picture.sheet.root)) if f"f{n}" in plates]
    lines: dict[tuple[str, float], list[tuple[float, float, str]]] = {}
    for one in page.of("text"):
        right = one.x + (one.length or measure(one.text, one.size, one.is_bold))
        room = (
            plates.get(one.ident)
            or _heading_room(one, frames)
            or Drawn("page", 0, 0, "", "", page.width, page.height)
        )
        top, bottom = one.y - 0.8 * one.size, one.y + 0.1 * one.size
        if one.x < room.x - slack or right > room.x + room.width + slack:
            yield f"{one.text!r} reaches from {one.x:.1f} to {right:.1f} in {room.ident or 'the page'}"
        if top < room.y - slack or bottom > room.y + room.height + slack:
            yield f"{one.text!r} is too high or low in {room.ident or 'the page'}"
        if one.ident:
            lines.setdefault((one.ident, one.y), []).append((one.x, right, one.text))
    for (ident, _), texts in lines.items():
        for (_, right, one), (left, _, other) in itertools.pairwise(sorted(texts)):
            if right > left + slack:
                yield f"{one!r} runs into {other!r} in {ident}"


def _heading_room(text: Drawn, frames: list[Drawn]) -> Drawn | None:
    """The frame whose heading a text is."""
    return next(
        (f for f in frames if abs(f.y + 17 - text.y) <= 1.1 and f.x <= text.x <= f.x + f.width), None
    )


@lru_cache(maxsize=65536)
def helvetica(text: str, size: float, bold: bool) -> float:
    """By reportlab's tables of the standard fonts; an em for what Helvetica has not."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    name = "Helvetica-Bold" if bold else "Helvetica"
    return sum(stringWidth(one, name, size) if ord(one) < 256 else size for one in text)


def font(name: str) -> Measure | None:
    """Widths by a font of this machine, ``LiberationSans`` or ``DejaVuSans``; None if it is not there."""
    files = {}
    for bold, endings in ((False, ("-Regular.ttf", ".ttf")), (True, ("-Bold.ttf",))):
        paths = (path for end in endings for path in Path("/usr/share/fonts").rglob(name + end))
        files[bold] = next(paths, None)
    if None in files.values():
        return None
    from PIL import ImageFont

    fonts = {bold: ImageFont.truetype(str(path), 1000) for bold, path in files.items()}
    return lru_cache(maxsize=65536)(lambda text, size, bold: fonts[bold].getlength(text) * size / 1000)
