"""Pictures: what stands in the DOT source, where files go, and what is said when none can be made."""

from __future__ import annotations

import html
import re
import subprocess
from dataclasses import dataclass

import pytest
import torch
from torch import nn

import torchlens_core as tl
from torchlens_core import draw
from torchlens_core.draw import display, dot, engines

pytest.importorskip("graphviz")


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.register_buffer("shift", torch.ones(3))

    def forward(self, x):
        return torch.tanh(self.fc(x) + self.shift)


class Net(nn.Module):
    """A module called twice, one with two inside, a buffer, a condition."""

    def __init__(self):
        super().__init__()
        self.inner = Inner()
        self.outer = nn.Sequential(nn.Linear(3, 3), nn.ReLU())

    def forward(self, x):
        for _ in range(2):
            x = self.inner(x)
        if x.sum() > -9.0:
            x = self.outer(x)
        return x * 2


@pytest.fixture(scope="module")
def history():
    return tl.log_forward_pass(Net(), torch.rand(2, 3))


@dataclass
class Parsed:
    """What a DOT source draws."""

    #: By node: the text of its label, tags left out, and the clusters around it.
    texts: dict[str, str]
    clusters: dict[str, tuple[str, ...]]
    edges: list[tuple[str, str]]

    @property
    def titles(self) -> list[str]:
        return [text.split("\n")[0].split("  ")[0] for text in self.texts.values()]

    def named(self, start: str) -> list[str]:
        return [text for text in self.texts.values() if text.startswith(start)]

    @property
    def named_edges(self) -> list[tuple[str, str]]:
        titles = dict(zip(self.texts, self.titles, strict=True))
        return [(titles[tail], titles[head]) for tail, head in self.edges]


def parsed(source: str) -> Parsed:
    """Nodes in their order, whatever colours and sizes they have."""
    found = Parsed({}, {}, [])
    around: list[str] = []
    for line in source.splitlines():
        line = line.strip()
        if line.startswith("subgraph"):
            around.append("?")
        elif line == "}" and around:
            around.pop()
        elif around and around[-1] == "?" and (label := re.search(r"label=<(.*?)> labeljust", line)):
            around[-1] = html.unescape(label[1])
        elif node := re.match(r"(n\d+) \[label=<(.*)> color=", line):
            text = re.sub(r"<BR/>", "\n", node[2])
            found.texts[node[1]] = html.unescape(re.sub(r"<.*?>", "", text))
            found.clusters[node[1]] = tuple(around)
        elif edge := re.match(r"(n\d+) -> (n\d+)$", line):
            found.edges.append((edge[1], edge[2]))
    order = sorted(found.texts, key=lambda name: int(name[1:]))
    found.texts = {name: found.texts[name] for name in order}
    return found


def picture(history: tl.ModelHistory, **options) -> Parsed:
    return parsed(draw.dot_source(history, **options).source)


LINE = [
    ("input.0", "linear"),
    ("linear", "add"),
    ("add", "tanh"),
    ("tanh", "linear"),
    ("tanh", "sum"),
    ("sum", "gt"),
    ("gt", "bool"),
    ("tanh", "linear"),
    ("linear", "relu"),
    ("relu", "mul"),
    ("mul", "output"),
]


def test_rolled(history):
    found = picture(history, rolled=True)
    assert found.titles == [
        "input.0",
        "linear",
        "add",
        "tanh",
        "sum",
        "gt",
        "bool",
        "linear",
        "relu",
        "mul",
        "output",
    ]
    assert found.named_edges == LINE
    assert [text.split("\n")[0] for text in found.texts.values() if "x2" in text] == [
        "linear  12  x2",
        "add  x2",
        "tanh  x2",
    ]


def test_unrolled(history):
    found = picture(history, rolled=False)
    loop = ["linear", "add", "tanh"]
    assert found.titles == ["input.0", *loop, *loop, "sum", "gt", "bool", "linear", "relu", "mul", "output"]
    assert not any("x2" in text for text in found.texts.values())
    assert len(found.edges) == len(found.texts) - 1, "no way back: it is a tree here"


def test_clusters(history):
    found = picture(history, rolled=False)
    around = [names for names in found.clusters.values() if names]
    assert sorted(set(around)) == [("inner  Inner",), ("inner:2  Inner",), ("outer  Sequential",)]
    rolled = picture(history, rolled=True)
    assert set(rolled.clusters.values()) == {(), ("inner  Inner",), ("outer  Sequential",)}


def test_modules_with_one_op_share_its_box(history):
    (linear, *_) = picture(history).named("linear")
    assert linear == "linear  12  x2\nf32[2, 3]   fc"


