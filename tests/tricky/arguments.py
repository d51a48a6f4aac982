"""What goes in and what comes out: nested, shared, written, of any kind."""

from __future__ import annotations

import collections
import dataclasses
import types
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .case import Tricky, rand


class InputWritten(nn.Module):
    """The model changes its input in place."""

    def forward(self, x, w):
        x.mul_(w)
        return x + 1


class SharedInputs(nn.Module):
    """Two inputs are views of one memory, and one is written."""

    def forward(self, whole, part):
        part.mul_(2)
        return whole * 1


@dataclasses.dataclass
class Answer:
    logits: Tensor
    extra: dict[str, Any]


Pair = collections.namedtuple("Pair", "left right")


class Structures(nn.Module):
    """Nested dicts, tuples, dataclasses and named tuples, in and out."""

    def forward(self, batch, *, mask=None):
        total = batch["x"] * 2
        return Answer(total, {"list": [batch["more"][0] + 1, Pair(mask * 3, 5)], "none": None})


class NoTensorArguments(nn.Module):
    """A model that is given no tensor."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3))

    def forward(self, count):
        return self.weight.repeat(count)


class SameTensorTwice(nn.Module):
    """One tensor as two arguments."""

    def forward(self, a, b):
        return a + b * 2


class ReturnsParameter(nn.Module):
    """A parameter and a buffer are part of the result."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3))
        self.register_buffer("seen", torch.ones(3))

    def forward(self, x):
        return x * self.weight, self.weight, self.seen


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    tensor: Tensor
    extra: Any = None


class Slotted:
    __slots__ = ("tensor", "unset")

    def __init__(self, tensor: Tensor):
        self.tensor = tensor


class FrozenArguments(nn.Module):
    """Frozen dataclasses, slots, named tuples and namespaces, in and out."""

    def forward(self, frozen, pair, slotted, space):
        total = frozen.tensor + frozen.extra["scale"] * pair.left + slotted.tensor * space.factor
        return Frozen(total * 2, [None, "text"]), Pair(total + 1, None), Slotted(total * 3)


class OddContainers(nn.Module):
    """A set, a deque, user dicts, chains of dicts and defaultdicts, in and out."""

    def forward(self, tensors, queue, user, chain):
        (only,) = tensors
        grouped = collections.defaultdict(list, values=[user["a"] * 2])
        return {only * 2}, collections.deque([queue[0] + chain["b"]]), grouped


class ReadOnlyArguments(nn.Module):
    """A mapping that cannot be written, nor copied, goes in and comes out."""

    def forward(self, mapping):
        return types.MappingProxyType({"sum": mapping["a"] + mapping["b"][0]})


class ModelOutput(collections.OrderedDict):
    """What transformers return: keys that are attributes as well."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class _ReturnsOutput(nn.Module):
    def forward(self, x):
        return ModelOutput(logits=x * 2, states=(x + 1, x + 2))


class OutputsLikeTransformers(nn.Module):
    """An ordered dict with attributes goes from module to module, and out."""

    def __init__(self):
        super().__init__()
        self.inner = _ReturnsOutput()

    def forward(self, x):
        inner = self.inner(x)
        return ModelOutput(logits=inner["logits"] + inner.states[0], inner=inner)


class AnyArguments(nn.Module):
    """``*args``, ``**kwargs``, a tensor as default, None, numbers and text."""

    default = torch.full((3,), 2.0)

    def forward(self, *args, scale, text="", missing=None, offset=default, **rest):
        return args[0] * args[1] + offset * scale + rest["more"][0], text, missing


class KeywordsWritten(nn.Module):
    """Tensors given by keyword are written, and a list given by keyword grows."""

    def forward(self, x, *, a, kept):
        a.mul_(x)
        kept["rows"][0].add_(a)
        kept["rows"].append(x * 1)
        return kept["rows"]


class _Rows:
    def __init__(self):
        self.rows = []


class CachesGivenEmpty(nn.Module):
    """Caches come in empty, as lists, dicts and objects, and hold activations when they come back."""

    def forward(self, x, rows, table, *, held):
        rows[0].append(x * 2)
        table.setdefault("keys", []).append(x * 3)
        held.rows.append(x * 4)
        return torch.stack(rows[0]) + torch.stack(table["keys"]) + torch.stack(held.rows)


class NumpyArgument(nn.Module):
    """An array is an argument, and is written as a tensor."""

    def forward(self, x, array):
        factor = torch.from_numpy(array)
        factor.mul_(2)
        return x * factor


class IntegersAndTruths(nn.Module):
    """Integers and truth values are written in place."""

    def forward(self, places, mask, x):
        places.add_(1)
        mask.logical_not_()
        y = x * 1
        y[mask] = 0
        return y[places - 1], places, mask


class ThreeInputsOneMemory(nn.Module):
    """Three inputs look at one memory, and the last is written."""

    def forward(self, left, right, whole):
        whole.mul_(2)
        return left * 1, right * 1, whole * 1


class SameTensorNested(nn.Module):
    """One tensor comes in under three names and as a view, which is written."""

    def forward(self, nested, x):
        nested["more"][1].mul_(3)
        return x * 1, nested["same"] + 1


class ParameterGiven(nn.Module):
    """A parameter of the model is given as input too."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.scale = nn.Parameter(torch.rand(3))

    def forward(self, x):
        return self.fc(x) * self.scale


