"""Places in a recording that can be changed, and how a recording is put in order after a change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchlens_core.functions import GRADIENTS
from torchlens_core.nodes import (
    ESCAPE,
    OP,
    OUTPUT,
    PARAMETER,
    ArgPath,
    Call,
    Edge,
    Node,
    Value,
    fill,
    values_in,
)
from torchlens_core.recording import Recording
from torchlens_core.replay import is_given

#: Ops that are served without a kernel.
_WITHOUT_KERNELS = GRADIENTS | {"data", "set_data"}
#: Escapes that read memory without a kernel, or give Python nothing that was kept.
_READ_BARE = frozenset({"tolist", "numpy", "array", "dlpack"})
#: A node and the number of one of its values.
Key = tuple[int, int]
#: Where a node goes: before or behind the one that has the number now.
Place = tuple[int, int]


class Reading(NamedTuple):
    """A tensor among the arguments of a node."""

    node: Node
    path: ArgPath
    value: Value


class Dependence(NamedTuple):
    """An edge of a node, the n-th."""

    node: Node
    number: int
    edge: Edge


def key(value: Value) -> Key:
    return value.node, value.slot


# -- kinds of nodes ----------------------------------------------------------------------------------


def is_same_object(node: Node, value: Value) -> bool:
    """Whether a value of ``node`` is the very tensor that it was handed."""
    return any(value.ref is given.ref for _, given in values_in(node.args, node.kwargs))


def writes(node: Node) -> bool:
    """Whether ``node`` has changed memory that was there before."""
    return any(is_same_object(node, value) and not value.is_view for value in node.values)


def is_look(node: Node) -> bool:
    """Whether ``node`` gave nothing but views."""
    return bool(node.values) and all(value.is_view for value in node.values)


def launches(node: Node) -> bool:
    """Whether ``node`` is an op that ran a kernel; one that hands back what it was given runs none."""
    if node.kind is not OP or node.is_opaque or node.info.name in _WITHOUT_KERNELS:
        return False
    return any(not (value.is_view and is_same_object(node, value)) for value in node.values)


def reads_bytes(node: Node) -> bool:
    """Whether what ``node`` has read can be told: ops and escapes by their kernels, outputs by the memory.

    What has no element is made without a look at anything.
    """
    if node.kind is ESCAPE:
        return node.info.name not in _READ_BARE | GRADIENTS
    return (node.kind is OUTPUT or launches(node)) and not all(0 in value.shape for value in node.values)


def spans(recording: Recording) -> set[int]:
    """Where a module call begins or ends."""
    return {end for call in recording.calls for end in (call.first, call.last)}


# -- values ------------------------------------------------------------------------------------------


def saved(recording: Recording, value: Value) -> Tensor | None:
    """What is saved of ``value``, if it can be compared."""
    node = recording.nodes[value.node]
    if value.slot >= len(node.values) or value.slot in node.stale:
        return None
    kept = node.tensor if node.kind is PARAMETER else node.saved[value.slot] if node.saved else None
    if not isinstance(kept, Tensor) or kept.layout is not torch.strided or kept.is_quantized:
        return None
    return kept.detach()


def differ(recording: Recording, one: Value, other: Value) -> bool:
    """Whether both are known to hold other contents."""
    a, b = saved(recording, one), saved(recording, other)
    if a is None or b is None:
        return False
    return a.shape != b.shape or a.dtype != b.dtype or not torch.equal(a, b)


def saved_slots(recording: Recording, kinds: Iterable[str] = (OP, OUTPUT)) -> list[Value]:
    """The values that a replay computes and compares with what was saved."""
    return [
        value
        for node in recording.nodes
        if node.kind in kinds and not is_given(node)
        for value in node.values
        if (kept := saved(recording, value)) is not None and kept.numel()
    ]


def save(recording: Recording, value: Value, tensor: Tensor) -> None:
    """Have ``tensor`` as what was saved of ``value``."""
    node = recording.nodes[value.node]
    assert node.saved is not None
    node.saved = [tensor if slot == value.slot else kept for slot, kept in enumerate(node.saved)]


def altered(tensor: Tensor, at: int | None = None) -> Tensor:
    """A copy with other contents, in one element or in all."""
    changed = tensor.clone(memory_format=torch.contiguous_format)
    flat = changed.view(-1)
    part = flat if at is None else flat[at : at + 1]
    part.copy_(~part if part.dtype is torch.bool else part + 1)
    return changed


def earlier(recording: Recording, node: Node) -> list[Value]:
    """The values of all nodes before ``node`` that have bytes."""
    return [
        value
        for before in recording.nodes[: node.index]
        if before.kind is not ESCAPE and before.kind is not OUTPUT
        for value in before.values
        if 0 not in value.shape
    ]


# -- readers -----------------------------------------------------------------------------------------


def is_read(recording: Recording, node: Node) -> bool:
    """Whether some edge begins at ``node``."""
    return any(edge.origin.node == node.index for reader in recording.nodes for edge in reader.edges)


def readings(recording: Recording) -> list[Reading]:
    """Every argument whose bytes are read, and through which an edge leads."""
    return [
        Reading(node, path, value)
        for node in recording.nodes
        if reads_bytes(node)
        for path, value in values_in(node.args, node.kwargs)
        if 0 not in value.shape and any(edge.path == path for edge in node.edges)
    ]


def behind(recording: Recording, value: Value) -> set[int]:
    """The nodes that have written what ``value`` stands for: a view stands for what it shows."""
    if not value.is_view or value.node >= len(recording.nodes):
        return {value.node}
    edges = [edge for edge in recording.nodes[value.node].edges if edge.slot in (value.slot, None)]
    return set().union(*(behind(recording, edge.origin) for edge in edges)) or {value.node}


def dependences(recording: Recording) -> list[Dependence]:
    """Every edge that is certain, that no other stands in for, and that leads bytes to somebody.

    Left out: an edge to the same value of the reader as others, from what these come from too (``y + y``, and
    ``y + y.t()``, which reads no other bytes than ``y``); what has no element; a view that is read by nobody.
    """
    found = []
    for node in recording.nodes:
        if not reads_bytes(node) or (is_look(node) and not is_read(recording, node)):
            continue
        edges = node.edges
        for number, edge in enumerate(edges):
            others = [e for n, e in enumerate(edges) if n != number and e.slot in (edge.slot, None)]
            known = set().union(*(behind(recording, other.origin) for other in others))
            is_only = not behind(recording, edge.origin) <= known
            if edge.certain and is_only and 0 not in edge.origin.shape:
                found.append(Dependence(node, number, edge))
    return found


def elsewhere(recording: Recording, node: Node) -> list[Value]:
    """Earlier values in memory that ``node`` has nothing to do with."""
    touched = {id(edge.origin.storage) for edge in node.edges}
    touched |= {id(value.storage) for _, value in values_in(node.args, node.kwargs)}
    touched |= {id(value.storage) for value in node.values}
    return [value for value in earlier(recording, node) if id(value.storage) not in touched]


def alike_first(recording: Recording, value: Value, others: Sequence[Value]) -> Sequence[Value]:
    """Those of ``others`` that have the shape and dtype of ``value``, if there are any; else all."""
    alike = [o for o in others if tuple(o.shape) == tuple(value.shape) and o.dtype == value.dtype]
    return alike or others


# -- changes -----------------------------------------------------------------------------------------


def set_edges(node: Node, edges: Iterable[Edge]) -> None:
    node.special_edges = list(edges)


def fill_arguments(node: Node, value_of: Callable[[Value], Value]) -> None:
    node.args = tuple(fill(arg, value_of) for arg in node.args)
    if node.kwargs:
        node.kwargs = MappingProxyType({name: fill(arg, value_of) for name, arg in node.kwargs.items()})


def replace_in(node: Node, new_of: Mapping[Key, Value]) -> None:
    """Have ``node`` read other values, by its arguments and by its edges."""

    def value_of(value: Value) -> Value:
        return new_of.get(key(value), value)

    fill_arguments(node, value_of)
    if node.special_edges is not None:
        set_edges(node, [edge._replace(origin=value_of(edge.origin)) for edge in node.special_edges])


def replace_everywhere(recording: Recording, new_of: Mapping[Key, Value]) -> None:
    """Have everybody read other values, and module calls take and return them."""
    for node in recording.nodes:
        replace_in(node, new_of)
    for call in recording.calls:
        call.inputs = [new_of.get(key(value), value) for value in call.inputs]
        call.outputs = [new_of.get(key(value), value) for value in call.outputs]


def replace_reading(reading: Reading, new: Value) -> None:
    """Have one argument be ``new``: what was read through it, nobody wrote but the node of ``new``."""
    node, path, old = reading
    edges = [edge for edge in node.edges if edge.path != path]
    if node.special_edges is not None:
        set_edges(node, [*edges, Edge(new, path)])
    seen = [path for path, value in values_in(node.args, node.kwargs) if value is old]
    turn = iter(seen)
    fill_arguments(node, lambda value: new if value is old and next(turn) == path else value)


def _values(recording: Recording) -> Iterator[Value]:
    for node in recording.nodes:
        yield from node.values
        for _, value in values_in(node.args, node.kwargs):
            yield value
        for edge in node.special_edges or ():
            yield edge.origin
    for call in recording.calls:
        yield from (*call.inputs, *call.outputs)


def places(recording: Recording) -> dict[int, Place]:
    """Where each node stands, by its index."""
    return {node.index: (node.index, 0) for node in recording.nodes}


def arrange(recording: Recording, place_of: Mapping[int, Place], added: Sequence[Node] = ()) -> None:
    """Put the nodes into the order of their places, as a recorder that met them so would number them.

    Nodes without a place are lost: a value of theirs keeps its number, which another node has then. What
    goes before the first node of a module call, or of the outer one behind it, is not in it; what goes
    behind a node is where that is.
    """
    every = {id(value): value for node in added for value in node.values}
    every |= {id(value): value for value in _values(recording)}
    nodes = [node for node in (*recording.nodes, *added) if node.index in place_of]
    nodes.sort(key=lambda node: place_of[node.index])
    taken = sorted(place_of.values())
    new_of = {node.index: number for number, node in enumerate(nodes)}
    for value in every.values():
        value.node, time = new_of.get(value.node, min(value.node, len(nodes) - 1)), value.time
        value.time = new_of.get(time, time)
        if value.parameter is not None:
            value.parameter = new_of.get(value.parameter, value.parameter)
    for call in recording.calls:
        call.first = sum(place < (call.first, 0) for place in taken)
        call.last = max(call.first, sum(place < (call.last, -1) for place in taken))
    for number, node in enumerate(nodes):
        node.index = number
    object.__setattr__(recording, "nodes", nodes)
    recording.__post_init__()


def arrange_calls(recording: Recording, calls: Sequence[Call]) -> None:
    """Have ``calls`` as the module calls, in this order."""
    for number, call in enumerate(calls):
        call.index = number
    object.__setattr__(recording, "calls", list(calls))
    recording.__post_init__()


def name(node: Node) -> str:
    """How a description names ``node``."""
    return f"{node.address or node.info.name} at {node.index}"


def call_name(call: Call) -> str:
    return f"{call.address or 'the model'}:{call.number}"


def any_of(random: Any, found: Sequence[Any]) -> Any:
    """One of ``found``, or None if there is none."""
    return random.choice(found) if found else None
