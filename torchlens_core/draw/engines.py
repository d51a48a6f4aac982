"""What lays a DOT graph out: pygraphviz's bundled Graphviz in a process that can be killed, else ``dot``."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from torchlens_core.errors import DrawingError

#: Seconds after which a layout is given up.
TIMEOUT = 60.0
_WORKER = Path(__file__).with_name("worker.py")


def engines_found() -> list[str]:
    """The engines on this machine, best first.

    >>> set(engines_found()) <= {"pygraphviz", "dot"}
    True
    """
    found = ["pygraphviz"] if importlib.util.find_spec("pygraphviz") else []
    return [*found, "dot"] if shutil.which("dot") else found


def render(source: str, fileformat: str = "svg", timeout: float = TIMEOUT) -> bytes:
    """The picture of a DOT graph as bytes of that format.

    Raises `DrawingError`, with what each engine said, if none can make it.
    """
    said = []
    for engine in engines_found():
        command = {
            "pygraphviz": [sys.executable, "-P", str(_WORKER), fileformat],
            "dot": ["dot", f"-T{fileformat}"],
        }[engine]
        try:
            done = subprocess.run(
                command, input=source.encode(), capture_output=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            said.append(f"{engine}: no layout within {timeout:g} s")
            continue
        if done.returncode == 0 and done.stdout:
            return done.stdout
        words = done.stderr.decode(errors="replace").strip().splitlines()
        said.append(f"{engine}: {words[-1] if words else f'ended with status {done.returncode}'}")
    raise DrawingError(
        "No picture could be made: "
        + ("; ".join(said) or "neither pygraphviz nor the program dot is installed")
        + ". Install the extra with pip install 'pytest-torchlens[pictures]', or draw fewer levels of modules."
    )
