"""Where in the user's code a call stands.

A *chain* is the way from a call out to the enclosing ``forward``, innermost first, as id of code object and
instruction offset of each frame, flattened into one tuple: cheap to take at every op, and equal for equal
places. The stack behind a chain is kept once a chain; lines and source are read only when somebody looks.
"""

from __future__ import annotations

import linecache
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch

Chain = tuple[int, ...]

_PACKAGE = str(Path(__file__).parent) + os.sep
_TORCH = str(Path(torch.__file__).parent) + os.sep
#: Source lines shown before and after a call, as TorchLens shows them.
CONTEXT_LINES = 9


def chain_of(frame: FrameType | None, ends: tuple[CodeType, CodeType, CodeType]) -> Chain:
    """The chain from ``frame`` outwards, up to the first frame that runs one of the codes in ``ends``."""
    first, second, third = ends
    steps: list[Any] = []
    while frame is not None:
        code = frame.f_code
        if code is first or code is second or code is third:
            break
        steps += (id(code), frame.f_lasti)
        frame = frame.f_back
    return tuple(steps)


def stack_of(
    frame: FrameType | None, ends: tuple[CodeType | None, CodeType | None] = (None, None)
) -> list[tuple[CodeType, int]]:
    """Code and offset of each frame from ``frame`` outwards up to one that runs a code in ``ends``."""
    first, second = ends
    stack = []
    while frame is not None:
        code = frame.f_code
        if code is first or code is second:
            break
        stack.append((code, frame.f_lasti))
        frame = frame.f_back
    return stack


#: Where the instructions of a code object stand in its source, by id; the code objects are kept with it.
_positions: dict[int, tuple[CodeType, list[Any]]] = {}


#: What `fold` makes of chains met before: the blocks of a model, and its passes, go through the same places.
_folded: dict[Chain, tuple[Any, ...]] = {}
#: Chains kept; with deep recursion, or code made at run time, there may be many.
MAX_FOLDED = 100_000


def folded(chain: Chain, stack: Sequence[tuple[CodeType, int]]) -> tuple[Any, ...]:
    """`fold` of the part of ``stack`` that ``chain`` goes through."""
    known = _folded.get(chain)
    if known is None:
        if len(_folded) >= MAX_FOLDED:
            _folded.clear()
            _positions.clear()
        known = _folded[chain] = fold(stack[: len(chain) // 2])
    return known


def fold(stack: Sequence[tuple[CodeType, int]]) -> tuple[Any, ...]:
    """The places in the source that a stack goes through, recursion folded.

    Of each code object only the innermost frame stays, so that an op in a recursive function is at one place,
    however deep the recursion. Places are positions in the source, since Python compiles the condition of a
    ``while`` and the body of a ``finally`` twice: the same call at two offsets.

    >>> def f(): pass
    >>> len(fold([(f.__code__, 2), (f.__code__, 2)]))
    1
    """
    places: dict[int, Any] = {}
    for code, offset in stack:
        identity = id(code)
        if identity not in places:
            if identity not in _positions:
                _positions[identity] = code, list(code.co_positions())
            position = _positions[identity][1][offset // 2]
            places[identity] = position if position[2] is not None else offset
    return tuple(places.items())


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a call stack."""

    filename: str
    line: int
    function: str

    @property
    def source(self) -> str:
        """The line's text, without indentation; empty if the file is gone."""
        return linecache.getline(self.filename, self.line).strip()

    def as_dict(self) -> dict[str, Any]:
        """The form TorchLens prints: file, line, function and the lines around."""
        first = max(1, self.line - CONTEXT_LINES)
        lines = linecache.getlines(self.filename)[first - 1 : self.line + CONTEXT_LINES]
        return {
            "call_fname": self.filename,
            "call_linenum": self.line,
            "function": self.function,
            "code_context": lines,
        }

    def __str__(self) -> str:
        return f"{self.filename}:{self.line} in {self.function}"


@lru_cache(maxsize=65536)
def frame_at(code: CodeType, offset: int) -> Frame:
    """The line that instruction ``offset`` of ``code`` belongs to."""
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= offset < end and number is not None:
            line = number
    return Frame(code.co_filename, line, code.co_name)


def frames_of(stack: Sequence[tuple[CodeType, int]]) -> list[Frame]:
    """A stack, innermost first, as frames, outermost first, without this package's own."""
    frames = [frame_at(code, offset) for code, offset in reversed(stack)]
    return [frame for frame in frames if not frame.filename.startswith(_PACKAGE)]


def user_frame(frames: Sequence[Frame]) -> Frame | None:
    """The innermost frame outside torch: the line a person would point at."""
    for frame in reversed(frames):
        if not frame.filename.startswith(_TORCH) and frame.filename[:1] != "<":
            return frame
    return frames[-1] if frames else None
