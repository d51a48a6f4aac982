"""Diffs of small models: order, twins, what is left out, data. The mutation suite has the rest."""

import json

import pytest
import torch
from torch import nn

import torchlens_core as tl
from torchlens_core.diff import diff_graphs


def _in_order():
    a = torch.arange(2.0)
    b = torch.arange(2.0)
    c = torch.arange(2.0)
    p = a.log2()
    q = b.log2()
    r = c.log2()
    return p, q, r


def _turned():
    c = torch.arange(2.0)
    a = torch.arange(2.0)
    b = torch.arange(2.0)
    q = b.log2()
    r = c.log2()
    p = a.log2()
    return p, q, r


def _one_read_twice():
    p, q, _ = _in_order()
    return p, q, q


class Twins(nn.Module):
    """Three wholly alike chains, told apart only by who reads them."""

    def __init__(self, chains):
        super().__init__()
        self.chains = chains

    def forward(self, x):
        p, q, r = self.chains()
        return x + p + q * 2 + r * 3


def _logged(chains):
    return tl.get_model_metadata(Twins(chains), torch.zeros(2))


def test_twins_in_another_order_are_no_breaking_change():
    assert diff_graphs(_logged(_in_order), _logged(_turned)).classes <= {"order"}


def test_a_twin_that_is_read_instead_of_another_is_seen():
    assert "breaking" in diff_graphs(_logged(_in_order), _logged(_one_read_twice)).classes


@pytest.fixture
def widths():
    """Two histories of one model, the second wider and with another activation."""
    models = [
        nn.Sequential(nn.Linear(4, n), act(), nn.Linear(n, 2)) for n, act in ((3, nn.ReLU), (5, nn.GELU))
    ]
    return [tl.get_model_metadata(model.eval(), torch.zeros(1, 4)) for model in models]


def test_classes_and_modules_are_left_out(widths):
    diff = diff_graphs(*widths)
    assert diff.classes == {"breaking", "shape"}
    assert [change.name for change in diff.without(["shape"]).changes] == ["1"]
    assert not diff.without(["shape", "1"])
    assert diff.without(["shape", "2"])


def test_as_data(widths):
    data = json.loads(json.dumps(diff_graphs(*widths).as_dict()))
    assert data["parameters"] == [23, 37]
    assert {"kind", "class", "module", "name", "text"} == set(data["changes"][0])
    assert data["following"]["shape"] == {"count": 2, "first": "1"}


def test_histories_are_equal_if_their_structures_are(widths):
    assert widths[0] == widths[0]
    assert widths[0] != widths[1]
    again = tl.get_model_metadata(
        nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval(), torch.ones(1, 4)
    )
    assert again == widths[0]
    assert len({again, *widths}) == 2
