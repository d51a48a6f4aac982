"""Two branches change one model; git merges their snapshots into the text that the tool writes for both."""

import subprocess

import pytest
import torch
from torch import nn

import torchlens_core as tl


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.up = nn.Linear(8, 16)
        self.act = nn.ReLU()
        self.down = nn.Linear(16, 8)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        return x + self.drop(self.down(self.act(self.up(self.norm(x)))))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(4, 8)
        self.blocks = nn.ModuleList([Block() for _ in range(8)])
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def _gelu(net):
    net.blocks[1].act = nn.GELU()


def _less_dropout(net):
    net.blocks[5].drop.p = 0.3


def _wider(net):
    net.blocks[4].up, net.blocks[4].down = nn.Linear(8, 32), nn.Linear(32, 8)


def _other_head(net):
    net.head = nn.Linear(8, 3)


def _other_act(net):
    net.blocks[1].act = nn.Tanh()


def _text(*edits):
    net = Net().eval()
    for edit in edits:
        edit(net)
    return str(tl.take_snapshot(tl.get_model_metadata(net, torch.zeros(2, 4))))


@pytest.fixture
def merge(tmp_path):
    """Commit a base, change it on two branches, merge them; returns git's status and the file."""

    def git(*words):
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@b.c", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")

    def merged(base, ours, theirs):
        path = tmp_path / "net.lens"

        def commit(text):
            path.write_text(text, encoding="utf-8")
            git("add", "net.lens")
            assert git("commit", "-qm", "change").returncode == 0

        git("init", "-q", "-b", "main")
        commit(base)
        git("checkout", "-qb", "theirs")
        commit(theirs)
        git("checkout", "-q", "main")
        commit(ours)
        status = git("merge", "-q", "-m", "merge", "theirs").returncode
        return status, path.read_text(encoding="utf-8")

    return merged


@pytest.mark.parametrize("theirs", [_less_dropout, _wider, _other_head])
def test_changes_of_two_blocks_merge(merge, theirs):
    status, text = merge(_text(), _text(_gelu), _text(theirs))
    assert status == 0
    assert text == _text(_gelu, theirs)


def test_two_changes_of_one_line_conflict_and_the_file_says_so(merge):
    status, text = merge(_text(), _text(_gelu), _text(_other_act))
    assert status != 0
    with pytest.raises(tl.SnapshotError, match=r"line \d+: a conflict marker of git"):
        tl.read_snapshot(text)
