"""A test under observation: every pass that it logs is noted, and checked as its markers say."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from torch import nn

from pytest_torchlens.markers import Settings
from pytest_torchlens.records import LoggedPass, Records, records_of
from pytest_torchlens.snapshots.check import check_snapshot
from torchlens_core import ModelHistory, validate_model_activations
from torchlens_core.snapshot import take_snapshot
from torchlens_core.trace import observed


class _Thread(threading.local):
    """What a watcher knows of one thread; threads may log at once."""

    is_validating = False


#: Stands for a pass that belongs to a validation, and is none of the test's.
_NOT_COUNTED = object()


class _Watcher:
    """Told of each pass by torchlens_core."""

    def __init__(self, records: Records, settings: Settings | None, keeps_histories: bool) -> None:
        self._records = records
        self._settings = settings or Settings()
        self._keeps_histories = keeps_histories
        self._thread = _Thread()

    def before_pass(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Validate the pass before it is logged: that leaves model, inputs and generators as they were."""
        if self._thread.is_validating:  # the model logs others: they count when it is run for the test
            return _NOT_COUNTED
        if self._settings.validation is None:
            return None
        self._thread.is_validating = True
        try:
            return validate_model_activations(model, list(args), kwargs, **self._settings.validation)
        finally:
            self._thread.is_validating = False

    def after_pass(self, history: ModelHistory, token: Any) -> None:
        """Note what was logged, with the report that `before_pass` gave."""
        if token is _NOT_COUNTED:
            return
        snapshots = self._settings.snapshots
        self._records.passes.append(
            LoggedPass(
                model=history.model_name,
                ops=len(history.ops),
                parameters=history.total_params,
                report=token,
                history=history if self._keeps_histories else None,
                snapshot=None if snapshots is None else take_snapshot(history, batch=snapshots.batch),
            )
        )


@contextmanager
def observe_test(records: Records, settings: Settings | None, keeps_histories: bool) -> Iterator[None]:
    """Inside, passes are noted in the records of a test, and validated if the settings say so."""
    with observed(_Watcher(records, settings, keeps_histories)):
        yield


def check(item: pytest.Item, settings: Settings) -> None:
    """Fail a marked test that has logged nothing, or a pass that is not valid or not as its snapshot."""
    records = records_of(item)
    if not records.passes:
        pytest.fail(
            f"The test is marked {settings.markers}, but logged no forward pass. "
            "Log one with the fixture lens, lens(model, inputs), or with torchlens_core.log_forward_pass.",
            pytrace=False,
        )
    wrong = [str(one.report) for one in records.passes if one.report is not None and not one.report]
    ignore = settings.snapshots.ignore if settings.snapshots is not None else ()
    taken = [one.snapshot for one in records.passes if one.snapshot is not None]
    checked = [check_snapshot(item, snapshot, ignore=ignore) for snapshot in taken]
    wrong += [text for text in checked if text is not None]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
