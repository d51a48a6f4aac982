"""What the fixture ``lens_snapshot`` gives to a test."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from pytest_torchlens.arguments import fault, ignored
from pytest_torchlens.records import records_of
from pytest_torchlens.snapshots.check import check_snapshot
from pytest_torchlens.snapshots.names import fault_in_name
from torchlens_core import ArgumentError, ModelHistory
from torchlens_core.snapshot import Snapshot, take_snapshot


class LensSnapshot:
    """Compares graphs with the files beside the test: ``lens_snapshot.check(lens(model, inputs))``."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def check(
        self,
        history: ModelHistory | Snapshot,
        name: str | None = None,
        ignore: str | Collection[str] = (),
        batch: int | None = None,
    ) -> None:
        """Fail if the graph is not that of the file, or there is no file.

        Args:
            history: what `log_forward_pass` or the fixture ``lens`` returned, or a snapshot of it.
            name: tells checks of one test apart; those without a name are numbered.
            ignore: changes that do not count: ``"breaking"``, ``"shape"``, ``"order"``, or those in modules
                whose address matches a pattern such as ``"layer4.*"``.
            batch: leading sizes equal to it are written ``B``, so that another batch size is no change.

        Raises:
            ArgumentError: for arguments that cannot be used; nothing was compared.
        """
        __tracebackhide__ = True
        wrong = self._fault(history, name, ignore, batch)
        if wrong is not None:
            raise ArgumentError(wrong)
        snapshot = history if isinstance(history, Snapshot) else take_snapshot(history, batch=batch)
        text = check_snapshot(self._item, snapshot, name, ignored(ignore))
        if text is not None:
            pytest.fail(text, pytrace=False)

    def _fault(self, history: Any, name: Any, ignore: Any, batch: Any) -> str | None:
        """What is wrong with the arguments of a check."""
        if not isinstance(history, ModelHistory | Snapshot):
            return (
                f"lens_snapshot.check was given an object of type {type(history).__name__}. Expected the history of "
                "a forward pass: lens_snapshot.check(lens(model, inputs))."
            )
        if isinstance(history, Snapshot) and batch is not None:
            return (
                f"lens_snapshot.check has batch={batch!r} for a snapshot that was taken before. "
                "Give batch= to take_snapshot, or hand over the history."
            )
        faults = [
            fault("ignore", ignore),
            fault("batch", batch),
            name is not None and self._fault_in_name(name),
        ]
        return next((f"lens_snapshot.check {one}" for one in faults if one), None)

    def _fault_in_name(self, name: Any) -> str | None:
        used = {one.name.lower() for one in records_of(self._item).snapshots}
        wrong = fault_in_name(name)
        if wrong is None and name.lower() in used:
            return f"has name={name!r}, as an earlier check of this test. Choose another."
        return wrong
