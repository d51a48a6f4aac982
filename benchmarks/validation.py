"""What a validation costs as a multiple of the forward pass: ours and TorchLens's, side by side.

One process, in which the ways take turns; medians of wall time, since torch's threads work along. The forward pass
runs twice in its turn, and the second run counts. What a process pays once (imports, tables) is paid before.
Eval mode, no grad, batch 1, random weights.

    python benchmarks/validation.py                               # all models
    python benchmarks/validation.py lstm resnet50 --rounds 9 --threads 1   # steadier on a shared machine
    python benchmarks/validation.py --without-torchlens --times   # and where the time of ours goes
    python benchmarks/validation.py --memory --markdown           # and the peak of resident memory (Linux)

TorchLens is compared where it is installed (``pip install torchlens==2.36.1``). Its wrappers stay on torch's
functions after a validation: they are put on before its turn and taken off after it, and neither is counted.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torchvision
from overhead import LSTMLoop
from torch import Tensor, nn

import torchlens_core as tl


def _vision(name: str, size: int) -> Callable[[], tuple[nn.Module, Tensor]]:
    return lambda: (torchvision.models.get_model(name, weights=None), torch.rand(1, 3, size, size))


MODELS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "resnet50": _vision("resnet50", 224),
    "vit_b_16": _vision("vit_b_16", 224),
    "swin_v2_b": _vision("swin_v2_b", 256),
    "lstm": lambda: (LSTMLoop(200), torch.rand(1, 32)),
}
#: What a validation may cost as a multiple of the forward pass.
TARGETS = {"resnet50": "6", "vit_b_16": "6", "lstm": "25"}


# -- the ways: each gives seconds, and what it returned -------------------------------------------------


def timed(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function(*args, **kwargs)
    return time.perf_counter() - start, result


def forward(model: nn.Module, x: Tensor) -> tuple[float, Any]:
    model(x)  # pays for the memory that the way before has given back
    return timed(model, x)


def ours(model: nn.Module, x: Tensor) -> tuple[float, Any]:
    return timed(tl.validate_model_activations, model, x)


def theirs(model: nn.Module, x: Tensor) -> tuple[float, Any]:
    import torchlens
    from torchlens.backends.torch.wrappers import unwrap_torch, wrap_torch

    wrap_torch()
    try:
        return timed(torchlens.validate, model, x, scope="forward")
    finally:
        unwrap_torch()


Way = Callable[[nn.Module, Tensor], tuple[float, Any]]


# -- what is measured ------------------------------------------------------------------------------------


def prepare(name: str, ways: Sequence[Way]) -> tuple[nn.Module, Tensor]:
    """The model and its input; what each way pays once in a process is paid."""
    for way in ways:
        way(nn.Linear(1, 1).eval(), torch.ones(1, 1))
    torch.manual_seed(0)
    model, x = MODELS[name]()
    return model.eval(), x


@torch.no_grad()
def measure(name: str, rounds: dict[Way, int]) -> tuple[list[str], dict[str, str]]:
    """A line of the table, and the seconds of each check of ours."""
    model, x = prepare(name, list(rounds))
    runs: dict[Way, list[tuple[float, Any]]] = {way: [] for way in rounds}
    for turn in range(max(rounds.values())):
        for way in rounds:
            if turn < rounds[way]:
                gc.collect()  # what one way leaves behind is not swept in the time of the next
                runs[way].append(way(model, x))
    plain = statistics.median(seconds for seconds, _ in runs[forward])
    reports = [report for _, report in runs[ours]]
    for report in reports:
        if not report:
            print(report, file=sys.stderr)
    row = [name, str(reports[0].covered["ops"]), f"{plain * 1e3:.1f}", *cost(runs[ours], plain)]
    row += [TARGETS.get(name, ""), *cost(runs.get(theirs, []), plain)]
    return row, check_times(reports, plain)


def cost(runs: Sequence[tuple[float, Any]], plain: float) -> list[str]:
    """Two cells: the median of the seconds, and as a multiple of the plain pass."""
    if not runs:
        return ["", ""]
    seconds = statistics.median(seconds for seconds, _ in runs)
    verdict = "" if all(outcome for _, outcome in runs) else " (invalid)"
    return [f"{seconds:.2f}{verdict}", f"{seconds / plain:.1f}"]


def check_times(reports: Sequence[tl.ValidationReport], plain: float) -> dict[str, str]:
    """By check, the median of its seconds, in brackets as a multiple; ``rest`` is what no check took."""
    taken: dict[str, list[float]] = {}
    for report in reports:
        for check in report.checks:
            taken.setdefault(check.name, []).append(check.seconds)
        rest = report.seconds - sum(check.seconds for check in report.checks)
        taken.setdefault("rest", []).append(rest)
    medians = {check: statistics.median(seconds) for check, seconds in taken.items()}
    return {check: f"{median:.3f} ({median / plain:.1f})" for check, median in medians.items()}


@torch.no_grad()
def peak(name: str, way: Way) -> str:
    """MiB by which the way's peak of resident memory exceeds that of a forward pass; once a process."""
    model, x = prepare(name, [way])
    forward(model, x)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    way(model, x)
    return f"{(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024:.0f}"


