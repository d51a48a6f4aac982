"""Arguments of ``forward`` written as texts: ``f32[1, 3, 8, 8]``, ``i64[1, 12] < 100``, ``[[1, 4, 4]]``."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

import torch


def read(text: Any) -> Any:
    """What a text, or each text in a container, means, made where torch makes tensors now.

    Raises `ValueError` for a text that means nothing.

    ``f32[2, 3]`` and ``i64[2, 3] < 9`` are random, ``ones[4]`` integers, ``bool[4]`` true, ``zeros[4]`` false, and
    ``first[1, 4] < 2`` true at the first two. ``[[1, 4, 4]]`` is a tensor of just that, ``list f32[4]`` has one in a
    list, and ``= (4, 4)`` is no tensor, but the value.

    >>> read("i64[1, 12] < 5").shape, read("[[1, 4]]").tolist(), read("= (4, 4)"), read({"a": ["= 1"]})
    (torch.Size([1, 12]), [[1, 4]], (4, 4), {'a': [1]})
    """
    if isinstance(text, Mapping):
        return {name: read(one) for name, one in text.items()}
    if isinstance(text, list | tuple):
        return type(text)(map(read, text))
    if text.startswith("="):
        return ast.literal_eval(text[1:].strip())
    if text.startswith("list "):
        return [read(text[5:])]
    found = re.fullmatch(r"(f32|i64|bool|zeros|ones|first)\[([\d, ]*)\](?: ?< ?(\d+))?", text)
    if found is None or (found[1] == "first" and not found[3]):
        if not text.startswith("["):
            raise ValueError(f"{text!r} means no argument")
        return torch.tensor(ast.literal_eval(text))
    shape = [int(one) for one in found[2].split(",") if one.strip()]
    match found[1]:
        case "f32":
            return torch.rand(shape)
        case "ones":
            return torch.ones(shape, dtype=torch.long)
        case "bool":
            return torch.ones(shape, dtype=torch.bool)
        case "zeros":
            return torch.zeros(shape, dtype=torch.bool)
        case "first":
            return (torch.arange(shape[-1]) < int(found[3])).expand(shape).clone()
    return torch.randint(int(found[3] or 2), shape)
