"""Tensors inside nested arguments and results: where they are, and the same structure with others in their place.

The only code of the project that walks containers. It knows sequences, mappings, named tuples,
dataclasses (the output classes of transformers among them) and plain objects with attributes.
"""

from __future__ import annotations

import copy
import dataclasses
import types
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any

from torch import Tensor, nn

#: Steps from a root to a leaf: ``("item", key)`` or ``("attribute", name)``.
Step = tuple[str, Any]
Path = tuple[Step, ...]

_OPAQUE = (
    str,
    bytes,
    int,
    float,
    complex,
    bool,
    type(None),
    type,
    range,
    slice,
    nn.Module,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.GeneratorType,
)
_SCALARS = frozenset({str, int, float, bool, type(None)})
#: Deeper structures than this are taken to be no data of a model.
MAX_DEPTH = 32


def leaves(root: Any) -> list[tuple[Path, Tensor]]:
    """Every tensor in ``root`` with its path, in order; one that occurs twice is listed twice.

    >>> import torch
    >>> [path for path, _ in leaves({"ids": torch.zeros(1), "more": (3, torch.ones(1))})]
    [(('item', 'ids'),), (('item', 'more'), ('item', 1))]
    """
    kind = type(root)
    if kind is tuple or kind is list:  # by far the most common: worth an eighth of the general walk
        for item in root:
            if not isinstance(item, Tensor) and item is not None:
                break
        else:
            return [((("item", n),), item) for n, item in enumerate(root) if item is not None]
    elif kind is Tensor:
        return [((), root)]
    return list(_walk(root, (), set()))


def tensors(root: Any) -> list[Tensor]:
    """Every tensor in ``root``, in order.

    >>> import torch
    >>> len(tensors([torch.zeros(1), {"more": torch.ones(1)}]))
    2
    """
    kind = type(root)
    if kind is Tensor:
        return [root]
    if kind is tuple or kind is list:
        found = [item for item in root if type(item) is Tensor]
        if len(found) == len(root):
            return found
        found = []
        for item in root:
            if isinstance(item, Tensor):
                found.append(item)
            elif (type(item) is tuple or type(item) is list) and all(map(_is_plain, item)):
                found += item
            elif type(item) not in _SCALARS:
                found += [tensor for _, tensor in _walk(item, (), {id(root)})]
        return found
    return [] if kind in _SCALARS else [tensor for _, tensor in _walk(root, (), set())]


def _is_plain(item: Any) -> bool:
    return type(item) is Tensor


def _walk(node: Any, path: Path, above: set[int]) -> Iterator[tuple[Path, Tensor]]:
    if isinstance(node, Tensor):
        yield path, node
    elif not isinstance(node, _OPAQUE) and len(path) < MAX_DEPTH and id(node) not in above:
        above.add(id(node))
        for step, child in children(node):
            yield from _walk(child, (*path, step), above)
        above.discard(id(node))


def children(node: Any) -> Iterator[tuple[Step, Any]]:
    """What ``node`` holds directly, each with the step that leads there."""
    if dataclasses.is_dataclass(node):
        for field in dataclasses.fields(node):
            if hasattr(node, field.name):
                yield ("attribute", field.name), getattr(node, field.name)
    elif isinstance(node, tuple) and hasattr(node, "_fields"):
        for name, child in zip(node._fields, node, strict=False):
            yield ("attribute", name), child
    elif isinstance(node, Mapping):
        for key in list(node):
            yield ("item", key), node[key]
    elif isinstance(node, Sequence | Set | frozenset):
        for index, child in enumerate(node):
            yield ("item", index), child
    else:
        for name, child in _attributes(node):
            yield ("attribute", name), child


def slots(node: Any) -> Iterator[tuple[str, Any]]:
    """Name and value of each attribute that the class of ``node`` keeps in ``__slots__``."""
    for kind in type(node).__mro__:
        names = kind.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if name not in ("__dict__", "__weakref__") and hasattr(node, name):
                yield name, getattr(node, name)


def _attributes(node: Any) -> Iterator[tuple[str, Any]]:
    yield from slots(node)
    yield from list(getattr(node, "__dict__", {}).items())


def show(root: str, path: Path) -> str:
    """A path as Python code.

    >>> show("input", (("item", 0), ("item", "ids"), ("attribute", "mask")))
    'input.0["ids"].mask'
    """
    text = root
    for kind, key in path:
        if kind == "attribute" or isinstance(key, int):
            text += f".{key}"
        else:
            text += f'["{key}"]' if isinstance(key, str) else f"[{key!r}]"
    return text


def input_name(path: Path, parameters: Sequence[str]) -> str:
    """What an input is called in ``forward``, whose positional ``parameters`` are given.

    >>> input_name((("item", 1), ("item", 0)), ("x", "*masks"))
    'masks.0.0'
    """
    first: Any = path[0][1] if path else "input"
    if isinstance(first, int) and parameters:
        last = len(parameters) - 1
        if parameters[min(first, last)][0] == "*":
            first = f"{parameters[last][1:]}.{first - last}"
        elif first <= last:
            first = parameters[first]
    return show(str(first), path[1:])


def replace(root: Any, change: Callable[[Tensor], Any]) -> Any:
    """``root`` with every tensor ``t`` replaced by ``change(t)``; containers are copied, all else is shared.

    >>> import torch
    >>> replace((torch.zeros(2), {"n": 3}), lambda t: t.shape[0])
    (2, {'n': 3})
    """
    return _Replacer(change).visit(root, 0)


class _Replacer:
    """One walk of `replace`; an object met twice is replaced once."""

    def __init__(self, change: Callable[[Tensor], Any]) -> None:
        self._change = change
        self._done: dict[int, Any] = {}
        self._kept: list[Any] = []  # keeps the ids in `_done` from being used again

    def visit(self, node: Any, depth: int) -> Any:
        if isinstance(node, _OPAQUE) or depth > MAX_DEPTH:
            return node
        if id(node) not in self._done:
            self._kept.append(node)
            self._done[id(node)] = node  # a cycle ends at the original
            self._done[id(node)] = (
                self._change(node) if isinstance(node, Tensor) else self._container(node, depth + 1)
            )
        return self._done[id(node)]

    def _container(self, node: Any, depth: int) -> Any:
        changed = {
            step: new for step, child in children(node) if (new := self.visit(child, depth)) is not child
        }
        if not changed:
            return node if not isinstance(node, list | dict) else copy.copy(node)
        if isinstance(node, tuple | Set):
            items = [self.visit(child, depth) for child in node]
            make: Callable[..., Any] = type(node)
            return make(*items) if hasattr(node, "_make") else make(items)
        if isinstance(node, types.MappingProxyType):
            return types.MappingProxyType({key: self.visit(child, depth) for key, child in node.items()})
        clone = copy.copy(node)
        for (kind, key), new in changed.items():
            if kind == "item":
                clone[key] = new
            elif dataclasses.is_dataclass(node) and not isinstance(node, dict):
                object.__setattr__(clone, key, new)  # frozen ones refuse setattr
            else:
                setattr(clone, key, new)
        return clone
