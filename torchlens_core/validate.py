"""`validate_model_activations`: a history is proven, not trusted.

Each check is a witness that shares as little as possible with the recorder. A check is a function of a
`Trial` that returns a `CheckResult`; `CHECKS` names them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchlens_core.compare import Difference, Tolerance, difference
from torchlens_core.composites import OPENED_HIGHER_ORDER
from torchlens_core.entries import Op
from torchlens_core.errors import ArgumentError, IncomparableError, ReplayError, nearest
from torchlens_core.functions import gives_memory
from torchlens_core.history import ModelHistory
from torchlens_core.inputs import arguments_of, check_arguments
from torchlens_core.internals import HigherOrderOperator
from torchlens_core.nodes import ESCAPE, OP, OUTPUT, PARAMETER, Node
from torchlens_core.origins import UNSEEN_WRITE
from torchlens_core.replay import Replay, is_given
from torchlens_core.report import CheckResult, Finding, ValidationReport
from torchlens_core.trial import Trial

#: Inner ops whose ancestors are replayed alone.
INNER_SAMPLES = 2
_MISSING_EDGE = "The graph lacks an edge: report it with the model, as a defect of torchlens_core."


def validate_model_activations(
    model: nn.Module,
    input_args: Any,
    input_kwargs: Mapping[str, Any] | None = None,
    *,
    checks: Iterable[str] | None = None,
    rtol: float = 0.0,
    atol: float = 0.0,
    grad: bool | None = None,
    random_seed: int | None = None,
) -> ValidationReport:
    """Check that the history of a pass is true: its values, its graph, and that logging changes nothing.

    Afterwards the model, its inputs and all generators are as they were before.

    Args:
        model: any module.
        input_args: one argument, or a list or tuple of positional arguments.
        input_kwargs: arguments by name.
        checks: names of checks, by default all: ``"transparency"`` (the model returns and leaves behind the
            same, logged or not) and ``"replay"`` (the recorded graph gives every saved value again).
        rtol: relative difference allowed, 0 by default: values must be equal.
        atol: absolute difference allowed, likewise.
        grad: compare gradients too; by default when autograd is on and the result has a gradient.
        random_seed: seed of the sample of inner ops, and of torch's generators for the pass.

    Returns:
        A `ValidationReport`, true when all checks hold.

    Raises:
        ArgumentError: as `log_forward_pass`, and for unknown checks; nothing was run.

    >>> bool(validate_model_activations(nn.Linear(4, 3), torch.rand(2, 4)))
    True
    """
    names = _check_names(checks)
    args, kwargs = arguments_of(input_args, input_kwargs)
    check_arguments(model, args, kwargs)
    started = time.perf_counter()
    trial = Trial(model, args, kwargs, Tolerance(rtol, atol), grad, random_seed)
    try:
        results = [_timed(CHECKS[name], trial) for name in names]
    finally:
        trial.restore()
    return ValidationReport(
        model_name=type(model).__name__,
        checks=results,
        covered=_coverage(trial.history),
        seconds=time.perf_counter() - started,
    )


def _check_names(checks: Iterable[str] | None) -> list[str]:
    names = list(CHECKS) if checks is None else [checks] if isinstance(checks, str) else list(checks)
    if not names:
        raise ArgumentError(
            f"checks is empty. Expected some of {', '.join(map(repr, CHECKS))}, or None for all."
        )
    for name in names:
        if name not in CHECKS:
            near = nearest(str(name), CHECKS)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ArgumentError(
                f"There is no check {name!r}.{hint} The checks are {', '.join(map(repr, CHECKS))}."
            )
    return names


def _timed(check: Callable[[Trial], CheckResult], trial: Trial) -> CheckResult:
    trial.restore()
    return check(trial)


def _coverage(history: ModelHistory) -> dict[str, int]:
    nodes = history.recording.nodes
    return {
        "ops": len(history.ops),
        "edges": sum(len(parents) for parents in history.graph.parents),
        "module calls": len(history.recording.calls),
        "opaque": sum(node.is_opaque for node in nodes),
    }


# -- transparency ------------------------------------------------------------------------------------


def check_transparency(trial: Trial) -> CheckResult:
    """The model run without the tracer gives the same results, gradients, buffers and generator states."""
    started = time.perf_counter()
    traced = trial.traced[1]
    plain = trial.untraced
    tolerance: Tolerance | None = trial.tolerance
    fast_path = _fast_path(trial.model)
    higher_order = _higher_order(trial.history)
    findings: list[Finding] = []
    notes: list[str] = []
    covered: dict[str, int] = {}
    for sort, expected, got in (
        ("results", plain.results, traced.results),
        ("buffers", plain.buffers, traced.buffers),
        ("gradients", plain.gradients, traced.gradients),
    ):
        covered[sort] = len(expected)
        found = _compare_all(sort, expected, got, tolerance, notes)
        if found and fast_path and tolerance is not None and tolerance.is_exact:
            found = _compare_all(sort, expected, got, None, [])
            if not found:
                notes.append(f"{sort} equal within torch.testing's tolerance: {fast_path}")
        if found and sort == "gradients" and higher_order:
            notes.append(f"gradients differ: unlogged, torch compiles {higher_order}, whose own are others")
            found = []
        findings += found
    moved = plain.generators.differences(traced.generators)
    covered["generators"] = 1
    if moved:
        findings.append(
            Finding(
                check="transparency",
                what=f"Logging leaves another state of {', '.join(moved)} behind",
                advice="If the model draws from it by time or by a global count, fix the seed in forward.",
            )
        )
    return CheckResult(
        name="transparency",
        findings=findings,
        covered=covered,
        seconds=time.perf_counter() - started,
        notes=notes,
    )


def _compare_all(
    sort: str,
    expected: Sequence[tuple[str, Any]],
    got: Sequence[tuple[str, Any]],
    tolerance: Tolerance | None,
    notes: list[str],
) -> list[Finding]:
    if sort == "gradients" and not (expected and got):  # none of one run is zeros of the other
        expected = expected or [(name, None) for name, _ in got]
        got = got or [(name, None) for name, _ in expected]
    if [name for name, _ in expected] != [name for name, _ in got]:
        names = f"{[name for name, _ in expected]}", f"{[name for name, _ in got]}"
        return [_unlike(f"the {sort} of the logged pass are others", *names)]
    findings = []
    for (name, one), (_, other) in zip(expected, got, strict=True):
        try:
            found = difference(_zeros_for_none(one, other), _zeros_for_none(other, one), tolerance)
        except IncomparableError as error:
            notes.append(f"not compared, {sort}: {name}, {error}")
            continue
        if found is not None:
            findings.append(_unlike(f"{sort}: {name} differs", found.expected, found.got))
    return findings


def _zeros_for_none(value: Any, other: Any) -> Any:
    """No gradient is a gradient of zeros."""
    return torch.zeros_like(other) if value is None and isinstance(other, Tensor) else value


def _unlike(what: str, expected: str, got: str) -> Finding:
    return Finding(
        check="transparency",
        what=f"Logged and unlogged, {what}",
        expected=f"(unlogged) {expected}",
        got=f"(logged) {got}",
        advice="Run the model twice unlogged: if that differs too, its forward depends on something outside "
        "(time, a global, uninitialised memory).",
    )


def _fast_path(model: nn.Module) -> str | None:
    """Why the logged pass may use other kernels, if it may."""
    fused = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder)
    if any(isinstance(module, fused) and not module.training for module in model.modules()):
        return "the unlogged pass takes the fused kernel of nn.MultiheadAttention"
    if any(type(module).__name__ == "OptimizedModule" for module in model.modules()):
        return "the unlogged pass runs compiled code"
    return None


def _higher_order(history: ModelHistory) -> str | None:
    """The name of a higher-order op in the pass, if there is one."""
    for node in history.recording.nodes:
        if isinstance(node.info.func, HigherOrderOperator):
            return node.info.name
        for name in node.composite:
            if name in OPENED_HIGHER_ORDER:
                return name
    return None


# -- replay ------------------------------------------------------------------------------------------


def check_replay(trial: Trial) -> CheckResult:
    """The graph, run from its sources, gives every saved value again; so do the ancestors of a few nodes alone."""
    started = time.perf_counter()
    history = trial.history
    witness = _Witness(history, trial.tolerance)
    witness.findings += _unseen_writes(history)
    covered = {"values": 0, "pruned": 0, "given": sum(map(is_given, history.recording.nodes))}
    if witness.run(None):
        for wanted in _samples(history, trial.seed):
            witness.run(wanted)
            covered["pruned"] += 1
    covered["values"] = witness.compared
    return CheckResult(
        name="replay",
        findings=witness.findings,
        covered=covered,
        seconds=time.perf_counter() - started,
        notes=list(witness.notes.values()),
    )


def _unseen_writes(history: ModelHistory) -> list[Finding]:
    """Memory that was written by code that nobody sees: the graph does not say from what."""
    return [
        Finding(
            check="replay",
            what="Memory was written unseen, so that the graph does not say what its contents depend on",
            label=op.layer_label,
            stable_name=op.stable_name,
            where=_where(op),
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
        #: By label: what could not be compared.
        self.notes: dict[str, str] = {}

    def run(self, wanted: list[int] | None) -> bool:
        """Replay all, or the ancestors of ``wanted`` alone; False if something was found."""
        before = len(self.findings)
        only = None if wanted is None else set(wanted)
        current: list[Node] = []

        def see(node: Node, slot: int, value: Any) -> None:
            current[:] = [node]
            if only is None or node.index in only:
                self._compare(node, slot, value, wanted is not None)

        try:
            Replay(self._history, wanted).run(see)
        except ReplayError as error:
            self._cannot_run(error, current)
        return len(self.findings) == before

    def _compare(self, node: Node, slot: int, value: Any, is_pruned: bool) -> None:
        if node.kind == ESCAPE:
            saved = node.result
        elif (
            node.saved is None or slot >= len(node.saved) or node.saved[slot] is None or slot in node.stale
        ):
            return
        else:
            saved = node.saved[slot]
        try:
            found: Difference | None = difference(saved, value, self._tolerance)
        except IncomparableError as error:
            label = self._history.op_at(node.index).layer_label
            self.notes[label] = f"not compared: {label}, {error}"
            return
        self.compared += 1
        if found is None or (self.findings and not is_pruned):
            return  # what follows from the first difference is no finding of its own
        what = "The graph, run again, gives another value"
        if is_pruned:
            what = "What the graph says it depends on, run alone, gives another value"
        self.findings.append(self._finding(node, what, found))

    def _finding(self, node: Node, what: str, found: Difference) -> Finding:
        op = self._history.op_at(node.index)
        return Finding(
            check="replay",
            what=what,
            label=op.layer_label,
            stable_name=op.stable_name,
            where=_where(op),
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
                    f"Memory left the graph at {op.layer_label} ({_where(op)}): what is written through it "
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
                where=_where(op) if op else None,
                advice=_MISSING_EDGE,
            )
        )


def _where(op: Op) -> str | None:
    source = op.source
    return None if source is None else str(source)


def _samples(history: ModelHistory, seed: int | None) -> list[list[int]]:
    """The outputs together, and a few inner ops one by one."""
    nodes = history.recording.nodes
    outputs = [node.index for node in nodes if node.kind == OUTPUT]
    # what writes a part of a tensor is saved as the whole, for which others are answerable too
    inner = [n.index for n in nodes if n.kind == OP and n.saved is not None and n.info.writes is None]
    chosen = random.Random(seed or 0).sample(inner, min(INNER_SAMPLES, len(inner)))
    return [outputs, *([index] for index in chosen)]


#: The checks by name, in the order in which they run.
CHECKS: dict[str, Callable[[Trial], CheckResult]] = {
    "transparency": check_transparency,
    "replay": check_replay,
}
