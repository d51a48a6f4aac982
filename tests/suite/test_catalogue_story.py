"""The stories in docs/model_suite.md are true."""

from pathlib import Path

import pytest
from stories import Story, steps_in

_PAGE = Path(__file__).parents[2] / "docs" / "model_suite.md"


@pytest.mark.slow
def test_the_stories_are_true(tmp_path):
    story = Story(tmp_path)
    steps = steps_in(_PAGE.read_text(encoding="utf-8"))
    assert [step for step, _ in steps].count("prints") == 2
    for step, text in steps:
        story.follow(step, text)
