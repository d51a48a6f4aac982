"""Every model of the catalogue, validated with all checks at its smallest input: a table for the documentation.

Each model in a process of its own, in eval mode, no grad, with random weights. The forward pass is the median of
three after one that is not counted; the validation runs once.

    python benchmarks/catalogue.py --out docs/validation.md
    python benchmarks/catalogue.py --only squeezenet --threads 1 --out out/validation.md
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from torch import nn
from validation import table, timed

import model_suite
import torchlens_core as tl


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is said of one model."""

    model: str
    #: ``valid``, or what does not hold.
    verdict: str
    #: ``ops``, ``edges``, ``kernels``; empty if the model could not be validated.
    covered: dict[str, int]
    #: The time of the validation as a multiple of the forward pass.
    multiple: float | None

    def cells(self) -> list[str]:
        counts = [str(self.covered.get(name, "")) for name in COUNTS]
        multiple = "" if self.multiple is None else f"{self.multiple:.1f}"
        verdict = self.verdict.partition("\n")[0].replace("|", "\\|")
        return [self.model, *counts, multiple, verdict]


COUNTS = ("ops", "edges", "kernels")
HEADER = ["model", *COUNTS, "time x", "verdict"]


def validate(name: str) -> Row:
    """Build the model, take the time of its forward pass, validate it."""
    case = model_suite.find(name)
    try:
        with torch.no_grad():
            tl.validate_model_activations(nn.Identity(), torch.ones(1))  # pays what a process pays once
            torch.manual_seed(0)
            model = case.build()
            args, kwargs = case.inputs()
            plain = [timed(model, *args, **kwargs)[0] for _ in range(4)]
            gc.collect()  # or a sweep of all that is imported may fall into the validation
            seconds, report = timed(tl.validate_model_activations, model, args, kwargs)
    except Exception as error:
        return failed(name, error)
    return Row(
        model=name,
        verdict="valid" if report else report.findings[0].what,
        covered=dict(report.covered),
        multiple=seconds / statistics.median(plain[1:]),
    )


def failed(name: str, error: Exception) -> Row:
    return Row(model=name, verdict=f"{type(error).__name__}: {error}", covered={}, multiple=None)


def in_child(name: str) -> Row:
    """`validate` in a process that ends with it, forked so that it has all imports.

    This process itself runs no op, as a fork after torch has started its threads would hang.
    """
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
            return pool.submit(validate, name).result()
    except BrokenProcessPool as error:  # killed, mostly for memory
        return failed(name, error)


def validate_all(names: Sequence[str]) -> list[Row]:
    rows = []
    for number, name in enumerate(names, start=1):
        row = in_child(name)
        print(f"{number}/{len(names)}", *row.cells(), file=sys.stderr)
        rows.append(row)
    return rows


def page(rows: Sequence[Row], command: str, seconds: float) -> str:
    """The page of the documentation: how it came about, the totals, the table."""
    valid = sum(row.verdict == "valid" for row in rows)
    totals = {name: sum(row.covered.get(name, 0) for row in rows) for name in COUNTS}
    counts = ", ".join(["", *(f"{total:,} {name}" for name, total in totals.items() if total)])
    multiples = sorted((row.multiple, row.model) for row in rows if row.multiple is not None)
    lines = [
        "# What is validated",
        "",
        f"`{command}`, torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"threads: {torch.get_num_threads()}.",
        "",
        f"* {len(rows)} models, {valid} valid{counts}.",
        f"* {seconds:.0f} s in all, one model after the other.",
    ]
    if multiples:
        median = statistics.median(multiple for multiple, _ in multiples)
        most, model = multiples[-1]
        lines.append(
            f"* A validation takes {median:.1f} times the forward pass in the median, at most {most:.1f} ({model})."
        )
    return "\n".join([*lines, "", table([HEADER, *(row.cells() for row in rows)], markdown=True), ""])


def main() -> None:
    parser = argparse.ArgumentParser(description="Validate the catalogue.")
    parser.add_argument("--out", type=Path, required=True, help="the Markdown file to write")
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="models whose name contains it")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = [case.name for case in model_suite.cases() if options.only in case.name]
    if not names:
        parser.error(f"no model of the catalogue has {options.only!r} in its name")
    start = time.perf_counter()
    rows = validate_all(names)
    command = " ".join(["python", "benchmarks/catalogue.py", *sys.argv[1:]])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(page(rows, command, time.perf_counter() - start), encoding="utf-8")


if __name__ == "__main__":
    main()
