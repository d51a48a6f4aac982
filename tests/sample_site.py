"""A gallery of made-up tests, with pictures of real models: what the pages of a site are tried on.

``python tests/sample_site.py out/sample 2000`` writes one to look at, with so many cards.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, FileSystemLoader
from torch import Tensor, nn

import torchlens_core as tl
from torchlens_core import ModelHistory, draw

SITE = Path(__file__).parent.parent / "pytest_torchlens" / "gallery" / "site"
#: Names that break pages which put them together as text.
HOSTILE = (
    "<script>document.title='pwned'</script>",
    "\"'><img src=x onerror=\"document.title='pwned'\">",
    "__proto__",
    "constructor",
    "שלום \u202eevil\u202c 🦩 &amp; </svg>",
    "x" * 10_000,
    "a b%20c%",
    "{{ 7 * 7 }}",
    "javascript:alert(1)",
)


# -- models ----------------------------------------------------------------------------------------


class Block(nn.Module):
    """Two convolutions beside a way around them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x + self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))


class Residual(nn.Module):
    """Three stages of blocks, as in a ResNet."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 7, stride=2, padding=3)
        self.pool = nn.MaxPool2d(3, 2)
        self.layer1 = nn.Sequential(Block(width), Block(width))
        self.down = nn.Conv2d(width, 2 * width, 1, stride=2)
        self.layer2 = nn.Sequential(Block(2 * width), Block(2 * width), nn.Dropout(0.1), Block(2 * width))
        self.head = nn.Linear(2 * width, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.layer1(self.pool(torch.relu(self.stem(image))))
        return self.head(self.layer2(self.down(x)).mean((2, 3)))


class Loop(nn.Module):
    """A cell that runs six times."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(8, 16)
        self.answer = nn.Sequential(nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 4))

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(1, 16)
        for _ in range(6):
            state = torch.tanh(self.cell(x, state)) + state
        return self.answer(state)


@cache
def history(kind: str) -> ModelHistory:
    torch.manual_seed(0)
    model, given = {
        "Residual": (Residual(), torch.rand(1, 3, 64, 64)),
        "Loop": (Loop(), torch.rand(1, 8)),
    }[kind]
    return tl.log_forward_pass(model.eval(), given)


# -- pages of models -------------------------------------------------------------------------------

#: Of each model: name, kind, module, and how it is drawn.
VIEWS: dict[str, list[tuple[str, str, str, dict[str, Any]]]] = {
    "Residual": [
        ("overview", "depth", "", {"depth": 2, "closed": ["layer2*"]}),
        ("depth 1", "depth", "", {"depth": 1}),
        ("depth 2", "depth", "", {"depth": 2}),
        ("everything", "depth", "", {"depth": 9}),
        ("layer1", "module", "layer1", {"module": "layer1"}),
        ("layer1.0", "module", "layer1.0", {"module": "layer1.0"}),
        ("layer2", "module", "layer2", {"module": "layer2", "fold": False}),
    ],
    "Loop": [
        ("overview", "depth", "", {}),
        ("each pass", "depth", "", {"rolled": False}),
        ("answer", "module", "answer", {"module": "answer"}),
    ],
}


@cache
def pictures(kind: str) -> tuple[tuple[dict[str, Any], str], ...]:
    """Of each view, what data.js says of it, and the SVG."""
    found = []
    for number, (name, form, module, options) in enumerate(VIEWS[kind]):
        picture = draw.picture(history(kind), theme="auto", **options)
        depth = options.get("depth") if name.startswith("depth") else None
        said = {
            "name": name,
            "kind": form,
            "module": module,
            "depth": depth,
            "rolled": options.get("rolled", True),
        }
        said |= {
            "boxes": len(picture.sheet.boxes),
            "file": f"pictures/{number}.js",
            "notes": list(picture.notes),
        }
        found.append((said, picture.svg(prefix="p-", data=True)))
    return tuple(found)


