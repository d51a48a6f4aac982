"""What users want otherwise than the theme: colours, lines and texts of ops, modules and edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torchlens_core.draw.sheet import Style
from torchlens_core.draw.tree import Tree, groups_of, leaves_of
from torchlens_core.errors import ArgumentError

#: A value for all, or what makes one from what is drawn.
Given = Mapping[str, Any]
#: Names that DOT has, for what a `Style` and a box have.
ATTRIBUTES = ("fillcolor", "color", "fontcolor", "penwidth", "style", "label", "tooltip")
_STYLES = ("dashed", "solid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Attributes by their names in DOT; a callable is given what is drawn, and may return None to change nothing.

    For ops ``callable(history, layer)``, for modules ``callable(history, module_call)``, for edges
    ``callable(history, tail, head)``.

    Raises `ArgumentError` for an attribute that does not exist.
    """

    node: Given = field(default_factory=dict)
    edge: Given = field(default_factory=dict)
    module: Given = field(default_factory=dict)
    gradient_edge: Given = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("node", "edge", "module", "gradient_edge"):
            for attribute in getattr(self, name):
                if attribute not in ATTRIBUTES:
                    raise ArgumentError(
                        f"{name} overrides: there is no attribute {attribute!r}. Expected {', '.join(ATTRIBUTES)}."
                    )

    def apply(self, tree: Tree) -> None:
        """Give everything in ``tree`` the style that is wanted for it."""
        history = tree.root.entry
        if self.node:
            for leaf in leaves_of(tree.root):
                if leaf.entry is not None:
                    wanted = _wanted(self.node, history, leaf.entry)
                    leaf.style = _style(wanted)
                    leaf.words = leaf.words._replace(title=str(wanted.get("label", leaf.words.title)))
                    leaf.tooltip = str(wanted.get("tooltip", leaf.tooltip))
        if self.module:
            for group in groups_of(tree.root):
                if group.kind == "module":
                    wanted = _wanted(self.module, history, group.entry)
                    group.style = _style(wanted)
                    group.first_name = str(wanted.get("label", group.first_name))
                    group.tooltip = str(wanted.get("tooltip", group.tooltip))
        for wire in tree.wires:
            given = self.gradient_edge if wire.kind == "gradient" else self.edge
            if given:
                wanted = _wanted(given, history, wire.tail.entry, wire.head.entry)
                wire.style = _style(wanted)
                wire.label = str(wanted.get("label", wire.label))


def _wanted(given: Given, *about: Any) -> dict[str, Any]:
    values = {}
    for name, value in given.items():
        try:
            values[name] = value(*about) if callable(value) else value
        except Exception as error:
            asked = " and ".join(map(_called, about[1:]))
            error.add_note(f"Raised by what overrides {name!r}, asked about {asked}.")
            raise
    return {name: value for name, value in values.items() if value is not None}


def _called(entry: Any) -> str:
    """A layer by its label, a module call by its address."""
    return str(getattr(entry, "label", None) or getattr(entry, "address", None) or type(entry).__name__)


def _style(wanted: Mapping[str, Any]) -> Style:
    line = wanted.get("style", "")
    if line and line not in _STYLES:
        raise ArgumentError(f"style is {line!r}. Expected {' or '.join(map(repr, _STYLES))}.")
    try:
        width = float(wanted.get("penwidth", 0.0))
    except (TypeError, ValueError):
        raise ArgumentError(f"penwidth is {wanted['penwidth']!r}. Expected a number of points.") from None
    return Style(
        fill=str(wanted.get("fillcolor", "")),
        stroke=str(wanted.get("color", "")),
        text=str(wanted.get("fontcolor", "")),
        width=width,
        dashed=line == "dashed",
    )
