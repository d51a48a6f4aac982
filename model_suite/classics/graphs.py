"""Graphs and trees: what nodes tell their neighbours, by adjacency matrices, edge lists and recursion."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: A binary tree: a word, or a pair of trees.
Tree = int | tuple["Tree", "Tree"]


def mlp(inputs: int, outputs: int, hidden: int = 8) -> nn.Sequential:
    """Two layers with ReLU between."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


class GraphConvolution(nn.Module):
    """GCN: features are averaged over neighbours, normalised by both degrees, with loops added.

    T. N. Kipf, M. Welling: Semi-Supervised Classification with Graph Convolutional Networks. ICLR 2017,
    arXiv:1609.02907.
    """

    def __init__(self, inputs: int = 4, width: int = 8, classes: int = 3) -> None:
        super().__init__()
        self.first, self.second = (
            nn.Linear(inputs, width, bias=False),
            nn.Linear(width, classes, bias=False),
        )

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Log probabilities f32[V, classes] of nodes f32[V, inputs] with edges f32[V, V]."""
        looped = adjacency + torch.eye(len(x))
        root = looped.sum(1).rsqrt()
        spread = root[:, None] * looped * root
        return (spread @ self.second(F.relu(spread @ self.first(x)))).log_softmax(1)


class GraphAttention(nn.Module):
    """GAT: heads weigh the neighbours by an additive score; other nodes are masked.

    P. Veličković et al.: Graph Attention Networks. ICLR 2018, arXiv:1710.10903.
    """

    def __init__(self, inputs: int = 4, width: int = 4, heads: int = 2, classes: int = 3) -> None:
        super().__init__()
        self.project = nn.ModuleList(
            [nn.Linear(inputs, heads * width), nn.Linear(heads * width, heads * classes)]
        )
        self.source = nn.ParameterList(torch.randn(heads, size) for size in (width, classes))
        self.target = nn.ParameterList(torch.randn(heads, size) for size in (width, classes))
        self.heads = heads

    def layer(self, index: int, x: Tensor, adjacency: Tensor) -> Tensor:
        """f32[V, heads, D] of f32[V, _]."""
        h = self.project[index](x).unflatten(1, (self.heads, -1))
        score = (h * self.target[index]).sum(-1)[:, None] + (h * self.source[index]).sum(-1)
        unseen = (adjacency + torch.eye(len(x)) == 0)[..., None]
        share = F.leaky_relu(score, 0.2).masked_fill(unseen, -torch.inf).softmax(1)
        return torch.einsum("ijh,jhd->ihd", share, h)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Logits f32[V, classes] of nodes f32[V, inputs] with edges f32[V, V]."""
        hidden = F.elu(self.layer(0, x, adjacency)).flatten(1)
        return self.layer(1, hidden, adjacency).mean(1)


class MessagePassingNet(nn.Module):
    """Messages by a matrix that an edge makes, GRU updates, and a readout by set2set.

    J. Gilmer, S. Schoenholz, P. Riley, O. Vinyals, G. Dahl: Neural Message Passing for Quantum Chemistry.
    ICML 2017, arXiv:1704.01212.
    """

    def __init__(self, nodes: int = 4, edges: int = 2, width: int = 6, rounds: int = 3) -> None:
        super().__init__()
        self.width, self.rounds = width, rounds
        self.embed = nn.Linear(nodes, width)
        self.edge = mlp(edges, width * width)
        self.update = nn.GRUCell(width, width)
        self.query = nn.LSTMCell(2 * width, width)
        self.out = mlp(2 * width, 1)

    def forward(self, x: Tensor, pairs: Tensor, features: Tensor) -> Tensor:
        """One number for a graph of nodes f32[V, nodes], edges i64[2, E] and their features f32[E, edges]."""
        source, target = pairs
        h, matrices = self.embed(x), self.edge(features).view(-1, self.width, self.width)
        for _ in range(self.rounds):
            sent = torch.bmm(matrices, h[source, :, None]).squeeze(2)
            h = self.update(torch.zeros_like(h).index_add(0, target, sent), h)
        summary, state = h.new_zeros(1, 2 * self.width), None
        for _ in range(self.rounds):
            state = self.query(summary, state)
            share = (h @ state[0].T).softmax(0)
            summary = torch.cat([state[0], share.T @ h], 1)
        return self.out(summary).squeeze()


