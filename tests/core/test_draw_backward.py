"""The backward pass: autograd's nodes, from outputs to parameters."""

from __future__ import annotations

import torch
from drawn import edges, lines
from models import Of
from torch import nn

import torchlens_core as tl
from torchlens_core import draw


def sheet_of(model, x):
    return draw.picture(tl.log_forward_pass(model, x), backward=True, depth=9).sheet


def test_from_output_to_parameters():
    sheet = sheet_of(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), torch.rand(1, 3))
    assert sorted(edges(sheet)) == [
        "AddmmBackward0 -> AccumulateGrad",
        "AddmmBackward0 -> AccumulateGrad",
        "ReluBackward0 -> AddmmBackward0",
        "gradient -> ReluBackward0",
    ]
    assert lines(sheet)[0].startswith("gradient | 1×2")
    assert sheet.subtitle == "backward pass · 2 ops"


def test_what_needs_no_gradient_is_left_out():
    sheet = sheet_of(Of(lambda x: x.exp() * x.detach().sin()), torch.rand(2, requires_grad=True))
    titles = [box.title for box in sheet.boxes.values()]
    assert titles == ["gradient", "MulBackward0", "ExpBackward0", "AccumulateGrad"]


def test_nothing_needs_a_gradient():
    assert lines(sheet_of(Of(torch.sin), torch.rand(2))) == []
