"""What must not fail: the same ops in another order that their data flow allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from graph_mutation import clay
from graph_mutation.clay import Clay
from torchlens_core.snapshot import draft
from torchlens_core.snapshot.outline import Outline, refs_of


def shuffled_body(outline: Outline, random: Random) -> Outline | None:
    """One body, and the loops in it, in a random order."""
    found = [one for one in clay.bodies(outline) if len(one[2].items) > 1]
    random.shuffle(found)
    for path, _, _ in found:
        changed = clay.edited(outline, path, lambda body: _shuffle(body, random))
        if changed != outline:
            return changed
    return None


def neighbours_swapped(outline: Outline, random: Random) -> Outline | None:
    """Two independent units that follow each other, the other way round."""
    found = []
    for path, _, body in clay.bodies(outline):
        soft = clay.thawed(body)
        before = _needed(soft, soft.items)
        found += [
            (path, n)
            for n in range(len(soft.items) - 1)
            if n not in before[n + 1] and soft.items[n].kind != "input"
        ]
    random.shuffle(found)
    for path, n in found:

        def change(body: Clay, n: int = n) -> None:
            body.items[n : n + 2] = [body.items[n + 1], body.items[n]]

        changed = clay.edited(outline, path, change)
        if changed != outline:
            return changed
    return None


def all_shuffled(outline: Outline, random: Random) -> Outline | None:
    """Every body in a random order."""
    changed = clay.edited_everywhere(outline, lambda body: _shuffle(body, random))
    return changed if changed != outline else None


def _shuffle(body: Clay, random: Random) -> None:
    for container in [body.items, *(item.inside for item in body.items if item.inside)]:
        container[:] = _random_order(body, container, random)


def _random_order(body: Clay, items: Sequence[draft.Item], random: Random) -> list[draft.Item]:
    """Some order in which each item stands behind what it reads; inputs are first, as ever."""
    needed = _needed(body, items)
    done: list[int] = []
    left = set(range(len(items)))
    while left:
        ready = [n for n in sorted(left) if not needed[n] & left]
        inputs = [n for n in ready if items[n].kind == "input"]
        chosen = inputs[0] if inputs else random.choice(ready)
        left.remove(chosen)
        done.append(chosen)
    return [items[n] for n in done]


def _needed(body: Clay, items: Sequence[draft.Item]) -> list[set[int]]:
    """For each of some items, which others of them it reads in the same pass."""
    place = {id(unit): n for n, item in enumerate(items) for unit in draft.flat([item])}

    def read(operand: draft.Operand) -> list[draft.Ref]:
        if isinstance(operand, draft.Carried):  # the rest is of the pass before
            return read(operand.first)
        return list(refs_of(operand))

    return [
        {
            place[id(ref.target)]
            for unit in draft.flat([item])
            for group in unit.operands
            for operand in group
            for ref in read(operand)
            if id(ref.target) in place
        }
        - {n}
        for n, item in enumerate(items)
    ]


Reordering = Callable[[Outline, Random], Outline | None]
REORDERINGS: tuple[Reordering, ...] = (neighbours_swapped, shuffled_body, all_shuffled)
