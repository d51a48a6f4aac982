"""Settings of the process: what changes them inside a pass is noted where an op depends on it, and replayed."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from models import Of
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

import torchlens_core as tl
from torchlens_core import settings, trial
from torchlens_core.functions import FACTS
from torchlens_core.randomness import tags_of
from torchlens_core.replay import Replay
from torchlens_core.settings import ATTENTION, DEFAULT_DTYPE, KERNELS, Baseline, Setting, family_of, set_to

ALL = [DEFAULT_DTYPE, *KERNELS.settings, *ATTENTION.settings]
each_setting = pytest.mark.parametrize("setting", ALL, ids=lambda setting: setting.name)
#: A call of each family, after which all its settings can be told.
X = torch.rand(1, 2, 4, 8)
CALLS = {
    None: lambda x: torch.ones(2) + x.sum(),
    KERNELS: lambda x: F.conv2d(x, x),
    ATTENTION: lambda x: F.scaled_dot_product_attention(x, x, x),
}


def other_value(setting: Setting) -> Any:
    """A value that it does not have."""
    value = setting.read()
    if isinstance(value, bool):
        return not value
    return torch.float64 if value is torch.float32 else value[::-1]


def family_with(setting: Setting) -> settings.Family | None:
    return next((family for family in (KERNELS, ATTENTION) if setting in family.settings), None)


@pytest.fixture(autouse=True)
def nothing_left_behind():
    before = Baseline().standing
    yield
    assert Baseline().standing == before


# -- reading and writing -----------------------------------------------------------------------------


@each_setting
def test_set_and_put_back(setting):
    before, other = setting.read(), other_value(setting)

    def fail() -> None:
        with set_to([(setting, other)]):
            assert setting.read() == other
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert setting.read() == before


@each_setting
def test_what_is_another_now(setting):
    baseline, family, other = Baseline(), family_with(setting), other_value(setting)
    assert baseline.changed(family) == ()
    with set_to([(setting, other)]):
        assert list(baseline.changed(family)) == [(setting, other)]
    assert baseline.changed(family) == ()


def test_what_torch_will_not_tell_is_left_alone():
    """Whoever sets ``fp32_precision`` makes the older names for it raise."""

    def raises() -> None:
        raise RuntimeError

    written: list[Any] = []
    silent, told = Setting("silent", raises, written.append), Setting("told", lambda: 3, written.append)
    assert settings.Family([told]).read() == (3,)
    assert settings.Family([silent, told]).read() == (None, 3)
    with set_to([(silent, None), (silent, 4), (told, 3)]):
        assert written == []
    with set_to([(told, 4)]):
        assert written == [4]


def test_what_is_as_wanted_is_not_written():
    with patch("torch.set_default_dtype") as write, set_to([(DEFAULT_DTYPE, torch.get_default_dtype())]):
        pass
    write.assert_not_called()


def is_function(name: str) -> bool:
    """Whether torch has a function of that name."""
    return any(hasattr(owner, name) for owner in (F, torch, torch.Tensor)) or bool(tags_of(name))


def test_functions_with_settings_are_functions():
    assert [name for name in settings._WITH_KERNELS if not is_function(name)] == []
    assert not is_function("conv9d"), "the control"


def test_families():
    assert FACTS[F.scaled_dot_product_attention].settings is ATTENTION
    assert FACTS[torch.ops.aten.scaled_dot_product_attention].settings is ATTENTION
    assert FACTS[torch.conv2d].settings is FACTS[torch.lstm].settings is KERNELS
    assert FACTS[torch.add].settings is FACTS[F.linear].settings is family_of("relu") is None


def test_nothing_is_read_for_other_functions(monkeypatch):
    """They would pay for it: a setting takes 20 to 100 ns to read."""
    asked: list[settings.Family] = []
    read = settings.Family.read
    monkeypatch.setattr(settings.Family, "read", lambda family: [asked.append(family), read(family)][1])
    tl.log_forward_pass(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.LayerNorm(8)), X)
    assert asked == list(settings._FAMILIES), "once at the start"
    tl.log_forward_pass(Of(CALLS[ATTENTION]), X)
    assert asked[2:] == [*settings._FAMILIES, ATTENTION]


# -- recorded and replayed ---------------------------------------------------------------------------


class Noting(TorchDispatchMode):
    """How a setting stood at each kernel."""

    def __init__(self, setting: Setting):
        super().__init__()
        self.setting, self.values = setting, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.values.append(self.setting.read())
        return func(*args, **(kwargs or {}))


def replayed(history: tl.ModelHistory) -> dict[str, Any]:
    """By label, the first value that each entry gives again."""
    values: dict[int, Any] = {}
    Replay(history).run(lambda node, slot, value: values.setdefault(node.index, value.detach().clone()))
    return {entry.layer_label: values[entry._node.index] for entry in history}


def around(setting: Setting) -> tl.ModelHistory:
    """A pass that calls a function of the setting's family, and again with another value."""
    call, other = CALLS[family_with(setting)], other_value(setting)

    def forward(x):
        first = call(x)
        with set_to([(setting, other)]):
            return first, call(x)

    return tl.log_forward_pass(Of(forward), X)


