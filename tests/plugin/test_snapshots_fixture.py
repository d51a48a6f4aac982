"""The fixture ``lens_snapshot``: what can be checked, under which names, and what is said of other arguments."""

import pytest
from plugin.snapshot_project import FILE, said_of, snapshots_in

CHECKS = """
@pytest.mark.parametrize("size", [2, 3])
def test_graph(lens, lens_snapshot, size):
    lens_snapshot.check(lens(Doubled(), torch.ones(size)))
    lens_snapshot.check(lens(torch.nn.ReLU(), torch.ones(size)), name="relu")
    lens_snapshot.check(lens(torch.nn.Tanh(), torch.ones(size)))
    lens_snapshot.check(lens(torch.nn.Tanh(), torch.ones(size)))

class TestNet:
    def test_graph(self, lens, lens_snapshot):
        lens_snapshot.check(lens(Doubled(), torch.ones(2)))
"""


def one(call):
    """A test of one check."""
    return f"def test_graph(lens, lens_snapshot):\n    history = lens(Doubled(), torch.ones(4, 2))\n    {call}\n"


def test_a_file_for_each_check_and_test(run, pytester, summary_of):
    result = run(CHECKS, "--lens-update")
    assert summary_of(result) == ["9 snapshots written"]
    names = [
        "test_graph-{}.lens",
        "test_graph-{}@2.lens",
        "test_graph-{}@3.lens",
        "test_graph-{}@relu.lens",
    ]
    expected = [name.format(size) for size in (2, 3) for name in names]
    found = [path.rpartition("/")[2] for path in snapshots_in(pytester.path)]
    assert sorted(found) == sorted(["TestNet.test_graph.lens", *expected])
    result = run(CHECKS)
    result.assert_outcomes(passed=3)
    assert summary_of(result) == ["9 snapshots compared"]


def test_each_file_is_compared_with_its_own_check(run, pytester):
    run(CHECKS, "--lens-update")
    for path in snapshots_in(pytester.path):
        file = pytester.path / path
        text = file.read_text()
        file.write_text(text.replace("f32[", "f64["))
        run(CHECKS).assert_outcomes(passed=2, failed=1)
        file.write_text(text)
    run(CHECKS).assert_outcomes(passed=3)


def test_the_first_mismatch_fails_the_test(run, pytester):
    source = CHECKS.replace('name="relu")', "name='relu')\n    print('went', 'on')")
    result = run(source, "-s")
    result.assert_outcomes(failed=3)
    result.stdout.no_fnmatch_line("*went on*")
    received = [path.name for path in (pytester.path / ".pytest_cache/d/lens").rglob("*.lens")]
    assert sorted(received) == ["TestNet.test_graph.lens", "test_graph-2.lens", "test_graph-3.lens"]


def test_numbers_go_on_after_checks_that_were_caught(run, pytester):
    source = one(
        "with pytest.raises(pytest.fail.Exception): lens_snapshot.check(history)\n    lens_snapshot.check(history)"
    )
    assert said_of(run(source).outlines)[0].endswith("test_graph@2.lens")


def test_an_unmarked_test_notes_no_passes(run, summary_of):
    assert summary_of(run(one("lens_snapshot.check(history)"), "--lens-update")) == ["1 snapshot written"]


def test_a_snapshot_may_be_handed_over(run, pytester):
    run(one("lens_snapshot.check(history)"), "--lens-update")
    taken = "from torchlens_core.snapshot import take_snapshot\n"
    call = "lens_snapshot.check(take_snapshot(history{}))"
    run(taken + one(call.format(""))).assert_outcomes(passed=1)
    run(taken + one(call.format(", batch=4"))).assert_outcomes(failed=1)


def test_sizes_of_the_batch(run, pytester):
    call = "lens_snapshot.check(history, batch={})"
    run(one(call.format(4)), "--lens-update")
    assert "f32[B, 2]" in (pytester.path / FILE).read_text()
    run(one(call.format(4))).assert_outcomes(passed=1)
    run(one(call.format(3)).replace("4, 2", "3, 2")).assert_outcomes(passed=1)
    run(one(call.format("None"))).assert_outcomes(failed=1)


# -- other arguments ---------------------------------------------------------------------------------

SNAPSHOT = "__import__('torchlens_core.snapshot').snapshot.take_snapshot(history)"
IGNORE = (
    "Expected 'breaking', 'shape', 'order', patterns of addresses of modules such as 'layer4.*', "
    "or a list of them."
)
NAME = "Expected up to 40 letters, digits, '_', '-' and '.'."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "Doubled()",
            "was given an object of type Doubled. Expected the history of a forward pass: "
            "lens_snapshot.check(lens(model, inputs)).",
        ),
        (
            "None",
            "was given an object of type NoneType. Expected the history of a forward pass: "
            "lens_snapshot.check(lens(model, inputs)).",
        ),
        (
            f"{SNAPSHOT}, batch=2",
            "has batch=2 for a snapshot that was taken before. Give batch= to take_snapshot, or hand over the "
            "history.",
        ),
        ("history, name='../x'", f"has name='../x'. {NAME}"),
        ("history, name='a/b'", f"has name='a/b'. {NAME}"),
        ("history, name=''", f"has name=''. {NAME}"),
        ("history, name=3", f"has name=3. {NAME}"),
        (
            "history, name='nul'",
            "has name='nul', which some file systems keep for themselves. Choose another.",
        ),
        (
            "history, name='2'",
            "has name='2', but numbers are for checks without a name. Choose a name with a letter.",
        ),
        ("history, ignore=3", f"has ignore=3. {IGNORE}"),
        ("history, batch=0", "has batch=0. Expected an int, 1 or more, or None."),
        ("history, batch=True", "has batch=True. Expected an int, 1 or more, or None."),
    ],
)
def test_arguments_that_cannot_be_used(run, pytester, arguments, message):
    result = run(one(f"lens_snapshot.check({arguments})"), "--lens-update")
    result.assert_outcomes(failed=1)
    assert f"E       torchlens_core.errors.ArgumentError: lens_snapshot.check {message}" in result.outlines
    assert f">       lens_snapshot.check({arguments})" in result.outlines
    result.stdout.no_fnmatch_line("*fixture.py*")
    assert snapshots_in(pytester.path) == {}
    assert not list(pytester.path.rglob("x*.lens"))


@pytest.mark.parametrize(("second", "is_refused"), [("a", True), ("A", True), ("b", False)])
def test_a_name_is_for_one_check(run, second, is_refused):
    result = run(
        one(f"lens_snapshot.check(history, 'a'); lens_snapshot.check(history, {second!r})"), "--lens-update"
    )
    result.assert_outcomes(**{"failed" if is_refused else "passed": 1})
    said = f"lens_snapshot.check has name='{second}', as an earlier check of this test. Choose another."
    assert any(said in line for line in result.outlines) is is_refused


def test_is_listed_with_what_it_does(pytester):
    result = pytester.runpytest_inprocess("--fixtures")
    result.stdout.fnmatch_lines(
        [
            "lens_snapshot -- *plugin.py:*",
            "    ``lens_snapshot.check(history)`` compares a graph with the snapshot *",
        ]
    )
