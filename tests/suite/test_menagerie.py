"""Which part of the catalogue is run, and that its models are logged and validated."""

import shutil
import sys
from pathlib import Path

import pytest
from galleries import cards_of, check_whole, page_of

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
    """A gallery is of the whole catalogue unless a tier is named, and drawn on the meta device."""
    result = menagerie(pytester, "--lens-gallery=out", "-k", TORCHVISION)
    assert result.parseoutcomes()["passed"] == 3
    cards = cards_of(pytester.path / "out")
    assert list(cards) == ["torchvision/alexnet", "torchvision/squeezenet1_0", "torchvision/squeezenet1_1"]
    card = cards["torchvision/alexnet"]
    assert page_of(pytester.path / "out", card)["device"] == "meta"
    assert card["facets"]["family"] == ["alexnet"]
    result = menagerie(pytester, "--lens-gallery=out", "--lens-values", "--lens-tier=smoke")
    result.stdout.fnmatch_lines(["2 forward passes of 2 tests logged, 2 validated"])
    assert page_of(pytester.path / "out", card)["device"] == "cpu"


def test_from_the_installed_package(pytester):
    options = ("--pyargs", "model_suite", *CHOSEN, "--lens-gallery=out", "-k", TORCHVISION)
    result = pytester.run(sys.executable, "-m", "pytest", *options)
    assert result.parseoutcomes()["passed"] == 3
    check_whole(pytester.path / "out")


def test_a_tier_of_the_installed_package(pytester):
    """The options are known though pytest meets the package's own ``conftest.py`` only when it collects."""
    options = ("--pyargs", "model_suite", *CHOSEN, "--lens-tier=all", "-k", TORCHVISION)
    result = pytester.run(sys.executable, "-m", "pytest", *options)
    assert result.parseoutcomes()["passed"] == 3


def test_a_library_that_is_not_there_is_one_test(pytester):
    pytester.makeconftest(
        """
        import importlib.util

        find = importlib.util.find_spec
        importlib.util.find_spec = lambda name: None if name == "timm" else find(name)
        """
    )
    shutil.copy(MENAGERIE, pytester.path)
    result = pytester.run(
        sys.executable, "-m", "pytest", "-p", "model_suite.conftest", "--lens-tier=all", "-k", "timm", "-rs"
    )
    assert result.parseoutcomes()["skipped"] == 1
    result.stdout.fnmatch_lines(
        ["SKIPPED * timm is not installed (1* models): pip install 'pytest-torchlens[[]catalogue]'"]
    )


def test_no_such_tier(pytester):
    result = menagerie(pytester, "--lens-tier=some")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*argument --lens-tier: invalid choice: 'some' *"])


def test_where_the_option_is_unknown_the_smoke_tier_is_run(pytester):
    result = menagerie(pytester, "--noconftest")
    assert result.parseoutcomes()["passed"] == 2
