"""What a recorder could have got wrong: each mutation changes a recording in one place.

A mutation says what it did, or None where a recording has no place for it. `claims` names the checks of
which one must see it. Changes that mean the same are left out, each where it says so; all of them leave
out what `sites` does: ops that run no kernel (a dropout that drops nothing), opaque ones, edges that are
uncertain or that another one stands in for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from mutation.sites import (
    Dependence,
    Reading,
    alike_first,
    altered,
    any_of,
    arrange,
    arrange_calls,
    behind,
    call_name,
    dependences,
    differ,
    earlier,
    elsewhere,
    is_look,
    is_read,
    key,
    launches,
    name,
    places,
    readings,
    reads_bytes,
    replace_everywhere,
    replace_reading,
    save,
    saved,
    saved_slots,
    set_edges,
    spans,
    writes,
)
from torchlens_core.functions import FACTS, FunctionInfo, Role
from torchlens_core.nodes import (
    BUFFER,
    CONSTANT,
    ESCAPE,
    INPUT,
    OP,
    Edge,
    Node,
    Value,
    values_in,
)
from torchlens_core.places import Layer, Site
from torchlens_core.recording import Recording

Change = Callable[[Recording, Random], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A kind of mistake."""

    change: Change
    #: The checks of which one must see it.
    claims: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.change.__name__


MUTATIONS: list[Mutation] = []


def claims(*checks: str) -> Callable[[Change], Change]:
    """Enter a mutation that one of ``checks`` must see."""

    def enter(change: Change) -> Change:
        MUTATIONS.append(Mutation(change=change, claims=checks))
        return change

    return enter


# -- ops ---------------------------------------------------------------------------------------------


@claims("completeness", "replay")
def bypass_op(recording: Recording, random: Random) -> str | None:
    """An op is not there: who read it reads its first argument."""
    found = [node for node in recording.nodes if launches(node) and any(values_in(node.args, node.kwargs))]
    node: Node | None = any_of(random, found)
    if node is None:
        return None
    described = name(node)
    _, first = next(values_in(node.args, node.kwargs))
    replace_everywhere(recording, {key(value): first for value in node.values})
    place_of = places(recording)
    del place_of[node.index]
    arrange(recording, place_of)
    return described


@claims("completeness", "replay")
def lose_op(recording: Recording, random: Random) -> str | None:
    """An op is not there, and its number is that of the next: who read it reads that."""
    node: Node | None = any_of(
        random, [n for n in recording.nodes if launches(n) and is_read(recording, n)]
    )
    return None if node is None else _lose(recording, node)


def _lose(recording: Recording, node: Node) -> str:
    described = name(node)
    place_of = places(recording)
    del place_of[node.index]
    arrange(recording, place_of)
    return described


@claims("completeness")
def lose_unread_op(recording: Recording, random: Random) -> str | None:
    """An op that nobody reads is not there; that no module call names it either is left to chance."""
    found = [node for node in recording.nodes if launches(node) and not _is_named(recording, node)]
    node: Node | None = any_of(random, found)
    return None if node is None else _lose(recording, node)


def _is_named(recording: Recording, node: Node) -> bool:
    given = (value for other in recording.nodes for _, value in values_in(other.args, other.kwargs))
    return is_read(recording, node) or any(value.node == node.index for value in given)


@claims("completeness")
def lose_escape(recording: Recording, random: Random) -> str | None:
    """A value that went to Python is not there; those that are read without a kernel are left out."""
    node: Node | None = any_of(random, [n for n in recording.nodes if n.kind is ESCAPE and reads_bytes(n)])
    return None if node is None else _lose(recording, node)


@claims("completeness", "dependence")
def op_becomes_constant(recording: Recording, random: Random) -> str | None:
    """An op was not seen, and its result entered as a constant; ops that write are another matter."""
    found = [
        node
        for node in recording.nodes
        if launches(node) and len(node.values) == 1 and not writes(node) and is_read(recording, node)
        if saved(recording, node.values[0]) is not None
    ]
    node: Node | None = any_of(random, found)
    if node is None:
        return None
    constant = Node(FunctionInfo(name=CONSTANT, role=Role.OP), node.index, CONSTANT)
    constant.address = None
    constant.site = Site(Layer(CONSTANT, CONSTANT, "", 99, 0), ())
    constant.values, constant.saved, constant.versions = node.values, node.saved, node.versions
    constant.values[0].time = -1
    nodes = [constant if other is node else other for other in recording.nodes]
    object.__setattr__(recording, "nodes", nodes)
    recording.__post_init__()
    return name(node)


