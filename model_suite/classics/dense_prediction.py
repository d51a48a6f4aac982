"""Nets that answer at every pixel: segmentation, edges, key points, boxes, flow, and image to image."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv_relu(inputs: int, outputs: int, count: int = 1) -> nn.Sequential:
    """So many 3 x 3 convolutions with ReLU, that keep the size."""
    layers: list[nn.Module] = []
    for index in range(count):
        layers += [nn.Conv2d(outputs if index else inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class FCN8s(nn.Module):
    """Classifiers at strides 8, 16 and 32, each added to what comes up from the coarser one.

    J. Long, E. Shelhamer, T. Darrell: Fully Convolutional Networks for Semantic Segmentation. CVPR 2015,
    arXiv:1411.4038.
    """

    def __init__(self, width: int = 4, classes: int = 5) -> None:
        super().__init__()
        widths = [3, width, width, 2 * width, 2 * width, 4 * width]
        self.stages = nn.ModuleList(
            nn.Sequential(conv_relu(i, o), nn.MaxPool2d(2)) for i, o in pairwise(widths)
        )
        self.fc = nn.Sequential(nn.Conv2d(4 * width, 16, 1), nn.ReLU(), nn.Dropout2d())
        self.score8 = nn.Conv2d(2 * width, classes, 1)
        self.score16 = nn.Conv2d(2 * width, classes, 1)
        self.score32 = nn.Conv2d(16, classes, 1)
        self.up32 = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=False)
        self.up16 = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=False)
        self.up8 = nn.ConvTranspose2d(classes, classes, 16, stride=8, padding=4, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits f32[N, classes, H, W] of images f32[N, 3, H, W]; H and W are multiples of 32."""
        maps = []
        x = image
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        y = self.up32(self.score32(self.fc(maps[4]))) + self.score16(maps[3])
        y = self.up16(y) + self.score8(maps[2])
        return self.up8(y)


