"""Saved activations: by reference, true whatever happens to the memory, and no longer than wanted."""

import weakref

import pytest
import torch
import torch.nn.functional as F
from models import Of
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import torchlens_core as tl


class Returned(TorchFunctionMode):
    """Where what each call returned lies in memory; nothing is held."""

    def __init__(self):
        super().__init__()
        self.pointers = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.pointers.append(result.data_ptr())
        return result


def log(function, *args, **options):
    return tl.log_forward_pass(Of(function), list(args), **options)


def value(history, key) -> Tensor:
    return history[key].tensor_contents


def copies_made(history) -> int:
    """How many saved values of ops are in other memory than the op gave."""
    nodes = [node for node in history.recording.nodes if node.kind == "op" and node.saved]
    return sum(
        kept is not None and made.ref() is not kept
        for node in nodes
        for made, kept in zip(node.values, node.saved, strict=True)
    )


# -- by reference ------------------------------------------------------------------------------------


def test_values_are_the_very_tensors_that_ops_returned():
    made = []

    def forward(x):
        y, z = x * 2, x + 1
        made.extend([weakref.ref(y), weakref.ref(z)])
        return torch.relu(y @ z.t())

    history = log(forward, torch.rand(2, 3))
    assert value(history, "mul_1") is made[0]()
    assert value(history, "add_1") is made[1]()


@pytest.mark.parametrize("grad", [True, False])
def test_without_writes_only_what_the_user_gets_is_copied(grad):
    model = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.BatchNorm1d(4)) for _ in range(5)))
    with torch.set_grad_enabled(grad), Returned() as seen:
        history = tl.log_forward_pass(model.eval(), torch.rand(3, 4))
    kept = [op.tensor_contents.data_ptr() in seen.pointers for op in history.ops]
    assert kept == [True] * 14 + [False]


def test_views_share_the_memory_of_what_they_show():
    history = log(lambda x: (x * 2).view(-1)[1:].sum(), torch.rand(2, 2))
    whole, flat, part = (value(history, key) for key in ("mul_1", "view_1", "getitem_1"))
    assert whole.data_ptr() == flat.data_ptr() == part.data_ptr() - 4


# -- copy on write -----------------------------------------------------------------------------------


def test_a_value_is_copied_before_it_is_written():
    made = []

    def forward(x):
        y = x * 2
        made.append(weakref.ref(y))
        return y.add_(1) * 3

    history = log(forward, torch.ones(2))
    assert value(history, "mul_1").tolist() == [2, 2]
    assert value(history, "add_1") is made[0]()
    assert value(history, "add_1").tolist() == [3, 3]
    assert value(history, "mul_1").data_ptr() != value(history, "add_1").data_ptr()


def test_what_is_not_written_is_not_copied():
    def forward(x):
        y, z = x * 2, x * 3
        y.add_(1)
        return (y + z).sum()

    history = log(forward, torch.ones(2))
    assert copies_made(history) == 2  # y before the write, and the output
    assert copies_made(log(lambda x: ((x * 2) + (x * 3)).sum(), torch.ones(2))) == 1  # the control


def test_a_write_elsewhere_in_the_memory_copies_nothing():
    def forward(x):
        rows = x * 2
        first = rows[0]
        rows[1] = 0.0
        return first.sum() + rows.sum()

    history = log(forward, torch.ones(2, 2))
    assert value(history, "mul_1").tolist() == [[2, 2], [2, 2]]
    assert value(history, "getitem_1").tolist() == [2, 2]
    assert value(history, "setitem_1").tolist() == [[2, 2], [0, 0]]
    node = history["getitem_1"]._node
    assert node.values[0].ref() is None or node.saved[0] is node.values[0].ref()


def test_repeated_writes_leave_each_value_as_it_was():
    def forward(x):
        total = torch.zeros(2)
        for _ in range(4):
            total += x
        return total * 1

    history = log(forward, torch.ones(2))
    totals = [op.tensor_contents.tolist() for op in history.ops if op.func_applied_name == "add_"]
    assert totals == [[n, n] for n in range(1, 5)]


