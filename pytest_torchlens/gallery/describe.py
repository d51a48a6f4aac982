"""A history as plain data for its page: modules, layers with what they read, lines of source, statistics."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torchlens_core import ModelHistory, StaleValueError
from torchlens_core.draw.tree import Group, Leaf, Tree, groups_of, leaves_of
from torchlens_core.entries import Layer, Op
from torchlens_core.sites import Frame, frames_of

#: Layers of larger models are left out from there on.
MAX_LAYERS = 5_000
#: Innermost lines of a layer's call stack that are kept, and characters of one.
MAX_FRAMES, MAX_LINE = 8, 300
#: Bars of a histogram, and about how many numbers it is made of, evenly spread in a tensor.
BARS, SAMPLE = 16, 2**14

#: Files of torch whose lines only pass a call on.
_CALLERS = {sys.modules[name].__file__ for name in (torch.nn.Module.__module__, torch.overrides.__name__)}


def describe(history: ModelHistory, tree: Tree) -> dict[str, Any]:
    """What the page of a pass shows beside pictures; ``tree`` is the history's, not yet folded."""
    sources = _Sources(len(frames_of(history.recording.outer_stack)))
    leaves = [leaf for leaf in leaves_of(tree.root) if leaf.labels]
    readers = _Readers(tree)
    return {
        "model": history.model_name,
        "ops": len(history.ops),
        "layers_total": len(leaves),
        "parameters": history.total_params,
        "device": _device(history),
        "is_recurrent": history.model_is_recurrent,
        "modules": [_module(group) for group in groups_of(tree.root) if group.kind == "module"],
        "layers": [_layer(leaf, readers, sources) for leaf in leaves[:MAX_LAYERS]],
        "sources": sources.found,
        "omitted": max(0, len(leaves) - MAX_LAYERS),
    }


def add_statistics(described: dict[str, Any], tree: Tree) -> None:
    """Add to each layer's data what its saved values are like; they may be others in each run."""
    leaves = [leaf for leaf in leaves_of(tree.root) if leaf.labels]
    for layer, leaf in zip(
        described["layers"], leaves, strict=False
    ):  # those beyond `MAX_LAYERS` are not described
        op = _op(leaf)
        found = statistics(op) if op is not None else None
        if found is not None:
            layer["statistics"] = found


def _op(leaf: Leaf) -> Op | None:
    """The first pass of a layer."""
    entry = leaf.entry.passes[0] if isinstance(leaf.entry, Layer) else leaf.entry
    return entry if isinstance(entry, Op) else None


def _device(history: ModelHistory) -> str:
    specs = (spec for op in history.layer_list for spec in op.specs)
    first = next(specs, None)
    return first.device.type if first is not None else ""


def _module(group: Group) -> dict[str, Any]:
    return {
        "address": group.address,
        "class": group.class_name,
        "depth": sum(1 for _ in _modules_around(group)) + 1,
        "parameters": group.parameters,
        "passes": group.passes,
        "shape": group.shape,
    }


def _modules_around(part: Group | Leaf) -> Iterator[Group]:
    around = part.parent
    while around is not None and around.parent is not None:
        if around.kind == "module":
            yield around
        around = around.parent


def _layer(leaf: Leaf, readers: _Readers, sources: _Sources) -> dict[str, Any]:
    """One layer; what is empty, zero or one is left out."""
    op, words = _op(leaf), leaf.words
    module = next(_modules_around(leaf), None)
    specs = op.specs[:3] if op is not None else ()
    found = {
        "label": leaf.labels[0],
        "name": words.title,
        "category": words.category,
        "module": module.address if module is not None else "",
        "arguments": words.details,
        "shape": words.shape,
        "dtype": ", ".join(dict.fromkeys(str(spec.dtype).removeprefix("torch.") for spec in specs)),
        "parameters": words.parameters,
        "passes": leaf.passes if leaf.passes > 1 else 0,
        "sources": sources.numbers(op.frames) if op is not None else [],
        "reads": readers.read.get(leaf, []),
        "read_by": readers.readers.get(leaf, []),
    }
    return {name: value for name, value in found.items() if value}


