"""The marker ``lens_validate``: where it may stand, what it takes, and what it says of anything else."""

import pytest

from pytest_torchlens.items import ModelItem
from pytest_torchlens.markers import settings_of
from torchlens_core.validate import CHECKS

ARGUMENTS = "It takes checks=, rtol=, atol=, grad=, seed=."
MODEL_ARGUMENTS = "It takes checks=, rtol=, atol=, grad=, seed=, inputs=, init=."
KNOWN = f"The checks are {', '.join(map(repr, CHECKS))}."
MISPLACED = (
    "for marks on nn.Module classes alone: a test function builds and runs its models itself, "
    "lens(model, inputs)."
)


def settings(pytester, marker, *options):
    """The settings of a test with that marker, without running it."""
    source = f"import pytest\n{marker}\ndef test_func(): pass"
    module = pytester.getmodulecol(source, configargs=options)
    return settings_of(pytester.collect_by_name(module, "test_func"))


def test_unmarked(pytester):
    assert settings(pytester, "") is None


def test_another_marker(pytester):
    assert settings(pytester, "@pytest.mark.skip") is None


def test_without_arguments(pytester):
    assert settings(pytester, "@pytest.mark.lens_validate").validation == {}


def test_all_arguments(pytester):
    found = settings(
        pytester,
        "@pytest.mark.lens_validate(checks=['replay'], rtol=1e-3, atol=1e-4, grad=False, seed=3)",
    )
    assert found.validation == {
        "checks": ["replay"],
        "rtol": 1e-3,
        "atol": 1e-4,
        "grad": False,
        "random_seed": 3,
    }


