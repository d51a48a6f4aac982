"""What stands in the box of an op: its name, the arguments that matter, the shape of its result, its family."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from torchlens_core.names import words
from torchlens_core.snapshot.outline import HOLE, SIZES, spec_parts

#: Characters of details, of shapes and of names of parameters that are drawn.
MAX_DETAILS, MAX_SHAPE, MAX_NAMES = 30, 34, 28


class Words(NamedTuple):
    """The texts of one box."""

    category: str
    title: str
    details: str = ""
    shape: str = ""
    #: Numbers in the parameters it reads.
    parameters: int = 0
    #: Attribute name of the module whose only op it is.
    name: str = ""


def output_words(name: str, shape: str) -> Words:
    """The texts of an output by its name.

    >>> output_words("output.logits", "1×10")
    Words(category='output', title='output', details='', shape='1×10', parameters=0, name='logits')
    """
    place = name.removeprefix("output").removeprefix(".")
    return Words("output", "output", "", shape, 0, place)


def names_of(addresses: Iterable[str]) -> str:
    """The parameters that an op reads, by the last parts of their addresses."""
    return cut(", ".join(address.rpartition(".")[2] for address in addresses), MAX_NAMES)


#: Families of functions by parts of their names; the first that fits.
_FAMILIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("attention", ("attention", "attn", "multi_head")),
    ("recurrent", ("lstm", "gru", "rnn")),
    ("normalization", ("norm", "renorm")),
    ("convolution", ("conv", "unfold", "fold")),
    ("embedding", ("embedding",)),
    ("dropout", ("dropout", "drop_path", "stochastic_depth")),
    ("pooling", ("pool", "interpolate", "upsample", "grid_sample", "pixel_shuffle", "pixel_unshuffle")),
    ("linear", ("linear", "matmul", "addmm", "baddbmm", "einsum", "tensordot", "bilinear")),
    (
        "activation",
        ("relu", "gelu", "silu", "sigmoid", "tanh", "softmax", "softmin", "softplus", "softsign"),
    ),
    ("activation", ("hardswish", "mish", "selu", "celu", "softshrink", "hardshrink", "threshold", "glu")),
)
_EXACT: dict[str, str] = {
    **dict.fromkeys(words("mm bmm mv dot inner outer chain_matmul"), "linear"),
    **dict.fromkeys(words("elu swish"), "activation"),
    **dict.fromkeys(
        words(
            "add sub mul div rsub rdiv pow sqrt rsqrt exp log log2 log1p abs neg sin cos clamp where maximum "
            "minimum lerp addcmul addcdiv square reciprocal erf floor round sign remainder masked_fill tril triu "
            "eq ne lt le gt ge logical_and logical_or logical_not and or invert"
        ),
        "arithmetic",
    ),
    **dict.fromkeys(
        words(
            "sum mean max min amax amin argmax argmin std var prod norm cumsum cumprod topk sort argsort any all "
            "logsumexp median quantile"
        ),
        "reduction",
    ),
    **dict.fromkeys(
        words(
            "reshape view flatten unflatten permute transpose t squeeze unsqueeze expand expand_as repeat cat "
            "stack chunk split unbind getitem setitem narrow select index_select gather scatter roll pad contiguous "
            "clone to type float half movedim flip tile repeat_interleave view_as reshape_as detach slice "
            "tensor_split hstack vstack dstack meshgrid broadcast_to"
        ),
        "shape",
    ),
}


@lru_cache(maxsize=4096)
def category_of(kind: str) -> str:
    """The family of a function, which gives its box a colour.

    >>> category_of("conv2d"), category_of("relu_"), category_of("scaled_dot_product_attention")
    ('convolution', 'activation', 'attention')
    """
    name = kind.rpartition(".")[2].rstrip("_") or kind
    if name in _EXACT:
        return _EXACT[name]
    return next((family for family, parts in _FAMILIES if any(part in name for part in parts)), "other")


#: Short names of arguments that papers write so: ``k3 s2 p1``.
_SHORT = {"kernel_size": "k", "stride": "s", "padding": "p", "dilation": "d", "groups": "g"}
#: Arguments whose value says enough.
_BARE = words("chunks dim dims dim0 dim1 dtype equation other exponent")
#: Arguments that the names of parameters, shapes and edges say already, or that only a debugger wants.
_LEFT_OUT = SIZES | words(
    "eps momentum training training_mode return_indices ceil_mode count_include_pad approximate"
)


def details_of(kind: str, arguments: Iterable[tuple[str, str]], held: Sequence[str]) -> str:
    """The arguments that matter, short; ``held`` are specs of the parameters it reads.

    >>> arguments = [("", "□"), ("stride", "4"), ("padding", "2")]
    >>> details_of("conv2d", arguments, ["f32[64, 3, 11, 11]", "f32[64]"])
    '3→64 k11 s4 p2'
    """
    parts = _from_weight(kind, held)
    given: list[str] = []
    for keyword, text in arguments:
        if HOLE in text:
            if kind == "getitem" and text != HOLE:
                given.append(text.replace(HOLE, "·"))
            continue
        if keyword in _LEFT_OUT or (parts and keyword == "kernel_size") or _SPEC.fullmatch(text):
            continue
        text = _LONG.sub(lambda found: f"{float(found[0]):.4g}", text)
        if keyword in _SHORT:
            given.append(_SHORT[keyword] + _plain_tuple(text))
        elif keyword in _BARE or not keyword:
            given.append(text.strip("()") if keyword == "dims" else text)
        else:
            given.append(f"{keyword}={text}")
    separator = " " if parts or all(one[:1] in "kspdg" for one in given) else ", "
    return cut(" ".join([*parts, separator.join(given)]).strip(), MAX_DETAILS)


def _from_weight(kind: str, held: Sequence[str]) -> list[str]:
    """``3→64 k11`` of the shape of the weight."""
    sizes = spec_parts(held[0])[1] if held else ()
    if category_of(kind) == "convolution" and len(sizes) >= 3:
        into, out = sizes[1], sizes[0]
        if "transpose" in kind:
            into, out = out, into
        return [f"{into}→{out}", f"k{_joined(sizes[2:])}"]
    if kind in ("linear", "embedding") and len(sizes) == 2:
        into, out = (sizes[1], sizes[0]) if kind == "linear" else sizes
        return [f"{into}→{out}"]
    return []


def _joined(sizes: Sequence[str]) -> str:
    return sizes[0] if len(set(sizes)) == 1 else "×".join(sizes)


#: Numbers that no reader wants whole, and what stands for a tensor of which only the shape is read.
_LONG = re.compile(r"(?<![\w.])-?\d+\.\d{5,}(?![\w.])")
_SPEC = re.compile(r"[a-z]\w*\[[\d, ]*\]")
_TUPLE = re.compile(r"\(([^()]*?),?\)")


def _plain_tuple(text: str) -> str:
    """``3×1`` for ``(3, 1)``."""
    found = _TUPLE.fullmatch(text)
    return "×".join(found[1].split(", ")) if found else text


def shape_of(specs: Sequence[str]) -> str:
    """Shapes as pictures have them; the dtype only where it is not f32.

    >>> shape_of(["f32[1, 64, 56, 56]"]), shape_of(["i64[]", "f32[5] x8"]), shape_of([])
    ('1×64×56×56', 'i64 scalar, 5 ×8', '')
    """
    shown = [_shape(spec) for spec in specs[:3]]
    if len(shown) == len(specs) == 3 and len(set(shown)) == 1:
        shown = [f"3 of {shown[0]}"]
    elif len(specs) > 3:
        is_one = len({_shape(spec) for spec in specs}) == 1
        shown = [f"{len(specs)} of {shown[0]}"] if is_one else [shown[0], f"… {len(specs)} in all"]
    return cut(", ".join(shown), MAX_SHAPE)


@lru_cache(maxsize=65536)
def _shape(spec: str) -> str:
    dtype, sizes = spec_parts(spec)
    dtype, _, times = dtype.partition(" x")
    size = "×".join(sizes) or "scalar"
    named = size if dtype == "f32" else f"{dtype} {size}"
    return f"{named} ×{times}" if times else named


def count(number: int) -> str:
    """A number of parameters, short.

    >>> count(999), count(23_296), count(61_100_840)
    ('999', '23.3K', '61.1M')
    """
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "K")):
        if number >= size:
            return f"{number / size:.3g}{unit}" if number < 999.5 * size else f"{number / size:.0f}{unit}"
    return str(number)


def cut(text: str, length: int) -> str:
    """A text of at most ``length`` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def count_of(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun.

    >>> count_of(1, "op"), count_of(1200, "op"), count_of(2, "box", "boxes")
    ('1 op', '1,200 ops', '2 boxes')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
