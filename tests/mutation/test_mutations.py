"""Each check sees what it claims to see: good histories hold, and no history made wrong in one place does."""

import pytest

from mutation.matrix import Matrix, kill_matrix, mutants, validated
from mutation.models import GOOD
from mutation.mutations import MUTATIONS, lose_unread_op, swap_neighbours
from torchlens_core import validate


def _name(case) -> str:
    return case.name


@pytest.mark.parametrize("case", GOOD, ids=_name)
def test_good_history_is_valid(case):
    report, _ = validated(case)
    assert report, str(report)
    assert [check.name for check in report.checks] == list(validate.CHECKS)


@pytest.mark.parametrize("mutation", [lose_unread_op, swap_neighbours], ids=lambda change: change.__name__)
def test_what_a_replay_cannot_see(mutation):
    """The control of `arrange`: a history with other numbers everywhere can be replayed all the same."""
    (chosen,) = (m for m in MUTATIONS if m.change is mutation)
    reports = [validated(case, chosen, checks=["replay"])[0] for case in GOOD]
    found = [report for report in reports if report is not None]
    assert found
    assert all(found), "\n".join(map(str, found))


def test_claims_name_checks():
    assert {check for mutation in MUTATIONS for check in mutation.claims} <= validate.CHECKS.keys()
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)


def test_a_survivor_is_told():
    """The control of the matrix: a mutation that claims what nobody sees."""
    case = next(case for case in GOOD if case.name == "ArrayRead")
    (harmless,) = (m for m in mutants(case, 1) if m.mutation.name == "alter_element")
    blind = type(harmless)(
        mutation=harmless.mutation, model="M", what="it", found=frozenset({"transparency"})
    )
    assert harmless.is_killed
    assert Matrix([harmless, blind]).survivors == [blind]
    assert str(Matrix([harmless, blind])).endswith(
        "1 survivors:\n  alter_element in M: it (found by transparency)"
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_mutant_survives(capsys):
    matrix = kill_matrix()
    with capsys.disabled():
        print(f"\n{matrix}")
    missing = {mutation.name for mutation in MUTATIONS} - {
        mutant.mutation.name for mutant in matrix.mutants
    }
    assert not missing, f"no model has a place for {missing}"
    assert not matrix.survivors, str(matrix)
