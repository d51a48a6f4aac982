"""A snapshot against its file: what is compared, what fails and with which words, and what is written.

Nothing is written unless it is asked for. Then a snapshot that is missing or out of date is, and so is one whose
file is this test's in this format, but broken: cut off, left with conflict markers by a merge, edited by hand.
Never written over is what another hand may miss: a file of another test, of a newer format, or of no format known
here; one that is not text or too large; a folder. A change that the test ignores is no reason to write.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_torchlens import options
from pytest_torchlens.records import Result
from pytest_torchlens.snapshots.files import FileError, Place, read_text, write_text
from pytest_torchlens.snapshots.names import local_id
from torchlens_core.changes import CLASSES, ORDER, matches
from torchlens_core.errors import DrawingError, SnapshotError, listing, nearest
from torchlens_core.snapshot import Snapshot, read_snapshot

if TYPE_CHECKING:
    from torchlens_core.diff import GraphDiff

_RECORDED, _TEST = "recorded with", "test"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a check."""

    result: Result
    #: What to fail with, None for nothing.
    text: str | None = None
    #: Whether independent ops ran in another order, which did not fail.
    is_reordered: bool = False
    #: What changed in words, and the graph that the file holds, or held.
    changed: tuple[str, Snapshot] | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """What a file holds: a snapshot, or what is wrong with it."""

    snapshot: Snapshot | None
    fault: FileError | None = None
    #: Whether it may be written over although it is broken.
    is_own: bool = False


def judge(place: Place, new: Snapshot, ignore: Sequence[str], asked: options.Snapshots) -> Verdict:
    """Compare a snapshot with its file, and write it if that is asked for."""
    new = new.with_notes(**{_TEST: place.test})
    held = _held(place, new)
    wrong = _fault_in_ignore(ignore, [new, *([held.snapshot] if held and held.snapshot else [])])
    if wrong:
        return Verdict("unusable", wrong)
    if held is None:
        return _write(place, new, "written") if asked.update else _missing(place, new)
    if held.snapshot is None:
        if asked.update == "all" and held.is_own:
            return _write(place, new, "updated")
        return _unusable(place, new, held)
    return _compare(place, held.snapshot, new, ignore, asked)


def _held(place: Place, new: Snapshot) -> _Held | None:
    try:
        text = read_text(place.file)
    except FileError as error:
        return _Held(None, error)
    if text is None:
        return None
    is_own = _is_own(text, new, place.test)
    try:
        snapshot = read_snapshot(text)
    except SnapshotError as error:
        message = str(error).removeprefix(f"line {error.line}: ")
        return _Held(None, FileError(message, error.line), is_own)
    test = snapshot.notes.get(_TEST)
    if test is None:
        return _Held(None, FileError("it does not say of which test it is (# test: ...)", 1), is_own)
    if local_id(test) != local_id(place.test):
        line = text[: text.index(f"# {_TEST}: ")].count("\n") + 1
        return _Held(None, FileError(_of_another(test, place.test), line))
    return _Held(snapshot)


def _of_another(test: str, own: str) -> str:
    is_folded = local_id(test).lower() == local_id(own).lower()
    reason = (
        "their names differ in upper and lower case alone"
        if is_folded
        else "it was probably copied or renamed"
    )
    return f"it is the snapshot of {test}, not of {own}: {reason}"


def _is_own(text: str, new: Snapshot, test: str) -> bool:
    """Whether a text begins as snapshots do, as far as it goes, and names no other test."""
    header = str(new).partition("\n")[0] + "\n"
    tests = re.findall(rf"^# {_TEST}: (.*)$", text, re.MULTILINE)
    is_snapshot = text.startswith(header) or header.startswith(text)
    return is_snapshot and all(local_id(one) == local_id(test) for one in tests)


