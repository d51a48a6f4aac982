"""What the rules for models of transformers do not know, by model type: configurations and classes."""

from __future__ import annotations

from typing import Any

#: Text detection by PP-OCR with large kernels: each block has kernels of 7, 5 and 3, upright, flat and square.
_LARGE_KERNELS = {
    "kernel_list": [3, 2, 2],
    "scale_factor_list": [1, 2, 4, 8],
    "intraclass_block_config": {
        "reduce_channel": [1, 1, 0],
        "return_channel": [1, 1, 0],
        **{
            f"{kind}_{part}ratio": [[height, width], [1, 1], [height // 2, width // 2]]
            for part, size in (("long", 7), ("mid", 5), ("short", 3))
            for kind, height, width in (
                ("vertical_long_to_small_conv", size, 1),
                ("horizontal_small_to_long_conv", 1, size),
                ("symmetric_conv_long", size, size),
            )
        },
    },
}
#: Stages of PP-LCNet v4 that halve height and width, as a detector needs them: kernel, channels, stride, squeezed.
_QUARTERS = {
    "block_configs": [
        [[3, 24, 24, 1, True]],
        [[3, 24, 32, 2, False], [3, 32, 32, 1, False]],
        [[3, 32, 48, 2, False], [3, 48, 48, 1, True]],
        [[3, 48, 96, 2, False], [3, 96, 96, 1, True]],
    ],
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
}

#: By model type, of a configuration or of a part of one: what the rules do not know.
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "align": {"projection_dim": 80},
    "align_vision_model": {
        "width_coefficient": 0.25,
        "depth_coefficient": 0.3,
        "hidden_dim": 80,
        "image_size": 64,
    },
    "apertus1p5": {
        "image_token_id": 8,
        "audio_token_id": 9,
        "image_token_offset": 128,
        "audio_token_offset": 192,
        "vision_config": {"codebook_size": 64},
        "audio_config": {"codebook_size": 64, "decoder_attention_num_groups": 2},
    },
    "aria": {"projector_patch_to_query_dict": {49: 4}},
    "autoformer": {
        "label_length": 2,
        "prediction_length": 4,
        "context_length": 8,
        "lags_sequence": [1, 2],
        "num_time_features": 1,
    },
    "aya_vision": {"vision_config": {"image_size": 56}},
    "bamba": {"attn_layer_indices": [1]},
    "beit": {
        "num_hidden_layers": 4,
        "out_indices": [1, 2, 3, 4],
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
    },
    "blip-2": {"image_token_index": 250},
    "blt": {"num_hidden_layers": 2},
    "chameleon": {
        "vocabulary_map": {"<image>": 8, **{f"IMGIMG{c}Z": 10 + n for n, c in enumerate("ABCDEFGH")}}
    },
    "chameleon_vqgan": {"num_embeddings": 8},
    "cohere_compass_text": {
        "layer_types": ["full_attention", "sliding_attention"],
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 10000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
    },
    "cvt": {"depth": (1, 2, 3)},
    "data2vec-vision": {
        "num_hidden_layers": 4,
        "out_indices": [1, 2, 3, 4],
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
    },
    "dbrx": {"attn_config": {"rope_theta": 10000.0, "clip_qkv": 8.0}},
    "deepseek_ocr2_sam_vision_model": {"downsample_channels": [16, 128]},
    "deepseek_ocr2_text": {"mlp_layer_types": ["dense", "sparse"], "num_experts_per_tok": 2},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "deepseek_vl_hybrid": {"high_res_vision_config": {"image_size": 128}},
    "depth_pro": {
        "patch_size": 64,
        "image_model_config": {"image_size": 64},
        "patch_model_config": {"image_size": 64},
        "fov_model_config": {"image_size": 64},
        "intermediate_hook_ids": [1, 0],
        "intermediate_feature_dims": (64, 64),
    },
    "diffusion_gemma_text": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 32},
    "dory": {
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "num_hidden_layers": 3,
        "n_input_layers": 1,
        "n_recurrent_layers": 1,
        "n_output_layers": 1,
    },
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "dpt": {"num_hidden_layers": 4, "backbone_out_indices": [0, 1, 2, 3]},
    "edgetam_video": {
        "image_size": 256,
        "prompt_encoder_config": {"image_size": 256},
        "vision_config": {"backbone_feature_sizes": [[64, 64], [32, 32], [16, 16]]},
        "memory_attention_rope_feat_sizes": [16, 16],
        "memory_attention_rope_k_sizes": [8, 8],
        "memory_encoder_output_channels": 64,
        "perceiver_resampler_hidden_size": 64,
        "perceiver_resampler_attention_head_dim": 64,
        "perceiver_resampler_num_latents": 64,
        "perceiver_resampler_num_latents_2d": 64,
    },
    "edgetam_vision_model": {
        "backbone_channel_list": [384, 192, 96, 48],
        "backbone_config": {"architecture": "repvit_m1", "model_args": {"features_only": True}},
    },
    "efficientloftr": {"hidden_size": 64, "out_features": [16, 16, 32, 64]},
    "efficientnet": {
        "width_coefficient": 0.25,
        "depth_coefficient": 0.3,
        "hidden_dim": 320,
        "image_size": 64,
    },
    "emu3": {"vocabulary_map": {"<image>": 8, "<|extra_200|>": 9, "<|visual token 000000|>": 10}},
    "esm": {"vocab_size": 33, "pad_token_id": 1, "mask_token_id": 32},
    "esmfold2": {
        "esmc_config": {
            "hidden_size": 320,
            "num_attention_heads": 5,
            "num_key_value_heads": 5,
            "intermediate_size": 864,
        }
    },
    "fast_vlm": {"vision_config": {"hidden_size": 3072}},
    "gemma3": {"mm_tokens_per_image": 49},
    "gemma4_audio": {"subsampling_conv_channels": (128, 32)},
    "got_ocr2": {"vision_config": {"image_size": 256}},
    "gpt_neo": {"num_layers": 2, "attention_types": [[["global", "local"], 1]]},
    "granite4_vision": {
        "vision_config": {"image_size": 256},
        "text_config": {"num_hidden_layers": 6, "hidden_size": 256, "intermediate_size": 512},
        "image_grid_pinpoints": [[256, 512], [512, 256]],
        "deepstack_layer_map": [[-2, 0], [-1, 1]],
        "spatial_target_layers": [2, 3, 4, 5],
        "downsample_rate": "1/2",
    },
    "granite_speech": {"projector_config": {"encoder_hidden_size": 32}},
    "granite_speech_plus": {"projector_config": {"encoder_hidden_size": 32}},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "idefics3": {"vision_config": {"image_size": 256}},
    "informer": {
        "prediction_length": 4,
        "context_length": 8,
        "lags_sequence": [1, 2],
        "num_time_features": 1,
    },
    "inkling_vision": {"num_hidden_layers": 5},
    "instructblip": {"image_token_index": 250},
    "instructblipvideo": {"video_token_index": 250},
    "jamba": {
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
    },
    "janus": {"vision_config": {"projection_dim": 1024}},
    "janus_vqgan": {"num_patches": 4},
    "kosmos-2": {"latent_query_num": 4},
    "lfm2_moe": {
        "num_hidden_layers": 3,
        "num_dense_layers": 1,
        "layer_types": ["conv", "full_attention", "conv"],
    },
    # transformers 5.24 fails where it gives its result by names: one of them, image_outputs, is of the text model
    "llama4": {"return_dict": False, "vision_config": {"intermediate_size": 96, "vision_output_dim": 128}},
    "llama4_vision_model": {"intermediate_size": 384},
    "lw_detr": {"projector_scale_factors": [1.0]},
    "mllama": {"vision_config": {"intermediate_layers_indices": [0, 1, 0, 1, 0], "image_size": 56}},
    "mllama_vision_model": {"intermediate_layers_indices": [0, 1, 0, 1, 0], "image_size": 56},
    "modernvbert": {"vision_config": {"image_size": 256}},
    "molmo2": {
        "vision_config": {"image_size": [112, 112], "num_position_embeddings": 64},
        "adapter_config": {"vision_feature_layer": [1, 0], "text_hidden_size": 512},
    },
    "moonshine_streaming": {"num_key_value_heads": 8},
    "muse_glimmer_vision": {"max_position_embeddings": 1024},
    "muse_spark_audio": {"num_hidden_layers": 4},
    "muse_spark_vision": {"max_position_embeddings": 1024},
    "nemotron_h_omni": {"image_token_id": 8},
    "omdet-turbo": {"encoder_in_channels": [192, 384, 768]},
    "ovis2": {"hidden_size": 128},
    "paddleocr_vl_text": {
        "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0, "mrope_section": [2, 1, 1]}
    },
    "perceiver": {"num_blocks": 1, "num_self_attends_per_block": 2, "d_latents": 64},
    "perception_lm": {
        "vision_config": {
            "architecture": "vit_tiny_patch16_224",
            "model_args": {"embed_dim": 192, "depth": 2, "img_size": 64},
        }
    },
    "pix2struct_text_model": {"initializer_range": 0.02},
    "pixtral": {"image_size": 64},
    "pp_doclayout_v2": {"class_thresholds": [0.5, 0.5], "class_order": [0, 1]},
    "pp_ocrv5_server_det": {"neck_out_channels": 64, **_LARGE_KERNELS},
    "pp_ocrv6_medium_det": {
        **_LARGE_KERNELS,
        "backbone_config": {"stem_channels": (3, 12, 24), **_QUARTERS},
    },
    "pp_ocrv6_small_det": {
        "backbone_config": {"stem_channels": (3, 12, 24), "stem_type": "small", **_QUARTERS},
        "layer_list_out_channels": (24, 32, 48, 96),
        "neck_out_channels": 48,
    },
    "qwen2_5_omni_dit": {"num_hidden_layers": 3, "look_ahead_layers": [1], "look_backward_layers": [0, 2]},
    "qwen3_omni_moe_talker_text": {"shared_expert_intermediate_size": 32},
    "qwen4_exp_text": {
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 16,
        "indexer_budget": 8,
        "indexer_compress_ratio": 4,
    },
    "recurrent_gemma": {"num_hidden_layers": 3},
    "reformer": {"axial_pos_embds_dim": [16, 48]},
    "rf_detr": {"backbone_config": {"image_size": 112}},
    "sam2": {"prompt_encoder_config": {"image_size": 256}},
    "sam2_hiera_det_model": {"image_size": [256, 256], "global_attention_blocks": [4]},
    "sam2_video": {
        "image_size": 256,
        "prompt_encoder_config": {"image_size": 256},
        "memory_attention_rope_feat_sizes": [16, 16],
        "memory_encoder_output_channels": 64,
    },
    "sam2_vision_model": {"backbone_feature_sizes": [[64, 64], [32, 32], [16, 16]]},
    "sam3_tracker": {"prompt_encoder_config": {"image_size": 336}},
    "sam3_tracker_video": {
        "image_size": 336,
        "memory_encoder_output_channels": 64,
        "vision_config": {
            "backbone_config": {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4}
        },
    },
    "sam3_video": {
        "low_res_mask_size": 96,
        "score_threshold_detection": 0.1,
        "new_det_thresh": 0.1,
        "max_num_objects": 2,
        "detector_config": {
            "vision_config": {
                "backbone_config": {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4}
            }
        },
    },
    "sam3_vision_model": {"backbone_feature_sizes": [[96, 96], [48, 48], [24, 24]]},
    "sam3_vit_model": {"image_size": 336},
    "sapiens2": {"head_config": {"upsample_out_channels": [48, 48], "conv_out_channels": [48, 48]}},
    "seggpt": {"image_size": [64, 32], "pretrain_image_size": 32},
    "shieldgemma2": {"yes_token_index": 20, "no_token_index": 21, "mm_tokens_per_image": 49},
    "smolvlm": {"vision_config": {"image_size": 256}},
    "step3p5": {"sliding_window": 8},
    "superglue": {"sinkhorn_iterations": 2},
    "t5gemma2_decoder": {"dropout_rate": 0.0},
    "t5gemma2_encoder": {"mm_tokens_per_image": 49, "dropout_rate": 0.0},
    "t5gemma2_text": {"dropout_rate": 0.0},
    "time_series_transformer": {
        "prediction_length": 4,
        "context_length": 8,
        "lags_sequence": [1, 2],
        "num_time_features": 1,
    },
    "timm_backbone": {"backbone": "resnet18"},
    "tvp": {"num_frames": 2, "max_img_size": 64, "visual_prompt_size": 16},
    "ultravbert": {"vision_config": {"image_size": 256}},
    "uvdoc": {"backbone_config": {"out_features": [f"stage{stage}" for stage in range(1, 7)]}},
    "vipllava": {"vision_feature_layer": (-1, -2)},
    "vitmatte": {"hidden_size": 96, "fusion_hidden_sizes": [32, 16, 8, 4]},
    "voxtral": {"audio_token_id": 8},
    "xmod": {"default_language": "en_XX"},
    "zamba": {"num_hidden_layers": 4, "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"]},
}

