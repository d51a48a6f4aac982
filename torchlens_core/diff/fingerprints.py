"""What units are and what bodies compute, as numbers: Python's own hashes, since they are never kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from torchlens_core.diff.units import MAX_KEPT, Unit, units_of
from torchlens_core.diff.unrolled import keys_of, unrolled, upstream_of
from torchlens_core.snapshot.outline import Body, Operand, Ref, Several, refs_of

Fingerprint = int


def nature(unit: Unit) -> Fingerprint:
    """A fingerprint of what a unit is, its inputs left out."""
    if unit.nature is None:
        unit.nature = hash(_own(unit))
    return unit.nature


def _own(unit: Unit) -> Any:
    op, call = unit.op, unit.call
    outer = None
    if call is not None:
        outer = unit.title, call.class_name, call.mode, None if op is not None else digest(call.body)
    if op is None:
        return outer
    name = unit.name if op.kind == "input" else ""
    return outer, op.kind, name, unit.texts, op.results, op.written, op.held, op.mark


def content(unit: Unit) -> Any:
    """What a module is, whatever its name; None for ops."""
    return None if unit.call is None else (unit.call.class_name, digest(unit.call.body))


@lru_cache(maxsize=MAX_KEPT)
def digest(body: Body) -> Fingerprint:
    """A fingerprint of what a body computes: ops that do not depend on each other may run in any order."""
    units = units_of(body)
    whole = unrolled(body, body.returns, nature) if any(unit.passes for unit in units) else None
    if whole is not None:
        values = upstream_of(whole.nodes)
        return hash((tuple(sorted(values)), keys_of(whole.returns, values)))
    values = upstream(units, {})
    names: dict[str, Fingerprint | None] = {
        unit.name: value for unit, value in zip(units, values, strict=True)
    }
    return hash((tuple(sorted(values)), tuple([_operand_key(one, names, {}) for one in body.returns])))


def upstream(units: Sequence[Unit], inputs: Mapping[str, str]) -> list[Fingerprint]:
    """For each unit a fingerprint of it and of all that it depends on in its body.

    ``inputs`` says what ``$`` names are called, so that two bodies that number them apart agree.
    """
    natures = list(map(nature, units))
    return [value for value in upstream_among(units, natures, inputs, natures) if value is not None]


def upstream_among(
    units: Sequence[Unit],
    natures: Sequence[Fingerprint],
    inputs: Mapping[str, str],
    known: Iterable[Fingerprint],
) -> Iterator[Fingerprint | None]:
    """The same, with None for what is none of the known natures, or depends on such."""
    known = frozenset(known)
    names: dict[str, Fingerprint | None] = {}
    for unit, own in zip(units, natures, strict=True):
        value = None
        if own in known:
            operands = tuple([_operand_key(one, names, inputs) for one in unit.operands])
            if None not in operands:
                value = hash((own, operands, unit.passes))
        names[unit.name] = value
        yield value


def downstream(units: Sequence[Unit], returns: Sequence[Operand]) -> list[Fingerprint]:
    """For each unit a fingerprint of it and of all that depends on it in its body."""
    readers: dict[str, list[Any]] = {}
    for n, operand in enumerate(returns):
        for ref in refs_of(operand):
            readers.setdefault(ref.name, []).append((n, *ref[1:]))
    found = []
    for unit in reversed(units):
        value = hash((nature(unit), unit.passes, tuple(sorted(map(hash, readers.get(unit.name, ()))))))
        found.append(value)
        for n, operand in enumerate(unit.operands):
            for ref in refs_of(operand):
                readers.setdefault(ref.name, []).append((value, n, *ref[1:]))
    return found[::-1]


def _operand_key(
    operand: Operand, names: Mapping[str, Fingerprint | None], inputs: Mapping[str, str]
) -> Any:
    """An operand by the fingerprints of what it names; None if one of them has none."""
    if isinstance(operand, Ref):
        name = operand.name
        if name in names:
            known = names[name]
            return None if known is None else (known, *operand[1:])
        return (inputs.get(name, name), *operand[1:])
    if isinstance(operand, Several):
        keys = tuple([_operand_key(ref, names, inputs) for ref in operand.refs])
        return None if None in keys else keys
    # what comes from the pass before has no fingerprint yet: its name, without its number, must do
    first = _operand_key(operand.first, names, inputs)
    then = tuple(ref.name.partition("#")[0] for ref in refs_of(operand.then))
    return None if first is None else ("carried", operand.level, first, then)
