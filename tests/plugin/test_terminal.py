"""The lines at the end of a run."""

from pathlib import Path

import pytest

from pytest_torchlens.gallery.run import Drawn
from pytest_torchlens.records import PassData, SnapshotData
from pytest_torchlens.terminal import Leftovers, Summary, lines_of

OUT = Path("out")


def one(test="test_it.py::test", valid=None):
    return PassData(test, "Net", 3, 40, "passed", valid)


@pytest.mark.parametrize(
    ("passes", "line"),
    [
        ([one()], "1 forward pass of 1 test logged"),
        ([one(), one()], "2 forward passes of 1 test logged"),
        ([one("a"), one("b"), one("b")], "3 forward passes of 2 tests logged"),
        ([one(valid=True)], "1 forward pass of 1 test logged, 1 validated"),
        ([one(valid=False)], "1 forward pass of 1 test logged, 1 not valid"),
        (
            [one("a", True), one("b", False), one("c", True), one("d")],
            "4 forward passes of 4 tests logged, 2 validated, 1 not valid",
        ),
    ],
)
def test_what_was_logged(passes, line):
    assert lines_of(Summary(passes), None) == [line]


def test_nothing_logged_says_nothing():
    assert lines_of(Summary(), None) == []


def test_nothing_logged_for_a_gallery():
    assert lines_of(Summary(), Drawn(OUT)) == ["no forward pass was logged: nothing to draw"]


@pytest.mark.parametrize(
    ("drawn", "line"),
    [
        (Drawn(OUT, 1), f"1 graph drawn in {OUT / 'index.html'}"),
        (Drawn(OUT, 3, 2), f"3 graphs drawn in {OUT / 'index.html'}, 2 of them before"),
    ],
)
def test_where_the_gallery_is(drawn, line):
    assert lines_of(Summary([one()]), drawn)[1:] == [line]


def test_what_could_not_be_drawn_in_a_fixed_order():
    drawn = Drawn(OUT, 1, troubles=["no picture of b: no engine", "no picture of a: too large"])
    assert lines_of(Summary([one()]), drawn)[2:] == [
        "no picture of a: too large",
        "no picture of b: no engine",
    ]


# -- snapshots ---------------------------------------------------------------------------------------


def checks(*results, reordered=0):
    return [SnapshotData("", f"{n}.lens", result, n < reordered) for n, result in enumerate(results)]


@pytest.mark.parametrize(
    ("results", "lines"),
    [
        (["same"], ["1 snapshot compared"]),
        (["same"] * 5 + ["changed", "changed", "missing"], ["7 snapshots compared, 2 changed, 1 missing"]),
        (["missing"], ["0 snapshots compared, 1 missing"]),
        (["unusable", "same"], ["1 snapshot compared, 1 not compared"]),
        (["written", "written", "updated"], ["2 snapshots written, 1 updated"]),
        (["updated"], ["1 snapshot updated"]),
        (["written", "same", "changed"], ["2 snapshots compared, 1 changed", "1 snapshot written"]),
    ],
)
def test_what_was_compared(results, lines):
    assert lines_of(Summary([], checks(*results)), None) == lines


def test_another_order_is_told_with_its_files():
    order = "order of independent ops changed in"
    assert lines_of(Summary([], checks("same", "same", reordered=1)), None) == [
        "2 snapshots compared",
        f"{order} 1 snapshot (--lens-strict fails for it): 0.lens",
    ]
    assert lines_of(Summary([], checks("same", "same", reordered=2)), None) == [
        "2 snapshots compared",
        f"{order} 2 snapshots (--lens-strict fails for it):",
        "  0.lens",
        "  1.lens",
    ]


def test_snapshots_after_passes():
    assert lines_of(Summary([one()], checks("same")), None) == [
        "1 forward pass of 1 test logged",
        "1 snapshot compared",
    ]


@pytest.mark.parametrize(
    ("leftovers", "lines"),
    [
        ({}, []),
        ({"obsolete": ["a.lens"]}, ["1 snapshot obsolete (--lens-prune removes): a.lens"]),
        (
            {"obsolete": ["b.lens", "a.lens"]},
            ["2 snapshots obsolete (--lens-prune removes):", "  a.lens", "  b.lens"],
        ),
        ({"removed": ["a.lens"]}, ["1 snapshot obsolete and removed: a.lens"]),
        ({"stuck": ["a.lens"]}, ["1 snapshot obsolete, and could not be removed: a.lens"]),
        ({"unknown": ["a.lens"]}, ["1 snapshot of unknown tests, left alone: a.lens"]),
        (
            {"kept_since": "not all tests were run"},
            ["--lens-prune removed nothing: not all tests were run"],
        ),
    ],
)
def test_leftovers(leftovers, lines):
    assert lines_of(Summary([], [], Leftovers(**leftovers)), None) == lines


def test_long_lists_are_cut():
    files = [f"{n:02}.lens" for n in range(13)]
    lines = lines_of(Summary([], [], Leftovers(obsolete=files)), None)
    assert lines == [
        "13 snapshots obsolete (--lens-prune removes):",
        *(f"  {file}" for file in files[:10]),
        "  … and 3 more",
    ]
    assert lines_of(Summary([], [], Leftovers(obsolete=files[:10])), None)[-1] == "  09.lens"


# -- in a run ----------------------------------------------------------------------------------------


def test_at_the_end_of_a_run(run, summary_of):
    source = """
        @pytest.mark.lens_validate
        @pytest.mark.parametrize("model", [Doubled(), Numpy()])
        def test_net(lens, model):
            lens(model, torch.ones(2))

        def test_unmarked(lens):
            lens(Doubled(), torch.ones(2))
    """
    assert summary_of(run(source)) == ["2 forward passes of 2 tests logged, 1 validated, 1 not valid"]


def test_is_silent_where_nothing_is_logged(run):
    result = run("def test_sum(): assert 1 + 1 == 2", "-v")
    result.assert_outcomes(passed=1)
    assert [
        line for line in result.outlines if "torchlens" in line and not line.startswith("plugins:")
    ] == []
