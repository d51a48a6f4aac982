"""The model run once more with other values of all its sources: what changes, and should not?

A value that changes although the graph leads to it from no source left through Python and came back. What the graph
leads to, and does not change (a product with zero, a saturated maximum), nobody can tell: it is counted. Where values
leave for Python, the model is run a second time with far-away inputs, so that what is rounded or compared there shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchlens_core.checks.places import line_in, name_of, where
from torchlens_core.checks.repeat import unlike_itself
from torchlens_core.functions import gives_memory
from torchlens_core.history import ModelHistory
from torchlens_core.nodes import CONSTANT, ESCAPE, INPUT, OP, OUTPUT, SOURCES, Node
from torchlens_core.replay import UNINITIALISED
from torchlens_core.report import Finding
from torchlens_core.sweep import Change, Sweep, is_equal, sweep
from torchlens_core.threads import Threads
from torchlens_core.trial import Trial

#: Nodes that did not change, named in the notes.
_NAMED = 4


def find_hidden(trial: Trial, notes: list[str]) -> tuple[list[Finding], dict[str, int]]:
    """What changes with the sources, and should not; what should, and does not."""
    history = trial.history
    nodes = history.recording.nodes
    swept = sweep(trial, Change.SOURCES)
    if swept.error is not None:
        notes.append(f"with other inputs the model raises, looked at up to there: {swept.error[:120]}")
    elif swept.parted is not None:
        notes.append(
            f"with other inputs the model takes another way after {swept.common} of {len(nodes)} nodes: "
            "what follows was not looked at"
        )
    expected = _descendants(history, swept.moved)
    hidden = _Hidden(history, swept, expected, trial.witness.threads)
    findings = hidden.findings()
    if not findings and _leaves_for_python(history, expected):
        far = sweep(trial, Change.INPUTS)
        hidden = _Hidden(history, far, _descendants(history, far.moved), trial.witness.threads)
        findings = hidden.findings()
    reason = unlike_itself(trial, hidden.places) if findings else None
    if reason is not None:
        findings = [] if trial.is_unlike_itself else [reason]
        notes.append("what differs from run to run was not looked at")
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


def _leaves_for_python(history: ModelHistory, expected: set[int]) -> bool:
    """Whether something that depends on what was changed has gone to Python, or an input could not be changed."""
    return any(
        node.index not in expected
        if node.kind is INPUT
        else node.kind is ESCAPE and any(edge.origin.node in expected for edge in node.edges)
        for node in history.recording.nodes
    )


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
        if (node.kind is OP and (node.info.name in UNINITIALISED or node.is_opaque)) or any(
            edge.origin.node in found for edge in node.edges
        ):
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

    def __init__(self, history: ModelHistory, swept: Sweep, expected: set[int], threads: Threads) -> None:
        self._threads = threads
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
                if node.index in swept.reshaped:
                    self.sizes.append(node)
                elif not (node.info.draws or node.info.writes):
                    found.append(self._value(node))
        return found

    def _number(self, node: Node) -> Finding:
        path, old, new = self._swept.numbers[node.index]
        return self._finding(
            node,
            "Hidden dependence: a value left the graph through Python and came back as an argument",
            f"argument {'.'.join(map(str, path))} the same with other inputs: {_short(old)}",
            _short(new),
            self._escapes(node, old),
        )

    def _value(self, node: Node) -> Finding:
        if node.kind is CONSTANT:
            what = "Hidden dependence: a value left the graph through Python and came back as a constant"
        else:
            what = (
                "Hidden dependence: a value changes with the sources, and the graph leads to it from none"
            )
        return self._finding(
            node, what, "the same value with other inputs", "another", self._escapes(node, None)
        )

    def _escapes(self, node: Node, number: Any) -> list[Node]:
        """Where it may have left: the escapes before that gave this number, or else gave what has changed."""
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
        same = [one for one in gone if number is not None and is_equal(one.result, number)]
        return same[-1:] or gone[-_NAMED:]

    def _finding(self, node: Node, what: str, expected: str, got: str, escapes: list[Node]) -> Finding:
        self.places.append(node)
        op = self._history.op_at(node.index)
        return Finding(
            check="dependence",
            what=what,
            label=op.layer_label,
            stable_name=op.stable_name,
            where=_first_reader(self._history, node) if node.kind in SOURCES else where(op),
            expected=expected,
            got=got,
            advice=f"{self._left(escapes)} No edge shows it. Compute it with torch, on the thread that runs the "
            "model.",
        )

    def _left(self, escapes: list[Node]) -> str:
        """The places where a value has left, in words."""
        places = {where(self._history.op_at(escape.index)): escape for escape in escapes}
        if places:
            named = [f"{name_of(self._history, one)} ({place})" for place, one in places.items()]
            return f"It left at {' or '.join(named)}."
        if self._threads.stacks:
            return f"It left for another thread at {line_in(self._threads.stacks[-1])}."
        return "No op gave it to Python: it was computed out of torch's sight."


def _first_reader(history: ModelHistory, node: Node) -> str | None:
    """The line at which a source is first used."""
    children = history.graph.children[node.index]
    return where(history.op_at(children[0])) if children else None


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
