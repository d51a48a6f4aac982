"""One model of the catalogue: how to build it, what to run it with, and what is known of it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from model_suite.offline import offline
from model_suite.records import Record, installed_version, records_of, version_of

#: Parameters, floating-point operations and ops up to which a model is small, and medium; more is large.
_SMALL = (100_000_000, 10_000_000_000, 1_000)
_MEDIUM = (400_000_000, 50_000_000_000, 5_000)
#: Positional and named arguments of a model's ``forward``.
Inputs = tuple[tuple[Any, ...], dict[str, Any]]


class SizeClass(enum.Enum):
    """How much one forward pass at the smallest input takes, by what was measured."""

    #: About half a second on one core, at most.
    SMALL = "small"
    #: Up to some seconds.
    MEDIUM = "medium"
    #: More, or gigabytes: on the meta device, if it goes there.
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
    #: ``detection``, ``dynamic``, ``multi-output``, ...: what its source says, and what was seen in its graph.
    tags: frozenset[str] = frozenset()
    #: Builder and maker at the size that its authors use, where that is known and another.
    canonical: tuple[Callable[[], nn.Module], Callable[[], Inputs]] | None = field(default=None, repr=False)
    #: What does not work with it, and why; empty if everything does.
    limits: str = ""
    #: What validation finds in it that is true of the model, and no fault of the history; empty if nothing.
    findings: str = ""

    @property
    def id(self) -> str:
        """The name under which tests know it."""
        return self.name

    @property
    def record(self) -> Record | None:
        """What was measured of it, at the smallest input, if it was."""
        return records_of(self.source).get(self.name)

    @property
    def size(self) -> SizeClass:
        """By parameters, floating-point operations and ops at the smallest input; what was not measured is small."""
        record = self.record
        if record is None:
            return SizeClass.SMALL
        measured = (record.parameters, record.flops or 0, record.ops)
        for size, limits in ((SizeClass.SMALL, _SMALL), (SizeClass.MEDIUM, _MEDIUM)):
            if all(number <= limit for number, limit in zip(measured, limits, strict=True)):
                return size
        return SizeClass.LARGE

    @property
    def has_values(self) -> bool:
        """Whether it is small enough to be run with values, and validated, by anyone."""
        return self.size is not SizeClass.LARGE

    def at_canonical_size(self) -> ModelCase:
        """The same model at the size of its authors: of its inputs, and of what depends on them."""
        if self.canonical is None:
            return self
        builder, maker = self.canonical
        return replace(self, builder=builder, maker=maker, canonical=None)

    def build(self, device: str | None = None) -> nn.Module:
        """The model in eval mode, with random weights; nothing is downloaded.

        On ``cpu`` or ``meta``; if nothing is said, where torch makes tensors now.
        """
        with self._making(device):
            return self.builder().eval()

    def inputs(self, device: str | None = None) -> Inputs:
        """Arguments of the smallest size that makes sense, random."""
        with self._making(device):
            return self.maker()

    @contextmanager
    def _making(self, device: str | None) -> Iterator[None]:
        with offline(), torch.device(device) if device else nullcontext():
            try:
                yield
            except Exception as error:
                if note := _other_version(self.source):
                    error.add_note(note)
                raise


def _other_version(source: str) -> str | None:
    """A word on a library that is not as it was when it was measured."""
    measured, installed = version_of(source), installed_version(source)
    if not measured or not installed or measured == installed:
        return None
    return (
        f"The catalogue knows {source} {measured}, and {installed} is installed, which may need other things. "
        f"In a checkout, python -m model_suite.measure {source} --all measures what is there now."
    )
