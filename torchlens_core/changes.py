"""What a diff of two graphs consists of, as plain data; who only names classes of changes needs no more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

#: Whom a change concerns: all who use the model, those who rely on sizes and dtypes, or nobody.
BREAKING, SHAPE, ORDER = "breaking", "shape", "order"
CLASSES = (BREAKING, SHAPE, ORDER)
_SIZES = re.compile(r"\[[\d, ]*\]")
_OUTSIDE = re.compile(r"(?<!\S)/[\w.#]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change, as the graph has it in one module."""

    #: ``added``, ``removed``, ``replaced``, ``changed``, ``rewired``, ``renamed``, ``moved``, ...
    kind: str
    #: `BREAKING`, `SHAPE` or `ORDER`.
    effect: str
    #: The module in whose ``forward`` it is; empty for the model's.
    address: str
    #: What is changed: an op or module of that body.
    name: str
    #: In words: ``+ mul(other=0.5)   relu → · → conv2   f32[1, 256, 14, 14]``.
    text: str

    def is_at(self, pattern: str) -> bool:
        """Whether it is at a module whose address matches a pattern."""
        return any(matches(address, pattern) for address in (self.address, self.place))

    @property
    def gist(self) -> str:
        """The text without sizes and without what is outside the module: the same for alike modules."""
        return _SIZES.sub("", _OUTSIDE.sub("", self.text))

    @property
    def place(self) -> str:
        """Address of what is changed."""
        return ".".join(part for part in (self.address, self.name) if part)


def matches(address: str, pattern: str) -> bool:
    """Whether a pattern stands for a module: ``layer4.*`` also stands for ``layer4`` itself.

    >>> matches("layer4.0", "layer4.*"), matches("layer4", "layer4.*"), matches("layer41", "layer4.*")
    (True, True, False)
    """
    return fnmatchcase(address, pattern) or fnmatchcase(f"{address}.", pattern)
