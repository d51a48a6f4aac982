"""The checks see what they claim to see: good histories hold, altered ones and opaque models do not."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import torchlens_core as tl
from torchlens_core import trial, validate
from torchlens_core.checks import replay
from torchlens_core.functions import FACTS
from torchlens_core.nodes import Node, Value, fill
from torchlens_core.recording import Recording
from torchlens_core.settings import ATTENTION

Mutation = Callable[[Recording], None]


class Net(nn.Module):
    """Parameters, a buffer, a draw, an op with two results, writes in place, two ways to one result."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.register_buffer("scale", torch.full((3,), 2.0))

    def forward(self, x, w):
        hidden = torch.tanh(self.fc(x))
        largest, _ = (hidden * w).max(1)
        scaled = hidden * self.scale + torch.rand(3)
        rows = torch.zeros(2, 3)
        rows[0] = scaled[0]
        rows[1].copy_(w[1])
        if largest.sum() > -99.0:
            scaled = torch.sub(scaled, 3.0)
        return scaled + largest[:, None] + rows


def inputs() -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.rand(2, 3) + 0.5, torch.rand(2, 3) + 0.5]


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def mutated(net, monkeypatch):
    """``mutated(change)`` validates `Net` with the recording of its pass changed."""

    def run(change: Mutation, **options) -> tl.ValidationReport:
        original = trial.trace

        def traced(*args, **kwargs):
            result = original(*args, **kwargs)
            change(result.history.recording)
            return result

        monkeypatch.setattr(trial, "trace", traced)
        return tl.validate_model_activations(net, inputs(), random_seed=0, **options)

    return run


def find(recording: Recording, name: str, number: int = 0) -> Node:
    """The node of a function, or of a source by its address."""
    return [node for node in recording.nodes if name in (node.info.name, node.address)][number]


def checks_that_found(report: tl.ValidationReport) -> set[str]:
    return {finding.check for finding in report.findings}


def test_unchanged_history_is_valid(mutated):
    report = mutated(lambda recording: None)
    assert report, str(report)
    assert report.findings == []


# -- what replay claims to see -----------------------------------------------------------------------


def alter_value(recording):
    node = find(recording, "tanh")
    node.saved = [node.saved[0] + 1e-3]


def alter_one_element(recording):
    node = find(recording, "tanh")
    changed = node.saved[0].detach().clone()
    changed[1, 2] += 1e-6
    node.saved = [changed]


def alter_second_result(recording):
    node = find(recording, "max")
    node.saved = [node.saved[0], 2 - node.saved[1]]


def alter_dtype(recording):
    node = find(recording, "tanh")
    node.saved = [node.saved[0].double()]


def alter_input(recording):
    node = find(recording, "input.0")
    node.saved = [node.saved[0] + 1]


def alter_buffer(recording):
    node = find(recording, "scale")
    node.saved = [node.saved[0] + 1]


def swap_two_values(recording):
    one, other = find(recording, "tanh"), find(recording, "sub")
    one.saved, other.saved = other.saved, one.saved


def swap_results_of_one_op(recording):
    node = find(recording, "max")
    node.saved = node.saved[::-1]


def alter_escaped_value(recording):
    find(recording, "bool").result = False


def alter_argument(recording):
    node = find(recording, "sub")
    node.args = (node.args[0], 4.0)


def alter_function(recording):
    find(recording, "sub").info = FACTS[torch.add]


def forget_generator(recording):
    find(recording, "rand").rng = ()


def replace_argument(node: Node, old: Value, new: Value) -> None:
    node.args = tuple(fill(arg, lambda value: new if value is old else value) for arg in node.args)


def rewire(recording):
    """``hidden * w`` becomes ``hidden * x``."""
    node = find(recording, "mul")
    replace_argument(node, node.args[1], find(recording, "input.0").values[0])


def rewire_to_another_op(recording):
    node = find(recording, "sum")
    replace_argument(node, node.args[0], find(recording, "rand").values[0])


def remove_op(recording):
    """What read the tanh reads the linear layer."""
    removed, kept = find(recording, "tanh").values[0], find(recording, "linear").values[0]
    for node in recording.nodes:
        replace_argument(node, removed, kept)


def swap_arguments(recording):
    node = find(recording, "sub")
    node.args = node.args[::-1]


