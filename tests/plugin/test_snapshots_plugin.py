"""Snapshots with other options and plugins: workers, tests that are run again, no terminal, no cache."""

import re
import sys
from xml.etree import ElementTree

import pytest
from plugin.snapshot_project import ACCEPT, AFTER, BEFORE, FILE, ORDER, REORDERED, said_of, snapshots_in

MANY = """
@pytest.mark.parametrize("name", ["a/b", "B", "c", "d"])
def test_graph(lens, lens_snapshot, name):
    lens_snapshot.check(lens(Doubled(), torch.ones(SIZE)))

@pytest.mark.lens_snapshot
class Net(Doubled):
    pass

@pytest.mark.lens_snapshot
def test_marked(lens):
    lens(Doubled(), torch.ones(2))
    lens(Doubled(), torch.ones(SIZE))

def test_plain():
    pass
"""
MANY = MANY.replace("@pytest.mark.lens_snapshot\nclass", "@pytest.mark.lens_snapshot(inputs=(2,))\nclass")


_IS_OF_FAILURE = re.compile("no snapshot|expected|received|accept|write|graph of")


@pytest.fixture(autouse=True)
def _compiled_anew(monkeypatch):
    """Sources of one length that are written within a second have the same compiled file."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")


def many(size):
    return MANY.replace("SIZE", str(size))


# -- workers -----------------------------------------------------------------------------------------


def seen(run, pytester, summary_of, *options):
    """What each of several runs says and leaves: outcomes, summary, lines of failures, files."""
    gone = many(3).replace("def test_graph", "def no_test_graph")
    steps = (
        (many(2), ("--lens-update=new",)),
        (many(3), ()),
        (many(3), ("--lens-update",)),
        (gone, ("--lens-prune", "-k", "not plain")),
        (gone, ("--lens-prune",)),
    )
    for source, more in steps:
        result = run(source, *more, *options, fresh=bool(options))
        told = sorted(filter(_IS_OF_FAILURE.match, result.outlines))
        outcomes = result.parseoutcomes()
        outcomes.pop("deselected", None)  # which workers do not tell
        yield outcomes, summary_of(result), told, snapshots_in(pytester.path)


@pytest.mark.long
def test_workers_write_the_same_files_and_say_the_same(run, pytester, summary_of):
    pytest.importorskip("xdist")
    alone = list(seen(run, pytester, summary_of))
    for path in snapshots_in(pytester.path):
        (pytester.path / path).unlink()
    for expected, found in zip(alone, seen(run, pytester, summary_of, "-n", "2"), strict=True):
        for one, other in zip(expected, found, strict=True):
            assert one == other
    assert [lines[1] for _, lines, _, _ in alone] == [
        "7 snapshots written",
        "7 snapshots compared, 5 changed",
        "2 snapshots compared",
        "3 snapshots compared",
        "3 snapshots compared",
    ]
    assert [len(files) for _, _, _, files in alone] == [7, 7, 7, 7, 3]


@pytest.mark.long
def test_groups_of_workers_change_no_name(run, pytester, summary_of):
    pytest.importorskip("xdist")
    source = BEFORE.replace("def test_graph", "@pytest.mark.xdist_group('g')\ndef test_graph")
    run(source, "--lens-update", "-n", "2", "--dist=loadgroup", fresh=True).assert_outcomes(passed=1)
    assert list(snapshots_in(pytester.path)) == [FILE]
    assert "# test: test_it.py::test_graph\n" in (pytester.path / FILE).read_text()
    result = run(source, "--lens-prune", "-n", "2", "--dist=loadgroup", fresh=True)
    assert summary_of(result) == ["1 snapshot compared"]


@pytest.mark.long
def test_a_worker_that_crashes_loses_nothing_that_was_done(run, pytester, summary_of):
    pytest.importorskip("xdist")
    source = many(2) + "\ndef test_zzz():\n    import os, time\n    time.sleep(1)\n    os._exit(1)\n"
    result = run(source, "--lens-update", "-n", "2", fresh=True)
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["failed"]) == (7, 1)
    assert summary_of(result)[-1] == "7 snapshots written"
    assert len(snapshots_in(pytester.path)) == 7
    gone = source.replace("def test_graph", "def no_test_graph")
    result = run(gone, "--lens-prune", "-n", "2", fresh=True)
    assert summary_of(result)[-1] == "--lens-prune removed nothing: a worker crashed"
    assert len(snapshots_in(pytester.path)) == 7
    result = run(gone.partition("\ndef test_zzz")[0], "--lens-prune", "-n", "2", fresh=True)
    assert summary_of(result)[-5] == "4 snapshots obsolete and removed:"
    assert len(snapshots_in(pytester.path)) == 3


# -- tests that are run again ------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), pytest.param(("-n", "2"), marks=pytest.mark.long)])
def test_a_retry_heals_nothing(run, pytester, summary_of, options):
    pytest.importorskip("pytest_rerunfailures")
    run(BEFORE, "--lens-update")
    before = (pytester.path / FILE).read_bytes()
    result = run(AFTER, "--reruns=2", *options, fresh=bool(options))
    assert result.parseoutcomes().keys() >= {"failed", "rerun"}
    assert summary_of(result) == ["1 snapshot compared, 1 changed"]
    assert (pytester.path / FILE).read_bytes() == before
    (pytester.path / FILE).unlink()
    result = run(AFTER, "--reruns=2", *options, fresh=bool(options))
    assert result.parseoutcomes().keys() >= {"failed", "rerun"}
    assert summary_of(result) == ["0 snapshots compared, 1 missing"]
    assert snapshots_in(pytester.path) == {}


FAILS_ONCE = (
    BEFORE
    + """    runs.append(1)
    assert len(runs) == 2

