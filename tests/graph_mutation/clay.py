"""Bodies of an outline that can be changed, and finished again as the builder would have written them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from torchlens_core.snapshot import draft
from torchlens_core.snapshot.outline import (
    Body,
    Call,
    Loop,
    Op,
    Operand,
    Outline,
    Ref,
    address_of,
    flat,
    is_leaf,
    mapped,
    refs_of,
)

#: Positions, in `flat` order, of the calls that lead from the model to a body.
Path = tuple[int, ...]


@dataclass(slots=True)
class Clay:
    """One body: items that refer to each other, in lists that may be changed."""

    items: list[draft.Item]
    returns: list[draft.Operand]
    #: How many values it is given, and the spec of each.
    given: int = 0
    outer: Callable[[int], str] = str

    @property
    def units(self) -> list[draft.Item]:
        """Ops and calls, those of loops once."""
        return list(draft.flat(self.items))

    @property
    def names(self) -> dict[int, str]:
        """What each unit will be called."""
        names = [one.name for one in flat(draft.finished(self.items, self.returns).items)]
        return {id(unit): name for unit, name in zip(self.units, names, strict=True)}

    def container(self, unit: draft.Item) -> list[draft.Item]:
        """The list that holds a unit: that of the body, or of a loop."""
        return next(found for found in _containers(self.items) if any(one is unit for one in found))

    def place(self, unit: draft.Item) -> int:
        """Where in its container a unit stands."""
        return next(n for n, one in enumerate(self.container(unit)) if one is unit)

    def change_refs(self, change: Callable[[draft.Ref], draft.Operand]) -> None:
        """Have every reference be something else."""
        for unit in self.units:
            unit.operands = [[mapped(one, change) for one in group] for group in unit.operands]
        self.returns = [mapped(one, change) for one in self.returns]

    def readers(self, unit: draft.Item) -> list[draft.Item]:
        """Units that read a unit."""
        return [other for other in self.units if any(ref.target is unit for ref in refs_in(other))]

    def spec(self, ref: draft.Ref) -> str:
        """The spec of a value, empty for parameters."""
        if isinstance(ref.target, str):
            return self.outer(int(ref.target[1:])) if ref.target[0] == "$" else ""
        unit = ref.target
        if unit.body is None:
            return (unit.results + unit.written)[ref.slot]
        return spec_in(unit.body, ref.slot, lambda n: self.spec(first(unit.operands[0][n])))

    def finished(self) -> tuple[Body, list[int]]:
        """The body, and which of its ``$`` are still read: those have new numbers."""
        seen = {ref.target for unit in self.units for ref in refs_in(unit) if isinstance(ref.target, str)}
        seen |= {ref.target for one in self.returns for ref in refs_of(one) if isinstance(ref.target, str)}
        kept = sorted(int(name[1:]) for name in seen if name[0] == "$")
        numbers = {f"${old}": f"${new}" for new, old in enumerate(kept)}
        self.change_refs(lambda ref: ref._replace(target=numbers.get(ref.target, ref.target)))  # type: ignore[arg-type]
        return draft.finished(self.items, self.returns), kept


def _containers(items: list[draft.Item]) -> Iterator[list[draft.Item]]:
    yield items
    for item in items:
        if item.inside:
            yield from _containers(item.inside)


def refs_in(unit: draft.Item) -> list[draft.Ref]:
    """Every value that a unit reads."""
    return [ref for group in unit.operands for one in group for ref in refs_of(one)]


def first(operand: draft.Operand) -> draft.Ref:
    """The value that says what spec an operand has."""
    return refs_of(operand)[0]


def spec_in(body: Body, slot: int, outer: Callable[[int], str]) -> str:
    """The spec of a result of a body whose ``$`` have specs."""
    units = {unit.name: unit for unit in flat(body.items)}

    def of(operand: Operand) -> str:
        ref = refs_of(operand)[0]
        if ref.name[0] in "$@":
            return outer(int(ref.name[1:])) if ref.name[0] == "$" else ""
        unit = units[ref.name]
        if isinstance(unit, Op):
            return unit.specs[ref.slot]
        return spec_in(unit.body, ref.slot, lambda n: of(unit.arguments[n]))

    return of(body.returns[slot])


# -- from data, and back -----------------------------------------------------------------------------


def thawed(body: Body, given: int = 0, outer: Callable[[int], str] = str) -> Clay:
    """A body that can be changed; `Clay.finished` undoes it."""
    made: dict[str, draft.Item] = {}

    def opened(items: Sequence[Op | Call | Loop], counts: tuple[int, ...]) -> list[draft.Item]:
        found = []
        for item in items:
            if isinstance(item, Loop):
                inside = opened(item.items, (*counts, item.passes))
                found.append(draft.Item(inside=inside, passes=item.passes))
                continue
            unit = made[item.name] = draft.Item(name=item.name.partition("#")[0], counts=counts)
            if isinstance(item, Op):
                unit.kind, unit.mark, unit.held = item.kind, item.mark, list(item.held)
                if item.kind not in ("input", unit.name):
                    unit.name = item.kind
                unit.texts = [(one.keyword, one.text) for one in item.arguments]
                unit.results, unit.written = list(item.results), list(item.written)
            else:
                unit.class_name, unit.mode, unit.body = item.class_name, item.mode, item.body
            found.append(unit)
        return found

    def ref(one: Ref) -> draft.Ref:
        return draft.Ref(made.get(one.name, one.name), *one[1:])

    items = opened(body.items, ())
    for item in flat(body.items):
        groups = [item.arguments] if isinstance(item, Call) else [one.operands for one in item.arguments]
        made[item.name].operands = [[mapped(one, ref) for one in group] for group in groups]
    return Clay(items, [mapped(one, ref) for one in body.returns], given, outer)


def model_body(outline: Outline) -> Body:
    """The body of the model, with its outputs as what it returns."""
    return Body(outline.body.items, tuple(one.operand for one in outline.outputs))


def with_model_body(outline: Outline, body: Body) -> Outline:
    """An outline with another body of the model, which returns as many values."""
    outputs = tuple(
        one._replace(operand=operand, spec=spec_in(body, n, str))
        for n, (one, operand) in enumerate(zip(outline.outputs, body.returns, strict=True))
    )
    return replace(outline, body=Body(body.items), outputs=outputs)


def edited(outline: Outline, path: Path, change: Callable[[Clay], None]) -> Outline:
    """An outline with the body at ``path`` changed; calls around it hand in what is still read."""

    def through(body: Body, path: Path, given: int, outer: Callable[[int], str]) -> tuple[Body, list[int]]:
        clay = thawed(body, given, outer)
        if not path:
            change(clay)
            return clay.finished()
        unit = clay.units[path[0]]
        assert unit.body is not None
        operands = unit.operands[0]
        unit.body, kept = through(
            unit.body, path[1:], len(operands), lambda n: clay.spec(first(operands[n]))
        )
        unit.operands = [[operands[n] for n in kept]]
        return clay.finished()

    return with_model_body(outline, through(model_body(outline), path, 0, str)[0])


def edited_everywhere(outline: Outline, change: Callable[[Clay], None]) -> Outline:
    """An outline with every body changed in a way that reads what it has read."""

    def inside(body: Body) -> Body:
        soft = thawed(body)
        for unit in soft.units:
            if unit.body is not None and unit.body.items:
                unit.body = inside(unit.body)
        change(soft)
        return soft.finished()[0]

    return with_model_body(outline, inside(model_body(outline)))


def count_inputs(body: Body) -> int:
    """How many values from outside a body reads."""
    operands = [
        one
        for unit in flat(body.items)
        for one in (unit.operands if isinstance(unit, Op) else unit.arguments)
    ]
    names = {ref.name for one in (*operands, *body.returns) for ref in refs_of(one)}
    return sum(name[0] == "$" for name in names)


def bodies(outline: Outline) -> Iterator[tuple[Path, str, Body]]:
    """Every body with its path and the address of its module; not those of modules that do one op."""

    def inside(body: Body, path: Path, address: str) -> Iterator[tuple[Path, str, Body]]:
        yield path, address, body
        for n, unit in enumerate(flat(body.items)):
            if isinstance(unit, Call) and not is_leaf(unit):
                yield from inside(unit.body, (*path, n), address_of(address, unit))

    yield from inside(model_body(outline), (), "")
