"""The arguments of the markers: which values each takes, and what is said of others."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

#: Those of a validation; options and ini values are named after them.
VALIDATION = ("checks", "rtol", "atol", "grad", "seed")
#: Those of a snapshot.
SNAPSHOT = ("ignore", "batch")
#: Those of a model class.
MODEL = ("inputs", "init")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Values:
    """What an argument may be."""

    #: In words, after "Expected".
    words: str
    holds: Callable[[Any], bool]


def fault(name: str, value: Any) -> str | None:
    """What is wrong with a value, as the end of a sentence; None if nothing is.

    >>> fault("rtol", -1)
    'has rtol=-1. Expected a finite number, 0 or more.'
    >>> fault("rtol", 1e-3)
    """
    if name == "checks":
        return fault_in_checks(value)
    if _VALUES[name].holds(value):
        return None
    shown = " ".join(reprlib.repr(value).split())  # a tensor's would take many lines
    return f"has {name}={shown}. Expected {_VALUES[name].words}."


def fault_in_checks(checks: Any) -> str | None:
    """The same for names of checks: None for all, one name, or several."""
    if checks is None:
        return None
    from torchlens_core.validate import CHECKS  # torch is imported only for projects that validate

    names = [checks] if isinstance(checks, str) else checks
    is_list = isinstance(names, list | tuple | set | frozenset)
    wrong = [repr(name) for name in names if name not in list(CHECKS)] if is_list else [repr(checks)]
    if not wrong and names:
        return None
    found = f"{', '.join(wrong)}, which is no check" if wrong else "no check"  # none would prove nothing
    return f"names {found}. The checks are {', '.join(map(repr, CHECKS))}."


def ignored(value: Any) -> tuple[str, ...]:
    """What ``ignore=`` names, one by one, in a fixed order if it has none itself.

    >>> ignored("order"), ignored(["shape", "layer4.*"])
    (('order',), ('shape', 'layer4.*'))
    """
    if isinstance(value, str):
        return (value,)
    return tuple(sorted(value) if isinstance(value, set | frozenset) else value)


def is_shape(value: Any) -> bool:
    """Whether a value can be the shape of a tensor.

    >>> is_shape((2, 3)), is_shape(()), is_shape([(2, 3)]), is_shape((2, -1))
    (True, True, False, False)
    """
    return isinstance(value, tuple | list) and all(_is_int(size) and size >= 0 for size in value)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_tolerance(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return math.isfinite(value) and float(value) >= 0


def _is_seed(value: Any) -> bool:
    return value is None or (_is_int(value) and -(2**63) <= value < 2**64)  # what torch.manual_seed takes


def _are_inputs(value: Any) -> bool:
    """An empty tuple is refused: it may be meant as the shape of a scalar, or as no arguments."""
    if value is None or callable(value):
        return True
    return (
        isinstance(value, tuple | list) and bool(value) and (is_shape(value) or all(map(is_shape, value)))
    )


def _are_arguments(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(name, str) for name in value)
    return value is None or isinstance(value, tuple | list)


def _are_changes(value: Any) -> bool:
    is_list = isinstance(value, list | tuple | set | frozenset)
    return all(isinstance(one, str) and one for one in (value if is_list else [value]))


_TOLERANCE = _Values(words="a finite number, 0 or more", holds=_is_tolerance)
_VALUES = {
    "rtol": _TOLERANCE,
    "atol": _TOLERANCE,
    "grad": _Values(
        words="True, False or None", holds=lambda value: value is None or isinstance(value, bool)
    ),
    "seed": _Values(words="an int of 64 bits, or None", holds=_is_seed),
    "ignore": _Values(
        words="'breaking', 'shape', 'order', patterns of addresses of modules such as 'layer4.*', or a list of them",
        holds=_are_changes,
    ),
    "batch": _Values(
        words="an int, 1 or more, or None",
        holds=lambda value: value is None or (_is_int(value) and value >= 1),
    ),
    "inputs": _Values(
        words="a shape such as (1, 3, 32, 32), a list of shapes, or a callable that returns the arguments",
        holds=_are_inputs,
    ),
    "init": _Values(
        words="a dict of named arguments, or a tuple or list of positional ones", holds=_are_arguments
    ),
}
