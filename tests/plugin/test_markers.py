"""The marker ``lens_validate``: where it may stand, what it takes, and what it says of anything else."""

import pytest

from pytest_torchlens.markers import settings_of

ARGUMENTS = "It takes checks=, rtol=, atol=, grad=, seed=."
CHECKS = "The checks are 'transparency', 'replay'."


def settings(pytester, marker):
    """The settings of a test with that marker, without running it."""
    return settings_of(pytester.getitem(f"import pytest\n{marker}\ndef test_func(): pass"))


def test_unmarked(pytester):
    assert settings(pytester, "") is None


def test_another_marker(pytester):
    assert settings(pytester, "@pytest.mark.skip") is None


def test_without_arguments(pytester):
    assert settings(pytester, "@pytest.mark.lens_validate").arguments == {}


def test_all_arguments(pytester):
    found = settings(
        pytester,
        "@pytest.mark.lens_validate(checks=['replay'], rtol=1e-3, atol=1e-4, grad=False, seed=3)",
    )
    assert found.arguments == {
        "checks": ["replay"],
        "rtol": 1e-3,
        "atol": 1e-4,
        "grad": False,
        "random_seed": 3,
    }


def test_a_check_by_name_alone(pytester):
    assert settings(pytester, "@pytest.mark.lens_validate(checks='replay')").arguments == {
        "checks": "replay"
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("chekcs=['replay']", f"does not take chekcs. {ARGUMENTS}"),
        ("'replay'", f"does not take 'replay'. {ARGUMENTS}"),
        ("3, rtoll=0, seed=1", f"does not take 3, rtoll. {ARGUMENTS}"),
        ("checks=['replay', 'reply']", f"names 'reply', which is no check. {CHECKS}"),
        ("checks='reply'", f"names 'reply', which is no check. {CHECKS}"),
        ("checks=3", f"names 3, which is no check. {CHECKS}"),
        ("checks=[['replay']]", f"names ['replay'], which is no check. {CHECKS}"),
        ("checks=[]", f"names no check. {CHECKS}"),
    ],
)
def test_wrong_arguments_are_usage_errors(run, arguments, message):
    result = run(f"@pytest.mark.lens_validate({arguments})\ndef test_relu(lens): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: test_it.py::test_relu: the marker lens_validate {message}" in result.errlines
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


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
        @pytest.mark.lens_validate({})
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