@cache
def silhouettes() -> tuple[str, ...]:
    return tuple(draw.picture(history(kind), depth=9).silhouette() for kind in VIEWS)


def described(kind: str) -> dict[str, Any]:
    """data.js of a model."""
    log = history(kind)
    views = [said for said, _ in pictures(kind)]
    modules = []
    for address in log.module_addresses:
        like = "layer1.0" if address == "layer1.1" else ""
        modules.append(
            {
                "address": address,
                "class": log.module_types[address],
                "depth": address.count(".") + 1,
                "parameters": log.module_nparams[address],
                "passes": log.module_num_passes[address],
                "shape": "",
                "like": like,
            }
        )
    sources: list[dict[str, str]] = []
    return {
        "title": f"sample/{kind.lower()}",
        "model": kind,
        "test": f"tests/test_sample.py::test_model[sample/{kind.lower()}]",
        "number": 1,
        "reason": "",
        "facets": {"status": ["passed", "validated"], "source": ["sample"], "family": [kind.lower()]},
        "ops": log.num_operations,
        "layers_total": len(log.layer_labels),
        "parameters": log.total_params,
        "device": "cpu",
        "seconds": 0.05,
        "structure": "5fbef106f65a3090",
        "changes": [{"name": "", "href": "../change-1/index.html"}],
        "pictures": views,
        "modules": modules,
        "layers": list(_layers(log, sources)),
        "sources": sources,
        "omitted": 0,
    }


