"""A snapshot as the text of a ``.lens`` file; `torchlens_core.snapshot.parse` reads it back.

::

    # lens graph 1
    # recorded with: torch 2.14.1
    model ResNet
    input x -> f32[1, 3, 224, 224]
    conv1: Conv2d conv2d(_, stride=2, padding=3) -> f32[1, 64, 112, 112] | weight[64, 3, 7, 7]
    layer1: Sequential(maxpool)
      0: BasicBlock($0)
        ...
      1: BasicBlock(_) = same as 0
    output = fc -> f32[1, 1000]
    end

One op a line; two blanks a module level. ``_`` is the result of the line above in the same body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby

from torchlens_core.snapshot.outline import (
    HOLE,
    Argument,
    Body,
    Call,
    Held,
    Item,
    Loop,
    Op,
    Operand,
    Outline,
    Ref,
    Several,
    default_returns,
    flat,
    is_leaf,
    spec_parts,
    values_of,
)

#: Version of the format.
FORMAT = 1
HEADER = "# lens graph"
INDENT = "  "
#: The last line, without which a file was cut.
END = "end"
#: Runs of operands at least as long are written ``cell:1..200``.
SHORTEST_RUN = 3


def text_of(outline: Outline, notes: Mapping[str, str]) -> str:
    """The text of a structure, with a line end after the last line; notes are comment lines."""
    lines = [f"{HEADER} {FORMAT}"]
    lines += [f"# {name}: {' '.join(value.split())}" for name, value in notes.items()]
    lines.append(f"model {outline.model}{', training' if outline.is_training else ''}")
    body = _Writer(outline.body, "")
    for output in outline.outputs:
        body.lines.append(f"{output.name} = {body.scope.operand(output.operand)} -> {output.spec}")
    lines += body.finished()
    lines += [
        f"unused {unused.address or 'model'} | {unused.elements:,} params" for unused in outline.unused
    ]
    lines.append(END)
    return "\n".join(lines) + "\n"


class Scope:
    """How values are written in one body, line by line."""

    def __init__(self, items: tuple[Item, ...], outer: Sequence[str] = ()) -> None:
        #: How ``$0``, ``$1`` are written; themselves if empty.
        self._outer = outer
        self._values = {item.name: values_of(item) for item in flat(items)}
        self._passes = {
            item.name: loop.passes
            for loop in items
            if isinstance(loop, Loop)
            for item in loop.items
            if not isinstance(item, Loop)
        }
        self._above: dict[Ref, str] = {}
        #: Names that were written, where ``_`` would not do.
        self.used: set[str] = set()

    def step(self, item: Op | Call | None) -> None:
        """Go on to the line below ``item``; None for a line that none is above."""
        self._above = {}
        if item is None:
            return
        values = values_of(item)
        for slot in range(values):
            written = "_" if values == 1 else f"_[{slot}]"
            self._above[Ref(item.name, slot)] = written
            passed = passed_on(item, slot)
            if isinstance(passed, Ref):
                self._above.setdefault(passed, written)

    def ref(self, ref: Ref) -> str:
        """A value as it is written here."""
        end = _end(ref)
        above = self._above.get(ref._replace(certain=True, is_read=True))
        if above is not None:
            return above + end
        name = ref.name
        if name[0] == "$" and self._outer:
            return self._outer[int(name[1:])] + end
        self.used.add(name)
        name = shown_name(name)
        if ref.last is not None:
            name += f"[{ref.slot}..{ref.last}]"
        elif self._values.get(ref.name, 1) > 1:
            name += f"[{ref.slot}]"
        return name + "".join(f":{number}" for number in ref.passes) + end

    def operand(self, operand: Operand) -> str:
        """An operand as it is written here."""
        if isinstance(operand, Ref):
            return self.ref(operand)
        if isinstance(operand, Several):
            return "{" + ", ".join(map(self.ref, operand.refs)) + "}"
        return f"{self.operand(operand.first)}{'~' * (operand.level + 1)}{self.operand(operand.then)}"

    def argument(self, argument: Argument) -> str:
        """An argument, with runs of operands as one: ``[cell:*]``, ``[unbind[0:12]]``."""
        operands, parts = argument.operands, argument.text.split(HOLE)
        text, n = parts[0], 0
        while n < len(operands):
            length = 1
            while parts[n + length] == ", " and self._is_next(operands[n], operands[n + length], length):
                length += 1
            if length >= SHORTEST_RUN:
                text += self._run(operands[n], length)
            else:
                length = 1
                text += self.operand(operands[n])
            n += length
            text += parts[n]
        return f"{argument.keyword}={text}" if argument.keyword else text

    def _is_next(self, first: Operand, this: Operand, distance: int) -> bool:
        if not isinstance(first, Ref) or not isinstance(this, Ref) or first.last is not None:
            return False
        if not first.passes:
            return this == first._replace(slot=first.slot + distance)
        number = first.passes[0] + distance
        passes = () if number == self._passes.get(first.name) else (number,)
        return len(first.passes) == 1 and this == first._replace(passes=passes)

    def _run(self, first: Operand, length: int) -> str:
        assert isinstance(first, Ref)
        self.used.add(first.name)
        end, name = _end(first), shown_name(first.name)
        if not first.passes:
            return f"{name}[{first.slot}:{first.slot + length}]{end}"
        start = first.passes[0]
        slot = f"[{first.slot}]" if self._values.get(first.name, 1) != 1 else ""
        is_whole = start == 1 and length == self._passes.get(first.name)
        return f"{name}{slot}:{'*' if is_whole else f'{start}..{start + length - 1}'}{end}"


def _end(ref: Ref) -> str:
    return ("" if ref.certain else "?") + ("" if ref.is_read else "!")


def shown_name(name: str) -> str:
    """A name among arguments: that of a module called 0 as ``.0``, which is no number."""
    return f".{name}" if name[0].isdigit() else name


def passed_on(item: Op | Call, slot: int) -> Operand | None:
    """What a result of a call is around it, if the module returned what it was given."""
    operand = item.body.returns[slot] if isinstance(item, Call) else None
    if isinstance(item, Call) and isinstance(operand, Ref) and operand.name[0] == "$":
        return item.arguments[int(operand.name[1:])]
    return None


#: Around a name whose number is left out if no line says it.
_MAYBE = "\0"


class _Writer:
    """Writes the lines of one body; equal siblings refer to the nearest before, so that changes stay local."""

    def __init__(self, body: Body, indent: str) -> None:
        self.scope = Scope(body.items)
        self.lines: list[str] = []
        self._seen: dict[tuple[str, Body], str] = {}
        self._write(body.items, indent)

    def finished(self) -> list[str]:
        """The lines, with numbers only for those names that some line says."""

        def shown(match: re.Match[str]) -> str:
            return match[1] if match[1] in self.scope.used else match[1].partition("#")[0]

        return [_NUMBERED.sub(shown, line) for line in self.lines]

    def _write(self, items: tuple[Item, ...], indent: str) -> None:
        for item in items:
            if isinstance(item, Loop):
                self.lines.append(f"{indent}loop x{item.passes} passes")
                self.scope.step(None)
                self._write(item.items, indent + INDENT)
                continue
            if isinstance(item, Op):
                name = f"{_MAYBE}{item.name}{_MAYBE}" if "#" in item.name else item.name
                self.lines.append(indent + _op(item, self.scope, name))
            elif is_leaf(item):
                self.lines.append(indent + _leaf(item, self.scope))
            else:
                self._write_call(item, indent)
            self.scope.step(item)

    def _write_call(self, call: Call, indent: str) -> None:
        arguments = ", ".join(map(self.scope.operand, call.arguments))
        line = f"{indent}{call.name}: {call.class_name}({arguments})" + (
            f" | {call.mode}" if call.mode else ""
        )
        same = self._seen.get((call.class_name, call.body))
        self._seen[call.class_name, call.body] = call.name
        if same is not None and call.body.items:
            self.scope.used.add(same)
            self.lines.append(f"{line} = same as {same}")
            return
        self.lines.append(line)
        inner = _Writer(call.body, indent + INDENT)
        if call.body.returns != default_returns(call.body.items):
            values = ", ".join(map(inner.scope.operand, call.body.returns))
            inner.lines.append(f"{indent}{INDENT}return {values or 'nothing'}")
        self.lines += inner.finished()


_NUMBERED = re.compile(f"{_MAYBE}(.*?){_MAYBE}")


def _leaf(call: Call, scope: Scope) -> str:
    op = call.body.items[0]
    assert isinstance(op, Op)
    outer = [scope.operand(operand) for operand in call.arguments]
    line = f"{call.name}: {call.class_name} {_op(op, Scope((), outer), op.kind)}"
    return line + (f" | {call.mode}" if call.mode else "")


def _op(op: Op, scope: Scope, name: str) -> str:
    hidden = hidden_arguments(op)
    arguments = [scope.argument(one) for n, one in enumerate(op.arguments) if n not in hidden]
    given = f"({', '.join(arguments)})"
    if op.kind == "input":
        line = f"input {name}" + (given if arguments else "")
    else:
        line = name + given
    if op.results or op.mark == "python":
        line += f" -> {_specs(op.results) or op.mark}"
    if op.written:
        line += f" writes {_specs(op.written)}"
    for title, is_buffer in (("", False), ("buffers ", True)):
        held = [_held(one, op) for one in op.held if one.is_buffer is is_buffer]
        line += f" | {title}{' '.join(held)}" if held else ""
    return line + (" | opaque" if op.mark == "opaque" else "")


def _specs(specs: Sequence[str]) -> str:
    """Specs, runs of equal ones as one: ``f32[1, 8] x12``."""
    runs = [(spec, len(list(same))) for spec, same in groupby(specs)]
    return ", ".join(
        f"{spec} x{count}" if count >= SHORTEST_RUN else ", ".join([spec] * count) for spec, count in runs
    )


def hidden_arguments(op: Op) -> set[int]:
    """Arguments that need not be written: a module's own parameter, for the keyword of its name."""
    own = {one.name for one in op.held}
    return {
        n
        for n, one in enumerate(op.arguments)
        if one.operands == (Ref(f"@{one.keyword}"),) and one.text == HOLE and f"@{one.keyword}" in own
    }


def _held(held: Held, op: Op) -> str:
    dtype, _ = spec_parts(held.spec)
    name = held.name[1:]
    return name + (held.spec[len(dtype) :] if dtype == main_dtype(op.specs) else f":{held.spec}")


def main_dtype(specs: Sequence[str]) -> str:
    """The dtype that parameters of an op have if nothing is said: that of its first value."""
    return spec_parts(specs[0])[0] if specs else ""
