"""Small projects in which the plugin is tried, most of them in this process."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

from pytest_torchlens.gallery.draw import pages_of
from pytest_torchlens.gallery.store import Store
from pytest_torchlens.records import LoggedPass, Records
from pytest_torchlens.snapshots import assertion, obsolete
from torchlens_core import log_forward_pass, validate_model_activations

NETS = Path(__file__).with_name("nets.py")
HEAD = "import pytest\nimport torch\nimport torchlens_core as tl\nfrom nets import *\n\n"


@pytest.fixture(scope="session", autouse=True)
def _imported(tmp_path_factory, pytestconfig):
    """A run in this process drops at its end what it has imported, and torch can be imported only once."""
    if not pytestconfig.pluginmanager.hasplugin("torchlens"):
        pytest.fail("the plugin is not installed here: pip install -e .", pytrace=False)
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    report = validate_model_activations(model, torch.rand(2, 2))
    one = LoggedPass("Net", 1, 1, report, log_forward_pass(model, torch.rand(2, 2)))
    assert assertion.explained(1, 2) is None
    assert obsolete.Leftovers()
    assert pages_of(Records("test", [one]), {})[0]["svgs"]
    store = Store(tmp_path_factory.mktemp("out"))
    store.open()
    store.write_index("", {"runs": [], "finished": True}, [])


@pytest.fixture
def pytester(pytester, monkeypatch):
    """Without hypothesis, which each run in this process would import anew: a second a run."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    return pytester


@pytest.fixture
def run(pytester):
    """``run(source, *options)`` runs pytest on a file of these tests, which can use all of `nets`."""
    shutil.copy(NETS, pytester.path)

    def run(source: str, *options: str, fresh: bool = False) -> pytest.RunResult:
        pytester.makepyfile(test_it=HEAD + textwrap.dedent(source))
        runner = pytester.runpytest_subprocess if fresh else pytester.runpytest_inprocess
        result: pytest.RunResult = runner(*options)
        return result

    return run


@pytest.fixture
def line_of():
    """``line_of(text)`` is the number of the line of `nets` in which it stands."""
    lines = NETS.read_text(encoding="utf-8").splitlines()
    return lambda text: next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.fixture
def summary_of():
    """``summary_of(result)``: the lines that the plugin said at the end of a run."""

    def lines(result: pytest.RunResult) -> list[str]:
        said = result.outlines
        starts = [number for number, line in enumerate(said) if line.strip("=") == " torchlens "]
        if not starts:
            return []
        after = said[starts[0] + 1 :]
        ends = [number for number, line in enumerate(after) if line.startswith("==")]
        return after[: ends[0] if ends else -1]  # with -q the last line stands alone

    return lines
