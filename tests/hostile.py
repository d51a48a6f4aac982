"""Models with names that break things: of classes, modules, parameters, buffers, arguments, inputs and outputs."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from painted import HOSTILE
from torch import nn

import torchlens_core as tl

#: Names by what is odd about them.
NAMES = {
    **HOSTILE,
    "empty": "",
    "quotes": "a\"b'c`d",
    "backslashes": "\\N\\G\\L\\n\\",
    "entities": "&lt;&amp;&#60;&nbsp;&quot;",
    "record": "{|}<f0> a | b",
    "format": "%s %(x)d {0} {x!r} $HOME",
    "percent": "%41%ed%a0%80%",
    "comment": "--> <!-- */ // # ;",
    "isolates": "\u2066\u2067\u2068a\u2069\u202eb\u200f",
    "joined": "👨‍👩‍👧🏳️‍🌈\u200d",
    "null": "\x00",
    "style": "</style><style>*{display:none}",
    "address": "a b/c:2 ... \u00d7 \u21bb",
    "digraph": 'a" ]; } digraph x { y [label="',
    "loop": "loop x2 passes",
}


def class_of(name: str, base: type = nn.Module) -> type:
    """A class called ``name``; with ``?`` for what Python does not allow in names of classes, ``x`` for nothing."""
    for text in (name or "x", name.replace("\x00", "?").encode("ascii", "replace").decode()):
        with contextlib.suppress(ValueError, UnicodeError):
            return type(text, (base,), {})
    raise AssertionError(name)


class _Inner(nn.Module):
    """A module with a parameter and a buffer of an odd name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._parameters[name] = nn.Parameter(torch.ones(3))
        self._buffers[f"{name}b"] = torch.ones(3)
        self.name = name

    def forward(self, x):
        return torch.tanh(x * self._parameters[self.name] + self._buffers[f"{self.name}b"])


class _Outer(nn.Module):
    """Three modules of an odd name, one in another; takes and returns mappings with odd keys."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._modules[name] = nn.Sequential()
        self._modules[name]._modules[name] = class_of(name, _Inner)(name)
        self._modules[name]._modules["0"] = nn.Linear(3, 3)

    def forward(self, batch, **more):
        x = self._modules[self.name](batch[self.name])
        for value in more.values():
            x = x + value
        for _ in range(2):
            x = self._modules[self.name](x.relu())
        return {self.name: x, "other": {self.name: [x.sum(), x]}}


def model(name: str) -> nn.Module:
    """A model all of whose names are ``name``."""
    return class_of(name, _Outer)(name)


def history(name: str, **options: Any) -> tl.ModelHistory:
    """Its pass."""
    torch.manual_seed(0)
    kwargs = {name: torch.rand(2, 3)} if name not in ("self", "batch") else {}
    return tl.log_forward_pass(model(name).eval(), [{name: torch.rand(2, 3)}], kwargs, **options)
