import pytest
from painted import HOSTILE, all_frames, everything, hostile_sheet

from torchlens_core.draw.painting.metrics import (
    box_plan,
    box_size,
    clean,
    cut,
    heading_plan,
    heading_size,
    natural_width,
    width_of,
    wrap,
)
from torchlens_core.draw.sheet import Bars, Box, Frame, Raster

pdfmetrics = pytest.importorskip("reportlab.pdfbase.pdfmetrics")

LATIN = "".join(map(chr, (*range(0x20, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)))) + "–…•€"


@pytest.mark.parametrize(("font", "bold"), [("Helvetica", False), ("Helvetica-Bold", True)])
def test_widths_are_those_of_adobe_or_wider(font, bold):
    for char in LATIN:
        told = pdfmetrics.stringWidth(char, font, 1000)
        ours = natural_width(char, 1000, bold)
        exact = 0x20 <= ord(char) < 0x7F
        assert abs(ours - told) < 0.01 if exact else told - 0.01 <= ours <= told + 170, char


def test_the_table_of_one_weight_is_not_that_of_the_other():
    assert natural_width("conv2d", 10) != natural_width("conv2d", 10, bold=True)


def test_widths_for_what_helvetica_lacks():
    assert natural_width("層🔥", 10) == 20
    assert natural_width("e\u0301", 10) == natural_width("e", 10) == natural_width("é", 10)
    assert natural_width("→", 1000) == 987
    assert natural_width("\u200d", 10) == 0


def pieces_of(sheet):
    for box in sheet.boxes.values():
        yield box_plan(box), box
    for frame in all_frames(sheet):
        yield heading_plan(frame), frame


@pytest.mark.parametrize("sheet", [everything(), *map(hostile_sheet, HOSTILE.values())])
def test_text_lies_in_its_box_and_over_no_other_text(sheet):
    for plan, owner in pieces_of(sheet):
        for piece in plan.pieces:
            assert piece.x >= 5, owner
            assert piece.x + piece.width <= plan.width - 5, owner
            assert piece.size < piece.y <= plan.height - 5, owner
            for other in plan.pieces:
                if other.y == piece.y and other.x > piece.x:
                    assert piece.x + piece.width + 2 <= other.x, owner
        if plan.width:
            assert plan.width % 2 == plan.height % 2 == 0
            assert plan.width < 900


def test_no_text_at_all_has_a_size():
    assert box_size(Box(key="a", category="other", title="")) == (40.0, 24.0)
    assert heading_size(Frame(key="")) == (0.0, 0.0)


def test_what_a_diff_says_is_a_sign_too():
    for change, sign in {"added": "+", "removed": "−", "changed": "~"}.items():
        pieces = box_plan(Box(key="a", category="linear", title="linear", change=change)).pieces
        assert pieces[0].text == sign
        assert [piece.struck for piece in pieces] == [False, change == "removed"]
    assert (
        box_plan(Box(key="a", category="linear", title="linear", change="same")).pieces[0].text == "linear"
    )


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_cleaned_text_is_one_line_of_xml(text):
    cleaned = clean(text)
    assert len(cleaned) <= 401
    assert all(char.isprintable() or char == "\u200d" for char in cleaned)
    cleaned.encode()


def test_harmless_text_stays_as_it_is():
    for text in ("3→64 k11 s4 p2", "שלום", "é e\u0301", "👩‍👩‍👧‍👦"):
        assert clean(text) == text


def test_heaped_marks_are_taken_away():
    assert clean("Z" + "\u0301" * 300) == "Z\u0301\u0301"


def test_long_text_ends_in_an_ellipsis_within_the_limit():
    assert cut("x" * 10_000, 10, 100).endswith("…")
    assert width_of(cut("x" * 10_000, 10, 100), 10) <= 100
    assert cut("short", 10, 100) == "short"


def test_wrapped_lines_fit():
    lines = wrap("modules open to depth 2 of 4 " * 9 + "y" * 300, 9, 120)
    assert len(lines) > 5
    assert all(width_of(line, 9) <= 120 for line in lines)


@pytest.mark.parametrize(
    "image",
    [
        Bars((0.5,) * 9),
        Raster(width=3, height=2, levels=bytes(6)),
        Raster(width=900, height=1, levels=bytes(900)),
    ],
)
def test_images_have_room_below_the_text(image):
    box = Box(key="a", category="linear", title="x", shape="2", image=image)
    plan = box_plan(box)
    x, y, width, height = plan.image
    assert y > max(piece.y for piece in plan.pieces)
    assert x >= 5
    assert x + width <= plan.width - 5
    assert y + height <= plan.height - 4
