"""A test under observation: every pass that it logs is noted, and validated if its marker says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from torch import nn

from pytest_torchlens.markers import NAME, Settings
from pytest_torchlens.records import LoggedPass, Records, records_of
from torchlens_core import ModelHistory, ValidationReport, validate_model_activations
from torchlens_core.trace import observed


class _Watcher:
    """Told of each pass by torchlens_core."""

    def __init__(self, records: Records, settings: Settings | None) -> None:
        self._records = records
        self._settings = settings
        self._reports: list[ValidationReport | None] = []

    def before_pass(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Validate the pass before it is logged: that leaves model, inputs and generators as they were."""
        report = None
        if self._settings is not None:
            report = validate_model_activations(model, list(args), kwargs, **self._settings.arguments)
        self._reports.append(report)

    def after_pass(self, history: ModelHistory) -> None:
        """Note its history."""
        self._records.passes.append(LoggedPass(history, self._reports[-1]))


@contextmanager
def observe_test(item: pytest.Item, settings: Settings | None) -> Iterator[Callable[[], None]]:
    """Inside, passes are noted in the records of ``item``; what is yielded fails it if they are not valid."""
    records = records_of(item)
    with observed(_Watcher(records, settings)):
        yield lambda: _check(records, settings)


def _check(records: Records, settings: Settings | None) -> None:
    if settings is None:
        return
    if not records.passes:
        pytest.fail(
            f"The test is marked {NAME}, but logged no forward pass. "
            "Log one with the fixture lens, lens(model, inputs), or with torchlens_core.log_forward_pass.",
            pytrace=False,
        )
    wrong = [str(one.report) for one in records.passes if one.report is not None and not one.report]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
