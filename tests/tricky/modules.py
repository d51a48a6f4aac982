"""Modules: hooks, calls, sharing, parametrizations."""

from __future__ import annotations

import contextlib
import copy
import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

import torchlens_core as tl

from .case import Tricky, rand


class TreeOfModules(nn.Module):
    """A module that calls itself."""

    def __init__(self):
        super().__init__()
        self.leaf = nn.Linear(3, 3)
        self.join = nn.Linear(6, 3)

    def forward(self, tree):
        if isinstance(tree, Tensor):
            return self.leaf(tree)
        left, right = self(tree[0]), self(tree[1])
        return self.join(torch.cat([left, right], -1))


class Hooked(nn.Module):
    """Hooks that change what goes in and what comes out."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.fc.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
        self.fc.register_forward_hook(lambda module, args, out: out * 2)

    def forward(self, x):
        return self.fc(x)


class Parametrized(nn.Module):
    """Weights computed anew at each use."""

    def __init__(self):
        super().__init__()
        self.a = torch.nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))
        self.b = torch.nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3))

    def forward(self, x):
        return self.b(self.a(x))


class ReplacedParameters(nn.Module):
    """``functional_call`` with parameters of another's making."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.make = nn.Linear(3, 9)

    def forward(self, x, w):
        weight = self.make(w).view(3, 3)
        return torch.func.functional_call(self.fc, {"weight": weight}, (x,))


class LazyLayers(nn.Module):
    """Lazy modules get their parameters in their first forward."""

    def __init__(self):
        super().__init__()
        self.fc = nn.LazyLinear(4)
        self.norm = nn.LazyBatchNorm1d()

    def forward(self, x):
        return self.norm(self.fc(x))


class ModuleMadeInForward(nn.Module):
    """A module that exists only inside forward."""

    def forward(self, x):
        layer = nn.Linear(3, 3)
        nn.init.constant_(layer.weight, 0.5)
        nn.init.zeros_(layer.bias)
        return layer(x)


class _Replacing(nn.Module):
    """What takes the place of a block, and one of its modules."""

    def __init__(self, fc):
        super().__init__()
        self.fc = fc
        self.act = nn.Sigmoid()

    def forward(self, x):
        return self.act(self.fc(x))


class ReplacedInForward(nn.Module):
    """Blocks built in forward, in the place of others; what they take over is the model's."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential() for _ in range(3))
        for block in self.blocks:
            block.add_module("fc", nn.Linear(3, 3))

    def forward(self, x):
        for number, block in enumerate(self.blocks):
            if not isinstance(block, _Replacing):
                self.blocks[number] = _Replacing(block.fc)
        for block in self.blocks:
            x = block(x)
        return x


class CopiedInForward(nn.Module):
    """``deepcopy`` of a tensor and of a module inside forward."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        return copy.deepcopy(self.fc)(copy.deepcopy(x.detach()) * 1) + x


class SharedModule(nn.Module):
    """One module under two names."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = self.first

    def forward(self, x):
        return self.second(self.first(x))


class DirectForward(nn.Module):
    """``module.forward(x)`` goes past the call of the module."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        return self.fc.forward(x) + self.fc(x)


class PassesThrough(nn.Module):
    """Modules that return what they were given, and the model its input."""

    def __init__(self):
        super().__init__()
        self.same = nn.Identity()

    def forward(self, x, w):
        return self.same(x), self.same(self.same(w * 2))


class HooksOfAllKinds(nn.Module):
    """Hooks that take keywords, that always run, that change nothing, and those of the whole model."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.other = nn.Linear(3, 3)
        self.fc.register_forward_pre_hook(
            lambda m, args, kwargs: ((args[0] * 2,), kwargs), with_kwargs=True
        )
        self.fc.register_forward_hook(lambda m, args, kwargs, out: out + args[0], with_kwargs=True)
        self.fc.register_forward_hook(lambda m, args, out: None, always_call=True)
        self.register_forward_hook(lambda m, args, out: {"out": out, "in": args[0]})
        self.register_forward_pre_hook(lambda m, args: args[0] + 1)

    def forward(self, x):
        return self.other(self.fc(x)).relu()


class BackwardHooks(nn.Module):
    """Backward hooks of modules wrap what goes in and out, which adds no op to the graph."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.fc.register_full_backward_hook(lambda m, inputs, outputs: None)
        self.fc.register_full_backward_pre_hook(lambda m, outputs: None)

    def forward(self, x):
        return self.fc(x).relu()


class PreHookAddsArgument(nn.Module):
    """A hook gives forward an argument that the caller did not."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.register_forward_pre_hook(
            lambda m, args, kwargs: (args, {**kwargs, "factor": torch.full((3,), 2.0)}), with_kwargs=True
        )

    def forward(self, x, factor):
        return self.fc(x) * factor


class StopsInAHook(nn.Module):
    """A hook takes an activation and stops the rest, as feature extractors do."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
        self.body[1].register_forward_hook(self.stop)

    @staticmethod
    def stop(module, args, out):
        module.taken = out
        raise StopIteration

    def forward(self, x):
        with contextlib.suppress(StopIteration):
            self.body(x)
        return self.body[1].taken * 2