ALTERATIONS = {
    alter_value: "tanh_1_2",
    alter_one_element: "tanh_1_2",
    alter_second_result: "max_1_4",
    alter_dtype: "tanh_1_2",
    alter_input: "linear_1_1",
    alter_buffer: "mul_2_5",
    swap_two_values: "tanh_1_2",
    swap_results_of_one_op: "max_1_4",
    alter_escaped_value: "bool_1_16",
    alter_argument: "sub_1_17",
    alter_function: "sub_1_17",
    forget_generator: "rand_1_6",
    rewire: "mul_1_3",
    rewire_to_another_op: "sum_1_14",
    remove_op: "mul_1_3",
    swap_arguments: "sub_1_17",
}


@pytest.mark.parametrize(("change", "label"), ALTERATIONS.items(), ids=lambda v: getattr(v, "__name__", ""))
def test_replay_sees(mutated, change, label):
    report = mutated(change, checks="replay")
    assert not report
    assert checks_that_found(report) == {"replay"}
    assert report.findings[0].label == label, str(report)


def test_replay_says_where_and_what(mutated):
    (finding,) = mutated(alter_one_element, checks="replay").findings
    assert finding.what == "The graph, run again, gives another value"
    assert finding.stable_name == ":tanh"
    assert finding.where.startswith(f"{__file__}:")
    assert finding.where.endswith(" in forward")
    assert finding.expected.startswith("(saved) ")
    assert finding.expected.endswith(" at [1, 2]")
    assert finding.got.startswith("(replayed) ")
    assert "1 of 6 elements differ" in finding.got
    assert finding.advice == (
        "The graph lacks an edge: report it with the model, as a defect of torchlens_core."
    )


def test_graph_that_cannot_run(mutated):
    def change(recording):
        node = find(recording, "tanh")
        node.args = (*node.args, 1)

    (finding,) = mutated(change, checks="replay").findings
    assert finding.what.startswith("The graph cannot be run again: TypeError: ")
    assert (finding.label, finding.stable_name) == ("linear_1_1", "fc:linear, the last that could")


def test_rewired_to_another_dtype_is_a_finding_too(mutated):
    def change(recording):
        node = find(recording, "sum")
        replace_argument(node, node.args[0], find(recording, "max").values[1])

    assert checks_that_found(mutated(change, checks="replay")) == {"replay"}


def test_value_read_before_it_was_made(mutated):
    def change(recording):
        node = find(recording, "linear")
        replace_argument(node, node.args[0], find(recording, "tanh").values[0])

    (finding,) = mutated(change, checks="replay").findings
    assert finding.what.startswith("The graph cannot be run again: node ")
    assert finding.what.endswith(" gave no value 0 before it was needed")


def drop(name: str, of: str, number: int = 0, of_number: int = 0) -> Mutation:
    """A mutation that loses the edge of one node from another, each the n-th of its name."""

    def change(recording):
        node, source = find(recording, name, number), find(recording, of, of_number)
        kept = [edge for edge in node.edges if edge.origin.node != source.index]
        assert len(kept) < len(node.edges), "there is no such edge"
        node.special_edges = kept

    return change


def sample_all(monkeypatch) -> None:
    """Let the ancestors of every inner op be replayed alone."""
    monkeypatch.setattr(replay, "INNER_SAMPLES", 99)
    monkeypatch.setattr(replay, "INNER_SHARE", 1e9)


#: Reader and origin of edges that no other edge stands in for.
ONLY_WAYS = [
    *(("tanh", "linear"), ("max", "mul"), ("add", "rand"), ("getitem", "max", 3)),
    *(("add", "sub", 1), ("add", "setitem", 2), ("add", "copy_", 2), ("output", "add", 0, 2)),
]
#: Edges whose origin the output depends on in another way too.
OTHER_WAYS = [
    *(("mul", "tanh"), ("mul", "tanh", 1), ("sum", "max"), ("gt", "sum"), ("sub", "add")),
    *(("getitem", "add"), ("getitem", "zeros", 1)),
]


@pytest.mark.parametrize("edge", ONLY_WAYS, ids=str)
def test_replay_sees_a_dropped_edge(mutated, monkeypatch, edge):
    monkeypatch.setattr(replay, "INNER_SAMPLES", 0)
    report = mutated(drop(*edge), checks="replay")
    assert checks_that_found(report) == {"replay"}
    assert report.findings[0].what in (
        "The graph, run again, gives another value",
        "What the graph says it depends on, run alone, gives another value",
    )


