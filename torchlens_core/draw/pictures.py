"""One picture: of a history, a snapshot or a diff, in every form."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchlens_core.draw.backward import tree_of_backward
from torchlens_core.draw.composing import compose
from torchlens_core.draw.folding import fold
from torchlens_core.draw.model_explorer import model_explorer
from torchlens_core.draw.of_history import tree_of_history
from torchlens_core.draw.of_outline import tree_of_outline
from torchlens_core.draw.opening import BUDGET, Chooser, choose, closed_in, open_to_depth, open_within
from torchlens_core.draw.overrides import Overrides
from torchlens_core.draw.painting.metrics import box_size, heading_size
from torchlens_core.draw.painting.pdf import pdf
from torchlens_core.draw.painting.png import png
from torchlens_core.draw.painting.silhouette import silhouette
from torchlens_core.draw.painting.svg import svg
from torchlens_core.draw.painting.themes import themes_of
from torchlens_core.draw.part import part_of
from torchlens_core.draw.placing.engines import place
from torchlens_core.draw.placing.graphviz import dot_source
from torchlens_core.draw.placing.layout import Layout
from torchlens_core.draw.sheet import DIRECTIONS, Sheet, frames_of
from torchlens_core.draw.tree import Tree
from torchlens_core.draw.values import add_values
from torchlens_core.draw.words import count_of
from torchlens_core.errors import ArgumentError
from torchlens_core.garbage import collector_spared
from torchlens_core.snapshot import Snapshot

if TYPE_CHECKING:
    from torchlens_core.history import ModelHistory

#: Formats by the ending of a file's name.
FORMATS = ("svg", "png", "pdf", "dot", "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is drawn of a graph, and how.

    Raises `ArgumentError` for values that do not exist, before anything is drawn.
    """

    #: One box a layer, or one a pass.
    rolled: bool = True
    #: Levels of modules drawn open; None for as many as keep the picture within ``budget`` boxes.
    depth: int | None = None
    budget: int = BUDGET
    #: Whether equal neighbours are drawn once (``×12``); None for yes where passes are rolled too.
    fold: bool | None = None
    #: Modules open or closed whatever the depth: patterns of addresses, or a callable on the `ModuleCall`.
    opened: Chooser | Sequence[str] | str | None = None
    closed: Chooser | Sequence[str] | str | None = None
    #: Address of the one module that is drawn.
    module: str = ""
    direction: str = "topdown"
    buffers: bool = False
    #: Dashed edges against the data wherever gradients were saved.
    gradients: bool = False
    #: The backward pass in place of the forward pass.
    backward: bool = False
    #: Activations as small pictures in boxes: ``auto``, ``maps``, ``histograms``, or a callable on the `Op`.
    values: str | Callable[[Any], Any] | None = None
    overrides: Overrides = field(default_factory=Overrides)
    #: ``light``, ``dark``, or ``auto`` for what the reader prefers (SVG only).
    theme: str = "light"
    #: Layout engines that may be tried, in order; None for all there are.
    engines: Sequence[str] | str | None = None
    #: Seconds that an engine may take.
    timeout: float = 20.0

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            expected = " or ".join(map(repr, DIRECTIONS))
            raise ArgumentError(f"direction is {self.direction!r}. Expected {expected}.")
        themes_of(self.theme)
        if self.depth is not None and (not isinstance(self.depth, int) or self.depth < 1):
            raise ArgumentError(f"depth is {self.depth!r}. Expected a number of levels, from 1, or None.")
        if not isinstance(self.budget, int) or self.budget < 1:
            raise ArgumentError(f"budget is {self.budget!r}. Expected a number of boxes, from 1.")
        if not isinstance(self.module, str):
            raise ArgumentError(f"module is {self.module!r}. Expected the address of a module.")
        if not isinstance(self.overrides, Overrides):
            raise ArgumentError(
                f"overrides is {self.overrides!r}. Expected torchlens_core.draw.Overrides(...)."
            )
        for name, given in (("opened", self.opened), ("closed", self.closed)):
            if not (given is None or callable(given) or _are_texts(given)):
                raise ArgumentError(
                    f"{name} is {given!r}. Expected patterns of addresses, or a function of a module call."
                )
        if not (self.engines is None or _are_texts(self.engines)):
            raise ArgumentError(f"engines is {self.engines!r}. Expected names of layout engines.")

    @property
    def is_folded(self) -> bool:
        """Whether equal neighbours are drawn once."""
        return self.rolled if self.fold is None else self.fold


