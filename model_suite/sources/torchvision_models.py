"""Every model of ``torchvision.models.list_models()``, with random weights; nothing is downloaded.

The names stand here, so that listing them does not import torchvision; a test compares them with what
the installed torchvision lists.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from model_suite.case import Inputs, ModelCase

_SOURCE = "torchvision"


# -- inputs ------------------------------------------------------------------------------------------


def _image(size: int) -> Inputs:
    return (torch.rand(1, 3, size, size),), {}


def _video(frames: int, size: int) -> Inputs:
    return (torch.rand(1, 3, frames, size, size),), {}


def _frame_pair(size: int) -> Inputs:
    return (torch.rand(1, 3, size, size), torch.rand(1, 3, size, size)), {}


def _picture_list(*sizes: tuple[int, int]) -> Inputs:
    pictures: list[Tensor] = [torch.rand(3, height, width) for height, width in sizes]
    return (pictures,), {}


#: Frames of a clip, by family.
_CLIP_LENGTHS = {"mvit": 16, "s3d": 128, "swin3d": 32, "video_resnet": 16}


def _canonical(name: str, family: str, task: str) -> Inputs:
    """Inputs of the size for which torchvision publishes the accuracy of its weights."""
    if task == "detection":
        return _picture_list((480, 640), (640, 480))  # of COCO
    if task == "optical flow":
        frames = torch.rand(2, 1, 3, 440, 1024)  # of Sintel, to the next multiples of eight
        return tuple(frames), {}
    side = _canonical_side(name)
    return _video(_CLIP_LENGTHS[family], side) if task == "video" else _image(side)


def _canonical_side(name: str) -> int:
    """Height and width as the transform of the default weights makes them; nothing is downloaded."""
    transform = _import_models().get_model_weights(name).DEFAULT.transforms()
    size: list[int] = getattr(transform, "crop_size", None) or transform.resize_size
    return size[-1]


_SMALL_IMAGE = partial(_image, 64)
_TWO_PICTURES = partial(_picture_list, (96, 128), (128, 96))

# -- the table ---------------------------------------------------------------------------------------

#: By family: names, task, and what makes the inputs.
_FAMILIES: dict[str, tuple[str, str, Callable[[], Inputs]]] = {
    "alexnet": ("alexnet", "classification", _SMALL_IMAGE),
    "convnext": (
        "convnext_base convnext_large convnext_small convnext_tiny",
        "classification",
        _SMALL_IMAGE,
    ),
    "deeplabv3": (
        "deeplabv3_mobilenet_v3_large deeplabv3_resnet101 deeplabv3_resnet50",
        "segmentation",
        _SMALL_IMAGE,
    ),
    "densenet": (
        "densenet121 densenet161 densenet169 densenet201",
        "classification",
        _SMALL_IMAGE,
    ),
    "efficientnet": (
        "efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 "
        "efficientnet_b5 efficientnet_b6 efficientnet_b7 "
        "efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s",
        "classification",
        _SMALL_IMAGE,
    ),
    "faster_rcnn": (
        "fasterrcnn_mobilenet_v3_large_320_fpn fasterrcnn_mobilenet_v3_large_fpn "
        "fasterrcnn_resnet50_fpn fasterrcnn_resnet50_fpn_v2",
        "detection",
        _TWO_PICTURES,
    ),
    "fcn": ("fcn_resnet101 fcn_resnet50", "segmentation", _SMALL_IMAGE),
    "fcos": ("fcos_resnet50_fpn", "detection", _TWO_PICTURES),
    "googlenet": ("googlenet", "classification", _SMALL_IMAGE),
    "inception": ("inception_v3", "classification", partial(_image, 96)),
    "keypoint_rcnn": ("keypointrcnn_resnet50_fpn", "detection", _TWO_PICTURES),
    "lraspp": ("lraspp_mobilenet_v3_large", "segmentation", _SMALL_IMAGE),
    "mask_rcnn": ("maskrcnn_resnet50_fpn maskrcnn_resnet50_fpn_v2", "detection", _TWO_PICTURES),
    "maxvit": ("maxvit_t", "classification", partial(_image, 224)),
    "mnasnet": ("mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3", "classification", _SMALL_IMAGE),
    "mobilenet": (
        "mobilenet_v2 mobilenet_v3_large mobilenet_v3_small",
        "classification",
        _SMALL_IMAGE,
    ),
    "mvit": ("mvit_v1_b mvit_v2_s", "video", partial(_video, 16, 224)),
    "quantized": (
        "quantized_googlenet quantized_mobilenet_v2 quantized_mobilenet_v3_large "
        "quantized_resnet18 quantized_resnet50 quantized_resnext101_32x8d quantized_resnext101_64x4d "
        "quantized_shufflenet_v2_x0_5 quantized_shufflenet_v2_x1_0 "
        "quantized_shufflenet_v2_x1_5 quantized_shufflenet_v2_x2_0",
        "classification",
        _SMALL_IMAGE,
    ),
    "quantized_inception": ("quantized_inception_v3", "classification", partial(_image, 96)),
    "raft": ("raft_large raft_small", "optical flow", partial(_frame_pair, 128)),
    "regnet": (
        "regnet_x_16gf regnet_x_1_6gf regnet_x_32gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf "
        "regnet_x_8gf regnet_y_128gf regnet_y_16gf regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf "
        "regnet_y_400mf regnet_y_800mf regnet_y_8gf",
        "classification",
        _SMALL_IMAGE,
    ),
    "resnet": (
        "resnet101 resnet152 resnet18 resnet34 resnet50 wide_resnet101_2 wide_resnet50_2",
        "classification",
        _SMALL_IMAGE,
    ),
    "resnext": ("resnext101_32x8d resnext101_64x4d resnext50_32x4d", "classification", _SMALL_IMAGE),
    "retinanet": (
        "retinanet_resnet50_fpn retinanet_resnet50_fpn_v2",
        "detection",
        _TWO_PICTURES,
    ),
    "s3d": ("s3d", "video", partial(_video, 16, 224)),
    "shufflenet": (
        "shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0",
        "classification",
        _SMALL_IMAGE,
    ),
    "squeezenet": ("squeezenet1_0 squeezenet1_1", "classification", _SMALL_IMAGE),
    "ssd": ("ssd300_vgg16 ssdlite320_mobilenet_v3_large", "detection", _TWO_PICTURES),
    "swin": ("swin_b swin_s swin_t", "classification", _SMALL_IMAGE),
    "swin3d": ("swin3d_b swin3d_s swin3d_t", "video", partial(_video, 4, 64)),
    "swin_v2": ("swin_v2_b swin_v2_s swin_v2_t", "classification", _SMALL_IMAGE),
    "vgg": (
        "vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn",
        "classification",
        _SMALL_IMAGE,
    ),
    "video_resnet": ("mc3_18 r2plus1d_18 r3d_18", "video", partial(_video, 4, 32)),
    "vit": ("vit_b_16 vit_b_32 vit_l_16 vit_l_32", "classification", partial(_image, 64)),
    "vit_h": ("vit_h_14", "classification", partial(_image, 56)),
}

#: One of each kind, small ones: the smoke tier.
_SMOKE = frozenset(
    (
        "alexnet convnext_tiny deeplabv3_mobilenet_v3_large densenet121 efficientnet_b0 "
        "efficientnet_v2_s fasterrcnn_mobilenet_v3_large_320_fpn fcn_resnet50 fcos_resnet50_fpn googlenet "
        "inception_v3 lraspp_mobilenet_v3_large maskrcnn_resnet50_fpn mnasnet0_5 mobilenet_v2 "
        "mobilenet_v3_small quantized_mobilenet_v3_large quantized_shufflenet_v2_x0_5 r2plus1d_18 raft_small "
        "regnet_y_400mf resnet18 resnet50 retinanet_resnet50_fpn shufflenet_v2_x0_5 squeezenet1_1 "
        "ssdlite320_mobilenet_v3_large swin3d_t swin_t swin_v2_t vgg11_bn vit_b_32"
    ).split()
)


# -- building ----------------------------------------------------------------------------------------


def _options(name: str, task: str, is_canonical: bool) -> dict[str, Any]:
    """What the builder is given, besides no weights: small pictures where it would enlarge them."""
    if task == "segmentation":
        return {"weights_backbone": None}
    if task == "detection":
        options: dict[str, Any] = {"weights_backbone": None}
        if is_canonical:
            return options
        if not name.startswith("ssd"):
            options |= {"min_size": 96, "max_size": 128}
        # each proposal goes through the heads, each detection is pasted into its picture
        if "rcnn" in name:
            options |= {"rpn_post_nms_top_n_test": 50, "box_detections_per_img": 5}
        return options
    if name.startswith("vit_"):
        small = 56 if name == "vit_h_14" else 64
        return {"image_size": _canonical_side(name) if is_canonical else small}
    if name in ("googlenet", "inception_v3", "quantized_googlenet", "quantized_inception_v3"):
        return {"init_weights": False}
    return {}


def _build(name: str, task: str, is_canonical: bool = False) -> nn.Module:
    models = _import_models()
    model = models.get_model(name, weights=None, **_options(name, task, is_canonical))
    assert isinstance(model, nn.Module)
    return model


def _import_models() -> Any:
    try:
        return importlib.import_module("torchvision.models")
    except ImportError as error:
        raise ImportError(
            f"The torchvision models of the catalogue need torchvision: {error}. "
            "Install the extra: pip install 'pytest-torchlens[suite]'."
        ) from error


def cases() -> Iterator[ModelCase]:
    """The cases of this source."""
    for family, (names, task, maker) in _FAMILIES.items():
        for name in names.split():
            yield ModelCase(
                name=f"{_SOURCE}/{name}",
                source=_SOURCE,
                family=family,
                task=task,
                builder=partial(_build, name, task),
                maker=maker,
                tags=frozenset({task, "smoke"} if name in _SMOKE else {task}),
                canonical=(partial(_build, name, task, True), partial(_canonical, name, family, task)),
            )
