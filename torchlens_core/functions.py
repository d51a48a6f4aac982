"""What is known of each torch function: its name, its part in the graph, which arguments it changes.

Facts are looked up once a function and kept. They come from the function's kind and name, from the
signature where it is Python, and from the operator's schema (alias annotations, tags) where it has one.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from torchlens_core import internals, randomness
from torchlens_core.composites import OPENED, OPENED_HIGHER_ORDER
from torchlens_core.memory import Region, complex_part_region, indexed_region


class Role(enum.Enum):
    """A function's part in the graph."""

    #: Reads metadata or changes no tensor: passed on unseen.
    PASS = "pass"
    OP = "op"
    #: Gives a value to Python.
    ESCAPE = "escape"
    #: Gives memory to code that nobody sees.
    MEMORY = "memory"
    #: A composite that is run with the recorder on.
    OPEN = "open"
    #: Sets or clears ``requires_grad``.
    FLAG = "flag"
    #: A call that takes functions, or anything else whose inside is seen but not recorded.
    CLOSED = "closed"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionInfo:
    """What is known of one torch function."""

    #: Public name without dunders: ``conv2d``, ``add``, ``add_``, ``getitem``, ``T``.
    name: str
    role: Role
    func: Any = field(default=None, compare=False)
    #: Which arguments a call changes; None if none, whatever they are (``out=`` is seen to apart).
    writes: WriteRule | None = None
    #: Arguments, by position or name, of which only the metadata is read.
    unread: frozenset[int | str] = frozenset()
    draws: bool = False
    #: Whether element ``k`` of the result depends on the elements ``k`` of the arguments alone.
    is_foreach: bool = False
    #: Whether versions of the arguments are compared after a call: nothing else says what it writes.
    is_checked: bool = False
    #: Whether its inside cannot be seen.
    is_opaque: bool = False
    #: For opened calls, what to run instead of an opened copy.
    body: Callable[..., Any] | None = field(default=None, compare=False)
    #: Whether a call becomes a node by itself.
    is_recorded: bool = field(init=False, default=True)
    #: Whether it returns new tensors or views, and does nothing else.
    is_simple: bool = field(init=False, default=True)
    #: Whether it is so for some arguments: what writes only if told to.
    is_mostly_simple: bool = field(init=False, default=False)
    #: The name as it stands in labels: ``maxpool2d``, ``add``.
    layer_type: str = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_recorded", self.role in (Role.OP, Role.ESCAPE))
        is_special = self.unread or self.draws or self.is_foreach or self.is_checked
        is_simple = self.role is Role.OP and not is_special and self.name not in ("grad", "backward")
        object.__setattr__(self, "is_simple", is_simple and self.writes is None)
        is_mostly_simple = is_simple and self.writes is not None and self.writes.is_conditional
        object.__setattr__(self, "is_mostly_simple", is_mostly_simple)
        layer_type = self.name.replace("_", "").lower() or self.name
        object.__setattr__(self, "layer_type", layer_type)

    def is_simple_now(self, args: Args, kwargs: Kwargs) -> bool:
        """Whether a call with these arguments is simple although others are not: it writes nothing."""
        return self.is_mostly_simple and self.writes is not None and not self.writes(args, kwargs)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# -- names and roles -------------------------------------------------------------------------------

