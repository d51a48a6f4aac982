"""Image classifiers, each with an idea of its own about what is connected to what."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TrainableSubsampling(nn.Module):
    """The sum over 2 x 2 pixels, scaled and shifted by one learnt pair a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((channels, 1, 1), 0.25))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, C, H, W] to f32[N, C, H/2, W/2]."""
        return F.avg_pool2d(x, 2) * 4 * self.gain + self.bias


class LeNet5(nn.Module):
    """LeNet-5 as printed: trainable subsampling, the table of C3, scaled tanh, and distances to codes at the end.

    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-Based Learning Applied to Document Recognition.
    Proceedings of the IEEE 86(11), 1998.
    """

    #: Table I: which maps of S2 each map of C3 sees.
    TABLE = "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345"

    connected: Tensor
    codes: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.s2 = TrainableSubsampling(6)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.s4 = TrainableSubsampling(16)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, 84)
        connected = torch.zeros(16, 6, 1, 1)
        for out, seen in enumerate(self.TABLE.split()):
            connected[out, [int(digit) for digit in seen]] = 1
        self.register_buffer("connected", connected)
        # stylised 7 x 12 bitmaps of the digits in the paper, random ones here
        self.register_buffer("codes", torch.randint(0, 2, (10, 84)) * 2.0 - 1)

    @staticmethod
    def squash(x: Tensor) -> Tensor:
        """The scaled tanh of appendix A."""
        return 1.7159 * torch.tanh(2 / 3 * x)

    def forward(self, image: Tensor) -> Tensor:
        """Squared distances to the codes f32[N, 10], the smallest wins, of images f32[N, 1, 32, 32]."""
        x = self.squash(self.s2(self.squash(self.c1(image))))
        x = self.squash(F.conv2d(x, self.c3.weight * self.connected, self.c3.bias))
        x = self.squash(self.c5(self.squash(self.s4(x)))).flatten(1)
        x = self.squash(self.f6(x))
        return (x[:, None] - self.codes).square().sum(-1)


class LocallyConnected(nn.Module):
    """A convolution that shares no weights: each place has a kernel of its own."""

    def __init__(self, size: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.window = {"kernel_size": kernel, "stride": stride, "padding": padding}
        self.side = (size + 2 * padding - kernel) // stride + 1
        self.weight = nn.Parameter(torch.randn(kernel**2, self.side**2) / kernel)
        self.bias = nn.Parameter(torch.zeros(self.side**2))

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, 1, H, W] to f32[N, 1, side, side]."""
        patches = F.unfold(x, **self.window)
        out = (patches * self.weight).sum(1) + self.bias
        return out.view(-1, 1, self.side, self.side)


