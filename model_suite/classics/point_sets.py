"""Points and other sets, and what may be turned: molecules, proteins, clouds."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def shared(*widths: int) -> nn.Sequential:
    """Layers with ReLU, that are the same for each point."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def gather(x: Tensor, index: Tensor) -> Tensor:
    """Rows f32[N, ..., C] of f32[N, T, C] by i64[N, ...]."""
    batch = torch.arange(len(x)).view(-1, *[1] * (index.dim() - 1))
    return x[batch, index]


class DeepSets(nn.Module):
    """A sum over what is made of each element; and a layer that keeps the order, before.

    M. Zaheer, S. Kottur, S. Ravanbakhsh, B. Póczos, R. Salakhutdinov, A. Smola: Deep Sets. NIPS 2017,
    arXiv:1703.06114.
    """

    def __init__(self, inputs: int = 3, width: int = 8) -> None:
        super().__init__()
        self.equivariant, self.common = nn.Linear(inputs, width), nn.Linear(inputs, width, bias=False)
        self.phi, self.rho = (
            shared(width, width, width),
            nn.Sequential(shared(width, width), nn.Linear(width, 1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, 1] of sets f32[N, T, inputs]."""
        x = F.elu(self.equivariant(x) - self.common(x.amax(1, keepdim=True)))
        return self.rho(self.phi(x).sum(1))


class PointNet(nn.Module):
    """A small net turns the cloud, and another the features; then a maximum over all points.

    C. R. Qi, H. Su, K. Mo, L. Guibas: PointNet: Deep Learning on Point Sets for 3D Classification and Segmentation.
    CVPR 2017, arXiv:1612.00593.
    """

    def __init__(self, width: int = 6, classes: int = 5) -> None:
        super().__init__()
        self.turn_points = nn.Sequential(shared(3, width, width), nn.Linear(width, 9))
        self.turn_features = nn.Sequential(shared(width, width), nn.Linear(width, width * width))
        self.first, self.second = shared(3, width), shared(width, 2 * width)
        self.classify = nn.Sequential(shared(2 * width, width), nn.Dropout(), nn.Linear(width, classes))

    @staticmethod
    def turn(net: nn.Module, x: Tensor) -> Tensor:
        """f32[N, T, C] times a matrix near the identity, that all points decide on together."""
        size = x.shape[-1]
        return x @ (net[1](net[0](x).amax(1)).view(-1, size, size) + torch.eye(size))  # type: ignore[index]

    def forward(self, points: Tensor) -> Tensor:
        """Logits f32[N, classes] of clouds f32[N, T, 3]."""
        x = self.first(self.turn(self.turn_points, points))
        x = self.second(self.turn(self.turn_features, x))
        return self.classify(x.amax(1))


class PointNetPlusPlus(nn.Module):
    """Centres by farthest-point sampling, balls around them, a PointNet in each; and once more over the centres.

    C. R. Qi, L. Yi, H. Su, L. Guibas: PointNet++: Deep Hierarchical Feature Learning on Point Sets in a Metric
    Space. NIPS 2017, arXiv:1706.02413.
    """

    def __init__(
        self, centres: int = 4, neighbours: int = 3, radius: float = 0.6, classes: int = 5
    ) -> None:
        super().__init__()
        self.centres, self.neighbours, self.radius = centres, neighbours, radius
        self.local, self.whole = shared(3, 8, 8), shared(8 + 3, 12)
        self.classify = nn.Linear(12, classes)

    def farthest(self, points: Tensor) -> Tensor:
        """i64[N, centres]: each the farthest from those before it."""
        chosen = [torch.zeros(len(points), dtype=torch.long)]
        distance = torch.full(points.shape[:2], math.inf)
        for _ in range(self.centres - 1):
            last = gather(points, chosen[-1])
            distance = torch.minimum(distance, (points - last[:, None]).square().sum(-1))
            chosen.append(distance.argmax(-1))
        return torch.stack(chosen, 1)

    def forward(self, points: Tensor) -> Tensor:
        """Logits f32[N, classes] of clouds f32[N, T, 3]."""
        centres = gather(points, self.farthest(points))
        distance, near = torch.cdist(centres, points).topk(self.neighbours, largest=False)
        near = torch.where(
            distance > self.radius, near[..., :1], near
        )  # outside the ball: the nearest again
        x = self.local(gather(points, near) - centres[:, :, None]).amax(2)
        return self.classify(self.whole(torch.cat([centres, x], -1)).amax(1))


class DynamicGraphCNN(nn.Module):
    """EdgeConv: neighbours in the features of each layer, so that the graph changes from layer to layer.

    Y. Wang, Y. Sun, Z. Liu, S. Sarma, M. Bronstein, J. Solomon: Dynamic Graph CNN for Learning on Point Clouds.
    ACM TOG 38(5), 2019, arXiv:1801.07829.
    """

    def __init__(self, widths: tuple[int, ...] = (3, 6, 8), neighbours: int = 3, classes: int = 5) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.edges = nn.ModuleList(
            nn.Sequential(nn.Linear(2 * i, o), nn.LeakyReLU(0.2)) for i, o in pairwise(widths)
        )
        self.classify = nn.Linear(2 * sum(widths[1:]), classes)

    def forward(self, points: Tensor) -> Tensor:
        """Logits f32[N, classes] of clouds f32[N, T, 3]."""
        x, layers = points, []
        for edge in self.edges:
            alike = 2 * x @ x.mT - x.square().sum(-1)[:, None] - x.square().sum(-1, keepdim=True)
            around = gather(x, alike.topk(self.neighbours).indices)
            here = x[:, :, None].expand_as(around)
            x = edge(torch.cat([here, around - here], -1)).amax(2)
            layers.append(x)
        every = torch.cat(layers, -1)
        return self.classify(torch.cat([every.amax(1), every.mean(1)], -1))


class EquivariantGraphNet(nn.Module):
    """EGNN: distances make messages, and messages move the points along their differences; turns go through.

    V. G. Satorras, E. Hoogeboom, M. Welling: E(n) Equivariant Graph Neural Networks. ICML 2021, arXiv:2102.09844.
    """

    def __init__(self, width: int = 6, depth: int = 2) -> None:
        super().__init__()

        def mlp(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, outputs))

        self.message = nn.ModuleList(mlp(2 * width + 1, width) for _ in range(depth))
        self.move = nn.ModuleList(mlp(width, 1) for _ in range(depth))
        self.update = nn.ModuleList(mlp(2 * width, width) for _ in range(depth))

    def forward(self, h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features f32[V, width] and places f32[V, 3], to the same shapes."""
        others = 1 - torch.eye(len(x))[..., None]
        for message, move, update in zip(self.message, self.move, self.update, strict=True):
            apart = x[:, None] - x
            pairs = torch.cat([h[:, None].expand(-1, len(h), -1), h.expand(len(h), -1, -1)], -1)
            sent = message(torch.cat([pairs, apart.square().sum(-1, keepdim=True)], -1)) * others
            x = x + (apart * move(sent) * others).sum(1) / (len(x) - 1)
            h = h + update(torch.cat([h, sent.sum(1)], -1))
        return h, x


class TensorFieldNet(nn.Module):
    """Scalars and vectors by spherical harmonics of degree 0 and 1, and the products that SO(3) allows among them.

    N. Thomas et al.: Tensor Field Networks: Rotation- and Translation-Equivariant Neural Networks for 3D Point
    Clouds. 2018, arXiv:1802.08219.
    """

    def __init__(self, width: int = 4, bases: int = 5) -> None:
        super().__init__()
        self.width, self.bases = width, bases
        # a radial function for each path: 0·0→0, 0·1→1, 1·0→1, 1·1→0, 1·1→1
        self.radial = nn.Sequential(nn.Linear(bases, 8), nn.SiLU(), nn.Linear(8, 5 * width))
        self.scalars = nn.Linear(2 * width, width)
        self.vectors = nn.Linear(3 * width, width, bias=False)
        self.gate = nn.Linear(width, width)

    def forward(self, s: Tensor, v: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Scalars f32[V, width] and vectors f32[V, width, 3] at f32[V, 3], to the same shapes."""
        apart = places[:, None] - places + 1e-6
        distance = apart.norm(dim=-1, keepdim=True)
        y = (apart / distance)[:, :, None]  # the harmonics of degree 1 are the direction itself
        bumps = torch.exp(-(((distance - torch.linspace(0, 2, self.bases)) * 4) ** 2))
        r = (
            self.radial(bumps).unflatten(-1, (5, self.width))
            * (1 - torch.eye(len(places)))[..., None, None]
        )
        r00, r01, r10, r11_0, r11_1 = r.unbind(2)
        dot = (v * y).sum(-1)
        cross = torch.linalg.cross(v.expand(len(v), -1, -1, -1), y.expand(-1, -1, self.width, -1))
        scalars = torch.cat([r00 * s, r11_0 * dot], -1).sum(1)
        vectors = torch.cat(
            [(r01 * s)[..., None] * y, r10[..., None] * v, r11_1[..., None] * cross], 2
        ).sum(1)
        s = F.silu(self.scalars(scalars))
        v = self.vectors(vectors.mT).mT
        return s, v * torch.sigmoid(self.gate(v.norm(dim=-1)))[..., None]


class SchNet(nn.Module):
    """Continuous filters: weights are a function of distance; the forces are the energy's gradient.

    K. T. Schütt et al.: SchNet: A Continuous-filter Convolutional Neural Network for Modeling Quantum Interactions.
    NIPS 2017, arXiv:1706.08566.
    """

    def __init__(self, elements: int = 5, width: int = 6, bases: int = 6, depth: int = 2) -> None:
        super().__init__()
        self.bases = bases
        self.embed = nn.Embedding(elements, width)
        self.filters = nn.ModuleList(
            nn.Sequential(nn.Linear(bases, width), nn.Softplus(), nn.Linear(width, width))
            for _ in range(depth)
        )
        self.before = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(depth))
        self.after = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.Softplus(), nn.Linear(width, width))
            for _ in range(depth)
        )
        self.energy = nn.Sequential(nn.Linear(width, width), nn.Softplus(), nn.Linear(width, 1))

    def forward(self, elements: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """The energy of atoms i64[V] at f32[V, 3], and the forces f32[V, 3]."""
        with torch.enable_grad():
            places = places.detach().requires_grad_()
            others = 1 - torch.eye(len(places))
            distance = ((places[:, None] - places).square().sum(-1) + 1e-6).sqrt()
            bumps = torch.exp(-10 * (distance[..., None] - torch.linspace(0, 3, self.bases)) ** 2)
            x = self.embed(elements)
            for filters, before, after in zip(self.filters, self.before, self.after, strict=True):
                weights = filters(bumps) * others[..., None]
                x = x + after((before(x) * weights).sum(1))
            energy = self.energy(x).sum()
            (slope,) = torch.autograd.grad(energy, places, create_graph=True)
        return energy, -slope


class TriangleUpdate(nn.Module):
    """A pair learns from the two other sides of each triangle; by products, outgoing or incoming."""

    def __init__(self, width: int, outgoing: bool) -> None:
        super().__init__()
        self.equation = "ikc,jkc->ijc" if outgoing else "kic,kjc->ijc"
        self.norm_in, self.norm_out = nn.LayerNorm(width), nn.LayerNorm(width)
        self.a, self.b, self.gate, self.out = (nn.Linear(width, width) for _ in range(4))
        self.gate_a, self.gate_b = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, z: Tensor) -> Tensor:
        """f32[R, R, width] to the same shape."""
        z = self.norm_in(z)
        a, b = torch.sigmoid(self.gate_a(z)) * self.a(z), torch.sigmoid(self.gate_b(z)) * self.b(z)
        return torch.sigmoid(self.gate(z)) * self.out(self.norm_out(torch.einsum(self.equation, a, b)))


class GatedAttention(nn.Module):
    """Attention along the second dimension, with a bias for each pair, and gates."""

    def __init__(self, width: int, heads: int, pairs: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv, self.gate, self.out = (
            nn.Linear(width, 3 * width, bias=False),
            nn.Linear(width, width),
            nn.Linear(width, width),
        )
        self.bias = nn.Linear(pairs, heads, bias=False)

    def forward(self, x: Tensor, pairs: Tensor) -> Tensor:
        """f32[S, R, width] to the same shape, with pairs f32[R, R, _]."""
        x = self.norm(x)
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in self.qkv(x).chunk(3, -1))
        scores = torch.einsum("sihd,sjhd->shij", q, k) / math.sqrt(q.shape[-1]) + self.bias(pairs).permute(
            2, 0, 1
        )
        seen = torch.einsum("shij,sjhd->sihd", scores.softmax(-1), v).flatten(2)
        return self.out(torch.sigmoid(self.gate(x)) * seen)


class Evoformer(nn.Module):
    """One block, with recycling: alignment and pairs inform each other, and triangles keep the pairs consistent.

    J. Jumper et al.: Highly Accurate Protein Structure Prediction with AlphaFold. Nature 596, 2021. Without templates
    and the structure module.
    """

    def __init__(self, letters: int = 6, width: int = 8, pairs: int = 6, recycles: int = 2) -> None:
        super().__init__()
        self.recycles = recycles
        self.embed, self.left, self.right = (
            nn.Embedding(letters, width),
            nn.Embedding(letters, pairs),
            nn.Embedding(letters, pairs),
        )
        self.rows, self.columns = GatedAttention(width, 2, pairs), GatedAttention(width, 2, 1)
        self.msa_feed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, width)
        )
        self.outer_left, self.outer_right, self.outer = (
            nn.Linear(width, 3),
            nn.Linear(width, 3),
            nn.Linear(9, pairs),
        )
        self.outgoing, self.incoming = TriangleUpdate(pairs, True), TriangleUpdate(pairs, False)
        self.starting, self.ending = GatedAttention(pairs, 2, pairs), GatedAttention(pairs, 2, pairs)
        self.pair_feed = nn.Sequential(
            nn.LayerNorm(pairs), nn.Linear(pairs, 12), nn.ReLU(), nn.Linear(12, pairs)
        )
        self.recycle = nn.LayerNorm(pairs)
        self.distances = nn.Linear(pairs, 4)

    def block(self, m: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Alignment f32[S, R, width] and pairs f32[R, R, pairs], to the same shapes."""
        m = m + self.rows(m, z)
        m = m + self.columns(m.transpose(0, 1), m.new_zeros(len(m), len(m), 1)).transpose(0, 1)
        m = m + self.msa_feed(m)
        outer = torch.einsum("sic,sjd->ijcd", self.outer_left(m), self.outer_right(m)) / len(m)
        z = z + self.outer(outer.flatten(2))
        z = z + self.outgoing(z)
        z = z + self.incoming(z)
        z = z + self.starting(z, z)
        z = z + self.ending(z.transpose(0, 1), z.transpose(0, 1)).transpose(0, 1)
        return m, z + self.pair_feed(z)

    def forward(self, alignment: Tensor) -> Tensor:
        """Logits f32[R, R, 4] of distances, of an alignment i64[S, R] whose first row is the target."""
        start = self.left(alignment[0])[:, None] + self.right(alignment[0])
        before = torch.zeros_like(start)
        for _ in range(self.recycles):
            _, z = self.block(self.embed(alignment), start + self.recycle(before))
            before = z.detach()
        return self.distances(z + z.transpose(0, 1))
