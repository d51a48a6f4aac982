"""What a pass may change is put back: attributes, containers, buffers, generators, arguments."""

from __future__ import annotations

import functools
import random
from collections import Counter, OrderedDict, defaultdict, deque
from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from torchlens_core.settings import ATTENTION, DEFAULT_DTYPE, KERNELS, Setting, set_to
from torchlens_core.state import Generators, Snapshot, Surroundings, copy_of_lazy, fresh_copy


class Holder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.register_buffer("total", torch.zeros(2))
        self.count = 0
        self.items: list = [1, 2]
        self.table: dict = {"a": 1}
        self.names: set = {"x"}
        self.tensors: list = [torch.zeros(1)]


def change(model: Holder, how: str) -> None:
    {
        "buffer written": lambda: model.total.add_(1),
        "buffer rebound": lambda: setattr(model, "total", torch.ones(2)),
        "buffer resized": lambda: setattr(model.total, "data", torch.ones(5)),
        "buffer cast": lambda: setattr(model.total, "data", torch.ones(2).double()),
        "buffer added": lambda: model.register_buffer("more", torch.ones(1)),
        "buffer removed": lambda: delattr(model, "total"),
        "attribute": lambda: setattr(model, "count", 7),
        "attribute added": lambda: setattr(model, "new", 1),
        "attribute removed": lambda: delattr(model, "count"),
        "list": lambda: model.items.append(3),
        "dict": lambda: model.table.update(b=2),
        "set": lambda: model.names.clear(),
        "list of tensors": lambda: model.tensors.append(torch.ones(1)),
        "training": lambda: model.fc.train(not model.fc.training),
        "module added": lambda: model.add_module("more", nn.ReLU()),
        "parameter rebound": lambda: setattr(model.fc, "bias", nn.Parameter(torch.ones(2))),
    }[how]()


CHANGES = (
    "buffer written;buffer rebound;buffer resized;buffer cast;buffer added;buffer removed;attribute;"
    "attribute added;attribute removed;list;dict;set;list of tensors;training;module added;"
    "parameter rebound"
).split(";")


def look(model: Holder) -> dict:
    """The state as others see it, identities included."""
    return {
        "state": {
            name: (id(t), t.dtype, t.tolist()) for name, t in model.state_dict(keep_vars=True).items()
        },
        "attributes": sorted(vars(model)),
        "count": vars(model).get("count"),
        "containers": (list(model.items), dict(model.table), set(model.names), len(model.tensors)),
        "identities": (id(model.items), id(model.table), id(model.names)),
        "training": [module.training for module in model.modules()],
    }


@pytest.mark.parametrize("how", CHANGES)
def test_model_is_put_back(how):
    model = Holder()
    state, before = Snapshot(model), look(model)
    with torch.no_grad():
        change(model, how)
    assert look(model) != before, "the control: the change is seen"
    state.restore({})
    assert look(model) == before


def test_put_back_twice():
    model = Holder()
    state, before = Snapshot(model), look(model)
    for how in ("list", "buffer written"):
        change(model, how)
        state.restore({})
        assert look(model) == before


def test_written_parameters_get_the_values_handed_in():
    model = Holder()
    state, weight = Snapshot(model), model.fc.weight
    first = weight.detach().clone()
    with torch.no_grad():
        weight.mul_(2)
    state.restore({})
    assert not torch.equal(weight, first)
    state.restore({id(weight): first})
    assert torch.equal(weight, first)
    assert model.fc.weight is weight


class Slotted:
    """Holds what it holds in a slot."""

    __slots__ = ("n",)

    def __init__(self):
        self.n = 1


