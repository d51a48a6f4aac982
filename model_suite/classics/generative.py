"""What makes pictures, sound and samples: adversarial nets, autoencoders, flows, autoregression."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DCGANGenerator(nn.Module):
    """Transposed convolutions from noise to a picture, batch norm in between, tanh at the end.

    A. Radford, L. Metz, S. Chintala: Unsupervised Representation Learning with Deep Convolutional Generative
    Adversarial Networks. ICLR 2016, arXiv:1511.06434.
    """

    def __init__(self, noise: int = 8, width: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        sizes = [noise, 4 * width, 2 * width, width]
        for index, (inputs, outputs) in enumerate(pairwise(sizes)):
            window = (4, 2, 1) if index else (4, 1, 0)
            layers += [nn.ConvTranspose2d(inputs, outputs, *window, bias=False), nn.BatchNorm2d(outputs)]
            layers.append(nn.ReLU(inplace=True))
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh())

    def forward(self, noise: Tensor) -> Tensor:
        """Pictures f32[N, 3, 32, 32] of f32[N, noise]."""
        return self.layers(noise[:, :, None, None])


class DCGANDiscriminator(nn.Module):
    """Strided convolutions with leaky ReLU, no pooling and no dense layer, to one number.

    A. Radford, L. Metz, S. Chintala: Unsupervised Representation Learning with Deep Convolutional Generative
    Adversarial Networks. ICLR 2016, arXiv:1511.06434.
    """

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(4 * width),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(4 * width, 1, 4),
        )

    def forward(self, image: Tensor) -> Tensor:
        """How real f32[N] the pictures f32[N, 3, 32, 32] look."""
        return self.layers(image).flatten()


class ModulatedConv(nn.Module):
    """A convolution whose weights a style scales, and a norm scales back, one set a picture."""

    def __init__(
        self, inputs: int, outputs: int, style: int, kernel: int = 3, demodulate: bool = True
    ) -> None:
        super().__init__()
        self.demodulate = demodulate
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.style = nn.Linear(style, inputs)
        nn.init.ones_(self.style.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """f32[N, inputs, H, W] to f32[N, outputs, H, W]."""
        n, _, h, w = x.shape
        weight = self.weight * self.style(style)[:, None, :, None, None]
        if self.demodulate:
            weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        out = F.conv2d(x.reshape(1, -1, h, w), weight.flatten(0, 1), padding="same", groups=n)
        return out.view(n, -1, h, w)


class StyleGAN2(nn.Module):
    """A mapping from noise to style, modulated convolutions from a constant, noise at each size, and skips to RGB.

    T. Karras, S. Laine, M. Aittala, J. Hellsten, J. Lehtinen, T. Aila: Analyzing and Improving the Image Quality
    of StyleGAN. CVPR 2020, arXiv:1912.04958.
    """

    def __init__(self, style: int = 8, width: int = 6, sizes: int = 3) -> None:
        super().__init__()
        self.mapping = nn.ModuleList(nn.Linear(style, style) for _ in range(4))
        self.constant = nn.Parameter(torch.randn(1, width, 4, 4))
        self.convs = nn.ModuleList(ModulatedConv(width, width, style) for _ in range(sizes))
        self.colours = nn.ModuleList(
            ModulatedConv(width, 3, style, kernel=1, demodulate=False) for _ in range(sizes)
        )
        self.noise = nn.ParameterList(torch.full((), 0.1) for _ in range(sizes))

    def forward(self, z: Tensor) -> Tensor:
        """Pictures f32[N, 3, 16, 16] of f32[N, style]."""
        style = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.mapping:
            style = F.leaky_relu(layer(style), 0.2)
        x, picture = self.constant.expand(len(z), -1, -1, -1), z.new_zeros(len(z), 3, 4, 4)
        for index, (conv, colour, strength) in enumerate(
            zip(self.convs, self.colours, self.noise, strict=True)
        ):
            if index:
                x = F.interpolate(x, scale_factor=2.0, mode="bilinear")
                picture = F.interpolate(picture, scale_factor=2.0, mode="bilinear")
            x = conv(x, style)
            x = F.leaky_relu(x + strength * torch.randn_like(x[:, :1]), 0.2) * math.sqrt(2)
            picture = picture + colour(x, style)
        return picture


class Pix2Pix(nn.Module):
    """A U-Net that nests itself: each level holds the next, and puts what it was given beside what comes back.

    P. Isola, J.-Y. Zhu, T. Zhou, A. Efros: Image-to-Image Translation with Conditional Adversarial Networks.
    CVPR 2017, arXiv:1611.07004.
    """

    def __init__(self, inputs: int = 3, outputs: int = 3, width: int = 4, depth: int = 3) -> None:
        super().__init__()
        self.down = nn.Conv2d(inputs, width, 4, 2, 1, bias=False)
        self.inner = Pix2Pix(width, width, 2 * width, depth - 1) if depth > 1 else None
        self.up = nn.ConvTranspose2d(width * (2 if depth > 1 else 1), outputs, 4, 2, 1)

    def level(self, x: Tensor) -> Tensor:
        """f32[N, inputs, H, W] to f32[N, outputs, H, W]."""
        down = self.down(F.leaky_relu(x, 0.2))
        if self.inner is not None:
            down = torch.cat([down, F.instance_norm(self.inner.level(down))], 1)
        return self.up(F.relu(down))

    def forward(self, image: Tensor) -> Tensor:
        """Pictures of another kind f32[N, outputs, H, W]; dropout, on in use too, is the only noise."""
        return torch.tanh(F.dropout(self.level(image), 0.5, training=True))


class CycleGAN(nn.Module):
    """There and back: two generators with reflecting borders, instance norm and residual blocks, and the cycle's loss.

    J.-Y. Zhu, T. Park, P. Isola, A. Efros: Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
    Networks. ICCV 2017, arXiv:1703.10593.
    """

    def __init__(self, width: int = 4, residuals: int = 2) -> None:
        super().__init__()
        self.there, self.back = self.generator(width, residuals), self.generator(width, residuals)

    @staticmethod
    def generator(width: int, residuals: int) -> nn.Sequential:
        """A picture to a picture, by half the size."""
        return nn.Sequential(
            nn.Conv2d(3, width, 7, padding=3, padding_mode="reflect"),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1),
            nn.InstanceNorm2d(2 * width),
            nn.ReLU(),
            *(ReflectingResidual(2 * width) for _ in range(residuals)),
            nn.ConvTranspose2d(2 * width, width, 3, 2, 1, output_padding=1),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 3, 7, padding=3, padding_mode="reflect"),
            nn.Tanh(),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The translation f32[N, 3, H, W], and how far the way back misses."""
        translated = self.there(image)
        return translated, F.l1_loss(self.back(translated), image)


