"""The only module that names torch's private attributes.

Each stands here with its reason and what happens without it. ``tests/core/test_internals.py`` tells
when a new release of torch takes one away or changes what it does.
"""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from operator import attrgetter, methodcaller
from types import ModuleType
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch._ops import HigherOrderOperator as HigherOrderOperator
from torch._ops import OpOverload as OpOverload
from torch._ops import OpOverloadPacket as OpOverloadPacket
from torch.autograd import forward_ad
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from torchlens_core.errors import UnsupportedTorchError

# -- memory ----------------------------------------------------------------------------------------

#: A tensor without bytes of its own to track (sparse, nested, opaque wrappers).
NO_STORAGE = 0


#: Identity of a storage object: the address of the C++ object behind it. The Python objects are made anew
#: at each ``untyped_storage()``. It is unique as long as the storage is held by `hold_address`.
address_of: Callable[[Any], int] = attrgetter("_cdata")


def storage_key(tensor: Tensor) -> int:
    """Identity of the memory behind ``tensor``: views share it. `NO_STORAGE` if it has none."""
    try:
        return address_of(tensor.untyped_storage())
    except (NotImplementedError, RuntimeError, ValueError):  # ValueError: a lazy module's, without shape
        return NO_STORAGE


def is_memory_of_others(tensor: Tensor) -> bool:
    """Whether ``tensor`` shows memory that torch has not allocated: an array's, a file's."""
    try:
        return not tensor.untyped_storage().resizable()
    except (NotImplementedError, RuntimeError):
        return False


#: Keeps a storage's *address* from being used again, and returns it; its bytes are not kept.
hold_address: Callable[[Any], int] = methodcaller("_weak_ref")


def release_addresses(addresses: Iterable[int]) -> None:
    """Undo `hold_address`."""
    deque(map(torch.UntypedStorage._free_weak_ref, addresses), maxlen=0)  # type: ignore[attr-defined]


#: How often a tensor's memory was written in place; raises RuntimeError for inference tensors.
read_version: Callable[[Tensor], int] = attrgetter("_version")


def version(tensor: Tensor) -> int | None:
    """How often ``tensor``'s memory was written in place; None for inference tensors, which keep no count."""
    try:
        return read_version(tensor)
    except RuntimeError:
        return None


def versions(values: list[Any]) -> list[int | None]:
    """The versions of several tensors; None for what is no tensor."""
    try:
        return [read_version(value) for value in values]
    except (AttributeError, RuntimeError, TypeError):
        return [version(value) if isinstance(value, Tensor) else None for value in values]


def is_held_by_torch(tensor: Tensor) -> bool:
    """Whether C++ holds ``tensor`` too, for autograd or as the base of a view: that counts as one reference."""
    return bool(tensor._use_count() > 1)  # type: ignore[attr-defined]


# -- function modes --------------------------------------------------------------------------------

#: A context in which neither modes nor subclasses see a call: the recorder's own work runs in it when
#: it is not alone on the stack of modes.
WithoutTorchFunction: Any = torch._C.DisableTorchFunction


#: Undoes `WithoutTorchFunction` inside: what is called is seen by the modes around again.
WithTorchFunction: Any = torch._C._EnableTorchFunction


def function_mode_depth() -> int:
    """How many function modes are active on this thread."""
    return int(torch._C._len_torch_function_stack())


def dispatch_mode_depth() -> int:
    """How many dispatch modes are active on this thread."""
    return int(torch._C._len_torch_dispatch_stack())


#: Whether autocast is on for any device: one call, an eighth of the cost of asking for each.
is_any_autocast_enabled: Callable[[], bool] = torch._C._is_any_autocast_enabled


def without_dispatch_modes() -> AbstractContextManager[Any]:
    """Dispatch modes such as `FakeTensorMode` off, so that real tensors can be read; nothing if there are none."""
    if dispatch_mode_depth() == 0:
        return nullcontext()
    return cast("AbstractContextManager[Any]", _disable_current_modes())


class DispatchMode(TorchDispatchMode):
    """A dispatch mode that compiled code does not concern.

    Of other modes torch wraps ``__torch_dispatch__`` so that dynamo leaves it alone. That costs 5 us a kernel,
    and the first call imports dynamo, which takes seconds. Should torch ask otherwise one day, it is slower.
    """

    #: Higher-order operators are handed over like kernels, where modes that do not say so make them raise.
    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __enter__(self) -> Self:
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


#: The attributes in which a module keeps its submodules, parameters and buffers.
MODULE_HOLDERS = frozenset({"_modules", "_parameters", "_buffers"})


#: Those in which it keeps its hooks, and what is said of each, by numbers that the process counts up.
HOOK_HOLDERS = frozenset(name for name in vars(nn.Module()) if "_hooks" in name)


#: Whether a call now would reach a function mode; not while one handles a call.
is_function_mode_on: Callable[[], bool] = torch._C._is_torch_function_mode_enabled