@pytest.mark.parametrize("edge", OTHER_WAYS, ids=str)
def test_replay_of_every_op_sees_a_dropped_edge_beside_others(mutated, monkeypatch, edge):
    """Some of them only: by default the ops replayed alone are a sample."""
    sample_all(monkeypatch)
    assert checks_that_found(mutated(drop(*edge), checks="replay")) == {"replay"}


@pytest.mark.parametrize(
    "edge",
    [
        ("linear", "input.0"),
        ("linear", "fc.weight"),
        ("linear", "fc.bias"),
        ("mul", "input.1"),
        ("mul", "scale", 1),
    ],
    ids=str,
)
def test_replay_sees_a_dropped_edge_from_a_source(mutated, monkeypatch, edge):
    sample_all(monkeypatch)
    assert not mutated(drop(*edge), checks="replay")


@pytest.mark.parametrize("edge", [("setitem", "getitem"), ("copy_", "getitem", 0, 2)], ids=str)
def test_replay_sees_a_dropped_edge_from_a_view(mutated, monkeypatch, edge):
    sample_all(monkeypatch)
    assert not mutated(drop(*edge), checks="replay")


def test_replay_alone(mutated):
    assert mutated(alter_value, checks=["transparency"])
    assert not mutated(alter_value, checks=["replay"])


# -- what transparency claims to see -----------------------------------------------------------------


@pytest.fixture
def disturbed(monkeypatch):
    """``disturbed(model, args, after)``: the tracer does something more after each pass."""

    def run(model, args, after, **options) -> tl.ValidationReport:
        original = trial.trace

        def traced(model, *args, **kwargs):
            given = original(model, *args, **kwargs)
            changed = after(model, given.result)
            return given if changed is None else type(given)(given.history, changed)

        monkeypatch.setattr(trial, "trace", traced)
        return tl.validate_model_activations(model, args, checks="transparency", **options)

    return run


def nothing(*_: object) -> None:
    """What was done is done; the result stays as it is."""


class Holding(nn.Module):
    """A parameter, a buffer and a generator of its own."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.register_buffer("total", torch.zeros(3))
        self.generator = torch.Generator().manual_seed(3)

    def forward(self, x):
        self.total += 1
        return self.fc(x) + torch.rand(3, generator=self.generator)


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (lambda model, result: result + 1e-3, "Logged and unlogged, results: output differs"),
        (lambda model, result: [result], "Logged and unlogged, the results of the logged pass are others"),
        (lambda model, result: result.detach(), "Logged and unlogged, gradients: fc.weight differs"),
        (lambda model, result: result.detach() + 0 * result, "Logged and unlogged, gradients: fc.weight"),
        (lambda model, result: nothing(model.total.add_(1)), "Logged and unlogged, buffers: total differs"),
        (lambda model, result: nothing(torch.rand(1)), "Logging leaves another state of torch behind"),
        (lambda model, result: random.seed(7), "Logging leaves another state of random behind"),
        (lambda model, result: np.random.seed(7), "Logging leaves another state of numpy.random behind"),
        (
            lambda model, result: nothing(model.generator.manual_seed(9)),
            "Logging leaves another state of a torch.Generator behind",
        ),
        (
            lambda model, result: nothing(random.seed(7), np.random.seed(7)),
            "Logging leaves another state of random, numpy.random behind",
        ),
    ],
    ids="value structure detached gradients buffer torch random numpy generator two".split(),
)
def test_transparency_sees(disturbed, after, what):
    report = disturbed(Holding(), torch.rand(2, 3), after)
    assert checks_that_found(report) == {"transparency"}
    assert what in report.findings[0].what, str(report)


def test_nothing_disturbed(disturbed):
    assert disturbed(Holding(), torch.rand(2, 3), lambda model, result: None)


def test_transparency_says_what_was_expected(disturbed):
    (finding,) = disturbed(nn.ReLU(), torch.ones(2), lambda model, result: result * 2).findings
    assert finding.expected == "(unlogged) 1.0 at [0]"
    assert finding.got == "(logged) 2.0 at [0]; 2 of 2 elements differ, by 1 at most"
    assert finding.advice == "Report it with the model, as a defect of torchlens_core."


class Hooking(nn.Module):
    """Registers a hook in its first pass."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)
        self.is_hooked = False

    def forward(self, x):
        if not self.is_hooked:
            self.inner.register_forward_hook(lambda module, args, result: None)
            self.is_hooked = True
        return self.inner(x)