HELD = {
    "list in list": ([[1]], lambda held: held[0].append(2), lambda held: held == [[1]]),
    "list in dict": ({"a": [1]}, lambda held: held["a"].append(2), lambda held: held == {"a": [1]}),
    "list in tuple": (([1],), lambda held: held[0].append(2), lambda held: held == ([1],)),
    "deque": (deque([1], maxlen=3), lambda held: held.append(2), lambda held: list(held) == [1]),
    "ordered dict": (OrderedDict(a=1), lambda held: held.update(b=2), lambda held: dict(held) == {"a": 1}),
    "counter": (Counter("a"), lambda held: held.update("a"), lambda held: held["a"] == 1),
    "defaultdict": (defaultdict(list), lambda held: held["a"], lambda held: not held),
    "object": (SimpleNamespace(n=1), lambda held: setattr(held, "n", 2), lambda held: held.n == 1),
    "slots": (Slotted(), lambda held: setattr(held, "n", 2), lambda held: held.n == 1),
    "tensor in list": ([torch.zeros(1)], lambda held: held[0].add_(1), lambda held: held[0].item() == 0),
    "array": (np.zeros(2), lambda held: held.__setitem__(0, 1.0), lambda held: held[0] == 0.0),
    "tensor": (torch.zeros(1), lambda held: held.add_(1), lambda held: held.item() == 0),
    "module not registered": (
        (nn.BatchNorm1d(2),),
        lambda held: held[0](torch.rand(3, 2)),
        lambda held: held[0].num_batches_tracked.item() == 0,
    ),
}


@pytest.mark.parametrize("kind", HELD)
def test_whatever_a_module_holds_is_put_back(kind):
    held, write, read = HELD[kind]
    model = Holder()
    model.held = held
    state = Snapshot(model)
    assert read(held)
    write(held)
    assert not read(held)
    state.restore({})
    assert model.held is held
    assert read(held)


def test_hooks_registered_by_a_pass_are_put_back():
    model = Holder()
    state = Snapshot(model)
    model.register_forward_hook(lambda *_: None)
    state.restore({})
    assert not model._forward_hooks


@pytest.mark.parametrize("first", [None, torch.ones(2)], ids=["none", "some"])
def test_gradients_are_put_back(first):
    model = Holder()
    model.fc.bias.grad = first
    state = Snapshot(model)
    for _ in range(2):
        model.fc(torch.ones(2)).sum().backward()
        state.restore({})
        assert model.fc.bias.grad is first
        assert first is None or torch.equal(first, torch.ones(2))
        assert model.fc.weight.grad is None


@pytest.mark.parametrize(
    "generator",
    [random.Random(3), np.random.default_rng(3), np.random.RandomState(3)],
    ids=lambda generator: type(generator).__name__,
)
def test_generators_of_its_own_are_put_back(generator):
    model = Holder()
    model.held = {"g": generator}
    state = Snapshot(model)
    first, second = generator.random(), generator.random()
    assert first != second
    state.restore({})
    assert generator.random() == first


def test_a_cycle_ends():
    model = Holder()
    model.items.append(model.items)
    model.items.append(model)
    state = Snapshot(model)
    model.items.append(3)
    state.restore({})
    assert len(model.items) == 4


def test_lazy_model_is_copied():
    model = nn.Sequential(nn.LazyBatchNorm1d(), nn.LazyLinear(2))
    copy = copy_of_lazy(model)
    copy(torch.rand(3, 4))
    assert copy[1].weight.shape == (2, 4)
    assert all(is_lazy(tensor) for tensor in [*model.parameters(), model[0].running_mean])


# -- generators --------------------------------------------------------------------------------------


def draws(generator: torch.Generator) -> dict:
    return {
        "torch": lambda: torch.rand(1),
        "random": random.random,
        "numpy.random": np.random.rand,
        "a torch.Generator": lambda: torch.rand(1, generator=generator),
    }


@pytest.mark.parametrize("name", draws(torch.Generator()))
def test_generators(name):
    generator = torch.Generator().manual_seed(3)
    draw = draws(generator)[name]
    before = Generators([generator])
    assert before.differences(Generators([generator])) == []
    first = draw()
    assert before.differences(Generators([generator])) == [name]
    before.restore()
    assert before.differences(Generators([generator])) == []
    assert draw() == first


