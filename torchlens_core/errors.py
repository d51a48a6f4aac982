"""Every error this package raises, in one tree.

A message says what happened, where, what was expected and what was got, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


class TorchLensError(Exception):
    """Root of all errors raised by ``torchlens_core``."""


class ArgumentError(TorchLensError, TypeError):
    """What was handed to a function of this package cannot be used; nothing was run."""


class DeviceMismatchError(ArgumentError):
    """The model lives on one device and its inputs on another; nothing was run."""


class UnknownLayerError(TorchLensError, KeyError, ValueError):
    """A key names no layer, module or index of a history.

    It is a `KeyError`, as for every mapping, and a `ValueError`, as in TorchLens.
    """

    def __str__(self) -> str:  # KeyError would print the message's repr
        return str(self.args[0])


class LayerIndexError(UnknownLayerError, IndexError):
    """An integer key lies outside the history."""


class AmbiguousLayerError(UnknownLayerError):
    """A key names several layers or passes where one is wanted."""


class StaleValueError(TorchLensError, RuntimeError):
    """A saved activation was overwritten after the pass, so its value is no longer the recorded one."""


class ReplayError(TorchLensError, RuntimeError):
    """A recorded graph could not be run again."""


class IncomparableError(TorchLensError, TypeError):
    """The values of two tensors cannot be read, so that nobody can say whether they are equal."""


class DrawingError(TorchLensError, RuntimeError):
    """No drawing engine could make the picture."""


class SnapshotError(TorchLensError, ValueError):
    """A text is no snapshot of a graph; the message begins with the line."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        #: The line of the text, from 1.
        self.line = line


class UnsupportedTorchError(TorchLensError, ImportError):
    """The installed torch lacks something the recorder cannot do without."""


def nearest(key: str, names: Iterable[str], count: int = 5) -> list[str]:
    """The ``count`` names most like ``key``, best first.

    >>> nearest("conv2d_3", ["relu_1_2", "conv2d_3_7", "conv2d_2_4"], 2)
    ['conv2d_3_7', 'conv2d_2_4']
    """
    return difflib.get_close_matches(key, list(names), n=count, cutoff=0.4)


def listing(names: Sequence[Any], limit: int = 8) -> str:
    """``names`` in one line, the rest counted.

    >>> listing(["a", "b", "c"], 2)
    "'a', 'b' (and 1 more)"
    """
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown + (f" (and {len(names) - limit} more)" if len(names) > limit else "")