def test_hook_registered_by_the_model():
    model = Hooking()
    report = tl.validate_model_activations(model, torch.rand(2, 3))
    assert report, str(report)
    assert not model.inner._forward_hooks
    assert not model.is_hooked


def exchange(model: nn.Module) -> None:
    """Put another hook in the place of the last one."""
    key = next(reversed(model.inner._forward_hooks))
    model.inner._forward_hooks[key] = lambda module, args, result: result


@pytest.mark.parametrize(
    "leave",
    [
        lambda model: model.inner.register_forward_hook(lambda module, args, result: None),
        lambda model: model.inner.register_forward_pre_hook(lambda module, args: None),
        lambda model: model.register_forward_hook(lambda module, args, result: None),
        lambda model: model.inner._forward_hooks.clear(),
        exchange,
    ],
    ids="beside before outside removed exchanged".split(),
)
def test_hook_left_behind_by_the_tracer(disturbed, leave):
    """The model's own hook hides none of the tracer's."""
    report = disturbed(Hooking(), torch.rand(2, 3), lambda model, result: nothing(leave(model)))
    assert "Logged and unlogged, " in report.findings[0].what
    assert "state" in report.findings[0].what, str(report)


@pytest.mark.parametrize("setting", ATTENTION.settings, ids=lambda setting: setting.name)
def test_setting_left_behind_by_the_tracer(disturbed, setting):
    before = setting.read()
    other = not before if isinstance(before, bool) else before[::-1]
    try:
        report = disturbed(nn.ReLU(), torch.rand(2), lambda model, result: setting.write(other))
    finally:
        setting.write(before)
    assert report.findings[0].what == f"Logging leaves another state of {setting.name} behind"


# -- models that depend on what no state tells -------------------------------------------------------


COUNT = [0]


class Counting(nn.Module):
    """Its results depend on how often the process has called it."""

    step = 1.0

    def forward(self, x):
        COUNT[0] += 1
        return x + COUNT[0] * self.step


class Slightly(Counting):
    step = 1e-6


class Timed(nn.Module):
    """Draws from the clock."""

    def forward(self, x):
        return x + time.perf_counter_ns() % 1_000_003


class Structured(nn.Module):
    """Returns another structure each time."""

    def forward(self, x):
        COUNT[0] += 1
        return [x + 1] * (1 + COUNT[0] % 2)


class OwnSeed(nn.Module):
    """Leaves another state of the generator each time."""

    def forward(self, x):
        COUNT[0] += 1
        torch.manual_seed(COUNT[0])
        return x + 1


@pytest.mark.parametrize(
    ("model", "what"),
    [
        (Counting, "argument 1 is "),
        (Timed, "argument 1 is "),
        (Structured, "another way through the program"),
        (OwnSeed, "not the values of the pass, but what it leaves behind"),
    ],
)
def test_models_that_cannot_be_repeated(model, what):
    report = tl.validate_model_activations(model(), torch.rand(2))
    (finding,) = report.findings
    assert finding.check == "transparency"
    assert finding.what == (
        "The model is not the same from run to run: from one state, it gives something else each time"
    )
    assert what in finding.got


@pytest.mark.parametrize(
    ("options", "holds"),
    [({}, False), ({"atol": 1e-4}, True), ({"rtol": 1e-3}, True), ({"atol": 1e-9}, False)],
)
def test_tolerance(options, holds):
    x = torch.ones(2, dtype=torch.float64)
    report = tl.validate_model_activations(Slightly(), x, checks=["transparency", "replay"], **options)
    assert bool(report) is holds


# -- state -------------------------------------------------------------------------------------------