def test_generators_held_somewhere_are_found():
    model = nn.Sequential(nn.ReLU())
    model[0].generator = torch.Generator()
    handed_in = {"options": [torch.Generator()]}
    handed_in["options"].append(handed_in)
    assert Snapshot(model, handed_in).generators == [model[0].generator, handed_in["options"][0]]


# -- arguments ---------------------------------------------------------------------------------------


def test_copies_have_memory_of_their_own():
    x, more = torch.zeros(2), {"y": torch.zeros(2), "n": 3}
    (one, copied) = fresh_copy((x, more))
    one.add_(1)
    copied["y"].add_(1)
    copied["z"] = 1
    assert torch.equal(x, torch.zeros(2))
    assert torch.equal(more["y"], torch.zeros(2))
    assert more.keys() == {"y", "n"}


def test_shared_memory_is_shared_again():
    whole = torch.zeros(4)
    base, view, again = fresh_copy((whole, whole[1:3], whole))
    view.add_(1)
    assert base.tolist() == [0, 1, 1, 0]
    assert again is base
    assert torch.equal(whole, torch.zeros(4))


def test_layout_of_copies():
    x = torch.arange(6.0).view(2, 3).t()[1:]
    copied = fresh_copy(x)
    assert (copied.stride(), copied.storage_offset()) == (x.stride(), x.storage_offset())
    assert torch.equal(copied, x)


@pytest.mark.parametrize(
    "x",
    [
        torch.rand(2, requires_grad=True),
        torch.eye(2).to_sparse(),
        torch.rand(2, device="meta"),
        nn.Parameter(torch.rand(2)),
        torch.rand(2).half(),
    ],
    ids="grad sparse meta parameter half".split(),
)
def test_copies_of_every_kind(x):
    copied = fresh_copy(x)
    assert copied is not x
    assert (copied.dtype, copied.layout, copied.device, copied.requires_grad) == (
        x.dtype,
        x.layout,
        x.device,
        x.requires_grad,
    )
    assert copied.is_leaf


# -- what has changed --------------------------------------------------------------------------------

CHANGED = {
    "buffer written": {"model.total": [1, 1]},
    "buffer rebound": {"model.total": [1, 1]},
    "buffer resized": {"model.total": [1, 1, 1, 1, 1]},
    "buffer cast": {"model.total": [1, 1]},
    "buffer added": {"model.more": [1]},
    "buffer removed": {"model.total": None},
    "attribute": {"model.count": 7},
    "attribute added": {"model.new": 1},
    "attribute removed": {"model.count": None},
    "list": {
        "model.items.": "list of 3",
        "model.items..0": 1,
        "model.items..1": 2,
        "model.items..2": 3,
    },
    "dict": {"model.table.b": 2},
    "set": {"model.names.": "list of 0"},
    "list of tensors": {
        "model.tensors.": "list of 2",
        "model.tensors..0": [0],
        "model.tensors..1": [1],
    },
    "training": {"model.fc.training": False},
    "module added": {"model.more": "ReLU"},
    "parameter rebound": {"model.fc.bias": [1, 1]},
}


def told(state: Snapshot) -> dict:
    """What has changed, tensors as lists."""
    return {
        path: value.tolist() if isinstance(value, torch.Tensor) else value
        for path, value in state.changes().items()
    }


@pytest.mark.parametrize("how", CHANGES)
def test_changes_are_told_by_path(how):
    model = Holder()
    state = Snapshot(model)
    assert told(state) == {}
    with torch.no_grad():
        change(model, how)
    found = told(state)
    assert {path: found.get(path) for path in CHANGED[how]} == CHANGED[how]
    state.restore({})
    assert told(state) == {}


