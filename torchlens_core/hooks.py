"""The module calls of a pass as plain forward hooks see them: an oracle that shares no code with the recorder."""

from __future__ import annotations

import sys
import threading
import weakref
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from torchlens_core import internals, structure


@dataclass(slots=True)
class HookedCall:
    """One call of a module."""

    address: str
    class_name: str
    #: Number of the call of this module, from 1.
    number: int
    training: bool
    #: Number of the call around it, of those that hooks see; -1 outside all.
    parent: int
    inputs: list[weakref.ref[Tensor]]
    outputs: list[weakref.ref[Tensor]] = field(default_factory=list)


class Hooks:
    """Hooks on every module of ``model`` that note its calls."""

    def __init__(self, model: nn.Module) -> None:
        self.calls: list[HookedCall] = []
        #: The modules that have hooks, by their ids; held, so that no other module gets the id of one.
        self.hooked: dict[int, nn.Module] = {}
        self._model = model
        self._handles: list[Any] = []
        self._names: dict[int, str] = {}
        self._counts: dict[int, int] = {}
        #: The calls that run now, outermost first: number, module, and the frame that runs it.
        self._running: list[tuple[int, nn.Module, FrameType]] = []
        self._thread = threading.get_ident()

    def __deepcopy__(self, memo: Any) -> Hooks:
        return self  # a module copied in the pass takes its hooks along

    def current(self) -> int:
        """The number of the innermost call that runs now; -1 outside all."""
        return self._running[-1][0] if self._running else -1

    def attach(self) -> None:
        """Hang the hooks on; where a module refuses them, all are taken off again, and its error is raised."""
        try:
            self._attach()
        except BaseException:
            self.detach()
            raise

    def _attach(self) -> None:
        for address, module in self._model.named_modules():
            self._names[id(module)] = address
            if isinstance(module, torch.jit.ScriptModule):  # takes no Python hooks
                continue
            self.hooked[id(module)] = module
            hang_on = self._handles.append
            hang_on(module.register_forward_pre_hook(self._enter, prepend=True, with_kwargs=True))
            hang_on(module.register_forward_hook(self._return))
            hang_on(module.register_forward_hook(self._leave, always_call=True))

    def detach(self) -> None:
        """Take them off again."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._running = [], []

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        address = self._names.get(id(module))
        # a copy of the module that was made with its hooks, or another thread
        if address is None or threading.get_ident() != self._thread:
            return
        frame = sys._getframe(1)
        while self._running and not _is_below(frame, self._running[-1][2]):
            self._running.pop()  # of a call that an error has ended which hooks are not told of
        with internals.WithoutTorchFunction():
            self._counts[id(module)] = number = self._counts.get(id(module), 0) + 1
            self.calls.append(
                HookedCall(
                    address=address,
                    class_name=type(module).__name__,
                    number=number,
                    training=module.training,
                    parent=self.current(),
                    inputs=_references((args, kwargs) if kwargs else args),
                )
            )
        self._running.append((len(self.calls) - 1, module, frame))

    def _return(self, module: nn.Module, args: Any, result: Any) -> None:
        if self._is_running(module):
            with internals.WithoutTorchFunction():
                self.calls[self._running[-1][0]].outputs = _references(result)

    def _leave(self, module: nn.Module, args: Any, result: Any) -> None:
        """The call is over, with an error or without."""
        if self._is_running(module):
            self._running.pop()

    def _is_running(self, module: nn.Module) -> bool:
        """Whether a call of ``module`` runs; those within it that were abandoned are left."""
        if threading.get_ident() != self._thread:
            return False
        runs = [n for n, (_, one, _) in enumerate(self._running) if one is module]
        if runs:
            del self._running[runs[-1] + 1 :]
        return bool(runs)


def _is_below(frame: FrameType | None, outer: FrameType) -> bool:
    while frame is not None and frame is not outer:
        frame = frame.f_back
    return frame is not None


def _references(root: Any) -> list[weakref.ref[Tensor]]:
    """The tensors in ``root``, those left out that die with a functorch transform."""
    return [weakref.ref(t) for t in structure.tensors(root) if not internals.is_transformed(t)]
