"""What a model keeps: parameters, buffers, caches, statistics."""

from __future__ import annotations

import collections

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from .case import Tricky, rand


class BufferWritten(nn.Module):
    """A buffer is written in place and then read."""

    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(3))

    def forward(self, x):
        self.total += x
        return self.total * 2


class BufferRebound(nn.Module):
    """A buffer is given a new tensor each time."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.ones(3))

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x
        return x - self.mean


class RunningStatistics(nn.Module):
    """batch_norm writes its statistics, on which its result does not depend."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        return self.norm(x) * 2, self.norm.running_mean * 1


class ParameterWritten(nn.Module):
    """A parameter is scaled in place, under no_grad, before it is used."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        with torch.no_grad():
            self.layer.weight.mul_(0.9)
            self.layer.weight.data.add_(0.01)
        return self.layer(x)


class TiedParameters(nn.Module):
    """One parameter under two names."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x):
        return self.head(self.embed.weight[:2] * x)


class EmbeddingRenormed(nn.Module):
    """``max_norm`` makes embedding write its weight."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(4, 3, max_norm=0.5)

    def forward(self, x):
        return self.embed(torch.tensor([1, 2])) * x


class ViewOfABuffer(nn.Module):
    """A plain attribute is a view of a buffer, and is written."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.ones(4, 3), persistent=False)
        self.middle = self.table[1:3]

    def forward(self, x):
        self.middle.copy_(x)
        self.table[0].add_(1)
        return self.table[1] * 1, self.table[0] * 1, self.table[3] * x[0]


class PlainAttribute(nn.Module):
    """State in a tensor that is no buffer."""

    def __init__(self):
        super().__init__()
        self.state = torch.zeros(3)

    def forward(self, x):
        self.state += x.detach()
        return self.state * 2 + x


class GrowingCaches(nn.Module):
    """Lists, dicts and a deque of the model grow at each pass, and must be put back."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.kept = []
        self.cache = {"keys": [], "counts": {}}
        self.ring = collections.deque([torch.zeros(3)] * 3, maxlen=3)

    def forward(self, x):
        self.kept.append(self.fc(x))
        self.cache["keys"].append(x * 2)
        self.cache["counts"].setdefault("passes", []).append(1)
        self.ring.append(x * 3)
        return torch.stack(self.kept).sum(0) + torch.stack(self.cache["keys"]).sum(0) + sum(self.ring)


class _Cache:
    __slots__ = ("length", "rows")

    def __init__(self):
        self.length = 0
        self.rows = torch.zeros(4, 3)

    def update(self, row: Tensor) -> Tensor:
        self.rows[self.length] = row
        self.length += 1
        return self.rows[: self.length]


class CacheInAnObject(nn.Module):
    """A cache in an object with slots, which is written at a place that it counts."""

    def __init__(self):
        super().__init__()
        self.cache = _Cache()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        return self.cache.update(self.fc(x).detach()).sum(0) + x


class CountsItsSteps(nn.Module):
    """A buffer of integers counts, and says which row is written."""

    def __init__(self):
        super().__init__()
        self.register_buffer("step", torch.tensor(0))
        self.register_buffer("rows", torch.zeros(4, 3))
        self.passes = 0

    def forward(self, x):
        self.step += 1
        self.rows[self.step - 1] = x
        self.rows[int(self.step)] = x * 2
        self.passes += 1
        self.step.add_(1)
        return self.rows[0] * 1, self.rows[1] * 1, self.step.float()


class RegistersInForward(nn.Module):
    """Parameters, buffers and modules appear while the model runs."""

    def forward(self, x):
        if not hasattr(self, "fc"):
            self.fc = nn.Linear(3, 3)
            self.register_buffer("total", torch.zeros(3))
            self.late = nn.Parameter(torch.ones(3))
        self.total.add_(x[0].detach())
        return self.fc(x) * self.late + self.total


class BufferDeleted(nn.Module):
    """A buffer is deleted, another that was None is filled, and a third made under the old name."""

    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.ones(3))
        self.register_buffer("kept", None)

    def forward(self, x):
        y = x * self.scale
        del self.scale
        self.kept = y
        self.register_buffer("scale", y * 2)
        self.scale.add_(1)
        return self.scale * self.kept


class DataOfStateAssigned(nn.Module):
    """The ``.data`` of a buffer and of a parameter is replaced."""

    def __init__(self):
        super().__init__()
        self.register_buffer("state", torch.ones(3))
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x, w):
        self.state.data = x.detach() * 2
        self.weight.data = w.detach() * 3
        self.state[0] = 1
        return self.state * self.weight


class _Total(nn.Module):
    def __init__(self, total: Tensor):
        super().__init__()
        self.register_buffer("total", total)

    def forward(self, x):
        self.total.add_(x.detach())
        return self.total * x


class SharedBuffer(nn.Module):
    """One buffer belongs to two modules, and both write it."""

    def __init__(self):
        super().__init__()
        total = torch.ones(3)
        self.first = _Total(total)
        self.second = _Total(total)

    def forward(self, x):
        return self.first(x) + self.second(x * 2)


class ParametersOfOneStorage(nn.Module):
    """Parameters are parts of one memory, and are written apart."""

    def __init__(self):
        super().__init__()
        flat = torch.rand(6)
        self.first = nn.Parameter(flat[:3])
        self.second = nn.Parameter(flat[3:])

    def forward(self, x):
        y = self.first * x
        with torch.no_grad():
            self.second.mul_(2)
            self.first.add_(1)
        return y, self.second * x, self.first * 1


class ViewsOfAParameterWritten(nn.Module):
    """Views of a parameter are made and written under no_grad."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(2, 3))

    def forward(self, x, w):
        scaled = self.weight[1] * x
        with torch.no_grad():
            self.weight[0] = w.detach()
            row = self.weight[1]
            row.clamp_(0, 0.5)
            self.weight.view(-1)[5:].fill_(0.1)
        return scaled, self.weight[0] * x, self.weight[1, :2] * 1, self.weight[1, 2] * x[0]