def peak_of_child(name: str, way: Way) -> str:
    """`peak` in a process of its own. What the parent has used so far counts as used by the child."""
    command = [
        sys.executable,
        __file__,
        name,
        "--peak",
        way.__name__,
        "--threads",
        str(torch.get_num_threads()),
    ]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]


# -- the tables ------------------------------------------------------------------------------------------


def table(rows: Sequence[Sequence[str]], markdown: bool) -> str:
    """Rows, the first of them the heads, as text or as Markdown."""
    if markdown:
        lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a validation costs.")
    parser.add_argument("models", nargs="*", choices=[*MODELS, []], help="default: all")
    parser.add_argument("--rounds", type=int, default=5, help="runs of the forward pass and of ours (5)")
    parser.add_argument("--torchlens-rounds", type=int, default=1, help="runs of TorchLens (1)")
    parser.add_argument("--without-torchlens", action="store_true", help="leave TorchLens out")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    parser.add_argument("--memory", action="store_true", help="peak memory too, of one more run each")
    parser.add_argument("--peak", choices=("ours", "theirs"), help=argparse.SUPPRESS)  # see peak_of_child
    parser.add_argument("--times", action="store_true", help="the seconds of each check of ours too")
    parser.add_argument("--markdown", action="store_true", help="print tables for the documentation")
    return parser.parse_args()


def turns(options: argparse.Namespace) -> tuple[dict[Way, int], str]:
    """How often each way runs, and a line on what is compared."""
    rounds: dict[Way, int] = {forward: options.rounds, ours: options.rounds}
    versions = f"torch {torch.__version__}, threads: {torch.get_num_threads()}"
    if options.without_torchlens:
        return rounds, f"{versions}, TorchLens left out"
    try:
        version = importlib.metadata.version("torchlens")
    except importlib.metadata.PackageNotFoundError:
        return rounds, f"{versions}, TorchLens is not installed"
    return {**rounds, theirs: options.torchlens_rounds}, f"{versions}, TorchLens {version}"


HEADER = ["model", "ops", "forward ms", "ours s", "ours x", "target x", "TorchLens s", "TorchLens x"]
PEAKS = ["ours MiB", "TorchLens MiB"]


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    names = options.models or list(MODELS)
    if options.peak:
        print(peak(names[0], {"ours": ours, "theirs": theirs}[options.peak]))
        return
    rounds, versions = turns(options)
    rows: list[list[str]] = [HEADER]
    times: list[list[str]] = []
    if options.memory:  # first, while this process is still small
        peaks = [
            [peak_of_child(name, way) if way in rounds else "" for way in (ours, theirs)] for name in names
        ]
    for name in names:
        row, checks = measure(name, rounds)
        rows.append(row)
        times = times or [["model", *checks]]
        times.append([name, *checks.values()])
    if options.memory:
        rows = [[*row, *cells] for row, cells in zip(rows, [PEAKS, *peaks], strict=True)]
    print(versions, table(rows, options.markdown), sep="\n\n")
    if options.times:
        print("\nSeconds of each check of ours, in brackets as a multiple of the forward pass:\n")
        print(table(times, options.markdown))


if __name__ == "__main__":
    main()