class Picture:
    """A picture, laid out when first needed. In a notebook it shows itself."""

    def __init__(self, tree: Tree, options: Options) -> None:
        self._tree = tree
        self._options = options
        # no cached_property: in Python 3.11 it has one lock for all pictures, which a fork may leave locked
        self._made: tuple[Sheet, Layout] | None = None

    # -- what is shown -----------------------------------------------------------------------------

    @property
    def _drawn(self) -> tuple[Sheet, Layout]:
        """The sheet and its layout."""
        if self._made is None:
            with collector_spared():
                self._made = self._draw()
        return self._made

    def _draw(self) -> tuple[Sheet, Layout]:
        """With fewer modules open if the engines took too long."""
        options, budget = self._options, self._options.budget
        sheet = self._composed(budget)
        layout = _placed(sheet, options)
        while (
            options.depth is None
            and layout.is_late
            and budget > BUDGET // 8
            and list(frames_of(sheet.root))
        ):
            budget //= 2
            said = layout.said
            sheet = self._composed(budget)
            layout = _placed(sheet, options)
            layout = replace(layout, said=tuple(dict.fromkeys((*said, *layout.said))))
        notes = (*sheet.notes, *layout.said)
        return replace(sheet, notes=tuple(dict.fromkeys(notes))), layout

    def _composed(self, budget: int) -> Sheet:
        tree, options = self._tree, self._options
        opened = open_within(tree, budget) if options.depth is None else open_to_depth(tree, options.depth)
        closed = len(closed_in(tree, opened)) if options.depth is None else 0
        opened, notes = choose(tree, opened, _chooser(options.opened), _chooser(options.closed))
        sheet = compose(tree, opened, direction=options.direction, notes=notes)
        if closed:
            reason = f" to keep to {budget} boxes" if len(sheet.boxes) <= budget else ""
            note = f"{count_of(closed, 'module')} closed{reason}"
            sheet = replace(sheet, notes=(note, *sheet.notes))
        return sheet

    @property
    def sheet(self) -> Sheet:
        """Boxes, frames and edges."""
        return self._drawn[0]

    @property
    def layout(self) -> Layout:
        """Where they stand, and which engine said so."""
        return self._drawn[1]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to keep the picture readable, each said once."""
        return self.sheet.notes

    # -- forms -------------------------------------------------------------------------------------

    def svg(self, theme: str = "", prefix: str = "", data: bool = False) -> str:
        """The picture as an SVG document; with ``data``, its elements say which layers and modules they stand for."""
        sheet, layout = self._drawn
        with collector_spared():
            return svg(sheet, layout, theme=theme or self._options.theme, prefix=prefix, data=data)

    def png(self, scale: float = 2.0) -> bytes:
        """The picture as PNG, ``scale`` pixels a point. Raises `DrawingError` without resvg-py."""
        return png(self.sheet, self.layout, theme=self._flat_theme, scale=scale)

    def pdf(self) -> bytes:
        """The picture as PDF, in lines and text. Raises `DrawingError` without reportlab."""
        return pdf(self.sheet, self.layout, theme=self._flat_theme)

    def dot(self) -> str:
        """The graph as DOT source. Raises `DrawingError` without the ``graphviz`` package."""
        return dot_source(self.sheet)

    def model_explorer(self) -> dict[str, Any]:
        """The graph for Model Explorer, as data for JSON: everything, whatever the picture leaves closed."""
        return model_explorer(self._tree)

    def silhouette(self, width: int = 320, height: int = 200) -> str:
        """A thumbnail as SVG: coloured boxes only."""
        return silhouette(self.sheet, self.layout, width=width, height=height, theme=self._flat_theme)

    @property
    def _flat_theme(self) -> str:
        return "light" if self._options.theme == "auto" else self._options.theme

    def save(self, path: str | Path) -> Path:
        """Write the picture to ``path`` in the format that its ending names: svg, png, pdf, dot, or json for
        Model Explorer.

        Raises `ArgumentError` for another ending; nothing is written then.
        """
        target = Path(path)
        target.write_bytes(self.as_bytes(target.suffix.removeprefix(".").lower()))
        return target

    def as_bytes(self, fileformat: str) -> bytes:
        """The picture in a format; `ArgumentError` if there is no such."""
        if fileformat == "png":
            return self.png()
        if fileformat == "pdf":
            return self.pdf()
        if fileformat == "svg":
            return self.svg().encode()
        if fileformat == "json":
            return json.dumps(self.model_explorer()).encode()
        if fileformat in ("dot", "gv"):
            return self.dot().encode()
        raise ArgumentError(f"there is no format {fileformat!r}. Expected {', '.join(FORMATS)}.")

    def embedded(self) -> str:
        """The SVG for a page that holds other pictures too: its ids are its own, and equal pictures' the same."""
        return self.svg(prefix=f"p{zlib.crc32(self.svg().encode()):x}-")

    def _repr_svg_(self) -> str:
        return self.embedded()

    def __repr__(self) -> str:
        sheet = self.sheet
        return (
            f"Picture of {sheet.title}: {count_of(len(sheet.boxes), 'box', 'boxes')}, "
            f"{count_of(len(sheet.edges), 'edge')}, laid out by {self.layout.engine}"
        )


