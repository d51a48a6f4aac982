"""Which unit of one body is which of another: the alignment that a diff is read off.

In this order: units that depend on the same things in the same way, wherever they run; modules of one name;
ops of the same arguments, then of the same kind, as they follow each other; modules with the same inside under
another name, or inside or outside of another module; what stands in the same gap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

from torchlens_core.diff.fingerprints import content, downstream, nature, upstream_among
from torchlens_core.diff.sequence import common_subsequence, increasing
from torchlens_core.diff.units import Unit, inlined, units_of
from torchlens_core.snapshot.outline import Body, Call, Operand, flat, refs_of


@dataclass(frozen=True)
class Side:
    """The units of one body, some of its modules seen through, and what it returns."""

    body: Body
    units: list[Unit]
    returns: list[Operand]
    #: Modules that are seen through, since their inside stands by itself on the other side.
    opened: tuple[Unit, ...] = ()

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all units."""
        return frozenset(unit.name for unit in self.units)

    @cached_property
    def readers(self) -> dict[str, list[str]]:
        """For each name the names of those that read it."""
        found: dict[str, list[str]] = {}
        for unit in self.units:
            for name in dict.fromkeys(ref.name for one in unit.operands for ref in refs_of(one)):
                found.setdefault(name, []).append(unit.name)
        for name in dict.fromkeys(ref.name for one in self.returns for ref in refs_of(one)):
            found.setdefault(name, []).append("return")
        return found

    @cached_property
    def calls(self) -> Counter[str]:
        """How often each module is called, those in loops in each pass."""
        found: Counter[str] = Counter()
        for unit in self.units:
            if unit.call is not None:
                found[unit.title] += prod(unit.passes)
        return found

    @classmethod
    def of(cls, body: Body, returns: Sequence[Operand]) -> Side:
        """A body with nothing seen through."""
        return cls(body, units_of(body), list(returns))

    def seen_through(self, names: set[str]) -> Side:
        """The same with some modules seen through."""
        units, returns = inlined(self.units, self.returns, names)
        opened = tuple(unit for unit in self.units if unit.name in names)
        return Side(self.body, units, returns, opened)


@dataclass(slots=True)
class Matching:
    """Pairs of two bodies, and what has no partner."""

    old: Side
    new: Side
    pairs: list[tuple[Unit, Unit]] = field(default_factory=list)
    #: Those that are the same in all that is behind them too: there is nothing to compare.
    equal: set[Unit] = field(default_factory=set)
    #: Those pairs that run in another order.
    moved: list[tuple[Unit, Unit]] = field(default_factory=list)
    removed: list[Unit] = field(default_factory=list)
    added: list[Unit] = field(default_factory=list)
    #: Whether names and edges are the same in both.
    is_in_place: bool = False


def matched(left: Side, right: Side, inputs: Mapping[str, str]) -> Matching:
    """The alignment of two bodies; ``inputs`` says which ``$`` of the old one is which of the new one."""
    found = _in_place(left, right, inputs) or _Aligner(left, right, inputs).run()
    opened_old = _wrappers(found.removed, found.added, found.pairs, is_old=True)
    opened_new = _wrappers(found.added, found.removed, found.pairs, is_old=False)
    if opened_old or opened_new:
        left = left.seen_through(opened_old) if opened_old else left
        right = right.seen_through(opened_new) if opened_new else right
        found = _Aligner(left, right, inputs).run()
    return found


def _in_place(left: Side, right: Side, inputs: Mapping[str, str]) -> Matching | None:
    """The alignment of bodies with the same names and the same edges, the commonest of all: each with its like."""
    if len(left.units) != len(right.units) or any(old != new for old, new in inputs.items()):
        return None
    pairs = list(zip(left.units, right.units, strict=True))
    if left.returns != right.returns or not all(_stand_alike(old, new) for old, new in pairs):
        return None
    equal = {old for old, new in pairs if _are_equal(old, new)}
    changed = {old.name for old, _ in pairs if old.is_body and old not in equal}
    if changed:  # what they return may be another result now
        for old, _ in pairs:
            if any(ref.name in changed for one in old.operands for ref in refs_of(one)):
                equal.discard(old)
    return Matching(left, right, pairs, equal, is_in_place=True)


