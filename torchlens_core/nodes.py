"""The records of one pass, as the recorder writes them: values, nodes, module calls.

They are plain classes with defaults, since one of each is made an op. Nothing changes them after the pass.
References go one way, from nodes to values: so a history is freed, with its activations, as soon as
nobody holds it, without waiting for the garbage collector.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, UntypedStorage

from torchlens_core.internals import read_version, version
from torchlens_core.memory import Storage
from torchlens_core.specs import TensorSpec, plain_shape

if TYPE_CHECKING:
    from torchlens_core.functions import FunctionInfo
    from torchlens_core.places import Site
    from torchlens_core.randomness import GeneratorState
    from torchlens_core.settings import Standing

#: The sorts of node. Sources have no parents; an output is one tensor of the model's result.
INPUT, PARAMETER, BUFFER, CONSTANT = "input", "parameter", "buffer", "constant"
OP, ESCAPE, OUTPUT = "op", "escape", "output"
SOURCES = frozenset({INPUT, PARAMETER, BUFFER, CONSTANT})

#: Where an argument stands: its position or name, and the way into it if it is a container.
ArgPath = tuple[Any, ...]

_ref = weakref.ref


class Value:
    """One tensor that a node made, returned or wrote: the end of an edge.

    As an argument it stands for the object that was handed over, as the origin of an edge for the
    contents that were read.
    """

    #: Whether its bytes were there before the node: it shows them, and wrote none.
    is_view = False
    #: For a view of memory with several writers: those whose bytes it showed when it was made.
    shown: frozenset[int] | None = None
    #: The node of the parameter that it is, written to or not.
    parameter: int | None = None
    #: The state of its storage in which `version` was read.
    epoch = 0

    #: Its number among the node's values.
    slot = 0

    def __init__(self, node: int, tensor: Tensor, storage: Storage, slot: int = 0) -> None:
        #: Index of the node, and when its bytes were written: that, or -1 for sources, older than the pass.
        self.node = self.time = node
        if slot:
            self.slot = slot
        self.ref: weakref.ref[Tensor] = _ref(tensor)
        self.storage = storage
        try:
            self.shape: Sequence[Any] = tensor.shape
            #: How often its memory was written in place; None where nobody counts.
            self.version: int | None = read_version(tensor)
        except RuntimeError:  # nested tensors have no shape, inference tensors no version
            self.shape, self.version = plain_shape(tensor), version(tensor)
        self.dtype = tensor.dtype
        self.device = tensor.device
        self.requires_grad = tensor.requires_grad

    @property
    def spec(self) -> TensorSpec:
        """Shape, dtype and the rest."""
        shape = tuple(size if type(size) is int else str(size) for size in self.shape)
        return TensorSpec(shape, self.dtype, self.device, self.requires_grad)


class Edge(NamedTuple):
    """One dependence of a node."""

    #: What is read.
    origin: Value
    #: The argument through which it is read.
    path: ArgPath
    #: The value of the reader that it reaches; None for all.
    slot: int | None = None
    #: False where the memory could not be followed exactly.
    certain: bool = True


class Node:
    """A source, op, escape or output; an attribute that is not set has its default here."""

    #: What it returned first, then what it wrote besides.
    values: Sequence[Value] = ()
    #: How many of the values it wrote without returning them.
    written = 0
    #: Dependences, where they are not just the tensors among the arguments.
    special_edges: Sequence[Edge] | None = None
    #: Arguments with a `Value` for each tensor.
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = MappingProxyType({})
    #: For an escape, what Python got.
    result: Any = None
    #: A saved tensor a value, or None for the whole; their versions at the end of the pass.
    saved: list[Any] | None = None
    versions: list[int | None] | None = None
    #: Values that were overwritten unseen during the pass.
    stale: frozenset[int] = frozenset()
    site: Site
    #: Names of the opened composites around it.
    composite: tuple[str, ...] = ()
    #: Time the function took.
    seconds = 0.0
    grad_enabled = True
    #: ``(device type, dtype)`` of each autocast region around it.
    autocast: tuple[tuple[str, Any], ...] = ()
    #: Settings of the process that were another than at the start of the pass.
    settings: Standing = ()
    #: Name of the autograd node of its first result.
    grad_fn: str | None = None
    #: Generators before it drew from them; empty if it drew from none.
    rng: Sequence[GeneratorState] = ()
    #: Whether its inside cannot be seen: TorchScript, functorch, C++ extensions.
    is_opaque = False
    #: Whether more results of it may turn up: it was seen to run, not to return.
    is_open_ended = False
    #: The module call it belongs to, where its place in the pass does not tell.
    call: Call | None = None
    #: For parameters and buffers, their names; for inputs and outputs, where they stand.
    address: str | None = None
    path: tuple[Any, ...] = ()
    #: The tensor itself, for parameters.
    tensor: Tensor | None = None
    #: For sources that share memory with other sources: all of it, and size, stride and offset in it.
    memory: tuple[UntypedStorage, Any, Any, Any] | None = None

    kind = OP

    def __init__(self, info: FunctionInfo, index: int, kind: str = OP) -> None:
        self.info = info
        #: Place in the pass, over all sorts of nodes: its time.
        self.index = index
        if kind is not OP:
            self.kind = kind

    @property
    def edges(self) -> Sequence[Edge]:
        """What it depends on."""
        if self.special_edges is not None:
            return self.special_edges
        return [Edge(value, path) for path, value in values_in(self.args, self.kwargs)]

    def argument_values(self) -> list[Value]:
        """The tensors among the arguments."""
        return [value for _, value in values_in(self.args, self.kwargs)]


class Call:
    """One call of a module."""

    #: Number of the call of this module, from 1.
    number = 1
    training = False
    chain: tuple[int, ...] = ()
    inputs: Sequence[Value] = ()
    outputs: Sequence[Value] = ()
    #: Indices of the first node of the call and of the one after the last.
    first = 0
    last = 0
    seconds = 0.0

    def __init__(
        self, index: int, address: str, class_name: str, parent: Call | None, identity: int
    ) -> None:
        self.index = index
        #: The ``id`` of the module: a pass may replace one by another at the same address.
        self.identity = identity
        self.address = address
        self.class_name = class_name
        self.parent = parent


#: What recorded arguments may be, beside values and what is no tensor.
_CONTAINERS = frozenset({list, tuple, dict, slice})


def values_in(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[tuple[ArgPath, Value]]:
    """Every `Value` among recorded arguments, with where it stands."""
    for position, arg in enumerate(args):
        if type(arg) is Value:
            yield (position,), arg
        elif type(arg) in _CONTAINERS:
            yield from _values_at((position,), arg)
    for name, arg in kwargs.items():
        if type(arg) is Value:
            yield (name,), arg
        elif type(arg) in _CONTAINERS:
            yield from _values_at((name,), arg)


def _values_at(path: ArgPath, arg: Any) -> Iterator[tuple[ArgPath, Value]]:
    if isinstance(arg, Value):
        yield path, arg
    elif isinstance(arg, list | tuple):
        for number, item in enumerate(arg):
            yield from _values_at((*path, number), item)
    elif isinstance(arg, dict):
        for key, item in arg.items():
            yield from _values_at((*path, key), item)
    elif isinstance(arg, slice):
        yield from _values_at(path, (arg.start, arg.stop, arg.step))


def fill(arg: Any, tensor_of: Any) -> Any:
    """A recorded argument with ``tensor_of(value)`` in place of each `Value`."""
    if isinstance(arg, Value):
        return tensor_of(arg)
    if isinstance(arg, list):
        return [fill(item, tensor_of) for item in arg]
    if isinstance(arg, tuple) and type(arg) is tuple:
        return tuple(fill(item, tensor_of) for item in arg)
    if isinstance(arg, dict):
        return {key: fill(item, tensor_of) for key, item in arg.items()}
    if isinstance(arg, slice):
        return slice(*(fill(end, tensor_of) for end in (arg.start, arg.stop, arg.step)))
    return arg
