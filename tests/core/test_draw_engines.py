"""Engines: each one forced, what happens when one hangs, aborts or is missing, and that nothing is left behind."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pictures
import pytest

from torchlens_core.draw.placing import engines
from torchlens_core.draw.placing.engines import ENGINES, engines_found, place
from torchlens_core.errors import ArgumentError, DrawingError

SHEET = pictures.residual(2)
SIZES = pictures.sizes_for(SHEET)
HAS_PYGRAPHVIZ = "pygraphviz" in engines_found()
needs_pygraphviz = pytest.mark.skipif(not HAS_PYGRAPHVIZ, reason="pygraphviz is not installed")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@pytest.fixture
def worker(monkeypatch):
    """A worker of this test's own."""
    own = engines._Worker()
    monkeypatch.setattr(engines, "_the_worker", own)
    yield own
    own.stop()


@pytest.fixture
def program(worker, monkeypatch, tmp_path):
    """Replaces the worker's program by another text."""

    def replace(text):
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(text))
        monkeypatch.setattr(engines, "_WORKER", path)
        monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: object())

    return replace


@pytest.fixture
def dot(monkeypatch, tmp_path):
    """Puts a program called ``dot`` on the PATH, in Python."""

    def put(text):
        path = tmp_path / "dot"
        path.write_text(f"#!{sys.executable} -P\n" + textwrap.dedent(text))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(tmp_path))

    return put


DOT_BY_PYGRAPHVIZ = """
    import sys, pygraphviz
    assert sys.argv[1:] == ["-Tjson0"]
    graph = pygraphviz.AGraph(string=sys.stdin.read())
    sys.stdout.buffer.write(graph.draw(format="json0", prog="dot"))
"""


class TestEachEngine:
    @needs_pygraphviz
    @pytest.mark.parametrize("direction", pictures.directions())
    def test_pygraphviz(self, direction):
        sheet = pictures.residual(2, direction)
        layout = place(sheet, *SIZES, engines=("pygraphviz",))
        assert (layout.engine, layout.said) == ("pygraphviz", ())
        assert pictures.faults(sheet, layout, *SIZES) == []
        assert pictures.against(sheet, layout) == []

    @needs_pygraphviz
    def test_dot(self, dot):
        dot(DOT_BY_PYGRAPHVIZ)
        layout = place(SHEET, *SIZES, engines=("dot",))
        assert (layout.engine, layout.said) == ("dot", ())
        assert pictures.faults(SHEET, layout, *SIZES) == []

    def test_ranks(self):
        layout = place(SHEET, *SIZES, engines=("ranks",))
        assert (layout.engine, layout.said) == ("ranks", ())

    @needs_pygraphviz
    def test_the_best_one_is_taken(self):
        assert place(SHEET, *SIZES).engine == "pygraphviz"

    def test_what_would_take_graphviz_long_goes_to_ranks(self, monkeypatch):
        monkeypatch.setattr(engines, "MOST", 30)
        layout = place(SHEET, *SIZES)
        assert layout.engine == "ranks"
        assert re.fullmatch(
            r"pygraphviz, dot: not tried, \d+ boxes and ranks passed by edges are above 30", layout.said[0]
        )

    @needs_pygraphviz
    def test_unless_another_is_asked_for(self, monkeypatch):
        monkeypatch.setattr(engines, "MOST", 30)
        assert place(SHEET, *SIZES, engines=("pygraphviz",)).engine == "pygraphviz"

    def test_found_ones_are_in_order(self):
        assert engines_found() == [engine for engine in ENGINES if engine in engines_found()]
        assert "ranks" in engines_found()


