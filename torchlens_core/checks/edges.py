"""The recorded edges beside those that the kernels tell of: none may be missing, and none too many."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from torchlens_core.checks.places import DEFECT, finding_at, name_of
from torchlens_core.functions import GRADIENTS
from torchlens_core.history import ModelHistory
from torchlens_core.internals import HigherOrderOperator
from torchlens_core.kernels import KernelCall, Kernels, Read
from torchlens_core.nodes import OUTPUT, SOURCES, Edge, Node, Value
from torchlens_core.report import Finding
from torchlens_core.shadow import NOBODY

#: One edge: who wrote what is read (None for memory older than the pass), and the storage.
Origin = tuple[int | None, int]


class Edges:
    """The recorded edges beside those that the kernels tell of."""

    def __init__(self, history: ModelHistory, kernels: Kernels) -> None:
        self._history = history
        self._nodes = history.recording.nodes
        self._kernels = kernels
        self._calls = {id(call.node): call for call in self._kernels.calls if call.node is not None}
        self._resolved: dict[tuple[int, int], set[Origin]] = {}
        #: The first node with a value in each storage.
        self._makers: dict[int, Node] = {}
        for node in self._nodes:
            for value in node.values:
                self._makers.setdefault(value.storage.key, node)
        self._by_identity = {id(node): node for node in self._nodes}
        #: The storages of the values of each node: memory that a call keeps for itself, such as a cache, is none.
        self._keys = {id(node): {value.storage.key for value in node.values} for node in self._nodes}
        #: Nodes of which it can be said what they read, and those of which it cannot.
        self.compared = 0
        self.unfollowed = 0

    def findings(self) -> list[Finding]:
        """Edges missing, and edges too many."""
        found: list[Finding] = []
        shown = iter(self._kernels.results)
        for node in self._nodes:
            if node.kind in SOURCES:
                continue
            if node.kind is OUTPUT:
                reads = next(shown, None)
                found += self._compare(node, reads, set()) if reads is not None else []
                continue
            call = self._calls.get(id(node))
            if call is not None and call.is_followed and not _is_closed(node):
                if call.count:
                    found += self._compare(node, call.reads, call.unsure)
                else:
                    found += self._strange(node)
            else:
                self.unfollowed += 1
        return found

    def _compare(self, node: Node, reads: Iterable[Read], unsure: Iterable[Read]) -> list[Finding]:
        """The recorded origins of what ``node`` reads beside the true ones."""
        true, allowed = self._origins(node, reads), self._origins(node, unsure)
        recorded: set[Origin] = set()
        for edge in node.edges:
            if not edge.certain or self._is_blurred(edge):
                self.unfollowed += 1
                return []
            origins = self._resolve(edge)
            recorded |= origins
            is_nothing = node.values and all(map(_is_empty, node.values))
            if is_nothing or _is_empty(edge.origin):  # nothing of it can be read
                allowed = None if allowed is None else allowed | origins
        if true is None or allowed is None:
            self.unfollowed += 1
            return []
        self.compared += len(recorded)
        missing = true - recorded
        if missing:
            missing -= self._behind_loose_writes(recorded)
        found = [self._missing(node, origin) for origin in missing]
        return found + [self._too_many(node, origin) for origin in recorded - true - allowed]

    def _origins(self, reader: Node, reads: Iterable[Read]) -> set[Origin] | None:
        """The nodes that wrote what was read; None where that was no op, or one that could not be followed.

        Memory that is older than the pass, and of which the graph knows nothing, is that of a number.
        """
        origins: set[Origin] = set()
        for number, key in reads:
            if number == NOBODY:
                if self._makers.get(key, reader).index < reader.index:
                    origins.add((None, key))
                continue
            call = self._kernels.calls[number]
            node = call.node
            if (
                node is None
                or not call.is_followed
                or _is_closed(node)
                or key not in self._keys.get(id(node), {key})
            ):
                return None
            origins.add((id(node), key))
        return origins

    def _is_blurred(self, edge: Edge) -> bool:
        if edge.origin.storage.is_shared:
            return True
        node = self._nodes[edge.origin.node]
        if node.kind in SOURCES:
            return not edge.origin.storage.key
        call = self._calls.get(id(node))
        return (
            not edge.origin.storage.key or _is_closed(node) or (call is not None and not call.is_followed)
        )

    def _resolve(self, edge: Edge) -> set[Origin]:
        """Who wrote what is read through ``edge``: views are looked through."""
        value = edge.origin
        node = self._nodes[value.node]
        key = value.storage.key
        if node.kind in SOURCES:
            return {(None, key)}
        call = self._calls.get(id(node))
        if call is not None and key in call.written:
            return {(id(node), key)}
        known = self._resolved.get((value.node, value.slot))
        if known is None:
            inner = [
                one
                for one in node.edges
                if one.origin.storage.key == key
                and one.slot in (None, value.slot)
                and one.origin.node < node.index
            ]
            known = set().union(*map(self._resolve, inner)) if inner else {(None, key)}
            self._resolved[value.node, value.slot] = known
        return known

    def _behind_loose_writes(self, origins: set[Origin]) -> set[Origin]:
        """What writes to a whole tensor depend on that have changed but a part of it."""
        found: set[Origin] = set()
        stack = list(origins)
        while stack:
            writer, key = stack.pop()
            node = None if writer is None else self._by_identity.get(writer)
            if node is not None and _writes_loosely(node, self._calls.get(id(node)), key):
                new = set().union(*map(self._resolve, node.edges)) - found
                found |= {origin for origin in new if origin[1] == key}
                stack += [origin for origin in new if origin[1] == key]
        return found

    def _strange(self, node: Node) -> list[Finding]:
        """Of an op without kernels, which returns what it is given: edges that lead through no argument of it."""
        given = {value.storage.key for value in node.argument_values()}
        strange = [edge for edge in node.edges if edge.origin.storage.key not in given]
        return [self._too_many(node, (self._identity(edge), edge.origin.storage.key)) for edge in strange]

    def _identity(self, edge: Edge) -> int | None:
        node = self._nodes[edge.origin.node]
        return None if node.kind in SOURCES else id(node)

    # -- wording -----------------------------------------------------------------------------------

    def _missing(self, node: Node, origin: Origin) -> Finding:
        return self._finding(
            node,
            "An edge is missing",
            f"(kernels) it reads what {self._named(origin)} wrote",
            f"(graph) it depends on {self._parents(node)}",
        )

    def _too_many(self, node: Node, origin: Origin) -> Finding:
        return self._finding(
            node,
            "There is an edge too many",
            f"(kernels) it reads nothing that {self._named(origin)} wrote",
            f"(graph) it depends on {self._parents(node)}",
        )

    def _finding(self, node: Node, what: str, expected: str, got: str) -> Finding:
        op = self._history.op_at(node.index)
        return finding_at(
            op,
            "dependence",
            what,
            expected=expected,
            got=got,
            advice=DEFECT,
        )

    def _named(self, origin: Origin) -> str:
        writer, key = origin
        for node in self._nodes:
            if (
                writer is None
                and node.kind in SOURCES
                and node.values
                and node.values[0].storage.key == key
            ):
                return name_of(self._history, node)
            if writer is not None and id(node) == writer:
                return name_of(self._history, node)
        return "memory older than the pass" if writer is None else "an op that the graph does not have"

    def _parents(self, node: Node) -> str:
        origins = dict.fromkeys(edge.origin.node for edge in node.edges)
        return ", ".join(name_of(self._history, self._nodes[index]) for index in origins) or "nothing"


def _writes_loosely(node: Node, call: KernelCall | None, key: int) -> bool:
    """Whether a write counts as one to the whole tensor, whatever its kernels wrote of it."""
    if (
        node.info.name == "setitem" and len(node.args) > 1
    ):  # exact, but for tensors, lists and masks as index
        index = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
        return any(isinstance(item, Value | list) for item in index)
    if node.info.writes is None or call is None:
        return False
    sizes = [prod(value.shape) for value in node.values if value.storage.key == key]
    return bool(sizes) and call.extents.get(key, 0) < max(sizes)


def _is_empty(value: Value) -> bool:
    return 0 in value.shape


def _is_closed(node: Node) -> bool:
    """Whether what it reads is not told by its arguments: opaque calls, backward passes, higher-order ops."""
    return (
        node.is_opaque
        or node.info.name in GRADIENTS
        or isinstance(node.info.func, HigherOrderOperator)
        or any(edge.path == ("backward",) for edge in node.special_edges or ())
    )
