"""Two graphs in one picture."""

from __future__ import annotations

import pytest
import torch
from drawn import edges, lines
from models import Of, With
from torch import nn

import torchlens_core as tl
from torchlens_core.diff.union import draw_diff

X = torch.rand(1, 4)


def sheet_of(old, new, *inputs, **options):
    histories = [tl.log_forward_pass(model.eval(), list(inputs or (X,))) for model in (old, new)]
    return draw_diff(*histories, depth=99, **options).sheet


def net(*inner: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.Tanh()), nn.Sequential(*inner), nn.Sigmoid())


def test_added():
    sheet = sheet_of(net(nn.Linear(4, 4)), net(nn.Linear(4, 4), nn.ReLU()))
    assert lines(sheet) == [
        "input !same | 1×4",
        "0(Sequential) !same | 2 ops unchanged",
        "[1 Sequential 20]",
        "  linear(4→4) 20 !same | 1×4 0",
        "  relu !added | 1×4 1",
        "sigmoid !same | 1×4 2",
        "output | 1×4",
    ]
    assert sorted(one for one in edges(sheet) if "!" in one) == [
        "linear -> relu !added",
        "linear -> sigmoid !removed",
        "relu -> sigmoid !added",
    ]
    assert sheet.subtitle == "+1 −0 ~0"


def test_of_a_module_that_was_added_only_what_does_something_is_drawn():
    added = nn.Sequential(nn.Tanh(), nn.Identity(), nn.Sigmoid())
    old = With(lambda self, x: self.a(x), a=nn.Linear(4, 4))
    new = With(lambda self, x: self.b(self.a(x)), a=nn.Linear(4, 4), b=added)
    assert lines(sheet_of(old, new))[2:] == [
        "[b Sequential !added]",
        "  tanh !added | 1×4 0",
        "  sigmoid !added | 1×4 2",
        "output | 1×4",
    ]


def test_removed_is_the_mirror_of_added():
    sheet = sheet_of(net(nn.Linear(4, 4), nn.ReLU()), net(nn.Linear(4, 4)))
    assert "  relu !removed | 1×4 1" in lines(sheet)
    assert sorted(one for one in edges(sheet) if "!" in one) == [
        "linear -> relu !removed",
        "linear -> sigmoid !added",
        "relu -> sigmoid !removed",
    ]
    assert sheet.subtitle == "+0 −1 ~0"


def test_changed():
    sheet = sheet_of(net(nn.Linear(4, 4), nn.ReLU()), net(nn.Linear(4, 4), nn.GELU()))
    assert "  relu → gelu !changed | 1×4 1" in lines(sheet)
    assert not any("!" in one for one in edges(sheet))


def test_what_follows_is_grey_and_says_both_shapes():
    sheet = sheet_of(net(nn.Linear(4, 4), nn.ReLU()), net(nn.Linear(4, 6), nn.ReLU()))
    assert "  linear(4→6 (was 4→4)) 30 !changed | 1×4 → 1×6 0" in lines(sheet)
    assert "  relu !same | 1×4 → 1×6 1" in lines(sheet)


def test_a_module_that_one_side_has():
    sheet = sheet_of(net(nn.Linear(4, 4)), net(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.ReLU())))
    shown = lines(sheet)
    start = shown.index("  [1 Sequential 20 !added]")
    assert shown[start + 1 : start + 3] == [
        "    linear(4→4) 20 !added | 1×4 0",
        "    relu !added | 1×4 1",
    ]


def test_wrapped():
    sheet = sheet_of(net(nn.Linear(4, 4)), net(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.1))))
    assert any("!added" in line and "dropout" in line for line in lines(sheet))
    assert any("linear" in line and "!added" not in line for line in lines(sheet))


def test_replaced_by_nothing():
    sheet = sheet_of(net(nn.Linear(4, 4), nn.LayerNorm(4)), net(nn.Linear(4, 4), nn.Identity()))
    assert sheet.subtitle == "+0 −0 ~1"
    assert any("layer_norm → 1" in line and "!changed" in line for line in lines(sheet))


def test_another_class():
    class Other(nn.Sequential):
        pass

    sheet = sheet_of(nn.Sequential(nn.ReLU(), nn.Tanh()), Other(nn.ReLU(), nn.Tanh()))
    assert sheet.title == "Sequential → Other"


def test_outputs():
    sheet = sheet_of(Of(lambda x: {"a": x.exp()}), Of(lambda x: {"a": x.exp(), "b": x.sin()}))
    assert "output !added | 1×4 b" in lines(sheet)
    assert "sin -> output !added" in edges(sheet)


def test_loops():
    def loop(count):
        def forward(model, x):
            for _ in range(count):
                x = model.fc(x).relu()
            return x

        return With(forward, fc=nn.Linear(4, 4))

    shown = lines(sheet_of(loop(3), loop(5)))
    assert any(line.startswith("[↻ 5") and "!changed" in line for line in shown)


def test_the_same_twice_has_no_changes():
    sheet = sheet_of(net(nn.ReLU()), net(nn.ReLU()))
    assert sheet.subtitle == "+0 −0 ~0"
    assert not any("!" in one for one in edges(sheet))


@pytest.mark.parametrize("engine", ["ranks", None])
def test_drawn(engine):
    histories = [tl.log_forward_pass(net(*inner), X) for inner in ([nn.ReLU()], [nn.ReLU(), nn.Tanh()])]
    picture = draw_diff(*histories, engines=[engine] if engine else None)
    assert picture.svg().startswith("<svg")
