"""Which values cross the borders of module calls: what a body reads from outside, and what is read of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torchlens_core.nodes import (
    BUFFER,
    CONSTANT,
    INPUT,
    OP,
    OUTPUT,
    PARAMETER,
    ArgPath,
    Call,
    Node,
    values_in,
)
from torchlens_core.recording import Recording

#: A value of the pass: the node that made it, and which of its values it is.
Key = tuple[int, int]
#: What is found by name, wherever it is read: no border is crossed.
HELD = frozenset({PARAMETER, BUFFER})


class Read(NamedTuple):
    """A value that a node depends on, or whose memory it overwrites."""

    path: ArgPath
    key: Key
    certain: bool = True
    #: False where the contents are overwritten unread.
    is_read: bool = True


class Frame:
    """One module call."""

    def __init__(self, call: Call | None, parent: Frame | None) -> None:
        self.call = call
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        #: Address of the module.
        self.address: str = call.address if call else ""
        #: What it holds, in the order of the pass: nodes, and calls inside.
        self.inside: list[tuple[tuple[int, int], Node | Frame]] = []
        #: Values from outside that are read in it, by ``$`` number, and its own that are its results.
        self.imports: dict[Key, int] = {}
        self.returns: list[Key] = []
        self._exports: dict[Key, None] = {}

    def cross_in(self, key: Key) -> None:
        """Note that a value from outside is read in here."""
        self.imports.setdefault(key, len(self.imports))

    def cross_out(self, key: Key) -> None:
        """Note that a value made in here is read outside."""
        self._exports[key] = None

    def settle(self) -> None:
        """Number the values: those from outside as the module was given them, then by first use."""
        call = self.call
        assert call is not None
        given = {(value.node, value.slot): n for n, value in reversed(list(enumerate(call.inputs)))}
        order = sorted(self.imports, key=lambda key: (given.get(key, len(given)), self.imports[key]))
        self.imports = {key: n for n, key in enumerate(order)}
        returned = dict.fromkeys((value.node, value.slot) for value in call.outputs)
        own = [key for key in returned if key in self._exports or key in self.imports]
        self.returns = [*own, *sorted(key for key in self._exports if key not in returned)]


class Frames:
    """All calls of a pass as frames, the model's own as the root."""

    def __init__(self, recording: Recording) -> None:
        self._nodes = recording.nodes
        self.reads = [reads_of(node) for node in recording.nodes]
        self.root = Frame(None, None)
        #: Outer ones before inner ones.
        self.all = [self.root]
        self._of_call: dict[int, Frame] = {}
        self._calls = len(recording.calls)
        for call in recording.calls:
            self._add(call)
        self.of_node = [
            self.root if call is None else self._of_call[call.index] for call in recording.call_of
        ]
        self._place(recording.calls)
        for node in self._nodes:
            if node.kind not in HELD:
                here = self.root if node.kind is OUTPUT else self.of_node[node.index]
                for read in self.reads[node.index]:
                    self._cross(read.key, here)
        for frame in self.all[1:]:
            self._cross_results(frame)
        for frame in self.all[1:]:
            frame.settle()

    def _add(self, call: Call) -> None:
        if not call.address and call.parent is None:
            self._of_call[call.index] = self.root
            self.root.call = self.root.call or call
            return
        parent = self._of_call[call.parent.index] if call.parent is not None else self.root
        frame = self._of_call[call.index] = Frame(call, parent)
        self.all.append(frame)
        parent.inside.append(((call.first, call.index - self._calls), frame))

    def _place(self, calls: Sequence[Call]) -> None:
        """Put each node in its frame; a constant in the innermost that holds all its readers, before them."""
        shared: dict[int, Frame] = {}
        for node, reads in zip(self._nodes, self.reads, strict=True):
            for read in reads:
                source = read.key[0]
                if self._nodes[source].kind is CONSTANT:
                    frame = self.of_node[node.index]
                    shared[source] = common(shared[source], frame) if source in shared else frame
        for call in calls:  # a call may return a constant that nobody reads
            for value in call.outputs:
                if self._nodes[value.node].kind is CONSTANT:
                    shared.setdefault(value.node, self.of_node[value.node])
        for node in self._nodes:
            index = node.index
            if node.kind is CONSTANT and index in shared:
                frame = self.of_node[index] = shared[index]
                # its first reader may be in a call that had begun before the constant was met
                inner = (one.call for _, one in frame.inside if isinstance(one, Frame))
                began = (
                    call.first for call in inner if call is not None and call.first <= index < call.last
                )
                frame.inside.append(((min(began, default=index), -self._calls - 1), node))
            elif node.kind is INPUT:
                self.root.inside.append(((index - len(self._nodes), 0), node))
            elif node.kind not in HELD and node.kind not in (OUTPUT, CONSTANT):
                self.of_node[index].inside.append(((index, 0), node))
            if node.kind is INPUT:
                self.of_node[index] = self.root
        for frame in self.all:
            frame.inside.sort(key=lambda pair: pair[0])

    def _cross(self, key: Key, here: Frame) -> None:
        """Note a read in every frame whose border it crosses."""
        if self._nodes[key[0]].kind in HELD:
            return
        there = self.of_node[key[0]]
        if here is there:
            return
        around = common(here, there)
        while here is not around:
            here.cross_in(key)
            here = here.parent  # type: ignore[assignment]
        while there is not around:
            there.cross_out(key)
            there = there.parent  # type: ignore[assignment]

    def _cross_results(self, frame: Frame) -> None:
        """What a module returns is a result of it, even if nobody reads it."""
        assert frame.call is not None
        assert frame.parent is not None
        for value in frame.call.outputs:
            is_own = common(self.of_node[value.node], frame) is frame
            self._cross((value.node, value.slot), frame.parent if is_own else frame)


def common(a: Frame, b: Frame) -> Frame:
    """The innermost frame around both."""
    while a is not b:
        if a.depth >= b.depth:
            a = a.parent  # type: ignore[assignment]
        else:
            b = b.parent  # type: ignore[assignment]
    return a


def reads_of(node: Node) -> list[Read]:
    """What a node reads by its edges, and those arguments that it overwrites without reading them."""
    found = [Read(path, (origin.node, origin.slot), certain) for origin, path, _, certain in node.edges]
    if node.special_edges is not None and node.kind is OP and node.values:
        written = {id(value.storage) for value in node.values}
        known = {read.path for read in found}
        for path, value in values_in(node.args, node.kwargs):
            if path not in known and id(value.storage) in written:
                found.append(Read(path, (value.node, value.slot), True, False))
    return found
