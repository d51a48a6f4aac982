"""Where in the user's code something that a check speaks of stands."""

from __future__ import annotations

from collections.abc import Sequence
from types import CodeType

from torchlens_core.entries import Op
from torchlens_core.history import ModelHistory
from torchlens_core.nodes import PARAMETER, Node
from torchlens_core.report import Finding
from torchlens_core.sites import frames_of, user_frame

#: What to do where no model is to blame.
DEFECT = "Report it with the model, as a defect of torchlens_core."


def finding_at(
    op: Op, check: str, what: str, *, expected: str | None = None, got: str | None = None, advice: str
) -> Finding:
    """A finding about an op, with its names and its line."""
    return Finding(
        check=check,
        what=what,
        label=op.layer_label,
        stable_name=op.stable_name,
        where=where(op),
        expected=expected,
        got=got,
        advice=advice,
    )


def where(op: Op) -> str | None:
    """The line of an op, ``file:line in function``."""
    source = op.source
    return None if source is None else str(source)


def line_of(history: ModelHistory, node: Node) -> str | None:
    """The same of a node, also of one that is no part of the history any more."""
    return (
        line_in(history.recording.stacks.get(node.site.chain, ())) if node.kind is not PARAMETER else None
    )


def line_in(stack: Sequence[tuple[CodeType, int]]) -> str | None:
    """The same of a stack, innermost frame first."""
    frame = user_frame(frames_of(stack))
    return None if frame is None else str(frame)


def name_of(history: ModelHistory, node: Node) -> str:
    """The label of a node; the address of a parameter."""
    if node.kind is PARAMETER:
        return node.address or "a parameter"
    return history.op_at(node.index).layer_label
