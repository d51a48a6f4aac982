"""What a diff costs: two graphs of 2,000 and of 50,000 ops, and what may differ between them.

Graphs are made, not recorded: ``flat`` is one body, ``blocks`` has modules of ten ops, no two of them equal,
``equal`` has equal ones, ``nested`` has blocks in stages. Each run compares graphs that nothing has been kept of.
CPU time of the thread: the median of the runs, and the least, which noise of the machine touches less.

    python benchmarks/diffs.py                 # 2,000 and 50,000 ops
    python benchmarks/diffs.py 10000 --runs 9
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torchlens_core.diff import GraphDiff, diff_graphs
from torchlens_core.snapshot import Snapshot
from torchlens_core.snapshot.outline import HOLE, Argument, Body, Call, Held, Op, Outline, Output, Ref

#: Milliseconds that a diff may take.
TARGETS = {2_000: 50.0, 50_000: 2_000.0}
KINDS = ("linear", "relu", "add", "mul", "softmax", "reshape", "tanh", "layer_norm", "matmul", "dropout")
BLOCK = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """One op of a graph that is to be made; it reads the op before, and every third one more."""

    kind: str
    number: int
    width: int = 64

    def written(self, name: str, before: str, further: str) -> Op:
        """The op under its name in a body."""
        arguments = [Argument("", HOLE, (Ref(before),))]
        if self.number % 3 == 0:
            arguments.append(Argument("", HOLE, (Ref(further),)))
        held: tuple[Held, ...] = ()
        if self.kind == "linear":
            arguments.append(Argument("weight", HOLE, (Ref("@weight"),)))
            held = (Held("@weight", f"f32[{self.width}, {self.width}]"),)
        if self.number % 5 == 0:
            arguments.append(Argument("dim", str(self.number % 7)))
        result = f"f32[1, {self.width}]"
        return Op(name=name, kind=self.kind, arguments=tuple(arguments), results=(result,), held=held)


Blocks = list[list[Plan]]


def plans(ops: int) -> Blocks:
    """The ops of a graph by block, in order; kinds do not follow each other in a fixed rhythm."""
    made = [Plan(KINDS[(n * n + n // 7) % len(KINDS)], n) for n in range(ops)]
    return [made[n : n + BLOCK] for n in range(0, ops, BLOCK)]


# -- what differs ------------------------------------------------------------------------------------


def _each(change: Callable[[Plan], Plan]) -> Callable[[Blocks], Blocks]:
    return lambda blocks: [[change(op) for op in block] for block in blocks]


def inserted(blocks: Blocks) -> Blocks:
    middle = len(blocks) // 2
    return [*blocks[:middle], [Plan("sigmoid", 1), *blocks[middle]], *blocks[middle + 1 :]]


CHANGES: dict[str, Callable[[Blocks], Blocks]] = {
    "nothing": list,
    "one op inserted": inserted,
    "one op in every block": lambda blocks: [
        [*block[:5], Plan("sigmoid", 1), *block[5:]] for block in blocks
    ],
    "every shape": _each(lambda op: replace(op, width=op.width + 32)),
    "every fifth attribute": _each(lambda op: replace(op, number=op.number + 15 * (op.number % 5 == 0))),
    "every op": _each(lambda op: replace(op, kind=f"{op.kind}_other")),
    "every name": list,
    "every other op removed": lambda blocks: [block[::2] for block in blocks],
    "half the blocks removed": lambda blocks: blocks[: len(blocks) // 2],
    "all backwards": lambda blocks: [block[::-1] for block in blocks[::-1]],
}


# -- graphs ------------------------------------------------------------------------------------------


def body(ops: Sequence[Plan], source: str) -> Body:
    """One op after the other."""
    counts: Counter[str] = Counter()
    items = []
    before = further = source
    for op in ops:
        counts[op.kind] += 1
        name = op.kind if counts[op.kind] == 1 else f"{op.kind}#{counts[op.kind]}"
        items.append(op.written(name, before, further))
        before, further = name, before
    return Body(tuple(items), (Ref(before),))


def chain(bodies: Sequence[Body], source: str, prefix: str, class_name: str) -> Body:
    """One module after the other."""
    items = []
    before = source
    for n, inner in enumerate(bodies):
        name = f"{prefix}{n}"
        items.append(Call(name=name, class_name=class_name, arguments=(Ref(before),), body=inner))
        before = name
    return Body(tuple(items), (Ref(before),))


def flat(blocks: Blocks, prefix: str) -> Body:
    return body([op for block in blocks for op in block], "x")


def _unequal(blocks: Blocks) -> list[Body]:
    return [body([replace(op, width=op.width + n) for op in block], "$0") for n, block in enumerate(blocks)]


def in_blocks(blocks: Blocks, prefix: str) -> Body:
    return chain(_unequal(blocks), "x", prefix, "Block")


def nested(blocks: Blocks, prefix: str) -> Body:
    made, size = _unequal(blocks), 10
    stages = [chain(made[n : n + size], "$0", prefix, "Block") for n in range(0, len(made), size)]
    return chain(stages, "x", "stage", "Stage")


def equal(blocks: Blocks, prefix: str) -> Body:
    known: dict[Body, Body] = {}
    made = []
    for block in blocks:
        numbers = [op.number % BLOCK if op.kind != "sigmoid" else op.number for op in block]
        same = [replace(op, number=n, kind=_kind(op, n)) for op, n in zip(block, numbers, strict=True)]
        one = body(same, "$0")
        made.append(known.setdefault(one, one))
    return chain(made, "x", prefix, "Block")


def _kind(op: Plan, n: int) -> str:
    """The kind by the place in the block, so that blocks are equal."""
    return op.kind if op.kind == "sigmoid" else KINDS[n] + ("_other" if op.kind.endswith("_other") else "")


SHAPES: dict[str, Callable[[Blocks, str], Body]] = {
    "flat": flat,
    "blocks": in_blocks,
    "equal": equal,
    "nested": nested,
}


def graph(shape: str, change: str, ops: int) -> Snapshot:
    """A graph; changed, unless ``change`` is empty."""
    made = CHANGES[change](plans(ops)) if change else plans(ops)
    inner = SHAPES[shape](made, "part" if change == "every name" else "block")
    source = Op(name="x", kind="input", results=("f32[1, 64]",))
    output = Output("output", inner.returns[0], "f32[1, 64]")
    return Snapshot(
        Outline(model="Net", is_training=False, body=Body((source, *inner.items)), outputs=(output,))
    )


def measured(shape: str, change: str, ops: int, runs: int) -> tuple[list[float], GraphDiff]:
    """Seconds of each run, and the diff."""
    seconds = []
    gc.collect()  # once: at each run it would empty Python's free lists and the caches, and be measured with it
    for _ in range(runs):
        old, new = graph(shape, "", ops), graph(shape, change, ops)
        start = time.thread_time()
        diff = diff_graphs(old, new)
        seconds.append(time.thread_time() - start)
    return seconds, diff


def main() -> None:
    parser = argparse.ArgumentParser(description="What a diff costs.")
    parser.add_argument("ops", nargs="*", type=int, default=[*TARGETS], help="default: 2000 50000")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: 5)")
    options = parser.parse_args()
    print(
        f"{'ops':>7}  {'graph':7}  {'difference':24}{'median ms':>10}{'least ms':>10}{'target':>8}"
        f"{'changes':>9}{'print ms':>10}"
    )
    for ops in options.ops:
        for shape in SHAPES:
            for change in CHANGES:
                if change == "every name" and shape == "flat":
                    continue  # ops have no names of their own
                seconds, diff = measured(shape, change, ops, options.runs)
                start = time.thread_time()
                diff.lines()
                printed = time.thread_time() - start
                median, least = statistics.median(seconds) * 1e3, min(seconds) * 1e3
                target = TARGETS.get(ops)
                mark = "!" if target is not None and median > target else " "
                shown = f"{target:.0f}" if target is not None else "-"
                print(
                    f"{ops:>7}  {shape:7}  {change:24}{median:>10.1f}{least:>10.1f}{shown:>7}{mark}"
                    f"{len(diff.changes):>9}{printed * 1e3:>10.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
