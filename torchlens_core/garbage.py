"""Work that makes many objects, spared the garbage collector's looks at those that were there before."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Thread(threading.local):
    """How many such works of one thread are around each other."""

    depth = 0


_thread = _Thread()


@contextmanager
def collector_spared() -> Iterator[None]:
    """Inside, the garbage collector does not look at what was there before.

    It still frees what is left behind inside; a look at all that is imported may take as long as a forward pass.
    Only the outermost asks whether somebody else has frozen something: that is to count what is frozen.
    """
    is_own = _thread.depth == 0 and not gc.get_freeze_count()
    _thread.depth += 1
    if is_own:
        gc.freeze()
    try:
        yield
    finally:
        _thread.depth -= 1
        if is_own:
            gc.unfreeze()
