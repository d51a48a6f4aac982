"""Inputs of models of transformers, made from the signature of ``forward`` and the configuration.

What an argument holds is known by its name. Where a text has places for pictures or sounds, there are as many as the
model itself makes features of them: it is built once more and asked. What a name does not say stands in a table.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from model_suite.case import Inputs
from model_suite.sources.arguments import read
from model_suite.sources.transformers_arguments import ARGUMENTS
from model_suite.sources.transformers_bundles import BUNDLES
from model_suite.sources.transformers_shrinking import parts

_TOKENS, _DECODED, _FRAMES, _SAMPLES, _PICTURE = 12, 6, 64, 9600, 64
#: Tokens that are drawn: special ones are lower or higher.
_LOW, _HIGH = 10, 100


#: What stands beside a text, and the argument that it is in.
_BESIDE = (
    ("image", "pixel_values"),
    ("audio", "input_features"),
    ("audio", "input_values"),
    ("audio", "audio_input_ids"),
)

#: What configurations say whose sounds are frames of features, not features of frames.
_FRAMES_FIRST = (
    "subsampling_factor subsampling_conv_channels input_feat_per_channel feature_projection_input_dim "
    "input_dim"
)

#: Arguments that are given wherever ``forward`` takes them.
_ALWAYS = frozenset(
    (
        "input_ids pixel_values image_grid_thw input_features input_features_mask feature_attention_mask "
        "decoder_input_ids bbox input_values past_values past_time_features past_observed_mask future_values "
        "future_time_features high_res_pixel_values spatial_shapes pixel_attention_mask"
    ).split()
)


def made(model_class: Any, config: Any, build: Callable[[], nn.Module]) -> Inputs:
    """Named arguments of ``forward``, on the device of the context."""
    device = torch.get_default_device()
    with torch.device("cpu"):
        if config.model_type in BUNDLES:
            return (), _moved(BUNDLES[config.model_type](config), device)
        making = _Making(model_class, config)
        making.all()
        making.places(build)
    return (), _moved(making.made, device)


def _moved(value: Any, device: torch.device) -> Any:
    """A value with what is in it, on a device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, list | tuple):
        return type(value)(_moved(one, device) for one in value)
    if isinstance(value, dict):
        return {name: _moved(one, device) for name, one in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **_moved(vars(value), device))
    return value


