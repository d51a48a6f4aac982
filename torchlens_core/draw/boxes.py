"""A history as boxes and arrows: which ops stand for themselves, and which disappear in a closed module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torchlens_core.entries import Op
from torchlens_core.history import ModelHistory
from torchlens_core.nodes import BUFFER, CONSTANT, ESCAPE, INPUT, OP, OUTPUT, PARAMETER, Call, Node

#: A module call on the way to an op: its address, and its number, or the place that it is made from if
#: passes are drawn as one.
Step = tuple[str, Any]


@dataclass(slots=True)
class Box:
    """One box of a picture."""

    key: str
    kind: str
    title: str
    #: The line below the title.
    detail: str
    #: How many passes it stands for.
    passes: int = 1
    parameters: int = 0
    tooltip: str = ""


@dataclass(slots=True)
class Frame:
    """A module drawn open: boxes and frames inside it."""

    title: str
    boxes: list[str] = field(default_factory=list)
    frames: dict[Step, Frame] = field(default_factory=dict)


@dataclass(slots=True)
class Boxes:
    """Everything in a picture."""

    boxes: dict[str, Box]
    arrows: dict[tuple[str, str], None]
    root: Frame


def boxes_of(history: ModelHistory, *, rolled: bool, depth: int, buffers: bool) -> Boxes:
    """The boxes and arrows of ``history`` with modules open down to ``depth``."""
    return _Builder(history, rolled, depth, buffers).build()


def count_boxes(history: ModelHistory, depth: int, rolled: bool = True) -> int:
    """How many boxes a picture of that depth has."""
    builder = _Builder(history, rolled, depth, buffers=False)
    return len({builder.key(node) for node in builder.nodes()})


class _Builder:
    """Walks a history once."""

    def __init__(self, history: ModelHistory, rolled: bool, depth: int, buffers: bool) -> None:
        self._history = history
        self._rolled = rolled
        self._depth = max(depth, 0)
        self._buffers = buffers

    def nodes(self) -> Iterator[Node]:
        """The nodes that are drawn."""
        hidden = {PARAMETER} if self._buffers else {PARAMETER, BUFFER}
        return (node for node in self._history.recording.nodes if node.kind not in hidden)

    def _steps(self, node: Node) -> list[Step]:
        """The modules around ``node`` that get a frame or box: one with a single op shares its box."""
        return [(c.address, c.chain if self._rolled else c.number) for c in self._calls(node)]

    def _calls(self, node: Node) -> list[Call]:
        if node.kind in (INPUT, BUFFER, CONSTANT, OUTPUT):
            return []
        calls = self._history.calls_around(node)
        return calls[:-1] if calls and self._is_single(calls[-1]) else calls

    def _is_single(self, call: Call) -> bool:
        nodes = self._history.recording.nodes[call.first : call.last]
        has_inner = call.index in self._history.calls_with_inner_calls
        return not has_inner and sum(node.kind in (OP, ESCAPE) for node in nodes) == 1

    def key(self, node: Node) -> str:
        """The box that ``node`` is drawn in."""
        steps = self._steps(node)
        if 0 < self._depth <= len(steps):
            address, way = steps[self._depth - 1]
            return f"module {address}:{hash(way)}"
        op = self._history.op_at(node.index)
        return op.layer_label_no_pass if self._rolled else op.layer_label_w_pass

    def build(self) -> Boxes:
        boxes: dict[str, Box] = {}
        root = Frame(self._history.model_name)
        key_of: dict[int, str] = {}
        closed: dict[str, set[int]] = {}
        for node in self.nodes():
            key = key_of[node.index] = self.key(node)
            if key not in boxes:
                boxes[key] = self._box(key, node)
                self._frame(root, node).boxes.append(key)
            elif not key.startswith("module "):
                boxes[key].passes += 1
            if key.startswith("module "):
                closed.setdefault(key, set()).add(self._calls(node)[self._depth - 1].index)
                boxes[key].passes = len(closed[key])
        return Boxes(boxes, self._arrows(key_of), root)

    def _arrows(self, key_of: dict[int, str]) -> dict[tuple[str, str], None]:
        arrows: dict[tuple[str, str], None] = {}
        for index, parents in enumerate(self._history.graph.parents):
            for parent in parents:
                if index in key_of and parent in key_of:
                    ends = (key_of[parent], key_of[index])
                    if ends[0] != ends[1] or not ends[0].startswith("module "):
                        arrows[ends] = None
        return arrows

    def _frame(self, root: Frame, node: Node) -> Frame:
        frame = root
        steps = self._steps(node)
        types = self._history.module_types
        for step in steps[: self._depth - 1] if self._depth else []:
            if step not in frame.frames:
                number = f":{step[1]}" if isinstance(step[1], int) and step[1] > 1 else ""
                name = step[0].rpartition(".")[2]
                frame.frames[step] = Frame(f"{name}{number}  {types.get(step[0], '')}")
            frame = frame.frames[step]
        return frame

    def _box(self, key: str, node: Node) -> Box:
        op = self._history.op_at(node.index)
        if key.startswith("module "):
            return self._module_box(key, op)
        detail = "  ".join(map(str, op.specs))
        calls = self._history.calls_around(node)
        if calls and self._is_single(calls[-1]):
            detail = f"{detail}   {calls[-1].address.rpartition('.')[2]}"
        title = op.func_applied_name
        if node.kind in (INPUT, OUTPUT, BUFFER, CONSTANT):
            title = op.address or op.layer_label
        if node.kind is ESCAPE:
            detail = f"= {op.escaped_value!r}"[:24]
        return Box(
            key, node.kind, title, detail, 1, op.num_params_total, f"{op.layer_label}\n{op.stable_name}"
        )

    def _module_box(self, key: str, op: Op) -> Box:
        address = key.removeprefix("module ").rpartition(":")[0]
        history = self._history
        title = f"{address.rpartition('.')[2]}  {history.module_types.get(address, '')}"
        inside = sum(1 for node in history.recording.nodes if node.kind == "op" and self.key(node) == key)
        parameters = history.module_nparams.get(address, 0)
        return Box(key, "module", title, f"{inside} ops", 1, parameters, address)
