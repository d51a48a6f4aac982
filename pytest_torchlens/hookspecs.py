"""The hooks of the plugin and of the catalogue, for a ``conftest.py`` or another plugin to answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from torch import nn

    from model_suite import ModelCase


@pytest.hookspec(firstresult=True)
def pytest_lens_inputs(model: nn.Module, item: pytest.Item) -> Any:
    """Return what a model class marked ``lens_validate`` is run on; None leaves it to the next.

    Asked for a class whose marker has no ``inputs=``; the first answer counts. The generators are seeded, so
    that random inputs are the same in each run. ``model`` may be changed: ``model.eval()`` is kept.

    A ``conftest.py`` answers for the tests of its own folder. Where the plugin may be switched off, write
    ``@pytest.hookimpl(optionalhook=True)``, or pytest will not know the hook.

    Args:
        model: the model, built with ``init=`` of the marker, in the mode in which its class leaves it.
        item: the test; it has ``item.config``, ``item.path``, ``item.name`` and its markers.

    Returns:
        One argument, such as a tensor; a tuple or list of positional arguments; or a dict of named ones.
        A shape is no answer: return ``torch.rand(shape)``.
    """


@pytest.hookspec
def pytest_lens_models(config: pytest.Config) -> Iterable[ModelCase]:  # type: ignore[empty-body]
    """Return cases that ``pytest --pyargs model_suite`` is to run beside its own.

    Those tagged ``smoke`` are of every tier, all others of the tier ``all``. A plugin answers (``-p my_models``), or a
    ``conftest.py`` that pytest loads at its start. A package may also name a function without arguments as an
    entry point of the group ``torchlens_models``; its cases are in `model_suite.cases` too.
    """
