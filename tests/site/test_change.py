"""The page of a changed snapshot: the picture of the change, the words, both sides."""

import pytest
import sample_site

Keys = pytest.importorskip("selenium.webdriver").Keys


_PAGE = f"{sample_site.folder('loop')}/change-1/index.html"


def _title(page, stage="stage"):
    return page.script(f"return document.querySelector('#{stage} > svg > title').textContent")


def test_the_picture_comes_first_then_the_words_then_the_sides(page):
    page.open(_PAGE)
    assert page.texts("h2")[0].startswith("What changed")
    tops = [
        page.script("return document.getElementById(arguments[0]).offsetTop", name)
        for name in ("union", "text", "stage")
    ]
    assert tops == sorted(tops)
    assert _title(page, "union") == "Loop"
    drawn = page.texts("#union svg text")
    assert {"norm", "soft"} <= set(drawn)  # what is new, and what is gone
    assert page.text("#facts") == "tests/__lens__/test_sample/test_model.lens"


def test_lines_say_what_they_are_by_sign_and_colour(page):
    page.open(_PAGE)
    for kind, op in (
        ("added", "+ norm: LayerNorm"),
        ("removed", "- soft: Softmax"),
        ("changed", "~ last:"),
    ):
        (line,) = page.texts(f"#text .{kind}")
        assert line.strip().startswith(op)
    assert page.texts("#text .place") == ["  @ answer\n"]
    assert page.text("#text").startswith("graph of Loop changed:")
    assert page.style("#text .added", "color") != page.style("#text .removed", "color")


def test_the_command_can_be_copied(page):
    page.open(_PAGE)
    assert page.text("#accept").startswith("pytest --lens-update")
    page.click("#copy")
    page.wait(lambda: page.text("#copied"))


def test_before_after_and_both(page):
    page.open(_PAGE)
    assert page.texts("#sides [role=tab]") == ["before", "after", "both"]
    before = page.script("return document.querySelector('#stage > svg').outerHTML.length")
    page.click("#sides [role=tab]")
    page.press(Keys.ARROW_RIGHT)
    assert page.one("#sides [aria-selected=true]").text == "after"
    assert page.script("return document.querySelector('#stage > svg').outerHTML.length") != before
    page.press(Keys.ARROW_RIGHT)
    assert page.script("return document.querySelectorAll('#stage > svg').length") == 1
    page.click("#larger")
    assert page.text("#actual") == "125%"


def test_dark_and_narrow(page):
    page.size(390, 844)
    page.open(_PAGE)
    light = page.style("#union svg > path", "fill")
    page.choose("#theme", "dark")
    assert page.style("#union svg > path", "fill") != light
    assert page.style("#stage svg > path", "fill") != light
    assert page.script("return document.documentElement.scrollWidth") == 390


def test_a_page_without_its_data_shows_the_picture(page, site):
    data = site / sample_site.folder("loop") / "change-1" / "data.js"
    kept = data.read_text("utf-8")
    data.write_text("", encoding="utf-8")
    page.open(_PAGE)
    assert "data.js" in page.text("#notice")
    data.write_text(kept, encoding="utf-8")
