"""Saved values, and who else holds them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .case import Tricky, rand


class MetadataOnly(nn.Module):
    """``zeros_like`` and ``new_ones`` depend on no value."""

    def forward(self, x, w):
        return torch.zeros_like(x) + w.new_ones(3) + torch.rand_like(x) * 0 + w


class ReturnsItsArgument(nn.Module):
    """``contiguous``, ``to`` and dropout in eval return the very tensor that they were given."""

    def forward(self, x):
        y = x * 2
        z = F.dropout(y.contiguous().to(torch.float32), 0.5, training=False)
        return z + y


class IdsReused(nn.Module):
    """Tensors die and their ids are used again."""

    def forward(self, x):
        for _ in range(50):
            x = (x * 1.01).abs() + torch.ones(3)
        return x


class ActivationStashed(nn.Module):
    """An activation stays on the model, and the next pass changes it."""

    def __init__(self):
        super().__init__()
        self.kept = None

    def forward(self, x):
        if self.kept is not None:
            self.kept.zero_()
        self.kept = x * 2
        return self.kept + 1


class HookKeepsActivation(nn.Module):
    """A hook puts an activation into a dict of the model, and forward goes on with it."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.fc.features = {}
        self.fc.register_forward_hook(self.keep)

    @staticmethod
    def keep(module, args, out):
        module.features["out"] = out

    def forward(self, x):
        self.fc(x)
        return self.fc.features["out"].mul_(2) + 1


class ResultsWritten(nn.Module):
    """Results, buffers and their aliases are written after they were read."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.ones(3))

    def forward(self, x):
        y = x * 2
        self.seen.add_(y.detach())
        z = y.detach()
        z.add_(1)
        return y, z, self.seen, x


class JoinedThenChanged(nn.Module):
    """Parts are joined before and after they change: the first joint keeps what was."""

    def forward(self, x, w):
        y = x * 1
        left, right = y[:1], y[1:]
        before = torch.cat([left, right])
        left.add_(w[:1])
        between = torch.cat([left, right])
        right.zero_()
        return before, between, y * 1


_3 = (3,)
_23 = (2, 3)

CASES: list[Tricky] = [
    Tricky(MetadataOnly, rand(_3, _3)),
    Tricky(ReturnsItsArgument, rand(_3)),
    Tricky(IdsReused, rand(_3)),
    Tricky(ActivationStashed, rand(_3)),
    Tricky(HookKeepsActivation, rand(_23)),
    Tricky(ResultsWritten, rand(_3)),
    Tricky(JoinedThenChanged, rand(_3, _3)),
]
