"""The program around the ops: loops, recursion, branches, generators, values that become Python's."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import math
import operator

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .case import Tricky, rand


class LoopOverLayer(nn.Module):
    """The README's recurrent model: four passes of three layers."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 5)

    def forward(self, x):
        for _ in range(4):
            x = self.fc(x)
            x = x + 1
            x = x * 2
        return x


class SharedActivation(nn.Module):
    """One ReLU on two lines, and on one line that a loop runs."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(3))

    def forward(self, x):
        x = self.relu(x)
        x = self.relu(x) * 1.5
        for layer in self.layers:
            x = self.relu(layer(x) + 1)
        return x


class WeightsInALoop(nn.Module):
    """One line, as many layers as parameters."""

    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(torch.rand(3, 3)) for _ in range(3))

    def forward(self, x):
        for weight in self.weights:
            x = x @ weight
        return x


class RecursiveFunction(nn.Module):
    """A function that calls itself, to any depth."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def descend(self, x, depth):
        if depth == 0:
            return self.fc(x)
        return torch.tanh(self.descend(x, depth - 1) + self.descend(x * 2, depth - 1))

    def forward(self, x):
        return self.descend(x, 3)


class Generators(nn.Module):
    """Ops inside generators and comprehensions."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def steps(self, x):
        for _ in range(3):
            x = self.fc(x)
            yield x

    def forward(self, x):
        return sum(self.steps(x)), [step * 2 for step in self.steps(x)]


class FunctionTable(nn.Module):
    """One line calls different functions."""

    def forward(self, x):
        for function in (torch.sin, torch.cos, F.relu, lambda t: t * 2):
            x = function(x)
        return x


class Branches(nn.Module):
    """``if``, ``while``, ``not`` and ``assert`` on tensors."""

    def forward(self, x):
        if x.sum() > 0:
            x = x * 2
        while x.max() < 20:
            x = x * 3
        assert (x > 0).all()
        return x if not x[0] < 0 else -x


class Escapes(nn.Module):
    """Values go to Python in every way there is."""

    def forward(self, x):
        first = float(x[0]) + int(x[1]) + x[2].item() + len(x.tolist())
        known = bool((x > 0).all()) and torch.equal(x, x) and 100.0 not in x
        array = x.detach().numpy().sum()
        return x * first * known + float(array)


class NestedLoops(nn.Module):
    """A loop in a loop: the passes of the inner layer are counted through both."""

    def __init__(self):
        super().__init__()
        self.outer = nn.Linear(3, 3)
        self.inner = nn.Linear(3, 3)

    def forward(self, x):
        for _ in range(2):
            x = self.outer(x)
            for number in range(3):
                x = self.inner(x) + number
        return x


class TwoLoopsOverOneModule(nn.Module):
    """One module is called in two loops: two layers of one module."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        for _ in range(2):
            x = self.fc(x)
        for _ in range(3):
            x = self.fc(x).tanh()
        return x


class WhileCondition(nn.Module):
    """The condition of a ``while``, which Python compiles twice, is one layer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        steps = 0
        while x.norm() < 20 and steps < 10:
            x = x * 2 + self.fc(x).abs()
            steps += 1
        return x


class FinallyBodies(nn.Module):
    """The body of a ``finally``, which Python compiles twice, is one layer, raised or not."""

    def step(self, x, fails):
        try:
            if fails:
                raise ValueError
            x = x + 1
        except ValueError:
            return x * 3
        finally:
            self.last = x.tanh()
        return x * 2

    def forward(self, x):
        for fails in (False, True, False):
            x = self.step(x, fails) + self.last
        return x


class FailuresCaught(nn.Module):
    """Ops and modules that raise, and are caught."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        try:
            y = x @ x
        except RuntimeError:
            y = x @ x.T
        with contextlib.suppress(RuntimeError):
            self.fc(x[:, :1])
        return y, self.fc(x)


class MutualRecursion(nn.Module):
    """Two methods call each other."""

    def __init__(self):
        super().__init__()
        self.zero = nn.Linear(3, 3)
        self.one = nn.Linear(3, 3)

    def even(self, x, depth):
        return self.zero(x) if depth == 0 else self.odd(x * 1.1, depth - 1).sin()

    def odd(self, x, depth):
        return self.one(x) if depth == 0 else self.even(x + 0.1, depth - 1).cos()

    def forward(self, x):
        return self.even(x, 5) + self.odd(x, 2)


class GeneratorsThatReceive(nn.Module):
    """``send`` and ``yield from``: ops run when somebody asks."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.other = nn.Linear(3, 3)

    def receiver(self):
        value = yield
        while True:
            value = yield self.fc(value) + 1

    def both(self, x):
        yield self.fc(x)
        yield self.other(x)

    def forward(self, x):
        receiver = self.receiver()
        next(receiver)
        for _ in range(3):
            x = receiver.send(x)
        receiver.close()

        def twice():
            yield from self.both(x)
            yield from self.both(x * 2)

        return torch.cat(tuple(twice()), 0)


class AsyncForward(nn.Module):
    """Coroutines that take turns."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    async def step(self, x):
        await asyncio.sleep(0)
        return self.fc(x)

    async def both(self, x):
        first, second = await asyncio.gather(self.step(x), self.step(x * 2))
        return first + second

    def forward(self, x):
        return asyncio.run(self.both(x))


