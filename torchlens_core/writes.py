"""Which arguments a call of a torch function changes: known before the call.

From the kind and name of the function, from its signature where it is Python, and from the alias
annotations of the operator's schema where it has one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from torchlens_core import internals
from torchlens_core.memory import Region, complex_part_region, indexed_region
from torchlens_core.names import raw_name, words


@dataclass(frozen=True, slots=True)
class Target:
    """A tensor that a call changes."""

    tensor: Tensor
    #: Whether its old value plays no part: ``copy_``, ``zero_``, ``out=``.
    overwritten: bool
    #: The part of ``tensor`` that is written, if not all.
    part: Region | None = None
    #: Whether its old value goes into its new one alone, not into the results of the call.
    apart: bool = False


Args = Sequence[Any]
Kwargs = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WriteRule:
    """Which arguments a function changes."""

    targets: Callable[[Args, Kwargs], list[Target]]
    #: Whether some calls change nothing.
    is_conditional: bool = False

    def __call__(self, args: Args, kwargs: Kwargs) -> list[Target]:
        """What this call changes."""
        return self.targets(args, kwargs)


# -- what is written -------------------------------------------------------------------------------

#: In-place functions that do not read what they change.
_OVERWRITING = words(
    """
    bernoulli_ cauchy_ constant_ copy_ exponential_ fill_ foreach_copy_ foreach_zero_
    geometric_ kaiming_uniform_ log_normal_ normal_ random_ set_ uniform_ zero_
    """
)
#: In-place functions that change no byte, only how the tensor looks at them.
CHANGES_VIEW = words(
    """
    as_strided_ detach_ rename_ resize_ resize_as_ set_ set_data squeeze_ swapaxes_
    swapdims_ t_ transpose_ unsqueeze_
    """
)
#: Collectives of torch.distributed: which argument they fill or change.
COLLECTIVES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("all_reduce", "broadcast", "reduce", "recv", "irecv", "scatter"), ("tensor",)),
    "all_gather": ("tensor_list",),
    "gather": ("gather_list",),
    "all_gather_single": ("output_tensor", "output"),
    "reduce_scatter": ("output",),
    "reduce_scatter_single": ("output",),
    "all_to_all": ("output_tensor_list",),
    "all_to_all_single": ("output",),
    "all_reduce_coalesced": ("tensors",),
    "all_gather_coalesced": ("output_tensor_lists",),
}


def tensors_in(value: Any) -> list[Tensor]:
    """The tensor, or the tensors of the (nested) list, that an argument is."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in tensors_in(item)]
    return []


def _argument(args: Args, kwargs: Kwargs, position: int, *names: str) -> Any:
    if position < len(args):
        return args[position]
    return next((kwargs[name] for name in names if name in kwargs), None)


def _first(overwritten: bool) -> WriteRule:
    def rule(args: Args, kwargs: Kwargs) -> list[Target]:
        target = _argument(args, kwargs, 0, "input", "self", "tensor")
        return [Target(tensor, overwritten) for tensor in tensors_in(target)]

    return WriteRule(rule)


def _in_place(name: str, overwritten: bool) -> WriteRule:
    """What ends in an underscore: the first argument, and the others that the operator's schema names."""
    packet = getattr(torch.ops.aten, name, None)
    written = [] if packet is None else _written_parameters(internals.schemas(packet))
    more = [parameter for parameter in written if parameter[0] != 0]
    first = _first(overwritten)
    if not more:
        return first
    others = _named(more)

    def rule(args: Args, kwargs: Kwargs) -> list[Target]:
        return [*first(args, kwargs), *others(args, kwargs)]

    return WriteRule(rule)


def _setitem(args: Args, kwargs: Kwargs) -> list[Target]:
    """``x[index] = value``: the part of ``x``, where the index is one that a view can have."""
    part = indexed_region(args[0], args[1])
    return [Target(args[0], overwritten=part is not None, part=part)]


def _set_property(name: str) -> WriteRule:
    def rule(args: Args, kwargs: Kwargs) -> list[Target]:
        part = None if name == "data" else complex_part_region(args[0], name == "imag")
        return [Target(args[0], overwritten=True, part=part)]

    return WriteRule(rule)


def _flagged(position: int) -> WriteRule:
    """Functions with an ``inplace`` argument at ``position``."""

    def rule(args: Args, kwargs: Kwargs) -> list[Target]:
        if not _argument(args, kwargs, position, "inplace"):
            return []
        return [Target(t, False) for t in tensors_in(_argument(args, kwargs, 0, "input"))]

    return WriteRule(rule, is_conditional=True)


