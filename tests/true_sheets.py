"""Whether a sheet says what its history says: an oracle that reads both, and builds neither.

Boxes are known by their tooltips, which hold labels of entries or addresses of modules; so a history's graph, its
nodes replaced by what shows them, must be the sheet's.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from torchlens_core import ModelHistory
from torchlens_core.draw.sheet import Box, Frame, Sheet
from torchlens_core.nodes import BUFFER, CONSTANT, PARAMETER, Node

#: What a box is called: the label of an entry, a closed module with its call, or a closed composite.
Name = tuple[object, ...]


def lies(history: ModelHistory, sheet: Sheet, *, rolled: bool, buffers: bool = False) -> list[str]:
    """What the sheet says and the history does not, or the other way round; for sheets without folding.

    With ``rolled``, passes are told apart neither here nor there: of a layer that is several boxes (where a line of
    the program walks over modules), only the edges of all of them together are compared.
    """
    names, found = names_of_boxes(sheet, rolled)
    reader = _Reader(history, names.values(), rolled, {PARAMETER} if buffers else {PARAMETER, BUFFER})
    shown = {node.index: reader.name(node) for node in reader.nodes}
    found += [f"{reader.label(node)} is nowhere" for node in reader.nodes if shown[node.index] is None]
    found += [
        f"{name} stands for nothing" for name in sorted(set(names.values()) - set(shown.values()), key=str)
    ]
    true = {
        (shown[edge.origin.node], shown[node.index])
        for node in reader.nodes
        for edge in node.edges
        if edge.origin.node in shown
    }
    drawn = {
        (names[edge.tail], names[edge.head])
        for edge in sheet.edges
        if edge.kind not in ("gradient", "memory")
    }
    # what goes on within a closed module is not shown
    true = {(a, b) for a, b in true if a != b or (a and a[0] == "entry" and rolled)}
    drawn = {(a, b) for a, b in drawn if a != b or a[0] == "entry"}
    found += [f"edge {a} to {b} is missing" for a, b in sorted(true - drawn, key=str)]
    found += [f"edge {a} to {b} is invented" for a, b in sorted(drawn - true, key=str)]
    return found + repeated(sheet, rolled) + against_the_order(sheet)


def names_of_boxes(sheet: Sheet, rolled: bool) -> tuple[dict[str, Name], list[str]]:
    """What each box is called, references by what they refer to; and references that do not say so."""
    names: dict[str, Name] = {}
    found = []
    for key, around in _boxes(sheet.root, ()):
        box = sheet.boxes[key]
        if box.category != "reference":
            names[key] = _name(box, around, rolled)
    for key, box in sheet.boxes.items():
        if box.category == "reference":
            source = re.fullmatch(r"r(\w+)\..*", key)[1]
            names[key] = names[source]
            if box.tooltip != sheet.boxes[source].tooltip or box.shape != sheet.boxes[source].shape:
                found.append(f"reference {key} is not like what it refers to")
    return names, found


def _name(box: Box, around: tuple[Frame, ...], rolled: bool) -> Name:
    if box.category != "module":
        return "entry", label_of(box)
    if box.details == "function" and not box.tooltip:
        inner = next((_call(one, rolled) for one in reversed(around) if one.kind == "module"), ())
        return "composite", inner, box.title
    return "module", _call(box, rolled)


def label_of(box: Box) -> str:
    """``relu_1_2`` of a box's tooltip."""
    return box.tooltip.rpartition("\n")[2].partition(" · ")[0]


def _call(one: Box | Frame, rolled: bool) -> tuple[str, int]:
    number = re.search(r":(\d+)$", one.title)
    return one.tooltip.partition("\n")[0], int(number[1]) if number and not rolled else 1


def _boxes(frame: Frame, around: tuple[Frame, ...]) -> Iterator[tuple[str, tuple[Frame, ...]]]:
    for one in frame.inside:
        if isinstance(one, Frame):
            yield from _boxes(one, (*around, one))
        else:
            yield one, around


