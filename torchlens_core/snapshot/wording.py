"""Arguments as text: numbers, sizes, indices, dtypes; each tensor leaves a hole."""

from __future__ import annotations

import enum
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np
import torch

from torchlens_core.nodes import ArgPath, Value
from torchlens_core.snapshot.outline import HOLE
from torchlens_core.specs import short_dtype

_ANGLES = re.compile(rf"[<>{HOLE}]")
#: Longer lists and texts stand as their number and a fingerprint.
MAX_ITEMS, MAX_CHARACTERS = 64, 200
#: Writes what a tensor is: a hole, noted as an operand, or a spec.
OfTensor = Callable[[ArgPath, Value], str]

_dtypes = {value: short_dtype(value) for value in vars(torch).values() if isinstance(value, torch.dtype)}
_others = {
    value: name
    for name, value in vars(torch).items()
    if isinstance(value, torch.layout | torch.memory_format)
}
#: Words that stand for values of torch and Python, and can be no names.
SYMBOLS = frozenset(
    {*_dtypes.values(), *_others.values(), "True", "False", "None", "inf", "nan", "python", "B"}
)


def worded(value: Any, path: ArgPath, of_tensor: OfTensor) -> str:
    """An argument, which stands at ``path``, as text.

    >>> worded((1, 2.5, None, "sum", torch.float64), (0,), str)
    '(1, 2.5, None, "sum", f64)'
    """
    if isinstance(value, Value):
        return of_tensor(path, value)
    kind = type(value)
    if kind is int or kind is float or kind is bool or value is None or kind is complex:
        return repr(value)
    if kind is str:
        return _quoted(value) if len(value) <= MAX_CHARACTERS else _digest(value, "characters")
    if isinstance(value, list | tuple):
        return _sequence(value, path, of_tensor)
    if isinstance(value, torch.dtype):
        return _dtypes[value]
    return _other(value, path, of_tensor)


def _quoted(text: str) -> str:
    """In double quotes, as JSON has it; what UTF-8 cannot hold is escaped."""
    quoted = json.dumps(text, ensure_ascii=False).replace(HOLE, r"\u25a1")
    return quoted.encode("utf-8", "backslashreplace").decode()


def _sequence(value: Any, path: ArgPath, of_tensor: OfTensor) -> str:
    items = [worded(item, (*path, n), of_tensor) for n, item in enumerate(value)]
    text = ", ".join(items)
    if len(items) > MAX_ITEMS and not any(isinstance(item, Value) for item in value):
        return _digest(text, "items", len(items))
    if isinstance(value, list) or any(isinstance(item, Value) for item in value):
        return f"[{text}]"
    return f"({text},)" if len(items) == 1 else f"({text})"


def _digest(text: str, unit: str, count: int | None = None) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"<{len(text) if count is None else count} {unit} {digest}>"


def _other(value: Any, path: ArgPath, of_tensor: OfTensor) -> str:
    if isinstance(value, Mapping):
        items = [f"{_quoted(str(k))}: {worded(v, (*path, k), of_tensor)}" for k, v in value.items()]
        return f"{{{', '.join(items)}}}"
    if isinstance(value, int | float) and not isinstance(value, bool):  # of a class of their own
        return repr(int(value) if isinstance(value, int) else float(value))
    if isinstance(value, str):
        return worded(str(value), path, of_tensor)
    if isinstance(value, np.generic):
        return worded(value.item(), path, of_tensor)
    if isinstance(value, range | np.ndarray):
        return worded(list(value) if isinstance(value, range) else value.tolist(), path, of_tensor)
    if isinstance(value, slice) or value is Ellipsis:
        return index(value, path, of_tensor)
    if isinstance(value, torch.layout | torch.memory_format):
        return _others[value]
    if isinstance(value, enum.Enum):
        return f"<{type(value).__name__}.{value.name}>"
    if isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool):
        return f"<{value}>"
    if isinstance(value, FunctionType | BuiltinFunctionType | type):
        return f"<{_ANGLES.sub('', value.__qualname__)}>"
    return f"<{type(value).__name__}>"


def index(value: Any, path: ArgPath, of_tensor: OfTensor) -> str:
    """What stands between the brackets of ``x[...]``.

    >>> index((slice(None), slice(0, 3), Ellipsis, None, -1), (1,), str)
    ':, 0:3, ..., None, -1'
    """
    if isinstance(value, tuple):
        return ", ".join(index(item, (*path, n), of_tensor) for n, item in enumerate(value))
    if isinstance(value, slice):
        ends = (value.start, value.stop) if value.step is None else (value.start, value.stop, value.step)
        texts = ("" if end is None else worded(end, (*path, n), of_tensor) for n, end in enumerate(ends))
        return (" : " if any(isinstance(end, Value) for end in ends) else ":").join(texts)
    return "..." if value is Ellipsis else worded(value, path, of_tensor)
