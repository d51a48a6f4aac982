"""Pictures as Chromium draws them: texts keep to their boxes in any font, and nothing runs or is fetched."""

from __future__ import annotations

import browser
import hostile
import pytest
import torch
from torch import nn

import torchlens_core as tl
from model_suite import find
from torchlens_core import draw
from torchlens_core.diff import draw_diff

pytest.importorskip("torchvision")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.find() is None, reason="no chromium on this machine"),
]
#: The one that Helvetica stands for, and one much wider.
FONTS = {
    "": "as given",
    "Liberation Sans": "metrics of Helvetica",
    "DejaVu Sans": "wide",
    "DejaVu Sans Mono": "mono",
}


def logged(name, **options):
    case = find(f"torchvision/{name}")
    torch.manual_seed(0)
    args, kwargs = case.inputs()
    with torch.no_grad():
        return tl.log_forward_pass(case.build(), list(args), kwargs or None, **options)


def changed():
    """Two models of which one has ops, modules and a title that the other has not."""

    def block(*parts):
        return nn.Sequential(nn.Linear(30, 30), *parts, nn.Linear(30, 30))

    old = nn.Sequential(block(nn.ReLU()), block(nn.Tanh()), nn.Sequential(nn.Dropout(), nn.ReLU()))
    new = nn.Sequential(block(nn.GELU()), block(nn.Tanh(), nn.LayerNorm(30)), block(nn.Softmax(-1)))
    return [tl.log_forward_pass(model.eval(), torch.rand(1, 30)) for model in (old, new)]


class Attend(nn.Module):
    """Reads a mask."""

    def __init__(self, width):
        super().__init__()
        self.lead = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 4))

    def forward(self, x, mask):
        return self.lead(x) * mask.tril()


class Masked(nn.Module):
    """Blocks in which one mask is read far from where it is made."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.ModuleDict({"attend": Attend(n)}) for n in range(4, 28))

    def forward(self, x, mask):
        given_mask = mask > 0.5
        for block in self.blocks:
            x = block["attend"](x, given_mask)
        return x


class Odd:
    """Sheets of hostile names, one below the other, of which each is a picture."""

    def __init__(self, name):
        self.picture = draw.picture(hostile.history(name), depth=99, buffers=True, theme="auto")

    def svg(self, prefix=""):
        return self.picture.svg(prefix=prefix)


@pytest.fixture(scope="module")
def pictures():
    resnet, swin = logged("resnet18"), logged("swin_v2_t", layers_to_save=None)
    masked = tl.log_forward_pass(Masked(), [torch.rand(1, 4, 4), torch.ones(4, 4)])
    found = {
        "resnet, dark, with values": draw.picture(resnet, values="auto", theme="dark"),
        "whole swin, auto": draw.picture(swin, depth=99, fold=False, theme="auto", engines=["ranks"]),
        "swin, leftright": draw.picture(swin, direction="leftright"),
        "references": draw.picture(masked, depth=99, fold=False),
        "diff, auto": draw_diff(*changed(), theme="auto"),
        "backward": draw.picture(logged("squeezenet1_1", layers_to_save=None), backward=True),
    }
    assert len(found["whole swin, auto"].sheet.boxes) > 600
    assert any(box.category == "reference" for box in found["references"].sheet.boxes.values())
    return found | {f"odd: {key}": Odd(name) for key, name in hostile.NAMES.items()}


@pytest.mark.parametrize("family", FONTS)
def test_texts_keep_to_their_boxes(pictures, family):
    seen = browser.look(pictures, family=family)
    assert {name: faults for name, one in seen.pictures.items() if (faults := browser.faults(one))} == {}
    assert sum(len(one["texts"]) for one in seen.pictures.values()) > 3000


@pytest.fixture(scope="module")
def seen(pictures):
    return browser.look(pictures)


def test_nothing_runs_or_is_fetched(pictures, seen):
    assert seen.errors == []
    assert seen.ran == []
    assert seen.fetched == []
    assert len(seen.strays) == len(pictures) + 1, "a picture's HTML does not end where the picture does"


def test_each_is_an_image(pictures, seen):
    """So the browser's XML parser reads it."""
    assert set(seen.images) == set(pictures)
    assert {name: size for name, size in seen.images.items() if 0 in size} == {}


def test_pictures_on_one_page_keep_their_colours(pictures, seen):
    papers = {name: one["paper"] for name, one in seen.pictures.items()}
    dark = [name for name, paper in papers.items() if paper != "rgb(255, 255, 255)"]
    assert dark == ["resnet, dark, with values"]


def test_auto_is_dark_where_the_reader_wants_that(pictures):
    chosen = {name: picture for name, picture in pictures.items() if "auto" in name or "light" in name}
    seen = browser.look(chosen, is_dark=True)
    assert {one["paper"] for one in seen.pictures.values()} == {"rgb(13, 17, 23)"}


# -- controls ----------------------------------------------------------------------------------------


class Spoilt:
    """A small picture in which something was replaced."""

    def __init__(self, old, new):
        self.old, self.new = old, new
        self.picture = draw.picture(
            tl.log_forward_pass(nn.Linear(3, 3), torch.rand(2, 3)), engines=["ranks"]
        )

    def svg(self, prefix=""):
        text = self.picture.svg(prefix=prefix)
        assert self.old in text
        return text.replace(self.old, self.new)


SPOILT = {
    "too narrow": Spoilt('width="104"', 'width="46"'),
    "too long": Spoilt(">3→3<", ">3→3 3→3 3→3 3→3 3→3<"),
    "runs": Spoilt("<desc>", "<desc><script>alert(1)</script>"),
    "fetches": Spoilt("<desc>", '<image width="9" height="9" href="http://127.0.0.1:9/x.png"/><desc>'),
    "handles": Spoilt("<desc>", '<g onclick="alert(2)"/><desc>'),
    "ends early": Spoilt("<desc>", "</svg></div><desc>"),
}


@pytest.fixture(scope="module")
def spoilt():
    return browser.look(SPOILT)


@pytest.mark.parametrize("name", ["too narrow", "too long"])
def test_texts_that_leave_their_boxes_are_seen(spoilt, name):
    assert browser.faults(spoilt.pictures[name])


def test_scripts_and_requests_are_seen(spoilt):
    assert "alert(1)" in spoilt.ran
    assert spoilt.fetched == ["http://127.0.0.1:9/x.png"]
    assert "<g> may run" in browser.faults(spoilt.pictures["handles"])


def test_pictures_that_break_the_page_are_seen(spoilt):
    assert len(spoilt.strays) > len(SPOILT) + 1
    assert [error.partition(":")[0] for error in spoilt.errors] == ["ends early"]
    assert 0 in spoilt.images["ends early"]