class GraphIsomorphismNet(nn.Module):
    """GIN: sums, which tell multisets apart, and a readout of every layer.

    K. Xu, W. Hu, J. Leskovec, S. Jegelka: How Powerful are Graph Neural Networks? ICLR 2019, arXiv:1810.00826.
    """

    def __init__(self, inputs: int = 4, width: int = 8, depth: int = 3) -> None:
        super().__init__()
        self.epsilon = nn.Parameter(torch.zeros(depth))
        self.layers = nn.ModuleList(mlp(width if index else inputs, width) for index in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(depth))
        self.read = nn.ModuleList(nn.Linear(width if index else inputs, 2) for index in range(depth + 1))

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Logits f32[2] of a graph of nodes f32[V, inputs] with edges f32[V, V]."""
        logits = self.read[0](x.sum(0))
        for index, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = F.relu(norm(layer((1 + self.epsilon[index]) * x + adjacency @ x)))
            logits = logits + self.read[index + 1](x.sum(0))
        return logits


class GraphUNet(nn.Module):
    """Pooling keeps the nodes that project furthest on a learnt direction; on the way up they go back in place.

    H. Gao, S. Ji: Graph U-Nets. ICML 2019, arXiv:1905.05178.
    """

    def __init__(self, width: int = 6, sizes: tuple[int, ...] = (4, 2)) -> None:
        super().__init__()
        self.sizes = sizes
        self.down, self.up = (nn.ModuleList(nn.Linear(width, width) for _ in sizes) for _ in range(2))
        self.bottom = nn.Linear(width, width)
        self.direction = nn.ParameterList(torch.randn(width) for _ in sizes)

    @staticmethod
    def convolve(layer: nn.Module, adjacency: Tensor, x: Tensor) -> Tensor:
        """A graph convolution that weighs a node's own features twice."""
        looped = adjacency + 2 * torch.eye(len(x))
        return F.relu(layer(looped / looped.sum(1, keepdim=True) @ x))

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """f32[V, width] to the same shape, with edges f32[V, V]."""
        passed = []
        for layer, direction, size in zip(self.down, self.direction, self.sizes, strict=True):
            x = self.convolve(layer, adjacency, x)
            score, kept = (x @ direction / direction.norm()).topk(size)
            passed.append((x, adjacency, kept))
            x = x[kept] * torch.sigmoid(score)[:, None]
            adjacency = (adjacency @ adjacency != 0).float()[kept][:, kept]  # two steps, lest it fall apart
        x = self.convolve(self.bottom, adjacency, x)
        for layer, (skip, adjacency, kept) in zip(self.up, reversed(passed), strict=True):
            x = self.convolve(layer, adjacency, skip.index_add(0, kept, x))
        return x


class InteractionNet(nn.Module):
    """Objects and relations: an effect for each relation, a sum for each object, and what becomes of it.

    P. Battaglia, R. Pascanu, M. Lai, D. Rezende, K. Kavukcuoglu: Interaction Networks for Learning about Objects,
    Relations and Physics. NIPS 2016, arXiv:1612.00222.
    """

    def __init__(self, state: int = 4, effect: int = 5, steps: int = 2) -> None:
        super().__init__()
        self.steps = steps
        self.relation, self.object = mlp(2 * state, effect), mlp(state + effect, state)

    def forward(self, objects: Tensor, receivers: Tensor, senders: Tensor) -> Tensor:
        """States f32[steps, V, state] that follow f32[V, state]; one-hot rows f32[E, V] say who relates to whom."""
        states = []
        for _ in range(self.steps):
            effects = self.relation(torch.cat([receivers @ objects, senders @ objects], 1))
            objects = objects + self.object(torch.cat([objects, receivers.T @ effects], 1))
            states.append(objects)
        return torch.stack(states)


class RelationNet(nn.Module):
    """A question goes to all pairs of places of a picture, and the answers are added.

    A. Santoro et al.: A Simple Neural Network Module for Relational Reasoning. NIPS 2017, arXiv:1706.01427.
    """

    def __init__(self, width: int = 6, question: int = 4, answers: int = 5) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 2, 1), nn.ReLU()
        )
        self.g, self.f = mlp(2 * (width + 2) + question, 12), mlp(12, answers)

    def forward(self, image: Tensor, question: Tensor) -> Tensor:
        """Logits f32[N, answers] of f32[N, 3, H, W] and f32[N, question]."""
        seen = self.look(image)
        axes = [torch.linspace(-1, 1, size) for size in seen.shape[2:]]
        where = torch.stack(torch.meshgrid(*axes, indexing="ij")).expand(len(seen), -1, -1, -1)
        objects = torch.cat([seen, where], 1).flatten(2).mT
        count = objects.shape[1]
        left = objects[:, :, None].expand(-1, -1, count, -1)
        right = objects[:, None].expand(-1, count, -1, -1)
        asked = question[:, None, None].expand(-1, count, count, -1)
        return self.f(self.g(torch.cat([left, right, asked], -1)).sum((1, 2)))


