"""What is known of one entry of a history by itself.

The fields are looks at the recording, made when asked for; their names are those of TorchLens.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from torchlens_core import internals
from torchlens_core.errors import StaleValueError
from torchlens_core.nodes import (
    BUFFER,
    CONSTANT,
    ESCAPE,
    INPUT,
    OUTPUT,
    PARAMETER,
    SOURCES,
    Node,
    Value,
    fill,
    values_in,
)
from torchlens_core.randomness import GeneratorState
from torchlens_core.sites import Frame, user_frame
from torchlens_core.specs import TensorSpec, human_bytes

if TYPE_CHECKING:
    from torchlens_core.history import ModelHistory


class Entry:
    """What is known of one entry by itself: names, kind, tensors, function, parameters."""

    __slots__ = ("_history", "_node")

    def __init__(self, history: ModelHistory, node: Node) -> None:
        self._history = history
        self._node = node

    # -- names -------------------------------------------------------------------------------------

    @property
    def layer_label(self) -> str:
        """``conv2d_3_7``; with its pass, ``linear_1_1:2``, if its layer runs several times."""
        return self.layer_label_w_pass if self.layer_passes_total > 1 else self.layer_label_no_pass

    @property
    def layer_label_no_pass(self) -> str:
        """``conv2d_3_7``: the third conv2d layer, the seventh layer in all."""
        return self._node.site.layer.label

    @property
    def layer_label_w_pass(self) -> str:
        """``conv2d_3_7:1``."""
        return f"{self.layer_label_no_pass}:{self.pass_num}"

    @property
    def layer_label_short(self) -> str:
        """``conv2d_3``; with its pass if its layer runs several times."""
        short = self._node.site.layer.short_label
        return f"{short}:{self.pass_num}" if self.layer_passes_total > 1 else short

    @property
    def stable_name(self) -> str:
        """``features.6:conv2d``: a name that changes only where the program does."""
        return self._node.site.layer.stable_name

    @property
    def layer_type(self) -> str:
        """The function's name as it stands in labels: ``maxpool2d``."""
        return self._node.site.layer.layer_type

    @property
    def layer_type_num(self) -> int:
        """Number of the layer among those of its type, from 1."""
        return self._node.site.layer.type_number

    @property
    def layer_total_num(self) -> int:
        """Number of the layer among all layers that are calls, from 1; 0 for inputs and the like."""
        return self._node.site.layer.total_number

    @property
    def pass_num(self) -> int:
        """Number of this run of the layer, from 1."""
        return self._history.recording.numbers[self._node.index]

    @property
    def layer_passes_total(self) -> int:
        """How often the layer runs."""
        return self._node.site.layer.passes

    @property
    def index(self) -> int:
        """Place among the entries of the history, from 0."""
        return self._history.recording.entry_of[self._node.index]

    @property
    def operation_num(self) -> int:
        """Place among the entries of the history, from 1."""
        return self.index + 1

    @property
    def lookup_keys(self) -> list[int | str]:
        """All keys under which the history finds this entry, parts of names apart."""
        return self._history.keys_of(self._node.index)

    # -- kind --------------------------------------------------------------------------------------

    @property
    def is_input_layer(self) -> bool:
        """Whether it is a tensor that the model was given."""
        return self._node.kind is INPUT

    @property
    def is_output_layer(self) -> bool:
        """Whether it is a tensor of the model's result."""
        return self._node.kind is OUTPUT

    @property
    def is_buffer_layer(self) -> bool:
        """Whether it is a buffer of the model."""
        return self._node.kind is BUFFER

    @property
    def is_constant_layer(self) -> bool:
        """Whether it is a tensor from outside that is no input, parameter or buffer."""
        return self._node.kind is CONSTANT

    @property
    def is_escape(self) -> bool:
        """Whether a value goes to Python here: ``item``, ``tolist``, ``bool(t)``."""
        return self._node.kind is ESCAPE

    @property
    def is_opaque(self) -> bool:
        """Whether its inside cannot be seen: TorchScript, functorch, C++ extensions."""
        return self._node.is_opaque

    @property
    def buffer_address(self) -> str | None:
        """For a buffer its name, ``bn1.running_mean``."""
        return self._node.address if self.is_buffer_layer else None

    @property
    def address(self) -> str | None:
        """Where a source or output stands: ``input.0["ids"]``, ``bn1.running_mean``, ``output.1``."""
        return self._node.address

    @property
    def initialized_inside_model(self) -> bool:
        """Whether it depends on nothing and is no input."""
        return not self._node.edges and not self.is_input_layer and not self.is_output_layer

    # -- tensors -----------------------------------------------------------------------------------

    def _each(self, values: Sequence[Any]) -> Any:
        """One value for an op with one result, else a tuple; what was only written comes last, if alone."""
        node = self._node
        shown = values[: len(values) - node.written] or values
        if not shown:
            return None
        return shown[0] if len(shown) == 1 else tuple(shown)

    @property
    def has_saved_activations(self) -> bool:
        """Whether the activation was kept."""
        return self._node.saved is not None

    @property
    def tensor_contents(self) -> Any:
        """The activation right after the op, or None if it was not kept.

        Raises `StaleValueError` if it was overwritten since.
        """
        node = self._node
        if node.saved is None:
            return None
        return self._each([self._checked(slot) for slot in range(len(node.saved))])

    def _checked(self, slot: int) -> Any:
        node = self._node
        assert node.saved is not None
        kept = node.saved[slot]
        noted = node.versions[slot] if node.versions else None
        now = internals.version(kept) if isinstance(kept, Tensor) else None
        if slot in node.stale or noted != now:
            raise StaleValueError(
                f"The activation of {self.layer_label} ({self.stable_name}) was overwritten "
                f"{'unseen during' if slot in node.stale else 'after'} the pass: its memory is shared with "
                f"a tensor that was changed in place (version {noted} when the pass ended, {now} now). "
                "Copy it before you change it, or log the pass again."
            )
        return kept

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """Shape, dtype and the rest of each result."""
        node = self._node
        values = node.values
        return tuple(value.spec for value in values[: len(values) - node.written] or values)

    @property
    def tensor_shape(self) -> Any:
        """Shape of the result."""
        return self._each([spec.shape for spec in self.specs])

    @property
    def tensor_dtype(self) -> Any:
        """Dtype of the result."""
        return self._each([spec.dtype for spec in self.specs])

    @property
    def tensor_fsize(self) -> int:
        """Bytes of all results."""
        return sum(spec.nbytes for spec in self.specs)

    @property
    def tensor_fsize_nice(self) -> str:
        """The same as people write it."""
        return human_bytes(self.tensor_fsize)

    @property
    def grad_contents(self) -> Any:
        """The gradient of the activation, after a backward pass over a history with ``save_gradients=True``."""
        node, gradients = self._node, self._history.recording.gradients
        return self._each([gradients.get((node.index, slot)) for slot in range(len(node.values))])

    # -- function ----------------------------------------------------------------------------------

    @property
    def func_applied(self) -> Any:
        """The function called; None for what is no call."""
        return self._node.info.func

    @property
    def func_applied_name(self) -> str:
        """Its public name: ``conv2d``, ``add``, ``add_``."""
        return self._node.info.name

    @property
    def func_argnames(self) -> tuple[str, ...]:
        """Names of its parameters, as far as they can be found out."""
        return argument_names(self._node.info.func, self.func_applied_name)

    @property
    def function_is_inplace(self) -> bool:
        """Whether it changed one of its arguments."""
        node = self._node
        if node.kind in SOURCES or node.info.writes is None:
            return node.written > 0
        given = {id(value.storage) for _, value in values_in(node.args, node.kwargs)}
        return node.written > 0 or any(
            id(value.storage) in given and not value.is_view for value in node.values
        )

    @property
    def creation_args(self) -> tuple[Any, ...]:
        """Its arguments by position; an activation that is not kept stands as its `TensorSpec`."""
        return tuple(fill(arg, self._argument) for arg in self._node.args)

    @property
    def creation_kwargs(self) -> dict[str, Any]:
        """Its arguments by name, likewise."""
        return {name: fill(arg, self._argument) for name, arg in self._node.kwargs.items()}

    def _argument(self, value: Value) -> Any:
        source = self._history.recording.nodes[value.node]
        if source.kind is PARAMETER:
            return source.tensor
        if source.saved is not None and value.slot < len(source.saved):
            kept = source.saved[value.slot]
            if kept is not None and value.slot not in source.stale:
                return kept
        return value.spec

    @property
    def func_time_elapsed(self) -> float:
        """Seconds it took."""
        return self._node.seconds

    @property
    def func_rng_states(self) -> Sequence[GeneratorState]:
        """The generators that it drew from, as they were before it."""
        return self._node.rng

    @property
    def func_call_stack(self) -> list[dict[str, Any]]:
        """The call stack, outermost first; each with file, line, function and the source lines around."""
        return [frame.as_dict() for frame in self.frames]

    @property
    def frames(self) -> list[Frame]:
        """The call stack, outermost first."""
        return self._history.frames_of(self._node)

    @property
    def source(self) -> Frame | None:
        """The innermost line outside torch: where a person would look."""
        return user_frame(self.frames)

    @property
    def gradfunc(self) -> str | None:
        """Name of the autograd node of the result."""
        return self._node.grad_fn

    @property
    def grad_enabled(self) -> bool:
        """Whether autograd was on."""
        return self._node.grad_enabled

    @property
    def autocast(self) -> tuple[tuple[str, torch.dtype], ...]:
        """Device type and dtype of each autocast that was on."""
        return self._node.autocast

    @property
    def composite(self) -> tuple[str, ...]:
        """The functions of torch inside which it was called, such as ``multi_head_attention_forward``."""
        return self._node.composite

    # -- parameters --------------------------------------------------------------------------------

    @property
    def _parameters(self) -> list[Node]:
        nodes = self._history.recording.nodes
        values = [value for _, value in values_in(self._node.args, self._node.kwargs)]
        values += [edge.origin for edge in self._node.edges]
        read = dict.fromkeys(value.parameter for value in values)
        return [nodes[index] for index in read if index is not None]

    @property
    def parent_params(self) -> list[torch.nn.Parameter]:
        """The parameters that it read."""
        return [node.tensor for node in self._parameters]  # type: ignore[misc]

    @property
    def parent_param_names(self) -> list[str | None]:
        """Their names in the model."""
        return [node.address for node in self._parameters]

    @property
    def computed_with_params(self) -> bool:
        """Whether it read any."""
        return bool(self.parent_params)

    @property
    def parent_param_shapes(self) -> list[tuple[int, ...]]:
        """Their shapes."""
        return [tuple(parameter.shape) for parameter in self.parent_params]

    @property
    def num_params_total(self) -> int:
        """How many numbers they hold."""
        return sum(parameter.numel() for parameter in self.parent_params)

    @property
    def parent_params_fsize(self) -> int:
        """Bytes they hold."""
        return sum(p.numel() * p.element_size() for p in self.parent_params)


def argument_names(function: Any, name: str) -> tuple[str, ...]:
    """Names of a function's parameters: its signature, else those of the operator of that name.

    >>> argument_names(torch.conv2d, "conv2d")
    ('input', 'weight', 'bias', 'stride', 'padding', 'dilation', 'groups')
    """
    if inspect.isfunction(function) and not hasattr(function, "__wrapped__"):
        return tuple(inspect.signature(function).parameters)
    if isinstance(function, internals.OpOverload):
        return tuple(argument.name for argument in internals.schemas(function)[0].arguments)
    packet = getattr(torch.ops.aten, name, None) if name.isidentifier() else None
    if packet is None:
        return ()
    return tuple(argument.name for argument in internals.schemas(packet)[0].arguments)
