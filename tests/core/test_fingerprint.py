"""Fingerprints of structures: what they do not see, and what they do."""

from __future__ import annotations

import re

import pytest
import torch
from models import Of
from torch import nn

import torchlens_core as tl
from torchlens_core.snapshot import structure_hash

X = torch.rand(2, 4)
LAYERS = nn.Linear(4, 4), nn.Linear(4, 4)


def of(model, *args, **options):
    """The fingerprint of a model, or of a function as one."""
    model = model if isinstance(model, nn.Module) else Of(model)
    return structure_hash(tl.log_forward_pass(model, list(args) or [X]), **options)


def folded(model, *args):
    return of(model, *args, shapes=False, folded=True)


class Chain(nn.Module):
    """Modules one after the other under other names than a `nn.Sequential` gives."""

    def __init__(self, *modules):
        super().__init__()
        self.parts = nn.ModuleDict({f"part{n}": module for n, module in enumerate(modules)})

    def forward(self, x):
        for module in self.parts.values():
            x = module(x)
        return x


def mlp(depth=2, width=4, activation=nn.ReLU, chain=nn.Sequential):
    return chain(
        *(one for _ in range(depth) for one in (nn.Linear(4, width), activation(), nn.Linear(width, 4)))
    )


def blocks(depth, *, ends=()):
    """Equal blocks, and others after them."""
    return nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(depth)), *ends)


def two_ways(first, second):
    """Two results of one input, made in this order, and put together in another."""

    def forward(x):
        made = {name: getattr(x, name)() for name in (first, second)}
        return made["sin"] * 2 + made["cos"]

    return forward


def looping(passes):
    def forward(x):
        for _ in range(passes):
            x = x.tanh() + 1
        return x

    return forward


def test_it_is_sixteen_digits():
    assert re.fullmatch("[0-9a-f]{16}", of(mlp()))


def test_of_a_snapshot_it_is_the_same():
    history = tl.log_forward_pass(mlp(), X)
    assert structure_hash(tl.take_snapshot(history)) == structure_hash(history)


SAME = {
    "two builds": (mlp(), mlp(), {}),
    "names and nesting": (mlp(), mlp(chain=Chain), {}),
    "the order of what is independent": (two_ways("sin", "cos"), two_ways("cos", "sin"), {}),
    "widths, without shapes": (mlp(width=4), mlp(width=7), {"shapes": False}),
    "depths, folded": (blocks(2), blocks(5), {"folded": True}),
    "one block and several, folded": (blocks(1), blocks(3), {"folded": True}),
    "pairs of blocks, folded": (mlp(2), mlp(4), {"folded": True}),
    "passes of a loop, folded": (looping(2), looping(5), {"folded": True}),
}


@pytest.mark.parametrize("what", SAME)
def test_it_does_not_see(what):
    one, other, options = SAME[what]
    assert of(one, **options) == of(other, **options)


def test_it_does_not_see_the_size_of_the_batch():
    assert of(mlp(), torch.rand(2, 4)) == of(mlp(), torch.rand(6, 4))


def shared(x, one=LAYERS[0]):
    return one(one(x).relu())


def not_shared(x, layers=LAYERS):
    return layers[1](layers[0](x).relu())


OTHER = {
    "an activation": (mlp(), mlp(activation=nn.GELU), {}),
    "a width, with shapes": (mlp(width=4), mlp(width=7), {}),
    "a depth": (blocks(2), blocks(3), {}),
    "passes of a loop": (looping(2), looping(3), {}),
    "one more op": (lambda x: x.sin(), lambda x: x.sin().neg(), {}),
    "an op that nothing comes of": (lambda x: x.sin(), lambda x: (x.sin(), x.cos())[0], {}),
    "the order of what depends": (lambda x: x.sin().cos(), lambda x: x.cos().sin(), {}),
    "which argument is which": (lambda x: x.sin() - x.cos(), lambda x: x.cos() - x.sin(), {}),
    "who reads what": (lambda x: x.sin().cos() + x.sin(), lambda x: x.sin().cos() + x.sin().cos(), {}),
    "a number": (lambda x: x.sum(0), lambda x: x.sum(1), {}),
    "a dtype": (lambda x: x.double() + 1, lambda x: x.half() + 1, {}),
    "shared weights": (shared, not_shared, {}),
    "the order of results": (lambda x: (x.sin(), x.cos()), lambda x: (x.cos(), x.sin()), {}),
    "which result is returned": (lambda x: x.topk(2)[0], lambda x: x.topk(2)[1], {}),
    "what follows equal blocks, folded": (blocks(2), blocks(2, ends=[nn.Tanh()]), {"folded": True}),
    "other blocks, folded": (
        blocks(2),
        nn.Sequential(*blocks(1), *(nn.Sequential(nn.Linear(4, 4), nn.GELU()) for _ in range(2))),
        {"folded": True},
    ),
}


@pytest.mark.parametrize("what", OTHER)
def test_it_sees(what):
    one, other, options = OTHER[what]
    assert of(one, **options) != of(other, **options)
    assert of(one, **options) == of(one, **options), "the control"


class Stage(nn.Module):
    """The same ops, of which it returns one result, another, or both."""

    def __init__(self, returns):
        super().__init__()
        self.returns = returns
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        made = {"layer": self.layer(x)}
        made["relu"] = made["layer"].relu()
        return made[self.returns] if self.returns in made else (made["relu"], made["layer"])


class Stages(nn.Module):
    def __init__(self, *returns):
        super().__init__()
        self.stages = nn.ModuleList(map(Stage, returns))

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        return x if isinstance(x, torch.Tensor) else (x[0], x[1].sigmoid())


def test_blocks_are_equal_if_they_return_the_same():
    """Folded, a block that returns more than the one before it is one of its own."""
    assert folded(Stages("relu", "both")) != folded(Stages("relu"))
    assert folded(Stages("relu", "both")) == folded(Stages("relu", "relu", "relu", "both"))
    assert folded(Stages("relu", "relu")) == folded(Stages("relu"))
    assert folded(Stages("relu", "layer")) != folded(Stages("relu", "relu"))
    assert folded(Stages("layer", "relu")) != folded(Stages("relu", "layer"))


def test_a_row_is_broken_by_what_does_not_read_the_block_before():
    def beside(x):
        return LAYERS[0](x) + LAYERS[1](x)

    assert folded(beside) != folded(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)))


def test_depths_of_torchvision_are_one_structure():
    models = pytest.importorskip("torchvision.models")
    picture = torch.rand(1, 3, 64, 64, device="meta")
    with torch.device("meta"):
        hashes = {name: folded(models.get_model(name).eval(), picture) for name in RESNETS}
    assert hashes["resnet50"] == hashes["resnet152"]
    assert hashes["resnet18"] == hashes["resnet34"] != hashes["resnet50"]


RESNETS = ("resnet18", "resnet34", "resnet50", "resnet152")
