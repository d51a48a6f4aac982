"""What is kept of a whole run of the catalogue."""

import sys

import pytest
import torch
from torch import nn

import torchlens_core as tl
from model_suite import runs

TESTS = """
    import os

    import pytest

    CASES = "a/values a/same a/drawn a/meta a/wrong a/crash a/limit a/known"

    @pytest.mark.parametrize("case", CASES.split())
    def test_model(case, record_property):
        if case == "a/limit":
            pytest.skip("a limit of this model")
        if case == "a/known":
            pytest.xfail("a value goes through Python")
        if case == "a/crash":
            os._exit(3)
        if case != "a/drawn":
            record_property("validated", "meta" if case == "a/meta" else "cpu")
        record_property("folded", "s" if case in ("a/same", "a/drawn") else case)
        assert case != "a/wrong", "not what it was"

    @pytest.fixture(autouse=True)
    def ends_badly(request):
        yield
        assert "a/wrong" not in request.node.name, "not the reason"

    def test_other():
        pass

    @pytest.mark.parametrize("source", ["missing"])
    def test_model_of(source):
        pytest.skip("not installed")
"""


def test_a_run_of_pytest(pytester):
    pytester.makepyfile(test_menagerie=TESTS)
    pytester.run(
        sys.executable, "-m", "pytest", "-n", "1", "--junitxml=report.xml", "-p", "no:cacheprovider"
    )
    run = runs.run_of("pytest", pytester.path / "report.xml")
    assert (run.cases, run.by_values, run.by_structure, run.skipped, run.drawn) == (8, 2, 1, 1, 0)
    assert run.distinct == 3  # of a/values, a/same with a/drawn, and a/meta
    assert list(run.failed) == ["a/wrong", "a/crash", "a/known"]
    assert run.failed["a/known"] == "as stated: a value goes through Python"
    assert "not what it was" in run.failed["a/wrong"]
    assert "test_menagerie.py::test_model[a/crash]" in run.failed["a/crash"]
    assert run.seconds > 0


def test_the_last_run_of_a_command_is_kept(pytester, monkeypatch):
    pytester.makepyfile(test_menagerie=TESTS)
    pytester.runpytest_inprocess("--junitxml=report.xml", "-p", "no:cacheprovider", "-k", "values")
    monkeypatch.setattr(runs, "files", lambda package: pytester.path)
    for command in ("pytest a", "pytest b", "pytest a"):
        monkeypatch.setattr(sys, "argv", ["runs", command, "report.xml"])
        runs.main()
    assert [run.command for run in runs.runs()] == ["pytest b", "pytest a"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("report.xml", "<html/>", "holds no tests of the catalogue"),
        ("report.xml", "nothing", "is no report"),
        ("report.json", "{}", r"is no report \(KeyError\('cards'\)\)"),
    ],
)
def test_what_is_no_report(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=says + r".*: give what pytest model_suite --junitxml"):
        runs.run_of("pytest", tmp_path / name)


class Numpy(nn.Module):
    def forward(self, x):
        y = x * 2
        y.numpy()[0] = 7
        return y + 1


def test_of_a_validation_its_findings_are_the_reason(pytester):
    """What the checks have covered stands before them, and would fill the line."""
    report = tl.validate_model_activations(Numpy(), torch.ones(2))
    pytester.makepyfile(
        test_menagerie=f"""
            import pytest

            @pytest.mark.parametrize("case", ["a/wrong"])
            def test_model(case):
                pytest.fail({str(report)!r}, pytrace=False)
        """
    )
    pytester.runpytest_inprocess("--junitxml=report.xml", "-p", "no:cacheprovider")
    (reason,) = runs.run_of("pytest", pytester.path / "report.xml").failed.values()
    first = report.findings[0]
    assert reason.startswith(f"Failed: Validation of Numpy: {len(report.findings)} finding")
    assert f". {first.check}: {first.what}"[:120] in reason
    assert "ok (" not in reason
