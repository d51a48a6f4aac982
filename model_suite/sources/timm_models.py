"""Every model that timm lists, one case an architecture, with random weights; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from model_suite.case import Inputs, ModelCase
from model_suite.sources.listing import case, library, listed

_SOURCE = "timm"
#: Height and width of small pictures.
_SIDE = 128
#: What models have in their names that attend in blocks of features, too few of small pictures.
_IN_BLOCKS = ("halo", "bat_resnext")


def cases() -> Iterator[ModelCase]:
    """The cases of this source, as recorded."""
    return listed(_SOURCE, _build, _inputs, _canonical)


def discover() -> Iterator[ModelCase]:
    """The cases that the installed timm lists."""
    timm = library("timm", "timm")
    for name in timm.list_models():
        module = timm.model_entrypoint(name).__module__.rpartition(".")[2]
        yield case(_SOURCE, name, _build, _inputs, module, "classification", canonical=_canonical)


def _build(name: str) -> nn.Module:
    model = library("timm", "timm").create_model(name, pretrained=False)
    assert isinstance(model, nn.Module)
    return model


def _inputs(name: str) -> Inputs:
    """One picture: small, where the model takes pictures of any size."""
    config = _config(name)
    if config is None or config.fixed_input_size or any(part in name for part in _IN_BLOCKS):
        return _canonical(name)
    channels, *sides = config.min_input_size or config.input_size
    return (torch.rand(1, channels, *(min(side, _SIDE) for side in sides)),), {}


def _canonical(name: str) -> Inputs:
    """One picture of the size that the model is configured for."""
    config = _config(name)
    return (torch.rand(1, *(config.input_size if config is not None else (3, 224, 224))),), {}


def _config(name: str) -> Any:
    return library("timm", "timm").get_pretrained_cfg(name, allow_unregistered=True)