# -- settings --------------------------------------------------------------------------------------


#: What it is called in messages, what reads it, what writes it.
Flag = tuple[str, Callable[[], Any], Callable[[Any], None]]


def _flags(table: Mapping[str, tuple[str, str]]) -> list[Flag]:
    """Settings by their names in messages, from those of their functions; without what torch does not have."""
    found = [
        (words, getattr(torch._C, reader, None), getattr(torch._C, writer, None))
        for words, (reader, writer) in table.items()
    ]
    return [(words, read, write) for words, read, write in found if read is not None and write is not None]


#: What ``torch.backends.mkldnn`` and ``torch.backends.cudnn`` show: read ten times as fast here, and to be written
#: although `torch.backends.disable_global_flags` was called. Without them, a replay leaves them as they are.
KERNEL_FLAGS = _flags(
    {
        "oneDNN": ("_get_mkldnn_enabled", "_set_mkldnn_enabled"),
        "deterministic kernels of oneDNN": ("_get_mkldnn_deterministic", "_set_mkldnn_deterministic"),
        "cuDNN": ("_get_cudnn_enabled", "_set_cudnn_enabled"),
        "the benchmarks of cuDNN": ("_get_cudnn_benchmark", "_set_cudnn_benchmark"),
        "deterministic kernels of cuDNN": ("_get_cudnn_deterministic", "_set_cudnn_deterministic"),
        "TF32 in cuDNN": ("_get_cudnn_allow_tf32", "_set_cudnn_allow_tf32"),
    }
)
#: What `torch.nn.attention.sdpa_kernel` sets and no public function tells: which kernels of others are allowed,
#: and which goes first. Without them, likewise.
ATTENTION_FLAGS = _flags(
    {
        "attention by kernels of others": ("_get_overrideable_sdp_enabled", "_set_sdp_use_overrideable"),
        "the order of attention's kernels": ("_get_sdp_priority_order", "_set_sdp_priority_order"),
    }
)


# -- functorch -------------------------------------------------------------------------------------


def is_transformed(tensor: Tensor) -> bool:
    """Whether ``tensor`` belongs to a running functorch transform and dies with it."""
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(tensor))


def transform_depth() -> int:
    """How many functorch transforms and levels of forward-mode autograd run on this thread, one in the other."""
    return int(torch._C._functorch.maybe_current_level() or 0) + forward_ad._current_level + 1