def test_views_copied_together_stay_true():
    def forward(x):
        table = x * 2
        rows = table.unbind(0)
        table.zero_()
        return rows[0] + rows[1]

    with torch.no_grad():
        history = log(forward, torch.ones(2, 3))
    assert value(history, "mul_1").tolist() == [[2, 2, 2]] * 2
    assert [row.tolist() for row in value(history, "unbind_1")] == [[2, 2, 2]] * 2
    assert value(history, "add_1").tolist() == [0, 0, 0]


def test_memory_that_escapes_is_copied():
    def forward(x):
        y = x * 2
        y.numpy()[0] = 7
        return y * 1

    with torch.no_grad():
        history = log(forward, torch.ones(2))
    assert value(history, "mul_1").tolist() == [2, 2]
    assert value(history, "mul_2").tolist() == [7, 2]


def test_a_shape_changed_in_place_does_not_change_the_value():
    def forward(x):
        y = x * 2
        y.t_()
        return y.unsqueeze_(0) * 1

    history = log(forward, torch.rand(2, 3))
    assert [tuple(value(history, key).shape) for key in ("mul_1", "t_1", "unsqueeze_1")] == [
        (2, 3),
        (3, 2),
        (1, 3, 2),
    ]


# -- after the pass ----------------------------------------------------------------------------------


def test_what_the_user_holds_may_be_changed_after_the_pass():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).train()
    x = torch.rand(4, 2)
    history = tl.log_forward_pass(model, x)
    result = history[history.output_layers[0]].tensor_contents
    before = {
        op.layer_label: op.tensor_contents for op in history if not isinstance(op.tensor_contents, tuple)
    }
    copies = {label: tensor.detach().clone() for label, tensor in before.items()}
    with torch.no_grad():
        for tensor in (x, *model.parameters(), *model.buffers()):
            tensor.zero_()
    model(torch.rand(4, 2))
    assert any(op.is_buffer_layer for op in history)
    for label, tensor in before.items():
        assert torch.equal(history[label].tensor_contents, copies[label]), label
        assert history[label].tensor_contents is tensor
    assert result.abs().sum() > 0


def test_the_model_s_result_may_be_changed_after_the_pass():
    results = []

    def forward(x):
        results.append(x * 2)
        return results[0]

    history = log(forward, torch.ones(2))
    results[0].zero_()
    assert value(history, "mul_1").tolist() == value(history, "output_1").tolist() == [2, 2]


def test_what_the_model_has_kept_may_be_changed_after_the_pass():
    held = []

    def forward(x):
        y = x * 2
        held.extend([y, y[:1]])
        return y + 1

    history = log(forward, torch.ones(2))
    held[1].zero_()
    held[0].mul_(7)
    assert value(history, "mul_1").tolist() == [2, 2]
    assert value(history, "getitem_1").tolist() == [2]


def test_a_value_overwritten_after_the_pass_raises():
    history = log(lambda x: (x * 2).relu() + 1, torch.ones(2))
    value(history, "mul_1").zero_()
    with pytest.raises(tl.StaleValueError) as caught:
        value(history, "mul_1")
    assert str(caught.value) == (
        "The activation of mul_1_1 (:mul) was overwritten after the pass: its memory is shared with a tensor "
        "that was changed in place (version 0 when the pass ended, 1 now). Copy it before you change it, or "
        "log the pass again."
    )
    assert value(history, "relu_1").tolist() == [2, 2]


def test_a_value_written_unseen_during_the_pass_raises():
    """Raw memory is written by code that neither modes nor counters see; `torch._C` calls hide from modes."""

    def forward(x):
        y = x * 2
        with torch._C.DisableTorchFunction():
            y.add_(1)
        return y * 1

    history = log(forward, torch.ones(2))
    with pytest.raises(tl.StaleValueError, match="was overwritten unseen during the pass"):
        value(history, "mul_1")
    assert value(history, "mul_2").tolist() == [3, 3]


# -- the autograd graph ------------------------------------------------------------------------------


def _forward(x):
    y = x * 2
    z = y * 1
    z += 1
    return F.relu(z, inplace=True).sum()