class ReflectingResidual(nn.Module):
    """Two convolutions around which the input goes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect") for _ in range(2)
        )
        self.norm = nn.InstanceNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, width, H, W] to the same shape."""
        return x + self.norm(self.conv2(F.relu(self.norm(self.conv1(x)))))


class VariationalAutoencoder(nn.Module):
    """A distribution of codes for each picture, a sample of it by reparameterisation, and the evidence bound.

    D. P. Kingma, M. Welling: Auto-Encoding Variational Bayes. ICLR 2014, arXiv:1312.6114.
    """

    def __init__(self, inputs: int = 64, hidden: int = 16, latent: int = 3) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, 2 * latent))
        self.decode = nn.Sequential(nn.Linear(latent, hidden), nn.Tanh(), nn.Linear(hidden, inputs))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstructions f32[N, inputs] of values in [0, 1], and the evidence lower bound f32[N]."""
        mean, log_variance = self.encode(x).chunk(2, -1)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        logits = self.decode(z)
        likely = -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1)
        return torch.sigmoid(logits), likely - divergence


class BetaVAE(nn.Module):
    """A convolutional autoencoder whose codes cost more than their bits, or a given number of nats (capacity).

    I. Higgins et al.: beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework.
    ICLR 2017. C. Burgess et al.: Understanding Disentangling in beta-VAE. 2018, arXiv:1804.03599.
    """

    def __init__(self, width: int = 4, latent: int = 4, gamma: float = 10.0, capacity: float = 2.0) -> None:
        super().__init__()
        self.gamma, self.capacity = gamma, capacity
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(width, width, 4, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.mean, self.log_variance = nn.Linear(16 * width, latent), nn.Linear(16 * width, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, 16 * width),
            nn.ReLU(),
            nn.Unflatten(1, (width, 4, 4)),
            nn.ConvTranspose2d(width, width, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 4, 2, 1),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits f32[N, 1, 16, 16] of pictures f32[N, 1, 16, 16], and the loss."""
        features = self.encoder(image)
        mean, log_variance = self.mean(features), self.log_variance(features)
        logits = self.decoder(torch.normal(mean, (log_variance / 2).exp()))
        nats = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1).mean()
        missed = F.binary_cross_entropy_with_logits(logits, image)
        return logits, missed + self.gamma * (nats - self.capacity).abs()


