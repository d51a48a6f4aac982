"""The colours of pictures, on light and on dark paper, and what a user may say instead.

Every category has its own, but its name is always printed: no meaning hangs on colour alone. All text stands
at a contrast of 4.5 : 1 or more to what is behind it (WCAG 2.2, 1.4.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torchlens_core.draw.painting.colors import is_color
from torchlens_core.draw.sheet import ADDED, CATEGORIES, CHANGED, REMOVED, SAME, Style
from torchlens_core.errors import ArgumentError, listing


@dataclass(frozen=True, slots=True, kw_only=True)
class Tone:
    """The colours of one kind of box or frame."""

    fill: str
    stroke: str
    #: Of the title.
    text: str
    #: Of details and the shape.
    soft: str
    #: Of numbers of parameters and the attribute name.
    accent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Everything that has a colour. A role is ``convolution.fill``, ``depth2.stroke`` or ``edge.skip``."""

    name: str
    paper: str
    tones: Mapping[str, Tone]
    inks: Mapping[str, str]

    def color(self, role: str) -> str:
        """The colour of a role that begins with ``@``; any other text is a colour and stays as it is.

        >>> LIGHT.color("@paper"), LIGHT.color("tomato")
        ('#ffffff', 'tomato')
        """
        if not role.startswith("@"):
            return role
        if role == "@paper":
            return self.paper
        if role in self.inks:
            return self.inks[role]
        name, _, part = role[1:].partition(".")
        found: str = getattr(self.tones[name], part)
        return found


# fill, stroke, text, soft, accent
_LIGHT_TONES = """
input          #1f2937 #1f2937 #ffffff #d1d5db #e5e7eb
output         #1f2937 #1f2937 #ffffff #d1d5db #e5e7eb
parameter      #fef9c3 #a68a12 #1c1917 #57534e #7c5d06
buffer         #eef1f5 #7b8794 #111827 #4b5563 #475569
constant       #eef1f5 #7b8794 #111827 #4b5563 #475569
escape         #fde8b4 #b45309 #1c1917 #57534e #92400e
convolution    #dbeafb #2f6fb7 #0f172a #46536a #1d5fae
linear         #e5e0fb #5f50bd #0f172a #4b5066 #5141b0
normalization  #daf4ea #1f8a6a #0f172a #44544f #12704f
activation     #fdead6 #c8661c #1c1410 #5a5048 #a04a0a
pooling        #fbe1ee #b23a75 #1c1017 #5c4b55 #a02862
attention      #fce2e2 #b4262c #1c1010 #5c4b4b #a81e26
recurrent      #d3f3f7 #0f7f94 #0b1a1d #42545a #0b6477
dropout        #f4f5f7 #9aa3af #374151 #555e6b #5b6472
embedding      #eaf6cf #5c8a14 #12180a #4d5644 #44690c
arithmetic     #ffffff #4b5563 #111827 #4b5563 #4b5563
reduction      #fbf3de #8f7327 #1a160c #585140 #76590f
shape          #f1f3f6 #737d8c #111827 #4b5563 #525c69
other          #ffffff #8b95a3 #111827 #4b5563 #4b5563
module         #e7ebf2 #3f4f66 #0f172a #475569 #334155
reference      #fbfbfc #9aa3af #4b5563 #555e6b #4b5563
gradient       #ffe6ea #c02750 #1c1012 #5c4b4f #aa1743
depth0         #f6f8fb #c5cdd9 #111827 #5b6573 #5b6573
depth1         #eef2f7 #bfc8d5 #111827 #576170 #576170
depth2         #e6ebf3 #b7c1d0 #111827 #525c6b #525c6b
depth3         #dde4ed #adb9ca #111827 #4c5665 #4c5665
depth4         #e6ebf3 #b7c1d0 #111827 #525c6b #525c6b
added          #dcf7e3 #1a7f37 #0b4a1e #2b5a3a #116329
removed        #ffe4e4 #cf222e #82121b #7d3a3f #a40e26
changed        #fff3c4 #9a6700 #6b4300 #5c5138 #7d4e00
same           #f8f9fb #b9c0ca #666e7b #68707d #68707d
"""
_DARK_TONES = """
input          #e5e9f0 #e5e9f0 #111827 #374151 #374151
output         #e5e9f0 #e5e9f0 #111827 #374151 #374151
parameter      #39330f #c2a52c #f7f3dc #c9c3a4 #e6cf66
buffer         #272d37 #8490a1 #eef1f5 #b4bcc8 #b9c3d0
constant       #272d37 #8490a1 #eef1f5 #b4bcc8 #b9c3d0
escape         #43300d #e0972f #fdf2dc #d3c3a2 #f6bb63
convolution    #15304f #5a9be0 #eaf3fd #aebfd3 #8fc1f7
linear         #2b2650 #9184ea #f0eefd #bbb7d6 #b9aefb
normalization  #0f372c #43b58f #e6f7f1 #a8c6bb #6fdcb5
activation     #43290f #e18b41 #fdf0e3 #d2bba5 #fbb171
pooling        #431f33 #d968a3 #fdeaf4 #d3b3c4 #f79ccb
attention      #461d20 #e26a6f #fdebeb #d5b3b4 #fb9da1
recurrent      #0e3740 #3fb0c5 #e4f7fa #a6c6cc #6fd8ea
dropout        #22272f #69727f #c8ced6 #a3abb6 #a9b1bc
embedding      #29380f #8fbb42 #f1f8e1 #bcc9a6 #bbe270
arithmetic     #181d25 #9aa4b2 #eef1f5 #b4bcc8 #b4bcc8
reduction      #362d14 #c2a454 #faf4e2 #cbc2a5 #e7cd84
shape          #232932 #808b9b #eef1f5 #b4bcc8 #b1bac6
other          #181d25 #7d8796 #eef1f5 #b4bcc8 #b4bcc8
module         #2b3546 #93a3ba #f1f5f9 #b9c4d3 #cbd5e1
reference      #171b22 #69727f #b4bcc8 #a3abb6 #b4bcc8
gradient       #471c29 #ec6d8f #fdeaef #d6b3bd #fb9fb8
depth0         #151a22 #333c4a #e6eaf0 #99a3b1 #99a3b1
depth1         #1a202a #3a4453 #e6eaf0 #9da7b5 #9da7b5
depth2         #202733 #414c5d #e6eaf0 #a2acba #a2acba
depth3         #262e3c #495567 #e6eaf0 #a8b2bf #a8b2bf
depth4         #202733 #414c5d #e6eaf0 #a2acba #a2acba
added          #11331d #3fb950 #d2f8da #a3d1ae #7ee38b
removed        #451a1d #f85149 #ffd9d7 #e0b1af #ffa8a1
changed        #3d2e05 #d9a11c #ffeeb8 #d8c794 #f5cc5b
same           #171b22 #414956 #8f98a5 #8b94a1 #8b94a1
"""
_LIGHT_INKS = {
    "@heading": "#0b1220",
    "@subtitle": "#5b6573",
    "@note": "#66707e",
    "@repeat": "#b3261e",
    "@loop": "#7427a8",
    "@bars": "#5b7aa3",
    "@edge": "#737d8b",
    "@edge.skip": "#b3651f",
    "@edge.back": "#7c35ad",
    "@edge.gradient": "#c02750",
    "@edge.memory": "#5b6b8c",
    "@edge.added": "#1a7f37",
    "@edge.removed": "#cf222e",
    "@edge.changed": "#9a6700",
    "@edge.same": "#a7b0bb",
    "@label": "#46505e",
}
_DARK_INKS = {
    "@heading": "#f3f5f8",
    "@subtitle": "#9da7b5",
    "@note": "#8f99a7",
    "@repeat": "#ff8f86",
    "@loop": "#d6a1fb",
    "@bars": "#7fa3d6",
    "@edge": "#8893a2",
    "@edge.skip": "#dc9552",
    "@edge.back": "#c08aec",
    "@edge.gradient": "#ec6d8f",
    "@edge.memory": "#8fa3c9",
    "@edge.added": "#3fb950",
    "@edge.removed": "#f85149",
    "@edge.changed": "#d9a11c",
    "@edge.same": "#566070",
    "@label": "#b4bcc8",
}