@pytest.mark.parametrize("how", [how for how in CHANGES if how not in ("buffer added", "buffer removed")])
def test_nothing_else_is(how):
    model = Holder()
    state = Snapshot(model)
    with torch.no_grad():
        change(model, how)
    assert told(state).keys() == CHANGED[how].keys()


def silent(*_: object) -> None:
    """A hook that does nothing."""


def other(*_: object) -> None:
    """Another."""


class Caller:
    """A hook that is an object, and one that is a method of it."""

    def __call__(self, *_: object) -> None:
        """Do nothing."""

    def method(self, *_: object) -> None:
        """Do nothing."""


def wrapped() -> object:
    """A function with a wrapper around it, as torch makes for some hooks."""
    return functools.update_wrapper(Caller(), lambda *_: None)


#: What is done to hooks, anew each time it is called.
HOOKED = {
    "function": lambda module: module.register_forward_hook(silent),
    "another": lambda module: module.register_forward_hook(other),
    "lambda": lambda module: module.register_forward_hook(lambda *_: None),
    "other lambda": lambda module: module.register_forward_hook(lambda *args: None),
    "method": lambda module: module.register_forward_hook(Caller().method),
    "object": lambda module: module.register_forward_hook(Caller()),
    "partial": lambda module: module.register_forward_hook(functools.partial(silent, 1)),
    "partial of another": lambda module: module.register_forward_hook(functools.partial(other, 1)),
    "wrapped": lambda module: module.register_forward_hook(wrapped()),
    "first": lambda module: module.register_forward_hook(silent, prepend=True),
    "with names": lambda module: module.register_forward_hook(silent, with_kwargs=True),
    "always": lambda module: module.register_forward_hook(silent, always_call=True),
    "before": lambda module: module.register_forward_pre_hook(silent),
    "twice": lambda module: [module.register_forward_hook(silent) for _ in range(2)],
    "removed": lambda module: module._forward_hooks.popitem(),
    "exchanged": lambda module: [module._forward_hooks.popitem(), module.register_forward_hook(silent)],
    "in place": lambda module: module._forward_hooks.update(dict.fromkeys(module._forward_hooks, other)),
    "elsewhere": lambda module: module.inner.register_forward_hook(silent),
}


def hooked(how: str | None) -> tuple[dict, dict]:
    """What has changed of a module with a hook when that is done to it; twice, from one state."""
    module = nn.Module()
    module.inner = nn.Module()
    module.register_forward_hook(silent)
    state, found = Snapshot(module), []
    for _ in range(2):
        if how is not None:
            HOOKED[how](module)
        found.append(state.changes())
        state.restore({})
        assert state.changes() == {}
    return found[0], found[1]


@pytest.mark.parametrize("how", HOOKED)
def test_hooks_registered_by_two_passes_are_the_same(how):
    """Their numbers are not, nor are the functions that a pass makes."""
    first, second = hooked(how)
    assert first == second != {}


def test_hooks_are_told_apart():
    found = [hooked(how)[0] for how in (None, *HOOKED)]
    alike = [(n, m) for n, one in enumerate(found) for m, another in enumerate(found[:n]) if one == another]
    assert alike == []


@pytest.mark.parametrize("how", HOOKED)
def test_hooks_left_beside_those_of_the_model(how):
    """What a tracer would leave behind, even if it looks like the model's own."""
    module = nn.Module()
    module.inner = nn.Module()
    state = Snapshot(module)
    module.register_forward_hook(silent)
    own = state.changes()
    HOOKED[how](module)
    left = state.changes()
    # another in its place that is like it is no change
    assert (left == own) == (how == "exchanged")


def test_a_hook_in_words():
    module = nn.Module()
    state = Snapshot(module)
    module.register_forward_hook(silent)
    (order, words) = state.changes().items()
    assert order == ("model._forward_hooks.", "new 1")
    assert (words[0], repr(words[1])) == ("model._forward_hooks.new 1", "_Hook(name='silent')")


