"""One module alone."""

from __future__ import annotations

import pytest
import torch
from drawn import edges, lines
from torch import nn

import torchlens_core as tl
from torchlens_core import draw


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x, y):
        return self.fc(x) * y, x + y


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = Gate()

    def forward(self, x):
        a, b = self.gate(x.exp(), x.sin())
        return a - b, a.relu()


@pytest.fixture(scope="module")
def history():
    return tl.log_forward_pass(Net(), torch.rand(2, 3))


def test_what_goes_in_and_out(history):
    sheet = draw.picture(history, module="gate").sheet
    assert lines(sheet) == [
        "input | 2×3 exp",
        "input | 2×3 sin",
        "linear(3→3) 12 | 2×3 fc",
        "mul | 2×3",
        "add | 2×3",
        "output | 2×3 mul",
        "output | 2×3 add",
    ]
    assert sorted(edges(sheet)) == [
        *(
            "add -> output",
            "input -> add",
            "input -> add",
            "input -> linear",
            "input -> mul",
            "linear -> mul",
        ),
        "mul -> output",
    ]
    assert (sheet.title, sheet.subtitle) == ("gate", "Gate of Net · 3 ops · 12 params")


def test_of_a_snapshot(history):
    snapshot = tl.snapshot.take_snapshot(history)
    assert len(draw.picture(snapshot, module="gate").sheet.boxes) == 7


def test_unknown(history):
    with pytest.raises(tl.ArgumentError) as caught:
        draw.picture(history, module="gates")
    assert str(caught.value) == "no module 'gates' was called in Net. Did you mean 'gate' or 'gate.fc'?"
