"""Configurations of transformers made small, whatever the architecture.

A configuration says by its names what its numbers are. Widths are all divided by one power of two, so that what was
equal, or a sum, or a multiple, stays so; heads become fewer only where they would not divide a width any more. Layers
are left once of each kind, at least two; vocabularies, windows and experts become few. Pictures, strides, kernels and
groups stay as they are. What names do not say stands in `transformers_exceptions`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from model_suite.sources.transformers_exceptions import CONFIGURATIONS, DEFAULTS, DIVISORS

#: Names of numbers of features.
_WIDTH = re.compile(
    r"hidden|embed|width|channel|intermediate|d_model|d_ff|d_kv|ffn|inner|proj|n_embd|dim|rank$|filters|pos_feats"
    r"|pooler_output|bottleneck|latent_size|feedforward|mlp_size|upsample_groups|mamba_d_head|_units$|coordinate_size"
    r"|shape_size|adapter_input_size"
)
#: Names that look like widths, or like numbers of layers, and are not.
_OTHER = re.compile(
    r"vocab|image|patch|window|kernel|codebook_size|group_size|chunk|block_size|queries|buckets|stride|dropout|bins"
    r"|max_|position_embeddings|num_embed|token|conv_pos|feat_extract|adapter_layer|lstm|num_channels|mask_in_ch"
    r"|audio_channels|head_hidden_layers|input_feat|mel_dim|relative|_layers_per|feature_layer|window_layers"
    r"|num_hidden_groups|^query_dim$|hidden_layers_per|expansion|feature_projection_input_dim|adanorm"
    r"|time_step_rank|^input_dim$|^model_in_dim$|encoder_blocks|pos_emb|^keypoint_decoder_dim$|heads|per_layer$"
)
_LAYERS = re.compile(r"(^|_)(hidden_layers|layers?|depth|blocks)$")
_STAGES = re.compile(
    r"^(depths|num_blocks|layers|num_layers|stage_num_blocks|blocks_per_stage|layer_repeats)$"
)
_TOKEN = re.compile(r"_token$|_patch_id$|_(token|tok)_(id|index|ids|idx)$")
_AT_LAYERS = re.compile(
    r"(global_attn_indexes|fullatt_block_indexes|deepstack_visual_indexes|global_attention_blocks)$"
)
_HEAD = re.compile(r"head_dim$|^d_kv$|^dim_head$")
_HEADS = re.compile(r"^(?!mamba|linear|index)(.*_)?(attention_heads|num_heads|n_heads?|attn_heads)$")
#: Names of how many layers a configuration has, and of how wide it is, the first that is there.
_COUNTS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "encoder_layers", "depth")
_HIDDEN = ("embed_dim", "hidden_size", "d_model", "n_embd", "dim", "hidden_dim")

_VOCABULARY, _POSITIONS, _WINDOW, _EXPERTS, _QUERIES = 256, 512, 8, 4, 10


def shrunken(config_class: Any) -> Any:
    """The default configuration of a class, made small."""
    begun = DEFAULTS.get(config_class.model_type, {})
    default = config_class(**begun)
    divisor = DIVISORS.get(config_class.model_type) or _divisor(default)
    return _Shrinking(divisor).made(config_class, begun, default)


def parts(config: Any) -> Iterator[Any]:
    """A configuration and, after it, all that are in it."""
    yield config
    for value in vars(config).values():
        if _is_config(value):
            yield from parts(value)


def _is_config(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and hasattr(value, "model_type")


def _divisor(config: Any) -> int:
    """The greatest power of two that leaves heads at least four wide, and the widest hidden states 64."""
    widest = 1
    heads: list[int] = []
    for part in parts(config):
        for name, value in vars(part).items():
            if type(value) is int and _HEAD.search(name):
                heads.append(value)
            if name in _HIDDEN and type(value) is int:
                widest = max(widest, value << max(len(vars(part).get("depths") or ()) - 1, 0))
            if isinstance(value, list | tuple) and value and type(value[-1]) is int and _WIDTH.search(name):
                widest = max(widest, value[-1])
    divisor = 1
    while divisor < 32 and divisor * 128 <= widest and all(head % (divisor * 8) == 0 for head in heads):
        divisor *= 2
    return divisor


class _Shrinking:
    """One configuration with its parts being made small."""

    def __init__(self, divisor: int) -> None:
        self._divisor = divisor
        #: Tokens that are outside the vocabulary, by what they were.
        self._tokens: dict[int, int] = {}

    def made(
        self,
        config_class: Any,
        given: Mapping[str, Any],
        default: Any,
        fixed: Mapping[str, Any] = MappingProxyType({}),
    ) -> Any:
        """A small configuration of a class, ``default`` being the one of usual size."""
        if config_class.model_type == "timm_backbone" and vars(default).get("backbone"):
            return default  # the name that timm has for it says all
        # a field may be kept under another name
        names = [field.name for field in dataclasses.fields(config_class)]
        own = {name: vars(default).get(config_class.attribute_map.get(name, name)) for name in names}
        layers = _layers(own)
        forced = {**CONFIGURATIONS.get(config_class.model_type, {}), **fixed}
        values = {name: self._small(name, value, layers) for name, value in given.items()}
        specs = getattr(config_class, "sub_configs_defaults", {})
        for name, value in own.items():
            if _is_config(value):
                begun = _begun(value, specs.get(name), given.get(name, {}))
                values[name] = self.made(type(value), begun, value, forced.get(name, {}))
            elif (small := self._small(name, value, layers)) != value:
                values[name] = small
        values |= self._by_layer(own, layers)
        values |= _outputs(own, layers, getattr(default, "out_indices", None))
        values |= _fewer_heads(own, values)
        values |= {name: value for name, value in forced.items() if not _is_config(own.get(name))}
        made = config_class(**values)
        _complete(made)
        return made

    def _by_layer(self, own: Mapping[str, Any], layers: list[int]) -> dict[str, Any]:
        """How many layers there are, and the lists that have an item a layer."""
        name = next((name for name in _COUNTS if type(own.get(name)) is int), None)
        if name is None or own[name] <= len(layers):
            return {}
        values: dict[str, Any] = {name: len(layers)}
        for other, value in own.items():
            if isinstance(value, list | tuple) and len(value) == own[name] and not own.get("depths"):
                values[other] = [self._small(other, value[layer], []) for layer in layers]
        if own.get("num_kv_shared_layers"):
            values["num_kv_shared_layers"] = 0
        return values

    def _small(self, name: str, value: Any, layers: list[int]) -> Any:
        """A value made small by what its name says it is."""
        if isinstance(value, dict):
            return self._rope(value) if "rope" in name else value
        if _TOKEN.search(name):
            several = isinstance(value, list | tuple)
            return [self._token(one) for one in value] if several else self._token(value)
        if isinstance(value, list | tuple):
            if value and _AT_LAYERS.search(name):
                return type(value)([max(len(layers) - 1, 0)])
            if not all(type(one) is int for one in value):
                return value
            if _STAGES.search(name):
                return type(value)(min(one, 2) for one in value)
            return type(value)(self._number(name, one) for one in value)
        return self._number(name, value) if type(value) is int else value

    def _number(self, name: str, value: int) -> int:
        for pattern, most in _MOST:
            if pattern.search(name):
                return min(value, most)
        if name.endswith("vocab_size"):
            return _VOCABULARY if value > 4096 else value
        if _OTHER.search(name):
            return value
        if _LAYERS.search(name):
            return min(value, 2)
        return self._width(value) if _WIDTH.search(name) and value >= 32 else value

    def _width(self, value: int) -> int:
        small, rest = divmod(value, self._divisor)
        return small if not rest and small > 1 else max(4, small // 4 * 4)

    def _token(self, value: Any) -> Any:
        if type(value) is not int or value < _VOCABULARY:
            return value
        return self._tokens.setdefault(value, _VOCABULARY - 1 - len(self._tokens))

    def _rope(self, rope: dict[str, Any]) -> dict[str, Any]:
        """Rotary embeddings: sections and factors are as long as a half of a head."""
        small: dict[str, Any] = {}
        for key, value in rope.items():
            small[key] = value
            if isinstance(value, dict):
                small[key] = self._rope(value)
            elif key == "mrope_section" and value:
                sections = [one // self._divisor for one in value]
                sections[0] += sum(value) // self._divisor - sum(sections)
                small[key] = sections
            elif key in ("long_factor", "short_factor") and isinstance(value, list):
                small[key] = value[: len(value) // self._divisor]
        return small


#: Numbers of which there are at most so many.
_MOST = (
    (re.compile(r"max_position_embeddings$|^n_positions$|^max_.*positions$|^n_ctx$"), _POSITIONS),
    (re.compile(r"^(sliding_window|attention_window|sliding_window_size)$"), _WINDOW),
    (re.compile(r"experts_per_tok$|^(moe_)?(num_experts_)?top_?k(_experts)?$|^moe_k$|^moe_topk$"), 2),
    (re.compile(r"^(n_group|topk_group|first_k_dense_replace|num_expert_group)$"), 1),
    (re.compile(r"^(?!.*(dim|size|interval|step|layer)).*expert.*(num|s)$"), _EXPERTS),
    (re.compile(r"^num_queries$"), _QUERIES),
)


def _layers(own: Mapping[str, Any]) -> list[int]:
    """Which layers are left: the first of each kind, two at least; none if it is not known how many there are."""
    count = next((own[name] for name in _COUNTS if type(own.get(name)) is int), 0)
    by_layer = [one for one in own.values() if isinstance(one, list | tuple) and len(one) == count]
    first: dict[str, int] = {}
    for layer in range(count):
        first.setdefault(repr([one[layer] for one in by_layer]), layer)
    chosen = sorted(first.values()) if len(first) <= 6 else [0, 1]
    return [*chosen, 1] if len(chosen) == 1 and count > 1 else chosen


def _begun(value: Any, spec: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a part is made with: what its specification says, if it is about such a type, and what was said of it."""
    own = spec.init_kwargs if spec is not None and spec.model_type == value.model_type else {}
    return {name: one for name, one in {**own, **given}.items() if name != "model_type"}


