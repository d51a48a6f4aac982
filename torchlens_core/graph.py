"""What follows from the edges of a pass: children, ancestors, distances, branches.

Dependence is followed value by value: where an edge reaches only one value of an op with several, a
reader of another value does not depend on what is behind it.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Sequence
from functools import cached_property
from itertools import dropwhile
from types import CodeType

from torch import Tensor
from torch.overrides import get_overridable_functions

from torchlens_core.nodes import ESCAPE, INPUT, OUTPUT, Edge, Node
from torchlens_core.recording import Recording


class Graph:
    """The graph of one recording; everything is computed at first use, in one sweep over the edges."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._nodes = recording.nodes

    @cached_property
    def inputs(self) -> list[int]:
        """Indices of the inputs."""
        return [node.index for node in self._nodes if node.kind is INPUT]

    @cached_property
    def outputs(self) -> list[int]:
        """Indices of the outputs."""
        return [node.index for node in self._nodes if node.kind is OUTPUT]

    @cached_property
    def edges(self) -> list[Sequence[Edge]]:
        """The dependences of each node."""
        return [node.edges for node in self._nodes]

    @cached_property
    def parents(self) -> list[list[int]]:
        """Indices of the nodes that each node depends on, in the order of its arguments."""
        return [list(dict.fromkeys(edge.origin.node for edge in edges)) for edges in self.edges]

    @cached_property
    def children(self) -> list[list[int]]:
        """Indices of the nodes that depend on each node."""
        children: list[list[int]] = [[] for _ in self._nodes]
        for index, parents in enumerate(self.parents):
            for parent in parents:
                children[parent].append(index)
        return children

    @cached_property
    def _sources_behind(self) -> tuple[list[int], dict[tuple[int, int], int]]:
        """For each node and value: a bit for each input that it depends on."""
        own = {index: 1 << n for n, index in enumerate(self.inputs)}
        whole: list[int] = []
        apart: dict[tuple[int, int], int] = {}
        for node, edges in zip(self._nodes, self.edges, strict=True):
            shared = own.get(node.index, 0)
            slots: dict[int, int] = {}
            for origin, _, slot, _ in edges:
                bits = apart.get((origin.node, origin.slot), whole[origin.node])
                if slot is None:
                    shared |= bits
                else:
                    slots[slot] = slots.get(slot, 0) | bits
            total = shared
            if slots:
                for slot in range(len(node.values)):
                    apart[node.index, slot] = shared | slots.get(slot, 0)
                    total |= apart[node.index, slot]
            whole.append(total)
        return whole, apart

    @cached_property
    def _outputs_ahead(self) -> list[int]:
        """For each node: a bit for each output that depends on it."""
        own = {index: 1 << n for n, index in enumerate(self.outputs)}
        ahead: dict[tuple[int, int | None], int] = {}
        total = [0] * len(self._nodes)
        for node in reversed(self._nodes):
            index = node.index
            total[index] |= own.get(index, 0)
            for origin, _, slot, _ in self.edges[index]:
                bits = total[index] if slot is None else ahead.get((index, slot), 0)
                key = (origin.node, origin.slot)
                ahead[key] = ahead.get(key, 0) | bits
                total[origin.node] |= bits
        return total

    def inputs_behind(self, index: int) -> list[int]:
        """The inputs that a node depends on."""
        bits = self._sources_behind[0][index]
        return [source for n, source in enumerate(self.inputs) if bits >> n & 1]

    def outputs_ahead(self, index: int) -> list[int]:
        """The outputs that depend on a node."""
        bits = self._outputs_ahead[index]
        return [output for n, output in enumerate(self.outputs) if bits >> n & 1]

    def ancestors(self, index: int) -> set[int]:
        """All nodes that a node depends on, itself left out."""
        seen: set[tuple[int, int | None]] = {(index, None)}
        stack: list[tuple[int, int | None]] = [(index, None)]
        while stack:
            node, slot = stack.pop()
            for edge in self.edges[node]:
                if slot is None or edge.slot is None or edge.slot == slot:
                    step = (edge.origin.node, edge.origin.slot)
                    if step not in seen:
                        seen.add(step)
                        stack.append(step)
        return {node for node, _ in seen} - {index}

    # -- distances ---------------------------------------------------------------------------------

    @cached_property
    def from_inputs(self) -> list[tuple[int, int] | None]:
        """Least and greatest number of steps from an input to each node; None if no input leads there."""
        found: list[tuple[int, int] | None] = []
        for node, parents in zip(self._nodes, self.parents, strict=True):
            steps = [found[parent] for parent in parents]
            found.append((0, 0) if node.kind is INPUT else _one_more(steps))
        return found

    @cached_property
    def to_outputs(self) -> list[tuple[int, int] | None]:
        """Least and greatest number of steps from each node to an output; None if it leads to none."""
        found: list[tuple[int, int] | None] = [None] * len(self._nodes)
        for node in reversed(self._nodes):
            steps = [found[child] for child in self.children[node.index]]
            found[node.index] = (0, 0) if node.kind is OUTPUT else _one_more(steps)
        return found

    # -- control flow ------------------------------------------------------------------------------

    @cached_property
    def branch_points(self) -> set[int]:
        """Escapes whose value an ``if`` or ``while`` has taken."""
        return {
            node.index
            for node in self._nodes
            if node.kind is ESCAPE and isinstance(node.result, bool | int | float) and self._is_taken(node)
        }

    def _is_taken(self, node: Node) -> bool:
        return _decides(self._recording.stacks.get(node.site.chain, ()))

    @cached_property
    def condition_nodes(self) -> set[int]:
        """Nodes that serve only to decide a branch: they lead to a branch point and to no output."""
        deciding: set[int] = set()
        for index in self.branch_points:
            deciding |= self.ancestors(index) | {index}
        return {index for index in deciding if not self._outputs_ahead[index]}


def _one_more(steps: Sequence[tuple[int, int] | None]) -> tuple[int, int] | None:
    known = [step for step in steps if step is not None]
    if not known:
        return None
    return min(low for low, _ in known) + 1, max(high for _, high in known) + 1


#: Instructions that a truth value may pass before it decides a jump: what calls, compares or keeps it.
_ON_THE_WAY = (
    "CALL CACHE COMPARE_OP CONTAINS_OP COPY EXTENDED_ARG IS_OP LOAD_CONST NOP PRECALL SWAP TO_BOOL UNARY_NOT"
).split()


#: Files of torch through which a call reaches a function mode.
_HANDING_OVER = {inspect.getfile(get_overridable_functions), inspect.getfile(Tensor.__contains__)}


def _decides(stack: Sequence[tuple[CodeType, int]]) -> bool:
    """Whether what the innermost call returned decides a jump, there or where its functions return to."""
    for code, offset in dropwhile(lambda frame: frame[0].co_filename in _HANDING_OVER, stack):
        end = _first_other(code, offset)
        if end is None or "RETURN" not in end:
            return end is not None and "JUMP" in end and "IF" in end
    return False


def _first_other(code: CodeType, offset: int) -> str | None:
    """The first instruction from ``offset`` on that does more than hand the value on; a stored one is followed."""
    following = (i for i in dis.get_instructions(code) if i.offset >= offset)
    stored = None
    for instruction in following:
        name = instruction.opname
        if stored is not None and (name, instruction.argval) != ("LOAD_FAST", stored):
            return None
        if name == "STORE_FAST":
            stored = instruction.argval
        elif stored is not None:
            stored = None
        elif not name.startswith(tuple(_ON_THE_WAY)):
            return name
    return None