_PASSED_NAMES = _words(
    """
    _assert _debug_has_internal_overlap _has_compatible_shallow_copy_type _is_zerotensor
    _nnz _pin_memory_thread _set_grad_enabled broadcast_shapes can_cast dense_dim device dim
    dim_order element_size get_default_dtype get_device has_names has_torch_function
    is_coalesced is_complex is_conj is_contiguous is_distributed is_floating_point
    is_grad_enabled is_inference is_inference_mode_enabled is_neg is_pinned is_same_size
    is_set_to is_shared is_signed is_storage is_tensor names ndimension nelement numel
    promote_types q_per_channel_axis q_scale q_zero_point qscheme register_hook
    register_post_accumulate_grad_hook result_type retain_grad size sparse_dim
    storage_offset storage_type stride sym_float sym_fresh_size sym_int sym_ite sym_max
    sym_min sym_not sym_sqrt sym_sum typename __dir__ __dlpack_device__ __format__ __hash__
    __len__ __reduce_ex__ __repr__ __setstate__ __str__
    """
)
#: Properties that are tensors; all others are metadata.
_TENSOR_PROPERTIES = {"T", "H", "mT", "mH", "real", "imag", "data", "grad"}
_WRITTEN_PROPERTIES = {"set_data", "set_real", "set_imag"}
_ESCAPES = _words(
    """
    _is_all_true _is_any_true allclose equal is_nonzero is_same item tolist __bool__
    __complex__ __contains__ __float__ __index__ __int__
    """
)
_FLAGS = {"requires_grad_", "set_requires_grad"}
_ARRAY_ESCAPES = {"numpy", "__array__", "__dlpack__"}
_MEMORY = _words(
    """
    _typed_storage const_data_ptr data_ptr mutable_data_ptr share_memory_ storage
    untyped_storage
    """
)


def public_name(function: Any) -> str:
    """The name people call a function by, without dunders and module.

    >>> public_name(torch.nn.functional.conv2d), public_name(Tensor.__getitem__), public_name(Tensor.T.__get__)
    ('conv2d', 'getitem', 'T')
    >>> public_name(torch.ops.aten.linear.default)
    'linear'
    """
    if isinstance(function, internals.OpOverload):
        return str(function._schema.name).rpartition("::")[2]
    name = raw_name(function)
    if name in ("__get__", "__set__"):
        attribute = str(getattr(function.__self__, "__name__", name))
        return attribute if name == "__get__" else f"set_{attribute}"
    if name.startswith("_foreach_") or getattr(function, "__module__", "") == "torch.foreach":
        return "foreach_" + name.removeprefix("_foreach_")
    if name.startswith("__") and name.endswith("__"):
        name = name.strip("_")
        if name[0] == "i" and name[1:] in _INPLACE_DUNDERS:
            return name[1:] + "_"
        return _OPERATORS.get(name, name)
    return name


def raw_name(function: Any) -> str:
    """``function.__name__``, or the best there is."""
    name = getattr(function, "__name__", None) or getattr(function, "_name", None)
    return str(name or type(function).__name__)


