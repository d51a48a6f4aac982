"""Pictures for people: written to a file, and shown where there is something to show them on."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torchlens_core.draw.overrides import Overrides
from torchlens_core.draw.pictures import FORMATS, Options, Picture, grown
from torchlens_core.errors import ArgumentError, DrawingError

_VIS_OPTIONS = ("none", "rolled", "unrolled")

if TYPE_CHECKING:
    from torchlens_core.history import ModelHistory


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the ``vis_…`` arguments of `log_forward_pass` ask for.

    Raises `ArgumentError` for options that do not exist, before anything runs.
    """

    opt: str
    depth: int | None
    path: str
    save_only: bool
    fileformat: str
    buffers: bool
    direction: str
    overrides: Overrides

    def __post_init__(self) -> None:
        for name, given, allowed in (
            ("vis_opt", self.opt, _VIS_OPTIONS),
            ("vis_fileformat", self.fileformat, FORMATS),
        ):
            if given not in allowed:
                raise ArgumentError(f"{name} is {given!r}. Expected {' or '.join(map(repr, allowed))}.")
        self._options()

    def _options(self) -> Options:
        return Options(
            rolled=self.opt != "unrolled",
            depth=self.depth,
            buffers=self.buffers,
            direction=self.direction,
            overrides=self.overrides,
        )

    def show(self, history: ModelHistory) -> Path | None:
        """Write the picture to ``path`` plus ending, its DOT source to ``path``, and show it unless ``save_only``.

        What cannot be written for want of a library is said in a warning, and a PDF or PNG then becomes an SVG; so
        is whatever else goes wrong: a history is not lost for its picture.
        """
        if self.opt == "none":
            return None
        try:
            return self._drawn(history)
        except Exception as error:
            notes = " ".join(getattr(error, "__notes__", ()))
            warnings.warn(
                f"Nothing was drawn: {type(error).__name__}: {error} {notes}".rstrip(), stacklevel=3
            )
            return None

    def _drawn(self, history: ModelHistory) -> Path:
        options = self._options()
        picture = Picture(grown(history, options), options)
        with _warned("No DOT source was written."):
            Path(self.path).write_text(picture.dot(), encoding="utf-8")
        fileformat = self.fileformat
        content = b""
        with _warned(f"The picture is in {self.path}.svg."):
            content = picture.as_bytes(fileformat)
        if not content:
            fileformat, content = "svg", picture.as_bytes("svg")
        drawn = Path(f"{self.path}.{fileformat}")
        drawn.write_bytes(content)
        if not self.save_only:
            _open(drawn, picture)
        return drawn


@contextlib.contextmanager
def _warned(instead: str) -> Iterator[None]:
    try:
        yield
    except DrawingError as error:
        warnings.warn(f"{error} {instead}", stacklevel=5)


def _open(drawn: Path, picture: Picture) -> None:
    """Show a picture in the notebook, or with the system's viewer where there is a screen."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        ipython.display.display(picture)  # type: ignore[union-attr]
    elif sys.platform == "darwin":
        subprocess.Popen(["open", str(drawn)])
    elif sys.platform == "win32":
        os.startfile(drawn)
    elif os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        with contextlib.suppress(FileNotFoundError):  # no viewer: the file is there
            subprocess.Popen(["xdg-open", str(drawn)], stderr=subprocess.DEVNULL)