@pytest.mark.parametrize(
    ("depth", "titles"),
    [
        (1, ["input.0", "inner", "sum", "gt", "bool", "outer", "mul", "output"]),
        (2, ["input.0", "linear", "add", "tanh", "sum", "gt", "bool", "linear", "relu", "mul", "output"]),
        (0, ["input.0", "linear", "add", "tanh", "sum", "gt", "bool", "linear", "relu", "mul", "output"]),
    ],
)
def test_depth(history, depth, titles):
    assert picture(history, rolled=True, depth=depth).titles == titles


def test_closed_modules(history):
    found = picture(history, rolled=False, depth=1)
    assert found.named("inner") == ["inner  Inner  12\n3 ops"] * 2
    assert found.named("outer") == ["outer  Sequential  12\n2 ops"]
    assert found.named_edges[:3] == [("input.0", "inner"), ("inner", "inner"), ("inner", "sum")]
    assert set(found.clusters.values()) == {()}


def test_closed_modules_say_how_often_they_are_called(history):
    (inner,) = picture(history, rolled=True, depth=1).named("inner")
    assert "x2" in inner


def test_buffers(history):
    assert "inner.shift" not in picture(history).titles
    found = picture(history, buffers=True)
    assert "inner.shift" in found.titles
    assert ("inner.shift", "add") in found.named_edges


def test_parameters_are_counted_and_not_drawn(history):
    assert not any("weight" in title for title in picture(history, buffers=True).titles)
    assert "11 ops   24 params" in draw.dot_source(history).source


def test_escapes_show_their_value(history):
    assert picture(history).named("bool") == ["bool\n= True"]


@pytest.mark.parametrize(
    ("direction", "rankdir"), [("bottomup", "BT"), ("topdown", "TB"), ("leftright", "LR")]
)
def test_direction(history, direction, rankdir):
    assert f"rankdir={rankdir} " in draw.dot_source(history, direction=direction).source


@pytest.mark.parametrize("rolled", [True, False])
@pytest.mark.parametrize("depth", [1, 2, 1000])
def test_counts(history, rolled, depth):
    made = draw.dot_source(history, rolled=rolled, depth=depth)
    found = parsed(made.source)
    assert (made.boxes, made.arrows, made.depth) == (len(found.texts), len(found.edges), depth)


def test_depth_that_keeps_within_the_budget(history, monkeypatch):
    assert draw.depth_for(history) >= 2
    monkeypatch.setattr(dot, "BOX_BUDGET", 9)
    assert draw.depth_for(history) == 1
    assert draw.dot_source(history, depth=1).boxes <= 9


def test_names_that_are_markup_are_escaped():
    class Odd(nn.Module):
        def forward(self, x):
            return x['<b>&"quoted"'] + 1

    history = tl.log_forward_pass(Odd(), {'<b>&"quoted"': torch.rand(2)})
    source = draw.dot_source(history).source
    assert "&lt;b&gt;&amp;" in source
    assert engines.render(source, "svg").count(b"<svg") == 1


def test_empty_history():
    class Nothing(nn.Module):
        def forward(self):
            return None

    made = draw.dot_source(tl.log_forward_pass(Nothing(), None))
    assert (made.boxes, made.arrows) == (0, 0)


# -- files -------------------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch):
    """Pictures that would have been shown."""
    shown: list[str] = []
    monkeypatch.setattr(display, "_open", lambda drawn, *_: shown.append(drawn.name))
    return shown


@pytest.fixture
def fake_engine(monkeypatch):
    """An engine that needs no time."""
    monkeypatch.setattr(display, "render", lambda source, fileformat: f"{fileformat} of {source}".encode())


