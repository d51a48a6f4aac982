"""A recorded graph run again, from its sources to its outputs.

Each op gets its arguments from the ops that the graph names, never from what it was given when it was
recorded. Two ways to run it:

* whole: every op in order; each saved value must come out again;
* pruned: only what the graph says a few nodes depend on.

Memory that is needed but not read (the destination of ``out=``) is filled with NaN, so that a missing edge shows as
a wrong value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from torchlens_core import internals, structure
from torchlens_core.compare import has_values
from torchlens_core.errors import ReplayError
from torchlens_core.functions import GRADIENTS
from torchlens_core.history import ModelHistory
from torchlens_core.ledger import autocast_state
from torchlens_core.memory import has_memory
from torchlens_core.nodes import (
    CONSTANT,
    ESCAPE,
    OP,
    OUTPUT,
    PARAMETER,
    SOURCES,
    Node,
    Value,
    fill,
    values_in,
)
from torchlens_core.settings import set_to
from torchlens_core.specs import TensorSpec

#: Functions whose results hold what was in memory before: they are taken from the record.
UNINITIALISED = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "new"}

#: Told of each node and the values that it gave: ``(node, slot, tensor)``.
Witness = Callable[[Node, int, Any], None]


def is_given(node: Node) -> bool:
    """Whether the values of ``node`` are taken from the record: opaque ops, uninitialised memory.

    >>> from torchlens_core.functions import FACTS
    >>> is_given(Node(FACTS[torch.empty], 0)), is_given(Node(FACTS[torch.zeros], 0))
    (True, False)
    """
    if node.info.name == "set_":  # memory that came from nowhere, such as a file
        return any(isinstance(arg, torch.UntypedStorage | torch.TypedStorage) for arg in node.args)
    return node.is_opaque or (node.kind is OP and node.info.name in UNINITIALISED)


class Replay:
    """One run of the graph of ``history``, or of a part of it."""

    def __init__(
        self,
        history: ModelHistory,
        wanted: Iterable[int] | None = None,
        given: Mapping[int, Sequence[Any]] = MappingProxyType({}),
    ) -> None:
        """``given`` has other values for nodes whose values are taken from the record."""
        self._given = given
        self._nodes = history.recording.nodes
        self._graph = history.graph
        self._settings = history.recording.settings
        self._memory: dict[tuple[int, int], Any] = {}
        self._unread: set[int] = set()
        self._shared: dict[int, torch.UntypedStorage] = {}
        self._has_gradients = any(node.info.name in GRADIENTS for node in self._nodes)
        self._chosen = self._closure(list(wanted)) if wanted is not None else None
        self._last_use = self._last_uses()

    def run(self, witness: Witness) -> None:
        """Run it; ``witness`` sees every value right after its node.

        Raises `ReplayError` if an op cannot be run with what the graph gives it.
        """
        with set_to(self._settings):  # those that a node found otherwise are set around it
            for node in self._nodes:
                if self._chosen is not None and node.index not in self._chosen:
                    continue
                self._run_node(node, witness)
                for key in self._last_use.get(node.index, ()):
                    self._memory.pop(key, None)

    @property
    def is_whole(self) -> bool:
        """Whether what is run is run as in the whole: with all that it reads, and nothing left out that writes."""
        chosen = self._chosen
        return chosen is None or all(
            node.index not in self._unread
            if node.index in chosen
            else node.info.writes is None and not node.is_opaque and "out" not in node.kwargs
            for node in self._nodes
            if node.kind is OP
        )

    def run_again(self, node: Node) -> list[Any] | None:
        """What the node that has just been run returns when it is run once more; None if that cannot be told.

        Of a call that writes, the first run has changed what the second one would read.
        """
        if node.kind is not OP or is_given(node) or node.info.writes is not None or "out" in node.kwargs:
            return None
        for state in node.rng:
            state.restore()
        return structure.tensors(self._result(node))

    def put(self, node: Node, slot: int, value: Any) -> None:
        """Go on with ``value`` for a value of a node that has been run, in the memory of its own."""
        mine = self._memory.get((node.index, slot))
        if isinstance(mine, Tensor) and isinstance(value, Tensor) and mine.shape == value.shape:
            with torch.no_grad():
                mine.data.copy_(value)

    # -- what is run -------------------------------------------------------------------------------

    def _closure(self, wanted: Sequence[int]) -> set[int]:
        """The nodes that ``wanted`` depend on, and those that make memory for them or give them their shape."""
        read: set[int] = set()
        self._read(wanted, read)
        chosen = set(read)
        stack = list(read)
        while stack:
            node = self._nodes[stack.pop()]
            for path, value in values_in(node.args, node.kwargs):
                if path[0] in node.info.unread and value.node not in read:
                    # its size may be data: what it depends on is run as it was
                    known = set(read)
                    self._read([value.node], read)
                    stack += read - known
                    chosen |= read
            for value in self._needed(node):
                if value.node not in chosen:
                    chosen.add(value.node)
                    stack.append(value.node)
        self._unread = chosen - read
        return chosen

    def _read(self, wanted: Iterable[int], read: set[int]) -> None:
        """Add nodes, and what they depend on."""
        for index in wanted:
            read.add(index)
            read |= self._graph.ancestors(index)

    @staticmethod
    def _needed(node: Node) -> list[Value]:
        """What ``node`` must be handed: its arguments, and what an opaque op owns and writes."""
        given = [value for _, value in values_in(node.args, node.kwargs)]
        if node.is_opaque or node.info.name in GRADIENTS:  # a backward pass writes what it is not handed
            given += [edge.origin for edge in node.edges if edge.path != ("backward",)]
        return given

    def _last_uses(self) -> dict[int, list[tuple[int, int]]]:
        """By node: the values that nobody needs after it."""
        last: dict[tuple[int, int], int] = {}
        for node in self._nodes:
            if self._chosen is None or node.index in self._chosen:
                for slot in range(len(node.values)):
                    last[node.index, slot] = node.index
                for value in self._needed(node):
                    last[value.node, value.slot] = node.index
        uses: dict[int, list[tuple[int, int]]] = {}
        for key, index in last.items():
            uses.setdefault(index, []).append(key)
        return uses

    # -- running one node --------------------------------------------------------------------------

    def _run_node(self, node: Node, witness: Witness) -> None:
        if node.kind in SOURCES:
            self._memory[node.index, 0] = self._source(node)
        elif node.kind is OUTPUT:
            self._memory[node.index, 0] = self._tensor(node.args[0])
        elif node.kind is ESCAPE:
            self._run_escape(node, witness)
            return
        elif is_given(node) or self._takes_memory_from_outside(node):
            self._give(node)
        else:
            self._call(node)
        self._require_grad(node)
        if node.index in self._unread:
            self._poison(node)
        else:
            for slot in range(len(node.values)):
                witness(node, slot, self._memory.get((node.index, slot)))

    def _takes_memory_from_outside(self, node: Node) -> bool:
        """Whether ``set_`` is handed memory that was filled unseen, such as that of a file which is loaded."""
        given = node.args[1:] if node.info.name == "set_" else ()
        return any(isinstance(arg, Value) and self._nodes[arg.node].kind is CONSTANT for arg in given)

    def _require_grad(self, node: Node) -> None:
        """``requires_grad_`` is no op, but a backward pass inside the forward pass depends on it."""
        for slot, value in enumerate(node.values):
            tensor = self._memory.get((node.index, slot))
            if not value.requires_grad or node.grad_fn is not None:  # only leaves are given it
                continue
            if isinstance(tensor, Tensor) and not tensor.requires_grad:
                if not (tensor.is_floating_point() or tensor.is_complex()):
                    raise ReplayError(
                        f"{node.info.name} gave {TensorSpec.of(tensor)}, which can have no gradient"
                    )
                if tensor.is_leaf and not tensor.is_inference():
                    tensor.requires_grad_()

    def _tensor(self, value: Value) -> Any:
        try:
            return self._memory[value.node, value.slot]
        except KeyError:
            raise ReplayError(
                f"node {value.node} gave no value {value.slot} before it was needed"
            ) from None

    def _source(self, node: Node) -> Tensor:
        """A source as it was before the pass; parameters that are not written stand for themselves."""
        value = node.values[0]
        kept = node.saved[0] if node.saved is not None else None
        if node.memory is not None:
            return self._shared_source(node, value)
        if kept is None:
            if node.kind is PARAMETER and node.tensor is not None:
                return self._parameter(node.tensor)
            raise ReplayError(f"the value of {node.address or node.kind} was not kept")
        tensor: Tensor = kept.detach().clone()
        if value.requires_grad and not tensor.requires_grad:
            tensor.requires_grad_()
        return tensor

    def _parameter(self, parameter: Tensor) -> Tensor:
        """A parameter, or a twin of it if the pass computes gradients, which are not to be the user's."""
        if not self._has_gradients:
            return parameter
        twin = parameter.detach().requires_grad_(parameter.requires_grad)
        if parameter.is_leaf and parameter.grad is not None:
            twin.grad = parameter.grad.detach().clone()
        return twin

    def _shared_source(self, node: Node, value: Value) -> Tensor:
        """A source that shares memory with others, in memory that is shared likewise."""
        assert node.memory is not None
        memory, size, stride, offset = node.memory
        copy = self._shared.setdefault(id(memory), memory.clone())
        tensor = torch.empty(0, dtype=value.dtype, device=value.device)
        return tensor.set_(copy, offset, size, stride).requires_grad_(value.requires_grad)

    def _give(self, node: Node) -> None:
        """Take the values of ``node`` from the record."""
        if node.saved is None and node.values:
            raise ReplayError(f"the value of {node.info.name} was not kept, and its inside cannot be run")
        for slot, kept in enumerate(self._given.get(node.index, node.saved or ())):
            target = self._argument_like(node, node.values[slot])
            if target is None or getattr(kept, "shape", None) != target.shape:
                target = _same_layout(kept)
            elif isinstance(kept, Tensor) and has_memory(target):
                with torch.no_grad():
                    target.data.copy_(kept)
            self._memory[node.index, slot] = target

    def _call(self, node: Node) -> None:
        for state in node.rng:
            state.restore()
        result = self._result(node)
        returned = structure.tensors(result)
        expected = len(node.values) - node.written
        if len(returned) != expected:
            raise ReplayError(f"{node.info.name} returned {len(returned)} tensors, not {expected}")
        for slot, tensor in enumerate(returned):
            self._memory[node.index, slot] = tensor
        for slot in range(expected, len(node.values)):
            self._memory[node.index, slot] = self._written_object(node, node.values[slot])

    def _result(self, node: Node) -> Any:
        unknown = self._uncovered(node)

        def tensor_of(value: Value) -> Any:
            return _poisoned(self._tensor(value)) if id(value) in unknown else self._tensor(value)

        args = [fill(arg, tensor_of) for arg in node.args]
        kwargs = {name: fill(arg, tensor_of) for name, arg in node.kwargs.items()}
        with _surroundings(node):
            try:
                return node.info.func(*args, **kwargs)
            except ReplayError:
                raise
            except Exception as error:
                raise ReplayError(f"{type(error).__name__}: {error}") from error

    @staticmethod
    def _uncovered(node: Node) -> set[int]:
        """Arguments that are read although no edge leads through them: their values must play no part."""
        covered = {edge.path for edge in node.edges}
        given = list(values_in(node.args, node.kwargs))
        reached = {id(value) for path, value in given if path in covered or path[0] in node.info.unread}
        written = {id(value.storage) for value in node.values} | {id(value.ref) for value in node.values}
        own = {id(v) for _, v in given if id(v.storage) in written or id(v.ref) in written}
        return {id(value) for _, value in given} - reached - own

    def _written_object(self, node: Node, written: Value) -> Any:
        """The argument that ``node`` has written as its value ``written``."""
        found = self._argument_like(node, written)
        if found is None:
            raise ReplayError(f"{node.info.name} wrote a tensor that is none of its arguments")
        return found

    def _argument_like(self, node: Node, one: Value) -> Any:
        """The argument of ``node`` that is the same object as its value ``one``, if there is one."""
        same = (value for value in self._needed(node) if value.ref is one.ref)
        return next(map(self._tensor, same), None)

    def _run_escape(self, node: Node, witness: Witness) -> None:
        if node.info.name in GRADIENTS:
            self._result(node)
        elif node.result is not None and not any(
            value.node in self._unread for _, value in values_in(node.args, node.kwargs)
        ):
            witness(node, 0, self._result(node))

    def _poison(self, node: Node) -> None:
        """Memory that nobody may read must not hold the right values by chance."""
        for slot, value in enumerate(node.values):
            tensor = self._memory.get((node.index, slot))
            fresh = node.kind not in SOURCES and not value.is_view
            if fresh and isinstance(tensor, Tensor) and tensor.is_floating_point() and not tensor.is_meta:
                with torch.no_grad():
                    tensor.data.fill_(float("nan"))


def _poisoned(tensor: Any) -> Any:
    """A tensor of that kind with other values."""
    if not isinstance(tensor, Tensor) or not has_values(tensor) or tensor.layout is not torch.strided:
        return tensor
    with torch.no_grad():
        if tensor.is_floating_point() or tensor.is_complex():
            return torch.full_like(tensor, float("nan"))
        return tensor if tensor.is_quantized or tensor.is_nested else ~tensor


def _same_layout(kept: Any) -> Any:
    return kept.detach().clone() if isinstance(kept, Tensor) else kept


@contextmanager
def _surroundings(node: Node) -> Iterator[None]:
    """Grad mode, autocast and settings as they were around the op: kernels may depend on them."""
    with ExitStack() as stack:
        if node.settings:
            stack.enter_context(set_to(node.settings))
        stack.enter_context(torch.set_grad_enabled(node.grad_enabled))
        wanted = dict(node.autocast)
        for device, _ in autocast_state() if internals.is_any_autocast_enabled() else ():
            if device not in wanted:
                stack.enter_context(torch.autocast(device, enabled=False))
        for device, dtype in wanted.items():
            stack.enter_context(torch.autocast(device, dtype=dtype))
        yield
