"""Every configuration that open_clip lists: two towers, for pictures and for texts, with random weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from model_suite.case import Inputs, ModelCase
from model_suite.sources.listing import case, library, listed

_SOURCE = "open_clip"
#: Tokens that are drawn are lower; the last of a text is the highest, as texts end.
_TOKENS = 1000


def cases() -> Iterator[ModelCase]:
    """The cases of this source, as recorded."""
    return listed(_SOURCE, _make)


def discover() -> Iterator[ModelCase]:
    """The configurations that the installed open_clip lists."""
    for name in _library().list_models():
        family = re.split(r"[-_\d]", name)[0]
        yield case(_SOURCE, name, _make, family, "pictures and texts", "multi-input", "multi-output")


def _library() -> Any:
    return library("open_clip", "open_clip_torch")


def _make(name: str) -> tuple[Callable[[], nn.Module], Callable[[], Inputs]]:
    return partial(_build, name), partial(_inputs, name)


def _build(name: str) -> nn.Module:
    model = _library().create_model(
        name, load_weights=False, pretrained_text=False, device=torch.get_default_device()
    )
    assert isinstance(model, nn.Module)
    return model


def _inputs(name: str) -> Inputs:
    """A picture of the size that the model is configured for, and a text."""
    config = _library().get_model_config(name)
    size = config["vision_cfg"].get("image_size", 224)
    height, width = size if isinstance(size, list | tuple) else (size, size)
    length = config["text_cfg"].get("context_length", 77)
    texts = torch.randint(1, _TOKENS, (1, length))
    texts[:, -1] = config["text_cfg"].get("vocab_size", 49408) - 1
    return (torch.rand(1, 3, height, width), texts), {}
