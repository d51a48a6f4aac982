"""What a gallery's files hold: records in, bytes out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

#: The facets that every card may have; a marker names others, which stand between.
_FIRST, _LAST = ("status",), ("size", "kind", "file")
#: Number of ops up to which a model is of a size.
_SIZES = ((30, "up to 30 ops"), (100, "31–100 ops"), (300, "101–300 ops"), (1000, "301–1,000 ops"))


def model_files(page: Mapping[str, Any], record: Mapping[str, Any], number: int) -> dict[str, bytes]:
    """The files of the page of a graph, by their names in the folder of the test.

    Where its pictures are there already, they and what holds them are left out.
    """
    folder = page["number"]
    svgs: list[str] = page["svgs"]
    own = record["pages"][number]
    data = {
        **page["described"],
        "title": record["title"],
        "test": record["test"],
        "number": page["number"],
        "passes": page["passes"],
        "structure": page["structure"],
        "facets": _facets(record, own),
        "reason": _reason(record, own),
        "changes": _changes(record, "../"),
        "pictures": own["pictures"],
    }
    found = {f"{folder}/data.js": script("lens.model", data)}
    if page["pictures"] is None:
        return found
    for at, svg in enumerate(svgs):
        found[f"{folder}/pictures/{at}.js"] = script("lens.picture", at, svg)
    found[f"{folder}/silhouette.svg"] = encoded(page["silhouette"])
    found[f"{folder}/index.html"] = _rendered("model", title=record["title"], svg=svgs[0])
    return found


def kept_files(page: Mapping[str, Any]) -> list[str]:
    """The files of a page that are there already."""
    folder = page["number"]
    pictures = [f"{folder}/{one['file']}" for one in page["pictures"]]
    return [*pictures, f"{folder}/silhouette.svg", f"{folder}/index.html"]


def change_files(change: Mapping[str, Any], record: Mapping[str, Any], number: int) -> dict[str, bytes]:
    """The files of the page of a changed snapshot."""
    svgs: dict[str, str] = change["svgs"]
    data = {
        "title": record["title"],
        "test": record["test"],
        **{name: change[name] for name in ("name", "file", "text", "accept")},
        "pictures": [{"name": name, "svg": svg} for name, svg in svgs.items()],
    }
    return {
        f"change-{number}/data.js": script("lens.change", data),
        f"change-{number}/index.html": _rendered(
            "change", title=record["title"], svg=next(iter(svgs.values()), "")
        ),
    }


def index_files(
    title: str, records: Sequence[Mapping[str, Any]], mark: Mapping[str, Any]
) -> dict[str, bytes]:
    """The index, with a card a graph, and one for each test that failed before it logged one."""
    cards = [card for record in records for card in _cards(record, mark["runs"])]
    cards.sort(key=lambda card: (card["title"], card["test"]))
    said = {"title": title, "when": mark.get("when", ""), "finished": mark["finished"]}
    facets = _shown_facets(cards)
    return {
        "cards.js": script("lens.cards", {**said, "facets": facets, **packed(cards)}),
        "report.json": as_json(
            {
                **said,
                "seconds": mark.get("seconds", 0.0),
                "totals": _totals(cards),
                "facets": facets,
                "cards": cards,
            }
        ),
        "index.html": _rendered("index", title=title),
    }


#: What every card has in ``cards.js``, and what only ``report.json`` has.
_COLUMNS = ("title", "model", "test", "folder", "ops", "parameters", "facets")
_REPORTED = (
    "structure",
    "folded",
    "device",
    "seconds",
    "pictures",
    "outcome",
    "valid",
    "snapshots",
    "notes",
)


def packed(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Cards as the index reads them, in a third of the bytes.

    A card is the list of its ``columns``, and a dict of what is rare if there is some. Of a test that holds the title
    stands the number of its name without it, in ``tests``; of each value of a facet its number in ``values``. Both
    addresses follow from the folder.
    """
    tests: dict[str, int] = {}
    values: dict[tuple[str, str], int] = {}
    rows = []
    for card in cards:
        short = {name: value for name, value in card.items() if name not in _REPORTED}
        title, test = card["title"], card["test"]
        if title and test.count(title) == 1 and "{}" not in test:
            short["test"] = tests.setdefault(test.replace(title, "{}"), len(tests))
        pairs = [(name, value) for name, several in card["facets"].items() for value in several]
        short["facets"] = [values.setdefault(pair, len(values)) for pair in pairs]
        short["folder"] = (short.pop("href") or "").removeprefix("models/").removesuffix("/index.html")
        del short["silhouette"]
        row = [short.pop(name) for name in _COLUMNS]
        rare = {
            name: value for name, value in short.items() if value is True or value not in (0, 1, "", [])
        }
        rows.append([*row, rare] if rare else row)
    return {"columns": _COLUMNS, "tests": list(tests), "values": list(values), "cards": rows}


