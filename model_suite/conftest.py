"""Which part of the catalogue is run, and how."""

from __future__ import annotations

import faulthandler
import gc
import sys
from collections.abc import Iterator

import pytest

from model_suite import hookspecs

#: Seconds that a model may take, and how many more until its process is ended if it does not listen.
TIME_LIMIT, GRACE = 240, 60


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of the catalogue."""
    group = parser.getgroup("torchlens")
    group.addoption(
        "--lens-tier",
        choices=("smoke", "standard", "all"),
        default=None,
        help="models of the catalogue to run: some 30 of all kinds, some 300 of distinct structures, or all; "
        "smoke if nothing is said, all for a gallery",
    )
    group.addoption(
        "--lens-values",
        action="store_true",
        help="run the models of a gallery with values, and validate them, where they are small enough; without it "
        "they are traced on the meta device, where that goes",
    )


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare ``pytest_lens_models``."""
    pluginmanager.add_hookspecs(hookspecs)


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