runs = []
"""
)


@pytest.mark.parametrize("options", [(), pytest.param(("-n", "2"), marks=pytest.mark.long)])
def test_what_the_first_run_of_a_test_wrote_is_told(run, pytester, summary_of, options):
    pytest.importorskip("pytest_rerunfailures")
    result = run(FAILS_ONCE, "--reruns=1", "--lens-update", *options, fresh=bool(options))
    assert result.parseoutcomes().keys() >= {"passed", "rerun"}
    assert summary_of(result) == ["1 snapshot written"]
    result = run(FAILS_ONCE, "--reruns=1", *options, fresh=bool(options))
    assert summary_of(result) == ["1 snapshot compared"]


# -- other options -----------------------------------------------------------------------------------


@pytest.mark.parametrize("plugin", ["terminal", pytest.param("terminalreporter", marks=pytest.mark.long)])
def test_without_a_terminal(run, pytester, plugin):
    run(BEFORE, "-p", f"no:{plugin}", "--lens-update", fresh=True)
    assert list(snapshots_in(pytester.path)) == [FILE]
    codes = [run(source, "-p", f"no:{plugin}", fresh=True).ret for source in (BEFORE, AFTER)]
    assert codes == [pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED]
    run("def test_sum(): pass", "-p", f"no:{plugin}", "--lens-prune", fresh=True)
    assert snapshots_in(pytester.path) == {}


def test_without_a_cache(run, pytester, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = run(BEFORE, "-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    (received,) = [line.partition(": ")[2] for line in result.outlines if line.startswith("received: ")]
    assert received.startswith(f"{tmp_path}/pytest-lens-")
    assert received.endswith(f"/{FILE}")
    assert [str(path) for path in tmp_path.rglob("*.lens")] == [received]
    assert not (pytester.path / ".pytest_cache").exists()
    run(BEFORE, "-p", "no:cacheprovider", "--lens-update").assert_outcomes(passed=1)
    assert list(tmp_path.rglob("*.lens")) == []


def test_warnings_are_errors(run, pytester):
    options = ("-W", "error")
    run(BEFORE, *options, "--lens-update", fresh=True).assert_outcomes(passed=1)
    run(BEFORE, *options, fresh=True).assert_outcomes(passed=1)
    result = run(AFTER, *options, fresh=True)
    result.assert_outcomes(failed=1)
    assert said_of(result.outlines)[-1] == f"accept with: {ACCEPT}"


@pytest.mark.parametrize("style", ["auto", "long", "short", "line", "native", "no"])
def test_no_style_of_traceback_shows_the_plugin(run, style):
    run(BEFORE, "--lens-update")
    result = run(AFTER, f"--tb={style}")
    result.assert_outcomes(failed=1)
    said = [line for line in result.outlines if line.startswith("graph of Net changed")]
    assert len(said) == (style != "no")
    assert not any("pytest_torchlens/" in line for line in result.outlines)
    places = [line for line in result.outlines if re.search(r"test_it\.py:\d+: Failed: graph of Net", line)]
    assert len(places) == (style == "line")


def test_junit_files_hold_the_failure_and_nothing_else(run, pytester):
    run(BEFORE, "--junitxml=junit.xml")
    root = ElementTree.parse(pytester.path / "junit.xml").getroot()
    (failure,) = root.iter("failure")
    assert f"write it with: {ACCEPT}" in (failure.text or "")
    assert list(root.iter("property")) == []


def test_an_expected_failure(run, summary_of):
    run(BEFORE, "--lens-update")
    result = run(AFTER.replace("def test_graph", "@pytest.mark.xfail\ndef test_graph"))
    result.assert_outcomes(xfailed=1)
    assert summary_of(result) == ["1 snapshot compared, 1 changed"]


def test_in_a_testcase(run, pytester):
    source = """
        import unittest

        @pytest.mark.lens_snapshot
        class TestNet(unittest.TestCase):
            def test_net(self):
                tl.log_forward_pass(Doubled(), torch.ones({}))
    """
    run(source.format(2), "--lens-update").assert_outcomes(passed=1)
    assert list(snapshots_in(pytester.path)) == ["__lens__/test_it/TestNet.test_net.lens"]
    run(source.format(2)).assert_outcomes(passed=1)
    run(source.format(3)).assert_outcomes(failed=1)


def test_with_a_gallery_both_are_made(run, pytester, summary_of):
    result = run(many(2), "--lens-update", "--lens-gallery=out")
    index = pytester.path / "out" / "index.html"
    assert summary_of(result) == [
        "7 forward passes of 6 tests logged",
        f"6 graphs drawn in {index}",
        "7 snapshots written",
    ]


@pytest.mark.long
def test_workers_tell_of_another_order(run, summary_of):
    pytest.importorskip("xdist")
    run(ORDER, "--lens-update")
    alone, shared = run(REORDERED), run(REORDERED, "-n", "2", fresh=True)
    assert summary_of(alone) == summary_of(shared)
    assert summary_of(alone)[1].startswith("order of independent ops changed in 1 snapshot ")
