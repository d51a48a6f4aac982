"""`log_forward_pass` and its kin: what is run, what is kept, and how everything is left."""

from __future__ import annotations

import contextlib
import random
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import _get_current_function_mode_stack

import torchlens_core as tl
from torchlens_core.trace import observed


class Net(nn.Module):
    """Two types of layer, one of them in a loop, in two modules."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 5), nn.ReLU())
        self.fc = nn.Linear(5, 5)

    def forward(self, x, shift=0.0):
        x = self.body(x)
        for _ in range(3):
            x = self.fc(x)
        return torch.tanh(x) + shift


ALL = [
    *("input_1", "linear_1_1", "relu_1_2", "linear_2_3:1", "linear_2_3:2", "linear_2_3:3"),
    *("tanh_1_4", "add_1_5", "output_1"),
]


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def x():
    return torch.rand(2, 5)


# -- arguments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (lambda x: x, None),
        (lambda x: [x], None),
        (lambda x: (x,), None),
        (lambda x: [x, 0.0], None),
        (lambda x: x, {"shift": 0.0}),
        (lambda x: [], "x"),
    ],
    ids=["tensor", "list", "tuple", "two", "named", "only named"],
)
def test_forms_of_arguments(net, x, args, kwargs):
    history = tl.log_forward_pass(net, args(x), {"x": x} if kwargs == "x" else kwargs)
    assert history.layer_labels == ALL
    assert torch.equal(history["output_1"].tensor_contents, net(x))


def test_options_are_by_name_only(net, x):
    with pytest.raises(TypeError):
        tl.log_forward_pass(net, x, None, "all")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"vis_opt": "rolled_up"}, "vis_opt is 'rolled_up'. Expected 'none' or 'rolled' or 'unrolled'."),
        (
            {"vis_direction": "up"},
            "direction is 'up'. Expected 'topdown' or 'bottomup' or 'leftright'.",
        ),
        ({"random_seed": "x"}, "random_seed is 'x'; expected an int or None."),
        (
            {"layers_to_save": "conv"},
            "layers_to_save is 'conv'. Expected 'all', 'none', None, or a list of labels, indices, "
            "module addresses and parts of labels.",
        ),
        (
            {"layers_to_save": 3},
            "layers_to_save is 3. Expected 'all', 'none', None, or a list of labels, indices, module "
            "addresses and parts of labels.",
        ),
        (
            {"layers_to_save": ["fc", 1.5]},
            "layers_to_save holds 1.5, of type float. Expected labels, indices, module addresses and "
            "parts of labels.",
        ),
        (
            {"layers_to_save": ["fcc"]},
            "layers_to_save names 'fcc', which is no layer, module or index of the model. Nearest: 'fc', ",
        ),
        (
            {"layers_to_save": ["bodi.0"]},
            "layers_to_save names 'bodi.0', which is no layer, module or index of the model. "
            "Nearest: 'body.0', 'body.1', 'body'",
        ),
        (
            {"layers_to_save": ["liner_1_1"]},
            "which is no layer, module or index of the model. Nearest: 'linear'",
        ),
    ],
)
def test_bad_options_before_anything_runs(x, option, message):
    class Never(Net):
        def forward(self, x):
            raise AssertionError("it ran")

    with pytest.raises((tl.ArgumentError, tl.UnknownLayerError)) as caught:
        tl.log_forward_pass(Never(), x, **option)
    assert message in str(caught.value)


def test_bad_device_is_an_argument_error(net, x):
    with pytest.raises(tl.ArgumentError, match="output_device"):
        tl.log_forward_pass(net, x, output_device="nonsense")


# -- what is kept ------------------------------------------------------------------------------------


def saved(net, x, keys, **options) -> list[str]:
    return tl.log_forward_pass(net, x, layers_to_save=keys, **options).layers_with_saved_activations


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("all", ALL),
        ("ALL", ALL),
        ("none", []),
        ("None", []),
        (None, []),
        ([], []),
        (["relu_1_2"], ["relu_1_2"]),
        (["relu_1"], ["relu_1_2"]),
        (["relu_1_2:1"], ["relu_1_2"]),
        (["relu_1:1"], ["relu_1_2"]),
        (["linear_2_3"], ["linear_2_3:1", "linear_2_3:2", "linear_2_3:3"]),
        (["linear_2_3:2"], ["linear_2_3:2"]),
        (["linear_2:3"], ["linear_2_3:3"]),
        ([0], ["input_1"]),
        ([2, 6], ["relu_1_2", "tanh_1_4"]),
        ([-1], ["output_1"]),
        ([-3, -9], ["input_1", "tanh_1_4"]),
        (["body"], ["relu_1_2"]),
        (["body.0"], ["linear_1_1"]),
        (["fc"], ["linear_2_3:1", "linear_2_3:2", "linear_2_3:3"]),
        (["fc:2"], ["linear_2_3:2"]),
        (["body:1"], ["relu_1_2"]),
        (["tan"], ["tanh_1_4"]),
        (["put_"], ["input_1", "output_1"]),
        (["LINEAR_1"], ["linear_1_1"]),
        (["fc:1", "relu", -1], ["relu_1_2", "linear_2_3:1", "output_1"]),
        (("tanh", 0), ["input_1", "tanh_1_4"]),
    ],
    ids=repr,
)
def test_layers_to_save(net, x, keys, expected):
    assert saved(net, x, keys) == expected


@pytest.mark.parametrize("keys", [["fc:2", -3, "relu"], ["linear"], [1, -1]])
def test_what_is_saved_is_right(net, x, keys):
    whole = tl.log_forward_pass(net, x)
    some = tl.log_forward_pass(net, x, layers_to_save=keys)
    for label in some.layers_with_saved_activations:
        assert torch.equal(some[label].tensor_contents, whole[label].tensor_contents)


@pytest.mark.parametrize("keys", ["none", None, []])
def test_nothing_saved_lists_everything(net, x, keys):
    assert tl.log_forward_pass(net, x, layers_to_save=keys).layer_labels == ALL


def test_empty_tuple_is_an_empty_list(net, x):
    assert tl.log_forward_pass(net, x, layers_to_save=()).layer_labels == ALL


def test_unsaved_layers(net, x):
    keys = ["relu", "tanh"]
    assert tl.log_forward_pass(net, x, layers_to_save=keys).layer_labels == ["relu_1_2", "tanh_1_4"]
    kept = tl.log_forward_pass(net, x, layers_to_save=keys, keep_unsaved_layers=True)
    assert kept.layer_labels == ALL
    assert kept.layers_with_saved_activations == ["relu_1_2", "tanh_1_4"]
    assert kept["linear_1_1"].tensor_contents is None


@pytest.mark.parametrize("key", ["linear_9_9", "fc:4", "linear_2_3:4", 9, -10], ids=repr)
def test_keys_that_only_the_pass_can_refute(net, x, key):
    with pytest.raises(tl.UnknownLayerError) as caught:
        tl.log_forward_pass(net, x, layers_to_save=["relu", key])
    assert str(caught.value).startswith(
        f"layers_to_save names {key!r}, which is no layer, module or index of the model."
    )
    assert caught.value.partial_history["relu"].has_saved_activations


def test_hint_of_a_key_refuted_by_the_pass(net, x):
    with pytest.raises(tl.UnknownLayerError) as caught:
        saved(net, x, ["linear_2_3:4"])
    assert str(caught.value) == (
        "layers_to_save names 'linear_2_3:4', which is no layer, module or index of the model. Nearest: "
        "'linear_2_3:3', 'linear_2_3:2', 'linear_2_3:1', 'linear_2_3', 'linear_2:3'. "
        "get_model_metadata(model, inputs).layer_labels lists all layers."
    )


class Weak(nn.Module):
    """Watches which of its results are alive at its end, nothing but the tracer holding them."""

    steps = 5

    def forward(self, x):
        self.refs = []
        for _ in range(self.steps):
            x = x + 1
            self.refs.append(weakref.ref(x))
        x = None
        self.alive_at_end = self.alive
        return torch.zeros(1)

    @property
    def alive(self) -> list[int]:
        return [number for number, ref in enumerate(self.refs, 1) if ref() is not None]


@pytest.mark.parametrize(
    ("keys", "during", "after"),
    [
        ("all", [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]),
        ("none", [], []),
        (["add_1_1:2"], [2], [2]),
        ([3], [3], [3]),
        (["zeros"], [], []),
        ([-4], [2, 3, 4, 5], [4]),  # the last four may be meant, until the pass ends
    ],
    ids=repr,
)
def test_what_is_not_selected_is_never_kept(keys, during, after):
    model = Weak()
    history = tl.log_forward_pass(model, torch.rand(2), layers_to_save=keys)
    assert model.alive_at_end == during
    assert model.alive == after
    assert len(history.recording.nodes) == 8


# -- in which form -----------------------------------------------------------------------------------


def test_output_device(net, x):
    history = tl.log_forward_pass(net, x, output_device="meta")
    assert all(op.tensor_contents.device.type == "meta" for op in history)
    assert history.layer_labels == ALL
    same = tl.log_forward_pass(net, x)
    assert all(op.tensor_contents.device == x.device for op in same)


def test_activation_postfunc(net, x):
    history = tl.log_forward_pass(net, x, activation_postfunc=lambda t: t.mean(-1, keepdim=True) * 2)
    whole = tl.log_forward_pass(net, x)
    assert history.layer_labels == ALL, "what the function computes is none of the model's"
    for op in history:
        expected = whole[op.layer_label].tensor_contents.mean(-1, keepdim=True) * 2
        assert torch.equal(op.tensor_contents, expected)


def test_activation_postfunc_may_return_anything(net, x):
    history = tl.log_forward_pass(net, x, activation_postfunc=lambda t: t.shape)
    assert history["relu"].tensor_contents == (2, 5)


def test_error_of_activation_postfunc_is_the_user_s(net, x):
    with pytest.raises(ZeroDivisionError):
        tl.log_forward_pass(net, x, activation_postfunc=lambda t: 1 / 0)
    assert _get_current_function_mode_stack() == []


def test_detach_saved_tensors(net, x):
    attached = tl.log_forward_pass(net, x)
    detached = tl.log_forward_pass(net, x, detach_saved_tensors=True)
    assert attached["tanh"].tensor_contents.requires_grad
    assert not any(op.tensor_contents.requires_grad for op in detached)
    assert torch.equal(attached["tanh"].tensor_contents, detached["tanh"].tensor_contents)


def test_attached_activations_lead_back(net, x):
    history = tl.log_forward_pass(net, x)
    history["tanh"].tensor_contents.sum().backward()
    traced = net.fc.weight.grad.clone()
    net.zero_grad()
    (net(x) - 0.0).sum().backward()
    assert torch.allclose(traced, net.fc.weight.grad)


def test_output_leads_back_to_activations(net, x):
    """What Grad-CAM needs: the gradient of a result in an activation."""
    history = tl.log_forward_pass(net, x)
    wanted = [op.tensor_contents for op in history.ops if op.output_descendents]
    result = history["output_1"].tensor_contents.sum()
    assert None not in torch.autograd.grad(result, wanted[:-1], allow_unused=True)


@pytest.mark.parametrize("grad", [True, False])
def test_nothing_is_copied_without_need(grad):
    """A model that writes nothing in place, and whose values nobody keeps."""
    made: list[weakref.ref] = []

    class Pure(nn.Module):
        def forward(self, x):
            x = torch.relu(x * 2)
            made.append(weakref.ref(x))
            y = x.view(-1)[1:]
            return (y * y).sum()

    with torch.set_grad_enabled(grad):
        history = tl.log_forward_pass(Pure(), torch.rand(2, 5, requires_grad=True))
    assert history["relu"].tensor_contents is made[0]()


def test_what_the_model_keeps_is_copied():
    """The control of the test above: the model may change what it holds."""

    class Keeping(nn.Module):
        def forward(self, x):
            self.kept = torch.relu(x)
            return self.kept.sum()

    model = Keeping()
    history = tl.log_forward_pass(model, torch.rand(2, 5))
    before = history["relu"].tensor_contents.clone()
    model.kept.zero_()
    assert torch.equal(history["relu"].tensor_contents, before)


class TestGradients:
    def test_saved(self, net, x):
        """They are those that the chain rule gives, spelled out."""
        history = tl.log_forward_pass(net, x, save_gradients=True)
        assert all(op.grad_contents is None for op in history)
        history["output_1"].tensor_contents.sum().backward()
        value = {op.layer_label: op.tensor_contents.detach() for op in history}
        expected = {"output_1": torch.ones(2, 5), "add_1_5": torch.ones(2, 5), "tanh_1_4": torch.ones(2, 5)}
        step = 1 - value["tanh_1_4"] ** 2
        for label in ("linear_2_3:3", "linear_2_3:2", "linear_2_3:1", "relu_1_2"):
            expected[label] = step
            step = step @ net.fc.weight.detach()
        expected["linear_1_1"] = expected["relu_1_2"] * (value["linear_1_1"] > 0)
        for label, gradient in expected.items():
            assert torch.allclose(history[label].grad_contents, gradient), label
        assert history["input_1"].grad_contents is None

    def test_of_the_input_if_it_wants_one(self, net, x):
        x.requires_grad_()
        history = tl.log_forward_pass(net, x, save_gradients=True)
        history["output_1"].tensor_contents.sum().backward()
        assert torch.equal(history["input_1"].grad_contents, x.grad)

    def test_not_saved_unless_asked_for(self, net, x):
        history = tl.log_forward_pass(net, x)
        history["output_1"].tensor_contents.sum().backward()
        assert all(op.grad_contents is None for op in history)

    def test_of_an_op_with_several_results(self):
        class Pair(nn.Module):
            def forward(self, x):
                return torch.max(x, 1).values

        history = tl.log_forward_pass(Pair(), torch.rand(2, 3, requires_grad=True), save_gradients=True)
        history["output_1"].tensor_contents.sum().backward()
        gradient, nothing = history["max"].grad_contents
        assert torch.equal(gradient, torch.ones(2))
        assert nothing is None

    def test_kept_without_the_activations(self, net, x):
        history = tl.log_forward_pass(net, x, save_gradients=True, detach_saved_tensors=True)
        assert not history["tanh"].tensor_contents.requires_grad


# -- generators --------------------------------------------------------------------------------------


class Drawing(nn.Module):
    def forward(self, x):
        return x + torch.rand(2) + random.random() + np.random.rand()


def generators() -> tuple:
    return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state()[1:3])


def test_seed_gives_the_same_pass():
    passes = [tl.log_forward_pass(Drawing(), torch.zeros(2), random_seed=seed) for seed in (3, 3, 4)]
    first, second, other = (history["output_1"].tensor_contents for history in passes)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert [history.random_seed_used for history in passes] == [3, 3, 4]


def test_seed_is_that_of_torch():
    torch.manual_seed(3)
    expected = torch.rand(2)
    history = tl.log_forward_pass(Drawing(), torch.zeros(2), random_seed=3)
    assert torch.equal(history["rand"].tensor_contents, expected)


@pytest.mark.parametrize("seed", [0, 3, 2**40, -1])
def test_generators_are_put_back_after_a_seeded_pass(seed):
    before = generators()
    tl.log_forward_pass(Drawing(), torch.zeros(2), random_seed=seed)
    assert generators() == before


def test_generators_move_as_without_tracing():
    before = generators()
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    history = tl.log_forward_pass(Drawing(), torch.zeros(2))
    after_traced = generators()
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    expected = Drawing()(torch.zeros(2))
    assert after_traced == generators()
    assert after_traced != before
    assert torch.equal(history["output_1"].tensor_contents, expected)
    assert history.random_seed_used is None


# -- nothing is left behind --------------------------------------------------------------------------


class Failing(nn.Module):
    """Draws, writes a buffer, and fails in its second module."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x, error=None):
        self.calls += 1
        y = self.fc(x) + torch.rand(3)
        if error is not None:
            raise error
        return self.fc(torch.cat([y, y]))