class _Reader:
    """Finds for each node of a history what shows it: itself, or the outermost closed thing around it."""

    def __init__(self, history, names, rolled: bool, hidden: set[str]) -> None:
        self._history = history
        self._names = set(names)
        self._rolled = rolled
        self.nodes = [node for node in history.recording.nodes if node.kind not in hidden]
        self._readers: dict[int, list[Node]] = {}
        for node in self.nodes:
            for edge in node.edges:
                self._readers.setdefault(edge.origin.node, []).append(node)

    def label(self, node: Node) -> str:
        """That of its pass where passes are drawn one by one, else that of its layer."""
        op = self._history.op_at(node.index)
        is_apart = not self._rolled or ("entry", op.layer_label) in self._names
        return op.layer_label if is_apart else op.layer_label_no_pass

    def name(self, node: Node) -> Name | None:
        ways = [("entry", self.label(node)), *self.path(node)]
        return next((way for way in ways if way in self._names), None)

    def path(self, node: Node) -> list[Name]:
        """Calls and composites around a node, outermost first; of constants, those around all their readers."""
        if node.kind in (CONSTANT, BUFFER):
            paths = [self.path(reader) for reader in self._readers.get(node.index, ())]
            shared = zip(*paths, strict=False)
            return [steps[0] for steps in _while_equal(shared)]
        calls = [
            (one.address, 1 if self._rolled else one.number) for one in self._history.calls_around(node)
        ]
        inner = calls[-1] if calls else ()
        return [*(("module", one) for one in calls), *(("composite", inner, one) for one in node.composite)]


def _while_equal(steps):
    for one in steps:
        if len(set(one)) > 1:
            return
        yield one


def repeated(sheet: Sheet, rolled: bool) -> list[str]:
    """Boxes or edges that are there twice."""
    found = [
        f"box {key} stands {n} times"
        for key, n in Counter(k for k, _ in _boxes(sheet.root, ())).items()
        if n > 1
    ]
    edges = Counter((edge.tail, edge.head, edge.kind) for edge in sheet.edges)
    found += [f"edge {edge} is there {n} times" for edge, n in edges.items() if n > 1]
    if not rolled:
        labels = Counter(
            label_of(box) for box in sheet.boxes.values() if box.category not in ("reference", "module")
        )
        found += [f"{label} has {n} boxes" for label, n in labels.items() if n > 1]
        found += [f"{edge.tail} goes back to {edge.head}" for edge in sheet.edges if edge.kind == "back"]
    return found


def against_the_order(sheet: Sheet) -> list[str]:
    """Cycles among edges that are not said to go back; closed modules may have some."""
    if any(box.category == "module" for box in sheet.boxes.values()):
        return []
    heads: dict[str, list[str]] = {}
    left = Counter()
    for edge in sheet.edges:
        if edge.kind == "data":
            heads.setdefault(edge.tail, []).append(edge.head)
            left[edge.head] += 1
    ready = [key for key in sheet.boxes if not left[key]]
    for key in ready:
        for head in heads.get(key, ()):
            left[head] -= 1
            if not left[head]:
                ready.append(head)
    return [f"{key} is part of a cycle" for key, n in left.items() if n]


def misplaced(history: ModelHistory, sheet: Sheet) -> list[str]:
    """Boxes of an unrolled whole view whose frames are not the module calls around their op.

    A module that does only one thing shares its box.
    """
    reader = _Reader(history, (), False, {PARAMETER, BUFFER})
    nodes = {reader.label(node): node for node in reader.nodes}
    sizes = Counter(step for node in reader.nodes for step in reader.path(node))
    found = []
    for key, around in _boxes(sheet.root, ()):
        box = sheet.boxes[key]
        if box.category == "reference" or label_of(box) not in nodes:
            continue
        frames = [("module", _call(one, False)) for one in around if one.kind == "module"]
        path = [step for step in reader.path(nodes[label_of(box)]) if step[0] == "module"]
        merged = path[len(frames) :]
        if frames != path[: len(frames)]:
            found.append(f"{label_of(box)} stands in {frames}, and ran in {path}")
        elif any(sizes[step] > 1 for step in merged):
            found.append(f"{label_of(box)} shares the box of {merged}, and is not alone there")
        elif merged and box.tooltip.partition("\n")[0] != merged[0][1][0]:
            found.append(f"the box of {label_of(box)} does not name {merged[0]}")
    return found


def number_of_ops(sheet: Sheet) -> int:
    """Entries that a folded picture stands for, as its marks and closed modules say."""
    total = 0
    for key, around in _boxes(sheet.root, ()):
        box = sheet.boxes[key]
        if box.category == "reference":
            continue
        own = 1
        if box.category == "module":
            told = re.fullmatch(r"([\d,]+) ops?", box.name)
            own = int(told[1].replace(",", "")) if told else 0
        total += own * math.prod(map(_times, (box.mark, *(one.mark for one in around))))
    return total


def _times(mark: str) -> int:
    """``×12  ↻ 4`` stands for 48."""
    return math.prod(map(int, re.findall(r"[×↻] ?(\d+)", mark)))
