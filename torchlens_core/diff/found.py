"""Changes of a pair of bodies as they are found: what several calls of one module share is said once."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torchlens_core.diff.matching import Side
from torchlens_core.diff.units import Unit


@dataclass(frozen=True, slots=True)
class Found:
    """A change, with the values from outside still as numbers."""

    kind: str
    effect: str
    text: str
    #: What is changed, on the new side unless it was removed; nothing if it is what the body returns.
    units: tuple[Unit, ...] = ()

    @property
    def name(self) -> str:
        """The name of what is changed."""
        return self.units[0].name if self.units else ""


class Findings:
    """The changes of a pair of bodies."""

    def __init__(self, new: Side) -> None:
        self.all: list[Found] = []
        self._new = new
        #: What is said of calls, with the module's name: where it stands.
        self._places: dict[tuple[str, str, str, str], int] = {}

    def say(self, kind: str, effect: str, text: str, *units: Unit) -> None:
        """Add a change."""
        self.all.append(Found(kind, effect, text, units))

    def say_of_pair(self, kind: str, effect: str, unit: Unit, text: str, where: str = "") -> None:
        """Add a change of a pair by its new unit: ``{}`` in the text is its name.

        Of several calls of one module it is said once, with their number, and not where they are.
        """
        if unit.call is None:
            self.say(kind, effect, text.format(unit.name) + where, unit)
            return
        key = kind, effect, unit.title, text
        place = self._places.setdefault(key, len(self.all))
        if place == len(self.all):
            self.say(kind, effect, text.format(unit.name) + where, unit)
            return
        units = (*self.all[place].units, unit)
        times, calls = sum(prod(one.passes) for one in units), self._new.calls[unit.title]
        count = f"{times}" if times == calls else f"{times} of {calls}"
        self.all[place] = Found(kind, effect, f"{text.format(unit.title)}   in {count} calls", units)
