"""A snapshot as a `Tree`: what runs in a loop once, in a group of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from torchlens_core.draw.tree import Group, Leaf, Tree, Wire, prune
from torchlens_core.draw.words import (
    Words,
    category_of,
    count,
    count_of,
    details_of,
    names_of,
    output_words,
    shape_of,
)
from torchlens_core.snapshot.naming import readable_name
from torchlens_core.snapshot.outline import (
    Body,
    Call,
    Carried,
    Held,
    Item,
    Loop,
    Op,
    Operand,
    Outline,
    Output,
    Ref,
    address_of,
    count_ops,
    default_returns,
    elements,
    parameters_in,
    refs_of,
)

#: A leaf whose value is read, which of its values, and as what: ``data``, ``back`` for that of the pass before,
#: ``memory`` where it is overwritten unread.
Source = tuple[Leaf, int, str]


def tree_of_outline(outline: Outline, *, buffers: bool = False) -> Tree:
    """The graph that a snapshot holds."""
    grower = Grower(buffers)
    root = Group(None, class_name=readable_name(outline.model), entry=outline)
    scope = grower.body(outline.body, root)
    outputs = [grower.output(output, root) for output in outline.outputs]
    wires = list(scope.wires())
    for leaf, output in zip(outputs, outline.outputs, strict=True):
        wires += wires_to(leaf, scope.sources(output.operand))
    prune(root)
    return Tree(root.class_name, root, wires, subtitle(outline))


def subtitle(outline: Outline) -> str:
    """``12 ops · 11.7M params``."""
    parameters = parameters_in(outline.body) + sum(one.elements for one in outline.unused)
    return f"{count_of(count_ops(outline.body), 'op')} · {count(parameters)} params"


class Scope:
    """The names of one body. What they stand for is found when asked: a loop reads what comes later in it."""

    def __init__(self, around: Scope | None, given: Sequence[Operand], returns: Sequence[Operand]) -> None:
        self._around = around
        self._given = given
        self._returns = returns
        #: By name: what is made here, what each of it reads, and the scopes of modules called here.
        self.leaves: dict[str, Leaf] = {}
        self._reads: dict[str, Sequence[Operand]] = {}
        self.inner: dict[str, Scope] = {}

    def add(self, name: str, leaf: Leaf, reads: Sequence[Operand] = ()) -> None:
        """Note what a name stands for, and what it reads."""
        self.leaves[name] = leaf
        self._reads[name] = reads

    def enter(self, name: str, given: Sequence[Operand], returns: Sequence[Operand]) -> Scope:
        """The scope of a module that is called here."""
        self.inner[name] = Scope(self, given, returns)
        return self.inner[name]

    def sources(self, operand: Operand) -> list[Source]:
        """What an operand is made of."""
        return list(dict.fromkeys(self._sources(operand, set())))

    def _sources(self, operand: Operand, seen: set[tuple[int, str, int]]) -> Iterator[Source]:
        carried = refs_of(operand.then) if isinstance(operand, Carried) else ()
        for ref in refs_of(operand):
            step = (id(self), ref.name, ref.slot)
            if step not in seen:
                seen.add(step)
                own = "back" if ref in carried else "data" if ref.is_read else "memory"
                for leaf, slot, kind in self._named(ref, seen):
                    yield leaf, slot, own if kind == "data" else kind

    def _named(self, ref: Ref, seen: set[tuple[int, str, int]]) -> Iterator[Source]:
        if ref.name[0] == "$":
            number = int(ref.name[1:])
            if self._around is not None and number < len(self._given):
                yield from self._around._sources(self._given[number], seen)
        elif ref.name in self.leaves:
            yield self.leaves[ref.name], ref.slot, "data"
        elif ref.name in self.inner:
            inner = self.inner[ref.name]
            if ref.slot < len(inner._returns):
                yield from inner._sources(inner._returns[ref.slot], seen)

    def shape(self) -> str:
        """The shapes of what is returned."""
        found = [source for operand in self._returns for source in self.sources(operand)[:1]]
        ops = [(leaf.entry, slot) for leaf, slot, _ in found]
        return shape_of([op.specs[slot] for op, slot in ops if isinstance(op, Op) and slot < len(op.specs)])

    def wires(self) -> Iterator[Wire]:
        """The wires to everything in the body and beneath."""
        for name, leaf in self.leaves.items():
            for operand in self._reads[name]:
                yield from wires_to(leaf, self.sources(operand))
        for inner in self.inner.values():
            yield from inner.wires()


def wires_to(head: Leaf, sources: Iterable[Source]) -> Iterator[Wire]:
    """Wires to a leaf from what an operand is made of."""
    for tail, slot, kind in sources:
        label = str(slot) if _has_several(tail) else ""
        yield Wire(tail, head, kind, label)


class Grower:
    """Turns items into leaves and groups."""

    def __init__(self, buffers: bool = False) -> None:
        self._buffers = buffers
        self._order = 0

    def body(self, body: Body, group: Group) -> Scope:
        """Everything in the body of the model."""
        scope = Scope(None, (), _returns(body))
        self._items(body.items, group, scope)
        return scope

    def call(self, name: str, body: Body, group: Group, around: Scope, given: Sequence[Operand]) -> Scope:
        """Everything in the body of a module that is called in ``around``."""
        scope = around.enter(name, given, _returns(body))
        self._items(body.items, group, scope)
        return scope

    def _items(self, items: Sequence[Item], group: Group, scope: Scope) -> None:
        for item in items:
            if isinstance(item, Loop):
                loop = Group(group, "loop", address=group.address)
                loop.passes = item.passes
                self._items(item.items, loop, scope)
            elif isinstance(item, Op):
                self._hold(item, group, scope)
                scope.add(item.name, self.op(item, group), item.operands)
            else:
                inner = group_of(item, group)
                inner.shape = self.call(item.name, item.body, inner, scope, item.arguments).shape()

    def op(self, op: Op, group: Group) -> Leaf:
        """The leaf of an op."""
        self._order += 1
        return Leaf(group, words_of(op), self._order, readable_name(op.name), op)

    def _hold(self, op: Op, group: Group, scope: Scope) -> None:
        """Put buffers beside what reads them."""
        for held in op.held if self._buffers else ():
            if held.is_buffer and held.name not in scope.leaves:
                self._order += 1
                name = _address(held)
                words = Words("buffer", name.rpartition(".")[2], "buffer", shape_of([held.spec]))
                scope.add(held.name, Leaf(group, words, self._order, name))

    def output(self, output: Output, group: Group) -> Leaf:
        """The leaf of an output."""
        self._order += 1
        return Leaf(group, words_of_output(output), self._order)


def _returns(body: Body) -> Sequence[Operand]:
    return body.returns or default_returns(body.items)


def _has_several(leaf: Leaf) -> bool:
    return isinstance(leaf.entry, Op) and len(leaf.entry.specs) > 1


def group_of(call: Call, around: Group) -> Group:
    """The group of a call, still empty."""
    inner = address_of(around.address, call)
    return Group(
        around,
        address=inner,
        name=readable_name(call.name.partition("#")[0]),
        class_name=readable_name(call.class_name),
        parameters=parameters_in(call.body, inner),
        entry=call,
    )


def words_of(op: Op) -> Words:
    """The texts of an op."""
    shape = shape_of(op.results or op.written)
    kind = readable_name(op.kind)
    if kind in ("input", "constant"):
        name = readable_name(op.name)
        return Words(kind, kind, "", shape, 0, "" if name.partition("#")[0] == kind else name)
    held = [one.spec for one in op.held if not one.is_buffer]
    details = details_of(kind, [(one.keyword, one.text) for one in op.arguments], held)
    category = "escape" if op.mark == "python" else category_of(kind)
    names = names_of(_address(one) for one in op.held if not one.is_buffer)
    return Words(category, kind, details, shape, sum(map(elements, held)), names)


def words_of_output(output: Output) -> Words:
    """The texts of an output."""
    return output_words(readable_name(output.name), shape_of([output.spec]))


def _address(held: Held) -> str:
    return readable_name(held.name).lstrip("@^/")
