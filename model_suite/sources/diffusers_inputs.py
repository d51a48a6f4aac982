"""Inputs of models of diffusers, made from the signature of ``forward`` and the configuration.

What an argument holds is known by its name; how many dimensions pictures, sounds and videos have, by the convolutions
of the model. What a name does not say stands in a table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from model_suite.case import Inputs
from model_suite.sources.arguments import read
from model_suite.sources.diffusers_exceptions import ARGUMENTS
from model_suite.sources.listing import library

#: Sides of pictures in pixels and in latents, frames, tokens of a text, and tokens of a picture, a side.
_PIXELS, _LATENTS, _FRAMES, _TOKENS, _SIDE = 32, 8, 5, 7, 4
#: What a configuration calls the width of a text, and that of what comes in, the first that is there.
_TEXT = (
    "joint_attention_dim text_embed_dim text_dim caption_channels cap_feat_dim context_in_dim text_hidden_dim "
    "encoder_hid_dim text_in_dim llm_features_dim in_text_dim cond_token_dim dit_text_dim encoder_hidden_states_dim "
    "condition_dim cross_attention_dim encoder_hidden_size"
)
_CHANNELS = (
    "in_channels in_visual_dim io_channels input_channels audio_channels num_channels latent_channels "
    "latent_dim in_dim"
)
#: Optional arguments that are given wherever ``forward`` takes them.
_ALWAYS = frozenset(
    (
        "encoder_hidden_states timestep timesteps pooled_projections img_ids txt_ids img_shapes controlnet_cond "
        "encoder_attention_mask sample hidden_states guidance"
    ).split()
)
#: Arguments that say that what comes in is a row of tokens.
_PACKED = frozenset("img_ids txt_ids img_shapes position_ids".split())


def made(model_class: Any, config: Mapping[str, Any], build: Callable[[], nn.Module]) -> Inputs:
    """Named arguments of ``forward``."""
    making = _Making(model_class, config, build)
    return (), making.all()


class _Making:
    """The inputs of one model being made."""

    def __init__(self, model_class: Any, config: Mapping[str, Any], build: Callable[[], nn.Module]) -> None:
        self._name, self._config, self._build = model_class.__name__, config, build
        self._parameters = dict(inspect.signature(model_class.forward).parameters)
        del self._parameters["self"]

    def all(self) -> dict[str, Any]:
        """Every argument that is required, that the table has, or that is always given."""
        own = ARGUMENTS.get(self._name, {})
        values = {}
        for name, parameter in self._parameters.items():
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) or own.get(name) == "-":
                continue
            if name in own:
                values[name] = read(own[name])
            elif name in _ALWAYS or parameter.default is parameter.empty:
                value = self._argument(name)
                if value is not None:
                    values[name] = value
        return values

    def _argument(self, name: str) -> Any:
        maker = getattr(self, f"_{name}", None)
        if maker is None:
            raise ValueError(f"no value is known for the argument {name!r} of {self._name}.forward")
        return maker()

    def _number(self, names: str, default: int = 0) -> int:
        """What the configuration has under the first of some names."""
        for name in names.split():
            value = self._config.get(name)
            if isinstance(value, list | tuple):
                value = value[0]
            if type(value) is int:
                return value
        return default

    def _dimensions(self) -> int:
        """Over how many dimensions the model convolves most; two if it does not."""
        with torch.device("meta"):
            modules = list(self._build().modules())
        kinds = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
        return max(
            (kinds[kind] for kind in kinds if any(isinstance(one, kind) for one in modules)), default=2
        )

    # -- what is denoised, or coded -------------------------------------------------------------------

    def _sample(self) -> Tensor:
        side = _PIXELS if self._name.startswith(("Autoencoder", "Asym", "VQ", "Consistency")) else _LATENTS
        return self._spread(side)

    def _spread(self, side: int) -> Tensor:
        """A sound, a picture or a video."""
        channels, dimensions = self._number(_CHANNELS, 3), self._dimensions()
        shape = {1: (side * side,), 2: (side, side), 3: (_FRAMES, side, side)}[dimensions]
        return torch.rand(1, channels, *shape)

    def _hidden_states(self) -> Tensor:
        if _PACKED & set(self._parameters):
            return torch.rand(1, _SIDE * _SIDE, self._number(_CHANNELS, 64))
        if "3D" in self._name:
            return torch.rand(1, self._number(_CHANNELS), 2, _LATENTS, _LATENTS)
        if "2D" in self._name:
            return torch.rand(1, self._number(_CHANNELS), _LATENTS, _LATENTS)
        return self._spread(_LATENTS)

    def _controlnet_cond(self) -> Tensor:
        if _PACKED & set(self._parameters):
            return self._hidden_states()
        return torch.rand(1, self._number("conditioning_channels", 3), 8 * _LATENTS, 8 * _LATENTS)

    # -- what it is conditioned on --------------------------------------------------------------------

    def _timestep(self) -> Tensor:
        return torch.tensor([1.0])

    _timesteps = _timestep

    def _encoder_hidden_states(self) -> Tensor:
        return torch.rand(1, _TOKENS, self._number(_TEXT, 64))

    def _encoder_attention_mask(self) -> Tensor:
        return torch.ones(1, _TOKENS, dtype=torch.bool)

    _encoder_hidden_states_mask = _encoder_attention_mask

    def _pooled_projections(self) -> Tensor | None:
        width = self._number("pooled_projection_dim in_text_dim2")
        return torch.rand(1, width) if width else None

    def _ids(self, count: int) -> Tensor:
        axes = self._config.get("axes_dims_rope") or (1, 1, 1)
        return torch.arange(count, dtype=torch.float32)[:, None].expand(count, len(axes)).clone()

    def _img_ids(self) -> Tensor:
        return self._ids(_SIDE * _SIDE)

    def _txt_ids(self) -> Tensor:
        return self._ids(_TOKENS)

    def _img_shapes(self) -> list[list[tuple[int, int, int]]]:
        return [[(1, _SIDE, _SIDE)]]

    def _guidance(self) -> Tensor | None:
        return torch.tensor([3.5]) if self._config.get("guidance_embeds") else None

    # -- what is said beside it -----------------------------------------------------------------------

    def _original_size(self) -> Tensor:
        return torch.tensor([[64, 64]])

    _target_size = _original_size

    def _crop_coords(self) -> Tensor:
        return torch.tensor([[0, 0]])

    def _timestep_r(self) -> Tensor:
        return torch.tensor([0.5])

    _r_timestep = _timestep_r

    def _condition_mask(self) -> Tensor:
        return torch.ones(1, 1, 2, _LATENTS, _LATENTS)

    # -- what the library makes -----------------------------------------------------------------------

    def _image_rotary_emb(self) -> Any:
        """Where the tokens of a picture stand, as complex numbers."""
        width = self._number("hidden_size") // self._number("num_attention_heads")
        embeddings = library("diffusers.models.embeddings", "diffusers")
        return embeddings.get_2d_rotary_pos_embed_lumina(width, _SIDE, _SIDE)

    def _video_rotary_emb(self) -> Any:
        """Where the tokens of two frames of a video stand, which the model itself says."""
        model: Any = self._build()
        return model.build_rotary_emb_for_absolute_positions(
            1, [0, 1], _SIDE, _SIDE, device=torch.get_default_device(), fps=24.0
        )

    def _kv_cache(self) -> Any:
        """A cache with nothing in it."""
        module = library("diffusers.models.transformers.transformer_wan_animate_2", "diffusers")
        return module.WanAnimate2KVCache(self._number("num_layers"))
