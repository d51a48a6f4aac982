"""What was measured of each case: one line a case in a file a source, written by ``python -m model_suite.measure``.

Listing and selecting models needs no more than these files: no library is imported, no model built.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_FOLDER = Path(__file__).parent
_VERSIONS = "versions.json"
#: Packages that are called otherwise than what they import.
_DISTRIBUTIONS = {"open_clip": "open_clip_torch"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One case as it was measured; a field that could not be is at its default."""

    #: ``timm/resnet50``.
    name: str
    family: str = ""
    task: str = ""
    #: What its source says of it, and what its traced pass shows (`model_suite.traits`).
    tags: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    #: Fingerprints of the traced graph: with shapes, and without them and with equal neighbours and loops once.
    structure: str = ""
    folded: str = ""
    ops: int = 0
    parameters: int = 0
    #: Floating-point operations of one pass, of matrix products and convolutions, as `torch.utils.flop_counter` counts
    #: them; None where that fails.
    flops: int | None = None
    #: Whether it was traced on the meta device; else with values.
    on_meta: bool = False
    #: Seconds of one forward pass at the smallest input on one core; 0 if only meta was tried.
    seconds: float = 0.0
    #: What does not work with it, and why.
    limits: str = ""


@cache
def records_of(source: str) -> Mapping[str, Record]:
    """The records of a source by name of the case, in the order of the file; none if it was never measured."""
    file = _FOLDER / f"{source}.jsonl"
    if not file.exists():
        return {}
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        data = json.loads(line)
        record = Record(**{**data, **{name: tuple(data.get(name, ())) for name in ("tags", "traits")}})
        found[record.name] = record
    return found


def write_records(source: str, records: Iterable[Record]) -> Path:
    """Write the file of a source, sorted by name, fields at their defaults left out."""
    file = _FOLDER / f"{source}.jsonl"
    defaults = asdict(Record(name=""))
    lines = []
    for record in sorted(records, key=lambda one: one.name):
        data = {k: v for k, v in asdict(record).items() if v != defaults[k]}
        lines.append(json.dumps(data, ensure_ascii=False))
    _replace(file, "\n".join(lines) + "\n")
    records_of.cache_clear()
    return file


def write_version(source: str) -> None:
    """Note which version of its library a source was measured with."""
    found = installed_version(source)
    if found is not None:
        text = json.dumps({**_versions(), source: found}, indent=1, sort_keys=True)
        _replace(_FOLDER / _VERSIONS, text + "\n")
        _versions.cache_clear()


def version_of(source: str) -> str | None:
    """The version of its library that a source was measured with; None if none was noted."""
    return _versions().get(source)


def installed_version(source: str) -> str | None:
    """The version of a source's library that is installed, without what it was built for; None if there is none."""
    try:
        return version(_DISTRIBUTIONS.get(source, source)).partition("+")[0]
    except PackageNotFoundError:
        return None


@cache
def _versions() -> dict[str, str]:
    file = _FOLDER / _VERSIONS
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def _replace(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    new = file.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(file)
