"""Whatever things are called, every form of every picture is sound, and nothing in it runs."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import hostile
import pytest
import svg_reading
import torch
from torch import nn

import torchlens_core as tl
from torchlens_core import draw
from torchlens_core.diff import draw_diff
from torchlens_core.snapshot import read_snapshot, take_snapshot

NAMES = pytest.mark.parametrize("name", hostile.NAMES.values(), ids=hostile.NAMES)
#: Characters of an SVG of twenty boxes, however long the names are.
LARGEST = 60_000


def fault_of(text: str) -> list[str]:
    """What in an SVG is unsound, could run, or be fetched from elsewhere."""
    found = [f"{len(text)} characters"] if len(text) > LARGEST else []
    for element in ElementTree.fromstring(text.encode()).iter():
        tag = element.tag.removeprefix(svg_reading.SVG)
        found += [f"<{tag}>"] if tag not in svg_reading.ALLOWED else []
        for name, value in element.items():
            if name.startswith("on") or (
                name.endswith("href") and not value.startswith(("#", "data:image/png;base64,"))
            ):
                found.append(f"{name}={value}")
        if tag == "style":
            found += re.findall(r"@import|expression|url\((?!#)|<|/\*", element.text or "")
    return found


class Elements(HTMLParser):
    """The elements of HTML, as browsers see them: names know of no XML there."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        self.open.append(tag)
        self.wrong += [name for name, _ in attrs if name.startswith("on")]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")


def check_forms(picture: draw.Picture) -> None:
    """Every form is sound by a reader of its own."""
    sheet = picture.sheet
    for theme in ("light", "auto"):
        assert fault_of(picture.svg(theme)) == []
    assert fault_of(picture.silhouette()) == []
    assert json.loads(picture.as_bytes("json"))["graphs"][0]["nodes"]
    if picture.layout.engine != "ranks":
        check_dot(picture)
        return
    pytest.importorskip("reportlab")
    data = picture.pdf()
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    assert not re.search(rb"/JavaScript|/URI|/Launch|/OpenAction", data)
    assert len(sheet.boxes) > 1
    check_dot(picture)


def check_dot(picture: draw.Picture) -> None:
    """Graphviz reads as many nodes and edges as the sheet has, and every node's label is text, not structure."""
    pygraphviz = pytest.importorskip("pygraphviz")
    graph = pygraphviz.AGraph(string=picture.as_bytes("dot").decode())
    assert len(graph.edges()) == len(picture.sheet.edges)
    assert len(graph.nodes()) == len(picture.sheet.boxes)
    assert {node.attr["shape"] for node in graph.nodes()}.isdisjoint({"record", "Mrecord"})


def check_model_explorer(data: dict) -> None:
    """Ids are unique, edges lead from nodes that are there, and no namespace comes from a stroke in a name."""
    nodes = data["graphs"][0]["nodes"]
    ids = [node["id"] for node in nodes]
    assert len(set(ids)) == len(ids)
    assert {edge["sourceNodeId"] for node in nodes for edge in node["incomingEdges"]} <= set(ids)
    assert max(node["namespace"].count("/") for node in nodes) <= 2
    assert {node["namespace"] for node in nodes} - {""} <= set(data["graphs"][0]["groupNodeAttributes"])


@pytest.fixture(scope="module")
def histories():
    kept: dict[str, tl.ModelHistory] = {}
    return lambda name: kept.get(name) or kept.setdefault(name, hostile.history(name))


@NAMES
def test_pictures_of_histories(histories, name):
    history = histories(name)
    picture = draw.picture(history, depth=99, buffers=True, values="auto", theme="auto", engines=["ranks"])
    check_forms(picture)
    check_model_explorer(picture.model_explorer())
    check_forms(draw.picture(history, depth=1, engines=["ranks"]))
    page = Elements(history._repr_html_())
    assert page.wrong == page.open == []
    assert page.found.count("svg") == 1
    assert set(page.found) <= svg_reading.ALLOWED | {"div"}


