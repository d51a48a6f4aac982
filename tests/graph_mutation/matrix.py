"""Every mutation on every model, and what the diff has said: the kill matrix."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from urllib.parse import unquote

from graph_mutation.alignments import faults
from graph_mutation.mutants import Claim, Mutation
from graph_mutation.mutations import MUTATIONS
from graph_mutation.reordering import REORDERINGS, Reordering
from torchlens_core.diff import GraphDiff, aligned, diff_graphs
from torchlens_core.snapshot import Snapshot, read_snapshot

#: Places tried for each mutation of a model.
SITES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one mutant."""

    mutation: str
    model: str
    what: str
    #: What is wrong with the diff; empty if it was seen and told well.
    wrong: tuple[str, ...]
    #: The diff as it was printed.
    text: str
    seconds: float

    @property
    def is_killed(self) -> bool:
        return not self.wrong

    def __str__(self) -> str:
        return f"{self.mutation} in {self.model}: {self.what}: {'; '.join(self.wrong)}\n{self.text}"


def judged(original: Snapshot, mutant: Snapshot, claims: Sequence[Claim]) -> tuple[list[str], GraphDiff]:
    """What is wrong with the diff of a mutant."""
    diff = diff_graphs(original, mutant)
    wrong = []
    if not diff:
        wrong.append("not seen")
    for claim in claims:
        # names stand in snapshots in a form of their own, and are told as they are
        told = replace(claim, says=tuple(map(unquote, claim.says)), address=unquote(claim.address))
        wrong += _missing(diff, told)
    most = max(claim.most for claim in claims)
    if len(diff.changes) > most:
        wrong.append(f"{len(diff.changes)} changes, more than {most}")
    if read_snapshot(str(mutant)) != mutant:
        wrong.append("no round trip")
    wrong += faults(aligned(original, mutant), original.outline, mutant.outline, diff)
    return wrong, diff


def _missing(diff: GraphDiff, claim: Claim) -> list[str]:
    here = [change for change in diff.changes if change.address == claim.address]
    told = [change for change in here if all(_stands(one, change.text) for one in claim.says)]
    if not told:
        return [f"no line at {claim.address or 'the model'} says {' .. '.join(claim.says)}"]
    wrong = []
    if not any(change.effect == claim.effect for change in told):
        wrong.append(f"said to be {told[0].effect}, not {claim.effect}")
    if claim.effect == "shape" and diff.classes - {"shape"} and claim.most == 1:
        wrong.append(f"classes {sorted(diff.classes)}")
    printed = _printed_places(diff)
    if (claim.address or diff.model) not in printed:
        wrong.append(f"{claim.address or 'the model'} is not named in the text")
    return wrong


def _stands(says: str, text: str) -> bool:
    """Whether a word stands in a line by itself; one of several if they are joined by ``|``."""
    return any(_pattern(one).search(text) for one in says.split("|"))


@cache
def _pattern(says: str) -> re.Pattern[str]:
    begin = r"(?<![\w.])" if says[0].isalnum() else ""
    end = r"(?!\w)" if says[-1].isalnum() else ""
    return re.compile(f"{begin}{re.escape(says)}{end}")


def _printed_places(diff: GraphDiff) -> set[str]:
    found = set()
    for line in diff.lines(details=True):
        if line.startswith("  @ "):
            found.add(line[4:])
        elif line.startswith("    and "):
            found |= set(line.partition(": ")[2].split(", "))
    return found


def verdicts(mutation: Mutation, model: str, snapshot: Snapshot, sites: int = SITES) -> Iterator[Verdict]:
    """What comes of some mutants of one kind of one model."""
    seen = set()
    for site in range(3 * sites):  # some are drawn twice
        made = mutation.apply(snapshot.outline, Random(f"{mutation.name} {model} {site}"))
        if made is None or len(seen) == sites:
            break
        if made.what in seen:
            continue
        seen.add(made.what)
        start = time.thread_time()
        try:
            wrong, diff = judged(snapshot, Snapshot(made.outline), made.claims)
            text = str(diff)
        except Exception as error:  # whatever it is, the mutant has survived
            wrong, text = [f"raised {type(error).__name__}: {error}"], ""
        seconds = time.thread_time() - start
        yield Verdict(
            mutation=mutation.name,
            model=model,
            what=made.what,
            wrong=tuple(wrong),
            text=text,
            seconds=seconds,
        )


def alarms(reordering: Reordering, model: str, snapshot: Snapshot, sites: int = SITES) -> Iterator[Verdict]:
    """What a diff says where only the order has changed: that, or nothing."""
    for site in range(sites):
        outline = reordering(snapshot.outline, Random(f"{model} {site}"))
        if outline is None:
            return
        start = time.thread_time()
        other = Snapshot(outline)
        diff = diff_graphs(snapshot, other)
        wrong = [change.text for change in diff.without(["order"]).changes]
        if read_snapshot(str(other)) != other:
            wrong.append("no round trip")
        seconds = time.thread_time() - start
        yield Verdict(
            mutation=reordering.__name__,
            model=model,
            what=f"order {site}",
            wrong=tuple(wrong),
            text=str(diff),
            seconds=seconds,
        )


@dataclass(frozen=True, slots=True)
class Matrix:
    """Killed and total by mutation and model."""

    verdicts: Sequence[Verdict]

    @property
    def survivors(self) -> list[Verdict]:
        """Mutants that the diff has not seen, or not told as it should."""
        return [one for one in self.verdicts if not one.is_killed]

    def __str__(self) -> str:
        cells: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
        for one in self.verdicts:
            cells[one.mutation, one.model].append(one)
        models = list(dict.fromkeys(one.model for one in self.verdicts))
        lines = [f"{n + 1:>3} {model}" for n, model in enumerate(models)]
        lines.append("".join([f"{'':30}", *(f"{n + 1:>5}" for n in range(len(models))), f"{'all':>9}"]))
        for name in dict.fromkeys(one.mutation for one in self.verdicts):
            row = [cells[name, model] for model in models]
            shown = [f"{f'{_killed(cell)}/{len(cell)}' if cell else '-':>5}" for cell in row]
            everything = [one for cell in row for one in cell]
            total = f"{_killed(everything)}/{len(everything)}"
            lines.append("".join([f"{name:30}", *shown, f"{total:>9}"]))
        lines.append(
            f"{len(self.verdicts)} mutants of {len(models)} models; - where a model has no place for one"
        )
        lines.append(f"{len(self.survivors)} survivors" + (":" if self.survivors else ""))
        lines += [f"  {one}".replace("\n", "\n      ") for one in self.survivors]
        return "\n".join(lines)


def _killed(verdicts: Sequence[Verdict]) -> int:
    return sum(one.is_killed for one in verdicts)


def kill_matrix(snapshots: Mapping[str, Snapshot], sites: int = SITES) -> Matrix:
    """Every mutation, and every reordering, on every model."""
    return Matrix(
        [
            one
            for model, snapshot in snapshots.items()
            for found in (
                *(verdicts(mutation, model, snapshot, sites) for mutation in MUTATIONS),
                *(alarms(reordering, model, snapshot, sites) for reordering in REORDERINGS),
            )
            for one in found
        ]
    )
