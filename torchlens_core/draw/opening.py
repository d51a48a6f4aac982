"""Which modules are drawn open, and which as one box."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

from torchlens_core.draw.tree import Group, Leaf, Tree, groups_of, single_leaf

#: Boxes up to which modules are opened unless a depth is asked for.
BUDGET = 70
#: Decides for a module whether it is open: by a callable given its entry, or by patterns of addresses.
Chooser = Callable[[object], bool] | tuple[str, ...]


def open_to_depth(tree: Tree, depth: int) -> set[Group]:
    """The groups that are open if ``depth`` levels are drawn: at 1, modules of the model are boxes."""
    return {group for group in groups_of(tree.root) if _level(group) < depth}


def open_within(tree: Tree, budget: int = BUDGET) -> set[Group]:
    """As many groups as keep the picture within ``budget`` boxes.

    Level by level; of the first level that does not fit as a whole, classes of modules, the smallest first.
    """
    opened: set[Group] = set()
    level = _groups(tree.root)
    boxes = sum(_cost(one) for one in tree.root.inside)
    while level:
        by_class: dict[str, list[Group]] = {}
        for group in level:
            by_class.setdefault(group.class_name or group.kind, []).append(group)
        growth = {name: sum(map(_growth, groups)) for name, groups in by_class.items()}
        following: list[Group] = []
        is_whole = True
        for name in sorted(by_class, key=lambda name: growth[name]):
            if boxes + growth[name] > budget:
                is_whole = False
                continue
            boxes += growth[name]
            opened.update(by_class[name])
            following += [one for group in by_class[name] for one in _groups(group)]
        if not is_whole:
            break
        level = following
    return opened


def _groups(around: Group) -> list[Group]:
    """The groups inside; for loops and repeats, which are not closed, their own."""
    found: list[Group] = []
    for one in around.inside:
        if isinstance(one, Group):
            found += _groups(one) if one.is_transparent else [one]
    return found


def _cost(one: Leaf | Group) -> int:
    """Boxes of something closed; loops and repeats cannot be."""
    if isinstance(one, Group) and one.is_transparent:
        return sum(map(_cost, one.inside))
    return 1


def _growth(group: Group) -> int:
    return sum(map(_cost, group.inside)) - 1 if single_leaf(group) is None else 0


def _level(group: Group) -> int:
    """How many modules and composites are around it, itself counted."""
    level = 0
    around: Group | None = group
    while around is not None and around.parent is not None:
        level += around.kind in ("module", "composite")
        around = around.parent
    return level


def closed_in(tree: Tree, opened: set[Group]) -> list[Group]:
    """The modules with something in them that are boxes."""
    stack, found = _groups(tree.root), []
    while stack:
        group = stack.pop()
        if group in opened:
            stack += _groups(group)
        elif single_leaf(group) is None:
            found.append(group)
    return found


def choose(
    tree: Tree, opened: set[Group], is_open: Chooser | None, is_closed: Chooser | None
) -> tuple[set[Group], list[str]]:
    """``opened`` with what users want open, and all around it, and without what they want closed.

    Also what is to be said of patterns that nothing matches.
    """
    chosen = set(opened)
    notes = []
    known = {address for group in groups_of(tree.root) for address in group.addresses}
    for name, chooser in (("opened", is_open), ("closed", is_closed)):
        for pattern in chooser if isinstance(chooser, tuple) else ():
            if not any(fnmatchcase(address, pattern) for address in known):
                notes.append(f"{name}: no module that was called matches {pattern!r}")
    for group in groups_of(tree.root):
        if is_open is not None and _fits(group, is_open):
            around: Group | None = group
            while around is not None:
                chosen.add(around)
                around = around.parent
    for group in groups_of(tree.root):
        if is_closed is not None and _fits(group, is_closed):
            chosen.discard(group)
    return chosen, notes


def _fits(group: Group, chooser: Chooser) -> bool:
    if group.kind not in ("module", "composite"):
        return False
    if callable(chooser):
        return group.kind == "module" and bool(chooser(group.entry))
    return any(fnmatchcase(address, pattern) for pattern in chooser for address in group.addresses)
