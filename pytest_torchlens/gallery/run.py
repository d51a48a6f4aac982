"""A run that draws a gallery: what tests tell on their reports becomes folders, cards and a line now and then.

Tests are run here or by workers, on this machine or another: what they draw comes with their reports, and this
process alone writes. It imports neither torch nor what draws.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_torchlens import options
from pytest_torchlens.gallery import pages
from pytest_torchlens.gallery.store import FORMAT, GalleryError, Store, slug_of
from pytest_torchlens.records import ATTRIBUTE, short_name

#: Attributes of reports: of the setup, what the test is; of the teardown, its pages.
ABOUT, PAGES = "lens_about", "lens_pages"
#: Of what the controller gives to its workers: the keys of pages that need not be drawn.
KEYS = "lens_gallery_keys"
#: Seconds between two lines of progress, and between two writings of the index, at least.
_TOLD, _WRITTEN = 30.0, 30.0
#: Characters of a reason that are kept.
_LONGEST = 4_000


@dataclass
class _Test:
    """What is known of a test that is running."""

    about: dict[str, Any] = field(default_factory=dict)
    outcome: str = "passed"
    reason: str = ""


@dataclass
class Drawn:
    """What a run has done for its gallery."""

    directory: Path
    #: Graphs drawn, and graphs whose pictures were there already.
    drawn: int = 0
    kept: int = 0
    #: What went wrong, a line each.
    troubles: list[str] = field(default_factory=list)


class GalleryRun:
    """Hooks of the process that reports."""

    def __init__(self, config: pytest.Config, directory: Path) -> None:
        self._config = config
        self._store = Store(directory)
        self._store.open()
        self._id = secrets.token_hex(4)
        self._records = {one["slug"]: one for one in self._store.records()}
        #: Keys of the pages that are there, by the folders of their tests and their numbers.
        self.keys = {slug: self._store.keys(record) for slug, record in self._records.items()}
        self._tests: dict[str, _Test] = {}
        self._number = self._done = self._failed = 0
        self._began = self._told = self._written = time.monotonic()
        self.drawn = Drawn(directory)
        self._write_index(finished=False)

    # -- hooks -------------------------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of xdist what it need not draw."""
        node.workerinput[KEYS] = [[slug, list(map(list, of.items()))] for slug, of in self.keys.items()]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Every worker has the same tests."""
        self._number = len(ids)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note how many tests there are."""
        self._number = len(session.items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a report carries: reports are kept to the end of a run, and pictures would be with them."""
        made = vars(report).pop(PAGES, None)
        test = self._tests.setdefault(report.nodeid, _Test())
        test.about = vars(report).pop(ABOUT, None) or test.about
        self._note_outcome(test, report)
        if report.when in ("setup", "call"):
            return
        del self._tests[report.nodeid]
        self._done += 1
        self._failed += test.outcome in ("failed", "crashed", "xpassed")
        data = getattr(report, ATTRIBUTE, None) or {"outcome": test.outcome, "passes": [], "snapshots": []}
        if made is not None or test.about.get("is_lens"):
            self._put(report.nodeid, test, data, made or {"pages": [], "changes": []})
        self._go_on()

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the index for good."""
        ended = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
        self._write_index(finished=exitstatus in ended)

    # -- parts -------------------------------------------------------------------------------------

    def _note_outcome(self, test: _Test, report: pytest.TestReport) -> None:
        if report.when not in ("setup", "call", "teardown"):
            test.outcome, test.reason = "crashed", _reason(report)  # xdist says it in place of its worker
        elif hasattr(report, "wasxfail"):
            test.outcome = "xfailed" if report.skipped else "xpassed"
            test.reason = str(report.wasxfail)
        elif not report.passed:
            test.outcome, test.reason = report.outcome, _reason(report)

    def _put(self, nodeid: str, test: _Test, data: dict[str, Any], made: dict[str, Any]) -> None:
        slug = slug_of(nodeid)
        old = {page["number"]: page for page in self._records.get(slug, {}).get("pages", [])}
        record = self._record(nodeid, slug, test, data, made, old)
        files: dict[str, bytes] = {}
        kept: list[str] = []
        drawn = before = 0
        for number, (page, own) in enumerate(zip(made["pages"], record["pages"], strict=True)):
            if page["trouble"]:
                self.drawn.troubles.append(f"no picture of {nodeid}: {page['trouble'].splitlines()[0]}")
                continue
            files |= pages.model_files(page, record, number)
            if page["pictures"] is None:
                kept += pages.kept_files(own)
                before += 1
            drawn += 1
        for number, change in enumerate(made["changes"], 1):
            files |= pages.change_files(change, record, number)
        files["record.json"] = pages.as_json(record)
        try:
            self._store.put(slug, files, kept)
        except GalleryError as error:
            self.drawn.troubles.append(f"no page of {nodeid}: {error}")
            return
        self._records[slug] = record
        self.drawn.drawn += drawn
        self.drawn.kept += before

    def _record(
        self,
        nodeid: str,
        slug: str,
        test: _Test,
        data: dict[str, Any],
        made: dict[str, Any],
        old: dict[int, Any],
    ) -> dict[str, Any]:
        about = test.about
        return {
            "format": FORMAT,
            "run": self._id,
            "test": nodeid,
            "slug": slug,
            "title": about.get("title") or short_name(nodeid),
            "file": nodeid.partition("::")[0],
            "facets": about.get("facets", {}),
            "outcome": test.outcome,
            "reason": test.reason,
            "snapshots": [one["result"] for one in data["snapshots"]],
            "pages": [_page_record(page, data["passes"], old) for page in made["pages"]],
            "changes": [one["name"] for one in made["changes"]],
        }

    def _go_on(self) -> None:
        now = time.monotonic()
        if now - self._written > _WRITTEN:
            self._write_index(finished=False)
        if now - self._told > _TOLD:
            self._told = now
            self._tell(now - self._began)

    def _tell(self, seconds: float) -> None:
        """A line of progress; a run that is over soon has none."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or reporter.verbosity < 0:
            return
        left = seconds / self._done * max(0, self._number - self._done)
        failed = f", {self._failed} failed" if self._failed else ""
        reporter.ensure_newline()
        reporter.write_line(
            f"gallery: {self._done:,} of {self._number:,} tests{failed}, {self.drawn.drawn:,} graphs drawn, "
            f"about {_time(left)} left"
        )

    def _write_index(self, finished: bool) -> None:
        mark = {
            "runs": [self._id],
            "finished": finished,
            "when": time.strftime("%Y-%m-%d %H:%M"),
            "seconds": round(time.monotonic() - self._began, 1),
        }
        try:
            self._store.write_index(options.gallery_title(self._config), mark, self._records.values())
        except GalleryError as error:
            trouble = f"{self.drawn.directory}: {error}"
            if trouble not in self.drawn.troubles:
                self.drawn.troubles.append(trouble)
        self._written = time.monotonic()


def known_keys(config: pytest.Config, nodeid: str) -> dict[int, str]:
    """What need not be drawn of a test, in a worker or in the process that reports."""
    stash = config.stash
    if _KNOWN not in stash:
        run = config.pluginmanager.get_plugin(NAME)
        given = getattr(config, "workerinput", {}).get(KEYS, [])
        stash[_KNOWN] = run.keys if run is not None else {slug: dict(of) for slug, of in given}
    return stash[_KNOWN].get(slug_of(nodeid), {})


_KNOWN = pytest.StashKey[dict[str, dict[int, str]]]()
#: The name of `GalleryRun` among the plugins.
NAME = "torchlens-gallery"


def _page_record(page: dict[str, Any], passes: list[dict[str, Any]], old: dict[int, Any]) -> dict[str, Any]:
    """What stands of a page in the record of its test."""
    described, number = page["described"], page["number"]
    logged = passes[number - 1] if number <= len(passes) else {}
    pictures = page["pictures"]
    if pictures is None and not page["trouble"]:
        pictures = old[number]["pictures"] if number in old else []
    else:
        pictures = [one | {"file": f"pictures/{at}.js"} for at, one in enumerate(pictures or [])]
    return {
        **{name: page[name] for name in ("number", "passes", "key", "structure", "folded", "trouble")},
        **{name: logged.get(name) for name in ("model", "ops", "parameters", "valid")},
        **{name: described.get(name) for name in ("device", "seconds", "is_recurrent")},
        "pictures": pictures,
    }


def _reason(report: pytest.TestReport) -> str:
    """Why a test failed or was skipped, without the traceback."""
    longrepr: Any = report.longrepr
    if isinstance(longrepr, tuple):
        return str(longrepr[2]).removeprefix("Skipped: ")[:_LONGEST]
    crash = getattr(longrepr, "reprcrash", None)
    text = str(crash.message) if crash is not None else report.longreprtext
    return text.removeprefix("Failed: ")[:_LONGEST]  # pytest.fail's


def _time(seconds: float) -> str:
    """A time as one says it.

    >>> _time(4), _time(80), _time(7_500)
    ('1 min', '2 min', '2 h 5 min')
    """
    minutes = max(1, -int(-seconds // 60))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
