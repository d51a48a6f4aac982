"""Two bodies, compared unit by unit, and the modules in them, each pair of bodies once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torchlens_core.changes import BREAKING, ORDER
from torchlens_core.diff import ops, titles
from torchlens_core.diff.flow import Flow
from torchlens_core.diff.matching import Matching, Side, matched
from torchlens_core.diff.ops import Context
from torchlens_core.diff.titles import NEW_INPUT, OLD_INPUT
from torchlens_core.diff.units import Unit, by_name, units_of
from torchlens_core.snapshot.outline import Body, Call, Operand, Ref, refs_of


@dataclass(frozen=True, slots=True)
class Found:
    """A change, with the values from outside still as numbers."""

    kind: str
    effect: str
    name: str
    text: str


@dataclass(slots=True)
class BodyDiff:
    """What differs between two bodies."""

    changes: list[Found] = field(default_factory=list)
    #: What only follows from changes before: ``shape``, ``dtype`` or ``mode``, and where.
    following: list[tuple[str, str]] = field(default_factory=list)
    #: Pairs of modules in them that differ inside.
    inner: list[tuple[Unit, Unit, BodyDiff]] = field(default_factory=list)
    #: Which result of the old body is which of the new one.
    slots: dict[int, int] = field(default_factory=dict)


class Comparison:
    """The comparison of two graphs: what is known everywhere in it."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._done: dict[tuple[object, ...], BodyDiff] = {}

    def bodies(
        self,
        old: Body,
        new: Body,
        inputs: Mapping[str, str],
        old_specs: Sequence[str],
        new_specs: Sequence[str],
    ) -> BodyDiff:
        """The diff of two bodies; ``inputs`` says which ``$`` is which, the specs are those of the ``$``."""
        key = (old, new, tuple(inputs.items()), tuple(old_specs), tuple(new_specs))
        found = self._done.get(key)
        if found is None:
            found = self._done[key] = _Bodies(self, old, new, inputs, old_specs, new_specs).diff()
        return found


