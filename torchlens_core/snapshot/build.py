"""A recorded pass as an `Outline`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from torchlens_core import structure
from torchlens_core.garbage import collector_spared
from torchlens_core.nodes import (
    BUFFER,
    CONSTANT,
    ESCAPE,
    INPUT,
    OUTPUT,
    PARAMETER,
    ArgPath,
    Node,
    Value,
)
from torchlens_core.recording import Recording
from torchlens_core.snapshot import draft, rolling, spelling, wording
from torchlens_core.snapshot.frames import HELD, Frame, Frames, Key, Read
from torchlens_core.snapshot.naming import relative_name, written_name
from torchlens_core.snapshot.outline import HOLE, Body, Held, Outline, Output, Unused, merged


def outline_of(recording: Recording, batch: int | None = None) -> Outline:
    """The structure of a recorded pass; leading sizes equal to ``batch`` are written ``B``."""
    with collector_spared():
        return _Builder(recording, batch).outline()


class _Builder:
    """Writes the bodies of all calls, innermost first."""

    def __init__(self, recording: Recording, batch: int | None) -> None:
        self._recording = recording
        self._batch = batch
        self._nodes = recording.nodes
        self._frames = Frames(recording)
        self._items = {
            node.index: draft.Item()
            for node in self._nodes
            if node.kind not in HELD and node.kind is not OUTPUT
        }
        self._calls = {id(frame): draft.Item() for frame in self._frames.all}
        #: Equal bodies are one object.
        self._bodies: dict[Body, Body] = {}
        self._specs: dict[Any, str] = {}
        self._symbols: dict[str, str] = {}
        #: Of parameters and buffers; those that are not the model's are numbered.
        self._addresses: dict[int, str] = {}
        for node in self._nodes:
            if node.kind in HELD:
                strangers = 0 if node.address else sum(name[0] == "(" for name in self._addresses.values())
                self._addresses[node.index] = node.address or f"({strangers + 1})"

    def outline(self) -> Outline:
        """The whole."""
        for frame in reversed(self._frames.all[1:]):
            self._write_call(frame)
        outputs = [node for node in self._nodes if node.kind is OUTPUT]
        root = self._frames.root
        returns = [self._operand(self._frames.reads[node.index], root) for node in outputs]
        body = self._body(root, returns)
        return Outline(
            model=written_name(self._recording.model_name),
            is_training=bool(root.call and root.call.training),
            body=Body(body.items),
            outputs=tuple(
                Output(
                    written_name(structure.show("output", node.path)), operand, self._spec(node.values[0])
                )
                for node, operand in zip(outputs, body.returns, strict=True)
            ),
            unused=tuple(_unused(self._recording)),
        )

    # -- bodies ------------------------------------------------------------------------------------

    def _write_call(self, frame: Frame) -> None:
        item, call, parent = self._calls[id(frame)], frame.call, frame.parent
        assert call is not None
        assert parent is not None
        body = self._body(frame, [self._ref(key, frame) for key in frame.returns])
        item.body = self._bodies.setdefault(body, body)
        item.name = relative_name(frame.address, parent.address)
        item.class_name = written_name(call.class_name)
        item.key = (frame.address, call.chain)
        if call.training != bool(parent.call and parent.call.training):
            item.mode = "training" if call.training else "eval"
        item.operands = [[self._ref(key, parent) for key in frame.imports]]

    def _body(self, frame: Frame, returns: Sequence[draft.Operand]) -> Body:
        items = []
        for _, one in frame.inside:
            if isinstance(one, Frame):
                items.append(self._calls[id(one)])
            else:
                self._write_op(one, frame)
                items.append(self._items[one.index])
        return draft.finished(*rolling.rolled(items, list(returns)))

    def _ref(self, key: Key, here: Frame, certain: bool = True, is_read: bool = True) -> draft.Ref:
        """A value by what it is in a frame."""
        source = self._nodes[key[0]]
        there = self._frames.of_node[key[0]]
        target: draft.Item | str
        slot = 0
        if source.kind in HELD:
            target = f"@{relative_name(self._addresses[source.index], here.address)}"
        elif there is here:
            # a backward pass is read as a whole, by a number that none of its values has
            target, slot = self._items[key[0]], key[1] if key[1] < len(source.values) else 0
        elif key in here.imports:
            target = f"${here.imports[key]}"
        else:
            while there.parent is not here:
                there = there.parent  # type: ignore[assignment]
            target, slot = self._calls[id(there)], there.returns.index(key)
        return draft.Ref(target, slot, certain=certain, is_read=is_read)

    def _operand(self, reads: Sequence[Read], frame: Frame) -> draft.Operand:
        return merged(self._ref(read.key, frame, read.certain, read.is_read) for read in reads)

    # -- ops ---------------------------------------------------------------------------------------

    def _write_op(self, node: Node, frame: Frame) -> None:
        item = self._items[node.index]
        arguments: list[spelling.Spelled] = []
        if node.kind is INPUT:
            name = structure.input_name(node.path, self._recording.forward_parameters)
            item.kind, item.name = INPUT, written_name(name)
        elif node.kind is CONSTANT:
            item.kind = item.name = CONSTANT
        else:
            kind, arguments = spelling.spell(node)
            item.kind = item.name = written_name(kind)
        item.key = (id(node.site.layer), item.kind)
        item.mark = "opaque" if node.is_opaque else "python" if node.kind is ESCAPE else ""
        specs = [self._spec(value) for value in node.values]
        cut = len(specs) - node.written
        item.results, item.written = specs[:cut], specs[cut:]
        self._write_arguments(item, node, arguments, frame)

    def _write_arguments(
        self, item: draft.Item, node: Node, arguments: Sequence[spelling.Spelled], frame: Frame
    ) -> None:
        by_path: dict[ArgPath, list[Read]] = {}
        for read in self._frames.reads[node.index]:
            by_path.setdefault(read.path, []).append(read)
        hidden: list[tuple[tuple[str, str], list[draft.Operand]]] = []
        positional, named = [], []
        for keyword, path, value, is_leading in arguments:
            operands: list[draft.Operand] = []

            def of_tensor(path: ArgPath, value: Value, operands: list[draft.Operand] = operands) -> str:
                reads = by_path.pop(path, None)
                if reads is None:  # only its shape is read
                    return self._spec(value)
                operands.append(self._operand(reads, frame))
                return HOLE

            if path == (1,) and item.kind in ("getitem", "setitem"):
                text = f"[{wording.index(value, path, of_tensor)}]"
            else:
                text = wording.worded(value, path, of_tensor)
            if self._symbols and "<" in text:
                text = _ANGLE.sub(lambda found: self._renumbered(found[0]), text)
            if self._batch is not None and keyword in _LED_BY_BATCH and text.startswith(f"({self._batch},"):
                text = f"({BATCH}{text[1 + len(str(self._batch)) :]}"
            if text == HOLE and operands == [draft.Ref(f"@{keyword}")]:
                hidden.append(((keyword, text), operands))
            elif is_leading:
                positional.append((("", text), operands))
            else:
                named.append(((keyword, text), operands))
        for path, reads in by_path.items():  # what it reads besides its arguments
            keyword = ".".join(map(str, path)) if path and isinstance(path[0], str) else ""
            named.append(((keyword, HOLE), [self._operand(reads, frame)]))
        item.held = self._held(node, frame)
        order = {held.name: n for n, held in enumerate(item.held)}
        hidden.sort(key=lambda one: order[f"@{one[0][0]}"])
        everything = [*positional, *hidden, *named]
        item.texts = [text for text, _ in everything]
        item.operands = [operands for _, operands in everything]

    def _held(self, node: Node, frame: Frame) -> list[Held]:
        """The parameters and buffers that an op reads."""
        indices = dict.fromkeys(read.key[0] for read in self._frames.reads[node.index])
        sources = (self._nodes[index] for index in indices)
        found = [
            Held(
                f"@{relative_name(self._addresses[one.index], frame.address)}",
                str(one.values[0].spec),
                one.kind is BUFFER,
            )
            for one in sources
            if one.kind in HELD
        ]
        return sorted(found, key=lambda one: one.is_buffer)

    def _renumbered(self, size: Any) -> Any:
        """A size; symbols, which torch numbers on from pass to pass, by their first appearance."""
        if type(size) is int:
            return size

        def renamed(found: re.Match[str]) -> str:
            letters = found[1]
            count = sum(name.startswith(letters) for name in self._symbols)
            return self._symbols.setdefault(found[0], f"{letters}{count}")

        return _SYMBOL.sub(renamed, str(size))

    def _spec(self, value: Value) -> str:
        key = (value.dtype, tuple(value.shape))
        found = self._specs.get(key)
        if found is None:
            spec = replace(value.spec, shape=tuple(map(self._renumbered, value.shape)))
            if self._batch is not None and spec.shape[:1] == (self._batch,):
                spec = replace(spec, shape=(BATCH, *spec.shape[1:]))
            found = self._specs[key] = str(spec)
        return found


def _unused(recording: Recording) -> Iterator[Unused]:
    """The outermost modules whose parameters nothing reads."""
    used = {id(node.tensor) for node in recording.nodes if node.kind is PARAMETER}
    addresses = {
        module.address for module in recording.modules if any(one in used for one in module.parameters)
    }
    touched = {""}  # modules with a parameter that is read, and those around them
    for address in (*addresses, *(call.address for call in recording.calls)):
        while address and address not in touched:
            touched.add(address)
            address = address.rpartition(".")[0]
    counts: dict[str, dict[int, int]] = {}
    for module in recording.modules:
        address = module.address
        free = {one: size[0] for one, size in module.parameters.items() if one not in used}
        while address not in touched and address.rpartition(".")[0] not in touched:
            address = address.rpartition(".")[0]
        if free:
            counts.setdefault(address, {}).update(free)
    for address, sizes in counts.items():
        yield Unused(written_name(address), sum(sizes.values()))


#: How a batch size that has been named is written, and the arguments whose first number may be one.
BATCH = "B"
_SYMBOL = re.compile(r"\b([a-z]+)(\d+)\b")
_ANGLE = re.compile(r"<[^<>]*>")
_LED_BY_BATCH = spelling.SIZES | {"repeats"}
