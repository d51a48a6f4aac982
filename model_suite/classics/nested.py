"""Nets in nets: weights made or learnt within the pass, layers that are equations, modules put together anew."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

#: ``find``, ``filter``, ... with the layouts of its arguments: ``("describe", ("filter", ("find",)))``.
Layout = tuple["str | Layout", ...]


class DeepEquilibriumNet(nn.Module):
    """One layer, as often as it takes until the state no longer moves; by Anderson's acceleration.

    S. Bai, J. Z. Kolter, V. Koltun: Deep Equilibrium Models. NeurIPS 2019, arXiv:1909.01377.
    """

    def __init__(self, width: int = 6, memory: int = 3, most: int = 15, tolerance: float = 1e-3) -> None:
        super().__init__()
        self.memory, self.most, self.tolerance = memory, most, tolerance
        self.inject, self.recur = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width)

    def f(self, z: Tensor, x: Tensor) -> Tensor:
        """One step f32[N, width]."""
        return self.norm(torch.tanh(0.5 * self.recur(z) + self.inject(x)))

    def solve(self, step: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
        """The fixed point f32[N, width] of ``step``, from ``z``."""
        tried, stepped = [z], [step(z)]
        for _ in range(self.most):
            errors = torch.stack(stepped, 1) - torch.stack(tried, 1)
            # weights, which add up to one, of the past steps whose mixture of errors is the least
            gram = errors @ errors.mT + 1e-4 * torch.eye(len(tried))
            weights = torch.linalg.solve(gram, torch.ones(len(z), len(tried), 1))
            weights = weights / weights.sum(1, keepdim=True)
            z = (weights * torch.stack(stepped, 1)).sum(1)
            tried, stepped = [*tried, z][-self.memory :], [*stepped, step(z)][-self.memory :]
            if (stepped[-1] - z).norm() < self.tolerance * stepped[-1].norm():
                break
        return stepped[-1]

    def forward(self, x: Tensor) -> Tensor:
        """The equilibrium f32[N, width] under f32[N, width]; a last step outside lets gradients in."""
        with torch.no_grad():
            z = self.solve(lambda z: self.f(z, x), torch.zeros_like(x))
        return self.f(z, x)


class WeightTiedNet(nn.Module):
    """The same idea with a fixed number of plain steps, and two scales that are solved together.

    S. Bai, V. Koltun, J. Z. Kolter: Multiscale Deep Equilibrium Models. NeurIPS 2020, arXiv:2006.08656. Its
    weight-tied form, which is used for warming up.
    """

    def __init__(self, width: int = 4, steps: int = 4) -> None:
        super().__init__()
        self.steps = steps
        self.inject = nn.Conv2d(3, width, 3, padding=1)
        self.high, self.low = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.down, self.up = nn.Conv2d(width, width, 3, 2, 1), nn.Conv2d(width, width, 1)
        self.norm_high, self.norm_low = nn.GroupNorm(2, width), nn.GroupNorm(2, width)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Maps f32[N, width, H, W] and f32[N, width, H/2, W/2] of f32[N, 3, H, W]."""
        x = self.inject(image)
        high, low = torch.zeros_like(x), torch.zeros_like(x[:, :, ::2, ::2])
        for _ in range(self.steps):
            own_high, own_low = F.relu(self.high(high) + x), F.relu(self.low(low))
            high = self.norm_high(own_high + F.interpolate(self.up(own_low), scale_factor=2.0))
            low = self.norm_low(own_low + self.down(own_high))
        return high, low


class HyperNetwork(nn.Module):
    """A small net makes the kernels of a large one, from an embedding for each layer.

    D. Ha, A. Dai, Q. V. Le: HyperNetworks. ICLR 2017, arXiv:1609.09106.
    """

    def __init__(self, width: int = 4, depth: int = 3, embedding: int = 5) -> None:
        super().__init__()
        self.width = width
        self.stem = nn.Conv2d(3, width, 1)
        self.embeddings = nn.Parameter(torch.randn(depth, embedding))
        self.make_rows = nn.Linear(embedding, width * embedding)
        self.make_kernel = nn.Linear(embedding, width * 9)
        self.head = nn.Linear(width, 10)

    def kernel(self, embedding: Tensor) -> Tensor:
        """f32[width, width, 3, 3]: rows of it by one linear map, from codes that another one makes."""
        codes = self.make_rows(embedding).view(self.width, -1)
        return self.make_kernel(codes).view(self.width, self.width, 3, 3)

    def forward(self, image: Tensor) -> Tensor:
        """Logits f32[N, 10] of images f32[N, 3, H, W]."""
        x = self.stem(image)
        for embedding in self.embeddings:
            x = x + F.relu(F.conv2d(x, self.kernel(embedding), padding=1))
        return self.head(x.mean((2, 3)))


