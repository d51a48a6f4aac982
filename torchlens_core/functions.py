"""What is known of each torch function: its name, its part in the graph, which arguments it changes.

Facts are looked up once a function and kept. They come from the function's kind and name, from the
signature where it is Python, and from the operator's schema (alias annotations, tags) where it has one.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from torchlens_core import internals, randomness
from torchlens_core.composites import OPENED, OPENED_HIGHER_ORDER
from torchlens_core.names import public_name, raw_name, words
from torchlens_core.settings import Family, family_of
from torchlens_core.writes import Args, Kwargs, WriteRule, write_rule


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
    #: Begins forward-mode differentiation.
    DUAL = "dual"
    #: Sets or clears ``requires_grad``.
    FLAG = "flag"
    #: A call that takes functions, or anything else whose inside is seen but not recorded.
    CLOSED = "closed"


#: What reads or sets gradients.
GRADIENTS = frozenset({"grad", "set_grad", "backward"})
#: What may take over memory from outside torch; such a tensor is looked up when it is first used.
FROM_OUTSIDE = frozenset({"as_tensor", "asarray", "frombuffer"})
_OTHERWISE_SPECIAL = GRADIENTS | FROM_OUTSIDE


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
    #: The settings of the process by which it chooses its kernels.
    settings: Family | None = field(default=None, compare=False)
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
        is_simple = self.role is Role.OP and not is_special and self.name not in _OTHERWISE_SPECIAL
        object.__setattr__(self, "is_simple", is_simple and self.writes is None)
        is_mostly_simple = is_simple and self.writes is not None and self.writes.is_conditional
        object.__setattr__(self, "is_mostly_simple", is_mostly_simple)
        layer_type = self.name.replace("_", "").lower() or self.name
        object.__setattr__(self, "layer_type", layer_type)

    def is_simple_now(self, args: Args, kwargs: Kwargs) -> bool:
        """Whether a call with these arguments is simple although others are not: it writes nothing."""
        return self.is_mostly_simple and self.writes is not None and not self.writes(args, kwargs)


# -- names and roles -------------------------------------------------------------------------------

_PASSED_NAMES = words(
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
_WRITTEN_PROPERTIES = {"set_data", "set_grad", "set_imag", "set_real"}
_ESCAPES = words(
    """
    _is_all_true _is_any_true allclose equal is_nonzero is_same item tolist __bool__
    __complex__ __contains__ __float__ __index__ __int__
    """
)
_FLAGS = {"requires_grad_", "set_requires_grad"}
_ARRAY_ESCAPES = {"numpy", "__array__", "__dlpack__"}
_MEMORY = words(
    """
    _typed_storage const_data_ptr data_ptr mutable_data_ptr share_memory_ storage
    untyped_storage
    """
)


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
        ({"_make_dual"}, Role.DUAL),
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
        writes=write_rule(function, name),
        # a gradient does not depend on the value of its tensor
        unread=frozenset((0,) if raw == "__get__" and name == "grad" else _UNREAD.get(name, ())),
        draws=role is Role.OP and randomness.draws(name),
        is_foreach=name.startswith("foreach_"),
        is_checked=_is_unknown(function),
        settings=family_of(name),
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
