"""Module calls as hooks see them, and modules without a hook afterwards."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from torchlens_core.hooks import Hooks

X = torch.rand(2, 3)


class Twice(nn.Module):
    """Calls one module twice, and another inside a third."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.body = nn.Sequential(nn.ReLU(), nn.Dropout().eval())

    def forward(self, x, scale=None):
        x = self.body(self.fc(x))
        x = self.fc(x)
        return x if scale is None else x * scale


@contextmanager
def watching(model: nn.Module) -> Iterator[Hooks]:
    hooks = Hooks(model)
    hooks.attach()
    try:
        yield hooks
    finally:
        hooks.detach()


def watched(model: nn.Module, *args: Any, **kwargs: Any) -> Hooks:
    with watching(model) as hooks:
        hooks.result = model(*args, **kwargs)
    return hooks


def hung(model: nn.Module) -> list[tuple[Any, ...]]:
    """All that hangs on the modules of a model."""
    names = [name for name in vars(nn.Module()) if "hook" in name]
    return [
        (address, name, tuple(vars(module)[name].items()))
        for address, module in model.named_modules()
        for name in names
        if isinstance(vars(module)[name], dict)
    ]


def are_same(references: list[Any], objects: list[Any]) -> bool:
    """Whether weak references are to those very objects."""
    return [id(reference()) for reference in references] == [id(one) for one in objects]


def names(hooks: Hooks) -> list[str]:
    return [f"{call.address}:{call.number}" for call in hooks.calls]


# -- what is seen ------------------------------------------------------------------------------------


def test_calls_in_order_with_their_numbers():
    hooks = watched(Twice(), X)
    assert names(hooks) == ":1 fc:1 body:1 body.0:1 body.1:1 fc:2".split()


def test_calls_around():
    hooks = watched(Twice(), X)
    assert [call.parent for call in hooks.calls] == [-1, 0, 0, 2, 2, 0]
    assert hooks.current() == -1


def test_the_call_that_runs_now():
    model = Twice()
    seen = []
    model.body[0].register_forward_hook(lambda *_: seen.append(hooks.current()))
    with watching(model) as hooks:
        model(X)
    assert seen == [3]


def test_classes_and_modes():
    hooks = watched(Twice(), X)
    assert [(call.class_name, call.training) for call in hooks.calls[3:]] == [
        ("ReLU", True),
        ("Dropout", False),
        ("Linear", True),
    ]


def test_inputs_and_outputs_are_those_objects():
    model, scale = Twice(), torch.ones(3)
    hooks = watched(model, X, scale=scale)
    whole, first = hooks.calls[0], hooks.calls[1]
    assert are_same(whole.inputs, [X, scale])
    assert are_same(first.inputs, [X])
    assert are_same(whole.outputs, [hooks.result])
    assert not are_same(whole.outputs, [hooks.result.clone()]), "the control"


def test_tensors_in_structures():
    class Parts(nn.Module):
        def forward(self, parts):
            return {"sum": parts["a"] + parts["b"][0], "same": parts["a"]}

    a, b = torch.rand(2), torch.rand(2)
    hooks = watched(Parts(), {"a": a, "b": [b]})
    (call,) = hooks.calls
    assert are_same(call.inputs, [a, b])
    assert are_same(call.outputs, [hooks.result["sum"], a])


def test_tensors_are_not_kept():
    hooks = watched(Twice(), torch.rand(2, 3))
    assert hooks.calls[1].outputs[0]() is None


def test_modules_of_a_model_under_two_names_have_the_first():
    relu = nn.ReLU()
    hooks = watched(nn.Sequential(relu, relu), X)
    assert names(hooks) == [":1", "0:1", "0:2"]


# -- what users hang on ------------------------------------------------------------------------------


def test_results_that_hooks_replace():
    model, other = Twice(), torch.ones(2, 3)
    model.fc.register_forward_hook(lambda *_: other)
    hooks = watched(model, X)
    assert are_same(hooks.calls[1].outputs, [other])
    assert are_same(hooks.calls[2].inputs, [other])


def test_arguments_that_hooks_replace():
    """What the caller has handed in is the input."""
    model, other = Twice(), torch.ones(2, 3)
    seen = []
    model.fc.register_forward_pre_hook(lambda *_: (other,))
    model.fc.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    hooks = watched(model, X)
    assert are_same(hooks.calls[1].inputs, [X])
    assert seen[0] is other, "the control"


