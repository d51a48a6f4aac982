"""``transparency``: logged or not, the model gives the same and leaves the same behind."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchlens_core.checks.places import DEFECT
from torchlens_core.checks.repeat import differs_unlogged, model_differs
from torchlens_core.compare import Tolerance, difference
from torchlens_core.composites import OPENED_HIGHER_ORDER
from torchlens_core.errors import IncomparableError
from torchlens_core.history import ModelHistory
from torchlens_core.internals import HigherOrderOperator
from torchlens_core.report import CheckResult, Finding
from torchlens_core.trial import Run, Trial

_FUSED = "the unlogged pass takes the fused kernel of nn.MultiheadAttention"


def check_transparency(trial: Trial) -> CheckResult:
    """The model run without the tracer gives the same results, gradients and buffers, and leaves the same behind."""
    started = time.perf_counter()
    plain = trial.unlogged
    findings, notes = _compare(trial, plain, trial.logged.run)
    if findings and _FUSED in (_fast_path(trial.model) or ""):
        again, more = _compare(trial, trial.run_open(), trial.logged.run)
        if not again:
            findings, notes = [], [*more, f"equal only with torch.backends.mha's fast path off: {_FUSED}"]
    if findings and trial.is_watched:  # composite kernels may take other paths under a dispatch mode
        again, more = _compare(trial, plain, trial.log_alone().run)
        if not again:
            findings, notes = [], [*more, "equal only where no dispatch mode watches the logged pass"]
    if findings:
        how = differs_unlogged(trial)
        if how is not None:
            findings, trial.is_unlike_itself = [model_differs(trial, how)], True
    covered = {
        "results": len(plain.results),
        "buffers": len(plain.buffers),
        "gradients": len(plain.gradients),
        "generators": len(plain.generators),
        "other changes": len(plain.changes),
    }
    trial.forget_gradients()
    return CheckResult(
        name="transparency",
        findings=findings,
        covered=covered,
        seconds=time.perf_counter() - started,
        notes=notes,
    )


def _compare(trial: Trial, plain: Run, logged: Run) -> tuple[list[Finding], list[str]]:
    tolerance = trial.tolerance
    fast_path = _fast_path(trial.model)
    higher_order = _higher_order(trial.history)
    findings: list[Finding] = []
    notes: list[str] = []
    for sort, expected, got in (
        ("results", plain.results, logged.results),
        ("buffers", plain.buffers, logged.buffers),
        ("gradients", plain.gradients, logged.gradients),
        ("state", list(plain.changes.items()), list(logged.changes.items())),
    ):
        found = _compare_all(sort, expected, got, tolerance, notes)
        if found and fast_path and tolerance.is_exact:
            found = _compare_all(sort, expected, got, None, [])
            if not found:
                notes.append(f"{sort} equal within torch.testing's tolerance: {fast_path}")
        if found and sort == "gradients" and higher_order:
            notes.append(f"gradients differ: unlogged, torch compiles {higher_order}, whose own are others")
            found = []
        findings += found
    return findings + _left_behind(plain, logged), notes


def _left_behind(plain: Run, logged: Run) -> list[Finding]:
    """What of generators and of the process is another after the logged pass."""
    moved = plain.generators.differences(logged.generators)
    theirs = plain.before.differences(plain.after)
    moved += [name for name in logged.before.differences(logged.after) if name not in theirs]
    if not moved:
        return []
    return [
        Finding(
            check="transparency",
            what=f"Logging leaves another state of {', '.join(moved)} behind",
            expected="the state that an unlogged pass leaves",
            got="another",
            advice=DEFECT,
        )
    ]


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
        advice=DEFECT,
    )


def _fast_path(model: nn.Module) -> str | None:
    """Why the logged pass may use other kernels, if it may."""
    fused = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder)
    if any(isinstance(module, fused) and not module.training for module in model.modules()):
        return _FUSED
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
