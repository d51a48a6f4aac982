"""Random small models, as Python source: loops in loops, modules in modules, values carried, views, writes.

`source` makes one from a `random.Random`; all tensors are ``f32[2, 3]``, so that any line may follow any other.
"""

from __future__ import annotations

import random

import torch
from torch import nn

_MOVES = ["{t} = {u}", "{t}, {r} = {r}, {t}"]
_OPS = [
    "{t} = {u}.sin()",
    "{t} = {u}.cos()",
    "{t} = {u} + {v}",
    "{t} = {u} * {v}",
    "{t} = {u} - {number}",
    "{t} = {u} * {number}",
    "{t} = {u} * {number} + {v} * {number}",
    "{t} = {u}[{slot} : {slot} + 1] + {v}",
    "{t} = {u}.unbind(0)[{slot}] * {v}",
    "{t} = {u} + rows[{slot}]",
    "{t} = torch.aminmax({u}, dim=0, keepdim=True)[{bit}] + {v}",
    "{t} = {u} * self.weight",
    "{t} = {u} * self.seen",
    "{t} = {u} + CONSTANTS[{slot}]",
    "{t} = {u}.clone()\n{t}.add_({v})",
    "{t} = {u}.clone()\n{t}[{slot}] = {v}[{bit}]",
    "{t} = {u}.clone()\n{t}[:, {bit}].mul_({v}[:, 2])",
    "held.append({u})",
    "{t} = torch.stack(held or [{u}]).sum(0)",
    "{t} = torch.cat([{u}, {v}], 0)[:2]",
    "{t} = {u}.expand(2, 2, 3)[{bit}]",
]
_CALLS = [
    "{t} = self.{m}({u}, {v})",
    "{t}, {r} = self.{m}.two({u}, {v})",
    "{t} = self.{m}({u}, {u})",
    "for part in self.parts:\n  {t} = part({u}, {v})",
    "{t} = self.parts[{slot}]({u}, {v})",
    "{t} = self.fc({t})",
    "{t} = self.act(self.fc({u}))",
]


def source(rng: random.Random, *, classes: int, lines: int) -> str:
    """Source of classes ``M0``, ``M1``, …, of which each holds the ones before; the last is the model."""
    text = []
    for number in range(classes):
        last = number == classes - 1
        inner = [f"m{n}" for n in range(number)]
        text += [f"class M{number}(Base):", "  def __init__(self):", "    super().__init__()"]
        text += [f"    self.m{n} = M{n}()" for n in range(number)]
        if number:
            text.append(f"    self.parts = nn.ModuleList([M{rng.randrange(number)}() for _ in range(2)])")
            if rng.random() < 0.3:
                text.append("    self.parts[1].fc.weight = self.parts[0].fc.weight")
            if rng.random() < 0.2:
                text.append("    self.parts[1] = self.parts[0]")
        else:
            text.append("    self.parts = [self.fc1, self.fc2]")
        count = rng.randint(1, lines if last else max(2, lines // 2))
        text.append("  def forward(self, a, b):")
        text += _block(rng, inner, count, 0, "    ", [])
        text.append("    return a" if not last else "    return a, b, c")
    return "\n".join(text) + "\n"


def _block(rng: random.Random, inner: list[str], count: int, depth: int, indent: str, counters: list[str]):
    text = [f"{indent}c, held, rows = a, [], list(b.unbind(0)) * 2"] if not depth else []
    while count > 0:
        if depth < 3 and count > 1 and rng.random() < 0.35:
            inside, counter = rng.randint(1, count), "ijk"[depth]
            text.append(f"{indent}for {counter} in range({rng.choice([2, 3, 3, 4])}):")
            if rng.random() < 0.15:
                text.append(f"{indent}  if {rng.choice([*counters, counter])}: {rng.choice('abc')} = a + b")
            text += _block(rng, inner, inside, depth + 1, indent + "  ", [*counters, counter])
            count -= inside
            continue
        kind = rng.random()
        pool = _MOVES if kind < 0.25 else _CALLS if inner and kind < 0.55 else _OPS
        line = rng.choice(pool).format(
            t=rng.choice("abc"),
            u=rng.choice("abc"),
            v=rng.choice("abc"),
            r=rng.choice("abc"),
            m=rng.choice(inner or ["fc"]),
            bit=rng.randint(0, 1),
            slot=f"{rng.choice([*counters, '1'])} % 2",
            number=rng.choice([*counters, *counters, "2", "0.5"]),
        )
        text += [indent + part for part in line.split("\n")]
        count -= 1
    return text


class Base(nn.Module):
    """What each random module holds."""

    def __init__(self):
        super().__init__()
        self.fc, self.fc1, self.fc2 = nn.Linear(3, 3), _Pair(), _Pair()
        self.act = nn.ReLU()
        self.weight = nn.Parameter(torch.ones(3))
        self.register_buffer("seen", torch.ones(3))

    def two(self, a, b):
        return self(a, b), b


class _Pair(nn.Module):
    """A module of two inputs."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, a, b):
        return self.fc(a) * b


CONSTANTS = [torch.ones(3), torch.ones(2, 3), torch.ones(1)]


def model(text: str) -> nn.Module:
    """The model of a source."""
    names = {"torch": torch, "nn": nn, "Base": Base, "CONSTANTS": CONSTANTS}
    exec(compile(text, "<program>", "exec"), names)
    last = max((name for name in names if name[0] == "M" and name[1:].isdigit()), key=lambda n: int(n[1:]))
    return names[last]().eval()


def inputs() -> list[torch.Tensor]:
    """Two tensors."""
    return [torch.rand(2, 3), torch.rand(2, 3)]
