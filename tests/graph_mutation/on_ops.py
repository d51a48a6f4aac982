"""Changes of one op: another function, other arguments, results, parameters or marks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

from graph_mutation.mutants import (
    SHAPE,
    on_op,
)
from torchlens_core.snapshot.outline import (
    HOLE,
    Argument,
    Held,
    Op,
    Ref,
    spec_parts,
)


def attributes(op: Op) -> list[int]:
    """Positions of the arguments that are no values, and stand by their name."""
    return [n for n, one in enumerate(op.arguments) if one.keyword and HOLE not in one.text]


def said(op: Op, *, skip: Iterable[int] = ()) -> list[str]:
    """``kernel_size=3`` for each argument that is no value."""
    return [f"{op.arguments[n].keyword}={op.arguments[n].text}" for n in attributes(op) if n not in skip]


def _with_argument(op: Op, n: int, *new: Argument) -> Op:
    return replace(op, arguments=(*op.arguments[:n], *new, *op.arguments[n + 1 :]))


def _of_kind(kind: str) -> str:
    return "tanh" if kind != "tanh" else "sigmoid"


def is_plain(op: Op) -> bool:
    return op.kind not in ("input", "constant")


@on_op()
def rename_kind(op: Op, random: Random):
    """Another function of the same arguments, as ``relu`` → ``gelu``."""
    if not is_plain(op):
        return None
    kind = _of_kind(op.kind)
    return replace(op, kind=kind, name=kind), [op.kind, "→", kind]


@on_op()
def in_place_or_not(op: Op, random: Random):
    """``relu_`` → ``relu``, or the other way."""
    if not is_plain(op) or op.written or op.kind in ("setitem", "getitem"):
        return None
    kind = op.kind[:-1] if op.kind[-1] == "_" else f"{op.kind}_"
    return replace(op, kind=kind, name=kind), [op.kind, "→", kind]


_NUMBER = re.compile(r"(?<![\w.])-?\d+(?![\w.])")


@on_op()
def change_number(op: Op, random: Random):
    """``stride=2`` → ``stride=3``, ``size=(1, 64)`` → ``size=(1, 65)``."""
    found = [(n, match) for n in attributes(op) for match in _NUMBER.finditer(op.arguments[n].text)]
    found = [(n, match) for n, match in found if '"' not in op.arguments[n].text]
    if not found:
        return None
    n, match = random.choice(found)
    argument = op.arguments[n]
    number = str(int(match[0]) + 1)
    text = f"{argument.text[: match.start()]}{number}{argument.text[match.end() :]}"
    return _with_argument(op, n, argument._replace(text=text)), [argument.keyword, match[0], "→", number]


@on_op()
def change_word(op: Op, random: Random):
    """``training=False`` → ``True``, ``mode="bilinear"`` → ``"area"``, ``p=0.5`` → ``0.25``."""
    found = [n for n in attributes(op) if not _NUMBER.search(op.arguments[n].text)]
    if not found:
        return None
    n = random.choice(found)
    argument = op.arguments[n]
    text = {"True": "False", "False": "True", "f32": "f64", "None": "1"}.get(argument.text)
    if text is None:
        text = '"area"' if argument.text[0] == '"' else "0.25"
    return _with_argument(op, n, argument._replace(text=text)), [
        argument.keyword,
        f"{argument.text} → {text}",
    ]


@on_op()
def change_index(op: Op, random: Random):
    """``x[:, :3]`` → ``x[:, 3:]``: what stands between brackets has no name."""
    found = [
        n
        for n, one in enumerate(op.arguments)
        if not one.keyword and one.text[:1] == "[" and ":" in one.text
    ]
    if not found or op.kind not in ("getitem", "setitem"):
        return None
    argument = op.arguments[found[0]]
    text = argument.text.replace(":", "7:", 1)
    shown = [one.replace(HOLE, "·") for one in (argument.text, text)]
    return _with_argument(op, found[0], argument._replace(text=text)), [" → ".join(shown)]


@on_op()
def add_attribute(op: Op, random: Random):
    """What was the default is said: ``conv2d(_)`` → ``conv2d(_, padding=1)``."""
    keyword = "padding" if all(one.keyword != "padding" for one in op.arguments) else "stride"
    if not is_plain(op) or any(one.keyword == keyword for one in op.arguments):
        return None
    return replace(op, arguments=(*op.arguments, Argument(keyword, "5"))), [keyword, "default → 5"]


@on_op()
def remove_attribute(op: Op, random: Random):
    """``conv2d(_, padding=1)`` → ``conv2d(_)``."""
    found = attributes(op)
    if not found:
        return None
    n = random.choice(found)
    argument = op.arguments[n]
    return _with_argument(op, n), [argument.keyword, f"{argument.text} → default"]


@on_op()
def rename_attribute(op: Op, random: Random):
    """``dim=1`` → ``axis=1``: both names must be said."""
    found = attributes(op)
    if not found:
        return None
    n = random.choice(found)
    argument = op.arguments[n]
    return _with_argument(op, n, argument._replace(keyword="axis_")), [
        argument.keyword,
        "axis_",
        argument.text,
    ]


# -- what ops return ---


def resized(spec: str, random: Random) -> str | None:
    dtype, sizes = spec_parts(spec)
    numbers = [n for n, size in enumerate(sizes) if size.isdigit()]
    if not numbers or not dtype.isalnum():
        return None
    n = random.choice(numbers)
    new = [*sizes[:n], str(int(sizes[n]) + 3), *sizes[n + 1 :]]
    return f"{dtype}[{', '.join(new)}]"


def with_spec(op: Op, change: Callable[[str], str | None], random: Random):
    specs = list(op.specs)
    if not specs:
        return None
    n = random.randrange(len(specs))
    old, new = specs[n], change(specs[n])
    if new is None:
        return None
    specs[n] = new
    cut = len(op.results)
    return replace(op, results=tuple(specs[:cut]), written=tuple(specs[cut:])), [f"{old} → {new}"]


@on_op(effect=SHAPE)
def change_shape(op: Op, random: Random):
    """A result has another size."""
    return with_spec(op, lambda spec: resized(spec, random), random)


@on_op(effect=SHAPE)
def change_rank(op: Op, random: Random):
    """A result has a dimension more."""
    return with_spec(op, lambda spec: f"{spec[:-1]}, 1]" if spec[-2:] not in ("[]", "..") else None, random)


@on_op(effect=SHAPE)
def change_dtype(op: Op, random: Random):
    """A result is f64 where it was f32."""
    return with_spec(op, lambda spec: "f64" + spec[3:] if spec[:4] == "f32[" else None, random)


@on_op()
def add_result(op: Op, random: Random):
    """An op returns a tensor more, which nobody reads."""
    if not is_plain(op) or not op.results or op.written:
        return None
    count = len(op.results)
    return replace(op, results=(*op.results, "f32[7]")), [f"{count} result", f"→ {count + 1}"]


# -- parameters ---


def _own(op: Op) -> list[int]:
    return [n for n, one in enumerate(op.held) if one.name[1:2] != "/"]


def _without_held(op: Op, name: str) -> Op:
    """Without a parameter and the argument that is it."""
    kept = tuple(one for one in op.arguments if one.operands != (Ref(name),))
    return replace(op, arguments=kept, held=tuple(one for one in op.held if one.name != name))


def _has_one_argument_each(op: Op, name: str) -> bool:
    return [one.operands for one in op.arguments].count((Ref(name),)) == 1 and all(
        one.text == HOLE or Ref(name) not in one.operands for one in op.arguments
    )


@on_op(effect=SHAPE)
def change_parameter_shape(op: Op, random: Random):
    """A parameter or buffer has another size."""
    if not op.held:
        return None
    n = random.randrange(len(op.held))
    held = op.held[n]
    new = resized(held.spec, random)
    if new is None:
        return None
    sizes = held.spec[held.spec.index("[") :], new[new.index("[") :]
    changed = (*op.held[:n], held._replace(spec=new), *op.held[n + 1 :])
    return replace(op, held=changed), [held.name.lstrip("@/"), " → ".join(sizes)]


@on_op(effect=SHAPE)
def change_parameter_dtype(op: Op, random: Random):
    """A parameter is f16 where it was f32."""
    found = [n for n, one in enumerate(op.held) if one.spec[:4] == "f32["]
    if not found:
        return None
    n = random.choice(found)
    held = op.held[n]
    changed = (*op.held[:n], held._replace(spec="f16" + held.spec[3:]), *op.held[n + 1 :])
    return replace(op, held=changed), [held.name.lstrip("@/"), "f32[", "→ f16["]


@on_op()
def remove_parameter(op: Op, random: Random):
    """The bias is gone."""
    found = [op.held[n].name for n in _own(op) if _has_one_argument_each(op, op.held[n].name)]
    if not found or not any(one.operands[:1] and one.operands[0][0][0] != "@" for one in op.arguments):
        return None
    name = random.choice(found)
    return _without_held(op, name), [name[1:], "removed"]


@on_op()
def add_parameter(op: Op, random: Random):
    """A bias has come."""
    if not op.held or any(one.name == "@offset" for one in op.held):
        return None
    arguments = (*op.arguments, Argument("offset", HOLE, (Ref("@offset"),)))
    return replace(op, held=(*op.held, Held("@offset", "f32[11]")), arguments=arguments), [
        "offset",
        "added",
        "[11]",
    ]


@on_op()
def rename_parameter(op: Op, random: Random):
    """``weight`` is called ``kernel`` now."""
    found = [op.held[n] for n in _own(op)]
    if not found:
        return None
    held = random.choice(found)
    return _renamed_held(op, held, "@kernel_"), [held.name[1:], "kernel_"]


@on_op()
def tie_parameter(op: Op, random: Random):
    """The weight is that of another module now."""
    found = [op.held[n] for n in _own(op)]
    if not found:
        return None
    held = random.choice(found)
    return _renamed_held(op, held, "@/embedding.weight"), [f"{held.name[1:]} tied to embedding.weight"]


def _renamed_held(op: Op, held: Held, name: str) -> Op:
    arguments = tuple(
        one._replace(
            operands=tuple(Ref(name, *ref[1:]) if ref == Ref(held.name) else ref for ref in one.operands)
        )
        for one in op.arguments
    )
    changed = tuple(one._replace(name=name) if one is held else one for one in op.held)
    return replace(op, held=changed, arguments=arguments)


@on_op()
def buffer_or_parameter(op: Op, random: Random):
    """A parameter is a buffer now, or the other way."""
    if not op.held:
        return None
    held = random.choice(op.held)
    changed = tuple(one._replace(is_buffer=not one.is_buffer) if one is held else one for one in op.held)
    return replace(op, held=changed), [held.name.lstrip("@/"), "parameter" if held.is_buffer else "buffer"]


# -- marks and certainty ---


@on_op()
def mark_opaque(op: Op, random: Random):
    """What is in an op cannot be seen any more, or can."""
    if not is_plain(op) or op.mark == "python" or not op.results:
        return None
    return replace(op, mark="" if op.mark else "opaque"), ["opaque"]


def _with_sign(op: Op, random: Random, sign: str) -> Op | None:
    """The op with the other truth said of a value that it reads: ``certain`` or ``is_read``."""
    found = [
        (n, m)
        for n, one in enumerate(op.arguments)
        for m, ref in enumerate(one.operands)
        if isinstance(ref, Ref) and ref.name[0] != "@" and ref.last is None
    ]
    if not found:
        return None
    n, m = random.choice(found)
    argument = op.arguments[n]
    ref = argument.operands[m]._replace(**{sign: not getattr(argument.operands[m], sign)})
    changed = (*argument.operands[:m], ref, *argument.operands[m + 1 :])
    return _with_argument(op, n, argument._replace(operands=changed))


@on_op()
def lose_certainty(op: Op, random: Random):
    """It is not certain any more that a value is the one that is read."""
    made = _with_sign(op, random, "certain")
    return None if made is None else (made, ["certain"])


@on_op()
def read_or_overwrite(op: Op, random: Random):
    """A value that was read is only overwritten now, or the other way."""
    made = _with_sign(op, random, "is_read")
    return None if made is None else (made, ["overwritten|read|overwrites|reads"])


@on_op()
def stop_writing(op: Op, random: Random):
    """What was written besides is not any more, where nobody reads it."""
    if not op.written or not op.results:
        return None
    count = len(op.specs)
    return replace(op, written=op.written[:-1]), [f"{count} results → {count - 1}"]