@claims("completeness", "replay")
def duplicate_op(recording: Recording, random: Random) -> str | None:
    """An op is there twice, and its readers read the second."""
    node: Node | None = any_of(random, [node for node in recording.nodes if launches(node)])
    if node is None:
        return None
    described = name(node)
    twin = copy.copy(node)
    twin.index = len(recording.nodes)
    twin.values = [copy.copy(value) for value in node.values]
    for value in twin.values:
        value.node = value.time = twin.index
    replace_everywhere(
        recording, {key(old): new for old, new in zip(node.values, twin.values, strict=True)}
    )
    arrange(recording, places(recording) | {twin.index: (node.index, 1)}, [twin])
    return described


@claims("completeness", "replay")
def move_op_before_what_it_reads(recording: Recording, random: Random) -> str | None:
    """An op stands before an op that it depends on; it remains in its module call."""
    found = [
        (node, edge.origin.node)
        for node in recording.nodes
        if launches(node)
        for edge in node.edges
        if launches(recording.nodes[edge.origin.node])
    ]
    choice = any_of(random, found)
    if choice is None:
        return None
    node, origin = choice
    described = f"{name(node)} before {name(recording.nodes[origin])}"
    node.call = recording.call_of[node.index]
    arrange(recording, places(recording) | {node.index: (origin, -1)})
    return described


@claims("completeness")
def swap_neighbours(recording: Recording, random: Random) -> str | None:
    """Two ops that are independent of each other stand in another order, in one module call.

    Left out: two of one function, whose kernels are as before; two views, which may be the same kernel by
    another name; ops of which one writes memory that the other touches: they are not independent.
    """
    ends = spans(recording)
    pairs = zip(recording.nodes, recording.nodes[1:], strict=False)
    found = [
        pair
        for pair in pairs
        if all(map(launches, pair)) and pair[1].index not in ends and _are_independent(*pair)
    ]
    choice = any_of(random, found)
    if choice is None:
        return None
    one, other = choice
    described = f"{name(one)} and {name(other)}"
    place_of = places(recording)
    place_of[one.index], place_of[other.index] = place_of[other.index], place_of[one.index]
    arrange(recording, place_of)
    return described


def _are_independent(one: Node, other: Node) -> bool:
    if one.info.name == other.info.name or (is_look(one) and is_look(other)):
        return False
    mine = {id(value.storage) for value in one.values}
    given = {id(value.storage) for _, value in values_in(one.args, one.kwargs)}
    theirs = {id(value.storage) for _, value in values_in(other.args, other.kwargs)}
    theirs |= {id(value.storage) for value in other.values}
    if any(edge.origin.node == one.index for edge in other.edges):
        return False
    if writes(one) or writes(other):
        return not (mine | given) & theirs
    given_values = (value for _, value in values_in(other.args, other.kwargs))
    return not any(value.node == one.index for value in given_values)


# -- edges -------------------------------------------------------------------------------------------


def _and(found: Dependence) -> str:
    return f"{name(found.node)} from {found.edge.origin.node}"


@claims("dependence")
def drop_edge(recording: Recording, random: Random) -> str | None:
    """An edge is not there."""
    found: Dependence | None = any_of(random, dependences(recording))
    if found is None:
        return None
    set_edges(found.node, [e for n, e in enumerate(found.node.edges) if n != found.number])
    return _and(found)


@claims("dependence")
def drop_last_writer(recording: Recording, random: Random) -> str | None:
    """An edge from an op that wrote memory of others is not there: what was read is what was there before."""
    found = [d for d in dependences(recording) if writes(recording.nodes[d.edge.origin.node])]
    choice: Dependence | None = any_of(random, found)
    if choice is None:
        return None
    set_edges(choice.node, [e for n, e in enumerate(choice.node.edges) if n != choice.number])
    return _and(choice)


@claims("dependence")
def drop_first_writer(recording: Recording, random: Random) -> str | None:
    """Of several writers of what an argument shows, only the last is there."""
    found = [
        d
        for d in dependences(recording)
        if [e for e in d.node.edges if e.path == d.edge.path and e.origin.time > d.edge.origin.time]
    ]
    choice: Dependence | None = any_of(random, found)
    if choice is None:
        return None
    set_edges(choice.node, [e for n, e in enumerate(choice.node.edges) if n != choice.number])
    return _and(choice)


