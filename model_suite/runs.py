"""What came of whole runs of the catalogue: ``python -m model_suite.runs "pytest model_suite …" report.xml``.

Takes what pytest writes for ``--junitxml=report.xml``, or the ``report.json`` of the gallery that a run has drawn, and
keeps the figures for `model_suite.summary`.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

_FILE = "runs.jsonl"
#: Names of tests of one case, with its name; one that stands for a library that is not there has none.
_TEST = re.compile(r"test_model\[(.+/.+)\]$")
#: The first line of a finding in the report of a validation; what each check has covered stands before.
_FINDING = re.compile(r"  [a-z]+: (?!ok \(|\d+ findings? \()")
_ADVICE = "give what pytest model_suite --junitxml=report.xml writes, or the report.json of a gallery."


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, by what it was called with."""

    command: str
    #: When it ended: ``2026-11-26 10:12``; and how long it took.
    when: str
    seconds: float
    cases: int
    #: With a picture; none if the run drew no gallery.
    drawn: int
    #: Distinct folded structures of what passed.
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


def run_of(command: str, report: Path) -> Run:
    """The figures of a report: of pytest, or of a gallery. Raises `ValueError` if no model is in it."""
    text = report.read_text(encoding="utf-8")
    try:
        if report.suffix == ".json":
            run = _of_gallery(command, json.loads(text))
        else:
            run = _of_tests(command, ElementTree.fromstring(text))
    except (ElementTree.ParseError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{report} is no report ({error!r}): {_ADVICE}") from error
    if not run.cases:
        raise ValueError(f"{report} holds no tests of the catalogue: {_ADVICE}")
    return run


def _of_gallery(command: str, report: Mapping[str, Any]) -> Run:
    cards = [card for card in report["cards"] if not card["is_earlier"]]
    valid = [card["device"] for card in cards if card.get("valid")]
    return Run(
        command=command,
        when=report["when"],
        seconds=report["seconds"],
        cases=len(cards),
        drawn=sum(card["href"] is not None for card in cards),
        distinct=len({card["folded"] for card in cards if card.get("folded") and not card["is_bad"]}),
        by_values=sum(device != "meta" for device in valid),
        by_structure=sum(device == "meta" for device in valid),
        skipped=sum(card["outcome"] == "skipped" for card in cards),
        failed={
            card["title"]: _in_a_line(card["reason"], card["outcome"] == "crashed")
            for card in cards
            if card["is_bad"]
        },
    )


def _of_tests(command: str, root: ElementTree.Element) -> Run:
    """Of the tests of `model_suite.test_menagerie`, each of which says where it has validated its model, if it has."""
    seconds = sum(float(suite.attrib["time"]) for suite in root.iter("testsuite"))
    began = min((suite.attrib["timestamp"] for suite in root.iter("testsuite")), default="1970-01-01")
    ended = datetime.fromisoformat(began) + timedelta(seconds=seconds)
    said: dict[str, dict[str, str]] = {}
    failed: dict[str, str] = {}
    skipped = set()
    for test in root.iter("testcase"):
        found = _TEST.match(test.attrib["name"])
        if found is None:
            continue
        name, reason = found[1], _failure(test)
        said.setdefault(name, {}).update(_properties(test))
        if reason:
            failed.setdefault(name, reason)
        elif test.find("skipped") is not None:
            skipped.add(name)
    passed = [said[name] for name in said.keys() - failed.keys() - skipped]
    valid = [properties["validated"] for properties in passed if "validated" in properties]
    return Run(
        command=command,
        when=f"{ended:%Y-%m-%d %H:%M}",
        seconds=seconds,
        cases=len(said),
        drawn=0,
        distinct=len({properties["folded"] for properties in passed if "folded" in properties}),
        by_values=sum(device != "meta" for device in valid),
        by_structure=sum(device == "meta" for device in valid),
        skipped=len(skipped - failed.keys()),
        failed=failed,
    )


def _properties(test: ElementTree.Element) -> dict[str, str]:
    return {one.attrib["name"]: one.attrib["value"] for one in test.iter("property")}


def _failure(test: ElementTree.Element) -> str:
    """Why a test failed, in a line; empty if it did not."""
    for kind in ("failure", "error"):
        found = test.find(kind)
        if found is not None:
            return _in_a_line(found.get("message", "") or found.text or kind)
    stated = test.find("skipped[@type='pytest.xfail']")
    return "" if stated is None else f"as stated: {_in_a_line(stated.get('message', ''))}"


def _in_a_line(reason: str, is_crash: bool = False) -> str:
    """Why a test failed; of a worker that crashed, not on which machine; of a validation, its findings."""
    lines = reason.splitlines()
    if is_crash:
        lines = lines[-1:]
    elif "Validation of " in reason:
        title, _, _ = lines[0].partition(" (")
        found = next((n for n, line in enumerate(lines) if _FINDING.match(line)), 1)
        lines = [f"{title}.", *lines[found:]]
    return " ".join(" ".join(lines).split())[:300]


def main() -> None:
    """Note a run in place of an earlier one of the same command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("command", help="what was run, as it is to be shown")
    parser.add_argument("report", type=Path, help="its report.xml, or the report.json of its gallery")
    options = parser.parse_args()
    new = run_of(options.command, options.report)
    kept = [run for run in runs() if run.command != new.command]
    lines = [json.dumps(asdict(run), ensure_ascii=False) for run in (*kept, new)]
    file = Path(str(files("model_suite.records") / _FILE))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{new.cases:,} cases, {new.distinct:,} distinct, {len(new.failed)} failed, {new.seconds:,.0f} s")


if __name__ == "__main__":
    main()
