"""Tensors that no recorded call made: parameters, buffers, constants, other looks, results of unseen code."""

import gc
import sys
import weakref

import pytest
import torch
from models import Of
from torch import nn

import torchlens_core as tl
from torchlens_core.origins import Modules, alias_of, tensors_of, transform_of, walk


class Shared(nn.Module):
    """A module, a parameter and a cycle of modules, under several names."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(2, 2)
        self.two = self.one
        self.nested = nn.ModuleDict({"norm": nn.BatchNorm1d(2), "none": nn.Identity()})
        self.tied = nn.Linear(2, 2)
        self.tied.weight = self.one.weight
        self.missing = None
        self.register_module("absent", None)


# -- the model's own ---------------------------------------------------------------------------------


def test_the_walk_is_that_of_torch():
    model = Shared()
    assert list(walk(model)) == list(model.named_modules())
    assert [id(t) for t in tensors_of(m for _, m in walk(model))][:2] == [
        id(model.one.weight),
        id(model.one.bias),
    ]


def test_a_model_that_holds_itself_is_walked_once():
    model = nn.Module()
    model.add_module("inner", nn.Module())
    model.inner.add_module("outer", model)
    assert [address for address, _ in walk(model)] == ["", "inner"]


def test_parameters_and_buffers_are_known_by_their_first_name():
    model = Shared()
    modules = Modules(model)
    assert modules.find(model.tied.weight) == ("parameter", "one.weight")
    assert modules.find(model.nested["norm"].running_mean) == ("buffer", "nested.norm.running_mean")
    assert modules.find(torch.zeros(2)) is None


def test_modules_outside_the_model_get_addresses_of_their_own():
    model, stranger = Shared(), nn.Sequential(nn.ReLU())
    modules = Modules(model)
    assert modules.address(model.two, "") == "one"
    assert modules.address(stranger, "nested") == "nested.(Sequential)"
    assert modules.address(stranger[0], "") == "nested.(Sequential).0"
    model.add_module("late", nn.Tanh())
    assert modules.address(model.late, "") == "late"


def test_modules_that_the_pass_drops_keep_their_ids():
    """Else a module built in the pass may have the id, and so the address and the number, of one before it."""
    model = Shared()
    modules = Modules(model)
    stranger = nn.Sequential(nn.ReLU())
    modules.address(stranger, "")
    dropped = [weakref.ref(one) for one in (model.nested, model.nested["norm"], stranger, stranger[0])]
    del model.nested, stranger
    gc.collect()
    assert [modules.addresses.get(id(one())) for one in dropped] == [
        "nested",
        "nested.norm",
        "(Sequential)",
        "(Sequential).0",
    ]
    del modules
    gc.collect()
    assert [one() for one in dropped] == [None] * 4


def sources(function, *args, **kwargs) -> dict[str, str | None]:
    """Labels of what is no call, with the names they have."""
    history = tl.log_forward_pass(Of(function), list(args), **kwargs)
    ops = {op.layer_label for op in history.ops}
    return {op.layer_label: op.address for op in history if op.layer_label not in ops}


X = torch.rand(2)


def test_constants_are_named_by_the_attribute_that_holds_them():
    class Holding(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.ones(2)

        def forward(self, x):
            return x * self.scale + OUTSIDE

    history = tl.log_forward_pass(nn.Sequential(Holding()), X)
    constants = [history[label].address for label in history.constant_layers]
    assert constants == ["0.scale", None]


OUTSIDE = torch.ones(2)


def test_a_buffer_registered_in_the_pass_is_one():
    class Late(nn.Module):
        def forward(self, x):
            self.register_buffer("made", torch.Tensor([1.0, 2.0]))  # no mode sees it made
            return x + self.made

    history = tl.log_forward_pass(nn.Sequential(Late()), X)
    assert [history[label].buffer_address for label in history.buffer_layers] == ["0.made"]


def test_one_tensor_as_two_arguments_is_two_inputs_of_which_one_depends_on_the_other():
    history = tl.log_forward_pass(Of(lambda a, b: b * 2), [X, X])
    assert history.input_layers == ["input_1", "input_2"]
    assert history["output_1"].input_ancestors == {"input_1", "input_2"}


# -- other looks at known memory ---------------------------------------------------------------------


def test_a_parameter_made_of_a_tensor_is_another_look_at_it():
    history = tl.log_forward_pass(Of(lambda x: nn.Parameter(x * 2) + 1), [X])
    assert [op.func_applied_name for op in history.ops] == ["mul", "alias", "add"]
    assert history["add"].ancestors >= {"input_1", "mul_1_1"}


def test_an_alias_shows_the_memory_of_its_base():
    base = torch.arange(6.0)
    look = alias_of(base, torch.float32, (2, 2), (3, 1), 1)
    assert look.tolist() == [[1, 2], [4, 5]]
    base.zero_()
    assert look.sum() == 0


@pytest.mark.parametrize("name", ["is_conj", "is_neg"])
def test_lazy_views_are_aliased_as_such(name):
    base = torch.tensor([1 + 2j])
    look = alias_of(base, base.dtype, (1,), (1,), 0, **{name: True})
    assert look.tolist() == [1 - 2j if name == "is_conj" else -1 - 2j]


def test_memory_that_left_and_came_back_is_followed():
    def forward(x):
        y = x * 2
        return torch.from_dlpack(y) + 1, torch.from_numpy(y.numpy()) + 1

    with torch.no_grad():
        history = tl.log_forward_pass(Of(forward), [X])
    for label in history.output_layers:
        assert "input_1" in history[label].ancestors


# -- results of unseen code --------------------------------------------------------------------------


def test_results_of_unseen_code_are_traced_through_autograd():
    def forward(x):
        y = x * 2
        with torch._C.DisableTorchFunction():
            z = y.exp() + y.sin()
        return z + 1

    history = tl.log_forward_pass(Of(forward), [torch.rand(2, requires_grad=True)])
    (unseen,) = (op for op in history.ops if op.is_opaque)
    assert unseen.parent_layers == ["mul_1_1"]
    assert history.ops[-1].parent_layers == [unseen.layer_label]


def test_without_autograd_they_are_constants():
    """The control: nothing tells where they came from."""

    def forward(x):
        with torch._C.DisableTorchFunction():
            z = x.exp()
        return z + 1

    with torch.no_grad():
        assert set(sources(forward, X)) == {"input_1", "constant_1", "output_1"}


def test_the_transform_of_a_frame():
    names = []

    def inner(x):
        names.append(transform_of(sys._getframe())[0])
        return x.sum()

    torch.vmap(inner)(torch.rand(2, 3))
    torch.func.grad(inner)(torch.rand(3))
    assert names == ["vmap", "grad"]
    assert transform_of(sys._getframe()) == ("transform", None)
    assert transform_of(None) == ("transform", None)
