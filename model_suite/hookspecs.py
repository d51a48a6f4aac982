"""The hook by which other packages and projects add models to the catalogue."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from model_suite.case import ModelCase


@pytest.hookspec
def pytest_lens_models(config: pytest.Config) -> Iterable[ModelCase]:  # type: ignore[empty-body]
    """Return cases that ``pytest model_suite`` (or ``pytest --pyargs model_suite``) is to run beside its own.

    Those tagged ``smoke`` are of the smoke tier, all others of the tier ``all``. A plugin answers, or a
    ``conftest.py`` that pytest loads at its start; write ``@pytest.hookimpl(optionalhook=True)``, since pytest knows
    the hook only where the catalogue is run. A package may also name a function without arguments as an entry point
    of the group ``torchlens_models``; its cases are in `model_suite.cases` too.
    """
