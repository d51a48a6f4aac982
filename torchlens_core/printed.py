"""How histories, layers and passes look when printed: the forms that users of TorchLens know."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from torchlens_core.errors import StaleValueError
from torchlens_core.specs import human_bytes

if TYPE_CHECKING:
    from torchlens_core.entries import Layer, Op
    from torchlens_core.history import ModelHistory

#: Rows and columns of an activation that are shown.
_SHOWN = 5
_LISTED = 8


def op(op: Op) -> str:
    """One entry of a history."""
    number = f" (pass {op.pass_num}/{op.layer_passes_total})" if op.layer_passes_total > 1 else ""
    total = op._history.num_operations
    lines = [f"Layer {op.layer_label_no_pass}{number}, operation {op.operation_num}/{total}:"]
    lines += _result(op)
    if op.computed_with_params:
        shapes = ", ".join(str(shape) for shape in sorted(op.parent_param_shapes))
        lines.append(
            f"Params: Computed from params with shape {shapes}; {op.num_params_total} params total "
            f"({human_bytes(op.parent_params_fsize)})"
        )
    else:
        lines.append("Params: no params used")
    lines.append(f"Parent Layers: {', '.join(op.parent_layers) or 'none'}")
    lines.append(f"Child Layers: {', '.join(op.child_layers) or 'none'}")
    if op.func_applied is not None or op.is_opaque:
        lines.append(f"Function: {op.func_applied_name} (gradfunc={op.gradfunc}) ")
        inside = op.containing_module_origin or "not computed inside a module"
        lines.append(f"Computed inside module: {inside}")
        lines.append(f"Time elapsed: {op.func_time_elapsed: .3E}s")
    elif op.address:
        lines.append(f"Address: {op.address}")
    lines.append(f"Output of modules: {', '.join(op.modules_exited) or 'none'}")
    if op.is_bottom_level_submodule_output:
        lines.append(f"Output of bottom-level module: {op.bottom_level_submodule_exited}")
    lines.append(f"Lookup keys: {', '.join(map(str, _printed_keys(op)))}")
    return "\n\t".join(lines)


def _result(op: Op) -> list[str]:
    if op.is_escape:
        return [f"Value given to Python: {textwrap.shorten(repr(op.escaped_value), 80)}"]
    if not op.specs:
        return ["Output tensor: none"]
    lines = []
    contents = _contents(op)
    many = len(op.specs) > 1
    for number, spec in enumerate(op.specs):
        name = f"Output tensor {number}" if many else "Output tensor"
        unsaved = "" if op.has_saved_activations else " (not saved)"
        lines.append(
            f"{name}: shape={spec.shape}, dtype={spec.dtype}, size={human_bytes(spec.nbytes)}{unsaved}"
        )
        if contents[number] is not None:
            lines.append("\t" + _excerpt(contents[number]))
    return lines


def _contents(op: Op) -> list[Any]:
    try:
        contents = op.tensor_contents
    except StaleValueError as stale:
        contents = str(stale)
    if contents is None or len(op.specs) == 1:
        return [contents] * len(op.specs)
    return list(contents) if isinstance(contents, tuple) else [contents] * len(op.specs)


def _excerpt(value: Any) -> str:
    """The first rows and columns of an activation, as torch prints them."""
    if not isinstance(value, Tensor):
        return textwrap.shorten(repr(value), 200)
    if value.layout is not torch.strided or value.is_nested or value.device.type == "meta":
        return textwrap.shorten(repr(value), 200)
    try:
        part = value.detach()
        while part.dim() > 2 and part.shape[0]:
            part = part[0]
        part = part[(slice(_SHOWN),) * min(part.dim(), 2)]
        return f"{part!r}{'...' if part.numel() < value.numel() else ''}"
    except Exception as error:  # a subclass or dtype that cannot be cut or printed is no reason to fail
        return f"({type(value).__name__} of {value.dtype}, which cannot be shown: {error})"


def _printed_keys(op: Op) -> list[int | str]:
    """Index from both ends, label, label with pass, and the modules that returned it: as the seed lists them."""
    names = {op.layer_label_no_pass, op.layer_label_w_pass}
    modules = {*op.modules_exited, *op.module_passes_exited}
    keys = op.lookup_keys
    return [key for key in keys if isinstance(key, int) or key in names or key in modules]


def layer(layer: Layer) -> str:
    """A layer with several passes."""
    first = layer.passes[0]
    labels = [op.layer_label for op in layer.passes]
    shown = labels if len(labels) <= _LISTED else [*labels[:3], "...", labels[-1]]
    lines = [
        f"Layer {layer.label}, {len(labels)} passes:",
        f"Passes: {', '.join(shown)}",
        f"Parent Layers: {', '.join(layer.parent_layers) or 'none'}",
        f"Child Layers: {', '.join(layer.child_layers) or 'none'}",
        f"Function: {first.func_applied_name}",
        f"Lookup keys: {layer.label}, {first._node.site.layer.short_label}, {layer.stable_name}",
    ]
    return "\n\t".join(lines)


def history(history: ModelHistory) -> str:
    """A whole pass."""
    lines = [f"Log of {history.model_name} forward pass:"]
    if history.error is not None:
        lines.append(f"\tThe pass did not end: {history.error}")
    lines.append(f"\tRandom seed: {history.random_seed_used}")
    lines.append(
        f"\tTime elapsed: {history.elapsed_time_total:.3f}s "
        f"({history.elapsed_time_total - history.elapsed_time_forward_pass:.3f}s spent logging)"
    )
    lines += ["\tStructure:", *(f"\t\t- {line}" for line in _structure(history))]
    saved = human_bytes(history.tensor_fsize_saved)
    lines += [
        "\tTensor info:",
        f"\t\t- {history.num_tensors_total} total tensors ({history.tensor_fsize_total_nice}) "
        "computed in forward pass.",
        f"\t\t- {history.num_tensors_saved} tensors ({saved}) with saved activations.",
        f"\tParameters: {len(history.layers_computed_with_params)} parameter operations "
        f"({history.total_params} params total; {human_bytes(history.total_params_fsize)})",
        "\tModule Hierarchy:",
        *_hierarchy(history),
        *_listing(history),
    ]
    return "\n".join(lines)


def _structure(history: ModelHistory) -> list[str]:
    loops = history.model_max_recurrent_loops
    recurrent = f"recurrent (at most {loops} loops)" if loops > 1 else "purely feedforward, no recurrence"
    lines = [
        recurrent,
        "with branching" if history.model_is_branching else "no branching",
        ("with" if history.model_has_conditional_branching else "no") + " conditional (if-then) branching",
    ]
    if history.buffer_layers:
        lines.append(f"contains {len(history.buffer_layers)} buffer layers")
    return [*lines, f"{len(history.module_addresses)} total modules"]


def _hierarchy(history: ModelHistory) -> list[str]:
    """The calls of modules; those without calls inside share lines."""
    return _calls(history, history.top_level_module_passes, history.module_pass_children, 0)


def _calls(history: ModelHistory, names: list[str], inner: dict[str, list[str]], depth: int) -> list[str]:
    indent = "\t\t" + "    " * depth
    lines: list[str] = []
    if depth and not any(name in inner for name in names):
        short = [history.short_call_name(name) for name in names]
        for start in range(0, len(short), _LISTED):
            tail = ", " if start + _LISTED < len(short) else ""
            lines.append(indent + ", ".join(short[start : start + _LISTED]) + tail)
        return lines
    for name in names:
        lines.append(indent + history.short_call_name(name))
        lines += _calls(history, inner.get(name, []), inner, depth + 1)
    return lines


def _listing(history: ModelHistory) -> list[str]:
    ops = history.layer_list
    saved = [op.has_saved_activations for op in ops if not op.is_escape]  # an escape has no activation
    if all(saved):
        title = "all have saved activations"
    else:
        title = "* means layer has saved activations" if any(saved) else "no layer activations are saved"
    lines = [f"\tLayers ({title}):"]
    for op in ops:
        mark = "* " if op.has_saved_activations and not all(saved) else "  "
        total = op.layer_passes_total
        number = f" ({op.pass_num}/{total} passes)" if total > 1 else ""
        lines.append(f"\t\t{mark}({op.index}) {op.layer_label} {number}")
    return lines
