"""Saved activations: kept by reference, copied only when their memory is about to change.

An activation is the value right after its op. It is saved without a copy; before a call writes memory in
which saved values lie, those are replaced by clones. The clones stay in the autograd graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from sys import getrefcount
from typing import Any

import torch
from torch import Tensor

from torchlens_core import internals
from torchlens_core.memory import EVERYTHING, Region, Storage, has_memory, is_lazy_view, region_of
from torchlens_core.nodes import PARAMETER, Call, Node, Value
from torchlens_core.selection import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class SavingOptions:
    """What is kept of a pass, and in which form."""

    #: Keep everything (True), nothing (False), or what is selected.
    which: bool | Selection = True
    #: Device that activations are moved to.
    device: torch.device | None = None
    #: Applied to each activation before it is kept.
    postfunc: Callable[[Tensor], Any] | None = None
    #: Cut activations out of the autograd graph.
    detach: bool = False
    #: Keep the gradients that later backward passes give to activations.
    gradients: bool = False
    #: Shown every value of a node as it is made, where nothing is kept.
    watch: Callable[[Node, list[Tensor]], None] | None = None


#: Values saved in one storage up to which each is asked whether a write meets it. Beyond, all are copied, so that
#: a cache written row by row, each row looked at, does not cost the square of its length.
MANY = 64


class Saver:
    """Keeps the values of one pass, whose nodes are ``nodes``."""

    def __init__(self, options: SavingOptions, nodes: list[Node], is_heard: bool = False) -> None:
        self._options = options
        #: Whether another recorder listens outside: it is shown the copies, whose users it will meet.
        self._is_heard = is_heard
        self._nodes = nodes
        self._which = options.which
        self._is_plain = options.postfunc is None and not (
            options.device or options.detach or options.gradients
        )
        #: Gradients by node index and slot, filled in by later backward passes.
        self.gradients: dict[tuple[int, int], Tensor] = {}

    # -- taking ------------------------------------------------------------------------------------

    def take(self, node: Node, tensors: list[Tensor]) -> None:
        """Keep ``tensors``, the values of ``node``, if they are wanted."""
        which = self._which
        if which is True:
            if self._is_plain:
                self._keep_plainly(node, tensors)
            else:
                self._keep(node, tensors)
        elif which is not False:
            wanted = which.wants(node.site.layer)
            if wanted or which.reaches_back:
                self._keep(node, tensors)
            if which.reaches_back:
                dropped = which.hold_for_tail(node, wanted)
                if dropped is not None:
                    self._forget(dropped)
        elif self._options.watch is not None:
            self._options.watch(node, tensors)

    @property
    def keeps_plainly(self) -> bool:
        """Whether every value is kept, and as it is."""
        return self._which is True and self._is_plain

    @property
    def keeps_all(self) -> bool:
        """Whether every value is kept, so that the pass can be run again."""
        return self._which is True

    def keep_parameter(self, node: Node) -> None:
        """Keep the value of a parameter, which is about to be written, if all values are kept."""
        if self.keeps_all and node.tensor is not None:
            node.saved = [node.tensor.detach().clone()]
            node.versions = [0]

    def take_late(self, node: Node, tensor: Tensor) -> None:
        """Keep one more value of a node, if those before it are kept or all are."""
        if self._which is True or node.saved is not None:
            saved = node.saved or []
            node.saved = [*saved, self._kept(node.values[len(saved)], tensor)]
            node.versions = internals.versions(node.saved)

    def take_output(self, call: Call) -> None:
        """Keep what a module has returned, if that is wanted and is still what its op made."""
        which = self._which
        if which is True or which is False or not which.wants_output_of(call.address, call.number):
            return
        for node in {index: self._nodes[index] for index in map(self._last_writer, call.outputs)}.values():
            if node.saved is None and node.kind != PARAMETER:
                node.saved = [self._kept_if_unchanged(value) for value in node.values]
                node.versions = internals.versions(node.saved)
            which.keep_in_tail(node)

    def _last_writer(self, value: Value) -> int:
        """The node that has last changed a tensor, or made it."""
        tensor = value.ref()
        writers = [] if tensor is None else value.storage.writers(region_of(tensor))
        return writers[-1].node if writers and writers[-1].time > value.time else value.node

    def _kept_if_unchanged(self, value: Value) -> Any:
        tensor = value.ref()
        if tensor is None:
            return None
        writers = value.storage.writers(region_of(tensor))
        return None if any(w.time > value.time for w in writers) else self._kept(value, tensor)

    def _keep(self, node: Node, tensors: list[Tensor]) -> None:
        pairs = zip(node.values, tensors, strict=True)
        node.saved = [self._kept(value, tensor) for value, tensor in pairs]
        node.versions = internals.versions(node.saved)

    def _keep_plainly(self, node: Node, tensors: list[Tensor]) -> None:
        values = node.values
        for value in values:
            if value.storage.escaped:
                self._keep(node, tensors)
                return
        for value in values:
            storage = value.storage
            if storage.saved is None:
                storage.saved = [value]
            else:
                storage.saved.append(value)
        node.saved, node.versions = tensors, [value.version for value in values]

    def _kept(self, value: Value, tensor: Tensor) -> Any:
        kept = tensor if self._is_plain else self._converted(value, tensor)
        storage = value.storage
        if kept is tensor or (isinstance(kept, Tensor) and internals.storage_key(kept) == storage.key):
            if storage.escaped:
                return private_copy(kept, self._is_heard)
            if storage.saved is None:
                storage.saved = []
            storage.saved.append(value)
        return kept

    def _converted(self, value: Value, tensor: Tensor) -> Any:
        options = self._options
        if options.gradients and tensor.requires_grad:
            gradients, key = self.gradients, (value.node, value.slot)
            tensor.register_hook(lambda gradient: gradients.__setitem__(key, gradient))
        kept: Any = tensor.detach() if options.detach else tensor
        if options.device is not None:
            kept = kept.to(options.device)
        return kept if options.postfunc is None else options.postfunc(kept)

    # -- letting go and protecting -----------------------------------------------------------------

    def _forget(self, node: Node) -> None:
        for value in node.values:
            if value.storage.saved:
                value.storage.saved = [kept for kept in value.storage.saved if kept is not value]
        node.saved = None

    def _slots(self, storage: Storage) -> list[tuple[Value, list[Any]]]:
        """The values saved in ``storage``, each with the list that it is kept in."""
        found = [(value, self._nodes[value.node].saved) for value in storage.saved or ()]
        return [(value, saved) for value, saved in found if saved is not None]

    def protect(self, storage: Storage, region: Region = EVERYTHING) -> None:
        """Give values saved in ``region`` of ``storage`` memory of their own, before it changes."""
        if not storage.saved:
            return
        untouched: list[Value] = []
        touched: list[tuple[Value, list[Any]]] = []
        if len(storage.saved) > MANY:
            region = EVERYTHING
        for value, saved in self._slots(storage):
            if region is EVERYTHING or region_of(saved[value.slot]).meets(region):
                touched.append((value, saved))
            else:
                untouched.append(value)
        copies = private_copies([saved[value.slot] for value, saved in touched], self._is_heard)
        for (value, saved), copy in zip(touched, copies, strict=True):
            saved[value.slot] = copy
            self._note_version(value, saved)
        storage.saved = untouched

    def protect_view(self, storage: Storage, tensor: Tensor) -> None:
        """Give values saved as this very object one of their own, before it changes its shape."""
        alias = None
        for value, saved in self._slots(storage):
            if saved[value.slot] is tensor:
                if alias is None:
                    with torch.set_grad_enabled(torch.is_grad_enabled() or tensor.requires_grad):
                        alias = tensor.view_as(tensor)
                saved[value.slot] = alias
                self._note_version(value, saved)

    def lose(self, storage: Storage) -> None:
        """Mark the values saved in ``storage`` as lost: it was written and nobody had said so."""
        for value, _ in self._slots(storage):
            node = self._nodes[value.node]
            node.stale = node.stale | {value.slot}
        storage.saved = None

    def settle(self, external: Iterable[Storage], written: Iterable[Storage], frames_gone: bool) -> None:
        """After the pass: free saved values from ``external`` memory, which others hold too.

        A value's version is that of when it was saved, so that a write which nobody saw shows when the
        value is looked at; in memory that was ``written`` by calls seen, which have spared the value, the
        count begins anew. If the pass has raised, its frames still hold tensors, and it cannot be told who else does.
        """
        if isinstance(self._which, Selection):
            for node in self._which.unwanted_of_tail():
                self._forget(node)
        for storage in (*external, *(self._held_by_others() if frames_gone else ())):
            self.protect(storage)
        for storage in written:
            for value, saved in self._slots(storage):
                self._note_version(value, saved)

    def _held_by_others(self) -> list[Storage]:
        """The memory of saved tensors that the user has kept too: on the model, in a list, in a global.

        Nothing says so but the number of references; when this is asked, the frames of the pass are gone.
        """
        held: list[tuple[Value, Any]] = []
        for node in self._nodes:
            saved = node.saved or ()
            for slot in range(len(saved)):
                if getrefcount(saved[slot]) > _ALONE:
                    held.append((node.values[slot], saved[slot]))
        mine = Counter(id(kept) for _, kept in held)
        found = []
        for value, kept in held:
            by_torch = isinstance(kept, Tensor) and internals.is_held_by_torch(kept)
            # beside those that every value has: our own of other nodes, those in `held`, and this loop's
            if getrefcount(kept) > _ALONE + 2 * mine[id(kept)] + by_torch:
                found.append(value.storage)
        return found

    def _note_version(self, value: Value, saved: list[Any]) -> None:
        versions = self._nodes[value.node].versions
        kept = saved[value.slot]
        if versions is not None:
            versions[value.slot] = internals.version(kept) if isinstance(kept, Tensor) else None


#: What `sys.getrefcount` says of a tensor that stands in one list and nowhere else.
_ALONE = next(getrefcount(items[0]) for items in ([object()],))


def private_copies(tensors: list[Tensor], is_heard: bool = False) -> list[Tensor]:
    """Copies of tensors that lie in one storage, in memory of their own, in the autograd graph if they are.

    Many views may show the same bytes: where one copy of the storage is smaller than a copy of each, they
    become views of that copy.
    """
    distinct = {id(tensor): tensor for tensor in tensors}
    copies: dict[int, Tensor] = {}
    if len(distinct) > 1 and not is_heard and not any(t.requires_grad for t in distinct.values()):
        copies = _copied_together(distinct)
    for key, tensor in distinct.items():
        if key not in copies:
            copies[key] = private_copy(tensor, is_heard)
    return [copies[id(tensor)] for tensor in tensors]


def _copied_together(tensors: dict[int, Tensor]) -> dict[int, Tensor]:
    """Views of one copy of the storage; none if that copy would be larger, or they cannot be had."""
    first = next(iter(tensors.values()))
    if any(t.dtype != first.dtype or type(t) is not Tensor or is_lazy_view(t) for t in tensors.values()):
        return {}
    try:
        memory = first.untyped_storage()
        if memory.nbytes() > sum(t.numel() for t in tensors.values()) * first.element_size():
            return {}
        count = memory.nbytes() // first.element_size()
        whole = torch.empty(0, dtype=first.dtype, device=first.device)
        internals.set_memory(whole, memory.clone(), 0, (count,), (1,))
        return {
            key: whole.as_strided(t.size(), t.stride(), t.storage_offset()) for key, t in tensors.items()
        }
    except (NotImplementedError, RuntimeError):  # nested, sparse, fake
        return {}


def private_copy(tensor: Tensor, is_heard: bool = False) -> Tensor:
    """A copy of ``tensor`` in memory of its own, in the autograd graph if ``tensor`` is.

    What cannot be cloned (some layouts of sparse and nested tensors, memory that was freed) is returned as it is.
    """
    if not has_memory(tensor):
        return tensor
    try:
        heard = internals.WithTorchFunction() if is_heard else nullcontext()
        with torch.set_grad_enabled(torch.is_grad_enabled() or tensor.requires_grad), heard:
            return tensor.clone()
    except (NotImplementedError, RuntimeError):
        pass
    try:  # autograd may refuse where the values are there, as for views made under no_grad and written
        return tensor.detach().clone()
    except (NotImplementedError, RuntimeError):
        return tensor
