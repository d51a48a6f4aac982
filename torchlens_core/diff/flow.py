"""Whether a unit reads what its partner read, ops that came or went on the way seen through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torchlens_core.diff.matching import Matching
from torchlens_core.diff.titles import NEW_INPUT
from torchlens_core.diff.units import Unit
from torchlens_core.snapshot.outline import Carried, Operand, Ref, refs_of

#: A value by the name that it has in the new body.
Key = tuple[str, int, tuple[int, ...]]


class Slots(NamedTuple):
    """Which values of a list are which of another, by their places."""

    same: dict[int, int]
    #: Others that have come in the place of those that are gone, in order; then what is left on each side.
    crossed: dict[int, int]
    gone: list[int]
    came: list[int]


class Flow:
    """What values of one body are in another."""

    def __init__(self, matching: Matching, inputs: Mapping[str, str]) -> None:
        self._inputs = inputs
        self._is_in_place = matching.is_in_place
        self._known = set(inputs.values())
        self._partner = {old.name: new.name for old, new in matching.pairs}
        self._new = matching.new
        #: For pairs of modules: which result of the old one is which of the new one.
        self.slots: dict[str, Mapping[int, int]] = {}
        #: Whether loops of the two run as often: else their passes are not compared.
        self.same_passes = all(old.passes == new.passes for old, new in matching.pairs)
        #: What stands behind units that came or went.
        self._behind_old: dict[str, frozenset[Key]] = {}
        self._behind_new: dict[str, frozenset[Key]] = {}
        for units, is_old in ((matching.removed, True), (matching.added, False)):
            behind = self._behind_old if is_old else self._behind_new
            for unit in units:  # in order, so that what they read is known; a loop's later lines are not
                behind[unit.name] = self._behind(unit, is_old)
        self._handed_on = self._all_handed_on(matching.pairs)

    def _all_handed_on(self, pairs: Sequence[tuple[Unit, Unit]]) -> dict[Key, frozenset[Key]]:
        """For results of modules whose partner hands on a value that it was given: what that value is.

        Who read a block reads what was before it, once an ``Identity`` has come in its place.
        """
        found: dict[Key, frozenset[Key]] = {}
        for old, new in pairs:
            if old.call is None or new.call is None or old.call.body == new.call.body:
                continue
            own = self._partner[old.name]
            for is_old, one, other in ((True, old, new), (False, new, old)):
                for slot, given in _handed_on(one):
                    if slot not in dict(_handed_on(other)) and given < len(one.operands):
                        keys = self._union(one.operands[given], is_old)[0]
                        found[own, slot, ()] = frozenset(keys)
        return found

    @property
    def is_unchanged(self) -> bool:
        """Whether each name means the same value in both bodies."""
        return self._is_in_place and not self.slots

    def renamed(self, ref: Ref) -> Ref:
        """A value of the old body by the name that it has in the new one, or had, if it is no more."""
        name = ref.name
        if name[0] == "@":
            return ref
        if name[0] == "$":
            known = self._inputs.get(name)
            return ref if known is None else ref._replace(name=NEW_INPUT.format(known[1:]))
        partner = self._partner.get(name)
        if partner is None:
            return ref._replace(name=f"the old {name}") if name in self._new.names else ref
        return ref._replace(name=partner, slot=self.slots.get(name, {}).get(ref.slot, ref.slot))

    def _behind(self, unit: Unit, is_old: bool) -> frozenset[Key]:
        found: set[Key] = set()
        for ref in (ref for operand in unit.operands for ref in refs_of(operand) if ref.name[0] != "@"):
            found |= self._keys(ref, is_old)[0]
        return frozenset(found)

    def _keys(self, ref: Ref, is_old: bool) -> tuple[frozenset[Key], bool]:
        """What a value is in the new body, and whether something that came or went was seen through."""
        name = ref.name
        if name[0] == "@":
            return frozenset({(name, 0, ())}), False
        if name[0] == "$":
            known = self._inputs.get(name, f"old {name}") if is_old else name
            return frozenset({(known, 0, ())}), not is_old and name not in self._known
        behind = (self._behind_old if is_old else self._behind_new).get(name)
        if behind is not None:
            return behind, True
        passes = ref.passes if self.same_passes else ()
        if not is_old:
            return frozenset({(name, ref.slot, passes)}), False
        slot = self.slots.get(name, {}).get(ref.slot, ref.slot)
        return frozenset({(self._partner.get(name, name), slot, passes)}), False

    def is_same(self, old: Operand, new: Operand) -> bool:
        """Whether two operands are one value, or would be without what came and went."""
        if isinstance(old, Ref) and isinstance(new, Ref):  # nearly all are
            partner = self._partner.get(old.name)
            if (
                partner is not None
                and partner == new.name
                and old[1:] == new[1:]
                and old.name not in self.slots
            ):
                return True
        if isinstance(old, Carried) and isinstance(new, Carried):
            is_alike = old.level == new.level
            return is_alike and self.is_same(old.first, new.first) and self.is_same(old.then, new.then)
        if isinstance(old, Carried) or isinstance(new, Carried):
            if self.same_passes:
                return False
            # in a loop now, or no more
            first = old.first if isinstance(old, Carried) else old
            then = new.first if isinstance(new, Carried) else new
            return self.is_same(first, then)
        before, gone = self._union(old, is_old=True)
        after, came = self._union(new, is_old=False)
        if gone or came:
            return bool(before & after) or (not before and not after)
        if _shape(old) != _shape(new):
            return False
        return before == after or self._are_handed_on(before, after)

    def _are_handed_on(self, before: set[Key], after: set[Key]) -> bool:
        """Whether one is what a module hands on that stands in the place of the other."""
        if not self._handed_on or len(before) != 1 or len(after) != 1:
            return False
        (old,), (new,) = before, after
        nothing: frozenset[Key] = frozenset()
        return new in self._handed_on.get(old, nothing) or old in self._handed_on.get(new, nothing)

    def _union(self, operand: Operand, is_old: bool) -> tuple[set[Key], bool]:
        found: set[Key] = set()
        through = False
        for ref in refs_of(operand):
            keys, is_through = self._keys(ref, is_old)
            found |= keys
            through |= is_through
        return found, through

    def compared(
        self, old: Sequence[Operand], new: Sequence[Operand]
    ) -> list[tuple[int, Operand, Operand]] | None:
        """The positions at which two lists of operands differ; None if they are not as long."""
        if not self.same_passes:
            old, new = self._without_runs(old, is_old=True), self._without_runs(new, is_old=False)
        if len(old) != len(new):
            return None
        return [(n, a, b) for n, (a, b) in enumerate(zip(old, new, strict=True)) if not self.is_same(a, b)]

    def _without_runs(self, operands: Sequence[Operand], is_old: bool) -> list[Operand]:
        """Without the passes of a loop after the first, where loops run more or less often than before."""
        kept: list[Operand] = []
        last: set[Key] | None = None
        for operand in operands:
            keys = self._union(operand, is_old)[0]
            if keys != last or not keys:
                kept.append(operand)
            last = keys
        return kept

    def is_swapped(self, wrong: Sequence[tuple[int, Operand, Operand]]) -> bool:
        """Whether operands are those of the partner in another order."""
        before = [frozenset(self._union(old, is_old=True)[0]) for _, old, _ in wrong]
        after = [frozenset(self._union(new, is_old=False)[0]) for _, _, new in wrong]
        return len(wrong) > 1 and sorted(map(sorted, before)) == sorted(map(sorted, after))

    def paired(self, old: Sequence[Operand], new: Sequence[Operand]) -> Slots:
        """Which of some operands are which of others: at the same place if they can be, else anywhere."""
        same = {n: n for n, (a, b) in enumerate(zip(old, new, strict=False)) if self.is_same(a, b)}
        free = [n for n in range(len(new)) if n not in same]
        left = []
        for n, operand in enumerate(old):
            if n in same:
                continue
            other = next((m for m in free if self.is_same(operand, new[m])), None)
            if other is None:
                left.append(n)
            else:
                same[n] = other
                free.remove(other)
        crossed = dict(zip(left, free, strict=False))
        return Slots(same, crossed, left[len(crossed) :], free[len(crossed) :])


def _shape(operand: Operand) -> list[tuple[object, ...]]:
    return [ref[3:] for ref in refs_of(operand)] if not isinstance(operand, Carried) else []


def _handed_on(unit: Unit) -> list[tuple[int, int]]:
    """Results of a module that are values it was given: which is which of its ``$``."""
    assert unit.call is not None
    if unit.op is not None:
        return []
    returns = enumerate(unit.call.body.returns)
    return [
        (slot, int(one.name[1:])) for slot, one in returns if isinstance(one, Ref) and one.name[0] == "$"
    ]
