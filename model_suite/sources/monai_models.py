"""Networks of MONAI for medical images, flat and in space, small, with random weights; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from model_suite.case import Inputs, ModelCase
from model_suite.sources.arguments import read
from model_suite.sources.listing import case, library, listed

_SOURCE = "monai"
_FLAT: dict[str, Any] = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}
_SOLID: dict[str, Any] = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2}
_PYRAMID: dict[str, Any] = {"channels": (8, 16, 32), "strides": (2, 2)}
_CODE: dict[str, Any] = {"channels": (8, 16, 32), "strides": (2, 2, 2)}
_LATENT: dict[str, Any] = {
    "channels": (8, 16, 16),
    "num_res_blocks": 1,
    "norm_num_groups": 8,
    "attention_levels": (False, False, True),
}
_CODER: dict[str, Any] = _LATENT | {"out_channels": 1, "latent_channels": 3, "num_res_blocks": (1, 1, 1)}
_DENOISING: dict[str, Any] = _LATENT | {"num_head_channels": 8}
_DECODER: dict[str, Any] = {
    "num_tokens": 20,
    "max_seq_len": 16,
    "attn_layers_dim": 16,
    "attn_layers_depth": 2,
    "attn_layers_heads": 2,
}
_UNETR: dict[str, Any] = {"hidden_size": 32, "mlp_dim": 64, "num_heads": 2, "feature_size": 8}
_VIT: dict[str, Any] = {"hidden_size": 24, "mlp_dim": 48, "num_layers": 2, "num_heads": 2, "patch_size": 8}
_DYNAMIC: dict[str, Any] = {"kernel_size": (3, 3, 3), "strides": (1, 2, 2), "upsample_kernel_size": (2, 2)}
_PICTURE, _VOLUME = ("f32[1, 1, 64, 64]",), ("f32[1, 1, 32, 32, 32]",)
_PHOTO = ("f32[1, 3, 64, 64]",)

#: By task and name of the case: class, arguments of its constructor and of ``forward``.
_NETWORKS: dict[str, dict[str, tuple[str, dict[str, Any], tuple[str, ...]]]] = {
    "segmentation": {
        "ahnet": ("AHNet", {"psp_block_num": 2}, ("f32[1, 1, 64, 64, 32]",)),
        "attention_unet-2d": ("AttentionUnet", _FLAT | _PYRAMID, _PICTURE),
        "attention_unet-3d": ("AttentionUnet", _SOLID | _PYRAMID, _VOLUME),
        "basic_unet-2d": ("BasicUNet", _FLAT | {"features": (8, 8, 16, 16, 32, 8)}, _PICTURE),
        "basic_unet-3d": ("BasicUNet", _SOLID | {"features": (8, 8, 16, 16, 32, 8)}, _VOLUME),
        "basic_unet_plus_plus": (
            "BasicUNetPlusPlus",
            _FLAT | {"features": (8, 8, 16, 16, 32, 8)},
            _PICTURE,
        ),
        "basic_unet_plus_plus-deep": (
            "BasicUNetPlusPlus",
            _FLAT | {"features": (8, 8, 16, 16, 32, 8), "deep_supervision": True},
            _PICTURE,
        ),
        "daf3d": (
            "DAF3D",
            {"in_channels": 1, "out_channels": 2, "visual_output": False},
            ("f32[1, 1, 64, 64, 64]",),
        ),
        "dyn_unet-2d": ("DynUNet", _FLAT | _DYNAMIC, _PICTURE),
        "dyn_unet-3d": ("DynUNet", _SOLID | _DYNAMIC, _VOLUME),
        "dyn_unet-deep": (
            "DynUNet",
            _FLAT | _DYNAMIC | {"deep_supervision": True, "deep_supr_num": 1},
            _PICTURE,
        ),
        "dyn_unet-residual": ("DynUNet", _FLAT | _DYNAMIC | {"res_block": True}, _PICTURE),
        "flexible_unet": (
            "FlexibleUNet",
            {"in_channels": 3, "out_channels": 2, "backbone": "efficientnet-b0"},
            _PHOTO,
        ),
        "flexible_unet-resnet": (
            "FlexibleUNet",
            {"in_channels": 3, "out_channels": 2, "backbone": "resnet18"},
            _PHOTO,
        ),
        "high_res_net": ("HighResNet", {}, _VOLUME),
        "hover_net": ("HoVerNet", {"mode": "original"}, ("f32[1, 3, 270, 270]",)),
        "hover_net-fast": ("HoVerNet", {"mode": "fast"}, ("f32[1, 3, 256, 256]",)),
        "mednext": ("MedNeXt", {"init_filters": 8}, _VOLUME),
        "mednext-deep": ("MedNeXt", {"init_filters": 8, "deep_supervision": True}, _VOLUME),
        "mednext-2d": ("MedNeXt", {"init_filters": 8, "spatial_dims": 2}, _PICTURE),
        "quicknat": ("Quicknat", {"num_filters": 8}, _PICTURE),
        "quicknat-cse": ("Quicknat", {"num_filters": 8, "se_block": "CSE"}, _PICTURE),
        "seg_res_net": ("SegResNet", {}, _VOLUME),
        "seg_res_net-2d": ("SegResNet", {"spatial_dims": 2}, _PICTURE),
        "seg_res_net_ds": ("SegResNetDS", {"init_filters": 8}, _VOLUME),
        "seg_res_net_ds2": ("SegResNetDS2", {"init_filters": 8}, _VOLUME),
        "swin_unetr": (
            "SwinUNETR",
            {"in_channels": 1, "out_channels": 2, "feature_size": 12},
            ("f32[1, 1, 64, 64, 64]",),
        ),
        "swin_unetr-2d": ("SwinUNETR", _FLAT | {"feature_size": 12}, _PICTURE),
        "swin_unetr-v2": ("SwinUNETR", _FLAT | {"feature_size": 12, "use_v2": True}, _PICTURE),
        "unetr": (
            "UNETR",
            {"in_channels": 1, "out_channels": 2, "img_size": (32, 32, 32)} | _UNETR,
            _VOLUME,
        ),
        "unetr-2d": ("UNETR", _FLAT | {"img_size": (64, 64)} | _UNETR, _PICTURE),
        "unetr-conv": (
            "UNETR",
            {"in_channels": 1, "out_channels": 2, "img_size": (32, 32, 32), "proj_type": "perceptron"}
            | _UNETR,
            _VOLUME,
        ),
        "unet-1d": ("UNet", _FLAT | {"spatial_dims": 1} | _PYRAMID, ("f32[1, 1, 64]",)),
        "unet-2d": ("UNet", _FLAT | _PYRAMID, _PICTURE),
        "unet-3d": ("UNet", _SOLID | _PYRAMID, _VOLUME),
        "unet-residual": ("UNet", _FLAT | _PYRAMID | {"num_res_units": 2}, _PICTURE),
        "vnet": ("VNet", {}, _VOLUME),
        "vnet-2d": ("VNet", {"spatial_dims": 2}, _PICTURE),
    },
    "classification": {
        "classifier": ("Classifier", {"in_shape": (1, 64, 64), "classes": 2} | _PYRAMID, _PICTURE),
        "critic": ("Critic", {"in_shape": (1, 64, 64)} | _PYRAMID, _PICTURE),
        "densenet121-3d": ("DenseNet121", _SOLID, _VOLUME),
        "discriminator": ("Discriminator", {"in_shape": (1, 64, 64)} | _PYRAMID, _PICTURE),
        "efficientnet-b0": (
            "EfficientNetBN",
            {"model_name": "efficientnet-b0", "pretrained": False},
            _PHOTO,
        ),
        "efficientnet-b0-features": (
            "EfficientNetBNFeatures",
            {"model_name": "efficientnet-b0", "pretrained": False},
            _PHOTO,
        ),
        "efficientnet-b1-3d": (
            "EfficientNetBN",
            {"model_name": "efficientnet-b1", "pretrained": False, "spatial_dims": 3, "in_channels": 1},
            _VOLUME,
        ),
        "fully_connected": (
            "FullyConnectedNet",
            {"in_channels": 4, "out_channels": 2, "hidden_channels": (8, 8)},
            ("f32[2, 4]",),
        ),
        "mil": (
            "MILModel",
            {"num_classes": 3, "pretrained": False, "backbone": "resnet18", "mil_mode": "mean"},
            ("f32[1, 2, 3, 64, 64]",),
        ),
        "mil-attention": (
            "MILModel",
            {"num_classes": 3, "pretrained": False, "backbone": "resnet18", "mil_mode": "att"},
            ("f32[1, 2, 3, 64, 64]",),
        ),
        "mil-transformer": (
            "MILModel",
            {"num_classes": 3, "pretrained": False, "backbone": "resnet18", "mil_mode": "att_trans"},
            ("f32[1, 2, 3, 64, 64]",),
        ),
        "mil-pyramid": (
            "MILModel",
            {"num_classes": 3, "pretrained": False, "mil_mode": "att_trans_pyramid"},
            ("f32[1, 2, 3, 64, 64]",),
        ),
        "multi_scale_patch_discriminator": (
            "MultiScalePatchDiscriminator",
            {"num_d": 2, "num_layers_d": 2, "spatial_dims": 2, "channels": 8, "in_channels": 1},
            _PICTURE,
        ),
        "patch_discriminator": (
            "PatchDiscriminator",
            {"spatial_dims": 2, "channels": 8, "in_channels": 1, "num_layers_d": 2},
            _PICTURE,
        ),
        "regressor": ("Regressor", {"in_shape": (1, 64, 64), "out_shape": (2,)} | _PYRAMID, _PICTURE),
        "resnet10-3d": ("resnet10", {"n_input_channels": 1, "num_classes": 2}, _VOLUME),
        "resnet18-3d": ("resnet18", {"n_input_channels": 1, "num_classes": 2}, _VOLUME),
        "resnet50-3d": ("resnet50", {"n_input_channels": 1, "num_classes": 2}, _VOLUME),
        "se_resnet50": ("SEResNet50", {"spatial_dims": 2, "in_channels": 3, "num_classes": 2}, _PHOTO),
        "se_resnext50-3d": (
            "SEResNext50",
            {"spatial_dims": 3, "in_channels": 1, "num_classes": 2},
            _VOLUME,
        ),
        "senet154": ("SENet154", {"spatial_dims": 2, "in_channels": 3, "num_classes": 2}, _PHOTO),
        "torchvision_fc": (
            "TorchVisionFCModel",
            {"model_name": "resnet18", "pretrained": False},
            ("f32[1, 3, 224, 224]",),
        ),
        "vit": (
            "ViT",
            {"in_channels": 1, "img_size": (32, 32, 32), "classification": True} | _VIT,
            _VOLUME,
        ),
        "vit-2d": ("ViT", {"in_channels": 1, "img_size": (64, 64), "spatial_dims": 2} | _VIT, _PICTURE),
    },
    "generation": {
        "autoencoder-2d": ("AutoEncoder", _FLAT | _CODE, _PICTURE),
        "autoencoder-residual": (
            "AutoEncoder",
            _FLAT | _CODE | {"num_res_units": 2, "num_inter_units": 2, "inter_channels": (16, 16)},
            _PICTURE,
        ),
        "autoencoder_kl-2d": (
            "AutoencoderKL",
            _FLAT | _CODER,
            _PICTURE,
        ),
        "autoencoder_kl-3d": (
            "AutoencoderKL",
            _SOLID | _CODER,
            _VOLUME,
        ),
        "controlnet": (
            "ControlNet",
            {"spatial_dims": 2, "in_channels": 1, "conditioning_embedding_num_channels": (16,)}
            | _DENOISING,
            ("f32[1, 1, 16, 16]", "i64[1] < 100", "f32[1, 1, 16, 16]"),
        ),
        "decoder_only_transformer": (
            "DecoderOnlyTransformer",
            _DECODER,
            ("i64[1, 12] < 20",),
        ),
        "decoder_only_transformer-cross": (
            "DecoderOnlyTransformer",
            _DECODER | {"with_cross_attention": True},
            ("i64[1, 12] < 20", "f32[1, 5, 16]"),
        ),
        "diffusion_unet-2d": (
            "DiffusionModelUNet",
            _FLAT | _DENOISING,
            ("f32[1, 1, 16, 16]", "i64[1] < 100"),
        ),
        "diffusion_unet-3d": (
            "DiffusionModelUNet",
            _SOLID | _DENOISING,
            ("f32[1, 1, 16, 16, 16]", "i64[1] < 100"),
        ),
        "diffusion_unet-conditioned": (
            "DiffusionModelUNet",
            _FLAT | _DENOISING | {"with_conditioning": True, "cross_attention_dim": 8},
            ("f32[1, 1, 16, 16]", "i64[1] < 100", "f32[1, 4, 8]"),
        ),
        "diffusion_unet-resampling": (
            "DiffusionModelUNet",
            _FLAT | _DENOISING | {"resblock_updown": True, "num_class_embeds": 4},
            ("f32[1, 1, 16, 16]", "i64[1] < 100", "= None", "i64[1] < 4"),
        ),
        "generator": (
            "Generator",
            {"latent_shape": (16,), "start_shape": (8, 8, 8), "channels": (8, 4, 1), "strides": (2, 2, 1)},
            ("f32[1, 16]",),
        ),
        "masked_autoencoder_vit": (
            "MaskedAutoEncoderViT",
            {
                "in_channels": 1,
                "img_size": (64, 64),
                "spatial_dims": 2,
                "decoder_hidden_size": 16,
                "decoder_mlp_dim": 32,
                "decoder_num_layers": 2,
                "decoder_num_heads": 2,
            }
            | _VIT,
            _PICTURE,
        ),
        "spade_autoencoder_kl": (
            "SPADEAutoencoderKL",
            _FLAT | _CODER | {"label_nc": 3},
            ("f32[1, 1, 32, 32]", "f32[1, 3, 32, 32]"),
        ),
        "spade_diffusion_unet": (
            "SPADEDiffusionModelUNet",
            _FLAT | {"label_nc": 3} | _DENOISING,
            ("f32[1, 1, 16, 16]", "i64[1] < 100", "f32[1, 3, 16, 16]"),
        ),
        "spade_net": (
            "SPADENet",
            _FLAT
            | {
                "out_channels": 1,
                "label_nc": 3,
                "input_shape": (64, 64),
                "channels": [8, 16, 32],
                "z_dim": 8,
            },
            ("f32[1, 3, 64, 64]", "f32[1, 1, 64, 64]"),
        ),
        "var_autoencoder": (
            "VarAutoEncoder",
            {"spatial_dims": 2, "in_shape": (1, 64, 64), "out_channels": 1, "latent_size": 4} | _CODE,
            _PICTURE,
        ),
        "var_fully_connected": (
            "VarFullyConnectedNet",
            {
                "in_channels": 8,
                "out_channels": 8,
                "latent_size": 2,
                "encode_channels": (8, 4),
                "decode_channels": (4, 8),
            },
            ("f32[2, 8]",),
        ),
        "vit_autoenc": (
            "ViTAutoEnc",
            {"in_channels": 1, "img_size": (32, 32, 32)} | _VIT | {"patch_size": 16},
            _VOLUME,
        ),
        "vqvae": (
            "VQVAE",
            _FLAT
            | {
                "out_channels": 1,
                "channels": (8, 16),
                "num_res_channels": (8, 16),
                "num_res_layers": 1,
                "downsample_parameters": ((2, 4, 1, 1), (2, 4, 1, 1)),
                "upsample_parameters": ((2, 4, 1, 1, 0), (2, 4, 1, 1, 0)),
                "num_embeddings": 16,
                "embedding_dim": 8,
            },
            _PICTURE,
        ),
    },
    "registration": {
        "global_net": (
            "GlobalNet",
            {
                "image_size": [32, 32, 32],
                "spatial_dims": 3,
                "in_channels": 2,
                "num_channel_initial": 8,
                "depth": 2,
            },
            ("f32[1, 2, 32, 32, 32]",),
        ),
        "local_net": (
            "LocalNet",
            {"spatial_dims": 3, "in_channels": 2, "num_channel_initial": 8, "extract_levels": (0, 1, 2)},
            ("f32[1, 2, 32, 32, 32]",),
        ),
        "reg_unet": (
            "RegUNet",
            {"spatial_dims": 3, "in_channels": 2, "num_channel_initial": 8, "depth": 2},
            ("f32[1, 2, 32, 32, 32]",),
        ),
        "voxel_morph": ("VoxelMorph", {}, (*_VOLUME, *_VOLUME)),
    },
}
#: The networks alone, by name.
_BY_NAME = {name: made for networks in _NETWORKS.values() for name, made in networks.items()}


def cases() -> Iterator[ModelCase]:
    """The cases of this source, as recorded."""
    return listed(_SOURCE, _build, _inputs)


def discover() -> Iterator[ModelCase]:
    """The networks of the table."""
    library("monai.networks.nets", "monai")
    for task, networks in _NETWORKS.items():
        for name in networks:
            yield case(_SOURCE, name, _build, _inputs, name.partition("-")[0], task)


def _build(name: str) -> nn.Module:
    class_name, arguments, _ = _BY_NAME[name]
    model = getattr(library("monai.networks.nets", "monai"), class_name)(**arguments)
    assert isinstance(model, nn.Module)
    return model


def _inputs(name: str) -> Inputs:
    return tuple(read(text) for text in _BY_NAME[name][2]), {}
