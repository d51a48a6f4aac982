"""What is shown: boxes of modules with one op, merged edges, references to hubs."""

from __future__ import annotations

import torch
from drawn import edges, lines
from models import With
from torch import nn

import torchlens_core as tl
from torchlens_core import draw


def sheet_of(model, *inputs, **options):
    return draw.picture(tl.log_forward_pass(model, list(inputs)), fold=False, **options).sheet


def test_a_module_with_one_op_shares_its_box():
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 2)))
    assert lines(sheet_of(model, torch.rand(1, 3))) == [
        "input | 1×3",
        "linear(3→2) 8 | 1×2 0.0",
        "output | 1×2",
    ]


def test_closed_modules_read_and_are_read():
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), nn.Sequential(nn.Tanh(), nn.Sigmoid()))
    sheet = sheet_of(model, torch.rand(1, 3), depth=1)
    assert edges(sheet) == ["input -> 0", "0 -> 1", "1 -> output"]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)])

    def forward(self, x, mask):
        for one in self.inner:
            x = one(x).relu()
        return self.attend(x, mask)

    def attend(self, x, mask):
        return x * mask


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block()

    def forward(self, x, mask):
        return self.block(x, mask)


def masked(count: int) -> nn.Module:
    def forward(model, x, mask):
        for one in model.layers:
            x = one(x, mask)
        return x

    return With(forward, layers=nn.ModuleList(Deep() for _ in range(count)))


def test_far_readers_of_a_hub_refer_to_it():
    x = torch.rand(2, 4)
    sheet = sheet_of(masked(8), x, x, depth=99)
    from_mask = [one for one in edges(sheet) if one.startswith("input") and one.endswith("mul")]
    assert len(from_mask) == 2, "near ones have an edge"
    assert edges(sheet).count("↳ args.1 -> mul") == 6
    assert sheet.notes == ("6 far readers name what they read (↳) instead of an edge",)


def test_few_readers_have_edges():
    x = torch.rand(2, 4)
    sheet = sheet_of(masked(4), x, x, depth=99)
    assert not sheet.notes
    assert not any(box.category == "reference" for box in sheet.boxes.values())


def test_every_edge_has_its_boxes_and_each_box_its_place():
    x = torch.rand(2, 4)
    sheet = sheet_of(masked(8), x, x, depth=99)
    assert {end for edge in sheet.edges for end in (edge.tail, edge.head)} <= set(sheet.boxes)
    assert sorted(draw.sheet.keys_of(sheet.root)) == sorted(sheet.boxes)
