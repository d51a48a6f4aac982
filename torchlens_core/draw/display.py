"""Pictures for people: written to a file, and shown where there is something to show them on."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

from torchlens_core.draw.dot import dot_source
from torchlens_core.draw.engines import render
from torchlens_core.errors import ArgumentError, DrawingError
from torchlens_core.history import ModelHistory

DIRECTIONS = ("bottomup", "topdown", "leftright")
_VIS_OPTIONS = ("none", "rolled", "unrolled")


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the ``vis_…`` arguments of `log_forward_pass` ask for.

    Raises `ArgumentError` for options that do not exist, before anything runs.
    """

    opt: str
    depth: int
    path: str
    save_only: bool
    fileformat: str
    buffers: bool
    direction: str

    def __post_init__(self) -> None:
        for name, given, allowed in (
            ("vis_opt", self.opt, _VIS_OPTIONS),
            ("vis_direction", self.direction, DIRECTIONS),
        ):
            if given not in allowed:
                raise ArgumentError(f"{name} is {given!r}. Expected {' or '.join(map(repr, allowed))}.")
        if not isinstance(self.depth, int):
            raise ArgumentError(f"vis_nesting_depth is {self.depth!r}. Expected a number of levels.")

    def show(self, history: ModelHistory) -> Path | None:
        """Write the picture to ``path`` plus ending, its DOT source to ``path``, and show it unless ``save_only``.

        Without a drawing engine the source is written alone, without the ``graphviz`` package nothing is, each
        with a warning: a history is not lost for that.
        """
        if self.opt == "none":
            return None
        written = Path(self.path)
        try:
            source = self._source(history)
        except DrawingError as error:
            warnings.warn(f"{error} Nothing was drawn.", stacklevel=3)
            return None
        written.write_text(source, encoding="utf-8")
        try:
            picture = render(source, self.fileformat)
        except DrawingError as error:
            warnings.warn(f"{error} The graph is in {written}, as DOT source.", stacklevel=3)
            return written
        drawn = Path(f"{self.path}.{self.fileformat}")
        drawn.write_bytes(picture)
        if not self.save_only:
            _open(drawn, picture, self.fileformat)
        return drawn

    def _source(self, history: ModelHistory) -> str:
        return dot_source(
            history,
            rolled=self.opt == "rolled",
            depth=self.depth,
            buffers=self.buffers,
            direction=self.direction,
        ).source


def _open(drawn: Path, picture: bytes, fileformat: str) -> None:
    """Show a picture in the notebook, or with the system's viewer where there is a screen."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None and fileformat == "svg":
        ipython.display.display(ipython.display.SVG(picture))  # type: ignore[union-attr]
    elif sys.platform == "darwin":
        subprocess.Popen(["open", str(drawn)])
    elif sys.platform == "win32":
        os.startfile(drawn)
    elif os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        with contextlib.suppress(FileNotFoundError):  # no viewer: the file is there
            subprocess.Popen(["xdg-open", str(drawn)], stderr=subprocess.DEVNULL)
