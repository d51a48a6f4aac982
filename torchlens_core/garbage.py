"""Work that makes many objects, spared the garbage collector's looks at those that were there before."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_spared() -> Iterator[None]:
    """Inside, the garbage collector does not look at what was there before.

    It still frees what is left behind inside; a look at all that is imported may take as long as a forward pass.
    """
    if gc.get_freeze_count():  # somebody else's
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
