"""What is seen in the graph of a model: each trait where it holds, and not where it nearly does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torchlens_core as tl
from model_suite import cases
from model_suite.registry import discovered
from model_suite.traits import TRAITS, traits


class Of(nn.Module):
    """A function of tensors as a model, with two layers that it may use."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, *args):
        return self.function(self, *args)


def seen(function, *args):
    args = args or (torch.rand(3, 3),)
    return set(traits(tl.log_forward_pass(Of(function), list(args))))


def attending(model, x):
    return torch.softmax(x @ x.T, -1) @ x


def attending_with_holes(model, x):
    weights = (x @ x.T).softmax(-1).unsqueeze(0).masked_fill_(torch.eye(3, dtype=torch.bool), 0.0)
    return torch.einsum("bij,jk->bik", nn.functional.dropout(weights.type(x.dtype), training=False), x)


def attending_fused(model, x):
    return nn.functional.scaled_dot_product_attention(x, x, x)


def looping(model, x):
    for _ in range(3):
        x = model.one(x)
    return x


def of_layers_in_turn(model, x):
    for layer in (model.one, model.two):
        x = layer(x)
    return x


def only_a_distribution(model, x):
    return (x @ x.T).softmax(-1) + x


def of_the_distribution_something_else(model, x):
    return (x @ x.T).softmax(-1).log() @ x


HOLDS = {
    "attention": [attending, attending_with_holes, attending_fused],
    "complex": [lambda model, x: torch.fft.fft(x).abs()],
    "dynamic": [
        lambda model, x: x * x.sum().item(),
        lambda model, x: x + 1 if x.sum() > 0 else x,
        lambda model, x: x.nonzero(),
        lambda model, x: x[x > 0.5],
    ],
    "in-place": [lambda model, x: (x * 2).add_(1)],
    "random": [lambda model, x: x + torch.rand(3), lambda model, x: nn.functional.dropout(x, 0.5)],
    "recurrent": [
        looping,
        lambda model, x: nn.LSTM(3, 3)(x)[0],
    ],
    "multi-output": [lambda model, x: (x + 1, x + 2)],
}
DOES_NOT = {
    "attention": [only_a_distribution, of_the_distribution_something_else],
    "complex": [lambda model, x: x + 1],
    "dynamic": [
        lambda model, x: x[torch.tensor([0, 2])],
        lambda model, x: x[:2],
        lambda model, x: torch.where(x > 0, x, 0),
    ],
    "in-place": [lambda model, x: (x * 2).add(1)],
    "random": [lambda model, x: nn.functional.dropout(x, 0.5, training=False)],
    "recurrent": [of_layers_in_turn, lambda model, x: x.relu().relu()],
    "multi-output": [lambda model, x: (x + 1).split(2)[0]],
}


@pytest.mark.parametrize(
    ("name", "function"), [(name, one) for name, all_ in HOLDS.items() for one in all_]
)
def test_it_holds(name, function):
    assert name in seen(function)


@pytest.mark.parametrize(
    ("name", "function"), [(name, one) for name, all_ in DOES_NOT.items() for one in all_]
)
def test_it_does_not(name, function):
    assert name not in seen(function)


@pytest.mark.parametrize("name", sorted(HOLDS.keys() - {"dynamic"}))
def test_the_same_is_seen_on_the_meta_device(name):
    def asked(function):
        with torch.device("meta"):
            return name in seen(function)

    assert all(map(asked, HOLDS[name]))
    assert not any(map(asked, DOES_NOT[name]))


def test_several_inputs():
    assert "multi-input" in seen(lambda model, x, y: x + y, torch.rand(3), torch.rand(3))
    assert "multi-input" in seen(lambda model, pair: pair[0] + pair[1], [torch.rand(3), torch.rand(3)])
    assert "multi-input" not in seen(lambda model, x: x + 1)


def test_each_trait_is_tried():
    assert HOLDS.keys() | {"multi-input"} == TRAITS.keys()


#: What was said of models by hand that no graph shows, or shows otherwise.
UNSEEN = {
    "attention": "weights of a sigmoid, or of linear attention; weights that are multiplied and summed up, no product",
    "dynamic": "the structure comes with the input, as numbers of Python: other trees, other graphs",
    "recurrent": "what comes back is a state, and no layer has parameters of its own",
    "multi-output": "it stopped early",
}


def test_what_was_said_of_the_classics_by_hand_is_seen():
    """The control of both: whoever wrote a tag did not know what measures would say."""
    said = {case.name: case.tags & TRAITS.keys() for case in discovered("classics")}
    both = {case.name: frozenset(case.record.traits) for case in cases("classics") if case.record}
    unseen = {(name, tag) for name, tags in said.items() for tag in tags - both[name]}
    assert {tag for _, tag in unseen} == UNSEEN.keys()
    assert len(unseen) < 0.1 * sum(map(len, said.values()))


def test_cases_are_tagged_by_what_was_seen():
    (case,) = [case for case in cases("timm") if case.name == "timm/vit_base_patch16_224"]
    assert "attention" in case.tags
    assert case.tags >= set(case.record.traits)
    assert not any("attention" in case.tags for case in cases("timm") if case.name.startswith("timm/vgg"))