def _layers(log: ModelHistory, sources: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    done = set()
    for op in log.layer_list:
        label = op.layer_label_no_pass
        if label in done or op.is_buffer_layer:
            continue
        done.add(label)
        contents = op.tensor_contents
        module = op.containing_module_origin
        plain = lambda labels: list(
            dict.fromkeys(one.partition(":")[0] for one in labels if "buffer" not in one)
        )
        if op.source:
            place = f"{Path(op.source.filename).name}:{op.source.line}"
            sources.append(
                {"place": place, "code": op.source.source if hasattr(op.source, "source") else "x = …"}
            )
        yield {
            "label": label,
            "name": op.func_applied_name or op.layer_type,
            "category": _category(op.layer_type),
            "module": module.partition(":")[0] if module else "",
            "arguments": "3→16 k7 s2 p3" if "conv" in label else "",
            "shape": "×".join(map(str, op.tensor_shape or ())),
            "dtype": str(op.tensor_dtype).removeprefix("torch."),
            "parameters": op.num_params_total,
            "passes": op.layer_passes_total,
            "sources": [0, len(sources) - 1] if op.source else [],
            "reads": plain(op.parent_layers),
            "read_by": plain(op.child_layers),
            "statistics": _statistics(contents) if isinstance(contents, Tensor) else None,
        }


def _category(name: str) -> str:
    for part, category in (
        ("conv", "convolution"),
        ("linear", "linear"),
        ("norm", "normalization"),
        ("pool", "pooling"),
    ):
        if part in name:
            return category
    return {
        "relu": "activation",
        "gelu": "activation",
        "tanh": "activation",
        "input": "input",
        "output": "output",
    }.get(name, "arithmetic")


def _statistics(tensor: Tensor) -> dict[str, Any]:
    low, high = tensor.min().item(), tensor.max().item()
    bars = torch.histc(tensor.float(), 16, low, high).int().tolist() if low < high else [tensor.numel()]
    std = tensor.float().std(correction=0).item()
    zeros = (tensor == 0).float().mean().item()
    return {
        "min": low,
        "max": high,
        "mean": tensor.float().mean().item(),
        "std": std,
        "zeros": zeros,
        "nan": 0,
        "histogram": bars,
    }


def hostile() -> dict[str, Any]:
    """data.js of a model whose names come from someone who means harm, and which lacks what others have."""
    modules = [
        {"address": f"{name}.{name}" if number % 2 else name, "class": name}
        for number, name in enumerate(HOSTILE)
    ]
    modules += [{"address": "toString", "picture": 99, "like": "toString", "parameters": None}, {}, None, 3]
    layers = [
        {
            "label": name,
            "name": name,
            "module": name,
            "arguments": name,
            "shape": name,
            "reads": list(HOSTILE),
            "read_by": [name, None],
            "sources": [0, 7, "x"],
            "statistics": {"histogram": "odd", "min": name},
        }
        for name in HOSTILE
    ]
    return {
        "title": HOSTILE[0],
        "model": HOSTILE[1],
        "test": HOSTILE[4],
        "facets": {name: [name] for name in HOSTILE},
        "pictures": [
            {"name": HOSTILE[0], "kind": "depth", "file": "pictures/0.js"},
            {"name": "gone", "kind": "depth", "file": "pictures/1.js"},
            None,
        ],
        "modules": modules,
        "layers": [*layers, {}, None, "odd"],
        "sources": [{"place": HOSTILE[0], "code": HOSTILE[1]}],
        "changes": [{"name": HOSTILE[0], "href": "javascript:alert(1)"}, None],
    }


def hostile_svg() -> str:
    """A picture with boxes of these names, written as the writer of pictures does."""
    import html

    boxes = "".join(
        f'<g data-op="{html.escape(name.replace("%", "%25").replace(" ", "%20"))}" '
        f'transform="translate(10 {10 + 40 * number})">'
        f'<title>{html.escape(name[:90])}</title><rect width="220" height="30" fill="#dbeafb"/>'
        f'<text x="6" y="19" font-size="12">{html.escape(name[:30])}</text></g>'
        for number, name in enumerate(HOSTILE)
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="240" height="400" viewBox="0 0 240 400">{boxes}</svg>'


# -- a changed snapshot ----------------------------------------------------------------------------

_DIFF = """\
tests/__lens__/test_net/test_graph.lens: the graph of Net has changed

@@ blocks.1 (Block)
-   act: ReLU relu(_) -> f32[1, 16, 30, 30]
+   act: GELU gelu(_) -> f32[1, 16, 30, 30]
@@ head (Linear)
~   linear(_) -> f32[1, 10] became f32[1, 100]
    2 ops changed, 1 added, 1 removed; 16 ops unchanged"""


def changed() -> dict[str, Any]:
    first, second, third = (pictures("Residual")[number][1] for number in (1, 2, 5))
    return {
        "title": "sample/residual",
        "test": "tests/test_sample.py::test_model[sample/residual]",
        "file": "tests/__lens__/test_sample/test_model.lens",
        "name": "",
        "text": _DIFF,
        "pictures": [
            {"name": "both", "svg": third},
            {"name": "before", "svg": first},
            {"name": "after", "svg": second},
        ],
        "accept": "pytest --lens-update 'tests/test_sample.py::test_model[sample/residual]'",
    }


# -- the index -------------------------------------------------------------------------------------

_FAMILIES = """
resnet vgg densenet swin vit convnext efficientnet mobilenet regnet mnasnet squeezenet googlenet bert gpt t5
""".split()
_REASON = """\
RuntimeError: expected scalar type Float but found Half
  model_suite/cases/odd.py:31 in forward
    return self.head(x.half())
The forward pass of the model itself fails; nothing was logged."""


_HOSTILE_CARDS: list[dict[str, Any]] = [
    {
        "title": HOSTILE[0],
        "model": HOSTILE[1],
        "test": HOSTILE[5],
        "href": "models/hostile/1/index.html",
        "facets": {"source": ["odd"], "family": list(HOSTILE), "__proto__": ["odd"], "status": "odd"},
        "reason": "\n".join(HOSTILE),
        "ops": None,
    },
    {"href": "javascript:alert(1)", "silhouette": "//example.com/x.svg", "test": HOSTILE[4]},
    {},
]


def cards(number: int, *, with_hostile: bool = True) -> list[dict[str, Any]]:
    """So many cards: the two real models, some that failed, hostile ones, and many made up."""
    found = [_card(kind, place) for place, kind in enumerate(VIEWS)]
    found += [_bad_card(place) for place in range(4)]
    found += _HOSTILE_CARDS if with_hostile else []
    chance = random.Random(0)
    return (found + [_made_up(place, chance) for place in range(max(0, number - len(found)))])[:number]


def _card(kind: str, place: int) -> dict[str, Any]:
    data = described(kind)
    return {
        **{name: data[name] for name in ("title", "model", "test", "ops", "parameters")},
        "href": f"models/{kind.lower()}/1/index.html",
        "silhouette": f"models/{kind.lower()}/1/silhouette.svg",
        "passes": 1,
        "facets": {
            **data["facets"],
            "status": ["passed", "changed" if place == 0 else "validated"],
            "size": ["< 100 ops"],
        },
        "changes": [{"name": "", "href": "models/residual/change-1/index.html"}] if place == 0 else [],
        "reason": "",
        "is_bad": False,
        "is_earlier": False,
    }


def _bad_card(place: int) -> dict[str, Any]:
    status = ("failed", "crashed", "skipped", "not drawn")[place]
    title = f"sample/broken_{status.replace(' ', '_')}"
    return {
        "title": title,
        "model": "",
        "test": f"tests/test_sample.py::test_model[{title}]",
        "href": None,
        "silhouette": None,
        "ops": 0,
        "parameters": 0,
        "passes": 0,
        "facets": {"status": [status], "source": ["sample"]},
        "changes": [],
        "reason": _REASON if place < 2 else "needs detectron2, which is not installed",
        "is_bad": place < 2,
        "is_earlier": place == 3,
    }


def _made_up(place: int, chance: random.Random) -> dict[str, Any]:
    family = _FAMILIES[min(int(chance.expovariate(0.25)), len(_FAMILIES) - 1)]
    source = chance.choice(("torchvision", "timm", "timm", "transformers", "diffusers"))
    title = f"{source}/{family}_{place}"
    ops = int(chance.lognormvariate(5, 1)) + 3
    size = next(
        name
        for most, name in (
            (100, "< 100 ops"),
            (500, "100–500 ops"),
            (1000, "500–1,000 ops"),
            (10**9, "> 1,000 ops"),
        )
        if ops < most
    )
    status = ["passed", chance.choice(("validated", "same"))]
    return {
        "title": title,
        "model": f"{family.title()}Model",
        "test": f"model_suite/test_menagerie.py::test_model[{title}]",
        "href": f"models/{source}-{family}-{place}-1aa49e/1/index.html",
        "silhouette": f"models/{source}-{family}-{place}-1aa49e/1/silhouette.svg",
        "ops": ops,
        "parameters": int(chance.lognormvariate(16, 1.5)),
        "passes": 1,
        "facets": {
            "status": status,
            "source": [source],
            "family": [family],
            "size": [size],
            "kind": ["loops"] if place % 9 == 0 else [],
        },
        "changes": [],
        "reason": "",
        "is_bad": False,
        "is_earlier": False,
    }


#: Fields of a card that most have: its list has them in this order, and the others in a record at the end.
_COLUMNS = ("title", "model", "test", "folder", "ops", "parameters", "facets")


def packed(plain: list[dict[str, Any]]) -> dict[str, Any]:
    """Cards as cards.js has them: names of fields, tests but for the title, and values of facets stand there once."""
    tests: dict[str, int] = {}
    values: dict[tuple[str, str], int] = {}
    rows = []
    for card in plain:
        title, test = card.get("title", ""), card.get("test", "")
        short = {**card, "folder": _folder(card)}
        if title and test.count(title) == 1 and "{}" not in test:
            short["test"] = tests.setdefault(test.replace(title, "{}"), len(tests))
        pairs = [
            (name, value)
            for name, several in card.get("facets", {}).items()
            if isinstance(several, list)
            for value in several
        ]
        short["facets"] = [values.setdefault(pair, len(values)) for pair in pairs]
        if short["folder"]:
            del short["href"], short["silhouette"]
        row = [short.pop(name, "") for name in _COLUMNS]
        rare = {
            name: value
            for name, value in short.items()
            if value is True or value not in (0, 1, "", None, [])
        }
        rows.append([*row, rare] if rare else row)
    return {"columns": _COLUMNS, "tests": list(tests), "values": list(values), "cards": rows}


def _folder(card: dict[str, Any]) -> str:
    """The folder in models/ that gives both addresses of a card; empty if it does not."""
    folder = (card.get("href") or "").removeprefix("models/").removesuffix("/index.html")
    is_usual = card.get("silhouette") == f"models/{folder}/silhouette.svg"
    return folder if is_usual and card["href"] == f"models/{folder}/index.html" else ""


# -- files -----------------------------------------------------------------------------------------


def write(
    out: Path,
    number: int = 60,
    *,
    finished: bool = True,
    is_packed: bool = False,
    with_hostile: bool = True,
) -> Path:
    """The whole site, with so many cards; its index.html."""
    templates = Environment(
        loader=FileSystemLoader(SITE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    shutil.copytree(SITE / "assets", out / "assets", dirs_exist_ok=True)
    for kind in VIEWS:
        svgs = [svg for _, svg in pictures(kind)]
        _write_model(
            templates,
            out / "models" / kind.lower(),
            described(kind),
            svgs,
            silhouettes()[list(VIEWS).index(kind)],
        )
    _write_model(templates, out / "models" / "hostile", hostile(), [hostile_svg()], silhouettes()[0])
    _write_model(
        templates, out / "models" / "undrawn", {"title": "sample/undrawn", "reason": _REASON}, [], ""
    )
    change = out / "models" / "residual" / "change-1"
    change.mkdir(exist_ok=True)
    _script(change / "data.js", "lens.change", changed())
    page = templates.get_template("change.html.j2").render(
        title="sample/residual", svg=changed()["pictures"][0]["svg"]
    )
    (change / "index.html").write_text(page, encoding="utf-8")
    plain = cards(number, with_hostile=with_hostile)
    facets = ["status", "source", "family", "size", "kind", "__proto__"]
    said = {"title": "Menagerie", "finished": finished, "when": "2026-11-26 10:12", "facets": facets}
    _script(out / "cards.js", "lens.cards", said | (packed(plain) if is_packed else {"cards": plain}))
    for card in plain:
        path = card.get("silhouette")
        if path and path.startswith("models/") and not (out / path).exists():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_text(silhouettes()[len(path) % len(VIEWS)], encoding="utf-8")
    (out / "report.json").write_text("{}", encoding="utf-8")
    (out / "index.html").write_text(
        templates.get_template("index.html.j2").render(title="Menagerie"), encoding="utf-8"
    )
    return out / "index.html"


def _write_model(
    templates: Environment, folder: Path, data: dict[str, Any], svgs: list[str], silhouette: str
) -> None:
    page = folder / "1"
    (page / "pictures").mkdir(parents=True, exist_ok=True)
    _script(page / "data.js", "lens.model", data)
    for number, svg in enumerate(svgs):
        _script(page / "pictures" / f"{number}.js", "lens.picture", number, svg)
    (page / "silhouette.svg").write_text(silhouette, encoding="utf-8")
    first = svgs[0] if svgs else ""
    rendered = templates.get_template("model.html.j2").render(
        title=data["title"], svg=first, reason=data.get("reason", "")
    )
    (page / "index.html").write_text(rendered, encoding="utf-8")


def _script(path: Path, function: str, *arguments: Any) -> None:
    given = ",".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in arguments)
    path.write_text(f"{function}({given});\n", encoding="utf-8")


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 60, is_packed=True))
