"""What the rules for models of diffusers do not know: what is left out, configurations and arguments, by class."""

from __future__ import annotations

from typing import Any

#: What is not a model by itself, and why.
LEFT_OUT = {
    "what others derive from": "ModelMixin",
    "loads another": "AutoModel",
    "several of another": (
        "MultiAdapter MultiControlNetModel FluxMultiControlNetModel HunyuanDiT2DMultiControlNetModel "
        "QwenImageMultiControlNetModel SD3MultiControlNetModel"
    ),
    "parts that another model runs": "MotionAdapter ControlNetXSAdapter ZImageControlNetModel",
}

_BLOCKS = {"num_attention_heads": 2, "attention_head_dim": 16, "in_channels": 32}
_HUNYUAN = {"in_channels": 4, "patch_size": 2, "sample_size": 8, "hidden_size": 176}
_SMALL_VIDEO = {"sample_frames": 5, "sample_height": 8, "sample_width": 8, "max_text_seq_length": 7}

#: Arguments of the constructor: what has no default, or one that cannot be, or does not fit what is small.
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "AutoencoderKLHunyuanImage": {
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 4,
        "block_out_channels": (32, 64, 64),
        "layers_per_block": 1,
        "spatial_compression_ratio": 4,
        "sample_size": 32,
    },
    "CogVideoXTransformer3DModel": _SMALL_VIDEO,
    "ConsisIDTransformer3DModel": _SMALL_VIDEO,
    "ConsistencyDecoderVAE": {"decoder_block_out_channels": (32, 64, 96, 96)},
    "ControlNetUnionModel": {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 32,
        "projection_class_embeddings_input_dim": 256,
        "block_out_channels": (320, 320, 320, 320),
    },
    "DreamLiteTransformer2DModel": _BLOCKS,
    "DreamLiteUNetModel": {"attention_head_dim": 4},
    "EasyAnimateTransformer3DModel": {"in_channels": 16, "out_channels": 16, "patch_size": 2},
    "HiDreamImageTransformer2DModel": {
        "in_channels": 4,
        "patch_size": 2,
        "caption_channels": [64, 64],
        "llama_layers": [0, 1, 0, 1],
    },
    "HunyuanDiT2DControlNetModel": _HUNYUAN | {"transformer_num_layers": 4},  # fewer control nothing
    "HunyuanDiT2DModel": _HUNYUAN,
    "I2VGenXLUNet": {"attention_head_dim": 8},
    "Ideogram4Transformer2DModel": {"llm_features_dim": 64},
    "Kandinsky3UNet": {"groups": 8, "attention_head_dim": 16},
    "LatteTransformer3DModel": {
        **_BLOCKS,
        "in_channels": 4,
        "out_channels": 8,
        "cross_attention_dim": 32,
        "sample_size": 8,
        "patch_size": 2,
        "num_embeds_ada_norm": 1000,
        "norm_type": "ada_norm_single",
        "caption_channels": 64,
        "video_length": 2,
        "norm_elementwise_affine": False,
    },
    "LTX2VideoTransformer3DModel": {"audio_cross_attention_dim": 128},
    "LuminaNextDiT2DModel": {"num_kv_heads": 2},
    "OmniGenTransformer2DModel": {
        "rope_scaling": {"long_factor": [1.0] * 48, "short_factor": [1.0] * 48, "type": "su"}
    },
    "PixArtTransformer2DModel": {"sample_size": 8},
    "StableCascadeUNet": {"num_attention_heads": (2, 2)},
    "T5FilmDecoder": {"targets_length": 8},
    "Transformer2DModel": _BLOCKS,
    "TransformerTemporalModel": _BLOCKS,
    "UNet1DModel": {"extra_in_channels": 64},
    "UNet3DConditionModel": {"attention_head_dim": 8},
    "UNetSpatioTemporalConditionModel": {"num_attention_heads": (2, 2, 4, 4)},
    "UVit2DModel": {"cond_embed_dim": 768, "micro_cond_embed_dim": 1280},
    "WanAnimateTransformer3DModel": {"motion_encoder_size": 64},
    "WanVACETransformer3DModel": {"vace_layers": [0, 1]},
}

_FRAMES_FIRST = {"hidden_states": "f32[1, 2, 16, 8, 8]"}
_TEXTS = {
    "encoder_hidden_states": "f32[1, 77, 1024]",
    "text_embedding_mask": "ones[1, 77]",
    "encoder_hidden_states_t5": "f32[1, 256, 2048]",
    "text_embedding_mask_t5": "ones[1, 256]",
    "image_meta_size": "f32[1, 6]",
    "style": "[0]",
}
_GRID = {"num_frames": "= 2", "height": "= 4", "width": "= 4"}