def _raised(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        return function(*args, **kwargs) * 1.5

    return call


class Decorated(nn.Module):
    """One line of a decorator serves several methods."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    @_raised
    def step(self, x):
        return self.fc(x)

    @_raised
    def forward(self, x):
        return self.step(self.step(x))


class FunctionsMadeInForward(nn.Module):
    """Lambdas on one line, closures made in a loop, partials and code made of text."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        for function in [lambda t: t + 1, lambda t: t + 2, lambda t: self.fc(t)]:
            x = function(x)
        for factor in range(1, 4):
            x = functools.partial(lambda t, by: self.fc(t) * by, by=factor)(x)
        for function in [functools.partial(torch.add, other=1), torch.Tensor.exp, operator.neg]:
            x = function(x)
        names = {"x": x, "torch": torch}
        exec("for i in range(3):\n  x = torch.sin(x) + i", names)
        return eval("x * 2", {"x": names["x"]})


class BuiltinsOnTensors(nn.Module):
    """``sorted``, ``max``, ``sum``, ``map``, ``reduce`` and ``accumulate`` call ops of their own."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        values = sorted(x[0].unbind(0))
        extremes = max(values) + min(values) + sum(values) + abs(values[0]) + pow(values[1], 2)
        rows = list(map(self.fc, x.unbind(0)))
        return (
            extremes,
            torch.stack([*itertools.accumulate(rows, torch.add)]),
            functools.reduce(torch.mul, rows),
        )


class TruthValues(nn.Module):
    """Truth is asked by ``in``, ``and``, ``any``, ``match``, a stored variable and ``item``."""

    def forward(self, x):
        large = x.sum() > 0
        if torch.allclose(x, x):
            x = x + 1
        if (large and x.max() > 0) or x.min() < 0:
            x = x * 2
        if 100.0 in x:
            x = x * 0
        if any(value > 0 for value in x):
            x = x + 1
        if (x > 1).any().item():
            x = x * 1.5
        match x[0] > 0:
            case truth if truth:
                x = x + 1
        return x - 1 if not large else x + 2


class LongBranches(nn.Module):
    """A branch of many lines, with a loop and a module inside."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        y = x * 1
        if (y.mean() > 0.0).item():
            for _ in range(2):
                y = self.fc(y)
                y = y.relu()
                if y.sum() > 1000:
                    y = y * 0
            y = y + 1
        else:
            y = y - 1
        return y * 2


class TensorsAsNumbers(nn.Module):
    """Tensors are indices of lists, bounds of ranges, sizes, and arguments of ``math`` and numpy."""

    def forward(self, x):
        place = x.argmax()
        y = x * [1.0, 2.0, 3.0][place]
        for step in range(torch.tensor(2)):
            y = y + step
        sized = torch.zeros(torch.tensor(3))
        return y + x[place] + x[int(place) :].sum() + sized + math.sqrt(x[0]) + np.float32(x[1])


_3 = (3,)
_23 = (2, 3)

CASES: list[Tricky] = [
    Tricky(LoopOverLayer, rand((2, 5)), passes={"linear_1_1": 4, "add_1_2": 4, "mul_1_3": 4}),
    Tricky(SharedActivation, rand(_23), passes={"relu_1_1": 1, "relu_2_2": 1, "relu_3_6": 3}),
    Tricky(WeightsInALoop, rand(_23), passes={"matmul_1_1": 1, "matmul_2_2": 1, "matmul_3_3": 1}),
    Tricky(RecursiveFunction, rand(_23), passes={"linear_1_1": 8, "tanh_1_4": 7}),
    Tricky(Generators, rand(_23)),
    Tricky(FunctionTable, rand(_3)),
    Tricky(Branches, rand(_3), passes={"max_1_5": 3, "mul_2_8": 2}),
    Tricky(Escapes, rand(_3), finding="Hidden dependence: a value left the graph through Python"),
    Tricky(NestedLoops, rand(_23), passes={"linear_1_1": 2, "linear_2_2": 6, "add_1_3": 6}),
    Tricky(TwoLoopsOverOneModule, rand(_23), passes={"linear_1_1": 2, "linear_2_2": 3}),
    Tricky(WhileCondition, rand(_23), passes={"norm_1_1": 4, "lt_1_2": 4, "linear_1_5": 3}),
    Tricky(FinallyBodies, rand(_3), passes={"add_1_1": 2, "tanh_1_2": 3, "mul_2_5": 1}),
    Tricky(FailuresCaught, rand(_23)),
    Tricky(MutualRecursion, rand(_23)),
    Tricky(GeneratorsThatReceive, rand(_23), passes={"linear_1_1": 3, "linear_2_3": 1}),
    Tricky(AsyncForward, rand(_23), passes={"linear_1_2": 2}),
    Tricky(Decorated, rand(_23), passes={"linear_1_1": 1, "linear_2_3": 1}),
    Tricky(FunctionsMadeInForward, rand(_23), passes={"linear_2_4": 3, "sin_1_9": 3}),
    Tricky(BuiltinsOnTensors, rand(_23)),
    Tricky(TruthValues, rand(_3)),
    Tricky(LongBranches, rand(_23), passes={"linear_1_5": 2, "relu_1_6": 2}),
    Tricky(TensorsAsNumbers, rand(_3), finding="Hidden dependence: a value left the graph through Python"),
]
