"""Whether a model does the same when it is run again from the same state; and if not, where it first differs.

A model that does not can be logged truly, and yet no two passes of it agree: that is what a finding must
say, and not that an edge is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from torchlens_core.checks.places import name_of, where
from torchlens_core.compare import difference
from torchlens_core.errors import IncomparableError
from torchlens_core.history import ModelHistory
from torchlens_core.nodes import CONSTANT, OP, OUTPUT, SOURCES, Node
from torchlens_core.replay import UNINITIALISED
from torchlens_core.report import Finding
from torchlens_core.sweep import Change, Sweep, sweep
from torchlens_core.trial import Run, Trial


def unlike_itself(trial: Trial, places: Sequence[Node] = ()) -> Finding | None:
    """A finding if the model is not the same from run to run, at ``places`` if any are named; else None."""
    again, first = _again(trial)
    if places and not any(_is_other(again, node) for node in places):
        return None
    if first is None and again.parted is None:
        return None
    return _finding(trial, again, first)


def differs_unlogged(trial: Trial) -> str | None:
    """How often the unlogged model gives something else from one state, in words; None if it never does."""
    first, second, third = trial.unlogged, trial.run_again(), trial.run_again()
    if _is_same(first, second) and _is_same(second, third):
        return None
    if _is_same(second, third):
        return "the first time only: later runs agree with one another"
    return "each time"


def model_differs(trial: Trial, how: str) -> Finding:
    """The finding that the unlogged model is not the same from run to run."""
    return _finding(trial, *_again(trial), how, check="transparency")


def _again(trial: Trial) -> tuple[Sweep, Node | None]:
    """The logged pass once more, with nothing changed, and the first node that is another."""
    again = sweep(trial, Change.NOTHING)
    return again, next((node for node in trial.history.recording.nodes if _is_other(again, node)), None)


def _is_other(again: Sweep, node: Node) -> bool:
    return node.index in again.numbers or node.index in again.changed


def _is_same(one: Run, other: Run) -> bool:
    if one.generators.differences(other.generators):
        return False
    pairs = (
        (one.results, other.results),
        (one.buffers, other.buffers),
        (list(one.changes.items()), list(other.changes.items())),
    )
    return all(_are_same(mine, yours) for mine, yours in pairs)


def _are_same(mine: Sequence[tuple[str, object]], yours: Sequence[tuple[str, object]]) -> bool:
    if [name for name, _ in mine] != [name for name, _ in yours]:
        return False
    for (_, one), (_, other) in zip(mine, yours, strict=True):
        try:
            if difference(one, other) is not None:
                return False
        except IncomparableError:
            continue
    return True


def _finding(
    trial: Trial, again: Sweep, first: Node | None, how: str | None = None, check: str = "dependence"
) -> Finding:
    history = trial.history
    reader = None if first is None else _reader(history, first)
    op = None if reader is None or reader.kind in SOURCES else history.op_at(reader.index)
    return Finding(
        check=check,
        what="The model is not the same from run to run: from one state, it gives something else "
        + (how or "when it is run again"),
        label=op.layer_label if op else None,
        stable_name=op.stable_name if op else None,
        where=where(op) if op else None,
        expected="the same values from the same state, inputs and generators",
        got=_cause(history, again, first),
        advice="No graph shows that. Hand in what it depends on (time, a count, a global) as an argument, or keep it "
        "in a buffer; fill memory before it is read.",
    )


def _reader(history: ModelHistory, node: Node) -> Node:
    """The node itself, or what first uses a constant: that has a line."""
    children = history.graph.children[node.index]
    return history.recording.nodes[children[0]] if node.kind is CONSTANT and children else node


def _cause(history: ModelHistory, again: Sweep, first: Node | None) -> str:
    if first is None and again.parted is None:
        return "not the values of the pass, but what it leaves behind: a generator, a buffer, an attribute"
    if first is None:
        ways = again.parted or ("", "")
        return f"another way through the program: {ways[0]} in one run, {ways[1]} in the other"
    name = name_of(history, first)
    if first.index in again.numbers:
        path, old, new = again.numbers[first.index]
        at = ".".join(map(str, path))
        return f"{name} is handed other numbers: argument {at} is {str(old)[:40]}, then {str(new)[:40]}"
    if first.kind is OP and first.info.name in UNINITIALISED:
        return f"{name} is uninitialised memory: it holds what was there before"
    if first.kind is CONSTANT:
        return f"a constant that is another in each run, {name}"
    if first.kind is OP and first.info.draws:
        return (
            f"{name} draws other numbers: the generator was seeded, or drawn from, out of the model's state"
        )
    if first.kind is OUTPUT:
        return f"{name} is another"
    return f"{name} is the first value that is another"
