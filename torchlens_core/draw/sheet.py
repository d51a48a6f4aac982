"""What a picture shows, before anything has a place: boxes in frames, and edges between boxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

#: What a box is, which gives it its colour: sources and ends, families of ops, modules drawn closed, and
#: references to a box far away.
CATEGORIES = (
    *("input", "output", "parameter", "buffer", "constant", "escape"),
    *("convolution", "linear", "normalization", "activation", "pooling", "attention", "recurrent"),
    *("dropout", "embedding", "arithmetic", "reduction", "shape", "other"),
    *("module", "reference", "gradient"),
)

DIRECTIONS = ("topdown", "bottomup", "leftright")

#: What a diff says of a box, frame or edge; empty where there is none.
ADDED, REMOVED, CHANGED, SAME = "added", "removed", "changed", "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Raster:
    """Values as a grey picture, ``height`` rows of ``width`` levels from 0 to 255."""

    width: int
    height: int
    levels: bytes


@dataclass(frozen=True, slots=True)
class Bars:
    """A histogram; heights from 0 to 1."""

    heights: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What a user wants otherwise than the theme; CSS colours, empty for the theme's."""

    fill: str = ""
    stroke: str = ""
    text: str = ""
    #: Width of the line in points; 0 for the theme's.
    width: float = 0.0
    dashed: bool = False


PLAIN = Style()


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One op, source, output or closed module, as two lines of text.

    ``title details … badge mark`` above, ``shape … name`` below.
    """

    key: str
    category: str
    #: ``conv2d``.
    title: str
    #: The arguments that matter: ``3→64 k11 s4 p2``.
    details: str = ""
    #: Numbers in its parameters: ``23.3K``.
    badge: str = ""
    #: ``×12`` for equal modules drawn once, ``↻ 4`` for passes drawn once.
    mark: str = ""
    #: ``1×64×55×55``.
    shape: str = ""
    #: Attribute name of its module.
    name: str = ""
    #: Label and more, shown when pointed at.
    tooltip: str = ""
    #: Labels of the layers that it stands for, and addresses of the modules.
    ops: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    #: `ADDED`, `REMOVED`, `CHANGED`, `SAME` or empty.
    change: str = ""
    image: Raster | Bars | None = None
    style: Style = PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A module drawn open, or what runs in a loop: a heading, and what is inside."""

    key: str
    #: ``module``, ``composite`` (a function of torch drawn op by op), ``loop``, or ``repeat`` (several equal
    #: neighbours drawn once).
    kind: str = "module"
    #: ``encoder_layer_0 … encoder_layer_11``; headings are ``title class_name badge mark``.
    title: str = ""
    class_name: str = ""
    badge: str = ""
    mark: str = ""
    #: Keys of boxes, and frames, in the order of the pass.
    inside: tuple[str | Frame, ...] = ()
    tooltip: str = ""
    #: Addresses of the modules that it stands for.
    modules: tuple[str, ...] = ()
    change: str = ""
    style: Style = PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """From the box that makes a value to one that reads it."""

    tail: str
    head: str
    #: ``data``; ``back`` from one pass of a loop to the next; ``gradient``; ``memory`` where it is overwritten
    #: without being read.
    kind: str = "data"
    #: Drawn small beside it.
    label: str = ""
    change: str = ""
    style: Style = PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Everything that a picture shows."""

    title: str
    subtitle: str = ""
    boxes: Mapping[str, Box]
    #: Without heading: the whole.
    root: Frame
    edges: tuple[Edge, ...] = ()
    direction: str = "topdown"
    #: What was done to keep it readable, each said once: ``modules open to depth 2 of 4``.
    notes: tuple[str, ...] = field(default=())


def frames_of(frame: Frame) -> Iterator[Frame]:
    """Every frame inside, outer ones first; itself left out."""
    for one in frame.inside:
        if isinstance(one, Frame):
            yield one
            yield from frames_of(one)


def keys_of(frame: Frame) -> Iterator[str]:
    """Keys of all boxes inside, at any depth, in order."""
    for one in frame.inside:
        if isinstance(one, Frame):
            yield from keys_of(one)
        else:
            yield one
