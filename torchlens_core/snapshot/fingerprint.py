"""One short fingerprint of a structure: for two builds of one architecture the same.

Modules are seen through, so that neither their names nor how they nest matter, and ops that do not depend on
each other may run in any order. A value's fingerprint is made of its op and of the fingerprints of what the op
reads, as in R. C. Merkle, "A digital signature based on a conventional encryption function", CRYPTO '87.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from torchlens_core.names import words
from torchlens_core.snapshot.naming import absolute_name
from torchlens_core.snapshot.outline import (
    SIZES,
    Argument,
    Body,
    Call,
    Carried,
    Item,
    Loop,
    Op,
    Operand,
    Outline,
    Ref,
    address_of,
    flat,
    held_of,
    refs_of,
    spec_parts,
    values_of,
)
from torchlens_core.snapshot.snapshot import Snapshot, take_snapshot

if TYPE_CHECKING:
    from torchlens_core.history import ModelHistory

#: Characters of a fingerprint.
LENGTH = 16
#: Arguments that go with the width of a model, and the ops that scale by one.
_OF_WIDTH = words("groups num_groups num_heads scale embed_dim")
_SCALES = {("other", kind) for kind in ("mul", "mul_", "div", "div_")}
#: The longest row of blocks that is seen to come again.
MAX_PERIOD = 4
_SPEC = re.compile(r"\[[\d, ]*\]")


def structure_hash(history: ModelHistory | Snapshot, *, shapes: bool = True, folded: bool = False) -> str:
    """A fingerprint of the structure of a pass: 16 hexadecimal digits.

    Names of modules, the order of independent ops and the batch size are not in it: a size that comes first in
    the first input is divided out of what depends on the inputs. Without ``shapes``, sizes of values and
    parameters are not either, so that two widths agree. With ``folded``, neither is how often equal blocks
    follow each other or loops run, so that two depths agree.

    >>> import torch
    >>> import torchlens_core as tl
    >>> def of(width, **options):
    ...     model = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU())
    ...     return structure_hash(tl.log_forward_pass(model, torch.zeros(1, 4)), **options)
    >>> of(2) == of(2), of(2) == of(3), of(2, shapes=False) == of(3, shapes=False)
    (True, False, True)
    """
    outline = history.outline if isinstance(history, Snapshot) else take_snapshot(history).outline
    readers = Counter(address for address, _ in held_of(outline.body))
    return _Fingerprint(shapes, folded, _batch(outline), readers).of_outline(outline)


def _hashed(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:LENGTH]


class _Value:
    """A value by its fingerprint, and whether inputs are behind it."""

    __slots__ = ("depends", "hash")

    def __init__(self, value: str, depends: bool) -> None:
        self.hash = value
        self.depends = depends


class _Fingerprint:
    """One walk over an outline, calls seen through."""

    def __init__(self, shapes: bool, folded: bool, batch: int, readers: Mapping[str, int]) -> None:
        self._shapes = shapes
        self._folded = folded
        self._batch = batch
        #: How many ops read each parameter: shared weights are part of the structure.
        self._readers = readers
        self._all: list[str] = []
        self._kinds: dict[Body, str] = {}

    def of_outline(self, outline: Outline) -> str:
        """The fingerprint of the whole."""
        values: _Values = {}
        self._items(outline.body.items, values, "")
        outputs = [self._operand(output.operand, values, "").hash for output in outline.outputs]
        return _hashed(sorted(self._all), outputs)

    def _items(self, items: Sequence[Item], values: _Values, address: str) -> None:
        repeated = self._repeated(items) if self._folded else {}
        for item in items:
            if isinstance(item, Loop):
                self._loop(item, values, address)
            elif isinstance(item, Op):
                self._op(item, values, address)
            elif item.name in repeated:
                for slot in range(len(item.body.returns)):
                    values[item.name, slot] = values[repeated[item.name], slot]
            else:
                given = [self._operand(one, values, address) for one in item.arguments]
                for slot, result in enumerate(self._call(item, given, address)):
                    values[item.name, slot] = result

    def _repeated(self, items: Sequence[Item]) -> dict[str, str]:
        """Calls that do again what calls before them did, in a row, each to the result of the last."""
        found: dict[str, str] = {}
        row: list[_Again] = []
        for item in [*items, None]:
            if not (isinstance(item, Call) and row and _reads(item, row[-1].last)):
                found |= {name: one.names[0] for one in row for name in one.names[1:]}
                row = []
            if isinstance(item, Call):
                row.append(_Again(self._kind(item), item))
                _fold(row)
        return found

    def _kind(self, call: Call) -> str:
        """A fingerprint of what a module does and returns, whatever it is given first."""
        known = self._kinds.get(call.body)
        if known is None:
            inner = _Fingerprint(self._shapes, True, self._batch, Counter())
            inner._kinds = self._kinds  # which do not depend on who asks
            values = {(f"${n}", 0): _Value(f"${n}", True) for n in range(len(call.arguments))}
            inner._items(call.body.items, values, "")
            returned = [inner._operand(one, values, "").hash for one in call.body.returns]
            known = self._kinds[call.body] = _hashed(sorted(inner._all), returned)
        return known + repr(call.arguments[1:])

    def _call(self, call: Call, given: Sequence[_Value], address: str) -> list[_Value]:
        inner = address_of(address, call)
        values: _Values = {(f"${n}", 0): one for n, one in enumerate(given)}
        self._items(call.body.items, values, inner)
        return [self._operand(one, values, inner) for one in call.body.returns]

    def _loop(self, loop: Loop, values: _Values, address: str) -> None:
        start = len(self._all)
        self._items(loop.items, values, address)
        if self._folded:
            return
        self._all[start:] = [_hashed(one, loop.passes) for one in self._all[start:]]
        for item in flat(loop.items):
            for slot in range(values_of(item)):
                known = values[item.name, slot]
                values[item.name, slot] = _Value(_hashed(known.hash, loop.passes), known.depends)

    def _op(self, op: Op, values: _Values, address: str) -> None:
        read = [self._operand(one, values, address) for one in op.operands]
        depends = op.kind == "input" or any(value.depends for value in read)
        own = _hashed(
            op.kind,
            op.mark,
            [self._argument(op, one) for one in op.arguments],
            [value.hash for value in read],
            [held.spec if self._shapes else self._size(held.spec, False) for held in op.held],
            [self._size(spec, depends) for spec in op.specs],
        )
        self._all.append(own)
        for slot in range(len(op.specs)):
            values[op.name, slot] = _Value(_hashed(own, slot), depends)

    def _argument(self, op: Op, argument: Argument) -> tuple[str, str]:
        """Keyword and text, sizes left out: the results say them."""
        keyword, text = argument.keyword, argument.text
        if keyword in SIZES:
            return keyword, ""
        if not self._shapes and (keyword in _OF_WIDTH or (keyword, op.kind) in _SCALES):
            return keyword, ""
        return keyword, _SPEC.sub("", text)

    def _size(self, spec: str, depends: bool) -> Any:
        """Dtype and rank; with ``shapes`` the sizes too, or how many elements there are a sample."""
        dtype, sizes = spec_parts(spec)
        if not self._shapes:
            return dtype, len(sizes)
        if not depends or not all(size.isdigit() for size in sizes):
            # what is made as large as the batch does not read it
            return dtype, len(sizes), sizes[1:]
        elements = prod(map(int, sizes))
        return dtype, len(sizes), elements if elements % self._batch else elements // self._batch

    def _operand(self, operand: Operand, values: _Values, address: str) -> _Value:
        if isinstance(operand, Carried):
            first = self._operand(operand.first, values, address)
            return _Value(_hashed("carried", operand.level, first.hash), first.depends)
        found = [self._ref(ref, values, address) for ref in refs_of(operand)]
        if len(found) == 1:
            return found[0]
        return _Value(_hashed(sorted(one.hash for one in found)), any(one.depends for one in found))

    def _ref(self, ref: Ref, values: _Values, address: str) -> _Value:
        if ref.name[0] == "@":
            return _Value(
                f"parameter read {self._readers[absolute_name(ref.name[1:], address)]} times", False
            )
        known = values.get((ref.name, ref.slot), _LATER)
        if (ref.last is None and not ref.passes) or self._folded:
            return known
        return _Value(_hashed(known.hash, ref.passes, ref.last), known.depends)


_LATER = _Value("of a later line", False)
_Values = dict[tuple[str, int], _Value]


def _batch(outline: Outline) -> int:
    """The size that comes first in the first input; 1 if there is none."""
    inputs = (item for item in outline.body.items if isinstance(item, Op) and item.kind == "input")
    sizes = next((spec_parts(item.results[0])[1] for item in inputs if item.results), ())
    return int(sizes[0]) if sizes and sizes[0].isdigit() and sizes[0] != "0" else 1


class _Again:
    """A call in a row, with those that do it again."""

    __slots__ = ("kind", "last", "names")

    def __init__(self, kind: str, call: Call) -> None:
        self.kind = kind
        self.names = [call.name]
        #: The last of the row that ends with it; what goes on reads this one.
        self.last = call


def _fold(row: list[_Again]) -> None:
    """Take off the end of a row what comes twice there, one right after the other."""
    for period in range(1, MAX_PERIOD + 1):
        first, again = row[-2 * period : -period], row[-period:]
        if len(first) == period and [one.kind for one in first] == [one.kind for one in again]:
            for one, other in zip(first, again, strict=True):
                one.names += other.names
            first[-1].last = again[-1].last
            del row[-period:]
            return


def _reads(call: Call, before: Call) -> bool:
    return bool(call.arguments) and any(ref.name == before.name for ref in refs_of(call.arguments[0]))
