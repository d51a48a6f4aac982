import base64
import re
import zlib

import pytest
from painted import HOSTILE, everything, hostile_sheet, many, sheet_of, stacked

from torchlens_core.draw.painting import pdf as module
from torchlens_core.draw.painting.paint import painting
from torchlens_core.draw.painting.pdf import SIDE, pdf
from torchlens_core.draw.sheet import Box
from torchlens_core.errors import ArgumentError, DrawingError

pytest.importorskip("reportlab")


def drawn(sheet, **options):
    return pdf(sheet, stacked(sheet), **options)


def page_of(data):
    """Width and height of the only page, and what is drawn on it."""
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    boxes = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", data)
    assert len(boxes) == 1
    content = b""
    for encoded in re.findall(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
        text = encoded.strip()
        try:
            content += zlib.decompress(_ascii85(text))
        except (zlib.error, ValueError):
            continue
    return *map(float, boxes[0]), content


def _ascii85(text):
    return base64.a85decode(text.removesuffix(b"~>"))


def test_the_page_is_as_large_as_the_picture():
    sheet = everything()
    width, height, content = page_of(drawn(sheet))
    picture = painting(sheet, stacked(sheet))
    assert (width, height) == (picture.width, picture.height)
    assert content.count(b" re") + content.count(b" c\n") > len(sheet.boxes)
    assert b"(convolution_op)" in content
    assert b"(nothing of it)" not in content


def test_text_is_in_the_standard_fonts():
    data = drawn(sheet_of([Box(key="a", category="linear", title="linear", shape="α × 日")]))
    fonts = set(re.findall(rb"/BaseFont /([\w-]+)", data))
    assert {b"Helvetica", b"Helvetica-Bold", b"Symbol"} >= fonts >= {b"Helvetica-Bold", b"Symbol"}
    assert b"FontFile" not in data
    assert b"?" in page_of(data)[2]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_make_sound_files(text):
    data = drawn(hostile_sheet(text))
    page_of(data)
    assert b"/JavaScript" not in data
    assert b"/URI" not in data


def test_title():
    assert b"/Title (model)" in drawn(everything())


def test_what_is_longer_than_a_page_may_be_is_made_smaller():
    sheet = many(400)
    assert stacked(sheet).height > SIDE
    width, height, _ = page_of(drawn(sheet))
    assert max(width, height) == pytest.approx(SIDE)


def test_dark_paper_and_unknown_themes():
    light, dark = page_of(drawn(everything()))[2], page_of(drawn(everything(), theme="dark"))[2]
    assert b".05098 .066667 .090196 rg" in dark
    assert b".05098 .066667 .090196 rg" not in light
    with pytest.raises(ArgumentError, match="Unknown theme"):
        drawn(everything(), theme="pink")


def test_equal_sheets_are_equal_files():
    assert drawn(everything()) == drawn(everything())


def test_without_reportlab(monkeypatch):
    monkeypatch.setattr(module, "reportlab", None)
    with pytest.raises(
        DrawingError, match=r"reportlab package.*pip install 'pytest-torchlens\[pictures\]'"
    ):
        drawn(everything())