def _stand_alike(old: Unit, new: Unit) -> bool:
    if old.name != new.name or old.operands != new.operands:
        return False
    if old.call is not None or new.call is not None:
        is_same = old.call is not None and new.call is not None and old.is_body == new.is_body
    else:
        is_same = old.op is not None and new.op is not None and old.op.kind == new.op.kind
    return is_same and old.loops == new.loops and old.passes == new.passes


def _are_equal(old: Unit, new: Unit) -> bool:
    return old.op == new.op if old.call is None else old.call == new.call


def _wrappers(
    own: Sequence[Unit], other: Sequence[Unit], pairs: Sequence[tuple[Unit, Unit]], is_old: bool
) -> set[str]:
    """Modules in whose place the other side has what is in them."""
    loose = {key for unit in other for key in _contents(unit)}
    found = {unit.name for unit in own if unit.is_body and unit.call is not None and _holds(unit, loose)}
    for pair in pairs:
        mine, theirs = pair if is_old else pair[::-1]
        if mine.is_body and mine.call is not None and theirs.call is not None:
            if _may_hold(mine.call, theirs.call) and content(mine) != content(theirs):
                if _holds(mine, set(_contents(theirs))):
                    found.add(mine.name)
    return found


def _may_hold(outer: Call, inner: Call) -> bool:
    """Whether a module has one of another's class in it."""
    return any(
        isinstance(one, Call) and one.class_name == inner.class_name for one in flat(outer.body.items)
    )


def _contents(unit: Unit) -> Iterable[Hashable]:
    if unit.is_body and unit.call is not None and not unit.call.body.items:
        return  # a module that does nothing is inside of everything
    yield content(unit) if unit.call is not None else unit.exact


def _holds(unit: Unit, keys: set[Hashable]) -> bool:
    """Whether a module has one of some modules in it, or nothing but ops that are among them."""
    assert unit.call is not None
    inside = units_of(unit.call.body) if keys else []
    modules = [content(part) for part in inside if part.call is not None]
    if modules:
        return any(one in keys for one in modules)
    return bool(inside) and all(part.exact in keys for part in inside)


