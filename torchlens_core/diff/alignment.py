"""Which part of one graph is which of another, as plain data: what a picture of a diff is drawn from.

`torchlens_core.diff.aligned` returns an `Alignment`: one for the models' own bodies, with one inside for each
pair of modules whose bodies differ.

* ``alignment.rows`` are the parts of both bodies, merged: in the order of the new one, what was removed where it
  stood. ``row.old`` and ``row.new`` are the two sides of a row, None where a side has nothing.
* ``row.verdict`` is ``same``, ``changed``, ``added`` or ``removed``. It says what the text of the diff says:
  ``changed`` has changes in the row itself (``row.changes``, the very ones of the diff) or in something in it. What
  only runs elsewhere is the ``same``, with a change of class ``order``; what only follows from a change elsewhere is
  the ``same`` too, and ``row.follows`` says ``shape``, ``dtype`` or ``mode``. An op of a loop that another order has
  taken out of it, or into it, is the ``same`` though it may stand in two rows, each with one side.
* A module with equal bodies on both sides is one closed row. With unequal ones it has ``row.inner``, the next
  `Alignment`. A module that one side does not have is closed too: its ``item.body`` has what is in it.
* ``row.rows`` are the rows of a loop, and of a module that only one side has around what both have: ``conv1`` in the
  old, ``Sequential(conv1, dropout)`` in the new one is an added row with two rows in it, ``same`` and ``added``. A row
  that has changed its group stands in that of the new side, so a group that was removed may have no rows.
* Names: ``part.name`` is unique on its side of an alignment, rows in rows included, and ``part.reads`` and
  ``old_returns``, ``new_returns`` speak of these names, so edges can be read off without knowing what stands in what.
  ``$2`` there is the third of ``part.reads`` of the module that the alignment is inside of, and a module's result 1 is
  the second of the returns of its inner alignment. ``@weight`` is a parameter, no part. A module around what both
  have reads nothing, and nobody reads it: what is in it has the edges.

``for row in alignment.walk()`` goes through all rows with their depth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from torchlens_core.changes import ORDER, Change
from torchlens_core.diff.address import Address
from torchlens_core.diff.bodies import BodyDiff
from torchlens_core.diff.matching import Side
from torchlens_core.diff.units import Unit, by_name
from torchlens_core.snapshot.outline import Call, Item, Loop, Op, Operand

Verdict = Literal["same", "changed", "added", "removed"]
#: Kinds of changes that are about a unit of the old side.
_OF_THE_OLD = ("removed", "unnested")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An item of one body: an op, a module call, or a loop."""

    #: Unique on its side of the alignment; empty for loops.
    name: str
    item: Item
    #: The one op of a module that does nothing else, or the op itself.
    op: Op | None = None
    #: What it reads, by the names of this side; for a module what its ``$0``, ``$1`` are.
    reads: tuple[Operand, ...] = ()
    #: Passes of the loops around it, the outermost first.
    passes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A part of the old body, of the new one, or of both."""

    old: Part | None = None
    new: Part | None = None
    verdict: Verdict = "same"
    #: What the diff says of this part; nothing of what is in it.
    changes: tuple[Change, ...] = ()
    #: ``shape``, ``dtype`` or ``mode``, if something only follows from a change elsewhere.
    follows: str = ""
    #: What is in a loop, or in a module that one side has around what both have.
    rows: tuple[Row, ...] = ()
    #: For a module whose bodies differ.
    inner: Alignment | None = None

    @property
    def part(self) -> Part:
        """The new side, or the old one of what was removed."""
        part = self.new or self.old
        assert part is not None
        return part


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Two bodies, side by side."""

    #: Of the module; empty for the model.
    address: str
    rows: tuple[Row, ...]
    old_returns: tuple[Operand, ...]
    new_returns: tuple[Operand, ...]
    #: What the diff says of no part: of what is returned, and of the graph as a whole.
    changes: tuple[Change, ...] = ()

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Row]]:
        """Each row with its depth, those in rows and in inner alignments after the one that they are in."""
        yield from _walk(self.rows, depth)


def _walk(rows: Sequence[Row], depth: int) -> Iterator[tuple[int, Row]]:
    for row in rows:
        yield depth, row
        yield from _walk(row.rows, depth + 1)
        if row.inner is not None:
            yield from row.inner.walk(depth + 1)


def alignment_of(found: BodyDiff, address: Address, changes: Sequence[Change] = ()) -> Alignment:
    """The alignment of two bodies that a diff was read off; ``changes`` are said of the graphs besides."""
    return _Merge(found, address).alignment(changes)


@dataclass(eq=False, slots=True)
class _Item:
    """An item of one body, in the loop or opened module that it is in."""

    item: Item
    name: str
    parent: _Item | None
    #: None for loops.
    unit: Unit | None
    items: list[_Item] = field(default_factory=list)

    @property
    def loops(self) -> list[_Item]:
        """The loops that it is in, or is, the outermost first."""
        around = self.parent.loops if self.parent is not None else []
        return [*around, self] if isinstance(self.item, Loop) else around

    def part(self) -> Part:
        """The same as it is handed out."""
        unit = self.unit
        if unit is None or self.items:
            return Part(name=self.name, item=self.item, passes=unit.passes if unit is not None else ())
        return Part(
            name=self.name, item=self.item, op=unit.op, reads=tuple(unit.operands), passes=unit.passes
        )


def _items(side: Side) -> list[_Item]:
    units = by_name([*side.units, *side.opened])
    opened = {unit.name for unit in side.opened}

    def within(items: Sequence[Item], parent: _Item | None, prefix: str) -> list[_Item]:
        found = []
        for item in items:
            if isinstance(item, Loop):
                one = _Item(item, "", parent, None)
                one.items = within(item.items, one, prefix)
            else:
                name = prefix + item.name
                one = _Item(item, name, parent, units[name])
                if isinstance(item, Call) and name in opened and not prefix:
                    one.items = within(item.body.items, one, f"{name}.")
            found.append(one)
        return found

    return within(side.body.items, None, "")