#: Arguments of ``forward``, as `arguments` reads them, alone, by name, or in a list; ``-`` leaves one out.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "AceStepTransformer1DModel": {
        "hidden_states": "f32[1, 16, 64]",
        "context_latents": "f32[1, 16, 128]",
        "encoder_hidden_states": "f32[1, 7, 256]",
    },
    "AnimaTextConditioner": {
        "source_hidden_states": "f32[1, 7, 1024]",
        "target_input_ids": "i64[1, 5] < 100",
    },
    "AnyFlowTransformer3DModel": {
        **_FRAMES_FIRST,
        "timestep": "[[1.0, 1.0]]",
        "r_timestep": "[[0.5, 0.5]]",
    },
    "AutoencoderKLLTX2Video": {"sample": "f32[1, 3, 9, 64, 64]"},
    "AutoencoderKLMiniMaxH3": {"sample": "f32[1, 3, 17, 64, 64]"},
    "AutoencoderKLMiniMaxH3Audio": {"sample": "f32[1, 1, 8000]"},
    "AutoencoderKLMochi": {"sample": "f32[1, 3, 7, 32, 32]"},
    "AutoencoderKLQwenImage21": {"sample": "f32[1, 4, 1, 32, 32]"},
    "AutoencoderKLTemporalDecoder": {"sample": "f32[1, 3, 32, 32]"},
    "AutoencoderOobleck": {"sample": "f32[1, 2, 4096]"},
    "BriaFiboTransformer2DModel": {"text_encoder_layers": ["f32[1, 7, 2048]"] * 4},
    "CogVideoXTransformer3DModel": _FRAMES_FIRST,
    "ConsisIDTransformer3DModel": _FRAMES_FIRST,
    "ConsistencyDecoderVAE": {"sample": "f32[1, 3, 32, 32]"},
    "ControlNetUnionModel": {
        "controlnet_cond": ["f32[1, 3, 64, 64]"],
        "control_type": "f32[1, 6]",
        "control_type_idx": "= [0]",
        "added_cond_kwargs": {"text_embeds": "f32[1, 64]", "time_ids": "f32[1, 6]"},
    },
    "Cosmos3AVAEAudioTokenizer": {"sample": "f32[1, 2, 3840]"},
    "CosmosTransformer3DModel": {"padding_mask": "f32[1, 1, 64, 64]"},
    "DiTTransformer2DModel": {"class_labels": "[1]"},
    "DreamLiteTransformer2DModel": {"encoder_hidden_states": "-"},
    "ErnieImageTransformer2DModel": {"text_bth": "f32[1, 7, 2560]", "text_lens": "[7]"},
    "GlmImageTransformer2DModel": {
        "prior_token_id": "i64[1, 16] < 100",
        "prior_token_drop": "zeros[1, 16]",
    },
    "HiDreamImageTransformer2DModel": {
        "hidden_states": "f32[1, 4, 8, 8]",
        "img_ids": "-",
        "encoder_hidden_states_t5": "f32[1, 7, 64]",
        "encoder_hidden_states_llama3": "f32[2, 1, 7, 64]",
        "pooled_embeds": "f32[1, 2048]",
    },
    "HunyuanDiT2DControlNetModel": {**_TEXTS, "controlnet_cond": "f32[1, 4, 8, 8]"},
    "HunyuanDiT2DModel": _TEXTS,
    "HunyuanVideo15Transformer3DModel": {
        "encoder_hidden_states_2": "f32[1, 6, 1472]",
        "encoder_attention_mask_2": "bool[1, 6]",
        "image_embeds": "f32[1, 4, 1152]",
    },
    "HunyuanVideoFramepackTransformer3DModel": {
        "image_embeds": "f32[1, 4, 1152]",
        "indices_latents": "[0, 1]",
    },
    "I2VGenXLUNet": {
        "sample": "f32[1, 4, 2, 8, 8]",
        "fps": "[8]",
        "image_latents": "f32[1, 4, 2, 8, 8]",
        "image_embeddings": "f32[1, 1024]",
    },
    "Ideogram4Transformer2DModel": {
        "hidden_states": "f32[1, 23, 128]",
        "encoder_hidden_states": "f32[1, 23, 64]",
        "position_ids": "i64[1, 23, 3] < 8",
        "segment_ids": "ones[1, 23]",
        "indicator": "i64[1, 23] < 3",
    },
    "JoyImageEditPlusTransformer3DModel": {
        "hidden_states": "f32[1, 16, 16, 1, 2, 2]",
        "shape_list": "= [[(1, 4, 4)]]",
    },
    "Kandinsky5Transformer3DModel": {
        "hidden_states": "f32[1, 2, 8, 8, 4]",
        "visual_rope_pos": ["[0, 1]", "[0, 1, 2, 3]", "[0, 1, 2, 3]"],
        "text_rope_pos": "[0, 1, 2, 3, 4, 5, 6]",
    },
    "Kandinsky6SRLatentUpscalerBank": {"latents": "f32[1, 64, 2, 8, 8]", "scale": "= 2"},
    "Kandinsky6SRTransformer3DModel": {"hidden_states": "f32[1, 2, 8, 8, 129]"},
    "Kandinsky6SRVAE": {"sample": "f32[1, 3, 5, 64, 64]"},
    "Kandinsky6Transformer3DModel": {"hidden_states": "f32[1, 2, 8, 8, 33]"},
    "Krea2Transformer2DModel": {
        "position_ids": "i64[23, 3] < 8",
        "encoder_hidden_states": "f32[1, 7, 2, 2560]",
    },
    "LatteTransformer3DModel": {"encoder_attention_mask": "-"},
    "LTX2VideoDiffusionDecoderModel": {"z": "f32[1, 128, 3, 8, 8]"},
    "LTX2VideoTransformer3DModel": {
        **_GRID,
        "hidden_states": "f32[1, 32, 128]",
        "audio_hidden_states": "f32[1, 6, 128]",
        "encoder_hidden_states": "f32[1, 7, 3840]",
        "audio_encoder_hidden_states": "f32[1, 7, 3840]",
        "audio_num_frames": "= 6",
    },
    "LTXVideoTransformer3DModel": {**_GRID, "hidden_states": "f32[1, 32, 128]"},
    "MMAudioVAE": {"sample": "f32[1, 16384]"},
    "MMAudioVocoder": {"mel": "f32[1, 128, 8]"},
    "MiniMaxMusic3ConditionEncoder": {"hidden_states": "f32[1, 6, 8192]"},
    "MiniMaxMusic3RVQDepthDecoder": {"inputs_embeds": "f32[1, 4, 512]"},
    "MiniMaxMusic3Transformer1DModel": {
        "hidden_states": "f32[1, 128, 16]",
        "encoder_hidden_states": "f32[1, 16, 2048]",
    },
    "MiniMaxMusic3Vocoder": {"latents": "f32[1, 128, 16]"},
    "OmniGenTransformer2DModel": {
        "input_ids": "i64[1, 7] < 100",
        "input_img_latents": "= []",
        "input_image_sizes": "= {}",
        "attention_mask": "ones[1, 24, 24]",
        "position_ids": "i64[1, 24] < 24",
        "hidden_states": "f32[1, 4, 8, 8]",
    },
    "PriorTransformer": {
        "hidden_states": "f32[1, 768]",
        "proj_embedding": "f32[1, 768]",
        "encoder_hidden_states": "f32[1, 77, 768]",
    },
    "QwenImage21Transformer2DModel": {"img_mask": "first[1, 11] < 4"},
    "SD3ControlNetModel": {"controlnet_cond": "f32[1, 16, 8, 8]"},
    "SanaControlNetModel": {"controlnet_cond": "f32[1, 32, 8, 8]"},
    "SanaWMTransformer3DModel": {"hidden_states": "f32[1, 128, 2, 8, 8]"},
    "SparseControlNetModel": {
        "sample": "f32[1, 4, 2, 8, 8]",
        "controlnet_cond": "f32[1, 4, 2, 8, 8]",
        "conditioning_mask": "f32[1, 1, 2, 8, 8]",
        "encoder_hidden_states": "f32[2, 7, 768]",
    },
    "StableAudio3DiTModel": {"hidden_states": "f32[1, 256, 16]", "global_hidden_states": "f32[1, 768]"},
    "StableAudioDiTModel": {"global_hidden_states": "f32[1, 1, 1536]"},
    "StableCascadeUNet": {"timestep_ratio": "[0.5]", "clip_text_pooled": "f32[1, 1, 1280]"},
    "T2IAdapter": {"x": "f32[1, 3, 64, 64]"},
    "T5FilmDecoder": {
        "encodings_and_masks": [["f32[1, 6, 128]", "ones[1, 6]"]],
        "decoder_input_tokens": "f32[1, 8, 128]",
        "decoder_noise_time": "[0.5]",
    },
    "Transformer2DModel": {"encoder_hidden_states": "-"},
    "TransformerTemporalModel": {
        "hidden_states": "f32[2, 32, 8, 8]",
        "encoder_hidden_states": "-",
        "num_frames": "= 2",
    },
    "UNetControlNetXSModel": {"sample": "f32[1, 4, 8, 8]"},
    "UNetMotionModel": {"sample": "f32[1, 4, 2, 8, 8]", "encoder_hidden_states": "f32[2, 7, 320]"},
    "UNetSpatioTemporalConditionModel": {
        "sample": "f32[1, 2, 8, 8, 8]",
        "encoder_hidden_states": "f32[1, 1, 1024]",
        "added_time_ids": "f32[1, 3]",
    },
    "UVit2DModel": {
        "input_ids": "i64[1, 8, 8] < 100",
        "pooled_text_emb": "f32[1, 768]",
        "micro_conds": "f32[1, 5]",
    },
    "WanAnimateTransformer3DModel": {
        "hidden_states": "f32[1, 36, 2, 8, 8]",
        "pose_hidden_states": "f32[1, 16, 1, 8, 8]",
        "face_pixel_values": "f32[1, 3, 1, 64, 64]",
        "encoder_hidden_states_image": "f32[1, 4, 1280]",
    },
    "WanVACETransformer3DModel": {"control_hidden_states": "f32[1, 96, 2, 8, 8]"},
    "ZImageTransformer2DModel": {"x": ["f32[16, 1, 8, 8]"], "t": "[0.5]", "cap_feats": ["f32[7, 2560]"]},
}
