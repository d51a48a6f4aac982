"""The directory of a gallery: the only module that writes there.

Every test has a folder, which is made aside and put in place whole; everything else is written aside and renamed. So
whatever ends a run, and whenever, what is there can be opened, and the next run goes on from it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_torchlens.gallery import pages
from pytest_torchlens.records import short_name

#: Of the files; a gallery of another format is not read.
FORMAT = 1
#: Marks a directory as a gallery, and says of its last run whether it came to its end.
MARK = "lens-gallery.json"
#: What a gallery writes beside it: nothing else is touched.
OWN = ("index.html", "cards.js", "report.json", "assets", "models")
#: Longest name of a folder made of a test's name.
_LONGEST = 80


class GalleryError(Exception):
    """A gallery cannot be written or read; the message says why, and what to do."""


class Store:
    """The files of one gallery."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._models = directory / "models"

    def open(self) -> None:
        """Make the directory a gallery, if it is none yet, and clear away what an ended run left half done.

        Raises `GalleryError` if it holds files of others where a gallery has its own, or cannot be written.
        """
        wrong = self._fault()
        if wrong:
            raise GalleryError(wrong)
        try:
            self._models.mkdir(parents=True, exist_ok=True)
            mark = self.mark() or {"format": FORMAT, "runs": [], "finished": False}
            self.write(MARK, pages.as_json(mark))  # also where it is there: to see whether that can be done
            for aside in self._models.glob(".*"):
                self._restore(aside)
            self._write_assets()
        except OSError as error:
            raise GalleryError(f"it cannot be written ({error.strerror or error})") from error

    def _fault(self) -> str:
        """Why nothing may be written there."""
        if not self.directory.exists():
            return ""
        if not self.directory.is_dir():
            return "there is a file of that name"
        mark = self.mark()
        if mark:
            newer = mark.get("format") != FORMAT
            return (
                f"its format is {mark.get('format')!r}, and this version writes {FORMAT}" if newer else ""
            )
        taken = [name for name in OWN if (self.directory / name).exists()]
        return f"it holds {', '.join(taken)} of something else, which would be lost" if taken else ""

    def mark(self) -> dict[str, Any]:
        """What marks it as a gallery; empty if nothing does."""
        return _read(self.directory / MARK)

    def _write_assets(self) -> None:
        for name, content in pages.assets():
            target = self.directory / "assets" / name
            if not target.exists() or target.read_bytes() != content:
                self.write(f"assets/{name}", content)

    def _restore(self, aside: Path) -> None:
        """Bring back a folder that was just being replaced, and remove one that was just being made."""
        target = self._models / aside.name.partition("-")[2]
        if aside.name.startswith(".old-") and not target.exists():
            os.replace(aside, target)
        else:
            shutil.rmtree(aside, ignore_errors=True)

    # -- what is there -------------------------------------------------------------------------------

    def records(self) -> list[dict[str, Any]]:
        """The records of all tests."""
        found = (_read(folder / "record.json") for folder in self.folders())
        return [one for one in found if one.get("format") == FORMAT]

    def keys(self, record: Mapping[str, Any]) -> dict[int, str]:
        """The keys of the pages of a record whose files are all there, by their numbers."""
        folder = self._models / record["slug"]
        return {
            page["number"]: page["key"]
            for page in record["pages"]
            if page["pictures"] and all((folder / name).exists() for name in pages.kept_files(page))
        }

    # -- writing -------------------------------------------------------------------------------------

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        target = self.directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.new")
        try:
            aside.write_bytes(content)
            os.replace(aside, target)
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)

    def put(self, slug: str, files: Mapping[str, bytes], kept: Iterable[str]) -> None:
        """Put the folder of a test in place: ``files``, and of those that are there already, ``kept``.

        Raises `GalleryError` if that cannot be done; what is there stays as it is then.
        """
        target = self._models / slug

        def fill(aside: Path) -> None:
            for name in kept:
                _link(target / name, _made(aside / name))
            for name, content in files.items():
                _made(aside / name).write_bytes(content)

        self._replace(slug, fill)

    def adopt(self, folder: Path) -> None:
        """Put a copy of another gallery's folder in place. Raises `GalleryError` if that cannot be done."""
        self._replace(folder.name, lambda aside: shutil.copytree(folder, aside, dirs_exist_ok=True))

    def _replace(self, slug: str, fill: Callable[[Path], object]) -> None:
        target, aside, old = (self._models / name for name in (slug, f".new-{slug}", f".old-{slug}"))
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            fill(aside)
            if target.exists():
                os.replace(target, old)
            os.replace(aside, target)
        except OSError as error:
            with suppress(OSError):
                if old.exists() and not target.exists():
                    os.replace(old, target)
            raise GalleryError(f"{slug}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)

    def folders(self) -> Iterator[Path]:
        """The folders of all tests."""
        return (path.parent for path in sorted(self._models.glob("*/record.json")))

    def write_index(self, title: str, mark: Mapping[str, Any], records: Iterable[dict[str, Any]]) -> None:
        """Write the index of some records anew. Raises `GalleryError` if it cannot be written."""
        files = pages.index_files(title, list(records), mark)
        files[MARK] = pages.as_json({"format": FORMAT, **mark})
        try:
            for name, content in files.items():
                self.write(name, content)
        except OSError as error:
            raise GalleryError(f"the index: {error.strerror or error}") from error


def slug_of(test: str) -> str:
    """A name for the folder of a test, safe on every file system and different for each.

    >>> slug_of("model_suite/test_menagerie.py::test_model[torchvision/alexnet]")
    'torchvision-alexnet-92f7a0'
    """
    digest = hashlib.sha256(test.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    stem = re.sub(r"[^A-Za-z0-9_.]+", "-", short_name(test))[:_LONGEST].strip("-.")
    return f"{stem or 'test'}-{digest}"


def _read(path: Path) -> dict[str, Any]:
    """A file of ours; empty if it is none."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _link(source: Path, target: Path) -> None:
    """Keep a file under another name, without a copy where the file system can."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
