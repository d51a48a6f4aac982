"""The hooks and fixtures of the plugin, each a few lines.

pytest loads this module in every project of its environment, so it imports neither torch nor graphviz nor
deepdiff: what needs them is imported when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_torchlens import gathering, hookspecs, markers, options, terminal, tracebacks
from pytest_torchlens.gallery import marker
from pytest_torchlens.gathering import GATHERED, Gathered, Gatherer
from pytest_torchlens.items import ModelItem
from pytest_torchlens.records import ATTRIBUTE, records_of, take_records

if TYPE_CHECKING:
    from pytest_torchlens.fixtures import Lens
    from pytest_torchlens.gallery.run import Drawn
    from pytest_torchlens.snapshots.fixture import LensSnapshot


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    for description in (*markers.DESCRIPTIONS, marker.DESCRIPTION):
        config.addinivalue_line("markers", description)
    if not _is_worker(config):
        options.check(config)
        _open_gallery(config)
    gathered = config.stash[GATHERED] = Gathered()
    config.pluginmanager.register(Gatherer(gathered), "torchlens-gatherer")


def _open_gallery(config: pytest.Config) -> None:
    directory = options.gallery_dir(config)
    if directory is None or not _runs_tests(config):
        return
    from pytest_torchlens.gallery.run import NAME, GalleryRun
    from pytest_torchlens.gallery.store import GalleryError

    try:
        config.pluginmanager.register(GalleryRun(config, directory), NAME)
    except GalleryError as error:
        raise pytest.UsageError(
            f"--lens-gallery={directory}: {error}. Name a directory that is empty, or holds a gallery."
        ) from error


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> list[pytest.Item | pytest.Collector] | None:
    if not markers.is_marked_model(obj):
        return None
    if not markers.is_tested_here(collector, obj):
        return []  # pytest would warn of a test class with a constructor
    return [ModelItem.of(collector, name, obj, _log_model)]


def _log_model(item: ModelItem) -> None:
    from pytest_torchlens.models import log_model

    settings = markers.settings_of(item)
    if settings is not None:  # a fixture may have taken the marker away
        log_model(item, settings)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _is_worker(config):  # xdist would drop the message; each wrong test says it in its setup instead
        return
    for item in items:
        markers.settings_of(item)  # raises a usage error for what it does not know
        marker.about(item)  # likewise


@pytest.fixture
def lens() -> Lens:
    """``lens(model, *args, **kwargs)`` logs a forward pass and returns its history."""
    from pytest_torchlens.fixtures import Lens

    return Lens()


@pytest.fixture
def lens_snapshot(request: pytest.FixtureRequest) -> LensSnapshot:
    """``lens_snapshot.check(history)`` compares a graph with the snapshot beside the test."""
    from pytest_torchlens.snapshots.fixture import LensSnapshot

    return LensSnapshot(request.node)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    if op != "==" or not all(
        str(type(one).__module__).startswith("torchlens_core.") for one in (left, right)
    ):
        return None
    from pytest_torchlens.snapshots.assertion import explained

    return explained(left, right)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    with _observed(item):  # fixtures log for their test
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    with _observed(item):
        result = yield
    settings = markers.settings_of(item)
    if settings is not None:
        from pytest_torchlens.session import check

        check(item, settings)
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    try:
        _draw(item)
    finally:  # also where a time limit ends the drawing: else the next test finds what this one has set up
        result = yield
    return result


def _draw(item: pytest.Item) -> None:
    records = records_of(item)
    if options.gallery_dir(item.config) is not None and (records.passes or records.changes):
        from pytest_torchlens.gallery.draw import change_pages_of, pages_of
        from pytest_torchlens.gallery.run import known_keys

        pages = pages_of(records, known_keys(item.config, item.nodeid))
        item.stash[_PAGES] = {"pages": pages, "changes": change_pages_of(records)}


_PAGES = pytest.StashKey[dict[str, Any]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if call.excinfo is not None and not _shows_all(item.config):
        call.excinfo = tracebacks.trimmed(call.excinfo)
    report = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, pytest.fail.Exception):
        tracebacks.locate(report, item)
    if call.when == "call" or not report.passed:
        records_of(item).outcome = _outcome(report)
    if call.when == "teardown":
        setattr(report, ATTRIBUTE, take_records(item).as_data())
    if options.gallery_dir(item.config) is not None:
        _tell_gallery(item, report)
    return report


def _tell_gallery(item: pytest.Item, report: pytest.TestReport) -> None:
    from pytest_torchlens.gallery.run import ABOUT, PAGES

    if report.when == "setup":
        setattr(report, ABOUT, marker.about(item))
    elif report.when == "teardown" and _PAGES in item.stash:
        setattr(report, PAGES, item.stash[_PAGES])
        del item.stash[_PAGES]  # a test that is run again has others


def _shows_all(config: pytest.Config) -> bool:
    """Whether tracebacks stay whole: if asked for, and for whoever works on this project."""
    return bool(config.getoption("fulltrace", False)) or config.rootpath == Path(__file__).parents[1]


def _outcome(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    return report.outcome


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    config = session.config
    gathered = config.stash[GATHERED]
    has_leftovers = bool(gathered.snapshots) or options.snapshots(config).prune
    if has_leftovers:
        gathering.note_collected(session, gathered)
    if _is_worker(config):
        gathering.send(config, gathered)
    elif _runs_tests(config):
        leftovers = _leftovers(session, exitstatus, gathered) if has_leftovers else terminal.Leftovers()
        config.stash[terminal.SUMMARY] = terminal.Summary(gathered.passes, gathered.snapshots, leftovers)


def _leftovers(session: pytest.Session, exitstatus: int, gathered: Gathered) -> terminal.Leftovers:
    from pytest_torchlens.snapshots.obsolete import find

    return find(session, exitstatus, gathered)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if terminal.SUMMARY not in config.stash:
        return
    lines = terminal.lines_of(config.stash[terminal.SUMMARY], _drawn(config))
    if lines:
        terminalreporter.write_sep("=", "torchlens")
        for line in lines:
            terminalreporter.write_line(line)


def _drawn(config: pytest.Config) -> Drawn | None:
    if options.gallery_dir(config) is None:
        return None
    from pytest_torchlens.gallery.run import NAME

    run = config.pluginmanager.get_plugin(NAME)
    return run.drawn if run is not None else None


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _runs_tests(config: pytest.Config) -> bool:
    """False where tests are only listed: that leaves the gallery of the last run as it is."""
    return not config.getoption("collectonly")
