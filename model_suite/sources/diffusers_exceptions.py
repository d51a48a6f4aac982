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
_PROTEINS = {"token_dim": 64, "dim_cond": 32, "pair_repr_dim": 32}
_SMALL_VIDEO = {"sample_frames": 5, "sample_height": 8, "sample_width": 8, "max_text_seq_length": 7}

#: Arguments of the constructor: what has no default, or one that cannot be, or does not fit what is small.
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    # a tile less than 120 pixels high is all overlap
    "AutoencoderKLAllegro": {
        "block_out_channels": (8, 16, 32, 32),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "sample_size": 128,
    },
    "AutoencoderKLHunyuanImage": {
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 4,
        "block_out_channels": (32, 64, 64),
        "layers_per_block": 1,
        "spatial_compression_ratio": 4,
        "sample_size": 32,
    },
    "BriaFibo2Transformer2DModel": {
        "cap_feat_dim": 64,
        "injection_layer_ids": (1,),
        "min_num_gist_tokens": 4,
        "max_num_gist_tokens": 8,
        "gist_step": 4,
        "gist_min_text_len": 4,
        "gist_max_text_len": 16,
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
    "Cosmos3OmniTransformer": {"vocab_size": 1000, "intermediate_size": 512},
    "CosmosControlNetModel": {"model_channels": 256, "adaln_lora_dim": 32},
    "DreamLiteTransformer2DModel": _BLOCKS,
    "DreamLiteUNetModel": {"attention_head_dim": 4},
    "EasyAnimateTransformer3DModel": {"in_channels": 16, "out_channels": 16, "patch_size": 2},
    "HiDreamImageTransformer2DModel": {
        "in_channels": 4,
        "patch_size": 2,
        "caption_channels": [64, 64],
        "llama_layers": [0, 1, 0, 1],
        "axes_dims_rope": (64, 32, 32),
    },
    "HunyuanDiT2DControlNetModel": _HUNYUAN | {"transformer_num_layers": 4},  # fewer control nothing
    "HunyuanDiT2DModel": _HUNYUAN,
    "HunyuanVideoFramepackTransformer3DModel": {"has_image_proj": True, "has_clean_x_embedder": True},
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
    # its neighbourhoods are attended to as one matrix of all tokens, where nothing is compiled
    "LTX2VideoDiffusionDecoderModel": {
        "latent_channels": 16,
        "decoder_head_dim": 16,
        "decoder_stage_channels": (128, 64, 32, 32, 16),
        "decoder_stage_depths": (1, 2, 1, 1, 2),
        "decoder_stage_kernels": ((3, 3, 3),) * 4,
        "decoder_upsample_strides": ((1, 2, 2), (2, 1, 1), (1, 1, 1), (2, 2, 2)),
        "decoder_stage5_kernel": (5, 5, 5),
        "decoder_t_emb_dim": 32,
        "spatial_compression_ratio": 16,
        "temporal_compression_ratio": 4,
    },
    "LTX2VideoTransformer3DModel": {"audio_cross_attention_dim": 128},
    "LuminaNextDiT2DModel": {"num_kv_heads": 2},
    "MiniMaxH3Transformer3DModel": {
        "hidden_size": 192,
        "ffn_dim": 384,
        "text_dim": 64,
        "time_embed_hidden_dim": 192,
        "time_embed_dim": 96,
    },
    "OmniGenTransformer2DModel": {
        "rope_scaling": {"long_factor": [1.0] * 48, "short_factor": [1.0] * 48, "type": "su"}
    },
    "PixArtTransformer2DModel": {"sample_size": 8},
    "RFD4ProteinaAutoencoder": {
        **_PROTEINS,
        # the first five of the 37 atoms of a residue are those of the backbone, and any token may be any residue
        "atom37_mask": [[True] * 5 + [False] * 32] * 147,
        "allowed_residue_types": [[True] * 147] * 7,
    },
    "RFD4ProteinaTransformer": {**_PROTEINS, "t_emb_dim": 32, "tri_mult_c": 16},
    "SanaWMLTX2RefinerTransformer3DModel": {"audio_cross_attention_dim": 128},
    "SanaWMTransformer3DModel": {"softmax_every_n": 2, "caption_channels": 64},
    "StableCascadeUNet": {"num_attention_heads": (2, 2)},
    "T5FilmDecoder": {"targets_length": 8},
    "Transformer2DModel": _BLOCKS,
    "TransformerTemporalModel": _BLOCKS,
    "UNet1DModel": {"extra_in_channels": 64},
    "UNet3DConditionModel": {"attention_head_dim": 8},
    "UNetSpatioTemporalConditionModel": {"num_attention_heads": (2, 2, 4, 4)},
    "UVit2DModel": {"cond_embed_dim": 768, "micro_cond_embed_dim": 1280},
    "WanAnimate2Transformer3DModel": {"ffn_dim": 512, "text_len": 7, "text_dim": 64},
    "WanAnimateTransformer3DModel": {"motion_encoder_size": 64},
    "WanVACETransformer3DModel": {"vace_layers": [0, 1]},
}

