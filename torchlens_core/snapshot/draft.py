"""A body while it is made: items that refer to each other, before they have names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torchlens_core.snapshot import outline
from torchlens_core.snapshot.outline import Body, Call, Carried, Held, Loop, Op, Several, mapped
from torchlens_core.snapshot.wording import SYMBOLS


class Ref(NamedTuple):
    """A value: an item, or a name that does not depend on the body, ``$0`` or ``@weight``."""

    target: Item | str
    slot: int = 0
    #: A number for each loop around the target that is not around the reader.
    passes: tuple[int, ...] = ()
    certain: bool = True
    last: int | None = None
    is_read: bool = True


Operand = Ref | Several[Ref] | Carried[Ref]


@dataclass(eq=False, slots=True, kw_only=True)
class Item:
    """An op, a call or a loop. Its fields are those of `outline.Op`, `outline.Call` and `outline.Loop`."""

    name: str = ""
    #: The place in the program at which it ran: what runs there again may be the next pass of a loop.
    key: Any = None
    kind: str = ""
    #: Keyword and text of each argument; the operands of all of them, in order.
    texts: list[tuple[str, str]] = field(default_factory=list)
    operands: list[list[Operand]] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    mark: str = ""
    class_name: str = ""
    mode: str = ""
    #: Of calls.
    body: Body | None = None
    #: Of loops.
    inside: list[Item] = field(default_factory=list)
    passes: int = 1
    #: How often each loop around it runs, the outermost first.
    counts: tuple[int, ...] = ()


def flat(items: list[Item]) -> Iterator[Item]:
    """Ops and calls, those of loops once."""
    for item in items:
        if item.inside:
            yield from flat(item.inside)
        else:
            yield item


def finished(items: list[Item], returns: list[Operand]) -> Body:
    """The body with names in place of references."""
    names: dict[int, str] = {}
    counts: Counter[str] = Counter()
    for item in flat(items):
        counts[item.name] += 1
        number = counts[item.name]
        is_plain = number == 1 and item.name not in SYMBOLS
        names[id(item)] = item.name if is_plain else f"{item.name}#{number}"

    def named(ref: Ref) -> outline.Ref:
        if isinstance(ref.target, str):
            return outline.Ref(ref.target, certain=ref.certain, is_read=ref.is_read)
        around = ref.target.counts[len(ref.target.counts) - len(ref.passes) :]
        passes = () if ref.passes == around else ref.passes
        return outline.Ref(names[id(ref.target)], ref.slot, passes, *ref[3:])

    def finish(item: Item) -> outline.Item:
        if item.inside:
            return Loop(passes=item.passes, items=tuple(map(finish, item.inside)))
        operands = [tuple(mapped(one, named) for one in group) for group in item.operands]
        if item.body is not None:
            return Call(
                name=names[id(item)],
                class_name=item.class_name,
                arguments=operands[0],
                body=item.body,
                mode=item.mode,
            )
        return Op(
            name=names[id(item)],
            kind=item.kind,
            arguments=tuple(
                outline.Argument(keyword, text, group)
                for (keyword, text), group in zip(item.texts, operands, strict=True)
            ),
            results=tuple(item.results),
            written=tuple(item.written),
            held=tuple(item.held),
            mark=item.mark,
        )

    return Body(tuple(map(finish, items)), tuple(mapped(one, named) for one in returns))
