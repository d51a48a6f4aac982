"""Where the snapshots of a test lie, and how files are read and written: the only module that touches them."""

from __future__ import annotations

import os
import re
import secrets
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_torchlens import options
from pytest_torchlens.items import ModelItem
from pytest_torchlens.snapshots.names import file_name, file_stem, fingerprint, quoted

#: The folder beside the tests that holds their snapshots, a folder a test file.
FOLDER = "__lens__"
#: Largest snapshot that is read or written, in bytes: about a million ops.
SIZE_LIMIT = 64 * 2**20

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


class FileError(Exception):
    """A file cannot be used: the message says why, ``line`` where in it if that is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the snapshot of one check lies."""

    file: Path
    #: Where to leave what was received instead.
    received: Path
    #: The node id of the test. That stands in the file; its `local_id` is what counts.
    test: str
    #: Writes the snapshots of the test.
    command: str
    #: The folder in which pytest was called.
    base: Path

    @property
    def picture(self) -> Path:
        """Where to leave the picture of what changed: beside what was received."""
        return self.received.with_suffix(".svg")

    def forget(self) -> None:
        """Remove what was left there by an earlier run."""
        forget(self.received)
        forget(self.picture)

    def shown(self, path: Path) -> str:
        """A path as the user would write it."""
        return shown(path, self.base)


def place_of(item: pytest.Item, check: str) -> Place:
    """The place of a check of a test; raises `FileError` for one that has none."""
    config = item.config
    test = node_id(item)
    own = _inside_root(item.path, config)
    directory = options.snapshot_dir(config)
    stem = file_stem(test, is_class=isinstance(item, ModelItem))
    if directory is None:
        folder = item.path.parent / FOLDER / item.path.stem
    elif own is not None:
        folder = directory / own.with_suffix("")
    else:
        raise FileError(
            f"{item.path} lies outside of the root directory {config.rootpath}, so it has no place in "
            f"{directory}. Call pytest with --rootdir, or without --lens-snapshot-dir."
        )
    file = folder / file_name(stem, check)
    within = _inside_root(file, config) or Path(fingerprint(str(folder)), file.name)
    return Place(
        file=file,
        received=received_dir(config) / within,
        test=test,
        command=_command(item.path, test, config),
        base=config.invocation_params.dir,
    )


def node_id(item: pytest.Item) -> str:
    """The node id of a test in one line.

    It is made here, since pytest's depends on how a run was asked for where the file lies outside of the root
    directory, and xdist puts the name of a group behind it.
    """
    chain = item.listchain()
    above = next((number for number, node in enumerate(chain) if isinstance(node, pytest.File)), 0)
    path = _inside_root(item.path, item.config) or Path(item.path.name)
    text = "::".join([path.as_posix(), *(node.name for node in chain[above + 1 :])])
    escaped = _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
    return escaped.encode("utf-8", "backslashreplace").decode("utf-8")  # names of files may be no text


def _command(path: Path, test: str, config: pytest.Config) -> str:
    """What accepts the snapshots of a test, to be called where pytest was called."""
    own = str(path)
    with suppress(ValueError):  # on another drive
        own = os.path.relpath(path, config.invocation_params.dir).replace(os.sep, "/")
    given: str | None = config.getoption("lens_snapshot_dir")
    words = ["pytest --lens-update", *([quoted(f"--lens-snapshot-dir={given}")] if given else [])]
    return " ".join([*words, quoted("::".join([own, test.partition("::")[2]]))])


def _inside_root(path: Path, config: pytest.Config) -> Path | None:
    return path.relative_to(config.rootpath) if path.is_relative_to(config.rootpath) else None


def shown(path: Path, base: Path) -> str:
    """A path as it is written from ``base`` if it lies beneath it, else in full."""
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)


_RECEIVED = pytest.StashKey[Path]()


def received_dir(config: pytest.Config) -> Path:
    """Where received snapshots are left: in pytest's cache, without one among the temporary files."""
    if _RECEIVED not in config.stash:
        config.stash[_RECEIVED] = _cache_dir(config) or _temporary_dir(config)
    return config.stash[_RECEIVED]


def _cache_dir(config: pytest.Config) -> Path | None:
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if cache is None:
        return None
    try:
        return Path(cache.mkdir("lens"))
    except OSError:
        return None


def _temporary_dir(config: pytest.Config) -> Path:
    """The same folder for each run of a project by one user."""
    user = getattr(os, "getuid", int)()
    return Path(tempfile.gettempdir()) / f"pytest-lens-{fingerprint(f'{user} {config.rootpath}')}"


def read_text(file: Path) -> str | None:
    """The text of a file, lines ending in a line feed whatever git made of them; None if there is none.

    Raises `FileError` for what is no text, or cannot be read.
    """
    try:
        about = file.stat()
        size = about.st_size
        if not stat.S_ISREG(about.st_mode):
            raise FileError("it is no regular file")
        if size > SIZE_LIMIT:
            raise FileError(
                f"it has {size / 2**20:,.1f} MiB, more than the {SIZE_LIMIT / 2**20:g} of any snapshot"
            )
        data = file.read_bytes()
        text = data.decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FileError(f"it cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise FileError("it is not UTF-8", data.count(b"\n", 0, error.start) + 1) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def write_text(file: Path, text: str) -> None:
    """Write a file whole or not at all, with its folders; raises `FileError` if it cannot be written."""
    data = text.encode("utf-8")
    if len(data) > SIZE_LIMIT:
        raise FileError(f"it would have {len(data) / 2**20:,.1f} MiB, more than {SIZE_LIMIT / 2**20:g}")
    temporary = file.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            os.replace(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"it cannot be written ({error.strerror or error})") from error


def forget(file: Path) -> None:
    """Remove a file if there is one; one that cannot be removed stays.

    Its folder stays too: another process may be about to write there.
    """
    with suppress(OSError):
        file.unlink(missing_ok=True)