@pytest.mark.parametrize("options", [{"vis_opt": "rolled"}, {"vis_opt": "unrolled"}])
@pytest.mark.parametrize("save_only", [True, False])
def test_files(tmp_path, opened, fake_engine, options, save_only):
    path = tmp_path / "net.v1"
    tl.log_forward_pass(
        Net(),
        torch.rand(2, 3),
        vis_outpath=str(path),
        vis_save_only=save_only,
        vis_fileformat="svg",
        **options,
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net.v1", "net.v1.svg"]
    source = path.read_text(encoding="utf-8")
    assert (tmp_path / "net.v1.svg").read_text(encoding="utf-8") == f"svg of {source}"
    assert ("x2" in source) is (options["vis_opt"] == "rolled")
    assert opened == ([] if save_only else ["net.v1.svg"])


def test_options_reach_the_picture(tmp_path, opened, fake_engine):
    path = tmp_path / "net"
    options = {"vis_nesting_depth": 1, "vis_buffer_layers": True, "vis_direction": "leftright"}
    tl.show_model_graph(Net(), torch.rand(2, 3), vis_outpath=str(path), **options)
    source = path.read_text(encoding="utf-8")
    assert "rankdir=LR" in source
    assert parsed(source).titles[:4] == ["input.0", "inner", "inner.shift", "inner"]


@pytest.mark.skipif(not engines.engines_found(), reason="no drawing engine is installed")
@pytest.mark.parametrize(
    ("fileformat", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")]
)
def test_real_pictures(history, fileformat, start):
    assert engines.render(draw.dot_source(history).source, fileformat).startswith(start)


# -- errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vis_opt": "roled"}, "vis_opt is 'roled'. Expected 'none' or 'rolled' or 'unrolled'."),
        (
            {"vis_opt": "rolled", "vis_direction": "up"},
            "vis_direction is 'up'. Expected 'bottomup' or 'topdown' or 'leftright'.",
        ),
    ],
)
def test_bad_options(options, message):
    for function in (tl.log_forward_pass, tl.show_model_graph):
        with pytest.raises(tl.ArgumentError) as caught:
            function(Net(), torch.rand(2, 3), **options)
        assert str(caught.value) == message


ADVICE = "Install the extra with pip install 'pytest-torchlens[pictures]', or draw fewer levels of modules."


def test_no_engine(monkeypatch):
    monkeypatch.setattr(engines, "engines_found", list)
    with pytest.raises(tl.DrawingError) as caught:
        engines.render("digraph {}")
    assert str(caught.value) == (
        f"No picture could be made: neither pygraphviz nor the program dot is installed. {ADVICE}"
    )


def _engines(monkeypatch, **answers) -> None:
    """Engines that answer so: bytes, words on standard error, or None for silence until the time is up."""
    asked = iter(answers.values())

    def run(command, **options):
        answer = next(asked)
        if answer is None:
            raise subprocess.TimeoutExpired(command, options["timeout"])
        picture, words = (answer, b"") if isinstance(answer, bytes) else (b"", answer.encode())
        return subprocess.CompletedProcess(command, 0 if picture else 1, picture, words)

    monkeypatch.setattr(engines, "engines_found", lambda: list(answers))
    monkeypatch.setattr(engines.subprocess, "run", run)


def test_what_each_engine_said(monkeypatch):
    _engines(monkeypatch, pygraphviz=None, dot="Warning: odd\nError: syntax error")
    with pytest.raises(tl.DrawingError) as caught:
        engines.render("digraph {", timeout=2.5)
    assert str(caught.value) == (
        "No picture could be made: pygraphviz: no layout within 2.5 s; dot: Error: syntax error. " + ADVICE
    )


def test_engine_that_says_nothing(monkeypatch):
    _engines(monkeypatch, dot="")
    with pytest.raises(tl.DrawingError, match=r"dot: ended with status 1\."):
        engines.render("digraph {}")


def test_the_next_engine_is_asked(monkeypatch):
    _engines(monkeypatch, pygraphviz="died", dot=b"picture")
    assert engines.render("digraph {}") == b"picture"


def test_history_is_not_lost_for_want_of_an_engine(monkeypatch, tmp_path):
    monkeypatch.setattr(engines, "engines_found", list)
    path = tmp_path / "net"
    with pytest.warns(
        UserWarning, match=r"No picture could be made: .* The graph is in .*net, as DOT source\."
    ):
        history = tl.log_forward_pass(Net(), torch.rand(2, 3), vis_opt="rolled", vis_outpath=str(path))
    assert history.num_operations == len(history)
    assert [file.name for file in tmp_path.iterdir()] == ["net"]
    assert path.read_text(encoding="utf-8").startswith("digraph {")


def test_graphviz_package_missing(history, monkeypatch):
    monkeypatch.setattr(dot, "graphviz", None)
    with pytest.raises(tl.DrawingError) as caught:
        draw.dot_source(history)
    assert str(caught.value) == (
        "Pictures need the graphviz package, which is not installed. "
        "Install the extra: pip install 'pytest-torchlens[pictures]'."
    )


def test_history_is_not_lost_for_want_of_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(dot, "graphviz", None)
    with pytest.warns(UserWarning, match="Pictures need the graphviz package"):
        history = tl.log_forward_pass(
            Net(), torch.rand(2, 3), vis_opt="rolled", vis_outpath=str(tmp_path / "net")
        )
    assert len(history)
