"""A snapshot: the structure of a forward pass, as text and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from torchlens_core.errors import ArgumentError
from torchlens_core.snapshot.build import outline_of
from torchlens_core.snapshot.naming import readable_name
from torchlens_core.snapshot.outline import Outline, calls_of
from torchlens_core.snapshot.parse import parsed
from torchlens_core.snapshot.text import text_of

if TYPE_CHECKING:
    from torchlens_core.history import ModelHistory


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The structure of one pass, with notes that are never compared; ``str(snapshot)`` is the file."""

    outline: Outline
    #: ``{"recorded with": "torch 2.14.1"}``.
    notes: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return text_of(self.outline, self.notes)

    def with_notes(self, **notes: str) -> Snapshot:
        """The same with more notes."""
        return replace(self, notes={**self.notes, **notes})

    def addresses(self) -> list[str]:
        """Addresses of the modules called, in order; the model's own, which is empty, left out."""
        return list(dict.fromkeys(readable_name(address) for address, _ in calls_of(self.outline.body)))


def take_snapshot(history: ModelHistory, *, batch: int | None = None) -> Snapshot:
    """The structure of the pass that ``history`` is of.

    With ``batch``, sizes equal to it that stand first are written ``B``: name a size that nothing else in the
    model has, and the snapshot holds for all.

    Raises `ArgumentError` for a pass that did not end.

    >>> import torchlens_core as tl
    >>> history = tl.log_forward_pass(torch.nn.Linear(3, 2).eval(), torch.zeros(7, 3))
    >>> print(take_snapshot(history, batch=7).with_notes(**{"recorded with": "torch 2.13.0"}), end="")
    # lens graph 1
    # recorded with: torch 2.13.0
    model Linear
    input input -> f32[B, 3]
    linear(_) -> f32[B, 2] | weight[2, 3] bias[2]
    output = _ -> f32[B, 2]
    end
    """
    if history.error is not None:
        raise ArgumentError(
            f"The pass of {history.model_name} did not end ({history.error}): half a graph is no snapshot. "
            "Mend the model first."
        )
    version = torch.__version__.partition("+")[0]
    outline = history.outline if batch is None else outline_of(history.recording, batch)
    return Snapshot(outline, {"recorded with": f"torch {version}"})


def read_snapshot(text: str) -> Snapshot:
    """The snapshot that a text was written from.

    Raises `SnapshotError`, whose message begins with the line, for a text that is none.
    """
    return Snapshot(*parsed(text.replace("\r\n", "\n")))
