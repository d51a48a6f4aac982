"""Structural mutations: each changes an outline in one place, and says what a diff has to say about it.

A mutation is None where an outline has no place for it. Left out as meaning the same, or as what no builder
writes: another name for a value that a module hands through, a value twice among those given to a module,
reads of what runs in loops, ops that read nothing they could be replaced by.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from graph_mutation import on_edges, on_modules, on_ops, on_units, on_wholes
from graph_mutation.mutants import LOCAL, MUTATIONS, Mutant, Mutation
from torchlens_core.snapshot.outline import Outline

#: Those of each enter theirs when they are imported.
KINDS = (on_ops, on_edges, on_units, on_modules, on_wholes)


def twice(outline: Outline, random: Random) -> Mutant | None:
    """Two ops changed, each in its way: neither must hide the other."""
    for _ in range(10):
        first, second = random.sample(LOCAL, 2)
        one = first.apply(outline, random)
        two = second.apply(one.outline, random) if one is not None else None
        if one is None or two is None:
            continue
        (mine,), (other,) = one.claims, two.claims
        if (mine.address, mine.says[0]) != (other.address, other.says[0]):
            claims = tuple(replace(claim, most=mine.most + other.most) for claim in (mine, other))
            return Mutant(outline=two.outline, claims=claims)
    return None


MUTATIONS.append(Mutation(name="twice", apply=twice))
