"""What logging costs: plain forward, forward hooks on every module, and `log_forward_pass`, side by side.

One process, one thread; the four ways take turns, and the CPU time of the thread is taken of each run. Each runs
twice in its turn, and the second run counts: the first pays for the memory that the way before it gave back.
Ratios are of medians to the plain median; beside them, of least to least, which noise of the machine
touches less. ``us/op`` is the difference to plain over the number of ops (module calls, for the hooks).

    python benchmarks/overhead.py                   # all models
    python benchmarks/overhead.py resnet18 lstm     # some
    python benchmarks/overhead.py --rounds 31 --markdown
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

import torchlens_core as tl


class LSTMLoop(nn.Module):
    """1,000 steps of an LSTM cell."""

    def __init__(self, steps: int = 1000) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(32, 64)
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        state = (x.new_zeros(1, 64), x.new_zeros(1, 64))
        for _ in range(self.steps):
            state = self.cell(x, state)
        return state[0]


class TinyOps(nn.Module):
    """1,200 ops of next to no size: Linear, add, mul."""

    def __init__(self, rounds: int = 400) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.rounds = rounds

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.rounds):
            x = self.fc(x)
            x = x + 1
            x = x * 0.5
        return x


def _vision(name: str) -> Callable[[], tuple[nn.Module, Tensor]]:
    return lambda: (torchvision.models.get_model(name, weights=None), torch.rand(1, 3, 224, 224))


MODELS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "resnet18": _vision("resnet18"),
    "vit_b_16": _vision("vit_b_16"),
    "swin_v2_b": lambda: (
        torchvision.models.get_model("swin_v2_b", weights=None),
        torch.rand(1, 3, 256, 256),
    ),
    "lstm": lambda: (LSTMLoop(), torch.rand(1, 32)),
    "tiny": lambda: (TinyOps(), torch.rand(1, 8)),
}
#: What `log_forward_pass` may cost as a multiple of the plain pass (docs/limits.md says what is reached).
TARGETS = {"resnet18": 1.2, "vit_b_16": 1.15, "swin_v2_b": 1.3, "lstm": 3.0, "tiny": 4.0}


def with_hooks(model: nn.Module, x: Tensor) -> Any:
    """A pass with a hook on every module that keeps what it returns: what people write by hand."""
    kept: list[Any] = []
    handles = [
        module.register_forward_hook(lambda module, args, result: kept.append(result))
        for module in model.modules()
    ]
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return kept


WAYS: dict[str, Callable[[nn.Module, Tensor], Any]] = {
    "plain": lambda model, x: model(x),
    "hooks": with_hooks,
    "log all": lambda model, x: tl.log_forward_pass(model, x),
    "log none": lambda model, x: tl.log_forward_pass(model, x, layers_to_save="none"),
}


def measure(model: nn.Module, x: Tensor, rounds: int) -> dict[str, list[float]]:
    """Seconds of CPU of each run of each way, the ways taking turns."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    gc.collect()  # once: at each run it would empty Python's free lists and the caches, and be measured with it
    for _ in range(rounds):
        for way, run in WAYS.items():
            run(model, x)  # pays for the memory that the way before has given back, and is not counted
            start = time.thread_time()
            result = run(model, x)
            seconds[way].append(time.thread_time() - start)
            del result
    return seconds


def report(name: str, rounds: int) -> list[str]:
    """One line of the table."""
    torch.manual_seed(0)
    model, x = MODELS[name]()
    model.eval()
    with torch.no_grad():
        history = tl.log_forward_pass(model, x, layers_to_save="none")
        ops, calls = len(history.ops), len(history.module_calls)
        seconds = measure(model, x, rounds)
    plain = statistics.median(seconds["plain"])
    cells = [name, str(ops), f"{plain * 1e3:.1f}"]
    for way in ("hooks", "log all", "log none"):
        median = statistics.median(seconds[way])
        least = min(seconds[way]) / min(seconds["plain"])
        each = (median - plain) * 1e6 / (calls if way == "hooks" else ops)
        cells += [f"{median / plain:.2f} ({least:.2f})", f"{each:.1f}"]
    return [*cells, f"{TARGETS[name]:.2f}"]


HEADER = [
    "model", "ops", "plain ms", "hooks x", "us/call", "log all x", "us/op", "log none x", "us/op", "target",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="What logging a forward pass costs.")
    parser.add_argument("models", nargs="*", choices=[*MODELS, []], help="default: all")
    parser.add_argument("--rounds", type=int, default=15, help="runs of each way (default: 15)")
    parser.add_argument("--markdown", action="store_true", help="print a table for the documentation")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [HEADER, *(report(name, options.rounds) for name in options.models or MODELS)]
    if options.markdown:
        rows.insert(1, ["---"] * len(HEADER))
        for row in rows:
            print("| " + " | ".join(row) + " |")
        return
    widths = [max(len(row[n]) for row in rows) for n in range(len(HEADER))]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


if __name__ == "__main__":
    main()
