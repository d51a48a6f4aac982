"""A small decoder of x_transformers with each of its options on, one at a time, and its other whole models.

An option is a published change of the transformer: other positions, norms, attention or feedforward layers. Those are
found in the signatures of the library; what one needs beside it stands in tables.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from torch import nn

from model_suite.case import Inputs, ModelCase
from model_suite.sources.arguments import read
from model_suite.sources.listing import case, library, listed

_SOURCE = "x_transformers"
_SMALL: dict[str, Any] = {"dim": 32, "depth": 2, "heads": 2, "attn_dim_head": 16}
_TEXT = "i64[1, 12] < 20"
#: Classes whose options are tried, what the names of these begin with, and of which part of the model they are.
_OPTIONS = (
    ("AttentionLayers", "", "layers"),
    ("Attention", "attn_", "layers"),
    ("FeedForward", "ff_", "layers"),
    ("TransformerWrapper", "", "wrapper"),
)
#: Options that are no change of the graph, and why.
_LEFT_OUT = {
    "what the layers set themselves": "attn_learned_value_residual_mix attn_qkv_receive_diff_residuals",
    "for layers with options of their own": "looped",
    "a decoder is": "causal attn_causal",
    "how something is computed": "attn_flash attn_flash_pack_seq attn_onnxable",
    "how something is initialized": (
        "zero_init_branch_output attn_zero_init_output ff_zero_init_output polar_bias_uniform_init"
    ),
}
#: What an option needs beside it.
_BESIDE: dict[str, dict[str, Any]] = {
    "attn_aggregated_residuals": {"dim": 128},  # of a rank below it
    "qkv_receive_diff_residuals": {"integrate_layers": True},
    "attn_use_latent_q": {"attn_dim_latent_q": 16},
    "attn_use_latent_kv": {"attn_dim_latent_kv": 16},
    "gated_multi_residual": {"num_residual_streams": 2, "residual_fn_kwargs": {"read_gate_rank": 4}},
    "only_cross": {"cross_attend": True},
    "cross_residual_attn": {"cross_attend": True},
    "use_adaptive_layernorm": {"dim_condition": 8},
    "use_adaptive_rmsnorm": {"dim_condition": 8},
    "use_adaptive_layerscale": {"dim_condition": 8},
    "adaptive_condition_mlp": {"use_adaptive_rmsnorm": True, "dim_condition": 8},
    "dynamic_pos_bias_log_distance": {"dynamic_pos_bias": True},
    "dynamic_pos_bias_norm": {"dynamic_pos_bias": True},
    "depth_scale_residual": {"scale_residual": True},
    "learned_reinject_input_gate": {"reinject_input": True},
    "ff_glu_mult_bias": {"ff_glu": True},
    "ff_glu_softclamp": {"ff_glu": True},
    "attn_sparse_topk_straight_through": {"attn_sparse_topk": 4},
    "attn_qk_norm_dim_scale": {"attn_qk_norm": True},
    "attn_cope_soft_onehot_pos": {"attn_use_cope": True},
    "attn_cope_talking_heads": {"attn_use_cope": True},
    "attn_orthog_projected_values_per_head": {"attn_orthog_projected_values": True},
    "attn_data_dependent_alibi_per_row": {"attn_data_dependent_alibi": True},
}
#: What ``forward`` takes beside the text, by the option that wants it.
_INPUTS = {
    "cross_attend": ("context", "f32[1, 7, 32]"),
    "dim_condition": ("condition", "f32[1, 8]"),
    "recycling": ("recycle_steps", "= 2"),
}
#: Whole models: class, arguments of its constructor and of ``forward``; layers by the name of their class.
_MODELS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "decoder": (
        "TransformerWrapper",
        {"num_tokens": 20, "max_seq_len": 16, "attn_layers": "Decoder"},
        (_TEXT,),
    ),
    "encoder": (
        "TransformerWrapper",
        {"num_tokens": 20, "max_seq_len": 16, "attn_layers": "Encoder"},
        (_TEXT,),
    ),
    "continuous": (
        "ContinuousTransformerWrapper",
        {"dim_in": 6, "dim_out": 4, "max_seq_len": 16, "attn_layers": "Decoder"},
        ("f32[1, 12, 6]",),
    ),
    "vit": (
        "ViTransformerWrapper",
        {"image_size": 32, "patch_size": 8, "num_classes": 5, "attn_layers": "Encoder"},
        ("f32[1, 3, 32, 32]",),
    ),
    "encoder_decoder": (
        "XTransformer",
        {
            "dim": 32,
            **{f"{part}_num_tokens": 20 for part in ("enc", "dec")},
            **{f"{part}_depth": 2 for part in ("enc", "dec")},
            **{f"{part}_heads": 2 for part in ("enc", "dec")},
            **{f"{part}_max_seq_len": 16 for part in ("enc", "dec")},
        },
        (_TEXT, _TEXT),
    ),
    "cross_attender": ("CrossAttender", _SMALL, ("f32[1, 12, 32]", "f32[1, 7, 32]")),
    "neo_mlp": (
        "NeoMLP",
        {"dim_in": 5, "dim_hidden": 7, "dim_out": 4, "depth": 2, "dim_model": 32},
        ("f32[3, 5]",),
    ),
}


def cases() -> Iterator[ModelCase]:
    """The cases of this source, as recorded."""
    return listed(_SOURCE, _build, _inputs)


def discover() -> Iterator[ModelCase]:
    """The whole models, and the decoder with each option that the installed library has."""
    for name in _MODELS:
        yield case(_SOURCE, name, _build, _inputs, name, "language", "attention")
    for _, options in _options():
        for option in options:
            yield case(_SOURCE, f"decoder-{option}", _build, _inputs, "decoder", "language", "attention")


def _options() -> Iterator[tuple[str, list[str]]]:
    """Of which part options are, and those that are off if nothing is said."""
    library("x_transformers", "x-transformers")
    module = importlib.import_module("x_transformers.x_transformers")
    left_out = {name for names in _LEFT_OUT.values() for name in names.split()}
    for class_name, prefix, part in _OPTIONS:
        parameters = inspect.signature(getattr(module, class_name).__init__).parameters
        options = [f"{prefix}{name}" for name, one in parameters.items() if one.default is False]
        yield part, [option for option in options if option not in left_out]


def _build(name: str) -> nn.Module:
    x_transformers = library("x_transformers", "x-transformers")
    model_name, _, option = name.partition("-")
    class_name, arguments, _ = _MODELS[model_name]
    of_wrapper = any(part == "wrapper" and option in options for part, options in _options())
    on: dict[str, Any] = {option: True, **_BESIDE.get(option, {})} if option else {}
    arguments = dict(arguments)
    if "attn_layers" in arguments:
        layers = getattr(x_transformers, arguments["attn_layers"])
        arguments["attn_layers"] = layers(**_SMALL | ({} if of_wrapper else on))
    model = getattr(x_transformers, class_name)(**arguments | (on if of_wrapper else {}))
    assert isinstance(model, nn.Module)
    return model


def _inputs(name: str) -> Inputs:
    model_name, _, option = name.partition("-")
    on = {option, *_BESIDE.get(option, {})}
    named = dict(beside for wanted, beside in _INPUTS.items() if wanted in on)
    positional = tuple(read(text) for text in _MODELS[model_name][2])
    return positional, {key: read(text) for key, text in named.items()}
