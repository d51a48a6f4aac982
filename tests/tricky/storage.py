"""Memory that changes hands: ``data``, ``set_``, storages, numpy, DLPack, files and threads."""

from __future__ import annotations

import copy
import io
import threading

import numpy as np
import torch
from torch import nn

from .case import Tricky, rand


class DataAssigned(nn.Module):
    """``y.data = ...`` gives a tensor other memory."""

    def forward(self, x, w):
        y = x * 1
        y.data = w * 3
        return y + 1


class DataWritten(nn.Module):
    """A write through ``.data`` leaves no trace in autograd."""

    def forward(self, x, w):
        y = x * 1
        y.data.mul_(w)
        return y * 1


class DetachedAlias(nn.Module):
    """A write through ``detach()``."""

    def forward(self, x, w):
        y = x * 1
        y.detach().mul_(w)
        return y * 1


class SetCalled(nn.Module):
    """``set_`` exchanges memory and asks no function mode."""

    def forward(self, x, w):
        y = x * 1
        y.set_(w * 2)
        return y * 1


class ParameterMade(nn.Module):
    """``nn.Parameter(t)`` is a new object over known memory, and asks no mode."""

    def forward(self, x):
        p = nn.Parameter(x * 2)
        return p * 2


class NumpyRoundTrip(nn.Module):
    """Memory leaves as an array and comes back."""

    def forward(self, x):
        y = x.detach() * 2
        return torch.from_numpy(y.numpy()) + 1


class DlpackRoundTrip(nn.Module):
    """The same through DLPack."""

    def forward(self, x):
        return torch.from_dlpack(x.detach() * 2) + 1


class NumpyWrites(nn.Module):
    """An array over a tensor's memory is written: saved values must not change with it."""

    def forward(self, x):
        y = x.detach() * 2
        y.numpy()[0] = 9.0
        return y * 1


class Constants(nn.Module):
    """Tensors from outside: a closure, a plain attribute, ``from_numpy`` and ``torch.Tensor(list)``."""

    outside = torch.full((3,), 2.0)

    def __init__(self):
        super().__init__()
        self.scale = torch.full((3,), 3.0)

    def forward(self, x):
        made = torch.from_numpy(np.ones(3, dtype=np.float32)) + torch.Tensor([1.0, 2.0, 3.0])
        return x * self.outside + self.scale + made


class ViewGivenOtherMemory(nn.Module):
    """A view leaves its memory, and all that stay there count a version more though nobody has written."""

    def forward(self, x):
        y = x.detach() * 2
        half, other = y.chunk(2)
        z = half + other
        half.set_()
        other.set_(z)
        return y * other.repeat(2)


class ShallowCopied(nn.Module):
    """``copy.copy`` of a tensor is another over the same memory."""

    def forward(self, x, w):
        y = x.detach() * 1
        twin = copy.copy(y)
        twin.mul_(w.detach())
        return y * 1


class NumpyWrittenOnBothSides(nn.Module):
    """Memory that comes back from numpy is written from either side."""

    def forward(self, x, w):
        y = x.detach() * 1
        back = torch.from_numpy(y.numpy())
        back.mul_(w.detach())
        between = y * 1
        y.add_(1)
        return y * 1, back * 2, between


class ArraysComeBack(nn.Module):
    """Memory comes back by ``as_tensor``, ``asarray`` and ``frombuffer``."""

    def forward(self, x, w):
        y = x.detach() * 1
        array = y.numpy()
        written = torch.as_tensor(array)
        written.add_(w.detach())
        read = torch.frombuffer(array, dtype=torch.float32)
        return written * 1, torch.asarray(array) * 1, read * w, y * 1


class DlpackWritten(nn.Module):
    """Memory that comes back through DLPack is written from either side."""

    def forward(self, x, w):
        y = x.detach() * 1
        back = torch.from_dlpack(y)
        back[:2].copy_(w.detach()[:2])
        y.add_(1)
        return y * 1, back * 2


class SetFromStorage(nn.Module):
    """``set_`` gives a tensor the storage of another, which is then written."""

    def forward(self, x, w):
        y = x * 1
        whole = torch.empty(0).set_(y.untyped_storage(), 0, (3,))
        whole.mul_(w)
        part = torch.tensor([]).set_(y.untyped_storage())
        part[0] = w[0]
        return y[0] * 1, y[1:] * 1


