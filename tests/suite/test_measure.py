"""Cases are measured in processes of their own, and records say what came of it."""

from __future__ import annotations

import dataclasses
import os
import time

import pytest
import torch
from torch import nn

from model_suite import ModelCase, measure, records
from model_suite.records import Record, records_of, write_records


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        return self.fc(x).relu()


class NeedsNumbers(nn.Module):
    def forward(self, x):
        return x + 1 if x.sum() > 0 else x


class Broken(nn.Module):
    def forward(self, x):
        raise RuntimeError("no such luck")


class Dies(nn.Module):
    def forward(self, x):
        os._exit(3)


class Hangs(nn.Module):
    def forward(self, x):
        time.sleep(60)


class _Gone:
    """Builds a model where this is imported by the tests, and nowhere else."""

    def __reduce__(self):
        return os._exit, (1,)

    def build(self):
        raise AssertionError


def ones():
    return (torch.ones(1, 3),), {}


def case(kind):
    return ModelCase(name=f"own/{kind.__name__}", source="own", family="net", builder=kind, maker=ones)


def test_on_meta_where_that_goes():
    record = measure.measure(case(Plain))
    assert (record.ops, record.parameters, record.on_meta, record.limits) == (2, 8, True, "")
    assert record.structure
    assert record.folded
    assert record.structure != record.folded


def test_floating_point_operations_are_counted():
    assert measure.measure(case(Plain)).flops == 2 * 3 * 2


def test_a_model_that_cannot_be_counted_is_measured():
    class Once(Plain):
        runs = 0

        def forward(self, x):
            self.runs += 1
            if self.runs > 1:
                raise RuntimeError("once is enough")
            return super().forward(x)

    record = measure.measure(case(Once))
    assert (record.ops, record.flops, record.limits) == (2, None, "")


def test_with_values_else():
    record = measure.measure(case(NeedsNumbers))
    assert (record.on_meta, record.limits) == (False, "")
    assert record.ops == 3


def test_the_reason_is_kept():
    assert measure.measure(case(Broken)).limits == "RuntimeError: no such luck"


def test_a_reason_keeps_its_meaning_in_one_line():
    error = ImportError("\nNet needs  natten.\n  Install it.\n")
    error.add_note("where it was")
    assert measure._reason(error) == "ImportError: Net needs natten. Install it."
    assert measure._reason(AssertionError()) == "AssertionError"


def test_a_reason_has_no_paths_of_this_machine():
    error = FileNotFoundError(f"no {os.getcwd()}/nets/a.pt and {os.path.expanduser('~')}/b.pt")
    assert measure._reason(error) == "FileNotFoundError: no nets/a.pt and b.pt"


def test_a_long_reason_is_cut():
    found = measure._reason(ValueError("x" * 400))
    assert (len(found), found[-2:]) == (measure.REASON, "x…")


@pytest.fixture
def run_main(monkeypatch, tmp_path):
    """Measures the cases of a source whose records are in a folder of its own."""
    monkeypatch.setattr(records, "_FOLDER", tmp_path)
    monkeypatch.setattr(measure, "sources", lambda: ["own"])
    monkeypatch.setattr(
        measure, "discovered", lambda source: [case(Plain), case(Broken), case(NeedsNumbers)]
    )
    monkeypatch.setattr(
        measure, "measured", lambda cases, workers: (Record(name=one.name, limits="new") for one in cases)
    )

    def run(*options):
        monkeypatch.setattr("sys.argv", ["measure", "own", *options])
        measure.main()
        return {name: record.limits or record.folded for name, record in records_of("own").items()}

    records_of.cache_clear()
    write_records(
        "own", [Record(name="own/Plain", folded="f"), Record(name="own/Broken"), Record(name="own/Gone")]
    )
    yield run
    records_of.cache_clear()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), {"own/Plain": "f", "own/Broken": "", "own/NeedsNumbers": "new"}),
        (("--failed",), {"own/Plain": "f", "own/Broken": "new", "own/NeedsNumbers": "new"}),
        (("--only", "Pla"), {"own/Plain": "new", "own/Broken": ""}),
        (("--failed", "--only", "Pla"), {"own/Plain": "new", "own/Broken": ""}),
    ],
)
def test_which_are_measured_and_what_is_gone(run_main, options, expected):
    assert run_main(*options) == expected


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--only", "Plane"), "--only Plane: no case of own has that in its name"),
        (("--workers", "0"), "--workers: expected 1 or more"),
    ],
)
def test_what_measures_nothing(run_main, capsys, options, says):
    with pytest.raises(SystemExit):
        run_main(*options)
    assert says in capsys.readouterr().err


@pytest.mark.slow
def test_what_stops_the_process_costs_one_case(monkeypatch):
    monkeypatch.setattr(measure, "TIME_LIMIT", 20.0)
    given = [case(Dies), case(Plain), case(Hangs), case(Plain)]
    assert [(one.name, one.limits) for one in measure.measured(given, 1)] == [
        ("own/Dies", "the process ended with 3"),
        ("own/Plain", ""),
        ("own/Hangs", "longer than 20 s"),
        ("own/Plain", ""),
    ]


@pytest.mark.slow
def test_no_case_is_at_fault_where_no_process_starts():
    unpicklable = dataclasses.replace(case(Plain), builder=_Gone().build)
    with pytest.raises(RuntimeError, match="a process that measures ended at its start, with 1"):
        list(measure.measured([unpicklable], 1))


def test_records_are_read_as_written(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_FOLDER", tmp_path)
    records_of.cache_clear()
    written = [
        Record(name="own/b", tags=("x",), traits=("random",), ops=3, flops=0, folded="f"),
        Record(name="own/a", limits="none"),
    ]
    write_records("own", written)
    assert list(records_of("own").values()) == [written[1], written[0]]
    assert dict(records_of("nowhere")) == {}
    records_of.cache_clear()
