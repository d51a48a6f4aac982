"""The events of one forward pass, recorded as they happen.

At each call: which tensors go in and who last wrote the bytes they cover, which memory the call changes,
what comes out, and where in the program it stands. Nothing here reads a tensor's values.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import redispatch_function

from torchlens_core import functions, internals, structure
from torchlens_core.functions import FACTS, PASSED, FunctionInfo, Role, Target
from torchlens_core.intercept import MODULE_CALL, Listener
from torchlens_core.memory import EVERYTHING, Storage, region_of
from torchlens_core.nodes import (
    BUFFER,
    CONSTANT,
    ESCAPE,
    INPUT,
    OUTPUT,
    PARAMETER,
    Call,
    Edge,
    Node,
    Value,
    values_in,
)
from torchlens_core.origins import UNSEEN_WRITE, InsideTransform, Origins, Unborn, transform_of
from torchlens_core.places import Layers, Place, Places, Site, SiteKey
from torchlens_core.provenance import Provenance
from torchlens_core.randomness import GeneratorState
from torchlens_core.saving import Saver, SavingOptions
from torchlens_core.sites import chain_of, stack_of

#: What Python got is kept if it is of these types; arrays and capsules would keep memory alive.
_KEPT_ESCAPES = frozenset({bool, int, float, complex, list})
_NOTHING: frozenset[Any] = frozenset()
_NO_KWARGS: dict[str, Any] = {}
_clock = time.perf_counter
_is_grad_enabled = torch.is_grad_enabled
_is_any_autocast_enabled = internals.is_any_autocast_enabled
#: What stands in for a function where there is none.
_NO_FUNCTION = {
    kind: FunctionInfo(name=kind, role=Role.OP) for kind in (INPUT, PARAMETER, BUFFER, CONSTANT, OUTPUT)
}


class Recorder(Listener):
    """Listens to one forward pass of ``model``; ``root_code`` runs in the frame that starts it."""

    def __init__(self, model: nn.Module, options: SavingOptions, root_code: CodeType) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.calls: list[Call] = []
        self.layers = Layers()
        self.provenance = Provenance(self._adopt, self._adopt_write)
        self.origins = Origins(self, model)
        self.saver = Saver(options, self.nodes)
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
        #: The higher-order op that runs now; the last functorch transform, and the frame it began in.
        self._closed: Node | None = None
        self._transform: tuple[Node, FrameType | None] | None = None
        #: Stands for everything that this op or transform has made so far.
        self._marker: Value | None = None
        self._depth = internals.transform_depth()
        #: The last backward pass inside the forward pass: gradients read later come from it.
        self._backward: Value | None = None
        self._shield: Callable[[], AbstractContextManager[Any]] = (
            internals.WithoutTorchFunction if internals.function_mode_depth() else nullcontext
        )
        self._saves_plainly = self.saver.keeps_plainly
        #: Whether calls need more than the common treatment now.
        self._is_special = self._shield is not nullcontext

    # -- calls of functions ------------------------------------------------------------------------

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """A torch function is called.

        Calls that return new tensors or views and do nothing else are nearly all there are; for them all is
        written out here, since each function call more would add a twentieth to the cost of an op.
        """
        if func in PASSED:
            return func(*args, **kwargs) if kwargs else func(*args)
        info = FACTS[func]
        frame = sys._getframe(1)
        kwargs = kwargs or _NO_KWARGS
        if not info.is_simple or self._is_special or "out" in kwargs:
            return self._on_other_call(func, info, args, kwargs, frame)
        provenance = self.provenance
        try:
            bound, parameters, is_plain = provenance.bind(args, info)
            if kwargs:
                more: list[Value] = []
                bound_kwargs = provenance.bind_names(kwargs, more, info)
                parameters += tuple(v.parameter for v in more if v.parameter is not None)
                is_plain = is_plain and provenance.are_plain(more)
        except InsideTransform:
            return self._call_inside(self._transform_node(frame), func, info, args, kwargs)
        except Unborn:
            return func(*args, **kwargs)
        start = _clock()
        try:
            result = func(*args, **kwargs) if kwargs else func(*args)
        except BaseException:
            self.failed_call = self.failed_call or info.name
            raise
        seconds = _clock() - start
        is_single = isinstance(result, Tensor)
        if not is_single and not (returned := structure.tensors(result)):
            return result
        nodes = self.nodes
        node = Node(info, len(nodes))
        node.args = bound
        node.seconds = seconds
        if kwargs:
            node.kwargs = bound_kwargs
        key = (chain_of(frame, self._ends), info.name, parameters)
        node.site = self._place.sites.get(key) or self._new_site(key, info, frame)
        if not _is_grad_enabled():
            node.grad_enabled = False
        if _is_any_autocast_enabled():
            node.autocast = _autocast_state()
        if self._composite:
            node.composite = self._composite
        nodes.append(node)
        if not is_plain:
            node.special_edges = provenance.edges(node, _NOTHING)
        if not is_single:
            self._note_results(node, returned)
            return result
        value = provenance.note_result(node, result)
        node.values = (value,)
        if value.is_view and value.storage.map is not None:
            provenance.narrow(node)
        if value.requires_grad and result.grad_fn is not None:
            node.grad_fn = result.grad_fn.name()
        if self._saves_plainly and value.storage.saved is None and not value.storage.escaped:
            node.saved, node.versions, value.storage.saved = [result], [value.version], [value]
        else:
            self.saver.take(node, [result])
        return result

    def _note_results(self, node: Node, returned: list[Tensor]) -> None:
        """The same for a call that returned several tensors."""
        note = self.provenance.note_result
        values = node.values = [note(node, tensor, slot) for slot, tensor in enumerate(returned)]
        for value in values:
            if value.is_view:
                self.provenance.narrow(node)
                break
        grad_fn = returned[0].grad_fn if returned[0].requires_grad else None
        if grad_fn is not None:
            node.grad_fn = grad_fn.name()
        self.saver.take(node, returned)

    def _on_other_call(
        self,
        func: Any,
        info: FunctionInfo,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType,
    ) -> Any:
        if self._closed is not None:
            return self._call_inside(self._closed, func, info, args, kwargs)
        if self._transform is not None and internals.transform_depth() > self._depth:
            return self._call_inside(self._transform_node(frame), func, info, args, kwargs)
        if info.role is Role.PASS:  # the first call of such a function
            return func(*args, **kwargs)
        if not info.is_recorded:
            return self._call_special(func, info, args, kwargs, frame)
        try:
            return self._call_recorded(func, info, args, kwargs, frame)
        except InsideTransform:
            return self._call_inside(self._transform_node(frame), func, info, args, kwargs)
        except Unborn:
            return func(*args, **kwargs)

    def on_script(
        self,
        run: Callable[..., Any],
        called: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType,
    ) -> Any:
        """TorchScript code is called: one opaque op, which reads the parameters of its module."""
        info = FunctionInfo(name=called.name, role=Role.OP, func=called, is_checked=True, is_opaque=True)
        module = self.module_stack[-1] if self.module_stack else None

        def scripted(*args: Any, **kwargs: Any) -> Any:
            return run(called, *args, **kwargs)

        with internals.WithoutTorchFunction():
            owned: list[tuple[str, Tensor]] = []
            if isinstance(module, torch.jit.ScriptModule):
                owned = [*module.named_parameters(), *module.named_buffers()]
            return self._call_recorded(scripted, info, args, kwargs, frame, owned)

    def on_function(
        self, run: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """An `autograd.Function` is applied: what it calls is seen; results made unseen become its own op."""
        provenance = self.provenance
        with internals.WithoutTorchFunction():
            given = structure.tensors((args, kwargs))
            known = [provenance.known(tensor) for tensor in given]
            before = [[] if value is None else provenance.edges_of(value, ()) for value in known]
        result = run(*args, **kwargs)
        with internals.WithoutTorchFunction():
            unknown = [
                tensor
                for tensor in structure.tensors(result)
                if not internals.is_transformed(tensor)
                and provenance.known(tensor) is None
                and provenance.storage(tensor).is_new
            ]
            if unknown and self._closed is None:
                values = [value or provenance.value(t) for value, t in zip(known, given, strict=True)]
                read = [old or [Edge(value, ())] for old, value in zip(before, values, strict=True)]
                edges = [edge._replace(path=(n,)) for n, old in enumerate(read) for edge in old]
                info = FunctionInfo(name=name, role=Role.OP, is_opaque=True)
                self.add_unseen(info, tuple(values), edges, unknown)
        return result

    def _call_special(
        self,
        func: Any,
        info: FunctionInfo,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType,
    ) -> Any:
        """Calls that are opened or closed, give memory away, or set flags."""
        if info.role is Role.CLOSED:
            return self._call_closed(func, info, args, kwargs, frame)
        if info.role is Role.FLAG:
            result = func(*args, **kwargs)
            value = self.provenance.recognised(args[0])
            if value is not None:
                with self._shield():
                    value.requires_grad = args[0].requires_grad
            return result
        if info.role is Role.MEMORY:
            with self._shield():
                for tensor in functions.tensors_in(args):
                    self._give_away(self.provenance.value(tensor))
            return func(*args, **kwargs)
        outer, self._composite = self._composite, (*self._composite, info.name)
        try:
            with self:
                if info.body is not None:
                    return info.body(*args, **kwargs)
                return redispatch_function(func, (), args, kwargs)
        finally:
            self._composite = outer

    def _call_recorded(
        self,
        run: Callable[..., Any],
        info: FunctionInfo,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        frame: FrameType,
        owned: Sequence[tuple[str, Tensor]] = (),
    ) -> Any:
        """Run a call and record it, if it returned or changed a tensor, or gave a value to Python."""
        node = Node(info, -1)
        node.is_opaque = info.is_opaque
        with self._shield():
            reads, targets = self._before(node, args, kwargs, owned)
            versions = [_version_of(value) for value in reads] if info.is_checked else None
        start = _clock()
        try:
            result = run(*args, **kwargs)
        except BaseException:
            self.failed_call = self.failed_call or info.name
            raise
        node.seconds = _clock() - start
        with self._shield():
            if versions is not None:
                targets = self._unannounced(reads, targets, versions)
            returned = structure.tensors(result)
            if returned or targets:
                self._after(node, returned, reads, targets, frame)
            elif info.role is Role.ESCAPE or info.name == "backward":
                self._note_escape(node, result, reads, frame)
        return result

    def _before(
        self,
        node: Node,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        owned: Sequence[tuple[str, Tensor]],
    ) -> tuple[list[Value], Sequence[Target]]:
        """What must be known before a call: its arguments, who wrote them, and what it will change."""
        info, provenance = node.info, self.provenance
        node.args = provenance.bind(args, info)[0]
        if kwargs:
            node.kwargs = provenance.bind_names(kwargs, [], info)
        reads = [value for _, value in values_in(node.args, node.kwargs)]
        targets: Sequence[Target] = () if info.writes is None else info.writes(args, kwargs)
        if kwargs and kwargs.get("out") is not None:
            targets = [*targets, *functions.out_targets(kwargs)]
        if targets:
            overwritten = frozenset(id(target.tensor) for target in targets if target.overwritten)
            self._protect(targets, info)
            node.special_edges = provenance.edges(node, overwritten)
        elif info.unread or not provenance.are_plain(reads):
            node.special_edges = provenance.edges(node, _NOTHING)
        if owned:
            values = [(name, provenance.value(tensor)) for name, tensor in owned]
            mine = [edge for name, v in values for edge in provenance.edges_of(v, ("self", name))]
            node.special_edges = [*node.edges, *mine]
            reads += [value for _, value in values]
        if info.draws:
            node.rng = self._generators(reads, kwargs)
        return reads, targets

    def _after(
        self,
        node: Node,
        returned: list[Tensor],
        reads: list[Value],
        targets: Sequence[Target],
        frame: FrameType,
    ) -> None:
        """What is known after it: results, memory written, place in the program."""
        self._locate(node, reads, frame)
        tensors = self.provenance.note_results(node, returned, targets)
        if node.info.is_foreach or (targets and any(target.apart for target in targets)):
            self._direct_edges(node, tensors, targets)
        if node.info.name == "grad" and self._backward is not None:
            node.special_edges = [*node.edges, Edge(self._backward, ("backward",))]
        if node.rng:
            node.rng = [state for state in node.rng if state.has_moved()]
        if returned and returned[0].requires_grad:
            grad_fn = returned[0].grad_fn
            node.grad_fn = None if grad_fn is None else grad_fn.name()
        self.saver.take(node, tensors)

    # -- what calls do to memory -------------------------------------------------------------------

    def _protect(self, targets: Sequence[Target], info: FunctionInfo) -> None:
        """Give saved values that are about to change memory of their own."""
        moves_view = info.name in functions.CHANGES_VIEW
        for target in targets:
            storage = self.provenance.storage(target.tensor)
            if storage.saved and moves_view:
                self.saver.protect_view(storage, target.tensor)
            elif storage.saved:
                self.saver.protect(storage, target.part or region_of(target.tensor))
            if not storage.epoch and storage.single is not None:
                source = self.nodes[storage.single.node]
                if source.kind is PARAMETER:
                    self.saver.keep_parameter(source)

    def _unannounced(
        self, reads: list[Value], targets: Sequence[Target], versions: list[int | None]
    ) -> Sequence[Target]:
        """Arguments that were written although nothing said so: saved values there are lost."""
        expected = {id(self.provenance.storage(target.tensor)) for target in targets}
        for value, version in zip(reads, versions, strict=True):
            if _version_of(value) != version and id(value.storage) not in expected:
                self.saver.lose(value.storage)
                expected.add(id(value.storage))
                tensor = value.ref()
                assert tensor is not None
                targets = [*targets, Target(tensor, overwritten=False)]
        return targets

    def _direct_edges(self, node: Node, tensors: list[Tensor], targets: Sequence[Target]) -> None:
        """Tell apart which argument reaches which value: element by element, or its own new value alone."""
        if node.info.is_foreach:
            node.special_edges = [
                edge._replace(slot=edge.path[1]) if len(edge.path) > 1 else edge for edge in node.edges
            ]
            return
        # statistics are made of the input alone, and the result of all but the statistics
        slots = {id(tensor): slot for slot, tensor in enumerate(tensors)}
        apart = {slots[id(target.tensor)] for target in targets if target.apart}
        own = {id(node.values[slot].storage): slot for slot in apart}
        node.special_edges = [
            edge
            if edge.path[0] in (0, "input")
            else edge._replace(slot=own.get(id(edge.origin.storage), 0))
            for edge in node.edges
        ]

    def _give_away(self, value: Value) -> None:
        """Memory goes to code that nobody sees: what is saved there gets memory of its own, now and later."""
        self.saver.protect(value.storage, EVERYTHING)
        value.storage.escaped = True
        self.origins.give_away(value)

    def _generators(self, reads: list[Value], kwargs: Mapping[str, Any]) -> list[GeneratorState]:
        """The generators that a call may draw from, as they are before it."""
        device = reads[0].device if reads else torch.device(kwargs.get("device") or "cpu")
        return [GeneratorState.of(kwargs.get("generator"), device)]

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
            node.autocast = _autocast_state()
        self.nodes.append(node)

    def _new_site(self, key: SiteKey, info: FunctionInfo, frame: FrameType | None) -> Site:
        return self.layers.new_site(
            self._place, key, info.layer_type, lambda: stack_of(frame, self._ends[1:])
        )

    def _insert(self, node: Node) -> None:
        """Take in a node that is no call; one that a running transform reads goes before the transform."""
        nodes = self.nodes
        node.index = len(nodes)
        nodes.append(node)
        reader = nodes[-2] if len(nodes) > 1 else None
        if reader is not None and reader.is_open_ended and node.kind is not OUTPUT:
            nodes[-2:] = [node, reader]
            node.index, reader.index = reader.index, node.index
            if self._marker is not None:
                self._marker.node = self._marker.time = reader.index

    def _note_escape(self, node: Node, result: Any, reads: list[Value], frame: FrameType) -> None:
        """A value went to Python; a backward pass is noted in the same way, since it ends in ``.grad``."""
        node.kind = ESCAPE
        node.result = copy.deepcopy(result) if type(result) in _KEPT_ESCAPES else None
        self._locate(node, reads, frame)
        tensor = reads[0].ref() if reads else None
        if node.info.name == "backward" and tensor is not None:
            self._backward = Value(node.index, tensor, reads[0].storage)
        if functions.gives_memory(node.info):
            for value in reads:
                self._give_away(value)

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
        self.provenance.hold(tensor, value)
        node.values = (value,)
        if kind is PARAMETER:
            value.parameter = node.index
            node.tensor = tensor
        else:
            self.saver.take(node, [tensor])
        return value

    def _note_shared_memory(self, node: Node, tensor: Tensor, storage: Storage) -> None:
        """Two sources in one storage, such as two inputs that are views: a replay must know of it."""
        first = storage.single
        other = first.ref() if first is not None else None
        if self.saver.keeps_all and other is not None and not storage.epoch and not tensor.is_meta:
            memory = tensor.untyped_storage().clone()
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

    # -- calls whose inside is seen but not recorded -----------------------------------------------

    def _transform_node(self, frame: FrameType) -> Node:
        """The node of the functorch transform that ``frame`` runs in."""
        name, outermost = transform_of(frame)
        running = self._transform
        # one that has recorded ops in between goes on as a second node, so that no node reads a later one
        if running is None or running[1] is not outermost or self.nodes[-1] is not running[0]:
            info = FunctionInfo(name=name, role=Role.OP, is_opaque=True)
            self._transform = (self._open_ended(info, frame), outermost)
            self._is_special = True
        return self._transform[0]  # type: ignore[index]

    def _open_ended(self, info: FunctionInfo, frame: FrameType) -> Node:
        """A node that is seen to run, and whose reads and results are noted as they turn up."""
        node = Node(info, -1)
        node.is_opaque = node.is_open_ended = True
        node.special_edges = []
        node.call = self._call
        self._locate(node, (), frame)
        self._marker = None
        return node

    def _call_closed(
        self,
        func: Any,
        info: FunctionInfo,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType,
    ) -> Any:
        """A higher-order op: one node; what it calls is watched for what it reads and writes."""
        node = self._closed = self._open_ended(info, frame)
        outer, self._is_special = self._is_special, True
        try:
            with self._shield():
                self._read_inside(node, (args, kwargs))
            with self:
                result = redispatch_function(func, (), args, kwargs)
        finally:
            self._closed, self._is_special = None, outer
        node.is_open_ended, self._marker = False, None
        with self._shield():
            tensors = self.provenance.note_results(node, structure.tensors(result), ())
            self.saver.take(node, tensors)
        return result

    def _call_inside(
        self,
        node: Node,
        func: Any,
        info: FunctionInfo,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """A call inside a transform or a higher-order op: ``node`` reads the known tensors it touches."""
        with self._shield():
            self._read_inside(node, (args, kwargs))
            targets = info.writes(args, kwargs) if info.writes is not None else []
            written = [target.tensor for target in (*targets, *functions.out_targets(kwargs))]
            for tensor in written:
                self.saver.protect(self.provenance.storage(internals.untransformed(tensor)))
        if info.role in (Role.OPEN, Role.CLOSED):
            with self:
                result = redispatch_function(func, (), args, kwargs)
        else:
            result = func(*args, **kwargs)
        with self._shield():
            for tensor in (*structure.tensors(result), *written):
                plain = internals.untransformed(tensor)
                storage = self.provenance.storage(plain)
                if storage.is_new or any(tensor is one for one in written):
                    if self._marker is None:
                        self._marker = Value(node.index, plain, storage)
                    storage.single, storage.map = self._marker, None
        return result

    def _read_inside(self, node: Node, arguments: Any) -> None:
        """Add edges to ``node`` from the known tensors among ``arguments``."""
        edges = list(node.edges)
        have = {id(edge.origin) for edge in edges}
        for tensor in structure.tensors(arguments):
            plain = internals.untransformed(tensor)
            value = self.provenance.known(plain)
            if value is not None:
                origins = [edge.origin for edge in self.provenance.edges_of(value, ())]
            else:
                origins = self.origins.behind(plain, self._marker)
            for origin in origins:
                if id(origin) not in have and origin.node != node.index:
                    have.add(id(origin))
                    edges.append(Edge(origin, (len(edges),)))
        node.special_edges = edges

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
        call = Call(len(self.calls), address, type(module).__name__, parent)
        call.chain = chain = chain_of(frame, self._ends)
        place = self._places.find(outer, chain, identity)
        if place is None:
            self.layers.stacks.setdefault(chain, stack_of(frame, self._ends[1:]))
            place = self._places.enter(outer, chain, identity, address)
        call.number = self._call_counts[identity] = self._call_counts.get(identity, 0) + 1
        call.training = module.training
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
        """The tensors that the model is given."""
        for path, tensor in leaves:
            same = self.provenance.recognised(tensor)
            node = self.nodes[self.add_source(INPUT, tensor, structure.show("input", path)).node]
            node.path = path
            if same is not None:  # one tensor as two arguments
                node.special_edges = [Edge(same, (0,))]

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

    def finish(self) -> None:
        """The pass is over: settle what was saved, and let go of everything else."""
        storages = self.provenance.storages
        for tensor in self.origins.modules.current_tensors():
            storage = storages.get(internals.storage_key(tensor))
            if storage is not None:
                self.provenance.mark_external(storage)
        self.saver.settle(self.provenance.external.values(), self.provenance.written.values())
        self.provenance.release()

    def close(self) -> None:
        """Forget everything: this object refers to itself, and must not keep activations alive."""
        vars(self).clear()


def _version_of(value: Value) -> int | None:
    tensor = value.ref()
    return None if tensor is None else internals.version(tensor)


def _autocast_state() -> tuple[tuple[str, Any], ...]:
    """Device type and dtype of every autocast that is on."""
    return tuple(
        (device, torch.get_autocast_dtype(device))
        for device in ("cpu", "cuda", "mps", "xpu")
        if torch.is_autocast_enabled(device)
    )
