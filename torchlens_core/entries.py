"""What a history is made of, as its users see it: ops, layers, module calls.

They are looks at the recording, made when asked for; the names of the fields are those of TorchLens.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from torchlens_core import internals, printed
from torchlens_core.errors import AmbiguousLayerError, StaleValueError
from torchlens_core.nodes import (
    BUFFER,
    CONSTANT,
    ESCAPE,
    INPUT,
    OUTPUT,
    PARAMETER,
    SOURCES,
    Call,
    Edge,
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


class Op:
    """One entry of a history: an input, buffer, constant, call or output.

    A call that returned several tensors is one entry, and its ``tensor_…`` fields are then tuples.
    """

    __slots__ = ("_history", "_node")

    def __init__(self, history: ModelHistory, node: Node) -> None:
        self._history = history
        self._node = node

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Op) and other._node is self._node

    def __hash__(self) -> int:
        return hash(id(self._node))

    def __repr__(self) -> str:
        return printed.op(self)

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
        return self._history.keys_of(self)

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

    # -- graph -------------------------------------------------------------------------------------

    @property
    def edges(self) -> Sequence[Edge]:
        """What it depends on, in full; parameters among it."""
        return self._node.edges

    @property
    def parent_layers(self) -> list[str]:
        """Labels of the entries that it depends on; parameters stand in `parent_params`."""
        return self._history.labels(self._history.graph.parents[self._node.index])

    @property
    def parent_layer_arg_locs(self) -> dict[str, dict[Any, str]]:
        """Through which argument each parent comes in."""
        places: dict[str, dict[Any, str]] = {"args": {}, "kwargs": {}}
        for edge in self._node.edges:
            labels = self._history.labels([edge.origin.node])
            if labels:
                sort = "args" if isinstance(edge.path[0], int) else "kwargs"
                path = edge.path[0] if len(edge.path) == 1 else edge.path
                places[sort].setdefault(path, labels[0])
        return places

    @property
    def child_layers(self) -> list[str]:
        """Labels of the entries that depend on it."""
        return self._history.labels(self._history.graph.children[self._node.index])

    @property
    def sibling_layers(self) -> list[str]:
        """Labels of the entries that share a parent with it."""
        graph, index = self._history.graph, self._node.index
        shared = {child for parent in graph.parents[index] for child in graph.children[parent]}
        return self._history.labels(sorted(shared - {index}))

    @property
    def spouse_layers(self) -> list[str]:
        """Labels of the entries that share a child with it."""
        graph, index = self._history.graph, self._node.index
        shared = {parent for child in graph.children[index] for parent in graph.parents[child]}
        return self._history.labels(sorted(shared - {index}))

    @property
    def ancestors(self) -> set[str]:
        """Labels of all entries that it depends on."""
        return set(self._history.labels(self._history.graph.ancestors(self._node.index)))

    @property
    def param_ancestors(self) -> set[str]:
        """Names of the parameters that it depends on, value by value."""
        nodes = self._history.recording.nodes
        behind = (nodes[index] for index in self._history.graph.ancestors(self._node.index))
        return {node.address for node in behind if node.kind is PARAMETER and node.address}

    @property
    def input_ancestors(self) -> set[str]:
        """Labels of the inputs that it depends on; of an input, its own."""
        return set(self._history.labels(self._history.graph.inputs_behind(self._node.index)))

    @property
    def output_descendents(self) -> set[str]:
        """Labels of the outputs that depend on it; of an output, its own."""
        return set(self._history.labels(self._history.graph.outputs_ahead(self._node.index)))

    @property
    def min_distance_from_input(self) -> int | None:
        """Least number of steps from an input; None if it depends on none."""
        steps = self._history.graph.from_inputs[self._node.index]
        return None if steps is None else steps[0]

    @property
    def max_distance_from_input(self) -> int | None:
        """Greatest number of steps from an input."""
        steps = self._history.graph.from_inputs[self._node.index]
        return None if steps is None else steps[1]

    @property
    def min_distance_from_output(self) -> int | None:
        """Least number of steps to an output; None if it leads to none."""
        steps = self._history.graph.to_outputs[self._node.index]
        return None if steps is None else steps[0]

    @property
    def max_distance_from_output(self) -> int | None:
        """Greatest number of steps to an output."""
        steps = self._history.graph.to_outputs[self._node.index]
        return None if steps is None else steps[1]

    # -- control flow ------------------------------------------------------------------------------

    @property
    def escaped_value(self) -> Any:
        """What Python got, for an escape."""
        return self._node.result if self.is_escape else None

    @property
    def is_terminal_bool_layer(self) -> bool:
        """Whether a truth value goes to Python here."""
        return self.is_escape and isinstance(self._node.result, bool)

    @property
    def atomic_bool_val(self) -> bool | None:
        """That truth value."""
        return self._node.result if self.is_terminal_bool_layer else None

    @property
    def is_branch_point(self) -> bool:
        """Whether an ``if`` or ``while`` was decided by it."""
        return self._node.index in self._history.graph.branch_points

    @property
    def in_cond_branch(self) -> bool:
        """Whether it serves only to decide an ``if`` or ``while``."""
        return self._node.index in self._history.graph.condition_nodes

    # -- modules -----------------------------------------------------------------------------------

    @property
    def containing_module_origin(self) -> str | None:
        """The module call that it was made in: ``features.6``, or ``fc:2`` if there are several."""
        nested = self.containing_modules_origin_nested
        return nested[-1] if nested else None

    @property
    def containing_modules_origin_nested(self) -> list[str]:
        """The module calls around it, outermost first."""
        return [self._history.call_name(call) for call in self._history.calls_around(self._node)]

    @property
    def is_computed_inside_submodule(self) -> bool:
        """Whether it was made in a module inside the model."""
        return self.module_nesting_depth > 0

    @property
    def module_nesting_depth(self) -> int:
        """How many module calls are around it, the model's own apart."""
        return len(self._history.calls_around(self._node))

    @property
    def modules_entered(self) -> list[str]:
        """Addresses of the modules that its result was given to."""
        calls = self._history.calls_by_value[0].get(self._node.index, ())
        return list(dict.fromkeys(call.address for call in calls))

    @property
    def modules_exited(self) -> list[str]:
        """Addresses of the modules that returned its result, innermost first."""
        calls = self._history.calls_by_value[1].get(self._node.index, ())
        return list(dict.fromkeys(call.address for call in reversed(calls)))

    @property
    def module_passes_exited(self) -> list[str]:
        """The same with the number of the call: ``features.6:1``."""
        calls = self._history.calls_by_value[1].get(self._node.index, ())
        return [f"{call.address}:{call.number}" for call in reversed(calls)]

    @property
    def is_submodule_output(self) -> bool:
        """Whether a module returned its result."""
        return bool(self.modules_exited)

    @property
    def is_bottom_level_submodule_output(self) -> bool:
        """Whether a module without modules of its own returned its result."""
        return self.bottom_level_submodule_exited is not None

    @property
    def bottom_level_submodule_exited(self) -> str | None:
        """That module: ``features.6``, or ``fc:2`` if it was called several times."""
        for call in reversed(self._history.calls_by_value[1].get(self._node.index, ())):
            if call.index not in self._history.calls_with_inner_calls:
                return self._history.call_name(call)
        return None


