"""What pictures cost, in seconds and bytes: ours, and TorchLens' and torchview's of the same models.

Each model and tool in a process of its own, which has `--limit` seconds, the log of the model included; what it said
until then counts. Seconds are medians of the rounds, torch has one thread. Tools that are not installed are left out
and said so; to have them all:

    pip install -e '.[suite]' torchlens==2.36.1 torchview==0.2.7
    apt-get install -y graphviz                      # the program dot, which torchlens and torchview need

    python benchmarks/pictures.py                                # everything, 20 min
    python benchmarks/pictures.py --only alexnet tree --tools ours
    python benchmarks/pictures.py --docs docs/pictures           # also the table and the pictures of docs/pictures.md

Text and pictures of the page come from what is in `--out`: with `--rounds 0` nothing is measured anew.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from drawn_models import MODELS
from validation import table

HERE = Path(__file__).parent
#: What each tool needs: distributions, and programs on the PATH.
NEEDS = {
    "ours": (("torchlens_core", "graphviz", "pygraphviz", "resvg-py", "reportlab"), ()),
    "torchlens": (("torchlens",), ("dot",)),
    "torchview": (("torchview",), ("dot",)),
}
#: Models that are also drawn with a box a pass, and rolled by the other tools.
LOOPS = ("lstm_loop", "tree", "chain")
BEGIN, END = "<!-- table by benchmarks/pictures.py -->", "<!-- end of table -->"
#: Pictures of the page: models, and for each tool the view that is shown.
SHOWN = {
    "alexnet": ("default", "whole", "default"),
    "resnet18": ("default", "whole", "default"),
    "vit_b_16": ("default", "default", "default"),
    "swin_v2_b": ("default", "default", "default"),
    "googlenet": ("default", "default", "default"),
    "experts": ("default", "whole", "default"),
    "masked": ("default", "default", "default"),
    "lstm_loop": ("default", "rolled", "rolled"),
    "tree": ("unrolled", "whole", "whole"),
}
#: Of the others' pictures: pixels at most, and bytes, for which colours are given up first, then size.
MAX_HEIGHT, MAX_WIDTH, MAX_BYTES = 1600, 1400, 60_000
#: Width and height of an SVG.
_SIZES = re.compile(r'viewBox="[-.\d]+ [-.\d]+ ([.\d]+) ([.\d]+)"')
#: What torchlens says of warnings names folders of the machine.
_FOLDERS = re.compile(r"/[^\s<>\"]*/site(?:-|&#45;)packages/")
_FORMS = ("PNG s", "PNG KB", "PDF s", "PDF KB")


@dataclass(slots=True, kw_only=True)
class Measured:
    """What one tool said of one view of one model."""

    tool: str
    view: str
    model: str
    trace: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    bytes: int = 0
    boxes: int = 0
    engine: str = ""
    #: Seconds and bytes of PNG and PDF.
    forms: dict[str, tuple[float, int]] = field(default_factory=dict)
    #: ``timeout`` or ``failed: …``; empty if there is a picture.
    failure: str = ""

    @property
    def seconds(self) -> str:
        if not self.warm:
            return self.failure or "failed: ended without a word"
        return _seconds(statistics.median(self.warm))


def _seconds(number: float) -> str:
    return f"{number:.2f}" if number < 10 else f"{number:.0f}"


# -- measuring -------------------------------------------------------------------------------------


def missing(tool: str) -> list[str]:
    """What has to be installed for a tool."""
    distributions, programs = NEEDS[tool]
    absent = [name for name in programs if shutil.which(name) is None]
    for name in distributions:
        try:
            importlib.metadata.version("pytest-torchlens" if name == "torchlens_core" else name)
        except importlib.metadata.PackageNotFoundError:
            absent.append(name)
    return absent


def views(tool: str, model: str) -> Iterator[str]:
    """The views of a model that are measured."""
    yield from ("default", "whole")
    if model in LOOPS:
        yield "unrolled" if tool == "ours" else "rolled"
    if model == "branches" and tool == "ours":
        yield "diff"


def measure(tool: str, view: str, model: str, options: argparse.Namespace) -> Measured:
    """Run drawing_tools.py and read what it says, until it ends or its time is over."""
    command = [sys.executable, str(HERE / "drawing_tools.py"), tool, view, model]
    process = subprocess.Popen(
        [*command, str(options.out), str(options.rounds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        start_new_session=True,  # dot, which it may have started, ends with it
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
    )
    found = Measured(tool=tool, view=view, model=model)
    try:
        said, _ = process.communicate(timeout=options.limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        found.failure = "timeout"
    for line in said.splitlines():
        if line.startswith("{"):
            _take(found, json.loads(line))
    return found


def _take(found: Measured, facts: dict[str, Any]) -> None:
    """One line of what was said."""
    if "failed" in facts:
        found.failure = f"failed: {facts['failed']}"
    elif "form" in facts:
        found.forms[facts["form"]] = facts["seconds"], facts["bytes"]
    elif "seconds" in facts:
        found.warm.append(facts["seconds"])
        found.bytes = facts["bytes"]
        found.boxes, found.engine = facts.get("boxes", 0), facts.get("engine", "")
    else:
        found.trace += [facts["trace"]] if "trace" in facts else []
        found.cold += [facts["cold"]] if "cold" in facts else []


def measure_all(options: argparse.Namespace) -> list[Measured]:
    """Measure what is asked for; what was measured before and is not asked for stays."""
    path = options.out / "measured.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    found = {(one["tool"], one["view"], one["model"]): Measured(**one) for one in kept}
    for tool in options.tools if options.rounds else ():
        if absent := missing(tool):
            print(f"{tool} is left out: {', '.join(absent)} not installed", file=sys.stderr)
            continue
        for model in options.only:
            for view in views(tool, model):
                one = found[tool, view, model] = measure(tool, view, model, options)
                print(tool, view, model, one.seconds, f"{one.bytes:,} bytes", file=sys.stderr)
                path.write_text(json.dumps([asdict(one) for one in found.values()]), encoding="utf-8")
    return list(found.values())


# -- the table -------------------------------------------------------------------------------------


def tables(found: Sequence[Measured]) -> str:
    """Ours, and the others beside it."""
    by = {(one.tool, one.view, one.model): one for one in found}
    own = [["model", "view", "boxes", "engine", "s warm", "s cold", "SVG KB", *_FORMS]]
    for model in MODELS:
        own += [
            _own(by["ours", view, model]) for view in views("ours", model) if ("ours", view, model) in by
        ]
    beside = [["model", "picture", "ours s", "KB", "torchlens s", "KB", "torchview s", "KB"]]
    for model in MODELS:
        for picture in ("default", "whole", *(("rolled",) if model in LOOPS else ())):
            beside.append([model, picture, *_beside(by, model, picture)])
    log = [["model", "ours s", "torchlens s", "torchview s"]]
    log += [[model, *(_trace(by.get((tool, "whole", model))) for tool in NEEDS)] for model in MODELS]
    parts = (own, beside, log)
    heads = ("### Ours", "### Beside others'", "### Running and logging the model")
    shown = [f"{head}\n\n{table(part, markdown=True)}" for head, part in zip(heads, parts, strict=True)]
    return "\n\n".join(shown)


def _own(one: Measured) -> list[str]:
    cold = _seconds(statistics.median(one.cold)) if one.cold else ""
    cells = [one.model, one.view, f"{one.boxes:,}", one.engine, one.seconds, cold, _kilobytes(one.bytes)]
    for form in ("png", "pdf"):
        seconds, size = one.forms.get(form, (None, 0))
        cells += ["" if seconds is None else _seconds(seconds), _kilobytes(size)]
    return cells


def _beside(by: dict[tuple[str, str, str], Measured], model: str, picture: str) -> Iterator[str]:
    """Seconds and size by tool; a box a pass is what the others call whole, and rolled is our default."""
    for tool in NEEDS:
        view = picture
        if tool == "ours" and model in LOOPS:
            view = {"whole": "unrolled", "rolled": "default"}.get(picture, picture)
        one = by.get((tool, view, model))
        yield from ("", "") if one is None else (one.seconds, _kilobytes(one.bytes))


def _trace(one: Measured | None) -> str:
    return _seconds(statistics.median(one.trace)) if one and one.trace else one.failure if one else ""


def _kilobytes(size: int) -> str:
    return f"{size / 1000:,.1f}" if size else ""


# -- pictures of the page --------------------------------------------------------------------------


def write_docs(found: Sequence[Measured], options: argparse.Namespace) -> None:
    """The table into the page, ours as SVG and the others' as PNG into its folder."""
    page = options.docs.with_suffix(".md")
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{tables(found)}\n\n{END}{after}", encoding="utf-8")
    options.docs.mkdir(parents=True, exist_ok=True)
    for model, shown in SHOWN.items():
        for tool, view in zip(NEEDS, shown, strict=True):
            _show(options.out / f"{model}.{tool}.{view}.svg", options.docs / f"{model}.{tool}")
    _show(options.out / "branches.ours.diff.svg", options.docs / "branches.ours")


