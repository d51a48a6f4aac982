"""How the models of the catalogue are run."""

from __future__ import annotations

import faulthandler
import gc
import sys
from collections.abc import Iterator

import pytest

#: Seconds that a model may take, and how many more until its process is ended if it does not listen.
TIME_LIMIT, GRACE = 240, 60


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """One model never weighs on the next: it may not hang the run, and what it held is gone before the next."""
    for name in (
        "last_exc",
        "last_value",
        "last_traceback",
    ):  # pytest keeps them for debuggers, models with them
        if hasattr(sys, name):
            delattr(sys, name)
    gc.collect()
    gc.freeze()  # libraries stay: without them a collection takes a hundredth of the time
    faulthandler.dump_traceback_later(TIME_LIMIT + GRACE, exit=True, file=sys.__stderr__ or 2)
    yield
    faulthandler.cancel_dump_traceback_later()
