"""Odd models, odd options and odd circumstances: a picture is drawn, and it is true; or the error says what to do."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time

import placed_texts
import programs
import pytest
import torch
import true_sheets
from models import Of, With
from torch import nn

import torchlens_core as tl
from torchlens_core import draw
from torchlens_core.snapshot import take_snapshot

X = torch.rand(2, 3)


def log(model, *args):
    return tl.log_forward_pass(model, list(args))


def block():
    return nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))


class Deep(nn.Module):
    """Modules in modules, each with something to do before and after."""

    def __init__(self, depth):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.inner = Deep(depth - 1) if depth else None

    def forward(self, x):
        x = self.fc(x).relu()
        return self.inner(x) + x if self.inner is not None else x


def loops(x):
    for _ in range(3):
        for _ in range(4):
            for _ in range(2):
                x = (x * 1.5).sin()
            x = x + 1
        x = x.relu()
    return x


def recursive(model, x, depth=5):
    x = model.fc(x).tanh()
    return model(x, depth - 1) * 2 if depth else x


def stages():
    """Equal blocks in equal stages."""
    return nn.Sequential(*(nn.Sequential(block(), block(), block()) for _ in range(3)))


SHARED = block()
MODELS = {
    "nothing": lambda: log(Of(lambda a: None), X),
    "outputs only": lambda: tl.log_forward_pass(Of(lambda: torch.ones(2)), None),
    "input is output": lambda: log(Of(lambda a: a), X),
    "one output five times": lambda: log(Of(lambda a: [a.relu()] * 5), X),
    "parameter is output": lambda: tl.log_forward_pass(
        With(lambda m: m.fc.weight, fc=nn.Linear(2, 2)), None
    ),
    "deep": lambda: log(Deep(20), X),
    "recursion": lambda: log(With(recursive, fc=nn.Linear(3, 3)), X),
    "shared": lambda: log(With(lambda m, x: m.b(m.a(x)) + m.a(x), a=SHARED, b=SHARED), X),
    "loops": lambda: log(With(lambda m, x: loops(x)), X),
    "in place": lambda: log(Of(lambda a: a.clone().add_(1).mul_(2)), X),
    "stages": lambda: log(stages(), X),
    "lstm": lambda: log(nn.LSTM(3, 4, 2), torch.rand(5, 1, 3)),
    "transformer": lambda: log(nn.Transformer(8, 2, 2, 2, 16), torch.rand(3, 1, 8), torch.rand(2, 1, 8)),
}


@pytest.fixture(scope="module", params=MODELS)
def history(request):
    return MODELS[request.param]()


OPTIONS = [
    {},
    {"depth": 1},
    {"depth": 99, "fold": False},
    {"depth": 99, "rolled": False, "fold": False},
    {"depth": 99, "rolled": False, "fold": True},
    {"backward": True},
    {"gradients": True, "buffers": True, "values": "auto"},
    {"direction": "leftright", "budget": 5},
    {"direction": "bottomup", "depth": 2},
]


def check(picture):
    """All that can be said of a picture without knowing what it is of."""
    assert placed_texts.geometry(picture) == []
    assert placed_texts.crossings(picture) == []
    assert placed_texts.faults(picture) == []
    for fileformat in ("json", "pdf", "dot"):
        assert picture.as_bytes(fileformat)
    assert picture.silhouette()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_odd_models(history, options):
    pytest.importorskip("reportlab")
    check(draw.picture(history, engines=["ranks"], **options))


def test_odd_models_are_shown_as_they_are(history):
    check_truth(history)


def check_truth(history):
    for rolled in (True, False):
        for depth in (1, 2, 99):
            sheet = draw.picture(history, depth=depth, fold=False, rolled=rolled)._composed(70)
            assert true_sheets.lies(history, sheet, rolled=rolled) == []
    assert true_sheets.misplaced(history, sheet) == []
    entries = sum(node.kind not in ("parameter", "buffer") for node in history.recording.nodes)
    for depth in (1, 99):
        folded = draw.picture(history, depth=depth, rolled=False, fold=True)._composed(70)
        assert true_sheets.number_of_ops(folded) == entries


def program(seed):
    rng = random.Random(seed)
    torch.manual_seed(0)
    text = programs.source(rng, classes=rng.randint(1, 3), lines=rng.randint(3, 12))
    return tl.log_forward_pass(programs.model(text), programs.inputs()), rng


@pytest.mark.parametrize(
    "seeds", [range(30), pytest.param(range(30, 600), marks=pytest.mark.long)], ids=["few", "many"]
)
def test_random_programs(seeds):
    for seed in seeds:
        history, rng = program(seed)
        if len(history.recording.nodes) > 400:
            continue
        check_truth(history)
        options = {
            "rolled": rng.random() < 0.6,
            "fold": rng.choice([None, True, False]),
            "depth": rng.choice([None, 1, 2, 99]),
            "direction": rng.choice(draw.DIRECTIONS),
            "buffers": rng.random() < 0.3,
            "gradients": rng.random() < 0.3,
            "backward": rng.random() < 0.2,
            "values": rng.choice([None, "auto", "histograms"]),
            "budget": rng.choice([5, 20, 70]),
        }
        for what in (history, take_snapshot(history)):
            if what is not history:
                options = {name: options[name] for name in ("depth", "direction", "buffers", "budget")}
            picture = draw.picture(what, engines=["ranks"], **options)
            found = [
                *placed_texts.geometry(picture),
                *placed_texts.crossings(picture),
                *placed_texts.faults(picture),
            ]
            assert found == [], (seed, options)


def test_a_pass_that_failed():
    def fails(x):
        x = (x * 2).relu()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no") as caught:
        log(Of(fails), X)
    check(draw.picture(caught.value.partial_history, engines=["ranks"]))


ODD_VALUES = {
    "infinite": torch.tensor([float("inf"), -float("inf"), 1.0]),
    "nan": torch.tensor(float("nan")),
    "empty": torch.zeros(0, 3),
    "bool": torch.ones(3, dtype=torch.bool),
    "complex": torch.ones(2, 2, dtype=torch.complex64),
    "sparse": torch.rand(4, 4).to_sparse(),
    "huge": torch.tensor([[1e38, -3.4e38], [0, 1]], dtype=torch.float64) * 1e200,
    "quantized": torch.quantize_per_tensor(torch.rand(2, 2), 0.1, 0, torch.quint8),
    "float8": torch.ones(2, 2, dtype=torch.float8_e4m3fn),
    "meta": torch.ones(3, 3, device="meta"),
    "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
}


@pytest.mark.parametrize("value", ODD_VALUES.values(), ids=ODD_VALUES)
@pytest.mark.parametrize("kind", ["auto", "maps", "histograms"])
def test_values_of_any_tensor(value, kind):
    check(draw.picture(log(Of(lambda a: (a,)), value), values=kind, engines=["ranks"]))


@pytest.mark.parametrize("attribute", ["color", "fillcolor", "fontcolor", "style", "penwidth"])
@pytest.mark.parametrize("kind", ["node", "edge", "module"])
def test_every_form_with_every_override(kind, attribute):
    value = {"style": "dashed", "penwidth": 3}.get(attribute, "red")
    overrides = draw.Overrides(**{kind: {attribute: value}})
    check(draw.picture(log(stages(), X), depth=99, fold=False, overrides=overrides, engines=["ranks"]))


@pytest.mark.parametrize(
    "options",
    [
        {"opened": 3},
        {"opened": [1]},
        {"module": 3},
        {"budget": "many"},
        {"overrides": {"node": {}}},
        {"theme": "pink"},
    ],
    ids=str,
)
def test_options_that_make_no_sense(options):
    with pytest.raises(tl.ArgumentError):
        draw.picture(log(stages(), X), fold=False, engines=["ranks"], **options).svg()


# -- circumstances -----------------------------------------------------------------------------------


@pytest.fixture
def worker():
    """The history of a small model, its picture, and the process that laid it out."""
    pytest.importorskip("pygraphviz")
    from torchlens_core.draw.placing import engines

    history = log(nn.Sequential(block(), nn.Tanh()), X)
    expected = draw.picture(history, depth=99).svg()
    return history, expected, engines._the_worker._process.pid


def test_threads_draw_at_once(worker):
    history, expected, _ = worker
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(draw.picture(history, depth=99).svg()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8


def test_a_worker_that_was_killed(worker):
    history, expected, pid = worker
    os.kill(pid, signal.SIGKILL)
    assert draw.picture(history, depth=99).layout.engine in draw.engines_found()
    assert draw.picture(history, depth=99).svg() == expected


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs signals")
def test_an_interrupt_while_laying_out(worker):
    history, expected, pid = worker
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        draw.picture(history, depth=99).svg()
    assert draw.picture(history, depth=99).svg() == expected


def _draws(history, answers):
    answers.put(draw.picture(history, depth=99).svg())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "busy"])
def test_a_fork(worker, is_busy):
    """Also while another thread of the parent lays out, which holds locks that nobody in the child gives back."""
    history, expected, pid = worker
    thread = threading.Thread(target=lambda: draw.picture(history, timeout=8.0).layout)
    if is_busy:
        os.kill(pid, signal.SIGSTOP)
        thread.start()
        time.sleep(0.3)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_draws, args=(history, answers))
    child.start()
    try:
        assert answers.get(timeout=20) == expected
    finally:
        child.kill()
        if is_busy:
            thread.join()
    assert draw.picture(history, depth=99).svg() == expected
