"""What was measured of each case: one line a case in a file a source, written by ``python -m model_suite.measure``.

Listing and selecting models needs no more than these files: no library is imported, no model built.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One case as it was measured; a field that could not be is at its default."""

    #: ``timm/resnet50``.
    name: str
    family: str = ""
    task: str = ""
    tags: tuple[str, ...] = ()
    #: Fingerprints of the traced graph: with shapes, and without them and with equal neighbours and loops once.
    structure: str = ""
    folded: str = ""
    ops: int = 0
    parameters: int = 0
    #: Floating-point operations of one pass, of matrix products and convolutions, as `torch.utils.flop_counter` counts
    #: them; 0 where there are none, or it fails.
    flops: int = 0
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
        record = Record(**{**data, "tags": tuple(data.get("tags", ()))})
        found[record.name] = record
    return found


def write_records(source: str, records: Iterable[Record]) -> Path:
    """Write the file of a source, sorted by name, fields at their defaults left out."""
    file = _FOLDER / f"{source}.jsonl"
    lines = []
    for record in sorted(records, key=lambda one: one.name):
        data = {k: v for k, v in asdict(record).items() if v or k == "name"}
        lines.append(json.dumps(data, ensure_ascii=False))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    records_of.cache_clear()
    return file
