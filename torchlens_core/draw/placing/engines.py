"""Places for a sheet: by pygraphviz' bundled Graphviz, by ``dot`` on the PATH, or by our own rank layout."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from torchlens_core.draw.placing.graphviz import cost_of, layout_from, placing_source
from torchlens_core.draw.placing.layout import Layout
from torchlens_core.draw.placing.ranks import place_by_ranks
from torchlens_core.draw.sheet import Sheet
from torchlens_core.errors import ArgumentError, DrawingError, listing

#: In the order in which they are tried; the last one cannot fail.
ENGINES = ("pygraphviz", "dot", "ranks")
#: Cost (`cost_of`) up to which Graphviz is tried unasked; it needs about 2 s for that.
MOST = 12_000
_WORKER = Path(__file__).with_name("worker.py")
#: Layouts after which a worker is replaced, for Graphviz does not free all it took.
_LIFETIME = 500


def engines_found() -> list[str]:
    """The engines on this machine, best first.

    >>> engines_found()[-1]
    'ranks'
    """
    found = {
        "pygraphviz": importlib.util.find_spec("pygraphviz"),
        "dot": shutil.which("dot"),
        "ranks": True,
    }
    return [engine for engine in ENGINES if found[engine]]


def place(
    sheet: Sheet,
    sizes: Mapping[str, tuple[float, float]],
    headings: Mapping[str, tuple[float, float]],
    *,
    engines: Sequence[str] | None = None,
    timeout: float = 20.0,
) -> Layout:
    """Places for everything on ``sheet``, by the first engine that gives them within ``timeout`` seconds.

    ``sizes`` are widths and heights of boxes in points, ``headings`` those of the headings of frames. ``engines``
    are the only ones that may be tried, in that order; by default all, but for sheets that would keep Graphviz busy
    until then, which go to ``ranks``. What those that failed said is in
    `Layout.said`. Raises `ArgumentError` for an engine that does not exist, and `DrawingError` if all failed,
    which cannot be while ``ranks`` is among them.
    """
    wanted = ENGINES if engines is None else tuple(engines)
    said: list[str] = []
    is_late = False
    if engines is None and (cost := cost_of(sheet)) > MOST:
        wanted = ("ranks",)
        said.append(
            f"pygraphviz, dot: not tried, {cost:,} boxes and ranks passed by edges are above {MOST:,}"
        )
    if unknown := [engine for engine in wanted if engine not in ENGINES]:
        raise ArgumentError(f"No layout engine is called {listing(unknown)}; there are {listing(ENGINES)}.")
    for engine in wanted:
        if is_late and engines is None and engine != "ranks":
            continue  # dot is what pygraphviz calls: it would take as long
        if engine == "ranks":
            return replace(place_by_ranks(sheet, sizes, headings), said=tuple(said), is_late=is_late)
        try:
            answer = _answer(engine, placing_source(sheet, sizes, headings).encode(), "json0", timeout)
            return replace(layout_from(sheet, answer, engine), said=tuple(said), is_late=is_late)
        except DrawingError as error:
            said.append(str(error))
            is_late |= isinstance(error, _LateError)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            said.append(f"{engine}: its answer cannot be read ({type(error).__name__}: {error})")
    raise DrawingError(
        "No layout: "
        + ("; ".join(said) or "no engine was allowed")
        + f". Allow the engine 'ranks', which needs nothing else, beside {listing(wanted)}."
    )


def _answer(engine: str, source: bytes, form: str, timeout: float) -> bytes:
    """What Graphviz makes of DOT in a format of its; raises `DrawingError`, which begins with ``engine``."""
    if engine == "dot":
        return _run_dot(source, form, timeout)
    if importlib.util.find_spec("pygraphviz") is None:
        raise DrawingError("pygraphviz: not installed")
    return _the_worker.ask(source, form, timeout)


def _run_dot(source: bytes, form: str, timeout: float) -> bytes:
    program = shutil.which("dot")
    if program is None:
        raise DrawingError("dot: not on the PATH")
    try:
        done = subprocess.run(
            [program, f"-T{form}"], input=source, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise _LateError("dot", timeout) from None
    except OSError as error:
        raise DrawingError(f"dot: {error}") from None
    if done.returncode != 0 or not done.stdout:
        raise DrawingError(f"dot: {_last_line(done.stderr) or f'ended with status {done.returncode}'}")
    return done.stdout


def _last_line(words: bytes) -> str:
    """What was said last, but for complaints about fonts, which have no part in this."""
    lines = words.decode(errors="replace").strip().splitlines()
    return next((line for line in reversed(lines) if not line.startswith("Fontconfig")), "")


class _LateError(DrawingError):
    """An engine was stopped."""

    def __init__(self, engine: str, timeout: float) -> None:
        super().__init__(f"{engine}: no layout within {timeout:g} s")


class _EndedError(DrawingError):
    """The process ended before it had answered."""


class _Worker:
    """The process that lays out with pygraphviz, kept between layouts; threads take turns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._asked = 0

    def ask(self, source: bytes, form: str, timeout: float) -> bytes:
        """Its answer, in a format of Graphviz'.

        Raises `DrawingError` if there is none in time, or if the process ended; the next one starts anew.
        """
        with self._lock:
            try:
                status, answer = self._exchange(source, form, timeout)
            except _EndedError:  # by another hand, perhaps
                self.stop()
                status, answer = self._once_more(source, form, timeout)
            except BaseException:  # even KeyboardInterrupt: its answer would be taken for the next one's
                self.stop()
                raise
        if status != "ok":
            raise DrawingError(f"pygraphviz: {_last_line(answer) or status}")
        return answer

    def _once_more(self, source: bytes, form: str, timeout: float) -> tuple[str, bytes]:
        try:
            return self._exchange(source, form, timeout)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            self._close(process)

    def abandon(self) -> None:
        """Forget the process without ending it: after a fork it is the parent's, and so may be the lock."""
        process, self._process = self._process, None
        self._lock = threading.Lock()
        if process is not None:
            process.returncode = 0  # else subprocess says that it still runs
            # not their own close: another thread of the parent may have held the locks of their buffers
            for pipe in (process.stdin, process.stdout, self._errors):
                raw = getattr(pipe, "raw", None)
                if raw is not None:
                    raw.close()

    def _close(self, process: subprocess.Popen[bytes]) -> None:
        for pipe in (process.stdin, process.stdout, self._errors):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what it was not given any more
                    pipe.close()

    def _exchange(self, source: bytes, form: str, timeout: float) -> tuple[str, bytes]:
        process = self._started()
        answers: list[tuple[str, bytes]] = []
        # without a thread, there is no limit of time to reading a pipe on every system
        exchange = threading.Thread(
            target=_ask, args=(process, source, form, answers), name="torchlens-layout", daemon=True
        )
        exchange.start()
        exchange.join(timeout)
        if answers:
            return answers[0]
        if late := exchange.is_alive():
            process.kill()
        exchange.join()
        status = process.wait()
        assert self._errors is not None
        self._errors.seek(0)
        words = "" if late else _last_line(self._errors.read())
        if late:
            raise _LateError("pygraphviz", timeout)
        raise _EndedError(f"pygraphviz: {words or f'ended with status {status}'}")

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and (self._process.poll() is not None or self._asked >= _LIFETIME):
            self.stop()
        if self._process is None:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
            self._asked = 0
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", str(_WORKER)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                )
            except OSError as error:
                self._errors.close()
                raise DrawingError(f"pygraphviz: {error}") from None
        self._asked += 1
        return self._process


def _ask(
    process: subprocess.Popen[bytes], source: bytes, form: str, answers: list[tuple[str, bytes]]
) -> None:
    """Put the answer into ``answers``, with its status; nothing if the process ends before."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"{form} {len(source)}\n".encode() + source)
        process.stdin.flush()
        status, size = process.stdout.readline().split()
        answer = process.stdout.read(int(size))
    except (OSError, ValueError):  # a broken pipe, or no line
        return
    if len(answer) == int(size):
        answers.append((status.decode(), answer))


_the_worker = _Worker()
atexit.register(_the_worker.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_the_worker.abandon)
