"""Every model that timm lists, one case an architecture, with random weights; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import nn

from model_suite.case import Inputs, ModelCase
from model_suite.sources.listing import library, listed

_SOURCE = "timm"


def cases() -> Iterator[ModelCase]:
    """The cases of this source, as recorded."""
    return listed(_SOURCE, _make)


def discover() -> Iterator[ModelCase]:
    """The cases that the installed timm lists."""
    timm = library("timm", "timm")
    for name in timm.list_models():
        builder, maker = _make(name)
        module = timm.model_entrypoint(name).__module__.rpartition(".")[2]
        yield ModelCase(
            name=f"{_SOURCE}/{name}",
            source=_SOURCE,
            family=module,
            task="classification",
            builder=builder,
            maker=maker,
            tags=frozenset({"classification"}),
        )


def _make(name: str) -> tuple[Callable[[], nn.Module], Callable[[], Inputs]]:
    return partial(_build, name), partial(_inputs, name)


def _build(name: str) -> nn.Module:
    model = library("timm", "timm").create_model(name, pretrained=False)
    assert isinstance(model, nn.Module)
    return model


def _inputs(name: str) -> Inputs:
    """One picture of the size that the model is configured for."""
    timm = library("timm", "timm")
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    size = config.input_size if config is not None else (3, 224, 224)
    return (torch.rand(1, *size),), {}
