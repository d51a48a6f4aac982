"""The entries of a history, as its users see them: ops, layers with their passes, module calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from torchlens_core import printed
from torchlens_core.entry import Entry
from torchlens_core.errors import AmbiguousLayerError, LayerIndexError
from torchlens_core.nodes import PARAMETER, Call, Edge

if TYPE_CHECKING:
    from torchlens_core.history import ModelHistory


class Op(Entry):
    """One entry of a history: an input, buffer, constant, call or output.

    A call that returned several tensors is one entry, and its ``tensor_…`` fields are then tuples. Its own
    facts are those of `Entry`; here is where it stands in the graph and among the modules.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Op) and other._node is self._node

    def __hash__(self) -> int:
        return hash(id(self._node))

    def __repr__(self) -> str:
        return printed.op(self)

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
        nodes = self._history.recording.nodes
        parents = (parent for parent in graph.parents[index] if nodes[parent].kind is not PARAMETER)
        shared = {child for parent in parents for child in graph.children[parent]}
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

    def __iter__(self) -> Iterator[Op]:
        return iter(self.passes)

    def __getitem__(self, number: int) -> Op:
        """Pass ``number``, from 1; from the end if negative. Raises `LayerIndexError` if there is none."""
        if not 1 <= abs(number) <= len(self.passes):
            raise LayerIndexError(
                f"{self.label} has no pass {number}: it ran {len(self.passes)} times. "
                f"Passes are counted from 1, or from the end by -1 and so on."
            )
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
