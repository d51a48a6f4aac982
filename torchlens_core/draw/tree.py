"""A graph as a tree of modules with ops as leaves: what is folded, opened and closed before it is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torchlens_core.draw.sheet import PLAIN, Bars, Raster, Style
from torchlens_core.draw.words import Words


class Leaf:
    """An op, source or output."""

    # fmt: off
    __slots__ = (
        "change", "entry", "image", "is_parallel", "labels", "order", "parent", "passes", "style", "tooltip",
        "words",
    )
    # fmt: on

    def __init__(
        self, parent: Group, words: Words, order: int, tooltip: str = "", entry: Any = None
    ) -> None:
        self.parent = parent
        self.words = words
        #: Place in the pass.
        self.order = order
        self.tooltip = tooltip
        #: What users' callables are given: an `Op` or a `Layer` of a history, an op of a snapshot.
        self.entry = entry
        #: Of the layers of a history that it stands for.
        self.labels: list[str] = []
        self.passes = 1
        #: Whether no pass reads another.
        self.is_parallel = False
        self.change = ""
        self.image: Raster | Bars | None = None
        self.style: Style = PLAIN
        parent.inside.append(self)


class Group:
    """A call of a module, a composite, what runs in a loop, or equal ones drawn once."""

    # fmt: off
    __slots__ = (
        "address",
        "change",
        "class_name",
        "count",
        "entry",
        "first_name",
        "inside",
        "is_chained",
        "is_parallel",
        "kind",
        "last_name",
        "note",
        "others",
        "parameters",
        "parent",
        "passes",
        "shape",
        "style",
        "tooltip",
    )
    # fmt: on

    def __init__(
        self,
        parent: Group | None,
        kind: str = "module",
        *,
        address: str = "",
        name: str = "",
        class_name: str = "",
        parameters: int = 0,
        shape: str = "",
        entry: Any = None,
    ) -> None:
        self.parent = parent
        #: ``module``, ``composite``, ``loop`` or ``repeat``.
        self.kind = kind
        #: Address of the module in the model.
        self.address = address
        self.first_name = self.last_name = name
        self.class_name = class_name
        self.parameters = parameters
        self.entry = entry
        self.inside: list[Leaf | Group] = []
        #: How many equal ones it stands for, and whether each reads the one before.
        self.count = 1
        self.is_chained = True
        #: Addresses of the others.
        self.others: list[str] = []
        #: How often it runs, and whether no pass reads another.
        self.passes = 1
        self.is_parallel = False
        #: Of what it returns.
        self.shape = shape
        #: Said in place of its ops when closed.
        self.note = ""
        self.tooltip = address
        self.change = ""
        self.style: Style = PLAIN
        if parent is not None:
            parent.inside.append(self)

    @property
    def name(self) -> str:
        """Its own name, or those of the first and the last that it stands for."""
        if self.first_name == self.last_name:
            return self.first_name
        return f"{self.first_name} … {self.last_name}"

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its own address, or else its name, and those of the others that it stands for."""
        return (self.address or self.name, *self.others)

    @property
    def modules(self) -> tuple[str, ...]:
        """Addresses of the modules that it stands for."""
        return tuple(dict.fromkeys(self.addresses)) if self.kind == "module" else ()

    @property
    def is_transparent(self) -> bool:
        """Whether it is drawn open whenever what is around it is: a loop or a repeat."""
        return self.kind in ("loop", "repeat")


class Wire:
    """From a leaf to one that reads it."""

    __slots__ = ("change", "head", "kind", "label", "style", "tail")

    def __init__(
        self, tail: Leaf, head: Leaf, kind: str = "data", label: str = "", change: str = ""
    ) -> None:
        self.tail = tail
        self.head = head
        self.kind = kind
        self.label = label
        self.change = change
        self.style: Style = PLAIN

    def between(self, tail: Leaf, head: Leaf) -> Wire:
        """The same between other leaves."""
        wire = Wire(tail, head, self.kind, self.label, self.change)
        wire.style = self.style
        return wire


class Tree:
    """The whole graph, before anything is left out."""

    __slots__ = ("notes", "root", "subtitle", "title", "wires")

    def __init__(self, title: str, root: Group, wires: list[Wire], subtitle: str = "") -> None:
        self.title = title
        self.subtitle = subtitle
        self.root = root
        self.wires = wires
        #: What was done to it, for `Sheet.notes`.
        self.notes: list[str] = []


def enclosed(kind: str, parts: Iterable[Leaf | Group], around: Group) -> Group:
    """A group for parts of ``around``, which is to stand there in their place."""
    group = Group(None, kind, address=around.address)
    group.parent = around
    group.inside = list(parts)
    for one in group.inside:
        one.parent = group
    return group


def leaves_of(group: Group) -> Iterator[Leaf]:
    """Every leaf inside, in order."""
    return leaves_in(group.inside)


def leaves_in(parts: Sequence[Leaf | Group]) -> Iterator[Leaf]:
    """Every leaf of some parts, in order."""
    stack = list(reversed(parts))
    while stack:
        one = stack.pop()
        if isinstance(one, Leaf):
            yield one
        else:
            stack.extend(reversed(one.inside))


def groups_of(group: Group) -> Iterator[Group]:
    """Every group inside, outer ones first; itself left out."""
    stack = [one for one in reversed(group.inside) if isinstance(one, Group)]
    while stack:
        one = stack.pop()
        yield one
        stack.extend(inner for inner in reversed(one.inside) if isinstance(inner, Group))


def single_leaf(group: Group) -> Leaf | None:
    """The one op of a module that does nothing else: both share a box."""
    if group.kind != "module" or len(group.inside) != 1:
        return None
    only = group.inside[0]
    return only if isinstance(only, Leaf) else single_leaf(only)


_NO_OPS = ("input", "output", "parameter", "buffer", "constant", "escape")


def ops_in(group: Group) -> int:
    """How many ops ran in one run of a group, those of copies and passes that are drawn once counted."""
    total = 0
    for one in group.inside:
        if isinstance(one, Leaf):
            total += one.passes * (one.words.category not in _NO_OPS)
        else:
            total += one.count * one.passes * ops_in(one)
    return total


def prune(group: Group) -> None:
    """Leave out groups with nothing in them: modules that do nothing, or ran first elsewhere in a recursion."""
    for one in group.inside:
        if isinstance(one, Group):
            prune(one)
    group.inside = [one for one in group.inside if isinstance(one, Leaf) or one.inside]