class _Making:
    """The inputs of one model being made."""

    def __init__(self, model_class: Any, config: Any) -> None:
        self.model_class, self.config = model_class, config
        self.parameters = dict(inspect.signature(model_class.forward).parameters)
        del self.parameters["self"]
        self.made: dict[str, Any] = {}

    def all(self) -> None:
        """Make every argument that is needed, those that others go by first."""
        own = ARGUMENTS.get(self.model_class.__name__, ARGUMENTS.get(self.config.model_type, {}))
        wanted = {name for name, parameter in self.parameters.items() if self._is_required(parameter)}
        wanted |= {name for name in self.parameters if name in _ALWAYS} | set(own)
        main = self.model_class.main_input_name
        wanted |= {name for name in self.parameters if name in ([main] if isinstance(main, str) else main)}
        if "inputs_embeds" in wanted:
            wanted.discard("input_ids")
        for name in sorted(
            wanted, key=lambda one: (one.endswith(("_mask", "_padding")), "_time_" in one, one)
        ):
            if own.get(name) == "-":
                continue
            value = self._given(own[name]) if name in own else self._argument(name)
            if value is not None:
                self.made[name] = value

    def _given(self, text: str) -> Any:
        if text.startswith("pictures"):
            return torch.cat([self._pixel_values()] * int(text[9:] or 1))[None]
        if text == "frames":
            return torch.cat([self._pixel_values()] * self.number("num_frames", 2))[None]
        if text == "hidden":
            return self._inputs_embeds()
        if text == "mask":
            pictures = self.made["pixel_values"]
            return torch.ones(*pictures.shape[:-3], *pictures.shape[-2:], dtype=torch.long)
        return torch.tensor([self._picture_size()]) if text == "sizes" else read(text)

    @staticmethod
    def _is_required(parameter: inspect.Parameter) -> bool:
        variable = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        return parameter.default is parameter.empty and not variable

    def _argument(self, name: str) -> Any:
        maker = getattr(self, f"_{name}", None)
        if maker is None:
            raise ValueError(
                f"no value is known for the argument {name!r} of {self.model_class.__name__}.forward"
            )
        return maker()

    # -- what the configuration says ------------------------------------------------------------------

    def number(self, names: str, default: Any = None, *first: str) -> Any:
        """What the configuration, its parts of some names before the others, has under one of some names."""
        named = [
            getattr(self.config, name) for name in first if getattr(self.config, name, None) is not None
        ]
        for part in [*named, *parts(self.config)]:
            for name in names.split():
                value = vars(part).get(name)
                if value is not None:
                    return value
        return default

    def _hidden(self) -> int:
        return int(self.number("hidden_size d_model embed_dim n_embd dim hidden_dim", 64))

    # -- text -----------------------------------------------------------------------------------------

    def _input_ids(self) -> Tensor:
        return torch.randint(_LOW, min(_HIGH, self.number("vocab_size", _HIGH)), (1, _TOKENS))

    def _decoder_input_ids(self) -> Tensor:
        return torch.randint(_LOW, min(_HIGH, self.number("vocab_size", _HIGH)), (1, _DECODED))

    def _attention_mask(self) -> Tensor:
        return torch.ones(1, _TOKENS, dtype=torch.long)

    def _bbox(self) -> Tensor:
        return torch.tensor([5, 10, 40, 30]).expand(1, _TOKENS, 4).clone()

    def _hidden_states(self) -> Tensor:
        return (
            self._patches()[0] if "grid_thw" in self.parameters else torch.rand(1, _TOKENS, self._hidden())
        )

    def _inputs_embeds(self) -> Tensor:
        return torch.rand(1, _TOKENS, self._hidden())

    def _query_embeds(self) -> Tensor:
        return torch.rand(1, 4, self._hidden())

    def _qformer_input_ids(self) -> Tensor:
        return self._input_ids()

    def _context(self) -> Tensor:
        return torch.rand(1, _TOKENS, self._hidden())

    def _encoder_hidden_states(self) -> Tensor:
        return torch.rand(1, _TOKENS, self._hidden())

    # -- pictures -------------------------------------------------------------------------------------

    def _picture_size(self) -> tuple[int, int]:
        size = self.number("image_size input_size img_size", _PICTURE, "vision_config")
        if isinstance(size, dict):
            return size.get("height", _PICTURE), size.get("width", _PICTURE)
        return (
            (size[-2], size[-1])
            if isinstance(size, list | tuple) and len(size) > 1
            else (_first(size),) * 2
        )

    def _channels(self) -> int:
        return _first(self.number("num_channels in_channels in_chans", 3, "vision_config"))

    def _patches(self) -> tuple[Tensor, Tensor]:
        """Flattened patches of one picture, and how many there are in time, height and width."""
        patch = _first(self.number("patch_size spatial_patch_size", 14, "vision_config"))
        time = _first(self.number("temporal_patch_size patch_temporal", 1, "vision_config"))
        side = 2 * _first(
            self.number("spatial_merge_size merge_size merge_kernel_size", 2, "vision_config")
        )
        return torch.rand(side * side, self._channels() * time * patch * patch), torch.tensor(
            [[1, side, side]]
        )

    def _pixel_values(self) -> Tensor:
        if {"image_grid_thw", "grid_thw"} & set(self.parameters):
            return self._patches()[0]
        if "spatial_shapes" in self.parameters:
            return torch.rand(
                1,
                16,
                self._channels()
                * _first(self.number("patch_size encoder_patch_size", 16, "vision_config")) ** 2,
            )
        return torch.rand(1, self._channels(), *self._picture_size())

    _image = _pixel_values

    def _high_res_pixel_values(self) -> Tensor:
        size = self.number("image_size", 128, "high_res_vision_config")
        return torch.rand(1, 3, size, size)

    def _grid_thw(self) -> Tensor:
        return self._patches()[1]

    _image_grid_thw = _grid_thw

    def _pixel_values_videos(self) -> Tensor:
        frames = self.number("num_frames frames_per_clip", 2)
        return torch.rand(1, frames, self._channels(), *self._picture_size())

    def _spatial_shapes(self) -> Tensor:
        return torch.tensor([[4, 4]])

    def _pixel_attention_mask(self) -> Tensor | None:
        return torch.ones(1, 16, dtype=torch.long) if "spatial_shapes" in self.parameters else None

    # -- sounds ---------------------------------------------------------------------------------------

    def _input_features(self) -> Tensor:
        bins = self.number(
            "num_mel_bins input_dim feature_size input_feat_per_channel mel_bins n_mels feature_projection_input_dim",
            80,
            "audio_config",
            "encoder_config",
        )
        if self._frames_first():
            return torch.rand(1, _FRAMES, bins)
        return torch.rand(1, bins, 2 * self.number("max_source_positions", _FRAMES // 2, "audio_config"))

    def _input_features_mask(self) -> Tensor | None:
        if "input_features" not in self.made:
            return None
        frames = self.made["input_features"].shape[1 if self._frames_first() else -1]
        return torch.ones(1, frames, dtype=torch.long)

    def _frames_first(self) -> bool:
        return self.number(_FRAMES_FIRST) is not None

    _feature_attention_mask = _input_features_mask

    def _input_values(self) -> Tensor:
        if self.number("num_mel_bins") and self.number("max_length"):
            return torch.rand(1, self.number("max_length"), self.number("num_mel_bins"))
        if self.number(
            "codebook_size n_codebooks num_quantizers upsampling_ratios downsampling_ratios audio_channels"
        ):
            return torch.rand(1, self.number("audio_channels", 1), _SAMPLES)
        return torch.rand(1, _SAMPLES)

    # -- series ---------------------------------------------------------------------------------------

    def _past_values(self) -> Tensor:
        length = self.number("context_length sequence_length", 32) + max(self.number("lags_sequence", [0]))
        count = self.number("num_input_channels input_size", 1)
        return torch.rand(1, length, count) if count > 1 else torch.rand(1, length)

    def _past_values_padding(self) -> Tensor:
        return torch.zeros_like(self.made["past_values"])

    def _past_time_features(self) -> Tensor:
        return torch.rand(1, self.made["past_values"].shape[1], self.number("num_time_features", 1))

    def _past_observed_mask(self) -> Tensor:
        return torch.ones_like(self.made["past_values"])

    def _future_values(self) -> Tensor | None:
        return (
            torch.rand(1, self.number("prediction_length"))
            if "past_time_features" in self.parameters
            else None
        )

    def _future_time_features(self) -> Tensor:
        return torch.rand(1, self.number("prediction_length"), self.number("num_time_features", 1))

    # -- places in a text -----------------------------------------------------------------------------

    def places(self, build: Callable[[], nn.Module]) -> None:
        """Put as many tokens into the text as the model makes features of the picture or sound beside it."""
        for kind, beside in _BESIDE:
            token = self.number(f"{kind}_token_id {kind}_token_index {kind}_token_idx")
            if type(token) is not int or beside not in self.made or "input_ids" not in self.made:
                continue
            count = self._features(kind, build().eval().modules())
            text = self.made["input_ids"]
            inner = torch.full((1, count), token)
            self.made["input_ids"] = text = torch.cat([text[:, :4], inner, text[:, 4:]], dim=1)
            if "attention_mask" in self.made:
                self.made["attention_mask"] = torch.ones_like(text)
            for name in ("mm_token_type_ids", "token_type_ids"):
                if name in self.parameters and kind == "image":
                    self.made[name] = (text == token).long()
                elif name in self.made:  # what is not of the picture
                    kinds = self.made[name]
                    self.made[name] = torch.cat(
                        [kinds[:, :4], torch.zeros_like(inner), kinds[:, 4:]], dim=1
                    )

    def _features(self, kind: str, modules: Iterable[Any]) -> int:
        """Of how many features the model makes the picture or sound; else it puts them in place of one token."""
        for module in modules:
            asked = getattr(module, f"get_{kind}_features", None)
            takes = set() if asked is None else set(inspect.signature(asked).parameters) & set(self.made)
            if asked is not None and takes:  # one that takes anything hands it on to the next
                with torch.no_grad():
                    return _count(asked(**{name: self.made[name] for name in takes - {"input_ids"}}))
        return 1


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, list | tuple) else value)


def _count(features: Any) -> int:
    """How many vectors there are."""
    found = getattr(features, "pooler_output", None)
    if found is None:
        found = getattr(features, "last_hidden_state", features)
    if found is None:  # a pair of layer and features for each layer of the text that gets some
        found = features.deepstack_features[0][1]
    return (
        found.numel() // found.shape[-1] if isinstance(found, Tensor) else sum(_count(one) for one in found)
    )
