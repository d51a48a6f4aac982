"""Names of snapshot files: safe on every file system, and different for each check of each test."""

from __future__ import annotations

import hashlib
import re
import reprlib
import shlex

#: How names of snapshot files end.
SUFFIX = ".lens"
#: Longest name made of a test, and longest name of a check.
LONGEST, LONGEST_NAME = 80, 40

_OTHER = re.compile(r"[^A-Za-z0-9_.-]")
#: What Windows keeps for devices, whatever stands after the first dot.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
#: What means something to a shell, or to a Python that prints it, between double quotes.
_ODD = re.compile(r"[\"$`\\!\x00-\x1f\x7f]")


def local_id(test: str) -> str:
    """A node id from the name of the file on: it stays the same if the folder is moved, or the root is another.

    >>> local_id("tests/test_net.py::TestNet::test_graph[a/b]")
    'test_net.py::TestNet::test_graph[a/b]'
    """
    path, separator, inside = test.partition("::")
    return path.rpartition("/")[2] + separator + inside


def file_stem(test: str, *, is_class: bool = False) -> str:
    """The name that stands for a test, of its node id; ``is_class`` for a model class that is a test itself.

    Where that alone might not be the test's own, the name ends in a fingerprint of the `local_id`: where
    characters are replaced or cut off, or where another file system would take it for another test or a device.

    >>> file_stem("tests/test_net.py::TestNet::test_graph[2-relu]")
    'TestNet.test_graph-2-relu'
    >>> file_stem("tests/test_net.py::test_graph[a/b]")
    'test_graph-a_b-1df9af01'
    """
    head, bracket, parameters = local_id(test).partition("::")[2].partition("[")
    classes, dot, function = head.replace("::", ".").rpartition(".")
    name = function + bracket.replace("[", "-") + parameters.removesuffix("]")
    whole = classes + dot + name
    stem = _OTHER.sub("_", whole)
    is_folded = name != name.lower() and not is_class  # a file system may not tell upper from lower case
    is_device = _DEVICE.fullmatch(stem) is not None
    if stem == whole and len(stem) <= LONGEST and not is_folded and not is_device:
        return stem
    end = f"-{fingerprint(local_id(test))}"
    return ("_" * is_device + stem)[: LONGEST - len(end)] + end


def file_name(stem: str, check: str) -> str:
    """The file of a check of a test: ``check`` is its name, or its number, or empty for the first without a name.

    >>> file_name("test_graph", ""), file_name("test_graph", "encoder")
    ('test_graph.lens', 'test_graph@encoder.lens')
    """
    return f"{stem}@{check}{SUFFIX}" if check else f"{stem}{SUFFIX}"


def fault_in_name(name: object) -> str | None:
    """What is wrong with the name of a check, as the end of a sentence; None if nothing is.

    >>> fault_in_name("../x")
    "has name='../x'. Expected up to 40 letters, digits, '_', '-' and '.'."
    """
    shown = reprlib.repr(name)
    if not isinstance(name, str) or not name or len(name) > LONGEST_NAME or _OTHER.search(name):
        return f"has name={shown}. Expected up to {LONGEST_NAME} letters, digits, '_', '-' and '.'."
    if not name.strip(".") or _DEVICE.fullmatch(name):
        return f"has name={shown}, which some file systems keep for themselves. Choose another."
    if name.isdigit():
        return f"has name={shown}, but numbers are for checks without a name. Choose a name with a letter."
    return None


def fingerprint(text: str) -> str:
    """Eight hexadecimal digits that differ for different texts.

    >>> fingerprint("test_net.py::test_graph[a/b]")
    '1df9af01'
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def quoted(text: str) -> str:
    """A word of a command, in double quotes where every shell leaves it alone there.

    >>> print(quoted("tests/test_net.py::test_graph[a b]"), quoted("test_net.py::test_graph[$a]"))
    "tests/test_net.py::test_graph[a b]" 'test_net.py::test_graph[$a]'
    """
    return shlex.quote(text) if _ODD.search(text) else f'"{text}"'
