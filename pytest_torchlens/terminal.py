"""What the plugin says at the end of a run: data in, lines out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from pytest_torchlens.records import PassData, SnapshotData

if TYPE_CHECKING:
    from pytest_torchlens.gallery.run import Drawn

#: Longest list of files that is shown.
_LONGEST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """Files of snapshots that no test of the run used."""

    #: Those whose test is no more, or no longer uses them; those that were removed, and those that could not be.
    obsolete: Sequence[str] = ()
    removed: Sequence[str] = ()
    stuck: Sequence[str] = ()
    #: Those of which nobody knows whose they are.
    unknown: Sequence[str] = ()
    #: Why nothing was removed, although that was asked for.
    kept_since: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What there is to tell of the run."""

    passes: Sequence[PassData] = ()
    snapshots: Sequence[SnapshotData] = ()
    leftovers: Leftovers = field(default_factory=Leftovers)


SUMMARY = pytest.StashKey[Summary]()


def lines_of(summary: Summary, gallery: Drawn | None) -> list[str]:
    """The lines of the terminal summary; none if nothing was logged.

    >>> done = PassData("test_a.py::test", "Net", 3, 40, "passed", True)
    >>> lines_of(Summary([done], [SnapshotData("", "__lens__/test_a/test.lens", "same")]), None)
    ['1 forward pass of 1 test logged, 1 validated', '1 snapshot compared']
    """
    return [
        *_pass_lines(summary.passes),
        *(_gallery_lines(gallery, bool(summary.passes)) if gallery is not None else ()),
        *_snapshot_lines(summary.snapshots),
        *_leftover_lines(summary.leftovers),
    ]


def _pass_lines(passes: Sequence[PassData]) -> list[str]:
    if not passes:
        return []
    tests = len({one.test for one in passes})
    validated = sum(one.valid is True for one in passes)
    invalid = sum(one.valid is False for one in passes)
    line = f"{_count(len(passes), 'forward pass', 'forward passes')} of {_count(tests, 'test')} logged"
    return [line + _parts({"validated": validated, "not valid": invalid})]


def _gallery_lines(gallery: Drawn, has_passes: bool) -> list[str]:
    if not has_passes:
        return ["no forward pass was logged: nothing to draw", *sorted(gallery.troubles)]
    index = gallery.directory / "index.html"
    kept = f", {gallery.kept} of them before" if gallery.kept else ""
    return [f"{_count(gallery.drawn, 'graph')} drawn in {index}{kept}", *sorted(gallery.troubles)]


def _snapshot_lines(snapshots: Sequence[SnapshotData]) -> list[str]:
    results = Counter(one.result for one in snapshots)
    lines = []
    failed = {
        "changed": results["changed"],
        "missing": results["missing"],
        "not compared": results["unusable"],
    }
    compared = results["same"] + results["changed"]
    if compared or any(failed.values()):
        lines.append(f"{_count(compared, 'snapshot')} compared{_parts(failed)}")
    if results["written"]:
        lines.append(
            f"{_count(results['written'], 'snapshot')} written{_parts({'updated': results['updated']})}"
        )
    elif results["updated"]:
        lines.append(f"{_count(results['updated'], 'snapshot')} updated")
    reordered = [one.file for one in snapshots if one.is_reordered]
    order = f"order of independent ops changed in {_count(len(reordered), 'snapshot')} (--lens-strict fails for it)"
    return lines + _listed(order, reordered)


def _leftover_lines(leftovers: Leftovers) -> list[str]:
    obsolete, removed, stuck, unknown = (
        (_count(len(files), "snapshot"), files)
        for files in (leftovers.obsolete, leftovers.removed, leftovers.stuck, leftovers.unknown)
    )
    lines = [
        *_listed(f"{obsolete[0]} obsolete (--lens-prune removes)", obsolete[1]),
        *_listed(f"{removed[0]} obsolete and removed", removed[1]),
        *_listed(f"{stuck[0]} obsolete, and could not be removed", stuck[1]),
        *_listed(f"{unknown[0]} of unknown tests, left alone", unknown[1]),
    ]
    return lines + [f"--lens-prune removed nothing: {one}" for one in [leftovers.kept_since] if one]


def _listed(head: str, files: Sequence[str]) -> list[str]:
    """A line with one file, or a line and a list; nothing for no file."""
    if len(files) < 2:
        return [f"{head}: {file}" for file in files]
    more = [f"  … and {len(files) - _LONGEST} more"] if len(files) > _LONGEST else []
    return [f"{head}:", *(f"  {file}" for file in sorted(files)[:_LONGEST]), *more]


def _parts(counts: dict[str, int]) -> str:
    return "".join(f", {number} {what}" for what, number in counts.items() if number)


def _count(number: int, singular: str, plural: str | None = None) -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
