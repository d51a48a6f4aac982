"""A history as a `Tree`: a leaf a layer, or a leaf a pass, in the modules that were called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from torchlens_core import structure
from torchlens_core.draw.tree import Group, Leaf, Tree, Wire, enclosed, groups_of, leaves_in, prune
from torchlens_core.draw.walks import Walks
from torchlens_core.draw.words import (
    Words,
    category_of,
    count,
    count_of,
    cut,
    details_of,
    names_of,
    output_words,
    shape_of,
)
from torchlens_core.entries import Layer, ModuleCall, Op
from torchlens_core.nodes import BUFFER, CONSTANT, ESCAPE, INPUT, OP, OUTPUT, PARAMETER, Call, Node, Value
from torchlens_core.recording import Recording
from torchlens_core.snapshot import spelling, wording
from torchlens_core.snapshot.frames import reads_of
from torchlens_core.snapshot.naming import readable_name, written_name
from torchlens_core.snapshot.outline import HOLE

if TYPE_CHECKING:
    from torchlens_core.history import ModelHistory

#: So few passes that do not read each other are drawn one by one.
MAX_APART = 8
_SOURCES = (INPUT, BUFFER, CONSTANT, PARAMETER)


def tree_of_history(
    history: ModelHistory,
    *,
    rolled: bool = True,
    buffers: bool = False,
    parameters: bool = False,
    gradients: bool = False,
) -> Tree:
    """The forward pass of ``history``; with ``gradients``, dashed edges back to where gradients were saved."""
    hidden = {kind for kind, shown in ((PARAMETER, parameters), (BUFFER, buffers)) if not shown}
    builder = _Builder(history, rolled, hidden)
    tree = builder.tree()
    if gradients:
        builder.add_gradients(tree)
    return tree


class _Builder:
    """Walks the nodes of a history once."""

    def __init__(self, history: ModelHistory, rolled: bool, hidden: set[str]) -> None:
        self._history = history
        self._recording = history.recording
        self._rolled = rolled
        self._hidden = hidden
        self._root = Group(None, class_name=history.model_name, entry=history)
        self._leaf_of: dict[int, Leaf] = {}
        self._groups: dict[tuple[int, Any], Group] = {}
        self._parameters = {"": history.total_params, **history.module_nparams}
        self._walks = Walks(self._recording)
        #: By first node and number of passes; leaves grow twice where some are drawn one by one.
        self._words: dict[tuple[int, int], Words] = {}
        #: Layers whose passes are drawn one by one.
        self._apart: set[int] = set()

    def tree(self) -> Tree:
        """The whole."""
        nodes = [node for node in self._recording.nodes if node.kind not in self._hidden]
        self._grow(nodes)
        if self._rolled:
            self._find_apart(nodes)
            if self._apart:
                self._root.inside.clear()
                self._groups.clear()
                self._grow(nodes)
            roll(self._root, 1, self._recurrent(nodes))
        number = sum(node.kind is OP for node in nodes)
        subtitle = f"{count_of(number, 'op')} · {count(self._history.total_params)} params"
        return Tree(self._history.model_name, self._root, list(self._wires(nodes)), subtitle)

    def _grow(self, nodes: Sequence[Node]) -> None:
        """Leaves and groups, with how often each ran in the whole pass."""
        layers: dict[Any, list[Node]] = {}
        for node in nodes:
            layers.setdefault(self._key(node), []).append(node)
        places = self._places(nodes)
        for passes in layers.values():
            leaf = self._leaf(passes, self._group(places[passes[0].index]))
            for node in passes:
                self._leaf_of[node.index] = leaf
        if self._rolled:
            self._count_passes(places, nodes)
        prune(self._root)

    def _recurrent(self, nodes: Iterable[Node]) -> set[Leaf]:
        """Leaves of which a pass reads what a pass of the same or a later leaf made before."""
        found: set[Leaf] = set()
        for node in nodes:
            head = self._leaf_of[node.index]
            if head.passes > 1:
                tails = (self._leaf_of.get(edge.origin.node) for edge in node.edges)
                back = [
                    tail
                    for tail in tails
                    if tail is not None and tail.passes > 1 and tail.order >= head.order
                ]
                found.update(back, [head] if back else [])
        return found

    def _find_apart(self, nodes: Sequence[Node]) -> None:
        """``[f(a), f(b)]`` on one line is two ops, not one that runs twice: neither reads the other."""
        recurrent = self._recurrent(nodes)
        for group in (self._root, *groups_of(self._root)):
            for times, run in groupby(group.inside, lambda one: one.passes):
                parts = list(run)
                if group.passes == 1 < times <= MAX_APART and not _is_loop(parts, recurrent):
                    leaves = [one for one in parts if isinstance(one, Leaf)]
                    nodes_of = (self._recording.nodes[leaf.order] for leaf in leaves)
                    self._apart.update(id(node.site.layer) for node in nodes_of)

    def _key(self, node: Node) -> Any:
        """What the nodes that share a leaf have in common."""
        layer = id(node.site.layer)
        is_place = self._rolled and node.kind in (OP, ESCAPE) and layer not in self._apart
        return (layer, self._walks.of_node(node.index)) if is_place else node.index

    # -- groups ------------------------------------------------------------------------------------

    def _group(self, place: Sequence[Call | str]) -> Group:
        group = self._root
        for step in place:
            key = (id(group), self._way(step))
            found = self._groups.get(key)
            if found is None:
                new = (
                    self._new_call(group, step)
                    if isinstance(step, Call)
                    else self._new_composite(group, step)
                )
                found = self._groups[key] = new
            group = found
        return group

    def _way(self, step: Call | str) -> Any:
        """What calls that share a group have in common."""
        if isinstance(step, Call):
            walks = self._walks.of_call(step.index)
            return step.address, (step.chain, walks) if self._rolled else step.number
        return step

    def _new_call(self, around: Group, call: Call) -> Group:
        name = call.address
        if around.address and name.startswith(f"{around.address}."):
            name = name[len(around.address) + 1 :]
        if not self._rolled and call.number > 1:
            name += f":{call.number}"
        parameters = self._parameters.get(call.address, 0)
        entry = ModuleCall(self._history, call)
        shape = shape_of([str(value.spec) for value in call.outputs])
        return Group(
            around,
            address=call.address,
            name=name,
            class_name=call.class_name,
            parameters=parameters,
            entry=entry,
            shape=shape,
        )

    def _new_composite(self, around: Group, step: str) -> Group:
        name = step.partition(":")[0]
        return Group(around, "composite", name=name, class_name="function")

    def _count_passes(self, places: dict[int, Sequence[Call | str]], nodes: Iterable[Node]) -> None:
        """How often each group ran, which only its calls tell."""
        calls: dict[Group, set[int]] = {}
        for node in nodes:
            group: Group | None = self._leaf_of[node.index].parent
            for step in reversed(places[node.index]):
                if isinstance(step, Call) and group is not None and group.address == step.address:
                    calls.setdefault(group, set()).add(step.index)
                group = group.parent if group is not None else None
        for one, numbers in calls.items():
            one.passes = len(numbers)

    def _places(self, nodes: Sequence[Node]) -> dict[int, Sequence[Call | str]]:
        """What is around each node: calls and composites; sources stand where all that read them do."""
        places: dict[int, Sequence[Call | str]] = {}
        runs: dict[tuple[Any, ...], int] = {}
        before: tuple[Any, ...] = ()
        for node in nodes:
            if node.kind not in _SOURCES and node.kind is not OUTPUT:
                calls = self._history.calls_around(node)
                # with the place in ``forward``: one composite may be called twice, with nothing between
                here = (calls[-1].index if calls else -1, node.site.chain[-2:], *node.composite)
                if here != before and node.composite:
                    runs[here] = runs.get(here, 0) + 1
                before = here
                places[node.index] = (*calls, *(f"{name}:{runs[here]}" for name in node.composite))
        for node in nodes:
            place = places.get(node.index, ())
            for edge in node.edges:
                source = edge.origin.node
                if self._recording.nodes[source].kind in (BUFFER, CONSTANT, PARAMETER):
                    places[source] = self._common(places[source], place) if source in places else place
        return {node.index: places.get(node.index, ()) for node in nodes}

    def _common(self, a: Sequence[Call | str], b: Sequence[Call | str]) -> Sequence[Call | str]:
        length = 0
        while length < min(len(a), len(b)) and self._way(a[length]) == self._way(b[length]):
            length += 1
        return a[:length]

    # -- leaves ------------------------------------------------------------------------------------

    def _leaf(self, passes: Sequence[Node], group: Group) -> Leaf:
        node = passes[0]
        op = self._history.op_at(node.index)
        key = node.index, len(passes)
        words = self._words.get(key) or _words(passes, self._recording)
        self._words[key] = words
        if node.kind is PARAMETER:
            return Leaf(group, words, node.index, op.address or "")
        is_apart = len(passes) == 1 < op.layer_passes_total  # of a layer whose passes are drawn one by one
        label = op.layer_label_no_pass if self._rolled and not is_apart else op.layer_label
        entry = (
            Layer(self._history, [self._history.op_at(one.index) for one in passes]) if self._rolled else op
        )
        leaf = Leaf(group, words, node.index, _tooltip(op, label), entry)
        leaf.labels = [label]
        leaf.passes = len(passes)
        return leaf

    # -- wires -------------------------------------------------------------------------------------

    def _wires(self, nodes: Iterable[Node]) -> Iterator[Wire]:
        recorded, leaf_of = self._recording.nodes, self._leaf_of
        seen: dict[tuple[Leaf, Leaf, str], Wire] = {}
        for node in nodes:
            head = leaf_of[node.index]
            for read in reads_of(node):
                origin, slot = read.key
                tail = leaf_of.get(origin)
                if tail is None:
                    continue
                is_back = self._rolled and tail.order >= head.order
                kind = "back" if is_back else "data" if read.is_read else "memory"
                label = str(slot) if len(recorded[origin].values) > 1 else ""
                wire = seen.get((tail, head, kind))
                if wire is None:
                    wire = seen[tail, head, kind] = Wire(tail, head, kind, label)
                    yield wire
                elif label and label not in wire.label.split(","):
                    wire.label = cut(f"{wire.label},{label}", 12)

    def add_gradients(self, tree: Tree) -> None:
        """Edges against the direction of the data wherever a gradient was saved."""
        saved = {index for index, _ in self._recording.gradients}
        for wire in list(tree.wires):
            nodes = [leaf.order for leaf in (wire.tail, wire.head)]
            if all(index in saved or self._recording.nodes[index].kind is OUTPUT for index in nodes):
                tree.wires.append(Wire(wire.head, wire.tail, "gradient"))


def roll(group: Group, runs: int, recurrent: set[Leaf]) -> None:
    """Put neighbours that ran equally often, and oftener than what is around them, in a loop of their own.

    ``passes``, so far counted over the whole pass, are from then on those of one run of what is around.
    """
    inside: list[Leaf | Group] = []
    for times, run in groupby(group.inside, lambda one: one.passes):
        parts = list(run)
        passes = times // runs if times % runs == 0 else times
        is_loop = _is_loop(parts, recurrent)
        for one in parts:
            if isinstance(one, Group):
                roll(one, times, recurrent)
            one.passes, one.is_parallel = passes, not is_loop
        if passes > 1 and len(parts) > 1:
            loop = enclosed("loop" if is_loop else "repeat", parts, group)
            loop.passes, loop.is_parallel = passes, not is_loop
            for one in parts:
                one.passes = 1
            parts = [loop]
        inside += parts
    group.inside = inside


def _is_loop(parts: Sequence[Leaf | Group], recurrent: set[Leaf]) -> bool:
    """Whether what ran several times has parameters, or a pass reads another."""
    return any(leaf in recurrent or leaf.words.parameters for leaf in leaves_in(parts))


def _words(passes: Sequence[Node], recording: Recording) -> Words:
    """The texts of a layer."""
    node = passes[0]
    shape = _once([shape_of(_returned(one)) for one in passes])
    if node.kind is INPUT:
        name = structure.input_name(node.path, recording.forward_parameters)
        return Words(INPUT, "input", "", shape, 0, name if name != "input" else "")
    if node.kind is OUTPUT:
        name = readable_name(written_name(structure.show("output", node.path)))
        return output_words(name, shape)
    if node.kind in (BUFFER, PARAMETER, CONSTANT):
        name = (node.address or "").rpartition(".")[2] or node.kind
        return Words(node.kind, name, "" if name == node.kind else node.kind, shape)
    if node.kind is ESCAPE:
        results = dict.fromkeys(repr(one.result) for one in passes)
        return Words(ESCAPE, node.info.name, "to Python", cut(f"= {', '.join(results)}", 24))
    held = _held(node, recording)
    sizes = [str(value.spec) for value in held]
    spelled = [_spelled(one) for one in passes]
    kind = spelled[0][0]
    details = _once([details_of(*one, sizes) for one in spelled])
    parameters = sum(value.spec.numel for value in held)
    addresses = (recording.nodes[value.node].address or "" for value in held)
    return Words(category_of(kind), kind, details, shape, parameters, names_of(addresses))


def _returned(node: Node) -> list[str]:
    """Specs of what it returns; of what it writes, if it returns nothing."""
    specs = [str(value.spec) for value in node.values]
    return specs[: len(specs) - node.written] or specs


def _held(node: Node, recording: Recording) -> list[Value]:
    """The parameters that an op reads."""
    origins = (edge.origin for edge in node.edges)
    return list({v.node: v for v in origins if recording.nodes[v.node].kind is PARAMETER}.values())


def _once(texts: Sequence[str]) -> str:
    """What differs from pass to pass, as the first and the last."""
    kept = list(dict.fromkeys(texts))
    return kept[0] if len(kept) == 1 else f"{kept[0]} … {kept[-1]}"


def _spelled(node: Node) -> tuple[str, list[tuple[str, str]]]:
    """Kind of an op, and keyword and text of each argument."""
    kind, arguments = spelling.spell(node)
    return kind, [
        ("", f"[{wording.index(value, path, _hole)}]")
        if path == (1,) and kind in ("getitem", "setitem")
        else (keyword, wording.worded(value, path, _hole))
        for keyword, path, value, _ in arguments
    ]


def _hole(path: Any, value: Value) -> str:
    return HOLE


def _tooltip(op: Op, label: str) -> str:
    source = op.source
    return label if source is None else f"{label} · {source.filename.rpartition('/')[2]}:{source.line}"
