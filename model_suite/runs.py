"""What came of whole runs of the catalogue: ``python -m model_suite.runs "pytest model_suite …" out/report.json``.

Takes the report of a gallery that the run has drawn, and keeps its figures for `model_suite.summary`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

_FILE = "runs.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, by what it was called with."""

    command: str
    #: When it ended: ``2026-11-26 10:12``; and how long it took.
    when: str
    seconds: float
    cases: int
    drawn: int
    #: Distinct folded structures.
    distinct: int
    #: Found valid with values, and on the meta device.
    by_values: int
    by_structure: int
    #: Skipped for a limit of the model, or for want of a library.
    skipped: int
    #: What failed, with the reason in a line.
    failed: dict[str, str]


def runs() -> list[Run]:
    """All that are known, in the order in which they were noted."""
    file = files("model_suite.records") / _FILE
    if not file.is_file():
        return []
    return [Run(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def run_of(command: str, report: Mapping[str, Any]) -> Run:
    """The figures of a report."""
    cards = [card for card in report["cards"] if not card["is_earlier"]]
    valid = [card["device"] for card in cards if card.get("valid")]
    bad = [card for card in cards if card["is_bad"]]
    return Run(
        command=command,
        when=report["when"],
        seconds=report["seconds"],
        cases=len(cards),
        drawn=sum(card["href"] is not None for card in cards),
        distinct=len({card["folded"] for card in cards if card.get("folded")}),
        by_values=sum(device != "meta" for device in valid),
        by_structure=sum(device == "meta" for device in valid),
        skipped=sum(card["outcome"] == "skipped" for card in cards),
        failed={card["title"]: _reason(card) for card in bad},
    )


def _reason(card: Mapping[str, Any]) -> str:
    """Why a test failed, in a line; of a worker that crashed, not on which machine."""
    lines = card["reason"].splitlines()
    kept = lines[-1:] if card["outcome"] == "crashed" else lines
    return " ".join(" ".join(kept).split())[:300]


def main() -> None:
    """Note a run in place of an earlier one of the same command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("command", help="what was run, as it is to be shown")
    parser.add_argument("report", type=Path, help="the report.json of its gallery")
    options = parser.parse_args()
    new = run_of(options.command, json.loads(options.report.read_text(encoding="utf-8")))
    kept = [run for run in runs() if run.command != new.command]
    lines = [json.dumps(asdict(run), ensure_ascii=False) for run in (*kept, new)]
    file = Path(str(files("model_suite.records") / _FILE))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{new.cases:,} cases, {new.distinct:,} distinct, {len(new.failed)} failed, {new.seconds:,.0f} s")


if __name__ == "__main__":
    main()
