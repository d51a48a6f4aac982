"""Two ops, or modules that do one op each, compared: what is said of them, and what only follows."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from torchlens_core.changes import BREAKING, SHAPE
from torchlens_core.diff import attributes, titles
from torchlens_core.diff.units import Unit, name_outside
from torchlens_core.snapshot.outline import Held, Op, spec_parts


@dataclass(slots=True)
class OpDiff:
    """What differs between two ops."""

    #: ``stride 1 → 2``, ``bias removed``, ``f32[1, 8] → f32[1, 16]``.
    said: list[str] = field(default_factory=list)
    effect: str = SHAPE
    #: What the new op has come in the place of, and what it is, if it is another.
    replaced: tuple[str, str] | None = None
    #: ``shape``, ``dtype`` or ``mode``, if something only follows from a change elsewhere.
    follows: str = ""

    def say(self, text: str, effect: str = SHAPE) -> None:
        """Add to what is said; the worst effect counts."""
        self.said.append(text)
        self.effect = BREAKING if BREAKING in (effect, self.effect) else effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is known of two graphs as wholes."""

    #: Whether the model went from training to eval or back.
    has_switched: bool
    #: Whether some input has other sizes: then those of tensors made from nothing may follow from it.
    has_new_sizes: bool


def compared(old: Unit, new: Unit, inputs: Sequence[tuple[str, str]], context: Context) -> OpDiff:
    """The diff of two units with an op; ``inputs`` has the specs of what they read, before and after."""
    assert old.op is not None
    assert new.op is not None
    found = OpDiff()
    changed = [pair for pair in inputs if pair[0] != pair[1]]
    steps = attributes.steps_between(changed)
    if not inputs and context.has_new_sizes:
        steps = frozenset({("", "")})
    has_new_dtype = any(spec_parts(a)[0] != spec_parts(b)[0] for a, b in changed)
    if old.op.kind != new.op.kind:
        found.replaced = _in_full(old), _in_full(new)
    else:
        was, now = _class_of(old), _class_of(new)
        if was != now:
            found.say(f"{was or 'no module'} → {now or 'no module'}", BREAKING)
        _arguments(found, old, new, steps, context)
    if old.op.mark != new.op.mark:
        found.say(f"{old.op.mark or 'seen'} → {new.op.mark or 'seen'}", BREAKING)
    held = attributes.changed_held(_held(old, new.op), _held(new, old.op), steps, has_new_dtype)
    for text in held.said:
        found.say(text, BREAKING if held.is_breaking else SHAPE)
    if held.follows:
        found.follows = "shape"
    _results(found, old.op, new.op, bool(steps), has_new_dtype, context)
    return found


def _class_of(unit: Unit) -> str:
    return unit.call.class_name if unit.call is not None else ""


def _in_full(unit: Unit) -> str:
    return f"{_class_of(unit)} {titles.applied(unit)}".lstrip()


def _held(unit: Unit, other: Op) -> Sequence[Held]:
    """What a unit holds: in a module that is seen through, under the names that it has outside if need be."""
    assert unit.op is not None
    if not unit.around or unit.call is not None or unit.op.held == other.held:
        return unit.op.held
    names = {one.name for one in other.held}
    return [
        one if one.name in names else one._replace(name=name_outside(one.name, unit.around))
        for one in unit.op.held
    ]


def _arguments(found: OpDiff, old: Unit, new: Unit, steps: Set[attributes.Step], context: Context) -> None:
    assert new.op is not None
    for name, before, after in attributes.changed_texts(old.texts, new.texts):
        if context.has_switched and name == "training":
            found.follows = "mode"
        elif attributes.are_specs(before, after):  # of a tensor of which only the shape is read
            if steps or context.has_new_sizes:
                found.follows = "shape"
            else:
                found.say(f"{before} → {after}")
        elif attributes.follows_from(name, before, after, new.op.kind, steps):
            found.follows = "shape"
        else:
            found.say(attributes.said(name, before, after), BREAKING)


def _results(
    found: OpDiff, old: Op, new: Op, has_new_sizes: bool, has_new_dtype: bool, context: Context
) -> None:
    """Results that differ: said where they are the cause, or belong to one; else they follow."""
    if old.specs == new.specs:
        return
    if context.has_switched and old.results == new.results:
        found.follows = "mode"
    elif len(old.specs) != len(new.specs):
        found.say(f"{_count(old)} → {len(new.specs)}", BREAKING)
    elif new.kind in ("input", "constant") or not (has_new_sizes or has_new_dtype or found.replaced):
        found.say(", ".join(f"{a} → {b}" for a, b in zip(old.specs, new.specs, strict=True) if a != b))
    elif not found.said:
        found.follows = "dtype" if has_new_dtype and not has_new_sizes else "shape"


def _count(op: Op) -> str:
    return f"{len(op.specs)} {'result' if len(op.specs) == 1 else 'results'}"
