"""What writes: ``out=``, foreach ops, indices of all kinds, operators in place."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .case import Tricky, rand


class OutArgument(nn.Module):
    """``out=`` fills memory that somebody else made."""

    def forward(self, x):
        filled = torch.empty(3)
        torch.mul(x, 2, out=filled)
        return filled + 1


class OutIntoRow(nn.Module):
    """``out=`` of a view fills a part."""

    def forward(self, x, w):
        rows = torch.zeros(2, 3)
        torch.mul(x, 2, out=rows[1])
        return rows[1] * 1, rows[0] * w


class OutPair(nn.Module):
    """``out=`` with two tensors."""

    def forward(self, x):
        values, indices = torch.empty(2), torch.empty(2, dtype=torch.int64)
        torch.max(x, 1, out=(values, indices))
        return values * 2, indices


class ForeachRows(nn.Module):
    """Element k of a foreach op depends on the elements k alone."""

    def forward(self, a, b):
        rows = [a * 1, b * 1]
        torch._foreach_add_(rows, [b, b])
        doubled = torch._foreach_mul(rows, 2)
        return doubled[0], doubled[1], rows[1] * 1


class ForeachOnViews(nn.Module):
    """A foreach op in place on rows of one tensor."""

    def forward(self, x, a):
        rows = x * 1
        torch._foreach_mul_(list(rows.unbind(0)), [a, a * 0 + 2])
        return rows[0] * 1, rows[1] * 1


class MaskedWrites(nn.Module):
    """Writes whose place depends on data keep the rest."""

    def forward(self, x, w):
        y = x * 1
        y[y > 1.0] = 0.25
        y.masked_fill_(w > 10, 3.0)
        y.index_copy_(0, torch.tensor([0]), w[:1])
        return y * 1


class SetItemForms(nn.Module):
    """Ellipsis, None, negative indices, lists, a mask and a tensor as indices."""

    def forward(self, x, w):
        y = x * 1
        y[..., -1] = w[..., 0]
        y[None, 0] = w[0]
        y[[1, 2]] += 1
        y[torch.tensor(0), 1] = 7.0
        return y * 1


class InplaceActivation(nn.Module):
    """In-place activations inside modules: saved values must be those before."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Hardswish(inplace=True))

    def forward(self, x):
        return self.body(x) * 2


class AugmentedAssignment(nn.Module):
    """``+=`` on a tensor and on a slice."""

    def forward(self, x, w):
        y = x * 1
        y += w
        y[0] *= 2
        y //= 0.01
        return y


class EmptyFilled(nn.Module):
    """Uninitialised memory that is filled: nobody may read what it held."""

    def forward(self, x):
        return torch.empty(3).copy_(x) + torch.empty_like(x).fill_(2.0)


class OutIsRead(nn.Module):
    """``out=`` that is read as well, from the first argument and from the second."""

    def forward(self, x, w):
        y = x * 1
        torch.mul(y, w, out=y)
        torch.sub(w, y, out=y)
        torch.sigmoid(y, out=y)
        torch.cumsum(y, 0, out=y)
        return y * 1


class OutSortsInPlace(nn.Module):
    """One of two results goes into the argument itself, and an overload of aten writes it."""

    def forward(self, x, w):
        y = x * 1
        indices = torch.zeros(3, dtype=torch.long)
        torch.sort(y, out=(y, indices))
        torch.div(w, y, out=y)
        torch.ops.aten.add.out(y, w, out=y)
        return y * 1


class OutOverlapsArgument(nn.Module):
    """``out=`` is a part of what is read, and the rest stays."""

    def forward(self, x, w):
        y = x * 1
        torch.mul(y[:2], w[:2], out=y[:2])
        return y * 1, y[2] * 1


class OutGrows(nn.Module):
    """``out=`` of no elements is given the size it needs."""

    def forward(self, x, w):
        doubled, joined = torch.empty(0), torch.empty(0)
        torch.mul(x, 2, out=doubled)
        torch.cat([doubled, w], out=joined)
        return joined * 1


