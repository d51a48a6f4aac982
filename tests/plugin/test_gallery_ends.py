"""Whatever ends a run, or one test of it, the gallery is whole, and the next run goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from galleries import cards_of, check_whole, index_of, statuses_of

from pytest_torchlens.gallery import draw
from pytest_torchlens.gallery.store import GalleryError, Store, slug_of

MANY = """
import pytest, time, torch
from nets import *

@pytest.mark.parametrize("number", range(6))
def test_net(lens, number):
    lens(nn.Linear(2, 2 + number), torch.ones(1, 2))
    if number == 3 and {hangs}:
        time.sleep(600)
"""


@pytest.fixture
def out(pytester):
    return pytester.path / "out"


# -- the run -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["-n", "2"]])
def test_killed_in_the_middle(run, pytester, out, options):
    run("")  # copies nets
    (pytester.path / "test_it.py").write_text(MANY.format(hangs=True))
    command = [sys.executable, "-m", "pytest", "-q", "--lens-gallery=out", *options]
    process = subprocess.Popen(
        command, cwd=pytester.path, stdout=subprocess.DEVNULL, start_new_session=True
    )
    last = out / "models" / slug_of("test_it.py::test_net[2]") / "record.json"
    for _ in range(1200):
        if last.exists():
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert last.exists()
    there = len(Store(out).records())
    check_whole(out)
    assert not index_of(out)["finished"]
    (pytester.path / "test_it.py").write_text(MANY.format(hangs=False))
    result = pytester.runpytest_inprocess("--lens-gallery=out")
    result.assert_outcomes(passed=6)
    before = int(result.outlines[-2].rpartition(", ")[2].partition(" ")[0])
    assert before == there  # what the killed run had drawn, however its workers had shared the tests
    check_whole(out)
    assert index_of(out)["finished"]
    assert len(cards_of(out)) == 6


@pytest.mark.parametrize("left", ["new", "old", "both"])
def test_killed_between_two_renames(run, out, left):
    """A folder that was being replaced is brought back; one that was being made is removed."""
    run(MANY.format(hangs=False), "--lens-gallery=out")
    slug = slug_of("test_it.py::test_net[1]")
    folder = out / "models" / slug
    if left in ("new", "both"):
        shutil.copytree(folder, folder.with_name(f".new-{slug}"))
    if left in ("old", "both"):
        folder.rename(folder.with_name(f".old-{slug}"))
    store = Store(out)
    store.open()
    assert len(store.records()) == 6
    check_whole(out)


# -- the disk ----------------------------------------------------------------------------------------


def mount(folder, *options):
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.decode().strip()}")


@pytest.fixture
def small(out):
    """A gallery's directory on a file system of its own, with room for about two models."""
    mount(out, "size=2m")
    Store(out).open()
    free = shutil.disk_usage(out).free
    (out / "own.bin").write_bytes(bytes(free - 100_000))
    yield out
    subprocess.run(["umount", str(out)], check=True)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount")
def test_a_full_disk(run, small, summary_of):
    result = run(MANY.format(hangs=False), "--lens-gallery=out")
    result.assert_outcomes(passed=6)
    said = summary_of(result)
    assert all("No space left on device" in line for line in said[2:]), said
    assert 1 < len(said[2:]) <= 7
    check_whole(small)  # what is there can be opened
    assert len(cards_of(small)) < 6
    subprocess.run(["mount", "-o", "remount,size=20m", str(small)], check=True)
    run(MANY.format(hangs=False), "--lens-gallery=out").assert_outcomes(passed=6)
    check_whole(small)
    assert len(cards_of(small)) == 6


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount")
def test_a_directory_that_is_only_read(run, small):
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    result = run(MANY.format(hangs=False), "--lens-gallery=out")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: --lens-gallery={small}: it cannot be written (Read-only file system). Name a directory *"]
    )


