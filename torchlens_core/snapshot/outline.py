"""The structure of a forward pass as plain data: what a snapshot holds, and a diff compares.

A pass is a tree of *bodies*, one a module call. A body knows values from outside only as ``$0``, ``$1``, so that
equal blocks have equal bodies, whatever stands around them; equal ones of a snapshot are one object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import Any, Generic, NamedTuple, TypeVar

from torchlens_core.names import words
from torchlens_core.snapshot.naming import absolute_name

#: Stands in the text of an argument for each of its operands.
HOLE = "\N{WHITE SQUARE}"


class Ref(NamedTuple):
    """A value by the name it has in a body: ``add#2``, ``lstm[1]``, ``cell:3``, ``$0``, ``@weight``."""

    name: str
    #: Which of the results it is.
    slot: int = 0
    #: For what runs in a loop, seen from outside: in which pass it was made, the outermost loop's first; the
    #: last ones if empty.
    passes: tuple[int, ...] = ()
    #: False where memory could not be followed exactly.
    certain: bool = True
    #: In a loop, if each pass reads another result: that of the last pass.
    last: int | None = None
    #: False where only its memory is meant, which is overwritten whole: ``x!``.
    is_read: bool = True


#: What refers to a value: a `Ref`, or while a body is made that of `torchlens_core.snapshot.draft`.
R = TypeVar("R", bound=tuple[Any, ...])
S = TypeVar("S", bound=tuple[Any, ...])


class Several(NamedTuple, Generic[R]):
    """Contents that several values make up together: ``{a, b}``."""

    refs: tuple[R, ...]


class Carried(NamedTuple, Generic[R]):
    """In a loop: one value in the first pass, then another of the pass before: ``zeros~cell``.

    ``zeros~~cell`` speaks of the passes of the loop around the innermost one.
    """

    #: Again one of these, in a loop in a loop.
    first: R | Several[R] | Carried[R]
    then: R | Several[R]
    #: Whose passes are meant: 0 for the innermost loop, 1 for the loop around it.
    level: int = 0


Operand = Ref | Several[Ref] | Carried[Ref]


def refs_of(operand: R | Several[R] | Carried[R]) -> tuple[R, ...]:
    """Every value that an operand names."""
    if isinstance(operand, Several):
        return operand.refs
    if isinstance(operand, Carried):
        return (*refs_of(operand.first), *refs_of(operand.then))
    return (operand,)


def merged(operands: Iterable[R | Several[R] | Carried[R]]) -> R | Several[R]:
    """The contents that some operands make up together."""
    refs = dict.fromkeys(ref for operand in operands for ref in refs_of(operand))
    return next(iter(refs)) if len(refs) == 1 else Several(tuple(refs))


def mapped(
    operand: R | Several[R] | Carried[R], change: Callable[[R], S | Several[S] | Carried[S]]
) -> S | Several[S] | Carried[S]:
    """An operand with something else in place of each value."""
    if isinstance(operand, Several):
        return merged(map(change, operand.refs))
    if isinstance(operand, Carried):
        first: S | Several[S] | Carried[S] = mapped(operand.first, change)
        then: S | Several[S] | Carried[S] = mapped(operand.then, change)
        return Carried(first, merged([then]), operand.level)
    return change(operand)


class Argument(NamedTuple):
    """One argument of an op: ``dim=1``, ``[□, □]``, ``[:, :3]``."""

    #: Empty for what is given by position.
    keyword: str
    text: str
    operands: tuple[Operand, ...] = ()


class Held(NamedTuple):
    """A parameter or buffer that an op reads."""

    #: As in a `Ref`: ``@weight`` for the module's own, ``@/embedding.weight`` or ``@^scale`` for another's.
    name: str
    #: ``f32[64, 3, 7, 7]``.
    spec: str
    is_buffer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One op; inputs and constants are ops without arguments."""

    #: Unique in its body: the kind, with ``#2`` for the second of that name.
    name: str
    #: Public name of the function: ``conv2d``, ``add_``.
    kind: str
    arguments: tuple[Argument, ...] = ()
    #: ``f32[1, 64, 56, 56]`` for each tensor returned, then for each written besides.
    results: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()
    #: ``opaque`` if its inside cannot be seen, ``python`` if its value leaves the graph.
    mark: str = ""

    @property
    def specs(self) -> tuple[str, ...]:
        """All its values, by slot."""
        return self.results + self.written

    @property
    def operands(self) -> tuple[Operand, ...]:
        """What its arguments read."""
        return tuple(operand for argument in self.arguments for operand in argument.operands)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a module; its values are what its body returns."""

    #: Address relative to the module around it, with ``#2`` for the second call.
    name: str
    class_name: str
    #: What ``$0``, ``$1`` of the body are.
    arguments: tuple[Operand, ...]
    body: Body
    #: ``training`` or ``eval``, where it differs from the module around it.
    mode: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Items that run several times; values that differ from pass to pass are written ``0..3``."""

    passes: int
    items: tuple[Item, ...]


Item = Op | Call | Loop


@dataclass(frozen=True, slots=True)
class Body:
    """What a module does in a call."""

    items: tuple[Item, ...] = ()
    #: Its values: what the module returned, then what else is used outside.
    returns: tuple[Operand, ...] = ()
    #: Kept, since equal bodies of a snapshot are asked for it again and again.
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.items, self.returns)))

    def __hash__(self) -> int:
        return self._hash


class Output(NamedTuple):
    """One tensor of the model's result."""

    #: ``output``, ``output.logits``.
    name: str
    operand: Operand
    spec: str