_INPLACE_DUNDERS = _words(
    """
    add and div floordiv lshift matmul mod mul or pow rshift sub truediv xor
    """
)
_OPERATORS = {"truediv": "div", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor"}

# -- what is read ----------------------------------------------------------------------------------

#: Arguments whose metadata alone is used, by position and name.
_UNREAD: dict[str, tuple[int | str, ...]] = {
    **{
        f"{made}_like": (0, "input", "self")
        for made in ("zeros", "ones", "empty", "full", "rand", "randn", "randint")
    },
    **{
        f"new_{made}": (0, "self") for made in ("zeros", "ones", "empty", "full", "tensor", "empty_strided")
    },
    "new": (0, "self"),
    "deepcopy": (1, "memo"),
    **dict.fromkeys(("expand_as", "view_as", "reshape_as", "type_as", "to", "resize_as_"), (1, "other")),
    "sparse_resize_": (0, "self"),
}

# -- what is written -------------------------------------------------------------------------------

#: In-place functions that do not read what they change.
_OVERWRITING = _words(
    """
    bernoulli_ cauchy_ constant_ copy_ exponential_ fill_ foreach_copy_ foreach_zero_
    geometric_ kaiming_uniform_ log_normal_ normal_ random_ set_ uniform_ zero_
    """
)
#: In-place functions that change no byte, only how the tensor looks at them.
CHANGES_VIEW = _words(
    """
    as_strided_ detach_ rename_ resize_ resize_as_ set_ set_data squeeze_ swapaxes_
    swapdims_ t_ transpose_ unsqueeze_
    """
)
#: Collectives of torch.distributed: which argument they fill or change.
_COLLECTIVES: dict[str, tuple[str, ...]] = {
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
    written = [] if packet is None else _written_parameters(_schemas(packet))
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


def _write_rule(function: Any, name: str) -> WriteRule | None:
    """How calls of ``function`` change their arguments."""
    if raw_name(function) == "__set__":
        return _set_property(name.removeprefix("set_"))
    if name in _KNOWN_RULES:
        return _KNOWN_RULES[name][isinstance(function, FunctionType)]
    if isinstance(function, internals.OpOverload | internals.OpOverloadPacket):
        return _schema_rule(_schemas(function), name in _OVERWRITING)
    if name.endswith("_") and not name.endswith("__"):
        return _in_place(raw_name(function), name in _OVERWRITING)
    if isinstance(function, FunctionType):
        code = function.__code__
        parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if name in _COLLECTIVES:
            found = [(parameters.index(n), n) for n in _COLLECTIVES[name] if n in parameters]
            return _named(found)
        return _flagged(parameters.index("inplace")) if "inplace" in parameters else None
    packet = getattr(torch.ops.aten, name, None)
    return _schema_rule(_schemas(packet), False) if packet is not None else None


_EMBEDDING = (_renormed(False), _renormed(True))
#: By name: the rule of the operator, and of the function in ``nn.functional``.
_KNOWN_RULES: dict[str, tuple[WriteRule, WriteRule]] = {
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
    "embedding": _EMBEDDING,
    "embedding_bag": _EMBEDDING,
}


def _schemas(function: Any) -> list[Any]:
    if isinstance(function, internals.OpOverload):
        return [function._schema]
    return [getattr(function, name)._schema for name in function.overloads()]


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
        if argument.alias_info is not None and argument.alias_info.is_write and not argument.is_out
    }
    return sorted(written)


# -- description -----------------------------------------------------------------------------------


def _role(function: Any, name: str, raw: str) -> Role:
    if raw == "__get__":
        return Role.OP if name in _TENSOR_PROPERTIES else Role.PASS
    if name in _FLAGS:
        return Role.FLAG
    if raw == "__set__":
        return Role.OP if name in _WRITTEN_PROPERTIES else Role.PASS
    if isinstance(function, internals.HigherOrderOperator):
        return Role.OPEN if name in OPENED_HIGHER_ORDER else Role.CLOSED
    if function in OPENED:
        return Role.OPEN
    for names, role in (
        (_PASSED_NAMES, Role.PASS),
        (_ESCAPES | _ARRAY_ESCAPES, Role.ESCAPE),
        (_MEMORY, Role.MEMORY),
    ):
        if raw in names:
            return role
    return Role.PASS if isinstance(function, type) else Role.OP


def describe(function: Any) -> FunctionInfo:
    """Facts about a torch function, from its kind, name, signature and schema."""
    name, raw = public_name(function), raw_name(function)
    role = _role(function, name, raw)
    if role is Role.PASS:
        return FunctionInfo(name=name, role=role)
    return FunctionInfo(
        name=name,
        role=role,
        func=function,
        writes=_write_rule(function, name),
        # a gradient does not depend on the value of its tensor
        unread=frozenset((0,) if raw == "__get__" and name == "grad" else _UNREAD.get(name, ())),
        draws=role is Role.OP and randomness.draws(name),
        is_foreach=name.startswith("foreach_"),
        is_checked=_is_unknown(function),
        body=OPENED_HIGHER_ORDER.get(name) if role is Role.OPEN else None,
    )


def _is_unknown(function: Any) -> bool:
    """Whether only the versions of its arguments can tell what a call writes."""
    if isinstance(function, FunctionType):
        return not function.__module__.startswith("torch.")
    return isinstance(function, internals.HigherOrderOperator)


def gives_memory(info: FunctionInfo) -> bool:
    """Whether a call hands memory to code that nobody sees."""
    return info.role is Role.MEMORY or info.name in {"numpy", "array", "dlpack"}


class _Facts(dict[Any, FunctionInfo]):
    """Facts by function, looked up at the first call of each."""

    def __missing__(self, function: Any) -> FunctionInfo:
        info = self[function] = describe(function)
        if info.role is Role.PASS:
            PASSED.add(function)
        return info


#: What is known of every function met so far in this process.
FACTS = _Facts()
#: Those of them that are passed on unseen.
PASSED: set[Any] = set()