class HyperLSTM(nn.Module):
    """A small LSTM watches a large one and scales its weights in each step.

    D. Ha, A. Dai, Q. V. Le: HyperNetworks. ICLR 2017, arXiv:1609.09106, its section 3.2.
    """

    def __init__(self, inputs: int = 3, width: int = 6, hyper: int = 4) -> None:
        super().__init__()
        self.width = width
        self.hyper = nn.LSTMCell(inputs + width, hyper)
        self.from_x, self.from_h = (
            nn.Linear(inputs, 4 * width, bias=False),
            nn.Linear(width, 4 * width, bias=False),
        )
        self.scale_x, self.scale_h, self.bias = (nn.Linear(hyper, 4 * width) for _ in range(3))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """States f32[N, T, width] of f32[N, T, inputs]."""
        h = cell = x.new_zeros(len(x), self.width)
        watching, states = None, []
        for step in x.unbind(1):
            watching = self.hyper(torch.cat([step, h], 1), watching)
            seen = watching[0]
            gates = (
                self.scale_x(seen) * self.from_x(step)
                + self.scale_h(seen) * self.from_h(h)
                + self.bias(seen)
            )
            i, f, g, o = gates.chunk(4, 1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(self.norm(cell))
            states.append(h)
        return torch.stack(states, 1)


class MAML(nn.Module):
    """Some steps of gradient descent on the support set are part of the pass; then the query is answered.

    C. Finn, P. Abbeel, S. Levine: Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks. ICML 2017,
    arXiv:1703.03400.
    """

    def __init__(self, width: int = 8, steps: int = 2, rate: float = 0.1) -> None:
        super().__init__()
        self.steps, self.rate = steps, rate
        self.net = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, x: Tensor, y: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
        """Answers f32[Q, 1] to f32[Q, 1] after learning y from x, f32[K, 1] both, and the losses f32[steps]."""
        weights: dict[str, Tensor] = dict(self.net.named_parameters())
        losses = []
        with torch.enable_grad():
            for _ in range(self.steps):
                loss = F.mse_loss(functional_call(self.net, weights, (x,)), y)
                gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
                weights = {
                    name: weight - self.rate * gradient
                    for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
                }
                losses.append(loss)
        return functional_call(self.net, weights, (query,)), torch.stack(losses)


class KalmanNet(nn.Module):
    """A Kalman filter in a latent space: a net sees, the rest is exact, with learnt motion and noise.

    T. Haarnoja, A. Ajay, S. Levine, P. Abbeel: Backprop KF: Learning Discriminative Deterministic State Estimators.
    NIPS 2016, arXiv:1605.07148.
    """

    def __init__(self, inputs: int = 5, state: int = 4, seen: int = 2) -> None:
        super().__init__()
        self.state, self.seen = state, seen
        self.look = nn.Sequential(
            nn.Linear(inputs, 12), nn.ReLU(), nn.Linear(12, seen + seen * (seen + 1) // 2)
        )
        self.motion = nn.Parameter(torch.eye(state) + 0.1 * torch.randn(state, state))
        self.observe = nn.Parameter(torch.eye(seen, state))
        self.log_noise = nn.Parameter(torch.full((state,), -2.0))

    def observation(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen f32[N, seen], and its covariance by a Cholesky factor."""
        z, entries = self.look(x).split([self.seen, self.seen * (self.seen + 1) // 2], -1)
        rows, columns = torch.tril_indices(self.seen, self.seen)
        factor = z.new_zeros(len(x), self.seen, self.seen)
        factor[:, rows, columns] = entries
        factor = factor.tril(-1) + torch.diag_embed(factor.diagonal(dim1=1, dim2=2).exp())
        return z, factor @ factor.mT

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means f32[N, T, state] and covariances f32[N, T, state, state] of f32[N, T, inputs]."""
        mean, covariance = x.new_zeros(len(x), self.state), torch.eye(self.state).expand(len(x), -1, -1)
        means, covariances = [], []
        for step in x.unbind(1):
            mean = mean @ self.motion.T
            covariance = self.motion @ covariance @ self.motion.T + torch.diag(self.log_noise.exp())
            z, noise = self.observation(step)
            spread = self.observe @ covariance @ self.observe.T + noise
            factor = torch.linalg.cholesky(spread)
            gain = torch.cholesky_solve(self.observe @ covariance, factor).mT
            mean = mean + (gain @ (z - mean @ self.observe.T)[..., None]).squeeze(-1)
            covariance = covariance - gain @ self.observe @ covariance
            means.append(mean)
            covariances.append(covariance)
        return torch.stack(means, 1), torch.stack(covariances, 1)


class NeuralModuleNet(nn.Module):
    """A question's layout says which modules are put together, and how, for this picture.

    J. Andreas, M. Rohrbach, T. Darrell, D. Klein: Neural Module Networks. CVPR 2016, arXiv:1511.02799.
    """

    def __init__(self, width: int = 6, answers: int = 4) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.ReLU())
        self.find = nn.ModuleDict({word: nn.Conv2d(width, 1, 1) for word in ("red", "circle")})
        self.transform = nn.ModuleDict(
            {"above": nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))}
        )
        self.describe = nn.ModuleDict({"colour": nn.Linear(width, answers)})

    def run(self, layout: Layout, seen: Tensor) -> Tensor:
        """What a part of the layout gives: attention f32[N, 1, H, W], or at the root logits f32[N, answers]."""
        kind, word, *parts = layout
        inner = [self.run(part, seen) for part in parts if not isinstance(part, str)]
        assert isinstance(word, str)
        if kind == "find":
            return torch.sigmoid(self.find[word](seen))
        if kind == "transform":
            return torch.sigmoid(self.transform[word](inner[0]))
        if kind == "and":
            return torch.minimum(inner[0], inner[1])
        share = inner[0] / inner[0].sum((2, 3), keepdim=True)
        return self.describe[word]((share * seen).sum((2, 3)))

    def forward(self, image: Tensor, layout: Layout) -> Tensor:
        """Logits f32[N, answers] of f32[N, 3, H, W] for a question's layout."""
        return self.run(layout, self.look(image))