class ParameterUnderManyNames(nn.Module):
    """The memory of a parameter is written through ``.data``, a new Parameter and ``detach``."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3))

    def forward(self, x, w):
        self.weight.data.mul_(2)
        twin = nn.Parameter(self.weight.data)
        twin.data.add_(1)
        self.weight.detach()[1:].copy_(w[1:].detach())
        return self.weight[0] * x, self.weight[1:] * 1, twin * 1


class ParametersExchanged(nn.Module):
    """Two layers exchange their weights, then the memory of these."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = nn.Linear(3, 3)

    def forward(self, x):
        self.a.weight, self.b.weight = self.b.weight, self.a.weight
        y = self.a(x)
        self.a.weight.data, self.b.weight.data = self.b.weight.data, self.a.weight.data
        return y, self.a(x), self.b(x)


class ParametersFromAVector(nn.Module):
    """A hypernetwork: parameters are made views of one vector."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.make = nn.Linear(3, 8)

    def forward(self, x, w):
        nn.utils.vector_to_parameters(self.make(w), self.fc.parameters())
        return self.fc(x), nn.utils.parameters_to_vector(self.fc.parameters()) * 1


class MovingAverages(nn.Module):
    """A teacher follows a student, parameter by parameter and all at once."""

    def __init__(self):
        super().__init__()
        self.student = nn.Linear(3, 3)
        self.teacher = nn.Linear(3, 3).requires_grad_(False)

    def forward(self, x):
        with torch.no_grad():
            for new, mean in zip(self.student.parameters(), self.teacher.parameters(), strict=True):
                mean.data.mul_(0.9).add_(new.data, alpha=0.1)
            torch._foreach_lerp_(list(self.teacher.parameters()), list(self.student.parameters()), 0.5)
        return self.teacher(x) * 2


class StateLoaded(nn.Module):
    """``load_state_dict`` inside forward overwrites the parameters of a layer."""

    def __init__(self):
        super().__init__()
        self.given = nn.Linear(3, 3)
        self.overwritten = nn.Linear(3, 3)

    def forward(self, x):
        self.overwritten.load_state_dict(self.given.state_dict())
        return self.overwritten(x)


class CastsItself(nn.Module):
    """``double`` and ``float`` inside forward give the parameters other memory."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        self.fc.double()
        y = self.fc(x.double())
        self.fc.float()
        return y


