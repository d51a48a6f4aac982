"""What a pass is written into: its nodes, with their places in the program, and the calls of modules.

The recorder builds on it; here stand sources, outputs and calls that no mode announces.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn

from torchlens_core import internals, origins, structure
from torchlens_core.functions import FunctionInfo, Role
from torchlens_core.intercept import MODULE_CALL, Listener, is_recording
from torchlens_core.memory import Storage, region_of
from torchlens_core.nodes import (
    BUFFER,
    CONSTANT,
    INPUT,
    OUTPUT,
    PARAMETER,
    SOURCES,
    Call,
    Edge,
    Node,
    Value,
)
from torchlens_core.origins import UNSEEN_WRITE, Origins
from torchlens_core.places import NO_SITE, Layers, Place, Places, Site, SiteKey
from torchlens_core.provenance import Provenance
from torchlens_core.saving import Saver, SavingOptions
from torchlens_core.settings import Baseline
from torchlens_core.sites import Chain, chain_of, stack_of
from torchlens_core.writes import Target

_clock = time.perf_counter
_is_grad_enabled = torch.is_grad_enabled
_is_any_autocast_enabled = internals.is_any_autocast_enabled
_get_default_dtype = torch.get_default_dtype
#: What stands in for a function where there is none.
_NO_FUNCTION = {
    kind: FunctionInfo(name=kind, role=Role.OP) for kind in (INPUT, PARAMETER, BUFFER, CONSTANT, OUTPUT)
}


class Ledger(Listener):
    """The records of one pass of ``model`` while it runs; ``root_code`` runs in the frame that starts it.

    Nodes are appended to ``nodes``, if somebody wants to see them come.
    """

    def __init__(
        self,
        model: nn.Module,
        options: SavingOptions,
        root_code: CodeType,
        nodes: list[Node] | None = None,
    ) -> None:
        super().__init__()
        self.nodes: list[Node] = [] if nodes is None else nodes
        self.calls: list[Call] = []
        self.layers = Layers()
        self.provenance = Provenance(self._adopt, self._adopt_write)
        self.origins = Origins(self, model)
        self.baseline = Baseline()
        self._default_dtype = self.baseline.default_dtype
        self.saver = Saver(options, self.nodes, is_recording())
        #: The modules that run now, outermost first.
        self.module_stack: list[nn.Module] = []
        #: The function that raised, if one did.
        self.failed_call: str | None = None
        #: Where chains end: the frame that calls ``forward``, the one that calls a module, the first one.
        self._ends = (internals.MODULE_CALL_IMPL, MODULE_CALL, root_code)
        self._places = Places()
        self._place = self._places.root
        self._outer_places: list[Place] = []
        self._call: Call | None = None
        self._call_counts: dict[int, int] = {}
        self._composite: tuple[str, ...] = ()
        #: Stands for everything that the opaque call which runs now has made so far.
        self._marker: Value | None = None
        #: Keeps a mode outside this one, if there is one, from seeing what the recorder itself calls.
        self._shield: Callable[[], AbstractContextManager[Any]] = (
            internals.WithoutTorchFunction if internals.function_mode_depth() else nullcontext
        )
        self._saves_plainly = self.saver.keeps_plainly

    # -- nodes -------------------------------------------------------------------------------------

    def _locate(self, node: Node, reads: Sequence[Value], frame: FrameType | None) -> None:
        """Give ``node`` its index and its place in the program, and take it in."""
        parameters = tuple(v.parameter for v in reads if v.parameter is not None)
        info = node.info
        key = (chain_of(frame, self._ends), info.name, parameters)
        node.site = self._place.sites.get(key) or self._new_site(key, info, frame)
        node.index = len(self.nodes)
        node.composite = self._composite
        node.grad_enabled = _is_grad_enabled()
        if _is_any_autocast_enabled():
            node.autocast = autocast_state()
        if info.settings or _get_default_dtype() is not self._default_dtype:
            node.settings = self.baseline.changed(info.settings)
        self.nodes.append(node)

    def _new_site(self, key: SiteKey, info: FunctionInfo, frame: FrameType | None) -> Site:
        self._note_stack(key[0], frame)
        return self.layers.new_site(self._place, key, info.layer_type)

    def _note_stack(self, chain: Chain, frame: FrameType | None) -> list[tuple[CodeType, int]]:
        """The stack behind ``chain``, taken when the chain is met for the first time."""
        stacks = self.layers.stacks
        if chain not in stacks:
            stacks[chain] = stack_of(frame, self._ends[1:])
        return stacks[chain]

    def _insert(self, node: Node) -> None:
        """Take in a node that is no call; one that a running transform reads goes before the transform."""
        nodes = self.nodes
        reader = nodes[-1] if nodes else node
        node.index = len(nodes)
        nodes.append(node)
        if reader.is_open_ended and node.kind is not OUTPUT:
            nodes[-2:] = [node, reader]
            node.index, reader.index = reader.index, node.index
            if self._marker is not None:
                self._marker.node = self._marker.time = reader.index

    def _adopt(self, tensor: Tensor) -> Value:
        return self.origins.adopt(tensor)

    def _adopt_write(self, tensor: Tensor, value: Value) -> Value:
        """Somebody has written ``tensor`` unseen: an op of its own, by whom nobody knows."""
        self.saver.lose(value.storage)
        parents = self.origins.parents_in_graph(tensor)
        edges = [*self.provenance.edges_of(value, (0,))]
        edges += [Edge(parent, (n,)) for n, parent in enumerate(parents, 1)]
        node = Node(UNSEEN_WRITE, -1)
        node.args, node.is_opaque = (value, *parents), True
        self._locate(node, (), sys._getframe(1))
        tensors = self.provenance.note_results(node, [], [Target(tensor, overwritten=False)])
        node.special_edges = edges
        self.saver.take(node, tensors)
        return node.values[0]

    def add_source(self, kind: str, tensor: Tensor, address: str | None) -> Value:
        """A parameter, buffer or constant, at its first use, or an input."""
        node = Node(_NO_FUNCTION[kind], -1, kind)
        node.address = address
        self.origins.has_wrappers |= type(tensor) not in (Tensor, nn.Parameter)
        if kind is PARAMETER:
            node.site = NO_SITE
        else:
            node.site = Site(self.layers.new(kind, kind, address or "", counted=False), ())
        self._insert(node)
        storage = self.provenance.storage(tensor)
        self.provenance.mark_external(storage)
        value = Value(node.index, tensor, storage)
        value.time = -1
        if storage.is_new:
            storage.single = value
        else:
            value.is_view = True
            self._note_shared_memory(node, tensor, storage)
            node.special_edges = self._overlapping(tensor, storage)
        self.provenance.hold(tensor, value)
        node.values = (value,)
        if kind is PARAMETER:
            value.parameter = node.index
            node.tensor = tensor
        else:
            self.saver.take(node, [tensor])
        return value

    def _overlapping(self, tensor: Tensor, storage: Storage) -> list[Edge]:
        """The sources before ``tensor`` that show some of its bytes: what changes them, changes it."""
        region = region_of(tensor)
        return [
            Edge(node.values[0], (n,))
            for n, node in enumerate(self.nodes)
            if node.kind in SOURCES
            and node.values
            and node.values[0].storage is storage
            and (other := node.values[0].ref()) is not None
            and region_of(other).meets(region)
        ]

    def _note_shared_memory(self, node: Node, tensor: Tensor, storage: Storage) -> None:
        """Two sources in one storage, such as two inputs that are views: a replay must know of it."""
        first = storage.single
        other = first.ref() if first is not None else None
        if self.saver.keeps_all and other is not None and not storage.epoch and not tensor.is_meta:
            known = self.nodes[first.node].memory
            memory = tensor.untyped_storage().clone() if known is None else known[0]
            for source, view in ((node, tensor), (self.nodes[first.node], other)):
                if source.memory is None:
                    place = (view.size(), view.stride(), view.storage_offset())
                    source.memory = (memory, *place)

    def add_unseen(
        self, info: FunctionInfo, args: tuple[Any, ...], edges: list[Edge], tensors: list[Tensor]
    ) -> Value:
        """An op that no call announced, found by its results; returns the first."""
        node = Node(info, -1)
        node.args = args
        node.is_opaque = info.is_opaque
        self.origins.has_wrappers |= any(type(tensor) is not Tensor for tensor in tensors)
        self._locate(node, (), sys._getframe(1))
        self.provenance.note_results(node, tensors, ())
        node.special_edges = edges
        self.saver.take(node, tensors)
        return node.values[0]

    def add_late_result(self, node: Node, tensor: Tensor, storage: Storage) -> Value:
        """A result of a transform, met after it ended."""
        value = Value(node.index, tensor, storage, len(node.values))
        storage.single = value
        self.provenance.hold(tensor, value)
        node.values = [*node.values, value]
        self.saver.take_late(node, tensor)
        return value

    # -- calls of modules --------------------------------------------------------------------------

    def on_enter(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType
    ) -> Call:
        """A module is called."""
        parent, outer, identity = self._call, self._place, id(module)
        modules = self.origins.modules
        address = modules.addresses.get(identity)
        if address is None:
            address = modules.address(module, parent.address if parent else "")
        call = Call(len(self.calls), address, type(module).__name__, parent, identity)
        call.chain = chain = chain_of(frame, self._ends)
        place = self._places.find(outer, chain, identity)
        if place is None:
            place = self._places.enter(outer, chain, self._note_stack(chain, frame), identity, address)
        call.number = self._call_counts[identity] = self._call_counts.get(identity, 0) + 1
        call.training = getattr(module, "training", False)  # frozen TorchScript has no such attribute
        call.first = len(self.nodes)
        if len(args) == 1 and not kwargs and type(args[0]) is Tensor:
            value = self.provenance.recognised(args[0])
            call.inputs = () if value is None else (value,)
        else:
            call.inputs = self._recognised(args, kwargs)
        self.calls.append(call)
        self.module_stack.append(module)
        self._outer_places.append(outer)
        self._call, self._place = call, place
        call.seconds = _clock()
        return call

    def on_exit(self, call: Call, result: Any) -> None:
        """It has returned."""
        call.seconds = _clock() - call.seconds
        value = self.provenance.recognised(result) if type(result) is Tensor else None
        call.outputs = (value,) if value is not None else self._returned(result)
        if not self._saves_plainly:
            self.saver.take_output(call)
        self._leave(call)

    def _returned(self, result: Any) -> list[Value]:
        """The values that a module has returned; what is not known yet is adopted, as made in it."""
        tensors = structure.tensors(result)
        recognised = self.provenance.recognised
        values = [value for tensor in tensors if (value := recognised(tensor)) is not None]
        if len(values) < len(tensors):
            with internals.WithoutTorchFunction():
                plain = [tensor for tensor in tensors if not internals.is_transformed(tensor)]
                values = [self.provenance.value(tensor) for tensor in plain]
        return values

    def on_abandon(self, call: Call) -> None:
        """It has raised."""
        call.seconds = _clock() - call.seconds
        self._leave(call)

    def _leave(self, call: Call) -> None:
        call.last = len(self.nodes)
        self.module_stack.pop()
        self._call, self._place = call.parent, self._outer_places.pop()

    def _recognised(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Value]:
        tensors = structure.tensors(args)
        if kwargs:
            tensors += structure.tensors(kwargs)
        recognised = self.provenance.recognised
        return [value for tensor in tensors if (value := recognised(tensor)) is not None]

    # -- start and end -----------------------------------------------------------------------------

    def add_inputs(self, leaves: list[tuple[structure.Path, Tensor]]) -> None:
        """The tensors that the model is given.

        One that was met before, as another argument or as a parameter, is an input that depends on it.
        """
        for path, tensor in leaves:
            found = self.origins.modules.find(tensor)
            if found is not None and self.provenance.recognised(tensor) is None:
                self.add_source(*found[:1], tensor, found[1])
            same = self.provenance.recognised(tensor)
            value = self.add_source(INPUT, tensor, structure.show("input", path))
            node = self.nodes[value.node]
            node.path = path
            if same is not None:
                node.special_edges = [Edge(same, (0,))]
                value.parameter = same.parameter

    def add_outputs(self, result: Any) -> None:
        """The tensors of the model's result."""
        for path, tensor in structure.leaves(result):
            value = self.provenance.value(tensor)
            node = Node(_NO_FUNCTION[OUTPUT], -1, OUTPUT)
            node.site = Site(self.layers.new(OUTPUT, OUTPUT, "", counted=False), ())
            self._insert(node)
            node.args = (value,)
            node.special_edges = self.provenance.edges_of(value, (0,))
            node.address, node.path = structure.show("output", path), path
            self.provenance.mark_external(value.storage)
            node.values = (Value(node.index, tensor, value.storage),)
            self.saver.take(node, [tensor])

    def finish(self, modules: Iterable[nn.Module], has_raised: bool) -> None:
        """The pass is over: settle what was saved, and let go of everything else.

        ``modules`` are those of the model now; what they have come to hold in the pass is the user's too.
        """
        storages = self.provenance.storages
        for tensor in origins.tensors_of(modules):
            storage = storages.get(internals.storage_key(tensor))
            if storage is not None:
                self.provenance.mark_external(storage)
        self.saver.settle(
            self.provenance.external.values(), self.provenance.written.values(), not has_raised
        )
        self.provenance.release()

    def close(self) -> None:
        """Forget everything: this object refers to itself, and must not keep activations alive."""
        vars(self).clear()


def autocast_state() -> tuple[tuple[str, Any], ...]:
    """Device type and dtype of every autocast that is on."""
    return tuple(
        (device, torch.get_autocast_dtype(device))
        for device in ("cpu", "cuda", "mps", "xpu")
        if torch.is_autocast_enabled(device)
    )
