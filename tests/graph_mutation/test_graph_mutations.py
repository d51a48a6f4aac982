"""The comparator sees what it claims to see: each change of a graph fails, and is told as what it was, where it was.

Each kind of change is tried on a few models, another few for the next kind; ``python -m graph_mutation`` tries all.
"""

import importlib.util
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import torch

from graph_mutation import clay
from graph_mutation.edits import EDITS, verdict
from graph_mutation.matrix import Matrix, Verdict, alarms, judged, verdicts
from graph_mutation.models import EDITED, MORE, QUICK, edited_model, retraced, snapshot, traced
from graph_mutation.mutants import Claim
from graph_mutation.mutations import MUTATIONS
from graph_mutation.reordering import REORDERINGS
from graph_mutation.runs import edit_matrix, mutation_matrix
from graph_mutation.small import SMALL, SmallEdit
from torchlens_core.diff import GraphDiff, diff_graphs
from torchlens_core.snapshot import Snapshot, take_snapshot

pytest.importorskip("torchvision")
#: Models that each mutation, and each edit, is tried on.
MODELS_EACH, EDITED_EACH = 3, 1


def _name(one) -> str:
    return getattr(one, "name", None) or getattr(one, "__name__", str(one))


def _in_turn(names: list[str], number: int) -> Iterator[str]:
    """All names, the first ones others for each number."""
    start = number * MODELS_EACH % len(names)
    return iter([*names[start:], *names[:start]])


# -- what must be seen -------------------------------------------------------------------------------


@pytest.mark.parametrize("mutation", MUTATIONS, ids=_name)
def test_a_mutation_is_told(mutation):
    found: list[list[Verdict]] = []
    for model in _in_turn(QUICK, MUTATIONS.index(mutation)):
        found.append(list(verdicts(mutation, model, snapshot(model), sites=1)))
        if sum(map(bool, found)) == MODELS_EACH:
            break
    assert any(found), "no model has a place for it"
    survivors = [str(one) for each in found for one in each if not one.is_killed]
    assert not survivors, "\n".join(survivors)


@pytest.mark.parametrize("edit", EDITS, ids=_name)
def test_an_edit_of_a_model_is_told(edit):
    found: list[Verdict] = []
    for model in _in_turn(EDITED, EDITS.index(edit)):
        one = verdict(edit, model, *edited_model(model))
        found += [one] if one is not None else []
        if len(found) == EDITED_EACH:
            break
    assert found, "no model has a place for it"
    survivors = [str(one) for one in found if not one.is_killed]
    assert not survivors, "\n".join(survivors)


def test_as_many_models_as_promised():
    assert len(QUICK) >= 20
    assert len(EDITED) >= 20
    starts = {next(_in_turn(QUICK, number)) for number in range(len(MUTATIONS))}
    assert len(starts) >= 20


@pytest.mark.parametrize("edit", SMALL, ids=_name)
def test_an_edit_of_a_small_model_prints(edit):
    diff = _diff_of(edit)
    assert diff.classes == edit.classes or (edit.classes == {"order"} and not diff)
    if edit.lines:
        assert str(diff) == textwrap.dedent(edit.lines).strip()


def _diff_of(edit: SmallEdit) -> GraphDiff:
    model, x = edit.after().eval(), (edit.inputs_after or edit.inputs)()
    if edit.dtype_after is not None:
        model, x = model.to(edit.dtype_after), x.to(edit.dtype_after)
    before = take_snapshot(traced(edit.before().eval(), [edit.inputs()]))
    return diff_graphs(before, take_snapshot(traced(model, [x])))


# -- what must not fail ------------------------------------------------------------------------------


@pytest.mark.parametrize("reordering", REORDERINGS, ids=_name)
@pytest.mark.parametrize("model", [*QUICK[::3], "raft_small"])
def test_order_alone_does_not_fail(model, reordering):
    wrong = [str(one) for one in alarms(reordering, model, snapshot(model), sites=1) if not one.is_killed]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("model", QUICK)
def test_nothing_is_said_of_equal_graphs(model):
    one = snapshot(model)
    assert not diff_graphs(one, one)
    path, _, _ = max(clay.bodies(one.outline), key=lambda found: len(found[2].items))
    assert not diff_graphs(one, Snapshot(clay.edited(one.outline, path, lambda body: None)))


