"""Which part of the catalogue is run, and that its models are logged and validated."""

import sys
from pathlib import Path

import pytest

import model_suite
from model_suite import smoke_cases

pytest.importorskip("torchvision")

MENAGERIE = Path(model_suite.__file__).with_name("test_menagerie.py")
# squeezenet1_1 and alexnet are of the smoke tier, squeezenet1_0 is not
TORCHVISION = "torchvision and (alexnet or squeezenet)"
CHOSEN = ("-k", "alexnet or squeezenet", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-rs")


def menagerie(pytester, *options):
    return pytester.run(sys.executable, "-m", "pytest", MENAGERIE, *CHOSEN, *options)


def test_the_smoke_tier_is_run_by_default(pytester):
    result = menagerie(pytester)
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["deselected"]) == (2, len(smoke_cases()) - 2)
    result.stdout.fnmatch_lines(["2 forward passes of 2 tests logged, 2 validated"])


def test_all_are_run_and_drawn(pytester):
    result = menagerie(pytester, "--lens-tier=all", "--lens-gallery=out", "-k", TORCHVISION)
    assert result.parseoutcomes()["passed"] == 3
    names = sorted(path.stem.rpartition("-")[0] for path in (pytester.path / "out").glob("*.svg"))
    assert names == ["torchvision-alexnet", "torchvision-squeezenet1_0", "torchvision-squeezenet1_1"]


def test_no_such_tier(pytester):
    result = menagerie(pytester, "--lens-tier=some")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*argument --lens-tier: invalid choice: 'some' *"])


def test_where_the_option_is_unknown_the_smoke_tier_is_run(pytester):
    result = menagerie(pytester, "--noconftest")
    assert result.parseoutcomes()["passed"] == 2