class VQVAE(nn.Module):
    """Codes from a book; gradients go straight from the decoder to the encoder, past the choice.

    A. van den Oord, O. Vinyals, K. Kavukcuoglu: Neural Discrete Representation Learning. NIPS 2017,
    arXiv:1711.00937.
    """

    def __init__(self, width: int = 6, codes: int = 8, commitment: float = 0.25) -> None:
        super().__init__()
        self.commitment = commitment
        self.encode = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1), nn.ReLU(), nn.Conv2d(width, width, 4, 2, 1)
        )
        self.book = nn.Embedding(codes, width)
        self.decode = nn.Sequential(
            nn.ConvTranspose2d(width, width, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(width, 3, 4, 2, 1)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstructions f32[N, 3, H, W], codes i64[N, H/4, W/4], and the loss of book and commitment."""
        z = self.encode(image).movedim(1, -1)
        codes = torch.cdist(z.flatten(0, 2), self.book.weight).argmin(-1).view(z.shape[:3])
        quantised = self.book(codes)
        loss = F.mse_loss(quantised, z.detach()) + self.commitment * F.mse_loss(z, quantised.detach())
        straight = z + (quantised - z).detach()
        return self.decode(straight.movedim(-1, 1)), codes, loss


class MADE(nn.Module):
    """An autoencoder with masks, so that each output depends on the inputs before it.

    M. Germain, K. Gregor, I. Murray, H. Larochelle: MADE: Masked Autoencoder for Distribution Estimation.
    ICML 2015, arXiv:1502.03509.
    """

    into: Tensor
    out_of: Tensor

    def __init__(self, inputs: int = 8, hidden: int = 16) -> None:
        super().__init__()
        order, degree = torch.arange(1, inputs + 1), torch.randint(1, inputs, (hidden,))
        self.register_buffer("into", (degree[:, None] >= order).float())
        self.register_buffer("out_of", (order[:, None] > degree).float())
        self.first, self.second = nn.Linear(inputs, hidden), nn.Linear(hidden, inputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities f32[N, inputs] of each bit given those before, and the log likelihood f32[N]."""
        h = F.relu(F.linear(x, self.first.weight * self.into, self.first.bias))
        logits = F.linear(h, self.second.weight * self.out_of, self.second.bias)
        likely = -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
        return torch.sigmoid(logits), likely


class MaskedConv(nn.Conv2d):
    """A convolution that sees the pixels above and to the left; kind B sees its own pixel too."""

    mask: Tensor

    def __init__(self, kind: str, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        mask = torch.ones(kernel, kernel)
        mask[kernel // 2, kernel // 2 + (kind == "B") :] = 0
        mask[kernel // 2 + 1 :] = 0
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, inputs, H, W] to f32[N, outputs, H, W]."""
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class PixelCNN(nn.Module):
    """Masked convolutions with residual blocks give each pixel's distribution; here the first row is sampled too.

    A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu: Pixel Recurrent Neural Networks. ICML 2016,
    arXiv:1601.06759.
    """

    def __init__(self, width: int = 6, levels: int = 4, depth: int = 2) -> None:
        super().__init__()
        self.levels = levels
        self.first = MaskedConv("A", 1, 2 * width, 7)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.Conv2d(2 * width, width, 1),
                nn.ReLU(),
                MaskedConv("B", width, width, 3),
                nn.ReLU(),
                nn.Conv2d(width, 2 * width, 1),
            )
            for _ in range(depth)
        )
        self.out = nn.Sequential(nn.ReLU(), nn.Conv2d(2 * width, levels, 1))

    def logits(self, image: Tensor) -> Tensor:
        """f32[N, levels, H, W] of levels f32[N, 1, H, W] in [0, 1]."""
        x = self.first(image)
        for block in self.blocks:
            x = x + block(x)
        return self.out(x)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits f32[N, levels, H, W], and the image with its first two pixels drawn anew."""
        logits, drawn = self.logits(image), image.clone()
        for column in range(2):
            chances = self.logits(drawn)[:, :, 0, column].softmax(1)
            drawn[:, 0, 0, column] = chances.multinomial(1).squeeze(1) / (self.levels - 1)
        return logits, drawn


class WaveNet(nn.Module):
    """Dilated causal convolutions with gates; residuals go on, skips go out.

    A. van den Oord et al.: WaveNet: A Generative Model for Raw Audio. 2016, arXiv:1609.03499.
    """

    def __init__(self, width: int = 6, levels: int = 8, dilations: tuple[int, ...] = (1, 2, 4, 8)) -> None:
        super().__init__()
        self.dilations = dilations
        self.embed = nn.Embedding(levels, width)
        self.dilated = nn.ModuleList(nn.Conv1d(width, 2 * width, 2, dilation=d) for d in dilations)
        self.residual = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in dilations)
        self.skip = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in dilations)
        self.out = nn.Sequential(
            nn.ReLU(), nn.Conv1d(width, width, 1), nn.ReLU(), nn.Conv1d(width, levels, 1)
        )

    def forward(self, sound: Tensor) -> Tensor:
        """Logits f32[N, levels, T] of the next sample, of mu-law levels i64[N, T]."""
        x = self.embed(sound).mT
        skips = torch.zeros_like(x)
        layers = zip(self.dilations, self.dilated, self.residual, self.skip, strict=True)
        for dilation, dilated, residual, skip in layers:
            filtered, gate = dilated(F.pad(x, (dilation, 0))).chunk(2, 1)
            z = torch.tanh(filtered) * torch.sigmoid(gate)
            skips = skips + skip(z)
            x = x + residual(z)
        return self.out(skips)
