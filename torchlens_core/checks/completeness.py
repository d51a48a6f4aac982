"""``completeness``: every kernel that ran belongs to one recorded op, and the ops stand in the order of their kernels.

The kernels are those that a dispatch mode has seen beneath the recorder.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from torchlens_core.checks.places import DEFECT, finding_at, line_in, line_of
from torchlens_core.functions import FACTS, Role
from torchlens_core.history import ModelHistory
from torchlens_core.internals import storage_key
from torchlens_core.kernels import KernelCall
from torchlens_core.nodes import ESCAPE, OP, Node
from torchlens_core.origins import ALIAS
from torchlens_core.report import CheckResult, Finding
from torchlens_core.trial import Trial


def check_completeness(trial: Trial) -> CheckResult:
    """Each kernel belongs to one recorded op, and each op has the kernels that ran for it."""
    started = time.perf_counter()
    history = trial.history
    kernels = trial.witness.kernels
    recorded = {id(node) for node in history.recording.nodes}
    constants = _constants(trial, kernels.calls)
    escaped = [call for call in kernels.calls if call.count and _is_escaped(call) and call not in constants]
    findings = [
        *(_escaped(history, call) for call in escaped),
        *(
            _left_out(history, call)
            for call in kernels.calls
            if call.node is not None and id(call.node) not in recorded
        ),
        *_out_of_order(history, {id(call.node): call for call in reversed(kernels.calls)}),
    ]
    opaque = _opaque_kernels(kernels.calls)
    outside = sum(call.count for call in kernels.calls if call.node is None and call not in escaped)
    total = kernels.count
    notes = []
    if opaque:
        share = 100 * sum(opaque.values()) / total
        names = ", ".join(f"{name} ({count})" for name, count in opaque.most_common(6))
        notes.append(f"opaque by design, with {share:.0f} % of the kernels: {names}")
    return CheckResult(
        name="completeness",
        findings=findings,
        covered={"kernels": total, "in opaque ops": sum(opaque.values()), "outside the graph": outside},
        seconds=time.perf_counter() - started,
        notes=notes,
    )


def _opaque_kernels(calls: list[KernelCall]) -> Counter[str]:
    """Kernels by the opaque op that they ran in."""
    opaque: Counter[str] = Counter()
    for call in calls:
        if call.node is not None and call.node.is_opaque and call.count:
            opaque[call.node.info.name] += call.count
    return opaque


def _is_escaped(call: KernelCall) -> bool:
    """Whether kernels belong to no op although they should.

    What only reads metadata or prints is no op; what only looks at memory, as when a constant is made or an
    `autograd.Function` hands a tensor through, computes nothing.
    """
    if call.node is not None or call.stack is None or call.is_view:
        return False
    function = call.function
    if isinstance(function, str):
        return True
    return function is None or FACTS[function].role not in (Role.PASS, Role.FLAG, Role.MEMORY)


def _constants(trial: Trial, calls: list[KernelCall]) -> list[KernelCall]:
    """Calls that make no more than a constant: they copy an array that is no memory of the pass or the model.

    Once the pass has given memory away, nobody knows of an array that it is not that.
    """
    copies = [call for call in calls if call.is_copy_of_others]
    if not copies:
        return []
    values = [value for node in trial.history.recording.nodes for value in node.values]
    if any(value.storage.escaped for value in values):
        return []
    known = {value.storage.key for value in values}
    known.update(map(storage_key, (*trial.model.parameters(), *trial.model.buffers())))
    return [call for call in copies if known.isdisjoint(key for _, key in call.reads)]


def _escaped(history: ModelHistory, call: KernelCall) -> Finding:
    names = ", ".join(call.kernels)
    subject = f"The kernel {names} belongs" if call.count == 1 else f"{call.count} kernels ({names}) belong"
    return Finding(
        check="completeness",
        what=f"{subject} to no recorded op",
        where=line_in(call.stack or ()),
        expected="every kernel in an op of the graph",
        got="computed past the recorder" if call.function is None else "a call that was not recorded",
        advice="Compute with torch's functions and the tracer on (no torch._C.DisableTorchFunction, no kernel "
        "called from C++).",
    )


def _left_out(history: ModelHistory, call: KernelCall) -> Finding:
    names = ", ".join(call.kernels) or "no kernel"
    return Finding(
        check="completeness",
        what=f"An op ran that the graph does not have: {call.node.info.name} ({names})",
        where=line_of(history, call.node),
        expected=f"an op {call.node.info.name} in the graph",
        got="none",
        advice=DEFECT,
    )


def _out_of_order(history: ModelHistory, calls: dict[int, KernelCall]) -> Iterator[Finding]:
    """Ops that stand where their kernels did not run; ops for which nothing ran; ops that stand twice."""
    last, seen = -1, set()
    for node in history.recording.nodes:
        if node.kind not in (OP, ESCAPE):
            continue
        call = calls.get(id(node))
        if id(node) in seen or (call is None and not (node.is_opaque or node.info is ALIAS)):
            yield _out_of_place(
                history, node, "Nothing ran for an op of the graph", "a call of its own", "none"
            )
        elif call is not None and call.number < last and not node.is_open_ended:
            yield _out_of_place(
                history,
                node,
                "An op stands in another place than its kernels ran in",
                "the order of the kernels",
                "after an op whose kernels came later",
            )
        seen.add(id(node))
        if call is not None and not node.is_opaque:
            last = max(last, call.number)


def _out_of_place(history: ModelHistory, node: Node, what: str, expected: str, got: str) -> Finding:
    op = history.op_at(node.index)
    return finding_at(
        op,
        "completeness",
        what,
        expected=expected,
        got=got,
        advice=DEFECT,
    )
