"""What ``assert history_a == history_b`` says where the graphs differ."""

from __future__ import annotations

from torchlens_core.diff import diff_graphs
from torchlens_core.history import ModelHistory
from torchlens_core.snapshot import Snapshot


def explained(left: object, right: object) -> list[str] | None:
    """The lines of the difference; None if they are no graphs, or equal ones.

    The first line stands behind ``assert``, the others under it.
    """
    if not isinstance(left, ModelHistory | Snapshot) or not isinstance(right, ModelHistory | Snapshot):
        return None
    diff = diff_graphs(left, right)
    if not diff:
        return None
    return [f"{type(left).__name__} == {type(right).__name__}", "from left to right:", *diff.lines()]