class SegNet(nn.Module):
    """The decoder puts values back to where each maximum was pooled from.

    V. Badrinarayanan, A. Kendall, R. Cipolla: SegNet: A Deep Convolutional Encoder-Decoder Architecture for
    Image Segmentation. TPAMI 2017, arXiv:1511.00561.
    """

    def __init__(self, width: int = 6, depth: int = 3, classes: int = 5) -> None:
        super().__init__()
        self.down = nn.ModuleList(conv_relu(width if index else 3, width, 2) for index in range(depth))
        self.up = nn.ModuleList(conv_relu(width, width, 2) for _ in range(depth))
        self.classify = nn.Conv2d(width, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits f32[N, classes, H, W] of images f32[N, 3, H, W]."""
        x, pooled = image, []
        for encode in self.down:
            x = encode(x)
            size = x.shape
            x, indices = F.max_pool2d(x, 2, return_indices=True)
            pooled.append((indices, size))
        for decode in self.up:
            indices, size = pooled.pop()
            x = decode(F.max_unpool2d(x, indices, [2, 2], output_size=list(size[2:])))
        return self.classify(x)


class UNet(nn.Module):
    """Unpadded convolutions down and up again; maps of the way down are cropped and put beside.

    O. Ronneberger, P. Fischer, T. Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation.
    MICCAI 2015, arXiv:1505.04597.
    """

    def __init__(self, width: int = 4, depth: int = 3, classes: int = 2) -> None:
        super().__init__()

        def double(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(inputs, outputs, 3), nn.ReLU(), nn.Conv2d(outputs, outputs, 3), nn.ReLU()
            )

        widths = [width * 2**level for level in range(depth)]
        self.down = nn.ModuleList(double(i, o) for i, o in pairwise([1, *widths]))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in widths[-2::-1])
        self.up = nn.ModuleList(double(2 * w, w) for w in widths[-2::-1])
        self.classify = nn.Conv2d(width, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits f32[N, classes, h, w], smaller by a border, of images f32[N, 1, H, W]."""
        x, skips = image, []
        for level, encode in enumerate(self.down):
            x = encode(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        for grow, decode in zip(self.grow, self.up, strict=True):
            x = grow(x)
            skip = skips.pop()
            edge = (skip.shape[-1] - x.shape[-1]) // 2
            x = decode(torch.cat([skip[:, :, edge:-edge, edge:-edge], x], 1))
        return self.classify(x)


class AttentionUNet(nn.Module):
    """Gates on the skips: the coarser map says where the finer one is worth looking at.

    O. Oktay et al.: Attention U-Net: Learning Where to Look for the Pancreas. MIDL 2018, arXiv:1804.03999.
    """

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.fine, self.coarse = conv_relu(1, width, 2), conv_relu(width, 2 * width, 2)
        self.from_fine = nn.Conv2d(width, width, 2, stride=2, bias=False)
        self.from_coarse = nn.Conv2d(2 * width, width, 1)
        self.psi = nn.Conv2d(width, 1, 1)
        self.up = conv_relu(3 * width, width, 2)
        self.classify = nn.Conv2d(width, 2, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits f32[N, 2, H, W], and the gate f32[N, 1, H, W]."""
        fine = self.fine(image)
        coarse = self.coarse(F.max_pool2d(fine, 2))
        gate = torch.sigmoid(self.psi(F.relu(self.from_fine(fine) + self.from_coarse(coarse))))
        gate = F.interpolate(gate, scale_factor=2.0, mode="bilinear")
        up = F.interpolate(coarse, scale_factor=2.0, mode="bilinear")
        return self.classify(self.up(torch.cat([gate * fine, up], 1))), gate


class VNet(nn.Module):
    """Volumes: residual stages, strided convolutions instead of pooling, PReLU.

    F. Milletari, N. Navab, S.-A. Ahmadi: V-Net: Fully Convolutional Neural Networks for Volumetric Medical
    Image Segmentation. 3DV 2016, arXiv:1606.04797.
    """

    def __init__(self, width: int = 4, depth: int = 2) -> None:
        super().__init__()
        self.width = width
        widths = [width * 2**level for level in range(depth + 1)]
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Conv3d(i, o, 2, stride=2) for i, o in pairs)
        self.encode = nn.ModuleList(nn.Conv3d(w, w, 5, padding=2) for w in widths)
        self.up = nn.ModuleList(nn.ConvTranspose3d(o, i, 2, stride=2) for i, o in reversed(pairs))
        self.decode = nn.ModuleList(nn.Conv3d(2 * i, i, 5, padding=2) for i, _ in reversed(pairs))
        self.act = nn.PReLU()
        self.classify = nn.Conv3d(width, 2, 1)

    def forward(self, volume: Tensor) -> Tensor:
        """Probabilities f32[N, 2, D, H, W] of volumes f32[N, 1, D, H, W]."""
        x = volume.expand(-1, self.width, -1, -1, -1)
        x = self.act(self.encode[0](x) + x)
        skips = []
        for down, encode in zip(self.down, self.encode[1:], strict=True):
            skips.append(x)
            x = self.act(down(x))
            x = self.act(encode(x) + x)
        for up, decode in zip(self.up, self.decode, strict=True):
            x = self.act(up(x))
            x = self.act(decode(torch.cat([x, skips.pop()], 1)) + x)
        return self.classify(x).softmax(1)


class PyramidSceneParser(nn.Module):
    """Means over grids of several sizes, brought back to the size of the map and put beside it.

    H. Zhao, J. Shi, X. Qi, X. Wang, J. Jia: Pyramid Scene Parsing Network. CVPR 2017, arXiv:1612.01105.
    """

    def __init__(self, width: int = 8, bins: tuple[int, ...] = (1, 2, 3, 6), classes: int = 5) -> None:
        super().__init__()
        self.bins = bins
        self.backbone = nn.Sequential(conv_relu(3, width), nn.MaxPool2d(2), conv_relu(width, width))
        self.reduce = nn.ModuleList(nn.Conv2d(width, width // len(bins), 1) for _ in bins)
        self.classify = nn.Sequential(conv_relu(2 * width, width), nn.Conv2d(width, classes, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Logits f32[N, classes, H, W] of images f32[N, 3, H, W]."""
        x = self.backbone(image)
        pyramid = [x]
        for size, reduce in zip(self.bins, self.reduce, strict=True):
            pooled = reduce(F.adaptive_avg_pool2d(x, size))
            pyramid.append(F.interpolate(pooled, x.shape[2:], mode="bilinear"))
        return F.interpolate(self.classify(torch.cat(pyramid, 1)), image.shape[2:], mode="bilinear")


class HolisticallyNestedEdges(nn.Module):
    """Edges from the side of each stage, and their learnt mean.

    S. Xie, Z. Tu: Holistically-Nested Edge Detection. ICCV 2015, arXiv:1504.06375.
    """

    def __init__(self, width: int = 4, depth: int = 4) -> None:
        super().__init__()
        self.stages = nn.ModuleList(conv_relu(width if index else 3, width, 2) for index in range(depth))
        self.sides = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in range(depth))
        self.fuse = nn.Conv2d(depth, 1, 1, bias=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Probabilities of an edge f32[N, 1, H, W]: of each stage, and fused."""
        x, sides = image, []
        for index, (stage, side) in enumerate(zip(self.stages, self.sides, strict=True)):
            x = stage(F.max_pool2d(x, 2) if index else x)
            sides.append(F.interpolate(side(x), image.shape[2:], mode="bilinear"))
        fused = self.fuse(torch.cat(sides, 1))
        return [torch.sigmoid(edges) for edges in [*sides, fused]]


class Hourglass(nn.Module):
    """Down, the same thing one size smaller, and up, around a way that keeps the size."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.skip, self.down, self.up = (conv_relu(width, width) for _ in range(3))
        self.inner = Hourglass(depth - 1, width) if depth > 1 else conv_relu(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, width, H, W] to the same shape."""
        low = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        return self.skip(x) + F.interpolate(low, scale_factor=2.0)


class StackedHourglass(nn.Module):
    """Heat maps of joints, that go back into the features for the next hourglass.

    A. Newell, K. Yang, J. Deng: Stacked Hourglass Networks for Human Pose Estimation. ECCV 2016,
    arXiv:1603.06937.
    """

    def __init__(self, stacks: int = 2, depth: int = 3, width: int = 6, joints: int = 5) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 7, stride=2, padding=3)
        self.hourglasses = nn.ModuleList(Hourglass(depth, width) for _ in range(stacks))
        self.heads = nn.ModuleList(nn.Conv2d(width, joints, 1) for _ in range(stacks))
        self.back = nn.ModuleList(nn.Conv2d(joints, width, 1) for _ in range(stacks - 1))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Heat maps f32[N, joints, H/2, W/2] of each stack, of images f32[N, 3, H, W]."""
        x, heat_maps = F.relu(self.stem(image)), []
        for index, (hourglass, head) in enumerate(zip(self.hourglasses, self.heads, strict=True)):
            features = hourglass(x)
            heat_maps.append(head(features))
            if index < len(self.back):
                x = x + features + self.back[index](heat_maps[-1])
        return heat_maps


class YOLOv1(nn.Module):
    """A grid of cells, each of which says what it holds and where: one regression from the whole image.

    J. Redmon, S. Divvala, R. Girshick, A. Farhadi: You Only Look Once: Unified, Real-Time Object Detection.
    CVPR 2016, arXiv:1506.02640.
    """

    def __init__(self, grid: int = 4, boxes: int = 2, classes: int = 5, width: int = 6) -> None:
        super().__init__()
        self.grid, self.boxes, self.classes = grid, boxes, classes
        layers: list[nn.Module] = []
        for index in range(3):
            layers += [
                nn.Conv2d(width if index else 3, width, 3, padding=1),
                nn.LeakyReLU(0.1),
                nn.MaxPool2d(2),
            ]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(grid), nn.Flatten())
        self.regress = nn.Sequential(
            nn.Linear(width * grid**2, 32),
            nn.LeakyReLU(0.1),
            nn.Linear(32, grid**2 * (5 * boxes + classes)),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes f32[N, cells · boxes, 4], centre and size as parts of the image, and their scores."""
        cells = self.regress(self.features(image)).view(-1, self.grid**2, 5 * self.boxes + self.classes)
        boxes, likely = cells.split([5 * self.boxes, self.classes], -1)
        x, y, w, h, confidence = boxes.unflatten(-1, (self.boxes, 5)).unbind(-1)
        place = torch.arange(self.grid**2)
        column, row = (place % self.grid)[:, None], (place // self.grid)[:, None]
        # sizes are predicted as roots, so that errors of small boxes weigh more
        box = torch.stack([(x + column) / self.grid, (y + row) / self.grid, w.square(), h.square()], -1)
        return box.flatten(1, 2), (confidence[..., None] * likely[:, :, None]).flatten(1, 2)


class FlowNetC(nn.Module):
    """Optical flow: patches of one image multiplied with those around the same place in the other.

    A. Dosovitskiy et al.: FlowNet: Learning Optical Flow with Convolutional Networks. ICCV 2015,
    arXiv:1504.06852.
    """

    def __init__(self, width: int = 8, reach: int = 2) -> None:
        super().__init__()
        self.reach = reach
        self.features = nn.Conv2d(3, width, 7, stride=2, padding=3)
        self.redirect = nn.Conv2d(width, 4, 1)
        self.merge = conv_relu((2 * reach + 1) ** 2 + 4, width, 2)
        self.coarse_flow = nn.Conv2d(width, 2, 3, padding=1)
        self.flow_up = nn.ConvTranspose2d(2, 2, 4, stride=2, padding=1)
        self.feature_up = nn.ConvTranspose2d(width, width, 4, stride=2, padding=1)
        self.flow = nn.Conv2d(width + 2, 2, 3, padding=1)

    def correlate(self, a: Tensor, b: Tensor) -> Tensor:
        """Scalar products of each place of ``a`` with the places of ``b`` within reach."""
        around = F.unfold(b, 2 * self.reach + 1, padding=self.reach)
        around = around.view(len(b), b.shape[1], -1, *b.shape[2:])
        return (a[:, :, None] * around).mean(1)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Flow f32[N, 2, H, W], and at half the size."""
        a, b = F.leaky_relu(self.features(first), 0.1), F.leaky_relu(self.features(second), 0.1)
        x = self.merge(torch.cat([F.leaky_relu(self.correlate(a, b), 0.1), self.redirect(a)], 1))
        coarse = self.coarse_flow(x)
        return self.flow(torch.cat([self.feature_up(x), self.flow_up(coarse)], 1)), coarse
