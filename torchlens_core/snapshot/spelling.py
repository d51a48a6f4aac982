"""How an op is spelled: its public name and its arguments by keyword, defaults left out.

``x + y``, ``torch.add(x, y)`` and ``x.add(y)`` are one spelling. Names and defaults come from the function's
signature where it is Python, else from the operator of that name.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import FunctionType, MappingProxyType
from typing import Any, NamedTuple

import torch

from torchlens_core import internals
from torchlens_core.names import words
from torchlens_core.nodes import ArgPath, Node, Value

#: Torch's own aliases.
_SAME = {
    **dict.fromkeys(("concat", "concatenate"), "cat"),
    **dict.fromkeys(("divide", "true_divide"), "div"),
    **dict.fromkeys(("swapaxes", "swapdims"), "transpose"),
    "subtract": "sub",
    "multiply": "mul",
    "radd": "add",
    "rmul": "mul",
    "rtruediv": "rdiv",
    "absolute": "abs",
    "negative": "neg",
    "clip": "clamp",
    "moveaxis": "movedim",
    "row_stack": "vstack",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "not_equal": "ne",
}
_SAME |= {f"{name}_": f"{same}_" for name, same in _SAME.items()}
#: Keywords that numpy has, and what torch calls them.
_KEYWORDS = {"axis": "dim", "keepdims": "keepdim", "input": "self"}
#: Arguments that say nothing of the structure, or what the results and the kind say too.
_LEFT_OUT = words("device generator inplace non_blocking pin_memory return_indices")
#: Their first argument is data, not structure.
_FROM_DATA = words("as_tensor asarray new_tensor scalar_tensor tensor")
#: Geometry: ``(2, 2)`` is ``2``.
_GEOMETRY = words("stride padding dilation kernel_size output_size output_padding")
#: Sizes of a result, a number each or all in one tuple.
SIZES = words("size shape sizes")
_NOTHING = object()


class Spelled(NamedTuple):
    """An argument with its keyword, and where it stood in the call."""

    #: Empty if nobody knows it.
    keyword: str
    path: ArgPath
    value: Any
    #: Whether it is one of the tensors at the front, which need no keyword.
    is_leading: bool = False


def spell(node: Node) -> tuple[str, list[Spelled]]:
    """Kind and arguments of an op."""
    kind = _SAME.get(node.info.name, node.info.name)
    if isinstance(node.info.func, internals.OpOverload | internals.OpOverloadPacket):
        kind = _namespace(node.info.func) + kind
    found: list[Any] = []
    binding = _binding(node, kind)
    for position, value in enumerate(node.args):
        keyword, default = binding.at(position)
        if position == binding.spread:  # sizes given one by one: ``view(1, -1)``
            found.append((keyword, default, (position,), tuple(node.args[position:])))
            break
        found.append((keyword, default, (position,), value))
    for name, value in node.kwargs.items():
        keyword, default = binding.names.get(name, (name, _NOTHING))
        found.append((keyword, default, (name,), value))
        if name == "inplace" and value is True and kind[-1] != "_":
            kind += "_"
    return kind, _kept(kind, found, binding.order)


@lru_cache(maxsize=4096)
def _namespace(function: Any) -> str:
    """``torchvision.`` for an operator of another library than torch."""
    name = str(internals.schemas(function)[0].name).rpartition("::")[0]
    return f"{name}." if name not in ("aten", "prim", "prims", "") else ""


def _kept(kind: str, found: list[Any], order: Mapping[str, int]) -> list[Spelled]:
    """Arguments in one order, leading tensors by position, without what says nothing or is the default."""
    kept = []
    is_leading = True
    if found and kind in _FROM_DATA and not isinstance(found[0][3], Value):
        found = found[1:]
    if order:  # as in the signature, whether given by position or by name
        found = sorted(found, key=lambda one: order.get(one[0], len(order)))
    for place, (keyword, default, path, value) in enumerate(found):
        is_next = order.get(keyword) == place if order else isinstance(path[0], int)
        is_leading = is_leading and is_next and _has_tensors(value)
        if is_leading:
            kept.append(Spelled(keyword, path, value, True))
        elif keyword not in _LEFT_OUT and keyword[:1] != "_" and not isinstance(value, torch.device):
            plain = plain_value(keyword, value) if keyword else value
            if default is _NOTHING or not _is_equal(plain, default):
                kept.append(Spelled(keyword, path, plain))
    at = next((n for n, one in enumerate(kept) if not one.is_leading and one.keyword), len(kept))
    rest = sorted(kept[at:], key=lambda one: (order.get(one.keyword, len(order)), one.keyword))
    return [*kept[:at], *rest]


def _has_tensors(value: Any) -> bool:
    if isinstance(value, Value):
        return True
    return isinstance(value, list | tuple) and bool(value) and all(map(_has_tensors, value))


def plain_value(keyword: str, value: Any) -> Any:
    """An argument in the one form that it is written in.

    >>> plain_value("stride", [2, 2]), plain_value("dim", (1,)), plain_value("size", (2, 2))
    (2, 1, (2, 2))
    """
    if isinstance(value, list | tuple) and value and not _has_any_tensor(value):
        items = tuple(value)
        if keyword in _GEOMETRY and all(type(item) is int and item == items[0] for item in items):
            return items[0]
        if len(items) == 1 and type(items[0]) is int and keyword not in SIZES:
            return items[0]
        return items
    return (value,) if type(value) is int and keyword in SIZES else value


def _has_any_tensor(value: Any) -> bool:
    return isinstance(value, Value) or (
        isinstance(value, list | tuple) and any(map(_has_any_tensor, value))
    )


def _is_equal(value: Any, default: Any) -> bool:
    if value is None and default == []:  # how operators write that there is none
        return True
    try:
        return bool(
            value is default or (type(value) in _PLAIN and type(default) in _PLAIN and value == default)
        )
    except RuntimeError:  # a symbolic size: nobody may ask for its value
        return False


_PLAIN = frozenset({int, float, bool, str, tuple, complex})

# -- signatures ------------------------------------------------------------------------------------


class _Binding(NamedTuple):
    """Keywords and defaults of a call's arguments."""

    positions: Sequence[tuple[str, Any]] = ()
    names: Mapping[str, tuple[str, Any]] = MappingProxyType({})
    #: The position from which on the arguments are the sizes of one.
    spread: int | None = None
    #: Where each keyword stands in the signature.
    order: Mapping[str, int] = MappingProxyType({})

    def at(self, position: int) -> tuple[str, Any]:
        """Keyword and default of the argument at a position."""
        return self.positions[position] if position < len(self.positions) else ("", _NOTHING)


