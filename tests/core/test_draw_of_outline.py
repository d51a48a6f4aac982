"""Snapshots as sheets: the same picture as that of the history, loops drawn once."""

from __future__ import annotations

import pytest
import torch
from drawn import edges, lines
from models import Of, With
from torch import nn

import torchlens_core as tl
from torchlens_core import draw
from torchlens_core.snapshot import read_snapshot, take_snapshot

X = torch.rand(2, 3)


def halves(x):
    a, b = x.chunk(2, 0)
    return a * b.exp()


def looped(model, x):
    h = torch.zeros(2, 4)
    c = torch.zeros(2, 4)
    for t in range(3):
        h, c = model.cell(x[t], (h, c))
    return {"last": h, "cell": c}


MODELS = {
    "block": (nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.BatchNorm1d(3), nn.ReLU())).eval(), X),
    "several results": (Of(halves), X),
    "attention": (nn.TransformerEncoderLayer(4, 2, 8), torch.rand(2, 1, 4)),
    "cell in a loop": (With(looped, cell=nn.LSTMCell(3, 4)), torch.rand(3, 2, 3)),
    "passed on": (nn.Sequential(nn.Identity(), nn.Linear(3, 2), nn.Identity()), X),
}


def sheets(model, *inputs, **options):
    """Of the history, and of its snapshot, read again."""
    history = tl.log_forward_pass(model, list(inputs))
    snapshot = read_snapshot(str(take_snapshot(history)))
    return [draw.picture(one, depth=99, fold=False, **options).sheet for one in (history, snapshot)]


def without_composites(shown: list[str]) -> list[str]:
    """Snapshots know nothing of composites, and write indices that go on as ``[0..2]``."""
    kept = (line.strip() for line in shown if "multi_head_attention_forward" not in line)
    return sorted(line.replace("[0] … [2]", "[0..2]") for line in kept)


@pytest.mark.parametrize("name", MODELS)
def test_as_of_the_history(name):
    history, snapshot = sheets(*MODELS[name])
    assert without_composites(lines(snapshot)) == without_composites(lines(history))
    assert sorted(edges(snapshot)) == sorted(edges(history))
    assert (snapshot.title, snapshot.subtitle) == (history.title, history.subtitle)


def test_control_another_model_is_another_picture():
    history, _ = sheets(*MODELS["block"])
    _, snapshot = sheets(
        nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3))).eval(), X
    )
    assert sorted(edges(snapshot)) != sorted(edges(history))


def test_buffers():
    _, snapshot = sheets(*MODELS["block"], buffers=True)
    assert "running_mean(buffer) | 3" in [line.strip() for line in lines(snapshot)]
    assert "running_mean -> batch_norm" in edges(snapshot)


def test_loop():
    _, snapshot = sheets(*MODELS["cell in a loop"])
    shown = lines(snapshot)
    start = shown.index("[↻ 3]")
    assert [line.split(" |")[0] for line in shown[start + 1 : start + 3]] == [
        "  getitem([0..2])",
        "  lstm_cell 144",
    ]
    assert [one for one in edges(snapshot) if one.endswith("back")] == ["lstm_cell -> lstm_cell [0,1] back"]


def test_names_are_readable():
    model = nn.Sequential()
    model.add_module("conv-1 ✓", nn.Linear(3, 2))
    _, snapshot = sheets(model, X)
    assert "linear(3→2) 8 | 2×2 conv-1 ✓" in lines(snapshot)
