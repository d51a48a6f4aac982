"""The story in docs/snapshots.md, run in a repository of its own: every file, command and printed line."""

from pathlib import Path

import pytest
from stories import Story, plain, steps_in

_DOCS = Path(__file__).parent.parent / "docs" / "snapshots.md"


def _steps():
    return steps_in(_DOCS.read_text(encoding="utf-8").partition("## A story")[2].partition("\n## ")[0])


class _Repository(Story):
    """The same with git."""

    def __init__(self, folder):
        super().__init__(folder)
        self.run("git init -q . && git config user.email a@b.c && git config user.name A")

    def follow(self, step, text):
        action, _, name = step.partition(" ")
        if action == "holds":
            assert plain((self.folder / name).read_text(encoding="utf-8")) == plain(text)
            self.run("git add net.py test_net.py __lens__ && git commit -qm 'Net and its graph'")
        elif action == "apply":
            (self.folder / "change.diff").write_text(text, encoding="utf-8")
            self.run("git apply change.diff && rm change.diff && git commit -qam 'A better block'")
        else:
            super().follow(step, text)


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