def untransformed(tensor: Tensor) -> Tensor:
    """The plain tensor inside the wrappers of all running functorch transforms."""
    while is_transformed(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor


# -- higher-order ops ------------------------------------------------------------------------------


def flex_attention(*args: Any, **kwargs: Any) -> Any:
    """`flex_attention` as torch computes it on dense tensors, differentiable in all that it reads.

    Called while ``torch.ops.higher_order.flex_attention`` runs, so the module is there; should its
    function go, the op itself is run, and recorded closed.
    """
    module = sys.modules["torch._higher_order_ops.flex_attention"]
    dense = getattr(module, "sdpa_dense", None) or module.flex_attention
    return dense(*args, **kwargs)


# -- TorchScript -----------------------------------------------------------------------------------


def script_callables() -> tuple[type, ...]:
    """The classes whose ``__call__`` runs TorchScript code, which no mode sees."""
    found = (getattr(torch._C, name, None) for name in ("ScriptFunction", "ScriptMethod"))
    return tuple(kind for kind in found if kind is not None)


_IN_PLACE = re.compile(r"aten::[a-z0-9_]*[a-z0-9]_\(")


@lru_cache(maxsize=256)
def script_writes(called: Any) -> bool:
    """Whether the code of a TorchScript function or method writes a tensor in place; yes, if it will not say."""
    try:
        return _IN_PLACE.search(str(called.inlined_graph)) is not None
    except (AttributeError, RuntimeError):
        return True


# -- other unseen code -----------------------------------------------------------------------------

#: Functions that make tensors from tensors without asking modes: owner and name.
UNSEEN_FUNCTIONS: tuple[tuple[Any, str], ...] = tuple(
    (owner, name)
    for owner, name in ((getattr(torch._C, "_nested", None), "nested_tensor"),)
    if hasattr(owner, name)
)

#: The autograd function by which modules hang their backward hooks on tensors.
BACKWARD_HOOKS = "BackwardHookFunction"

#: Properties whose setters write a tensor's memory without asking modes.
UNSEEN_SETTERS = ("real", "imag")


#: Methods that exchange a tensor's memory without asking modes.
UNSEEN_METHODS = ("set_",)
#: ``Tensor.set_`` itself, whatever stands in its place.
set_memory = cast("Callable[..., Tensor]", torch._C.TensorBase.set_)


#: A view whose values are those in memory negated.
negated_view: Callable[[Tensor], Tensor] = torch._neg_view


def attribute_of_tensors(name: str) -> Any:
    """The C descriptor behind a property or method of tensors."""
    return getattr(torch._C.TensorBase, name)


# -- compiled code ---------------------------------------------------------------------------------

_EVAL_FRAME = "torch._dynamo.eval_frame"


class ForcedEager:
    """While open, functions compiled by torch run op by op, in every thread.

    `torch.compiler.set_stance` does this, but imports `torch._dynamo`, which takes seconds. Nothing is
    compiled before that import, so it is enough to set the stance when and if the import happens.
    """

    def __init__(self) -> None:
        self._prior: Any = None
        self._finder: _OnImport | None = None

    def open(self) -> None:
        """Set the stance, now or when the compiler is imported."""
        module = sys.modules.get(_EVAL_FRAME)
        if module is not None:
            self._set(module)
        else:
            self._finder = _OnImport(_EVAL_FRAME, self._set)
            sys.meta_path.insert(0, self._finder)

    def close(self) -> None:
        """Set it back."""
        if self._finder is not None:
            sys.meta_path.remove(self._finder)
            self._finder = None
        if self._prior is not None:
            sys.modules[_EVAL_FRAME]._set_stance(self._prior)
            self._prior = None

    def _set(self, module: ModuleType) -> None:
        self._prior = module._set_stance(module.DynamoStance("force_eager"))


class _OnImport(MetaPathFinder):
    """Runs a function on one module right after its import."""

    def __init__(self, name: str, action: Callable[[ModuleType], None]) -> None:
        self._name, self._action = name, action

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return spec
        loader, action, execute = spec.loader, self._action, spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            loader.exec_module = execute  # type: ignore[method-assign]
            execute(module)
            action(module)

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def operator_names() -> set[str]:
    """Names, without namespaces, of all registered operators, custom ones included."""
    return {schema.name.rpartition("::")[2] for schema in torch._C._jit_get_all_schemas()}


def schemas(function: OpOverload | OpOverloadPacket) -> list[Any]:
    """The schemas of an operator's overloads."""
    if isinstance(function, OpOverload):
        return [function._schema]
    return [getattr(function, name)._schema for name in function.overloads()]


def is_written_tensor(argument: Any) -> bool:
    """Whether an argument of a schema is a tensor, or a list of some, that the operator changes.

    Some overloads are for TorchScript's lists of numbers: ``sort`` of those is in place.
    """
    return (
        argument.alias_info is not None and argument.alias_info.is_write and "Tensor" in str(argument.type)
    )


def operator_name(function: Any) -> str | None:
    """The name of a higher-order operator; None for what is none."""
    return getattr(function, "_name", None)


# -- modules ---------------------------------------------------------------------------------------


def own_modules(module: nn.Module) -> dict[str, nn.Module | None]:
    """Direct submodules by attribute name; ten times faster than `named_children`."""
    return module._modules


def own_parameters(module: nn.Module) -> dict[str, nn.Parameter | None]:
    """Direct parameters by attribute name."""
    return module._parameters


def own_buffers(module: nn.Module) -> dict[str, Tensor | None]:
    """Direct buffers by attribute name."""
    return module._buffers


def changes_arguments(module: nn.Module) -> bool:
    """Whether something stands between a call of ``module`` and its ``forward``: a hook, a ``__call__`` of its own."""
    hooks = module._forward_pre_hooks or _global_pre_hooks
    return bool(hooks) or type(module).__call__ is not nn.Module.__call__


_global_pre_hooks = torch.nn.modules.module._global_forward_pre_hooks

#: The code of the frame that calls ``forward``: what is outside it is the same for every module.
MODULE_CALL_IMPL = nn.Module._call_impl.__code__

# -- autograd --------------------------------------------------------------------------------------


def grad_fn_of(tensor: Tensor) -> Any:
    """The autograd node of ``tensor``, if it has one and autograd will tell.

    Of a view that was made under ``no_grad`` and written in place it will not: it raises.
    """
    try:
        return tensor.grad_fn
    except RuntimeError:
        return None


def grad_fn_name(tensor: Tensor) -> str | None:
    """The name of that node: ``AddmmBackward0``."""
    grad_fn = grad_fn_of(tensor)
    return None if grad_fn is None else str(grad_fn.name())


def graph_parents(node: Any) -> Iterator[Any]:
    """The autograd nodes that ``node`` passes gradients to."""
    return (parent for parent, _ in node.next_functions if parent is not None)


def require_torch() -> None:
    """Raise `UnsupportedTorchError` if the installed torch lacks what the recorder stands on."""
    missing = [
        name
        for name, owner in (
            ("_len_torch_function_stack", torch._C),
            ("DisableTorchFunction", torch._C),
            ("_weak_ref", torch.UntypedStorage),
            ("_version", Tensor),
        )
        if not hasattr(owner, name)
    ]
    if missing:
        raise UnsupportedTorchError(
            f"torch {torch.__version__} lacks {', '.join(missing)}, on which recording stands. "
            "Expected torch 2.13 or newer: install one with `pip install -U torch`."
        )
