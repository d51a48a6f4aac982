"""The collector is spared old objects while work goes on, and is as it was afterwards."""

import gc
import threading

import pytest

from torchlens_core.garbage import collector_spared


@pytest.fixture(autouse=True)
def _nothing_frozen():
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_old_objects_are_frozen_until_the_outermost_ends():
    with collector_spared():
        before = gc.get_freeze_count()
        assert before > 1000
        with collector_spared():
            assert gc.get_freeze_count() <= before
        assert gc.get_freeze_count()
    assert gc.get_freeze_count() == 0


def test_an_error_leaves_nothing_frozen():
    with pytest.raises(ValueError, match="so it is"), collector_spared(), collector_spared():
        raise ValueError("so it is")
    assert gc.get_freeze_count() == 0
    with collector_spared():
        assert gc.get_freeze_count()


def test_what_somebody_else_froze_stays_frozen():
    gc.freeze()
    with collector_spared():
        assert gc.get_freeze_count()
    assert gc.get_freeze_count()


def test_only_the_outermost_counts(monkeypatch):
    counted = []
    count = gc.get_freeze_count
    monkeypatch.setattr(gc, "get_freeze_count", lambda: counted.append(1) or count())
    with collector_spared(), collector_spared(), collector_spared():
        pass
    assert len(counted) == 1


def test_threads_have_their_own():
    """One that ends first may not leave the others without: what is frozen is, at the latest, let go by the last."""

    def work():
        with collector_spared():
            pass

    with collector_spared():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert gc.get_freeze_count()
    assert gc.get_freeze_count() == 0
