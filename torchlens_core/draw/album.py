"""Several pictures of one history, for who turns them over: the whole at each depth, and every module left closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from torchlens_core.draw.composing import compose
from torchlens_core.draw.folding import fold
from torchlens_core.draw.of_history import tree_of_history
from torchlens_core.draw.opening import open_to_depth
from torchlens_core.draw.part import part_of
from torchlens_core.draw.pictures import Options, Picture
from torchlens_core.draw.tree import Group, Leaf, Tree, groups_of, leaves_of
from torchlens_core.errors import DrawingError

if TYPE_CHECKING:
    from torchlens_core.history import ModelHistory

#: Most boxes and edges of a picture to a depth, and most pictures of single modules.
MAX_BOXES, MAX_EDGES, MAX_MODULES = 200, 500, 16
#: Seconds that an engine may take for a picture which is not the overview.
TIMEOUT = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A picture with what tells it from the others."""

    #: ``overview``, ``depth 2``, ``everything``, ``each pass``, or the address of a module.
    name: str
    picture: Picture
    #: The address of the module that is drawn alone.
    module: str = ""
    #: Levels of modules drawn open; None for as many as fit.
    depth: int | None = None
    #: One box a layer, or one a pass.
    rolled: bool = True


def views_of(history: ModelHistory, tree: Tree, options: Options) -> Iterator[View]:
    """The pictures of ``history``, each laid out, the overview first.

    A module has a picture of its own if an earlier one leaves it closed, so that each op is in one of them, up to
    `MAX_MODULES`. ``tree`` is that of the history; it is folded, and taken apart.

    Raises `DrawingError` if the overview cannot be drawn.
    """
    parts = chain[Group | Leaf](groups_of(tree.root), leaves_of(tree.root))
    has_passes = any(part.passes > 1 for part in parts)
    fold(tree)
    overview = View(name="overview", picture=_laid_out(tree, options))
    yield overview
    options = replace(options, timeout=min(options.timeout, TIMEOUT))
    yield from _depths(tree, options, len(overview.picture.sheet.boxes))
    if has_passes:
        unrolled = tree_of_history(history, rolled=False)
        yield View(
            name="each pass", picture=_laid_out(unrolled, replace(options, rolled=False)), rolled=False
        )
    yield from _modules(tree, options, overview)


def _laid_out(tree: Tree, options: Options) -> Picture:
    """A picture that does not need its tree any more."""
    picture = Picture(tree, options)
    assert picture.layout
    return picture


def _depths(tree: Tree, options: Options, boxes: int) -> Iterator[View]:
    """The whole at every depth that shows more than the one before, but for that of the overview."""
    sheets = [
        compose(tree, open_to_depth(tree, depth), direction=options.direction)
        for depth in range(1, _deepest(tree) + 1)
    ]
    numbers = [len(sheet.boxes) for sheet in sheets]
    for depth, (number, sheet) in enumerate(zip(numbers, sheets, strict=True), 1):
        is_new = number != boxes and number not in numbers[: depth - 1]
        if is_new and number <= MAX_BOXES and len(sheet.edges) <= MAX_EDGES:
            name = "everything" if number == numbers[-1] else f"depth {depth}"
            yield View(name=name, picture=_laid_out(tree, replace(options, depth=depth)), depth=depth)


def _deepest(tree: Tree) -> int:
    """The depth at which all is open."""
    depth = 1
    while len(open_to_depth(tree, depth)) < len(list(groups_of(tree.root))):
        depth += 1
    return depth


def _modules(tree: Tree, options: Options, overview: View) -> Iterator[View]:
    closed = _closed(overview.picture)
    drawn: set[str] = set()
    while closed and len(drawn) < MAX_MODULES:
        address = closed.pop(0)
        if address in drawn:
            continue
        drawn.add(address)
        try:
            picture = _laid_out(part_of(tree, address), replace(options, module=address))
        except DrawingError:
            continue
        yield View(name=address, picture=picture, module=address)
        closed += _closed(picture)


def _closed(picture: Picture) -> list[str]:
    """Addresses of the modules that a picture shows as one box."""
    boxes = picture.sheet.boxes.values()
    return [box.modules[0] for box in boxes if box.category == "module" and box.modules]
