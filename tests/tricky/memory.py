"""Memory seen through views: parts that are written, looks that overlap, shapes that change."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .case import Tricky, rand


class DetrBatching(nn.Module):
    """Each picture is copied into its row of a batch, through the views that iterating gives."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, a, b):
        batch = torch.zeros(2, 3, 4, 4)
        for image, pad in zip((a, b), batch, strict=True):
            pad.copy_(image)
        return self.conv(batch)


class CacheThroughUnbind(nn.Module):
    """A key-value cache written through ``unbind``: the weights of the projection must not be lost."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(4, 4)

    def forward(self, x):
        keys, values = torch.zeros(2, 3, 4).unbind(0)
        for t in range(2):
            keys[t].copy_(self.project(x))
            values[t].copy_(x)
        return keys.sum(), values[0] * 2


class RowsApart(nn.Module):
    """Reading row 0 does not depend on who wrote row 1."""

    def forward(self, a, b):
        rows = torch.zeros(2, 3)
        rows[0] = a
        rows[1] = b
        return rows[0] * 2, rows[1] * 3, rows.sum()


class ColumnsApart(nn.Module):
    """The same for columns, whose bytes interleave."""

    def forward(self, a, b):
        table = torch.zeros(3, 2)
        table[:, 0] = a
        table[:, 1].copy_(b)
        return table[:, 0] * 2, table[:, 1] * 2, table[1] * 1


class SteppedSlices(nn.Module):
    """Slices with steps and negative ends, written by different sources."""

    def forward(self, a, b):
        line = torch.zeros(6)
        line[::2] = a
        line[1::2] = b
        return line[0::2] * 1, line[1::2] * 1, line[2:4] * 1


class ChunksChangedInPlace(nn.Module):
    """q, k and v are changed in place each, and the whole is read."""

    def forward(self, x, w):
        qkv = x * 1
        q, k, v = torch.chunk(qkv, 3, -1)
        q = q.mul_(w)
        k.add_(1)
        v.zero_()
        return qkv + 0, qkv[:, :2] * 1, qkv[:, 4:] * 1


class OverwrittenWhole(nn.Module):
    """A value overwritten whole is no ancestor of what reads the memory later."""

    def __init__(self):
        super().__init__()
        self.lost = nn.Linear(3, 3)
        self.kept = nn.Linear(3, 3)

    def forward(self, x):
        y = self.lost(x)
        look = y.view(-1)
        y.zero_()
        y.add_(self.kept(x))
        return look * 2


class OverwrittenInParts(nn.Module):
    """The same when several partial writes cover everything together."""

    def __init__(self):
        super().__init__()
        self.lost = nn.Linear(4, 4)

    def forward(self, x, a, b):
        y = self.lost(x)
        y[:2] = a
        y[2:] = b
        return y * 1


class ViewMadeBeforeTheWrite(nn.Module):
    """A view made first sees what is written through its base later."""

    def forward(self, x, w):
        y = x * 1
        look = y.t()
        y.mul_(w)
        return look + 1


class WriteThroughView(nn.Module):
    """A base sees what is written through views of views."""

    def forward(self, x, w):
        y = x * 1
        y.view(-1)[2:5].narrow(0, 1, 2).copy_(w)
        return y * 1, y.view(-1)[:3] * 1


class DiagonalWrite(nn.Module):
    """A diagonal is written: exactly those elements."""

    def forward(self, x, w):
        y = x * 1
        y.diagonal().copy_(w)
        return y[0, 0] * 1, y[0, 1] * 1, y * 1


class AsStridedWrite(nn.Module):
    """``as_strided`` looks at the memory in its own way."""

    def forward(self, x, w):
        y = x * 1
        torch.as_strided(y, (2,), (4,), 1).copy_(w)
        return y.view(-1)[1] * 1, y.view(-1)[2] * 1


class ViewAsReal(nn.Module):
    """Complex memory, written through its real look."""

    def forward(self, x, w):
        z = torch.view_as_complex(x * 1)
        torch.view_as_real(z)[..., 0].copy_(w)
        return z.real * 1, z.imag * 1, z.abs()


class RealSetter(nn.Module):
    """``z.real = ...`` asks no function mode."""

    def forward(self, x, w):
        z = torch.view_as_complex(x * 1)
        z.real = w * 2
        return z.real * 1, z.imag * 1


class OtherDtypeView(nn.Module):
    """The same bytes as another dtype."""

    def forward(self, x):
        y = x * 1
        bits = y.view(torch.int32)
        bits[0] = 0
        return y * 1


class BroadcastApart(nn.Module):
    """An op with two results, each a view of its own argument."""

    def forward(self, a, b):
        left, right = torch.broadcast_tensors(a, b)
        return left * 1, right * 1


class ResizedInPlace(nn.Module):
    """Shapes changed in place: a saved value keeps the shape it had."""

    def forward(self, x):
        y = x * 1
        z = y * 2
        y.t_()
        y.unsqueeze_(0)
        return y * 1, z


class RowsComeApart(nn.Module):
    """Rows written one by one come apart again: by ``unbind``, by ``split`` and by iterating."""

    def forward(self, a, b):
        rows = torch.zeros(2, 3)
        rows[0] = a
        rows[1].copy_(b)
        first, second = rows.unbind(0)
        upper, lower = rows.split(1)
        return first * 1, second * 1, upper * 1, lower * 1, [row * 1 for row in rows]


class PaddedPictures(nn.Module):
    """Pictures of different sizes and their masks are copied into the corners of a batch."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, a, b):
        pictures = [a[0], a[1, :, :3], b]
        batch = a.new_zeros(3, 3, 5, 5)
        mask = torch.ones(3, 5, 5, dtype=torch.bool)
        for picture, pad, hidden in zip(pictures, batch, mask, strict=True):
            _, height, width = picture.shape
            pad[:, :height, :width].copy_(picture)
            hidden[:height, :width] = False
        return self.conv(batch), batch[2] * 1, (~mask)[2] * b.sum(), batch[0, :, 4] * 1


