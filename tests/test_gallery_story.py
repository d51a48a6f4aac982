"""The story in docs/gallery.md is true, and its workflow says commands that exist."""

import re
from pathlib import Path

import pytest
from galleries import cards_of, check_whole
from stories import Story, steps_in

_DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.slow
def test_the_story_is_true(tmp_path):
    story = Story(tmp_path)
    steps = steps_in((_DOCS / "gallery.md").read_text(encoding="utf-8"))
    assert [step.partition(" ")[0] for step, _ in steps].count("prints") == 2
    for step, text in steps:
        story.follow(step, text)
    for name in ("out", "whole"):
        check_whole(tmp_path / name)
        assert cards_of(tmp_path / name).keys() == {"A stack of blocks", "test_recurrent"}


def test_the_workflow_draws_and_merges():
    workflow = (_DOCS / "gallery-workflow.yml").read_text(encoding="utf-8")
    commands = re.findall(r"- run: (.+)", workflow)
    assert any("--splits 4 --group ${{ matrix.shard }} --lens-gallery=shard-" in one for one in commands)
    assert "python -m pytest_torchlens.gallery merge gallery shards/*" in commands
