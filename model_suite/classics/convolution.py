"""Kinds of convolution, and of attention to its channels and places, each in a net as small as shows it."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SqueezeExcitation(nn.Module):
    """Channels scaled by what a bottleneck makes of their means."""

    def __init__(self, width: int, reduction: int = 4) -> None:
        super().__init__()
        self.excite = nn.Sequential(
            nn.Linear(width, width // reduction),
            nn.ReLU(),
            nn.Linear(width // reduction, width),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, C, H, W] to the same shape."""
        return x * self.excite(x.mean((2, 3)))[:, :, None, None]


class SENet(nn.Module):
    """A residual net that recalibrates its channels in each block.

    J. Hu, L. Shen, G. Sun: Squeeze-and-Excitation Networks. CVPR 2018, arXiv:1709.01507.
    """

    def __init__(self, width: int = 8, depth: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                nn.Conv2d(width, width, 3, padding=1),
                nn.BatchNorm2d(width),
                SqueezeExcitation(width),
            )
            for _ in range(depth)
        )
        self.head = nn.Linear(width, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits f32[N, 10] of images f32[N, 3, H, W]."""
        x = F.relu(self.stem(image))
        for block in self.blocks:
            x = F.relu(x + block(x))
        return self.head(x.mean((2, 3)))


class CBAM(nn.Module):
    """Attention to channels, then to places, each from means and maxima.

    S. Woo, J. Park, J.-Y. Lee, I. S. Kweon: CBAM: Convolutional Block Attention Module. ECCV 2018,
    arXiv:1807.06521.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.channels = nn.Sequential(nn.Linear(width, width // 4), nn.ReLU(), nn.Linear(width // 4, width))
        self.places = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, image: Tensor) -> Tensor:
        """Refined features f32[N, width, H, W] of images f32[N, 3, H, W]."""
        x = F.relu(self.conv(image))
        scale = torch.sigmoid(self.channels(x.mean((2, 3))) + self.channels(x.amax((2, 3))))
        x = x * scale[:, :, None, None]
        summary = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.places(summary))


class SelectiveKernelNet(nn.Module):
    """Branches with kernels of several sizes; a softmax over the branches, a channel each, mixes them.

    X. Li, W. Wang, X. Hu, J. Yang: Selective Kernel Networks. CVPR 2019, arXiv:1903.06586.
    """

    def __init__(self, width: int = 8, branches: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 1)
        # the second branch sees 5 x 5 pixels by dilation, as the paper does it
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, groups=4),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            )
            for dilation in range(1, branches + 1)
        )
        self.fuse = nn.Sequential(nn.Linear(width, 4), nn.ReLU())
        self.select = nn.ModuleList(nn.Linear(4, width) for _ in range(branches))

    def forward(self, image: Tensor) -> Tensor:
        """f32[N, 3, H, W] to f32[N, width, H, W]."""
        x = self.stem(image)
        seen = torch.stack([branch(x) for branch in self.branches], 1)
        fused = self.fuse(seen.sum(1).mean((2, 3)))
        weights = torch.stack([select(fused) for select in self.select], 1).softmax(1)
        return (seen * weights[..., None, None]).sum(1)