class StorageEmptied(nn.Module):
    """A storage is given back and taken again, as FSDP does it."""

    def forward(self, x, w):
        y = x * 1
        before = y * 2
        size = y.untyped_storage().nbytes()
        y.untyped_storage().resize_(0)
        y.untyped_storage().resize_(size)
        y.copy_(w)
        return y * 1, before


class Shrunk(nn.Module):
    """A tensor is made smaller in place, written, and made as large as before."""

    def forward(self, x, w):
        y = x * 1
        y.resize_(2)
        y.mul_(w)
        y.resize_(4)
        return y[:2] * 1, y[2:] * 1


class DataExchanged(nn.Module):
    """Two tensors exchange their ``.data``."""

    def forward(self, x, w):
        a, b = x * 2, w * 3
        a.data, b.data = b.data, a.data
        return a + 0, b + 0


class DataIsAView(nn.Module):
    """``.data`` is made a row of another tensor, which is then written."""

    def forward(self, x, w):
        rows = torch.zeros(2, 3)
        y = x * 1
        y.data = rows[0]
        rows[0].copy_(w)
        rows[1] = x
        return y * 1


class DataThenWritten(nn.Module):
    """A tensor is given other memory, and then written."""

    def forward(self, x, w):
        y = x * 1
        before = y * 2
        y.data = w * 2
        y[0] = 1
        y.add_(1)
        return y * 1, before


class DetachedInPlace(nn.Module):
    """``detach_`` and looks through ``detach`` and ``data``."""

    def forward(self, x, w):
        y = x * 1
        look = y.detach().data.view(-1)
        look[:2].copy_(w[:2].detach())
        y.detach_()[2:].mul_(2)
        return y[:2] * 1, y[2] * 1


class LoadedFromFile(nn.Module):
    """``torch.save`` and ``torch.load`` inside forward: the contents come from a file."""

    def forward(self, x):
        y = x * 1
        file = io.BytesIO()
        torch.save(y.detach(), file)
        file.seek(0)
        torch.load(file).add_(1)
        return y * 1


class TensorsOfTensors(nn.Module):
    """``torch.tensor`` and ``as_tensor`` of lists whose members are tensors."""

    def forward(self, x):
        a, b, c = x[0]
        return torch.tensor([a, b, c]) + torch.as_tensor([a, b, c]) + torch.stack([a, b, c])


class OnAThread(nn.Module):
    """What another thread computes is found through its autograd graph."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        hidden = self.fc(x)
        results = []
        thread = threading.Thread(target=lambda: results.append((hidden * 2).sin()))
        thread.start()
        thread.join()
        return results[0] + 1


class FunctionsDisabled(nn.Module):
    """What no function mode may see is found through its autograd graph."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        with torch._C.DisableTorchFunctionSubclass():
            y = self.fc(x)
        with torch._C.DisableTorchFunction():
            z = y * 2
        return z + 1


_3 = (3,)
_23 = (2, 3)

CASES: list[Tricky] = [
    Tricky(DataAssigned, rand(_3, _3)),
    Tricky(DataWritten, rand(_3, _3)),
    Tricky(DetachedAlias, rand(_3, _3)),
    Tricky(SetCalled, rand(_3, _3)),
    Tricky(ParameterMade, rand(_3)),
    Tricky(NumpyRoundTrip, rand(_3)),
    Tricky(DlpackRoundTrip, rand(_3)),
    Tricky(NumpyWrites, rand(_3), finding="gives another value"),
    Tricky(Constants, rand(_3)),
    Tricky(ViewGivenOtherMemory, rand((4,))),
    Tricky(ShallowCopied, rand(_3, _3)),
    Tricky(NumpyWrittenOnBothSides, rand(_3, _3)),
    Tricky(ArraysComeBack, rand(_3, _3)),
    Tricky(DlpackWritten, rand(_3, _3)),
    Tricky(SetFromStorage, rand(_3, _3), grad=False),
    Tricky(StorageEmptied, rand(_3, _3), grad=False),
    Tricky(Shrunk, rand((4,), (2,)), grad=False),
    Tricky(DataExchanged, rand(_3, _3)),
    Tricky(DataIsAView, rand(_3, _3)),
    Tricky(DataThenWritten, rand(_3, _3)),
    Tricky(DetachedInPlace, rand(_3, _3)),
    Tricky(LoadedFromFile, rand(_3)),
    Tricky(TensorsOfTensors, rand(_23), grad=False),
    Tricky(OnAThread, rand(_23)),
    Tricky(FunctionsDisabled, rand(_23), finding="The kernel mul belongs to no recorded op"),
]
