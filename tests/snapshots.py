"""What the tests of snapshots share: small models of one function, their text, and what must hold of every text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import torchlens_core as tl
from torchlens_core.snapshot import read_snapshot, take_snapshot

ROWS = torch.linspace(0.5, 1.5, 6).reshape(2, 3)


def model(forward: Callable[..., Any], **modules: nn.Module) -> nn.Module:
    """A ``Model`` in eval mode with that ``forward``, which holds some modules."""
    return _made("Model", forward, modules)


def block(forward: Callable[..., Any], **modules: nn.Module) -> nn.Module:
    """The same as a ``Block``, to be part of a model."""
    return _made("Block", forward, modules)


def _made(name: str, forward: Callable[..., Any], modules: dict[str, nn.Module]) -> nn.Module:
    made = type(name, (nn.Module,), {"forward": forward})()
    for address, module in modules.items():
        made.add_module(address, module)
    return made.eval()


def text(model: nn.Module, /, *args: Any, batch: int | None = None, **kwargs: Any) -> str:
    """The text of a pass without its notes; that it can be read back is checked on the way."""
    return checked(tl.log_forward_pass(model, list(args), kwargs), batch=batch)


def checked(history: tl.ModelHistory, batch: int | None = None) -> str:
    """The text of a history without its notes, read back and compared."""
    snapshot = take_snapshot(history, batch=batch)
    written = str(snapshot)
    assert read_snapshot(written) == snapshot
    assert str(read_snapshot(written)) == written
    assert written == written.encode().decode()
    return without_notes(written)


def without_notes(written: str) -> str:
    """A text without header and notes."""
    return "".join(line for line in written.splitlines(keepends=True) if not line.startswith("# "))