class CacheReadEachStep(nn.Module):
    """A key-value cache is written at a position and read up to it, with autograd on."""

    def __init__(self):
        super().__init__()
        self.key = nn.Linear(3, 3)
        self.query = nn.Linear(3, 3)

    def forward(self, a, b):
        keys, values = torch.zeros(2, 3, 3), torch.zeros(2, 3, 3)
        answers = []
        for step, x in enumerate((a, b)):
            keys[:, step] = self.key(x)
            values.index_copy_(1, torch.tensor([step]), x[:, None])
            seen = keys[:, : step + 1], values[:, : step + 1]
            answers.append(F.scaled_dot_product_attention(self.query(x)[:, None], *seen))
        return answers


class RowsExchanged(nn.Module):
    """Rows and columns change places, by clones and by lists of indices."""

    def forward(self, x, w):
        y = x * 1
        kept = y[0].clone()
        y[0] = y[1]
        y[1] = kept * w
        y[[0, 1]] = y[[1, 0]]
        y[:, 0], y[:, 1] = y[:, 1].clone(), y[:, 0].clone()
        return y * 1


class CopiedWithinItself(nn.Module):
    """A row is copied onto another part of its own memory."""

    def forward(self, x, w):
        y = x * 1
        y[1:].copy_(y[:-1].clone())
        y[0] = w[0]
        y[:2].copy_(y[2:])
        return y[0] * 1, y[1] * 1, y[2] * 1, y[3] * 1


class WindowsOverlap(nn.Module):
    """One of several windows that overlap is written."""

    def forward(self, x, a):
        y = x * 1
        windows = y.unfold(0, 3, 1)
        windows[1].copy_(a)
        return windows[0] * 1, windows[3] * 1, windows * 1, y[0] * 1


