"""What is gathered of a run, with tests that are run again."""

import json
from types import SimpleNamespace

import pytest

from pytest_torchlens.gathering import Gathered, Gatherer, note_collected, send
from pytest_torchlens.records import ATTRIBUTE, Records, SnapshotData


def report(nodeid, outcome="passed", results=("same",)):
    """The report of a teardown."""
    checks = [SnapshotData("", f"{n}.lens", result) for n, result in enumerate(results)]
    return SimpleNamespace(nodeid=nodeid, **{ATTRIBUTE: Records(nodeid, [], outcome, checks).as_data()})


@pytest.fixture
def gathered():
    return Gathered()


@pytest.fixture
def gatherer(gathered):
    return Gatherer(gathered)


def test_reports_are_gathered_in_order(gathered, gatherer):
    for name in "ba":
        gatherer.pytest_runtest_logreport(report(name))
    gatherer.pytest_runtest_logreport(SimpleNamespace(nodeid="b"))
    assert list(gathered.done) == ["b", "a"]
    assert len(gathered.snapshots) == 2
    assert gathered.passes == []


def test_the_last_run_of_a_test_counts(gathered, gatherer):
    for name, outcome, results in (
        ("a", "failed", ["changed", "same"]),
        ("b", "passed", []),
        ("a", "passed", ["same"]),
    ):
        gatherer.pytest_runtest_logreport(report(name, outcome, results))
    assert list(gathered.done) == ["b", "a"]
    assert gathered.done["a"].outcome == "passed"
    assert [one.result for one in gathered.snapshots] == ["same"]


@pytest.mark.parametrize(
    ("node", "error"),
    [
        (SimpleNamespace(), None),
        (SimpleNamespace(workeroutput={}), None),
        (SimpleNamespace(workeroutput={"torchlens": {"collected": {}, "gaps": []}}), "crashed"),
    ],
)
def test_a_worker_that_did_not_end(gathered, gatherer, node, error):
    gatherer.pytest_testnodedown(node, error)
    assert gathered.gaps == ["a worker crashed"]


@pytest.fixture
def session(pytester):
    """One of two tests, as far as is asked for here."""
    source = pytester.makepyfile(test_it="class TestA:\n    def test_b(self): pass\ndef test_c(): pass")
    return SimpleNamespace(items=pytester.inline_genitems(source)[0])


def test_what_was_collected(pytester, gathered, session):
    note_collected(session, gathered)
    path = str(pytester.path / "test_it.py")
    tests = ["test_it.py::TestA::test_b", "test_it.py::test_c"]
    assert gathered.collected == {test: (test, path) for test in tests}


def test_tests_that_were_taken_away(gathered, gatherer, session):
    for _ in session.items:
        gatherer.pytest_itemcollected()
    gatherer.pytest_collection_finish(session)
    assert gathered.gaps == []
    gatherer.pytest_collection_finish(SimpleNamespace(items=session.items[:1]))
    assert gathered.gaps == ["tests were deselected"]


def test_a_worker_sends_what_its_controller_takes_in(gathered, gatherer):
    worker = Gathered(collected={"a": ("a", "a.py")}, gaps=["tests were deselected"])
    node = SimpleNamespace(workeroutput={})
    send(node, worker)
    gatherer.pytest_testnodedown(
        SimpleNamespace(workeroutput=json.loads(json.dumps(node.workeroutput))), None
    )
    assert gathered == worker


def test_tests_are_listed_only_where_snapshots_are_of_interest(run, pytester):
    pytester.makeconftest(
        """
        from pytest_torchlens.gathering import GATHERED

        def pytest_unconfigure(config):
            with open("count", "w") as stream:
                stream.write(str(len(config.stash[GATHERED].collected)))
        """
    )
    source = "def test_a(lens): lens(Doubled(), torch.ones(2))\n"
    uses = source + "def test_b(lens, lens_snapshot): lens_snapshot.check(lens(Doubled(), torch.ones(2)))"
    for text, options, count in ((source, (), "0"), (source, ("--lens-prune",), "1"), (uses, (), "2")):
        run(text, *options)
        assert (pytester.path / "count").read_text() == count


AGAIN = """
runs = []

def test_net(lens):
    runs.append(lens(Doubled(), torch.ones(2)))
    assert len(runs) == 3
"""


def test_passes_of_a_test_that_is_run_again(run, pytester, summary_of):
    pytest.importorskip("pytest_rerunfailures")
    result = run(AGAIN, "--reruns=2", "--lens-gallery=out")
    assert result.parseoutcomes() == {"passed": 1, "rerun": 2}
    assert summary_of(result)[0] == "1 forward pass of 1 test logged"