@claims("dependence")
def add_edge(recording: Recording, random: Random) -> str | None:
    """There is an edge from memory that the node has nothing to do with."""
    found = [
        node
        for node in recording.nodes
        if reads_bytes(node) and node.edges and not (is_look(node) and not is_read(recording, node))
        if elsewhere(recording, node)
    ]
    node: Node | None = any_of(random, found)
    if node is None:
        return None
    origin: Value = any_of(random, elsewhere(recording, node))
    edge = random.choice(list(node.edges))
    set_edges(node, [*node.edges, Edge(origin, edge.path, edge.slot)])
    return f"{name(node)} from {name(recording.nodes[origin.node])}"


@claims("dependence")
def add_edge_to_overwritten(recording: Recording, random: Random) -> str | None:
    """What was overwritten whole is said to be read still: the writer before the last.

    Left out: a writer that wrote a part, or that read what it has changed, through which the older one is
    behind it all the same; and an older one of which other bytes are still read.
    """
    found = []
    for node in recording.nodes:
        for number, edge in enumerate(node.edges if reads_bytes(node) and not is_look(node) else ()):
            last = recording.nodes[edge.origin.node]
            if last.kind is OP and edge.certain and _overwrites(last, edge.origin):
                known = set().union(*(behind(recording, e.origin) for e in node.edges))
                found += [
                    (node, number, value)
                    for _, value in values_in(last.args, last.kwargs)
                    if value.ref is edge.origin.ref and not behind(recording, value) & known
                ]
    choice = any_of(random, found)
    if choice is None:
        return None
    node, number, value = choice
    edge = node.edges[number]
    set_edges(node, [*node.edges, Edge(value, edge.path, edge.slot)])
    return f"{name(node)} from {name(recording.nodes[value.node])}"


def _overwrites(node: Node, written: Value) -> bool:
    """Whether ``node`` has given a whole tensor other contents without a look at the old ones."""
    old = [value for _, value in values_in(node.args, node.kwargs) if value.ref is written.ref]
    is_whole = node.info.name in ("copy_", "fill_", "zero_") and tuple(written.shape) == tuple(old[0].shape)
    return bool(old) and is_whole and not any(edge.origin.node == old[0].node for edge in node.edges)


@claims("replay", "dependence")
def rewire(recording: Recording, random: Random) -> str | None:
    """A node is handed another tensor, of other memory and with other contents, by its arguments and edges."""
    choice: Reading | None = any_of(random, readings(recording))
    if choice is None:
        return None
    others = [v for v in elsewhere(recording, choice.node) if differ(recording, v, choice.value)]
    new: Value | None = any_of(random, alike_first(recording, choice.value, others))
    if new is None:
        return None
    described = f"{name(choice.node)} reads {name(recording.nodes[new.node])}"
    replace_reading(choice, new)
    return described


@claims("dependence")
def rewire_edge_alone(recording: Recording, random: Random) -> str | None:
    """An edge comes from other memory than the argument that is read."""
    found: Dependence | None = any_of(random, dependences(recording))
    if found is None:
        return None
    others = elsewhere(recording, found.node)
    new: Value | None = any_of(random, alike_first(recording, found.edge.origin, others))
    if new is None:
        return None
    edges = list(found.node.edges)
    edges[found.number] = found.edge._replace(origin=new)
    set_edges(found.node, edges)
    return f"{_and(found)} now from {name(recording.nodes[new.node])}"


@claims("replay", "dependence")
def swap_result(recording: Recording, random: Random) -> str | None:
    """A node reads another result of an op with several, by its arguments and edges.

    Left out: results with equal contents.
    """
    found = [
        (reading, other)
        for reading in readings(recording)
        for other in recording.nodes[reading.value.node].values
        if other.slot != reading.value.slot and differ(recording, other, reading.value)
    ]
    choice = any_of(random, found)
    if choice is None:
        return None
    reading, other = choice
    described = f"{name(reading.node)}: {reading.value.slot} to {other.slot} of {reading.value.node}"
    replace_reading(reading, other)
    return described