class FiLM(nn.Module):
    """A question scales and shifts the channels of each block that looks at the picture.

    E. Perez, F. Strub, H. de Vries, V. Dumoulin, A. Courville: FiLM: Visual Reasoning with a General Conditioning
    Layer. AAAI 2018, arXiv:1709.07871.
    """

    def __init__(self, words: int = 12, width: int = 6, depth: int = 2, answers: int = 5) -> None:
        super().__init__()
        self.embed, self.read = nn.Embedding(words, 6), nn.GRU(6, 8, batch_first=True)
        self.film = nn.Linear(8, depth * 2 * width)
        self.stem = nn.Conv2d(3, width, 3, 2, 1)
        self.first, self.second = (
            nn.ModuleList(nn.Conv2d(i, width, k, padding=k // 2) for _ in range(depth))
            for i, k in ((width + 2, 1), (width, 3))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width, affine=False) for _ in range(depth))
        self.answer = nn.Linear(width, answers)

    def forward(self, image: Tensor, question: Tensor) -> Tensor:
        """Logits f32[N, answers] of f32[N, 3, H, W] and i64[N, T]."""
        asked = self.read(self.embed(question))[1][0]
        x = F.relu(self.stem(image))
        films = self.film(asked).view(len(x), len(self.norms), 2, -1, 1, 1)
        axes = [torch.linspace(-1, 1, size) for size in x.shape[2:]]
        where = torch.stack(torch.meshgrid(*axes, indexing="ij")).expand(len(x), -1, -1, -1)
        for index, norm in enumerate(self.norms):
            x = F.relu(self.first[index](torch.cat([x, where], 1)))
            gamma, beta = films[:, index].unbind(1)
            x = x + F.relu((1 + gamma) * norm(self.second[index](x)) + beta)
        return self.answer(x.amax((2, 3)))