class Layer:
    """A place in the program with all its passes."""

    __slots__ = ("_history", "passes")

    def __init__(self, history: ModelHistory, passes: Sequence[Op]) -> None:
        self._history = history
        #: The runs, first to last.
        self.passes = tuple(passes)

    @property
    def label(self) -> str:
        """``linear_1_1``."""
        return self.passes[0].layer_label_no_pass

    @property
    def stable_name(self) -> str:
        """``fc:linear``."""
        return self.passes[0].stable_name

    @property
    def parent_layers(self) -> list[str]:
        """Labels, without passes, of the layers that some pass depends on."""
        return self._merged("parent_layers")

    @property
    def child_layers(self) -> list[str]:
        """Labels, without passes, of the layers that depend on some pass."""
        return self._merged("child_layers")

    def _merged(self, field: str) -> list[str]:
        labels = (label for op in self.passes for label in getattr(op, field))
        return list(dict.fromkeys(label.split(":")[0] for label in labels))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layer) and other.passes == self.passes

    def __hash__(self) -> int:
        return hash(self.passes)

    def __len__(self) -> int:
        return len(self.passes)

    def __getitem__(self, number: int) -> Op:
        """Pass ``number``, from 1; from the end if negative."""
        return self.passes[number - 1 if number > 0 else number]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(Op, name):
            raise AttributeError(f"a layer has no {name!r}")
        values = [getattr(op, name) for op in self.passes] if name in _SAME_IN_ALL_PASSES else []
        if values:
            return values[0]
        raise AmbiguousLayerError(
            f"{self.label} ran {len(self.passes)} times, and {name} differs from pass to pass. Name one: "
            f"history['{self.label}:1'] to history['{self.label}:{len(self.passes)}']."
        )

    def __repr__(self) -> str:
        return printed.layer(self)