@claims("dependence")
def swap_result_of_edge(recording: Recording, random: Random) -> str | None:
    """An edge names another result of an op, the argument does not; left out: results in the same memory."""
    found = [
        (d, other)
        for d in dependences(recording)
        for other in recording.nodes[d.edge.origin.node].values
        if other.storage is not d.edge.origin.storage and 0 not in other.shape
    ]
    choice = any_of(random, found)
    if choice is None:
        return None
    (node, number, edge), other = choice
    edges = list(node.edges)
    edges[number] = edge._replace(origin=other)
    set_edges(node, edges)
    return f"{name(node)}: {edge.origin.slot} to {other.slot} of {edge.origin.node}"


@claims("replay")
def swap_arguments(recording: Recording, random: Random) -> str | None:
    """Two arguments are exchanged; left out: equal ones, and functions that are told so little (``a + b``)."""
    found = [
        node
        for node in recording.nodes
        if launches(node)
        and node.info.name not in ("add", "mul", "maximum", "minimum")
        and not writes(node)
        if len(node.args) > 1 and all(type(arg) is Value for arg in node.args[:2])
        if tuple(node.args[0].shape) == tuple(node.args[1].shape)
        if differ(recording, node.args[0], node.args[1])
    ]
    node: Node | None = any_of(random, found)
    if node is None:
        return None
    exchanged = {0: 1, 1: 0}
    if node.special_edges is not None:
        set_edges(
            node, [e._replace(path=(exchanged.get(e.path[0], e.path[0]), *e.path[1:])) for e in node.edges]
        )
    node.args = (node.args[1], node.args[0], *node.args[2:])
    return name(node)


# -- values ------------------------------------------------------------------------------------------


def _which(recording: Recording, value: Value) -> str:
    return f"{name(recording.nodes[value.node])}, {value.slot}"


@claims("replay")
def alter_element(recording: Recording, random: Random) -> str | None:
    """One element of what was saved is another; left out: elements that one more does not change."""
    value: Value | None = any_of(random, saved_slots(recording))
    if value is None:
        return None
    kept = saved(recording, value)
    assert kept is not None
    at = random.randrange(kept.numel())
    changed = altered(kept, at)
    if torch.equal(changed, kept) or changed.isnan().any():
        return None
    save(recording, value, changed)
    return f"{_which(recording, value)}, element {at}"


@claims("replay")
def alter_dtype(recording: Recording, random: Random) -> str | None:
    """What was saved has another dtype and the same numbers."""
    value: Value | None = any_of(random, [v for v in saved_slots(recording) if not v.dtype.is_complex])
    if value is None:
        return None
    kept = saved(recording, value)
    assert kept is not None
    save(recording, value, kept.half() if kept.dtype is torch.float64 else kept.double())
    return _which(recording, value)


@claims("replay")
def alter_strides(recording: Recording, random: Random) -> str | None:
    """What was saved lies otherwise in memory.

    Left out: what has gaps or overlaps in memory, since a copy of that need not lie as it did.
    """
    found = [value for value in saved_slots(recording) if _turned(saved(recording, value)) is not None]
    value: Value | None = any_of(random, found)
    if value is None:
        return None
    turned = _turned(saved(recording, value))
    assert turned is not None
    save(recording, value, turned)
    return _which(recording, value)


def _turned(tensor: Tensor | None) -> Tensor | None:
    """The same with the strides of its first and last dimension in the other order, if they have one."""
    if tensor is None or tensor.dim() < 2 or min(tensor.shape[0], tensor.shape[-1]) < 2:
        return None
    if not _is_dense(tensor):
        return None
    turned = tensor.transpose(0, -1).contiguous().transpose(0, -1)
    if turned.stride() == tensor.stride():
        turned = tensor.contiguous()
    return None if turned.stride() == tensor.stride() else turned


def _is_dense(tensor: Tensor) -> bool:
    """Whether ``tensor`` fills its memory, each element once."""
    expected = 1
    for stride, size in sorted((s, n) for s, n in zip(tensor.stride(), tensor.shape, strict=True) if n > 1):
        if stride != expected:
            return False
        expected *= size
    return True


@claims("replay")
def swap_values(recording: Recording, random: Random) -> str | None:
    """What was saved of two ops is exchanged; left out: equal contents."""
    slots = saved_slots(recording)
    one: Value | None = any_of(random, slots)
    if one is None:
        return None
    others = [v for v in slots if v.node != one.node and differ(recording, v, one)]
    other: Value | None = any_of(random, alike_first(recording, one, others))
    if other is None:
        return None
    first, second = saved(recording, one), saved(recording, other)
    assert first is not None
    assert second is not None
    save(recording, one, second)
    save(recording, other, first)
    return f"{_which(recording, one)} and {_which(recording, other)}"


