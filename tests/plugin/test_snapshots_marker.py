"""The marker ``lens_snapshot``: every pass that a test logs, in order; a model class that is a test itself."""

import pytest
from plugin.snapshot_project import said_of, snapshots_in

from pytest_torchlens.markers import SnapshotSettings, settings_of

LOGS_TWO = """
@pytest.mark.lens_snapshot{}
def test_graph(lens):
    lens(Doubled(), torch.ones(4))
    tl.log_forward_pass(torch.nn.ReLU(), torch.ones(4))
"""
NET = "@pytest.mark.lens_snapshot(inputs=(4,))\nclass Net(Doubled): pass\n"
ARGUMENTS = "It takes ignore=, batch=."
MODEL_ARGUMENTS = "It takes ignore=, batch=, inputs=, init=."


def names(pytester):
    return [path.rpartition("/")[2] for path in snapshots_in(pytester.path)]


# -- its settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("", SnapshotSettings()),
        ("(ignore='order')", SnapshotSettings(("order",))),
        ("(ignore=['shape', 'a.*'], batch=3)", SnapshotSettings(("shape", "a.*"), 3)),
    ],
)
def test_arguments(pytester, arguments, found):
    item = pytester.getitem(f"import pytest\n@pytest.mark.lens_snapshot{arguments}\ndef test_func(): pass")
    assert settings_of(item).snapshots == found
    assert settings_of(item).validation is None


def test_with_a_validation(pytester):
    marks = "@pytest.mark.lens_snapshot(batch=2)\n@pytest.mark.lens_validate(rtol=1)"
    found = settings_of(pytester.getitem(f"import pytest\n{marks}\ndef test_func(): pass"))
    assert found.snapshots == SnapshotSettings(batch=2)
    assert found.validation == {"rtol": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("ignored='order'", f"does not take ignored. {ARGUMENTS}"),
        ("'order'", f"does not take 'order'. {ARGUMENTS}"),
        ("rtol=1", f"does not take rtol. {ARGUMENTS}"),
        (
            "ignore=1",
            "has ignore=1. Expected 'breaking', 'shape', 'order', patterns of addresses of modules such as "
            "'layer4.*', or a list of them.",
        ),
        ("batch=0", "has batch=0. Expected an int, 1 or more, or None."),
        (
            "inputs=(2,)",
            "has inputs=, for marks on nn.Module classes alone: a test function builds and runs its models itself, "
            "lens(model, inputs).",
        ),
    ],
)
def test_wrong_arguments_are_usage_errors(run, arguments, message):
    result = run(f"@pytest.mark.lens_snapshot({arguments})\ndef test_relu(lens): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: test_it.py::test_relu: the marker lens_snapshot {message}" in result.errlines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("input=(2,)", f"does not take input. {MODEL_ARGUMENTS}"),
        ("inputs=(2,), seed=3", f"does not take seed. {MODEL_ARGUMENTS}"),
        ("inputs=(2,), batch='2'", "has batch='2'. Expected an int, 1 or more, or None."),
        (
            "init=2",
            "has init=2. Expected a dict of named arguments, or a tuple or list of positional ones.",
        ),
    ],
)
def test_wrong_arguments_on_a_model_class(run, arguments, message):
    result = run(f"@pytest.mark.lens_snapshot({arguments})\nclass Net(Doubled): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: test_it.py::Net: the marker lens_snapshot {message}" in result.errlines


def test_a_model_class_cannot_be_parametrized(run):
    result = run(f"@pytest.mark.parametrize('x', [1, 2])\n{NET}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *::Net: a model class marked lens_snapshot is one test, *"])


def test_is_listed(pytester):
    pytester.runpytest_inprocess("--markers").stdout.fnmatch_lines(
        ["@pytest.mark.lens_snapshot(ignore=(), batch=None): compare the graph of every forward pass *"]
    )


def test_strict_markers_know_it(run):
    run(LOGS_TWO.format(""), "--strict-markers", "--lens-update").assert_outcomes(passed=1)


# -- passes ------------------------------------------------------------------------------------------


