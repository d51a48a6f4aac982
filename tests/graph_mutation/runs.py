"""Everything on every model, one model after the other."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from graph_mutation.edits import EDITS, verdict
from graph_mutation.matrix import Matrix, Verdict, kill_matrix
from graph_mutation.models import edited_model, snapshot


def edit_matrix(names: list[str]) -> Matrix:
    """Every edit of every model."""
    found: list[Verdict] = []
    for name in names:
        made = [verdict(edit, name, *edited_model(name)) for edit in EDITS]
        found += _told(name, [one for one in made if one is not None])
        edited_model.cache_clear()
    return Matrix(found)


def mutation_matrix(names: list[str], sites: int) -> Matrix:
    """Every mutation and reordering of the graph of every model."""
    found: list[Verdict] = []
    for name in names:
        found += _told(name, kill_matrix({name: snapshot(name)}, sites).verdicts)
        snapshot.cache_clear()
    return Matrix(found)


def _told(name: str, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
    """Verdicts, with a line for those who wait."""
    killed, seconds = sum(one.is_killed for one in verdicts), sum(one.seconds for one in verdicts)
    print(f"{name}: {killed} of {len(verdicts)}, {seconds:.1f} s", file=sys.stderr, flush=True)
    for one in verdicts:
        if not one.is_killed:
            print(f"  {one}".replace("\n", "\n      "), file=sys.stderr, flush=True)
    return verdicts
