"""Names in a file: addresses as seen from a module, and without the characters that mean something there."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

_STRANGER = re.compile(r"\((\w+)\)")
_KEY = re.compile(r'\["([^"]*)"\]')
_WORD = re.compile(r"[^\W\d]\w*")
_NO_WORD = re.compile(r"\W")
_UNSAFE = re.compile(r"[^\w.*]")
#: One level up, and the model itself.
UP, ROOT = "^", "/"


@lru_cache(maxsize=65536)
def written_name(name: str) -> str:
    """A name as it can stand in a file; modules that are not the model's as ``*Name``.

    >>> written_name('batch["ids"]'), written_name("blocks.(ReLU)"), written_name("conv-1"), written_name("a*b")
    ('batch.ids', 'blocks.*ReLU', 'conv%2d1', 'a%2ab')
    """
    parts = _KEY.split(name)  # what is outside of keys, and keys, in turn
    name = "".join(_key(part) if n % 2 else _plain(part) for n, part in enumerate(parts))
    return _escaped(name[0]) + name[1:] if name == "_" or name[:1] == "." else name


def _plain(text: str) -> str:
    text = _STRANGER.sub(r"*\1", text.replace("*", "\0"))
    return _UNSAFE.sub(lambda found: _escaped("*" if found[0] == "\0" else found[0]), text)


def _key(key: str) -> str:
    """A key of a mapping; one that is no word is quoted, so that ``"0"`` is not ``0``, nor ``"a.b"`` ``a``'s ``b``."""
    if _WORD.fullmatch(key):
        return f".{key}"
    return "." + _escaped('"') + _NO_WORD.sub(lambda found: _escaped(found[0]), key)


def _escaped(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))


def readable_name(text: str) -> str:
    """A name, or a text with names, as people know them.

    >>> readable_name("block1%2d0.conv")
    'block1-0.conv'
    """
    return unquote(text) if "%" in text else text


@lru_cache(maxsize=65536)
def relative_name(address: str, module: str) -> str:
    """An address as seen from a module: in it, beside it, or from the model on.

    Blocks that are alike see what they share alike.

    >>> relative_name("layer1.0.conv1", "layer1.0"), relative_name("layer1.scale", "layer1.0.conv1")
    ('conv1', '^^scale')
    >>> relative_name("embedding.weight", "decoder"), relative_name("", "")
    ('/embedding.weight', '/')
    """
    if address and (not module or address.startswith(f"{module}.")):
        return written_name(address[len(module) + 1 :] if module else address)
    there, here = address.split("."), module.split(".")
    shared = 0
    while shared < min(len(there) - 1, len(here)) and there[shared] == here[shared]:
        shared += 1
    if not shared:
        return ROOT + written_name(address)
    return UP * (len(here) - shared) + written_name(".".join(there[shared:]))


def absolute_name(name: str, module: str) -> str:
    """The address that a module calls by a name: `relative_name` undone.

    >>> absolute_name("^^scale", "layer1.0.conv1"), absolute_name("/embedding.weight", "decoder")
    ('layer1.scale', 'embedding.weight')
    """
    if name[:1] == ROOT:
        return name[1:]
    rest = name.lstrip(UP)
    parts = module.split(".") if module else []
    around = parts[: len(parts) - (len(name) - len(rest))]
    return ".".join([*around, rest] if rest else around)
