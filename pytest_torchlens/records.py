"""What a test has done: its passes with their reports, its snapshots; kept until its teardown, then as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from torchlens_core import ModelHistory, ValidationReport
    from torchlens_core.snapshot import Snapshot

#: The attribute of a teardown's report that carries the data; xdist sends it from workers to the controller.
#: No user property, since those end up in JUnit files.
ATTRIBUTE = "lens_records"


@dataclass
class LoggedPass:
    """One pass that a test has logged."""

    model: str
    ops: int
    parameters: int
    #: None if it was not validated.
    report: ValidationReport | None
    #: None if no picture is wanted: activations are not kept longer than the test keeps them.
    history: ModelHistory | None
    #: None if it is not compared with a file.
    snapshot: Snapshot | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedSnapshot:
    """A graph that is no longer that of its file."""

    name: str
    file: str
    #: What the terminal says of it.
    text: str
    #: The command that accepts it.
    accept: str
    old: Snapshot
    new: Snapshot


@dataclass(frozen=True)
class PassData:
    """The same as plain data, for the terminal and the gallery."""

    test: str
    model: str
    ops: int
    parameters: int
    outcome: str
    #: True, False, or None if it was not validated.
    valid: bool | None


#: What came of a check: nothing to fail for, another graph, no file, a file that cannot be used; or a file that
#: was written anew or over another.
Result = Literal["same", "changed", "missing", "unusable", "written", "updated"]


@dataclass(frozen=True)
class SnapshotData:
    """One check of a graph against its snapshot, as plain data."""

    #: The name of the check in its test, its number if it has none, empty for the first of those.
    name: str
    #: Path of the snapshot, from where pytest was called if it lies beneath that.
    file: str
    result: Result
    #: Whether independent ops ran in another order, which did not fail.
    is_reordered: bool = False


@dataclass(frozen=True, slots=True)
class RunData:
    """What came of one run of a test, as plain data."""

    outcome: str
    passes: tuple[PassData, ...] = ()
    snapshots: tuple[SnapshotData, ...] = ()


@dataclass
class Records:
    """All that one run of a test has done."""

    test: str
    passes: list[LoggedPass] = field(default_factory=list)
    outcome: str = "unknown"
    snapshots: list[SnapshotData] = field(default_factory=list)
    #: Those that were found changed, if there is a gallery to show them.
    changes: list[ChangedSnapshot] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """The fields of `RunData`, which can be sent between processes."""
        passes = tuple(self._pass_data(one) for one in self.passes)
        return asdict(RunData(self.outcome, passes, tuple(self.snapshots)))

    def _pass_data(self, one: LoggedPass) -> PassData:
        return PassData(
            test=self.test,
            model=one.model,
            ops=one.ops,
            parameters=one.parameters,
            outcome=self.outcome,
            valid=None if one.report is None else bool(one.report),
        )


def from_data(data: dict[str, Any]) -> RunData:
    """The reverse of `Records.as_data`."""
    passes = tuple(PassData(**one) for one in data["passes"])
    return RunData(data["outcome"], passes, tuple(SnapshotData(**one) for one in data["snapshots"]))


_RECORDS = pytest.StashKey[Records]()


def records_of(item: pytest.Item) -> Records:
    """The records of a test."""
    if _RECORDS not in item.stash:
        item.stash[_RECORDS] = Records(item.nodeid)
    return item.stash[_RECORDS]


def take_records(item: pytest.Item) -> Records:
    """The records of a test that is over; one that is run again begins with none."""
    records = records_of(item)
    del item.stash[_RECORDS]
    return records


def short_name(test: str) -> str:
    """What tells a test from its neighbours: its parameters, or its name.

    >>> short_name("model_suite/test_menagerie.py::test_model[torchvision/alexnet]")
    'torchvision/alexnet'
    >>> short_name("test_net.py::TestNet::test_small")
    'test_small'
    """
    inside = test.partition("::")[2] or test
    name, _, parameters = inside.partition("[")
    return parameters.removesuffix("]") or name.rpartition("::")[2]
