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
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from torchlens_core.checks.places import name_of, where
from torchlens_core.checks.repeat import unlike_itself
from torchlens_core.compare import difference, has_values
from torchlens_core.errors import IncomparableError, ReplayError
from torchlens_core.functions import GRADIENTS, gives_memory
from torchlens_core.history import ModelHistory
from torchlens_core.internals import HigherOrderOperator
from torchlens_core.kernels import Read
from torchlens_core.nodes import CONSTANT, ESCAPE, OP, OUTPUT, PARAMETER, SOURCES, Edge, Node, Value
from torchlens_core.replay import UNINITIALISED, Replay
from torchlens_core.report import CheckResult, Finding
from torchlens_core.shadow import NOBODY
from torchlens_core.sweep import Sweep, sweep
from torchlens_core.trial import Trial

_DEFECT = "Report it with the model, as a defect of torchlens_core."
#: Findings of one kind that are told.
_TOLD = 5
#: Nodes that did not change, named in the notes.
_NAMED = 4


def check_dependence(trial: Trial) -> CheckResult:
    """Outputs and ops depend on what the graph says, and on nothing else."""
    started = time.perf_counter()
    history = trial.history
    memory = _Memory(history, trial)
    findings = memory.findings()
    findings += _gradients(trial)
    findings += _uninitialised(history)
    notes: list[str] = []
    covered = {"edges": memory.compared, "not followed": memory.unfollowed}
    if any(_has_values(node) for node in history.recording.nodes) and not trial.is_lazy:
        found, told = _perturbation(trial, notes)
        findings += found
        covered |= told
    return CheckResult(
        name="dependence",
        findings=findings,
        covered=covered,
        seconds=time.perf_counter() - started,
        notes=notes,
    )


def _has_values(node: Node) -> bool:
    return bool(node.saved) and isinstance(node.saved[0], Tensor) and has_values(node.saved[0])


# -- memory ------------------------------------------------------------------------------------------


#: One edge: who wrote what is read (None for memory older than the pass), and the storage.
Origin = tuple[int | None, int]