class ChildSumTreeLSTM(nn.Module):
    """An LSTM over a tree: any number of children, whose states are added, with a forget gate for each.

    K. S. Tai, R. Socher, C. D. Manning: Improved Semantic Representations From Tree-Structured Long Short-Term
    Memory Networks. ACL 2015, arXiv:1503.00075.
    """

    def __init__(self, words: int = 20, width: int = 8) -> None:
        super().__init__()
        self.width = width
        self.embed = nn.Embedding(words, width)
        self.iou_x, self.iou_h = nn.Linear(width, 3 * width), nn.Linear(width, 3 * width, bias=False)
        self.f_x, self.f_h = nn.Linear(width, width), nn.Linear(width, width, bias=False)

    def node(self, x: Tensor, children: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """State and cell f32[width] of a word over its children."""
        h = torch.stack([child[0] for child in children]) if children else x.new_zeros(1, self.width)
        i, o, u = (self.iou_x(x) + self.iou_h(h.sum(0))).chunk(3)
        cell = torch.sigmoid(i) * torch.tanh(u)
        if children:
            forget = torch.sigmoid(self.f_x(x) + self.f_h(h))
            cell = cell + (forget * torch.stack([child[1] for child in children])).sum(0)
        return torch.sigmoid(o) * torch.tanh(cell), cell

    def forward(self, words: Tensor, heads: list[int]) -> Tensor:
        """The state of the root f32[width] of i64[T]; heads say whom each depends on, the root on -1."""
        embedded = self.embed(words)

        def state(place: int) -> tuple[Tensor, Tensor]:
            children = [state(child) for child, head in enumerate(heads) if head == place]
            return self.node(embedded[place], children)

        return state(heads.index(-1))[0]


class BinaryTreeLSTM(nn.Module):
    """The N-ary kind: each child has a place, and matrices of its own for each gate.

    K. S. Tai, R. Socher, C. D. Manning: Improved Semantic Representations From Tree-Structured Long Short-Term
    Memory Networks. ACL 2015, arXiv:1503.00075.
    """

    def __init__(self, words: int = 20, width: int = 8, classes: int = 5) -> None:
        super().__init__()
        self.leaf = nn.Embedding(words, 2 * width)
        self.gates = nn.Linear(2 * width, 5 * width)
        self.classify = nn.Linear(width, classes)

    def read(self, words: Tensor, tree: Tree, logits: list[Tensor]) -> tuple[Tensor, Tensor]:
        """State and cell f32[width] of a tree, whose leaves are places of i64[T]."""
        if isinstance(tree, int):
            o, cell = self.leaf(words[tree]).chunk(2)
            h = torch.sigmoid(o) * torch.tanh(cell)
        else:
            left, left_cell = self.read(words, tree[0], logits)
            right, right_cell = self.read(words, tree[1], logits)
            i, f, g, o, u = self.gates(torch.cat([left, right])).chunk(5)
            cell = (
                torch.sigmoid(f) * left_cell
                + torch.sigmoid(g) * right_cell
                + torch.sigmoid(i) * torch.tanh(u)
            )
            h = torch.sigmoid(o) * torch.tanh(cell)
        logits.append(self.classify(h))
        return h, cell

    def forward(self, words: Tensor, tree: Tree) -> Tensor:
        """Logits f32[nodes, classes] of all subtrees, children first."""
        logits: list[Tensor] = []
        self.read(words, tree, logits)
        return torch.stack(logits)


class RecursiveNeuralTensorNet(nn.Module):
    """Two phrases make one by a bilinear form for each unit, and a matrix.

    R. Socher et al.: Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank. EMNLP 2013.
    """

    def __init__(self, words: int = 20, width: int = 6, classes: int = 5) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.tensor = nn.Bilinear(2 * width, 2 * width, width, bias=False)
        self.matrix = nn.Linear(2 * width, width)
        self.classify = nn.Linear(width, classes)

    def compose(self, words: Tensor, tree: Tree) -> Tensor:
        """A phrase f32[1, width]."""
        if isinstance(tree, int):
            return torch.tanh(self.embed(words[tree : tree + 1]))
        both = torch.cat([self.compose(words, tree[0]), self.compose(words, tree[1])], 1)
        return torch.tanh(self.tensor(both, both) + self.matrix(both))

    def forward(self, words: Tensor, tree: Tree) -> Tensor:
        """Logits f32[1, classes] of a sentence i64[T] under a tree."""
        return self.classify(self.compose(words, tree))
