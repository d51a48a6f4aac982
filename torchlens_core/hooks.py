"""The module calls of a pass as plain forward hooks see them: an oracle that shares no code with the recorder."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
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
        self.addresses: set[str] = set()
        self._model = model
        self._handles: list[Any] = []
        self._names: dict[int, str] = {}
        self._counts: dict[int, int] = {}
        #: Numbers of the calls that run now, outermost first.
        self._running: list[int] = []

    def current(self) -> int:
        """The number of the innermost call that runs now; -1 outside all."""
        return self._running[-1] if self._running else -1

    def attach(self) -> None:
        """Hang the hooks on."""
        for address, module in self._model.named_modules():
            self._names[id(module)] = address
            if isinstance(module, torch.jit.ScriptModule):  # takes no Python hooks
                continue
            self.addresses.add(address)
            self._handles += [
                module.register_forward_pre_hook(self._enter, prepend=True, with_kwargs=True),
                module.register_forward_hook(self._return),
                module.register_forward_hook(self._leave, always_call=True),
            ]

    def detach(self) -> None:
        """Take them off again."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        address = self._names.get(id(module))
        if address is None:  # a copy of the module that was made with its hooks
            return
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
        self._running.append(len(self.calls) - 1)

    def _return(self, module: nn.Module, args: Any, result: Any) -> None:
        if id(module) in self._names and self._running:
            with internals.WithoutTorchFunction():
                self.calls[self._running[-1]].outputs = _references(result)

    def _leave(self, module: nn.Module, args: Any, result: Any) -> None:
        """The call is over, with an error or without."""
        if id(module) in self._names and self._running:
            self._running.pop()


def _references(root: Any) -> list[weakref.ref[Tensor]]:
    """The tensors in ``root``, those left out that die with a functorch transform."""
    return [weakref.ref(t) for t in structure.tensors(root) if not internals.is_transformed(t)]
