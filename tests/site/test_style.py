"""Colours of the pages: text can be read in both themes. No browser needed."""

import re

import pytest
import sample_site

_CSS = (sample_site.SITE / "assets" / "site.css").read_text("utf-8")
_COLOURS = {
    name: pair for name, *pair in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", _CSS)
}
_PAIRS = """
text: page paper raised accent-fill
soft: page paper raised
accent: page paper raised accent-fill
on-accent: accent
good: good-fill
bad: bad-fill paper raised page
changed: changed-fill page paper
added: added-fill page
"""


def _luminance(colour):
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one, other):
    """WCAG 2.2, 1.4.3."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("line", _PAIRS.split("\n")[1:-1], ids=lambda line: line.partition(":")[0])
def test_text_stands_out(line):
    ink, _, grounds = line.partition(": ")
    for ground in grounds.split():
        for theme in (0, 1):
            found = _contrast(_COLOURS[ink][theme], _COLOURS[ground][theme])
            assert found >= 4.5, (ink, ground, ("light", "dark")[theme], round(found, 2))


def test_contrast_is_that_of_the_standard():
    assert round(_contrast("#ffffff", "#000000"), 1) == 21.0
    assert round(_contrast("#767676", "#ffffff"), 2) == 4.54


def test_no_page_has_a_script_or_a_handler_inline():
    pages = [path.read_text("utf-8") for path in sample_site.SITE.glob("*.j2")]
    assert len(pages) == 3
    for page in pages:
        assert (
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
            in page
        )
        assert re.findall(r"<script(?! src=)|\son\w+=", page) == []
        assert re.findall(r"https?:|//", page) == []


def test_no_script_makes_markup_of_texts():
    for path in (sample_site.SITE / "assets").glob("*.js"):
        text = path.read_text("utf-8")
        assert text.startswith('"use strict";\n')
        assert (
            re.findall(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|text/html",
                text,
            )
            == []
        )