def test_written_parameters_are_left_out():
    model = Holder()
    state = Snapshot(model)
    with torch.no_grad():
        model.fc.weight.mul_(2)
    assert state.changes() == {}


def test_changes_are_copies():
    model = Holder()
    state = Snapshot(model)
    with torch.no_grad():
        model.total.add_(1)
        found = state.changes()
        model.total.add_(1)
    assert found["model.total"].tolist() == [1, 1]


def test_changes_inside_what_is_held_and_handed_in():
    model, given = Holder(), {"x": torch.zeros(2), "parts": [torch.zeros(1), {"n": 1}]}
    model.held = SimpleNamespace(inner={"t": torch.zeros(1)}, n=1)
    state = Snapshot(model, given)
    given["x"].add_(1)
    given["parts"][1]["n"] = 2
    model.held.n = 5
    model.held.inner["t"].add_(1)
    assert told(state) == {
        "model.held.inner.t": [1],
        "model.held.n": 5,
        "input.x": [1, 1],
        "input.parts.1.n": 2,
    }


def test_what_is_put_back_by_hand_has_not_changed():
    model = Holder()
    state = Snapshot(model)
    model.items.append(3)
    model.items.pop()
    model.total.add_(1).sub_(1)
    model.names |= {"x"}
    assert state.changes() == {}


def test_not_a_number_has_not_changed():
    model = Holder()
    model.total = torch.full((2,), float("nan"))
    state = Snapshot(model)
    assert state.changes() == {}


@pytest.mark.parametrize(
    ("held", "write"),
    [(Slotted, lambda held: setattr(held, "n", 2)), (lambda: np.zeros(2), lambda held: held.fill(1))],
    ids=["slot", "array"],
)
def test_changes_of_slots_and_arrays(held, write):
    model = Holder()
    model.held = held()
    state = Snapshot(model)
    write(model.held)
    assert state.changes()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tensors_that_cannot_be_compared_are_put_back():
    x = torch.rand(2).to(torch.complex32)
    state = Snapshot(Holder(), x)
    assert state.changes() == {}
    state.restore({})


# -- the surroundings --------------------------------------------------------------------------------


@contextmanager
def deterministic():
    torch._C._set_deterministic_algorithms(True)  # the public function imports the compiler
    try:
        yield
    finally:
        torch._C._set_deterministic_algorithms(False)


def changed(setting: Setting):
    """Another value of one of the settings that kernels are chosen by."""
    value = setting.read()
    if isinstance(value, bool):
        return set_to([(setting, not value)])
    return set_to([(setting, torch.float64 if value is torch.float32 else value[::-1])])


@contextmanager
def more_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


SURROUNDINGS = {
    "the stack of function modes": TorchFunctionMode,
    "the stack of dispatch modes": TorchDispatchMode,
    "nn.Module.__call__": lambda: patch.object(nn.Module, "__call__", nn.Module._call_impl),
    "grad mode": torch.no_grad,
    "inference mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "the number of threads": more_threads,
    "deterministic algorithms": deterministic,
    "autograd.Function.apply": lambda: patch.object(torch.autograd.Function, "apply", print),
    **{
        setting.name: functools.partial(changed, setting)
        for setting in (DEFAULT_DTYPE, *KERNELS.settings, *ATTENTION.settings)
    },
}


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_surroundings_that_differ(name):
    before = Surroundings()
    with SURROUNDINGS[name]():
        inside = Surroundings()
    assert name in before.differences(inside)
    assert before.differences(Surroundings()) == []


def test_every_fact_of_the_surroundings_has_its_test():
    assert SURROUNDINGS.keys() == Surroundings()._facts.keys()


def test_surroundings_that_do_not_differ():
    before = Surroundings()
    nn.Linear(2, 2)(torch.rand(2, 2)).sum().backward()
    assert before.differences(Surroundings()) == []
