"""Units in words: what they are, and between which others they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from torchlens_core.diff.matching import Side
from torchlens_core.diff.units import Unit
from torchlens_core.snapshot.outline import HOLE, Carried, Operand, Ref, count_ops, refs_of

#: Names of neighbours that are said; more are dots.
MAX_NEIGHBOURS = 2
#: Names that are said of units that share a change.
MAX_NAMES = 3
_ONLY_HOLES = re.compile(rf"[\[\]{{}}(), {HOLE}]*")
#: Around the number of a value from outside, until it is known what stands around the module.
OLD_INPUT, NEW_INPUT = "\x01{}\x01", "\x02{}\x02"
_INPUT = re.compile("\x01(\\d+)\x01|\x02(\\d+)\x02")


def title(unit: Unit) -> str:
    """``mul(other=0.5)``, ``conv1: Conv2d conv2d(stride=2)``, ``block: Block (7 ops)``."""
    if unit.op is None:
        assert unit.call is not None
        return f"{unit.name}: {unit.call.class_name} ({count_ops(unit.call.body)} ops)"
    shown = applied(unit)
    if unit.op.kind == "input":
        return f"input {unit.name}"
    return shown if unit.call is None else f"{unit.name}: {unit.call.class_name} {shown}"


def applied(unit: Unit) -> str:
    """The op with those of its arguments that are no values: ``mul(other=0.5)``."""
    assert unit.op is not None
    said = [
        f"{keyword}={text}" if keyword else text
        for keyword, text in unit.texts
        if text != HOLE and not _ONLY_HOLES.fullmatch(text)
    ]
    return f"{unit.op.kind}({', '.join(said)})".replace(HOLE, "·") if said else unit.op.kind


def between(unit: Unit, side: Side, marker: str) -> str:
    """``relu → · → conv2``: what a unit reads, and who reads it."""
    behind = names_of(unit.operands, marker)
    ahead = side.readers.get(unit.name, [])
    return " → ".join(filter(None, [_some(behind), "·", _some(ahead)]))


def counted(names: Sequence[str]) -> str:
    """The first names, the rest counted.

    >>> counted(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    rest = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + rest


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NEIGHBOURS]) + (", …" if len(names) > MAX_NEIGHBOURS else "")


def names_of(operands: Iterable[Operand], marker: str) -> list[str]:
    """What operands are called; a module's own parameters are left out."""
    refs = dict.fromkeys(ref for one in operands for ref in refs_of(one) if ref.name[0] != "@")
    return list(dict.fromkeys(_name(ref, marker) for ref in refs))


def _name(ref: Ref, marker: str, with_passes: bool = False) -> str:
    if ref.name[0] == "$":
        return marker.format(ref.name[1:])
    if ref.name[0] == "@":
        return ref.name[1:]
    slot = f"[{ref.slot}]" if ref.slot else ""
    if not with_passes:
        return ref.name + slot
    if ref.last is not None:
        slot = f"[{ref.slot}..{ref.last}]"
    return ref.name + slot + "".join(f":{number}" for number in ref.passes)


def operand_name(operand: Operand, marker: str, with_passes: bool = False) -> str:
    """What one operand is called; ``with_passes`` also says of which pass of a loop it is."""
    if isinstance(operand, Carried):
        first, then = (operand_name(one, marker, with_passes) for one in (operand.first, operand.then))
        return first + "~" * (operand.level + 1) + then
    names = [_name(ref, marker, with_passes) for ref in refs_of(operand)]
    return names[0] if len(names) == 1 else "{" + ", ".join(names) + "}"


def resolved(text: str, old: Callable[[int], str], new: Callable[[int], str]) -> str:
    """A text with the names of the values from outside."""
    if "\x01" not in text and "\x02" not in text:
        return text
    return _INPUT.sub(lambda found: old(int(found[1])) if found[1] else new(int(found[2])), text)