#: Methods without which a model does not run, called when it is built.
CALLED = {"AutoencoderKLAllegro": "enable_tiling"}

_FRAMES_FIRST = {"hidden_states": "f32[1, 2, 16, 8, 8]"}
_TEXTS = {
    "encoder_hidden_states": "f32[1, 77, 1024]",
    "text_embedding_mask": "ones[1, 77]",
    "encoder_hidden_states_t5": "f32[1, 256, 2048]",
    "text_embedding_mask_t5": "ones[1, 256]",
    "image_meta_size": "f32[1, 6]",
    "style": "[0]",
}
#: A chain of six residues of a protein, none of which is given.
_CHAIN = {
    "padding_mask": "bool[1, 6]",
    "token_type": "[[0, 0, 0, 0, 0, 0]]",
    "atom37_mask": "bool[1, 6, 37]",
}
_BONDS = "hbond pistack pication saltbridge hydrophobic metal-coord"
_CHAIN_CONDITIONS = {"is_in_context_conditioning": "zeros[1, 6]", "supports_local_latent": "bool[1, 6]"}
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
    "AnyFlowFARTransformer3DModel": {
        "hidden_states": "f32[1, 4, 16, 8, 8]",
        "timestep": "[[1.0, 1.0, 1.0, 1.0]]",
        "r_timestep": "[[0.5, 0.5, 0.5, 0.5]]",
        "chunk_partition": "= [1, 1, 1, 1]",  # the first is compressed, as there are more than three
    },
    "AnyFlowTransformer3DModel": {
        **_FRAMES_FIRST,
        "timestep": "[[1.0, 1.0]]",
        "r_timestep": "[[0.5, 0.5]]",
    },
    "AutoencoderKLAllegro": {"sample": "f32[1, 3, 24, 128, 128]"},
    "AutoencoderKLLTX2Video": {"sample": "f32[1, 3, 9, 64, 64]"},
    "AutoencoderKLMiniMaxH3": {"sample": "f32[1, 3, 22, 32, 32]"},  # of fewer frames no token is left
    "AutoencoderKLMiniMaxH3Audio": {"sample": "f32[1, 1, 8000]"},
    "AutoencoderKLMochi": {"sample": "f32[1, 3, 7, 32, 32]"},
    "AutoencoderKLQwenImage21": {"sample": "f32[1, 4, 1, 32, 32]"},
    "AutoencoderKLTemporalDecoder": {"sample": "f32[1, 3, 32, 32]"},
    "AutoencoderOobleck": {"sample": "f32[1, 2, 4096]"},
    "BriaFibo2Transformer2DModel": {
        "encoder_hidden_states": "f32[1, 2, 7, 64]",
        "encoder_attention_mask": "-",
    },
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
    # a text of five tokens, then two frames of two by two, of which the second is noisy
    "Cosmos3OmniTransformer": {
        "input_ids": "i64[5] < 1000",
        "text_indexes": "[0, 1, 2, 3, 4]",
        "position_ids": (
            "[[0, 1, 2, 3, 4, 5, 5, 5, 5, 6, 6, 6, 6], [0, 1, 2, 3, 4, 5, 5, 6, 6, 5, 5, 6, 6], "
            "[0, 1, 2, 3, 4, 5, 6, 5, 6, 5, 6, 5, 6]]"
        ),
        "und_len": "= 5",
        "sequence_length": "= 13",
        "vision_tokens": ["f32[1, 48, 2, 4, 4]"],
        "vision_token_shapes": "= [(2, 2, 2)]",
        "vision_sequence_indexes": "[5, 6, 7, 8, 9, 10, 11, 12]",
        "vision_mse_loss_indexes": "[9, 10, 11, 12]",
        "vision_timesteps": "[500.0, 500.0, 500.0, 500.0]",
        "vision_noisy_frame_indexes": ["[1]"],
    },
    "CosmosControlNetModel": {
        "controls_latents": "f32[1, 16, 2, 8, 8]",
        "latents": "f32[1, 16, 2, 8, 8]",
        "padding_mask": "f32[1, 1, 64, 64]",
    },
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
        "indices_latents": "[8, 9]",
        # of the frames before, the older ones are packed more
        "latents_clean": "f32[1, 16, 2, 8, 8]",
        "indices_latents_clean": "[0, 7]",
        "latents_history_2x": "f32[1, 16, 2, 8, 8]",
        "indices_latents_history_2x": "[5, 6]",
        "latents_history_4x": "f32[1, 16, 4, 8, 8]",
        "indices_latents_history_4x": "[1, 2, 3, 4]",
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
    "LTX2VideoDiffusionDecoderModel": {"z": "f32[1, 16, 2, 3, 3]"},
    "LTX2VideoTransformer3DModel": {
        **_GRID,
        "hidden_states": "f32[1, 32, 128]",
        "audio_hidden_states": "f32[1, 6, 128]",
        "encoder_hidden_states": "f32[1, 7, 3840]",
        "audio_encoder_hidden_states": "f32[1, 7, 3840]",
        "audio_num_frames": "= 6",
    },
    "LTXVideoTransformer3DModel": {**_GRID, "hidden_states": "f32[1, 32, 128]"},
    "LuminaNextDiT2DModel": {
        "encoder_mask": "ones[1, 7]",
        "cross_attention_kwargs": "= {'base_sequence_length': 64}",
    },
    "MMAudioVAE": {"sample": "f32[1, 16384]"},
    "MMAudioVocoder": {"mel": "f32[1, 128, 8]"},
    # seven tokens of a text, three of a sound, and eight of a video, of which only these are noisy
    "MiniMaxH3Transformer3DModel": {
        "hidden_states": "f32[1, 8, 96]",
        "audio_hidden_states": "f32[1, 3, 32]",
        "encoder_hidden_states": "f32[1, 7, 64]",
        "timestep": "[0.0, 0.5]",
        "timestep_indices": "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]",
        "token_tags": "[1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0]",
        "position_ids": "i64[18, 3] < 8",
        "text_indices": "[0, 1, 2, 3, 4, 5, 6]",
        "audio_indices": "[7, 8, 9]",
        "video_indices": "[10, 11, 12, 13, 14, 15, 16, 17]",
    },
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
    "RFD4ProteinaAutoencoder": {
        **_CHAIN,
        "z_latent": "f32[1, 6, 32]",
        "ca_coors_nm": "f32[1, 6, 3]",
        "conditioning": _CHAIN_CONDITIONS,
    },
    "RFD4ProteinaTransformer": {
        **_CHAIN,
        "bb_ca": "f32[1, 6, 3]",
        "local_latents": "f32[1, 6, 32]",
        "bb_ca_time": "[0.5]",
        "local_latents_time": "[0.5]",
        "recycle_depth": "= 2",
        "conditioning": {
            **_CHAIN_CONDITIONS,
            **{f"condition_{kind}_1_atom": "i64[1, 6, 37] < 2" for kind in _BONDS.split()},
            "condition_index-group_1_token": "[[0, 0, 0, 0, 0, 0]]",
            "molecule_iid": "[[0, 0, 0, 0, 0, 0]]",
            "molecule_entity_id": "[[0, 0, 0, 0, 0, 0]]",
            "token_bond_path_length": "i64[1, 6, 6] < 6",
        },
    },
    "SD3ControlNetModel": {"controlnet_cond": "f32[1, 16, 8, 8]"},
    "SanaControlNetModel": {"controlnet_cond": "f32[1, 32, 8, 8]"},
    "SanaWMLTX2RefinerTransformer3DModel": {
        "hidden_states": "f32[1, 32, 128]",
        "timestep": "f32[1, 32]",
        "encoder_hidden_states": "f32[1, 7, 3840]",
    },
    "SanaWMTransformer3DModel": {
        "hidden_states": "f32[1, 128, 3, 4, 4]",
        "timestep": "[[[500, 500, 500]]]",
        "encoder_hidden_states": "f32[1, 1, 7, 64]",
        # where the camera is, a matrix of four by four, and its lens: it moves to the right
        "camera_conditions": (
            "[["
            "[1.0, 0, 0, 0.0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 4, 4, 2, 2], "
            "[1.0, 0, 0, 0.1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 4, 4, 2, 2], "
            "[1.0, 0, 0, 0.2, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 4, 4, 2, 2]"
            "]]"
        ),
        "chunk_plucker": "f32[1, 48, 3, 4, 4]",
    },
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
    "WanAnimate2Transformer3DModel": {
        "hidden_states": ["f32[16, 1, 8, 8]"],
        "condition_latents": ["f32[20, 1, 8, 8]"],
        "encoder_hidden_states": ["f32[7, 64]"],
        "encoder_hidden_states_image": "f32[1, 4, 1280]",
        "kv_cache_mode": "= 'extract'",  # what is read from a cache is attended to by a compiled kernel
        "seq_len": "= 16",
        "offset_grid_sizes": "[[1, 4, 4]]",
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