class ModesToggled(nn.Module):
    """``train`` and ``eval`` are called inside forward."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        self.norm.train()
        y = self.norm(x)
        self.norm.eval()
        self.drop.train()
        return self.drop(self.norm(y))


class HooksItself(nn.Module):
    """A hook is registered in the first pass, and replaces nothing."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.handles: list = []

    def forward(self, x):
        if not self.handles:
            self.handles.append(self.layer.register_forward_hook(lambda module, args, result: None))
        return self.layer(x)


class DefaultDtypeSet(nn.Module):
    """Numbers without a dtype are doubles for a while."""

    def forward(self, x):
        torch.set_default_dtype(torch.float64)
        try:
            return x * (torch.arange(3) / 7) + torch.full((3,), 0.1)
        finally:
            torch.set_default_dtype(torch.float32)


class AttentionKernelChosen(nn.Module):
    """Attention runs by a kernel that is chosen for it alone."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, 16)

    def forward(self, x):
        heads = self.layer(x).view(2, 8, 2, 8).transpose(1, 2)
        with sdpa_kernel(SDPBackend.MATH):
            return F.scaled_dot_product_attention(heads, heads, heads)


class KernelsOfLibrariesOff(nn.Module):
    """A convolution without oneDNN and cuDNN, and one with them."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv1d(2, 2, 2)

    def forward(self, x):
        with torch.backends.cudnn.flags(enabled=False), torch.backends.mkldnn.flags(enabled=False):
            y = self.layer(x)
        return self.layer(y)


_3 = (3,)
_23 = (2, 3)

CASES: list[Tricky] = [
    Tricky(BufferWritten, rand(_3)),
    Tricky(BufferRebound, rand(_3)),
    Tricky(RunningStatistics, rand((4, 3)), training=True),
    Tricky(RunningStatistics, rand((4, 3))),
    Tricky(ParameterWritten, rand(_23)),
    Tricky(TiedParameters, rand(_23)),
    Tricky(EmbeddingRenormed, rand(_23)),
    Tricky(ViewOfABuffer, rand(_23)),
    Tricky(ViewOfABuffer, rand(_23), grad=False),
    Tricky(PlainAttribute, rand(_3)),
    Tricky(GrowingCaches, rand(_3)),
    Tricky(GrowingCaches, rand(_3), grad=False),
    Tricky(CacheInAnObject, rand(_3)),
    # which row is written is a value, not a place
    Tricky(CountsItsSteps, rand(_3), blind=frozenset({"rows"})),
    Tricky(RegistersInForward, rand(_23)),
    Tricky(BufferDeleted, rand(_3), grad=False),
    Tricky(DataOfStateAssigned, rand(_3, _3)),
    Tricky(SharedBuffer, rand(_3)),
    Tricky(ParametersOfOneStorage, rand(_3)),
    Tricky(ParametersOfOneStorage, rand(_3), grad=False),
    Tricky(ViewsOfAParameterWritten, rand(_3, _3)),
    Tricky(ParameterUnderManyNames, rand(_3, _3)),
    Tricky(ParametersExchanged, rand(_23)),
    Tricky(ParametersFromAVector, rand(_23, _3), grad=False),
    Tricky(MovingAverages, rand(_23)),
    Tricky(StateLoaded, rand(_23)),
    Tricky(CastsItself, rand(_23)),
    Tricky(ModesToggled, rand(_23)),
    Tricky(HooksItself, rand(_23)),
    Tricky(DefaultDtypeSet, rand(_3)),
    Tricky(AttentionKernelChosen, rand((2, 8, 16))),
    Tricky(AttentionKernelChosen, rand((2, 8, 16)), grad=False),
    Tricky(KernelsOfLibrariesOff, rand((2, 2, 6))),
]