@pytest.fixture
def outside():
    """What the world of torch looks like to others."""

    def look() -> tuple:
        return (
            nn.Module.__call__,
            list(_get_current_function_mode_stack()),
            torch.is_grad_enabled(),
            torch.relu,
            nn.functional.relu,
            torch.Tensor.add,
        )

    return look


@pytest.mark.parametrize("fails", [False, True])
def test_torch_is_as_before(outside, fails):
    before = outside()
    error = ValueError("stop") if fails else None
    with pytest.raises((ValueError, RuntimeError)):
        tl.log_forward_pass(Failing(), [torch.rand(3), error])
    tl.log_forward_pass(nn.ReLU(), torch.rand(3))
    assert outside() == before


def test_failed_pass_leaves_model_and_generators_as_an_untraced_one():
    torch.manual_seed(0)
    traced, plain = Failing(), Failing()
    states = []
    for run in (lambda: tl.log_forward_pass(traced, torch.ones(3)), lambda: plain(torch.ones(3))):
        torch.manual_seed(1)
        with pytest.raises(RuntimeError):
            run()
        states.append(torch.get_rng_state())
    assert torch.equal(*states)
    assert torch.equal(traced.calls, plain.calls)
    assert vars(traced).keys() == vars(plain).keys()
    assert traced.fc.weight.grad is None


