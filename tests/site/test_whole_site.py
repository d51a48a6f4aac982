"""A walk through a whole site: the sample's, or the gallery in the folder that LENS_GALLERY_SITE names."""

import os
from pathlib import Path

import pytest

#: Models that are opened.
_MOST = 12


@pytest.fixture
def walked(page):
    if folder := os.environ.get("LENS_GALLERY_SITE"):
        page.site = Path(folder).resolve()
    return page


def test_every_picture_of_every_model_is_shown_and_its_boxes_are_known(walked):
    page = walked.open("index.html" if "LENS_GALLERY_SITE" in os.environ else "index.html#q=test_sample.py")
    assert page.text("#title")
    assert page.all(".card")
    links = page.script(
        "return [...document.querySelectorAll('a.main')].map(one => one.getAttribute('href'))"
    )
    links = [link for link in links if (page.site / link).exists() and "hostile" not in link][:_MOST]
    assert links
    for link in links:
        _walk(page, link)
    changes = page.script(
        "return [...document.querySelectorAll('.about .badges a')].map(one => one.getAttribute('href'))"
    )
    for change in changes[:3]:
        page.open(change)
        assert page.all("#union > svg")


def _walk(page, link):
    page.open(link)
    page.wait(lambda: page.script("return document.querySelector('#details').hasChildNodes()"))
    numbers = page.script("return [...document.getElementById('view').options].map(one => one.value)")
    assert numbers, link
    for number in numbers:
        page.choose("#view", number)
        page.wait(lambda number=number: page.hash == ("" if number == "0" else f"picture={number}"))
        page.press("j", "j")
        page.wait(lambda: page.all("#stage .is-selected"))
        assert page.text("#details .kind") != "unknown", (link, number, page.hash)
        page.press("\ue00c")  # escape