class _Memory:
    """The recorded edges beside those that the kernels tell of."""

    def __init__(self, history: ModelHistory, trial: Trial) -> None:
        self._history = history
        self._nodes = history.recording.nodes
        self._kernels = trial.witness.kernels
        self._calls = {id(call.node): call for call in self._kernels.calls if call.node is not None}
        self._resolved: dict[tuple[int, int], set[Origin]] = {}
        #: The first node with a value in each storage.
        self._makers: dict[int, Node] = {}
        for node in self._nodes:
            for value in node.values:
                self._makers.setdefault(value.storage.key, node)
        self._by_identity = {id(node): node for node in self._nodes}
        #: The storages of the values of each node: memory that a call keeps for itself, such as a cache, is none.
        self._keys = {id(node): {value.storage.key for value in node.values} for node in self._nodes}
        #: Nodes of which it can be said what they read, and those of which it cannot.
        self.compared = 0
        self.unfollowed = 0

    def findings(self) -> list[Finding]:
        """Edges missing, and edges too many."""
        found: list[Finding] = []
        shown = iter(self._kernels.results)
        for node in self._nodes:
            if node.kind in SOURCES:
                continue
            if node.kind is OUTPUT:
                reads = next(shown, None)
                found += self._compare(node, reads, set()) if reads is not None else []
                continue
            call = self._calls.get(id(node))
            if call is not None and call.is_followed and not _is_closed(node):
                if call.count:
                    found += self._compare(node, call.reads, call.unsure)
                else:
                    found += self._strange(node)
            else:
                self.unfollowed += 1
        return found[:_TOLD]

    def _compare(self, node: Node, reads: Iterable[Read], unsure: Iterable[Read]) -> list[Finding]:
        """The recorded origins of what ``node`` reads beside the true ones."""
        true, allowed = self._origins(node, reads), self._origins(node, unsure)
        recorded: set[Origin] = set()
        for edge in node.edges:
            if not edge.certain or self._is_blurred(edge):
                self.unfollowed += 1
                return []
            origins = self._resolve(edge)
            recorded |= origins
            if _is_empty(edge.origin) or all(map(_is_empty, node.values)):  # nothing of it can be read
                allowed = None if allowed is None else allowed | origins
        if true is None or allowed is None:
            self.unfollowed += 1
            return []
        self.compared += len(recorded)
        missing = true - recorded
        if missing:
            missing -= self._behind_loose_writes(recorded)
        found = [self._missing(node, origin) for origin in missing]
        return found + [self._too_many(node, origin) for origin in recorded - true - allowed]

    def _origins(self, reader: Node, reads: Iterable[Read]) -> set[Origin] | None:
        """The nodes that wrote what was read; None where that was no op, or one that could not be followed.

        Memory that is older than the pass, and of which the graph knows nothing, is that of a number.
        """
        origins: set[Origin] = set()
        for number, key in reads:
            if number == NOBODY:
                if self._makers.get(key, reader).index < reader.index:
                    origins.add((None, key))
                continue
            call = self._kernels.calls[number]
            node = call.node
            if node is None or not call.is_followed or _is_closed(node) or key not in self._keys[id(node)]:
                return None
            origins.add((id(node), key))
        return origins

    def _is_blurred(self, edge: Edge) -> bool:
        if edge.origin.storage.escaped:
            return True
        node = self._nodes[edge.origin.node]
        if node.kind in SOURCES:
            return not edge.origin.storage.key
        call = self._calls.get(id(node))
        return (
            not edge.origin.storage.key or _is_closed(node) or (call is not None and not call.is_followed)
        )

    def _resolve(self, edge: Edge) -> set[Origin]:
        """Who wrote what is read through ``edge``: views are looked through."""
        value = edge.origin
        node = self._nodes[value.node]
        key = value.storage.key
        if node.kind in SOURCES:
            return {(None, key)}
        call = self._calls.get(id(node))
        if call is not None and key in call.written:
            return {(id(node), key)}
        known = self._resolved.get((value.node, value.slot))
        if known is None:
            inner = [
                one
                for one in node.edges
                if one.origin.storage.key == key
                and one.slot in (None, value.slot)
                and one.origin.node < node.index
            ]
            known = set().union(*map(self._resolve, inner)) if inner else {(None, key)}
            self._resolved[value.node, value.slot] = known
        return known

    def _behind_loose_writes(self, origins: set[Origin]) -> set[Origin]:
        """What writes to a whole storage depend on that have changed but a part of it, by an index that is data."""
        found: set[Origin] = set()
        stack = list(origins)
        while stack:
            writer, key = stack.pop()
            node = self._by_identity.get(writer)
            if node is not None and _writes_loosely(node):
                new = set().union(*map(self._resolve, node.edges)) - found
                found |= {origin for origin in new if origin[1] == key}
                stack += [origin for origin in new if origin[1] == key]
        return found

    def _strange(self, node: Node) -> list[Finding]:
        """Of an op without kernels, which returns what it is given: edges that lead through no argument of it."""
        given = {value.storage.key for value in node.argument_values()}
        strange = [edge for edge in node.edges if edge.origin.storage.key not in given]
        return [self._too_many(node, (self._identity(edge), edge.origin.storage.key)) for edge in strange]

    def _identity(self, edge: Edge) -> int | None:
        node = self._nodes[edge.origin.node]
        return None if node.kind in SOURCES else id(node)

    # -- wording -----------------------------------------------------------------------------------

    def _missing(self, node: Node, origin: Origin) -> Finding:
        return self._finding(
            node,
            "An edge is missing",
            f"(kernels) it reads what {self._named(origin)} wrote",
            f"(graph) it depends on {self._parents(node)}",
        )

    def _too_many(self, node: Node, origin: Origin) -> Finding:
        return self._finding(
            node,
            "There is an edge too many",
            f"(kernels) it reads nothing that {self._named(origin)} wrote",
            f"(graph) it depends on {self._parents(node)}",
        )

    def _finding(self, node: Node, what: str, expected: str, got: str) -> Finding:
        op = self._history.op_at(node.index)
        return Finding(
            check="dependence",
            what=what,
            label=op.layer_label_w_pass,
            stable_name=op.stable_name,
            where=where(op),
            expected=expected,
            got=got,
            advice=_DEFECT,
        )

    def _named(self, origin: Origin) -> str:
        writer, key = origin
        for node in self._nodes:
            if (
                writer is None
                and node.kind in SOURCES
                and node.values
                and node.values[0].storage.key == key
            ):
                return name_of(self._history, node)
            if writer is not None and id(node) == writer:
                return name_of(self._history, node)
        return "memory older than the pass" if writer is None else "an op that the graph does not have"

    def _parents(self, node: Node) -> str:
        origins = dict.fromkeys(edge.origin.node for edge in node.edges)
        return ", ".join(name_of(self._history, self._nodes[index]) for index in origins) or "nothing"


