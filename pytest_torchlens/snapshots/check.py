"""One check of a test: numbered, compared, and noted in the records of the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_torchlens import options
from pytest_torchlens.records import ChangedSnapshot, Records, Result, SnapshotData, records_of
from pytest_torchlens.snapshots.files import FileError, place_of
from pytest_torchlens.snapshots.store import Verdict, judge
from torchlens_core.snapshot import Snapshot

#: What this run has written: where a test is run again, that stays true, though the second run finds a file.
_WRITTEN = pytest.StashKey[dict[Path, Result]]()


def check_snapshot(
    item: pytest.Item, snapshot: Snapshot, name: str | None = None, ignore: Sequence[str] = ()
) -> str | None:
    """Check a snapshot against its file; returns what to fail with, None for nothing."""
    records = records_of(item)
    check = name if name is not None else _number(records)
    try:
        place = place_of(item, check)
    except FileError as error:
        return str(error)
    verdict = judge(place, snapshot, ignore, options.snapshots(item.config))
    verdict = _over_runs(item.config.stash.setdefault(_WRITTEN, {}), place.file, verdict)
    records.snapshots.append(
        SnapshotData(check, place.shown(place.file), verdict.result, verdict.is_reordered)
    )
    if verdict.changed is not None:
        text, old = verdict.changed
        accept = place.command if verdict.result == "changed" else ""
        records.changes.append(
            ChangedSnapshot(
                name=check, file=place.shown(place.file), text=text, accept=accept, old=old, new=snapshot
            )
        )
    return verdict.text


def _number(records: Records) -> str:
    """Empty for the first check without a name, then "2", "3", …"""
    before = sum(one.name == "" or one.name.isdigit() for one in records.snapshots)
    return str(before + 1) if before else ""


def _over_runs(written: dict[Path, Result], file: Path, verdict: Verdict) -> Verdict:
    if verdict.result in ("written", "updated"):
        written.setdefault(file, verdict.result)
    elif verdict.result != "same":
        return verdict
    return replace(verdict, result=written.get(file, verdict.result))
