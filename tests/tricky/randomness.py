"""Ops that draw, and generators."""

from __future__ import annotations

import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .case import Tricky, rand


class Draws(nn.Module):
    """Ops that draw, from the default generator and from one of the model's."""

    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(3)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        noise = torch.randn(3, generator=self.generator) + torch.rand_like(x)
        return self.drop(x + noise) + torch.bernoulli(torch.full((3,), 0.5)) + torch.empty(3).normal_()


class DrawsOfAllKinds(nn.Module):
    """Every function and method that draws, with and without a generator."""

    def forward(self, x):
        own = torch.Generator().manual_seed(2)
        half = torch.full((3,), 0.5)
        drawn = [
            torch.poisson(half),
            torch.normal(0.0, half),
            torch.randperm(3).float(),
            torch.multinomial(half, 2).float(),
            torch.binomial(half * 4, half),
            torch.randint(5, (3,)).float(),
            torch.randn(3, generator=own),
            torch.empty(3).exponential_(generator=own),
            torch.empty(3).geometric_(0.3),
            torch.empty(3).cauchy_(),
            torch.empty(3).log_normal_(),
            torch.empty(3).random_(7),
            torch.empty(3).bernoulli_(0.5),
            torch.empty(3).uniform_(1, 2, generator=own),
            torch.randint_like(x, 4),
            torch._standard_gamma(half),
            torch._sample_dirichlet(half),
        ]
        return sum(values.sum() for values in drawn) + x


class DropsOfAllKinds(nn.Module):
    """Every kind of dropout, in place too, and pooling and attention that draw."""

    def __init__(self):
        super().__init__()
        self.in_place = nn.Sequential(
            nn.RReLU(inplace=True), nn.Dropout(0.5, inplace=True), nn.AlphaDropout(0.2, inplace=True)
        )

    def forward(self, x):
        rows = self.in_place(x - 1)
        dropped = F.alpha_dropout(x, 0.3, True) + F.feature_alpha_dropout(x, 0.3, True)
        dropped = dropped + F.rrelu(x - 1, training=True) + torch.native_dropout(x, 0.5, True)[0]
        channels = F.dropout2d(x[None, None], 0.5) + F.dropout1d(x[None], 0.5)[None]
        attended = F.scaled_dot_product_attention(x[None], x[None], x[None], dropout_p=0.5)
        pooled = F.fractional_max_pool2d(channels, 2, output_size=2)
        return rows, dropped, attended, pooled, F.gumbel_softmax(x, hard=True)


class SeedsInside(nn.Module):
    """The state of the generators is forked, read, set and seeded inside forward."""

    def forward(self, x):
        a = torch.rand(3)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            b = torch.rand(3)
        state = torch.get_rng_state()
        c = torch.rand(3)
        torch.set_rng_state(state)
        d = torch.rand(3)
        torch.manual_seed(9)
        return x * a + b * c + d + torch.rand(3) + random.random() + float(np.random.rand())


class GeneratorsHeld(nn.Module):
    """Generators of torch, numpy and Python in attributes, lists and dicts of the model."""

    def __init__(self):
        super().__init__()
        self.several = [torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)]
        self.named = {"order": torch.Generator().manual_seed(3)}
        self.numpy = np.random.default_rng(0)
        self.python = random.Random(0)

    def forward(self, x):
        noise = torch.rand(3, generator=self.several[0]) + torch.randn(3, generator=self.several[1])
        order = torch.randperm(3, generator=self.named["order"])
        return (x + noise + order) * float(self.numpy.random()) + self.python.random()


class InitialisedInForward(nn.Module):
    """``nn.init`` fills memory in forward, with a generator and without."""

    def forward(self, x):
        own = torch.Generator().manual_seed(3)
        weight = torch.empty(3, 3)
        total = 0
        for fill in (
            nn.init.xavier_uniform_,
            nn.init.kaiming_normal_,
            nn.init.orthogonal_,
            nn.init.trunc_normal_,
            lambda t: nn.init.normal_(t, 0.0, 1.0, own),
            nn.init.eye_,
        ):
            fill(weight)
            total = total + weight @ x
        return total


class Distributions(nn.Module):
    """Distributions that are sampled and reparametrized."""

    def forward(self, x):
        made = torch.distributions
        return (
            made.Normal(x, 1.0).rsample(),
            made.Bernoulli(x / 3).sample(),
            made.Gamma(x, x).rsample(),
            made.Beta(x, x).rsample(),
            made.Dirichlet(x).rsample(),
            made.MultivariateNormal(x, torch.eye(3)).rsample(),
            made.StudentT(x + 1).rsample(),
        )


_3 = (3,)

CASES: list[Tricky] = [
    Tricky(Draws, rand(_3), training=True),
    Tricky(DrawsOfAllKinds, rand(_3)),
    Tricky(DropsOfAllKinds, rand((4, 4)), training=True),
    Tricky(SeedsInside, rand(_3)),
    Tricky(GeneratorsHeld, rand(_3)),
    Tricky(InitialisedInForward, rand(_3)),
    Tricky(Distributions, rand(_3)),
]