class OutList(nn.Module):
    """``out=`` is a list."""

    def forward(self, x, w):
        both = torch.stack([x, w])
        rows = [torch.zeros(3), torch.zeros(3)]
        torch.unbind_copy(both, out=rows)
        return rows[0] * 1, rows[1] * 1


class ForeachSameTwice(nn.Module):
    """One tensor stands twice in the list of a foreach op in place."""

    def forward(self, x, a, b):
        y, z = x[0] * 1, x[1] * 1
        torch._foreach_add_([y, y, z], [a, b, a * 0 + 1])
        return y * 1, z * 1


class ForeachChain(nn.Module):
    """Element k of a foreach op reads what element k - 1 has just written."""

    def forward(self, a, b, c):
        x, y, z = a * 1, b * 1, c * 1
        torch._foreach_copy_([x, y], [y, z])
        torch._foreach_copy_([z, x], [x, z])
        return x * 1, y * 1, z * 1


class ForeachKinds(nn.Module):
    """Foreach ops with three lists, with a number, with a tensor for all and with other results."""

    def forward(self, a, b, c):
        rows = [a * 1, b * 1]
        torch._foreach_addcmul_(rows, [b, b], [c, c], value=2)
        norms = torch._foreach_norm(rows)
        torch._foreach_lerp_(rows, [c, c], 0.3)
        torch._foreach_zero_([rows[0]])
        torch._foreach_mul_(rows, torch.tensor(2.0))
        roots = torch._foreach_sqrt(rows)
        return roots[0], roots[1], norms[0], norms[1]


class NumpyIndices(nn.Module):
    """Rows are chosen by numpy's integers."""

    def forward(self, a, b):
        rows = torch.zeros(3, 3)
        for row, value in zip(np.arange(2), (a, b), strict=True):
            rows[row] = value
        rows[np.int64(2), :] = a
        rows[np.int32(1) : 2] *= 2
        return rows[0] * 1, rows[1] * 1, rows[np.int64(2)] * 1


class TensorBounds(nn.Module):
    """A tensor is the bound of a slice."""

    def forward(self, a, b):
        rows = torch.zeros(4, 3)
        start = torch.tensor(1)
        rows[start : start + 1] = a
        rows[int(start) + 1 :, ...] = b
        return rows[1] * 1, rows[2] * 1, rows[0] * 1


class RowsByListsAndTensors(nn.Module):
    """Rows chosen by lists, masks and tensors: which ones, only the values tell."""

    def forward(self, a, b):
        rows = torch.zeros(4, 3)
        rows[[0]] = a
        rows[torch.tensor(1)] = b
        rows[torch.tensor([False, False, True, False])] = a
        rows[np.array([False, False, False, True])] = b
        return rows[0] * 1, rows[1] * 1, rows * 1


class ScatteredWrites(nn.Module):
    """Everything that writes where an index or a mask says."""

    def forward(self, x, a):
        y = x * 1
        y.masked_scatter_(torch.tensor([[True], [False]]).expand(2, 3), a)
        y.scatter_(1, torch.tensor([[0], [1]]), a[:, :1])
        y.scatter_add_(0, torch.tensor([[0, 1, 0]]), a[:1])
        y.index_put_((torch.tensor([0]),), a[1], accumulate=True)
        y.put_(torch.tensor([0, 5]), a[0, :2])
        y.index_fill_(1, torch.tensor([2]), 0.5)
        y.scatter_reduce_(0, torch.tensor([[0, 0, 1]]), a[:1], "amax")
        return y * 1


class AtenOverloads(nn.Module):
    """Overloads of ``torch.ops.aten``: new, in place, ``out=`` and views."""

    def forward(self, x, w):
        aten = torch.ops.aten
        y = aten.mul.Tensor(x, 2)
        aten.add_.Tensor(y, w)
        rows = torch.zeros(2, 3)
        aten.mul.out(y, w, out=rows[1])
        aten.copy_(rows[0], x)
        aten.index_put_(y, [torch.tensor([0])], w[:1])
        upper, lower = aten.split.Tensor(rows, 1, 0)
        aten.zero_.default(upper)
        return y * 1, rows[0] * 1, rows[1] * 1, lower * 1