class NonLocalNet(nn.Module):
    """Every place of a video sees every other: an embedded Gaussian, with pooled keys.

    X. Wang, R. Girshick, A. Gupta, K. He: Non-local Neural Networks. CVPR 2018, arXiv:1711.07971.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, width, 3, padding=1)
        self.theta = nn.Conv3d(width, width // 2, 1)
        self.phi = nn.Sequential(nn.Conv3d(width, width // 2, 1), nn.MaxPool3d((1, 2, 2)))
        self.g = nn.Sequential(nn.Conv3d(width, width // 2, 1), nn.MaxPool3d((1, 2, 2)))
        self.back = nn.Sequential(nn.Conv3d(width // 2, width, 1), nn.BatchNorm3d(width))

    def forward(self, video: Tensor) -> Tensor:
        """f32[N, 3, T, H, W] to f32[N, width, T, H, W]."""
        x = F.relu(self.stem(video))
        alike = self.theta(x).flatten(2).transpose(1, 2) @ self.phi(x).flatten(2)
        seen = alike.softmax(-1) @ self.g(x).flatten(2).transpose(1, 2)
        y = seen.transpose(1, 2).unflatten(2, x.shape[2:])
        return x + self.back(y)


class CoordConvNet(nn.Module):
    """Convolutions that are told where they are, by channels of coordinates; here they paint a point.

    R. Liu et al.: An Intriguing Failing of Convolutional Neural Networks and the CoordConv Solution.
    NeurIPS 2018, arXiv:1807.03247.
    """

    def __init__(self, side: int = 16, width: int = 8) -> None:
        super().__init__()
        self.side = side
        self.paint = nn.Sequential(
            nn.Conv2d(4, width, 1), nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, 1, 1)
        )

    def forward(self, point: Tensor) -> Tensor:
        """A distribution over the pixels f32[N, side, side] of points f32[N, 2] in [-1, 1]²."""
        axis = torch.linspace(-1, 1, self.side)
        rows, columns = torch.meshgrid(axis, axis, indexing="ij")
        where = torch.stack([rows, columns]).expand(len(point), -1, -1, -1)
        tiled = point[:, :, None, None].expand_as(where)
        logits = self.paint(torch.cat([tiled, where], 1))
        return logits.flatten(1).softmax(1).view(-1, self.side, self.side)


class OctaveConv(nn.Module):
    """A convolution between a map of full size, for what changes fast, and one of half size."""

    def __init__(self, inputs: tuple[int, int], outputs: tuple[int, int]) -> None:
        super().__init__()
        self.high_high = nn.Conv2d(inputs[0], outputs[0], 3, padding=1)
        self.high_low = nn.Conv2d(inputs[0], outputs[1], 3, padding=1)
        self.low_high = nn.Conv2d(inputs[1], outputs[0], 3, padding=1)
        self.low_low = nn.Conv2d(inputs[1], outputs[1], 3, padding=1)

    def forward(self, high: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
        """f32[N, _, H, W] and f32[N, _, H/2, W/2] to the like."""
        new_high = self.high_high(high) + F.interpolate(self.low_high(low), scale_factor=2.0)
        new_low = self.low_low(low) + self.high_low(F.avg_pool2d(high, 2))
        return F.relu(new_high), F.relu(new_low)


class OctaveNet(nn.Module):
    """Two frequencies side by side, that exchange what they know in each layer.

    Y. Chen et al.: Drop an Octave: Reducing Spatial Redundancy in Convolutional Neural Networks with Octave
    Convolution. ICCV 2019, arXiv:1904.05049.
    """

    def __init__(self, high: int = 6, low: int = 4) -> None:
        super().__init__()
        self.to_high = nn.Conv2d(3, high, 3, padding=1)
        self.to_low = nn.Conv2d(3, low, 3, padding=1)
        self.octaves = nn.ModuleList(OctaveConv((high, low), (high, low)) for _ in range(2))
        self.head = nn.Linear(high + low, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits f32[N, 10] of images f32[N, 3, H, W]."""
        high, low = self.to_high(image), self.to_low(F.avg_pool2d(image, 2))
        for octave in self.octaves:
            high, low = octave(high, low)
        return self.head(torch.cat([high.mean((2, 3)), low.mean((2, 3))], 1))