class Remembering(nn.Module):
    """Changes all that a forward pass may change, in every way."""

    def __init__(self, generator: torch.Generator | None = None):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.drop = nn.Dropout()
        self.register_buffer("total", torch.zeros(3))
        self.register_buffer("rebound", torch.zeros(1))
        self.calls = 0
        self.seen: list[int] = []
        self.table: dict[str, int] = {}
        self.generator = torch.Generator().manual_seed(3)
        self.fc.register_forward_hook(self._count)

    def _count(self, module, args, result):
        self.calls += 1

    def forward(self, x, generator=None):
        self.total += x.detach().mean(0)
        self.rebound = self.rebound + 1
        self.seen.append(self.calls)
        self.table["last"] = self.calls
        self.new = x
        noise = torch.rand(3, generator=self.generator) + random.random() + np.random.rand()
        if generator is not None:
            noise = noise + torch.rand(3, generator=generator)
        with torch.no_grad():
            self.fc.weight.mul_(0.5)
        return self.drop(self.norm(self.fc(x) + noise)) + len(self.seen) + self.calls


def state(model: Remembering, *others: torch.Generator) -> dict:
    """Everything that can be told apart."""
    return {
        "tensors": {name: value.tolist() for name, value in model.state_dict().items()},
        "identities": {name: id(value) for name, value in model.named_buffers()},
        "attributes": sorted(vars(model)),
        "lists": (model.calls, list(model.seen), dict(model.table)),
        "training": [module.training for module in model.modules()],
        "gradients": [None if p.grad is None else p.grad.tolist() for p in model.parameters()],
        "generators": [g.get_state().tolist() for g in (model.generator, *others)],
        "torch": torch.get_rng_state().tolist(),
        "random": random.getstate(),
        "numpy": [str(np.asarray(part).tolist()) for part in np.random.get_state()],
    }


@pytest.fixture
def remembering():
    torch.manual_seed(0)
    model = Remembering()
    model.fc.bias.grad = torch.ones(3)
    model.drop.eval()
    return model


def test_everything_is_restored(remembering):
    generator, x = torch.Generator().manual_seed(5), torch.rand(4, 3)
    before = state(remembering, generator)
    report = tl.validate_model_activations(remembering, x, {"generator": generator})
    assert report, str(report)
    assert state(remembering, generator) == before


def test_an_ordinary_pass_changes_all_of_it(remembering):
    """The control of the test above."""
    generator = torch.Generator().manual_seed(5)
    remembering.drop.train()
    x = torch.rand(4, 3)
    before = copy.deepcopy(state(remembering, generator))
    remembering(x, generator).sum().backward()
    after = state(remembering, generator)
    assert {key for key in before if before[key] == after[key]} == {"training"}


@pytest.mark.parametrize("check", validate.CHECKS)
def test_restored_after_each_check_alone(remembering, check):
    x = torch.rand(4, 3)
    before = state(remembering)
    assert tl.validate_model_activations(remembering, x, checks=check)
    assert state(remembering) == before


def test_inputs_are_not_changed():
    class Writing(nn.Module):
        def forward(self, x, parts):
            x.mul_(2)
            parts["a"].add_(1)
            parts["b"] = x
            return x + parts["a"]

    x, parts = torch.ones(2), {"a": torch.ones(2)}
    assert tl.validate_model_activations(Writing(), [x, parts])
    assert torch.equal(x, torch.ones(2))
    assert parts.keys() == {"a"}
    assert torch.equal(parts["a"], torch.ones(2))


def test_seed_does_not_leave_the_check(net):
    before = torch.get_rng_state()
    given = inputs()
    torch.set_rng_state(before)
    tl.validate_model_activations(net, given, random_seed=7)
    assert torch.equal(torch.get_rng_state(), before)


class FailingLate(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.register_buffer("total", torch.zeros(3))

    def forward(self, x):
        self.total += 1
        with torch.no_grad():
            self.weight.mul_(2)
        raise ValueError(f"late {torch.rand(1).shape}")


def test_error_of_the_model_is_raised_and_state_restored():
    model, x = FailingLate(), torch.rand(3)
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="late"):
        tl.validate_model_activations(model, x)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(model.total, torch.zeros(3))


def test_parameters_written_before_an_error_are_restored():
    model = FailingLate()
    with pytest.raises(ValueError, match="late"):
        tl.validate_model_activations(model, torch.rand(3))
    assert torch.equal(model.weight, torch.ones(3))


def test_lazy_model_stays_lazy():
    model = nn.Sequential(nn.LazyLinear(3), nn.ReLU())
    assert tl.validate_model_activations(model, torch.rand(2, 4))
    assert model[0].has_uninitialized_params()


