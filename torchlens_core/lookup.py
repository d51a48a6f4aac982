"""Finding entries of a history by whatever its users know of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchlens_core.entries import Layer, Op
from torchlens_core.errors import (
    AmbiguousLayerError,
    LayerIndexError,
    UnknownLayerError,
    listing,
    nearest,
)

if TYPE_CHECKING:
    from torchlens_core.history import ModelHistory


def names_of(op: Op) -> list[str]:
    """Every name of an entry but those of modules, labels first."""
    layer, number = op._node.site.layer, op.pass_num
    names = [
        name
        for label in (layer.label, layer.short_label, layer.stable_name)
        for name in (label, f"{label}:{number}")
    ]
    return list(dict.fromkeys([*names, op.address] if op.address else names))


def entries_by_name(history: ModelHistory) -> dict[str, list[int]]:
    """Entries by every name but those of modules."""
    names: dict[str, list[int]] = {}
    for entry, index in enumerate(history.recording.entries):
        for name in names_of(history.op_at(index)):
            names.setdefault(name, []).append(entry)
    return names


def entries_by_module(history: ModelHistory) -> dict[str, list[int]]:
    """What modules returned, by their addresses, with and without the number of the call."""
    names: dict[str, dict[int, None]] = {}
    entry_of = history.recording.entry_of
    for call in history.recording.calls:
        returned = [entry_of[value.node] for value in call.outputs if value.node in entry_of]
        for name in (call.address, f"{call.address}:{call.number}") if call.address else ():
            names.setdefault(name, {}).update(dict.fromkeys(returned))
    return {name: list(found) for name, found in names.items()}


def find(history: ModelHistory, key: Any) -> Op | Layer:
    """The entry that ``key`` names; a layer with several passes if it names all of them.

    Tried in this order: an index, also from the end; a label, with or without pass, in full or short; a
    stable name; the address of a source or output; a module address, with or without call; a part of one
    label. Raises `UnknownLayerError` with the nearest keys, or `AmbiguousLayerError` with the candidates.
    """
    if isinstance(key, int) and not isinstance(key, bool):
        return _at_index(history, key)
    if not isinstance(key, str):
        raise UnknownLayerError(
            f"A history is indexed by a label, index, module address or part of a label; got {key!r}."
        )
    for text in (key, key.lower()):
        found = history.entries_by_name.get(text) or history.entries_by_module.get(text)
        if found:
            return _one(history, key, found)
    if key in history.module_addresses:
        raise UnknownLayerError(f"Module {key!r} returned no tensor in this pass.")
    return _one(history, key, _with_part(history, key.lower()))


def _at_index(history: ModelHistory, index: int) -> Op:
    entries = history.recording.entries
    if not -len(entries) <= index < len(entries):
        raise LayerIndexError(
            f"Index {index} is outside this history, whose {len(entries)} entries have the indices "
            f"0 to {len(entries) - 1} (or -{len(entries)} to -1)."
        )
    return history.op_at(entries[index])


def _with_part(history: ModelHistory, part: str) -> list[int]:
    entries = enumerate(history.recording.entries)
    found = [n for n, index in entries if part and part in history.op_at(index).layer_label_w_pass]
    if not found:
        raise unknown(history, part)
    return found


def _one(history: ModelHistory, key: str, found: list[int]) -> Op | Layer:
    ops = [history.op_at(history.recording.entries[entry]) for entry in found]
    if len(ops) == 1:
        return ops[0]
    layers = {op.layer_label_no_pass for op in ops}
    if len(layers) == 1 and len(ops) == ops[0].layer_passes_total:
        return Layer(history, ops)
    raise AmbiguousLayerError(
        f"{key!r} names {len(ops)} entries: {listing([op.layer_label for op in ops])}. Name one of them."
    )


def unknown(history: ModelHistory, key: str) -> UnknownLayerError:
    """The error for a key that names nothing, with the nearest that do."""
    names = [*history.entries_by_name, *history.entries_by_module]
    near = nearest(key, names) or nearest(key.split("_")[0], names)
    hint = f" Nearest: {', '.join(map(repr, near))}." if near else ""
    return UnknownLayerError(
        f"{key!r} names no entry of this history of {history.model_name}.{hint} A key is an index, "
        "a label (conv2d_3_7, linear_1_1:2), a module address (features.6, fc:2) or a part of one label."
    )


def keys_of(op: Op) -> list[int | str]:
    """Every key that finds ``op`` alone, parts of labels apart."""
    history, entry = op._history, op.index
    keys: list[int | str] = [entry - len(history.recording.entries), entry]
    keys += [name for name in names_of(op) if history.entries_by_name[name] == [entry]]
    modules = (*op.modules_exited, *op.module_passes_exited)
    found, named = history.entries_by_module, history.entries_by_name
    return keys + [
        name for name in dict.fromkeys(modules) if found.get(name) == [entry] and name not in named
    ]
