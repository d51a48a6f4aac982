"""Measures cases and writes their records: ``python -m model_suite.measure timm --workers 2``.

Each model is built and traced in a process of its own, which is stopped when it takes too long or too much memory:
on the meta device where that goes, else with values. Models that fail are recorded with the reason. Without
``--all``, ``--failed`` or ``--only``, only those that have no record yet are measured. Records of what the library no
longer lists go.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import sysconfig
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import torchlens_core as tl
from model_suite.case import ModelCase
from model_suite.records import Record, records_of, write_records, write_version
from model_suite.registry import discovered, sources
from model_suite.traits import traits
from torchlens_core.snapshot import structure_hash

#: Seconds that one case may take.
TIME_LIMIT = 120.0
#: Bytes of addresses that a process may have, of which libraries reserve more than they use.
ADDRESS_LIMIT = 48 * 2**30
#: Characters that are kept of a reason.
REASON = 300
#: What paths in a reason begin with, the longest first.
_FOLDERS = sorted(
    {sysconfig.get_path("purelib"), sys.prefix, os.getcwd(), str(Path.home())}, key=len, reverse=True
)


def measure(case: ModelCase) -> Record:
    """Build and trace one case."""
    record = Record(name=case.name, family=case.family, task=case.task, tags=tuple(sorted(case.tags)))
    reason = ""
    for device in ("meta", "cpu"):
        try:
            return _traced(case, record, device)
        except Exception as error:
            reason = _reason(error)
            if device == "meta":
                on_meta = reason
    return replace(record, limits=f"{reason} (on meta: {on_meta})" if on_meta != reason else reason)


def _traced(case: ModelCase, record: Record, device: str) -> Record:
    torch.manual_seed(0)
    model = case.build(device)
    args, kwargs = case.inputs(device)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = tl.log_forward_pass(model, list(args), kwargs, layers_to_save="none")
    snapshot = tl.take_snapshot(history)
    return replace(
        record,
        structure=structure_hash(snapshot),
        folded=structure_hash(snapshot, shapes=False, folded=True),
        ops=len(history.ops),
        parameters=history.total_params,
        traits=traits(history),
        flops=_flops(model, args, kwargs),
        on_meta=device == "meta",
        seconds=round(history.elapsed_time_forward_pass, 4) if device == "cpu" else 0.0,
    )


def _flops(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    """Floating-point operations of one more pass, the last of this model."""
    # the counter's hooks want a graph of gradients where parameters ask for one
    model.requires_grad_(False)
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), warnings.catch_warnings(), counter:
            warnings.simplefilter("ignore")
            model(*args, **kwargs)
    except Exception:
        # the counter runs modules and modes of its own in the pass, which not every model bears
        return None
    return int(counter.get_total_flops())


def _reason(error: BaseException) -> str:
    """What an error says, in one line, without the paths of this machine and the notes of others."""
    said = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    for folder in _FOLDERS:
        said = said.replace(f"{folder}/", "")
    return said if len(said) <= REASON else f"{said[: REASON - 1]}…"


def _work(cases: Sequence[ModelCase], ours: Connection) -> None:
    """Measure case after case in a process of its own, and say when each begins and ends."""
    _limit_memory()
    torch.set_num_threads(1)
    for case in cases:
        ours.send(case.name)
        ours.send(measure(case))
    ours.close()


def _limit_memory() -> None:
    """Let a case that wants too much memory fail, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    allowed = ADDRESS_LIMIT if most == resource.RLIM_INFINITY else min(ADDRESS_LIMIT, most)
    resource.setrlimit(resource.RLIMIT_AS, (allowed, most))


class _Worker:
    """A process that works off some cases; what stops it costs one case."""

    def __init__(self, cases: list[ModelCase]) -> None:
        self.left = cases
        self._start()

    def _start(self) -> None:
        self.connection, theirs = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=_work, args=(self.left, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.has_spoken = False
        self.began = time.monotonic() + TIME_LIMIT  # what is imported first is not counted

    def answer(self) -> Record | None:
        """A record if one has come; the process is started again if it ended or takes too long."""
        try:
            if self.connection.poll():
                said: Any = self.connection.recv()
                self.began, self.has_spoken = time.monotonic(), True
                if isinstance(said, Record):
                    self.left = self.left[1:]
                    return said
                return None
        except EOFError:
            return self._ended() if self.left else None
        if self.left and time.monotonic() - self.began > TIME_LIMIT:
            return self._lost(f"longer than {TIME_LIMIT:g} s")
        return None

    def _ended(self) -> Record:
        """Raises `RuntimeError` if that was before the first case: then no case is at fault."""
        self.process.join()
        if not self.has_spoken:
            raise RuntimeError(f"a process that measures ended at its start, with {self.process.exitcode}")
        return self._lost(f"the process ended with {self.process.exitcode}")

    def _lost(self, reason: str) -> Record:
        self.process.kill()
        self.process.join()
        case, *self.left = self.left
        if self.left:
            self._start()
        return Record(
            name=case.name, family=case.family, task=case.task, tags=tuple(sorted(case.tags)), limits=reason
        )


def measured(cases: Sequence[ModelCase], workers: int) -> Iterator[Record]:
    """The records of some cases, as they come."""
    shares = [list(cases[n::workers]) for n in range(workers)]
    running = [_Worker(share) for share in shares if share]
    while running:
        wait([one.connection for one in running], timeout=1.0)
        for one in running:
            record = one.answer()
            if record is not None:
                yield record
        running = [one for one in running if one.left]


def _is_wanted(name: str, known: Mapping[str, Record], options: argparse.Namespace) -> bool:
    record = known.get(name)
    if options.only not in name:
        return False
    return record is None or options.all or bool(options.only) or (options.failed and not record.folded)


def main() -> None:
    """Measure the cases of a source and write its file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", choices=sources())
    parser.add_argument("--only", default="", help="cases whose name holds this, and no others")
    parser.add_argument("--all", action="store_true", help="also those that have a record")
    parser.add_argument("--failed", action="store_true", help="also those that failed")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if options.workers < 1:
        parser.error("--workers: expected 1 or more")
    cases = discovered(options.source)
    listed = {case.name for case in cases}
    # what the library no longer lists has no record any more
    known = {name: record for name, record in records_of(options.source).items() if name in listed}
    wanted = [case for case in cases if _is_wanted(case.name, known, options)]
    if options.only and not wanted:
        parser.error(f"--only {options.only}: no case of {options.source} has that in its name")
    if len(known) < len(records_of(options.source)):
        write_records(options.source, known.values())
    write_version(options.source)
    began = time.monotonic()
    for number, record in enumerate(measured(wanted, options.workers), 1):
        known[record.name] = record
        print(f"{number}/{len(wanted)} {record.name} {record.limits or record.ops}", flush=True)
        if number % 20 == 0 or number == len(wanted):
            write_records(options.source, known.values())
    distinct = len({record.folded for record in known.values() if record.folded})
    print(f"{len(known)} cases, {distinct} distinct folded, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
