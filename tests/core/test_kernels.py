"""The kernels beneath the recorder: which call they belong to, and what they read and wrote."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchlens_core.checks.places import line_in
from torchlens_core.kernels import KernelCall
from torchlens_core.saving import SavingOptions
from torchlens_core.shadow import NOBODY
from torchlens_core.trace import trace
from torchlens_core.witness import Witness

with warnings.catch_warnings():
    warnings.simplefilter("ignore")

    @torch.jit.script
    def scripted(x):
        return x.sin() + 1


class Calling(nn.Module):
    def __init__(self, function: Callable[..., Any]):
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


class Seen:
    """The kernels of one pass, read by name."""

    def __init__(self, model: Any, *args: Any) -> None:
        model = model if isinstance(model, nn.Module) else Calling(model)
        witness = Witness(model)
        try:
            options = SavingOptions(which=True)
            self.history = trace(model, args, {}, options, witness=witness).history
        finally:
            witness.kernels.release()
        self.kernels = witness.kernels
        self.calls = witness.kernels.calls

    def call(self, name: str, number: int = 0) -> KernelCall:
        return [call for call in self.calls if call.node is not None and call.node.info.name == name][
            number
        ]

    def reads(self, name: str, number: int = 0) -> set[str]:
        """The names of those who wrote what a call read."""
        return {self.name_of(writer) for writer, _ in self.call(name, number).reads}

    def results(self) -> list[set[str] | None]:
        return [
            None if reads is None else {self.name_of(writer) for writer, _ in reads}
            for reads in self.kernels.results
        ]

    def name_of(self, writer: int) -> str:
        node = self.calls[writer].node
        return "older" if writer == NOBODY else "unrecorded" if node is None else node.info.name

    def order(self) -> list[str | None]:
        return [None if call.node is None else call.node.info.name for call in self.calls]


X = torch.rand(4, 4)


# -- which call --------------------------------------------------------------------------------------


def test_kernels_are_counted_and_named():
    seen = Seen(nn.Sequential(nn.Linear(4, 4), nn.SiLU()), X)
    assert [(list(call.kernels), call.count) for call in seen.calls] == [(["t", "addmm"], 2), (["silu"], 1)]
    assert seen.kernels.count == 3


def test_kernels_that_come_twice_are_counted_twice_and_named_once():
    call = Seen(nn.LSTM(4, 4), X).call("lstm")
    assert call.count > len(call.kernels)


def test_each_kernel_belongs_to_the_node_of_its_call():
    seen = Seen(lambda x: (x * 2 + 1).relu() * 3, X)
    nodes = [node for node in seen.history.recording.nodes if node.kind == "op"]
    assert [call.node for call in seen.calls] == nodes
    assert seen.order() == ["mul", "add", "relu", "mul"]


def test_calls_of_one_line_are_told_apart():
    """One frame of the recorder's looks like the next, and is another."""
    seen = Seen(lambda x: x.sin().sin().sin(), X)
    assert [call.count for call in seen.calls] == [1, 1, 1]
    assert [seen.reads("sin", n) for n in range(3)] == [{"older"}, {"sin"}, {"sin"}]


def test_what_needs_no_kernel_has_none():
    seen = Seen(lambda x: F.dropout(x, training=False) + x.contiguous(), X)
    assert {name: seen.call(name).count for name in ("contiguous", "add")} == {"contiguous": 0, "add": 1}


def test_the_module_that_a_kernel_ran_in():
    seen = Seen(nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU())), X)
    assert [call.module for call in seen.calls] == [1, 3]


def test_printing_runs_no_kernels_of_its_own():
    seen = Seen(lambda x: (repr(x), x + 1)[1], X)
    assert seen.order() == ["add"]


def test_kernels_of_an_escape():
    seen = Seen(lambda x: x * x.sum().item(), X)
    assert seen.order() == ["sum", "item", "mul"]
    assert seen.reads("item") == {"sum"}
    assert seen.reads("mul") == {"older"}


# -- what is read ------------------------------------------------------------------------------------


def test_older_memory_is_nobodys():
    seen = Seen(lambda x: x * 2 + x, X)
    assert (seen.reads("mul"), seen.reads("add")) == ({"older"}, {"mul", "older"})


def test_what_is_not_used_is_not_read():
    def unused(x):
        y, z = x * 2, x + 1
        return y - 1, z

    assert Seen(unused, X).reads("sub") == {"mul"}


def test_views_read_what_they_show():
    def views(x):
        y = x * 2
        y[0] = 1.0
        return y[0] + 1, y[1] + 1, y + 1

    seen = Seen(views, X)
    assert [seen.reads("getitem", n) for n in range(2)] == [{"setitem"}, {"mul"}]
    assert [seen.reads("add", n) for n in range(3)] == [{"setitem"}, {"mul"}, {"mul", "setitem"}]
    assert seen.call("getitem").is_view
    assert not seen.call("add").is_view


