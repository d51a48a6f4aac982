"""What the tests of a run did, gathered from reports, and from the workers of xdist at their end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_torchlens.records import ATTRIBUTE, PassData, RunData, SnapshotData, from_data
from pytest_torchlens.snapshots.files import node_id

#: The key of the data that a worker sends.
_KEY = "torchlens"


@dataclass
class Gathered:
    """All that is known of the run."""

    #: What each test did when it was last run, by its node id; a test that is not over yet has no entry.
    done: dict[str, RunData] = field(default_factory=dict)
    #: Every test that was collected, by pytest's node id: `node_id`, and the path of its file. Empty where no
    #: snapshot is of interest: some projects have very many tests.
    collected: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: Why these may not be all: said if files that seem unused cannot be told from others.
    gaps: list[str] = field(default_factory=list)

    @property
    def passes(self) -> list[PassData]:
        """All passes, in the order in which their tests ended."""
        return [one for test in self.done.values() for one in test.passes]

    @property
    def snapshots(self) -> list[SnapshotData]:
        """All checks of snapshots, in the same order."""
        return [one for test in self.done.values() for one in test.snapshots]


GATHERED = pytest.StashKey[Gathered]()


class Gatherer:
    """Hooks that gather, in the process that reports and in workers."""

    def __init__(self, gathered: Gathered) -> None:
        self._gathered = gathered
        self._found = 0

    def pytest_itemcollected(self) -> None:
        """Count tests before anybody takes some away."""
        self._found += 1

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note tests that were taken away without a word."""
        if len(session.items) < self._found:
            self.pytest_deselected()

    def pytest_deselected(self) -> None:
        """Note that there are tests which are not run."""
        self._note("tests were deselected")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note that there may be tests which were not found."""
        if report.failed:
            self._note("a file could not be collected")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what the report of a teardown carries; a test that is run again counts as it was last run."""
        data = getattr(report, ATTRIBUTE, None)
        if data is not None:
            self._gathered.done.pop(report.nodeid, None)
            self._gathered.done[report.nodeid] = from_data(data)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take in what a worker sent at its end, if it came to that."""
        data = getattr(node, "workeroutput", {}).get(_KEY)
        if error or data is None:
            self._note("a worker crashed")
            return
        self._gathered.collected |= {nodeid: tuple(one) for nodeid, one in data["collected"].items()}
        for gap in data["gaps"]:
            self._note(gap)

    def _note(self, gap: str) -> None:
        if gap not in self._gathered.gaps:
            self._gathered.gaps.append(gap)


def note_collected(session: pytest.Session, gathered: Gathered) -> None:
    """Note every test that was collected here; the controller of workers collects nothing itself."""
    gathered.collected |= {item.nodeid: (node_id(item), str(item.path)) for item in session.items}


def send(config: pytest.Config, gathered: Gathered) -> None:
    """In a worker: leave what its controller cannot know."""
    collected = {nodeid: list(one) for nodeid, one in gathered.collected.items()}
    output: dict[str, Any] = config.workeroutput  # type: ignore[attr-defined]
    output[_KEY] = {"collected": collected, "gaps": gathered.gaps}
