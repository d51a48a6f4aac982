"""What a mutation is: a change of an outline in one place, and what a diff has to say about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from graph_mutation import clay
from graph_mutation.clay import Clay, Path
from torchlens_core.snapshot import draft
from torchlens_core.snapshot.outline import (
    HOLE,
    Argument,
    Body,
    Call,
    Op,
    Outline,
    Ref,
    default_returns,
    flat,
    is_leaf,
)

BREAKING, SHAPE = "breaking", "shape"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one line of a diff must say, under which module."""

    #: Each stands in the line.
    says: tuple[str, ...]
    #: Address of the module in whose body it is.
    address: str = ""
    effect: str = BREAKING
    #: Lines that the whole diff may have.
    most: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """An outline changed in one place or several."""

    outline: Outline
    claims: tuple[Claim, ...]

    @property
    def what(self) -> str:
        """What was done, in the words that are looked for."""
        return "; ".join(f"@ {one.address or 'model'}: {' .. '.join(one.says)}" for one in self.claims)


Apply = Callable[[Outline, Random], Mutant | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A kind of change."""

    name: str
    apply: Apply


MUTATIONS: list[Mutation] = []
#: Those that change one op and nothing around it.
LOCAL: list[Mutation] = []
ChangeOp = Callable[[Op, Random], tuple[Op, Sequence[str]] | None]
ChangeBody = Callable[[Clay, Random], Sequence[str] | None]


def on_op(effect: str = BREAKING, most: int = 1) -> Callable[[ChangeOp], ChangeOp]:
    """Enter a change of one op, in a body or in a module that does one op; its name must be said too."""

    def enter(change: ChangeOp) -> ChangeOp:
        def apply(outline: Outline, random: Random) -> Mutant | None:
            found = list(ops(outline))
            random.shuffle(found)
            for site in found:
                done = change(site.op, random)
                if done is not None and done[0] != site.op:
                    # a new op has a name of its own, and that of the old one is not said
                    named = (
                        ()
                        if done[0].kind != site.op.kind and site.name.startswith(site.op.kind)
                        else (site.name,)
                    )
                    claim = Claim(says=(*named, *done[1]), address=site.address, effect=effect, most=most)
                    return Mutant(outline=with_op(outline, site, done[0]), claims=(claim,))
            return None

        mutation = Mutation(name=change.__name__, apply=apply)
        MUTATIONS.append(mutation)
        LOCAL.append(mutation)
        return change

    return enter


def on_body(effect: str = BREAKING, most: int = 3) -> Callable[[ChangeBody], ChangeBody]:
    """Enter a change of a body, which says what must be said."""

    def enter(change: ChangeBody) -> ChangeBody:
        def apply(outline: Outline, random: Random) -> Mutant | None:
            found = [one for one in clay.bodies(outline) if one[2].items]
            random.shuffle(found)
            for path, address, body in found:
                state = random.getstate()
                if change(clay.thawed(body, clay.count_inputs(body)), random) is None:
                    continue
                random.setstate(state)  # once more, in the whole
                said: list[Sequence[str]] = []

                def on_clay(one: Clay, said: list[Sequence[str]] = said) -> None:
                    done = change(one, random)
                    if done is not None:
                        said.append(done)

                changed = clay.edited(outline, path, on_clay)
                if said and changed != outline:
                    claim = Claim(says=tuple(said[0]), address=address, effect=effect, most=most)
                    return Mutant(outline=changed, claims=(claim,))
            return None

        MUTATIONS.append(Mutation(name=change.__name__, apply=apply))
        return change

    return enter


def on_outline(change: Apply) -> Apply:
    """Enter a change of the whole."""
    MUTATIONS.append(Mutation(name=change.__name__, apply=change))
    return change


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One op, by itself or as all that a module does."""

    op: Op
    path: Path
    address: str
    #: Position of the op, or of its module, among the units of the body.
    position: int
    #: What a diff calls it.
    name: str


def ops(outline: Outline) -> Iterator[Site]:
    """Every op with its place."""
    for path, address, body in clay.bodies(outline):
        for n, unit in enumerate(flat(body.items)):
            op = unit.body.items[0] if isinstance(unit, Call) and is_leaf(unit) else unit
            if isinstance(op, Op):
                yield Site(op=op, path=path, address=address, position=n, name=unit.name)


def with_op(outline: Outline, site: Site, op: Op) -> Outline:
    """An outline with one op replaced; its operands keep their names."""
    op = canonical(op)

    def change(body: Clay) -> None:
        unit = body.units[site.position]
        if unit.body is not None:
            unit.body = Body((replace(op, name=op.kind),), default_returns((op,)))
            unit.body = clay.thawed(unit.body).finished()[0]
            return
        by_name = {name: one for one, name in zip(body.units, body.names.values(), strict=True)}
        unit.name = unit.name if op.kind == "input" else op.kind
        unit.kind, unit.mark, unit.held = op.kind, op.mark, list(op.held)
        unit.results, unit.written = list(op.results), list(op.written)
        unit.texts = [(one.keyword, one.text) for one in op.arguments]
        known = dict(_operands(site.op, unit))
        unit.operands = [
            [known[one] if one in known else _held_ref(one, by_name) for one in argument.operands]
            for argument in op.arguments
        ]

    return clay.edited(outline, site.path, change)


def _operands(op: Op, unit: draft.Item) -> Iterator[tuple[object, draft.Operand]]:
    for argument, group in zip(op.arguments, unit.operands, strict=True):
        yield from zip(argument.operands, group, strict=True)


def _held_ref(operand: object, by_name: dict[str, draft.Item]) -> draft.Ref:
    assert isinstance(operand, Ref)
    return draft.Ref(by_name.get(operand.name, operand.name), *operand[1:])


def canonical(op: Op) -> Op:
    """With parameters before buffers, and arguments that need not be written in that order, before named ones."""
    held = tuple(sorted(op.held, key=lambda one: one.is_buffer))
    own = {one.name: n for n, one in enumerate(held)}

    def is_hidden(one: Argument) -> bool:
        return one.text == HOLE and one.operands == (Ref(f"@{one.keyword}"),) and f"@{one.keyword}" in own

    hidden = sorted(filter(is_hidden, op.arguments), key=lambda one: own[f"@{one.keyword}"])
    others = [one for one in op.arguments if not is_hidden(one)]
    at = next((n for n, one in enumerate(others) if one.keyword or not one.operands), len(others))
    return replace(op, held=held, arguments=(*others[:at], *hidden, *others[at:]))
