"""The names of one body as its lines give them, and the arguments that use them."""

from __future__ import annotations

import re
from collections import Counter
from typing import NoReturn

from torchlens_core.errors import SnapshotError
from torchlens_core.snapshot.outline import (
    HOLE,
    Argument,
    Body,
    Call,
    Carried,
    Op,
    Operand,
    Ref,
    Several,
    values_of,
)
from torchlens_core.snapshot.text import passed_on
from torchlens_core.snapshot.wording import SYMBOLS


def fail(number: int, got: str, what_to_do: str = "") -> NoReturn:
    """Raise a `SnapshotError` for a line."""
    raise SnapshotError(f"line {number}: {got}.{' ' if what_to_do else ''}{what_to_do}", line=number)


class Names:
    """The names of one body, as its lines give them."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._values: dict[str, int] = {}
        self._above: list[Ref] = []
        self._passes: dict[str, int] = {}
        #: How often each loop around the line runs.
        self.loops: list[int] = []
        #: Class and body of each call, for equal ones below.
        self.bodies: dict[str, tuple[str, Body]] = {}

    def name(self, written: str, number: int) -> str:
        """The full name of what a line calls ``add`` or ``add#2``."""
        base, mark, count = written.partition("#")
        self._counts[base] += 1
        found = self._counts[base]
        if mark and count != str(found):
            fail(number, f"{written} is number {found} of that name in its body", "Number it so.")
        return base if found == 1 and base not in SYMBOLS else f"{base}#{found}"

    def step(self, item: Op | Call | None) -> None:
        """A line is read; None for one that has no result."""
        self._above = []
        if item is None:
            return
        count = self._values[item.name] = values_of(item)
        if len(self.loops) == 1:
            self._passes[item.name] = self.loops[0]
        for slot in range(count):
            passed = passed_on(item, slot)
            self._above.append(passed if isinstance(passed, Ref) else Ref(item.name, slot))

    def body_of(self, name: str, class_name: str, number: int) -> Body:
        """The body of an equal sibling above."""
        known = self.bodies.get(name)
        if known is None or known[0] != class_name:
            fail(number, f"same as {name}, but no {class_name} of that name is above it in its body")
        return known[1]

    def operand_of(self, text: str, number: int) -> Operand:
        """The one operand that a text is."""
        operands = self.argument(text, number).operands
        if len(operands) != 1:
            fail(number, f"expected one value, got {text!r}")
        return operands[0]

    def argument(self, text: str, number: int) -> Argument:
        """An argument with its operands."""
        keyword = _KEYWORD.match(text)
        name = keyword[1] if keyword else ""
        rest = text[len(name) + 1 :] if keyword else text
        found: list[Operand] = []
        written = ""
        position = 0
        while position < len(rest):
            token = _TOKEN.match(rest, position)
            assert token is not None
            position = token.end()
            is_value = token.lastgroup == "several" or (
                token.lastgroup == "ref" and token["name"] not in SYMBOLS
            )
            if not is_value:
                written += token[0]
                continue
            operands = self._values_of(token, number)
            while rest[position : position + 1] == "~":
                level = len(rest) - position - len(rest[position:].lstrip("~")) - 1
                then = _TOKEN.match(rest, position + level + 1)
                if then is None or then.lastgroup not in ("several", "ref") or len(operands) != 1:
                    fail(number, f"expected a value of the pass before after '~' in {text!r}")
                position = then.end()
                (after,) = self._values_of(then, number)
                operands = [Carried(operands[0], after, level)]  # type: ignore[arg-type]
            found += operands
            written += ", ".join([HOLE] * len(operands))
        return Argument(name, written, tuple(found))

    def _values_of(self, token: re.Match[str], number: int) -> list[Operand]:
        if token.lastgroup == "several":
            parts = [_TOKEN.fullmatch(part) for part in token["several"][1:-1].split(", ")]
            refs = [ref for part in parts if part is not None for ref in self._refs(part, number)]
            return [Several(tuple(refs))]
        return list(self._refs(token, number))

    def _refs(self, token: re.Match[str], number: int) -> list[Ref]:
        name, slots, passes, unsure = (
            token["name"].removeprefix("."),
            token["slots"],
            token["passes"],
            token["unsure"],
        )
        if name == "_":
            slot = int(slots or 0)
            if slot >= len(self._above):
                fail(number, "'_' where no line above has such a result")
            return [self._above[slot]._replace(certain=not unsure)]
        if name[0] not in "$@" and name not in self._values and not (self.loops and "~" in token.string):
            fail(
                number, f"no line above it is called {name!r}", "The file was edited, or a line is missing."
            )
        plain = Ref(name, 0, (), not unsure)
        if slots and ":" in slots:
            start, stop = map(int, slots.split(":"))
            return [plain._replace(slot=slot) for slot in range(start, stop)]
        if slots and ".." in slots:
            start, stop = map(int, slots.split(".."))
            return [plain._replace(slot=start, last=stop)]
        if slots:
            plain = plain._replace(slot=int(slots))
        if not passes:
            return [plain]
        count = self._passes.get(name, 0)
        if passes == ":*" or ".." in passes:
            start, stop = (1, count) if passes == ":*" else map(int, passes[1:].split(".."))
            return [plain._replace(passes=() if n == count else (n,)) for n in range(start, stop + 1)]
        return [plain._replace(passes=tuple(map(int, passes[1:].split(":"))))]


_NAME = r"(?:\.(?=\d)[\w.*/%\#]+|[$@][\w.*/%\#]*|[^\W\d][\w.*/%\#]*|[*/%][\w.*/%\#]*)"
_REF = (
    rf"(?P<name>{_NAME})(?:\[(?P<slots>\d+(?:\.\.\d+|:\d+)?)\])?"
    r"(?P<passes>:\*|:\d+\.\.\d+|(?::\d+)+)?(?P<unsure>\?)?"
)
_PLAIN_REF = re.sub(r"\?P<\w+>", "?:", _REF)
_TOKEN = re.compile(
    rf"""(?P<text>"(?:[^"\\]|\\.)*")|(?P<angle><[^>]*>)|(?P<several>\{{{_PLAIN_REF}(?:,\ {_PLAIN_REF})*\}})"""
    rf"""|(?P<number>-?\d[\w.+-]*)|(?P<ref>{_REF})|(?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
_KEYWORD = re.compile(r"([^\W\d][\w.]*)=")
_OPENING, _CLOSING = "([{", ")]}"


def split(text: str, number: int) -> list[str]:
    """The arguments in a text, cut at the commas outside brackets and quotes."""
    parts, start, depth = [], 0, 0
    for token in _PIECES.finditer(text):
        piece = token[0]
        if piece in _OPENING:
            depth += 1
        elif piece in _CLOSING:
            depth -= 1
        elif piece == ", " and depth == 0:
            parts.append(text[start : token.start()])
            start = token.end()
        if depth < 0:
            fail(number, f"a bracket that nothing opens in {text!r}")
    if depth:
        fail(number, f"a bracket that nothing closes in {text!r}", "The line was cut.")
    return [*parts, text[start:]] if text else []


_PIECES = re.compile(r'"(?:[^"\\]|\\.)*"|<[^>]*>|, |[()\[\]{}]')


def end_of_arguments(text: str, number: int) -> int:
    """Where the brackets that a text begins with are closed."""
    depth = 0
    for token in _PIECES.finditer(text):
        depth += token[0] in _OPENING
        depth -= token[0] in _CLOSING
        if depth == 0:
            return token.end()
    fail(number, f"a bracket that nothing closes in {text!r}", "The line was cut.")