@claims("replay")
def alter_input(recording: Recording, random: Random) -> str | None:
    """What was saved of an input or a buffer is not what the model was given."""
    return _alter_source(recording, random, (INPUT, BUFFER))


@claims("replay")
def alter_constant(recording: Recording, random: Random) -> str | None:
    """What was saved of a constant is not what was read."""
    return _alter_source(recording, random, (CONSTANT,))


def _alter_source(recording: Recording, random: Random, kinds: tuple[str, ...]) -> str | None:
    """Left out: what is read by no op, and what nobody would miss: a number that is written over."""
    found = [
        value
        for node in recording.nodes
        if node.kind in kinds and node.memory is None and node.saved is not None
        for value in node.values
        if saved(recording, value) is not None and 0 not in value.shape and is_read(recording, node)
    ]
    value: Value | None = any_of(random, found)
    if value is None:
        return None
    kept = saved(recording, value)
    assert kept is not None
    save(recording, value, altered(kept))
    return name(recording.nodes[value.node])


@claims("replay")
def alter_escape(recording: Recording, random: Random) -> str | None:
    """Python got another value than the one that was noted."""
    node: Node | None = any_of(
        random, [n for n in recording.nodes if n.kind is ESCAPE and n.result is not None]
    )
    if node is None:
        return None
    got = node.result
    node.result = not got if isinstance(got, bool) else [*got, 1] if isinstance(got, list) else got + 1
    return name(node)


@claims("replay")
def lose_generator(recording: Recording, random: Random) -> str | None:
    """The state of a generator before a draw was not kept.

    Left out: draws behind another of the same generator, which goes on from there by itself.
    """
    seen: set[int | None] = set()
    found = []
    for node in recording.nodes:
        owners = {None if state.generator is None else id(state.generator) for state in node.rng}
        if owners - seen:
            found.append(node)
        seen |= owners
    node: Node | None = any_of(random, found)
    if node is None:
        return None
    node.rng = ()
    return name(node)


@claims("replay")
def alter_function(recording: Recording, random: Random) -> str | None:
    """An op is said to be another function of the same arguments."""
    others = {
        "add": torch.sub,
        "mul": torch.add,
        "sub": torch.add,
        "tanh": torch.sigmoid,
        "relu": torch.tanh,
    }
    found = [
        node for node in recording.nodes if node.info.name in others and launches(node) and not node.kwargs
    ]
    node: Node | None = any_of(random, found)
    if node is None:
        return None
    described = name(node)
    node.info = FACTS[others[node.info.name]]
    node.args = tuple(arg for arg in node.args if not isinstance(arg, bool))
    return described


# -- module calls ------------------------------------------------------------------------------------


def _moves(recording: Recording, outward: bool) -> list[tuple]:
    """Ends of module calls at which an op with a kernel can fall out of a call, or into it.

    Left out: an op of an inner call, which remains in that wherever the outer one ends.
    """
    found = []
    for call in recording.calls:
        for end, inside, outside in (
            ("first", call.first, call.first - 1),
            ("last", call.last - 1, call.last),
        ):
            index = inside if outward else outside
            if not 0 <= index < len(recording.nodes) or call.last <= call.first:
                continue
            node = recording.nodes[index]
            owner = call if outward else call.parent
            if launches(node) and node.call is None and recording.call_of[index] is owner:
                found.append((call, end, node))
    return found


def _move(recording: Recording, random: Random, outward: bool) -> str | None:
    choice = any_of(random, _moves(recording, outward))
    if choice is None:
        return None
    call, end, node = choice
    setattr(call, end, getattr(call, end) + (1 if outward == (end == "first") else -1))
    recording.__post_init__()
    return f"{name(node)} at the {end} of {call_name(call)}"


@claims("modules")
def op_falls_out_of_call(recording: Recording, random: Random) -> str | None:
    """A module call ends too early or begins too late."""
    return _move(recording, random, outward=True)


@claims("modules")
def op_falls_into_call(recording: Recording, random: Random) -> str | None:
    """A module call ends too late or begins too early."""
    return _move(recording, random, outward=False)


@claims("modules")
def rename_call(recording: Recording, random: Random) -> str | None:
    """A module is said to stand elsewhere."""
    call = any_of(random, recording.calls)
    others = sorted({c.address for c in recording.calls} - {call.address})
    described = call_name(call)
    call.address = random.choice([*others, f"{call.address}x"])
    return f"{described} to {call.address}"