def _writes_loosely(node: Node) -> bool:
    """Whether a write counts as one to the whole tensor, whatever place its index names: tensors, lists, masks."""
    index = node.args[1] if node.info.name == "setitem" and len(node.args) > 1 else ()
    return any(isinstance(item, Value | list) for item in (index if isinstance(index, tuple) else (index,)))


def _is_empty(value: Value) -> bool:
    return 0 in value.shape


def _is_closed(node: Node) -> bool:
    """Whether what it reads is not told by its arguments: opaque calls, backward passes, higher-order ops."""
    return (
        node.is_opaque
        or node.info.name in GRADIENTS
        or isinstance(node.info.func, HigherOrderOperator)
        or any(edge.path == ("backward",) for edge in node.special_edges or ())
    )


# -- gradients ---------------------------------------------------------------------------------------


def _gradients(trial: Trial) -> list[Finding]:
    """Sources to which autograd leads, although the graph does not."""
    history = trial.history
    gradients = trial.unlogged.gradients
    if not gradients or gradients[0][0] == "backward":
        return []
    nodes = history.recording.nodes
    behind = set().union(*(history.graph.ancestors(index) for index in history.graph.outputs))
    known = {nodes[index].address for index in behind if nodes[index].kind in SOURCES}
    # of what is written in the pass, the first value may play no part; what is made in it has none
    written = {id(value.ref) for node in nodes if node.kind is OP for value in node.values}
    parameters = dict(trial.model.named_parameters(remove_duplicate=False))
    exempt = {name for name, parameter in parameters.items() if id(weakref.ref(parameter)) in written}
    shared = {id(nodes[index].tensor) for index in behind if nodes[index].kind is PARAMETER}
    exempt |= {name for name, parameter in parameters.items() if id(parameter) in shared}
    return [
        Finding(
            check="dependence",
            what=f"The outputs have a gradient by {name}, and the graph no path from it",
            label=name,
            expected="(autograd) a path from it to an output",
            got="(graph) none",
            advice=_DEFECT,
        )
        for name, gradient in gradients
        if isinstance(gradient, Tensor)
        and name not in known | exempt
        and (name in parameters or name.startswith("input"))
        and has_values(gradient)
        and gradient.layout is torch.strided
        and bool((gradient != 0).any())
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
    behind = set().union(*(history.graph.ancestors(index) for index in history.graph.outputs))
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
        Finding(
            check="dependence",
            what=f"Uninitialised memory reaches {changed[0].address}: the model's result is what was in memory before",
            label=op.layer_label,
            stable_name=op.stable_name,
            where=where(op),
            expected="memory that is filled before it is read",
            got="the same result whatever it holds: no",
            advice="Make it with torch.zeros, or fill all of it.",
        )
    ]


def _other_contents(kept: Any) -> Any:
    if not isinstance(kept, Tensor) or not has_values(kept) or kept.layout is not torch.strided:
        return kept
    return torch.ones_like(kept) if not kept.is_floating_point() else torch.full_like(kept, 1.5)


# -- perturbation ------------------------------------------------------------------------------------


def _perturbation(trial: Trial, notes: list[str]) -> tuple[list[Finding], dict[str, int]]:
    """What changes with the sources, and should not; what should, and does not."""
    history = trial.history
    nodes = history.recording.nodes
    swept = sweep(trial, is_moved=True)
    if swept.error is not None:
        notes.append(f"with other inputs the model raises, looked at up to there: {swept.error[:120]}")
    elif swept.parted is not None:
        notes.append(
            f"with other inputs the model takes another way after {swept.common} of {len(nodes)} nodes: "
            "what follows was not looked at"
        )
    expected = _descendants(history, swept.moved)
    hidden = _Hidden(history, swept, expected)
    findings = hidden.findings()
    if findings:
        reason = unlike_itself(trial, hidden.places)
        if reason is not None:
            findings = [reason]
    if hidden.sizes:
        notes.append(f"sizes taken from values, which no edge shows: {_listed(history, hidden.sizes)}")
    silent = [
        node
        for node in nodes
        if node.index in expected
        and node.index in swept.seen - swept.changed
        and node.kind in (OP, OUTPUT)
        and _is_telling(node)
    ]
    if silent:
        notes.append(f"unchanged with other inputs, so that nobody can tell: {_listed(history, silent)}")
    return findings, {"moved": len(swept.moved), "changed": len(swept.changed), "cannot tell": len(silent)}


