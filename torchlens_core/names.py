"""What torch's functions are called."""

from __future__ import annotations

from typing import Any

from torchlens_core import internals


def words(text: str) -> frozenset[str]:
    """The words of a table."""
    return frozenset(text.split())


def public_name(function: Any) -> str:
    """The name people call a function by, without dunders and module.

    >>> import torch
    >>> from torch import Tensor
    >>> public_name(torch.nn.functional.conv2d), public_name(Tensor.__getitem__), public_name(Tensor.T.__get__)
    ('conv2d', 'getitem', 'T')
    >>> public_name(torch.ops.aten.linear.default)
    'linear'
    """
    if isinstance(function, internals.OpOverload):
        return str(internals.schemas(function)[0].name).rpartition("::")[2]
    name = raw_name(function)
    if name in ("__get__", "__set__"):
        attribute = str(getattr(function.__self__, "__name__", name))
        return attribute if name == "__get__" else f"set_{attribute}"
    if name.startswith("_foreach_") or getattr(function, "__module__", "") == "torch.foreach":
        return "foreach_" + name.removeprefix("_foreach_")
    if name.startswith("__") and name.endswith("__"):
        name = name.strip("_")
        if name[0] == "i" and name[1:] in _INPLACE_DUNDERS:
            return name[1:] + "_"
        return _OPERATORS.get(name, name)
    return name


def raw_name(function: Any) -> str:
    """``function.__name__``, or the best there is."""
    name = getattr(function, "__name__", None) or internals.operator_name(function)
    return str(name or type(function).__name__)


_INPLACE_DUNDERS = words(
    """
    add and div floordiv lshift matmul mod mul or pow rshift sub truediv xor
    """
)
_OPERATORS = {"truediv": "div", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor"}
