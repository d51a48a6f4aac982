"""The page of the catalogue says what the records say."""

from __future__ import annotations

from pathlib import Path

from model_suite import summary
from model_suite.records import Record

PAGE = Path(__file__).parents[2] / "docs" / "catalogue.md"


def test_the_page_is_of_the_records_as_they_are():
    """After a measure or a run: ``python -m model_suite.summary docs/catalogue.md``."""
    assert PAGE.read_text(encoding="utf-8") == summary.page()


def test_a_source_in_a_row():
    records = [
        Record(name="a/one", folded="f", ops=3, on_meta=True),
        Record(name="a/same", folded="f", ops=5),
        Record(name="a/other", folded="g", ops=1_000),
        Record(name="a/wrong", limits="no"),
    ]
    assert summary._row("a", "1.0", 4, records) == "| a | 1.0 | 4 | 3 | 1 | 2 | 1,000 | 5 | 1 |"


def test_what_was_seen_is_counted_by_source():
    records = {
        "a": [
            Record(name="a/one", traits=("attention", "random")),
            Record(name="a/two", traits=("random",)),
        ],
        "b": [Record(name="b/one")],
    }
    *_, head, _, a, b, everything, _ = summary._traits(records)
    names = [name.strip() for name in head.strip("|").split("|")]
    counts = [
        dict(zip(names, (cell.strip() for cell in row.strip("|").split("|")), strict=True))
        for row in (a, b, everything)
    ]
    assert [(count["attention"], count["random"], count["complex"]) for count in counts] == [
        ("1", "2", "0"),
        ("0", "0", "0"),
        ("1", "2", "0"),
    ]


def test_a_failure_is_a_row_whatever_it_says():
    (*_, row) = summary._failures([Record(name="a/wrong", limits="a | b\nc")])
    assert row == "| a/wrong | a \\| b c |"
    assert summary._failures([Record(name="a/right", folded="f")]) == []
