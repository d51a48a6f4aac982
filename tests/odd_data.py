"""Data of a gallery that no run writes: of one who means harm, or whose files are those of another version."""

from __future__ import annotations

import html
from typing import Any

#: Names that break pages which put them together as text.
HOSTILE = (
    "<script>document.title='pwned'</script>",
    "\"'><img src=x onerror=\"document.title='pwned'\">",
    "__proto__",
    "constructor",
    "שלום \u202eevil\u202c 🦩 &amp; </svg>",
    "x" * 10_000,
    "a b%20c%",
    "{{ 7 * 7 }}",
    "javascript:alert(1)",
)
#: What is added to the lists in cards.js: cards that lack everything or lead elsewhere, and what they refer to.
INDEX: dict[str, list[Any]] = {
    "cards": [
        [
            *("", HOSTILE[1], HOSTILE[4], "javascript:alert(1)", None, "many", [10**6, "x", None]),
            {"changes": [{"name": HOSTILE[0], "href": "javascript:alert(1)"}, None], "reason": 7},
        ],
        ["", "", 10**6, "http://example.com"],
        [],
        {"title": "x"},
        None,
    ],
    "values": [None, ["odd"], "odd"],
    "facets": ["constructor", None, "nowhere"],
}


def model() -> dict[str, Any]:
    """data.js of a model whose names come from someone who means harm, and which lacks what others have."""
    modules = [
        {"address": f"{name}.{name}" if number % 2 else name, "class": name}
        for number, name in enumerate(HOSTILE)
    ]
    modules += [{"address": "toString", "picture": 99, "parameters": None}, {}, None, 3]
    layers = [
        {
            **dict.fromkeys(("label", "name", "module", "arguments", "shape"), name),
            "reads": list(HOSTILE),
            "read_by": [name, None],
            "sources": [0, 7, "x"],
            "statistics": {"histogram": "odd", "min": name},
        }
        for name in HOSTILE
    ]
    return {
        "title": HOSTILE[0],
        "model": HOSTILE[1],
        "test": HOSTILE[4],
        "facets": {name: [name] for name in HOSTILE},
        "pictures": [
            {"name": HOSTILE[0], "kind": "depth", "file": "pictures/0.js"},
            {"name": "gone", "kind": "depth", "file": "pictures/1.js"},
            None,
        ],
        "modules": modules,
        "layers": [*layers, {}, None, "odd"],
        "sources": [{"place": HOSTILE[0], "code": HOSTILE[1]}],
        "changes": [{"name": HOSTILE[0], "href": "javascript:alert(1)"}, None],
    }


def picture() -> str:
    """A picture with boxes of these names, written as the writer of pictures does."""
    boxes = "".join(
        f'<g data-op="{html.escape(name.replace("%", "%25").replace(" ", "%20"))}" '
        f'transform="translate(10 {10 + 40 * number})">'
        f'<title>{html.escape(name[:90])}</title><rect width="220" height="30" fill="#dbeafb"/>'
        f'<text x="6" y="19" font-size="12">{html.escape(name[:30])}</text></g>'
        for number, name in enumerate(HOSTILE)
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="240" height="400" viewBox="0 0 240 400">{boxes}</svg>'