def picture(what: ModelHistory | Snapshot, **options: Any) -> Picture:
    """A picture of a history or snapshot; ``options`` are the fields of `Options`.

    Raises `ArgumentError` for options that do not exist.

    >>> import torch
    >>> import torchlens_core as tl
    >>> history = tl.log_forward_pass(torch.nn.Linear(4, 2), torch.zeros(1, 4))
    >>> picture(history, engines=["ranks"])
    Picture of Linear: 3 boxes, 2 edges, laid out by ranks
    """
    wanted = options_of(options)
    with collector_spared():
        return Picture(grown(what, wanted), wanted)


def options_of(given: Mapping[str, Any]) -> Options:
    """Options by name. Raises `ArgumentError` for a name that is none."""
    known = Options.__dataclass_fields__
    for name in given:
        if name not in known:
            raise ArgumentError(f"pictures have no option {name!r}. Expected {', '.join(known)}.")
    return Options(**given)


def grown(what: Any, options: Options) -> Tree:
    """The tree of a history or snapshot, folded, with what users want in it."""
    if isinstance(what, Snapshot):
        tree = tree_of_outline(what.outline, buffers=options.buffers)
    elif options.backward:
        tree = tree_of_backward(what, rolled=options.rolled)
    else:
        tree = tree_of_history(
            what, rolled=options.rolled, buffers=options.buffers, gradients=options.gradients
        )
    if options.module:
        tree = part_of(tree, options.module)
    if options.values is not None:
        add_values(tree, options.values)
    options.overrides.apply(tree)
    if options.is_folded:
        fold(tree)
    return tree


def _placed(sheet: Sheet, options: Options) -> Layout:
    sizes = {key: box_size(box) for key, box in sheet.boxes.items()}
    headings = {frame.key: heading_size(frame) for frame in frames_of(sheet.root)}
    # gradients run against the data, and what stands where is for the data to say
    turned = [replace(edge, kind="back") if edge.kind == "gradient" else edge for edge in sheet.edges]
    sheet = replace(sheet, edges=tuple(turned))
    engines = (options.engines,) if isinstance(options.engines, str) else options.engines
    return place(sheet, sizes, headings, engines=engines, timeout=options.timeout)


def _are_texts(given: Any) -> bool:
    """Whether it is a text, or several."""
    if isinstance(given, str):
        return True
    return isinstance(given, list | tuple | set | frozenset) and all(isinstance(one, str) for one in given)


def _chooser(given: Chooser | Sequence[str] | str | None) -> Chooser | None:
    if given is None or callable(given):
        return given
    return (given,) if isinstance(given, str) else tuple(given)
