"""What the plugin says at the end of a run: data in, lines out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_torchlens.records import ATTRIBUTE, PassData


@dataclass
class Summary:
    """All passes of the run."""

    passes: list[PassData] = field(default_factory=list)


SUMMARY = pytest.StashKey[Summary]()


def add(summary: Summary, report: pytest.TestReport) -> None:
    """Take in what a test's report carries: that of its teardown has its passes."""
    summary.passes += [PassData(**data) for data in getattr(report, ATTRIBUTE, ())]


def lines_of(summary: Summary, gallery: Path | None) -> list[str]:
    """The lines of the terminal summary; none if nothing was logged.

    >>> done = PassData("test_a.py::test", "Net", 3, 40, "passed", True, None, None)
    >>> lines_of(Summary([done]), None)
    ['1 forward pass of 1 test logged, 1 validated']
    """
    passes = summary.passes
    if not passes:
        return ["no forward pass was logged: nothing to draw"] if gallery else []
    tests = len({one.test for one in passes})
    validated = sum(one.valid is True for one in passes)
    invalid = sum(one.valid is False for one in passes)
    line = f"{_count(len(passes), 'forward pass', 'forward passes')} of {_count(tests, 'test', 'tests')} logged"
    line += f", {validated} validated" if validated else ""
    line += f", {invalid} not valid" if invalid else ""
    lines = [line]
    if gallery:
        drawn = sum(one.picture is not None for one in passes)
        lines.append(f"{_count(drawn, 'picture', 'pictures')} in {gallery / 'index.html'}")
        lines += sorted(f"no picture of {one.test}: {one.trouble}" for one in passes if one.trouble)
    return lines


def _count(number: int, singular: str, plural: str) -> str:
    return f"{number} {singular if number == 1 else plural}"
