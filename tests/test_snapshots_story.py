"""The story in docs/snapshots.md, run in a repository of its own: every file, command and printed line."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_DOCS = Path(__file__).parent.parent / "docs" / "snapshots.md"
_STEP = re.compile(r"<!-- (.+?) -->\n```\w+\n(.*?)```", re.DOTALL)


def _steps():
    story = _DOCS.read_text(encoding="utf-8").partition("## A story")[2].partition("\n## ")[0]
    return _STEP.findall(story)


def _plain(text):
    """Without what differs from machine to machine: times, versions, git's hashes."""
    text = re.sub(r"\b\d+\.\d+s\b", "some s", text)
    text = re.sub(r"torch \d[\w.]*", "torch x", text)
    return re.sub(r"^index .*\n", "", text, flags=re.MULTILINE).strip()


class _Repository:
    """A folder with a git repository, where commands are run as a reader would."""

    def __init__(self, folder):
        self.folder = folder
        self.printed = ""
        self.run("git init -q . && git config user.email a@b.c && git config user.name A")

    def run(self, command, fails=False):
        python = Path(sys.executable).parent
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))},
            "PATH": f"{python}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "80",
            "PYTHONDONTWRITEBYTECODE": "1",
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
        self.printed = done.stdout
        assert bool(done.returncode) is fails, done.stdout

    def follow(self, step, text):
        action, _, name = step.partition(" ")
        path = self.folder / name
        if action == "write":
            path.write_text(text, encoding="utf-8")
        elif action in ("run", "fails"):
            self.run(text.strip(), fails=action == "fails")
        elif action == "prints":
            assert _plain(self.printed) == _plain(text)
        elif action == "holds":
            assert _plain(path.read_text(encoding="utf-8")) == _plain(text)
            self.run("git add net.py test_net.py __lens__ && git commit -qm 'Net and its graph'")
        else:
            assert action == "apply"
            (self.folder / "change.diff").write_text(text, encoding="utf-8")
            self.run("git apply change.diff && rm change.diff && git commit -qam 'A better block'")


@pytest.mark.slow
def test_the_story_is_true(tmp_path):
    repository = _Repository(tmp_path)
    steps = _steps()
    assert [step for step, _ in steps].count("prints") == 3
    for step, text in steps:
        repository.follow(step, text)


def test_another_ending_is_seen(tmp_path):
    repository = _Repository(tmp_path)
    repository.run("echo 1 passed in 3.74s")
    repository.follow("prints", "1 passed in 0.01s\n")
    with pytest.raises(AssertionError):
        repository.follow("prints", "1 failed in 3.74s\n")
