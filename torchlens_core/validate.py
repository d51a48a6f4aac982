"""`validate_model_activations`: a history is proven, not trusted.

Five checks, each a witness that shares as little as possible with the recorder and with the others. A check is a
function of a `Trial` that returns a `CheckResult`; `CHECKS` names them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn

from torchlens_core.checks.completeness import check_completeness
from torchlens_core.checks.dependence import check_dependence
from torchlens_core.checks.modules import check_modules
from torchlens_core.checks.replay import check_replay
from torchlens_core.checks.transparency import check_transparency
from torchlens_core.compare import Tolerance
from torchlens_core.errors import ArgumentError, nearest
from torchlens_core.garbage import collector_spared
from torchlens_core.inputs import arguments_of, check_arguments
from torchlens_core.report import CheckResult, ValidationReport
from torchlens_core.trial import Trial

#: The checks by name, in the order in which they run.
CHECKS: dict[str, Callable[[Trial], CheckResult]] = {
    "transparency": check_transparency,
    "replay": check_replay,
    "completeness": check_completeness,
    "modules": check_modules,
    "dependence": check_dependence,
}
#: Held by the thread that validates: the process has but one set of generators, and one torch.
_one_at_a_time = threading.RLock()
#: Those that look at what the witnesses beside the recorder have seen.
_WATCHING = frozenset({"completeness", "modules", "dependence"})


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
            same, logged or not), ``"replay"`` (the recorded graph gives every saved value again),
            ``"completeness"`` (every kernel that ran belongs to a recorded op), ``"modules"`` (forward hooks
            see the same module calls) and ``"dependence"`` (the ops read what the edges say, and nothing else).
        rtol: relative difference allowed, 0 by default: values must be equal.
        atol: absolute difference allowed, likewise.
        grad: compare gradients too; by default when autograd is on and the result has a gradient.
        random_seed: seed of the sample of inner ops, and of torch's generators for the pass.

    Returns:
        A `ValidationReport`, true when all checks hold.

    Raises:
        ArgumentError: as `log_forward_pass`, and for unknown checks; nothing was run.

    >>> import torch
    >>> bool(validate_model_activations(nn.Linear(4, 3), torch.rand(2, 4)))
    True
    """
    names = _check_names(checks)
    args, kwargs = arguments_of(input_args, input_kwargs)
    check_arguments(model, args, kwargs)
    started = time.perf_counter()
    trial = Trial(
        *(model, args, kwargs, Tolerance(rtol, atol), grad, random_seed),
        is_watched=not _WATCHING.isdisjoint(names),
    )
    with _one_at_a_time, collector_spared():
        try:
            results = [_timed(CHECKS[name], trial) for name in names]
        finally:
            trial.restore()
    return ValidationReport(
        model_name=type(model).__name__,
        checks=results,
        covered=_coverage(trial),
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


def _coverage(trial: Trial) -> dict[str, int]:
    history = trial.history
    covered = {
        "ops": len(history.ops),
        "edges": sum(len(parents) for parents in history.graph.parents),
        "module calls": len(history.recording.calls),
        "opaque": sum(node.is_opaque for node in history.recording.nodes),
    }
    if trial.is_watched:
        covered["kernels"] = trial.witness.kernels.count
    return covered
