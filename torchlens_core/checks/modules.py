"""``modules``: plain forward hooks see the same module calls, in the same order, with the same inputs and outputs.

The kernels tell besides which module each op ran in.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from torchlens_core.checks.places import DEFECT, finding_at, line_in, name_of
from torchlens_core.history import ModelHistory
from torchlens_core.hooks import HookedCall
from torchlens_core.nodes import Call, Value
from torchlens_core.report import CheckResult, Finding
from torchlens_core.trial import Trial


def check_modules(trial: Trial) -> CheckResult:
    """Hooks on every module have seen the recorded calls, and each op ran in the call that it is said to."""
    started = time.perf_counter()
    history, hooks = trial.history, trial.witness.hooks
    recorded = [call for call in history.recording.calls if call.identity in hooks.hooked]
    findings = list(_differences(history, hooks.calls, recorded))
    placed = 0
    if not findings:
        findings, placed = _misplaced(trial, hooks.calls, recorded)
    unseen = len(history.recording.calls) - len(recorded)
    return CheckResult(
        name="modules",
        findings=findings,
        covered={"module calls": len(hooks.calls), "ops in them": placed, "beyond hooks": unseen},
        seconds=time.perf_counter() - started,
    )


def _differences(
    history: ModelHistory, hooked: Sequence[HookedCall], recorded: Sequence[Call]
) -> Iterator[Finding]:
    """The first call that differs: what follows it is shifted."""
    number_of = {call.index: n for n, call in enumerate(recorded)}
    contents = _contents(history)
    for seen, call in zip(hooked, recorded, strict=False):
        for what, expected, got in _aspects(seen, call, number_of):
            if expected != got:
                yield _finding(history, call, f"Hooks and history disagree on {what}", expected, got)
                return
        for name, references, values, is_output in (
            ("inputs", seen.inputs, call.inputs, False),
            ("outputs", seen.outputs, call.outputs, True),
        ):
            wrong = _other_tensors(history, references, values, is_output)
            if wrong is not None:
                yield _finding(
                    history, call, f"Hooks and history disagree on the {name} of a module call", *wrong
                )
                return
        stale = _overwritten(call, contents)
        if stale is not None:
            names = [name_of(history, history.recording.nodes[index]) for index in stale]
            yield _finding(history, call, "A module call returned what was overwritten in it", *names)
            return
    if len(hooked) != len(recorded):
        more = hooked[len(recorded) :] or recorded[len(hooked) :]
        yield Finding(
            check="modules",
            what="Hooks and history disagree on the number of module calls",
            expected=f"(hooks) {len(hooked)}",
            got=f"(history) {len(recorded)}; the first too many is {_name(more[0])}",
            advice=DEFECT,
        )


def _contents(history: ModelHistory) -> dict[int, list[int]]:
    """By tensor object, as its weak reference: the nodes that returned it, by which it was made or written."""
    contents: dict[int, list[int]] = {}
    for node in history.recording.nodes:
        for value in node.values[: len(node.values) - node.written]:
            contents.setdefault(id(value.ref), []).append(node.index)
    return contents


def _overwritten(call: Call, contents: dict[int, list[int]]) -> tuple[int, int] | None:
    """The last writer in a call of a tensor that it returned, and an older one that is named instead."""
    for value in call.outputs:
        later = [index for index in contents.get(id(value.ref), ()) if value.node < index < call.last]
        if later:
            return later[-1], value.node
    return None


def _aspects(seen: HookedCall, call: Call, number_of: dict[int, int]) -> Iterator[tuple[str, str, str]]:
    yield "the order of module calls", _name(seen), _name(call)
    yield "the class of a module", seen.class_name, call.class_name
    yield "whether a module was training", str(seen.training), str(call.training)
    outer = call.parent
    while outer is not None and outer.index not in number_of:
        outer = outer.parent
    around = -1 if outer is None else number_of[outer.index]
    yield "the call around a module call", str(seen.parent), str(around)


def _name(call: HookedCall | Call) -> str:
    return f"{call.address or 'the model'}:{call.number}"


def _other_tensors(
    history: ModelHistory, references: Sequence[Any], values: Sequence[Value], is_output: bool
) -> tuple[str, str] | None:
    """How the tensors that hooks have seen differ from those recorded.

    The recorder leaves out inputs that it does not know yet. Weak references to one tensor are one object; backward
    hooks of modules make another object of a tensor, which stands for the same value.
    """
    recorded = [(value.ref, _first_object(history, value)) for value in values]
    at = 0
    for same in recorded:
        while at < len(references) and all(references[at] is not reference for reference in same):
            at += 1
        if at == len(references):
            return (
                f"{len(references)} tensors",
                f"one that is none of them, or in another order ({len(recorded)})",
            )
        at += 1
    if is_output and len(recorded) < len(references):
        return f"{len(references)} tensors", f"{len(recorded)}"
    return None


def _first_object(history: ModelHistory, value: Value) -> Any:
    """The object that a value was when its op made it."""
    values = history.recording.nodes[value.node].values
    return values[value.slot].ref if value.slot < len(values) else None


def _finding(history: ModelHistory, call: Call, what: str, expected: str, got: str) -> Finding:
    return Finding(
        check="modules",
        what=what,
        label=_name(call),
        stable_name=call.class_name,
        where=line_in(history.recording.stacks.get(call.chain, ())) if call.chain else None,
        expected=f"(hooks) {expected}",
        got=f"(history) {got}",
        advice=DEFECT,
    )


def _misplaced(
    trial: Trial, hooked: Sequence[HookedCall], recorded: Sequence[Call]
) -> tuple[list[Finding], int]:
    """Ops whose kernels ran in another module call than the history says; how many were looked at."""
    history = trial.history
    number_of = {call.index: n for n, call in enumerate(recorded)}
    placed = 0
    by_node = {id(call.node): call for call in trial.witness.kernels.calls if call.count}
    for node in history.recording.nodes:
        ran = by_node.get(id(node))
        if ran is None or node.is_opaque:
            continue
        call = history.recording.call_of[node.index]
        while call is not None and call.index not in number_of:
            call = call.parent
        number = -1 if call is None else number_of[call.index]
        placed += 1
        if number != ran.module:
            op = history.op_at(node.index)
            names = ["outside all" if n < 0 else _name(hooked[n]) for n in (ran.module, number)]
            finding = finding_at(
                op,
                "modules",
                "An op belongs to another module call than the history says",
                expected=f"(hooks) {names[0]}",
                got=f"(history) {names[1]}",
                advice=DEFECT,
            )
            return [finding], placed
    return [], placed
