"""With workers the run says and draws the same as without."""

import re

import pytest

pytest.importorskip("xdist")

SOURCE = """
@pytest.mark.lens_validate
@pytest.mark.parametrize("model", ["Doubled", "Numpy"])
def test_marked(lens, model):
    lens(globals()[model](), torch.ones(2))

@pytest.mark.parametrize("name", ["a/b", "<b>"])
def test_twice(lens, name):
    lens(Doubled(), torch.ones(2))
    tl.log_forward_pass(Doubled(), torch.ones(2))

def test_failed(lens):
    lens(Doubled(), torch.ones(2))
    assert False
"""


def files_in(directory):
    """All files, without what differs from run to run: its name, the time it took, what is random."""
    found = {}
    for path in directory.rglob("*"):
        if path.is_file():
            text = path.read_bytes().decode()
            text = re.sub(r'"(when|run|runs|seconds|title)":\s?(\[[^\]]*\]|[^,}]*)', r'"\1":0', text)
            found[path.relative_to(directory)] = re.sub(r"\d+\.\d+ s\b", "0 s", text)
    return found


def test_summary_and_gallery_are_the_same(run, pytester, summary_of):
    alone = run(SOURCE, "--lens-gallery=alone", fresh=True)
    shared = run(SOURCE, "--lens-gallery=shared", "-n", "2", fresh=True)
    shared.stdout.fnmatch_lines(["2 workers *"])
    assert shared.parseoutcomes() == alone.parseoutcomes() == {"passed": 3, "failed": 2}
    assert shared.ret == alone.ret == pytest.ExitCode.TESTS_FAILED
    assert summary_of(alone)[0] == "7 forward passes of 5 tests logged, 1 validated, 1 not valid"
    index = pytester.path / "shared" / "index.html"
    assert summary_of(shared) == [summary_of(alone)[0], f"5 graphs drawn in {index}"]
    assert files_in(index.parent) == files_in(pytester.path / "alone")


def test_a_usage_error_reaches_the_user(run):
    marked = "@pytest.mark.lens_validate(chekcs=1)\ndef test_wrong(lens): pass\ndef test_other(): pass"
    result = run(marked, "-n", "2", fresh=True)
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(
        ["test_it.py::test_wrong: the marker lens_validate does not take chekcs. It takes checks=, *"]
    )
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_workers_leave_the_check_of_the_directory_to_the_controller(run, pytester):
    pytester.makeconftest(
        """
        from pytest_torchlens import options

        check = options.check

        def noted(config):
            who = getattr(config, "workerinput", {"workerid": "controller"})["workerid"]
            with open(f"checked-{who}", "w"):
                check(config)

        options.check = noted
        """
    )
    result = run("def test_sum(): assert 1 + 1 == 2", "--lens-gallery=out", "-n", "2", fresh=True)
    result.assert_outcomes(passed=1)
    assert [path.name for path in pytester.path.glob("checked-*")] == ["checked-controller"]