class InvolutionNet(nn.Module):
    """The other way round: a kernel for each place, made from the pixel there, and shared by the channels of a group.

    D. Li et al.: Involution: Inverting the Inherence of Convolution for Visual Recognition. CVPR 2021,
    arXiv:2103.06255.
    """

    def __init__(self, width: int = 8, kernel: int = 3, groups: int = 2) -> None:
        super().__init__()
        self.kernel, self.groups = kernel, groups
        self.stem = nn.Conv2d(3, width, 1)
        self.reduce = nn.Sequential(nn.Conv2d(width, width // 2, 1), nn.BatchNorm2d(width // 2), nn.ReLU())
        self.span = nn.Conv2d(width // 2, kernel**2 * groups, 1)

    def forward(self, image: Tensor) -> Tensor:
        """f32[N, 3, H, W] to f32[N, width, H, W]."""
        x = self.stem(image)
        n, c, h, w = x.shape
        kernels = self.span(self.reduce(x)).view(n, self.groups, 1, self.kernel**2, h, w)
        patches = F.unfold(x, self.kernel, padding=self.kernel // 2)
        patches = patches.view(n, self.groups, c // self.groups, self.kernel**2, h, w)
        return (kernels * patches).sum(3).view(n, c, h, w)


class DynamicConvNet(nn.Module):
    """Several kernels, mixed for each image by attention, and run as one grouped convolution.

    Y. Chen et al.: Dynamic Convolution: Attention over Convolution Kernels. CVPR 2020, arXiv:1912.03458.
    """

    def __init__(self, width: int = 8, kernels: int = 4, temperature: float = 30.0) -> None:
        super().__init__()
        self.temperature = temperature
        self.weight = nn.Parameter(torch.randn(kernels, width, 3, 3, 3) / 5)
        self.bias = nn.Parameter(torch.zeros(kernels, width))
        self.attend = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, kernels))

    def forward(self, image: Tensor) -> Tensor:
        """f32[N, 3, H, W] to f32[N, width, H, W]."""
        n, _, h, w = image.shape
        shares = (self.attend(image.mean((2, 3))) / self.temperature).softmax(-1)
        weight = torch.einsum("nk,kcihw->ncihw", shares, self.weight).flatten(0, 1)
        bias = (shares @ self.bias).flatten()
        out = F.conv2d(image.reshape(1, -1, h, w), weight, bias, padding=1, groups=n)
        return F.relu(out.view(n, -1, h, w))


class DeformableConvNet(nn.Module):
    """Each tap of the kernel looks where an offset, itself a convolution of the map, sends it.

    J. Dai et al.: Deformable Convolutional Networks. ICCV 2017, arXiv:1703.06211.
    """

    taps: Tensor

    def __init__(self, width: int = 8, kernel: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.offsets = nn.Conv2d(width, 2 * kernel**2, kernel, padding=kernel // 2)
        self.weight = nn.Parameter(torch.randn(width, width, kernel**2) / width)
        axis = torch.arange(kernel) - kernel // 2
        self.register_buffer("taps", torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).view(-1, 2))

    def forward(self, image: Tensor) -> Tensor:
        """f32[N, 3, H, W] to f32[N, width, H, W]."""
        x = F.relu(self.stem(image))
        n, c, h, w = x.shape
        offsets = self.offsets(x).view(n, -1, 2, h, w).permute(0, 1, 3, 4, 2)
        pixels = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(h), indexing="xy"), -1)
        places = pixels + self.taps[:, None, None] + offsets  # in pixels, x before y
        grid = (2 * places + 1) / torch.tensor([w, h]) - 1
        sampled = F.grid_sample(x, grid.flatten(1, 2), align_corners=False)
        return torch.einsum("nckp,ock->nop", sampled.view(n, c, -1, h * w), self.weight).view(n, -1, h, w)


class RotationEquivariantNet(nn.Module):
    """Convolutions on the group p4: a filter in its four rotations, and then over them too; turns of the image
    turn the maps, and the mean over the group does not change.

    T. Cohen, M. Welling: Group Equivariant Convolutional Networks. ICML 2016, arXiv:1602.07576.
    """

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.width = width
        self.lift = nn.Parameter(torch.randn(width, 1, 3, 3) / 3)
        self.weight = nn.Parameter(torch.randn(width, width, 4, 3, 3) / 6)
        self.head = nn.Linear(width, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits f32[N, 10] of images f32[N, 1, H, W]."""
        turned = torch.stack([torch.rot90(self.lift, turn, (2, 3)) for turn in range(4)], 1)
        x = F.relu(F.conv2d(image, turned.flatten(0, 1), padding=1))
        # the rotation of a filter on the group turns each plane, and moves on to the next
        turned = torch.stack([torch.rot90(self.weight, turn, (3, 4)).roll(turn, 2) for turn in range(4)], 1)
        x = F.relu(F.conv2d(x, turned.flatten(0, 1).flatten(1, 2), padding=1))
        return self.head(x.unflatten(1, (self.width, 4)).mean((2, 3, 4)))


class Capsules(nn.Module):
    """Votes of the capsules below, weighted by how well they agree, in three rounds of routing."""

    def __init__(self, below: int, above: int, size_below: int, size_above: int, rounds: int = 3) -> None:
        super().__init__()
        self.rounds = rounds
        self.weight = nn.Parameter(torch.randn(below, above, size_above, size_below) / 10)

    @staticmethod
    def squash(s: Tensor) -> Tensor:
        """The same direction, of a length below one."""
        square = s.square().sum(-1, keepdim=True)
        return square / (1 + square) * s / (square + 1e-8).sqrt()

    def forward(self, u: Tensor) -> Tensor:
        """f32[N, below, size_below] to f32[N, above, size_above]."""
        votes = torch.einsum("bcoi,nbi->nbco", self.weight, u)
        logits = votes.new_zeros(votes.shape[:3])
        for _ in range(self.rounds):
            coupling = logits.softmax(2)
            v = self.squash((coupling[..., None] * votes).sum(1))
            logits = logits + (votes * v[:, None]).sum(-1)
        return v


class CapsuleNet(nn.Module):
    """Groups of neurons whose length says whether, and whose direction how, with routing by agreement.

    S. Sabour, N. Frosst, G. Hinton: Dynamic Routing Between Capsules. NIPS 2017, arXiv:1710.09829.
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 5)
        self.primary = nn.Conv2d(8, 4 * 8, 5, stride=2)
        self.digits = Capsules(4 * 16, classes, 8, 16)
        self.decode = nn.Sequential(
            nn.Linear(16 * classes, 32), nn.ReLU(), nn.Linear(32, 256), nn.Sigmoid()
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Lengths f32[N, classes], and the image f32[N, 1, 16, 16] painted again from the longest capsule."""
        x = self.primary(F.relu(self.conv(image)))
        capsules = x.unflatten(1, (4, 8)).permute(0, 1, 3, 4, 2).flatten(1, 3)
        digits = self.digits(Capsules.squash(capsules))
        lengths = digits.norm(dim=-1)
        mask = F.one_hot(lengths.argmax(1), lengths.shape[1])
        return lengths, self.decode((digits * mask[..., None]).flatten(1)).view_as(image)