def test_steps_on_the_way_to_a_view_are_not_read():
    """``y[1:][0]`` in one call of Python is a chain of views; it shows the last."""

    def steps(x):
        y = x * 2
        y[0] = 1.0
        return y[1:, None][0] + 1, y[None, 0] + 1

    seen = Seen(steps, X)
    assert seen.reads("add") == {"mul"}
    assert seen.reads("getitem", 2) == {"setitem"}, "the control"


def test_results_read_what_they_show():
    def parts(x):
        y = x * 2
        y[0] = 1.0
        return y[0], y[1], y, x

    assert Seen(parts, X).results() == [{"setitem"}, {"mul"}, {"mul", "setitem"}, {"older"}]


def test_results_without_bytes_to_follow_are_unknown():
    seen = Seen(lambda x: (x.to_sparse(), x + 1), X)
    assert seen.results() == [None, {"add"}]


# -- what is written ---------------------------------------------------------------------------------


def test_in_place_writes_read_what_they_change():
    seen = Seen(lambda x: (x * 1).add_(1).mul_(2) + 0, X)
    assert seen.reads("add_") == {"mul"}
    assert seen.reads("mul_") == {"add_"}
    assert seen.reads("add") == {"mul_"}


@pytest.mark.parametrize(
    ("fill", "name"),
    [
        (lambda y: y.fill_(1), "fill_"),
        (lambda y: y.zero_(), "zero_"),
        (lambda y: y.copy_(torch.ones(4, 4)), "copy_"),
        (lambda y: y.uniform_(), "uniform_"),
        (lambda y: y.bernoulli_(0.5), "bernoulli_"),
        (lambda y: torch._foreach_zero_([y]), "foreach_zero_"),
    ],
)
def test_filling_does_not_read_what_was_there(fill, name):
    def filling(x):
        y = x * 1
        fill(y)
        return y + 0

    seen = Seen(filling, X)
    assert "mul" not in seen.reads(name)
    assert seen.reads("add") == {name}


def test_changing_does():
    """The control of the test above."""
    seen = Seen(lambda x: (x * 1).clamp_(0).masked_fill_(x > 1, 2), X)
    assert seen.reads("clamp_") == {"mul"}
    assert seen.reads("masked_fill_") == {"clamp_", "gt"}


def test_out_is_written_and_not_read():
    def out(x):
        memory = torch.zeros(4, 4)
        torch.mul(x, 2, out=memory)
        return memory + 1

    seen = Seen(out, X)
    assert seen.reads("mul") == {"older"}
    assert seen.reads("add") == {"mul"}


def test_out_of_a_part_leaves_the_rest():
    def out(x):
        memory = torch.zeros(2, 4, 4)
        torch.mul(x, 2, out=memory[0])
        return memory + 1

    assert Seen(out, X).reads("add") == {"mul", "zeros"}


def test_foreach_writes_each_of_its_list():
    def foreach(x):
        a, b, c = x * 1, x * 2, x * 3
        torch._foreach_add_([a, b], 1)
        d, e = torch._foreach_mul([a, c], 2)
        return b - 0, d + e

    seen = Seen(foreach, X)
    assert seen.reads("foreach_add_") == {"mul"}
    assert len(seen.call("foreach_add_").reads) == 2
    assert seen.reads("foreach_mul") == {"foreach_add_", "mul"}
    assert seen.reads("sub") == {"foreach_add_"}
    assert seen.reads("add") == {"foreach_mul"}


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_writes_its_statistics_when_it_trains(training):
    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def forward(self, x):
            y = self.norm(x)
            return y, self.norm.running_mean + 1

    seen = Seen(Norm().train(training), X)
    assert seen.reads("add") == ({"batch_norm"} if training else {"older"})
    assert seen.results() == [{"batch_norm"}, {"add"}]


@pytest.mark.parametrize(
    "make",
    [
        lambda x: torch.ones(4),
        lambda x: torch.rand(4),
        lambda x: torch.arange(4),
        lambda x: torch.empty(4),
        lambda x: torch.full((4,), 2.0),
        lambda x: torch.zeros_like(x * 2),
        lambda x: torch.rand_like(x * 2),
        lambda x: torch.empty_like(x * 2),
        lambda x: (x * 2).new_ones(4),
        lambda x: (x * 2).new_full((4,), 1.0),
    ],
)
def test_factories_read_nothing(make):
    seen = Seen(lambda x: make(x) + 1, X)
    made = seen.calls[-2]
    assert made.reads == set()
    assert seen.reads("add") == {made.node.info.name}


def test_an_argument_that_gives_its_shape_alone_is_unsure():
    seen = Seen(lambda x: torch.zeros_like(x * 2), X)
    assert {seen.name_of(writer) for writer, _ in seen.call("zeros_like").unsure} == {"mul"}


def test_turning_a_tensor_writes_nothing():
    def turning(x):
        y = x * 1
        y.t_().unsqueeze_(0)
        return y + 1

    assert Seen(turning, X).reads("add") == {"mul"}