class TestWhatFails:
    def test_an_unknown_engine(self):
        with pytest.raises(
            ArgumentError, match="No layout engine is called 'neato'; there are 'pygraphviz', 'dot'"
        ):
            place(SHEET, *SIZES, engines=("neato",))

    def test_none_is_left(self, monkeypatch):
        monkeypatch.setenv("PATH", "")
        with pytest.raises(
            DrawingError, match=r"No layout: dot: not on the PATH\. Allow the engine 'ranks'"
        ):
            place(SHEET, *SIZES, engines=("dot",))
        with pytest.raises(DrawingError, match="no engine was allowed"):
            place(SHEET, *SIZES, engines=())

    def test_missing(self, monkeypatch):
        monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None)
        monkeypatch.setenv("PATH", "")
        layout = place(SHEET, *SIZES)
        assert layout.engine == "ranks"
        assert layout.said == ("pygraphviz: not installed", "dot: not on the PATH")
        assert engines_found() == ["ranks"]

    def test_a_worker_that_hangs_is_killed(self, program, worker):
        program("import time; time.sleep(60)")
        layout = place(SHEET, *SIZES, engines=("pygraphviz", "ranks"), timeout=0.3)
        assert (layout.engine, layout.said) == ("ranks", ("pygraphviz: no layout within 0.3 s",))
        assert worker._process is None

    def test_a_worker_that_hangs_in_its_answer_is_killed(self, program):
        program("import time; print('ok 100', flush=True); time.sleep(60)")
        layout = place(SHEET, *SIZES, engines=("pygraphviz", "ranks"), timeout=0.3)
        assert layout.said == ("pygraphviz: no layout within 0.3 s",)

    def test_a_worker_that_aborts(self, program, capfd):
        program(
            """
            import os, sys
            sys.stdin.buffer.readline()
            print("Assertion failed: (n >= 0)", file=sys.stderr)
            print("Fontconfig error: no fonts", file=sys.stderr, flush=True)
            os.abort()
            """
        )
        layout = place(SHEET, *SIZES, engines=("pygraphviz", "ranks"))
        assert layout.said == ("pygraphviz: Assertion failed: (n >= 0)",)
        assert capfd.readouterr() == ("", "")

    def test_a_worker_that_says_nothing(self, program):
        program("raise SystemExit(3)")
        layout = place(SHEET, *SIZES, engines=("pygraphviz", "ranks"))
        assert layout.said == ("pygraphviz: ended with status 3",)

    def test_a_worker_whose_answer_cannot_be_read(self, program):
        program("print('ok 2\\n[]', end='', flush=True); import time; time.sleep(60)")
        layout = place(SHEET, *SIZES, engines=("pygraphviz", "ranks"))
        assert "pygraphviz: its answer cannot be read (" in layout.said[0]

    @needs_pygraphviz
    def test_the_next_layout_starts_anew(self, worker, monkeypatch, tmp_path):
        hanging = tmp_path / "hanging.py"
        hanging.write_text("import time; time.sleep(60)")
        with monkeypatch.context() as patch:
            patch.setattr(engines, "_WORKER", hanging)
            place(SHEET, *SIZES, engines=("pygraphviz", "ranks"), timeout=0.2)
        assert place(SHEET, *SIZES).engine == "pygraphviz"

    @needs_pygraphviz
    def test_an_interrupted_layout_leaves_no_answer_behind(self, worker, monkeypatch):
        place(SHEET, *SIZES)

        class Interrupted(threading.Thread):
            def join(self, timeout=None):
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(engines.threading, "Thread", Interrupted)
            with pytest.raises(KeyboardInterrupt):
                place(SHEET, *SIZES)
        other = pictures.recurrent()
        layout = place(other, *pictures.sizes_for(other))
        assert layout.engine == "pygraphviz"
        assert set(layout.boxes) == set(other.boxes)

    def test_dot_that_fails(self, dot):
        dot("import sys; sys.exit('Error: <stdin>: syntax error')")
        layout = place(SHEET, *SIZES, engines=("dot", "ranks"))
        assert layout.said == ("dot: Error: <stdin>: syntax error",)

    def test_dot_that_says_nothing(self, dot):
        dot("import sys; sys.exit(6)")
        assert place(SHEET, *SIZES, engines=("dot", "ranks")).said == ("dot: ended with status 6",)

    def test_dot_that_hangs(self, dot):
        dot("import time; time.sleep(60)")
        layout = place(SHEET, *SIZES, engines=("dot", "ranks"), timeout=0.3)
        assert layout.said == ("dot: no layout within 0.3 s",)


