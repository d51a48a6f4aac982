"""What a traced pass says of its model: whether it attends, loops, draws numbers, or decides by values."""

from __future__ import annotations

from collections.abc import Callable

import torch

import torchlens_core as tl
from torchlens_core.randomness import draws

#: Products of matrices.
_PRODUCTS = frozenset("matmul bmm einsum baddbmm tensordot mm".split())
#: Functions that hand on their first argument, in place or not: all of it or a part, in another shape or type, or with
#: holes.
_PASSING = frozenset(
    """
    chunk clone contiguous detach dropout expand expand_as flatten float getitem half masked_fill nan_to_num narrow
    permute reshape select split squeeze swapaxes t to transpose type type_as unflatten unsqueeze view view_as where
    """.split()
)
#: Functions that make as many results as the values say.
_SIZED_BY_VALUES = frozenset(
    "argwhere bincount masked_select nms nonzero unique unique_consecutive".split()
)
#: Functions that draw where a model trains, and are not told so by an argument ``training``.
_DRAWING_IF_TOLD = frozenset("gru lstm rnn_relu rnn_tanh scaled_dot_product_attention".split())
#: Functions that run over a sequence step by step.
_LOOPS = frozenset("gru lstm rnn_relu rnn_tanh".split())


def traits(history: tl.ModelHistory) -> tuple[str, ...]:
    """The names of `TRAITS` that hold of a pass, sorted."""
    return tuple(sorted(name for name, holds in TRAITS.items() if holds(history)))


def _attends(history: tl.ModelHistory) -> bool:
    return any(
        op.func_applied_name == "scaled_dot_product_attention"
        or (
            op.func_applied_name in _PRODUCTS and any(_weighs(history, label) for label in op.parent_layers)
        )
        for op in history.ops
    )


def _weighs(history: tl.ModelHistory, label: str) -> bool:
    entry = history[label]
    while entry.func_applied_name.removesuffix("_") in _PASSING and entry.parent_layers:
        entry = history[entry.parent_layers[0]]
    return str(entry.func_applied_name) == "softmax"


def _decides_by_values(history: tl.ModelHistory) -> bool:
    return any(entry.is_escape for entry in history) or any(
        op.func_applied_name in _SIZED_BY_VALUES or _is_masked(history, op) for op in history.ops
    )


def _is_masked(history: tl.ModelHistory, op: tl.Op) -> bool:
    """Whether it takes the part of its first argument where another is true."""
    return op.func_applied_name == "getitem" and any(
        history[label].tensor_dtype is torch.bool for label in op.parent_layers[1:]
    )


def _draws(op: tl.Op) -> bool:
    """Whether it draws random numbers; on the meta device, where generators stay as they are, by its name."""
    if op.specs and op.specs[0].device.type != "meta":
        return bool(op.func_rng_states)
    name = op.func_applied_name
    return draws(name) and name not in _DRAWING_IF_TOLD and bool(op.creation_kwargs.get("training", True))


#: By name, whether it holds of a pass.
TRAITS: dict[str, Callable[[tl.ModelHistory], bool]] = {
    #: Weights that a softmax has made are multiplied with what they weigh.
    "attention": _attends,
    "complex": lambda history: any(spec.dtype.is_complex for op in history.ops for spec in op.specs),
    #: What comes next, or its size, depends on values: `item`, ``if``, `nonzero`, a mask as an index.
    "dynamic": _decides_by_values,
    "in-place": lambda history: any(op.function_is_inplace for op in history.ops),
    "multi-input": lambda history: len(history.input_layers) > 1,
    "multi-output": lambda history: len(history.output_layers) > 1,
    "random": lambda history: any(map(_draws, history.ops)),
    #: A loop runs a layer with its parameters again and again; or a function loops by itself.
    "recurrent": lambda history: any(
        op.func_applied_name in _LOOPS or (op.computed_with_params and op.layer_passes_total > 1)
        for op in history.ops
    ),
}
