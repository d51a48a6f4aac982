"""Where in a pass other threads were given work: what they compute is seen by no mode of this one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import CodeType, FrameType
from typing import Any

from torchlens_core.sites import stack_of

#: What hands work to another thread.
_HANDING_OVER: tuple[tuple[Any, str], ...] = ((threading.Thread, "start"), (ThreadPoolExecutor, "submit"))
#: Libraries that start threads for their users.
_LIBRARIES = ("threading", "concurrent.", "multiprocessing.")

_lock = threading.Lock()
_open: list[Threads] = []
_originals: list[tuple[Any, str, Any]] = []


class Threads:
    """While open, notes the stack of each call by which this thread hands work to another."""

    def __init__(self) -> None:
        self.stacks: list[list[tuple[CodeType, int]]] = []
        self._thread = 0

    def open(self) -> None:
        """Begin."""
        self._thread = threading.get_ident()
        with _lock:
            if not _open:
                for owner, name in _HANDING_OVER:
                    _originals.append((owner, name, getattr(owner, name)))
                    setattr(owner, name, _noting(getattr(owner, name)))
            _open.append(self)

    def close(self) -> None:
        """Put everything back, if nobody else has it open."""
        with _lock:
            if self in _open:
                _open.remove(self)
            while _originals and not _open:
                setattr(*_originals.pop())

    def note(self, frame: FrameType | None) -> None:
        """A call in ``frame`` hands work to another thread."""
        if threading.get_ident() == self._thread:
            while frame is not None and frame.f_globals.get("__name__", "").startswith(_LIBRARIES):
                frame = frame.f_back
            self.stacks.append(stack_of(frame))


def _noting(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        for one in tuple(_open):
            one.note(sys._getframe(1))
        return original(*args, **kwargs)

    return call
