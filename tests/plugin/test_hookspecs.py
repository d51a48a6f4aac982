"""The hook ``pytest_lens_inputs``: what it is told, and whose answer counts."""

import pytest

NET = """
@pytest.mark.lens_validate{}
class Net(Scaled):
    def __init__(self):
        super().__init__(2)

    def forward(self, x, shift=0.0):
        assert not self.training
        return super().forward(x, shift)
"""


def test_a_model_and_its_test(run, pytester):
    pytester.makeconftest(
        """
        import torch

        def pytest_lens_inputs(model, item):
            print("asked", type(model).__name__, list(model.factor.shape), item.nodeid, item.config.rootpath)
            model.eval()
            return torch.ones(2)
        """
    )
    result = run(NET.format(""), "-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"*asked Net [[]2] test_it.py::Net {pytester.path}"])


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("torch.ones(2)", "passed"),
        ("[torch.ones(2), torch.ones(1)]", "passed"),
        ("(torch.ones(2), 3.0)", "passed"),
        ("{'x': torch.ones(2), 'shift': torch.ones(1)}", "passed"),
        ("{'y': torch.ones(2)}", "failed"),
        ("None", "failed"),
    ],
)
def test_answers(run, pytester, answer, outcome):
    pytester.makeconftest(
        f"import torch\ndef pytest_lens_inputs(model):\n    model.eval()\n    return {answer}"
    )
    run(NET.format("")).assert_outcomes(**{outcome: 1})


def test_the_marker_goes_first(run, pytester):
    pytester.makeconftest("def pytest_lens_inputs(model): raise ValueError('asked')")
    source = NET.replace("assert not self.training", "pass")
    run(source.format("(inputs=(2,))")).assert_outcomes(passed=1)
    result = run(source.format(""))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["conftest.py:1: ValueError"])


def test_a_conftest_answers_for_its_folder(pytester, run):
    source = "import pytest, torch\n@pytest.mark.lens_validate\nclass Net(torch.nn.ReLU): pass"
    for folder in ("a", "b"):
        (pytester.mkdir(folder) / f"test_{folder}.py").write_text(source)
    (pytester.path / "a" / "conftest.py").write_text(
        "import torch\ndef pytest_lens_inputs(): return torch.ones(2)"
    )
    result = run("", "-v")
    result.stdout.fnmatch_lines(["a/test_a.py::Net PASSED*", "b/test_b.py::Net FAILED*"])


def test_the_first_answer_counts(run, pytester):
    pytester.makeconftest(
        """
        import pytest
        import torch

        class Second:
            @pytest.hookimpl(trylast=True)
            def pytest_lens_inputs(self):
                raise ValueError("asked")

        def pytest_configure(config):
            config.pluginmanager.register(Second())

        def pytest_lens_inputs(model, item):
            model.eval()
            return None if "Wrong" in item.name else torch.ones(2)
        """
    )
    result = run(NET.format("") + NET.format("").replace("Net", "Wrong"), "-v")
    result.stdout.fnmatch_lines(
        ["test_it.py::Net PASSED*", "test_it.py::Wrong FAILED*", "*ValueError: asked"]
    )


def test_it_may_be_optional(run, pytester):
    """Where the plugin is switched off, pytest does not know the hook."""
    source = "import pytest\n{}\ndef pytest_lens_inputs(model): pass"
    pytester.makeconftest(source.format("@pytest.hookimpl(optionalhook=True)"))
    off = ("-p", "no:torchlens")
    assert run("def test_sum(): pass", *off, fresh=True).ret == pytest.ExitCode.OK
    pytester.makeconftest(source.format(""))
    assert run("def test_sum(): pass", *off, fresh=True).ret != pytest.ExitCode.OK
