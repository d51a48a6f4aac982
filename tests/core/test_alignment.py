"""Two graphs side by side, as data. The mutation suite holds alignments to what they must be, whatever differs."""

import pytest
import torch
from graph_mutation.alignments import faults
from models import Function
from torch import nn

import torchlens_core as tl
from torchlens_core.diff import Row, aligned, diff_graphs
from torchlens_core.snapshot import take_snapshot
from torchlens_core.snapshot.outline import Call, Loop


def snapshots(*models):
    return [take_snapshot(tl.log_forward_pass(model.eval(), torch.zeros(2, 4))) for model in models]


def shown(alignment):
    """Verdict and names of each row, two blanks a level."""
    lines = []
    for depth, row in alignment.walk():
        names = [part.name or "loop" if part is not None else "-" for part in (row.old, row.new)]
        lines.append(f"{'  ' * depth}{row.verdict} {' '.join(dict.fromkeys(names))}")
    return lines


def test_equal_graphs_are_closed_rows():
    (one,) = snapshots(nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Tanh()))
    found = aligned(one, one)
    assert shown(found) == ["same input", "same 0", "same 1"]
    assert not found.changes
    assert all(row.inner is None and not row.changes for _, row in found.walk())


def test_what_was_removed_stands_where_it_stood():
    old, new = snapshots(
        Function(lambda self, x: (((x + 1).relu() * 2).tanh() / 3).exp()),
        Function(lambda self, x: ((x + 1) * 2).sigmoid().tanh().exp()),
    )
    assert shown(aligned(old, new)) == [
        "same x",
        "same add",
        "removed relu -",
        "same mul",
        "added - sigmoid",
        "same tanh",
        "removed div -",
        "same exp",
    ]


def test_only_what_differs_is_open():
    def model(p):
        block = [nn.Sequential(nn.Linear(4, 4), nn.Dropout(p[n])) for n in range(2)]
        return nn.Sequential(*block, nn.Linear(4, 2))

    old, new = snapshots(model((0.1, 0.1)), model((0.1, 0.2)))
    found = aligned(old, new)
    assert shown(found) == ["same input", "same 0", "changed 1", "  same 0", "  changed 1", "same 2"]
    block = found.rows[2]
    assert not block.changes
    assert block.inner.address == "1"
    (change,) = block.inner.rows[1].changes
    assert (change,) == diff_graphs(old, new).changes
    assert change.text == "~ 1: p 0.1 → 0.2"


def test_what_follows_is_no_change():
    old, new = snapshots(
        *(nn.Sequential(nn.Linear(4, n), nn.Sequential(nn.ReLU(), nn.Linear(n, 2))) for n in (3, 5))
    )
    found = aligned(old, new)
    assert shown(found) == ["same input", "changed 0", "same 1", "  same 0", "  same 1"]
    assert [row.follows for _, row in found.walk()] == ["", "", "", "shape", "shape"]


def test_order_alone_is_no_change():
    def ordered(is_turned):
        def forward(self, x):
            one = x.relu() if not is_turned else None
            two = x.tanh()
            return (x.relu() if one is None else one) - two

        return Function(forward)

    found = aligned(*snapshots(ordered(False), ordered(True)))
    assert shown(found) == ["same x", "same tanh", "same relu", "same sub"]
    assert [change.effect for _, row in found.walk() for change in row.changes] == ["order"]


def test_a_module_around_others_has_them_as_rows():
    plain = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    wrapped = nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.Dropout()), nn.ReLU())
    old, new = snapshots(plain, wrapped)
    found = aligned(old, new)
    assert shown(found) == ["same input", "added - 0", "  same 0 0.0", "  added - 0.1", "same 1"]
    added = found.rows[1]
    assert added.new.reads == ()
    assert [ref.name for ref in added.rows[0].new.reads] == ["input", "@weight", "@bias"]
    assert [ref.name for ref in found.rows[2].old.reads] == ["0"]
    assert [ref.name for ref in found.rows[2].new.reads] == ["0.1"]
    back = aligned(new, old)
    assert shown(back) == ["same input", "removed 0 -", "  removed 0.1 -", "same 0.0 0", "same 1"]


def test_loops_stay():
    def repeated(times, is_more=False):
        def forward(self, x):
            for _ in range(times):
                x = self.cell(x).relu()
                x = x.tanh() if is_more else x
            return x

        return Function(forward, cell=nn.Linear(4, 4))

    old, new = snapshots(repeated(4), repeated(6, is_more=True))
    found = aligned(old, new)
    assert shown(found) == ["same x", "changed loop", "  same cell", "  same relu", "  added - tanh"]
    loop = found.rows[1]
    assert isinstance(loop.part.item, Loop)
    assert [change.kind for change in loop.changes] == ["passes"]
    assert (loop.rows[0].old.passes, loop.rows[0].new.passes) == ((4,), (6,))


def test_what_concerns_no_part_is_told_of_the_whole():
    old, new = snapshots(
        Function(lambda self, x: (x.relu(), x.tanh())), Function(lambda self, x: (x.tanh(), x.relu()))
    )
    found = aligned(old, new)
    assert {change.text for change in found.changes} == {"~ returns its values in another order"}
    assert [ref.name for ref in found.old_returns] == ["relu", "tanh"]
    assert [ref.name for ref in found.new_returns] == ["tanh", "relu"]


def test_a_module_that_came_is_one_row():
    old, new = snapshots(
        nn.Sequential(nn.Tanh()), nn.Sequential(nn.Tanh(), nn.Sequential(nn.ReLU(), nn.ReLU()))
    )
    found = aligned(old, new)
    assert shown(found) == ["same input", "same 0", "added - 1"]
    assert isinstance(found.rows[2].part.item, Call)
    assert len(found.rows[2].part.item.body.items) == 2


@pytest.mark.parametrize("what", ["lost", "twice", "verdict", "change", "order"])
def test_a_wrong_alignment_is_caught(what):
    """The control of the suite's own check."""
    old, new = snapshots(
        Function(lambda self, x: (x + 1).relu()), Function(lambda self, x: (x + 2).relu().tanh())
    )
    diff, right = diff_graphs(old, new), aligned(old, new)
    assert faults(right, old.outline, new.outline, diff) == []
    rows = list(right.rows)
    if what == "lost":
        del rows[2]
    elif what == "twice":
        rows.append(rows[2])
    elif what == "order":
        rows[1:3] = rows[2:0:-1]
    else:
        row = rows[1]
        verdict = "same" if what == "verdict" else "changed"
        changes = () if what == "change" else row.changes
        rows[1] = Row(old=row.old, new=row.new, verdict=verdict, changes=changes)
    wrong = type(right)(
        address="",
        rows=tuple(rows),
        old_returns=right.old_returns,
        new_returns=right.new_returns,
        changes=right.changes,
    )
    assert faults(wrong, old.outline, new.outline, diff)