def test_a_disk_that_fails_in_the_middle(run, out, summary_of, monkeypatch):
    """The same where nothing can be mounted: each page costs a line, and no test."""
    replace = os.replace

    def failing(source, target):
        if "models" in str(source) and not str(source).endswith("record.json"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("os.replace", failing)
    result = run(MANY.format(hangs=False), "--lens-gallery=out")
    result.assert_outcomes(passed=6)
    slug = slug_of("test_it.py::test_net[0]")
    assert summary_of(result)[1] == f"0 graphs drawn in {out / 'index.html'}"
    assert summary_of(result)[2] == f"no page of test_it.py::test_net[0]: {slug}: No space left on device"
    check_whole(out)


# -- one test ----------------------------------------------------------------------------------------

ENDS = """
import faulthandler, os, signal, time

def test_fine(lens): lens(Doubled(), torch.ones(2))

def test_crashes(lens): os.abort()

def test_hangs(lens):
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))  # as does an op that does not come back
    faulthandler.dump_traceback_later(1, exit=True)
    time.sleep(60)

@pytest.mark.timeout(1)
def test_slow(lens): time.sleep(60)

def test_needs_memory(lens):
    lens(Doubled(), torch.ones(2**60))

def test_last(lens): lens(Doubled(), torch.ones(2))
"""


@pytest.mark.slow
def test_a_model_that_ends_its_process_costs_a_card(run, out):
    pytest.importorskip("xdist")
    pytest.importorskip("pytest_timeout")
    result = run(textwrap.dedent(ENDS), "--lens-gallery=out", "-n", "2", fresh=True)
    result.assert_outcomes(passed=2, failed=4)
    check_whole(out)
    assert statuses_of(out) == {
        "test_fine": ["passed"],
        "test_crashes": ["crashed"],
        "test_hangs": ["crashed"],
        "test_slow": ["failed"],
        "test_needs_memory": ["failed"],
        "test_last": ["passed"],
    }
    reasons = {title: card["reason"] for title, card in cards_of(out).items()}
    assert "crashed while running" in reasons["test_crashes"]
    assert "crashed while running" in reasons["test_hangs"]
    assert reasons["test_slow"].startswith("Timeout")
    assert reasons["test_needs_memory"].startswith("RuntimeError")


def test_drawing_that_is_ended_leaves_the_next_test_alone(run, out, monkeypatch):
    """A time limit may strike while the pictures are made; what the test has set up is torn down all the same."""
    whole, calls = draw.pages_of, []

    def ended_once(*given):
        calls.append(given)
        if len(calls) == 1:
            pytest.fail("Timeout (>1.0s)")
        return whole(*given)

    monkeypatch.setattr(draw, "pages_of", ended_once)
    result = run(MANY.format(hangs=False), "--lens-gallery=out")
    result.assert_outcomes(passed=6, errors=1)
    check_whole(out)
    failed = [card["reason"] for card in index_of(out)["cards"] if card["is_bad"]]
    assert len(failed) == 1
    assert "Timeout" in failed[0]


# -- several galleries -------------------------------------------------------------------------------


def merge(*arguments):
    command = [sys.executable, "-m", "pytest_torchlens.gallery", "merge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def test_shards_become_one(run, pytester, out):
    source = MANY.format(hangs=False)
    run(source, "--lens-gallery=whole")
    run(source, "--lens-gallery=a", "-k", "0 or 1 or 2")
    run(source, "--lens-gallery=b", "-k", "2 or 3 or 4 or 5")
    done = merge(out, pytester.path / "a", pytester.path / "b")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"6 tests of 2 galleries in {out / 'index.html'}\n"
    check_whole(out)
    whole, merged = (
        [card | {"seconds": 0} for card in index_of(one)["cards"]] for one in (pytester.path / "whole", out)
    )
    assert merged == whole
    assert index_of(out)["finished"]
    assert len(list((pytester.path / "a" / "models").iterdir())) == 3  # what was merged is as it was


def test_a_merged_gallery_goes_on(run, pytester, out, summary_of):
    source = MANY.format(hangs=False)
    run(source, "--lens-gallery=a", "-k", "0 or 1 or 2")
    assert merge(out, pytester.path / "a", "--title", "Both halves").returncode == 0
    assert index_of(out)["title"] == "Both halves"
    result = run(source, "--lens-gallery=out")
    assert summary_of(result)[1] == f"6 graphs drawn in {out / 'index.html'}, 3 of them before"


def test_what_is_no_gallery_is_not_merged(run, pytester, out):
    run(MANY.format(hangs=False), "--lens-gallery=a", "-k", "0")
    (pytester.path / "empty").mkdir()
    done = merge(out, pytester.path / "a", pytester.path / "empty")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {pytester.path / 'empty'} is no gallery: it has no lens-gallery.json\n"
    assert not out.exists()
    (pytester.path / "empty" / "index.html").write_text("own")
    done = merge(pytester.path / "empty", pytester.path / "a")
    assert done.returncode == 1
    assert "it holds index.html of something else" in done.stderr
    with pytest.raises(GalleryError, match="there is a file of that name"):
        Store(pytester.path / "test_it.py").open()