class _ScaledCall(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def __call__(self, x):
        return super().__call__(x, 2.0)

    def forward(self, x, factor):
        return self.fc(x) * factor


class _BareCall(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def __call__(self, x):
        return self.fc(x) * 2


class OwnCall(nn.Module):
    """Modules that override ``__call__``, one of which never calls its forward."""

    def __init__(self):
        super().__init__()
        self.scaled = _ScaledCall()
        self.bare = _BareCall()

    def __call__(self, x):
        return super().__call__(x, 2.0)

    def forward(self, x, factor):
        return self.scaled(x) * factor + self.bare(x)


class _Negated(nn.Linear):
    def forward(self, x):
        return -super().forward(x)


class ForwardPatched(nn.Module):
    """A module whose forward is an attribute of the instance, and one that calls its parent's."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.negated = _Negated(3, 3)
        self.negated.forward = functools.partial(_Negated.forward, self.negated)

    def forward(self, x):
        return self.negated(self.fc(x))


class _CallsGiven(nn.Module):
    def forward(self, module, x):
        return module(x) * 2


class ModulesAsArguments(nn.Module):
    """Modules are handed to other modules, which call them."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.other = nn.Linear(3, 3)
        self.apply_to = _CallsGiven()

    def forward(self, x):
        return self.apply_to(self.fc, self.apply_to(self.other, x))


class _Block(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        return self.fc(self.inner(x)).tanh()


class BlocksInBlocks(nn.Module):
    """Modules inside modules, called twice, one of them shared by two parents."""

    def __init__(self):
        super().__init__()
        shared = nn.Linear(3, 3)
        self.deep = _Block(_Block(shared))
        self.flat = _Block(shared)

    def forward(self, x):
        return self.flat(self.deep(self.deep(x)))


class Unregistered(nn.Module):
    """Modules in a list, and under a name that ``nn.Module`` does not know."""

    def __init__(self):
        super().__init__()
        self.hidden = [nn.Linear(3, 3)]
        object.__setattr__(self, "unknown", nn.Linear(3, 3))

    def forward(self, x):
        return self.unknown(self.hidden[0](x))


class _TakesNext(nn.Module):
    def forward(self, values):
        return next(values) * 2


class GeneratorAcrossModules(nn.Module):
    """A generator of the parent runs inside a child that asks for its next value."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.take = _TakesNext()

    def values(self, x):
        for number in range(3):
            yield self.fc(x) + number

    def forward(self, x):
        values = self.values(x)
        return self.take(values) + self.take(values)


class _Symmetric(nn.Module):
    def forward(self, weight):
        return weight.triu() + weight.triu(1).mT

    def right_inverse(self, weight):
        return weight.triu()


class ParametrizedAndPruned(nn.Module):
    """Orthogonal, symmetric and pruned weights, cached and assigned."""

    def __init__(self):
        super().__init__()
        self.orthogonal = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3))
        self.symmetric = nn.Linear(3, 3)
        nn.utils.parametrize.register_parametrization(self.symmetric, "weight", _Symmetric())
        self.pruned = nn.Linear(3, 3)
        prune.l1_unstructured(self.pruned, "weight", 0.3)

    def forward(self, x):
        with nn.utils.parametrize.cached():
            y = self.symmetric(self.symmetric(x))
        return self.orthogonal(y) + self.pruned(x)


class ParametrizedAssigned(nn.Module):
    """A weight that is computed anew at each use is assigned."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        nn.utils.parametrize.register_parametrization(self.fc, "weight", _Symmetric())

    def forward(self, x, w):
        self.fc.weight = w * 1
        return self.fc(x)


class OldNorms(nn.Module):
    """The older ``weight_norm`` and ``spectral_norm``: hooks that set attributes before each call."""

    def __init__(self):
        super().__init__()
        self.weighted = nn.utils.weight_norm(nn.Linear(3, 3))
        self.spectral = nn.utils.spectral_norm(nn.Linear(3, 3))

    def forward(self, x):
        return self.spectral(self.weighted(x)), self.spectral(x)


def _tree() -> tuple[Any, ...]:
    def leaf() -> Tensor:
        return torch.rand(3)

    return ([[leaf(), leaf()], [leaf(), [leaf(), leaf()]]],)


_3 = (3,)
_23 = (2, 3)
_33 = (3, 3)


class LoggedInside(nn.Module):
    """A forward pass that logs one of its modules, and computes with the activations: a trace inside a trace."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 3), nn.Sigmoid())
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        history = tl.log_forward_pass(self.inner, x)
        return self.head(history["output_1"].tensor_contents) + history["linear"].tensor_contents.sum()


CASES: list[Tricky] = [
    Tricky(TreeOfModules, _tree),
    Tricky(LoggedInside, rand(_23)),
    Tricky(LoggedInside, rand(_23), grad=False),
    Tricky(Hooked, rand(_23)),
    Tricky(Parametrized, rand(_23)),
    Tricky(ReplacedParameters, rand(_23, _3)),
    Tricky(LazyLayers, rand(_23)),
    Tricky(ModuleMadeInForward, rand(_23)),
    Tricky(ReplacedInForward, rand(_23)),
    Tricky(CopiedInForward, rand(_23)),
    Tricky(SharedModule, rand(_23)),
    Tricky(DirectForward, rand(_23)),
    Tricky(PassesThrough, rand(_3, _3)),
    Tricky(HooksOfAllKinds, rand(_23)),
    Tricky(BackwardHooks, rand(_23), passes={"linear_1_1": 1, "relu_1_2": 1}),
    Tricky(BackwardHooks, rand(_23), grad=False),
    Tricky(PreHookAddsArgument, rand(_23)),
    Tricky(StopsInAHook, rand(_23)),
    Tricky(OwnCall, rand(_23)),
    Tricky(ForwardPatched, rand(_23)),
    Tricky(ModulesAsArguments, rand(_23)),
    Tricky(BlocksInBlocks, rand(_23)),
    Tricky(Unregistered, rand(_23)),
    Tricky(GeneratorAcrossModules, rand(_23)),
    Tricky(ParametrizedAndPruned, rand(_23)),
    Tricky(ParametrizedAssigned, rand(_23, _33), grad=False),
    Tricky(OldNorms, rand(_23), training=True),
]
