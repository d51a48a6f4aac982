"""Which activations are kept: ``layers_to_save``, decided while the pass runs."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from torch.overrides import get_overridable_functions

from torchlens_core import internals
from torchlens_core.errors import ArgumentError, UnknownLayerError, nearest
from torchlens_core.names import public_name
from torchlens_core.nodes import Node
from torchlens_core.places import Layer

_LABEL = re.compile(r"(?P<label>.+?)(?::(?P<number>\d+))?")


class Selection:
    """Keys of ``layers_to_save``, matched against layers and modules as they run.

    A key is a label (``conv2d_3_7``), one with a pass (``linear_1_1:2``), a short label (``conv2d_3``),
    a module address, also with a call (``features.6``, ``fc:2``), an index, also from the end, or a part of
    labels (``linear``).
    """

    def __init__(self, keys: Sequence[Any], addresses: Collection[str]) -> None:
        self._texts = {key.lower() for key in keys if isinstance(key, str)}
        self._indices = {key for key in keys if isinstance(key, int)}
        self._addresses = {key for key in keys if isinstance(key, str) and _module(key) in addresses}
        self._parts = [key for key in self._texts if ":" not in key]
        self._layers: dict[Layer, bool] = {}
        self._keys = list(keys)
        self._matched: set[Any] = set()
        self._entries = 0
        #: The last nodes, for indices from the end, and whether each is wanted for another reason.
        self._tail: deque[tuple[Node, bool]] = deque()
        self._reach = -min((i for i in self._indices if i < 0), default=0)
        self._kept: set[Node] = set()

    def wants(self, layer: Layer) -> bool:
        """Whether the next entry of the history, the next pass of ``layer``, is to be kept."""
        number, index = layer.passes + 1, self._entries
        layer.passes, self._entries = number, index + 1
        whole = self._layers.get(layer)
        if whole is None:
            whole = self._layers[layer] = self._wants_layer(layer)
        if index in self._indices:
            self._matched.add(index)
            return True
        passes = {f"{layer.label}:{number}", f"{layer.short_label}:{number}"} & self._texts
        self._matched |= passes
        return whole or bool(passes)

    def _wants_layer(self, layer: Layer) -> bool:
        found = {part for part in self._parts if part in layer.label}
        self._matched |= found
        return bool(found)

    def wants_output_of(self, address: str, number: int) -> bool:
        """Whether what call ``number`` of a module returns is to be kept."""
        found = {address, f"{address}:{number}"} & self._addresses
        self._matched |= {key.lower() for key in found}
        return bool(found)

    @property
    def reaches_back(self) -> bool:
        """Whether some index counts from the end, so that the last values must be held for a while."""
        return self._reach > 0

    def hold_for_tail(self, node: Node, is_wanted: bool) -> Node | None:
        """Note a node that may be one of the last; returns one that cannot be any more and is not wanted."""
        self._tail.append((node, is_wanted))
        if len(self._tail) <= self._reach:
            return None
        oldest, was_wanted = self._tail.popleft()
        return None if was_wanted or oldest in self._kept else oldest

    def keep_in_tail(self, node: Node) -> None:
        """Keep ``node`` when it leaves the tail: a module returned it."""
        if self.reaches_back:
            self._kept.add(node)

    def unwanted_of_tail(self) -> list[Node]:
        """At the end of the pass: the nodes of the tail that no key names."""
        count = len(self._tail)
        named = {index for index in self._indices if -count <= index < 0}
        self._matched |= named
        return [
            node
            for n, (node, is_wanted) in enumerate(self._tail)
            if not is_wanted and node not in self._kept and n - count not in named
        ]

    @property
    def unmatched(self) -> list[Any]:
        """Keys that named nothing."""
        return [
            key for key in self._keys if (key.lower() if isinstance(key, str) else key) not in self._matched
        ]


def _module(key: str) -> str:
    """A module address without its call number."""
    head, _, tail = key.rpartition(":")
    return head if tail.isdigit() and head else key


def check_keys(keys: Any, addresses: Collection[str]) -> None:
    """Raise, before anything runs, for keys that cannot name anything in any pass."""
    if isinstance(keys, str | Mapping) or not isinstance(keys, Iterable):
        raise ArgumentError(
            f"layers_to_save is {keys!r}. Expected 'all', 'none', None, or a list of labels, indices, "
            "module addresses and parts of labels."
        )
    for key in keys:
        if not isinstance(key, str | int) or isinstance(key, bool):
            raise ArgumentError(
                f"layers_to_save holds {key!r}, of type {type(key).__name__}. Expected labels, indices, "
                "module addresses and parts of labels."
            )
        if isinstance(key, str) and _module(key) not in addresses and not _can_be_label(key):
            raise unknown_key(key, [*addresses, *_layer_types()])


def unknown_key(key: Any, names: Iterable[str]) -> UnknownLayerError:
    """The error for a key of ``layers_to_save`` that names nothing."""
    near = nearest(str(key), names)
    hint = f" Nearest: {', '.join(map(repr, near))}." if near else ""
    return UnknownLayerError(
        f"layers_to_save names {key!r}, which is no layer, module or index of the model.{hint} "
        "get_model_metadata(model, inputs).layer_labels lists all layers."
    )


_types: set[str] = set()


def _layer_types() -> set[str]:
    """All layer types that torch's functions can give, custom operators included."""
    if not _types:
        functions = (f for group in get_overridable_functions().values() for f in group)
        names = {public_name(function) for function in functions}
        names |= {"input", "output", "buffer", "constant", "opaque"}
        _types.update(name.replace("_", "").lower() for name in names)
    return _types | {name.replace("_", "").lower() for name in internals.operator_names()}


def _can_be_label(key: str) -> bool:
    """Whether ``key`` may be a label or a part of one."""
    match = _LABEL.fullmatch(key.lower())
    if match is None:
        return False
    stem = match["label"].rstrip("0123456789_").lstrip("0123456789_")
    return any(stem in name for name in _layer_types())
