"""The models of diffusers, with few heads, layers and channels, and random weights; nothing is downloaded.

A constructor says by the names of its arguments what they are: of heads, layers and blocks there are two, hidden
states are as wide as the heads that are left, channels of stages start at 32. What names do not say stands in
`diffusers_exceptions`. Other widths stay: where nothing is computed they cost nothing.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import nn

from model_suite.case import Inputs, ModelCase
from model_suite.sources import diffusers_inputs
from model_suite.sources.diffusers_exceptions import CALLED, CONFIGURATIONS, LEFT_OUT
from model_suite.sources.listing import case, library, listed

_SOURCE = "diffusers"
#: Names of numbers of layers and blocks, of heads, of the width of a head, and of channels a stage.
_LAYERS = re.compile(
    r"(num|n)_(\w+_)?layers$|^layers_per|_layers_per_|depth$|_blocks$|^nlayers$|^num_\w*blocks\w*$|^mmdit_layers$"
)
_HEADS = re.compile(r"(^|_)(num_heads|n_heads|nheads|num_attention_heads|heads)$")
_KEYS = re.compile(r"(kv_heads|key_value_heads|key_value_attention_heads)$")
_HEAD = ("attention_head_dim", "head_dim")
_WIDTHS = re.compile(
    r"hidden_size$|hidden_dim$|^dim$|^model_dim$|inner_dim$|projection_dim$|^cross_attention_dim$|embed_dim$|^d_model$"
)
_STAGES = re.compile(r"block_out_channels$")
#: How many heads and layers are left, and how wide the first stage is.
_FEW, _NARROW = 2, 32

#: How names of models begin whose values go through Python, and where.
_THROUGH_PYTHON = {
    "QwenImage21": "where texts and pictures stand is read as a list",
    "WanAnimate2": "how many tokens wide the reference is says as a number where the places of it begin",
}


def cases() -> Iterator[ModelCase]:
    """The cases of this source, as recorded."""
    return listed(_SOURCE, _build, _inputs, through_python=_THROUGH_PYTHON)


def discover() -> Iterator[ModelCase]:
    """The models that the installed diffusers has."""
    diffusers = _library()
    left_out = {name for names in LEFT_OUT.values() for name in names.split()}
    for name in sorted(dir(importlib.import_module("diffusers.models"))):
        found = getattr(diffusers, name, None)
        if isinstance(found, type) and issubclass(found, diffusers.ModelMixin) and name not in left_out:
            yield case(
                _SOURCE, name, _build, _inputs, found.__module__.rpartition(".")[2], _task(found.__module__)
            )


def _task(module: str) -> str:
    kind = module.split(".")[2]
    return {"autoencoders": "autoencoding", "controlnets": "control"}.get(kind, "denoising")


def _library() -> Any:
    return library("diffusers", "diffusers")


def _build(name: str) -> nn.Module:
    model = getattr(_library(), name)(**_configuration(name))
    assert isinstance(model, nn.Module)
    if name in CALLED:
        getattr(model, CALLED[name])()
    return model


def _inputs(name: str) -> Inputs:
    return diffusers_inputs.made(getattr(_library(), name), _configuration(name), partial(_build, name))


def _configuration(name: str) -> dict[str, Any]:
    """Arguments of the constructor of a model."""
    parameters = inspect.signature(getattr(_library(), name).__init__).parameters
    default = {
        key: one.default
        for key, one in parameters.items()
        if key != "self" and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
    }
    own = CONFIGURATIONS.get(name, {})
    default = {key: value for key, value in default.items() if value is not inspect.Parameter.empty}
    return default | _small(default | own) | own


def _small(default: dict[str, Any]) -> dict[str, Any]:
    small: dict[str, Any] = {}
    heads = next((value for key, value in default.items() if _HEADS.search(key) and _is_number(value)), 0)
    head = next((default[key] for key in _HEAD if _is_number(default.get(key))), 0)
    width = heads * head
    for key, value in default.items():
        if _STAGES.search(key) and isinstance(value, list | tuple):
            small[key] = type(value)(one * _NARROW // min(value) for one in value)
        elif not _is_number(value):
            if (
                isinstance(value, list | tuple)
                and _LAYERS.search(key)
                and all(type(one) is int for one in value)
            ):
                small[key] = type(value)(min(one, _FEW) for one in value)
        elif _KEYS.search(key) or _HEADS.search(key) or _LAYERS.search(key):
            small[key] = min(value, _FEW)
        elif _WIDTHS.search(key) and heads > _FEW and value % heads == 0 and (value == width or not head):
            small[key] = value // heads * _FEW
    return small


def _is_number(value: Any) -> bool:
    return type(value) is int