class ExpandedLook(nn.Module):
    """Many elements that are one: the memory is written after it was expanded."""

    def forward(self, x, a):
        one = torch.zeros(1)
        many = one.expand(3)
        one.copy_(a)
        return many * x, many[0] * 1


class RowAcrossColumn(nn.Module):
    """A column and a row are written, and cross."""

    def forward(self, x, a, b):
        y = x * 1
        turned = y.t()
        turned[1].copy_(a)
        y[2] = b
        return turned[0] * 1, turned[1] * 1, turned[1, 2] * 1, y[2] * 1, turned[:, 2] * 1


class LongChainOfViews(nn.Module):
    """Eight views of views lead to a place that is written."""

    def forward(self, x, w):
        y = torch.zeros(3, 4, 3)
        columns = y.permute(2, 0, 1).flatten(1)[:, 1::2].unflatten(1, (3, 2))
        place = columns.movedim(0, -1).narrow(0, 1, 1).squeeze(0)[1]
        place.copy_(x)
        y.view(-1).view(9, 4)[0, :3] = w
        return y[1, 3] * 1, y[0, 0] * 1, y[1, 2] * 1, y[1] * 1


class ReadBetweenWrites(nn.Module):
    """Two views that overlap are written in turn, and one is read in between."""

    def forward(self, x, w):
        y = x * 1
        left, right = y[:3], y[1:]
        left.mul_(w[:3])
        between = right * 1
        right.copy_(w[1:])
        return left * 1, between, y[0] * 1, left[1:] * 1


