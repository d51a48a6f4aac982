"""One finished pass as plain data: what the recorder hands over, and what is numbered once from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from torch import Tensor

from torchlens_core.nodes import PARAMETER, Call, Node
from torchlens_core.randomness import GeneratorState
from torchlens_core.settings import Standing
from torchlens_core.sites import Chain


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """A module of the model, as it was after the pass."""

    address: str
    class_name: str
    training: bool
    #: Numbers and bytes of the parameters it holds itself, by parameter identity.
    parameters: Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Everything known of one forward pass."""

    model_name: str
    #: Module and qualified name of the model's class.
    model_class: str
    nodes: Sequence[Node]
    calls: Sequence[Call]
    modules: Sequence[ModuleFacts]
    #: Code and offset of each frame behind a chain, innermost first.
    stacks: Mapping[Chain, Sequence[tuple[CodeType, int]]]
    #: The same for the call of this package, with what is outside it.
    outer_stack: Sequence[tuple[CodeType, int]]
    #: Names of what the model's ``forward`` takes by position, ``*args`` last.
    forward_parameters: Sequence[str]
    random_seed: int | None
    generator: GeneratorState | None
    #: How the settings of the process stood at the start.
    settings: Standing
    seconds: float
    seconds_forward: float
    #: Whether entries without saved activations are listed.
    keeps_unsaved: bool
    #: Gradients by node index and slot; filled by backward passes that come later.
    gradients: Mapping[tuple[int, int], Tensor]
    #: If the pass did not end: the error in words, and the function that raised it.
    error: str | None = None
    failed_call: str | None = None
    #: Node indices of the entries of the history, and the entry of each node.
    entries: Sequence[int] = field(init=False)
    entry_of: Mapping[int, int] = field(init=False)
    #: For each node, the number of the run of its layer, and its innermost module call.
    numbers: Sequence[int] = field(init=False)
    call_of: Sequence[Call | None] = field(init=False)

    def __post_init__(self) -> None:
        entries = [node.index for node in self.nodes if node.kind is not PARAMETER]
        object.__setattr__(self, "entries", entries)
        object.__setattr__(self, "entry_of", {index: n for n, index in enumerate(entries)})
        object.__setattr__(self, "numbers", _numbers(self.nodes))
        object.__setattr__(self, "call_of", _innermost_calls(self.nodes, self.calls))


def _numbers(nodes: Sequence[Node]) -> list[int]:
    runs: dict[int, int] = {}
    numbers = []
    for node in nodes:
        if node.kind is PARAMETER:
            numbers.append(0)
            continue
        layer = node.site.layer
        runs[id(layer)] = number = runs.get(id(layer), 0) + 1
        layer.passes = number
        numbers.append(number)
    return numbers


def _innermost_calls(nodes: Sequence[Node], calls: Sequence[Call]) -> list[Call | None]:
    """Calls are in the order in which they began, so an inner one overwrites the outer one's span."""
    innermost: list[Any] = [None] * len(nodes)
    for call in calls:
        innermost[call.first : call.last] = [call] * (call.last - call.first)
    return [node.call or call for node, call in zip(nodes, innermost, strict=True)]
