"""``python -m pytest_torchlens.gallery merge OUT GALLERY...`` makes one gallery of those of several machines."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_torchlens.gallery.store import GalleryError, Store


def main(arguments: Sequence[str] | None = None) -> int:
    """Merge; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pytest_torchlens.gallery", description=__doc__)
    commands = parser.add_subparsers(required=True)
    merging = commands.add_parser("merge", help="copy galleries into one, and write its index anew")
    merging.add_argument("out", type=Path, help="the gallery to write; it keeps what it has")
    merging.add_argument(
        "galleries", type=Path, nargs="+", help="those to take in; of two cards of a test the last counts"
    )
    merging.add_argument(
        "--title", default="", help="the title of the index; the name of OUT if none is given"
    )
    options = parser.parse_args(arguments)
    try:
        print(merge(options.out, options.galleries, options.title))
    except GalleryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def merge(out: Path, galleries: Sequence[Path], title: str = "") -> str:
    """Copy ``galleries`` into ``out`` and write its index; returns what was done, in a line.

    Raises `GalleryError` if one of them is no gallery, before anything is written, or if ``out`` cannot be written.
    """
    stores = [Store(path) for path in galleries]
    for store in stores:
        if not store.mark():
            raise GalleryError(f"{store.directory} is no gallery: it has no lens-gallery.json")
    target = Store(out)
    try:
        target.open()
        for store in stores:
            for folder in store.folders():
                target.adopt(folder)
        marks = [store.mark() for store in stores]
        runs = [run for mark in [target.mark(), *marks] for run in mark["runs"]]
        target.write_index(
            title or out.resolve().name,
            {
                "runs": list(dict.fromkeys(runs)),
                "finished": all(mark["finished"] for mark in marks),
                "seconds": sum(mark.get("seconds", 0.0) for mark in marks),
                "when": max(mark.get("when", "") for mark in marks),
            },
            target.records(),
        )
    except GalleryError as error:
        raise GalleryError(f"{out}: {error}") from error
    return f"{len(target.records()):,} tests of {len(stores)} galleries in {out / 'index.html'}"


if __name__ == "__main__":
    sys.exit(main())
