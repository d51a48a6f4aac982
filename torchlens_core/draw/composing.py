"""A `Tree` with its open modules as a `Sheet`: boxes, frames, and edges between what is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from torchlens_core.draw.sheet import PLAIN, Box, Edge, Frame, Sheet
from torchlens_core.draw.tree import Group, Leaf, Tree, Wire, leaves_of, ops_in, single_leaf
from torchlens_core.draw.words import count, count_of

#: A box with so many readers is a hub. Readers so many boxes away, and so many modules below what is around
#: both, refer to it by name: long edges from hubs take a layout engine minutes, and readers of pictures too.
HUB, FAR, DEEP = 6, 15, 2
#: With so many readers, those that are far but not deep do too.
CROWD = 20


def compose(
    tree: Tree, opened: set[Group], *, direction: str = "topdown", notes: Iterable[str] = ()
) -> Sheet:
    """What is drawn of ``tree`` with the groups in ``opened`` open and all others as boxes.

    ``notes`` are said after those of the tree.
    """
    return _Composer(tree, opened).sheet(direction, [*tree.notes, *notes])


@dataclass(slots=True)
class _Place:
    """Where a box stands: its number, and the frames around it."""

    number: int
    around: tuple[str, ...]


class _Composer:
    def __init__(self, tree: Tree, opened: set[Group]) -> None:
        self._tree = tree
        self._opened = opened
        self._boxes: dict[str, Box] = {}
        self._key_of: dict[Leaf, str] = {}
        self._places: dict[str, _Place] = {}
        self._frames = 0
        #: References by the frame they stand in.
        self._references: dict[str, list[str]] = {}

    def sheet(self, direction: str, notes: list[str]) -> Sheet:
        root = self._frame(self._tree.root, (), "f")
        edges = self._with_references(self._edges())
        if self._references:
            root = self._put(root)
            number = sum(map(len, self._references.values()))
            notes.append(f"{number} far readers name what they read (↳) instead of an edge")
        return Sheet(
            title=self._tree.title,
            subtitle=self._tree.subtitle,
            boxes=self._boxes,
            root=root,
            edges=tuple(edges),
            direction=direction,
            notes=tuple(dict.fromkeys(notes)),
        )

    # -- frames and boxes --------------------------------------------------------------------------

    def _frame(self, group: Group, around: tuple[str, ...], key: str) -> Frame:
        inside: list[str | Frame] = []
        around = (*around, key)
        for one in group.inside:
            leaf = one if isinstance(one, Leaf) else single_leaf(one)
            if leaf is not None:
                inside.append(self._add(_leaf_box(leaf, one, self._key()), around, [leaf]))
            elif isinstance(one, Group) and (one in self._opened or one.is_transparent):
                self._frames += 1
                inside.append(self._frame(one, around, f"f{self._frames}"))
            elif isinstance(one, Group):
                inside.append(self._add(_group_box(one, self._key()), around, leaves_of(one)))
        return Frame(
            key=key,
            kind=group.kind,
            class_name=group.class_name,
            inside=tuple(inside),
            **_shown(group),
        )

    def _key(self) -> str:
        return f"b{len(self._boxes)}"

    def _add(self, box: Box, around: tuple[str, ...], leaves: Iterable[Leaf]) -> str:
        self._boxes[box.key] = box
        self._places[box.key] = _Place(len(self._places), around)
        for leaf in leaves:
            self._key_of[leaf] = box.key
        return box.key

    # -- edges -------------------------------------------------------------------------------------

    def _edges(self) -> list[Edge]:
        merged: dict[tuple[str, str, str], list[Wire]] = {}
        for wire in self._tree.wires:
            tail, head = self._key_of[wire.tail], self._key_of[wire.head]
            is_loop = tail == head and wire.kind == "back" and self._boxes[tail].category != "module"
            if tail != head or is_loop:
                merged.setdefault((tail, head, wire.kind), []).append(wire)
        return [
            Edge(
                tail=tail,
                head=head,
                kind=kind,
                label=_label(wires),
                change=_change(wires),
                style=next((wire.style for wire in wires if wire.style is not PLAIN), PLAIN),
            )
            for (tail, head, kind), wires in merged.items()
        ]

    def _with_references(self, edges: list[Edge]) -> list[Edge]:
        """Edges to far readers of hubs begin at a reference beside the reader."""
        readers: dict[str, int] = {}
        for edge in edges:
            readers[edge.tail] = readers.get(edge.tail, 0) + 1
        return [self._referred(edge) if self._is_far(edge, readers[edge.tail]) else edge for edge in edges]

    def _is_far(self, edge: Edge, readers: int) -> bool:
        tail, head = self._places[edge.tail], self._places[edge.head]
        if edge.kind != "data" or edge.change or readers < HUB or head.number - tail.number <= FAR:
            return False
        shared = sum(a == b for a, b in zip(tail.around, head.around, strict=False))
        return len(head.around) - shared >= DEEP or readers > CROWD

    def _referred(self, edge: Edge) -> Edge:
        frame = self._places[edge.head].around[-1]
        key = f"r{edge.tail}.{frame}"
        if key not in self._boxes:
            source = self._boxes[edge.tail]
            name = source.title if source.category == "module" else source.name or source.title
            self._boxes[key] = Box(
                key=key,
                category="reference",
                title=f"↳ {name}",
                shape=source.shape,
                tooltip=source.tooltip,
                ops=source.ops,
                modules=source.modules,
            )
            self._references.setdefault(frame, []).append(key)
        return replace(edge, tail=key)

    def _put(self, frame: Frame) -> Frame:
        """A frame with its references in it."""
        inside = [self._put(one) if isinstance(one, Frame) else one for one in frame.inside]
        return replace(frame, inside=(*self._references.get(frame.key, ()), *inside))


def _label(wires: list[Wire]) -> str:
    labels = list(dict.fromkeys(part for wire in wires for part in wire.label.split(",") if part))
    return ",".join(labels) if len(labels) <= 3 else f"{labels[0]}…{labels[-1]}"


def _change(wires: list[Wire]) -> str:
    changes = {wire.change for wire in wires}
    return changes.pop() if len(changes) == 1 else "changed" if changes - {"", "same"} else ""


def _mark(one: Leaf | Group) -> str:
    """``×12``, ``×8 in parallel``, ``↻ 4``."""
    parts = []
    if isinstance(one, Group) and one.count > 1:
        parts.append(f"×{one.count}" if one.is_chained else f"×{one.count} in parallel")
    if one.passes > 1:
        parts.append(f"×{one.passes} in parallel" if one.is_parallel else f"↻ {one.passes}")
    return "  ".join(parts)


def _leaf_box(leaf: Leaf, outermost: Leaf | Group, key: str) -> Box:
    """The box of an op; of a module that does nothing else, with its name."""
    words = leaf.words
    around = outermost if isinstance(outermost, Group) else None
    marks = dict.fromkeys(filter(None, [_mark(leaf), _mark(around) if around is not None else ""]))
    sharing = _groups_to(leaf, outermost)
    style = leaf.style if leaf.style is not PLAIN or around is None else around.style
    return Box(
        key=key,
        category=words.category,
        title=words.title,
        details=words.details,
        badge=count(words.parameters) if words.parameters else "",
        mark="  ".join(marks),
        shape=words.shape,
        name=".".join(group.name for group in sharing) or words.name,
        tooltip="\n".join(filter(None, [around.address if around is not None else "", leaf.tooltip])),
        ops=tuple(dict.fromkeys(leaf.labels)),
        modules=tuple(address for group in sharing for address in group.modules),
        change=leaf.change or (around.change if around is not None else ""),
        image=leaf.image,
        style=style,
    )


def _groups_to(leaf: Leaf, outermost: Leaf | Group) -> list[Group]:
    """The modules that share the box of an op, outer ones first."""
    groups = []
    around: Leaf | Group | None = leaf.parent
    while isinstance(outermost, Group) and around is not outermost.parent and isinstance(around, Group):
        groups.append(around)
        around = around.parent
    return groups[::-1]


def _group_box(group: Group, key: str) -> Box:
    """A module as one box."""
    ops = count_of(ops_in(group), "op")
    return Box(
        key=key,
        category="module",
        details=group.class_name,
        shape="" if group.note else group.shape,
        name=group.note or ops,
        **_shown(group),
    )


def _shown(group: Group) -> dict[str, Any]:
    """What a box and a frame have in common."""
    return {
        "title": group.name,
        "badge": count(group.parameters) if group.parameters else "",
        "mark": _mark(group),
        "tooltip": group.tooltip,
        "modules": group.modules,
        "change": group.change,
        "style": group.style,
    }