class _Readers:
    """Labels of what each leaf reads, and of what reads it."""

    def __init__(self, tree: Tree) -> None:
        self.read: dict[Leaf, list[str]] = {}
        self.readers: dict[Leaf, list[str]] = {}
        for wire in tree.wires:
            if wire.kind == "gradient":
                continue
            self._note(self.read, wire.head, wire.tail)
            self._note(self.readers, wire.tail, wire.head)

    def _note(self, found: dict[Leaf, list[str]], leaf: Leaf, other: Leaf) -> None:
        known = found.setdefault(leaf, [])
        if other.labels and other.labels[0] not in known[-8:]:
            known.append(other.labels[0])


class _Sources:
    """Lines of source, each once; not those that led to the pass, nor those by which torch passes a call on."""

    def __init__(self, outer: int) -> None:
        self._outer = outer
        self.found: list[dict[str, str]] = []
        self._numbers: dict[Frame, int] = {}

    def numbers(self, frames: Iterable[Frame]) -> list[int]:
        """The numbers of the lines of a call stack."""
        kept = [frame for frame in list(frames)[self._outer :] if frame.filename not in _CALLERS]
        return [self._number(frame) for frame in kept[-MAX_FRAMES:]]

    def _number(self, frame: Frame) -> int:
        if frame not in self._numbers:
            self._numbers[frame] = len(self.found)
            place = f"{shown_path(frame.filename)}:{frame.line}"
            self.found.append({"place": place, "code": frame.source[:MAX_LINE], "function": frame.function})
        return self._numbers[frame]


def shown_path(filename: str) -> str:
    """A file as who reads the page knows it: from where it would be imported, or from here.

    >>> shown_path(torch.__file__)
    'torch/__init__.py'
    """
    path = Path(filename)
    roots = [Path.cwd(), *(Path(one) for one in sys.path if one)]
    inside = [path.relative_to(root) for root in roots if path.is_relative_to(root)]
    return min(map(Path.as_posix, inside), key=len, default=path.name)


def statistics(op: Op) -> dict[str, Any] | None:
    """Of the first tensor that an op returned, if it was saved and has numbers."""
    try:
        contents = op.tensor_contents if op.has_saved_activations else None
    except StaleValueError:
        return None
    if isinstance(contents, tuple | list):
        contents = contents[0] if contents else None
    if not isinstance(contents, Tensor) or not _is_plain(contents):
        return None
    numbers = contents.detach().to("cpu", torch.float32).flatten()
    odd, finite = {"nan": 0, "infinite": 0}, numbers
    low, high = map(float, torch.aminmax(numbers))  # a NaN makes both NaN
    if not (math.isfinite(low) and math.isfinite(high)):
        odd = {"nan": int(numbers.isnan().sum()), "infinite": int(numbers.isinf().sum())}
        finite = numbers[numbers.isfinite()]
        if not finite.numel():
            return odd
        low, high = map(float, torch.aminmax(finite))
    std, mean = torch.std_mean(finite, correction=0)
    zeros = 1 - int(torch.count_nonzero(numbers)) / numbers.numel()
    shown = {"min": low, "max": high, "mean": float(mean), "std": float(std), "zeros": zeros}
    return (
        odd | {name: _short(one) for name, one in shown.items()} | {"histogram": _bars(finite, low, high)}
    )


def _bars(numbers: Tensor, low: float, high: float) -> list[int]:
    if not low < high:
        return [numbers.numel()]
    return [int(one) for one in torch.histc(numbers[:: -(-numbers.numel() // SAMPLE)], BARS, low, high)]


def _is_plain(tensor: Tensor) -> bool:
    is_odd = tensor.is_meta or tensor.is_nested or tensor.is_quantized or tensor.is_complex()
    return not is_odd and tensor.layout is torch.strided and tensor.numel() > 0


def _short(number: float) -> float:
    """Four digits, which is what is shown; what has overflowed is at the end of float32."""
    return float(f"{min(max(number, -3e38), 3e38):.4g}")
