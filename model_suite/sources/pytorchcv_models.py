"""Every model that pytorchcv lists, with random weights; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import torch
from torch import nn

from model_suite.case import Inputs, ModelCase
from model_suite.sources.arguments import read
from model_suite.sources.listing import case, library, listed

_SOURCE = "pytorchcv"

#: Ends of names of modules that say which data a variant is for.
_DATA = ("_cifar10", "_cifar", "_cub", "_coco", "_cmupan")
#: The end of names of models for pictures of 1024 by 2048 pixels.
_STREETS = "_cityscapes"
#: What the families are for that do not classify pictures.
_TASKS = {
    "segmentation": (
        "fcn8sd pspnet deeplabv3 icnet fastscnn cgnet dabnet sinet bisenet danet fpenet contextnet lednet esnet "
        "edanet enet erfnet linknet segnet unet sqnet espcnet"
    ),
    "keypoints": "alphapose simplepose simpleposemobile lwopenpose ibppose superpointnet",
    "detection": "centernet lffd",
    "speech": "jasper jasperdr quartznet",
    "face": "prnet pfpcnet voca nvpattexp visemenet",
    "optical flow": "raft propainter_rfc",
    "inpainting": "propainter_ip propainter",
}
#: How names of models begin that are given spectra here: what makes these of a sound calls a Fourier transform as
#: torch no longer lets it (pytorchcv 0.0.74, torch 2.14).
_SPEECH = ("jasper", "quartznet")
#: 64 bands at 96 times, of which the last 16 are no part of the sound, and how many are.
_SPECTRUM = ("f32[1, 64, 96]", "[80]")
#: Inputs of models that are not run with one picture of the size that they are made for.
_INPUTS = {
    "pfpcnet": ("f32[1, 1, 320, 240]",),
    "voca8flame": ("f32[2, 1, 16, 29]", "[3, 3]"),
    "nvpattexp116bazel76": ("f32[2, 8, 16, 29]", "[3, 3]"),
    "visemenet20": ("f32[34, 8, 195]", "i64[34, 76] < 4"),
    "superpointnet": ("f32[1, 1, 32, 32]",),
    "raft_things": ("f32[1, 3, 128, 160]", "f32[1, 3, 128, 160]"),
    "raft_small": ("f32[1, 3, 128, 160]", "f32[1, 3, 128, 160]"),
    "propainter_rfc": ("f32[1, 3, 2, 64, 96]", "f32[1, 3, 1, 64, 96]"),
    "propainter_ip": ("f32[3, 3, 64, 96]", "f32[3, 1, 64, 96]", "f32[2, 4, 64, 96]"),
    "propainter": (
        "f32[1, 3, 3, 64, 96]",
        "f32[1, 3, 1, 64, 96]",
        "f32[1, 3, 1, 64, 96]",
        "f32[1, 2, 4, 64, 96]",
        "= 3",
    ),
}


#: How names of models begin whose values go through Python, and where.
_THROUGH_PYTHON = {
    "alphapose_": "the places of joints are taken from the heat map as Python's numbers, and index it",
    "simplepose_": "the places of joints are taken from the heat map as Python's numbers, and index it",
    "ntsnet_": "numpy chooses the parts of the picture that are looked at",
}


def cases() -> Iterator[ModelCase]:
    """The cases of this source, as recorded."""
    return listed(_SOURCE, _build, _inputs, through_python=_THROUGH_PYTHON)


def discover() -> Iterator[ModelCase]:
    """The cases that the installed pytorchcv lists."""
    tasks = {family: task for task, families in _TASKS.items() for family in families.split()}
    for name, function in _functions().items():
        family = function.__module__.rpartition(".")[2]
        for end in _DATA:
            family = family.removesuffix(end)
        yield case(_SOURCE, name, _build, _inputs, family, tasks.get(family, "classification"))


def _functions() -> Mapping[str, Callable[..., Any]]:
    found: Mapping[str, Callable[..., Any]] = library("pytorchcv.model_provider", "pytorchcv")._models
    return found


def _build(name: str) -> nn.Module:
    function = _functions()[name]
    if name.startswith(_SPEECH):
        model = function(from_audio=False)
    else:
        model = function(in_size=_size(name)) if name.endswith(_STREETS) else function()
    assert isinstance(model, nn.Module)
    return model


@cache
def _size(name: str) -> tuple[int, int]:
    """The size of pictures that a model is made for; of whole views of streets, a quarter of it, a side."""
    with torch.device("meta"):
        height, width = _functions()[name]().in_size
    return (height // 4, width // 4) if height >= 1024 else (height, width)


def _inputs(name: str) -> Inputs:
    texts = _SPECTRUM if name.startswith(_SPEECH) else _INPUTS.get(name)
    if texts:
        return tuple(read(text) for text in texts), {}
    return (torch.rand(1, 3, *_size(name)),), {}
