"""Models that carry values past the recorder, and models that are another at each run: what must be found.

Each line that a finding is to name is marked by a comment: ``# out`` where a value leaves or a kernel runs
unseen, ``# in`` where it comes back.
"""

from __future__ import annotations

import ctypes
import dataclasses
import inspect
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from tricky.case import rand


@dataclasses.dataclass(frozen=True)
class Smuggler:
    """A model that the validation must object to."""

    build: Callable[[], nn.Module]
    inputs: Callable[[], tuple[Any, ...]]
    #: The check that finds it.
    check: str
    #: What its finding says, in part.
    says: str
    grad: bool = True

    @property
    def name(self) -> str:
        return self.build.__name__

    @property
    def places(self) -> list[str]:
        """``file.py:line`` of the marked lines."""
        lines, first = inspect.getsourcelines(self.build)
        marked = [first + n for n, line in enumerate(lines) if line.rstrip().endswith(("# out", "# in"))]
        return [f"{__file__}:{line}" for line in marked]


# -- past the recorder -------------------------------------------------------------------------------


class FunctionsDisabled(nn.Module):
    """Computes where no function mode is asked."""

    def forward(self, x):
        y = x * 2
        with torch._C.DisableTorchFunction():
            z = y.sin()  # out
        return z + 1


class ThroughOldConstructor(nn.Module):
    """The old constructor copies an array, which shows memory of the pass, where no mode sees it."""

    def forward(self, x):
        array = (x * 2).detach().double().numpy()
        return x + torch.Tensor(array)  # out


class ThroughOldConstructorChanged(nn.Module):
    """The old constructor copies an array of other numbers, in memory of its own."""

    def forward(self, x):
        numbers = (x * 2).tolist()  # out
        return x + torch.Tensor(np.array(numbers))  # in


class CastsParameterOfArray(nn.Module):
    """A parameter that shows an array is cast where no mode sees it; nothing else reads it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(np.ones(3)))

    def forward(self, x):
        with torch._C.DisableTorchFunction():
            weight = self.weight.float()  # out
        return x * weight


class ThroughNumpy(nn.Module):
    """A copy of an array comes back over memory of its own."""

    def forward(self, x):
        y = (x * 2).detach()
        array = y.numpy()  # out
        back = torch.from_numpy(array + 1)
        return x + back  # in


class ThroughTensorOfNumpy(nn.Module):
    """An array comes back by ``torch.tensor``."""

    def forward(self, x):
        y = (x * 2).detach()
        array = y.numpy()  # out
        return x + torch.tensor(array * 3)  # in


class ThroughList(nn.Module):
    """Values go through a list of Python's numbers."""

    def forward(self, x):
        y = x * 2
        numbers = y.tolist()  # out
        return x + torch.tensor([number + 1 for number in numbers])  # in


class ThroughNumber(nn.Module):
    """A value becomes Python's, and scales a tensor."""

    def forward(self, x):
        factor = x.sum().item()  # out
        return x * (factor + 1)  # in


class ThroughIndex(nn.Module):
    """A value becomes the number of a row, which any other input makes another one."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.arange(997.0))

    def forward(self, x):
        row = int(x.sum() * 1e6) % 997  # out
        return x + self.table[row]  # in


class ThroughFloats(nn.Module):
    """Values become Python's one by one, and fill a tensor."""

    def forward(self, x):
        numbers = [float(value) * 2 for value in x]  # out
        return x * torch.tensor(numbers)  # in


class OnAThread(nn.Module):
    """Another thread computes with what it is handed, and nobody's autograd knows."""

    def forward(self, x):
        y = (x * 2).detach()
        results = []

        def work():
            results.append(y.sin())

        thread = threading.Thread(target=work)
        thread.start()  # out
        thread.join()
        return x + results[0]  # in


SMUGGLERS: list[Smuggler] = [
    Smuggler(FunctionsDisabled, rand((3,)), "completeness", "kernel", grad=False),
    Smuggler(CastsParameterOfArray, rand((3,)), "completeness", "_to_copy"),
    Smuggler(ThroughOldConstructor, rand((3,)), "completeness", "_to_copy"),
    Smuggler(ThroughOldConstructorChanged, rand((3,)), "dependence", "Hidden dependence"),
    Smuggler(ThroughNumpy, rand((3,)), "dependence", "Hidden dependence"),
    Smuggler(ThroughTensorOfNumpy, rand((3,)), "dependence", "Hidden dependence"),
    Smuggler(ThroughList, rand((3,)), "dependence", "Hidden dependence"),
    Smuggler(ThroughNumber, rand((3,)), "dependence", "Hidden dependence"),
    Smuggler(ThroughIndex, rand((3,)), "dependence", "Hidden dependence"),
    Smuggler(ThroughFloats, rand((3,)), "dependence", "Hidden dependence"),
    Smuggler(OnAThread, rand((3,)), "dependence", "Hidden dependence"),
]


# -- another one at each run -------------------------------------------------------------------------

_CALLS: list[int] = []
_COUNT = 0


class OtherTheSecondTime(nn.Module):
    """A list of the process grows with each call."""

    def forward(self, x):
        _CALLS.append(len(_CALLS))
        return x * (1.0 + len(_CALLS))


class CountsCalls(nn.Module):
    """A number of the process chooses the function."""

    def forward(self, x):
        global _COUNT
        _COUNT += 1
        return torch.sin(x) if _COUNT % 2 else torch.cos(x)


class TellsTheTime(nn.Module):
    """The clock is read."""

    def forward(self, x):
        return x + time.time_ns() % 1_000_003


class ReadsWhatWasThere(nn.Module):
    """Memory that nobody has filled is read: what was left in it, another value each time."""

    passes = 0

    def forward(self, x):
        ReadsWhatWasThere.passes += 1
        content = 0x40 + self.passes % 8
        memory = [torch.UntypedStorage(16384) for _ in range(8)]
        for storage in memory:
            ctypes.memset(storage.data_ptr(), content, 16384)
        del memory, storage  # of those who ask for as much now, some get one of them
        found = torch.stack([torch.empty(4096)[1024:1027] for _ in range(8)])
        return x + found.nan_to_num(0.0, 0.0, 0.0).sum(0)


class ReturnsMore(nn.Module):
    """The number of results is another each time."""

    def forward(self, x):
        _CALLS.append(len(_CALLS))
        return [x + 1] * (1 + len(_CALLS) % 2)


LIARS: list[Smuggler] = [
    Smuggler(build, rand((3,)), "transparency", "from run to run")
    for build in (OtherTheSecondTime, CountsCalls, TellsTheTime, ReadsWhatWasThere, ReturnsMore)
]
