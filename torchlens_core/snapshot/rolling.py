"""Loops: items that run again and again at the same places, written once.

Passes are the same if they differ only in what a loop changes: values of the pass before, results taken one
after the other, numbers that grow by the same step.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from torchlens_core.snapshot.draft import Item, Operand, Ref, flat
from torchlens_core.snapshot.outline import Body, Call, Carried, Loop, Op, mapped, merged, refs_of
from torchlens_core.snapshot.outline import Item as Finished

#: Bodies in which loops of more lengths than this follow each other keep some of them unrolled.
MAX_SWEEPS = 64


def rolled(items: list[Item], returns: list[Operand]) -> tuple[list[Item], list[Operand]]:
    """Items with their loops, and the operands that a body returns, which may name passes of them.

    Shorter periods first, so that inner loops are found before the loops around them.
    """
    for _ in range(MAX_SWEEPS):
        following = _following(items)
        periods = sorted({after - n for n, after in enumerate(following) if after})
        found = next((one for p in periods if (one := _one_sweep(items, returns, following, p))), None)
        if found is None:
            break
        items, returns = found
    return items, returns


def _following(items: list[Item]) -> list[int]:
    """For each item where the next at the same place is; 0 if there is none."""
    next_of: dict[Any, int] = {}
    following = [0] * len(items)
    for n in range(len(items) - 1, -1, -1):
        following[n] = next_of.get(items[n].key, 0)
        next_of[items[n].key] = n
    return following


def _one_sweep(
    items: list[Item], returns: list[Operand], following: Sequence[int], period: int
) -> tuple[list[Item], list[Operand]] | None:
    """All loops of one period; None if there are none."""
    keys = [item.key for item in items]
    made: list[Item] = []
    moved: dict[int, tuple[Item, int]] = {}
    n = 0
    while n < len(items):
        count = _passes(items, keys, n, period) if following[n] == n + period else 1
        if count > 1:
            made.append(_loop(items, n, period, count, moved))
            n += period * count
        else:
            made.append(items[n])
            n += 1
    if not moved:
        return None

    def change(ref: Ref) -> Ref:
        if isinstance(ref.target, str) or id(ref.target) not in moved:
            return ref
        template, number = moved[id(ref.target)]
        return ref._replace(target=template, passes=(number, *ref.passes))

    for one in made:
        own = {id(item) for item in flat([one])}  # among themselves, items of a loop mean the same pass

        def change_other(ref: Ref, own: set[int] = own) -> Ref:
            return ref if id(ref.target) in own else change(ref)

        for item in flat([one]):
            item.operands = [
                [mapped(operand, change_other) for operand in group] for group in item.operands
            ]
    return made, [mapped(operand, change) for operand in returns]


# -- which items are passes of a loop --------------------------------------------------------------


class _Region:
    """The passes of what may be a loop: where each item stands in it."""

    def __init__(self, items: Sequence[Item], start: int, period: int) -> None:
        self._items = items
        self._start = start
        self._period = period
        self._places: dict[int, tuple[int, int]] = {}

    def place(self, item: Item | str) -> tuple[int, int] | None:
        """Pass and position of an item; None if it is outside or in a pass not looked at yet."""
        return None if isinstance(item, str) else self._places.get(id(item))

    def look_at(self, number: int) -> list[Item]:
        """The items of the next pass, those of loops inside once; they are known from then on."""
        begin = self._start + number * self._period
        found = list(flat(list(self._items[begin : begin + self._period])))
        for position, item in enumerate(found):
            self._places[id(item)] = number, position
        return found


def _passes(items: Sequence[Item], keys: Sequence[Any], start: int, period: int) -> int:
    """How many passes of a loop with that period begin at ``start``; 1 if it is none."""
    region = _Region(items, start, period)
    passes: list[list[Item]] = []
    number = 0
    while True:
        begin = start + number * period
        if keys[begin : begin + period] == keys[start : start + period]:
            passes = [*passes[:2], region.look_at(number)]
            if not number or _is_next(passes, number, region):
                number += 1
                continue
        # any two numbers are a progression
        return 1 if number == 2 and _differ(passes[0], passes[1], region) else number


def _differ(zeroth: Sequence[Item], first: Sequence[Item], region: _Region) -> bool:
    """Whether two passes are the same only in that numbers grow."""
    return any(
        _texts(a) != _texts(b)
        or (a.body is not b.body)
        or any(
            (rule := _rule(x, y, region, 0)) is None or rule.step
            for x, y in zip(_all(a), _all(b), strict=True)
        )
        for a, b in zip(zeroth, first, strict=True)
    )


def _is_next(passes: Sequence[Sequence[Item]], number: int, region: _Region) -> bool:
    """Whether the last of some passes goes on as the first two do."""
    return all(
        len(one) == len(passes[0]) and _goes_on(*items, number, region)
        for one in passes[1:]
        for items in zip(passes[0], passes[1], passes[-1], strict=False)
    )


def _goes_on(zeroth: Item, first: Item, this: Item, number: int, region: _Region) -> bool:
    return (
        _nature(zeroth) == _nature(first) == _nature(this)
        and _texts_go_on(_texts(zeroth), _texts(first), _texts(this), number)
        and (
            not zeroth.counts
            or (_texts(zeroth) == _texts(first) and zeroth.body is first.body is this.body)
        )
        and _operands_go_on(_all(zeroth), _all(first), _all(this), number, region, len(zeroth.counts))
        and (zeroth.body is None or _bodies_go_on(zeroth.body, first.body, this.body, number))  # type: ignore[arg-type]
    )


def _nature(item: Item) -> tuple[Any, ...]:
    """What is the same in all passes."""
    return item.name, item.kind, item.held, item.mark, item.class_name, item.mode, item.passes, item.counts


def _all(item: Item) -> list[Operand]:
    return [operand for group in item.operands for operand in group]


def _texts(item: Item) -> list[str]:
    return [*(part for pair in item.texts for part in pair), *item.results, *item.written]


def _operands_go_on(
    zeroth: Sequence[Operand],
    first: Sequence[Operand],
    this: Sequence[Operand],
    number: int,
    region: _Region,
    level: int,
) -> bool:
    if not len(zeroth) == len(first) == len(this):
        return False
    found = [_rule(a, b, region, level) for a, b in zip(zeroth, first, strict=True)]
    return all(
        rule is not None and rule.holds(one, number, region) for rule, one in zip(found, this, strict=True)
    )


class _Rule:
    """What an operand is in each pass, as the first two have it."""

    def __init__(
        self, zeroth: Operand, first: Operand, region: _Region, step: int = 0, merged: Any = None
    ) -> None:
        self.zeroth = zeroth
        #: How far from one pass to the next the result that is read lies, if each pass reads another.
        self.step = step
        #: The operand for all passes, made by a function that leads from any pass to the first.
        self._merged = merged
        self._shape = _relative(first, 1, region)

    def holds(self, operand: Operand, number: int, region: _Region) -> bool:
        """Whether an operand of pass ``number`` is what is expected there."""
        if number == 1:
            return True
        if self.step:
            assert isinstance(self.zeroth, Ref)
            return operand == self.zeroth._replace(slot=self.zeroth.slot + number * self.step)
        return bool(_relative(operand, number, region) == self._shape)

    def merged(self, passes: int, change: Any) -> Operand:
        """The operand for all passes; ``change`` leads from items of a pass to those of the first."""
        if self.step:
            assert isinstance(self.zeroth, Ref)
            return self.zeroth._replace(last=self.zeroth.slot + (passes - 1) * self.step)
        return self._merged(change) if self._merged else self.zeroth


def _rule(zeroth: Operand, first: Operand, region: _Region, level: int) -> _Rule | None:
    """What an operand is in all passes of a loop, with ``level`` loops between it and the reader."""
    if _relative(zeroth, 0, region) == _relative(first, 1, region):
        return _Rule(zeroth, first, region)
    if isinstance(zeroth, Carried) and isinstance(first, Carried):
        # a loop in it begins with what it carries
        begins = _rule(zeroth.first, first.first, region, level)
        is_same = _relative(zeroth.then, 0, region) == _relative(first.then, 1, region)
        if begins is None or begins.step or not is_same or zeroth.level != first.level:
            return None
        then, inner = zeroth.then, zeroth.level
        return _Rule(
            zeroth, first, region, merged=lambda change: Carried(begins.merged(0, change), then, inner)
        )
    if isinstance(zeroth, Carried) or isinstance(first, Carried):
        return None
    reaches = {place[0] for ref in refs_of(first) if (place := region.place(ref.target)) is not None}
    if reaches == {0} and all(region.place(ref.target) is None for ref in refs_of(zeroth)):
        return _Rule(
            zeroth,
            first,
            region,
            merged=lambda change: Carried(zeroth, merged([mapped(first, change)]), level),
        )
    if isinstance(zeroth, Ref) and isinstance(first, Ref) and region.place(first.target) is None:
        # in a loop in the loop, nobody could say whose passes are counted
        if first._replace(slot=zeroth.slot) == zeroth and zeroth.last is None and not level:
            return _Rule(zeroth, first, region, step=first.slot - zeroth.slot)
    return None


def _relative(operand: Operand, number: int, region: _Region) -> Any:
    """An operand with items of the loop as how many passes back they are, and where in the pass."""
    found = []
    for ref in refs_of(operand):
        place = region.place(ref.target)
        target = ref.target if place is None else (number - place[0], place[1])
        found.append((target if isinstance(target, str | tuple) else id(target), *ref[1:]))
    return type(operand).__name__, operand.level if isinstance(operand, Carried) else 0, found


def _loop(
    items: Sequence[Item], start: int, period: int, count: int, moved: dict[int, tuple[Item, int]]
) -> Item:
    """The loop of some items; its items are those of the first pass, changed to stand for all."""
    region = _Region(items, start, period)
    passes = [region.look_at(number) for number in range(count)]
    for number, one in enumerate(passes):
        for template, item in zip(passes[0], one, strict=True):
            moved[id(item)] = template, number + 1
    templates = {id(item): template for template, item in zip(passes[0], passes[1], strict=True)}
    templates |= {id(item): item for item in passes[0]}

    def change(ref: Ref) -> Ref:
        return ref._replace(target=templates.get(id(ref.target), ref.target))

    for zeroth, first in zip(passes[0], passes[1], strict=True):
        zeroth.texts = [
            (keyword, spread(a, b, count))
            for (keyword, a), (_, b) in zip(zeroth.texts, first.texts, strict=True)
        ]
        zeroth.results = _spread_all(zeroth.results, first.results, count)
        zeroth.written = _spread_all(zeroth.written, first.written, count)
        if zeroth.body is not None and first.body is not None:
            zeroth.body = _spread_body(zeroth.body, first.body, count)
        pairs = [list(zip(a, b, strict=True)) for a, b in zip(zeroth.operands, first.operands, strict=True)]
        level = len(zeroth.counts)
        rules = [[_rule(a, b, region, level) for a, b in group] for group in pairs]
        zeroth.operands = [[rule.merged(count, change) for rule in group if rule] for group in rules]
    for item in passes[0]:
        item.counts = (count, *item.counts)
    inside = list(items[start : start + period])
    return Item(key=("loop", tuple(item.key for item in inside)), inside=inside, passes=count)


# -- texts that differ in numbers ------------------------------------------------------------------

_NUMBERS = re.compile(r"(?<![\w.#])-?\d+(?![\w.#])")


def _texts_go_on(zeroth: Sequence[str], first: Sequence[str], this: Sequence[str], number: int) -> bool:
    if zeroth == first == this:
        return True
    return len(zeroth) == len(first) == len(this) and all(
        a == b == c or _text_goes_on(a, b, c, number) for a, b, c in zip(zeroth, first, this, strict=True)
    )


@lru_cache(maxsize=4096)
def _numbers(text: str) -> tuple[tuple[str, ...], tuple[int, ...]] | None:
    """What stands between the numbers of a text, and the numbers; None if numbers in it count nothing."""
    if '"' in text or "<" in text or ".." in text.replace("...", ""):
        return None
    return tuple(_NUMBERS.split(text)), tuple(map(int, _NUMBERS.findall(text)))


def _text_goes_on(zeroth: str, first: str, this: str, number: int) -> bool:
    a, b, c = _numbers(zeroth), _numbers(first), _numbers(this)
    if a is None or b is None or c is None or not a[0] == b[0] == c[0]:
        return False
    return all(z == x + number * (y - x) for x, y, z in zip(a[1], b[1], c[1], strict=True))


def spread(zeroth: str, first: str, count: int) -> str:
    """The text for all of ``count`` passes.

    >>> spread("f32[1, 4]", "f32[1, 5]", 4)
    'f32[1, 4..7]'
    """
    if zeroth == first:
        return zeroth
    a, b = _numbers(zeroth), _numbers(first)
    assert a is not None
    assert b is not None
    text = a[0][0]
    for between, x, y in zip(a[0][1:], a[1], b[1], strict=True):
        text += (f"{x}" if x == y else f"{x}..{x + (count - 1) * (y - x)}") + between
    return text


def _bodies_go_on(zeroth: Body, first: Body, this: Body, number: int) -> bool:
    if zeroth is first is this:
        return True
    return (
        zeroth.returns == first.returns == this.returns
        and len(zeroth.items) == len(first.items) == len(this.items)
        and all(
            _finished_go_on(*items, number)
            for items in zip(zeroth.items, first.items, this.items, strict=True)
        )
    )


def _finished_go_on(zeroth: Finished, first: Finished, this: Finished, number: int) -> bool:
    if zeroth == first == this:
        return True
    if isinstance(zeroth, Call) and isinstance(first, Call) and isinstance(this, Call):
        names = {(one.name, one.class_name, one.arguments, one.mode) for one in (zeroth, first, this)}
        return len(names) == 1 and _bodies_go_on(zeroth.body, first.body, this.body, number)
    if not (isinstance(zeroth, Op) and isinstance(first, Op) and isinstance(this, Op)):
        return False
    same = {
        (
            one.name,
            one.kind,
            one.operands,
            one.mark,
            tuple(a.keyword for a in one.arguments),
            len(one.specs),
        )
        for one in (zeroth, first, this)
    }
    return len(same) == 1 and _texts_go_on(_texts_of(zeroth), _texts_of(first), _texts_of(this), number)


def _texts_of(op: Op) -> list[str]:
    return [*(one.text for one in op.arguments), *op.specs, *(f"{h.name} {h.spec}" for h in op.held)]


def _spread_body(zeroth: Body, first: Body, count: int) -> Body:
    if zeroth is first:
        return zeroth
    items = [_spread_item(a, b, count) for a, b in zip(zeroth.items, first.items, strict=True)]
    return Body(tuple(items), zeroth.returns)


def _spread_item(zeroth: Finished, first: Finished, count: int) -> Finished:
    if zeroth == first or isinstance(zeroth, Loop):
        return zeroth
    if isinstance(zeroth, Call):
        assert isinstance(first, Call)
        return replace(zeroth, body=_spread_body(zeroth.body, first.body, count))
    assert isinstance(first, Op)
    texts = _spread_all(
        [one.text for one in zeroth.arguments], [one.text for one in first.arguments], count
    )
    specs = _spread_all([one.spec for one in zeroth.held], [one.spec for one in first.held], count)
    return replace(
        zeroth,
        arguments=tuple(a._replace(text=text) for a, text in zip(zeroth.arguments, texts, strict=True)),
        results=tuple(_spread_all(zeroth.results, first.results, count)),
        written=tuple(_spread_all(zeroth.written, first.written, count)),
        held=tuple(one._replace(spec=spec) for one, spec in zip(zeroth.held, specs, strict=True)),
    )


def _spread_all(zeroth: Sequence[str], first: Sequence[str], count: int) -> list[str]:
    return [spread(a, b, count) for a, b in zip(zeroth, first, strict=True)]
