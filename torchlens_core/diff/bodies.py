"""Two bodies, compared unit by unit, and the modules in them, each pair of bodies once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torchlens_core.changes import BREAKING, ORDER
from torchlens_core.diff import ops, titles
from torchlens_core.diff.edges import Edges
from torchlens_core.diff.fingerprints import content, nature
from torchlens_core.diff.flow import Flow
from torchlens_core.diff.found import Findings, Found
from torchlens_core.diff.matching import Matching, Side, matched
from torchlens_core.diff.ops import Context
from torchlens_core.diff.titles import NEW_INPUT, OLD_INPUT
from torchlens_core.diff.units import Unit, by_name, units_of
from torchlens_core.diff.unrolled import are_same, unrolled
from torchlens_core.snapshot.outline import Body, Call, Operand, Outline, Ref, refs_of


@dataclass(slots=True)
class BodyDiff:
    """What differs between two bodies."""

    changes: list[Found] = field(default_factory=list)
    #: What only follows from changes before: ``shape``, ``dtype`` or ``mode``, and where.
    following: list[tuple[str, Unit]] = field(default_factory=list)
    #: Pairs of modules in them that differ inside.
    inner: list[tuple[Unit, Unit, BodyDiff]] = field(default_factory=list)
    #: Which result of the old body is which of the new one.
    slots: dict[int, int] = field(default_factory=dict)
    #: What all this was read off.
    matching: Matching | None = None


class Comparison:
    """The comparison of two graphs: what is known everywhere in it."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._done: dict[tuple[object, ...], BodyDiff] = {}

    def wholes(self, old: Outline, new: Outline) -> BodyDiff:
        """The diff of what the models themselves do."""
        left, right = (Side.of(one.body, [output.operand for output in one.outputs]) for one in (old, new))
        return _Bodies(self, left, right, Given({}, (), ())).diff()

    def bodies(self, old: Body, new: Body, given: Given) -> BodyDiff:
        """The diff of the bodies of two modules."""
        key = (old, new, tuple(given.inputs.items()), given.old_specs, given.new_specs)
        found = self._done.get(key)
        if found is None:
            left, right = Side.of(old, old.returns), Side.of(new, new.returns)
            found = self._done[key] = _Bodies(self, left, right, given).diff()
        return found


class Given(NamedTuple):
    """What two bodies know of the outside."""

    #: Which ``$`` of the old one is which of the new one.
    inputs: Mapping[str, str]
    #: The specs of the ``$``.
    old_specs: tuple[str, ...]
    new_specs: tuple[str, ...]


