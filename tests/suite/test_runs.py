"""What is kept of a whole run of the catalogue."""

import sys

import pytest

from model_suite import runs

TESTS = """
    import os

    import pytest

    @pytest.mark.parametrize("case", ["a/values", "a/same", "a/meta", "a/wrong", "a/crash", "a/limit"])
    def test_model(case, record_property):
        if case == "a/limit":
            pytest.skip("a limit of this model")
        if case == "a/crash":
            os._exit(3)
        record_property("device", "meta" if case == "a/meta" else "cpu")
        record_property("folded", "s" if case == "a/same" else case[:3])
        assert case != "a/wrong", "not what it was"
"""


def test_a_run_of_pytest(pytester):
    pytester.makepyfile(test_menagerie=TESTS)
    pytester.run(
        sys.executable, "-m", "pytest", "-n", "1", "--junitxml=report.xml", "-p", "no:cacheprovider"
    )
    run = runs.run_of("pytest", pytester.path / "report.xml")
    assert (run.cases, run.by_values, run.by_structure, run.skipped, run.drawn) == (6, 2, 1, 1, 0)
    assert run.distinct == 4  # of a/values, a/same, a/meta and a/wrong
    assert list(run.failed) == ["a/wrong", "a/crash"]
    assert "not what it was" in run.failed["a/wrong"]
    assert "test_menagerie.py::test_model[a/crash]" in run.failed["a/crash"]
    assert run.seconds > 0


def test_the_last_run_of_a_command_is_kept(pytester, monkeypatch):
    pytester.makepyfile(test_menagerie="def test_model():\n    pass\n")
    pytester.runpytest_inprocess("--junitxml=report.xml", "-p", "no:cacheprovider")
    monkeypatch.setattr(runs, "files", lambda package: pytester.path)
    for command in ("pytest a", "pytest b", "pytest a"):
        monkeypatch.setattr(sys, "argv", ["runs", command, "report.xml"])
        runs.main()
    assert [run.command for run in runs.runs()] == ["pytest b", "pytest a"]


def test_what_is_no_report(pytester):
    (pytester.path / "report.xml").write_text("<html/>")
    with pytest.raises(ValueError, match=r"report\.xml holds no tests of the catalogue"):
        runs.run_of("pytest", pytester.path / "report.xml")
