"""What an alignment must be, whatever the two graphs are: whole, in order, and of one mind with the diff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from torchlens_core.diff import Alignment, GraphDiff, Row
from torchlens_core.snapshot.outline import Body, Call, Item, Loop, Outline, flat, refs_of


def faults(alignment: Alignment, old: Outline, new: Outline, diff: GraphDiff) -> list[str]:
    """What is wrong with an alignment."""
    found = list(_faults(alignment, old.body, new.body))
    said = {change for one in alignments(alignment) for change in _changes(one)}
    if said != set(diff.changes):
        found.append(f"says {len(said)} changes, the diff {len(set(diff.changes))}")
    return [f"alignment: {one}" for one in found]


def alignments(alignment: Alignment) -> Iterator[Alignment]:
    """An alignment, and all in it."""
    yield alignment
    for row in beneath(alignment.rows):
        if row.inner is not None:
            yield from alignments(row.inner)


def beneath(rows: Sequence[Row]) -> Iterator[Row]:
    """The rows of one pair of bodies."""
    for row in rows:
        yield row
        yield from beneath(row.rows)


def _changes(alignment: Alignment):
    yield from alignment.changes
    for row in beneath(alignment.rows):
        yield from row.changes


def _faults(alignment: Alignment, old: Body, new: Body) -> Iterator[str]:
    rows = list(beneath(alignment.rows))
    for side, body in (("old", old), ("new", new)):
        parts = [part for row in rows if (part := getattr(row, side)) is not None]
        names = Counter(part.name for part in parts if part.name)
        whole = list(_items(body.items, set(names)))
        mine = [part.item for part in parts]
        if Counter(whole) != Counter(mine):
            yield f"{alignment.address}: {len(mine)} parts of the {side} side, not {len(whole)}"
        if side == "new" and mine != whole:
            yield f"{alignment.address}: the new side is in another order"
        if len(names) < names.total():
            yield f"{alignment.address}: names of the {side} side stand twice"
        returns = getattr(alignment, f"{side}_returns")
        read = [ref for part in parts for one in part.reads for ref in refs_of(one)]
        for ref in [*read, *(ref for one in returns for ref in refs_of(one))]:
            if ref.name[0] not in "$@" and ref.name not in names:
                yield f"{alignment.address}: {ref.name} is read on the {side} side, and no part"
    for row in rows:
        yield from _of_row(row)
    for one in rows:
        if one.inner is not None:
            assert one.old is not None
            assert one.new is not None
            assert isinstance(one.old.item, Call)
            assert isinstance(one.new.item, Call)
            yield from _faults(one.inner, one.old.item.body, one.new.item.body)


def _of_row(row: Row) -> Iterator[str]:
    sides = {(True, False): "removed", (False, True): "added"}
    alone = sides.get((row.old is not None, row.new is not None))
    if alone and row.changes and {change.effect for change in row.changes} == {"order"}:
        alone = "same"  # out of a loop, or in one, by order alone
    is_touched = any(change.effect != "order" for change in row.changes)
    inside = [*row.rows, *(row.inner.rows if row.inner is not None else ())]
    is_touched |= any(one.verdict != "same" for one in inside)
    is_touched |= row.inner is not None and any(one.effect != "order" for one in row.inner.changes)
    if row.verdict != (alone or ("changed" if is_touched else "same")):
        yield f"{row.part.name} is said to be {row.verdict}"


def _items(items: Sequence[Item], names: set[str]) -> Iterator[Item]:
    """Items of a body, those of loops and of modules that are seen through too."""
    for item in items:
        yield item
        if isinstance(item, Loop):
            yield from _items(item.items, names)
        elif isinstance(item, Call) and any(
            f"{item.name}.{one.name}" in names for one in flat(item.body.items)
        ):
            yield from _items(item.body.items, set())
