"""Calls whose inside is not recorded: each is one node, and no path through it is cut."""

import pytest
import torch
from models import Of
from torch import nn

import torchlens_core as tl

pytestmark = pytest.mark.filterwarnings("ignore")


def log(function, *args):
    return tl.log_forward_pass(Of(function), list(args))


def r(*sizes: int) -> torch.Tensor:
    return torch.rand(sizes) + 0.5


def names(history) -> list[str]:
    return [op.func_applied_name for op in history.ops]


def reaching(history) -> list[set[str]]:
    """For each output the inputs that it depends on."""
    return [history[label].input_ancestors for label in history.output_layers]


def _scripted(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x * y).sum(0)


def test_a_traced_function_is_one_op():
    traced = torch.jit.trace(_scripted, (r(2, 3), r(2, 3)))
    history = log(lambda x, y: traced(x, y) + 1, r(2, 3), r(2, 3))
    assert names(history) == ["_scripted", "add"]
    assert [op.is_opaque for op in history.ops] == [True, False]
    assert reaching(history) == [{"input_1", "input_2"}]


def test_a_traced_module_is_one_op_that_reads_its_parameters():
    traced = torch.jit.trace(nn.Linear(3, 2), r(2, 3))
    history = tl.log_forward_pass(nn.Sequential(traced, nn.ReLU()), r(2, 3))
    assert sorted(history.ops[0].parent_param_names) == ["0.bias", "0.weight"]
    assert history["output_1"].input_ancestors == {"input_1"}


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x, y: torch.vmap(lambda a, b: (a * b).sum())(x, y), "vmap"),
        (lambda x, y: torch.func.grad(lambda a: (a.sin() * y).sum())(x), "grad"),
        (lambda x, y: torch.func.jvp(lambda a: a * y, (x,), (y,))[1], "jvp"),
    ],
)
def test_a_functorch_transform_is_one_op(function, name):
    history = log(function, r(2, 3), r(2, 3))
    opaque = [op for op in history.ops if op.is_opaque]
    assert [op.func_applied_name for op in opaque] == [name]
    assert reaching(history) == [{"input_1", "input_2"}]


def test_a_transform_that_closes_over_an_op_depends_on_it():
    def forward(x, y):
        scale = y * 2
        return torch.vmap(lambda row: row * scale)(x)

    history = log(forward, r(2, 3), r(3))
    (opaque,) = (op for op in history.ops if op.is_opaque)
    assert set(opaque.parent_layers) == {"input_1", "mul_1_1"}


def test_ops_before_and_after_a_transform_are_recorded():
    history = log(lambda x: torch.vmap(torch.sum)(x + 1) * 2, r(2, 3))
    assert names(history) == ["add", "vmap", "mul"]


class _Seen(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2 + 1

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


class _Unseen(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        return torch.from_numpy(x.detach().numpy() * y.detach().numpy())

    @staticmethod
    def backward(ctx, gradient):
        return gradient, gradient


def test_what_an_autograd_function_calls_is_recorded():
    assert names(log(lambda x: _Seen.apply(x) - 1, r(3)))[:2] == ["mul", "add"]


@pytest.mark.parametrize("grad", [True, False])
def test_what_an_autograd_function_computes_unseen_is_one_op(grad):
    with torch.set_grad_enabled(grad):
        history = log(lambda x, y: _Unseen.apply(x * 1, y) + 1, r(3), r(3))
    assert "_Unseen" in names(history)
    assert reaching(history) == [{"input_1", "input_2"}]


@pytest.mark.parametrize(("positive", "branch"), [(True, "sin"), (False, "cos")])
def test_cond_is_opened_to_the_branch_taken(positive, branch):
    def forward(x):
        return torch.cond(x.sum() > 0, lambda a: a.sin(), lambda a: a.cos(), (x,))

    history = log(forward, r(3) if positive else -r(3))
    assert names(history)[-1] == branch
    assert history.ops[-1].composite == ("cond",)


def test_a_higher_order_op_that_is_not_opened_is_one_op():
    higher = pytest.importorskip("torch._higher_order_ops.map")

    def forward(x, y):
        return higher.map(lambda row, scale: row * scale, x, y) + 1

    history = log(forward, r(2, 3), r(3))
    assert reaching(history) == [{"input_1", "input_2"}]
    assert names(history)[-1] == "add"


def test_writes_inside_a_transform_spare_the_saved_values():
    def forward(x):
        y = x * 1
        torch.vmap(lambda row: row.add_(1))(y)
        return y * 2

    with torch.no_grad():
        history = log(forward, torch.ones(2, 3))
    assert history["mul_1"].tensor_contents.unique().tolist() == [1]
    assert history.ops[-1].tensor_contents.unique().tolist() == [4]
    assert any(history[label].is_opaque for label in history.ops[-1].parent_layers)


def test_plain_ops_are_not_opaque():
    """The control."""
    assert not any(op.is_opaque for op in log(lambda x: torch.relu(x) + 1, r(3)).ops)
