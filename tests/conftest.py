"""What all tests share."""

import os

import torch

pytest_plugins = ["pytester"]

for name in (
    "CI",
    "BUILD_NUMBER",
):  # where pytest prints messages whole; tests read them as a terminal shows them
    os.environ.pop(name, None)

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores, and so do the processes that tests start
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
