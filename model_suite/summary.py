"""What the catalogue holds, as a page: ``python -m model_suite.summary docs/catalogue.md``."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from model_suite.records import Record, records_of, version_of
from model_suite.registry import cases, sources
from model_suite.runs import runs
from model_suite.traits import TRAITS

_HEAD = """\
# The catalogue

Written by `python -m model_suite.summary docs/catalogue.md` from the records in `model_suite/records`, which
`python -m model_suite.measure <source>` writes. *Distinct* counts folded structures: the traced graph without shapes
and names of modules, with equal neighbours and loops once, so that resnet50 and resnet152 are one.
[How to use it](model_suite.md), and add to it.
"""


def page() -> str:
    """The page."""
    listed = Counter(case.source for case in cases())
    records = {source: list(records_of(source).values()) for source in sources()}
    rows = [_row(source, version_of(source) or "", listed[source], records[source]) for source in sources()]
    everything = [record for source in sources() for record in records[source]]
    rows.append(_row("**all**", "", sum(listed.values()), everything))
    header = (
        "| source | version | cases | traced | on meta | distinct | largest, ops | median, ops | failed |"
    )
    lines = [
        _HEAD,
        header,
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        *_traits(records),
        *_runs(),
        *_failures(everything),
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, version: str, count: int, records: Sequence[Record]) -> str:
    traced = [record for record in records if record.folded]
    ops = [record.ops for record in traced]
    cells = [
        name,
        version,
        f"{count:,}",
        f"{len(traced):,}",
        f"{sum(record.on_meta for record in traced):,}",
        f"{len({record.folded for record in traced}):,}",
        f"{max(ops, default=0):,}",
        f"{median(ops) if ops else 0:,.0f}",
        f"{sum(not record.folded for record in records):,}",
    ]
    return f"| {' | '.join(cells)} |"


def _traits(records: Mapping[str, Sequence[Record]]) -> list[str]:
    """How many models of each source have what `model_suite.traits` looks for."""
    counts = {
        source: Counter(trait for one in own for trait in one.traits) for source, own in records.items()
    }
    counts["**all**"] = sum(counts.values(), Counter())
    rows = [
        f"| {source} | {' | '.join(f'{count[trait]:,}' for trait in TRAITS)} |"
        for source, count in counts.items()
    ]
    return [
        "## What was seen in their graphs",
        "",
        "Each is a tag of the cases in which it was seen; [what they mean](model_suite.md).",
        "",
        f"| source | {' | '.join(TRAITS)} |",
        f"|---|{'---|' * len(TRAITS)}",
        *rows,
        "",
    ]


def _runs() -> list[str]:
    """What came of whole runs."""
    if not runs():
        return []
    lines = [
        "## Runs",
        "",
        "Noted by `python -m model_suite.runs` from what `--junitxml` writes, or the `report.json` of a gallery.",
        "",
        "| command | ended | minutes | cases | drawn | distinct | valid, values | valid, meta | skipped | failed |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for run in runs():
        counts = (run.cases, run.drawn, run.distinct, run.by_values, run.by_structure, run.skipped)
        cells = [
            f"`{run.command}`",
            run.when,
            f"{run.seconds / 60:.0f}",
            *(f"{count:,}" for count in counts),
        ]
        lines.append(f"| {' | '.join([*cells, str(len(run.failed))])} |")
    lines.append("")
    for run in runs():
        lines += [f"* `{name}` failed in `{run.command}`: {reason}" for name, reason in run.failed.items()]
    return [*lines, ""]


def _failures(records: Sequence[Record]) -> list[str]:
    failed = [record for record in records if not record.folded]
    if not failed:
        return []
    lines = ["## What fails, and why", "", "| case | reason |", "|---|---|"]
    for record in failed:
        reason = record.limits.replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {record.name} | {reason} |")
    return lines


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.parse_args().file.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