def _show(source: Path, target: Path) -> None:
    if not source.exists():
        print(f"{target.name}: there is no picture", file=sys.stderr)
    elif target.name.endswith(".ours"):
        shutil.copy(source, f"{target}.svg")
    else:
        Path(f"{target}.png").write_bytes(small_png(source))


def small_png(source: Path) -> bytes:
    """An SVG as PNG, scaled down to what a page can carry."""
    import resvg_py
    from PIL import Image

    text = _FOLDERS.sub("…/", source.read_text(encoding="utf-8"))
    width, height = map(float, _SIZES.search(text).groups())
    scale = min(1.0, MAX_WIDTH / width, MAX_HEIGHT / height)
    drawn = resvg_py.svg_to_bytes(svg_string=text, background="white", dpi=96, zoom=2 * scale)
    picture = Image.open(io.BytesIO(bytes(drawn))).convert("RGB")
    picture.thumbnail((MAX_WIDTH, MAX_HEIGHT), Image.Resampling.LANCZOS)
    while True:
        for colours in (64, 32):
            written = io.BytesIO()
            picture.quantize(colours, kmeans=1, dither=Image.Dither.NONE).save(
                written, "PNG", optimize=True
            )
            if written.tell() <= MAX_BYTES:
                return written.getvalue()
        picture = picture.resize([side * 9 // 10 for side in picture.size], Image.Resampling.LANCZOS)


def versions() -> str:
    found = []
    for name in ("torch", "torchvision", "pygraphviz", "torchlens", "torchview"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=list(MODELS), choices=list(MODELS), metavar="MODEL")
    parser.add_argument("--tools", nargs="+", default=list(NEEDS), choices=list(NEEDS), metavar="TOOL")
    parser.add_argument(
        "--rounds", type=int, default=3, help="pictures of each, of which the median counts"
    )
    parser.add_argument("--limit", type=float, default=120.0, help="seconds of a process")
    parser.add_argument("--out", type=Path, default=Path("out/pictures"), help="where pictures are left")
    parser.add_argument("--docs", type=Path, metavar="FOLDER", help="docs/pictures")
    options = parser.parse_args()
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    found = measure_all(options)
    print(f"{versions()}; {torch.get_num_threads()} cores", tables(found), sep="\n\n")
    if options.docs:
        write_docs(found, options)


if __name__ == "__main__":
    main()