class _Bodies:
    """One pair of bodies."""

    def __init__(self, comparison: Comparison, old: Side, new: Side, given: Given) -> None:
        self._comparison = comparison
        self._old, self._new, self._given = old, new, given
        self._matching = matched(old, new, given.inputs)
        self._flow = Flow(self._matching, given.inputs)
        self._edges = Edges(self._matching, self._flow)
        self._found = BodyDiff(matching=self._matching)
        self._findings = Findings(self._matching.new)
        self._old_specs = _Specs(self._matching.old, given.old_specs)
        self._new_specs = _Specs(self._matching.new, given.new_specs)
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
            before = len(self._findings.all)
            if old not in self._matching.equal or (old.is_body and not _has_equal_body(old, new)):
                self._pair(old, new)
            if old in moved and len(self._findings.all) == before:
                if elsewhere and self._goes_with(old, new, elsewhere[-1][-1]):
                    elsewhere[-1].append((old, new))
                else:
                    elsewhere.append([(old, new)])
        for group in elsewhere:
            self._moved(group)
        for unit in self._matching.added:
            self._came_or_went(unit, self._matching.new, "added", "+", NEW_INPUT, self._new_specs)
        self._returns()
        self._found.changes = self._findings.all
        if any(one.effect != ORDER for one in self._found.changes) and self._is_order_alone():
            self._in_other_loops()
        return self._found

    def _is_order_alone(self) -> bool:
        """Whether the same ops are, in another order, passes of other loops."""
        old, new = self._old, self._new
        if any(a != b for a, b in self._given.inputs.items()):
            return False
        if not any(unit.passes for side in (old, new) for unit in side.units):
            return False
        whole = [unrolled(side.body, side.returns, nature) for side in (old, new)]
        return whole[0] is not None and whole[1] is not None and are_same(whole[0], whole[1])

    def _in_other_loops(self) -> None:
        """Say only that, of all units that anything has been said of."""
        units = list(dict.fromkeys(unit for one in self._found.changes for unit in one.units))
        names = titles.counted(list(dict.fromkeys(unit.title for unit in units)))
        verb = "runs" if len(units) == 1 else "run"
        text = f"↕ {names} {verb} in another order, which makes other loops"
        self._found.changes = [Found("moved", ORDER, text, tuple(units))]
        self._found.following = []
        self._found.inner = [
            (old, new, inner)
            for old, new, inner in self._found.inner
            if old.call is not None and new.call is not None and content(old) == content(new)
        ]
        self._found.slots = {n: n for n in range(len(self._new.returns))}

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
        parts = [
            unit.name[len(prefix) :] + (f": {unit.call.class_name}" if unit.call is not None else "")
            for unit in side.units
            if unit.name.startswith(prefix)
        ]
        around = f"{wrapper.call.class_name}({titles.counted(parts)})"
        if [other.name for other in others] == [wrapper.name]:
            inside = others[0].call.class_name if others[0].call is not None else others[0].name
            step = f"wrapped: {inside} → {around}" if is_new else f"unwrapped: {around} → {inside}"
            text = f"~ {wrapper.name} {step}"
        else:
            names = titles.counted([other.name for other in others])
            text = f"~ {names} moved {'into' if is_new else 'out of'} {wrapper.name}: {around}"
        self._findings.say("nested" if is_new else "unnested", BREAKING, text, wrapper)

    def _came_or_went(
        self, unit: Unit, side: Side, kind: str, sign: str, marker: str, specs: _Specs
    ) -> None:
        if self._comparison.context.has_switched and _counts_batches(unit):
            self._found.following.append(("mode", unit))
            return
        where = titles.between(unit, side, marker)
        count = len(unit.op.specs) if unit.op is not None else 1
        spec = specs.of_unit(unit, 0) if count else ""
        parts = [f"{sign} {titles.title(unit)}", where, spec, self._calls_now(unit)]
        self._findings.say(kind, BREAKING, "   ".join(filter(None, parts)), unit)

    def _calls_now(self, unit: Unit) -> str:
        """How often a module is called, where a call has come or gone that was not the only one."""
        if unit.call is None:
            return ""
        was, now = (side.calls[unit.title] for side in (self._matching.old, self._matching.new))
        return f"{now} {'call' if now == 1 else 'calls'}, not {was}" if was and now and was != now else ""

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
        self._findings.say("moved", ORDER, text, *(unit for _, unit in group))

    # -- pairs -------------------------------------------------------------------------------------

    def _pair(self, old: Unit, new: Unit) -> None:
        self._naming(old, new)
        self._looping(old, new)
        self._mode(old, new)
        if old.op is not None and new.op is not None:
            if _are_same(old, new):
                self._rewired(old, new)
            else:
                self._ops(old, new)
        elif old.call is not None and new.call is not None and _is_same_module(old.call, new.call):
            if old.call.class_name != new.call.class_name:
                text = f"~ {{}}: {old.call.class_name} → {new.call.class_name}"
                self._findings.say_of_pair("class", BREAKING, new, text)
            self._modules(old, new)
        else:
            where = titles.between(new, self._matching.new, NEW_INPUT)
            self._findings.say(
                "replaced", BREAKING, f"~ {titles.title(old)} → {titles.title(new)}   {where}", new
            )
            self._rewired(old, new)

    def _naming(self, old: Unit, new: Unit) -> None:
        if old.op is not None and old.op.kind == "input" and old.name != new.name:
            self._findings.say("renamed", BREAKING, f"~ input {old.name} renamed to {new.name}", new)
        is_inside = old.name.startswith(self._inside) or new.name.startswith(self._inside)
        if old.call is not None and new.call is not None and not is_inside and old.title != new.title:
            self._findings.say_of_pair("renamed", BREAKING, new, f"~ {old.title} renamed to {new.title}")

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
        self._findings.say(
            "passes", BREAKING, f"~ passes of the loop over {shown}: {times[0]} → {times[1]}", new
        )

    def _mode(self, old: Unit, new: Unit) -> None:
        if old.call is None or new.call is None or old.call.mode == new.call.mode:
            return
        modes = old.call.mode, new.call.mode
        if "" in modes and self._comparison.context.has_switched:
            return  # the model has changed, the module has not
        other = {"training": "eval", "eval": "training"}
        was, now = modes[0] or other[modes[1]], modes[1] or other[modes[0]]
        self._findings.say_of_pair("mode", BREAKING, new, f"~ {{}} switched: {was} → {now}")

    def _modules(self, old: Unit, new: Unit) -> None:
        assert old.call is not None
        assert new.call is not None
        if old.call.body == new.call.body:
            wrong = self._flow.compared(old.operands, new.operands) or []
            self._say_rewired(new, self._edges.crossed(wrong))
            return
        slots = self._flow.paired(old.operands, new.operands)
        wrong = [(a, old.operands[a], new.operands[b]) for a, b in slots.crossed.items()]
        self._say_rewired(new, self._edges.crossed(wrong))
        given = Given(
            {f"${a}": f"${b}" for a, b in sorted({**slots.same, **slots.crossed}.items())},
            tuple([self._old_specs.of(one) for one in old.operands]),
            tuple([self._new_specs.of(one) for one in new.operands]),
        )
        inner = self._comparison.bodies(old.call.body, new.call.body, given)
        if any(a != b for a, b in inner.slots.items()):
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
            name = "{}: " if new.call is not None else ""
            text = f"~ {name}{_braced(' → '.join(found.replaced))}"
            self._findings.say_of_pair("replaced", BREAKING, new, text, f"   {where}")
        if found.said:
            assert new.op is not None
            label = "input {}" if new.op.kind == "input" else "{}"
            text = f"~ {label}: {_braced('; '.join(found.said))}"
            self._findings.say_of_pair("changed", found.effect, new, text)
        if found.follows:
            self._found.following.append((found.follows, new))
        self._rewired(old, new)

    def _rewired(self, old: Unit, new: Unit) -> None:
        self._say_rewired(new, self._edges.read(old.operands, new.operands))

    def _say_rewired(self, new: Unit, text: str) -> None:
        if text:
            self._findings.say("rewired", BREAKING, f"~ {new.name}: {text}", new)

    def _returns(self) -> None:
        slots = self._flow.paired(self._matching.old.returns, self._matching.new.returns)
        self._found.slots = {**slots.same, **slots.crossed}
        for line in self._edges.returned(slots):
            self._findings.say("rewired", BREAKING, line)


