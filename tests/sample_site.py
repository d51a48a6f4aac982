"""A gallery as a run writes it, of two models, tests that fail in every way, and names that break pages.

Made up are cards in numbers, and what is in ``odd_data``.
``python tests/sample_site.py out/sample 2000`` writes one to look at, with so many cards.
"""

from __future__ import annotations

import random
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import odd_data
import pytest
import torch
from galleries import called
from odd_data import HOSTILE
from torch import Tensor, nn

import torchlens_core as tl
from pytest_torchlens.gallery import draw, pages
from pytest_torchlens.gallery.run import ABOUT, PAGES, GalleryRun
from pytest_torchlens.gallery.store import Store, slug_of
from pytest_torchlens.records import ATTRIBUTE, ChangedSnapshot, LoggedPass, Records, SnapshotData
from torchlens_core.diff import diff_graphs

SITE = Path(pages.__file__).parent / "site"
_REASON = """\
RuntimeError: expected scalar type Float but found Half
  model_suite/cases/odd.py:31 in forward
    return self.head(x.half())
The forward pass of the model itself fails; nothing was logged."""


# -- models ----------------------------------------------------------------------------------------


class Dense(nn.Module):
    """Ten convolutions, each of all before it: two of these are too much for an overview, which leaves them closed."""

    def __init__(self, width: int, growth: int = 4) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(width + n * growth, growth, 3, padding=1) for n in range(10))
        self.out = nn.Conv2d(width + 10 * growth, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = torch.cat([x, torch.relu(conv(x))], 1)
        return self.out(x)


class Residual(nn.Module):
    """Two stages of blocks, the second of large ones."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 7, stride=2, padding=3)
        self.pool = nn.MaxPool2d(3, 2)
        blocks = [[nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()] for _ in "ab"]
        self.layer1 = nn.Sequential(*(nn.Sequential(*block) for block in blocks))
        self.layer2 = nn.Sequential(Dense(width), Dense(width), nn.Dropout(0.1), Dense(width))
        self.head = nn.Linear(width, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.layer1(self.pool(torch.relu(self.stem(image))))
        return self.head(self.layer2(x).mean((2, 3)))


class Loop(nn.Module):
    """A cell that runs six times."""

    def __init__(self, **answer: nn.Module) -> None:
        super().__init__()
        self.cell = nn.GRUCell(8, 16)
        self.answer = nn.Sequential(OrderedDict(answer))

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(1, 16)
        for _ in range(6):
            state = torch.tanh(self.cell(x, state)) + state
        return self.answer(state)


# -- what a run is told ------------------------------------------------------------------------------


def name_of(model: str) -> str:
    """The test that draws a model."""
    return f"tests/test_sample.py::test_model[sample/{model}]"


def folder(model: str) -> str:
    """Where the pages of a model lie in a site."""
    return f"models/{slug_of(name_of(model))}"


_MODELS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "residual": lambda: (Residual(), torch.rand(1, 3, 32, 32)),
    "loop": lambda: (
        Loop(first=nn.Linear(16, 16), norm=nn.LayerNorm(16), last=nn.Linear(16, 4)),
        torch.rand(1, 8),
    ),
}


@cache
def drawn(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The records of a test that logged a model, as data, and its pages; the loop is not that of its snapshot."""
    torch.manual_seed(0)
    model, given = _MODELS[name]()
    log, report = tl.log_forward_pass(model.eval(), given), tl.validate_model_activations(model, given)
    one = LoggedPass(type(model).__name__, len(log.ops), log.total_params, report, log)
    records = Records(name_of(name), [one], "passed")
    if name == "loop":
        before = Loop(first=nn.Linear(16, 16), last=nn.Linear(16, 6), soft=nn.Softmax(-1)).eval()
        old, new = map(tl.take_snapshot, (tl.log_forward_pass(before, given), log))
        said = {"name": "", "file": "tests/__lens__/test_sample/test_model.lens"}
        records.snapshots.append(SnapshotData(**said, result="changed"))
        said |= {"text": str(diff_graphs(old, new)), "accept": f"pytest --lens-update '{records.test}'"}
        records.changes.append(ChangedSnapshot(**said, old=old, new=new))
    made = {"pages": draw.pages_of(records, {}), "changes": draw.change_pages_of(records)}
    return records.as_data(), made


_NOTHING: Any = {"passes": [], "snapshots": []}, {"pages": [], "changes": []}


def _tell(
    run: GalleryRun, test: str, outcome: str = "passed", why: Any = None, of: Any = _NOTHING, **about: Any
) -> None:
    """Tell a run of a test that is over, by the reports that pytest makes."""
    about = {"facets": {"source": ["sample"]}, "is_lens": True, **about}
    reports = [("call", outcome, why), ("teardown", "passed", None)]
    for when, came, because in [("???", "failed", why)] if outcome == "crashed" else reports:
        told = {ABOUT: about, ATTRIBUTE: of[0], PAGES: of[1]}
        report = pytest.TestReport(test, ("", 0, ""), {}, came, because, when, **told)  # type: ignore[arg-type]
        run.pytest_runtest_logreport(report)


def _run(out: Path) -> GalleryRun:
    """A run whose configuration says what a gallery asks of it."""
    plugins = SimpleNamespace(get_plugin=lambda name: None)
    config: Any = SimpleNamespace(getini=lambda name: "Menagerie", pluginmanager=plugins)
    return GalleryRun(config, out)


def page_of(**fields: Any) -> dict[str, Any]:
    """The page of a graph as a worker sends it, for the most part empty."""
    return asdict(draw.Page(**{"number": 1, "passes": 1, "key": "", **fields}))


# -- what means harm ---------------------------------------------------------------------------------


def _tell_hostile(run: GalleryRun) -> None:
    passes = [{"model": HOSTILE[1], "ops": None, "parameters": None, "valid": None}]
    picture = {"name": HOSTILE[0], "kind": "depth", "notes": list(HOSTILE)}
    silhouette = drawn("loop")[1]["pages"][0]["silhouette"]
    page = page_of(pictures=[picture], svgs=[odd_data.picture()], silhouette=silhouette)
    of = {"passes": passes, "snapshots": []}, {"pages": [page], "changes": []}
    facets = {"source": ["odd"], "family": list(HOSTILE), "__proto__": ["odd"]}
    why = "", 0, "\n".join(HOSTILE)
    _tell(run, name_of("hostile"), "skipped", why, of, title=HOSTILE[0], facets=facets)
    _tell(run, f"tests/test_odd.py::test[{HOSTILE[5]}]", facets=facets)


def _write_odd(out: Path) -> None:
    (out / folder("hostile") / "1" / "data.js").write_bytes(pages.script("lens.model", odd_data.model()))
    _, (index,) = called(out / "cards.js")
    for name, odd in odd_data.INDEX.items():
        index[name] += odd
    (out / "cards.js").write_bytes(pages.script("lens.cards", index))


# -- the whole ---------------------------------------------------------------------------------------

_FAMILIES = """
resnet vgg densenet swin vit convnext efficientnet mobilenet regnet mnasnet squeezenet googlenet bert gpt t5
""".split()


def _made_up(place: int, chance: random.Random, like: dict[str, Any]) -> dict[str, Any]:
    """A record, made of another one, of a test of which there is a silhouette and no page."""
    family = _FAMILIES[min(int(chance.expovariate(0.25)), len(_FAMILIES) - 1)]
    source = chance.choice(("torchvision", "timm", "timm", "transformers", "diffusers"))
    title = f"{source}/{family}_{place}"
    test = f"model_suite/test_menagerie.py::test_model[{title}]"
    page = {
        "model": f"{family.title()}Model",
        "ops": int(chance.lognormvariate(5, 1)) + 3,
        "parameters": int(chance.lognormvariate(16, 1.5)),
        "valid": chance.choice((True, None)),
        "is_recurrent": place % 9 == 0,
    }
    own = {
        "test": test,
        "slug": slug_of(test),
        "title": title,
        "file": test.partition("::")[0],
        "facets": {"source": [source], "family": [family]},
        "pages": [like["pages"][0] | page],
    }
    return like | own


def write(out: Path, number: int = 60, *, finished: bool = True, with_hostile: bool = True) -> Path:
    """A site of two runs, with so many cards at least; its index.html."""
    earlier = _run(out)
    untried = page_of(structure="x", trouble="DrawingError: dot is not installed")
    of = drawn("loop")[0], {"pages": [untried], "changes": []}
    _tell(earlier, name_of("broken_not_drawn"), of=of)
    run = _run(out)
    for name in ("loop", "residual"):
        _tell(run, name_of(name), of=drawn(name), facets={"source": ["sample"], "family": [name]})
    for outcome in ("failed", "crashed"):
        _tell(run, name_of(f"broken_{outcome}"), outcome, _REASON)
    _tell(run, name_of("broken_skipped"), "skipped", ("", 0, "Skipped: needs detectron2"))
    if with_hostile:
        _tell_hostile(run)
    run.pytest_sessionfinish(pytest.ExitCode.OK if finished else pytest.ExitCode.INTERRUPTED)
    store, chance = Store(out), random.Random(0)
    records, mark = store.records(), store.mark()
    (like,) = (one for one in records if one["test"] == name_of("residual"))
    silhouettes = [pages.encoded(drawn(name)[1]["pages"][0]["silhouette"]) for name in ("loop", "residual")]
    for place in range(number - len(records) - len(odd_data.INDEX["cards"]) * with_hostile):
        records.append(_made_up(place, chance, like))
        store.write(f"models/{records[-1]['slug']}/1/silhouette.svg", silhouettes[place % 2])
    store.write_index("Menagerie", mark, records)
    if with_hostile:
        _write_odd(out)
    return out / "index.html"


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 60))
