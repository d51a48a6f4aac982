"""How much memory a validation takes at most, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc"),
]

COUNT, MEBIBYTES = 12, 32
#: Activations beyond those that a bound counts: two that an op and its replay hold at once, and Python's objects.
#: Measured were 14.0 at the peak, and 24.0 with autograd.
FEW = 2.5

PROGRAM = f"""
import sys
import torch
from torch import nn
import torchlens_core as tl

torch.set_grad_enabled(sys.argv[1] == "grad")

def peak():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

class Chain(nn.Module):
    "A small input, {COUNT} activations of one size, a small result."

    def __init__(self, times):
        super().__init__()
        self.times = times
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        x = x.repeat(self.times) * self.scale
        for _ in range({COUNT} - 2):
            x = torch.relu(x)
        return x.sum()

tl.validate_model_activations(Chain(1), torch.rand(1024))
model, x = Chain({MEBIBYTES} * 256), torch.rand(1024)
before = peak()

def show():
    print((peak() - before) / {MEBIBYTES})

tl.log_forward_pass(model, x)
show()
assert tl.validate_model_activations(model, x)
show()
kept = tl.log_forward_pass(model, x)
assert tl.validate_model_activations(model, x, checks="transparency")
show()
"""


@pytest.fixture(scope="module", params=[False, True], ids=["no grad", "grad"])
def peaks(request):
    """Whether autograd is on; then, in activations, the peaks of a pass that is logged, of a validation, and of
    one check while another history is kept.
    """
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, "grad" if request.param else "no grad"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return request.param, *map(float, ran.stdout.split())


def bound(grad: bool) -> float:
    """The saved copy of the activations; with autograd, besides it what an unlogged pass keeps to go backwards."""
    return (2 if grad else 1) * COUNT + FEW


def test_memory_of_a_validation(peaks):
    grad, logged, validated, _ = peaks
    assert COUNT - 1 <= logged <= COUNT + FEW
    assert validated <= bound(grad)


def test_one_copy_more_is_seen(peaks):
    """The control."""
    grad, _, _, with_another = peaks
    assert with_another > bound(grad)
