"""``replay``: the recorded graph, run again, gives every saved value again.

Whole, and once more pruned: what the outputs and a few inner ops depend on is run alone, so that a missing
edge gives a wrong value.
"""

from __future__ import annotations

import random
import time
from typing import Any

import torch
from torch import Tensor

from torchlens_core import internals
from torchlens_core.checks.places import finding_at, where
from torchlens_core.compare import Difference, Tolerance, difference, has_strides_of, has_values
from torchlens_core.errors import IncomparableError, ReplayError
from torchlens_core.functions import gives_memory
from torchlens_core.history import ModelHistory
from torchlens_core.memory import is_lazy_view
from torchlens_core.nodes import ESCAPE, OP, OUTPUT, PARAMETER, Node
from torchlens_core.origins import UNSEEN_WRITE
from torchlens_core.replay import Replay, is_given
from torchlens_core.report import CheckResult, Finding
from torchlens_core.trial import Trial

#: Inner ops whose ancestors are replayed alone, and what that may take, as a share of the pass.
INNER_SAMPLES = 2
INNER_SHARE = 0.25
#: Ops drawn in search of cheap ones.
_DRAWS = 8
_MISSING_EDGE = "The graph lacks an edge: report it with the model, as a defect of torchlens_core."


def check_replay(trial: Trial) -> CheckResult:
    """The graph, run from its sources, gives every saved value again; so do the ancestors of a few nodes alone."""
    started = time.perf_counter()
    history = trial.history
    trial.disturb_generators()  # an op that draws must do it from its recorded state
    witness = _Witness(history, trial.tolerance)
    witness.findings += _unseen_writes(history)
    covered = {"values": 0, "pruned": 0, "given": sum(map(is_given, history.recording.nodes))}
    if witness.run(Replay(history), None):
        for wanted in _samples(history, trial.seed):
            pruned = Replay(history, wanted)
            if not pruned.is_whole:  # which was just run
                witness.run(pruned, wanted)
            covered["pruned"] += 1
    covered["values"] = witness.compared
    covered["nondeterministic"] = len(witness.nondeterministic)
    return CheckResult(
        name="replay",
        findings=witness.findings,
        covered=covered,
        seconds=time.perf_counter() - started,
        notes=[*witness.notes.values(), *witness.nondeterministic.values()],
    )


def _unseen_writes(history: ModelHistory) -> list[Finding]:
    """Memory that was written by code that nobody sees: the graph does not say from what."""
    return [
        finding_at(
            op,
            "replay",
            "Memory was written unseen, so that the graph does not say what its contents depend on",
            advice="The write came before this line, outside torch's functions or on another thread. "
            "Write with torch, on the thread that runs the model.",
        )
        for op in history.ops
        if op._node.info is UNSEEN_WRITE
    ]


