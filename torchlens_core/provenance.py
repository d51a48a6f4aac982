"""Which node each tensor came from, and who wrote the bytes that a call reads.

Tensors are known by weak references, storages by their address. Edges are by value: from the last writers
of the bytes that are read. A view shows bytes that others wrote; reading through it depends on the view
as long as some of those bytes are still there, and on every write since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from torchlens_core import structure
from torchlens_core.functions import FunctionInfo
from torchlens_core.internals import (
    NO_STORAGE,
    address_of,
    hold_address,
    read_version,
    release_addresses,
    storage_key,
    version,
)
from torchlens_core.memory import EVERYTHING, Region, Storage, region_of, storage_size
from torchlens_core.nodes import ArgPath, Edge, Node, Value, values_in
from torchlens_core.writes import CHANGES_VIEW, Target

#: Arguments that are taken over as they are.
PLAIN = frozenset(
    {int, float, bool, str, complex, type(None), type(...)}
    | {torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format}
)
#: Where the argument that a call overwrites can stand.
_DESTINATIONS = frozenset({0, "self", "input", "tensor"})


class Provenance:
    """All tensors and storages that a pass has met."""

    def __init__(
        self, adopt: Callable[[Tensor], Value], adopt_write: Callable[[Tensor, Value], Value]
    ) -> None:
        #: Asked at the first sight of a tensor, and when one was written unseen.
        self._adopt = adopt
        self._adopt_write = adopt_write
        self._values: dict[int, Value] = {}
        self.storages: dict[int, Storage] = {}
        self._homeless: list[Storage] = []
        #: Memory that the user holds too (inputs, parameters, buffers, constants, outputs), and memory that
        #: was written after it was made.
        self.external: dict[int, Storage] = {}
        self.written: dict[int, Storage] = {}

    # -- tensors -----------------------------------------------------------------------------------

    def recognised(self, tensor: Tensor) -> Value | None:
        """What is known of this object, whatever has become of its memory: calls nothing of torch."""
        value = self._values.get(id(tensor))
        return value if value is not None and value.ref() is tensor else None

    def known(self, tensor: Tensor) -> Value | None:
        """What is known of ``tensor``, or None at first sight, or when its memory was exchanged unseen."""
        value = self._values.get(id(tensor))
        if value is None or value.ref() is not tensor:
            return None
        if value.version is None or value.version != read_version(tensor):
            return self._changed(tensor, value)
        return value

    def _changed(self, tensor: Tensor, value: Value) -> Value | None:
        """What is known of a tensor that was written, or given other memory, since it was last met."""
        if value.storage.key and self.storages.get(storage_key(tensor)) is not value.storage:
            return None  # ``set_`` is seen by nobody
        seen = value.epoch != value.storage.epoch or value.version is None
        value.epoch, value.version = value.storage.epoch, version(tensor)
        return value if seen else self._adopt_write(tensor, value)

    def value(self, tensor: Tensor) -> Value:
        """What is known of ``tensor``; it is adopted at first sight."""
        return self.known(tensor) or self._adopt(tensor)

    def hold(self, tensor: Tensor, value: Value) -> None:
        """From now on ``tensor`` is known as ``value``."""
        self._values[id(tensor)] = value

    def alive(self) -> Iterable[tuple[Value, Tensor]]:
        """All known tensors that still exist."""
        for value in list(self._values.values()):
            tensor = value.ref()
            if tensor is not None:
                yield value, tensor

    def storage(self, tensor: Tensor) -> Storage:
        """The record of the memory behind ``tensor``; `Storage.is_new` until somebody writes it."""
        key = storage_key(tensor)
        storage = self.storages.get(key)
        if storage is None:
            storage = Storage(key)
            if key:
                self.storages[key] = storage
                hold_address(tensor.untyped_storage())
            else:
                self._homeless.append(storage)
        return storage

    def share(self, tensor: Tensor, storage: Storage) -> None:
        """Note that the memory behind ``tensor`` is that of ``storage``, under another storage object."""
        key = storage_key(tensor)
        self.storages[key] = storage
        storage.is_shared = True
        hold_address(tensor.untyped_storage())

    def also(self, tensor: Tensor, value: Value) -> None:
        """Note that ``tensor`` is another object for what ``value`` stands for."""
        twin = Value(value.node, tensor, value.storage, value.slot)
        twin.time, twin.parameter, twin.epoch = value.time, value.parameter, value.epoch
        twin.is_view, twin.shown = value.is_view, value.shown
        self._values[id(tensor)] = twin

    def accept(self, tensor: Tensor, epochs: Mapping[int, int]) -> None:
        """Take one more count of a version for part of a write that was seen after ``epochs``, by storage."""
        value = self.recognised(tensor)
        if value is None or value.version is None or version(tensor) != value.version + 1:
            return
        if value.storage.epoch > epochs.get(id(value.storage), value.storage.epoch):
            value.version += 1
            self.written[id(value.storage)] = value.storage

    def accept_count(self, storage: Storage) -> None:
        """Take one more count of the versions of a storage that a tensor has left: its views count together."""
        for value, tensor in self.alive():
            if (
                value.storage is storage
                and value.version is not None
                and version(tensor) == value.version + 1
            ):
                value.version += 1

    def mark_external(self, storage: Storage) -> None:
        """Note that the user holds this memory too."""
        self.external[id(storage)] = storage

    def all_storages(self) -> list[Storage]:
        """Every storage met."""
        return [*self.storages.values(), *self._homeless]

    def release(self) -> None:
        """Let addresses be used again; nothing is known afterwards."""
        release_addresses(self.storages)
        for storage in self.all_storages():
            storage.single = storage.saved = None  # values and storages refer to each other
        self.storages, self._values, self._homeless = {}, {}, []
        self.external, self.written = {}, {}

    # -- arguments ---------------------------------------------------------------------------------

    def bind(
        self, args: Sequence[Any], info: FunctionInfo
    ) -> tuple[tuple[Any, ...], tuple[int, ...], bool]:
        """Arguments with a `Value` for each tensor.

        Returns them, the nodes of the parameters among them, and whether what is read through each was
        written by the op that made it. Written for speed: nearly all arguments are plain, or tensors that
        nobody has written.
        """
        bound: list[Any] = []
        parameters: tuple[int, ...] = ()
        is_plain = True
        values = self._values
        for arg in args:
            if isinstance(arg, Tensor):
                value = values.get(id(arg))
                if value is None or value.ref() is not arg:
                    value = self._adopt(arg)
                elif value.version is None or value.version != read_version(arg):
                    value = self._changed(arg, value) or self._adopt(arg)
                if value.storage.epoch:
                    is_plain = False
                if value.parameter is not None:
                    parameters += (value.parameter,)
                bound.append(value)
            elif type(arg) in PLAIN:
                bound.append(arg)
            elif len(bound) in info.unread:  # the memo of a deepcopy is no argument
                bound.append(type(arg)())
            else:
                inner: list[Value] = []
                bound.append(self._bind_container(arg, inner))
                is_plain = is_plain and self.are_plain(inner)
                parameters += tuple(v.parameter for v in inner if v.parameter is not None)
        return tuple(bound), parameters, is_plain

    def bind_names(
        self, kwargs: Mapping[str, Any], reads: list[Value], info: FunctionInfo
    ) -> dict[str, Any]:
        """The same for arguments by name."""
        bound: dict[str, Any] = {}
        for name, arg in kwargs.items():
            if type(arg) in PLAIN:
                bound[name] = arg
            elif name in info.unread and not isinstance(arg, Tensor):
                bound[name] = type(arg)()
            else:
                bound[name] = self._bind_container(arg, reads)
        return bound

    def _bind_container(self, arg: Any, reads: list[Value]) -> Any:
        if isinstance(arg, Tensor):
            value = self.known(arg) or self._adopt(arg)
            reads.append(value)
            return value
        kind = type(arg)
        if kind in PLAIN:
            return arg
        if isinstance(arg, torch.UntypedStorage | torch.TypedStorage):
            return self._bind_storage(arg, reads)
        if isinstance(arg, list | tuple):
            items = [self._bind_container(item, reads) for item in arg]
            return items if isinstance(arg, list) else tuple(items)
        if isinstance(arg, dict):
            return {key: self._bind_container(item, reads) for key, item in arg.items()}
        if kind is slice:
            ends = [self._bind_container(end, reads) for end in (arg.start, arg.stop, arg.step)]
            return slice(*ends)
        if callable(arg):
            return arg
        values = [self.value(tensor) for tensor in structure.tensors(arg)]
        reads += values
        return values or arg

    def _bind_storage(self, arg: Any, reads: list[Value]) -> Any:
        """The last writer of a storage that is an argument, as of ``set_``: it stands for the storage."""
        memory = arg.untyped() if isinstance(arg, torch.TypedStorage) else arg
        storage = self.storages.get(address_of(memory))
        writers = [] if storage is None else storage.writers(EVERYTHING)
        if not writers:
            return arg
        reads.append(writers[-1])
        return writers[-1]

    # -- edges -------------------------------------------------------------------------------------

    @staticmethod
    def are_plain(reads: list[Value]) -> bool:
        """Whether what is read through each of ``reads`` was written by the op that made it."""
        for value in reads:  # noqa: SIM110 - all() would take twice as long
            if value.storage.epoch:
                return False
        return True

    def edges(self, node: Node, overwritten: frozenset[int]) -> list[Edge]:
        """Who last wrote what ``node`` reads; of the tensors with ids ``overwritten`` the old value is lost."""
        edges: list[Edge] = []
        unread = node.info.unread
        for path, value in values_in(node.args, node.kwargs):
            if path[0] in unread:
                continue
            if path[0] == "out" or (
                overwritten and path[0] in _DESTINATIONS and id(value.ref()) in overwritten
            ):
                continue
            edges += self.edges_of(value, path)
        return edges

    def edges_of(self, value: Value, path: ArgPath) -> list[Edge]:
        """Who last wrote what is read through ``value``."""
        single = value.storage.single
        if single is not None:
            return [Edge(single if single.time > value.time else value, path)]
        tensor = value.ref()
        return [] if tensor is None else self._partial_edges(value, path, [region_of(tensor)])

    @staticmethod
    def _partial_edges(value: Value, path: ArgPath, regions: Iterable[Region]) -> list[Edge]:
        """The writers of ``regions``, read through ``value``, where several have written.

        A view stands for the writers of all that it shows. Where fewer are read, they are named themselves.
        """
        writers = {id(w): w for region in regions for w in value.storage.writers(region)}
        older = {key: w for key, w in writers.items() if w.time <= value.time}
        origins = [w for key, w in writers.items() if key not in older]
        if older and (value.shown is None or value.shown == older.keys()):
            origins.insert(0, value)
        else:
            origins = [*older.values(), *origins]
        return [Edge(origin, path, certain=value.storage.is_exact) for origin in origins]

    # -- results -----------------------------------------------------------------------------------

    def note_results(self, node: Node, returned: list[Tensor], targets: Sequence[Target]) -> list[Tensor]:
        """Give ``node`` a value for each tensor that it returned or wrote; returns those tensors."""
        if targets:
            return self._note_written(node, returned, targets)
        values = [self.note_result(node, tensor, slot) for slot, tensor in enumerate(returned)]
        node.values = values
        self.narrow(node)
        return returned

    def note_result(self, node: Node, tensor: Tensor, slot: int = 0) -> Value:
        """A value for one tensor that ``node`` returned, in new memory or as a view of known memory."""
        try:
            memory = tensor.untyped_storage()
            key = address_of(memory)
        except (NotImplementedError, RuntimeError):
            key = NO_STORAGE
        storage = self.storages.get(key)
        if storage is None:
            storage = Storage(key)
            if key:
                self.storages[key] = storage
                hold_address(memory)
            else:
                self._homeless.append(storage)
            storage.single = value = Value(node.index, tensor, storage, slot)
        else:
            value = Value(node.index, tensor, storage, slot)
            single = storage.single
            if (single is None and storage.map is None) or (
                single is not None and single.node == node.index
            ):
                storage.single = value
            else:
                value.is_view = True
                if storage.map is not None:
                    value.shown = self._shown(tensor, storage)
        self._values[id(tensor)] = value
        return value

    @staticmethod
    def _shown(tensor: Tensor, storage: Storage) -> frozenset[int]:
        return frozenset(id(writer) for writer in storage.writers(region_of(tensor)))

    def _note_written(self, node: Node, returned: list[Tensor], targets: Sequence[Target]) -> list[Tensor]:
        written = {id(target.tensor): target for target in targets}
        moves_view = node.info.name in CHANGES_VIEW
        values: list[Value] = []
        for slot, tensor in enumerate(returned):
            storage = self.storage(tensor)
            target = written.pop(id(tensor), None)
            if target is not None:
                self.written[id(storage)] = storage
            value = self._successor(node, slot, tensor, storage, target is not None and not moves_view)
            if storage.is_new:
                storage.single = value
            elif target is not None and not moves_view:
                storage.write(target.part or region_of(tensor), storage_size(tensor), value)
            else:
                value.is_view = True
                if storage.map is not None:
                    value.shown = self._shown(tensor, storage)
            self._values[id(tensor)] = value
            values.append(value)
        node.written = len(written)
        for target in written.values():
            values.append(self._note_target(node, len(values), target, moves_view))
        node.values = values
        return [*returned, *(target.tensor for target in written.values())]

    def _successor(
        self, node: Node, slot: int, tensor: Tensor, storage: Storage, is_written: bool
    ) -> Value:
        """A value for a tensor that was known before: a parameter remains one."""
        value = Value(node.index, tensor, storage, slot)
        value.epoch = storage.epoch + is_written  # the write that makes it comes right behind
        old = self.recognised(tensor)
        if old is not None:
            value.parameter = old.parameter
        return value

    def _note_target(self, node: Node, slot: int, target: Target, moves_view: bool) -> Value:
        storage = self.storage(target.tensor)
        value = self._successor(node, slot, target.tensor, storage, not moves_view)
        value.is_view = moves_view
        self.written[id(storage)] = storage
        if not moves_view:
            region = target.part or region_of(target.tensor)
            storage.write(region, storage_size(target.tensor), value)
        if target.part is None:
            self._values[id(target.tensor)] = value
        return value

    def narrow(self, node: Node) -> None:
        """A view reads the bytes that it shows, and a view of one argument nothing of another."""
        views = [value for value in node.values if value.is_view]
        shown: dict[int, list[Value]] = {}
        for value in views:
            shown.setdefault(id(value.storage), []).append(value)
        is_split = len(shown) > 1 and len(views) == len(node.values)
        if not is_split and all(value.storage.map is None for value in views):
            return
        unread = node.info.unread
        edges: list[Edge] = []
        for path, value in values_in(node.args, node.kwargs):
            if path[0] in unread:
                continue
            of_storage = shown.get(id(value.storage))
            if of_storage is None:
                edges += self.edges_of(value, path)
            elif value.storage.map is not None:
                edges += self._shown_edges(value, path, of_storage, len(views) == len(node.values) > 1)
            else:
                mine = self.edges_of(value, path)
                slots = [view.slot for view in of_storage] if is_split else [None]
                edges += [edge._replace(slot=slot) for edge in mine for slot in slots]
        node.special_edges = edges

    def _shown_edges(
        self, value: Value, path: ArgPath, views: Sequence[Value], is_split: bool
    ) -> list[Edge]:
        """The writers of what ``views`` of ``value`` show; those of each view apart, if ``is_split``."""
        shown = [(view, region_of(tensor)) for view in views if (tensor := view.ref()) is not None]
        if not is_split:
            return self._partial_edges(value, path, [region for _, region in shown])
        return [
            edge._replace(slot=view.slot)
            for view, region in shown
            for edge in self._partial_edges(value, path, [region])
        ]
