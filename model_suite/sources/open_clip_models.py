"""Every configuration that open_clip lists: two towers, for pictures and for texts, with random weights."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from model_suite.case import Inputs, ModelCase
from model_suite.sources.listing import case, library, listed

_SOURCE = "open_clip"
#: Tokens that are drawn are lower; the last of a text is the highest, as texts end.
_TOKENS = 1000
#: Tokens of a text of which the model's configuration does not say how many it has, and how many of them are padding
#: where the encoder masks that.
_LENGTH, _PADDING = 77, 7
_ROBERTA: dict[str, Any] = {
    "vocab_size": 50265,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
}
_MULTILINGUAL = _ROBERTA | {"vocab_size": 250002}
#: What decodes is built, and dropped: one layer of it is enough.
_MT5 = {"vocab_size": 250112, "d_kv": 64, "num_decoder_layers": 1}
_NLLB = {"vocab_size": 256206, "d_model": 1024, "encoder_attention_heads": 16, "decoder_layers": 1}
#: Encoders of texts that open_clip looks up on the Hugging Face Hub: the kind, and the sizes that were published, as
#: far as they are not the kind's own.
_ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "roberta-base": ("roberta", _ROBERTA),
    "xlm-roberta-base": ("xlm-roberta", _MULTILINGUAL),
    "xlm-roberta-large": (
        "xlm-roberta",
        _MULTILINGUAL
        | {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
        },
    ),
    "google/mt5-base": ("mt5", _MT5 | {"d_model": 768, "d_ff": 2048, "num_layers": 12, "num_heads": 12}),
    # four of its 24 layers: all would take minutes to draw
    "google/mt5-xl": ("mt5", _MT5 | {"d_model": 2048, "d_ff": 5120, "num_layers": 4, "num_heads": 32}),
    "facebook/nllb-200-distilled-600M": (
        "m2m_100",
        _NLLB | {"encoder_layers": 12, "encoder_ffn_dim": 4096},
    ),
    "facebook/nllb-200-distilled-1.3B": (
        "m2m_100",
        _NLLB | {"encoder_layers": 24, "encoder_ffn_dim": 8192},
    ),
}


def cases() -> Iterator[ModelCase]:
    """The cases of this source, as recorded."""
    return listed(_SOURCE, _build, _inputs)


def discover() -> Iterator[ModelCase]:
    """The configurations that the installed open_clip lists."""
    for name in _library().list_models():
        family = re.split(r"[-_\d]", name)[0]
        yield case(_SOURCE, name, _build, _inputs, family, "pictures and texts")


def _library() -> Any:
    return library("open_clip", "open_clip_torch")


def _build(name: str) -> nn.Module:
    open_clip = _library()
    text = open_clip.get_model_config(name)["text_cfg"]
    create = partial(
        open_clip.create_model,
        name,
        load_weights=False,
        pretrained_text=False,
        device=torch.get_default_device(),
    )
    if text.get("hf_model_name") in _ENCODERS:
        with tempfile.TemporaryDirectory() as folder:  # a folder is a name too, and nothing is looked up
            _encoder(text).save_pretrained(folder)
            model = create(text_cfg=text | {"hf_model_name": folder, "hf_model_pretrained": False})
    else:
        model = create()
    assert isinstance(model, nn.Module)
    return model


def _encoder(text: Mapping[str, Any]) -> Any:
    """The configuration of an encoder of texts that is of another library."""
    kind, sizes = _ENCODERS[text["hf_model_name"]]
    return library("transformers", "transformers").AutoConfig.for_model(kind, **sizes)


def _inputs(name: str) -> Inputs:
    """A picture of the size that the model is configured for, and a text."""
    config = _library().get_model_config(name)
    size = config["vision_cfg"].get("image_size", 224)
    height, width = size if isinstance(size, list | tuple) else (size, size)
    return (torch.rand(1, 3, height, width), _text(config["text_cfg"])), {}


def _text(config: Mapping[str, Any]) -> Tensor:
    """Tokens, of which the last ends the text; what is after it is padding."""
    length = config.get("context_length", _LENGTH)
    if config.get("hf_model_name") not in _ENCODERS:
        texts = torch.randint(1, _TOKENS, (1, length))
        texts[:, -1] = config.get("vocab_size", 49408) - 1
        return texts
    encoder = _encoder(config)
    texts = torch.randint(3, _TOKENS, (1, length))  # the first three are marks
    texts[:, -_PADDING - 1] = encoder.eos_token_id
    texts[:, -_PADDING:] = encoder.pad_token_id
    return texts
