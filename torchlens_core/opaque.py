"""Calls whose inside is seen but not recorded, or not even seen: each becomes one node.

TorchScript, ``autograd.Function``, functorch transforms and higher-order ops. A node of theirs depends on
every known tensor that is read inside, so that no path from an input to an output is ever cut.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import redispatch_function

from torchlens_core import internals, structure
from torchlens_core.functions import FunctionInfo, Role
from torchlens_core.ledger import Ledger
from torchlens_core.nodes import Edge, Node, Value
from torchlens_core.origins import transform_of
from torchlens_core.saving import SavingOptions
from torchlens_core.writes import out_targets


class OpaqueCalls(Ledger):
    """Watches them for what they read, write and return."""

    def __init__(
        self,
        model: nn.Module,
        options: SavingOptions,
        root_code: CodeType,
        nodes: list[Node] | None = None,
    ) -> None:
        super().__init__(model, options, root_code, nodes)
        #: The higher-order op that runs now; the last functorch transform, and the frame it began in.
        self._closed: Node | None = None
        self._transform: tuple[Node, FrameType | None] | None = None
        self._depth = internals.transform_depth()
        #: Whether calls need more than the common treatment now.
        self._is_special = internals.function_mode_depth() > 0

    @abstractmethod
    def _call_recorded(
        self,
        run: Callable[..., Any],
        info: FunctionInfo,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        frame: FrameType,
        owned: Sequence[tuple[str, Tensor]] = (),
    ) -> Any:
        """Run a call and record it."""

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
            spared = structure.tensors((args, kwargs)) if internals.script_writes(called) else []
            if isinstance(module, torch.jit.ScriptModule):
                owned = [*module.named_parameters(), *module.named_buffers()]
                spared += module.buffers()
            for tensor in spared:  # it may write them, and will not say so
                if not internals.is_transformed(tensor):
                    self.saver.protect(self.provenance.value(tensor).storage)
            return self._call_recorded(scripted, info, args, kwargs, frame, owned)

    def on_function(
        self, run: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """An `autograd.Function` is applied: what it calls is seen; results made unseen become its own op."""
        if name == internals.BACKWARD_HOOKS:
            return self._pass_on(run, args)
        provenance = self.provenance
        with internals.WithoutTorchFunction():
            given = structure.tensors((args, kwargs))
            known = [provenance.known(tensor) for tensor in given]
            before = [[] if value is None else provenance.edges_of(value, ()) for value in known]
            epochs = {id(value.storage): value.storage.epoch for value in known if value is not None}
        result = run(*args, **kwargs)
        with internals.WithoutTorchFunction():
            for tensor in (*given, *structure.tensors(result)):
                provenance.accept(tensor, epochs)  # ``mark_dirty`` counts a write that was seen once more
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

    def _pass_on(self, run: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """What hangs backward hooks of modules on their tensors returns them as new objects: that is no op."""
        with internals.WithoutTorchFunction():
            result = run(*args)
            for given, tensor in zip(structure.tensors(args), structure.tensors(result), strict=False):
                value = self.provenance.known(given)
                if value is not None:
                    self.provenance.also(tensor, value)
        return result

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
            written = [target.tensor for target in (*targets, *out_targets(kwargs))]
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


#: The code that runs calls inside opaque ones.
OPAQUE_RUNNERS: tuple[CodeType, ...] = (
    OpaqueCalls._call_closed.__code__,
    OpaqueCalls._call_inside.__code__,
)