_SAME_IN_ALL_PASSES = frozenset(
    {
        *(["layer_label_no_pass", "layer_type", "layer_type_num", "layer_total_num", "layer_passes_total"]),
        *(["func_applied", "func_applied_name", "func_argnames", "parent_params", "parent_param_names"]),
        *(["computed_with_params", "parent_param_shapes", "num_params_total", "source", "composite"]),
    }
)


class ModuleCall:
    """One call of a module."""

    __slots__ = ("_call", "_history")

    def __init__(self, history: ModelHistory, call: Call) -> None:
        self._history = history
        self._call = call

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModuleCall) and other._call is self._call

    def __hash__(self) -> int:
        return hash(id(self._call))

    @property
    def address(self) -> str:
        """Where the module stands in the model; empty for the model itself."""
        return self._call.address

    @property
    def class_name(self) -> str:
        """Name of its class."""
        return self._call.class_name

    @property
    def number(self) -> int:
        """Number of the call of this module, from 1."""
        return self._call.number

    @property
    def training(self) -> bool:
        """Whether the module was in training mode."""
        return self._call.training

    @property
    def seconds(self) -> float:
        """Time the call took, what it called included."""
        return self._call.seconds

    @property
    def parent(self) -> ModuleCall | None:
        """The call around it."""
        parent = self._call.parent
        return None if parent is None else ModuleCall(self._history, parent)

    @property
    def ops(self) -> list[Op]:
        """The entries made in it, or in calls inside it."""
        recording = self._history.recording
        nodes = recording.nodes[self._call.first : self._call.last]
        return [Op(self._history, node) for node in nodes if node.kind is not PARAMETER]

    @property
    def inputs(self) -> list[str]:
        """Labels of what was given to it."""
        return self._history.labels(value.node for value in self._call.inputs)

    @property
    def outputs(self) -> list[str]:
        """Labels of what it returned."""
        return self._history.labels(value.node for value in self._call.outputs)

    def __repr__(self) -> str:
        name = f"{self.address or 'model'}:{self.number}"
        return f"ModuleCall({name}, {self.class_name}, {len(self.ops)} ops)"


def argument_names(function: Any, name: str) -> tuple[str, ...]:
    """Names of a function's parameters: its signature, else those of the operator of that name.

    >>> argument_names(torch.conv2d, "conv2d")
    ('input', 'weight', 'bias', 'stride', 'padding', 'dilation', 'groups')
    """
    if inspect.isfunction(function) and not hasattr(function, "__wrapped__"):
        return tuple(inspect.signature(function).parameters)
    if isinstance(function, internals.OpOverload):
        return tuple(argument.name for argument in function._schema.arguments)
    packet = getattr(torch.ops.aten, name, None) if name.isidentifier() else None
    if packet is None:
        return ()
    schema = getattr(packet, packet.overloads()[0])._schema
    return tuple(argument.name for argument in schema.arguments)