@claims("modules")
def alter_class(recording: Recording, random: Random) -> str | None:
    """A module is said to be of another class."""
    call = any_of(random, recording.calls)
    call.class_name = random.choice(
        sorted({c.class_name for c in recording.calls} - {call.class_name}) or ["X"]
    )
    return f"{call_name(call)} to {call.class_name}"


@claims("modules")
def alter_number(recording: Recording, random: Random) -> str | None:
    """A call is said to be a later one of its module."""
    call = any_of(random, recording.calls)
    described = call_name(call)
    call.number += 1
    return described


@claims("modules")
def flip_training(recording: Recording, random: Random) -> str | None:
    """A module is said to be in the other mode."""
    call = any_of(random, recording.calls)
    call.training = not call.training
    return call_name(call)


@claims("modules")
def lose_call(recording: Recording, random: Random) -> str | None:
    """A call was not seen: its ops are those of the outer one, and later calls count one less."""
    lost = any_of(random, [call for call in recording.calls if call.parent is not None])
    if lost is None:
        return None
    described = call_name(lost)
    for call in recording.calls:
        if call.parent is lost:
            call.parent = lost.parent
        if call.address == lost.address and call.index > lost.index:
            call.number -= 1
    for node in recording.nodes:
        if node.call is lost:
            node.call = lost.parent
    arrange_calls(recording, [call for call in recording.calls if call is not lost])
    return described


@claims("modules")
def swap_calls(recording: Recording, random: Random) -> str | None:
    """Two calls in one outer call, without inner ones, stand in another order."""
    outer = {id(call.parent) for call in recording.calls}
    leaves = [call for call in recording.calls if id(call) not in outer and call.parent is not None]
    pairs = [(a, b) for n, a in enumerate(leaves) for b in leaves[n + 1 :] if a.parent is b.parent]
    choice = any_of(random, pairs)
    if choice is None:
        return None
    one, other = choice
    calls = list(recording.calls)
    calls[one.index], calls[other.index] = other, one
    arrange_calls(recording, calls)
    return f"{call_name(one)} and {call_name(other)}"


def _exchange(recording: Recording, random: Random, side: str) -> str | None:
    """Another tensor in place of one that a module call took or returned; left out: equal contents."""
    call = any_of(random, [call for call in recording.calls if getattr(call, side)])
    if call is None:
        return None
    values = list(getattr(call, side))
    number = random.randrange(len(values))
    last = recording.nodes[min(call.last, len(recording.nodes) - 1)]
    others = [
        value
        for value in earlier(recording, last)
        if value.ref is not values[number].ref and differ(recording, value, values[number])
    ]
    new = any_of(random, alike_first(recording, values[number], others))
    if new is None:
        return None
    values[number] = new
    setattr(call, side, values)
    return f"{number} of {call_name(call)}, {name(recording.nodes[new.node])}"


@claims("modules")
def exchange_input_of_call(recording: Recording, random: Random) -> str | None:
    """A module is said to have been given another tensor."""
    return _exchange(recording, random, "inputs")


@claims("modules")
def exchange_output_of_call(recording: Recording, random: Random) -> str | None:
    """A module is said to have returned another tensor."""
    return _exchange(recording, random, "outputs")


@claims("modules")
def outdate_output_of_call(recording: Recording, random: Random) -> str | None:
    """A module is said to have returned what its tensor was before it was changed in place: the same object."""
    found = [
        (call, number, value)
        for call in recording.calls
        for number, returned in enumerate(call.outputs)
        if writes(recording.nodes[returned.node])
        for _, value in values_in(recording.nodes[returned.node].args, {})
        if value.ref is returned.ref and differ(recording, value, returned)
    ]
    choice = any_of(random, found)
    if choice is None:
        return None
    call, number, value = choice
    call.outputs = [value if n == number else returned for n, returned in enumerate(call.outputs)]
    return f"{number} of {call_name(call)}, {name(recording.nodes[value.node])}"


@claims("modules")
def lose_output_of_call(recording: Recording, random: Random) -> str | None:
    """A module is said to have returned less than it did."""
    call = any_of(random, [call for call in recording.calls if call.outputs])
    if call is None:
        return None
    call.outputs = list(call.outputs)[:-1]
    return call_name(call)
