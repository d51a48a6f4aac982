"""Where work is handed to another thread, and threads as they were afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.pool import ThreadPool

import pytest

from torchlens_core.checks.places import line_in
from torchlens_core.threads import Threads


@contextmanager
def watching() -> Iterator[Threads]:
    threads = Threads()
    threads.open()
    try:
        yield threads
    finally:
        threads.close()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()  # its thread runs
        yield pool


def run(thread: threading.Thread) -> None:
    thread.start()
    thread.join()


def handing_over() -> tuple[object, object]:
    return threading.Thread.start, ThreadPoolExecutor.submit


def test_a_thread_that_is_started():
    with watching() as threads:
        run(threading.Thread(target=int))
    (stack,) = threads.stacks
    assert line_in(stack).endswith(f":{run.__code__.co_firstlineno + 1} in run")


def test_work_for_a_pool(pool):
    with watching() as threads:
        future = pool.submit(sum, [1, 2])
        assert future.result() == 3
        assert pool.submit(sum, [1], start=2).result() == 3
    assert len(threads.stacks) == 2
    assert all(__file__ in line_in(stack) for stack in threads.stacks)


def test_a_pool_that_starts_its_threads():
    with watching() as threads, ThreadPool(1) as pool:
        assert pool.apply(sum, ([1, 2],)) == 3
    assert threads.stacks
    assert all(any(code.co_filename == __file__ for code, _ in stack) for stack in threads.stacks)


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ThreadPool])
def test_a_pool_that_starts_its_threads_is_named_by_the_users_line(kind):
    with watching() as threads, kind(1) as pool:
        pool.submit(int) if kind is ThreadPoolExecutor else pool.apply(int)
    assert __file__ in line_in(threads.stacks[-1])


def test_subclasses_of_threads():
    class Sub(threading.Thread):
        def start(self):
            super().start()

    with watching() as threads:
        run(Sub(target=int))
    assert len(threads.stacks) == 1


def test_what_is_not_handed_over_is_not_noted():
    with watching() as threads:
        threading.Thread(target=int).run()
    assert threads.stacks == []


def test_what_other_threads_hand_over_is_not_noted(pool):
    with watching() as threads:
        outer = threading.Thread(target=lambda: run(threading.Thread(target=int)))
        run(outer)
    assert len(threads.stacks) == 1, "that of the outer one"


def test_errors_of_threads_are_their_own():
    thread = threading.Thread(target=int)
    run(thread)
    with watching() as threads, pytest.raises(RuntimeError, match="threads can only be started once"):
        thread.start()
    assert len(threads.stacks) == 1


def test_threads_are_as_they_were():
    before = handing_over()
    with watching():
        assert handing_over() != before, "the control"
    assert handing_over() == before


def test_threads_are_as_they_were_after_an_error():
    before = handing_over()
    with pytest.raises(ValueError, match="late"), watching():
        raise ValueError("late")
    assert handing_over() == before


def test_one_inside_the_other():
    before = handing_over()
    with watching() as outer, watching() as inner:
        run(threading.Thread(target=int))
    assert (len(outer.stacks), len(inner.stacks)) == (1, 1)
    assert handing_over() == before


def test_one_beside_the_other():
    before = handing_over()
    one, other = Threads(), Threads()
    try:
        one.open()
        other.open()
        one.close()
        other.close()
        assert handing_over() == before
    finally:
        threading.Thread.start, ThreadPoolExecutor.submit = before


def test_closed_twice():
    before = handing_over()
    threads = Threads()
    threads.open()
    threads.close()
    threads.close()
    assert handing_over() == before