class OverwrittenAfterRead(nn.Module):
    """A row is read, overwritten by another layer and crossed by a column."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)

    def forward(self, x, w):
        rows = torch.zeros(2, 3)
        rows[0] = self.first(x)
        look = rows[0]
        before = look * 1
        rows[0] = self.second(w)
        rows[:, 1] = 0.0
        return look * 1, before, rows[0, 1] * 1, look[1:2] * 1


class EmptySlices(nn.Module):
    """Writes that have no element to write."""

    def forward(self, x, a):
        y = x * 1
        y[3:] = a
        y[:0].copy_(y[:0])
        y[1:1, :].zero_()
        return y * 1


class FullSlices(nn.Module):
    """Everything is overwritten, said in four ways."""

    def forward(self, x, a):
        results = []
        for index in (slice(None), Ellipsis, (slice(None), slice(None)), None):
            y = x * 1
            y[index] = a
            results.append(y * 1)
        return results


class ConjugatedAndNegated(nn.Module):
    """Memory written through looks that conjugate and negate it."""

    def forward(self, a, b):
        z = torch.complex(a * 1, b * 1).detach()
        conjugated = z.conj()
        conjugated[0] = 2 + 1j
        conjugated.imag.mul_(3)
        torch._neg_view(z.real).add_(1)
        return z.real * 1, z.imag * 1, conjugated.abs(), z[None].mH.real * 1


class NarrowLooksAsBytes(nn.Module):
    """Parts of the memory are written as bytes and as other integers."""

    def forward(self, x, w):
        y = x.detach() * 1
        as_bytes = y.view(torch.uint8)
        as_bytes[3] = 0
        as_bytes.view(torch.int16)[2:4].zero_()
        y.view(torch.int32)[3:] = w.detach()[3:].view(torch.int32)
        return y[0] * 1, y[1] * 1, y[2] * 1, y[3] * 1


class WiderLook(nn.Module):
    """Two elements are written as one of twice the size."""

    def forward(self, x, w):
        y = torch.zeros(4)
        wide = y.view(torch.float64)
        wide[0] = x.detach()[0].double()
        y[2:] = w
        return wide[0] * 1, y[2:] * 1, wide[1:].view(torch.float32) * 1


class ShapeThenWrite(nn.Module):
    """The shape is changed in place, and then the memory is written."""

    def forward(self, x, w):
        y = x * 1
        row = y[0]
        y.t_()
        y.mul_(w)
        y.unsqueeze_(0)
        y.transpose_(1, 2)
        inner = y[0]
        inner[1].zero_()
        return row * 1, y * 1


class StridesThenWrite(nn.Module):
    """``as_strided_`` makes a tensor look at a part of its memory, which is then written."""

    def forward(self, x, w):
        y = x * 1
        y.as_strided_((2,), (3,), 1)
        y.copy_(w)
        return y * 1


class ChannelsLast(nn.Module):
    """Channels and pictures are written in memory whose order is another than the shape's."""

    def forward(self, x):
        y = torch.zeros(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
        y.copy_(x)
        y[:, 1] = 0
        y[0].zero_()
        return y[0] * 1, y[1, 1] * 1, y[1, 0] * 1


_3 = (3,)
_23 = (2, 3)
_33 = (3, 3)

CASES: list[Tricky] = [
    Tricky(DetrBatching, rand((3, 4, 4), (3, 4, 4))),
    Tricky(CacheThroughUnbind, rand((4,)), grad=False),
    Tricky(RowsApart, rand(_3, _3)),
    Tricky(ColumnsApart, rand(_3, _3)),
    Tricky(SteppedSlices, rand(_3, _3)),
    Tricky(ChunksChangedInPlace, rand((2, 6), (2, 2)), grad=False),
    Tricky(OverwrittenWhole, rand(_23)),
    Tricky(OverwrittenInParts, rand((4,), (2,), (2,))),
    Tricky(ViewMadeBeforeTheWrite, rand(_23, _23)),
    Tricky(WriteThroughView, rand(_23, (2,))),
    Tricky(DiagonalWrite, rand(_33, _3)),
    Tricky(AsStridedWrite, rand(_33, (2,))),
    Tricky(ViewAsReal, rand((3, 2), _3)),
    Tricky(RealSetter, rand((3, 2), _3)),
    Tricky(OtherDtypeView, rand(_3)),
    Tricky(BroadcastApart, rand((3, 1), (1, 3))),
    Tricky(ResizedInPlace, rand(_23)),
    Tricky(RowsComeApart, rand(_3, _3)),
    Tricky(RowsComeApart, rand(_3, _3), grad=False),
    Tricky(PaddedPictures, rand((2, 3, 5, 5), (3, 4, 4))),
    # softmax over a single key is 1, whatever key and query are
    Tricky(
        CacheReadEachStep,
        rand(_23, _23),
        blind=frozenset({"key.weight", "key.bias", "query.weight", "query.bias"}),
    ),
    Tricky(RowsExchanged, rand((2, 4), (4,))),
    Tricky(CopiedWithinItself, rand((4,), (4,))),
    Tricky(WindowsOverlap, rand((6,), _3)),
    Tricky(ExpandedLook, rand(_3, (1,))),
    Tricky(RowAcrossColumn, rand((3, 4), _3, (4,))),
    Tricky(LongChainOfViews, rand(_3, _3)),
    Tricky(ReadBetweenWrites, rand((4,), (4,)), grad=False),
    Tricky(OverwrittenAfterRead, rand(_3, _3)),
    Tricky(EmptySlices, rand((3, 4), (4,))),
    Tricky(FullSlices, rand(_23, _23)),
    # a complex number is one element: its parts are not told apart
    Tricky(ConjugatedAndNegated, rand((2,), (2,)), blind=frozenset({"input.0", "input.1"})),
    Tricky(NarrowLooksAsBytes, rand((4,), (4,))),
    Tricky(WiderLook, rand((2,), (2,))),
    Tricky(ShapeThenWrite, rand(_23, (3, 2))),
    Tricky(StridesThenWrite, rand(_23, (2,)), grad=False),
    Tricky(ChannelsLast, rand((2, 3, 4, 4)), grad=False),
]
