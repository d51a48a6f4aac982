"""A gallery as a reader of its files finds it: cards, records, data of pages, pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_CALL = re.compile(r"lens\.(\w+)\((.*)\);\n", re.DOTALL)


def called(path: Path) -> tuple[str, list[Any]]:
    """What a data script calls, and with what; fails if it is anything else."""
    found = _CALL.fullmatch(path.read_text(encoding="utf-8"))
    assert found is not None, path
    return found[1], json.loads(f"[{found[2]}]")


def index_of(out: Path) -> dict[str, Any]:
    """The report; fails if the index says anything else."""
    name, (index,) = called(out / "cards.js")
    assert name == "cards"
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert {key: index[key] for key in ("title", "when", "finished", "facets")}.items() <= report.items()
    for row, card in zip(index["cards"], report["cards"], strict=True):
        shown = dict(zip(index["columns"], row, strict=False))
        assert (shown["title"], shown["ops"]) == (card["title"], card["ops"])
        assert (card["href"] or "") == (f"models/{shown['folder']}/index.html" if shown["folder"] else "")
        test = shown["test"]
        assert card["test"] == (
            test if isinstance(test, str) else index["tests"][test].replace("{}", card["title"])
        )
        assert [tuple(index["values"][one]) for one in shown["facets"]] == [
            (facet, value) for facet, values in card["facets"].items() for value in values
        ]
    return report


def cards_of(out: Path) -> dict[str, dict[str, Any]]:
    """Cards by title; for a test with several, by title and class."""
    cards = index_of(out)["cards"]
    titles = [card["title"] for card in cards]
    return {
        card["title"] if titles.count(card["title"]) == 1 else f"{card['title']} {card['model']}": card
        for card in cards
    }


def statuses_of(out: Path) -> dict[str, list[str]]:
    return {title: card["facets"]["status"] for title, card in cards_of(out).items()}


def page_of(out: Path, card: dict[str, Any]) -> dict[str, Any]:
    """The data of a card's page."""
    name, (data,) = called(out / card["href"].replace("index.html", "data.js"))
    assert name == "model"
    return data


def pictures_of(out: Path, card: dict[str, Any]) -> dict[str, str]:
    """The SVG of each picture of a page, by its name; fails if one is missing."""
    folder = (out / card["href"]).parent
    found = {}
    for number, picture in enumerate(page_of(out, card)["pictures"]):
        name, (given, svg) = called(folder / picture["file"])
        assert (name, given) == ("picture", number)
        found[picture["name"]] = svg
    return found


def check_whole(out: Path) -> None:
    """Everything that a gallery refers to is there, and nothing lies about half made."""
    for card in index_of(out)["cards"]:
        for link in (card["href"], card["silhouette"], *(one["href"] for one in card["changes"])):
            assert link is None or (out / link).is_file(), link
        if card["href"]:
            assert pictures_of(out, card)
            assert "<svg" in (out / card["href"]).read_text(encoding="utf-8")
    assert list(out.rglob(".*")) == []
