"""Values in a body: which there are, who could read them, what they are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from graph_mutation import clay
from graph_mutation.clay import Clay
from torchlens_core.snapshot import draft
from torchlens_core.snapshot.outline import HOLE, Ref, refs_of


def is_simple(operand: draft.Operand) -> bool:
    """Whether an operand is one value, of this pass of whatever loop."""
    return (
        isinstance(operand, draft.Ref)
        and not operand.passes
        and operand.last is None
        and (isinstance(operand.target, draft.Item) or operand.target[0] == "$")
    )


def value_places(unit: draft.Item) -> list[tuple[int, int]]:
    """Where the operands that are no parameters stand."""
    return [
        (n, m)
        for n, group in enumerate(unit.operands)
        for m, one in enumerate(group)
        if not (isinstance(clay.first(one).target, str) and clay.first(one).target[0] == "@")
    ]


def choose_operand(
    body: Clay, random: Random, wanted: Callable[[draft.Item, draft.Operand], bool]
) -> tuple[draft.Item, int, int] | None:
    """A unit of a body, and where an operand stands that is wanted."""
    found = [
        (unit, n, m)
        for unit in body.units
        for n, group in enumerate(unit.operands)
        for m, one in enumerate(group)
        if wanted(unit, one)
    ]
    return choose(random, found)


def count_values(unit: draft.Item) -> int:
    return len(unit.body.returns) if unit.body is not None else len(unit.results) + len(unit.written)


def hands_through(unit: draft.Item, slot: int) -> bool:
    returned = unit.body.returns[slot] if unit.body is not None else None
    return isinstance(returned, Ref) and returned.name[0] == "$"


def readable_by(body: Clay, unit: draft.Item) -> list[draft.Ref]:
    """Values that a unit could read."""
    container = body.container(unit)
    before = container[: body.place(unit)]
    if container is not body.items:
        loop = next(n for n, one in enumerate(body.items) if unit in list(draft.flat([one])))
        before = [*body.items[:loop], *before]
    found = [draft.Ref(f"${n}") for n in range(body.given)]
    for one in before:
        if not one.inside:
            found += [
                draft.Ref(one, slot) for slot in range(count_values(one)) if not hands_through(one, slot)
            ]
    return found


def label(body: Clay, unit: draft.Item) -> str:
    return body.names[id(unit)]


def value_name(body: Clay, ref: draft.Ref) -> list[str]:
    return [label(body, ref.target)] if isinstance(ref.target, draft.Item) else []


def choose(random: Random, found: Sequence):
    return random.choice(found) if found else None


def is_free(unit: draft.Item, ref: draft.Ref) -> bool:
    """Whether a unit can read a value: modules are given each one once."""
    return unit.body is None or all(ref not in refs_of(one) for one in unit.operands[0])


def title(unit: draft.Item, name: str) -> list[str]:
    """What must be said of a unit that comes or goes."""
    if unit.body is not None:
        return [name, unit.class_name]
    return [
        unit.kind,
        *(f"{keyword}={text}" for keyword, text in unit.texts if keyword and HOLE not in text),
    ]


def bypassed(body: Clay, unit: draft.Item) -> draft.Ref | None:
    """What readers of a unit would read if it were not there."""
    values = value_places(unit)
    if (
        unit.kind in ("input", "constant")
        or count_values(unit) != 1
        or not values
        or len(body.container(unit)) < 2
    ):
        return None
    n, m = values[0]
    given = unit.operands[n][m]
    if not is_simple(given) or hands_through(unit, 0):
        return None
    for other in body.units:
        for group in other.operands:
            for one in group:
                refs = refs_of(one)
                if isinstance(one, draft.Carried) and any(ref.target is unit for ref in refs):
                    return None
                if any(ref.target is unit and (ref.passes or ref.last is not None) for ref in refs):
                    return None
                if other.body is not None and any(ref.target is unit for ref in refs):
                    if any(given in refs_of(two) for two in group):
                        return None
    returned = [ref for one in body.returns for ref in refs_of(one)]
    if any(ref.target is unit for ref in returned) and (given in returned or isinstance(given.target, str)):
        return None
    return given
