"""The pages of a test: each graph that it logged, and each snapshot that it changed, as text files and plain data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from pytest_torchlens.gallery.describe import add_statistics, describe
from pytest_torchlens.records import ChangedSnapshot, Records
from torchlens_core import DrawingError, ModelHistory, draw
from torchlens_core.diff import draw_diff
from torchlens_core.draw.album import View, views_of
from torchlens_core.draw.of_history import tree_of_history
from torchlens_core.draw.pictures import Picture, options_of
from torchlens_core.garbage import collector_spared
from torchlens_core.snapshot import structure_hash, take_snapshot

#: Graphs of one test that get a page.
MAX_GRAPHS = 20
_OPTIONS = options_of({"theme": "auto"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One graph that a test logged, ready for the gallery; plain data that can be sent between processes."""

    #: The first pass of the test that has it, from 1, and how many have it.
    number: int
    passes: int
    #: Stands for all that the page shows of the graph, and for how it is drawn.
    key: str
    #: Of the graph without names of modules; folded, also without shapes.
    structure: str = ""
    folded: str = ""
    #: What `describe` found.
    described: dict[str, Any] = field(default_factory=dict)
    #: Of each picture all but the picture; None if the gallery has them already.
    pictures: list[dict[str, Any]] | None = None
    #: SVG of the pictures, and the silhouette.
    svgs: list[str] = field(default_factory=list)
    silhouette: str = ""
    #: Why there is no picture.
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePage:
    """One changed snapshot."""

    name: str
    file: str
    text: str
    accept: str
    #: ``both``, ``before`` and ``after``; fewer if one cannot be drawn.
    svgs: dict[str, str]


def pages_of(records: Records, known: Mapping[int, str]) -> list[dict[str, Any]]:
    """The pages of what a test logged, each graph once.

    ``known`` are the keys of the pages that the gallery has of the test, by number; such a page is not drawn again.
    Whatever goes wrong with one is said in it: a gallery is no reason for a run to end.
    """
    graphs: dict[str, _Graph] = {}
    with collector_spared():
        for number, one in enumerate(records.passes, 1):
            if one.history is not None:
                graph = _graph(one.history, number)
                graphs.setdefault(graph.structure, graph).passes += 1
        return [
            plain(_page(graph, known.get(graph.number, ""))) for graph in list(graphs.values())[:MAX_GRAPHS]
        ]


@dataclass
class _Graph:
    """A graph of a test, by the first pass that has it."""

    history: ModelHistory
    number: int
    structure: str
    folded: str = ""
    passes: int = 0


def _graph(history: ModelHistory, number: int) -> _Graph:
    try:
        snapshot = take_snapshot(history)
        folded = structure_hash(snapshot, shapes=False, folded=True)
        return _Graph(history, number, structure_hash(snapshot), folded)
    except Exception as error:
        return _Graph(history, number, _said(error))


def _page(graph: _Graph, known: str) -> Page:
    try:
        return _drawn(graph, known)
    except Exception as error:
        return Page(number=graph.number, passes=graph.passes, key="", trouble=_said(error))


def _drawn(graph: _Graph, known: str) -> Page:
    history = graph.history
    tree = tree_of_history(history)
    described = describe(history, tree)
    key = hashlib.sha256(f"{version()}{json.dumps(described)}".encode()).hexdigest()[:20]
    add_statistics(described, tree)
    described["seconds"] = round(history.elapsed_time_forward_pass, 4)
    page = Page(
        number=graph.number,
        passes=graph.passes,
        key=key,
        structure=graph.structure,
        folded=graph.folded,
        described=described,
    )
    if key == known:
        return page
    views = list(views_of(history, tree, _OPTIONS))
    svgs = [view.picture.svg(prefix=f"p{n}-", data=True) for n, view in enumerate(views)]
    pictures = [_about(one) for one in views]
    return replace(page, pictures=pictures, svgs=svgs, silhouette=views[0].picture.silhouette())


def _about(view: View) -> dict[str, Any]:
    picture = view.picture
    return {
        "name": view.name,
        "kind": "module" if view.module else "depth",
        "module": view.module,
        "depth": view.depth,
        "rolled": view.rolled,
        "boxes": len(picture.sheet.boxes),
        "notes": list(picture.notes),
        "engine": picture.layout.engine,
    }


def change_pages_of(records: Records) -> list[dict[str, Any]]:
    """The pages of the snapshots that a test found changed."""
    return [plain(_change_page(one)) for one in records.changes]


def plain(page: Page | ChangePage) -> dict[str, Any]:
    """Its fields; `dataclasses.asdict` would copy all that is in them."""
    return {one.name: getattr(page, one.name) for one in fields(page)}


def _change_page(one: ChangedSnapshot) -> ChangePage:
    makers: dict[str, Callable[[], Picture]] = {
        "both": lambda: draw_diff(one.old, one.new, theme="auto"),
        "before": lambda: draw.picture(one.old, theme="auto"),
        "after": lambda: draw.picture(one.new, theme="auto"),
    }
    svgs = {}
    for number, (name, make) in enumerate(makers.items()):
        try:
            svgs[name] = make().svg(prefix=f"p{number}-", data=True)
        except (DrawingError, RecursionError, MemoryError):
            continue  # the text says all there is to say
    return ChangePage(name=one.name, file=one.file, text=one.text, accept=one.accept, svgs=svgs)


#: What pages are made by, beside what draws.
_MAKERS = ("describe.py", "draw.py", "pages.py")


@cache
def version() -> str:
    """Stands for how pages are drawn: a hash of the code that makes them."""
    gallery = files("pytest_torchlens.gallery")
    makers = [gallery / name for name in _MAKERS]
    digest = hashlib.sha256()
    for one in (*_files(files("torchlens_core.draw")), *_files(gallery / "site"), *makers):
        if one.name.endswith((".py", ".j2")):
            digest.update(one.read_bytes())
    return digest.hexdigest()[:12]


def _files(folder: Traversable) -> list[Traversable]:
    found: list[Traversable] = []
    for one in sorted(folder.iterdir(), key=lambda one: one.name):
        found += _files(one) if one.is_dir() else [one]
    return found


def _said(error: BaseException) -> str:
    text = str(error).strip()
    return text if isinstance(error, DrawingError) and text else f"{type(error).__name__}: {text}"[:2000]
