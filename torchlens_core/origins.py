"""Tensors that no recorded call made: where they came from.

The model's parameters and buffers and the inputs are known from the start. Of any other tensor at first
sight this module tells whether it is a constant, another look at memory that is known, or the result of
code that no function mode sees: functorch transforms, C++ extensions, threads. Such code becomes one
opaque op, whose parents are the known tensors that went in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from torchlens_core import internals
from torchlens_core.functions import FunctionInfo, Role
from torchlens_core.memory import is_lazy_view, region_of
from torchlens_core.nodes import BUFFER, CONSTANT, PARAMETER, Edge, Value

if TYPE_CHECKING:
    from torchlens_core.ledger import Ledger

#: Autograd nodes looked at to find what an unseen call was given.
MAX_GRAPH_NODES = 20_000


class InsideTransform(Exception):
    """A tensor of a running functorch transform was met: the call belongs to that transform."""


class Unborn(Exception):
    """A lazy module's parameter that has no shape yet was met: the call is no op."""


def alias_of(
    base: Tensor,
    dtype: torch.dtype,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    offset: int,
    is_conj: bool = False,
    is_neg: bool = False,
    kind: type[Tensor] = Tensor,
) -> Tensor:
    """A look at the memory of ``base`` with that geometry (offset and strides in elements), as a ``kind``."""
    look = torch.empty(0, dtype=dtype, device=base.device)
    look = internals.set_memory(look, base.untyped_storage(), offset, size, stride)
    look = look.conj() if is_conj else look
    look = internals.negated_view(look) if is_neg else look
    return look if kind is Tensor else look.as_subclass(kind)


ALIAS = FunctionInfo(name="alias", role=Role.OP, func=alias_of)
#: Memory that was written by code that nobody sees.
UNSEEN_WRITE = FunctionInfo(name="unseen_write", role=Role.OP, is_opaque=True)
#: Memory that came back from code that nobody sees.
RETURNED = FunctionInfo(name="alias", role=Role.OP, is_opaque=True)


class Modules:
    """The model's modules, parameters and buffers by identity."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.addresses: dict[int, str] = {}
        self.tensors: dict[int, tuple[str, str, Tensor]] = {}
        #: Every module met, so that no id is used again for another: a pass may replace modules.
        self._met: list[nn.Module] = []
        self.scan()

    def scan(self) -> None:
        """Look at the model again: lazy modules get their parameters in their first call."""
        for address, module in walk(self._model):
            self._name(module, address)
            self.note_tensors(module, address)

    def _name(self, module: nn.Module, address: str) -> None:
        if id(module) not in self.addresses:
            self.addresses[id(module)] = address
            self._met.append(module)

    def note_tensors(self, module: nn.Module, address: str) -> None:
        """Note the parameters and buffers that ``module`` holds now."""
        prefix = f"{address}." if address else ""
        for kind, own in (
            (PARAMETER, internals.own_parameters(module)),
            (BUFFER, internals.own_buffers(module)),
        ):
            for name, tensor in own.items():
                if tensor is not None:
                    self.tensors.setdefault(id(tensor), (kind, prefix + name, tensor))

    def find(self, tensor: Tensor) -> tuple[str, str] | None:
        """Kind and address of a parameter or buffer."""
        found = self.tensors.get(id(tensor))
        return found[:2] if found is not None and found[2] is tensor else None

    def address(self, module: nn.Module, caller: str) -> str:
        """The address of ``module``; one made up if it is not part of the model."""
        address = self.addresses.get(id(module))
        if address is None:
            self.scan()
            address = self.addresses.get(id(module))
        if address is None:
            name = f"({type(module).__name__})"
            address = f"{caller}.{name}" if caller else name
            for inner, part in walk(module):
                self._name(part, f"{address}.{inner}" if inner else address)
        return address


def tensors_of(modules: Iterable[nn.Module]) -> Iterator[Tensor]:
    """The parameters and buffers that ``modules`` hold themselves."""
    for module in modules:
        for own in (internals.own_parameters(module), internals.own_buffers(module)):
            for tensor in own.values():
                if tensor is not None:
                    yield tensor


def walk(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every module of ``model`` with its address, as `named_modules` gives them, five times faster."""
    seen: set[int] = set()
    stack: list[tuple[str, nn.Module]] = [("", model)]
    while stack:
        address, module = stack.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield address, module
        prefix = f"{address}." if address else ""
        stack += [
            (prefix + name, child)
            for name, child in reversed(list(internals.own_modules(module).items()))
            if child is not None
        ]


