"""Two graphs, compared: `diff_graphs` and what it returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from torchlens_core.changes import BREAKING, CLASSES, SHAPE, Change
from torchlens_core.diff.address import Address
from torchlens_core.diff.alignment import Alignment, alignment_of
from torchlens_core.diff.bodies import BodyDiff, Comparison
from torchlens_core.diff.ops import Context
from torchlens_core.diff.units import units_of
from torchlens_core.garbage import collector_spared
from torchlens_core.history import ModelHistory
from torchlens_core.snapshot import Snapshot, take_snapshot
from torchlens_core.snapshot.outline import Outline, Output, count_ops, parameters_in

#: Places of one hunk that are named, and lines of a hunk that are shown, unless all is asked for.
MAX_PLACES, MAX_LINES = 3, 12


@dataclass(frozen=True, slots=True)
class Size:
    """How big a graph is."""

    ops: int
    parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphDiff:
    """What differs between two graphs; true if anything does."""

    model: str
    old: Size
    new: Size
    changes: tuple[Change, ...]
    #: What follows from them: how many ``shape``, ``dtype`` and ``mode`` changes, and the first place of each.
    following: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    @property
    def classes(self) -> frozenset[str]:
        """Which of ``breaking``, ``shape`` and ``order`` there are."""
        return frozenset(change.effect for change in self.changes)

    def without(self, ignored: Iterable[str]) -> GraphDiff:
        """The same without changes of some classes, or at modules whose address matches a pattern.

        A pattern such as ``layer4.*`` also stands for the module ``layer4`` itself.
        """
        names = set(ignored)
        patterns = [name for name in names if name not in CLASSES]
        kept = tuple(
            change
            for change in self.changes
            if change.effect not in names and not any(change.is_at(pattern) for pattern in patterns)
        )
        return replace(self, changes=kept, following=self.following if kept else {})

    def lines(self, details: bool = False) -> list[str]:
        """The diff as people read it; ``details`` leaves nothing out."""
        ops = f"ops {_step(self.old.ops, self.new.ops)}"
        parameters = f"params {_step(self.old.parameters, self.new.parameters)}"
        lines = [f"graph of {self.model} changed: {ops}, {parameters}"]
        for places, changes in self._hunks():
            shown = [f"    {change.text}" for change in changes]
            if not details and len(shown) > MAX_LINES:
                shown = [*shown[:MAX_LINES], f"    … and {len(shown) - MAX_LINES} more here"]
            lines += [f"  @ {places[0] or self.model}", *shown]
            others = places[1:]
            if others:
                named = others if details else others[:MAX_PLACES]
                dots = ", …" if len(named) < len(others) else ""
                lines.append(f"    and {len(others)} more: {', '.join(named)}{dots}")
        for what, (count, first) in self.following.items():
            lines.append(f"  … {count} {_FOLLOWING[what][count != 1]} (first: {first})")
        return lines

    def _hunks(self) -> list[tuple[list[str], list[Change]]]:
        """Changes by module; modules with the same ones together."""
        by_address: dict[str, list[Change]] = {}
        for change in self.changes:
            by_address.setdefault(change.address, []).append(change)
        found: dict[tuple[str, ...], tuple[list[str], list[Change]]] = {}
        for address, changes in by_address.items():
            key = tuple(change.gist for change in changes)
            found.setdefault(key, ([], changes))[0].append(address)
        return list(found.values())

    def as_dict(self) -> dict[str, Any]:
        """The same as data for JSON."""
        return {
            "model": self.model,
            "ops": [self.old.ops, self.new.ops],
            "parameters": [self.old.parameters, self.new.parameters],
            "classes": sorted(self.classes),
            "changes": [
                {"kind": c.kind, "class": c.effect, "module": c.address, "name": c.name, "text": c.text}
                for c in self.changes
            ],
            "following": {
                what: {"count": n, "first": first} for what, (n, first) in self.following.items()
            },
        }


_FOLLOWING = {
    "shape": ("shape change downstream follows", "shape changes downstream follow"),
    "dtype": ("dtype change downstream follows", "dtype changes downstream follow"),
    "mode": ("change follows from the switch", "changes follow from the switch"),
}


def _step(old: int, new: int) -> str:
    return f"{old:,} (same)" if old == new else f"{old:,} → {new:,}"


def diff_graphs(old: ModelHistory | Snapshot, new: ModelHistory | Snapshot) -> GraphDiff:
    """What differs between the structures of two passes.

    >>> import torch
    >>> import torchlens_core as tl
    >>> x = torch.zeros(1, 4)
    >>> histories = [tl.log_forward_pass(torch.nn.Sequential(torch.nn.Linear(4, n)), x) for n in (2, 3)]
    >>> print(diff_graphs(*histories))
    graph of Sequential changed: ops 1 (same), params 10 → 15
      @ Sequential
        ~ 0: weight[2, 4] → [3, 4]; bias[2] → [3]; f32[1, 2] → f32[1, 3]
    """
    with collector_spared():
        return _Graphs(_outline(old), _outline(new)).diff()


def aligned(old: ModelHistory | Snapshot, new: ModelHistory | Snapshot) -> Alignment:
    """Which part of one graph is which of another: see `torchlens_core.diff.alignment`.

    >>> import torch
    >>> import torchlens_core as tl
    >>> x = torch.zeros(1, 4)
    >>> act = torch.nn.ReLU(), torch.nn.Tanh()
    >>> histories = [tl.log_forward_pass(torch.nn.Sequential(*act[:n]), x) for n in (1, 2)]
    >>> [(row.part.name, row.verdict) for row in aligned(*histories).rows]
    [('input', 'same'), ('0', 'same'), ('1', 'added')]
    """
    with collector_spared():
        return _Graphs(_outline(old), _outline(new)).alignment()


def _outline(graph: ModelHistory | Snapshot) -> Outline:
    return graph.outline if isinstance(graph, Snapshot) else take_snapshot(graph).outline


class _Graphs:
    """One comparison of two outlines."""

    def __init__(self, old: Outline, new: Outline) -> None:
        self._old, self._new = old, new
        self._changes: list[Change] = []
        self._said: set[Change] = set()
        #: Those that are said of the graphs, and of no body.
        self._whole: list[Change] = []
        self._following: dict[str, tuple[int, str]] = {}

    def diff(self) -> GraphDiff:
        """What differs."""
        old, new = self._old, self._new
        if old != new:
            self._compare()
        return GraphDiff(
            model=new.model,
            old=_size(old),
            new=_size(new),
            changes=tuple(self._changes),
            following=self._following,
        )

    def alignment(self) -> Alignment:
        """The two side by side."""
        self.diff()
        return alignment_of(self._bodies, Address(), self._whole)

    @cached_property
    def _bodies(self) -> BodyDiff:
        old, new = self._old, self._new
        sizes = [
            [unit.op.results for unit in units_of(one.body) if unit.op and unit.op.kind == "input"]
            for one in (old, new)
        ]
        context = Context(
            has_switched=old.is_training != new.is_training, has_new_sizes=sizes[0] != sizes[1]
        )
        return Comparison(context).wholes(old, new)

    def _compare(self) -> None:
        old, new = self._old, self._new
        if old.model != new.model:
            self._say("renamed", BREAKING, "", f"~ class of the model: {old.model} → {new.model}")
        if old.is_training != new.is_training:
            self._say("mode", BREAKING, "", f"~ switched to {'training' if new.is_training else 'eval'}")
        self._emit(self._bodies, Address())
        self._outputs(old.outputs, new.outputs)
        self._unused()
        if not self._changes and not self._following:
            self._say("changed", BREAKING, "", "~ the text, in a way that no rule here names")
        elif not self._changes:
            what, (count, first) = next(iter(self._following.items()))
            self._say(
                "changed", SHAPE, first, f"~ {count} {what} changes, and nothing that they follow from"
            )

    def _say(self, kind: str, effect: str, name: str, text: str) -> None:
        change = Change(kind=kind, effect=effect, address="", name=name, text=text)
        self._whole.append(change)
        self._changes.append(change)

    def _emit(self, found: BodyDiff, address: Address) -> None:
        """The changes of a pair of bodies where they stand, then those inside."""
        for one in found.changes:
            change = address.change(one)
            if change not in self._said:  # a module that is called twice
                self._said.add(change)
                self._changes.append(change)
        for what, unit in found.following:
            count, first = self._following.get(what, (0, address.of(unit.name)))
            self._following[what] = count + 1, first
        for before, after, inner in found.inner:
            self._emit(inner, address.inside(before, after))

    def _outputs(self, old: Sequence[Output], new: Sequence[Output]) -> None:
        before, after = [one.name for one in old], [one.name for one in new]
        if before != after:
            gone, came = [n for n in before if n not in after], [n for n in after if n not in before]
            parts = [f"- {name}" for name in gone] + [f"+ {name}" for name in came]
            self._say("outputs", BREAKING, "", f"~ outputs: {', '.join(parts) or 'in another order'}")

    def _unused(self) -> None:
        old = {one.address: one.elements for one in self._old.unused}
        new = {one.address: one.elements for one in self._new.unused}
        for address in dict.fromkeys([*old, *new]):
            if old.get(address) != new.get(address):
                was, now = old.get(address, 0), new.get(address, 0)
                label = address or "the model itself"
                self._say("unused", BREAKING, address, f"~ unused parameters of {label}: {was:,} → {now:,}")


def _size(outline: Outline) -> Size:
    """Ops of all passes; numbers in all parameters, shared ones once."""
    unused = sum(one.elements for one in outline.unused)
    return Size(count_ops(outline.body), parameters_in(outline.body) + unused)
