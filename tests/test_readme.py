"""What the README shows runs, and gives what it says."""

import ast
import os
import re
from pathlib import Path

import pytest
import torch

_ROOT = Path(__file__).parent.parent
_README = (_ROOT / "README.md").read_text(encoding="utf-8")
_BLOCKS = re.findall(r"```python\n(.*?)```", _README, re.DOTALL)
_TEXTS = re.findall(r"```text\n(.*?)```", _README, re.DOTALL)
_COMMAND = re.compile(r"<!-- (\w+) command -->\n```sh\n(.*?)\n```", re.DOTALL)


@pytest.fixture
def namespace(tmp_path, monkeypatch):
    """The names of the first block, run where its picture may lie."""
    pytest.importorskip("graphviz")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names = {"__name__": "readme"}
    exec(compile(_BLOCKS[0], "readme.py", "exec"), names)
    return names


def _promises(block):
    """``(expression, value)`` of each line that shows its value in a comment."""
    for line in block.splitlines():
        expression, mark, comment = line.partition("  # ")
        if mark and comment.startswith(("[", "'", "{")):
            yield expression, ast.literal_eval(comment)


def test_first_example(namespace, tmp_path):
    promises = list(_promises(_BLOCKS[0]))
    assert promises
    for expression, value in promises:
        assert eval(expression, namespace) == value, expression
    assert tuple(namespace["history"]["relu_1_2"].tensor_contents.shape) == (1, 8, 30, 30)
    assert str(namespace["history"]["answer"].source) == "readme.py:21 in forward"
    assert (tmp_path / "refiner.svg").read_text(encoding="utf-8").startswith("<svg")


def test_a_false_promise_is_seen(namespace):
    (expression, value), *_ = _promises('history["think:3"].parent_layers       # ["flatten_1_3"]')
    assert eval(expression, namespace) != value


def test_selection_and_validation(namespace):
    exec(_BLOCKS[4], namespace)
    assert namespace["report"]


def test_example_of_a_test(pytester):
    pytest.importorskip("graphviz")
    drawn = _BLOCKS[0].partition("history = ")[0]
    pytester.makepyfile(f"{drawn}\n{_BLOCKS[1]}")
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_failing_example(pytester):
    """Word by word, but for times, the folder, and where a line is broken for it."""
    text = _TEXTS[0]
    pytester.makepyfile(test_numpy=_BLOCKS[2])
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    printed = result.stdout.str().replace(f"{pytester.path}{os.sep}", "")
    assert _words(text) in _words(printed)


def test_example_of_a_diff(pytester):
    drawn = _BLOCKS[0].partition("history = ")[0]
    test = f"{drawn}\n{_BLOCKS[3]}"
    pytester.makepyfile(test_graph=test)
    pytester.runpytest_inprocess("--lens-update").assert_outcomes(passed=1)
    pytester.makepyfile(test_graph=test.replace("nn.ReLU()", "nn.GELU()").replace("range(4)", "range(3)"))
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    assert _TEXTS[1] in result.stdout.str()


def _words(text: str) -> str:
    return " ".join(re.sub(r"\d+\.\d\d s\b", "some s", text).split())


def test_picture_is_there():
    picture, *screenshots = re.findall(r"!\[[^]]*\]\(([^)]+)\)", _README)
    assert [(_ROOT / one).read_bytes()[1:4] for one in screenshots] == [b"PNG", b"PNG"]
    assert "gru_cell" in (_ROOT / picture).read_text(encoding="utf-8")


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", _README) if "://" not in link]
    assert links
    assert [link for link in links if not (_ROOT / link.partition("#")[0]).exists()] == []


def test_ci_runs_the_command_of_the_readme():
    commands = dict(_COMMAND.findall(_README))
    assert commands.keys() == {"gallery", "test"}
    assert all("\n" not in command and "venv .venv" in command for command in commands.values())
    script = (_ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "<!-- test command -->" in script
    assert commands["test"] not in script  # it is read, not written twice
