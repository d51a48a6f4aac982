"""What watches a traced pass for the checks: kernels beneath the recorder, hooks beside it.

The recorder does not know of it. It is told of each node by the list that the recorder appends nodes to.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Any

from torch import Tensor, nn

from torchlens_core import internals, saving
from torchlens_core.hooks import Hooks
from torchlens_core.kernels import Kernels
from torchlens_core.nodes import OUTPUT, SOURCES, Node
from torchlens_core.recorder import RUNNERS
from torchlens_core.threads import Threads

#: The code by which the recorder runs kernels for its own sake: to spare saved values, to look into TorchScript.
_OWN_WORK = [
    function.__code__
    for kind in (saving, saving.Saver)
    for function in vars(kind).values()
    if isinstance(function, FunctionType)
] + [internals.script_writes.__wrapped__.__code__]


class Witness:
    """Watches one pass of ``model``, from `__enter__` to `finish`."""

    def __init__(self, model: nn.Module) -> None:
        self.hooks = Hooks(model)
        self.threads = Threads()
        self.kernels = Kernels(self.hooks.current, RUNNERS, _OWN_WORK)
        #: The list that the recorder is to append its nodes to.
        self.nodes: list[Node] = _Nodes(self.kernels)

    def __enter__(self) -> Witness:
        self.hooks.attach()
        self.threads.open()
        self.kernels.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.kernels.__exit__(*error)
        self.threads.close()
        self.hooks.detach()

    def finish(self, result: Any) -> None:
        """The pass has returned ``result``."""
        self.kernels.finish(result)


class _Nodes(list[Node]):
    """Nodes, of each of which the witness of kernels is told."""

    def __init__(self, kernels: Kernels) -> None:
        super().__init__()
        self._kernels = kernels

    def append(self, node: Node, /) -> None:
        super().append(node)
        if node.kind not in SOURCES and node.kind is not OUTPUT:
            self._kernels.on_node(node, lambda: _arguments(node), sys._getframe(1))


def _arguments(node: Node) -> list[Tensor]:
    references = (value.ref() for value in node.argument_values())
    return [tensor for tensor in references if tensor is not None]
