"""One picture a logged pass."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from pytest_torchlens.records import Records, short_name
from torchlens_core import DrawingError, ModelHistory, draw

#: Longest file name made of a test's name.
_LONGEST = 80


def draw_records(records: Records, directory: Path) -> None:
    """Write an SVG for each pass of a test; what could not be drawn is noted with its reason."""
    for number, one in enumerate(records.passes):
        if one.history is None:
            continue
        name = file_name(records.test, number)
        try:
            (directory / name).write_bytes(picture_of(one.history))
            one.picture = name
        except (DrawingError, OSError) as error:
            one.trouble = str(error)


def picture_of(history: ModelHistory) -> bytes:
    """The graph as SVG: a node a layer, modules open as far as the picture stays readable."""
    return draw.picture(history, theme="auto").svg().encode()


def file_name(test: str, number: int) -> str:
    """A name for the picture of a test's pass, safe on every file system and different for each.

    >>> file_name("model_suite/test_menagerie.py::test_model[torchvision/alexnet]", 0)
    'torchvision-alexnet-1aa49e.svg'
    """
    digest = hashlib.sha256(f"{test} {number}".encode()).hexdigest()[:6]
    stem = re.sub(r"[^A-Za-z0-9_.]+", "-", short_name(test))[:_LONGEST].strip("-.")
    return f"{stem or 'pass'}-{digest}.svg"
