"""The plugin in a run: what fails and how it is told, exit codes, other options of pytest."""

from xml.etree import ElementTree

import pytest
from galleries import cards_of
from torch import nn

from torchlens_core.trace import _observers

VALID = """
@pytest.mark.lens_validate
def test_valid(lens):
    lens(Doubled(), torch.ones(2))
"""
WRITES = """
@pytest.mark.lens_validate(checks=["transparency", "replay"])
def test_writes(lens):
    lens(Numpy(), torch.ones(2))
"""
COUNTS = """
@pytest.mark.lens_validate(checks=["transparency", "replay"])
def test_counts(lens):
    lens(Counter(), torch.ones(2))
"""
EMPTY = """
@pytest.mark.lens_validate
def test_empty():
    pass
"""
RAISES = """
@pytest.mark.lens_validate
def test_raises(lens):
    lens(Boom(), torch.ones(2))
"""
LOGS_NOTHING = (
    "The test is marked lens_validate, but logged no forward pass. "
    "Log one with the fixture lens, lens(model, inputs), or with torchlens_core.log_forward_pass."
)


# -- the verdict -------------------------------------------------------------------------------------


def test_a_valid_pass(run):
    result = run(VALID)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*Validation of*")


@pytest.mark.parametrize("options", [(), ("--assert=plain",)])
def test_a_write_unseen_by_torch(run, line_of, options):
    result = run(WRITES, *options)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "Validation of Numpy: 1 finding*",
            "  transparency: ok (*)",
            "  replay: 1 finding*",
            "  replay: *",
            "    at add_1_3 (:add)",
            f"    in *nets.py:{line_of('return y + 1')} in forward",
            "    expected (saved) 8.0 at [[]0]",
            "    got (replayed) 3.0 at [[]0]; 1 of 2 elements differ, *",
            "    to do: *",
        ],
        consecutive=True,
    )


@pytest.mark.parametrize("options", [(), ("--assert=plain",)])
def test_a_result_that_depends_on_a_global(run, line_of, options):
    result = run(COUNTS, *options)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "Validation of Counter: 1 finding*",
            "  transparency: 1 finding*",
            "  replay: ok (*)",
            "  transparency: The model is not the same from run to run: from one state, it",
            "  gives something else each time",
            "    at mul_1_1 (:mul)",
            f"    in *nets.py:{line_of('return x * Counter.calls')} in forward",
            "    expected the same values from the same state, inputs and generators",
            "    got mul_1_1 is handed other numbers: argument 1 is *",
            "    to do: No graph shows that. *",
        ],
        consecutive=True,
    )


def test_unmarked_nothing_is_validated(run):
    run(WRITES.partition("\n")[2].partition("\n")[2]).assert_outcomes(passed=1)


def test_a_marked_test_that_logs_nothing(run):
    result = run(EMPTY)
    result.assert_outcomes(failed=1)
    assert LOGS_NOTHING in result.outlines


def test_passes_logged_directly_count(run):
    direct = "@pytest.mark.lens_validate\ndef test_net(): tl.log_forward_pass({}(), torch.ones(2))"
    run(direct.format("Doubled")).assert_outcomes(passed=1)
    run(direct.format("Numpy")).assert_outcomes(failed=1)


def test_passes_of_fixtures_count(run):
    source = """
        @pytest.fixture
        def history(lens):
            return lens({}(), torch.ones(2))

        @pytest.mark.lens_validate
        def test_net(history):
            assert history.output_layers
    """
    run(source.format("Doubled")).assert_outcomes(passed=1)
    run(source.format("Numpy")).assert_outcomes(failed=1)


def test_tests_are_told_apart(run):
    result = run(VALID + EMPTY + WRITES + VALID.replace("test_valid", "test_after"), "-v")
    verdicts = [line.split()[:2] for line in result.outlines if line.startswith("test_it.py::")]
    assert verdicts == [
        ["test_it.py::test_valid", "PASSED"],
        ["test_it.py::test_empty", "FAILED"],
        ["test_it.py::test_writes", "FAILED"],
        ["test_it.py::test_after", "PASSED"],
    ]


def test_the_failure_of_the_test_itself_goes_first(run):
    result = run(VALID + "    assert False, 'own words'")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*own words*"])
    result.stdout.no_fnmatch_line("*Validation of*")


def test_works_in_a_testcase(run):
    source = """
        import unittest

        @pytest.mark.lens_validate
        class TestNet(unittest.TestCase):
            def test_net(self):
                tl.log_forward_pass({}(), torch.ones(2))
    """
    run(source.format("Doubled")).assert_outcomes(passed=1)
    run(source.format("Numpy")).assert_outcomes(failed=1)


# -- errors of the model -----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--lens-gallery=out",)])
@pytest.mark.parametrize("marker", ["@pytest.mark.lens_validate", ""])
def test_an_error_in_forward(run, line_of, options, marker):
    call = nn.Module.__call__
    result = run(RAISES.replace("@pytest.mark.lens_validate", marker) + VALID, *options)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            f"*nets.py:{line_of('raise ValueError')}: ValueError",
            "FAILED test_it.py::test_raises - ValueError: no use for (2,)",
        ]
    )
    result.stdout.fnmatch_lines(["E       torchlens: the pass of Boom failed after 1 ops, *"])
    assert nn.Module.__call__ is call
    assert _observers == []


# -- exit codes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "options", "code"),
    [
        (VALID, (), pytest.ExitCode.OK),
        (WRITES, (), pytest.ExitCode.TESTS_FAILED),
        (EMPTY, (), pytest.ExitCode.TESTS_FAILED),
        ("import nowhere", (), pytest.ExitCode.INTERRUPTED),
        (VALID.replace("validate", "validate(chekcs=1)"), (), pytest.ExitCode.USAGE_ERROR),
        (VALID, ("--lens-gallery=test_it.py",), pytest.ExitCode.USAGE_ERROR),
        ("", (), pytest.ExitCode.NO_TESTS_COLLECTED),
        ("", ("--lens-gallery=out",), pytest.ExitCode.NO_TESTS_COLLECTED),
    ],
)
def test_exit_codes(run, source, options, code):
    assert run(source, *options).ret == code


# -- with other options and plugins ------------------------------------------------------------------


def test_without_a_terminal(run, pytester):
    result = run(VALID, "-p", "no:terminal", "--lens-gallery=out")
    assert result.ret == pytest.ExitCode.OK
    assert result.outlines == []
    assert (pytester.path / "out" / "index.html").is_file()


def test_quietly(run, summary_of):
    assert summary_of(run(VALID, "-q")) == ["1 forward pass of 1 test logged, 1 validated"]


def test_warnings_are_errors(run, pytester):
    warns = "import warnings\ndef test_warns(): warnings.warn('a warning')"
    result = run(VALID + warns, "-W", "error", "--lens-gallery=out", fresh=True)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_warns - UserWarning: a warning"])
    assert len(cards_of(pytester.path / "out")) == 1


def test_junit_files_hold_nothing_of_it(run, pytester):
    run(VALID, "--junitxml=junit.xml")
    root = ElementTree.parse(pytester.path / "junit.xml").getroot()
    assert [case.get("name") for case in root.iter("testcase")] == ["test_valid"]
    assert list(root.iter("property")) == []


def test_switched_off(run):
    run(VALID, "-p", "no:torchlens").assert_outcomes(errors=1)