class _Witness:
    """Compares what a replay gives with what was saved."""

    def __init__(self, history: ModelHistory, tolerance: Tolerance) -> None:
        self._history = history
        self._tolerance = tolerance
        self.findings: list[Finding] = []
        self.compared = 0
        #: By label: what could not be compared, and what differs from itself.
        self.notes: dict[str, str] = {}
        self.nondeterministic: dict[str, str] = {}

    def run(self, replay: Replay, wanted: list[int] | None) -> bool:
        """Run a replay of all, or of the ancestors of ``wanted`` alone; False if something was found."""
        before = len(self.findings)
        only = None if wanted is None else set(wanted)
        current: list[Node] = []

        def see(node: Node, slot: int, value: Any) -> None:
            current[:] = [node]
            if only is None or node.index in only:
                self._compare(replay, node, slot, value, wanted is not None)

        try:
            replay.run(see)
        except ReplayError as error:
            self._cannot_run(error, current)
        return len(self.findings) == before

    def _compare(self, replay: Replay, node: Node, slot: int, value: Any, is_pruned: bool) -> None:
        if node.kind == ESCAPE:
            saved = node.result
        elif (
            node.saved is None or slot >= len(node.saved) or node.saved[slot] is None or slot in node.stale
        ):
            return
        else:
            saved = node.saved[slot]
        try:
            found = difference(saved, value, self._tolerance) or _other_strides(node, slot, saved, value)
        except IncomparableError as error:
            label = self._history.op_at(node.index).layer_label
            self.notes[label] = f"not compared: {label}, {error}"
            return
        self.compared += 1
        if found is None or (self.findings and not is_pruned):
            return  # what follows from the first difference is no finding of its own
        if self._is_excused(replay, node, slot, saved, value):
            return
        what = "The graph, run again, gives another value"
        if is_pruned:
            what = "What the graph says it depends on, run alone, gives another value"
        self.findings.append(self._finding(node, what, found))

    def _is_excused(self, replay: Replay, node: Node, slot: int, saved: Any, value: Any) -> bool:
        """Whether the kernel differs from itself, and this value no further than rounding; it is put right."""
        try:
            again = replay.run_again(node)
        except ReplayError:
            return False
        if again is None or slot >= len(again) or not isinstance(value, Tensor):
            return False
        itself = difference(value, again[slot])
        if itself is None or difference(saved, value, None) is not None:
            return False
        label = self._history.op_at(node.index).layer_label
        self.nondeterministic[label] = (
            f"nondeterministic, compared by torch.testing's tolerance: {label}, {itself.got}"
        )
        replay.put(node, slot, saved)
        return True

    def _finding(self, node: Node, what: str, found: Difference) -> Finding:
        op = self._history.op_at(node.index)
        return finding_at(
            op,
            "replay",
            what,
            expected=f"(saved) {found.expected}",
            got=f"(replayed) {found.got}",
            advice=self._advice(node),
        )

    def _advice(self, node: Node) -> str:
        """Memory in the hands of others is the first suspect, where there is such memory."""
        for one in self._history.recording.nodes[: node.index]:
            if one.kind == ESCAPE and gives_memory(one.info):
                op = self._history.op_at(one.index)
                return (
                    f"Memory left the graph at {op.layer_label} ({where(op)}): what is written through it "
                    "is seen by nobody. Write with torch, or hand out a copy."
                )
        return _MISSING_EDGE

    def _cannot_run(self, error: ReplayError, current: list[Node]) -> None:
        op = self._history.op_at(current[0].index) if current and current[0].kind != PARAMETER else None
        self.findings.append(
            Finding(
                check="replay",
                what=f"The graph cannot be run again: {error}",
                label=op.layer_label if op else None,
                stable_name=f"{op.stable_name}, the last that could" if op else None,
                where=where(op) if op else None,
                advice=_MISSING_EDGE,
            )
        )


def _other_strides(node: Node, slot: int, saved: Any, value: Any) -> Difference | None:
    """How a value lies otherwise in memory, if it does: as it was, or as a copy of what was replayed would."""
    if type(saved) is not Tensor or type(value) is not Tensor or not has_values(saved):
        return None
    if has_strides_of(saved, value) or is_lazy_view(saved) or is_given(node):
        return None
    if internals.storage_key(saved) != node.values[slot].storage.key:
        if has_strides_of(saved, torch.empty_like(value)):
            return None
    return Difference(f"strides {saved.stride()}", f"strides {value.stride()}")


def _samples(history: ModelHistory, seed: int | None) -> list[list[int]]:
    """The outputs together, and a few inner ops one by one, which together cost but a part of the pass."""
    nodes = history.recording.nodes
    outputs = [node.index for node in nodes if node.kind == OUTPUT]
    # what writes a part of a tensor is saved as the whole, for which others are answerable too
    inner = [n.index for n in nodes if n.kind == OP and n.saved is not None and n.info.writes is None]
    if len(inner) <= INNER_SAMPLES:
        return [outputs, *([index] for index in inner)]
    left = INNER_SHARE * sum(node.seconds for node in nodes)
    chosen: list[list[int]] = []
    for index in random.Random(seed or 0).sample(inner, min(len(inner), max(_DRAWS, INNER_SAMPLES))):
        cost = sum(nodes[ancestor].seconds for ancestor in history.graph.ancestors(index))
        if cost <= left and len(chosen) < INNER_SAMPLES:
            chosen.append([index])
            left -= cost
    return [outputs, *chosen]