def test_every_pass_in_order(run, pytester, summary_of):
    result = run(LOGS_TWO.format(""), "--lens-update")
    assert summary_of(result) == ["2 forward passes of 1 test logged", "2 snapshots written"]
    first, second = snapshots_in(pytester.path).values()
    assert ("mul(" in first, "relu(" in first) == (True, False)
    assert ("mul(" in second, "relu(" in second) == (False, True)
    assert names(pytester) == ["test_graph.lens", "test_graph@2.lens"]
    run(LOGS_TWO.format("")).assert_outcomes(passed=1)


def test_every_pass_that_differs_is_told(run, pytester):
    said = said_of(run(LOGS_TWO.format("")).outlines)
    missing = [line for line in said if line.startswith("no snapshot of this graph")]
    assert [line.rpartition("/")[2] for line in missing] == ["test_graph.lens", "test_graph@2.lens"]


def test_one_that_is_gone_or_new_fails(run):
    run(LOGS_TWO.format(""), "--lens-update")
    swapped = LOGS_TWO.format("").replace("Doubled", "torch.nn.ReLU")
    said = said_of(run(swapped).outlines)
    assert [line for line in said if line.startswith("expected: ")] == [
        "expected: __lens__/test_it/test_graph.lens"
    ]
    three = LOGS_TWO.format("") + "    lens(Doubled(), torch.ones(4))\n"
    assert said_of(run(three).outlines)[0].endswith("there is no __lens__/test_it/test_graph@3.lens")


def test_a_test_that_logs_nothing_fails(run):
    result = run("@pytest.mark.lens_snapshot\ndef test_graph(): pass", "--lens-update")
    result.assert_outcomes(failed=1)
    assert said_of(result.outlines) == [
        "The test is marked lens_snapshot, but logged no forward pass. "
        "Log one with the fixture lens, lens(model, inputs), or with torchlens_core.log_forward_pass."
    ]


def test_the_failure_of_the_test_itself_goes_first(run, pytester):
    result = run(LOGS_TWO.format("") + "    assert False, 'own words'", "--lens-update")
    result.stdout.fnmatch_lines(["E*own words*"])
    assert names(pytester) == []


def test_its_arguments_are_followed(run, pytester):
    run(LOGS_TWO.format("(batch=4)"), "--lens-update")
    assert all("f32[B]" in text for text in snapshots_in(pytester.path).values())
    other = LOGS_TWO.replace("ones(4)", "ones(5)")
    run(other.format("(batch=5)")).assert_outcomes(passed=1)
    run(other.format("")).assert_outcomes(failed=1)
    run(other.format("(ignore=['shape', 'breaking'])")).assert_outcomes(passed=1)


def test_with_the_fixture_the_numbers_go_on(run, pytester):
    source = """
        @pytest.mark.lens_snapshot
        def test_graph(lens, lens_snapshot):
            lens_snapshot.check(lens(Doubled(), torch.ones(2)), "own")
            lens_snapshot.check(lens(Doubled(), torch.ones(2)))
    """
    run(source, "--lens-update").assert_outcomes(passed=1)
    assert names(pytester) == [
        "test_graph.lens",
        "test_graph@2.lens",
        "test_graph@3.lens",
        "test_graph@own.lens",
    ]
    run(source).assert_outcomes(passed=1)


def test_on_a_class_and_a_module(run, pytester):
    body = "def test_graph(self, lens): lens(Doubled(), torch.ones(2))"
    run(f"pytestmark = pytest.mark.lens_snapshot\nclass TestNet:\n    {body}", "--lens-update")
    assert names(pytester) == ["TestNet.test_graph.lens"]
    run(f"@pytest.mark.lens_snapshot\nclass TestNet:\n    {body}").assert_outcomes(passed=1)
    run(f"@pytest.mark.lens_snapshot\nclass TestOther:\n    {body}").assert_outcomes(failed=1)