@NAMES
def test_pictures_by_every_engine(histories, name):
    for engine in draw.engines_found():
        picture = draw.picture(histories(name), buffers=True, rolled=False, engines=[engine])
        assert picture.layout.engine == engine
        check_forms(picture)


@NAMES
def test_pictures_of_snapshots(histories, name, request):
    if not name:
        request.applymarker(
            pytest.mark.xfail(strict=True, reason="empty names of arguments are not read back")
        )
    snapshot = take_snapshot(histories(name))
    assert read_snapshot(str(snapshot)) == snapshot
    check_forms(draw.picture(read_snapshot(str(snapshot)), depth=99, buffers=True, engines=["ranks"]))


@NAMES
def test_pictures_of_diffs(histories, name, request):
    if not name:
        request.applymarker(
            pytest.mark.xfail(strict=True, reason="empty names of arguments are not read back")
        )
    old, new = histories(name), histories("digraph" if name != "digraph" else "entities")
    for pair in ((old, new), (new, old), (old, tl.log_forward_pass(nn.Linear(3, 3), torch.rand(2, 3)))):
        check_forms(draw_diff(*pair, engines=["ranks"]))
    snapshots = [read_snapshot(str(take_snapshot(one))) for one in (old, new)]
    assert draw_diff(*snapshots, engines=["ranks"]).sheet == draw_diff(old, new, engines=["ranks"]).sheet


@NAMES
def test_files(histories, name, tmp_path):
    picture = draw.picture(histories(name), engines=["ranks"])
    for ending in ("svg", "pdf", "dot", "json"):
        assert picture.save(tmp_path / f"net.{ending}").stat().st_size


@NAMES
def test_texts_of_users(histories, name):
    overrides = draw.Overrides(
        node={"label": name, "tooltip": lambda *about: name},
        edge={"label": name},
        module={"label": name, "tooltip": name},
    )
    picture = draw.picture(histories("a"), depth=99, overrides=overrides, engines=["ranks"])
    check_forms(picture)


@pytest.mark.parametrize("name", ["address", "digraph", "entities", "format", "markup", "record"])
def test_names_are_there_to_be_read(histories, name):
    """As they are, not as XML, HTML, DOT or a file writes them."""
    text = hostile.NAMES[name]
    snapshot = read_snapshot(str(take_snapshot(histories(text))))
    # snapshots write ``(x)`` in addresses as ``*x``: so a history names modules that are not the model's
    for what in (histories(text), snapshot) if "(" not in text else (histories(text),):
        picture = draw.picture(what, depth=99, buffers=True, engines=["ranks"])
        shown = [one.text for one in svg_reading.read(picture.svg()).of("text")]
        assert sum(text in one for one in shown) >= 3, shown


def test_the_part_of_a_module_with_a_hostile_name(histories):
    for text in hostile.NAMES.values():
        if text and "." not in text:
            picture = draw.picture(histories(text), module=f"{text}.{text}", engines=["ranks"])
            check_forms(picture)


# -- controls ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" onload="x"/>',
        '<svg xmlns="http://www.w3.org/2000/svg"><use href="http://a"/></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg"><style>@import "a"</style></svg>',
        f'<svg xmlns="http://www.w3.org/2000/svg"><title>{"x" * LARGEST}</title></svg>',
    ],
)
def test_what_is_unsound_is_found(text):
    assert fault_of(text)


def test_what_breaks_html_is_found():
    assert Elements("<div><svg></div>").wrong == ["</div>"]
    assert Elements("<svg><g onload='x'/></svg>").wrong == ["onload"]
    assert Elements("<svg><title></svg><script>").wrong


def test_what_breaks_dot_is_found():
    class Broken(draw.Picture):
        def as_bytes(self, fileformat):
            return super().as_bytes(fileformat).replace(b"->", b"-> x ->", 1)

    history = tl.log_forward_pass(nn.Linear(3, 3), torch.rand(2, 3))
    whole = draw.picture(history, engines=["ranks"])
    check_dot(whole)
    with pytest.raises(AssertionError):
        check_dot(Broken(whole._tree, whole._options))
