"""Good models of many kinds, small and quick: their histories are valid, until somebody changes them."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tricky import ALL, Tricky
from tricky.case import rand

# -- convolutions ------------------------------------------------------------------------------------


class ResidualBlock(nn.Module):
    """Convolutions with norms that count, ReLUs in place and a sum in place."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(3)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        y += x
        return self.relu(y)


class GroupedConvolutions(nn.Module):
    """Depthwise and pointwise convolutions, pooled and classified."""

    def __init__(self):
        super().__init__()
        self.depth = nn.Conv2d(4, 4, 3, groups=4)
        self.point = nn.Conv2d(4, 6, 1)
        self.norm = nn.GroupNorm(2, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        y = F.hardswish(self.norm(self.point(self.depth(x))))
        return self.head(F.adaptive_avg_pool2d(y, 1).flatten(1))


class SqueezeAndExcite(nn.Module):
    """Channels are weighed by what is in all of them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.down = nn.Conv2d(4, 2, 1)
        self.up = nn.Conv2d(2, 4, 1)

    def forward(self, x):
        y = self.conv(x)
        weight = self.up(self.down(y.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return F.max_pool2d(y * weight, 2)


class UNet(nn.Module):
    """Down, up, and what was on the way is joined."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 2, 3, stride=2, padding=1)
        self.inner = nn.Conv2d(2, 2, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 2, 2, stride=2)
        self.out = nn.Conv2d(3, 1, 1)

    def forward(self, x):
        low = torch.relu(self.down(x))
        inner = torch.tanh(self.inner(low))
        high = self.up(torch.cat([low, inner], 1))
        return self.out(torch.cat([x, high], 1))


# -- recurrence --------------------------------------------------------------------------------------


class CellLoop(nn.Module):
    """An LSTM cell, step by step."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(3, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        state = torch.zeros(1, 4), torch.zeros(1, 4)
        seen = []
        for step in x:
            state = self.cell(step, state)
            seen.append(self.head(state[0]))
        return torch.stack(seen)


class GruLevels(nn.Module):
    """Levels of GRU cells in a list, by gates written out."""

    def __init__(self):
        super().__init__()
        self.levels = nn.ModuleList(nn.Linear(6, 9) for _ in range(2))

    def forward(self, x):
        states = [torch.zeros(3) for _ in self.levels]
        for step in x:
            for number, level in enumerate(self.levels):
                reset, update, new = level(torch.cat([step, states[number]])).chunk(3)
                new = torch.tanh(new * torch.sigmoid(reset))
                states[number] = torch.lerp(new, states[number], torch.sigmoid(update))
                step = states[number]
        return torch.cat(states)


class Lstm(nn.Module):
    """``nn.LSTM``: one op with three results."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4)

    def forward(self, x):
        y, (hidden, cell) = self.lstm(x)
        return y * 2, hidden + cell


# -- in place, and views -----------------------------------------------------------------------------


class InPlaceChain(nn.Module):
    """One tensor changed again and again, read in between."""

    def forward(self, x, w):
        y = x * 1
        y.mul_(w).add_(1)
        between = y.sqrt()
        y[0].sub_(between[1])
        y /= 3
        return y + between, y.clamp_(max=0.5)


class ViewsOfViews(nn.Module):
    """Shapes and more shapes, of a tensor that is written afterwards."""

    def forward(self, x, w):
        y = x * 2
        turned = y.t().unsqueeze(0)
        flat = y.reshape(-1)[2:]
        y[1].mul_(w)
        return turned.squeeze(0) + 1, flat * 3, y.expand(2, 2, 3).sum(0)


class NarrowWrite(nn.Module):
    """A part is written through ``narrow``, and read in parts."""

    def forward(self, x, w):
        y = x * 1
        y.narrow(1, 1, 2).copy_(w)
        return y[:, 0] * 2, y[:, 1:] * 3, y.sum()


class ForeachAddOnRows(nn.Module):
    """Rows of one tensor are added to at once."""

    def forward(self, x, a, b):
        rows = x * 1
        torch._foreach_add_(list(rows.unbind(0)), [a, b])
        doubled = torch._foreach_mul([a, b], 2.0)
        return rows[0] * 2, rows[1] * 3, doubled[0] - b, doubled[1] * a


class QkvInPlace(nn.Module):
    """q, k and v are changed in place each, and the whole is read afterwards."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(4, 12)

    def forward(self, x):
        qkv = self.qkv(x)
        q, k, v = qkv.chunk(3, -1)
        q.mul_(0.5)
        k.add_(1)
        v.tanh_()
        return (q @ k.t()).softmax(-1) @ v, qkv.sum(0)


class CacheWritten(nn.Module):
    """Keys and values go into a cache through ``unbind``, row by row."""

    def __init__(self):
        super().__init__()
        self.q = nn.Linear(4, 4)

    def forward(self, x):
        cache = torch.zeros(2, 3, 4)
        k, v = cache.unbind(0)
        for t in range(2):
            k[t].copy_(self.q(x[t]))
            v[t].copy_(x[t])
        return k[:2] * 2, v[0] * 3, cache.sum(0)


# -- chance ------------------------------------------------------------------------------------------


class Dropouts(nn.Module):
    """Dropout in training, between layers."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.4), nn.Linear(6, 6))

    def forward(self, x):
        return F.dropout(self.body(x), 0.3)


class Noise(nn.Module):
    """Drawn from the process's generator, with all shapes alike."""

    def forward(self, x):
        noise = torch.rand(3) + torch.randn_like(x)
        return x * noise, torch.bernoulli(x.clamp(0, 1)) + noise


class GeneratorHandedIn(nn.Module):
    """Drawn from a generator that is an argument."""

    def forward(self, x, generator):
        noise = torch.randn(4, generator=generator)
        return x + noise, x * torch.rand(4, generator=generator)


# -- branches ----------------------------------------------------------------------------------------


class IfAndWhile(nn.Module):
    """A value decides the way, and how often."""

    def __init__(self):
        super().__init__()
        self.big = nn.Linear(3, 3)
        self.small = nn.Linear(3, 3)

    def forward(self, x):
        y = self.big(x) if x.sum() > 2 else self.small(x)
        while y.abs().max() < 4:
            y = y * 1.5 + x
        return y


class Masked(nn.Module):
    """Lengths make a mask, and choose a row; an assertion looks at them."""

    def forward(self, x, lengths):
        assert (lengths > 0).all()
        mask = torch.arange(x.shape[1]) < lengths[:, None]
        return (x * mask).sum(1) / lengths, x[lengths.argmin()] * 2


# -- attention ---------------------------------------------------------------------------------------


class EncoderLayer(nn.Module):
    """A layer of a transformer, in training without dropout."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)

    def forward(self, x):
        return self.layer(x)


class OwnAttention(nn.Module):
    """Attention written out, with chunks, heads and a causal mask that is a buffer."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(4, 12)
        self.out = nn.Linear(4, 4)
        self.register_buffer("mask", torch.ones(3, 3).tril().bool())

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (2, 2)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        scores = q @ k.transpose(-2, -1) / math.sqrt(2)
        weights = scores.masked_fill(~self.mask, float("-inf")).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


# -- detection ---------------------------------------------------------------------------------------


class Detector(nn.Module):
    """Anchors, scores, what is chosen by them, suppression in a loop, and a split by pictures."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.score = nn.Conv2d(4, 1, 1)
        self.shift = nn.Conv2d(4, 4, 1)
        self.register_buffer("size", torch.tensor([2.0, 3.0]))

    def anchors(self, height, width):
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        centers = torch.stack([columns, rows], -1).reshape(-1, 2) * 2.0
        return torch.cat([centers - self.size / 2, centers + self.size / 2], 1)

    def suppressed(self, boxes, scores):
        kept = []
        order = scores.argsort(descending=True)
        while order.numel() > 0:
            best, order = order[0], order[1:]
            kept.append(best)
            low = torch.maximum(boxes[best, :2], boxes[order, :2])
            high = torch.minimum(boxes[best, 2:], boxes[order, 2:])
            common = (high - low).clamp(min=0).prod(1)
            order = order[common < 2.0]
        return torch.stack(kept)

    def forward(self, pictures):
        features = self.body(pictures).relu_()
        boxes = self.anchors(*features.shape[-2:]) + self.shift(features).flatten(2).mT
        scores = self.score(features).flatten(1).sigmoid()
        picture, place = (scores > scores.mean()).nonzero().unbind(1)
        counts = torch.bincount(picture, minlength=len(pictures)).tolist()
        found = []
        for own, own_scores in zip(
            boxes[picture, place].split(counts), scores[picture, place].split(counts), strict=True
        ):
            kept = self.suppressed(own, own_scores)
            found.append({"boxes": own[kept], "scores": own_scores[kept]})
        return found


class RegionsPooled(nn.Module):
    """Boxes cut parts out of a picture, each pooled into a row of one table."""

    def forward(self, picture, boxes):
        table = picture.new_zeros(len(boxes), 2)
        for row, (left, top, right, bottom) in zip(table, boxes.tolist(), strict=True):
            part = picture[:, top:bottom, left:right]
            row.copy_(part.amax((1, 2)))
        return table, table[1] * 2


# -- tables, routes, several results -----------------------------------------------------------------


class Words(nn.Module):
    """Words and their places are looked up and averaged."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(7, 4)
        self.places = nn.Embedding(5, 4)
        self.norm = nn.LayerNorm(4)

    def forward(self, ids):
        y = self.words(ids) + self.places(torch.arange(ids.shape[1]))
        return self.norm(y).mean(1), F.one_hot(ids, 7).sum(0)


class Routed(nn.Module):
    """Rows go to the two best of three experts."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(4, 3, bias=False)
        self.experts = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        weights, chosen = self.router(x).topk(2, -1)
        weights = weights.softmax(-1)
        total = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows, rank = torch.where(chosen == number)
            total.index_add_(0, rows, expert(x[rows]) * weights[rows, rank, None])
        return total


class GatherAndScatter(nn.Module):
    """Messages along the edges of a graph, gathered, weighed and scattered."""

    def __init__(self):
        super().__init__()
        self.message = nn.Linear(6, 3)

    def forward(self, nodes, edges):
        source, target = edges
        pairs = torch.cat([nodes[source], nodes.index_select(0, target)], 1)
        messages = self.message(pairs)
        place = target[:, None].expand(-1, 3)
        total = torch.zeros(4, 3).scatter_add_(0, place, messages)
        highest = torch.zeros(4, 3).scatter_reduce(0, place, messages, "amax", include_self=False)
        return total + highest, torch.gather(nodes, 1, edges.t()[:4] % 3)


class SeveralResults(nn.Module):
    """Ops with several results, of which some are used, and some twice."""

    def forward(self, x):
        largest, at = x.max(1)
        top, rank = x.topk(2)
        first, second, *_ = x.unbind(0)
        low, high = torch.aminmax(x)
        deviation, mean = torch.var_mean(x, 1)
        return largest * 2 + deviation, top.sum(1) - mean, first - second * high, low + at + rank[:, 0]


class NamedResults(nn.Module):
    """Results by name and in lists, one of them twice."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 4)
        self.heads = nn.ModuleDict({"a": nn.Linear(4, 2), "b": nn.Linear(4, 1)})

    def forward(self, x):
        y = self.body(x).tanh()
        return {
            "features": y,
            "heads": {name: head(y) for name, head in self.heads.items()},
            "both": [y, y.sum()],
        }


class DeadEnds(nn.Module):
    """Ops whose results nobody reads, some of them in place."""

    def forward(self, x):
        y = x * 2
        y.sin()
        self.last = x.cos()
        unread = torch.zeros(2)
        unread.add_(x[0, :2].detach())
        return y.tanh()


# -- state -------------------------------------------------------------------------------------------


class Tied(nn.Module):
    """The table of words is the last layer's weight."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(5, 3)
        self.inner = nn.Linear(3, 3)
        self.last = nn.Linear(3, 5, bias=False)
        self.last.weight = self.words.weight

    def forward(self, ids):
        return self.last(self.inner(self.words(ids)).relu())


class BuffersUpdated(nn.Module):
    """An average that moves, a count, and a table with a row a pass."""

    def __init__(self):
        super().__init__()
        self.register_buffer("average", torch.ones(3))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.register_buffer("table", torch.zeros(2, 3))

    def forward(self, x):
        self.average.lerp_(x.mean(0), 0.1)
        self.count += 1
        self.table[0] = x[0]
        return (x - self.average) / self.count, self.table * 2


class Inner(nn.Module):
    """Two layers and what is between."""

    def __init__(self, width):
        super().__init__()
        self.up = nn.Linear(3, width)
        self.act = nn.GELU()
        self.down = nn.Linear(width, 3)

    def forward(self, x, scale=None):
        y = self.down(self.act(self.up(x)))
        return y if scale is None else y * scale


class Nested(nn.Module):
    """Modules in modules in modules, one of them called twice."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(Inner(4), nn.LayerNorm(3)) for _ in range(2))
        self.shared = Inner(5)

    def forward(self, x):
        for block in self.blocks:
            x = x + block(x)
            x = self.shared(x, scale=x.mean())
        return x


# -- memory from outside -----------------------------------------------------------------------------


class ArrayRead(nn.Module):
    """The memory of an input is an array's, which was written before the pass."""

    def forward(self, x):
        return x * 2 + x.sum()


def _array() -> tuple[Tensor]:
    array = np.zeros((2, 3), dtype=np.float32)
    tensor = torch.from_numpy(array)
    array[:] = np.arange(6, dtype=np.float32).reshape(2, 3) + 1
    return (tensor,)


class ConstantRead(nn.Module):
    """Tensors that are no parameter and no buffer, one of them over an array's memory."""

    def __init__(self):
        super().__init__()
        self.scale = torch.tensor([1.0, 2.0, 3.0])
        self.array = np.ones(3, dtype=np.float32)

    def forward(self, x):
        shift = torch.from_numpy(self.array)
        return x * self.scale - shift


class TensorsMade(nn.Module):
    """Tensors made of nothing: ranges, identities, triangles, and memory that is filled at once."""

    def forward(self, x):
        grid = torch.arange(3) * 0.5 + torch.linspace(0, 1, 3)
        table = torch.eye(3) + torch.ones(3, 3).triu(1)
        filled = torch.empty(3).fill_(2.0)
        return table @ (x * grid), torch.full_like(x, 3.0) + filled


_3 = (3,)
_23 = (2, 3)


def _words(*sizes: int):
    return lambda: (torch.randint(5, sizes),)


_OWN: list[Tricky] = [
    Tricky(ResidualBlock, rand((2, 3, 5, 5)), training=True),
    Tricky(GroupedConvolutions, rand((2, 4, 5, 5))),
    Tricky(SqueezeAndExcite, rand((2, 2, 6, 6))),
    Tricky(UNet, rand((1, 1, 6, 6))),
    Tricky(CellLoop, rand((3, 1, 3))),
    Tricky(GruLevels, rand(_23)),
    Tricky(Lstm, rand((3, 1, 3))),
    Tricky(InPlaceChain, rand(_23, _23), grad=False),
    Tricky(ViewsOfViews, rand(_23, _3)),
    Tricky(NarrowWrite, rand((3, 4), (3, 2))),
    Tricky(ForeachAddOnRows, rand(_23, _3, _3), grad=False),
    Tricky(QkvInPlace, rand((3, 4)), grad=False),
    Tricky(CacheWritten, rand((2, 4)), grad=False),
    Tricky(Dropouts, rand((4, 6)), training=True),
    Tricky(Noise, rand(_3)),
    Tricky(GeneratorHandedIn, rand((4,)), lambda: {"generator": torch.Generator().manual_seed(5)}),
    Tricky(IfAndWhile, rand(_23)),
    Tricky(Masked, lambda: (torch.rand(3, 5), torch.tensor([2, 4, 1]))),
    Tricky(EncoderLayer, rand((2, 3, 4)), training=True),
    Tricky(OwnAttention, rand((2, 3, 4))),
    Tricky(Detector, rand((2, 2, 6, 6))),
    Tricky(RegionsPooled, lambda: (torch.rand(2, 5, 5), torch.tensor([[0, 0, 2, 3], [1, 2, 5, 4]]))),
    Tricky(Words, _words(2, 3)),
    Tricky(Routed, rand((5, 4))),
    Tricky(GatherAndScatter, lambda: (torch.rand(4, 3), torch.tensor([[0, 1, 2, 3, 1], [1, 2, 3, 0, 3]]))),
    Tricky(SeveralResults, rand((3, 4))),
    Tricky(NamedResults, rand(_23)),
    Tricky(DeadEnds, rand(_23)),
    Tricky(Tied, _words(4)),
    Tricky(BuffersUpdated, rand(_23)),
    Tricky(Nested, rand(_23)),
    Tricky(ArrayRead, _array),
    Tricky(ConstantRead, rand(_23)),
    Tricky(TensorsMade, rand(_3)),
]

#: Tricky models that stand here for a kind of their own.
_KNOWN = (
    "Branches Constants Draws ReplacedParameters InplaceActivation LongBranches "
    "DetrBatching RowsComeApart DiagonalWrite AsStridedWrite ViewAsReal OutArgument OutIsRead ScatteredWrites"
).split()

GOOD: list[Tricky] = [
    *_OWN,
    *(next(case for case in ALL if case.name == name) for name in _KNOWN),
]
