import io

import pytest
from painted import HOSTILE, everything, hostile_sheet, sheet_of, stacked

from torchlens_core.draw.painting import png as module
from torchlens_core.draw.painting.glyphs import DRAWN
from torchlens_core.draw.painting.paint import painting
from torchlens_core.draw.painting.png import PIXELS, fallback_fonts, png, scale_within
from torchlens_core.draw.painting.svg import written
from torchlens_core.draw.painting.themes import LIGHT
from torchlens_core.draw.sheet import Box
from torchlens_core.errors import ArgumentError, DrawingError

resvg_py = pytest.importorskip("resvg_py")
Image = pytest.importorskip("PIL.Image")

BOX = Box(key="a", category="linear", title="linear", details="3→64", mark="↻ 4", shape="1×10")


def drawn(sheet, **options):
    return opened(png(sheet, stacked(sheet), **options))


def opened(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


def test_two_pixels_a_point():
    sheet = everything()
    picture = painting(sheet, stacked(sheet))
    assert drawn(sheet).size == (2 * picture.width, 2 * picture.height)
    assert drawn(sheet, scale=0.5).size == (int(picture.width / 2), int(picture.height / 2))


def test_paper():
    assert drawn(everything()).getpixel((0, 0)) == (255, 255, 255)
    assert drawn(everything(), theme="dark").getpixel((0, 0)) == (13, 17, 23)


def without_fonts(sheet, fonts):
    text = written(painting(sheet, stacked(sheet)), (LIGHT,), drawn=DRAWN)
    return opened(
        bytes(
            resvg_py.svg_to_bytes(
                svg_string=text,
                skip_system_fonts=True,
                font_files=fonts,
                sans_serif_family="Bitstream Vera Sans",
            )
        )
    )


def test_text_appears_on_machines_without_fonts():
    """Within the box, text changes pixels; the same without any font is the control."""
    sheet = sheet_of([Box(key="a", category="linear", title="linear", shape="1×10")], title="")
    x, y, width, height = (int(value) for value in stacked(sheet).boxes["a"])
    inner = (x + 16 + 4, y + 16 + 4, x + 16 + width - 4, y + 16 + height - 4)
    colors = [without_fonts(sheet, fonts).crop(inner).getcolors() for fonts in (fallback_fonts(), [])]
    assert len(colors[0]) > 20
    assert len(colors[1]) == 1


def test_arrows_are_drawn_where_no_font_has_them():
    def dark(title):
        sheet = sheet_of([Box(key="a", category="linear", title=title)], title="")
        image = without_fonts(sheet, []).convert("L").crop((30, 28, 60, 50))
        return sum(level < 100 for level in image.tobytes())

    assert dark("→") > 5
    assert dark("↻") > 5
    assert dark("a") == 0


def test_every_arrow_becomes_a_shape_and_the_text_around_it_keeps_its_place():
    text = written(painting(sheet_of([BOX]), stacked(sheet_of([BOX]))), (LIGHT,), drawn=DRAWN)
    assert DRAWN.isdisjoint(text)
    assert not DRAWN.isdisjoint(written(painting(sheet_of([BOX]), stacked(sheet_of([BOX]))), (LIGHT,)))
    assert ">3<" in text
    assert ">64<" in text


def test_huge_pictures_are_made_smaller_and_say_so(monkeypatch):
    seen = []
    monkeypatch.setattr(
        module, "written", lambda picture, *a, **k: seen.append(picture) or written(picture, *a, **k)
    )
    image = drawn(everything(), scale=300.0)
    assert 0.9 * PIXELS < image.size[0] * image.size[1] <= PIXELS or max(image.size) >= 29_000
    assert any("pixels a point instead of 300" in words.text for words in seen[0].words)
    drawn(everything(), scale=1.0)
    assert not any("instead of" in words.text for words in seen[1].words)
    assert scale_within(10, 10, 2.0) == 2.0


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_are_drawn(text):
    assert drawn(hostile_sheet(text), scale=0.5).size[0] > 40


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), "2", True])
def test_scales_that_are_none(scale):
    with pytest.raises(ArgumentError, match="expected a positive number of pixels a point"):
        drawn(everything(), scale=scale)


def test_without_resvg(monkeypatch):
    monkeypatch.setattr(module, "resvg_py", None)
    with pytest.raises(DrawingError, match=r"resvg-py package.*pip install 'pytest-torchlens\[pictures\]'"):
        drawn(everything())