class _Bodies:
    """One pair of bodies."""

    def __init__(
        self,
        comparison: Comparison,
        old: Body,
        new: Body,
        inputs: Mapping[str, str],
        old_specs: Sequence[str],
        new_specs: Sequence[str],
    ) -> None:
        self._comparison = comparison
        self._matching: Matching = matched(old, new, inputs)
        self._flow = Flow(self._matching, inputs)
        self._found = BodyDiff()
        self._old_specs = _Specs(self._matching.old, old_specs)
        self._new_specs = _Specs(self._matching.new, new_specs)
        self._loops: set[tuple[object, object]] = set()
        #: How names begin of what is in modules that are seen through.
        self._inside = tuple(
            f"{unit.name}." for unit in (*self._matching.old.opened, *self._matching.new.opened)
        )

    def diff(self) -> BodyDiff:
        """All that differs."""
        self._opened()
        for unit in self._matching.removed:
            self._came_or_went(unit, self._matching.old, "removed", "-", OLD_INPUT, self._old_specs)
        moved = {old for old, _ in self._matching.moved}
        elsewhere: list[list[tuple[Unit, Unit]]] = []
        for old, new in sorted(self._matching.pairs, key=lambda pair: pair[1].place):
            before = len(self._found.changes)
            if old not in self._matching.equal or (old.is_body and not _has_equal_body(old, new)):
                self._pair(old, new)
            if old in moved and len(self._found.changes) == before:
                if elsewhere and self._goes_with(old, new, elsewhere[-1][-1]):
                    elsewhere[-1].append((old, new))
                else:
                    elsewhere.append([(old, new)])
        for group in elsewhere:
            self._moved(group)
        for unit in self._matching.added:
            self._came_or_went(unit, self._matching.new, "added", "+", NEW_INPUT, self._new_specs)
        self._returns()
        return self._found

    def _say(self, kind: str, effect: str, unit: Unit | None, text: str) -> None:
        self._found.changes.append(Found(kind, effect, unit.name if unit is not None else "", text))

    # -- what came, went, or stands elsewhere ------------------------------------------------------

    def _opened(self) -> None:
        """Modules around others that came or went."""
        for wrapper in self._matching.new.opened:
            self._wrapped(wrapper, [(new, old) for old, new in self._matching.pairs], is_new=True)
        for wrapper in self._matching.old.opened:
            self._wrapped(wrapper, list(self._matching.pairs), is_new=False)

    def _wrapped(self, wrapper: Unit, pairs: Sequence[tuple[Unit, Unit]], is_new: bool) -> None:
        """One such module; the pairs begin with the unit of its side."""
        assert wrapper.call is not None
        prefix = f"{wrapper.name}."
        others = [other for own, other in pairs if own.name.startswith(prefix)]
        side = self._matching.new if is_new else self._matching.old
        parts = ", ".join(
            unit.name[len(prefix) :] + (f": {unit.call.class_name}" if unit.call is not None else "")
            for unit in side.units
            if unit.name.startswith(prefix)
        )
        around = f"{wrapper.call.class_name}({parts})"
        if [other.name for other in others] == [wrapper.name]:
            inside = others[0].call.class_name if others[0].call is not None else others[0].name
            step = f"wrapped: {inside} → {around}" if is_new else f"unwrapped: {around} → {inside}"
            text = f"~ {wrapper.name} {step}"
        else:
            names = ", ".join(other.name for other in others)
            text = f"~ {names} moved {'into' if is_new else 'out of'} {wrapper.name}: {around}"
        self._say("nested" if is_new else "unnested", BREAKING, wrapper, text)

    def _came_or_went(
        self, unit: Unit, side: Side, kind: str, sign: str, marker: str, specs: _Specs
    ) -> None:
        if self._comparison.context.has_switched and _counts_batches(unit):
            self._found.following.append(("mode", unit.name))
            return
        where = titles.between(unit, side, marker)
        count = len(unit.op.specs) if unit.op is not None else 1
        spec = specs.of_unit(unit, 0) if count else ""
        self._say(
            kind, BREAKING, unit, f"{sign} {titles.title(unit)}   {where}" + (f"   {spec}" if spec else "")
        )

    def _goes_with(self, old: Unit, new: Unit, before: tuple[Unit, Unit]) -> bool:
        """Whether a unit only went with the pair before it."""
        return (old.place, new.place) == (before[0].place + 1, before[1].place + 1)

    def _moved(self, group: Sequence[tuple[Unit, Unit]]) -> None:
        """Units that run elsewhere, all the names as they were before."""
        old, new = group[0]
        names = [titles.title(unit) for unit, _ in group]
        shown = titles.counted(names)
        was = self._matching.old.units[old.place - 1].name if old.place else "the inputs"
        now = "the inputs"
        if new.place:
            after = self._matching.new.units[new.place - 1]
            now = next((a.name for a, b in self._matching.pairs if b is after), after.name)
        text = f"↕ {shown} {'runs' if len(names) == 1 else 'run'} after {now}, not after {was}"
        self._say("moved", ORDER, new, text)

    # -- pairs -------------------------------------------------------------------------------------

    def _pair(self, old: Unit, new: Unit) -> None:
        self._naming(old, new)
        self._looping(old, new)
        self._mode(old, new)
        if old.op is not None and new.op is not None:
            if old.nature == new.nature:
                self._rewired(old, new)
            else:
                self._ops(old, new)
        elif old.call is not None and new.call is not None and _is_same_module(old.call, new.call):
            if old.call.class_name != new.call.class_name:
                text = f"~ {new.name}: {old.call.class_name} → {new.call.class_name}"
                self._say("class", BREAKING, new, text)
            self._modules(old, new)
        else:
            where = titles.between(new, self._matching.new, NEW_INPUT)
            self._say("replaced", BREAKING, new, f"~ {titles.title(old)} → {titles.title(new)}   {where}")
            self._rewired(old, new)

    def _naming(self, old: Unit, new: Unit) -> None:
        if old.op is not None and old.op.kind == "input" and old.name != new.name:
            self._say("renamed", BREAKING, new, f"~ input {old.name} renamed to {new.name}")
        is_inside = old.name.startswith(self._inside) or new.name.startswith(self._inside)
        if old.call is not None and new.call is not None and not is_inside and old.title != new.title:
            self._say("renamed", BREAKING, new, f"~ {old.title} renamed to {new.title}")

    def _looping(self, old: Unit, new: Unit) -> None:
        if old.passes == new.passes or (old.loops, new.loops) in self._loops:
            return
        self._loops.add((old.loops, new.loops))
        names = [
            pair[1].name
            for pair in self._matching.pairs
            if (pair[0].loops, pair[1].loops) == (old.loops, new.loops)
        ]
        shown = titles.counted(names)
        times = [" x ".join(map(str, unit.passes)) or "1" for unit in (old, new)]
        self._say("passes", BREAKING, new, f"~ passes of the loop over {shown}: {times[0]} → {times[1]}")

    def _mode(self, old: Unit, new: Unit) -> None:
        if old.call is None or new.call is None or old.call.mode == new.call.mode:
            return
        modes = old.call.mode, new.call.mode
        if "" in modes and self._comparison.context.has_switched:
            return  # the model has changed, the module has not
        other = {"training": "eval", "eval": "training"}
        was, now = modes[0] or other[modes[1]], modes[1] or other[modes[0]]
        self._say("mode", BREAKING, new, f"~ {new.name} switched: {was} → {now}")

    def _modules(self, old: Unit, new: Unit) -> None:
        assert old.call is not None
        assert new.call is not None
        if old.call.body == new.call.body:
            wrong = self._flow.compared(old.operands, new.operands)
            if wrong:
                self._say_rewired(new, wrong)
            return
        slots = self._flow.paired(old.operands, new.operands)
        if slots.crossed:
            wrong = [(a, old.operands[a], new.operands[b]) for a, b in slots.crossed.items()]
            self._say_rewired(new, wrong)
        inner = self._comparison.bodies(
            old.call.body,
            new.call.body,
            {f"${a}": f"${b}" for a, b in sorted({**slots.same, **slots.crossed}.items())},
            [self._old_specs.of(one) for one in old.operands],
            [self._new_specs.of(one) for one in new.operands],
        )
        self._flow.slots[old.name] = inner.slots
        self._found.inner.append((old, new, inner))

    def _ops(self, old: Unit, new: Unit) -> None:
        """Two ops, or modules that do one op each."""
        inputs = [
            (self._old_specs.of(a), self._new_specs.of(b))
            for a, b in zip(old.operands, new.operands, strict=False)
        ]
        found = ops.compared(old, new, inputs, self._comparison.context)
        if found.replaced is not None:
            where = titles.between(new, self._matching.new, NEW_INPUT)
            name = f"{new.name}: " if new.call is not None else ""
            text = f"~ {name}{' → '.join(found.replaced)}   {where}"
            self._say("replaced", BREAKING, new, text)
        if found.said:
            assert new.op is not None
            label = f"input {new.name}" if new.op.kind == "input" else new.name
            self._say("changed", found.effect, new, f"~ {label}: {'; '.join(found.said)}")
        if found.follows:
            self._found.following.append((found.follows, new.name))
        self._rewired(old, new)

    def _rewired(self, old: Unit, new: Unit) -> None:
        before, after = _values(old.operands), _values(new.operands)
        wrong = self._flow.compared(before, after)
        if wrong is None:
            was = ", ".join(titles.names_of(before, OLD_INPUT)) or "nothing"
            now = ", ".join(titles.names_of(after, NEW_INPUT)) or "nothing"
            self._say("rewired", BREAKING, new, f"~ {new.name}: reads {now}, not {was}")
        elif wrong:
            self._say_rewired(new, wrong)

    def _say_rewired(self, new: Unit, wrong: Sequence[tuple[int, Operand, Operand]]) -> None:
        numbers = " and ".join(str(n) for n, _, _ in wrong)
        if self._flow.is_swapped(wrong):
            text = f"inputs {numbers} swapped"
        else:
            text = "; ".join(_rewiring(n, a, b) for n, a, b in wrong)
        self._say("rewired", BREAKING, new, f"~ {new.name}: {text}")

    # -- results -----------------------------------------------------------------------------------

    def _returns(self) -> None:
        old, new = self._matching.old.returns, self._matching.new.returns
        slots = self._flow.paired(old, new)
        self._found.slots = {**slots.same, **slots.crossed}
        before = [titles.operand_name(one, OLD_INPUT) for one in old]
        after = [titles.operand_name(one, NEW_INPUT) for one in new]
        lines = [f"~ returns {after[b]}, not {before[a]}" for a, b in slots.crossed.items()]
        lines += [f"~ no longer returns {before[n]}" for n in slots.gone]
        lines += [f"~ returns {after[n]} too" for n in slots.came]
        is_turned = any(a != b for a, b in self._found.slots.items())
        if is_turned and not slots.gone and not slots.came:
            lines.append("~ returns its values in another order")
        for line in lines:
            self._say("rewired", BREAKING, None, line)


