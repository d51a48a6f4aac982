"""What a test has logged: its passes with their reports, kept until its teardown, then as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from torchlens_core import ModelHistory, ValidationReport

#: The attribute of a teardown's report that carries the data; xdist sends it from workers to the controller.
#: No user property, since those end up in JUnit files.
ATTRIBUTE = "lens_passes"


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
    #: The picture's file name in the gallery, or the reason why there is none.
    picture: str | None = None
    trouble: str | None = None


@dataclass(frozen=True)
class PassData:
    """The same as plain data, for the terminal and the gallery's page."""

    test: str
    model: str
    ops: int
    parameters: int
    outcome: str
    #: True, False, or None if it was not validated.
    valid: bool | None
    #: The picture's file name in the gallery, or the reason why there is none.
    picture: str | None
    trouble: str | None


@dataclass
class Records:
    """All passes of one run of a test."""

    test: str
    passes: list[LoggedPass] = field(default_factory=list)
    outcome: str = "unknown"

    def as_data(self) -> list[dict[str, Any]]:
        """Every pass as plain data."""
        return [
            asdict(
                PassData(
                    test=self.test,
                    model=one.model,
                    ops=one.ops,
                    parameters=one.parameters,
                    outcome=self.outcome,
                    valid=None if one.report is None else bool(one.report),
                    picture=one.picture,
                    trouble=one.trouble,
                )
            )
            for one in self.passes
        ]


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