def _binding(node: Node, kind: str) -> _Binding:
    if not node.args and not node.kwargs:
        return _Binding()
    names = tuple(sorted(name for name in node.kwargs if name not in _LEFT_OUT))
    return _bound(_key(node.info.func), kind, tuple(map(_sort, node.args)), names)


def _key(function: Any) -> Any:
    """What tells signatures apart: Python functions and overloads themselves; all else goes by name."""
    if isinstance(
        function, FunctionType
    ):  # those that only wrap a builtin one have no signature of their own
        return None if hasattr(function, "__wrapped__") else function
    return function if isinstance(function, internals.OpOverload) else None


def _sort(value: Any) -> str:
    """A letter for what an argument is, as far as overloads differ in it."""
    if isinstance(value, Value):
        return "t"
    kind: type = type(value)
    known = _SORTS.get(kind)
    if known is not None:
        return known
    if isinstance(value, list | tuple):
        return "T" if _has_any_tensor(value) else "l"
    return "i" if isinstance(value, torch.SymInt) else "?"


_SORTS: dict[type, str] = {
    bool: "b",
    int: "i",
    float: "f",
    complex: "f",
    str: "s",
    type(None): "n",
    torch.device: "d",
    **dict.fromkeys((torch.dtype, torch.layout, torch.memory_format), "e"),
}
#: Types of an operator's arguments that each takes, as their beginning.
_TAKEN = {
    "t": ("Tensor",),
    "T": ("List[Tensor", "List[Optional[Tensor"),
    "b": ("bool", "number"),
    "i": ("int", "List[int", "number", "float", "List[float"),
    "f": ("float", "number", "List[float"),
    "s": ("str", "Device"),
    "d": ("Device",),
    "e": ("int",),
    "l": ("List[int", "List[float", "List[number", "List[bool"),
}


