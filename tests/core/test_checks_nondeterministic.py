"""Kernels that differ from themselves: excused where rounding explains it, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torchlens_core as tl
from torchlens_core import trial

CALLS = [0]
STEP = [0.0]


@torch.library.custom_op("torchlens_tests::wobble", mutates_args=())
def wobble(x: torch.Tensor) -> torch.Tensor:
    """Twice ``x``, off by a step more at each call."""
    CALLS[0] += 1
    return x * 2 * (1 + CALLS[0] * STEP[0])


@torch.library.custom_op("torchlens_tests::steady", mutates_args=())
def steady(x: torch.Tensor) -> torch.Tensor:
    return x * 2


class Wobbling(nn.Module):
    """What is computed from it is deterministic."""

    def __init__(self, count: int = 1):
        super().__init__()
        self.count = count

    def forward(self, x):
        x = x + 1
        for _ in range(self.count):
            x = wobble(x) * 3
        return x.sum(-1)


X = torch.linspace(0.5, 1.5, 30).view(3, 10)
#: A bit or two of float32, and far beyond its tolerance.
LITTLE, MUCH = 1.2e-7, 1e-3


def validated(step: float, model: nn.Module | None = None, **options) -> tl.ValidationReport:
    CALLS[0], STEP[0] = 0, step
    return tl.validate_model_activations(model or Wobbling(), X, checks=["replay"], **options)


def test_the_kernel_differs_from_itself_in_its_last_bits():
    STEP[0] = LITTLE
    one, other = wobble(X), wobble(X)
    assert not torch.equal(one, other)
    torch.testing.assert_close(one, other)


def test_what_differs_from_itself_by_rounding_is_named_and_counted():
    report = validated(LITTLE)
    (check,) = report.checks
    assert report, str(report)
    assert check.covered["nondeterministic"] == 1
    (note,) = check.notes
    assert note.startswith("nondeterministic, compared by torch.testing's tolerance: wobble_1_2, ")
    assert note.endswith(" at most")


def test_what_does_not_is_not():
    """The control of the test above."""
    report = validated(0.0)
    (check,) = report.checks
    assert (check.covered["nondeterministic"], list(check.notes)) == (0, [])
    assert report


def test_each_pass_of_it_is_named_once():
    (check,) = validated(LITTLE, Wobbling(3)).checks
    assert check.covered["nondeterministic"] == 3
    assert [note.partition("tolerance: ")[2].partition(",")[0] for note in check.notes] == [
        "wobble_1_2:1",
        "wobble_1_2:2",
        "wobble_1_2:3",
    ]


def test_what_differs_from_itself_by_more_is_a_finding():
    report = validated(MUCH)
    assert report.findings
    assert report.findings[0].label == "wobble_1_2"
    assert report.findings[0].what == "The graph, run again, gives another value"
    assert report.checks[0].covered["nondeterministic"] == 0


@pytest.fixture
def altered(monkeypatch):
    """``altered(name, by)``: the saved value of a function is another by a factor."""

    def alter(name: str, by: float) -> None:
        original = trial.trace

        def traced(*args, **kwargs):
            result = original(*args, **kwargs)
            for node in result.history.recording.nodes:
                if node.info.name == name:
                    node.saved = [node.saved[0] * by]
            return result

        monkeypatch.setattr(trial, "trace", traced)

    return alter


def test_a_wrong_value_of_a_kernel_that_is_deterministic_is_a_finding(altered):
    class Steady(nn.Module):
        def forward(self, x):
            return steady(x) + 1

    altered("steady", 1 + LITTLE)
    report = validated(LITTLE, Steady())
    assert [finding.label for finding in report.findings][:1] == ["steady_1_1"]


def test_a_wrong_value_behind_one_that_is_excused_is_a_finding(altered):
    """What is excused is put right, so that what follows from it is compared exactly."""
    altered("sum", 1 + 1e-6)
    report = validated(LITTLE)
    assert [finding.label for finding in report.findings][:1] == ["sum_1_4"]
    assert report.checks[0].covered["nondeterministic"] == 1


def test_a_value_that_is_off_by_more_than_the_kernel_itself_is_a_finding(altered):
    altered("wobble", 1 + MUCH)
    report = validated(LITTLE)
    assert report.findings[0].label == "wobble_1_2"


def test_what_may_differ_by_the_users_tolerance_needs_no_excuse():
    report = validated(MUCH, rtol=0.1)
    assert report
    assert report.checks[0].covered["nondeterministic"] == 0
