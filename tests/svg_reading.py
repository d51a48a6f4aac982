"""An SVG of ours as a list of what is drawn, read by a strict XML parser: a second reader, which knows no painter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
#: Every element that a picture may hold.
ALLOWED = set("svg title desc style defs marker path g use rect text image".split())


@dataclass(frozen=True)
class Drawn:
    """A shape or text at its place in the picture."""

    tag: str
    x: float
    y: float
    #: The ``id`` of the box or frame that it is part of; empty outside.
    ident: str
    text: str = ""
    width: float = 0.0
    height: float = 0.0
    #: Width that text is squeezed or stretched to; 0 for what the font makes it.
    length: float = 0.0
    size: float = 0.0
    is_bold: bool = False
    #: Whether it is a line with an arrowhead.
    is_edge: bool = False
    #: Data of a path.
    data: str = ""


@dataclass
class Page:
    """Everything on a page, and what stands around it."""

    width: float
    height: float
    drawn: list[Drawn] = field(default_factory=list)
    #: Each ``id``, as often as it is there.
    idents: list[str] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)
    #: Tooltips by ids of boxes and frames.
    tooltips: dict[str, str] = field(default_factory=dict)

    def of(self, tag: str, ident: str = "") -> list[Drawn]:
        """What is drawn with a tag, in one box if ``ident`` names one."""
        return [one for one in self.drawn if one.tag == tag and ident in ("", one.ident)]


def read(text: str) -> Page:
    """The page of an SVG document; ``ParseError`` if it is not well-formed."""
    root = ElementTree.fromstring(text.encode())
    page = Page(float(root.get("width", 0)), float(root.get("height", 0)))
    styles = _styles("".join(one.text or "" for one in root.iter(f"{SVG}style")))
    known = {one.get("id"): one for one in root.iter() if one.get("id")}
    for one in root.iter():
        page.tags.add(one.tag.removeprefix(SVG))
        if one.get("id"):
            page.idents.append(one.get("id", ""))
            title = one.find(f"{SVG}title")
            if title is not None:
                page.tooltips[one.get("id", "")] = title.text or ""
    for one in root:
        page.drawn += _drawn(one, 0.0, 0.0, "", {}, styles, known)
    return page


def _drawn(element, x, y, ident, style, styles, known) -> Iterator[Drawn]:
    tag = element.tag.removeprefix(SVG)
    if tag in ("defs", "style", "title", "desc", "marker"):
        return
    style = style | styles.get(element.get("class", ""), {})
    ident = element.get("id", "") if re.fullmatch(r"[nf]\d+", element.get("id", "")) else ident
    number = lambda name: float(element.get(name, 0))
    if moved := re.fullmatch(r"translate\((\S+) (\S+)\)", element.get("transform", "")):
        x, y = x + float(moved[1]), y + float(moved[2])
    if tag == "use":
        target = known[element.get("href", "")[1:]]
        yield from _drawn(_unnamed(target), x + number("x"), y + number("y"), ident, style, styles, known)
    elif tag == "g":
        for one in element:
            yield from _drawn(one, x, y, ident, style, styles, known)
    else:
        yield Drawn(
            *(tag, x + number("x"), y + number("y"), ident),
            text="".join(element.itertext()) if tag == "text" else "",
            width=number("width"),
            height=number("height"),
            length=number("textLength"),
            size=float(style.get("font-size", "0px").removesuffix("px")),
            is_bold=style.get("font-weight") == "700",
            is_edge="marker-end" in style,
            data=element.get("d", ""),
        )


def _unnamed(element):
    """An element without its id: the one that uses it has the name."""
    copy = ElementTree.Element(element.tag, {k: v for k, v in element.attrib.items() if k != "id"})
    copy.text = element.text
    copy.extend(element)
    return copy


def _styles(rules: str) -> dict[str, dict[str, str]]:
    light = rules.partition("@media")[0]
    return {
        name: dict(one.split(":", 1) for one in body.split(";"))
        for name, body in re.findall(r"\.([\w-]+)\{([^}]*)\}", light)
    }
