"""The hooks and fixtures of the plugin, each a few lines.

pytest loads this module in every project of its environment, so it imports neither torch nor graphviz nor
deepdiff: what needs them is imported when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from pytest_torchlens import markers, options, terminal
from pytest_torchlens.records import PROPERTY, records_of

if TYPE_CHECKING:
    from pytest_torchlens.fixtures import Lens


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", markers.DESCRIPTION)
    options.check(config)
    summary = config.stash[terminal.SUMMARY] = terminal.Summary()
    config.pluginmanager.register(_Collector(summary), "torchlens-collector")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        markers.settings_of(item)  # raises a usage error for what it does not know


@pytest.fixture
def lens(request: pytest.FixtureRequest) -> Lens:
    """``lens(model, *args, **kwargs)`` logs a forward pass and returns its history."""
    from pytest_torchlens.fixtures import Lens

    return Lens(records_of(request.node))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    settings = markers.settings_of(item)
    if settings is None and not options.gallery_dir(item.config):
        return (yield)
    from pytest_torchlens.session import observe_test

    with observe_test(item, settings) as check:
        result = yield
        check()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call":
        records_of(item).outcome = report.outcome
    return report


def pytest_runtest_teardown(item: pytest.Item) -> None:
    records = records_of(item)
    if not records.passes:
        return
    directory = options.gallery_dir(item.config)
    if directory:
        from pytest_torchlens.gallery.draw import draw_records

        draw_records(records, directory)
    item.user_properties.append((PROPERTY, records.as_data()))
    records.passes.clear()


class _Collector:
    """Gathers what tests have logged, from workers too."""

    def __init__(self, summary: terminal.Summary) -> None:
        self._summary = summary

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            terminal.add(self._summary, report)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    directory = options.gallery_dir(config)
    if directory and not hasattr(config, "workerinput"):
        from pytest_torchlens.gallery.page import write_page

        write_page(directory, config.stash[terminal.SUMMARY].passes)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = terminal.lines_of(config.stash[terminal.SUMMARY], options.gallery_dir(config))
    if lines:
        terminalreporter.write_sep("=", "torchlens")
        for line in lines:
            terminalreporter.write_line(line)