class NetThree(nn.Module):
    """Net-3, before weights were shared: two layers with local connections.

    Y. LeCun: Generalization and Network Design Strategies. University of Toronto, CRG-TR-89-4, 1989.
    """

    def __init__(self) -> None:
        super().__init__()
        self.h1 = LocallyConnected(16, kernel=3, stride=2, padding=1)
        self.h2 = LocallyConnected(8, kernel=5)
        self.out = nn.Linear(16, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Activations f32[N, 10] of images f32[N, 1, 16, 16]."""
        x = torch.tanh(self.h1(image))
        x = torch.tanh(self.h2(x))
        return torch.tanh(self.out(x.flatten(1)))


class NetworkInNetwork(nn.Module):
    """Convolutions with a small perceptron at each pixel, and a mean over the map of each class.

    M. Lin, Q. Chen, S. Yan: Network In Network. 2013, arXiv:1312.4400.
    """

    def __init__(self, width: int = 12, classes: int = 10) -> None:
        super().__init__()

        def mlpconv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(inputs, width, kernel, padding=kernel // 2),
                nn.ReLU(inplace=True),
                nn.Conv2d(width, width, 1),
                nn.ReLU(inplace=True),
                nn.Conv2d(width, outputs, 1),
                nn.ReLU(inplace=True),
            )

        self.layers = nn.Sequential(
            mlpconv(3, width, 5),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.Dropout(),
            mlpconv(width, width, 5),
            nn.AvgPool2d(3, stride=2, padding=1),
            nn.Dropout(),
            mlpconv(width, classes, 3),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits f32[N, classes] of images f32[N, 3, H, W]."""
        return self.layers(image).mean((2, 3))


class MaxoutNet(nn.Module):
    """Units that are the greatest of several linear pieces, with dropout.

    I. Goodfellow, D. Warde-Farley, M. Mirza, A. Courville, Y. Bengio: Maxout Networks. ICML 2013,
    arXiv:1302.4389.
    """

    def __init__(self, width: int = 8, pieces: int = 2) -> None:
        super().__init__()
        self.pieces = pieces
        self.conv1 = nn.Conv2d(3, width * pieces, 5, padding=2)
        self.conv2 = nn.Conv2d(width, width * pieces, 3, padding=1)
        self.dense = nn.Linear(width * 16, 16 * 5)
        self.out = nn.Linear(16, 10)
        self.dropout = nn.Dropout()

    def forward(self, image: Tensor) -> Tensor:
        """Logits f32[N, 10] of images f32[N, 3, 16, 16]."""
        x = F.max_pool2d(self.conv1(image).unflatten(1, (-1, self.pieces)).amax(2), 2)
        x = F.max_pool2d(self.conv2(self.dropout(x)).unflatten(1, (-1, self.pieces)).amax(2), 2)
        x = self.dense(self.dropout(x.flatten(1)))
        return self.out(x.unflatten(1, (-1, 5)).amax(2))


class HighwayNet(nn.Module):
    """A deep perceptron whose gates decide how much is transformed and how much carried.

    R. K. Srivastava, K. Greff, J. Schmidhuber: Highway Networks. 2015, arXiv:1505.00387.
    """

    def __init__(self, inputs: int = 16, width: int = 8, depth: int = 6) -> None:
        super().__init__()
        self.embed = nn.Linear(inputs, width)
        self.transforms = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        gates = [nn.Linear(width, width) for _ in range(depth)]
        for gate in gates:
            nn.init.constant_(gate.bias, -2.0)  # carries at first
        self.gates = nn.ModuleList(gates)
        self.out = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits f32[N, 10] of f32[N, inputs]."""
        x = self.embed(x)
        for transform, gate in zip(self.transforms, self.gates, strict=True):
            share = torch.sigmoid(gate(x))
            x = share * torch.tanh(transform(x)) + (1 - share) * x
        return self.out(x)


class Inception(nn.Module):
    """Four ways through one layer, side by side: 1 x 1, 3 x 3, 5 x 5 and pooling."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(inputs, 2 * width, 1)
        self.three = nn.Sequential(
            nn.Conv2d(inputs, width, 1), nn.ReLU(), nn.Conv2d(width, 2 * width, 3, padding=1)
        )
        self.five = nn.Sequential(
            nn.Conv2d(inputs, width, 1), nn.ReLU(), nn.Conv2d(width, width, 5, padding=2)
        )
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(inputs, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, inputs, H, W] to f32[N, 6 width, H, W]."""
        return F.relu(torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1))


class InceptionV1(nn.Module):
    """Inception modules after a stem with local response normalisation, and an auxiliary classifier halfway.

    C. Szegedy et al.: Going Deeper with Convolutions. CVPR 2015, arXiv:1409.4842.
    """

    def __init__(self, width: int = 4, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 7, stride=2, padding=3),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.LocalResponseNorm(5),
        )
        self.inception_a = Inception(16, width)
        self.inception_b = Inception(6 * width, width)
        self.auxiliary = nn.Sequential(
            nn.AdaptiveAvgPool2d(2),
            nn.Conv2d(6 * width, 8, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32, classes),
        )
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(6 * width, classes)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits f32[N, classes] at the end and halfway, of images f32[N, 3, H, W]."""
        x = self.inception_a(self.stem(image))
        return self.head(F.max_pool2d(self.inception_b(x), 2)), self.auxiliary(x)


class Fractal(nn.Module):
    """f(1) is a convolution; f(n) joins a convolution with f(n-1) after f(n-1)."""

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        self.short = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        inner = [Fractal(columns - 1, width), Fractal(columns - 1, width)] if columns > 1 else []
        self.long = nn.Sequential(*inner)

    def forward(self, x: Tensor) -> list[Tensor]:
        """What the columns bring, f32[N, width, H, W] each; whoever goes on takes their mean."""
        brought = [self.short(x)]
        for inner in self.long:
            arriving = inner(x)
            x = torch.stack(arriving).mean(0)
        return brought + arriving if len(self.long) else brought


class FractalNet(nn.Module):
    """Depth by self-similarity, without residuals; where a block ends, training drops some of its columns.

    G. Larsson, M. Maire, G. Shakhnarovich: FractalNet: Ultra-Deep Neural Networks without Residuals. ICLR 2017,
    arXiv:1605.07648.
    """

    def __init__(self, width: int = 6, columns: int = 3, drop: float = 0.15) -> None:
        super().__init__()
        self.drop = drop
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(Fractal(columns, width) for _ in range(2))
        self.head = nn.Linear(width, 10)

    def join(self, paths: list[Tensor]) -> Tensor:
        """Their mean, or in training that of those that were kept, at least one."""
        if self.training:
            kept = [path for path in paths if torch.rand(()) >= self.drop]
            paths = kept or paths[:1]
        return torch.stack(paths).mean(0)

    def forward(self, image: Tensor) -> Tensor:
        """Logits f32[N, 10] of images f32[N, 3, H, W]."""
        x = self.stem(image)
        for block in self.blocks:
            x = F.max_pool2d(self.join(block(x)), 2)
        return self.head(x.mean((2, 3)))


class StochasticDepthNet(nn.Module):
    """A residual net whose blocks are dropped in training, later ones more often, and scaled in use.

    G. Huang, Y. Sun, Z. Liu, D. Sedra, K. Weinberger: Deep Networks with Stochastic Depth. ECCV 2016,
    arXiv:1603.09382.
    """

    def __init__(self, width: int = 8, depth: int = 4, last_survival: float = 0.5) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
            )
            for _ in range(depth)
        )
        self.survival = [1 - (index + 1) / depth * (1 - last_survival) for index in range(depth)]
        self.head = nn.Linear(width, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits f32[N, 10] of images f32[N, 3, H, W]."""
        x = F.relu(self.stem(image))
        for block, survival in zip(self.blocks, self.survival, strict=True):
            if not self.training:
                x = F.relu(x + survival * block(x))
            elif torch.rand(()) < survival:
                x = F.relu(x + block(x))
        return self.head(x.mean((2, 3)))


class BranchyNet(nn.Module):
    """Classifiers along the way; the first whose answer has a low entropy ends the pass.

    S. Teerapittayanon, B. McDanel, H. T. Kung: BranchyNet: Fast Inference via Early Exiting from Deep Neural
    Networks. ICPR 2016, arXiv:1709.01686.
    """

    def __init__(self, width: int = 8, stages: int = 3, threshold: float = 2.27) -> None:
        super().__init__()
        self.threshold = threshold
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width if index else 1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
            for index in range(stages)
        )
        self.exits = nn.ModuleList(nn.Linear(width, 10) for _ in range(stages))

    def forward(self, image: Tensor) -> tuple[Tensor, int]:
        """Logits f32[1, 10] of an image f32[1, 1, H, W], and the exit that was taken."""
        x = image
        for taken, (stage, branch) in enumerate(zip(self.stages, self.exits, strict=True)):
            x = stage(x)
            logits = branch(x.mean((2, 3)))
            entropy = -(logits.softmax(-1) * logits.log_softmax(-1)).sum()
            if entropy < self.threshold or taken == len(self.stages) - 1:
                return logits, taken
        raise AssertionError("the last exit is always taken")


class SpatialTransformerNet(nn.Module):
    """A small net looks at the image and says by which affine map it is sampled before it is classified.

    M. Jaderberg, K. Simonyan, A. Zisserman, K. Kavukcuoglu: Spatial Transformer Networks. NIPS 2015,
    arXiv:1506.02025.
    """

    def __init__(self) -> None:
        super().__init__()
        self.localise = nn.Sequential(
            nn.Conv2d(1, 4, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 8), nn.ReLU()
        )
        self.theta = nn.Linear(8, 6)
        nn.init.normal_(self.theta.weight, std=0.01)
        self.theta.bias.data = torch.tensor([1.0, 0, 0, 0, 1, 0])
        self.classify = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits f32[N, 10] of images f32[N, 1, 16, 16]."""
        theta = self.theta(self.localise(image)).view(-1, 2, 3)
        grid = F.affine_grid(theta, list(image.shape), align_corners=False)
        return self.classify(F.grid_sample(image, grid, align_corners=False))
