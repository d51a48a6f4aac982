"""Equal neighbours drawn once: the twelve blocks of an encoder, passes of a loop that was not rolled."""

from __future__ import annotations

from collections.abc import Sequence

from torchlens_core.draw.tree import Group, Leaf, Tree, Wire, enclosed, groups_of, leaves_in

#: Longest pattern of neighbours that is looked for.
MAX_PERIOD = 3
#: What is drawn once must save so many boxes.
MIN_SAVED = 5


def fold(tree: Tree) -> None:
    """Leave of equal neighbouring parts the first, marked with their number."""
    _Folder(tree).fold()


class _Folder:
    """Knows for each part of a tree what it looks like, inside and to what is around it."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._into: dict[Leaf, list[Wire]] = {}
        for wire in tree.wires:
            if wire.kind != "gradient":
                self._into.setdefault(wire.head, []).append(wire)
        self._numbers: dict[tuple[object, ...], int] = {}
        self._looks: dict[int, int] = {}
        self._stands_for: dict[Leaf, Leaf] = {}

    def fold(self) -> None:
        self._look(self._tree.root)
        self._fold_in(self._tree.root)
        if self._stands_for:
            self._rewire()

    # -- what parts look like ----------------------------------------------------------------------

    def _number(self, *look: object) -> int:
        return self._numbers.setdefault(look, len(self._numbers))

    def _look(self, root: Group) -> None:
        """Number what each part looks like; equal parts have equal numbers."""
        for group in reversed((root, *groups_of(root))):  # inner ones first
            for one in group.inside:
                if isinstance(one, Leaf):
                    self._looks[id(one)] = self._number(one.words, one.passes, one.change)
            inside = tuple(self._looks[id(one)] for one in group.inside)
            look = (group.kind, group.class_name, group.parameters, group.passes, group.change, inside)
            self._looks[id(group)] = self._number(*look)

    def _wiring(self, parts: Sequence[Leaf | Group]) -> tuple[object, ...]:
        """How the leaves of some parts are wired: to each other, and to what is outside, by order of appearance."""
        places = {leaf: n for n, leaf in enumerate(leaves_in(parts))}
        outside: dict[Leaf, int] = {}
        found: list[object] = []
        for leaf, place in places.items():
            for wire in self._into.get(leaf, ()):
                tail = places.get(wire.tail)
                if tail is None:
                    tail = -1 - outside.setdefault(wire.tail, len(outside))
                found.append((wire.kind, wire.label, tail, place))
        return tuple(found)

    # -- folding -----------------------------------------------------------------------------------

    def _fold_in(self, group: Group) -> None:
        inside = group.inside
        kept: list[Leaf | Group] = []
        start = 0
        while start < len(inside):
            period, times = self._best(inside, start)
            parts = inside[start : start + period]
            if times > 1:
                kept.append(self._folded(group, inside[start : start + period * times], period, times))
            else:
                kept.extend(parts)
            start += period * times
        group.inside = kept
        for one in kept:
            if isinstance(one, Group):
                self._fold_in(one)

    def _best(self, inside: Sequence[Leaf | Group], start: int) -> tuple[int, int]:
        """The pattern from ``start`` on that saves most: its length and how often it comes."""
        best, most = (1, 1), MIN_SAVED - 1
        for period in range(1, MAX_PERIOD + 1):
            times = self._times(inside, start, period)
            if times < 2:
                continue
            size = len(list(leaves_in(inside[start : start + period])))
            while times > 1 and (fewer := self._regular_times(inside, start, period, times)) < times:
                times = fewer
            saved = size * (times - 1)
            if saved > most:
                best, most = (period, times), saved
        return best

    def _times(self, inside: Sequence[Leaf | Group], start: int, period: int) -> int:
        looks = [self._looks[id(one)] for one in inside[start : start + period]]
        if len(looks) < period or not any(isinstance(one, Group) for one in inside[start : start + period]):
            return 1
        times = 1
        while True:
            begin = start + times * period
            following = inside[begin : begin + period]
            if [self._looks[id(one)] for one in following] != looks:
                break
            times += 1
        if times == 1:
            return 1
        wiring = self._wiring(inside[start : start + period])
        for n in range(1, times):
            if self._wiring(inside[start + n * period : start + (n + 1) * period]) != wiring:
                return n
        return times

    def _regular_times(self, inside: Sequence[Leaf | Group], start: int, period: int, times: int) -> int:
        """How many copies, from the first on, read of the others only the one before, and all in the same way."""
        place: dict[Leaf, tuple[int, int]] = {}
        for copy in range(times):
            begin = start + copy * period
            for n, leaf in enumerate(leaves_in(inside[begin : begin + period])):
                place[leaf] = copy, n
        between: list[set[tuple[int, int]]] = [set() for _ in range(times)]
        for leaf, (copy, n) in place.items():
            for wire in self._into.get(leaf, ()):
                tail = place.get(wire.tail)
                if tail is not None and tail[0] != copy:
                    if copy - tail[0] != 1:
                        return max(copy, 1) if copy > tail[0] else 1
                    between[copy].add((tail[1], n))
        for copy in range(2, times):
            if between[copy] != between[1]:
                return copy
        return times

    def _folded(self, around: Group, parts: Sequence[Leaf | Group], period: int, times: int) -> Group:
        leaves = [list(leaves_in(parts[n * period : (n + 1) * period])) for n in range(times)]
        for copy in leaves[1:]:
            for kept, leaf in zip(leaves[0], copy, strict=True):
                self._stands_for[leaf] = kept
                kept.labels += leaf.labels
        first, last = parts[:period], parts[-period:]
        second = set(leaves[1])
        heads = set(leaves[0])
        is_chained = any(wire.tail in heads for leaf in second for wire in self._into.get(leaf, ()))
        only = first[0] if period == 1 else None
        whole = only if isinstance(only, Group) else enclosed("repeat", first, around)
        whole.count, whole.is_chained = times, is_chained
        for old, new in zip(first, last, strict=True):
            if isinstance(old, Group) and isinstance(new, Group):
                old.last_name = new.last_name
        for number, part in enumerate(parts[period:]):
            original = first[number % period]
            if isinstance(part, Group) and isinstance(original, Group):
                pairs = zip((original, *groups_of(original)), (part, *groups_of(part)), strict=True)
                for one, other in pairs:
                    one.others += [other.address, *other.others]
        return whole

    def _kept(self, leaf: Leaf) -> Leaf:
        """What is drawn for a leaf: what it stands for may itself have been folded."""
        while leaf in self._stands_for:
            leaf = self._stands_for[leaf]
        return leaf

    def _rewire(self) -> None:
        """Wires of the copies left out become those of the first; from one copy to the next, none."""
        kept: dict[tuple[Leaf, Leaf, str], Wire] = {}
        for wire in self._tree.wires:
            tail, head = self._kept(wire.tail), self._kept(wire.head)
            is_copied = tail is not wire.tail or head is not wire.head
            is_between = tail.order <= head.order if wire.kind == "gradient" else tail.order >= head.order
            if is_copied and is_between and wire.kind != "back":
                continue
            if (tail, head, wire.kind) not in kept:
                kept[tail, head, wire.kind] = wire.between(tail, head)
        self._tree.wires = list(kept.values())