@needs_pygraphviz
class TestTheWorker:
    def test_it_is_kept_between_layouts(self, worker):
        place(SHEET, *SIZES)
        first = worker._process.pid
        place(SHEET, *SIZES)
        assert worker._process.pid == first

    def test_it_is_replaced_after_its_lifetime(self, worker, monkeypatch):
        monkeypatch.setattr(engines, "_LIFETIME", 2)
        pids = []
        for _ in range(4):
            place(SHEET, *SIZES)
            pids.append(worker._process.pid)
        assert pids[0] == pids[1] != pids[2] == pids[3]

    def test_one_that_died_meanwhile_is_replaced(self, worker):
        place(SHEET, *SIZES)
        worker._process.kill()
        worker._process.wait()
        layout = place(SHEET, *SIZES)
        assert (layout.engine, layout.said) == ("pygraphviz", ())

    def test_nothing_is_printed(self, worker, capfd):
        place(SHEET, *SIZES)
        assert capfd.readouterr() == ("", "")

    def test_threads_take_turns(self, worker):
        sheets = [pictures.skipping(count) for count in range(3, 19)]
        found = {}

        def run(sheet):
            found[len(sheet.boxes)] = place(sheet, *pictures.sizes_for(sheet))

        threads = [threading.Thread(target=run, args=(sheet,)) for sheet in sheets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for sheet in sheets:
            layout = found[len(sheet.boxes)]
            assert (layout.engine, set(layout.boxes)) == ("pygraphviz", set(sheet.boxes))

    @pytest.mark.slow
    @needs_fork
    def test_a_fork_has_a_worker_of_its_own(self):
        """In a process of its own, so that the fork is not one of the test run."""
        code = """
            import os, pictures
            from torchlens_core.draw.placing import engines
            sheet = pictures.residual(2)
            sizes = pictures.sizes_for(sheet)
            engines.place(sheet, *sizes)
            mine = engines._the_worker._process.pid
            engines._the_worker._lock.acquire()
            child = os.fork()
            if not child:
                layout = engines.place(sheet, *sizes)
                good = layout.engine == "pygraphviz" and engines._the_worker._process.pid != mine
                engines._the_worker.stop()
                os._exit(0 if good else 1)
            assert os.waitpid(child, 0)[1] == 0
            engines._the_worker._lock.release()
            assert engines.place(sheet, *sizes).engine == "pygraphviz"
            assert engines._the_worker._process.pid == mine
            print(mine)
        """
        done = run_code(code)
        assert (done.returncode, done.stderr) == (0, "")
        assert_ended(int(done.stdout))

    @pytest.mark.slow
    @pytest.mark.parametrize("ending", ["pass", "raise SystemExit(1)", "os.kill(os.getpid(), 9)"])
    def test_it_ends_with_its_process(self, ending):
        code = f"""
            import os, pictures
            from torchlens_core.draw.placing import engines
            sheet = pictures.residual(2)
            engines.place(sheet, *pictures.sizes_for(sheet))
            print(engines._the_worker._process.pid, flush=True)
            {ending}
        """
        done = run_code(code)
        assert done.stderr == ""
        assert_ended(int(done.stdout))


def run_code(code):
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_ended(pid):
    waited = threading.Event()
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        status = Path(f"/proc/{pid}/stat")
        if status.exists() and status.read_text().split()[2] == "Z":
            return  # ended, only that nobody has asked how
        waited.wait(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail(f"process {pid} was left behind")
