"""Snapshots that no test uses any more: found after a run of all tests, and removed if that is asked for.

A file is obsolete if the test that it names was not collected, or passed without using it. Nothing is said of
files of a module that is there but gave no test, since it may be ignored or skipped; nor of any file after a run
of some tests only. What cannot be read, or names no test, is listed, and never removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_torchlens import options
from pytest_torchlens.gathering import Gathered
from pytest_torchlens.snapshots.files import FOLDER, FileError, read_text, shown
from pytest_torchlens.snapshots.names import SUFFIX, local_id
from pytest_torchlens.terminal import Leftovers
from torchlens_core.errors import SnapshotError
from torchlens_core.snapshot import read_snapshot

_SKIPPED = ("__pycache__", "node_modules")
_OVER = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


@dataclass(frozen=True, slots=True)
class _Module:
    """A folder of snapshots, and the test file that it belongs to."""

    folder: Path
    #: The folder above it that is none of snapshots.
    top: Path
    #: The file without its suffix.
    module: Path
    #: What was collected from it, by `local_id`: whether it passed, so that it would have used its files.
    tests: dict[str, bool] = field(default_factory=dict)


def find(session: pytest.Session, exitstatus: int, gathered: Gathered) -> Leftovers:
    """The leftovers of a run, those that were removed among them."""
    config = session.config
    reason = _reason(session, exitstatus, gathered)
    prunes = options.snapshots(config).prune
    if reason is not None:
        return Leftovers(kept_since=reason if prunes else None)
    base = config.invocation_params.dir
    used = {os.path.normpath(base / one.file) for one in gathered.snapshots}
    found: dict[bool | None, list[str]] = {True: [], None: [], False: []}
    removed: list[str] = []
    stuck: list[str] = []
    for module in _modules(config, gathered):
        for file in sorted(module.folder.glob(f"*{SUFFIX}")):
            if str(file) in used:
                continue
            is_obsolete = _is_obsolete(file, module)
            if is_obsolete and prunes:
                (removed if _removed(file, module.top) else stuck).append(shown(file, base))
            else:
                found[is_obsolete].append(shown(file, base))
    return Leftovers(obsolete=found[True], removed=removed, stuck=stuck, unknown=found[None])


def _reason(session: pytest.Session, exitstatus: int, gathered: Gathered) -> str | None:
    """Why it cannot be known what is obsolete; None if it can."""
    config = session.config
    if any("::" in arg for arg in config.args):
        return "tests were named one by one"
    if config.getoption("lf", False):
        return "only the tests that failed last were wanted"
    if exitstatus not in _OVER:
        return "the run was not finished"
    if gathered.gaps:
        return gathered.gaps[0]
    if gathered.collected.keys() - gathered.done.keys():
        return "not all tests were run"
    return None


def _is_obsolete(file: Path, module: _Module) -> bool | None:
    """Whether no test uses a file that was not used in this run; None if that cannot be known."""
    is_there = any(module.module.parent.glob(f"{_escaped(module.module.name)}.*"))
    if not module.tests and is_there:
        return False
    try:
        text = read_text(file)
        test = read_snapshot(text).notes.get("test") if text is not None else None
    except (FileError, SnapshotError):
        return None
    if test is None or file.is_symlink():
        return None
    return module.tests.get(local_id(test), True)


def _escaped(name: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


def _modules(config: pytest.Config, gathered: Gathered) -> Iterator[_Module]:
    """Folders of snapshots of the test files that the run was asked for."""
    tests: dict[Path, dict[str, bool]] = {}
    for nodeid, (test, path) in gathered.collected.items():
        done = gathered.done[nodeid]
        has_passed = done.outcome == "passed" and all(
            one.result in ("same", "written", "updated") for one in done.snapshots
        )
        tests.setdefault(Path(path).with_suffix(""), {})[local_id(test)] = has_passed
    asked = [config.invocation_params.dir / arg for arg in config.args]
    directory = options.snapshot_dir(config)
    found = _in_directory(directory, config.rootpath) if directory else _beside_tests(asked, config)
    for folder, top, module in sorted(set(found)):
        if any(_covers(path, module) for path in asked):
            yield _Module(folder, top, module, tests.get(module, {}))


def _covers(asked: Path, module: Path) -> bool:
    """Whether a folder or file that was asked for holds a test file, given without its suffix."""
    path = Path(os.path.normpath(asked))
    return module.is_relative_to(path) or (path.suffix != "" and path.with_suffix("") == module)


def _in_directory(directory: Path, root: Path) -> Iterator[tuple[Path, Path, Path]]:
    for folder, _, files in os.walk(directory):
        if any(name.endswith(SUFFIX) for name in files):
            yield Path(folder), directory, root / Path(folder).relative_to(directory)


def _beside_tests(asked: list[Path], config: pytest.Config) -> Iterator[tuple[Path, Path, Path]]:
    for path in asked:
        top = Path(os.path.normpath(path if path.is_dir() else path.parent))
        for held in _folders(top, config) if path.is_dir() else [top / FOLDER]:
            folders = [folder for folder in held.iterdir() if folder.is_dir()] if held.is_dir() else []
            yield from ((folder, held.parent, held.parent / folder.name) for folder in folders)


def _folders(top: Path, config: pytest.Config) -> Iterator[Path]:
    """Every folder of that name beneath a folder, where pytest looks for tests."""
    patterns: list[str] = config.getini("norecursedirs")
    for folder, names, _ in os.walk(top):
        here = Path(folder)
        if FOLDER in names:
            yield here / FOLDER
        names[:] = [
            name
            for name in names
            if name not in (FOLDER, *_SKIPPED)
            and not any((here / name).match(pattern) for pattern in patterns)
            and not (here / name / "pyvenv.cfg").exists()
        ]


def _removed(file: Path, top: Path) -> bool:
    """Remove a file, and the folders up to ``top`` that it leaves empty; False if it cannot be removed."""
    try:
        file.unlink()
    except OSError:
        return False
    with suppress(OSError):  # not empty
        for folder in file.parents:
            if folder == top:
                break
            folder.rmdir()
    return True