def _cards(record: Mapping[str, Any], runs: Sequence[str]) -> Iterator[dict[str, Any]]:
    common = {
        "title": record["title"],
        "test": record["test"],
        "outcome": record["outcome"],
        "snapshots": record["snapshots"],
        "is_bad": record["outcome"] in ("failed", "crashed", "xpassed"),
        "is_earlier": record["run"] not in runs,
        "changes": _changes(record, f"models/{record['slug']}/"),
    }
    for page in record["pages"]:
        folder = f"models/{record['slug']}/{page['number']}"
        is_drawn = bool(page["pictures"])
        yield {
            **common,
            **{
                name: page[name] for name in ("model", "ops", "parameters", "passes", "structure", "folded")
            },
            **{name: page[name] for name in ("device", "seconds", "valid")},
            "pictures": len(page["pictures"]),
            "notes": page["pictures"][0]["notes"] if is_drawn else [],
            "href": f"{folder}/index.html" if is_drawn else None,
            "silhouette": f"{folder}/silhouette.svg" if is_drawn else None,
            "facets": _facets(record, page),
            "reason": _reason(record, page),
        }
    if not record["pages"]:
        yield {
            **common,
            **dict.fromkeys(("ops", "parameters", "passes"), 0),
            "model": "",
            "href": None,
            "silhouette": None,
            "facets": _facets(record, None),
            "reason": record["reason"],
        }


def _reason(record: Mapping[str, Any], page: Mapping[str, Any]) -> str:
    trouble = f"not drawn: {page['trouble']}" if page["trouble"] else ""
    return "\n".join(filter(None, [record["reason"], trouble]))


def _changes(record: Mapping[str, Any], base: str) -> list[dict[str, str]]:
    return [
        {"name": name, "href": f"{base}change-{number}/index.html"}
        for number, name in enumerate(record["changes"], 1)
    ]


def _facets(record: Mapping[str, Any], page: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """The facets of a card: what came of it, what the test's marker says, and what the graph is."""
    status = [record["outcome"], *dict.fromkeys(record["snapshots"])]
    found = {"status": status, **record["facets"], "file": [record["file"]]}
    if page is None:
        return found
    if page["valid"] is not None:
        status.insert(1, "validated" if page["valid"] else "not valid")
    if not page["pictures"]:
        status.append("not drawn")
    if page["ops"]:
        found["size"] = [next((name for most, name in _SIZES if page["ops"] <= most), "over 1,000 ops")]
    if page["is_recurrent"]:
        found["kind"] = ["loops"]
    return found


def _shown_facets(cards: Sequence[Mapping[str, Any]]) -> list[str]:
    """The facets that tell cards apart."""
    values: dict[str, set[str]] = {}
    counts: Counter[str] = Counter()
    for card in cards:
        for name, of_card in card["facets"].items():
            values.setdefault(name, set()).update(of_card)
            counts[name] += bool(of_card)
    telling = [name for name in values if len(values[name]) > 1 or 0 < counts[name] < len(cards)]
    own = [name for name in telling if name not in (*_FIRST, *_LAST)]
    return [name for name in (*_FIRST, *own, *_LAST) if name in telling]


def _totals(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    folded = {card["folded"] for card in cards if card.get("folded")}
    return {
        "cards": len(cards),
        "drawn": sum(card["href"] is not None for card in cards),
        "distinct": len(folded),
        "status": dict(Counter(status for card in cards for status in card["facets"]["status"])),
    }


# -- bytes -------------------------------------------------------------------------------------------


def script(function: str, *arguments: Any) -> bytes:
    """A call as a script: pages opened from files may load nothing else."""
    given = ",".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in arguments)
    # half a character, which names may hold, is an escape in a script as well
    return f"{function}({given});\n".encode("utf-8", "backslashreplace")


def as_json(data: Any) -> bytes:
    """Data for machines."""
    return json.dumps(data, indent=1).encode()


def encoded(text: str) -> bytes:
    """A text of ours; half a character, which names may hold, becomes a question mark."""
    return text.encode("utf-8", "replace")


def assets() -> Iterator[tuple[str, bytes]]:
    """The scripts and the style that all pages share, by name."""
    for one in (files("pytest_torchlens.gallery") / "site" / "assets").iterdir():
        yield one.name, one.read_bytes()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("pytest_torchlens.gallery", "site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _rendered(name: str, **values: Any) -> bytes:
    return encoded(_environment().get_template(f"{name}.html.j2").render(**values))
