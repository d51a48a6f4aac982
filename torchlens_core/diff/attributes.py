"""Arguments and parameters of two ops, compared. The only file that knows deepdiff."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence, Set
from functools import lru_cache
from typing import Any, NamedTuple

from deepdiff import DeepDiff

from torchlens_core.snapshot.naming import ROOT, UP
from torchlens_core.snapshot.outline import HOLE, SIZES, Held, spec_parts

_ONLY_HOLES = re.compile(rf"[\[\]{{}}(), {HOLE}]*")
_SPEC = re.compile(r"[a-z]\w*\[[^\]]*\]")
_NUMBERS = re.compile(r"(?<![\w.])-?\d+(?![\w.])")
#: What names of parameters begin with that are not the module's own.
_AWAY = f"@{ROOT}{UP}"
Texts = tuple[tuple[str, str], ...]
#: A size before and after.
Step = tuple[str, str]


def changed_texts(old: Texts, new: Texts) -> list[tuple[str, str | None, str | None]]:
    """Keyword and texts of the arguments that differ, None for one that is not given; values left out.

    >>> changed_texts((("stride", "1"), ("", "□")), (("stride", "2"), ("", "□")))
    [('stride', '1', '2')]
    """
    if old == new:
        return []
    before, after = _keyed(old), _keyed(new)
    return [
        (key.rpartition("@")[0], before.get(key), after.get(key))
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]


def _keyed(texts: Texts) -> dict[str, str]:
    plain = [(keyword, text) for keyword, text in texts if not _ONLY_HOLES.fullmatch(text)]
    return {f"{keyword}@{'' if keyword else n}": text for n, (keyword, text) in enumerate(plain)}


def are_specs(old: str | None, new: str | None) -> bool:
    """Whether an argument is, before and after, a tensor of which only the shape is read."""
    return all(text is not None and _SPEC.fullmatch(text) for text in (old, new))


def follows_from(name: str, old: str | None, new: str | None, kind: str, steps: Set[Step]) -> bool:
    """Whether an argument changed only since sizes of what the op reads did: by ``steps``."""
    if old is None or new is None or not steps:
        return False
    if _NUMBERS.sub("#", old) != _NUMBERS.sub("#", new):
        return False
    if name in SIZES or kind in ("getitem", "setitem", "narrow"):
        return True
    numbers = zip(_NUMBERS.findall(old), _NUMBERS.findall(new), strict=True)
    return all(a == b or (a, b) in steps for a, b in numbers)


@lru_cache(maxsize=4096)
def said(name: str, old: str | None, new: str | None) -> str:
    """An argument's change in words.

    >>> said("stride", "1", "2"), said("p", None, "0.5"), said("size", "(1, 64)", "(1, 128)")
    ('stride 1 → 2', 'p default → 0.5', 'size[1] 64 → 128')
    """
    label = f"{name} " if name else ""
    before, after = _value(old), _value(new)
    if isinstance(before, tuple) and isinstance(after, tuple) and len(before) == len(after):
        found = DeepDiff(before, after, view="tree").get("values_changed", [])
        parts = [
            f"{name}[{']['.join(map(str, one.path(output_format='list')))}] {one.t1} → {one.t2}"
            for one in found
        ]
        if parts:
            return ", ".join(parts)
    return f"{label}{'default' if old is None else old} → {'default' if new is None else new}".replace(
        HOLE, "·"
    )


def _value(text: str | None) -> Any:
    try:
        return ast.literal_eval(text or "")
    except (ValueError, SyntaxError):
        return text


def steps_between(specs: Iterable[tuple[str, str]]) -> Set[Step]:
    """The sizes that differ between specs of the same rank, and the numbers of elements.

    >>> sorted(steps_between([("f32[1, 64]", "f32[1, 128]")]))
    [('64', '128')]
    """
    found = [_steps(old, new) for old, new in specs if old != new]
    return found[0] if len(found) == 1 else frozenset().union(*found)


@lru_cache(maxsize=4096)
def _steps(old: str, new: str) -> frozenset[Step]:
    before, after = spec_parts(old)[1], spec_parts(new)[1]
    if before == after:
        return frozenset()
    sizes = {(a, b) for a, b in zip(before, after, strict=False) if a != b} or {("", "")}
    return frozenset({*sizes, (numel(before), numel(after))})


def numel(sizes: Sequence[str]) -> str:
    """The product of some sizes; ``?`` if one is no number."""
    product = 1
    for size in sizes:
        if not size.isdigit():
            return "?"
        product *= int(size)
    return str(product)


class HeldDiff(NamedTuple):
    """What differs between the parameters and buffers of two ops."""

    said: list[str]
    #: Whether more than sizes and dtypes differ.
    is_breaking: bool = False
    #: Whether sizes or dtypes differ that only follow from those of what the op reads.
    follows: bool = False


def changed_held(
    old: Sequence[Held], new: Sequence[Held], steps: Set[Step], has_new_dtype: bool
) -> HeldDiff:
    """The diff of what two ops hold; ``steps`` are the sizes that changed in what they read."""
    if tuple(old) == tuple(new):
        return HeldDiff([])
    before, after = {one.name: one for one in old}, {one.name: one for one in new}
    gone = [one for name, one in before.items() if name not in after]
    came = [one for name, one in after.items() if name not in before]
    replaced = list(zip(gone, came, strict=False))
    lines = [_tied(one, other) for one, other in replaced]
    lines += [f"{one.name.lstrip(_AWAY)} removed" for one in gone[len(replaced) :]]
    lines += [f"{_shown(one.name.lstrip(_AWAY), one.spec)} added" for one in came[len(replaced) :]]
    is_breaking, follows = bool(lines), False
    for one, other in ((one, after[name]) for name, one in before.items() if name in after):
        if one.is_buffer is not other.is_buffer:
            is_breaking = True
            lines.append(f"{one.name[1:]} is a {'buffer' if other.is_buffer else 'parameter'} now")
        elif _follows(one.spec, other.spec, steps, has_new_dtype):
            follows = True
        elif one != other:
            lines.append(_resized(one.name[1:], one.spec, other.spec))
    return HeldDiff(lines, is_breaking, follows)


def _follows(old: str, new: str, steps: Set[Step], has_new_dtype: bool) -> bool:
    (dtype, sizes), (new_dtype, new_sizes) = spec_parts(old), spec_parts(new)
    pairs = {(a, b) for a, b in zip(sizes, new_sizes, strict=False) if a != b}
    is_allowed = dtype == new_dtype or has_new_dtype
    return old != new and is_allowed and len(sizes) == len(new_sizes) and pairs <= steps


def _shown(name: str, spec: str) -> str:
    return name + spec[len(spec_parts(spec)[0]) :]


def _resized(name: str, old: str, new: str) -> str:
    dtype, other = spec_parts(old)[0], spec_parts(new)[0]
    if dtype == other:
        return f"{_shown(name, old)} → {new[len(other) :]}"
    return f"{name} {old} → {new}"


def _tied(old: Held, new: Held) -> str:
    is_away, is_now = old.name[1:2] in (ROOT, UP), new.name[1:2] in (ROOT, UP)
    if is_now and not is_away:
        return f"{old.name[1:]} tied to {new.name.lstrip(_AWAY)}"
    if is_away and not is_now:
        return f"{new.name[1:]} untied from {old.name.lstrip(_AWAY)}"
    return f"{old.name.lstrip(_AWAY)} → {new.name.lstrip(_AWAY)}"
