"""Architectures of segmentation_models_pytorch with encoders of distinct kinds, and random weights."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from model_suite.case import Inputs, ModelCase
from model_suite.sources.listing import case, library, listed

_SOURCE = "segmentation_models_pytorch"
_SIDE = 128
#: One encoder of each kind: residual, plain, dense, inverted, separable, attention, reparameterized, two paths.
_ENCODERS = "resnet18 vgg11_bn densenet121 efficientnet-b0 xception mit_b0 mobileone_s0 dpn68".split()
#: Encoders of architectures that take no others: their features have all one size, and pictures too.
_OWN = {"dpt": ["tu-vit_tiny_patch16_224", "tu-deit3_small_patch16_224", "tu-beit_base_patch16_224"]}
#: Encoders that architectures refuse: those that pool cannot be dilated, one of attention has no features at a half.
_REFUSED = {
    "deeplabv3": {"vgg11_bn", "densenet121", "xception"},
    "deeplabv3plus": {"vgg11_bn", "densenet121", "xception"},
    "pan": {"vgg11_bn", "densenet121", "xception"},
    "unetplusplus": {"mit_b0"},
    "linknet": {"mit_b0"},
}


def cases() -> Iterator[ModelCase]:
    """The cases of this source, as recorded."""
    return listed(_SOURCE, _build, _inputs)


def discover() -> Iterator[ModelCase]:
    """The architectures of the installed library with each encoder."""
    smp = library("segmentation_models_pytorch", "segmentation_models_pytorch")
    for architecture in smp.MODEL_ARCHITECTURES_MAPPING:
        for encoder in _OWN.get(architecture, _ENCODERS):
            if encoder in _REFUSED.get(architecture, ()):
                continue
            yield case(_SOURCE, f"{architecture}-{encoder}", _build, _inputs, architecture, "segmentation")


def _build(name: str) -> nn.Module:
    smp = library("segmentation_models_pytorch", "segmentation_models_pytorch")
    architecture, _, encoder = name.partition("-")
    model = smp.create_model(architecture, encoder_name=encoder, encoder_weights=None)
    assert isinstance(model, nn.Module)
    return model


def _inputs(name: str) -> Inputs:
    side = 224 if name.partition("-")[0] in _OWN else _SIDE
    return (torch.rand(1, 3, side, side),), {}
