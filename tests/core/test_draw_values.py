"""Activations as small pictures."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torchlens_core as tl
from torchlens_core import draw
from torchlens_core.draw.sheet import Bars, Raster
from torchlens_core.draw.values import MAX_SIDE, image_of


def test_a_matrix_is_shown_as_it_is():
    image = image_of(torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]))
    assert image == Raster(width=3, height=2, levels=bytes([0, 51, 102, 153, 204, 255]))


def test_channels_stand_beside_each_other_each_with_its_own_range():
    maps = torch.stack([torch.eye(2), 100 * torch.eye(2)])[None]
    image = image_of(maps)
    assert (image.width, image.height) == (5, 2)
    assert list(image.levels) == [255, 0, 255, 255, 0, 0, 255, 255, 0, 255]


def test_large_ones_are_averaged():
    image = image_of(torch.rand(1, 64, 500, 300))
    assert (image.width, image.height) == (4 * (MAX_SIDE + 1) - 1, MAX_SIDE)
    assert len(image.levels) == image.width * image.height


def test_histogram():
    image = image_of(torch.tensor([0.0, 0.0, 0.0, 1.0]), "histograms")
    assert isinstance(image, Bars)
    assert (image.heights[0], image.heights[-1]) == (1.0, 0.333)
    assert sum(image.heights[1:-1]) == 0


@pytest.mark.parametrize(
    "value",
    [
        torch.rand(2, 2, device="meta"),
        torch.rand(2, 2, dtype=torch.complex64),
        torch.rand(2, 2).to_sparse(),
        torch.zeros(0, 3),
        torch.full((2, 2), torch.nan),
    ],
    ids=["meta", "complex", "sparse", "empty", "nan"],
)
def test_what_has_no_plain_numbers_has_no_picture(value):
    assert image_of(value) is None


@pytest.mark.parametrize(
    "value", [torch.tensor([[1, torch.inf], [2, 3]]), torch.ones(3, 3), torch.tensor(True)]
)
def test_odd_ones_have_a_picture(value):
    assert image_of(value) is not None


@pytest.fixture(scope="module")
def history():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))
    return tl.log_forward_pass(model, torch.rand(1, 1, 8, 8))


def images(history, values):
    picture = draw.picture(history, values=values)
    return {box.title: type(box.image).__name__ for box in picture.sheet.boxes.values()}, picture


def test_in_boxes(history):
    found, picture = images(history, "auto")
    assert found == dict.fromkeys(("input", "conv2d", "relu"), "Raster") | dict.fromkeys(
        ("flatten", "linear", "output"), "Bars"
    )
    assert "data:image/png;base64," in picture.svg()


def test_chosen_by_a_callable(history):
    found, _ = images(history, lambda op: "histograms" if op.layer_type == "conv2d" else None)
    assert [title for title, kind in found.items() if kind == "Bars"] == ["conv2d"]


def test_a_tensor_of_ones_own(history):
    _, picture = images(history, lambda op: torch.eye(2) if op.layer_type == "relu" else None)
    (box,) = [box for box in picture.sheet.boxes.values() if box.image]
    assert box.image == Raster(width=2, height=2, levels=bytes([255, 0, 0, 255]))


def test_what_was_not_saved_is_said():
    history = tl.log_forward_pass(nn.Linear(3, 2), torch.rand(1, 3), layers_to_save="none")
    picture = draw.picture(history, values="auto")
    assert picture.notes == ("3 ops without a picture of their value: not saved, or no plain numbers",)


def test_unknown_words(history):
    with pytest.raises(tl.ArgumentError) as caught:
        draw.picture(history, values="heat")
    assert str(caught.value) == (
        "values is 'heat'. Expected 'auto' or 'maps' or 'histograms', a tensor or None."
    )
