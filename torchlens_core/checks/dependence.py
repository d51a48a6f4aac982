"""``dependence``: what every op really depends on, told by oracles that know nothing of the recorder's edges.

* *Memory*: the kernels beneath the recorder, and a shadow of all memory, say who wrote the bytes that each op has
  read. The recorded edges must say the same: none missing, none too many.
* *Gradients*: a parameter or input with a gradient that is not zero is an ancestor of an output.
* *Perturbation*: the model is run once more with other values of all sources. What changes although the graph
  leads to it from no source has a hidden dependence: a value that left through Python and came back. What the graph
  leads to, and what does not change (a product with zero, a saturated maximum), nobody can tell: it is counted.
* *Uninitialised memory* that reaches an output is put to the test by a replay with other contents.
"""

from __future__ import annotations

import time
import weakref
from typing import Any

import torch
from torch import Tensor

from torchlens_core.checks.edges import Edges
from torchlens_core.checks.hidden import find_hidden
from torchlens_core.checks.places import DEFECT, finding_at
from torchlens_core.compare import difference, has_values
from torchlens_core.errors import IncomparableError, ReplayError
from torchlens_core.history import ModelHistory
from torchlens_core.internals import storage_key
from torchlens_core.nodes import OP, OUTPUT, PARAMETER, SOURCES, Node
from torchlens_core.replay import UNINITIALISED, Replay
from torchlens_core.report import CheckResult, Finding
from torchlens_core.trial import Trial

#: Findings of one kind that are told.
_TOLD = 5


def check_dependence(trial: Trial) -> CheckResult:
    """Outputs and ops depend on what the graph says, and on nothing else."""
    started = time.perf_counter()
    history = trial.history
    edges = Edges(history, trial.witness.kernels)
    findings = edges.findings()[:_TOLD]
    findings += _gradients(trial)
    if not trial.is_unlike_itself:
        findings += _uninitialised(history)
    notes: list[str] = []
    covered = {"edges": edges.compared, "not followed": edges.unfollowed}
    if any(_has_values(node) for node in history.recording.nodes) and not trial.is_lazy:
        found, told = find_hidden(trial, notes)
        findings += found[:_TOLD]
        covered |= told
    return CheckResult(
        name="dependence",
        findings=findings,
        covered=covered,
        seconds=time.perf_counter() - started,
        notes=notes,
    )


def _has_values(node: Node) -> bool:
    saved = node.saved or [None]
    return isinstance(saved[0], Tensor) and has_values(saved[0])


def _behind_outputs(history: ModelHistory) -> set[int]:
    """The nodes that some output depends on."""
    graph = history.graph
    return set().union(*map(graph.ancestors, graph.outputs))


# -- gradients ---------------------------------------------------------------------------------------


def _gradients(trial: Trial) -> list[Finding]:
    """Sources to which autograd leads, although the graph does not."""
    history = trial.history
    names = set() if trial.is_lazy else trial.with_gradient
    if not names:
        return []
    nodes = history.recording.nodes
    behind = _behind_outputs(history)
    known = {nodes[index].address for index in behind if nodes[index].kind in SOURCES}
    # of what is written in the pass, the first value may play no part; what is made in it has none
    written = {
        value.storage.key
        for node in nodes
        if node.kind is OP
        for value in node.values
        if node.info.writes is not None
    }
    made = {id(value.ref) for node in nodes if node.kind is OP for value in node.values}
    parameters = dict(trial.model.named_parameters(remove_duplicate=False))
    exempt = {name for name, parameter in parameters.items() if storage_key(parameter) in written}
    exempt |= {name for name, parameter in parameters.items() if id(weakref.ref(parameter)) in made}
    shared = {id(nodes[index].tensor) for index in behind if nodes[index].kind is PARAMETER}
    exempt |= {name for name, parameter in parameters.items() if id(parameter) in shared}
    return [
        Finding(
            check="dependence",
            what=f"The outputs have a gradient by {name}, and the graph no path from it",
            label=name,
            expected="(autograd) a path from it to an output",
            got="(graph) none",
            advice=DEFECT,
        )
        for name in sorted(names - known - exempt)
        if name in parameters or name.startswith("input")
    ][:_TOLD]


# -- uninitialised memory ----------------------------------------------------------------------------


def _uninitialised(history: ModelHistory) -> list[Finding]:
    """Memory that nobody has filled, and whose contents reach an output."""
    nodes = history.recording.nodes
    made = [
        node for node in nodes if node.kind is OP and node.info.name in UNINITIALISED and _has_values(node)
    ]
    if not made:
        return []
    behind = _behind_outputs(history)
    suspects = [node for node in made if node.index in behind]
    if not suspects:
        return []
    other = {node.index: [_other_contents(kept) for kept in node.saved or ()] for node in suspects}
    changed: list[Node] = []

    def see(node: Node, slot: int, value: Any) -> None:
        if node.kind is OUTPUT and node.saved is not None:
            try:
                if difference(node.saved[slot], value) is not None:
                    changed.append(node)
            except IncomparableError:
                pass

    try:
        Replay(history, history.graph.outputs, other).run(see)
    except ReplayError:
        return []
    if not changed:
        return []
    op = history.op_at(suspects[0].index)
    return [
        finding_at(
            op,
            "dependence",
            f"Uninitialised memory reaches {changed[0].address}: the model's result is what was in memory before",
            expected="the same result whatever that memory holds",
            got="another result with other contents",
            advice="Make it with torch.zeros, or fill all of it.",
        )
    ]


def _other_contents(kept: Any) -> Any:
    if not isinstance(kept, Tensor) or not has_values(kept) or kept.layout is not torch.strided:
        return kept
    return torch.ones_like(kept) if not kept.is_floating_point() else torch.full_like(kept, 1.5)
