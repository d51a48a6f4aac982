"""Arguments of models of transformers that are made together, because what one holds says how long another is."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_TOKENS = 12


def _protein(config: Any) -> dict[str, Any]:
    """A short protein, as the library itself describes it to the trunk of the model, which is gone through twice."""
    package = "transformers.models.esmfold2"
    features = importlib.import_module(f"{package}.protein_utils").prepare_protein_features("MKTAYIAK")
    atoms = importlib.import_module(f"{package}.modeling_esmfold2").EsmFold2AtomInputs
    own = {field.name: features.pop(field.name) for field in dataclasses.fields(atoms)}
    del features["distogram_atom_idx"]  # which the sampler takes that comes after the trunk
    return {**features, "atom_inputs": atoms(**own), "num_loops": 1}


def _draft(config: Any) -> dict[str, Any]:
    """The next token to guess, with the keys and values that the large model has of those before, by kind of layer."""
    text = config.text_config
    shared: dict[str, tuple[Tensor, Tensor]] = {}
    for layer, kind in enumerate(text.layer_types):
        own = text.per_layer_config[layer]
        shape = (1, own.num_key_value_heads, _TOKENS, own.head_dim)
        shared[kind] = torch.rand(shape), torch.rand(shape)
    return {
        "inputs_embeds": torch.rand(1, 1, 2 * config.backbone_hidden_size),
        "position_ids": torch.tensor([[_TOKENS - 1]]),
        "attention_mask": torch.ones(1, _TOKENS, dtype=torch.long),
        "shared_kv_states": shared,
    }


def _crops(config: Any) -> dict[str, Any]:
    """A picture as a whole, and a crop of it; each token is of two times two patches."""
    vision = config.vision_config
    side = vision.image_size[0] // vision.patch_size
    half, pixels = side // 2, vision.patch_size**2 * vision.num_channels
    patches = torch.arange(2 * side**2).view(2, half, 2, half, 2).transpose(2, 3)
    text = torch.randint(10, 100, (1, _TOKENS))
    places = torch.full((1, 2 * half**2), config.image_patch_id)
    tokens = torch.cat([text[:, :4], places, text[:, 4:]], dim=1)
    return {
        "pixel_values": torch.rand(2, side**2, pixels),
        "image_token_pooling": patches.reshape(-1, 4),
        "image_grids": torch.tensor([[half, half, half, half]]),
        "input_ids": tokens,
        "mm_token_type_ids": (tokens == config.image_patch_id).long(),
    }


def _robot(config: Any) -> dict[str, Any]:
    """Pictures of two cameras with a command, and a state of the robot with the noise that becomes its actions."""
    whole = config.vlm_config
    vision = whole.vision_config
    places = torch.full((1, 2 * (vision.image_size // vision.patch_size) ** 2), whole.image_token_id)
    tokens = torch.cat([places, torch.randint(10, 100, (1, _TOKENS))], dim=1)
    return {
        "input_ids": tokens,
        "attention_mask": torch.ones_like(tokens),
        "pixel_values": torch.rand(1, 2, 3, vision.image_size, vision.image_size),
        "pixel_attention_mask": torch.ones(1, 2, dtype=torch.bool),
        "action_embeds": torch.rand(1, 6, config.dit_config.hidden_size),
    }


#: By model type: what makes all the arguments of a model.
BUNDLES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "esmfold2": _protein,
    "gemma4_assistant": _draft,
    "gemma4_unified_assistant": _draft,
    "molmo2": _crops,
    "pi0": _robot,
}