# -- fused kernels -----------------------------------------------------------------------------------


def test_fused_attention_is_noted():
    torch.manual_seed(0)
    model = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    with torch.no_grad():
        report = tl.validate_model_activations(model, torch.rand(2, 3, 4))
    assert report
    notes = [note for check in report.checks for note in check.notes]
    assert notes == [
        "results equal within torch.testing's tolerance: the unlogged pass takes the fused kernel of "
        "nn.MultiheadAttention"
    ]
    assert notes[0] in " ".join(str(report).split())


def test_nothing_is_noted_where_kernels_are_the_same():
    model = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dropout=0.0).train()
    report = tl.validate_model_activations(model, torch.rand(2, 3, 4))
    assert report, str(report)
    assert [note for check in report.checks for note in check.notes] == []


def test_fused_attention_excuses_no_more_than_rounding(disturbed):
    model = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    with torch.no_grad():
        report = disturbed(model, torch.rand(2, 3, 4), lambda model, result: result + 1e-2)
    assert not report


# -- options -----------------------------------------------------------------------------------------


KNOWN = "The checks are 'transparency', 'replay', 'completeness', 'modules', 'dependence'."


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("replya", f"There is no check 'replya'. Did you mean 'replay'? {KNOWN}"),
        ("zzz", f"There is no check 'zzz'. {KNOWN}"),
    ],
)
@pytest.mark.parametrize("form", [lambda name: name, lambda name: ["replay", name]], ids=["text", "list"])
def test_unknown_check(net, name, message, form):
    with pytest.raises(tl.ArgumentError) as caught:
        tl.validate_model_activations(net, inputs(), checks=form(name))
    assert str(caught.value).startswith(message)


def test_unknown_check_before_anything_runs():
    class Never(nn.Module):
        def forward(self, x):
            raise AssertionError("it ran")

    with pytest.raises(tl.ArgumentError):
        tl.validate_model_activations(Never(), torch.rand(2), checks="x")


def test_checks_asked_for(net):
    assert [c.name for c in tl.validate_model_activations(net, inputs(), checks=["replay"]).checks] == [
        "replay"
    ]
    everything = tl.validate_model_activations(net, inputs())
    assert [check.name for check in everything.checks] == list(validate.CHECKS)


@pytest.mark.parametrize(
    ("grad", "enabled", "count"), [(None, True, 2), (None, False, 0), (False, True, 0), (True, True, 2)]
)
def test_gradients_compared(net, grad, enabled, count):
    with torch.set_grad_enabled(enabled):
        report = tl.validate_model_activations(net, inputs(), grad=grad, checks="transparency")
    assert report
    assert report.checks[0].covered["gradients"] == count


def test_inputs_that_want_gradients_are_compared():
    x = torch.rand(2, 3, requires_grad=True)
    report = tl.validate_model_activations(nn.Tanh(), x)
    assert report.checks[0].covered["gradients"] == 1
    assert x.grad is None


def test_coverage(net):
    report = tl.validate_model_activations(net, inputs())
    history = tl.log_forward_pass(net, inputs())
    assert report.covered["ops"] == len(history.ops)
    assert report.covered["module calls"] == len(history.module_calls) == 2
    assert report.covered["opaque"] == 0
    assert report.covered["kernels"] > report.covered["ops"]
    covered = {check.name: check.covered for check in report.checks}
    assert (covered["transparency"]["results"], covered["transparency"]["buffers"]) == (1, 1)
    assert covered["replay"]["values"] >= history.num_tensors_total
    assert 1 <= covered["replay"]["pruned"] <= 1 + replay.INNER_SAMPLES
    assert covered["completeness"]["kernels"] == report.covered["kernels"]
    assert covered["modules"]["module calls"] == 2
    assert covered["dependence"]["not followed"] == 0


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_what_could_not_be_run_again_is_counted():
    model = nn.Sequential(torch.jit.script(nn.ReLU()), nn.Tanh())
    report = tl.validate_model_activations(model, torch.rand(2))
    assert report
    assert report.covered["opaque"] == report.checks[1].covered["given"] == 1


def test_meta_tensors_are_compared_by_their_specs():
    assert tl.validate_model_activations(nn.Linear(3, 3, device="meta"), torch.rand(2, 3, device="meta"))
