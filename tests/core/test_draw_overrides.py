"""What users want otherwise: literal or by a callable on the layer, the module call, the ends of an edge."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torchlens_core as tl
from torchlens_core import draw
from torchlens_core.draw.sheet import PLAIN, Style


@pytest.fixture(scope="module")
def history():
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), nn.Linear(3, 2))
    return tl.log_forward_pass(model, torch.rand(2, 3))


def sheet_of(history, **overrides):
    return draw.picture(history, overrides=draw.Overrides(**overrides)).sheet


def test_ops(history):
    sheet = sheet_of(
        history,
        node={
            "fillcolor": lambda history, layer: "pink" if layer.num_params_total == 8 else None,
            "penwidth": 3,
            "label": lambda history, layer: f"{layer.layer_label_no_pass}!",
        },
    )
    boxes = {box.title: box.style for box in sheet.boxes.values()}
    assert list(boxes) == ["input_1!", "linear_1_1!", "relu_1_2!", "linear_2_3!", "output_1!"]
    assert boxes["linear_2_3!"] == Style(fill="pink", width=3.0)
    assert boxes["relu_1_2!"] == Style(width=3.0)


def test_modules(history):
    sheet = sheet_of(
        history, module={"color": lambda history, call: "#f00" if call.address == "0" else None}
    )
    (frame,) = draw.sheet.frames_of(sheet.root)
    assert frame.style == Style(stroke="#f00")


def test_modules_that_share_a_box_with_their_op(history):
    sheet = sheet_of(
        history, module={"fillcolor": lambda history, call: "gold" if call.address == "1" else None}
    )
    assert [box.title for box in sheet.boxes.values() if box.style == Style(fill="gold")] == ["linear"]


def test_edges(history):
    def to_relu(history, tail, head):
        return "dashed" if head.label == "relu_1_2" else None

    sheet = sheet_of(history, edge={"style": to_relu})
    (edge,) = [edge for edge in sheet.edges if edge.style is not PLAIN and edge.style.dashed]
    assert sheet.boxes[edge.head].title == "relu"


def test_nothing_changes_nothing(history):
    assert all(box.style == PLAIN for box in sheet_of(history).boxes.values())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"node": {"shape": "oval"}},
            "node overrides: there is no attribute 'shape'. Expected fillcolor, color, fontcolor, penwidth, style, "
            "label, tooltip.",
        ),
        ({"node": {"style": "bold"}}, "style is 'bold'. Expected 'dashed' or 'solid'."),
        ({"edge": {"penwidth": "thick"}}, "penwidth is 'thick'. Expected a number of points."),
    ],
)
def test_errors(history, overrides, message):
    with pytest.raises(tl.ArgumentError) as caught:
        sheet_of(history, **overrides)
    assert str(caught.value) == message


def test_a_colour_that_is_none_is_an_error(history):
    with pytest.raises(tl.ArgumentError, match="expression"):
        draw.picture(
            history, overrides=draw.Overrides(node={"fillcolor": "url(javascript:expression(1))"})
        ).svg()