def _is_telling(node: Node) -> bool:
    return any(
        getattr(value.dtype, "is_floating_point", False) and 0 not in value.shape for value in node.values
    )


def _listed(history: ModelHistory, nodes: Sequence[Node]) -> str:
    names = ", ".join(name_of(history, node) for node in nodes[:_NAMED])
    return names + (f" and {len(nodes) - _NAMED} more" if len(nodes) > _NAMED else "")


def _descendants(history: ModelHistory, moved: set[int]) -> set[int]:
    """The nodes that the graph leads to from what was changed, and from what nobody can repeat."""
    found = set(moved)
    for node in history.recording.nodes:
        if (node.kind is OP and (node.info.name in UNINITIALISED or node.is_opaque)) or any(edge.origin.node in found for edge in node.edges):
            found.add(node.index)
    return found


def _origins(node: Node) -> list[int]:
    """The nodes that what is kept of a node may hold values of.

    Of a call that writes a part of a tensor that is the whole tensor, the rest of which is no dependence of it.
    """
    origins = [edge.origin.node for edge in node.edges]
    return origins + [value.node for value in node.argument_values()] if node.info.writes else origins


class _Hidden:
    """Values that change with the sources although the graph leads to them from none."""

    def __init__(self, history: ModelHistory, swept: Sweep, expected: set[int]) -> None:
        self._history = history
        self._nodes = history.recording.nodes
        self._swept = swept
        self._expected = expected
        #: Nodes at which such values came back, and those whose results have another size for one.
        self.places: list[Node] = []
        self.sizes: list[Node] = []

    def findings(self) -> list[Finding]:
        """One for each place where such a value comes back."""
        swept, explained = self._swept, set(self._expected)
        found: list[Finding] = []
        is_reshaped = False
        for node in self._nodes[: swept.common]:
            is_reshaped = is_reshaped or node.index in swept.reshaped
            if any(origin in explained for origin in _origins(node)):
                explained.add(node.index)
            if node.index in swept.numbers:
                explained.add(node.index)
                if is_reshaped:
                    self.sizes.append(node)
                else:
                    found.append(self._number(node))
            elif node.index in swept.changed and node.index not in explained:
                explained.add(node.index)
                if not (node.info.draws or node.info.writes):
                    found.append(self._value(node))
        return found[:_TOLD]

    def _number(self, node: Node) -> Finding:
        path, old, new = self._swept.numbers[node.index]
        return self._finding(
            node,
            "Hidden dependence: a value left the graph through Python and came back as an argument",
            f"argument {'.'.join(map(str, path))} the same with other inputs: {_short(old)}",
            _short(new),
            self._escape(node, old),
        )

    def _value(self, node: Node) -> Finding:
        if node.kind is CONSTANT:
            what = "Hidden dependence: a value left the graph through Python and came back as a constant"
        else:
            what = (
                "Hidden dependence: a value changes with the sources, and the graph leads to it from none"
            )
        return self._finding(
            node, what, "the same value with other inputs", "another", self._escape(node, None)
        )

    def _escape(self, node: Node, number: Any) -> Node | None:
        """Where it has left: the last escape before that gave this number, or gave what has changed."""
        swept = self._swept
        escapes = [one for one in self._nodes[: node.index] if one.kind is ESCAPE]
        gone = [
            one
            for one in escapes
            if one.index in swept.escapes
            or (
                gives_memory(one.info)
                and any(edge.origin.node in swept.changed | swept.moved for edge in one.edges)
            )
        ]
        same = [one for one in gone if number is not None and one.result == number]
        return (same or gone or [None])[-1]

    def _finding(self, node: Node, what: str, expected: str, got: str, escape: Node | None) -> Finding:
        self.places.append(node)
        op = self._history.op_at(node.index)
        if escape is None:
            left = "No op gave it to Python: it was computed out of torch's sight, on another thread say."
        else:
            left = (
                f"It left at {name_of(self._history, escape)} ({where(self._history.op_at(escape.index))})."
            )
        return Finding(
            check="dependence",
            what=what,
            label=op.layer_label_w_pass,
            stable_name=op.stable_name,
            where=_first_reader(self._history, node) if node.kind in SOURCES else where(op),
            expected=expected,
            got=got,
            advice=f"{left} No edge shows it. Compute it with torch, on the thread that runs the model.",
        )


def _first_reader(history: ModelHistory, node: Node) -> str | None:
    """The line at which a source is first used."""
    children = history.graph.children[node.index]
    return where(history.op_at(children[0])) if children else None


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