class InPlaceOperators(nn.Module):
    """Python's operators in place, chains of writers, and functions whose names end in ``_``."""

    def forward(self, x):
        y = x * 1
        y += 1
        y -= 0.5
        y /= 3
        y **= 2
        y %= 0.7
        y = y.abs_().neg_().exp_().clamp_(0, 1).sub_(0.1).tanh_()
        z = y.add_(y)
        F.relu_(z)
        F.threshold_(y, 0.0, 0.1)
        return z, y


class AppliedInPython(nn.Module):
    """``apply_`` and ``map_`` write what a Python function returns for each element."""

    def forward(self, x, w):
        y = x.detach() * 1
        before = y * 1
        y.apply_(lambda value: value * 2)
        y.map_(w.detach(), lambda value, other: value * other)
        return y * 1, before


class MixtureOfExperts(nn.Module):
    """Rows are routed to experts by ``where``, and what these say is added to the rows."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(6, 2)
        self.experts = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))

    def forward(self, x):
        weight, choice = self.router(x).softmax(-1).max(-1)
        total = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows = torch.where(choice == number)[0]
            total.index_add_(0, rows, expert(x[rows]) * weight[rows, None])
            total[choice == number] += 0.5
        return total


_3 = (3,)
_23 = (2, 3)
_33 = (3, 3)

CASES: list[Tricky] = [
    Tricky(OutArgument, rand(_3)),
    Tricky(OutIntoRow, rand(_3, _3), blind=frozenset({"input.1"})),
    Tricky(OutPair, rand(_23), blind=frozenset({"input.0"})),
    Tricky(ForeachRows, rand(_3, _3)),
    Tricky(ForeachOnViews, rand(_23, _3), grad=False, blind=frozenset({"input.1"})),
    Tricky(MaskedWrites, rand(_23, _23)),
    Tricky(SetItemForms, rand(_33, _33)),
    Tricky(InplaceActivation, rand(_23)),
    Tricky(AugmentedAssignment, rand(_23, _23)),
    Tricky(EmptyFilled, rand(_3)),
    Tricky(OutIsRead, rand(_3, _3), grad=False),
    Tricky(OutSortsInPlace, rand(_3, _3), grad=False),
    Tricky(OutOverlapsArgument, rand(_3, _3), grad=False),
    Tricky(OutGrows, rand(_3, _3), grad=False),
    # results in a list are not told apart
    Tricky(OutList, rand(_3, _3), grad=False, blind=frozenset({"input.0", "input.1"})),
    # lists whose members share memory are not told apart
    Tricky(ForeachSameTwice, rand(_23, _3, _3), grad=False, blind=frozenset({"input.1", "input.2"})),
    Tricky(ForeachChain, rand(_3, _3, _3), grad=False, blind=frozenset({"input.1", "input.2"})),
    Tricky(ForeachKinds, rand(_3, _3, _3), grad=False),
    Tricky(NumpyIndices, rand(_3, _3)),
    Tricky(TensorBounds, rand(_3, _3)),
    # the rows that a tensor chooses are values, not places
    Tricky(RowsByListsAndTensors, rand(_3, _3), blind=frozenset({"input.0", "input.1"})),
    Tricky(ScatteredWrites, rand(_23, _23)),
    Tricky(AtenOverloads, rand(_3, _3), grad=False),
    Tricky(InPlaceOperators, rand(_3)),
    Tricky(AppliedInPython, rand(_3, _3)),
    # no row goes to the first expert
    Tricky(
        MixtureOfExperts,
        rand((4, 6)),
        grad=False,
        blind=frozenset({"experts.0.weight", "experts.0.bias"}),
    ),
]