def test_a_check_by_name_alone(pytester):
    assert settings(pytester, "@pytest.mark.lens_validate(checks='replay')").validation == {
        "checks": "replay"
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("chekcs=['replay']", f"does not take chekcs. {ARGUMENTS}"),
        ("'replay'", f"does not take 'replay'. {ARGUMENTS}"),
        ("3, rtoll=0, seed=1", f"does not take 3, rtoll. {ARGUMENTS}"),
        ("checks=['replay', 'reply']", f"names 'reply', which is no check. {KNOWN}"),
        ("checks='reply'", f"names 'reply', which is no check. {KNOWN}"),
        ("checks=3", f"names 3, which is no check. {KNOWN}"),
        ("checks=[['replay']]", f"names ['replay'], which is no check. {KNOWN}"),
        ("checks=[]", f"names no check. {KNOWN}"),
        ("rtol=-1", "has rtol=-1. Expected a finite number, 0 or more."),
        ("atol='1'", "has atol='1'. Expected a finite number, 0 or more."),
        ("grad='auto'", "has grad='auto'. Expected True, False or None."),
        ("seed=1.5", "has seed=1.5. Expected an int of 64 bits, or None."),
        ("inputs=(2,)", f"has inputs=, {MISPLACED}"),
        ("rtol=-1, inputs=(2,), init={}", f"has inputs= and init=, {MISPLACED}"),
    ],
)
def test_wrong_arguments_are_usage_errors(run, arguments, message):
    result = run(f"@pytest.mark.lens_validate({arguments})\ndef test_relu(lens): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: test_it.py::test_relu: the marker lens_validate {message}" in result.errlines
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("input=(2,)", f"does not take input. {MODEL_ARGUMENTS}"),
        ("(2,)", f"does not take (2,). {MODEL_ARGUMENTS}"),
        (
            "inputs=2",
            "has inputs=2. Expected a shape such as (1, 3, 32, 32), a list of shapes, or a callable that "
            "returns the arguments.",
        ),
        (
            "init=2",
            "has init=2. Expected a dict of named arguments, or a tuple or list of positional ones.",
        ),
        ("inputs=(2,), rtol=-1", "has rtol=-1. Expected a finite number, 0 or more."),
    ],
)
def test_wrong_arguments_on_a_model_class(run, arguments, message):
    result = run(f"@pytest.mark.lens_validate({arguments})\nclass Net(Doubled): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: test_it.py::Net: the marker lens_validate {message}" in result.errlines
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_a_model_class_cannot_be_parametrized(run):
    source = "{}@pytest.mark.lens_validate(inputs=(2,))\nclass Net(Doubled): pass"
    result = run(source.format("@pytest.mark.parametrize('x', [1, 2])\n"))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert (
        "ERROR: test_it.py::Net: a model class marked lens_validate is one test, which parametrize cannot "
        "multiply. Mark a subclass for each case, or log the model in a test function."
    ) in result.errlines
    run(source.format("")).assert_outcomes(passed=1)


MISPLACED_ON = """
class Net(Doubled):
    pass

{}
class TestNet:
    def test_net(self, lens):
        lens(Net(), torch.ones(2))
"""


@pytest.mark.parametrize(
    "source",
    [
        "pytestmark = pytest.mark.lens_validate(inputs=(2,))\ndef test_net(): pass",
        MISPLACED_ON.format("@pytest.mark.lens_validate(inputs=(2,))"),
    ],
)
def test_arguments_of_models_around_tests(run, source):
    result = run(source)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *::test_net: the marker lens_validate has inputs=, {MISPLACED}"])
    run(MISPLACED_ON.format("@pytest.mark.lens_validate")).assert_outcomes(passed=1)


# -- what the command line and the ini file say ------------------------------------------------------


def test_the_marker_wins_for_each_argument(pytester):
    pytester.makeini("[pytest]\nlens_rtol = 1\nlens_atol = 2\nlens_seed = 3\nlens_grad = yes")
    found = settings(pytester, "@pytest.mark.lens_validate(rtol=0.5, grad=None)", "--lens-atol=4")
    assert found.validation == {"rtol": 0.5, "atol": 4.0, "grad": None, "random_seed": 3}


@pytest.mark.parametrize(("arguments", "checks"), [("checks=None", None), ("", ["replay"])])
def test_none_in_the_marker_is_all_checks(pytester, arguments, checks):
    found = settings(pytester, f"@pytest.mark.lens_validate({arguments})", "--lens-checks=replay")
    assert found.validation == {"checks": checks}


def test_options_mark_nothing(pytester):
    assert settings(pytester, "", "--lens-checks=replay") is None


def test_arguments_of_a_model_class(pytester):
    source = """
        import pytest
        from torch import nn

        @pytest.mark.lens_validate(inputs=(2,), init={"inplace": True}, rtol=1)
        class Net(nn.ReLU):
            pass
    """
    module = pytester.getmodulecol(source, configargs=["--lens-atol=4"])
    item = pytester.collect_by_name(module, "Net")
    assert isinstance(item, ModelItem)
    found = settings_of(item)
    assert found.validation == {"rtol": 1, "atol": 4.0}
    assert (found.inputs, found.init) == ((2,), {"inplace": True})


# -- where it stands ---------------------------------------------------------------------------------


def test_strict_markers_know_it(run):
    result = run(
        "@pytest.mark.lens_validate\ndef test_relu(lens): lens(Doubled(), torch.ones(2))",
        "--strict-markers",
    )
    result.assert_outcomes(passed=1)


def test_strict_markers_refuse_another(run):
    result = run("@pytest.mark.lens_valdate\ndef test_relu(): pass", "--strict-markers")
    result.stdout.fnmatch_lines(["*'lens_valdate' not found in `markers` configuration option*"])
    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_is_listed(pytester):
    pytester.runpytest_inprocess("--markers").stdout.fnmatch_lines(
        [
            "@pytest.mark.lens_validate(checks=None, rtol=0.0, *): validate every forward pass that the test logs; *"
        ]
    )


# Counter fails the check of transparency alone, so it tells which settings were followed.
LOG = "def test_count(self, lens): lens(Counter(), torch.ones(2))"


def test_on_a_module(run):
    run(f"pytestmark = pytest.mark.lens_validate\nclass TestNet:\n    {LOG}").assert_outcomes(failed=1)


def test_on_a_class(run):
    run(f"@pytest.mark.lens_validate\nclass TestNet:\n    {LOG}").assert_outcomes(failed=1)


def test_nowhere(run):
    run(f"class TestNet:\n    {LOG}").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("module", "klass", "function", "is_valid"),
    [
        ("", "", "checks='replay'", True),
        ("", "checks='replay'", "", False),
        ("checks='replay'", "", None, False),
        ("", "checks='replay'", None, True),
        ("", "", None, False),
    ],
)
def test_the_closest_wins(run, module, klass, function, is_valid):
    own = "" if function is None else f"@pytest.mark.lens_validate({function})\n    "
    result = run(
        f"pytestmark = pytest.mark.lens_validate({module})\n"
        f"@pytest.mark.lens_validate({klass})\nclass TestNet:\n    {own}{LOG}"
    )
    result.assert_outcomes(**{"passed" if is_valid else "failed": 1})


def test_a_tolerance_is_followed(run):
    source = """
        @pytest.mark.lens_validate(checks="transparency", {})
        def test_count(lens):
            lens(Counter(), torch.ones(2))
    """
    run(source.format("atol=5.0")).assert_outcomes(passed=1)
    run(source.format("atol=0.5")).assert_outcomes(failed=1)


def test_a_seed_is_followed(run):
    result = run(
        """
        class Noted(torch.nn.Module):
            first = []

            def forward(self, x):
                noise = torch.rand(2)
                self.first.append(float(noise[0]))
                return x + noise

        @pytest.mark.lens_validate(seed=3)
        def test_noise(lens):
            lens(Noted(), torch.ones(2))
            torch.manual_seed(3)
            wanted = float(torch.rand(2)[0])
            assert Noted.first[0] == wanted
            assert Noted.first[-1] != wanted  # the pass itself is the test's own
        """
    )
    result.assert_outcomes(passed=1)
