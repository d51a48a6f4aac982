"""The ``vis_…`` arguments: files that are written, pictures that are shown, what happens when something is missing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torchlens_core as tl
from torchlens_core.draw import display
from torchlens_core.draw.painting import pdf
from torchlens_core.draw.placing import graphviz


class Net(nn.Module):
    """A module called twice, and a buffer."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
        self.register_buffer("shift", torch.ones(3))

    def forward(self, x):
        for _ in range(2):
            x = self.inner(x) + self.shift
        return x


X = torch.rand(2, 3)


@pytest.fixture
def opened(monkeypatch):
    """Pictures that would have been shown."""
    shown: list[str] = []
    monkeypatch.setattr(display, "_open", lambda drawn, *_: shown.append(drawn.name))
    return shown


@pytest.mark.parametrize("vis_opt", ["rolled", "unrolled"])
@pytest.mark.parametrize("save_only", [True, False])
def test_files(tmp_path, opened, vis_opt, save_only):
    path = tmp_path / "net.v1"
    tl.log_forward_pass(
        Net(), X, vis_opt=vis_opt, vis_outpath=str(path), vis_save_only=save_only, vis_fileformat="svg"
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net.v1", "net.v1.svg"]
    assert path.read_text(encoding="utf-8").startswith("digraph")
    assert ("↻" in (tmp_path / "net.v1.svg").read_text(encoding="utf-8")) is (vis_opt == "rolled")
    assert opened == ([] if save_only else ["net.v1.svg"])


def test_nothing_is_drawn_unless_asked(tmp_path, opened, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tl.log_forward_pass(Net(), X)
    assert not opened
    assert not list(tmp_path.iterdir())


def test_options_reach_the_picture(tmp_path, opened):
    path = tmp_path / "net"
    tl.show_model_graph(
        Net(),
        X,
        vis_opt="rolled",
        vis_outpath=str(path),
        vis_nesting_depth=1,
        vis_buffer_layers=True,
        vis_direction="leftright",
        vis_node_overrides={
            "label": lambda history, layer: "shifted" if layer.layer_type == "add" else None
        },
        vis_module_overrides={"fillcolor": "#abcdef"},
        vis_fileformat="svg",
    )
    source, picture = path.read_text(encoding="utf-8"), (tmp_path / "net.svg").read_text(encoding="utf-8")
    assert "rankdir=LR" in source
    for word in ("inner", "shift", "shifted"):
        assert word in source
    assert "tanh" not in source
    assert "#abcdef" in picture


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vis_opt": "roled"}, "vis_opt is 'roled'. Expected 'none' or 'rolled' or 'unrolled'."),
        ({"vis_direction": "up"}, "direction is 'up'. Expected 'topdown' or 'bottomup' or 'leftright'."),
        (
            {"vis_fileformat": "bmp"},
            "vis_fileformat is 'bmp'. Expected 'svg' or 'png' or 'pdf' or 'dot' or 'json'.",
        ),
        (
            {"vis_node_overrides": {"shape": "oval"}},
            "node overrides: there is no attribute 'shape'. Expected fillcolor, color, fontcolor, penwidth, style, "
            "label, tooltip.",
        ),
    ],
)
def test_bad_options(options, message):
    ran = []
    model = nn.Linear(3, 3)
    model.register_forward_hook(lambda *_: ran.append(1))
    for function in (tl.log_forward_pass, tl.show_model_graph):
        with pytest.raises(tl.ArgumentError) as caught:
            function(model, X, **options)
        assert str(caught.value) == message
    assert not ran, "before anything runs"


def test_without_the_graphviz_package(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(graphviz, "graphviz", None)
    with pytest.warns(UserWarning, match=r"graphviz.* No DOT source was written\."):
        tl.log_forward_pass(
            Net(), X, vis_opt="rolled", vis_outpath=str(tmp_path / "net"), vis_fileformat="svg"
        )
    assert [file.name for file in tmp_path.iterdir()] == ["net.svg"]


def test_without_a_writer_of_the_format(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(pdf, "reportlab", None)
    path = tmp_path / "net"
    with pytest.warns(UserWarning, match=r"reportlab.* The picture is in .*net\.svg\."):
        history = tl.log_forward_pass(Net(), X, vis_opt="rolled", vis_outpath=str(path))
    assert len(history)
    assert opened == ["net.svg"]


def test_without_engines(tmp_path, opened, monkeypatch):
    """The own layout needs none."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    tl.log_forward_pass(Net(), X, vis_opt="rolled", vis_outpath=str(tmp_path / "net"), vis_fileformat="svg")
    assert opened == ["net.svg"]
