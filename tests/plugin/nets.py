"""Models of the projects in which the plugin is tried, one line each on what they provoke."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import torchlens_core


class Doubled(nn.Module):
    """Nothing: two ops, valid."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 + 1


class Numpy(nn.Module):
    """A write that torch does not see: the graph run again gives another value."""

    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        y.numpy()[0] = 7
        return y + 1


class Counter(nn.Module):
    """A result that depends on a count outside: logged and unlogged passes differ, each can be run again."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        Counter.calls += 1
        return x * Counter.calls


class Boom(nn.Module):
    """An error after one op."""

    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        raise ValueError(f"no use for {tuple(y.shape)}")


class LogsAnother(nn.Module):
    """Another pass, not valid, that is logged within its own, valid one."""

    def forward(self, x: Tensor) -> Tensor:
        torchlens_core.log_forward_pass(Counter(), torch.ones(2))
        return x * 2


class Scaled(nn.Module):
    """Arguments of the class and of the pass: a factor drawn when it is built, named inputs."""

    def __init__(self, size: int, bias: float = 0.0):
        super().__init__()
        self.factor = nn.Parameter(torch.rand(size))
        self.bias = bias

    def forward(self, x: Tensor, shift: Tensor | float = 0.0) -> Tensor:
        return x * self.factor + self.bias + shift
