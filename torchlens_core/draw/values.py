"""Activations as small pictures: feature maps, matrices, histograms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from torchlens_core.draw.sheet import Bars, Raster
from torchlens_core.draw.tree import Tree, leaves_of
from torchlens_core.entries import Layer, Op
from torchlens_core.errors import ArgumentError, StaleValueError

#: Sides of a small picture, pixels at most; channels shown beside each other; bars of a histogram.
MAX_SIDE, MAX_CHANNELS, BARS = 48, 4, 24
KINDS = ("auto", "maps", "histograms")
#: Chooses for an op: what to draw, or None for nothing.
Chooser = Callable[[Op], Any]


def add_values(tree: Tree, wanted: str | Chooser) -> None:
    """Put small pictures of saved activations in boxes.

    ``"maps"`` shows the first channels of images and matrices as they are, ``"histograms"`` how the numbers are
    spread, ``"auto"`` maps where there are some; a callable is given each op and returns one of these words, a
    tensor to show in its place, or None.

    Raises `ArgumentError` for another word.
    """
    skipped = 0
    for leaf in leaves_of(tree.root):
        op = leaf.entry.passes[0] if isinstance(leaf.entry, Layer) else leaf.entry
        if not isinstance(op, Op):
            continue
        kind = wanted(op) if callable(wanted) else wanted
        if kind is None:
            continue
        value = kind if isinstance(kind, Tensor) else _value(op)
        word = "auto" if isinstance(kind, Tensor) else kind
        if word not in KINDS:
            raise ArgumentError(
                f"values is {word!r}. Expected {' or '.join(map(repr, KINDS))}, a tensor or None."
            )
        leaf.image = image_of(value, word) if value is not None else None
        skipped += leaf.image is None
    if skipped:
        tree.notes.append(f"{skipped} ops without a picture of their value: not saved, or no plain numbers")


def _value(op: Op) -> Tensor | None:
    try:
        contents = op.tensor_contents
    except StaleValueError:
        return None
    if isinstance(contents, tuple | list):
        contents = contents[0] if contents else None
    return contents if isinstance(contents, Tensor) else None


def image_of(value: Tensor, kind: str = "auto") -> Raster | Bars | None:
    """A small picture of a tensor; None if it has no plain numbers to show.

    >>> image_of(torch.arange(4.0).reshape(2, 2))
    Raster(width=2, height=2, levels=b'\\x00U\\xaa\\xff')
    """
    if value.is_nested or value.is_meta or value.is_quantized or value.is_complex():
        return None
    if value.layout is not torch.strided or not value.numel():
        return None
    numbers = value.detach().to("cpu", torch.float64)
    finite = numbers[numbers.isfinite()]
    if not finite.numel():
        return None
    low, high = float(finite.min()), float(finite.max())
    # what is infinite is shown at the end of the range; halved, no range is too wide for a number
    numbers = numbers.nan_to_num(low, high, low) / 2
    is_map = numbers.dim() >= 2 and min(numbers.shape[-2:]) > 1
    return _bars(numbers) if kind == "histograms" or not is_map else _raster(numbers)


def _raster(numbers: Tensor) -> Raster:
    """The first sample's first channels beside each other, each with its own range."""
    while numbers.dim() > 3:
        numbers = numbers[0]
    channels = numbers[None] if numbers.dim() == 2 else numbers[:MAX_CHANNELS]
    height, width = (min(size, MAX_SIDE) for size in channels.shape[-2:])
    if (height, width) != channels.shape[-2:]:
        channels = functional.adaptive_avg_pool2d(channels[None], (height, width))[0]
    low, high = channels.amin((1, 2), keepdim=True), channels.amax((1, 2), keepdim=True)
    levels = ((channels - low) / (high - low).clamp_min(1e-12) * 255).round().to(torch.uint8)
    if len(levels) > 1:
        levels = functional.pad(levels, (0, 1), value=255)
        width = len(levels) * (width + 1) - 1
        levels = levels.permute(1, 0, 2).flatten(1)[:, :-1]
    return Raster(width=width, height=height, levels=bytes(levels.flatten().tolist()))


def _bars(numbers: Tensor) -> Bars:
    low, high = float(numbers.min()), float(numbers.max())
    counts = torch.histc(numbers, BARS, low, high) if high > low else torch.ones(1)
    return Bars(tuple(round(float(one), 3) for one in counts / counts.max()))
