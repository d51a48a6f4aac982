"""The marker ``lens_gallery``: under which title and facets the graphs of a test stand in a gallery."""

from __future__ import annotations

from typing import Any

import pytest

NAME = "lens_gallery"
DESCRIPTION = (
    f"{NAME}(title=None, **facets): how --lens-gallery shows the graphs that the test logs: under that title, and "
    "to be found by facets such as family='resnet' or tags=['vision', 'small']; those of several markers add up"
)
#: Facets that every card has by itself.
_TAKEN = ("status", "size", "kind", "file")
_LENS = ("lens", "lens_snapshot"), ("lens_validate", "lens_snapshot", NAME)


def about(item: pytest.Item) -> dict[str, Any]:
    """What the markers of a test say of it, as plain data, and whether it is one that logs passes.

    Raises `pytest.UsageError` for what they do not take.
    """
    title = ""
    facets: dict[str, list[str]] = {}
    for mark in reversed(list(item.iter_markers(NAME))):  # the closest one's title counts
        wrong = _fault(mark)
        if wrong:
            raise pytest.UsageError(f"{item.nodeid}: the marker {NAME} {wrong}")
        title = mark.kwargs.get("title") or title
        for name, value in mark.kwargs.items():
            if name != "title":
                values = [value] if isinstance(value, str) else list(value)
                facets[name] = list(dict.fromkeys([*facets.get(name, []), *values]))
    fixtures, markers = _LENS
    is_lens = any(name in getattr(item, "fixturenames", ()) for name in fixtures) or any(
        item.get_closest_marker(name) for name in markers
    )
    return {"title": title, "facets": facets, "is_lens": is_lens}


def _fault(mark: pytest.Mark) -> str:
    """What is wrong with a marker, as the end of a sentence."""
    if mark.args:
        return f"was given {mark.args[0]!r} without a name. It takes title= and facets such as family='resnet'."
    for name, value in mark.kwargs.items():
        if name in _TAKEN:
            return f"has {name}=, a facet that every card has by itself. Choose another name."
        is_list = name != "title" and isinstance(value, list | tuple | set | frozenset)
        if not (isinstance(value, str) or (is_list and all(isinstance(one, str) for one in value))):
            if name == "title" and value is None:
                continue
            return f"has {name}={value!r}. Expected a text{'' if name == 'title' else ', or several'}."
    return ""
