"""Another package adds models: by an entry point, by the hook; and errors name what is wrong."""

import sys
from pathlib import Path

import pytest

import model_suite

MENAGERIE = Path(model_suite.__file__).with_name("test_menagerie.py")
PACKAGE = """
import torch
from torch import nn

from model_suite import ModelCase


def _case(name, *tags):
    return ModelCase(
        name=f"others/{name}", source="others", family="linear", builder=lambda: nn.Linear(2, 3),
        maker=lambda: ((torch.rand(1, 2),), {}), tags=frozenset(tags),
    )


def cases():
    yield _case("small", "smoke")
    yield _case("large")
"""
ENTRY_POINT = "[torchlens_models]\nothers = others:cases\n"
CONFTEST = """
from others import _case

def pytest_lens_models(config):
    return [_case("hooked"), _case("hooked-small", "smoke")]
"""


@pytest.fixture
def others(pytester, monkeypatch):
    """A package that is installed where the tests are run."""
    pytester.makepyfile(others=PACKAGE)
    info = pytester.mkdir("others-1.0.dist-info")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINT)

    monkeypatch.setenv("PYTHONPATH", str(pytester.path))

    def run(*options):
        options = ("-q", "-p", "no:cacheprovider", "-k", "others", *options)
        return pytester.run(sys.executable, "-m", "pytest", MENAGERIE, *options)

    return run


def test_an_entry_point(others):
    others().assert_outcomes(passed=1, deselected=len(model_suite.smoke_cases()))
    assert others("--lens-tier=all").parseoutcomes()["passed"] == 2


def test_the_hook(others, pytester):
    (pytester.path / "hooked.py").write_text(CONFTEST)
    result = others("-p", "hooked", "--lens-tier=all")
    assert result.parseoutcomes()["passed"] == 4
    assert others("-p", "hooked").parseoutcomes()["passed"] == 2


def test_a_name_that_is_taken(others, pytester):
    (pytester.path / "hooked.py").write_text(CONFTEST.replace("hooked-small", "small"))
    result = others("-p", "hooked")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*pytest_lens_models: a case 'others/small' is there already. Give it *"])
    (pytester.path / "others.py").write_text(PACKAGE.replace('"large"', '"small"'))
    result = others()
    assert result.ret != pytest.ExitCode.OK
    result.stdout.re_match_lines(
        [".*the entry point 'others' of torchlens_models lists a case 'others/small'.*"]
    )
