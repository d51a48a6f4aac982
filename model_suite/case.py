"""One model of the catalogue: how to build it, what to run it with, and what is known of it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn

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

    def build(self) -> nn.Module:
        """The model in eval mode, with random weights; nothing is downloaded."""
        return self.builder().eval()

    def inputs(self) -> Inputs:
        """Arguments of the smallest size that makes sense, random."""
        return self.maker()
