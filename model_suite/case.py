"""One model of the catalogue: how to build it, what to run it with, and what is known of it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from model_suite.records import Record, records_of

#: Larger models are run on the meta device alone.
MAX_PARAMETERS, MAX_OPS = 400_000_000, 5_000
#: Positional and named arguments of a model's ``forward``.
Inputs = tuple[tuple[Any, ...], dict[str, Any]]


class SizeClass(enum.Enum):
    """How much one forward pass at the smallest input takes, by order of magnitude."""

    #: Under half a second on one core.
    SMALL = "small"
    #: Up to some seconds.
    MEDIUM = "medium"
    #: More, or gigabytes.
    LARGE = "large"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCase:
    """A model by name. Nothing is imported or built before `build` is called.

    >>> case = ModelCase(name="own/relu", source="own", family="relu", builder=nn.ReLU, maker=lambda: ((1,), {}))
    >>> case.id, type(case.build()).__name__
    ('own/relu', 'ReLU')
    """

    #: ``torchvision/resnet18``.
    name: str
    #: The library that it comes from.
    source: str
    #: Models that are variants of one architecture.
    family: str
    #: What it is for: ``classification``, ``detection``, ...
    task: str = ""
    builder: Callable[[], nn.Module] = field(repr=False)
    maker: Callable[[], Inputs] = field(repr=False)
    #: ``detection``, ``dynamic``, ``multi-output``, ...
    tags: frozenset[str] = frozenset()
    size: SizeClass = SizeClass.SMALL
    #: What does not work with it, and why; empty if everything does.
    limits: str = ""

    @property
    def id(self) -> str:
        """The name under which tests know it."""
        return self.name

    @property
    def record(self) -> Record | None:
        """What was measured of it, if it was."""
        return records_of(self.source).get(self.name)

    @property
    def has_values(self) -> bool:
        """Whether it is small enough to be run with values, and validated, by anyone."""
        record = self.record
        return record is None or (record.parameters <= MAX_PARAMETERS and record.ops <= MAX_OPS)

    def build(self, device: str | None = None) -> nn.Module:
        """The model in eval mode, with random weights; nothing is downloaded.

        On ``cpu`` or ``meta``; if nothing is said, where torch makes tensors now.
        """
        with torch.device(device) if device else nullcontext():
            return self.builder().eval()

    def inputs(self, device: str | None = None) -> Inputs:
        """Arguments of the smallest size that makes sense, random."""
        with torch.device(device) if device else nullcontext():
            return self.maker()
