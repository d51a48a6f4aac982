"""What a test logs is noted, whoever logs it, and validated without a trace."""

import threading

import pytest
import torch
from plugin import nets
from torch import nn

from pytest_torchlens.markers import Settings, SnapshotSettings
from pytest_torchlens.records import Records, records_of
from pytest_torchlens.session import check, observe_test
from torchlens_core import get_model_metadata, log_forward_pass
from torchlens_core.snapshot import take_snapshot
from torchlens_core.trace import _observers

VALIDATE = Settings({})


def noted(log, settings=None, keeps_histories=False):
    """The passes noted while ``log`` runs."""
    records = Records("test")
    with observe_test(records, settings, keeps_histories):
        log()
    return records.passes


def log(model):
    return log_forward_pass(model, torch.ones(2))


def test_notes_each_pass():
    passes = noted(lambda: (log(nn.ReLU()), log(nets.Doubled())))
    assert [(one.model, one.ops, one.report) for one in passes] == [("ReLU", 1, None), ("Doubled", 2, None)]


def test_counts_parameters():
    passes = noted(lambda: log_forward_pass(nn.Linear(4, 3), torch.rand(2, 4)))
    assert passes[0].parameters == 15


def test_notes_metadata_alone_too():
    assert len(noted(lambda: get_model_metadata(nn.ReLU(), torch.ones(2)))) == 1


def test_notes_nothing_outside():
    passes = noted(lambda: None)
    log(nn.ReLU())
    assert passes == []


def test_validates_each_pass():
    passes = noted(lambda: (log(nets.Doubled()), log(nets.Numpy())), VALIDATE)
    assert [bool(one.report) for one in passes] == [True, False]


def test_histories_are_kept_for_pictures_only():
    assert noted(lambda: log(nn.ReLU()))[0].history is None
    assert noted(lambda: log(nn.ReLU()), keeps_histories=True)[0].history.model_name == "ReLU"


def test_a_pass_inside_a_pass_has_its_own_report():
    passes = noted(lambda: log(nets.LogsAnother()), Settings({"checks": ["transparency", "replay"]}))
    assert [(one.model, bool(one.report)) for one in passes] == [("Counter", False), ("LogsAnother", True)]


class Meets(nn.Module):
    """Meets another; a function holds what they meet by, since a validation puts back all that it sees."""

    def __init__(self, inner, parameters, meet):
        super().__init__()
        self.inner = inner
        self.weight = nn.Parameter(torch.ones(parameters))
        self.meet = meet

    def forward(self, x):
        self.meet()
        return self.inner(x)


def test_threads_have_their_own_reports():
    both = threading.Barrier(2)
    calls = []

    def meet():
        calls.append(threading.get_ident())
        if calls.count(threading.get_ident()) == 3:  # after the two of the validation
            both.wait(timeout=20)

    models = [Meets(nets.Doubled(), 5, meet), Meets(nets.Numpy(), 6, meet)]
    threads = [threading.Thread(target=log, args=(model,)) for model in models]

    def run_all():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    passes = noted(run_all, Settings({"checks": ["transparency", "replay"]}))
    assert {one.parameters: bool(one.report) for one in passes} == {5: True, 6: False}
    assert len(calls) == 6  # so they met


def test_the_pass_finds_all_as_it_was():
    def after(settings):
        torch.manual_seed(0)
        norm = nn.BatchNorm1d(3)
        model = nn.Sequential(norm, nn.Dropout(0.5))
        seen = []

        def log_once():
            history = log_forward_pass(model, torch.rand(4, 3))
            seen.append(history["output_1"].tensor_contents.tolist())

        noted(log_once, settings)
        return [*seen, norm.state_dict()["running_mean"].tolist(), norm.num_batches_tracked, torch.rand(1)]

    assert after(VALIDATE) == after(None)


def test_an_error_of_the_model_leaves_torch_clean():
    call = nn.Module.__call__
    with pytest.raises(ValueError, match="no use for"):
        noted(lambda: log(nets.Boom()), VALIDATE)
    assert nn.Module.__call__ is call
    assert _observers == []
    assert len(noted(lambda: log(nets.Doubled()), VALIDATE)) == 1


def test_a_pass_after_one_that_failed_has_its_own_report():
    def both():
        with pytest.raises(ValueError, match="no use for"):
            log(nets.Boom())
        log(nets.Numpy())

    assert [(one.model, bool(one.report)) for one in noted(both, VALIDATE)] == [("Numpy", False)]
    assert [(one.model, one.report) for one in noted(both)] == [("Numpy", None)]


@pytest.fixture
def item(pytester):
    return pytester.getitem("def test_func(): pass")


def test_check_is_silent_if_all_is_valid(item):
    records_of(item).passes = noted(lambda: log(nets.Doubled()), VALIDATE)
    check(item, VALIDATE)
    assert len(records_of(item).passes) == 1


@pytest.mark.parametrize(
    ("settings", "markers"),
    [
        (VALIDATE, "lens_validate"),
        (Settings(snapshots=SnapshotSettings()), "lens_snapshot"),
        (Settings({}, SnapshotSettings()), "lens_validate and lens_snapshot"),
    ],
)
def test_check_fails_for_nothing(item, settings, markers):
    with pytest.raises(pytest.fail.Exception) as failed:
        check(item, settings)
    assert str(failed.value) == (
        f"The test is marked {markers}, but logged no forward pass. "
        "Log one with the fixture lens, lens(model, inputs), or with torchlens_core.log_forward_pass."
    )


def test_check_tells_what_is_not_valid_alone(item):
    logged = lambda: (log(nets.Numpy()), log(nets.Doubled()), log(nets.Counter()))
    records_of(item).passes = noted(logged, VALIDATE)
    with pytest.raises(pytest.fail.Exception) as failed:
        check(item, VALIDATE)
    headlines = [line for line in str(failed.value).splitlines() if line.startswith("Validation of")]
    assert [line.partition(":")[0] for line in headlines] == [
        "Validation of Numpy",
        "Validation of Counter",
    ]


def test_snapshots_are_taken_where_they_are_wanted():
    assert [one.snapshot for one in noted(lambda: log(nets.Doubled()), VALIDATE)] == [None]
    passes = noted(lambda: (log(nets.Doubled()), log(nn.ReLU())), Settings(snapshots=SnapshotSettings()))
    assert [one.report for one in passes] == [None, None]
    assert [one.history for one in passes] == [None, None]
    assert [str(one.snapshot) for one in passes] == [
        str(take_snapshot(log(model))) for model in (nets.Doubled(), nn.ReLU())
    ]


def test_snapshots_know_the_batch():
    passes = noted(lambda: log(nets.Doubled()), Settings(snapshots=SnapshotSettings(batch=2)))
    assert "f32[B]" in str(passes[0].snapshot)
