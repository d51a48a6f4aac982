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


def shown(text: str) -> str:
    """A text in a message."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


class Names:
    """The names of one body, as its lines give them."""

    def __init__(self, is_root: bool = False) -> None:
        self._is_root = is_root
        self._counts: Counter[str] = Counter()
        self._values: dict[str, int] = {}
        self._above: list[Ref] = []
        #: Results of modules that are what they were given.
        self._handed_on: dict[tuple[str, int], Ref] = {}
        #: How often each loop around a name runs.
        self._passes: dict[str, tuple[int, ...]] = {}
        #: How often each loop around the line runs.
        self.loops: list[int] = []
        #: Names and slots that lines of the loop read of later ones, with the lines.
        self._later: list[tuple[str, int, int]] = []
        #: Class and body of each call, for equal ones below.
        self.bodies: dict[str, tuple[str, Body]] = {}

    def call(self, written: str, number: int) -> str:
        """The name of a call, whose number is always written."""
        name = self.name(written, number)
        if name != written:
            fail(number, f"{shown(written)} stands above", f"Call this one {name}.")
        return name

    def name(self, written: str, number: int) -> str:
        """The full name of what a line calls ``add`` or ``add#2``."""
        base, mark, count = written.partition("#")
        if mark and not _NUMBER.fullmatch(count):
            fail(number, f"{shown(written)} is no name: after # comes a number")
        self._counts[base] += 1
        found = self._counts[base]
        if mark and count != str(found):
            fail(number, f"{shown(written)} is number {found} of that name in its body", "Number it so.")
        return base if found == 1 and base not in SYMBOLS else f"{base}#{found}"

    def step(self, item: Op | Call | None) -> None:
        """A line is read; None for one that has no result."""
        self._above = []
        if item is None:
            return
        count = self._values[item.name] = values_of(item)
        self._passes[item.name] = tuple(self.loops)
        for slot in range(count):
            passed = passed_on(item, slot)
            if isinstance(passed, Ref):
                self._handed_on[item.name, slot] = passed
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
            fail(number, f"expected one value, got {shown(text)}")
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
            carries = 0
            while rest[position : position + 1] == "~":
                level = len(rest) - position - len(rest[position:].lstrip("~")) - 1
                then = _TOKEN.match(rest, position + level + 1)
                if then is None or then.lastgroup not in ("several", "ref") or len(operands) != 1:
                    fail(number, f"expected a value of the pass before after '~' in {shown(text)}")
                position = then.end()
                after = self._values_of(then, number, is_later=True)
                carries += 1
                if len(after) != 1 or level >= len(self.loops) or carries > len(self.loops):
                    fail(number, f"no loop around the line carries what is said after '~' in {shown(text)}")
                operands = [Carried(operands[0], after[0], level)]  # type: ignore[arg-type]
            if re.match(r"\w", rest[position : position + 1]):
                fail(number, f"a word right after a value in {shown(text)}")
            found += operands
            written += ", ".join([HOLE] * len(operands))
        return Argument(name, written, tuple(found))

    def _values_of(self, token: re.Match[str], number: int, is_later: bool = False) -> list[Operand]:
        """The values that a token names; those of the pass before may stand on a later line."""
        if token.lastgroup == "several":
            parts = [_TOKEN.fullmatch(part) for part in token["several"][1:-1].split(", ")]
            refs = [ref for part in parts if part is not None for ref in self._refs(part, number, is_later)]
            return [Several(tuple(refs))]
        return list(self._refs(token, number, is_later))

    def _refs(self, token: re.Match[str], number: int, is_later: bool) -> list[Ref]:
        name, slots, passes = token["name"].removeprefix("."), token["slots"], token["passes"]
        certain, is_read = not token["unsure"], not token["unread"]
        if name == "_":
            slot = int(slots or 0) if _NUMBER.fullmatch(slots or "0") else len(self._above)
            if slot >= len(self._above) or passes:
                fail(number, "'_' where no line above has such a result")
            return [self._above[slot]._replace(certain=certain, is_read=is_read)]
        is_unknown = is_later and bool(self.loops) and name[0] not in "$@" and name not in self._values
        if name[0] == "$" and (self._is_root or not _NUMBER.fullmatch(name[1:])):
            fail(
                number,
                f"{shown(name)}, but there is nothing around {'the model' if self._is_root else 'it'}",
            )
        elif name[0] not in "$@" and name not in self._values and not is_unknown:
            what_to_do = "The file was edited, or a line is missing."
            fail(number, f"no line above it is called {name!r}", what_to_do)
        elif name[0] in "$@" and (slots or passes):
            fail(number, f"{shown(token[0])}, but {shown(name)} is one value")
        refs = self._by_slot(Ref(name, certain=certain, is_read=is_read), slots, number)
        if is_unknown:
            self._later.append((name, max(ref.slot for ref in refs), number))
        found = [one for ref in refs for one in self._by_pass(ref, passes, number)]
        handed = [self._handed_on.get((one.name, one.slot)) if not passes else None for one in found]
        return [
            one if other is None else other._replace(certain=certain, is_read=is_read)
            for one, other in zip(found, handed, strict=True)
        ]

    def _by_slot(self, ref: Ref, slots: str | None, number: int) -> list[Ref]:
        if not slots:
            return [ref]
        first, separator, last = slots.replace("..", ".").partition(":" if ":" in slots else ".")
        start = int(first)
        stop = int(last) if separator else start
        greatest = max(start, stop - (separator == ":"))
        if ref.name in self._values and greatest >= max(self._values[ref.name], 1):
            fail(number, f"{ref.name}[{slots}], but {ref.name} has {self._values[ref.name]} results")
        if separator == ":" and greatest > MAX_RUN:
            fail(number, f"{ref.name}[{slots}] is a run of more than {MAX_RUN:,} values")
        if separator == ":":
            return [ref._replace(slot=slot) for slot in range(start, stop)]
        return [ref._replace(slot=start, last=stop if separator else None)]

    def _by_pass(self, ref: Ref, passes: str | None, number: int) -> list[Ref]:
        if not passes:
            return [ref]
        counts = self._passes.get(ref.name, ())
        if passes != ":*" and ".." not in passes:
            chosen = tuple(map(int, passes[1:].split(":")))
            if ref.name not in self._values:  # on a later line of the loop
                return [ref._replace(passes=chosen)]
            around = counts[len(counts) - len(chosen) :]
            if len(around) != len(chosen) or any(
                not 1 <= n <= c for n, c in zip(chosen, around, strict=True)
            ):
                fail(number, f"{ref.name}{passes}, but no loop above runs it so often")
            return [ref._replace(passes=chosen)]
        count = counts[0] if len(counts) == 1 else 0
        start, stop = (1, count) if passes == ":*" else map(int, passes[1:].split(".."))
        if not 1 <= start <= stop <= min(count, MAX_RUN):
            fail(number, f"{ref.name}{passes}, but {ref.name} runs {count:,} times in a loop above")
        return [ref._replace(passes=() if n == count else (n,)) for n in range(start, stop + 1)]

    def close_loop(self) -> None:
        """Go on below a loop: what its lines read of later ones must have come."""
        self.loops.pop()
        if not self.loops:
            for name, slot, number in self._later:
                if slot >= max(self._values.get(name, 0), 1) or name not in self._values:
                    fail(number, f"no line of the loop is called {shown(name)}, or has that result")
            self._later.clear()


