"""What a test has logged: its passes with their reports, kept until its teardown, then as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from torchlens_core import ModelHistory, ValidationReport

#: The name under which a report carries the data; xdist sends it from workers to the controller.
PROPERTY = "lens_passes"


@dataclass
class LoggedPass:
    """One pass that a test has logged."""

    history: ModelHistory
    #: None if it was not validated.
    report: ValidationReport | None


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
    """All passes of one test."""

    test: str
    passes: list[LoggedPass] = field(default_factory=list)
    outcome: str = "unknown"
    #: By pass: the picture's file name and what went wrong, filled in by the gallery.
    pictures: list[tuple[str | None, str | None]] = field(default_factory=list)

    def as_data(self) -> list[dict[str, Any]]:
        """Every pass as plain data."""
        pictures = self.pictures or [(None, None)] * len(self.passes)
        return [
            asdict(
                PassData(
                    test=self.test,
                    model=one.history.model_name,
                    ops=len(one.history.ops),
                    parameters=one.history.total_params,
                    outcome=self.outcome,
                    valid=None if one.report is None else bool(one.report),
                    picture=picture,
                    trouble=trouble,
                )
            )
            for one, (picture, trouble) in zip(self.passes, pictures, strict=True)
        ]


_RECORDS = pytest.StashKey[Records]()


def records_of(item: pytest.Item) -> Records:
    """The records of a test."""
    if _RECORDS not in item.stash:
        item.stash[_RECORDS] = Records(item.nodeid)
    return item.stash[_RECORDS]