class _Aligner:
    """One alignment of two sides."""

    def __init__(self, old: Side, new: Side, inputs: Mapping[str, str]) -> None:
        self._old, self._new = old, new
        self._inputs = inputs
        self._partner: dict[int, int] = {}
        self._free_new = set(range(len(new.units)))
        self._moved: set[int] = set()
        self._equal: set[int] = set()

    def run(self) -> Matching:
        old, new = self._old.units, self._new.units
        self._by_upstream()
        self._in_gaps(lambda unit: unit.exact)
        self._in_gaps(lambda unit: unit.loose)
        self._anywhere(lambda unit: unit.title if unit.call is not None else None, is_move=True)
        self._anywhere(content)
        self._by_place()
        self._anywhere(lambda unit: unit.exact if unit.call is None else None, is_move=True)
        pairs = [(old[a], new[b]) for a, b in sorted(self._partner.items())]
        return Matching(
            self._old,
            self._new,
            pairs,
            {old[a] for a in self._equal},
            [(old[a], new[self._partner[a]]) for a in sorted(self._moved)],
            [unit for n, unit in enumerate(old) if n not in self._partner],
            [unit for n, unit in enumerate(new) if n in self._free_new],
        )

    def _pair(self, a: int, b: int) -> None:
        self._partner[a] = b
        self._free_new.discard(b)

    def _by_upstream(self) -> None:
        """Units with the same ops behind them, all the way up; twins by what reads them."""
        before, after = (list(map(nature, side.units)) for side in (self._old, self._new))
        old = list(upstream_among(self._old.units, before, self._inputs, after))
        names = {name: name for name in self._inputs.values()}
        new = list(upstream_among(self._new.units, after, names, before))
        found = self._same(old, new)
        twins = [_twins(self._old, old), _twins(self._new, new)]
        if twins[0] or twins[1]:
            left = downstream(self._old.units, self._old.returns)
            right = downstream(self._new.units, self._new.returns)
            first = self._same(_both(old, left), _both(new, right))
            done, taken = {a for a, _ in first}, {b for _, b in first}
            rest = [(a, value) for a, value in enumerate(old) if a not in done]
            free = [(b, value) for b, value in enumerate(new) if b not in taken]
            if not rest and not free:  # the same graph, in another order: which twin is which says nothing
                twins = [set(), set()]
            others = self._same([value for _, value in rest], [value for _, value in free])
            found = sorted([*first, *((rest[a][0], free[b][0]) for a, b in others)])
        kept = set(increasing(found))
        for a, b in found:
            self._pair(a, b)
            operands = self._old.units[a].operands
            if not twins[0] or not any(ref.name in twins[0] for one in operands for ref in refs_of(one)):
                self._equal.add(a)
        self._moved |= {a for a, b in found if (a, b) not in kept}

    def _same(self, old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int]]:
        """Positions with the same value that is not None, in order, if there are as many of it on both sides.

        Of several that are the same, nobody can say here which one is gone.
        """
        before, after = Counter(old), Counter(new)
        places: dict[Hashable, list[int]] = {}
        for n in range(len(new) - 1, -1, -1):
            if new[n] is not None:
                places.setdefault(new[n], []).append(n)
        return [
            (a, places[value].pop())
            for a, value in enumerate(old)
            if value is not None and before[value] == after[value]
        ]

    def _in_gaps(self, key: Any) -> None:
        """Pair the free units between two pairs in order, as far as their keys are the same."""
        for left, right in self._gaps():
            old = [key(self._old.units[n]) for n in left]
            new = [key(self._new.units[n]) for n in right]
            for a, b in common_subsequence(old, new):
                self._pair(left[a], right[b])

    def _gaps(self) -> list[tuple[list[int], list[int]]]:
        """Free units on both sides between the same two pairs, those that have moved left out."""
        if not self._free_new or len(self._partner) == len(self._old.units):
            return []
        anchors = increasing([(a, b) for a, b in sorted(self._partner.items()) if a not in self._moved])
        found = []
        start, begin = 0, 0
        for a, b in [*anchors, (len(self._old.units), len(self._new.units))]:
            left = [n for n in range(start, a) if n not in self._partner]
            right = [n for n in range(begin, b) if n in self._free_new]
            if left and right:
                found.append((left, right))
            start, begin = a + 1, b + 1
        return found

    def _anywhere(self, key: Any, is_move: bool = False) -> None:
        """Pair free units with the same key, wherever they are."""
        places: dict[Hashable, list[int]] = {}
        for n in sorted(self._free_new):
            value = key(self._new.units[n])
            if value is not None:
                places.setdefault(value, []).append(n)
        if not places:
            return
        for a, unit in enumerate(self._old.units):
            value = key(unit) if a not in self._partner else None
            if value is not None and places.get(value):
                self._pair(a, places[value].pop(0))
                if is_move:
                    self._moved.add(a)

    def _by_place(self) -> None:
        """What is left in a gap, one after the other: the new has come in the place of the old."""
        for left, right in self._gaps():
            for is_call in (True, False):
                a_side = [n for n in left if (self._old.units[n].call is not None) is is_call]
                b_side = [n for n in right if (self._new.units[n].call is not None) is is_call]
                for a, b in zip(a_side, b_side, strict=False):
                    if _are_alike(self._old.units[a], self._new.units[b]):
                        self._pair(a, b)


def _twins(side: Side, values: Sequence[Hashable]) -> set[str]:
    """Names of units that are the same as others."""
    counts = Counter(values)
    return {
        unit.name
        for unit, value in zip(side.units, values, strict=True)
        if value is not None and counts[value] > 1
    }


def _both(values: Sequence[Hashable], others: Sequence[Hashable]) -> list[Hashable]:
    pairs = zip(values, others, strict=True)
    return [None if value is None else (value, other) for value, other in pairs]


def _are_alike(old: Unit, new: Unit) -> bool:
    """Whether one can have come in the place of the other."""
    if old.op is not None and new.op is not None:
        same = ("input", "constant")
        is_source = old.op.kind in same or new.op.kind in same
        return not is_source or old.op.kind == new.op.kind
    return old.is_body == new.is_body or (old.call is not None and new.call is not None)