def _running_statistics(first: int, training_name: str, default: bool) -> WriteRule:
    """batch_norm and its kin: running mean and variance, at ``first`` and after it, when training."""

    def rule(args: Args, kwargs: Kwargs) -> list[Target]:
        training = _argument(args, kwargs, 5, training_name)
        if not (default if training is None else training):
            return []
        mean = _argument(args, kwargs, first, "running_mean")
        var = _argument(args, kwargs, first + 1, "running_var")
        return [Target(t, False, apart=True) for t in (mean, var) if isinstance(t, Tensor)]

    return WriteRule(rule, is_conditional=True)


def _renormed(function_is_python: bool) -> WriteRule:
    """embedding and embedding_bag of ``nn.functional``: the weight, when ``max_norm`` is given."""

    def rule(args: Args, kwargs: Kwargs) -> list[Target]:
        if not function_is_python or _argument(args, kwargs, 3, "max_norm") is None:
            return []
        return [Target(t, False) for t in tensors_in(_argument(args, kwargs, 1, "weight"))]

    return WriteRule(rule, is_conditional=True)


def _named(parameters: Sequence[tuple[int, str]], overwritten: bool = False) -> WriteRule:
    def rule(args: Args, kwargs: Kwargs) -> list[Target]:
        return [
            Target(tensor, overwritten)
            for position, name in parameters
            for tensor in tensors_in(_argument(args, kwargs, position, name))
        ]

    return WriteRule(rule)


def out_targets(kwargs: Kwargs) -> list[Target]:
    """What ``out=`` names."""
    return [Target(tensor, overwritten=True) for tensor in tensors_in(kwargs.get("out"))]


def write_rule(function: Any, name: str) -> WriteRule | None:
    """How calls of ``function`` change their arguments."""
    if raw_name(function) == "__set__":
        if name == "set_grad":
            return None
        return _set_property(name.removeprefix("set_"))
    if name in _KNOWN_RULES:
        return _KNOWN_RULES[name][isinstance(function, FunctionType)]
    if isinstance(function, internals.OpOverload | internals.OpOverloadPacket):
        return _schema_rule(internals.schemas(function), name in _OVERWRITING)
    if name.endswith("_") and not name.endswith("__"):
        return _in_place(raw_name(function), name in _OVERWRITING)
    if isinstance(function, FunctionType):
        parameters = _parameters(function)
        if name in COLLECTIVES:
            found = [(parameters.index(n), n) for n in COLLECTIVES[name] if n in parameters]
            return _named(found)
        return _flagged(parameters.index("inplace")) if "inplace" in parameters else None
    packet = getattr(torch.ops.aten, name, None)
    return _schema_rule(internals.schemas(packet), False) if packet is not None else None


def _parameters(function: FunctionType) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except ValueError:  # some of torch's carry a signature of another kind
        return []


_EMBEDDING = (_renormed(False), _renormed(True))
#: By name: the rule of the operator, and of the function in ``nn.functional``.
_KNOWN_RULES: dict[str, tuple[WriteRule | None, WriteRule | None]] = {
    "sort": (None, None),  # its overloads for TorchScript's lists are in place
    "setitem": (WriteRule(_setitem), WriteRule(_setitem)),
    "batch_norm": (
        _running_statistics(3, "training", False),
        _running_statistics(1, "training", False),
    ),
    "instance_norm": (
        _running_statistics(3, "use_input_stats", True),
        _running_statistics(1, "use_input_stats", True),
    ),
    "native_batch_norm": (
        _running_statistics(3, "training", False),
        _running_statistics(3, "training", False),
    ),
    "module_load": (_first(True), _first(True)),
    "embedding": _EMBEDDING,
    "embedding_bag": _EMBEDDING,
}


def _schema_rule(schemas: Sequence[Any], overwritten: bool) -> WriteRule | None:
    """The arguments that some overload marks as written."""
    written = _written_parameters(schemas)
    return _named(written, overwritten) if written else None


def _written_parameters(schemas: Sequence[Any]) -> list[tuple[int, str]]:
    """Position and name of the parameters that some overload marks as written, ``out`` ones apart."""
    written = {
        (position, argument.name)
        for schema in schemas
        for position, argument in enumerate(schema.arguments)
        if internals.is_written_tensor(argument) and not argument.is_out
    }
    return sorted(written)