def test_partial_history_of_a_failed_op():
    with pytest.raises(RuntimeError, match="mat1 and mat2") as caught:
        tl.log_forward_pass(Failing(), torch.rand(3))
    history = caught.value.partial_history
    assert history.layer_labels == [
        *("input_1", "buffer_1", "add_1_1", "linear_1_2", "rand_1_3", "add_2_4", "cat_1_5")
    ]
    assert history["cat"].tensor_contents.shape == (6,)
    assert history.error.startswith("RuntimeError: ")
    assert caught.value.__notes__ == [
        "torchlens: the pass of Failing failed in linear after 5 ops, the last entry being cat_1_5. "
        "The history up to there is this error's partial_history."
    ]


def test_partial_history_of_the_model_s_own_error():
    mine = ValueError("stop")
    with pytest.raises(ValueError, match="stop") as caught:
        tl.log_forward_pass(Failing(), [torch.rand(3), mine])
    assert caught.value is mine
    assert mine.partial_history.error == "ValueError: stop"
    assert mine.__notes__ == [
        "torchlens: the pass of Failing failed after 4 ops, the last entry being add_2_4. "
        "The history up to there is this error's partial_history."
    ]


def test_interrupted_pass():
    with pytest.raises(KeyboardInterrupt) as caught:
        tl.log_forward_pass(Failing(), [torch.rand(3), KeyboardInterrupt()])
    assert len(caught.value.partial_history.ops) == 4
    assert _get_current_function_mode_stack() == []