def _compare(
    place: Place, old: Snapshot, new: Snapshot, ignore: Sequence[str], asked: options.Snapshots
) -> Verdict:
    diff = _diff(old, new, ignore) if old != new else None
    if not diff:
        place.forget()
        return Verdict("same")
    if asked.update == "all":
        return replace(
            _write(place, new, "updated"), changed=(_text(diff.lines(details=asked.details)), old)
        )
    counted = diff if asked.strict else diff.without([ORDER])
    if not counted:
        place.forget()
        return Verdict("same", is_reordered=True)
    lines = counted.lines(details=asked.details)
    changed = _text(lines), old
    before, now = old.notes.get(_RECORDED), new.notes.get(_RECORDED)
    if before and now and before != now:
        lines.append(f"recorded with {before}, running {now.removeprefix('torch ')}")
    lines.append(f"expected: {place.shown(place.file)}")
    left = [_left(place, new), *_drawn(place, old, new)]
    return Verdict("changed", _text([*lines, *left, f"accept with: {place.command}"]), changed=changed)


def _diff(old: Snapshot, new: Snapshot, ignore: Sequence[str]) -> GraphDiff:
    from torchlens_core.diff import diff_graphs  # takes deepdiff along, which most runs never need

    return diff_graphs(old, new).without(list(ignore))


def _missing(place: Place, new: Snapshot) -> Verdict:
    return Verdict(
        "missing",
        _text(
            [
                f"no snapshot of this graph: there is no {place.shown(place.file)}",
                _left(place, new),
                f"write it with: {place.command}",
            ]
        ),
    )


def _unusable(place: Place, new: Snapshot, held: _Held) -> Verdict:
    """A file that cannot be used, and what to do."""
    assert held.fault is not None
    line = f":{held.fault.line}" if held.fault.line is not None else ""
    if held.is_own:
        advice = [
            "It is left as it is. Restore it from version control, or accept what was received.",
            _left(place, new),
            f"accept with: {place.command}",
        ]
    else:
        advice = [
            "It is left as it is, and --lens-update would leave it too.",
            "Restore it from version control, or move it away and write another.",
            _left(place, new),
            f"then write it with: {place.command}",
        ]
    return Verdict("unusable", _text([f"{place.shown(place.file)}{line}: {held.fault}", *advice]))


def _write(place: Place, new: Snapshot, result: Result) -> Verdict:
    try:
        write_text(place.file, str(new))
    except FileError as error:
        lines = [
            f"{place.shown(place.file)}: {error}",
            "The snapshot was not written. Make its folder writable, or name another with --lens-snapshot-dir=DIR.",
            _left(place, new),
        ]
        return Verdict("unusable", _text(lines))
    place.forget()
    return Verdict(result)


def _left(place: Place, new: Snapshot) -> str:
    """Leave what was received, and say where."""
    try:
        write_text(place.received, str(new))
    except FileError as error:
        return f"received: not left at {place.shown(place.received)}, since {error}"
    return f"received: {place.shown(place.received)}"


def _drawn(place: Place, old: Snapshot, new: Snapshot) -> list[str]:
    """Leave a picture of what changed, and say where; a failure is no less one if that cannot be done."""
    from torchlens_core.diff import draw_diff  # as above

    try:
        write_text(place.picture, draw_diff(old, new, theme="auto").svg())
    except (FileError, DrawingError):
        return []
    return [f"picture: {place.shown(place.picture)}"]


def _fault_in_ignore(ignore: Sequence[str], snapshots: Sequence[Snapshot]) -> str | None:
    """What to say of a pattern that matches nothing: it would let everything through unseen, or nothing."""
    addresses = sorted({address for one in snapshots for address in one.addresses()})
    for pattern in ignore:
        if pattern in CLASSES or any(matches(address, pattern) for address in addresses):
            continue
        known = nearest(pattern, addresses) or addresses
        return (
            f"ignore= names {pattern!r}, which is neither a class of changes nor matches the address of a module.\n"
            f"The classes are {listing(CLASSES)}; modules are {listing(known)}."
        )
    return None


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines)
