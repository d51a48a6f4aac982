"""The text of a ``.lens`` file, read back into a structure.

Reading is strict: a line that is not understood, a name that no line above has, a number that does not count
is an error with its line, since a file that is half understood would be compared half.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from torchlens_core.garbage import collector_spared
from torchlens_core.snapshot.naming import ROOT, UP
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
    Output,
    Ref,
    Unused,
    default_returns,
    flat,
    refs_of,
)
from torchlens_core.snapshot.reading import MAX_RUN, Names, end_of_arguments, fail, shown, split
from torchlens_core.snapshot.text import END, FORMAT, HEADER, INDENT, main_dtype


class Line(NamedTuple):
    """One line of the file."""

    number: int
    depth: int
    text: str


def parsed(text: str) -> tuple[Outline, dict[str, str]]:
    """The structure and the notes in a text. Raises `SnapshotError`."""
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.isascii() and line.encode("utf-8", "replace").decode() != line:
            fail(number, "a character that no UTF-8 file can hold")
        if HOLE in line:
            fail(
                number,
                f"the character {HOLE}, which no snapshot has outside of quotes, and there as \\u25a1",
            )
        if line.startswith(("<<<<<<< ", ">>>>>>> ")) or line == "=======":
            fail(number, "a conflict marker of git", "Resolve the conflict, or record the snapshot again.")
    if not text.endswith("\n"):
        fail(len(lines), "the end of the file amid a line: it was cut", "Restore it, or record it again.")
    notes = _notes(lines)
    body_lines = [
        _line(n, line) for n, line in enumerate(lines, 1) if n > len(notes) + 1 and n < len(lines)
    ]
    with collector_spared():
        return _File(body_lines, len(lines)).outline(), notes


def _notes(lines: Sequence[str]) -> dict[str, str]:
    found = re.fullmatch(rf"{HEADER} (\d{{1,9}})", lines[0].removeprefix("\ufeff"))
    if found is None:
        fail(1, f"no snapshot of a graph: expected '{HEADER} {FORMAT}', got {shown(lines[0])}")
    if int(found[1]) != FORMAT:
        fail(
            1,
            f"format {found[1]}, but this version reads formats up to {FORMAT}",
            "Update pytest-torchlens; the file is not touched.",
        )
    notes = {}
    for line in lines[1:]:
        if line[:2] != "# ":
            break
        name, _, value = line[2:].partition(": ")
        notes[name] = value
    return notes


def _line(number: int, line: str) -> Line:
    text = line.lstrip(" ")
    blanks = len(line) - len(text)
    if not text:
        fail(number, "an empty line", "A snapshot has none: the file was edited.")
    if blanks % len(INDENT) or text[0] == "\t":
        fail(number, f"indented by {blanks} blanks, which is no multiple of {len(INDENT)}")
    if blanks > MAX_DEPTH * len(INDENT):
        fail(number, f"more than {MAX_DEPTH} modules and loops within each other")
    return Line(number, blanks // len(INDENT), text)


#: More would not fit on Python's stack.
MAX_DEPTH = 250
_MODEL = re.compile(r"model (\S+?)(, training)?")
_OUTPUT = re.compile(r"(output\S*) = (.+) -> (\w+\[[^\]]*\])")
_UNUSED = re.compile(r"unused (\S+) \| (\d[\d,]{0,24}) params")
_LOOP = re.compile(r"loop x(\d{1,9}) passes")
_CALL = re.compile(r"([^\s(]+): ([\w.*%]+)( ?)(.*)", re.DOTALL)
_SAME = re.compile(r"(.*) = same as (\S+)")
_TAILED = re.compile(r" -> | writes | \| ")
_HELD = re.compile(r"([\w.*/%^]+)(?::(\w+))?(\[[^\]]*\])")
_SPEC = re.compile(r"(\w+\[[^\]]*\])(?: x(\d{1,7}))?")


class _File:
    """The lines of a file, read from top to bottom."""

    def __init__(self, lines: Sequence[Line], last: int) -> None:
        self._lines = lines
        self._at = 0
        self._last = last

    def outline(self) -> Outline:
        first = self._next("the line of the model")
        model = _MODEL.fullmatch(first.text)
        if model is None or first.depth:
            fail(first.number, f"expected 'model <class>', got {shown(first.text)}")
        scope = Names(is_root=True)
        items = self._items(0, scope)
        outputs: dict[str, Output] = {}
        while (line := self._peek()) is not None and (found := _OUTPUT.fullmatch(line.text)) is not None:
            self._at += 1
            if found[1] in outputs:
                fail(line.number, f"{found[1]} stands twice")
            outputs[found[1]] = Output(found[1], scope.operand_of(found[2], line.number), found[3])
        unused = []
        while (line := self._peek()) is not None and (found := _UNUSED.fullmatch(line.text)) is not None:
            self._at += 1
            address = "" if found[1] == "model" else found[1]
            unused.append(Unused(address, int(found[2].replace(",", ""))))
        line = self._next(f"'{END}'")
        if line.text == END and not line.depth and (rest := self._peek()) is not None:
            fail(rest.number, f"nothing may stand after '{END}', got {shown(rest.text)}")
        if line.text != END or line.depth:
            fail(line.number, f"expected an output, got {shown(line.text)}")
        return Outline(
            model=model[1],
            is_training=bool(model[2]),
            body=Body(tuple(items)),
            outputs=tuple(outputs.values()),
            unused=tuple(unused),
        )

    def _peek(self) -> Line | None:
        return self._lines[self._at] if self._at < len(self._lines) else None

    def _next(self, expected: str) -> Line:
        line = self._peek()
        if line is None:
            fail(self._last, f"the end of the file where {expected} is expected: it was cut")
        self._at += 1
        return line

    def _items(self, depth: int, scope: Names) -> list[Item]:
        items: list[Item] = []
        while (line := self._peek()) is not None and line.depth >= depth:
            if line.depth > depth:
                fail(line.number, f"indented deeper than the line above allows: {shown(line.text)}")
            if line.text.startswith("return ") or (depth == 0 and _is_end(line.text)):
                break
            self._at += 1
            items.append(self._item(line, scope))
        return items

    def _item(self, line: Line, scope: Names) -> Item:
        loop = _LOOP.fullmatch(line.text)
        if loop is not None:
            scope.step(None)
            scope.loops.append(int(loop[1]))
            items = self._items(line.depth + 1, scope)
            scope.close_loop()
            if int(loop[1]) < 2:
                fail(line.number, "a loop of less than two passes")
            if not items:
                fail(line.number, "a loop without a line in it")
            return Loop(passes=int(loop[1]), items=tuple(items))
        call = _CALL.fullmatch(line.text)
        if call is None:
            item: Op | Call = _op(line.text, line.number, scope, None)
        elif call[3]:
            item = _leaf(call, line, scope)
        else:
            item = self._call(call, line, scope)
        scope.step(item)
        return item

    def _call(self, call: re.Match[str], line: Line, scope: Names) -> Call:
        name, class_name, _, rest = call.groups()
        same = _SAME.fullmatch(rest)
        rest, _, mode = (same[1] if same else rest).partition(" | ")
        if rest[:1] != "(" or rest[-1:] != ")" or mode not in _MODES:
            fail(line.number, f"expected 'name: Class(values)', got {shown(line.text)}")
        arguments = [
            operand
            for one in split(rest[1:-1], line.number)
            for operand in scope.argument(one, line.number).operands
        ]
        scope.call(name, line.number)
        if same:
            body = scope.body_of(same[2], class_name, line.number)
        else:
            inner = Names()
            items = tuple(self._items(line.depth + 1, inner))
            body = Body(items, self._returns(line.depth + 1, items, inner))
        scope.bodies[name] = class_name, body
        used = {ref.name for one in _operands(body) for ref in refs_of(one) if ref.name[0] == "$"}
        missing = sorted(used - {f"${n}" for n in range(len(arguments))})
        if missing:
            fail(line.number, f"{name} is given {len(arguments)} values, but reads {', '.join(missing)}")
        return Call(name=name, class_name=class_name, arguments=tuple(arguments), body=body, mode=mode)

    def _returns(self, depth: int, items: tuple[Item, ...], scope: Names) -> tuple[Operand, ...]:
        line = self._peek()
        if line is None or line.depth != depth or not line.text.startswith("return "):
            return default_returns(items)
        self._at += 1
        if line.text == "return nothing":
            return ()
        return tuple(
            operand
            for one in split(line.text.removeprefix("return "), line.number)
            for operand in scope.argument(one, line.number).operands
        )


_MODES = ("", "training", "eval")


def _is_end(text: str) -> bool:
    return text == END or _OUTPUT.fullmatch(text) is not None or _UNUSED.fullmatch(text) is not None


def _operands(body: Body) -> list[Operand]:
    found = list(body.returns)
    for item in flat(body.items):
        found += item.operands if isinstance(item, Op) else item.arguments
    return found


_OP = re.compile(r"(input )?([^\s(|]+)")


def _op(text: str, number: int, scope: Names, outer: list[Operand] | None) -> Op:
    """The op of a line; for that of a leaf module, ``outer`` is filled with what its ``$0``, ``$1`` are."""
    found = _OP.match(text)
    if found is None:
        fail(number, f"expected 'op(values) -> results', got {shown(text)}")
    rest = text[found.end() :]
    arguments: list[Argument] = []
    if rest[:1] == "(":
        end = end_of_arguments(rest, number)
        arguments = [scope.argument(one, number) for one in split(rest[1 : end - 1], number)]
        rest = rest[end:]
    elif not found[1]:
        fail(number, f"expected 'op(values) -> results', got {shown(text)}")
    if found[2][0] in "$@" or (outer is not None and "#" in found[2]):
        fail(number, f"{shown(found[2])} is no name of an op")
    if outer is None:
        name = scope.name(found[2], number)
    else:
        name = found[2]
        arguments = [one._replace(operands=_outwards(one.operands, outer)) for one in arguments]
    kind = "input" if found[1] else name.partition("#")[0]
    return _with_tail(name, kind, tuple(arguments), rest, number)


def _outwards(operands: tuple[Operand, ...], outer: list[Operand]) -> tuple[Operand, ...]:
    """Values around a leaf module as those inside it."""

    def inside(one: Operand) -> Operand:
        if isinstance(one, Ref) and one.name[0] == "@":
            return one
        plain = one._replace(certain=True, is_read=True) if isinstance(one, Ref) else one
        if plain not in outer:
            outer.append(plain)
        inner = Ref(f"${outer.index(plain)}")
        return inner._replace(certain=one.certain, is_read=one.is_read) if isinstance(one, Ref) else inner

    return tuple(map(inside, operands))


def _with_tail(name: str, kind: str, arguments: tuple[Argument, ...], tail: str, number: int) -> Op:
    """The op with what stands behind its arguments: results, what it writes and reads, marks."""
    results: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    held: list[Held] = []
    mark = ""
    pieces = _TAILED.split(tail)
    signs = _TAILED.findall(tail)
    if pieces[0]:
        fail(number, f"expected ' -> ', ' writes ' or ' | ' after the arguments, got {shown(pieces[0])}")
    for sign, piece in zip(signs, pieces[1:], strict=True):
        if sign == " | ":
            if piece == "opaque":
                mark = piece
                continue
            is_buffer = piece.startswith("buffers ")
            found = _HELD.findall(piece) if "[" in piece else []
            if " ".join(_as_written(one) for one in found) != piece.removeprefix("buffers "):
                fail(number, f"expected parameters such as 'weight[64, 3]', got {shown(piece)}")
            held += [Held(f"@{one}", f"{dtype or '~'}{sizes}", is_buffer) for one, dtype, sizes in found]
        elif piece == "python":
            mark = piece
        else:
            runs = [(found[1], int(found[2] or 1)) for found in _SPEC.finditer(piece)]
            specs = tuple(spec for spec, count in runs for _ in range(count))
            said = ", ".join(found[0] for found in _SPEC.finditer(piece))
            if not specs or said != piece or len(specs) > MAX_RUN:
                fail(number, f"expected tensors such as 'f32[1, 64]', got {shown(piece)}")
            results, written = (specs, written) if sign == " -> " else (results, specs)
    dtype = main_dtype(results + written)
    held = [one._replace(spec=dtype + one.spec[1:]) if one.spec[0] == "~" else one for one in held]
    return Op(
        name=name,
        kind=kind,
        arguments=_with_hidden(arguments, held),
        results=results,
        written=written,
        held=tuple(held),
        mark=mark,
    )


def _as_written(held: tuple[str, str, str]) -> str:
    name, dtype, sizes = held
    return f"{name}:{dtype}{sizes}" if dtype else name + sizes


def _with_hidden(arguments: tuple[Argument, ...], held: Sequence[Held]) -> tuple[Argument, ...]:
    """Arguments with those that are left out in the text: a module's own, for the keyword of their name."""
    said = {ref.name for one in arguments for operand in one.operands for ref in refs_of(operand)}
    hidden = [
        Argument(one.name[1:], HOLE, (Ref(one.name),))
        for one in held
        if one.name not in said and one.name[1:2] not in (ROOT, UP)
    ]
    named = (n for n, one in enumerate(arguments) if one.keyword or not one.operands)
    at = next(named, len(arguments))
    return (*arguments[:at], *hidden, *arguments[at:])


def _leaf(call: re.Match[str], line: Line, scope: Names) -> Call:
    text, _, mode = call[4].rpartition(" | ")
    if mode not in _MODES or not text:
        text, mode = call[4], ""
    outer: list[Operand] = []
    op = _op(text, line.number, scope, outer)
    name = scope.call(call[1], line.number)
    body = Body((op,), default_returns((op,)))
    scope.bodies[name] = call[2], body
    return Call(name=name, class_name=call[2], arguments=tuple(outer), body=body, mode=mode)
