"""Stories in the documentation, followed in a folder of their own: every file, command and printed line.

A step is a comment and the block after it: ``<!-- write NAME -->`` (a file), ``<!-- run -->`` or ``<!-- fails -->``
(commands), ``<!-- prints -->`` (all that the last one said) and ``<!-- ends -->`` (how that ended).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

_STEP = re.compile(r"<!-- (.+?) -->\n```\w+\n(.*?)```", re.DOTALL)


def steps_in(text):
    return _STEP.findall(text)


def plain(text):
    """Without what differs from machine to machine: times, versions, git's hashes."""
    text = re.sub(r"\b\d+\.\d+s\b", "some s", text)
    text = re.sub(r"torch \d[\w.]*", "torch x", text)
    return re.sub(r"^index .*\n", "", text, flags=re.MULTILINE).strip()


class Story:
    """A folder in which commands are run as a reader would."""

    def __init__(self, folder):
        self.folder = folder
        self.printed = ""

    def run(self, command, fails=False):
        python = Path(sys.executable).parent
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))},
            "PATH": f"{python}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "80",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore",  # of plugins that happen to be installed
        }
        done = subprocess.run(
            command,
            shell=True,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self.printed = done.stdout.replace(f"{self.folder}{os.sep}", "")
        assert bool(done.returncode) is fails, done.stdout

    def follow(self, step, text):
        action, _, name = step.partition(" ")
        if action == "write":
            (self.folder / name).write_text(text, encoding="utf-8")
        elif action in ("run", "fails"):
            self.run(text.strip(), fails=action == "fails")
        elif action == "prints":
            assert plain(self.printed) == plain(text)
        elif action == "ends":
            assert plain(self.printed).endswith(plain(text))
        else:
            raise AssertionError(f"{step}: no such step")
