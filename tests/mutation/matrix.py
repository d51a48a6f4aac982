"""Every mutation on every good model, and which checks have seen it: the kill matrix."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from unittest import mock

import torch
from tricky import Tricky

import torchlens_core as tl
from mutation.models import GOOD
from mutation.mutations import MUTATIONS, Mutation
from torchlens_core import internals, trial, validate

#: Places tried for each mutation of a model.
SITES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A history made wrong in one place, and who has noticed."""

    mutation: Mutation
    model: str
    #: What was changed.
    what: str
    #: The checks that have found something.
    found: frozenset[str]
    #: If the validation raised, the error.
    error: str | None = None

    @property
    def is_killed(self) -> bool:
        return bool(self.found & set(self.mutation.claims))

    def __str__(self) -> str:
        end = f" raised {self.error}" if self.error else f" (found by {', '.join(self.found) or 'none'})"
        return f"{self.mutation.name} in {self.model}: {self.what}{end}"


def validated(
    case: Tricky,
    mutation: Mutation | None = None,
    site: int = 0,
    checks: Iterable[str] | None = None,
    besides: Collection[str] = (),
):
    """The report on ``case`` with its recording changed, and what was changed; None where that is not possible.

    ``besides`` are changes that are not wanted again.

    The one place that knows how the validation gets its recording.
    """
    original = trial.trace
    done: list[str] = []

    def traced(*args, **kwargs):
        result = original(*args, **kwargs)
        if mutation is None or done:
            return result
        recording = result.history.recording
        with internals.WithoutTorchFunction(), internals.without_dispatch_modes(), torch.no_grad():
            what = mutation.change(recording, Random(f"{mutation.name} {case.name} {site}"))
        if what is None or what in besides:
            raise _NoPlace
        done.append(what)
        return dataclasses.replace(result, history=tl.ModelHistory(recording))

    model, args, kwargs = case.make()
    with mock.patch.object(trial, "trace", traced), torch.set_grad_enabled(case.grad):
        try:
            report = tl.validate_model_activations(model, list(args), kwargs, random_seed=0, checks=checks)
        except _NoPlace:
            return None, None
        except Exception as error:
            if mutation is None or not done:
                raise
            return error, done[0]
    return report, done[0] if done else None


class _NoPlace(Exception):
    """The recording has no place for a mutation."""


def mutants(case: Tricky, sites: int = SITES) -> Iterator[Mutant]:
    """The mutants of one model."""
    for mutation in MUTATIONS:
        seen = set()
        for site in range(3 * sites):  # some are drawn twice
            report, what = validated(case, mutation, site, besides=seen)
            if what is None:
                continue
            seen.add(what)
            if isinstance(report, Exception):
                found, error = frozenset(), f"{type(report).__name__}: {report}"
            else:
                found, error = frozenset(finding.check for finding in report.findings), None
            yield Mutant(mutation=mutation, model=case.name, what=what, found=found, error=error)
            if len(seen) == sites:
                break


@dataclass(frozen=True, slots=True)
class Matrix:
    """Killed and total by mutation and check."""

    mutants: Sequence[Mutant]

    @property
    def survivors(self) -> list[Mutant]:
        """Those that no check has seen which claims them."""
        return [mutant for mutant in self.mutants if not mutant.is_killed]

    def __str__(self) -> str:
        by_name: dict[str, list[Mutant]] = defaultdict(list)
        for mutant in self.mutants:
            by_name[mutant.mutation.name].append(mutant)
        lines = [
            "".join([f"{'':30}", *(f"{check:>14}" for check in validate.CHECKS), f"{'any claimed':>14}"])
        ]
        for mutation in MUTATIONS:
            row = by_name[mutation.name]
            cells = [f"{mutation.name:30}"]
            for check in validate.CHECKS:
                killed = sum(check in mutant.found for mutant in row)
                mark = "*" if check in mutation.claims else " "
                cells.append(f"{f'{killed}/{len(row)}{mark}':>14}")
            cells.append(f"{f'{sum(mutant.is_killed for mutant in row)}/{len(row)} ':>14}")
            lines.append("".join(cells))
        lines.append(f"{len(self.mutants)} mutants; * claims the mutation")
        lines.append(f"{len(self.survivors)} survivors" + (":" if self.survivors else ""))
        lines += [f"  {mutant}" for mutant in self.survivors]
        return "\n".join(lines)


def kill_matrix(cases: Iterable[Tricky] = GOOD, sites: int = SITES) -> Matrix:
    """Every mutation on every model, seen by every check."""
    return Matrix([mutant for case in cases for mutant in mutants(case, sites)])
