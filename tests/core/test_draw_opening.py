"""Which modules are open: to a depth, within a budget, by address and by predicate."""

from __future__ import annotations

import pytest
import torch
from drawn import lines
from models import With
from torch import nn

import torchlens_core as tl
from torchlens_core import draw


def nested(depth: int, width: int = 3) -> nn.Module:
    if not depth:
        return nn.Linear(4, 4)
    return nn.Sequential(*(nested(depth - 1, width) for _ in range(width)), nn.ReLU())


@pytest.fixture(scope="module")
def history():
    return tl.log_forward_pass(nested(3), torch.rand(2, 4))


def frames(picture) -> list[str]:
    return [line.strip().split(" ")[0][1:] for line in lines(picture.sheet) if line.strip()[0] == "["]


@pytest.mark.parametrize(("depth", "boxes"), [(1, 6), (2, 15), (3, 42), (9, 42)])
def test_depth(history, depth, boxes):
    assert len(draw.picture(history, depth=depth, fold=False).sheet.boxes) == boxes


@pytest.mark.parametrize(("budget", "boxes"), [(5, 6), (15, 15), (41, 15), (42, 42)])
def test_budget(history, budget, boxes):
    picture = draw.picture(history, budget=budget, fold=False)
    assert len(picture.sheet.boxes) == boxes
    closed = {
        6: ("3 modules closed",),
        15: (f"9 modules closed to keep to {budget} boxes",),
    }
    assert picture.notes == closed.get(boxes, ())


def test_of_a_level_that_does_not_fit_the_smaller_classes_are_opened():
    class Big(nn.Sequential):
        pass

    model = nn.Sequential(
        Big(*(nn.Linear(4, 4) for _ in range(30))), nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    )
    picture = draw.picture(tl.log_forward_pass(model, torch.rand(2, 4)), budget=10)
    assert frames(picture) == ["1"]


def test_modules_that_a_loop_leaves_closed_are_counted():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
            self.b = nn.Sequential(nn.Tanh(), nn.Linear(4, 4))

        def forward(self, x):
            for _ in range(3):
                x = self.b(self.a(x))
            return x

    class Big(nn.Sequential):
        pass

    model = nn.Sequential(Loop(), Big(*(nn.Linear(4, 4) for _ in range(30))))
    picture = draw.picture(tl.log_forward_pass(model, torch.rand(2, 4)), budget=8, fold=False)
    assert picture.notes == ("3 modules closed to keep to 8 boxes",)


def test_what_equal_modules_stand_for_is_known_by_all_its_addresses(history):
    folded = draw.picture(history, depth=1, opened="1.2")
    assert frames(folded) == ["0", "0"]
    assert folded.notes == ()


def test_by_address(history):
    assert frames(draw.picture(history, depth=1, opened="1.2", fold=False)) == ["1", "2"]
    assert frames(draw.picture(history, depth=3, closed=["0*", "2*"], fold=False)) == ["1", "0", "1", "2"]


def test_a_copy_that_is_drawn_with_others():
    blocks = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)) for _ in range(4)))
    history = tl.log_forward_pass(blocks, torch.rand(2, 4))
    assert frames(draw.picture(history, depth=1, opened="2")) == ["0"]


def test_what_matches_nothing_is_said(history):
    picture = draw.picture(history, opened="7.*", depth=9)
    assert picture.notes == ("opened: no module that was called matches '7.*'",)


def test_what_users_close_is_no_matter_of_the_budget(history):
    assert draw.picture(history, closed="0", fold=False).notes == ()


def test_by_predicate(history):
    picture = draw.picture(history, depth=1, opened=lambda call: call.address.startswith("2"), fold=False)
    assert frames(picture) == ["2", "0", "1", "2"]


def test_loops_are_always_open():
    def forward(model, x):
        for _ in range(3):
            x = model.block(x) + 1
        return x

    model = With(forward, block=nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    picture = draw.picture(tl.log_forward_pass(model, torch.rand(2, 4)), depth=1)
    assert lines(picture.sheet)[1:4] == ["[↻ 3]", "  block(Sequential) 20 | 2×4 2 ops", "  add(1) | 2×4"]