def _outputs(own: Mapping[str, Any], layers: list[int], outputs: Any) -> dict[str, Any]:
    """The layers that a backbone gives out, as many as before, and so many layers."""
    name = next((name for name in _COUNTS if type(own.get(name)) is int), None)
    if name is None or not outputs or own.get("depths") or max(outputs) <= len(layers):
        return {}
    count = max(len(outputs), 2)
    stages = list(range(count - len(outputs) + 1, count + 1))
    return {name: count, "out_indices": stages, "out_features": [f"stage{stage}" for stage in stages]}


def _fewer_heads(own: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """As many heads as divide the widths that are left, where no width of a head is said."""
    if type(own.get("head_dim")) is int or "d_kv" in own:
        return {}
    hidden = next((values.get(name, own[name]) for name in _HIDDEN if own.get(name)), None)
    found: dict[str, Any] = {}
    for name, heads in own.items():
        if not _HEADS.search(name):
            continue
        if type(heads) is int and type(hidden) is int:
            found[name] = _dividing(hidden, heads, 4)
        elif isinstance(heads, list | tuple):
            widths = values.get("hidden_sizes") or values.get("embed_dim") or hidden
            if type(widths) is int:
                widths = [widths << stage for stage in range(len(heads))]
            if widths is not None and len(widths) == len(heads):
                found[name] = type(heads)(
                    _dividing(width, n, 1) for width, n in zip(widths, heads, strict=True)
                )
    groups, heads = own.get("num_key_value_heads"), found.get("num_attention_heads", found.get("num_heads"))
    if type(groups) is int and type(heads) is int and heads % groups:
        found["num_key_value_heads"] = heads
    return {name: value for name, value in found.items() if value != own[name]}


def _dividing(width: int, heads: int, multiple: int) -> int:
    """The greatest number of heads up to ``heads`` that leaves each a multiple of something wide."""
    fitting = [n for n in range(1, heads + 1) if width % n == 0 and width // n % multiple == 0]
    return max(fitting, default=1)


def _complete(made: Any) -> None:
    """Say what some configurations leave to those who write them."""
    own = vars(made)
    heads = own.get("num_attention_heads")
    if "num_key_value_heads" in own and own["num_key_value_heads"] is None and heads:
        made.num_key_value_heads = heads
    if "head_dim" in own and own["head_dim"] is None and heads and own.get("hidden_size"):
        made.head_dim = own["hidden_size"] // heads
    _fit_to_text(own)
    rope = own.get("rope_parameters")
    if "mrope_section" in type(made).ignore_keys_at_rope_validation and isinstance(rope, dict) and heads:
        head = own.get("head_dim") or own["hidden_size"] // heads
        for one in [rope, *rope.values()]:
            if isinstance(one, dict) and "rope_type" in one and "mrope_section" not in one:
                half = int(head * one.get("partial_rotary_factor", 1.0)) // 2
                one["mrope_section"] = [half // 3, half // 3, half - 2 * (half // 3)]


def _fit_to_text(own: Mapping[str, Any]) -> None:
    """Make the features of pictures and sounds as wide as the text that they are put into."""
    parts: list[Any] = [own.get(f"{name}_config") for name in ("text", "vision", "audio")]
    text, vision, audio = parts
    if not _is_config(text) or "hidden_size" not in vars(text):
        return
    for part, name in ((vision, "out_hidden_size"), (audio, "output_dim")):
        if _is_config(part) and name in vars(part):
            setattr(part, name, text.hidden_size)
    if _is_config(vision) and {"embed_dim", "hidden_size", "spatial_merge_size"} <= set(vars(vision)):
        vision.hidden_size = text.hidden_size
