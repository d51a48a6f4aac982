"""Edges beside which there is a longer way."""

from itertools import pairwise

from torchlens_core.draw.sheet import Box, Edge, Frame, Sheet
from torchlens_core.draw.skips import MAX_READERS, skips_of


def skips(*pairs, kind="data"):
    keys = dict.fromkeys("".join(pairs))
    boxes = {key: Box(key=key, category="other", title=key) for key in keys}
    edges = tuple(Edge(tail=a, head=b, kind=kind) for a, b in pairs)
    root = Frame(key="f", inside=tuple(boxes))
    return {"".join(one) for one in skips_of(Sheet(title="", boxes=boxes, root=root, edges=edges))}


def test_around_something():
    assert skips("ab", "bc", "ac") == {"ac"}
    assert skips("ab", "bc", "cd", "ac", "ad") == {"ac", "ad"}


def test_branches_are_no_skips():
    assert skips("ab", "ac", "bd", "cd") == set()
    assert skips("ab", "bc", "cd", "ae", "ed") == set(), "of other lengths"


def test_late_readers_are_no_skips():
    assert skips("ab", "bc", "xc") == set()


def test_other_kinds_are_none():
    assert skips("ab", "bc", "ac", kind="gradient") == set()


def test_hubs_have_none():
    letters = [chr(200 + n) for n in range(MAX_READERS + 1)]
    hub = [f"a{one}" for one in letters]
    chain = [f"{one}{other}" for one, other in pairwise(letters)]
    assert skips(*hub, *chain) == set()
    assert len(skips(*hub[1:], *chain[1:])) == MAX_READERS - 1


def test_circles_end():
    assert skips("ab", "ba", "ac") == set()