#: By model type of the whole: what it is begun with, before it is made small, where the default is no such model.
DEFAULTS: dict[str, dict[str, Any]] = {
    "edgetam_video": {"vision_config": {"model_type": "edgetam_vision_model"}},
    "gemma4_assistant": {
        "text_config": {
            "model_type": "gemma4_text",
            "hidden_size_per_layer_input": 0,
            "vocab_size_per_layer_input": 0,
        }
    },
    "omdet-turbo": {"image_size": 224},
}

#: By model type of the whole: what widths are divided by, where the rule divides by too much.
DIVISORS: dict[str, int] = {
    "align": 1,
    "align_vision_model": 1,
    "apertus1p5": 4,
    "bit": 2,
    "bros": 4,
    "chameleon": 4,
    "clap": 1,
    "clvp": 1,
    "clvp_encoder": 1,
    "edgetam_video": 2,
    "efficientnet": 1,
    "emu3": 8,
    "ernie4_5_vl_moe": 8,
    "ernie4_5_vl_moe_text": 8,
    "esmfold2": 1,
    "granite4_vision": 4,
    "grounding-dino": 8,
    "janus": 4,
    "janus_vqgan": 4,
    "mm-grounding-dino": 8,
    "mobilevit": 2,
    "molmo2": 8,
    "muse_glimmer": 16,
    "muse_glimmer_text": 16,
    "neomme": 4,
    "oneformer": 8,
    "pp_lcnet_v4": 1,
    "pp_ocrv6_small_rec": 1,
    "pp_ocrv6_tiny_rec": 1,
    "regnet": 2,
    "sam2_video": 2,
    "sam3_tracker_video": 2,
    "sam3_video": 2,
    "uvdoc": 1,
    "xcodec": 1,
    "xcodec2": 4,
}

#: By model type: the class, where it is neither the base model nor the first that takes the configuration.
CLASSES = {
    "kosmos_2_5_vision_model": "Kosmos2_5VisionModel",
    "lw_detr_vit": "LwDetrViTBackbone",
    "musicgen": "MusicgenForConditionalGeneration",
    "musicgen_melody": "MusicgenMelodyForConditionalGeneration",
    "pop2piano": "Pop2PianoForConditionalGeneration",
    "pp_doclayout_v2": "PPDocLayoutV2ForObjectDetection",
    "pp_lcnet_v4": "PPLCNetV4Backbone",
    "pp_ocrv5_mobile_det": "PPOCRV5MobileDetForObjectDetection",
    "rf_detr_dinov2": "RfDetrDinov2Backbone",
    "slanet": "SLANetForTableRecognition",
    "slanext": "SLANeXtForTableRecognition",
    "uvdoc": "UVDocModel",
}

#: By model type: the kind of attention, where the model has no "eager" one.
ATTENTIONS = {"qwen2_5_omni_dit": "sdpa"}
