"""Where in a pass other threads were given work: what they compute is seen by no mode of this one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import CodeType
from typing import Any

from torchlens_core.sites import stack_of

#: What hands work to another thread.
_HANDING_OVER: tuple[tuple[Any, str], ...] = ((threading.Thread, "start"), (ThreadPoolExecutor, "submit"))


class Threads:
    """While open, notes the stack of each call by which this thread hands work to another."""

    def __init__(self) -> None:
        self.stacks: list[list[tuple[CodeType, int]]] = []
        self._originals: list[tuple[Any, str, Any]] = []
        self._thread = 0

    def open(self) -> None:
        """Begin."""
        self._thread = threading.get_ident()
        for owner, name in _HANDING_OVER:
            original = getattr(owner, name)
            self._originals.append((owner, name, original))
            setattr(owner, name, self._noting(original))

    def close(self) -> None:
        """Put everything back."""
        while self._originals:
            setattr(*self._originals.pop())

    def _noting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == self._thread:
                self.stacks.append(stack_of(sys._getframe(1)))
            return original(*args, **kwargs)

        return call
