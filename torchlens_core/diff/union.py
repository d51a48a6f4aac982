"""The picture of a diff: both graphs in one, what is the same closed and grey."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torchlens_core.diff.alignment import Alignment, Part, Row
from torchlens_core.diff.graph_diff import aligned
from torchlens_core.draw.of_outline import Grower, Scope, group_of, wires_to, words_of, words_of_output
from torchlens_core.draw.pictures import Picture, options_of
from torchlens_core.draw.sheet import ADDED, CHANGED, REMOVED, SAME
from torchlens_core.draw.tree import Group, Leaf, Tree, Wire, groups_of, leaves_of, prune
from torchlens_core.draw.words import Words, count_of, cut
from torchlens_core.garbage import collector_spared
from torchlens_core.history import ModelHistory
from torchlens_core.snapshot import Snapshot, take_snapshot
from torchlens_core.snapshot.naming import readable_name
from torchlens_core.snapshot.outline import Call, Loop, Op, Outline, Output, count_ops

#: Characters of a text that names both sides.
MAX_BOTH = 60


def draw_diff(old: ModelHistory | Snapshot, new: ModelHistory | Snapshot, **options: Any) -> Picture:
    """One picture of two graphs: green what was added, red and dashed what was removed, amber what changed.

    ``options`` are the fields of `torchlens_core.draw.Options` that say how things look, not what is drawn.

    >>> import torch
    >>> import torchlens_core as tl
    >>> act = torch.nn.ReLU(), torch.nn.Tanh()
    >>> histories = [tl.log_forward_pass(torch.nn.Sequential(*act[:n]), torch.zeros(1, 4)) for n in (1, 2)]
    >>> draw_diff(*histories, engines=["ranks"]).sheet.subtitle
    '+1 −0 ~0'
    """
    wanted = options_of(options)
    with collector_spared():
        sides = [one if isinstance(one, Snapshot) else take_snapshot(one) for one in (old, new)]
        tree = _Union(*(side.outline for side in sides)).tree(aligned(*sides))
        return Picture(tree, wanted)


class _Union:
    """Grows one tree of two outlines."""

    def __init__(self, old: Outline, new: Outline) -> None:
        self._outlines = old, new
        self._growers = Grower(), Grower()
        self._order = 0

    def tree(self, alignment: Alignment) -> Tree:
        """The whole."""
        names = [readable_name(outline.model) for outline in self._outlines]
        root = Group(None, class_name=names[1])
        scopes = Scope(None, (), alignment.old_returns), Scope(None, (), alignment.new_returns)
        self._rows(alignment.rows, root, scopes)
        ends = [
            {
                output.name: (output, operand)
                for output, operand in zip(outline.outputs, returns, strict=True)
            }
            for outline, returns in zip(
                self._outlines, (alignment.old_returns, alignment.new_returns), strict=True
            )
        ]
        wires: tuple[list[Wire], list[Wire]] = ([], [])
        for name in dict.fromkeys([*ends[1], *ends[0]]):
            pair = [side.get(name) for side in ends]
            leaf = self._output([None if one is None else one[0] for one in pair], root)
            for scope, one, found in zip(scopes, pair, wires, strict=True):
                if one is not None:
                    found.extend(wires_to(leaf, scope.sources(one[1])))
        for scope, found in zip(scopes, wires, strict=True):
            found[:0] = scope.wires()
        title = names[1] if names[0] == names[1] else " → ".join(names)
        return Tree(title, root, list(_merged(*wires)), _subtitle(root))

    # -- rows --------------------------------------------------------------------------------------

    def _rows(self, rows: Iterable[Row], group: Group, scopes: tuple[Scope, Scope]) -> None:
        for row in rows:
            item = row.part.item
            if isinstance(item, Loop):
                loop = Group(group, "loop", address=group.address)
                loop.passes, loop.change = item.passes, "" if row.verdict == SAME else _change(row)
                loop.note = _both(
                    [str(p.item.passes) for p in (row.old, row.new) if p and isinstance(p.item, Loop)]
                )
                self._rows(row.rows, loop, scopes)
            elif row.rows:
                inner = self._group(row, group)
                self._rows(row.rows, inner, scopes)
            elif row.inner is not None:
                self._inner(row, row.inner, group, scopes)
            elif isinstance(item, Call) and row.part.op is None and row.verdict in (ADDED, REMOVED):
                if row.part.reads:  # a module around others that all stand elsewhere reads nothing
                    self._one_sided(row, item, group, scopes)
            else:
                leaf = self._leaf(row, group)
                for part, scope in zip((row.old, row.new), scopes, strict=True):
                    if part is not None:
                        scope.add(part.name, leaf, part.reads)

    def _inner(self, row: Row, inner: Alignment, group: Group, scopes: tuple[Scope, Scope]) -> None:
        """A module whose bodies differ."""
        assert row.old is not None
        assert row.new is not None
        within = self._group(row, group)
        old = scopes[0].enter(row.old.name, row.old.reads, inner.old_returns)
        new = scopes[1].enter(row.new.name, row.new.reads, inner.new_returns)
        self._rows(inner.rows, within, (old, new))

    def _one_sided(self, row: Row, call: Call, around: Group, scopes: tuple[Scope, Scope]) -> None:
        """A module that only one side has, with all that is in it."""
        side = 1 if row.old is None else 0
        within = self._group(row, around)
        self._growers[side].call(row.part.name, call.body, within, scopes[side], row.part.reads)
        prune(within)
        for group in groups_of(within):
            group.change = within.change
        for leaf in leaves_of(within):
            leaf.change, leaf.order = within.change, self._next()

    def _group(self, row: Row, around: Group) -> Group:
        item = row.part.item
        assert isinstance(item, Call)
        group = group_of(item, around)
        names = [
            readable_name(part.item.class_name)
            for part in (row.old, row.new)
            if part and isinstance(part.item, Call)
        ]
        group.class_name = _both(names)
        group.tooltip = _said(row, group.address)
        group.change = _change(row) if row.changes or row.verdict in (ADDED, REMOVED) else ""
        return group

    def _next(self) -> int:
        self._order += 1
        return self._order

    def _leaf(self, row: Row, group: Group) -> Leaf:
        note = " unchanged" if row.verdict == SAME else ""
        words = [_words(part, note) for part in (row.old, row.new) if part is not None]
        leaf = Leaf(group, _of_both(words), self._next(), _said(row, readable_name(row.part.name)))
        leaf.change = SAME if row.verdict == SAME else _change(row)
        return leaf

    def _output(self, sides: Sequence[Output | None], group: Group) -> Leaf:
        words = [words_of_output(one) for one in sides if one is not None]
        leaf = Leaf(group, _of_both(words), self._next())
        if len(words) == 1:
            leaf.change = ADDED if sides[0] is None else REMOVED
        return leaf


def _change(row: Row) -> str:
    return row.verdict if row.verdict in (ADDED, REMOVED) else CHANGED


def _said(row: Row, name: str) -> str:
    return "\n".join([name, *(change.text for change in row.changes)])


def _words(part: Part, note: str = "") -> Words:
    """The texts of an op, or of a module that stays closed."""
    name = readable_name(part.item.name.partition("#")[0]) if isinstance(part.item, Call) else ""
    if part.op is not None:
        return words_of(part.op)._replace(name=name) if name else words_of(part.op)
    if isinstance(part.item, Op):
        return words_of(part.item)
    assert isinstance(part.item, Call)
    ops = count_of(count_ops(part.item.body), "op")
    return Words("module", name, readable_name(part.item.class_name), f"{ops}{note}")


def _of_both(words: Sequence[Words]) -> Words:
    """The texts of both sides: the new ones, and what was there where that is another."""
    if len(words) == 1 or words[0] == words[1]:
        return words[-1]
    old, new = words
    return new._replace(
        title=_both([old.title, new.title]),
        details=_details(old.details, new.details),
        shape=_both([old.shape, new.shape]),
        name=_both([old.name, new.name]),
    )


def _both(texts: Sequence[str]) -> str:
    kept = list(dict.fromkeys(text or "none" for text in texts)) if any(texts) else []
    return cut(" → ".join(kept), MAX_BOTH)


def _details(old: str, new: str) -> str:
    """Details, and in brackets what was there in place of them: ``k3 s2 (was k7)``."""
    kept = set(new.split(" "))
    gone = [one for one in old.split(" ") if one and one not in kept]
    return cut(f"{new} (was {' '.join(gone)})".strip(), MAX_BOTH) if gone else new


def _merged(old: Iterable[Wire], new: Iterable[Wire]) -> Iterator[Wire]:
    """Wires of both sides once, those of one side marked."""
    sides = [{(wire.tail, wire.head, wire.kind): wire for wire in wires} for wires in (old, new)]
    for key, wire in {**sides[0], **sides[1]}.items():
        if key not in sides[0]:
            wire.change = ADDED
        elif key not in sides[1]:
            wire.change = REMOVED
        yield wire


def _subtitle(root: Group) -> str:
    changes = [leaf.change for leaf in leaves_of(root)]
    return f"+{changes.count(ADDED)} −{changes.count(REMOVED)} ~{changes.count(CHANGED)}"