def _rewiring(number: int, old: Operand, new: Operand) -> str:
    name = titles.operand_name(new, NEW_INPUT)
    certain = [all(ref.certain for ref in refs_of(one)) for one in (old, new)]
    read = [all(ref.is_read for ref in refs_of(one)) for one in (old, new)]
    if certain[0] != certain[1]:
        return f"input {number}, {name}, is {'certain now' if certain[1] else 'no longer certain'}"
    if read[0] != read[1]:
        return (
            f"input {number}, {name}, is {'read now' if read[1] else 'overwritten now, and no longer read'}"
        )
    return f"input {number} is {name}, not {titles.operand_name(old, OLD_INPUT)}"


class _Specs:
    """Shape and dtype of the values of one side."""

    def __init__(self, side: Side, outer: Sequence[str]) -> None:
        self._units = by_name(side.units)
        self._outer = outer

    def of(self, operand: Operand) -> str:
        """The spec of an operand; empty for what has none of its own."""
        ref = refs_of(operand)[0]
        if ref.name[0] == "$":
            number = int(ref.name[1:])
            return self._outer[number] if number < len(self._outer) else ""
        unit = self._units.get(ref.name)
        return "" if unit is None else self.of_unit(unit, ref.slot)

    def of_unit(self, unit: Unit, slot: int) -> str:
        """The spec of a result."""
        spec = unit.spec(slot)
        if isinstance(spec, int):
            return self.of(unit.call.arguments[spec]) if unit.call is not None else ""
        return spec


def _has_equal_body(old: Unit, new: Unit) -> bool:
    """Whether a module runs its ops in the same order too."""
    return old.call is not None and new.call is not None and old.call.body == new.call.body


def _is_same_module(old: Call, new: Call) -> bool:
    """Whether a module is the old one, changed, and not another: by its class, or by most of what is in it."""
    if old.class_name == new.class_name:
        return True
    before, after = ([unit.exact for unit in units_of(one.body)] for one in (old, new))
    shared = Counter(before) & Counter(after)
    return 2 * shared.total() >= max(len(before), len(after))


def _values(operands: Sequence[Operand]) -> Sequence[Operand]:
    """Operands without parameters and buffers, which are compared by themselves."""
    if all(isinstance(one, Ref) and one.name[0] != "@" for one in operands):
        return operands
    return [one for one in operands if any(ref.name[0] != "@" for ref in refs_of(one))]


def _counts_batches(unit: Unit) -> bool:
    """Whether an op only counts the batches that a batch norm has seen in training."""
    return unit.op is not None and any(held.name.endswith("num_batches_tracked") for held in unit.op.held)