class Origins:
    """Adopts the tensors of one pass that no recorded call made."""

    def __init__(self, ledger: Ledger, model: nn.Module) -> None:
        self._ledger = ledger
        self.modules = Modules(model)
        #: Whether tensors of other kinds than torch's own were met, which may be made of other tensors.
        self.has_wrappers = False
        #: Memory given to code that nobody sees: a tensor at such an address is another look at it. First byte
        #: and the one after the last, first byte of the storage, and the tensor.
        self.given_away: list[tuple[int, int, int, Value]] = []

    def adopt(self, tensor: Tensor) -> Value:
        """What is to be known of ``tensor`` at first sight."""
        if internals.is_transformed(tensor):
            raise InsideTransform
        if is_lazy(tensor):
            raise Unborn
        found = self.modules.find(tensor)
        if found is None and isinstance(tensor, nn.Parameter):
            self.modules.scan()
            found = self.modules.find(tensor)
        if found is not None:
            return self._ledger.add_source(found[0], tensor, found[1])
        return (
            self._known_memory(tensor)
            or self._given_memory(tensor)
            or self._buffer_of_caller(tensor)
            or self._wrapped(tensor)
            or self._unwrapped(tensor)
            or self._made_unseen(tensor)
            or self._ledger.add_source(
                PARAMETER if isinstance(tensor, nn.Parameter) else CONSTANT,
                tensor,
                self._attribute_name(tensor),
            )
        )

    def behind(self, tensor: Tensor, marker: Value | None) -> list[Value]:
        """Who made what a transform reads; nobody, for what the transform itself made.

        ``marker`` stands for all that it has made.
        """
        if self.modules.find(tensor) is not None:
            return [self.adopt(tensor)]
        storage = self._ledger.provenance.storages.get(internals.storage_key(tensor))
        if storage is None or storage.is_new:
            return []
        if storage.single is not None and storage.single is not marker:
            if self._ledger.nodes[storage.single.node].is_open_ended:
                return [self.adopt(tensor)]
        return [writer for writer in storage.writers(region_of(tensor)) if writer is not marker]

    def _known_memory(self, tensor: Tensor) -> Value | None:
        """A new object that shares its storage with known ones, such as ``nn.Parameter(x)``."""
        key = internals.storage_key(tensor)
        storage = self._ledger.provenance.storages.get(key) if key else None
        if storage is None:
            return None
        maker = self._ledger.nodes[storage.single.node] if storage.single is not None else None
        if maker is not None and maker.is_open_ended:
            return self._ledger.add_late_result(maker, tensor, storage)
        writers = storage.writers(region_of(tensor))
        if not writers:
            return None
        base = writers[-1]
        edges = [Edge(writer, (0,), certain=storage.is_exact) for writer in writers]
        args: tuple[Any, ...] = (
            base,
            tensor.dtype,
            tuple(tensor.shape),
            tensor.stride(),
            tensor.storage_offset(),
        )
        kind = Tensor if isinstance(tensor, nn.Parameter) else type(tensor)
        if kind is not Tensor or is_lazy_view(tensor):
            args += (tensor.is_conj(), tensor.is_neg(), kind)
        return self._ledger.add_unseen(ALIAS, args, edges, [tensor])

    def _given_memory(self, tensor: Tensor) -> Value | None:
        """Memory that left as a pointer and came back: ``from_dlpack(x)``, ``from_numpy(x.numpy())``."""
        address = _data_ptr(tensor) if self.given_away else 0
        for start, stop, memory, value in self.given_away:
            if start <= address < stop:
                if memory == tensor.untyped_storage().data_ptr():
                    self._ledger.provenance.share(tensor, value.storage)
                    return self._known_memory(tensor)
                edges = [Edge(value, (0,), certain=False)]
                return self._ledger.add_unseen(RETURNED, (value,), edges, [tensor])
        return None

    def _wrapped(self, tensor: Tensor) -> Value | None:
        """A tensor made of other tensors by a subclass of its own, which no mode sees."""
        provenance = self._ledger.provenance
        parents = [provenance.known(part) or self._known_memory(part) for part in inner_tensors(tensor)]
        found = [parent for parent in parents if parent is not None]
        return self._opaque(type(tensor).__name__, found, tensor) if found else None

    def _unwrapped(self, tensor: Tensor) -> Value | None:
        """A tensor that was taken out of such a one."""
        if not self.has_wrappers:
            return None
        key = internals.storage_key(tensor)
        for value, known in self._ledger.provenance.alive():
            for part in inner_tensors(known):
                if part is tensor or (key and internals.storage_key(part) == key):
                    return self._opaque("unwrap", [value], tensor)
        return None

    def _opaque(self, name: str, parents: list[Value], tensor: Tensor) -> Value:
        info = FunctionInfo(name=name, role=Role.OP, is_opaque=True)
        edges = [Edge(value, (n,)) for n, value in enumerate(parents)]
        return self._ledger.add_unseen(info, tuple(parents), edges, [tensor])

    def give_away(self, value: Value) -> None:
        """Note that the memory of a tensor is in the hands of code that nobody sees."""
        tensor = value.ref()
        start = 0 if tensor is None else _data_ptr(tensor)
        if tensor is not None and start:
            size = tensor.numel() * tensor.element_size()
            memory = tensor.untyped_storage().data_ptr()
            self.given_away.append((start, start + max(size, 1), memory, value))

    def _buffer_of_caller(self, tensor: Tensor) -> Value | None:
        """A buffer that was registered during the pass."""
        for module in self._ledger.module_stack:
            for name, buffer in internals.own_buffers(module).items():
                if buffer is tensor:
                    address = self.modules.addresses.get(id(module), "")
                    full = f"{address}.{name}" if address else name
                    return self._ledger.add_source(BUFFER, tensor, full)
        return None

    def _made_unseen(self, tensor: Tensor) -> Value | None:
        """The result of unseen code with a gradient: its autograd graph leads to what went in."""
        parents = self.parents_in_graph(tensor)
        if not parents:
            return None
        name = (internals.grad_fn_name(tensor) or "").rstrip("0123456789").removesuffix(
            "Backward"
        ) or "opaque"
        return self._opaque(name, parents, tensor)

    def parents_in_graph(self, tensor: Tensor) -> list[Value]:
        """The known tensors to which the autograd graph of ``tensor`` leads."""
        start = internals.grad_fn_of(tensor)
        if start is None:
            return []
        provenance = self._ledger.provenance
        # the wrappers of autograd nodes stay the same objects only while somebody holds them
        held = [
            (internals.grad_fn_of(known), value)
            for value, known in provenance.alive()
            if known is not tensor and known.requires_grad
        ]
        return self._search(start, {id(grad_fn): value for grad_fn, value in held if grad_fn is not None})

    def _search(self, start: Any, ends: dict[int, Value]) -> list[Value]:
        found: dict[int, Value] = {}
        queue, seen, held = deque([start]), {id(start)}, [start]
        while queue and len(held) < MAX_GRAPH_NODES:
            for node in internals.graph_parents(queue.popleft()):
                if id(node) in seen:
                    continue
                seen.add(id(node))
                held.append(node)
                value = ends.get(id(node)) or self._leaf(node)
                if value is not None:
                    found[id(value)] = value
                else:
                    queue.append(node)
        return list(found.values())

    def _leaf(self, node: Any) -> Value | None:
        variable = getattr(node, "variable", None)
        if not isinstance(variable, Tensor):
            return None
        known = self._ledger.provenance.known(variable)
        if known is None and self.modules.find(variable) is not None:
            known = self.adopt(variable)
        return known

    def _attribute_name(self, tensor: Tensor) -> str | None:
        """The name of the module attribute that holds ``tensor``, if one on the way here does."""
        for module in reversed(self._ledger.module_stack):
            for name, held in vars(module).items():
                if held is tensor:
                    address = self.modules.addresses.get(id(module), "")
                    return f"{address}.{name}" if address else name
        return None


def inner_tensors(tensor: Tensor) -> list[Tensor]:
    """The tensors that a subclass such as `DTensor` is made of; none for an ordinary tensor."""
    if type(tensor) is Tensor or type(tensor) is nn.Parameter:
        return []
    if hasattr(tensor, "__tensor_flatten__"):
        parts = [getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]]
    else:
        parts = list(vars(tensor).values())
    return [part for part in parts if isinstance(part, Tensor)]


def _data_ptr(tensor: Tensor) -> int:
    try:
        return tensor.data_ptr()
    except (RuntimeError, NotImplementedError):
        return 0


def transform_of(frame: FrameType | None) -> tuple[str, FrameType | None]:
    """Name and outermost frame of the functorch transform that ``frame`` runs in."""
    name, outermost = "transform", None
    while frame is not None:
        if f"{_FUNCTORCH}" in frame.f_code.co_filename.replace("\\", "/"):
            name, outermost = frame.f_code.co_qualname.split(".")[0].strip("_"), frame
        frame = frame.f_back
    return name, outermost


_FUNCTORCH = "torch/_functorch/"