@each_setting
def test_set_again_where_an_op_found_it_otherwise(setting):
    history, before, other = around(setting), setting.read(), other_value(setting)
    with Noting(setting) as seen:
        values = replayed(history)
    assert before in seen.values
    assert other in seen.values
    for entry in history:
        assert values[entry.layer_label].dtype == entry.tensor_contents.dtype
        assert torch.equal(values[entry.layer_label], entry.tensor_contents), entry.layer_label


@each_setting
def test_control_not_noted_it_is_not_set(setting):
    history, other = around(setting), other_value(setting)
    for node in history.recording.nodes:
        node.settings = ()
    with Noting(setting) as seen:
        replayed(history)
    assert other not in seen.values


@each_setting
def test_set_as_at_the_start_of_the_pass(setting):
    """The caller may have set it for the pass alone."""
    call, other = CALLS[family_with(setting)], other_value(setting)
    with set_to([(setting, other)]):
        history = tl.log_forward_pass(Of(call), X)
    with Noting(setting) as seen:
        replayed(history)
    assert seen.values
    assert set(map(str, seen.values)) == {str(other)}


def test_nothing_is_kept_of_an_ordinary_pass():
    history = tl.log_forward_pass(nn.Sequential(nn.Conv2d(2, 2, 1), Of(CALLS[ATTENTION]), nn.ReLU()), X)
    assert len(history.ops) == 3
    assert all(not node.settings for node in history.recording.nodes)


# -- validated ---------------------------------------------------------------------------------------


class Attention(nn.Module):
    """Attention by the plain kernel alone."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(32, 32)

    def forward(self, x):
        heads = self.fc(x).view(2, 16, 4, 8).transpose(1, 2)
        with sdpa_kernel(SDPBackend.MATH):
            return F.scaled_dot_product_attention(heads, heads * 2, heads)


class Doubles(nn.Module):
    """Counts in another default dtype for a while."""

    def forward(self, x):
        torch.set_default_dtype(torch.float64)
        y = torch.arange(3) / 7 + torch.ones(3)
        torch.set_default_dtype(torch.float32)
        return x.sum() * y + torch.full((3,), 0.1)


@pytest.mark.parametrize("grad", [True, False])
def test_kernel_chosen_inside(grad):
    torch.manual_seed(0)
    with torch.set_grad_enabled(grad):
        report = tl.validate_model_activations(Attention(), torch.randn(2, 16, 32))
    assert report, str(report)


def test_kernel_chosen_around():
    model = Of(lambda x: F.scaled_dot_product_attention(x, x * 2, x))
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        report = tl.validate_model_activations(model, torch.randn(2, 4, 16, 8))
    assert report, str(report)


def test_default_dtype_set_inside():
    report = tl.validate_model_activations(Doubles(), torch.rand(3))
    assert report, str(report)


def test_default_dtype_left_behind():
    """The replay comes after the pass, and begins where the pass began."""

    def forward(x):
        y = torch.arange(3) / 7
        torch.set_default_dtype(torch.float64)
        return y, torch.arange(3) / 7

    try:
        history = tl.log_forward_pass(Of(forward), X)
        values = replayed(history)
    finally:
        torch.set_default_dtype(torch.float32)
    assert [values[f"output_{n}"].dtype for n in (1, 2)] == [torch.float32, torch.float64]


@pytest.fixture
def validated(monkeypatch):
    """``validated(change)`` validates `Attention` with the recording of its pass changed."""

    def run(change) -> tl.ValidationReport:
        original = trial.trace

        def traced(*args, **kwargs):
            result = original(*args, **kwargs)
            (node,) = [n for n in result.history.recording.nodes if n.info.settings is ATTENTION]
            change(result.history.recording, node)
            return result

        monkeypatch.setattr(trial, "trace", traced)
        torch.manual_seed(0)
        with torch.no_grad():
            return tl.validate_model_activations(Attention(), torch.randn(2, 16, 32), checks="replay")

    return run


def test_unchanged(validated):
    assert validated(lambda recording, node: None)


def rewire(recording, node):
    """Keys are read from the queries."""
    query, _, value = node.args
    node.args = (query, query, value)


def drop(recording, node):
    """No edge leads from the keys."""
    node.special_edges = [edge for edge in node.edges if edge.path != (1,)]


def alter(recording, node):
    node.saved = [node.saved[0] + 1e-6]


def other_kernel(recording, node):
    """The kernel that was chosen is not noted: it gives other last bits."""
    node.settings = ()


@pytest.mark.parametrize("change", [rewire, drop, alter, other_kernel])
def test_what_is_wrong_under_another_kernel_is_found(validated, change):
    if change is other_kernel and _kernels_agree():
        pytest.skip("this machine has one kernel for attention")
    (finding, *_) = validated(change).findings
    assert finding.what == "The graph, run again, gives another value"
    assert finding.label.startswith("scaleddotproductattention_")


def _kernels_agree() -> bool:
    torch.manual_seed(0)
    model, x = Attention(), torch.randn(2, 16, 32)
    with torch.no_grad():
        plain = model(x)
        with patch(f"{__name__}.sdpa_kernel", lambda _: torch.no_grad()):
            return torch.equal(plain, model(x))
