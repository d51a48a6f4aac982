"""The events of one forward pass, recorded as they happen.

At each call: which tensors go in and who last wrote the bytes they cover, which memory the call changes,
what comes out, and where in the program it stands. Nothing here reads a tensor's values.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import redispatch_function

from torchlens_core import internals, structure
from torchlens_core.functions import FACTS, FROM_OUTSIDE, PASSED, FunctionInfo, Role, gives_memory
from torchlens_core.ledger import autocast_state
from torchlens_core.memory import EVERYTHING, region_of
from torchlens_core.nodes import (
    ESCAPE,
    PARAMETER,
    Edge,
    Node,
    Value,
    values_in,
)
from torchlens_core.opaque import OPAQUE_RUNNERS, OpaqueCalls
from torchlens_core.origins import InsideTransform, Unborn
from torchlens_core.randomness import GeneratorState
from torchlens_core.saving import SavingOptions
from torchlens_core.sites import chain_of
from torchlens_core.writes import CHANGES_VIEW, Target, out_targets, tensors_in

#: What Python got is kept if it is of these types; arrays and capsules would keep memory alive.
_KEPT_ESCAPES = frozenset({bool, int, float, complex, list})
_NOTHING: frozenset[Any] = frozenset()
_NO_KWARGS: dict[str, Any] = {}
_clock = time.perf_counter
_is_grad_enabled = torch.is_grad_enabled
_is_any_autocast_enabled = internals.is_any_autocast_enabled
_get_default_dtype = torch.get_default_dtype


class Recorder(OpaqueCalls):
    """Listens to one forward pass of ``model``; ``root_code`` runs in the frame that starts it."""

    def __init__(
        self,
        model: nn.Module,
        options: SavingOptions,
        root_code: CodeType,
        nodes: list[Node] | None = None,
    ) -> None:
        super().__init__(model, options, root_code, nodes)
        #: The last backward pass inside the forward pass: gradients read later come from it.
        self._backward: Value | None = None

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
        if self._is_special or "out" in kwargs or not (info.is_simple or info.is_simple_now(args, kwargs)):
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
            node.autocast = autocast_state()
        if info.settings or _get_default_dtype() is not self._default_dtype:
            node.settings = self.baseline.changed(info.settings)
        if self._composite:
            node.composite = self._composite
        nodes.append(node)
        if not is_single:
            self._note_results(node, returned, is_plain)
            return result
        value = provenance.note_result(node, result)
        node.values = (value,)
        if not is_plain:  # a view of memory with many writers reads only what it shows
            if value.is_view and value.storage.map is not None:
                provenance.narrow(node)
            else:
                node.special_edges = provenance.edges(node, _NOTHING)
        if value.requires_grad:
            node.grad_fn = internals.grad_fn_name(result)
        if self._saves_plainly and value.storage.saved is None and not value.storage.escaped:
            node.saved, node.versions, value.storage.saved = [result], [value.version], [value]
        else:
            self.saver.take(node, [result])
        return result

    def _note_results(self, node: Node, returned: list[Tensor], is_plain: bool) -> None:
        """The same for a call that returned several tensors."""
        if not is_plain:
            node.special_edges = self.provenance.edges(node, _NOTHING)
        note = self.provenance.note_result
        values = node.values = [note(node, tensor, slot) for slot, tensor in enumerate(returned)]
        for value in values:
            if value.is_view:
                self.provenance.narrow(node)
                break
        if returned[0].requires_grad:
            node.grad_fn = internals.grad_fn_name(returned[0])
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
        if info.role is Role.PASS or (info.name in FROM_OUTSIDE and _shows_memory(args)):
            return func(*args, **kwargs)
        try:
            if not info.is_recorded:
                return self._call_special(func, info, args, kwargs, frame)
            if info.name in ("backward", "set_grad"):
                return self._call_for_gradients(func, info, args, kwargs, frame)
            return self._call_recorded(func, info, args, kwargs, frame)
        except InsideTransform:
            return self._call_inside(self._transform_node(frame), func, info, args, kwargs)
        except Unborn:
            return func(*args, **kwargs)

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
        if info.role is Role.DUAL:
            return self._call_inside(self._transform_node(frame), func, info, args, kwargs)
        if info.role is Role.FLAG:
            result = func(*args, **kwargs)
            value = self.provenance.recognised(args[0])
            if value is not None:
                with self._shield():
                    value.requires_grad = args[0].requires_grad
            return result
        if info.role is Role.MEMORY:
            with self._shield():
                for tensor in tensors_in(args):
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
            left = reads[0].storage if info.name == "set_" and reads else None
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
            if left is not None:
                self.provenance.accept_count(left)
            returned = structure.tensors(result)
            if returned or targets:
                self._after(node, returned, reads, targets, frame)
            elif info.role is Role.ESCAPE:
                self._note_escape(node, result, reads, frame)
        return result

    def _call_for_gradients(
        self,
        func: Any,
        info: FunctionInfo,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        frame: FrameType,
    ) -> Any:
        """A backward pass, or ``t.grad = g``: gradients read later come from it, and from those before it.

        A backward pass adds to the gradients that are there, in place.
        """
        node = Node(info, -1)
        with self._shield():
            reads, _ = self._before(node, args, kwargs, ())
            held = self._known_gradients() if info.name == "backward" else []
            for value in held:
                self.saver.protect(value.storage)
            old = [self.provenance.edges_of(value, ("grad", n)) for n, value in enumerate(held)]
            versions = [_version_of(value) for value in held]
        result = func(*args, **kwargs)
        with self._shield():
            grown = [n for n, value in enumerate(held) if _version_of(value) != versions[n]]
            tensors = [tensor for n in grown if (tensor := held[n].ref()) is not None]
            node.special_edges = [*node.edges, *(edge for n in grown for edge in old[n])]
            if self._backward is not None:
                node.special_edges.append(Edge(self._backward, ("backward",)))
            self._locate(node, reads, frame)
            if tensors:
                targets = [Target(tensor, overwritten=False) for tensor in tensors]
                self.saver.take(node, self.provenance.note_results(node, [], targets))
            else:
                node.kind = ESCAPE
            if reads and (tensor := reads[0].ref()) is not None:
                self._backward = Value(node.index, tensor, reads[0].storage, len(node.values))
        return result

    def _known_gradients(self) -> list[Value]:
        """The gradients of leaves that have been looked at: a backward pass may add to them."""
        leaves = (
            tensor for _, tensor in self.provenance.alive() if tensor.is_leaf and tensor.requires_grad
        )
        found = (self.provenance.recognised(leaf.grad) for leaf in leaves if leaf.grad is not None)
        return [value for value in found if value is not None]

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
        # what ``out=`` names may be read too, as another argument
        overwritten = frozenset(id(target.tensor) for target in targets if target.overwritten)
        if kwargs and kwargs.get("out") is not None:
            targets = [*targets, *out_targets(kwargs)]
        if targets:
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
            node.grad_fn = internals.grad_fn_name(returned[0])
        self.saver.take(node, tensors)

    def _protect(self, targets: Sequence[Target], info: FunctionInfo) -> None:
        """Give saved values that are about to change memory of their own."""
        moves_view = info.name in CHANGES_VIEW
        for target in targets:
            storage = self.provenance.storage(target.tensor)
            if storage.saved and moves_view:
                self.provenance.written[id(storage)] = storage
                self.saver.protect_view(storage, target.tensor)
            elif storage.saved:
                self.saver.protect(storage, target.part or region_of(target.tensor))
            if not storage.epoch and storage.single is not None:
                if self.nodes[storage.single.node].kind is PARAMETER:
                    for source in self.nodes:
                        if source.kind is PARAMETER and source.values[0].storage is storage:
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
            if _share_memory(node, targets):
                return  # elements may feed one another: all are taken to reach all
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

    def _note_escape(self, node: Node, result: Any, reads: list[Value], frame: FrameType) -> None:
        """A value went to Python."""
        node.kind = ESCAPE
        node.result = copy.deepcopy(result) if type(result) in _KEPT_ESCAPES else None
        self._locate(node, reads, frame)
        if gives_memory(node.info):
            for value in reads:
                self._give_away(value)


def _shows_memory(args: tuple[Any, ...]) -> bool:
    """Whether the first argument is an array of another library, whose memory a tensor may share."""
    return bool(args) and not isinstance(args[0], Tensor | list | tuple | int | float | complex)


def _share_memory(node: Node, targets: Sequence[Target]) -> bool:
    """Whether some storage is written by a call over lists, and stands in another place of them too."""
    if not targets:
        return False
    places: dict[int, set[Any]] = {}
    for path, value in values_in(node.args, node.kwargs):
        places.setdefault(id(value.storage), set()).add(path)
    return any(len(places.get(id(value.storage), ())) > 1 for value in node.values)


def _version_of(value: Value) -> int | None:
    tensor = value.ref()
    return None if tensor is None else internals.version(tensor)


#: The code that runs the calls which are handed to a recorder, each with whether their inside is opaque.
RUNNERS: Mapping[CodeType, bool] = {
    **{
        function.__code__: False
        for function in (
            *(Recorder.__torch_function__, Recorder.on_function, Recorder._on_other_call),
            *(Recorder._call_special, Recorder._call_recorded, Recorder._call_for_gradients),
        )
    },
    **dict.fromkeys(OPAQUE_RUNNERS, True),
}