def test_error_that_takes_no_attributes():
    class Slotted(Exception):
        __slots__ = ()

        def __setattr__(self, name, value):
            if name == "partial_history":
                raise AttributeError(name)
            super().__setattr__(name, value)

    with pytest.raises(Slotted):
        tl.log_forward_pass(Failing(), [torch.rand(3), Slotted()])


def test_model_is_left_as_an_untraced_pass_leaves_it(net, x):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    attributes = [set(vars(module)) for module in net.modules()]
    tl.log_forward_pass(net, x)
    assert [set(vars(module)) for module in net.modules()] == attributes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


# -- without values ----------------------------------------------------------------------------------


def test_meta_device():
    torch.manual_seed(0)
    with torch.device("meta"):
        model, x = Net(), torch.rand(2, 5)
    history = tl.log_forward_pass(model, x)
    assert history.layer_labels == ALL
    assert history["tanh"].tensor_shape == (2, 5)
    assert history["tanh"].tensor_contents.device.type == "meta"
    assert history.total_params == 60


def test_large_models_on_the_meta_device_cost_nothing():
    model = nn.Linear(10**6, 10**6, device="meta")
    history = tl.log_forward_pass(model, torch.rand(1, 10**6, device="meta"))
    assert history.total_params == 10**12 + 10**6