class Unused(NamedTuple):
    """Parameters that nothing reads."""

    #: The outermost module all of whose parameters are so.
    address: str
    elements: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The structure of one pass."""

    #: Name of the model's class; not of its file, which is called differently from one way to run tests to another.
    model: str
    is_training: bool
    body: Body
    outputs: tuple[Output, ...] = ()
    unused: tuple[Unused, ...] = ()


def flat(items: tuple[Item, ...]) -> Iterator[Op | Call]:
    """Ops and calls, those of loops once."""
    for item in items:
        if isinstance(item, Loop):
            yield from flat(item.items)
        else:
            yield item


def held_of(body: Body, address: str = "") -> Iterator[tuple[str, Held]]:
    """What is held in a body and beneath, loops once, by its address: once for each op that reads it."""
    for item in flat(body.items):
        if isinstance(item, Op):
            yield from ((absolute_name(held.name[1:], address), held) for held in item.held)
        else:
            yield from held_of(item.body, address_of(address, item))


def calls_of(body: Body, address: str = "") -> Iterator[tuple[str, Call]]:
    """Every call in a body and beneath, loops once, each with its module's address."""
    for item in flat(body.items):
        if isinstance(item, Call):
            inner = address_of(address, item)
            yield inner, item
            yield from calls_of(item.body, inner)


def address_of(address: str, call: Call) -> str:
    """The address of a module called in the body of another."""
    return absolute_name(call.name.partition("#")[0], address)


def values_of(item: Op | Call) -> int:
    """How many values an item has."""
    return len(item.specs) if isinstance(item, Op) else len(item.body.returns)


def default_returns(items: tuple[Item, ...]) -> tuple[Operand, ...]:
    """What a body returns if nothing is said: the results of its last item; its ``$0`` if it has none."""
    if not items:
        return (Ref("$0"),)
    last = items[-1]
    while isinstance(last, Loop):
        last = last.items[-1]
    count = len(last.results or last.written) if isinstance(last, Op) else len(last.body.returns)
    return tuple(Ref(last.name, slot) for slot in range(count))


def is_leaf(call: Call) -> bool:
    """Whether a module does one op and nothing else: then both are one line."""
    if len(call.body.items) != 1 or not isinstance(call.body.items[0], Op):
        return False
    given = call.arguments
    return _inputs_of_leaf(call.body) == len(given) and (len(given) < 2 or len(set(given)) == len(given))


@lru_cache(maxsize=65536)
def _inputs_of_leaf(body: Body) -> int:
    """How many values from outside the one op of a body reads; -1 if it cannot share a line with its module."""
    op = body.items[0]
    if not isinstance(op, Op) or op.name != op.kind or body.returns != default_returns(body.items):
        return -1
    operands = op.operands
    if not all(isinstance(one, Ref) for one in operands):
        return -1
    names = dict.fromkeys(ref.name for one in operands for ref in refs_of(one) if ref.name[:1] == "$")
    return len(names) if list(names) == [f"${n}" for n in range(len(names))] else -1


#: Arguments that say the size of a result.
SIZES = words(
    "end length normalized_shape output_size repeats shape size sizes split_size split_size_or_sections steps"
)
_SPEC = re.compile(r"(\w+)\[(.*?)\](.*)", re.DOTALL)


@lru_cache(maxsize=65536)
def spec_parts(spec: str) -> tuple[str, tuple[str, ...]]:
    """Dtype, with the layout if it is no dense one, and sizes of a spec.

    >>> spec_parts("f32[1, 64, 56, 56]")
    ('f32', ('1', '64', '56', '56'))
    """
    found = _SPEC.fullmatch(spec)
    if found is None:
        return spec, ()
    dtype, sizes, layout = found.groups()
    return dtype + layout, tuple(sizes.split(", ")) if sizes else ()


def elements(spec: str) -> int:
    """How many numbers a tensor of that spec holds; 0 if a size has no number.

    >>> elements("f32[64, 3, 7, 7]"), elements("f32[]"), elements("f32[s0, 3]")
    (9408, 1, 0)
    """
    sizes = spec_parts(spec)[1]
    return prod(map(int, sizes)) if all(map(str.isdigit, sizes)) else 0


@lru_cache(maxsize=65536)
def count_ops(body: Body) -> int:
    """Ops in a body and beneath, each pass of a loop; inputs and constants are none."""
    return sum(map(_count, body.items))


def _count(item: Item) -> int:
    if isinstance(item, Op):
        return item.kind not in ("input", "constant")
    return count_ops(item.body) if isinstance(item, Call) else item.passes * sum(map(_count, item.items))


def parameters_in(body: Body, address: str = "") -> int:
    """How many numbers the parameters hold that are read in a body and beneath, shared ones once."""
    sizes = {name: elements(held.spec) for name, held in held_of(body, address) if not held.is_buffer}
    return sum(sizes.values())
