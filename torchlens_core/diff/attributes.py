"""Arguments and parameters of two ops, compared. The only file that knows deepdiff."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from deepdiff import DeepDiff

from torchlens_core.names import words
from torchlens_core.snapshot.outline import HOLE, Held, spec_parts

#: Arguments that say the size of a result.
SIZES = words(
    "end length normalized_shape output_size repeats shape size sizes split_size split_size_or_sections steps"
)
_ONLY_HOLES = re.compile(rf"[\[\]{{}}(), {HOLE}]*")
_NUMBERS = re.compile(r"(?<![\w.])-?\d+(?![\w.])")
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


def follows_from(name: str, old: str | None, new: str | None, kind: str, steps: set[Step]) -> bool:
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


def steps_between(specs: Iterable[tuple[str, str]]) -> set[Step]:
    """The sizes that differ between specs of the same rank, and the numbers of elements.

    >>> sorted(steps_between([("f32[1, 64]", "f32[1, 128]")]))
    [('64', '128')]
    """
    found: set[Step] = set()
    for old, new in specs:
        before, after = spec_parts(old)[1], spec_parts(new)[1]
        if before != after:
            found |= {(a, b) for a, b in zip(before, after, strict=False) if a != b} or {("", "")}
            found.add((numel(before), numel(after)))
    return found


def numel(sizes: Sequence[str]) -> str:
    """The product of some sizes; ``?`` if one is no number."""
    product = 1
    for size in sizes:
        if not size.isdigit():
            return "?"
        product *= int(size)
    return str(product)


def changed_held(
    old: Sequence[Held], new: Sequence[Held], steps: set[Step], has_new_dtype: bool
) -> tuple[list[str], bool, bool]:
    """What is said of the parameters and buffers of two ops.

    Also whether one only follows from sizes or dtypes of what the op reads, and whether more than sizes differ.
    """
    if tuple(old) == tuple(new):
        return [], False, False
    before, after = {one.name: one for one in old}, {one.name: one for one in new}
    gone = [one for name, one in before.items() if name not in after]
    came = [one for name, one in after.items() if name not in before]
    lines, follows, is_more = [], False, bool(gone or came)
    replaced = list(zip(gone, came, strict=False))
    lines += [_tied(one, other) for one, other in replaced]
    gone, came = gone[len(replaced) :], came[len(replaced) :]
    lines += [f"{one.name.lstrip('@/')} removed" for one in gone]
    lines += [f"{one.name.lstrip('@/')}{one.spec[len(spec_parts(one.spec)[0]) :]} added" for one in came]
    for name, one in before.items():
        other = after.get(name)
        if other is None or one == other:
            continue
        if one.is_buffer is not other.is_buffer:
            is_more = True
            lines.append(f"{name[1:]} is a {'buffer' if other.is_buffer else 'parameter'} now")
            continue
        (dtype, sizes), (new_dtype, new_sizes) = spec_parts(one.spec), spec_parts(other.spec)
        pairs = {(a, b) for a, b in zip(sizes, new_sizes, strict=False) if a != b}
        if (dtype == new_dtype or has_new_dtype) and len(sizes) == len(new_sizes) and pairs <= steps:
            follows = True
        else:
            lines.append(_resized(name[1:], one.spec, other.spec))
    return lines, follows, is_more


def _resized(name: str, old: str, new: str) -> str:
    dtype, other = spec_parts(old)[0], spec_parts(new)[0]
    if dtype == other:
        return f"{name}{old[len(dtype) :]} → {new[len(other) :]}"
    return f"{name} {old} → {new}"


def _tied(old: Held, new: Held) -> str:
    is_away, is_now = old.name.startswith("@/"), new.name.startswith("@/")
    if is_now and not is_away:
        return f"{old.name[1:]} tied to {new.name[2:]}"
    if is_away and not is_now:
        return f"{new.name[1:]} untied from {old.name[2:]}"
    return f"{old.name.lstrip('@/')} → {new.name.lstrip('@/')}"
