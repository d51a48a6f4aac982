"""Models of kornia: local features, edges, detection, segmentation; random weights, nothing is downloaded."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from model_suite.case import Inputs, ModelCase
from model_suite.sources.arguments import read
from model_suite.sources.listing import case, library, listed

_SOURCE = "kornia"


class _Made(NamedTuple):
    """What a function or class of kornia makes of arguments, some of which are made so too."""

    path: str
    arguments: Mapping[str, Any] = {}


_UNTRAINED: dict[str, Any] = {"pretrained": False}
_PATCHES, _PICTURE, _GREY = ("f32[4, 1, 32, 32]",), ("f32[1, 3, 64, 64]",), ("f32[1, 1, 64, 64]",)
_PAIR = ({"image0": "f32[1, 1, 64, 64]", "image1": "f32[1, 1, 64, 64]"},)
_VISION: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
_SIGLIP_VISION = _Made(
    "models.siglip2.config.SigLip2VisionConfig", {"image_size": 32, "patch_size": 16} | _VISION
)
_UNWHITENED: dict[str, Any] = {"whitening": None}
_AFFINE = _Made("feature.LAFAffNetShapeEstimator", _UNTRAINED)
_CORNERS = _Made(
    "feature.ScaleSpaceDetector",
    {
        "num_features": 8,
        "resp_module": _Made("feature.CornerGFTT"),
        "ori_module": _Made("feature.LAFOrienter", {"patch_size": 19}),
        "aff_module": _AFFINE,
    },
)
_BLOBS = _Made(
    "feature.ScaleSpaceDetector", {"num_features": 8, "resp_module": _Made("feature.BlobHessian")}
)
_KEYS = _Made(
    "feature.KeyNetDetector",
    _UNTRAINED
    | {
        "num_features": 8,
        "ori_module": _Made("feature.LAFOrienter", {"angle_detector": _Made("feature.OriNet", _UNTRAINED)}),
        "aff_module": _AFFINE,
    },
)
_LINES: dict[str, Any] = {
    "backbone_cfg": {"input_channel": 1, "depth": 4, "num_stacks": 2, "num_blocks": 1, "num_classes": 5},
    "grid_size": 8,
    "use_descriptor": True,
}
#: A picture of the one size that they take, with two points in it.
_CLICKED = ("f32[1, 3, 1024, 1024]", [{"points": ("f32[1, 2, 2]", "ones[1, 2]")}], "= True")
_SMALL_DETECTOR: dict[str, Any] = {"num_classes": 4, "head_num_queries": 16}


def _features(width: int, **more: str) -> Mapping[str, Any]:
    """What LightGlue gets of each picture."""
    of_each = {
        "keypoints": "f32[1, 9, 2]",
        "descriptors": f"f32[1, 9, {width}]",
        "image_size": "[[64, 64]]",
        **more,
    }
    return {"image0": of_each, "image1": of_each}


def _detector(backbone: str) -> _Made:
    config = _Made("models.rt_detr.RTDETRConfig", _SMALL_DETECTOR | {"model_type": backbone})
    return _Made("models.rt_detr.RTDETR.from_config", {"config": config})


def _segmenter(**config: Any) -> _Made:
    return _Made("models.sam.Sam.from_config", {"config": _Made("models.sam.SamConfig", config)})


def _features_of(detector: _Made) -> _Made:
    """Describes what a detector finds by HardNet, as `KeyNetAffNetHardNet` and the like do with trained weights."""
    hardnet = _Made("feature.HardNet", _UNTRAINED)
    descriptor = _Made("feature.LAFDescriptor", {"patch_descriptor_module": hardnet})
    return _Made("feature.LocalFeature", {"detector": detector, "descriptor": descriptor})


def _matcher(width: int, **config: Any) -> _Made:
    return _Made("feature.LightGlue", {"features": None, "input_dim": width, **config})


def _efficient_vit(size: str) -> _Made:
    backbone = _Made(f"models.efficient_vit.backbone.efficientvit_backbone_{size}")
    return _Made("models.efficient_vit.EfficientViT", {"backbone": backbone})


#: By task and name of the case: how it is made, and its arguments as `read` takes them.
_MODELS: dict[str, dict[str, tuple[_Made, tuple[Any, ...]]]] = {
    "description": {
        "hardnet": (_Made("feature.HardNet", _UNTRAINED), _PATCHES),
        "hardnet8": (_Made("feature.HardNet8", _UNTRAINED), _PATCHES),
        "hynet": (_Made("feature.HyNet", _UNTRAINED), _PATCHES),
        "sosnet": (_Made("feature.SOSNet", _UNTRAINED), _PATCHES),
        "tfeat": (_Made("feature.TFeat", _UNTRAINED), _PATCHES),
        "mkd-cart": (_Made("feature.MKDDescriptor", _UNWHITENED | {"kernel_type": "cart"}), _PATCHES),
        "mkd-polar": (_Made("feature.MKDDescriptor", _UNWHITENED | {"kernel_type": "polar"}), _PATCHES),
        "mkd-concat": (_Made("feature.MKDDescriptor", _UNWHITENED | {"kernel_type": "concat"}), _PATCHES),
        "sift": (_Made("feature.SIFTDescriptor", {"patch_size": 32}), _PATCHES),
        "dense_sift": (_Made("feature.DenseSIFTDescriptor"), _GREY),
        "orinet": (_Made("feature.OriNet", _UNTRAINED), _PATCHES),
        "dominant_orientation": (_Made("feature.PatchDominantGradientOrientation"), _PATCHES),
        "affine_shape": (_Made("feature.PatchAffineShapeEstimator", {"patch_size": 32}), _PATCHES),
    },
    "keypoints": {
        "aliked-t16": (_Made("feature.ALIKED", {"model_name": "aliked-t16"}), _PICTURE),
        "aliked-n16": (_Made("feature.ALIKED", {"model_name": "aliked-n16"}), _PICTURE),
        "aliked-n16rot": (_Made("feature.ALIKED", {"model_name": "aliked-n16rot"}), _PICTURE),
        "aliked-n32": (_Made("feature.ALIKED", {"model_name": "aliked-n32"}), _PICTURE),
        "dedode-b": (_Made("feature.DeDoDe", {"descriptor_model": "B"}), ("f32[1, 3, 56, 56]", "= 8")),
        "disk": (_Made("feature.DISK"), _PICTURE),
        "keynet": (_Made("feature.KeyNet", _UNTRAINED), _GREY),
        "keynet_detector": (_Made("feature.KeyNetDetector", _UNTRAINED | {"num_features": 8}), _GREY),
        "gftt_affnet_hardnet": (_features_of(_CORNERS), _GREY),
        "hessian_hardnet": (_features_of(_BLOBS), _GREY),
        "keynet_affnet_hardnet": (_features_of(_KEYS), _GREY),
        "sift_feature": (_Made("feature.SIFTFeature", {"num_features": 8}), _GREY),
        "sift_scale_space": (_Made("feature.SIFTFeatureScaleSpace", {"num_features": 8}), _GREY),
        # its network alone: of random weights, so many lines come that matching their ends takes minutes
        "sold2_net": (_Made("feature.sold2.backbones.SOLD2Net", {"model_cfg": _LINES}), _GREY),
        "xfeat": (_Made("feature.xfeat.XFeatModel"), _PICTURE),
    },
    "matching": {
        "lightglue-aliked": (_matcher(128), (_features(128),)),
        "lightglue-sift": (
            _matcher(128, add_scale_ori=True),
            (_features(128, scales="f32[1, 9]", oris="f32[1, 9]"),),
        ),
        "loftr": (_Made("feature.LoFTR", {"pretrained": None}), _PAIR),
        "matcher-snn": (
            _Made("feature.DescriptorMatcher", {"match_mode": "snn"}),
            ("f32[9, 8]", "f32[7, 8]"),
        ),
        "matcher-mnn": (
            _Made("feature.DescriptorMatcher", {"match_mode": "mnn"}),
            ("f32[9, 8]", "f32[7, 8]"),
        ),
    },
    "deblurring": {"defmo": (_Made("feature.DeFMO", _UNTRAINED), ("f32[1, 6, 64, 64]",))},
    "super resolution": {
        "rrdbnet": (
            _Made(
                "models.rrdbnet.RRDBNet",
                {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 16, "num_block": 2, "num_grow_ch": 8},
            ),
            ("f32[1, 3, 16, 16]",),
        ),
        "small_sr": (
            _Made("models.small_sr.SmallSRNetWrapper", _UNTRAINED),
            ("f32[1, 3, 32, 32]",),
        ),
    },
    "edges": {"dexined": (_Made("models.dexined.DexiNed", _UNTRAINED), _PICTURE)},
    "detection": {
        "rtdetr-resnet18d": (_detector("resnet18d"), _PICTURE),
        "rtdetr-resnet34d": (_detector("resnet34d"), _PICTURE),
        "rtdetr-resnet50d": (_detector("resnet50d"), _PICTURE),
        "rtdetr-resnet50d_m": (_detector("resnet50d_m"), _PICTURE),
        "rtdetr-resnet101d": (_detector("resnet101d"), _PICTURE),
        "rtdetr-hgnetv2_l": (_detector("hgnetv2_l"), _PICTURE),
        "rtdetr-hgnetv2_x": (_detector("hgnetv2_x"), _PICTURE),
        "yunet": (_Made("models.yunet.YuNet", _UNTRAINED | {"phase": "test"}), _PICTURE),
    },
    "segmentation": {
        "sam-mobile": (_segmenter(model_type="mobile_sam"), _CLICKED),
        "sam-vit": (
            _segmenter(
                encoder_embed_dim=32, encoder_depth=2, encoder_num_heads=2, encoder_global_attn_indexes=(1,)
            ),
            _CLICKED,
        ),
    },
    "classification": {
        **{
            f"efficientvit-{size}": (_efficient_vit(size), _PICTURE)
            for size in "b0 b1 b2 b3 l0 l1 l2 l3".split()
        },
        **{
            f"tinyvit-{size}": (
                _Made("contrib.TinyViT.from_config", {"variant": size}),
                ("f32[1, 3, 224, 224]",),
            )
            for size in ("5m", "11m", "21m")
        },
        **{
            f"mobilevit-{mode}": (
                _Made("models.vit_mobile.MobileViT", {"mode": mode}),
                ("f32[1, 3, 256, 256]",),
            )
            for mode in ("xxs", "xs", "s")
        },
        "vit": (
            _Made(
                "models.vit.VisionTransformer",
                {"image_size": 32, "embed_dim": 48, "depth": 2, "num_heads": 4},
            ),
            ("f32[1, 3, 32, 32]",),
        ),
    },
    "multimodal": {
        "siglip2": (
            _Made(
                "models.siglip2.SigLip2Model",
                {
                    "config": _Made(
                        "models.siglip2.SigLip2Config",
                        {
                            "vision_config": _SIGLIP_VISION,
                            "text_config": _Made(
                                "models.siglip2.config.SigLip2TextConfig", {"vocab_size": 99} | _VISION
                            ),
                            "projection_dim": 32,
                        },
                    )
                },
            ),
            ("f32[1, 3, 32, 32]", "i64[1, 7] < 99"),
        ),
    },
}
#: The models alone, by name.
_BY_NAME = {name: made for models in _MODELS.values() for name, made in models.items()}


def cases() -> Iterator[ModelCase]:
    """The cases of this source, as recorded."""
    return listed(_SOURCE, _build, _inputs)


def discover() -> Iterator[ModelCase]:
    """The models of the table."""
    library("kornia", "kornia")
    for task, models in _MODELS.items():
        for name in models:
            yield case(_SOURCE, name, _build, _inputs, name.partition("-")[0], task)


def _build(name: str) -> nn.Module:
    model = _made(_BY_NAME[name][0])
    assert isinstance(model, nn.Module)
    return model


def _made(value: Any) -> Any:
    if not isinstance(value, _Made):
        return value
    library("kornia", "kornia")
    with torch.device("cpu"):  # what is imported with it stays there
        make: Any = pkgutil.resolve_name(f"kornia.{value.path}")
    return make(**{name: _made(argument) for name, argument in value.arguments.items()})


def _inputs(name: str) -> Inputs:
    return tuple(read(text) for text in _BY_NAME[name][1]), {}
