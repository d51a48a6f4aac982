"""Tracebacks without the tracer: an error of a model reads as it does where nothing is logged.

``--full-trace`` shows everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest

#: The packages of this project.
_OURS = frozenset({"pytest_torchlens", "torchlens_core"})
#: What calls a test.
_CALLERS = frozenset({"_pytest", "pluggy"})
#: Where a marked class is built and run: nothing above it is of interest.
_START = "pytest_torchlens.models"


def trimmed(excinfo: pytest.ExceptionInfo[BaseException]) -> pytest.ExceptionInfo[BaseException]:
    """The same error without frames of this project, if it came through the tracer and is not the tracer's own."""
    error = excinfo.value
    frames = _frames(error.__traceback__)
    is_through = any(_package(frame) == "torchlens_core" or _module(frame) == _START for frame in frames)
    if not is_through or not isinstance(error, Exception) or _is_our_fault(error, frames):
        return excinfo  # outcomes such as skip and fail are no Exception
    for one in _chain(error):
        one.__traceback__ = _joined(_shown(_frames(one.__traceback__)))
    return pytest.ExceptionInfo.from_exception(error)


def locate(report: pytest.TestReport, item: pytest.Item) -> None:
    """Let a failure that the plugin declares stand at the test: ``--tb=line`` would show the plugin's line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None and Path(crash.path).is_relative_to(Path(__file__).parent):
        path, line, _ = item.reportinfo()
        crash.path, crash.lineno = str(path), (line or 0) + 1


def _is_our_fault(error: Exception, frames: list[TracebackType]) -> bool:
    """Whether this project raised it, neither on purpose nor as what a model meets in a pass."""
    is_meant = hasattr(error, "partial_history") or type(error).__module__.partition(".")[0] in _OURS
    return not is_meant and _package(frames[-1]) in _OURS


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what caused it or was handled when it was raised, and so on."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _shown(frames: list[TracebackType]) -> list[TracebackType]:
    modules = [_module(frame) for frame in frames]
    start = modules.index(_START) if _START in modules else 0
    shown = _without_ours(frames[start:])
    if start:  # torch's own frames above those of the model lead to it, and say nothing
        shown = shown[next((i for i, frame in enumerate(shown) if _package(frame) != "torch"), 0) :]
    return shown if any(_package(frame) not in _CALLERS for frame in shown) else frames


def _without_ours(frames: list[TracebackType]) -> list[TracebackType]:
    shown = []
    is_after_ours = False
    for frame in frames:
        is_ours = _package(frame) in _OURS
        is_between = is_after_ours and _module(frame) == "functools"  # cached properties run the model
        if not is_ours and not is_between:
            shown.append(frame)
        is_after_ours = is_ours
    return shown


def _frames(traceback: TracebackType | None) -> list[TracebackType]:
    frames = []
    while traceback is not None:
        frames.append(traceback)
        traceback = traceback.tb_next
    return frames


def _joined(frames: list[TracebackType]) -> TracebackType | None:
    joined = None
    for one in reversed(frames):
        joined = TracebackType(joined, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return joined


def _module(frame: TracebackType) -> str:
    return str(frame.tb_frame.f_globals.get("__name__", ""))


def _package(frame: TracebackType) -> str:
    return _module(frame).partition(".")[0]
