"""Models of the catalogue that are mutated and edited: of all families, those that are traced quickly."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import nn

import torchlens_core as tl
from model_suite.registry import find
from torchlens_core.history import ModelHistory
from torchlens_core.snapshot import Snapshot, take_snapshot

#: Seen by the quick tests; of each family one, and one in training.
QUICK = (
    "convnext_tiny densenet121 efficientnet_b0 fasterrcnn_mobilenet_v3_large_320_fpn "
    "googlenet lraspp_mobilenet_v3_large mnasnet0_5 mobilenet_v2 mobilenet_v3_small quantized_resnet18 "
    "quantized_shufflenet_v2_x0_5 r2plus1d_18 raft_small regnet_y_400mf resnet18 resnet50 "
    "resnet18:training shufflenet_v2_x0_5 squeezenet1_1 swin3d_t swin_t vit_b_32"
).split()
#: And by the whole matrix.
MORE = (
    "alexnet deeplabv3_mobilenet_v3_large efficientnet_v2_s fcn_resnet50 fcos_resnet50_fpn inception_v3 "
    "maskrcnn_resnet50_fpn quantized_mobilenet_v3_large retinanet_resnet50_fpn "
    "ssdlite320_mobilenet_v3_large swin_v2_t vgg11_bn"
).split()
#: Edited too: those whose inputs are plain tensors.
EDITED = [name for name in QUICK if "rcnn" not in name and ":" not in name]

#: Models that compute with sizes in Python, as how much to pad: another size makes other arguments of their ops.
SIZES_IN_PYTHON = ("raft_small", "swin3d_t", "swin_t")


@cache
def snapshot(name: str) -> Snapshot:
    """The graph of a model at its smallest inputs."""
    return retraced(name)


def retraced(name: str) -> Snapshot:
    """The same, recorded once more."""
    return take_snapshot(traced(*built(name)))


@cache
def edited_model(name: str) -> tuple[nn.Module, list[Any], list[str]]:
    """A model to make edited copies of, its inputs, and the addresses of what is called in it, once a call."""
    model, inputs = built(name)
    calls = traced(model, inputs).recording.calls
    return model, inputs, [call.address for call in calls]


def built(name: str) -> tuple[nn.Module, list[Any]]:
    """A model with the same weights each time, and its inputs: the graphs of detectors depend on values."""
    name, _, mode = name.partition(":")
    case = find(f"torchvision/{name}")
    torch.manual_seed(0)
    return case.build().train(bool(mode)), list(case.inputs()[0])


def traced(model: nn.Module, inputs: list[Any]) -> ModelHistory:
    """A pass, without its values."""
    torch.manual_seed(0)
    with torch.no_grad():
        return tl.get_model_metadata(model, inputs)
