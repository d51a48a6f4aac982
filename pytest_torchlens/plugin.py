"""The hooks and fixtures of the plugin, each a few lines.

pytest loads this module in every project of its environment, so it imports neither torch nor graphviz nor
deepdiff: what needs them is imported when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import pytest

from pytest_torchlens import markers, options, terminal
from pytest_torchlens.records import ATTRIBUTE, records_of, take_records

if TYPE_CHECKING:
    from pytest_torchlens.fixtures import Lens


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", markers.DESCRIPTION)
    if not _is_worker(config):
        options.check(config)
    summary = config.stash[terminal.SUMMARY] = terminal.Summary()
    config.pluginmanager.register(_Collector(summary), "torchlens-collector")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _is_worker(config):  # xdist would drop the message; each wrong test says it in its setup instead
        return
    for item in items:
        markers.settings_of(item)  # raises a usage error for what it does not know


@pytest.fixture
def lens() -> Lens:
    """``lens(model, *args, **kwargs)`` logs a forward pass and returns its history."""
    from pytest_torchlens.fixtures import Lens

    return Lens()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    with _observed(item):  # fixtures log for their test
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    with _observed(item):
        result = yield
    if markers.settings_of(item) is not None:
        from pytest_torchlens.session import check

        check(records_of(item))
    return result


def _observed(item: pytest.Item) -> AbstractContextManager[None]:
    try:
        settings = markers.settings_of(item)
    except pytest.UsageError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    is_drawn = options.gallery_dir(item.config) is not None
    if settings is None and not is_drawn:
        return nullcontext()
    from pytest_torchlens.session import observe_test

    return observe_test(records_of(item), settings, keeps_histories=is_drawn)


def pytest_runtest_teardown(item: pytest.Item) -> None:
    directory = options.gallery_dir(item.config)
    records = records_of(item)
    if directory and records.passes:
        from pytest_torchlens.gallery.draw import draw_records

        draw_records(records, directory)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call" or not report.passed:
        records_of(item).outcome = _outcome(report)
    if call.when == "teardown":
        setattr(report, ATTRIBUTE, take_records(item).as_data())
    return report


def _outcome(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    return report.outcome


class _Collector:
    """Gathers what tests have logged, from workers too."""

    def __init__(self, summary: terminal.Summary) -> None:
        self._summary = summary

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal.add(self._summary, report)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    directory = options.gallery_dir(config)
    if directory and _runs_tests(config) and not _is_worker(config):
        from pytest_torchlens.gallery.page import write_page

        write_page(directory, config.stash[terminal.SUMMARY].passes)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    gallery = options.gallery_dir(config) if _runs_tests(config) else None
    lines = terminal.lines_of(config.stash[terminal.SUMMARY], gallery)
    if lines:
        terminalreporter.write_sep("=", "torchlens")
        for line in lines:
            terminalreporter.write_line(line)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _runs_tests(config: pytest.Config) -> bool:
    """False where tests are only listed: that leaves the gallery of the last run as it is."""
    return not config.getoption("collectonly")