def _tones(table: str) -> dict[str, Tone]:
    parts = ("fill", "stroke", "text", "soft", "accent")
    return {
        name: Tone(**dict(zip(parts, colors, strict=True)))
        for name, *colors in map(str.split, table.strip().splitlines())
    }


LIGHT = Theme(name="light", paper="#ffffff", tones=_tones(_LIGHT_TONES), inks=_LIGHT_INKS)
DARK = Theme(name="dark", paper="#0d1117", tones=_tones(_DARK_TONES), inks=_DARK_INKS)
_THEMES = {"light": (LIGHT,), "dark": (DARK,), "auto": (LIGHT, DARK)}


def themes_of(theme: str) -> tuple[Theme, ...]:
    """The theme of that name; light and dark for ``auto``, where the reader's machine decides.

    Raises `ArgumentError` for any other name.
    """
    if theme not in _THEMES:
        raise ArgumentError(f"Unknown theme {theme!r}: expected one of {listing(sorted(_THEMES))}.")
    return _THEMES[theme]


def tone_of(category: str, change: str = "") -> str:
    """The name of a box's tone: what a diff says of it goes before its category.

    >>> tone_of("linear"), tone_of("linear", "same"), tone_of("unheard of")
    ('linear', 'same', 'other')
    """
    if change in (ADDED, REMOVED, CHANGED, SAME):
        return change
    return category if category in CATEGORIES else "other"


def tone_of_depth(depth: int) -> str:
    """The name of a frame's tone, ``depth`` frames around it.

    >>> [tone_of_depth(depth) for depth in (0, 3, 4, 5)]
    ['depth0', 'depth3', 'depth4', 'depth3']
    """
    return f"depth{depth if depth < 3 else 3 + (depth - 3) % 2}"


def check_style(style: Style, where: str) -> None:
    """Nothing, if a painter can follow ``style``.

    Raises `ArgumentError`, which names ``where``, for what is no CSS colour or no width of a line: such values
    come from user code and go into files that browsers open.
    """
    for part in ("fill", "stroke", "text"):
        value = getattr(style, part)
        if value == "" or (isinstance(value, str) and len(value) <= 64 and is_color(value)):
            continue
        raise ArgumentError(
            f"The style of {where} has {part}={str(value)[:60]!r}, which is no colour. Expected a CSS colour: "
            "a name such as 'tomato', '#rgb', '#rrggbb', 'rgb(…)' or 'hsl(…)'."
        )
    width = style.width
    if isinstance(width, bool) or not isinstance(width, int | float) or not 0 <= width <= 50:
        raise ArgumentError(
            f"The style of {where} has width={width!r}. Expected the width of a line in points, from 0 (the "
            "theme's) to 50."
        )
