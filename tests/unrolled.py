"""The graph that a snapshot says, op by op: loops run, bodies entered, `$0` followed to what it is.

Knows nothing of how snapshots are made; `recorded` has the same from a recording, so that both can be compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from torchlens_core.nodes import BUFFER, CONSTANT, INPUT, OUTPUT, PARAMETER
from torchlens_core.snapshot.outline import Body, Call, Carried, Loop, Op, Outline, Ref, Several

#: Marks what is not read, but overwritten whole.
MEMORY = "memory of"
_PROGRESSION = re.compile(r"(-?\d+)\.\.(-?\d+)")


class Step(NamedTuple):
    """One op that ran."""

    kind: str
    #: Addresses of the modules around it, the innermost last.
    modules: tuple[str, ...]
    #: Keyword and text of each argument.
    texts: tuple[tuple[str, str], ...]
    #: For each operand, what it reads: number of the step and of its value, or ``@address``.
    reads: tuple[tuple[object, ...], ...]
    specs: tuple[str, ...]
    held: tuple[tuple[str, str], ...]


class Unrolled(NamedTuple):
    """All ops in the order in which they ran, and what the model returned."""

    steps: tuple[Step, ...]
    outputs: tuple[tuple[object, ...], ...]


def unrolled(outline: Outline) -> Unrolled:
    """The graph of an outline."""
    run = _Run()
    body = _Frame(run, outline.body, (), "", ())
    body.execute(outline.body.items, (), ())
    outputs = tuple(tuple(sorted(map(repr, body.read(one.operand, (), ())))) for one in outline.outputs)
    return Unrolled(tuple(run.steps), outputs)


class _Values:
    """The values of one op."""

    def __init__(self, number: int, count: int) -> None:
        self._number = number
        self._count = count

    def __getitem__(self, slot: int) -> set:
        # what waits for an op and reads no value of it, as what follows ``backward``, names a slot it has not
        return {(self._number, slot if slot < self._count else 0, True)}


class _Run:
    def __init__(self) -> None:
        self.steps: list[Step] = []


class _Frame:
    """One call of a body: the values that its names have, by the passes in which they were made."""

    def __init__(
        self, run: _Run, body: Body, given: Sequence, address: str, modules: tuple[str, ...]
    ) -> None:
        self.run = run
        self.given = given
        self.address = address
        self.modules = modules
        self.values: dict[tuple[str, tuple[int, ...]], list] = {}
        #: The loops around each name, outermost first.
        self.loops: dict[str, tuple[Loop, ...]] = {}
        self._place(body.items, ())

    def _place(self, items, loops: tuple[Loop, ...]) -> None:
        for item in items:
            if isinstance(item, Loop):
                self._place(item.items, (*loops, item))
            else:
                assert item.name not in self.loops, f"two items are called {item.name}"
                self.loops[item.name] = loops

    def execute(self, items, loops: tuple[Loop, ...], passes: tuple[int, ...], outer=()) -> None:
        for item in items:
            if isinstance(item, Loop):
                for number in range(1, item.passes + 1):
                    self.execute(item.items, (*loops, item), (*passes, number), outer)
            elif isinstance(item, Call):
                given = [self.read(one, loops, passes) for one in item.arguments]
                address = self._absolute(item.name.partition("#")[0])
                inner = _Frame(self.run, item.body, given, address, (*self.modules, address))
                inner.counting = (*self.counting, *zip(passes, (one.passes for one in loops), strict=True))
                inner.execute(item.body.items, (), ())
                self.values[item.name, passes] = [inner.read(one, (), ()) for one in item.body.returns]
            else:
                self._op(item, loops, passes)

    #: Pass and number of passes of each loop around the call, in other bodies.
    counting: tuple[tuple[int, int], ...] = ()

    def _spread(self, text: str, loops, passes) -> str:
        """A text with progressions as they are in this pass, of the one loop that can be meant."""
        around = [*self.counting, *zip(passes, (one.passes for one in loops), strict=True)]

        def one(match: re.Match[str]) -> str:
            start, stop = int(match[1]), int(match[2])
            fitting = [(n, count) for n, count in around if count > 1 and (stop - start) % (count - 1) == 0]
            assert len(fitting) >= 1, text
            number, count = fitting[-1]
            return str(start + (number - 1) * (stop - start) // (count - 1))

        return _PROGRESSION.sub(one, text) if ".." in text.replace("...", "") and '"' not in text else text

    def _op(self, op: Op, loops, passes) -> None:
        reads = []
        for operand in op.operands:
            reads.append(tuple(sorted(map(repr, self.read(operand, loops, passes)))))
        spread = lambda text: self._spread(text, loops, passes)
        number = len(self.run.steps)
        self.run.steps.append(
            Step(
                op.kind,
                self.modules,
                tuple((one.keyword, spread(one.text)) for one in op.arguments),
                tuple(reads),
                tuple(map(spread, op.specs)),
                tuple((self._absolute(one.name[1:]), spread(one.spec)) for one in op.held),
            )
        )
        self.values[op.name, passes] = _Values(number, len(op.specs))

    def _absolute(self, name: str) -> str:
        """``weight``, ``^weight`` of the module around, ``/embedding.weight``, as an address."""
        if name[:1] == "/":
            return name[1:]
        up = len(name) - len(name.lstrip("^"))
        around = self.address.split(".")[: -up if up else None] if self.address else []
        return ".".join([*around, name[up:]] if name[up:] else around)

    def read(self, operand, loops, passes) -> set:
        """What an operand stands for where it is read."""
        if isinstance(operand, Several):
            return set().union(*(self.read(one, loops, passes) for one in operand.refs))
        if isinstance(operand, Carried):
            return self._carried(operand, loops, passes)
        return self._ref(operand, loops, passes, 0)

    def _common(self, name: str, loops) -> int:
        theirs = self.loops.get(name, ())
        common = 0
        while common < min(len(loops), len(theirs)) and loops[common] is theirs[common]:
            common += 1
        return common

    def _carried(self, operand: Carried, loops, passes) -> set:
        depth = len(loops) - operand.level
        assert depth > 0, f"{operand} carries nothing"
        if passes[depth - 1] == 1:
            return self.read(operand.first, loops, passes)
        refs = operand.then.refs if isinstance(operand.then, Several) else (operand.then,)
        return set().union(*(self._ref(one, loops, passes, depth) for one in refs))

    def _ref(self, ref: Ref, loops, passes, back: int) -> set:
        """A value; ``back`` is the depth of the loop whose pass before is meant, if it is."""
        if ref.name[0] == "@":
            found = {("@" + self._absolute(ref.name[1:]), 0, True)}
        elif ref.name[0] == "$":
            found = self.given[int(ref.name[1:])]
        else:
            theirs = self.loops[ref.name]
            common = self._common(ref.name, loops)
            assert back <= common, f"{ref} is not in the loop that carries it"
            own = [*passes[: back - 1], passes[back - 1] - 1] if back else list(passes[:common])
            rest = [one.passes for one in theirs[len(own) :]]
            if ref.passes:
                rest[len(rest) - len(ref.passes) :] = ref.passes
            slot = ref.slot
            if ref.last is not None:
                slot = int(self._spread(f"{ref.slot}..{ref.last}", loops, passes))
            found = self.values[ref.name, (*own, *rest)][slot]
        if not ref.is_read:
            return {(MEMORY, *one) for one in found}
        return found if ref.certain else {(*one[:-1], False) for one in found}


#: A ragged size, which torch numbers through all of a process.
_RAGGED = re.compile(r"\bj\d+\b")


class Recorded(NamedTuple):
    """The same of a recording, without texts: kinds are the recorder's."""

    steps: tuple[tuple, ...]
    outputs: tuple[tuple, ...]