@pytest.mark.parametrize("model", ["raft_small", "resnet18", "squeezenet1_1"])
def test_nothing_is_said_of_a_second_pass(model):
    assert not diff_graphs(snapshot(model), retraced(model))


# -- the suite itself --------------------------------------------------------------------------------


def test_names_are_unique():
    names = [one.name for one in (*MUTATIONS, *EDITS)] + [one.__name__ for one in REORDERINGS]
    assert len(set(names)) == len(names)
    assert len({one.name for one in SMALL}) == len(SMALL)


@pytest.mark.parametrize("model", ["raft_small", "resnet18", "fasterrcnn_mobilenet_v3_large_320_fpn"])
def test_clay_is_finished_as_it_was(model):
    for _, address, body in clay.bodies(snapshot(model).outline):
        assert clay.thawed(body).finished()[0] == body, address


def test_a_survivor_is_told():
    """The control: a claim that no line of the diff fulfils, one of another class, and one at another place."""
    one = snapshot("resnet18")
    (rename,) = (mutation for mutation in MUTATIONS if mutation.name == "change_class")
    made = rename.apply(one.outline, Random(0))
    (claim,) = made.claims
    mutant = Snapshot(made.outline)
    assert judged(one, mutant, [claim])[0] == []
    for false, says in (
        (Claim(address=claim.address, says=("swapped",)), "says swapped"),
        (Claim(address=f"{claim.address}.x", says=claim.says), f"no line at {claim.address}.x"),
        (Claim(address=claim.address, says=claim.says, effect="shape"), "said to be breaking"),
        (Claim(address=claim.address, says=claim.says, most=0), "1 changes, more than 0"),
    ):
        wrong, _ = judged(one, mutant, [false])
        assert says in wrong[0]
    assert judged(one, one, [claim])[0][0] == "not seen"
    verdict = Verdict(mutation="m", model="M", what="it", wrong=("not seen",), text="", seconds=0)
    assert str(Matrix([verdict])).endswith("1 survivors:\n  m in M: it: not seen\n      ")


def test_a_word_is_not_found_in_another():
    """The control of the words: ``relu`` in ``relu6``, ``dim`` in ``normalized_dim``."""
    one = snapshot("resnet18")
    made = next(m for m in MUTATIONS if m.name == "rename_kind").apply(one.outline, Random(1))
    (claim,) = made.claims
    for word in claim.says:
        if word.isalpha():
            cut = Claim(address=claim.address, says=(word[:-1],))
            assert judged(one, Snapshot(made.outline), [cut])[0][0].startswith("no line")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_no_mutant_survives(capsys):
    torch.set_num_threads(1)
    found = mutation_matrix([*QUICK, *MORE], sites=1)
    with capsys.disabled():
        print(f"\n{found}")
    missing = {mutation.name for mutation in MUTATIONS} - {one.mutation for one in found.verdicts}
    assert not missing, f"no model has a place for {missing}"
    assert not found.survivors, str(found)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_no_edit_goes_untold(capsys):
    found = edit_matrix(EDITED)
    with capsys.disabled():
        print(f"\n{found}")
    assert {edit.name for edit in EDITS} == {one.mutation for one in found.verdicts}
    assert not found.survivors, str(found)


# -- what it costs -----------------------------------------------------------------------------------


def _benchmark():
    path = Path(__file__).parents[2] / "benchmarks" / "diffs.py"
    found = importlib.util.spec_from_file_location("benchmark_of_diffs", path)
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module  # its dataclasses look there
    found.loader.exec_module(module)
    return module


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("shape", ["flat", "blocks", "equal", "nested"])
def test_time_grows_with_the_number_of_ops(shape):
    """Four times the ops, at most ten times the time, whatever differs: the least of some runs."""
    benchmark = _benchmark()
    for change in benchmark.CHANGES:
        seconds = [min(benchmark.measured(shape, change, ops, 2)[0]) for ops in (1_000, 4_000)]
        assert seconds[1] < 10 * max(seconds[0], 0.005), (change, seconds)
