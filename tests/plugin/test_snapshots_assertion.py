"""What ``assert history_a == history_b`` says."""

import pytest
import torch
from torch import nn

from pytest_torchlens.snapshots.assertion import explained
from torchlens_core import log_forward_pass
from torchlens_core.snapshot import take_snapshot

COMPARE = """
from torchlens_core.snapshot import take_snapshot

def test_graph(lens):
    taken = {}
    a, b = (taken(lens(model, torch.ones(2, 3))) for model in (torch.nn.Linear(3, 3), torch.nn.Linear(3, {})))
    assert a {} b
"""


def log(*layers):
    return log_forward_pass(nn.Sequential(*layers), torch.rand(2, 3))


def test_what_differs():
    one, two = log(nn.Linear(3, 3)), log(nn.Linear(3, 3), nn.ReLU())
    for left, right in ((one, two), (take_snapshot(one), take_snapshot(two))):
        lines = explained(left, right)
        name = type(left).__name__
        assert lines[:2] == [f"{name} == {name}", "from left to right:"]
        assert lines[2].startswith("graph of Sequential changed: ops 1 → 2")
        assert any("+ " in line and "relu" in line for line in lines[3:])
    assert any("- " in line and "relu" in line for line in explained(two, one)[3:])


def test_what_is_equal_or_no_graph():
    one = log(nn.Linear(3, 3))
    assert explained(one, log(nn.Linear(3, 3))) is None
    assert explained(one, 3) is None
    assert explained(3, take_snapshot(one)) is None


@pytest.mark.parametrize("taken", ["list", "take_snapshot"])
@pytest.mark.parametrize("options", [(), ("--assert=plain",)])
def test_in_a_test(run, taken, options):
    taken = "(lambda history: history)" if taken == "list" else taken
    run(COMPARE.format(taken, 3, "=="), *options).assert_outcomes(passed=1)
    run(COMPARE.format(taken, 4, "!="), *options).assert_outcomes(passed=1)
    result = run(COMPARE.format(taken, 4, "=="), *options, fresh=True)
    result.assert_outcomes(failed=1)
    told = [line for line in result.outlines if line.startswith("E  ")]
    assert any("graph of Linear changed" in line for line in told) is not bool(options)
    run(COMPARE.format(taken, 3, "!="), *options).assert_outcomes(failed=1)


@pytest.mark.parametrize("kind", ["object", "type('Odd', (), {'__module__': None})"])
def test_other_comparisons_are_told_as_ever_and_import_nothing(pytester, kind):
    pytester.makepyfile(
        f"""
        import sys

        def test_a():
            assert {kind}() == {kind}()

        def test_b():
            assert not [name for name in ("torch", "deepdiff") if name in sys.modules]
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1, passed=1)
    assert any(line.startswith("E  ") and "assert <" in line for line in result.outlines)
