"""What docs/pictures.md shows runs, in the order in which it stands there, and gives what it says."""

import ast
import json
import re
from pathlib import Path

import pytest
import torch

_DOCS = Path(__file__).parent.parent / "docs"
_PAGE = (_DOCS / "pictures.md").read_text(encoding="utf-8")
_BLOCKS = re.findall(r"```python\n(.*?)```", _PAGE, re.DOTALL)
_LIMIT = 2_500_000


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The folder in which all blocks were run, and the names that they left."""
    for name in ("graphviz", "resvg_py", "reportlab"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("pictures")
    torch.manual_seed(0)
    names = {"__name__": "page"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for number, block in enumerate(_BLOCKS):
            exec(compile(block, f"block_{number}.py", "exec"), names)
    return folder, names


def _promises(blocks):
    """``(expression, value)`` of each line that shows its value in a comment."""
    for line in "".join(blocks).splitlines():
        expression, mark, comment = line.partition("  # ")
        if mark and comment.startswith(("[", "'", "{")):
            yield expression, ast.literal_eval(comment.partition(", or ")[0])


def test_every_block_runs_and_its_files_are_there(followed):
    folder, _ = followed
    named = re.findall(r"\.save\(\"([^\"]+)\"\)", "".join(_BLOCKS))
    assert len(named) > 5
    assert {path.name for path in folder.iterdir()} == set(named)
    assert all(path.read_text("utf-8").startswith("<svg") for path in folder.glob("*.svg"))


def test_lines_give_what_they_say(followed):
    _, names = followed
    promises = list(_promises(_BLOCKS))
    assert len(promises) == 2
    for expression, value in promises:
        found = eval(expression, names)
        assert found == value or (isinstance(value, list) and set(found) <= set(value)), expression


def test_a_false_promise_is_seen(followed):
    ((expression, value),) = _promises(["picture.layout.engine  # 'magic'\n"])
    assert eval(expression, followed[1]) != value


def _svg(followed, expression):
    return eval(expression, followed[1]).svg()


def test_marks_are_those_of_the_table(followed):
    whole = _svg(followed, "history.picture()")
    assert "×12" in whole
    assert "↻ 4" in whole
    assert "×12" not in _svg(followed, "history.picture(fold=False)")
    assert "↻ 4" not in _svg(followed, "history.picture(rolled=False)")
    for mark in ("×12", "↻ 4", "↳ ", "to Python", "in parallel"):
        assert mark in _PAGE


def test_model_explorer_gets_everything(followed):
    closed = json.dumps(eval("history.picture(depth=1).model_explorer()", followed[1]))
    assert closed.count("batch_norm") >= 1


def test_the_page_names_every_option():
    from torchlens_core.draw import Options, Overrides

    missing = [name for name in Options.__dataclass_fields__ if f"{name}=" not in _PAGE]
    assert missing == []
    assert [name for name in Overrides.__dataclass_fields__ if f"`{name}`" not in _PAGE] == []


def test_pictures_are_there_and_small():
    names = re.findall(r"!\[[^]]*\]\(([^)]+)\)", _PAGE)
    assert len(names) == len(set(names)) > 20
    assert [name for name in names if not (_DOCS / name).exists()] == []
    assert {path.name for path in (_DOCS / "pictures").iterdir()} == {Path(name).name for name in names}
    assert sum(path.stat().st_size for path in (_DOCS / "pictures").iterdir()) < _LIMIT


def test_the_table_is_filled_in():
    table = _PAGE.partition("<!-- table by benchmarks/pictures.py -->")[2].partition(
        "<!-- end of table -->"
    )[0]
    assert table.count("\n| ") > 40