def test_memory_that_moves_is_followed_no_further():
    seen = Seen(lambda x: (x * 1).resize_(2) + 1, X)
    assert not seen.call("resize_").is_followed
    assert not seen.call("add").is_followed
    assert seen.call("mul").is_followed, "the control"


def test_addresses_are_let_go():
    model = Calling(lambda x: x * 2 + 1)
    witness = Witness(model)
    trace(model, (X,), {}, SavingOptions(which=True), witness=witness)
    assert witness.kernels._shadows
    witness.kernels.release()
    assert not witness.kernels._shadows
    assert witness.kernels.count == 2


# -- past the recorder -------------------------------------------------------------------------------


def test_kernels_run_past_the_recorder_have_a_stack_and_no_node():
    def past(x):
        y = x * 2
        with torch._C.DisableTorchFunction():
            z = y + 1
        return z * 3

    seen = Seen(past, X)
    assert seen.order() == ["mul", None, "mul"]
    call = seen.calls[1]
    assert (list(call.kernels), call.function) == (["add"], None)
    assert f"{__file__}:{past.__code__.co_firstlineno + 3}" in line_in(call.stack)
    assert seen.calls[0].stack is None
    assert seen.reads("mul", 1) == {"unrecorded"}


@pytest.mark.parametrize(
    ("given", "is_of_others"), [(np.ones(1), True), (torch.ones(1, dtype=torch.float64), False)]
)
def test_a_copy_of_memory_that_torch_has_not_allocated(given, is_of_others):
    def past(x):
        with torch._C.DisableTorchFunction():
            made = torch.Tensor(given) if is_of_others else given.float()
        return x + made

    (call,) = [call for call in Seen(past, X).calls if "_to_copy" in call.kernels]
    assert (call.function, call.is_copy_of_others) == (None, is_of_others)


def test_a_copy_past_the_recorder_of_what_has_no_storage():
    def past(x):
        with torch._C.DisableTorchFunction():
            return x.to_sparse().double().to_dense()

    (call,) = [call for call in Seen(past, X).calls if "_to_copy" in call.kernels]
    assert not call.is_copy_of_others


def test_each_kernel_past_the_recorder_is_a_call_of_its_own():
    def past(x):
        with torch._C.DisableTorchFunction():
            return x.sin().cos() + 1

    assert [list(call.kernels) for call in Seen(past, X).calls] == [["sin"], ["cos"], ["add"]]


def test_the_copies_of_the_recorder_are_not_the_models():
    seen = Seen(lambda x: (x * 1).add_(1), X)
    assert seen.kernels.own == 1
    assert (seen.order(), seen.kernels.count) == (["mul", "add_"], 2)
    assert "clone" not in seen.call("add_").kernels
    assert Seen(lambda x: (x * 1).add(1), X).kernels.own == 0, "the control"


def test_the_copies_of_the_model_are():
    seen = Seen(lambda x: (x * 1).clone().add(1), X)
    assert list(seen.call("clone").kernels) == ["clone"]


# -- what is no kernel -------------------------------------------------------------------------------


class Doubling(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


ODD = {
    "cond": lambda x: torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,)) * 2,
    "TorchScript": lambda x: scripted(x) * 2,
    "vmap": lambda x: torch.vmap(lambda row: row.sin() + 1)(x) * 2,
    "grad": lambda x: torch.func.grad(lambda x: x.sin().sum())(x) * 2,
    "jvp": lambda x: torch.func.jvp(torch.sin, (x,), (x,))[1] * 2,
    "autograd.Function": lambda x: Doubling.apply(x) * 2,
    "sparse": lambda x: (x.to_sparse() * 2).to_dense() * 2,
    "nested": lambda x: torch.nested.nested_tensor([x, x[:2]]).to_padded_tensor(0.0) * 2,
    "quantized": lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.quint8).dequantize() * 2,
    "meta": lambda x: x.to("meta") * 2,
    "conjugate": lambda x: (x + 0j).conj().real * 2,
    "complex": lambda x: torch.fft.fft(x) * 2,
    "empty": lambda x: x[:0] * 2,
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", ODD)
def test_odd_kinds_do_not_raise(name):
    seen = Seen(ODD[name], X)
    assert seen.kernels.count > 1
    assert seen.call("mul", -1).count == 1, "what follows is seen again"


def test_kernels_of_a_branch_of_a_higher_order_op_are_its_own():
    seen = Seen(lambda x: torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,)), X)
    assert "sin" in seen.order()
    assert "cos" not in seen.order()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_kernels_in_opaque_calls_are_not_followed():
    seen = Seen(ODD["vmap"], X)
    inside = [call for call in seen.calls if call.node.info.name == "vmap" and call.count]
    assert [list(call.kernels) for call in inside] == [["sin"], ["add"]]
    assert not any(call.is_followed for call in inside)
    assert seen.call("mul").is_followed, "the control"


def test_an_error_of_the_model_is_its_own():
    with pytest.raises(RuntimeError, match="size of tensor"):
        Seen(lambda x: x * torch.ones(3), X)
    assert Seen(lambda x: x * 2, X).order() == ["mul"]