def test_values_stay_in_the_autograd_graph():
    x = torch.rand(3, requires_grad=True)
    history = log(_forward, x)
    (gradient,) = torch.autograd.grad(value(history, "mul_1").sum(), x, retain_graph=True)
    assert gradient.tolist() == [2, 2, 2]
    copied = value(history, "mul_2")  # written after it was saved: a clone
    (gradient,) = torch.autograd.grad(copied.sum(), x, retain_graph=True)
    assert gradient.tolist() == [2, 2, 2]
    (gradient,) = torch.autograd.grad(value(history, "output_1"), x)
    assert gradient.tolist() == [2, 2, 2]


def test_detached_values_have_left_it():
    x = torch.rand(3, requires_grad=True)
    history = log(_forward, x, detach_saved_tensors=True)
    kept = [op.tensor_contents for op in history]
    assert len(kept) == 7
    assert not any(tensor.requires_grad for tensor in kept)
    assert any(op.tensor_contents.requires_grad for op in log(_forward, x))


def test_detached_values_stay_true_when_written():
    history = log(_forward, torch.ones(2, requires_grad=True), detach_saved_tensors=True)
    assert value(history, "mul_2").tolist() == [2, 2]
    assert value(history, "add_1").tolist() == [3, 3]


def test_gradients_are_kept_on_request():
    x = torch.rand(3, requires_grad=True)
    histories = [log(lambda x: (x * 2).pow(2).sum(), x, save_gradients=keep) for keep in (True, False)]
    for history in histories:
        value(history, "sum_1").backward()
    assert torch.allclose(histories[0]["mul_1"].grad_contents, 4 * x)
    assert histories[1]["mul_1"].grad_contents is None


# -- other forms -------------------------------------------------------------------------------------


def test_output_device():
    history = log(lambda x: (x * 2).add_(1), torch.rand(3), output_device="meta")
    assert {op.tensor_contents.device.type for op in history} == {"meta"}
    assert [tuple(op.tensor_contents.shape) for op in history.ops] == [(3,), (3,)]


def test_postfunc():
    history = log(lambda x: (x * 2).add_(1), torch.ones(3), activation_postfunc=torch.sum)
    assert [op.tensor_contents.item() for op in history] == [3, 6, 9, 9]
    assert log(lambda x: x * 2, torch.ones(3), activation_postfunc=len)["mul_1"].tensor_contents == 3


def test_a_postfunc_that_returns_a_view_is_protected_too():
    history = log(lambda x: (x * 2).add_(1), torch.ones(3), activation_postfunc=lambda t: t[:1])
    assert [op.tensor_contents.tolist() for op in history.ops] == [[2], [3]]


@pytest.mark.parametrize("option", [{"output_device": "nowhere"}, {"activation_postfunc": 3}])
def test_wrong_options_are_refused_before_anything_runs(option):
    with pytest.raises(tl.ArgumentError, match=f"{next(iter(option))} is "):
        log(lambda x: pytest.fail("was run"), torch.ones(1), **option)


# -- not longer than wanted --------------------------------------------------------------------------


def _freed_in_the_pass(**options) -> list[bool]:
    """For two values of a pass, whether each is freed before the pass ends."""
    seen = []

    def forward(x):
        a = x * 2
        b = a + 1
        first, second = weakref.ref(a), weakref.ref(b)
        del a
        c = b - 3
        del b
        seen.extend([first() is None, second() is None])
        return c

    with torch.no_grad():
        log(forward, torch.rand(3), **options)
    return seen


@pytest.mark.parametrize(
    ("option", "freed"),
    [("all", [False, False]), ("none", [True, True]), (["mul_1"], [False, True]), (["add"], [True, False])],
    ids=str,
)
def test_what_is_not_selected_is_freed_in_the_pass(option, freed):
    assert _freed_in_the_pass(layers_to_save=option) == freed


def test_indices_from_the_end_hold_as_many_values_as_they_reach_back():
    alive = []

    def forward(x):
        made = []
        for _ in range(10):
            x = x + 1
            made.append(weakref.ref(x))
            alive.append(sum(ref() is not None for ref in made))
        return x

    with torch.no_grad():
        history = log(forward, torch.rand(3), layers_to_save=[-3])
    assert max(alive) <= 4
    assert [op.layer_label for op in history] == ["add_1_1:9"]
