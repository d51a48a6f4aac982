"""The lines of a body as things to compare: ops and module calls, loops and leaf modules seen through."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from torchlens_core.snapshot.naming import ROOT, UP
from torchlens_core.snapshot.outline import (
    Body,
    Call,
    Carried,
    Item,
    Loop,
    Op,
    Operand,
    Ref,
    is_leaf,
    mapped,
    refs_of,
)

_NUMBERS = re.compile(r"#\d+")


class Unit:
    """One op, or one module call; a module that does one op is both."""

    __slots__ = (
        "_exact",
        "_texts",
        "around",
        "call",
        "loops",
        "name",
        "nature",
        "op",
        "operands",
        "passes",
        "place",
    )

    def __init__(
        self,
        name: str,
        op: Op | None,
        call: Call | None,
        operands: tuple[Operand, ...],
        passes: tuple[int, ...],
        loops: tuple[int, ...],
        place: int = 0,
        around: str = "",
    ) -> None:
        #: In its body; with the name of a module around it that was seen through, ``stem.conv1``.
        self.name = name
        self.op = op
        self.call = call
        self.operands = operands
        #: Passes of the loops around it, and which they are.
        self.passes = passes
        self.loops = loops
        #: Place in the body.
        self.place = place
        #: The module that it is in and that is seen through.
        self.around = around
        #: Its fingerprint, once it has been asked for.
        self.nature: int | None = None
        self._texts: tuple[tuple[str, str], ...] | None = None
        self._exact: int | None = None

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """Keywords and texts of the arguments: ``dim=1``, ``p=0.5``."""
        if self._texts is None:
            arguments = self.op.arguments if self.op is not None else ()
            self._texts = tuple([(one.keyword, one.text) for one in arguments])
        return self._texts

    @property
    def title(self) -> str:
        """The name without the numbers of calls."""
        return _NUMBERS.sub("", self.name) if "#" in self.name else self.name

    @property
    def is_body(self) -> bool:
        """Whether it is a module with more than one op in it."""
        return self.op is None

    @property
    def exact(self) -> int:
        """A fingerprint of what it is, sizes and inputs left out: modules by their name, whichever call it is."""
        if self._exact is None:
            self._exact = hash(self.title if self.call is not None else self._exact_op())
        return self._exact

    def _exact_op(self) -> Any:
        assert self.op is not None
        if self.op.kind == "input":
            return self.op.kind, self.name
        held = tuple([held.name for held in self.op.held]) if self.op.held else ()
        return self.op.kind, self.texts, held, self.loops != ()

    @property
    def loose(self) -> Any:
        """The same without arguments; a module has no such key."""
        return (self.op.kind, self.op.mark) if self.call is None and self.op is not None else self

    def spec(self, slot: int) -> str | int:
        """The spec of a result, or the number of the ``$`` that it is."""
        if self.op is not None:
            specs = self.op.specs
            return specs[slot] if slot < len(specs) else ""
        assert self.call is not None
        return body_specs(self.call.body)[slot]


#: Bodies whose units are kept: equal blocks are compared again and again.
MAX_KEPT = 20_000


@lru_cache(maxsize=MAX_KEPT)
def units_of(body: Body) -> list[Unit]:
    """The units of a body."""
    units = list(_walk(body.items, (), ()))
    for place, unit in enumerate(units):
        unit.place = place
    return units


def _walk(items: Sequence[Item], passes: tuple[int, ...], loops: tuple[int, ...]) -> Iterator[Unit]:
    for n, item in enumerate(items):
        if isinstance(item, Loop):
            yield from _walk(item.items, (*passes, item.passes), (*loops, n))
        elif isinstance(item, Op):
            yield Unit(item.name, item, None, item.operands, passes, loops)
        else:
            op = item.body.items[0] if is_leaf(item) else None
            if isinstance(op, Op):
                operands = tuple(substituted(one, item.arguments) for one in op.operands)
                yield Unit(item.name, op, item, operands, passes, loops)
            else:
                yield Unit(item.name, None, item, item.arguments, passes, loops)


def substituted(operand: Operand, arguments: Sequence[Operand]) -> Operand:
    """An operand inside a module as it is around it: ``$0`` is what the call was given."""

    def outside(ref: Ref) -> Operand:
        if ref.name[0] != "$" or int(ref.name[1:]) >= len(arguments):
            return ref
        given = arguments[int(ref.name[1:])]
        if (ref.certain and ref.is_read) or isinstance(given, Carried):
            return given
        return mapped(
            given,
            lambda one: one._replace(
                certain=one.certain and ref.certain, is_read=one.is_read and ref.is_read
            ),
        )

    return mapped(operand, outside)


def inlined(
    units: Sequence[Unit], returns: Sequence[Operand], names: set[str]
) -> tuple[list[Unit], list[Operand]]:
    """Units with those modules that are named replaced by what is in them, and what the body returns then."""
    inside: dict[str, list[Operand]] = {}

    def outside(operand: Operand) -> Operand:
        """An operand that may name a module that is gone."""
        return mapped(operand, result)

    def result(ref: Ref) -> Operand:
        results = inside.get(ref.name)
        return results[ref.slot] if results is not None and ref.slot < len(results) else ref

    made: list[Unit] = []
    for unit in units:
        given = tuple(outside(one) for one in unit.operands)
        if unit.name not in names or unit.call is None:
            made.append(Unit(unit.name, unit.op, unit.call, given, unit.passes, unit.loops))
            continue
        arguments = given if unit.op is None else tuple(outside(one) for one in unit.call.arguments)

        def renamed(operand: Operand, prefix: str = unit.name, arguments: Any = arguments) -> Operand:
            return substituted(_prefixed(operand, prefix), arguments)

        for part in units_of(unit.call.body):
            name, operands = f"{unit.name}.{part.name}", tuple(map(renamed, part.operands))
            passes, loops = (*unit.passes, *part.passes), (*unit.loops, *part.loops)
            made.append(Unit(name, part.op, part.call, operands, passes, loops, around=unit.title))
        inside[unit.name] = [renamed(one) for one in unit.call.body.returns]
    for place, unit in enumerate(made):
        unit.place = place
    return made, [outside(one) for one in returns]


def _prefixed(operand: Operand, prefix: str) -> Operand:
    return mapped(
        operand, lambda ref: ref if ref.name[0] in "$@" else ref._replace(name=f"{prefix}.{ref.name}")
    )


def name_outside(name: str, module: str) -> str:
    """A parameter of a module as it is called around it: ``@weight`` in ``stem`` is ``@stem.weight``."""
    if name[1] == ROOT:
        return name
    return f"@{name[2:]}" if name[1] == UP else f"@{module}.{name[1:]}"


def by_name(units: Sequence[Unit]) -> dict[str, Unit]:
    """Units by name."""
    return {unit.name: unit for unit in units}


def body_specs(body: Body) -> tuple[str | int, ...]:
    """The spec of each result of a body, or the number of the ``$`` that it is."""
    units = by_name(units_of(body))
    found: list[str | int] = []
    for operand in body.returns:
        ref = refs_of(operand)[0]
        if ref.name[0] == "$":
            found.append(int(ref.name[1:]))
        elif ref.name[0] == "@":
            found.append("")
        else:
            unit = units[ref.name]
            spec = unit.spec(ref.slot)
            if isinstance(spec, int) and unit.call is not None:
                outer = refs_of(unit.call.arguments[spec])[0]
                spec = int(outer.name[1:]) if outer.name[0] == "$" else units[outer.name].spec(outer.slot)
            found.append(spec)
    return tuple(found)