def _beneath(items: Sequence[_Item]) -> Iterator[_Item]:
    for one in items:
        yield one
        yield from _beneath(one.items)


@dataclass(eq=False, slots=True)
class _Node:
    """A row in the making."""

    old: _Item | None = None
    new: _Item | None = None
    parent: _Node | None = None
    nodes: list[_Node] = field(default_factory=list)
    #: What was removed: from the beginning of the rows in it, and from behind it.
    first: list[_Node] = field(default_factory=list)
    behind: list[_Node] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def rows(self) -> Iterator[_Node]:
        """Those in it, in order."""
        yield from self.first
        for node in self.nodes:
            yield node
            yield from node.behind


class _Merge:
    """Two bodies merged into rows."""

    def __init__(self, found: BodyDiff, address: Address) -> None:
        assert found.matching is not None
        self._found, self._matching, self._address = found, found.matching, address
        self._old, self._new = _items(self._matching.old), _items(self._matching.new)
        self._partners = self._paired()
        self._moved = {old for old, _ in self._matching.moved}
        self._nodes: dict[_Item, _Node] = {}
        self._follows = {unit: what for what, unit in found.following}
        self._inner = {new: (old, inner) for old, new, inner in found.inner}

    def alignment(self, changes: Sequence[Change]) -> Alignment:
        """The two bodies side by side."""
        top = _Node()
        self._add_new(self._new, top)
        self._add_old(self._old, top)
        whole = [*changes, *self._say()]
        return Alignment(
            address=self._address.of(""),
            rows=tuple([self._row(node) for node in top.rows()]),
            old_returns=tuple(self._matching.old.returns),
            new_returns=tuple(self._matching.new.returns),
            changes=tuple(whole),
        )

    def _paired(self) -> dict[_Item, _Item]:
        """The old item of each new one that has one: loops by what is in them."""
        olds = {one.unit: one for one in _beneath(self._old) if one.unit is not None}
        news = {one.unit: one for one in _beneath(self._new) if one.unit is not None}
        found = {news[new]: olds[old] for old, new in self._matching.pairs}
        shared = Counter(
            pair for new, old in found.items() for pair in zip(new.loops, old.loops, strict=False)
        )
        taken: set[_Item] = set()
        for (new, old), _ in shared.most_common():
            if new not in found and old not in taken:
                found[new] = old
                taken.add(old)
        return found

    def _add_new(self, items: Sequence[_Item], parent: _Node) -> None:
        for item in items:
            node = _Node(self._partners.get(item), item, parent)
            parent.nodes.append(node)
            for one in (node.old, item):
                if one is not None:
                    self._nodes[one] = node
            self._add_new(item.items, node)

    def _add_old(self, items: Sequence[_Item], parent: _Node) -> None:
        """What was removed, after what it stood behind: in the same loop, if that is still there."""
        behind = parent.first
        for item in items:
            node = self._nodes.get(item)
            if node is None:
                node = self._nodes[item] = _Node(item, None, parent)
                behind.append(node)
            elif item.unit not in self._moved:
                anchor: _Node | None = node
                while anchor is not None and anchor.parent is not parent:
                    anchor = anchor.parent
                behind = anchor.behind if anchor is not None else behind
            self._add_old(item.items, node)

    def _say(self) -> list[Change]:
        """Give each change to the rows that it is about; what is about none is returned."""
        olds, news = (
            {item.unit: self._nodes[item] for item in _beneath(items) if item.unit is not None}
            for items in (self._old, self._new)
        )
        whole = []
        for one in self._found.changes:
            change = self._address.change(one)
            if not one.units:
                whole.append(change)
            # equal bodies have the same units
            first, second = (olds, news) if one.kind in _OF_THE_OLD else (news, olds)
            found = [first.get(unit) or second[unit] for unit in one.units]
            for node in {id(node): node for node in found}.values():
                (self._loop_of(node) if one.kind == "passes" else node).changes.append(change)
        return whole

    def _loop_of(self, node: _Node) -> _Node:
        """The row of the loop that a row is in, or was in."""
        for item in (node.new, node.old):
            if item is not None and item.loops:
                return self._nodes[item.loops[-1]]
        return node

    def _row(self, node: _Node) -> Row:
        unit = node.new.unit if node.new is not None else None
        inner = None
        if unit is not None and unit in self._inner:
            old, found = self._inner[unit]
            inner = alignment_of(found, self._address.inside(old, unit))
        rows = tuple([self._row(one) for one in node.rows()])
        any_unit = unit or (node.old.unit if node.old is not None else None)
        verdict: Verdict = "same"
        is_order = bool(node.changes) and all(one.effect == ORDER for one in node.changes)
        if (node.old is None or node.new is None) and not is_order:
            verdict = "removed" if node.new is None else "added"
        elif _have_changed(node.changes, rows, inner):
            verdict = "changed"
        return Row(
            old=node.old.part() if node.old is not None else None,
            new=node.new.part() if node.new is not None else None,
            verdict=verdict,
            changes=tuple(node.changes),
            follows=self._follows.get(any_unit, "") if any_unit is not None else "",
            rows=rows,
            inner=inner,
        )


def _have_changed(changes: Sequence[Change], rows: Sequence[Row], inner: Alignment | None) -> bool:
    if inner is not None and _have_changed(inner.changes, inner.rows, None):
        return True
    return any(one.effect != ORDER for one in changes) or any(row.verdict != "same" for row in rows)