def recorded(recording, written) -> Recorded:
    """Ops of a recording: modules, what they read, specs; addresses as ``written`` writes them."""
    numbers = {}
    for node in recording.nodes:
        if node.kind not in (PARAMETER, BUFFER, CONSTANT, OUTPUT):
            numbers[node.index] = len(numbers)

    def source(edge):
        origin = recording.nodes[edge.origin.node]
        if origin.kind in (PARAMETER, BUFFER):
            return ("@" + written(origin.address or ""), 0, edge.certain)
        if origin.kind == CONSTANT:
            return (CONSTANT, edge.origin.slot, edge.certain)
        slot = edge.origin.slot if edge.origin.slot < len(origin.values) else 0
        return (numbers[origin.index], slot, edge.certain)

    ragged: dict[str, str] = {}

    def numbered(found: re.Match[str]) -> str:
        return ragged.setdefault(found[0], f"j{len(ragged)}")

    steps = []
    for node in recording.nodes:
        if node.index not in numbers:
            continue
        call, modules = recording.call_of[node.index], []
        while call is not None:
            if call.address or call.parent is not None:
                modules.insert(0, written(call.address))
            call = call.parent
        paths: dict = {}
        for edge in node.edges:
            paths.setdefault(edge.path, set()).add(source(edge))
        reads = tuple(sorted(tuple(sorted(map(repr, one))) for one in paths.values()))
        is_input = node.kind == INPUT
        specs = tuple(_RAGGED.sub(numbered, str(value.spec)) for value in node.values)
        steps.append((() if is_input else tuple(modules), reads, specs))
    outputs = tuple(
        tuple(sorted({repr(source(edge)) for edge in node.edges}))
        for node in recording.nodes
        if node.kind == OUTPUT
    )
    return Recorded(tuple(steps), outputs)


def as_recorded(graph: Unrolled) -> Recorded:
    """What a snapshot says in the words of `recorded`, which knows nothing of constants but that they are read."""
    is_constant = [step.kind == "constant" and not step.texts for step in graph.steps]
    numbers = {}
    for n, constant in enumerate(is_constant):
        if not constant:
            numbers[n] = len(numbers)

    def renamed(text: str) -> str:
        text = _UNKNOWN.sub("@'", text)
        found = _STEP.match(text)
        if not found:
            return text
        source = numbers.get(int(found[1]), CONSTANT)
        return f"({source!r}, {text[found.end() :]}"

    steps = []
    for n, step in enumerate(graph.steps):
        if n in numbers:
            read = [[text for text in one if MEMORY not in text] for one in step.reads]
            reads = sorted(tuple(sorted(map(renamed, one))) for one in read if one)
            steps.append((step.modules, tuple(reads), step.specs))
    outputs = tuple(tuple(sorted(map(renamed, one))) for one in graph.outputs)
    return Recorded(tuple(steps), outputs)


#: Parameters that the model does not know.
_UNKNOWN = re.compile(r"@\*\d+'")
_STEP = re.compile(r"^\((\d+), ")