def test_fake_tensors():
    with FakeTensorMode():
        history = tl.log_forward_pass(Net(), torch.rand(2, 5))
    assert history.layer_labels == ALL
    assert history["relu"].tensor_shape == (2, 5)


# -- its kin -----------------------------------------------------------------------------------------


def test_get_model_metadata(net, x):
    history = tl.get_model_metadata(net, [x], {"shift": 1.0})
    assert history.layer_labels == ALL
    assert history.layers_with_saved_activations == []
    assert history["relu"].tensor_shape == (2, 5)


def test_show_model_graph(net, x, tmp_path):
    path = tmp_path / "net"
    shown = tl.show_model_graph(net, x, vis_outpath=str(path), save_only=True, vis_fileformat="svg")
    assert shown is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net", "net.svg"]
    assert "<svg" in (tmp_path / "net.svg").read_text(encoding="utf-8")


def test_pictures_are_made_only_when_asked_for(net, x, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tl.log_forward_pass(net, x)
    assert list(tmp_path.iterdir()) == []


# -- observers ---------------------------------------------------------------------------------------


class Notes:
    def __init__(self):
        self.seen: list[tuple] = []
        self.tokens: list[int] = []

    def before_pass(self, model, args, kwargs):
        self.seen.append(("before", type(model).__name__, len(args), sorted(kwargs)))
        return len(self.seen)

    def after_pass(self, history, token):
        self.tokens.append(token)
        self.seen.append(("after", history.model_name, len(history.layers_with_saved_activations)))


def test_observers_are_told_of_every_pass(net, x):
    notes = Notes()
    with observed(notes):
        tl.log_forward_pass(net, x, {"shift": 1.0})
        tl.get_model_metadata(net, x)
    assert notes.seen == [
        ("before", "Net", 1, ["shift"]),
        ("after", "Net", 9),
        ("before", "Net", 1, []),
        ("after", "Net", 0),
    ]


def test_observers_are_told_no_more_afterwards(net, x):
    notes = Notes()
    with pytest.raises(KeyError), observed(notes):
        raise KeyError
    tl.log_forward_pass(net, x)
    assert notes.seen == []


def test_observers_hear_nothing_of_what_never_ran(net):
    notes = Notes()
    with observed(notes), pytest.raises(tl.ArgumentError):
        tl.log_forward_pass(net, [])
    assert notes.seen == []


def test_observers_of_a_failed_pass(x):
    notes = Notes()
    with observed(notes), pytest.raises(RuntimeError):
        tl.log_forward_pass(Failing(), torch.rand(3))
    assert [note[0] for note in notes.seen] == ["before"]


class Catching(nn.Module):
    """Logs a model that fails, and goes on."""

    def forward(self, x):
        with contextlib.suppress(RuntimeError):
            tl.log_forward_pass(Failing(), torch.rand(3))
        return x * 1


def test_an_observer_gets_back_what_it_returned_for_this_very_pass(x):
    notes = Notes()
    with observed(notes):
        tl.log_forward_pass(Catching(), x)
    assert [note[:2] for note in notes.seen] == [
        ("before", "Catching"),
        ("before", "Failing"),
        ("after", "Catching"),
    ]
    assert notes.tokens == [1]


def test_several_observers(net, x):
    outer, inner = Notes(), Notes()
    with observed(outer):
        with observed(inner):
            tl.log_forward_pass(net, x)
        tl.log_forward_pass(net, x)
    assert (len(outer.seen), len(inner.seen)) == (4, 2)
