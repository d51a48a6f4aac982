"""Records become plain data, and tests short names."""

import json

import pytest

from pytest_torchlens.records import (
    LoggedPass,
    PassData,
    Records,
    SnapshotData,
    from_data,
    records_of,
    short_name,
    take_records,
)
from torchlens_core import Finding, ValidationReport
from torchlens_core.report import CheckResult


def report(*findings):
    check = CheckResult(name="replay", findings=findings, covered={}, seconds=0.0)
    return ValidationReport(model_name="Net", checks=[check])


WRONG = Finding(check="replay", what="wrong")


@pytest.mark.parametrize(("given", "valid"), [(None, None), (report(), True), (report(WRONG), False)])
def test_data_of_a_pass(given, valid):
    records = Records("test_it.py::test", [LoggedPass("Net", 3, 40, given, None)], "passed")
    data = records.as_data()
    assert (data["outcome"], data["snapshots"]) == ("passed", ())
    assert data["passes"] == (
        {
            "test": "test_it.py::test",
            "model": "Net",
            "ops": 3,
            "parameters": 40,
            "outcome": "passed",
            "valid": valid,
        },
    )


def test_data_can_be_sent_between_processes():
    checked = [SnapshotData("", "a.lens", "same"), SnapshotData("b", "a@b.lens", "changed", True)]
    records = Records("test", [LoggedPass("Net", 3, 40, report(WRONG), None)], "failed", checked)
    found = from_data(json.loads(json.dumps(records.as_data())))
    assert found == from_data(records.as_data())
    assert found.outcome == "failed"
    assert found.passes == (PassData("test", "Net", 3, 40, "failed", False),)
    assert found.snapshots == tuple(checked)


def test_what_is_taken_is_gone(pytester):
    item = pytester.getitem("def test_func(): pass")
    records = records_of(item)
    assert records.test == "test_what_is_taken_is_gone.py::test_func"
    assert records_of(item) is records
    assert take_records(item) is records
    assert records_of(item) is not records


@pytest.mark.parametrize(
    ("test", "name"),
    [
        ("test_it.py::test_relu", "test_relu"),
        ("test_it.py::TestNet::test_relu", "test_relu"),
        ("test_it.py::test_relu[torchvision/alexnet]", "torchvision/alexnet"),
        ("test_it.py::TestNet::test_relu[a::b]", "a::b"),
        ("test_it.py::test_relu[a[0]-b]", "a[0]-b"),
        ("runs[1]/test_it.py::test_relu", "test_relu"),
        ("test_it.py::test_relu[]", "test_relu"),
        ("test_it.py", "test_it.py"),
    ],
)
def test_short_name(test, name):
    assert short_name(test) == name