class _Specs:
    """Shape and dtype of the values of one side."""

    def __init__(self, side: Side, outer: Sequence[str]) -> None:
        self._units = by_name(side.units)
        self._outer = outer

    def of(self, operand: Operand) -> str:
        """The spec of an operand; empty for what has none of its own."""
        ref = operand if isinstance(operand, Ref) else refs_of(operand)[0]
        unit = self._units.get(ref.name)
        if unit is not None:
            return self.of_unit(unit, ref.slot)
        number = int(ref.name[1:]) if ref.name[0] == "$" else len(self._outer)
        return self._outer[number] if number < len(self._outer) else ""

    def of_unit(self, unit: Unit, slot: int) -> str:
        """The spec of a result."""
        spec = unit.spec(slot)
        if isinstance(spec, int):
            return self.of(unit.call.arguments[spec]) if unit.call is not None else ""
        return spec


def _are_same(old: Unit, new: Unit) -> bool:
    """Whether two ops differ in nothing but what they read."""
    if old.call is new.call is None and old.name == new.name and old.operands == new.operands:
        return old.op == new.op
    return nature(old) == nature(new)


def _braced(text: str) -> str:
    """A text that is a part of one with a place for a name."""
    return text.replace("{", "{{").replace("}", "}}")


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


def _counts_batches(unit: Unit) -> bool:
    """Whether an op only counts the batches that a batch norm has seen in training."""
    return unit.op is not None and any(held.name.endswith("num_batches_tracked") for held in unit.op.held)