def test_modules_called_by_hooks_are_inside():
    model, inner = Twice(), nn.Tanh()
    model.more = inner
    model.fc.register_forward_pre_hook(lambda _, args: (inner(args[0]),))
    hooks = watched(model, X)
    assert names(hooks)[:3] == [":1", "fc:1", "more:1"]
    assert hooks.calls[2].parent == 1


# -- calls that come to no end -----------------------------------------------------------------------


class Failing(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, x):
        raise self.error


class Catching(nn.Module):
    """Goes on after an error inside."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner
        self.after = nn.Tanh()

    def forward(self, x):
        with suppress(BaseException):
            self.inner(x)
        return self.after(x)


class Stop(BaseException):
    """Not one of those that ``nn.Module`` catches."""


def around_after(model: nn.Module) -> list[int]:
    hooks = watched(model, X)
    return [call.parent for call in hooks.calls if call.address in ("inner", "after")]


def test_calls_that_raise_are_left():
    model = Catching(Failing(ValueError()))
    hooks = watched(model, X)
    assert names(hooks) == [":1", "inner:1", "after:1"]
    assert [call.parent for call in hooks.calls] == [-1, 0, 0]
    assert hooks.calls[1].outputs == []
    assert are_same(hooks.calls[0].outputs, [hooks.result])


@pytest.mark.parametrize("register", ["register_forward_pre_hook", "register_forward_hook"])
def test_calls_whose_hooks_raise_are_left(register):
    def fail(*_):
        raise ValueError

    inner = nn.ReLU()
    getattr(inner, register)(fail)
    assert around_after(Catching(inner)) == [0, 0]


def test_calls_that_are_abandoned_are_left():
    assert around_after(Catching(Failing(Stop()))) == [0, 0]


def test_calls_that_a_global_hook_forbids_are_not_left():
    def forbid(module, args):
        if isinstance(module, nn.ReLU):
            raise ValueError

    handle = register_module_forward_pre_hook(forbid)
    try:
        assert around_after(Catching(nn.ReLU())) == [0]
    finally:
        handle.remove()


# -- afterwards --------------------------------------------------------------------------------------


def do_nothing(*_):
    return None


def test_nothing_hangs_on_afterwards():
    model = Twice()
    model.fc.register_forward_hook(do_nothing)
    model.fc.register_forward_pre_hook(do_nothing)
    before = hung(model)
    with watching(model):
        assert hung(model) != before, "the control"
        model(X)
    assert hung(model) == before


def test_nothing_hangs_on_after_an_error():
    model = Catching(nn.ReLU())
    model.after = Failing(ValueError("late"))
    before = hung(model)
    with pytest.raises(ValueError, match="late"), watching(model):
        model(X)
    assert hung(model) == before


def test_calls_afterwards_are_not_seen():
    model = Twice()
    hooks = watched(model, X)
    model(X)
    assert len(hooks.calls) == 6


def test_copies_made_in_the_pass_are_not_seen():
    class Copying(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x):
            return copy.deepcopy(self.fc)(self.fc(x))

    hooks = watched(Copying(), X)
    assert names(hooks) == [":1", "fc:1"]
    assert are_same(hooks.calls[0].outputs, [hooks.result])


def test_modules_built_in_the_pass_are_not_seen_but_what_they_take_over_is():
    class Replacing(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nn.Sequential(nn.Linear(3, 3))

        def forward(self, x):
            self.block = nn.Sequential(self.block[0], nn.ReLU())
            return self.block(x)

    model = Replacing()
    known = [*model.modules()]
    hooks = watched(model, X)
    assert names(hooks) == [":1", "block.0:1"]
    assert [*hooks.hooked.values()] == known


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_scripted_modules_take_no_hooks():
    model = nn.Sequential(torch.jit.script(nn.ReLU()), nn.Tanh())
    hooks = watched(model, X)
    assert names(hooks) == [":1", "1:1"]
    assert list(hooks.hooked.values()) == [model, model[1]]


def test_tensors_of_transforms_are_left_out():
    model = Twice()
    with watching(model) as hooks:
        torch.vmap(model, randomness="different")(X)
    assert len(hooks.calls) == 6
    assert [call.inputs for call in hooks.calls] == [[]] * 6