class RequiresGradGiven(nn.Module):
    """An input is made to require a gradient, which a backward pass computes."""

    def forward(self, x, w):
        w.requires_grad_()
        y = x * w
        y.sum().backward(retain_graph=True)
        return y, w.grad * 1


class ReturnsEverything(nn.Module):
    """The same activation twice, views, inputs, parameters, buffers, empty lists and text are results."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3))
        self.register_buffer("seen", torch.ones(3))

    def forward(self, x):
        y = x * 2
        views = Frozen(y[1:], {"pair": Pair(x, None), "weight": self.weight})
        return {
            "a": y,
            "b": y,
            "c": views,
            "d": (self.seen, self.seen),
            "e": [[]],
            "f": "t",
            "g": y.view(-1),
        }


class ReturnsItself(nn.Module):
    """A result that contains itself."""

    def forward(self, x):
        rows = [x * 2]
        rows.append(rows)
        return rows


def _one_memory() -> tuple[Tensor, ...]:
    whole = torch.rand(4) + 0.5
    return whole[:3], whole[2:], whole


def _under_three_names() -> tuple[Any, ...]:
    x = torch.rand(3)
    return {"same": x, "more": [x, x[1:]]}, x


def _parameter_of_its_own() -> tuple[Tensor, ...]:
    return (nn.Parameter(torch.rand(2, 3)),)


def _odd_containers() -> tuple[Any, ...]:
    return (
        {torch.rand(2)},
        collections.deque([torch.rand(2)]),
        collections.UserDict(a=torch.rand(2)),
        collections.ChainMap({"b": torch.rand(2)}),
    )


def _views() -> tuple[Tensor, ...]:
    whole = torch.rand(4) + 0.5
    return whole, whole[1:3]


def _twice() -> tuple[Tensor, ...]:
    x = torch.rand(3)
    return x, x


_3 = (3,)

CASES: list[Tricky] = [
    Tricky(InputWritten, rand(_3, _3)),
    Tricky(SharedInputs, _views),
    Tricky(
        Structures,
        lambda: ({"x": torch.rand(2), "more": (torch.rand(2),)},),
        lambda: {"mask": torch.rand(1)},
    ),
    Tricky(NoTensorArguments, lambda: (2,)),
    Tricky(SameTensorTwice, _twice),
    Tricky(ReturnsParameter, rand(_3)),
    Tricky(
        FrozenArguments,
        lambda: (
            Frozen(torch.rand(3), {"scale": torch.rand(3)}),
            Pair(torch.rand(3), None),
            Slotted(torch.rand(3)),
            types.SimpleNamespace(factor=torch.rand(3)),
        ),
    ),
    Tricky(OddContainers, _odd_containers),
    Tricky(
        ReadOnlyArguments,
        lambda: (types.MappingProxyType({"a": torch.rand(2), "b": [torch.rand(2)]}),),
    ),
    Tricky(OutputsLikeTransformers, rand(_3)),
    Tricky(
        AnyArguments,
        rand(_3, _3),
        lambda: {"scale": 2.5, "text": "text", "more": [torch.rand(3)]},
    ),
    Tricky(
        KeywordsWritten,
        rand(_3),
        lambda: {"a": torch.rand(3), "kept": {"rows": [torch.rand(3)]}},
    ),
    Tricky(CachesGivenEmpty, lambda: (torch.rand(3), [[], []], {}), lambda: {"held": _Rows()}),
    Tricky(NumpyArgument, lambda: (torch.rand(3), np.ones(3, dtype=np.float32))),
    Tricky(
        IntegersAndTruths,
        lambda: (torch.arange(3), torch.tensor([True, False, True]), torch.rand(3)),
    ),
    Tricky(ThreeInputsOneMemory, _one_memory),
    Tricky(SameTensorNested, _under_three_names, grad=False),
    Tricky(ParameterGiven, _parameter_of_its_own),
    # the gradient of a product is the other factor
    Tricky(RequiresGradGiven, rand(_3, _3), blind=frozenset({"input.1"})),
    Tricky(ReturnsEverything, rand(_3)),
    Tricky(ReturnsItself, rand(_3)),
]
