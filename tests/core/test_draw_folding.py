"""Equal neighbours are drawn once, and only those that are wired alike."""

from __future__ import annotations

import torch
from drawn import edges, lines
from models import With
from torch import nn

import torchlens_core as tl
from torchlens_core import draw


def block() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))


def blocks(count: int) -> nn.ModuleList:
    return nn.ModuleList(block() for _ in range(count))


def sheet_of(model, *inputs, **options):
    history = tl.log_forward_pass(model, [torch.rand(2, 4), *inputs])
    return draw.picture(history, depth=99, **options).sheet


def marks(sheet) -> list[str]:
    return [line.strip() for line in lines(sheet) if "×" in line and line.strip()[0] == "["]


def test_a_chain_of_equal_blocks():
    sheet = sheet_of(nn.Sequential(*blocks(5)))
    assert marks(sheet) == ["[0 … 4 Sequential 60 ×5]"]
    assert len(sheet.boxes) == 7
    assert edges(sheet)[0] == "input -> linear"
    assert edges(sheet)[-1] == "linear -> output"
    assert not any("back" in one for one in edges(sheet))


def test_all_of_it_if_asked():
    sheet = sheet_of(nn.Sequential(*blocks(5)), fold=False)
    assert marks(sheet) == []
    assert len(sheet.boxes) == 27


def test_passes_drawn_one_by_one_are_not_folded():
    def twice(model, x):
        return model.block(model.block(x))

    assert marks(sheet_of(With(twice, block=block()), rolled=False)) == []


def test_skip_connections_are_part_of_the_pattern():
    def residual(model, x):
        for one in model.blocks:
            x = x + one(x)
        return x

    sheet = sheet_of(With(residual, blocks=blocks(4)))
    assert marks(sheet) == ["[×4]"]
    assert "  [blocks.0 … blocks.3 Sequential 60]" in lines(sheet)
    assert {"input -> add", "input -> linear", "linear -> add", "add -> output"} <= set(edges(sheet))


def test_beside_each_other():
    def parallel(model, x):
        return torch.stack([one(x) for one in model.blocks])

    assert marks(sheet_of(With(parallel, blocks=blocks(4)))) == [
        "[blocks.0 … blocks.3 Sequential 60 ×4 in parallel]"
    ]


def test_one_that_differs_ends_the_pattern():
    other = nn.Sequential(*block(), nn.Sigmoid())
    assert marks(sheet_of(nn.Sequential(*blocks(2), other, *blocks(3)))) == [
        "[0 … 1 Sequential 60 ×2]",
        "[3 … 5 Sequential 60 ×3]",
    ]


def test_one_that_is_wired_otherwise_ends_the_pattern():
    """The last one reads the input, not the one before."""

    def forward(model, x):
        first = x
        for one in model.blocks[:-1]:
            x = one(x)
        return x + model.blocks[-1](first)

    assert marks(sheet_of(With(forward, blocks=blocks(4)))) == ["[blocks.0 … blocks.2 Sequential 60 ×3]"]


def test_what_reads_two_back_is_no_pattern():
    def forward(model, x):
        before = x
        for one in model.blocks:
            before, x = x, one(x) + before
        return x

    shown = marks(sheet_of(With(forward, blocks=blocks(4))))
    assert "[×4]" not in shown


def test_small_repetitions_are_left():
    assert marks(sheet_of(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU()))) == []


def test_readers_of_all_copies_read_the_one():
    def forward(model, x):
        kept = []
        for one in model.blocks:
            x = one(x)
            kept.append(x)
        return torch.cat(kept)

    sheet = sheet_of(With(forward, blocks=blocks(3)))
    assert edges(sheet).count("linear -> cat") == 1