@lru_cache(maxsize=4096)
def _bound(function: Any, kind: str, sorts: tuple[str, ...], names: tuple[str, ...]) -> _Binding:
    if isinstance(function, FunctionType):
        by_signature = _of_signature(function, len(sorts), names)
        if by_signature is not None:
            return by_signature
    if isinstance(function, internals.OpOverload):
        schemas = internals.schemas(function)
    else:
        packet = getattr(torch.ops.aten, kind, None) if kind.isidentifier() else None
        schemas = sorted(internals.schemas(packet), key=_preference) if packet is not None else []
    for is_strict in (True, False):
        for schema in schemas:
            found = _of_schema(schema.arguments, sorts, names, is_strict)
            if found is not None:
                return found
    return _Binding()


def _preference(schema: Any) -> tuple[bool, str]:
    """The order in which overloads are tried; torch's own changes from release to release."""
    overload = str(schema.overload_name)
    return "out" in overload, overload


def _of_signature(function: FunctionType, count: int, names: Sequence[str]) -> _Binding | None:
    parameters = inspect.signature(function).parameters
    kinds = inspect.Parameter
    if any(one.kind is kinds.VAR_POSITIONAL for one in parameters.values()):
        return None
    known = {
        name: (
            _KEYWORDS.get(name, name),
            plain_value(name, one.default) if one.default is not one.empty else _NOTHING,
        )
        for name, one in parameters.items()
    }
    positions = [known[n] for n, one in parameters.items() if one.kind is not kinds.KEYWORD_ONLY]
    return (
        _Binding(positions, known, order=_order(known))
        if count <= len(positions) and set(names) <= set(known)
        else None
    )


def _of_schema(
    arguments: Sequence[Any], sorts: Sequence[str], names: Sequence[str], is_strict: bool
) -> _Binding | None:
    known = {
        one.name: (
            _KEYWORDS.get(one.name, one.name),
            plain_value(one.name, one.default_value) if one.has_default_value() else _NOTHING,
        )
        for one in arguments
    }
    by_name = {name: known.get(name) or known.get(_KEYWORDS.get(name, name)) for name in names}
    if any(one is None for one in by_name.values()):
        return None
    free = [one for one in arguments if not one.kwarg_only]
    types = [str(one.type).removeprefix("Optional[") for one in free]
    spread = None
    if len(sorts) > len(free):
        spread = next((n for n, one in enumerate(types) if one.startswith("List[int")), None)
        if spread is None or not set(sorts[spread:]) <= {"i"}:
            return None
        sorts = sorts[:spread]
    if is_strict and any(not _takes(types[n], sort, free[n]) for n, sort in enumerate(sorts)):
        return None
    return _Binding([known[one.name] for one in free], by_name, spread, _order(known))  # type: ignore[arg-type]


def _order(known: Mapping[str, tuple[str, Any]]) -> dict[str, int]:
    return {keyword: n for n, (keyword, _) in enumerate(known.values())}


def _takes(kind: str, sort: str, argument: Any) -> bool:
    if sort == "n":
        return str(argument.type.kind()) == "OptionalType"
    return sort == "?" or kind.startswith(_TAKEN[sort])
