"""What a body with loops computes, as if each pass were written out.

The order of independent ops decides which of them are passes of a loop. Written out, the same ops are the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

from torchlens_core.diff.units import MAX_KEPT, Unit, by_name, units_of
from torchlens_core.snapshot.outline import Body, Carried, Item, Loop, Op, Operand, Ref, flat, refs_of

#: Passes of units that are written out; a body with more of them keeps its loops.
MAX_PASSES = 10_000
_STEPS = re.compile(r"(?<![\w.#])(-?\d+)\.\.(-?\d+)(?![\w.#])")
#: Passes of the loops around something, the outermost first: which loop, in which pass, of how many.
Passes = tuple[tuple[int, int, int], ...]
#: A value that is read: the number of the node that made it, or a name from outside, and the rest of its `Ref`.
Source = tuple[Any, ...]


class Node(NamedTuple):
    """One unit in one pass."""

    nature: int
    #: For each operand the values that it names.
    reads: tuple[tuple[Source, ...], ...]


class Unrolled(NamedTuple):
    """A body with its loops written out."""

    nodes: list[Node]
    returns: tuple[tuple[Source, ...], ...]


def unrolled(body: Body, returns: Sequence[Operand], nature: Callable[[Unit], int]) -> Unrolled | None:
    """A body written out; None if that is too long."""
    units = units_of(body)
    if sum(prod(unit.passes) for unit in units) > MAX_PASSES:
        return None
    run = _Run(by_name(units), nature)
    run.items(body.items, ())
    return Unrolled(run.nodes, tuple([run.operand(one, ()) for one in returns]))


def upstream_of(nodes: Sequence[Node]) -> list[int]:
    """For each node a fingerprint of it and of all that it depends on: that which it has in a body without loops."""
    values: list[int] = []
    for node in nodes:
        values.append(hash((node.nature, keys_of(node.reads, values), ())))
    return values


def keys_of(operands: tuple[tuple[Source, ...], ...], values: Sequence[int]) -> tuple[Any, ...]:
    """Operands by the fingerprints of what they name."""
    renamed = _renamed(operands, values)
    return tuple([operand[0] if len(operand) == 1 else operand for operand in renamed])


def are_same(old: Unrolled, new: Unrolled) -> bool:
    """Whether two bodies have the same nodes and the same edges, in whatever order.

    Each node goes to one with the same behind it and ahead of it that reads just what its partners make. Of twins
    the first will do; where that was the wrong one the answer is no.
    """
    if len(old.nodes) != len(new.nodes):
        return False
    free: dict[Any, list[int]] = {}
    for n, key in enumerate(_keys(new)):
        free.setdefault((key, new.nodes[n].reads), []).append(n)
    partner: list[int] = []
    for n, key in enumerate(_keys(old)):
        found = free.get((key, _renamed(old.nodes[n].reads, partner)))
        if not found:
            return False
        partner.append(found.pop(0))
    return _renamed(old.returns, partner) == new.returns


def _keys(body: Unrolled) -> list[tuple[int, int]]:
    """For each node fingerprints of what is behind it, and ahead of it."""
    readers: list[list[Any]] = [[] for _ in body.nodes]

    def enter(operands: Sequence[Sequence[Source]], reader: Any) -> None:
        for n, operand in enumerate(operands):
            for source, *rest in operand:
                if isinstance(source, int):
                    readers[source].append(hash((reader, n, *rest)))

    enter(body.returns, "return")
    ahead = [0] * len(body.nodes)
    for n in range(len(body.nodes) - 1, -1, -1):
        ahead[n] = hash((body.nodes[n].nature, tuple(sorted(readers[n]))))
        enter(body.nodes[n].reads, ahead[n])
    return list(zip(upstream_of(body.nodes), ahead, strict=True))


def _renamed(
    operands: tuple[tuple[Source, ...], ...], names: Sequence[int]
) -> tuple[tuple[Source, ...], ...]:
    """Operands with something else for the number of each node."""
    return tuple(
        [
            tuple([(names[one[0]], *one[1:]) if isinstance(one[0], int) else one for one in operand])
            for operand in operands
        ]
    )


class _Run:
    """One body as it runs."""

    def __init__(self, units: dict[str, Unit], nature: Callable[[Unit], int]) -> None:
        self.nodes: list[Node] = []
        self._units = units
        self._nature = nature
        #: Each unit's loops, and its nodes by the pass of each.
        self._loops: dict[str, Passes] = {}
        self._places: dict[tuple[str, tuple[int, ...]], int] = {}

    def items(self, items: Sequence[Item], now: Passes) -> None:
        """Run some items once."""
        for item in items:
            if isinstance(item, Loop):
                for number in range(item.passes):
                    self.items(item.items, (*now, (id(item), number, item.passes)))
                continue
            unit = self._units[item.name]
            reads = tuple([self.operand(one, now) for one in unit.operands])
            self._loops[item.name] = now
            self._places[item.name, _numbers(now)] = len(self.nodes)
            self.nodes.append(Node(self._nature_in(unit, now), reads))

    def operand(self, operand: Operand, now: Passes) -> tuple[Source, ...]:
        """What an operand is in a pass."""
        if not isinstance(operand, Carried):
            return tuple([self._source(ref, now) for ref in refs_of(operand)])
        depth = len(now) - operand.level
        loop, number, count = now[depth - 1] if depth > 0 else (0, 0, 0)
        if not number:
            return self.operand(operand.first, now)
        return self.operand(operand.then, (*now[: depth - 1], (loop, number - 1, count)))

    def _source(self, ref: Ref, now: Passes) -> Source:
        loops = self._loops.get(ref.name)
        if loops is None:
            return tuple(ref)
        shared = 0
        while shared < min(len(loops), len(now)) and loops[shared][0] == now[shared][0]:
            shared += 1
        own = loops[shared:]
        given = [number - 1 for number in ref.passes[: len(own)]]
        last = [count - 1 for _, _, count in own[len(given) :]]
        slot = ref.slot if ref.last is None or not now else _step(ref.slot, ref.last, now)
        place = self._places.get((ref.name, (*_numbers(now[:shared]), *given, *last)))
        if place is None:  # no such pass
            return tuple(ref)
        return (place, *ref._replace(slot=slot, passes=(), last=None)[1:])

    def _nature_in(self, unit: Unit, now: Passes) -> int:
        """What a unit is in a pass: some have numbers that grow from pass to pass."""
        if not now:
            return self._nature(unit)
        if unit.call is not None:
            return (
                hash((self._nature(unit), now[-1][1])) if _has_steps(unit.call.body) else self._nature(unit)
            )
        op = unit.op
        assert op is not None
        if not any(".." in text for text in _texts(op)):
            return self._nature(unit)

        def written(text: str) -> str:
            return _STEPS.sub(lambda found: str(_step(int(found[1]), int(found[2]), now)), text)

        own = replace(
            op,
            arguments=tuple([one._replace(text=written(one.text)) for one in op.arguments]),
            results=tuple(map(written, op.results)),
            written=tuple(map(written, op.written)),
        )
        return self._nature(Unit(unit.name, own, None, (), (), ()))


def _numbers(passes: Passes) -> tuple[int, ...]:
    return tuple([number for _, number, _ in passes])


def _step(first: int, last: int, now: Passes) -> int:
    """A number that grows by the same step in each pass of the innermost loop."""
    _, number, count = now[-1]
    return first + number * (last - first) // max(count - 1, 1)


@lru_cache(maxsize=MAX_KEPT)
def _has_steps(body: Body) -> bool:
    """Whether there are numbers in a module that grow from pass to pass."""
    for item in flat(body.items):
        if not isinstance(item, Op):
            if _has_steps(item.body):
                return True
        elif any(".." in text for text in _texts(item)):
            return True
    return False


def _texts(op: Op) -> list[str]:
    return [*(one.text for one in op.arguments), *op.specs]