@pytest.mark.parametrize("marks", ["{0}\n{1}", "{1}\n{0}"])
def test_with_a_validation_both_count(run, pytester, marks):
    both = marks.format("@pytest.mark.lens_snapshot", "@pytest.mark.lens_validate")
    source = both + "\ndef test_graph(lens): lens({}(), torch.ones(2))"
    run(source.format("Doubled"), "--lens-update").assert_outcomes(passed=1)
    run(source.format("Doubled")).assert_outcomes(passed=1)
    result = run(source.format("Numpy"))
    result.assert_outcomes(failed=1)
    said = said_of(result.outlines)
    assert said[0].startswith("Validation of Numpy: ")
    assert "expected: __lens__/test_it/test_graph.lens" in said


def test_histories_are_not_kept(run):
    source = """
        import gc, weakref
        refs = []

        @pytest.mark.lens_snapshot
        def test_graph(lens):
            refs.append(weakref.ref(tl.log_forward_pass(Doubled(), torch.ones(4))))
            gc.collect()
            assert refs[0]() is None
            kept = tl.log_forward_pass(Doubled(), torch.ones(4))
            refs.append(weakref.ref(kept))
            gc.collect()
            assert refs[1]() is not None
    """
    run(source, "--lens-update").assert_outcomes(passed=1)


# -- model classes -----------------------------------------------------------------------------------


def test_a_model_class(run, pytester, summary_of):
    result = run(NET, "--lens-update", "-v")
    result.stdout.fnmatch_lines(["test_it.py::Net PASSED*"])
    assert summary_of(result) == ["1 forward pass of 1 test logged", "1 snapshot written"]
    assert names(pytester) == ["Net.lens"]
    run(NET).assert_outcomes(passed=1)
    run(NET.replace("(4,)", "(5,)")).assert_outcomes(failed=1)


def test_a_model_class_is_built_and_run_as_for_a_validation(run):
    source = "@pytest.mark.lens_snapshot({})\nclass Net(Scaled): pass"
    run(
        source.format("init=(2,), inputs=lambda: {'x': torch.ones(2), 'shift': 1.0}"), "--lens-update"
    ).assert_outcomes(passed=1)
    result = run(source.format("init=(2,)"))
    result.stdout.fnmatch_lines(["Net is marked to be run, but nothing says on what."])
    result = run(source.format("inputs=(2,)"))
    result.stdout.fnmatch_lines(["Net cannot be built by Net(): *"])


BOTH = """
@pytest.mark.lens_snapshot({})
@pytest.mark.lens_validate({})
class Net(Scaled): pass
"""


@pytest.mark.parametrize(
    ("snapshot", "validate"),
    [
        ("inputs=(2,), init=(2,)", ""),
        ("", "inputs=(2,), init=(2,)"),
        ("inputs=(2,)", "init=(2,)"),
        ("init=(2,)", "inputs=(2,)"),
        ("inputs=(3,), init=(3,)", "inputs=(2,), init=(2,)"),  # the closer one wins
    ],
)
def test_either_mark_may_say_what_a_model_class_is_run_on(run, pytester, summary_of, snapshot, validate):
    result = run(BOTH.format(snapshot, validate), "--lens-update")
    result.assert_outcomes(passed=1)
    assert summary_of(result) == ["1 forward pass of 1 test logged, 1 validated", "1 snapshot written"]
    (text,) = snapshots_in(pytester.path).values()
    assert "f32[2]" in text


def test_both_marks_of_a_model_class_count(run):
    source = BOTH.format("inputs=(2,)", "checks='replay'").replace("Scaled", "{}")
    run(source.format("Doubled"), "--lens-update").assert_outcomes(passed=1)
    run(source.format("Doubled")).assert_outcomes(passed=1)
    run(source.format("Numpy"), "--lens-update").assert_outcomes(failed=1)


def test_arguments_of_two_marks_are_not_compared(run):
    """Tensors and the like have no truth value."""
    run(
        BOTH.format("inputs=(2,)", "init=[torch.tensor(2), torch.ones(2)]"), "--lens-update"
    ).assert_outcomes(passed=1)


def test_subclasses_need_a_mark_of_their_own(run):
    run(f"{NET}class Sub(Net): pass", "--lens-update").assert_outcomes(passed=1)
