"""Where a pair of bodies stands in two graphs, and what changes in it are called there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchlens_core.changes import Change
from torchlens_core.diff import titles
from torchlens_core.diff.found import Found
from torchlens_core.diff.units import Unit
from torchlens_core.snapshot.naming import absolute_name, readable_name
from torchlens_core.snapshot.outline import Operand, refs_of


@dataclass(frozen=True, slots=True)
class Address:
    """A module's address, and what the values that it was given are called outside."""

    module: str = ""
    old_given: tuple[str, ...] = ()
    new_given: tuple[str, ...] = ()

    def change(self, found: Found) -> Change:
        """A change of the two bodies as the graphs have it here."""
        text = titles.resolved(
            found.text, lambda n: _given(self.old_given, n), lambda n: _given(self.new_given, n)
        )
        return Change(
            kind=found.kind,
            effect=found.effect,
            address=readable_name(self.module),
            name=readable_name(found.name),
            text=readable_name(text),
        )

    def of(self, name: str) -> str:
        """The address of something in the new body."""
        return readable_name(absolute_name(name, self.module))

    def inside(self, old: Unit, new: Unit) -> Address:
        """That of a pair of modules in the two bodies."""
        return Address(
            absolute_name(new.title, self.module),
            tuple(_outside(one, self.module, self.old_given) for one in old.operands),
            tuple(_outside(one, self.module, self.new_given) for one in new.operands),
        )


def _given(names: Sequence[str], number: int) -> str:
    return names[number] if number < len(names) else f"${number}"


def _outside(operand: Operand, address: str, names: Sequence[str]) -> str:
    """What a value given to a module is called from inside: by its address, after a stroke."""
    ref = refs_of(operand)[0]
    if ref.name[0] == "$":
        return _given(names, int(ref.name[1:]))
    return f"/{absolute_name(ref.name, address)}" + (f"[{ref.slot}]" if ref.slot else "")