_NUMBER = re.compile(r"[0-9]{1,9}")
#: Values that one word may stand for; no model has as many.
MAX_RUN = 1_000_000
#: Up to the end where nothing closes them, so that each character is looked at once.
_TEXT = r'"(?:[^"\\]|\\.)*(?:"|$)'
_ANGLE = r"<[^>]*(?:>|$)"
_NAME = r"(?:\.(?=\d)[\w.*/%^\#]+|[$@][\w.*/%^\#]*|[^\W\d][\w.*/%^\#]*|[*/%^][\w.*/%^\#]*)"
_REF = (
    rf"(?P<name>{_NAME})(?:\[(?P<slots>\d{{1,9}}(?:\.\.\d{{1,9}}|:\d{{1,9}})?)\])?"
    r"(?P<passes>:\*|:\d{1,9}\.\.\d{1,9}|(?::\d{1,9})+)?(?P<unsure>\?)?(?P<unread>!)?"
)
_PLAIN_REF = re.sub(r"\?P<\w+>", "?:", _REF)
_TOKEN = re.compile(
    rf"""(?P<text>{_TEXT})|(?P<angle>{_ANGLE})|(?P<several>\{{{_PLAIN_REF}(?:,\ {_PLAIN_REF})*\}})"""
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
            fail(number, f"a bracket that nothing opens in {shown(text)}")
    if depth:
        fail(number, f"a bracket that nothing closes in {shown(text)}", "The line was cut.")
    return [*parts, text[start:]] if text else []


_PIECES = re.compile(rf"{_TEXT}|{_ANGLE}|, |[()\[\]{{}}]")


def end_of_arguments(text: str, number: int) -> int:
    """Where the brackets that a text begins with are closed."""
    depth = 0
    for token in _PIECES.finditer(text):
        depth += token[0] in _OPENING
        depth -= token[0] in _CLOSING
        if depth == 0:
            return token.end()
    fail(number, f"a bracket that nothing closes in {shown(text)}", "The line was cut.")
