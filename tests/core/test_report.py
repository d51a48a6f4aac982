"""What a validation report says, and in which forms."""

import dataclasses
import json

import pytest
import torch
from torch import nn

import torchlens_core as tl
from torchlens_core.report import CheckResult

FINDING = tl.Finding(
    check="replay",
    what="The graph, run again, gives another value",
    label="relu_1_2",
    stable_name="act:relu",
    where="model.py:12 in forward",
    expected="(saved) 1.0 at [0]",
    got="(replayed) 2.0 at [0]",
    advice="Report it.",
)


def result(*findings: tl.Finding, notes: tuple[str, ...] = ()) -> CheckResult:
    return CheckResult(name="replay", findings=findings, covered={"values": 3}, seconds=0.25, notes=notes)


def report(*checks: CheckResult) -> tl.ValidationReport:
    return tl.ValidationReport(model_name="Net", checks=checks, covered={"ops": 2, "edges": 3}, seconds=0.5)


def test_true_when_nothing_was_found():
    assert report(result())
    assert report()
    assert not report(result(FINDING))
    assert not report(result(), result(FINDING))


def test_findings_of_all_checks():
    other = dataclasses.replace(FINDING, label="other")
    assert report(result(FINDING), result(), result(other)).findings == [FINDING, other]


def test_printed_finding():
    assert str(FINDING).splitlines() == [
        "replay: The graph, run again, gives another value",
        "  at relu_1_2 (act:relu)",
        "  in model.py:12 in forward",
        "  expected (saved) 1.0 at [0]",
        "  got (replayed) 2.0 at [0]",
        "  to do: Report it.",
    ]


def test_printed_finding_leaves_out_what_is_not_known():
    assert str(tl.Finding(check="transparency", what="No.")) == "transparency: No."


def test_printed_when_valid():
    assert str(report(result(notes=("near enough",)))).splitlines() == [
        "Validation of Net: valid (2 ops, 3 edges; 0.50 s)",
        "  replay: ok (3 values; 0.25 s)",
        "    near enough",
    ]


def test_printed_with_one_finding():
    assert str(report(result(FINDING))).splitlines() == [
        "Validation of Net: 1 finding (2 ops, 3 edges; 0.50 s)",
        "  replay: 1 finding (3 values; 0.25 s)",
        *(f"  {line}" for line in str(FINDING).splitlines()),
    ]


@pytest.mark.parametrize(("count", "shown", "rest"), [(10, 10, None), (13, 10, "  and 3 more findings")])
def test_many_findings_are_cut(count, shown, rest):
    findings = [dataclasses.replace(FINDING, label=f"relu_{n}") for n in range(count)]
    lines = str(report(result(*findings))).splitlines()
    assert lines[0].startswith(f"Validation of Net: {count} findings (")
    assert sum(line.startswith("    at relu_") for line in lines) == shown
    assert (lines[-1] == rest) is (rest is not None)


def test_as_plain_data():
    given = report(result(FINDING))
    found = given.as_dict()
    assert found["valid"] is False
    assert found["checks"][0]["findings"][0] == dataclasses.asdict(FINDING)
    assert found["covered"] == {"ops": 2, "edges": 3}


def test_json_round_trip():
    for given in (report(), report(result(notes=("x",))), report(result(FINDING))):
        found = json.loads(given.to_json())
        assert found == json.loads(json.dumps(given.as_dict()))
        assert found["valid"] is bool(given)


def test_json_of_a_real_report():
    found = json.loads(tl.validate_model_activations(nn.ReLU(), torch.rand(2)).to_json())
    assert found["model_name"] == "ReLU"
    assert [check["name"] for check in found["checks"]][:2] == ["transparency", "replay"]


def test_nothing_can_be_changed():
    for frozen, field in ((FINDING, "what"), (result(), "findings"), (report(), "checks")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(frozen, field, ())
