"""A picture as a whole: its forms, its options, what it says of itself."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from xml.dom import minidom

import pytest
import torch
from models import Of
from torch import nn

import torchlens_core as tl
from torchlens_core import draw
from torchlens_core.draw import pictures
from torchlens_core.draw.sheet import frames_of
from torchlens_core.snapshot import take_snapshot


@pytest.fixture(scope="module")
def history():
    return tl.log_forward_pass(
        nn.Sequential(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), nn.Tanh()), torch.rand(1, 3)
    )


STARTS = {"svg": b"<svg", "pdf": b"%PDF", "png": b"\x89PNG", "dot": b"digraph", "json": b'{"label"'}


@pytest.mark.parametrize("fileformat", STARTS)
def test_forms(history, tmp_path, fileformat):
    path = draw.picture(history).save(tmp_path / f"net.{fileformat}")
    assert path.read_bytes().startswith(STARTS[fileformat])


@pytest.mark.parametrize("engine", ["ranks", *draw.engines_found()])
@pytest.mark.parametrize("direction", draw.DIRECTIONS)
def test_every_engine_in_every_direction(history, engine, direction):
    picture = draw.picture(history, engines=[engine], direction=direction)
    assert picture.layout.engine == engine
    assert minidom.parseString(picture.svg()).documentElement.tagName == "svg"


def test_of_a_snapshot(history):
    assert draw.picture(take_snapshot(history)).sheet.subtitle == draw.picture(history).sheet.subtitle


def test_of_nothing():
    picture = draw.picture(tl.log_forward_pass(Of(lambda: None), None))
    assert minidom.parseString(picture.svg())
    assert repr(picture).startswith("Picture of Of: 0 boxes, 0 edges")


def test_in_a_notebook(history):
    assert draw.picture(history)._repr_svg_().startswith("<svg")
    assert "<svg" in history._repr_html_()


def test_pictures_in_one_page_have_ids_of_their_own(history):
    shown = [draw.picture(history, depth=depth)._repr_svg_() for depth in (1, 2)]
    ids = [set(re.findall(r' id="([^"]+)"', one)) for one in shown]
    assert all(ids)
    assert not ids[0] & ids[1]


def test_as_a_method_of_the_history(history):
    assert history.picture(depth=1).sheet == draw.picture(history, depth=1).sheet


def test_the_same_twice(history):
    assert draw.picture(history).svg() == draw.picture(history).svg()


@pytest.mark.parametrize("options", [{}, {"depth": 999}], ids=str)
def test_nesting_may_be_deeper_than_python_recurs_to_print_it(options):
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    for _ in range(300):
        model = nn.Sequential(model, nn.ReLU())
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(10_000)  # torch needs it to run such a model
        history = tl.log_forward_pass(model, torch.rand(1, 4))
        sys.setrecursionlimit(1000)
        picture = draw.picture(history, engines="ranks", **options)
        assert picture.embedded().endswith("</svg>\n")
        assert len(list(frames_of(picture.sheet.root))) >= 300 * bool(options)
    finally:
        sys.setrecursionlimit(limit)


# -- what takes too long -----------------------------------------------------------------------------


@pytest.fixture
def slow_above(monkeypatch):
    """Makes engines stop where a picture has more boxes than this; gives a list of how many each has."""

    def slow_above(boxes):
        place, asked = pictures.place, []

        def slow(sheet, sizes, headings, *, engines, timeout):
            asked.append(len(sheet.boxes))
            layout = place(sheet, sizes, headings, engines=["ranks"])
            if len(sheet.boxes) <= boxes:
                return layout
            return replace(layout, said=("dot: no layout within 20 s",), is_late=True)

        monkeypatch.setattr(pictures, "place", slow)
        return asked

    return slow_above


def wide(count: int) -> nn.Module:
    return nn.Sequential(*(nn.Sequential(*(nn.Linear(2 + n, 3 + n), nn.ReLU())) for n in range(count)))


def test_fewer_modules_are_open_if_the_engine_is_too_slow(slow_above):
    asked = slow_above(5)
    history = tl.log_forward_pass(nn.Sequential(wide(3), nn.Linear(5, 1)), torch.rand(1, 2))
    picture = draw.picture(history, budget=40)
    assert len(picture.sheet.boxes) <= 6
    assert asked == sorted(asked, reverse=True)
    assert len(asked) > 1
    assert picture.notes == ("1 module closed to keep to 5 boxes", "dot: no layout within 20 s")


def test_no_more_is_closed_than_the_engine_needs(slow_above):
    asked = slow_above(24)
    blocks = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(13)))
    history = tl.log_forward_pass(nn.Sequential(blocks, nn.Tanh()), torch.rand(1, 4))
    picture = draw.picture(history, fold=False)
    assert picture.notes == ("13 modules closed to keep to 17 boxes", "dot: no layout within 20 s")
    assert asked == [29, 29, 16]


def test_a_depth_that_was_asked_for_stays(slow_above):
    asked = slow_above(5)
    history = tl.log_forward_pass(wide(3), torch.rand(1, 2))
    picture = draw.picture(history, depth=5)
    assert picture.notes == ("dot: no layout within 20 s",)
    assert asked == [8]


# -- errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": "up"}, "direction is 'up'. Expected 'topdown' or 'bottomup' or 'leftright'."),
        ({"depth": 0}, "depth is 0. Expected a number of levels, from 1, or None."),
        ({"depth": "all"}, "depth is 'all'. Expected a number of levels, from 1, or None."),
    ],
)
def test_bad_options(history, options, message):
    with pytest.raises(tl.ArgumentError) as caught:
        draw.picture(history, **options)
    assert str(caught.value) == message


def test_unknown_option(history):
    with pytest.raises(
        tl.ArgumentError, match=r"pictures have no option 'colour'\. Expected rolled, depth, "
    ):
        draw.picture(history, colour="red")


def test_unknown_format(history, tmp_path):
    with pytest.raises(tl.ArgumentError) as caught:
        draw.picture(history).save(tmp_path / "net.jpg")
    assert str(caught.value) == "there is no format 'jpg'. Expected svg, png, pdf, dot, json."
    assert not list(tmp_path.iterdir())
