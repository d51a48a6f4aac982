"""The history of one forward pass: what `log_forward_pass` returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from torch import Tensor

from torchlens_core import lookup, printed
from torchlens_core.draw.pictures import Picture, picture
from torchlens_core.entries import Layer, ModuleCall, Op
from torchlens_core.graph import Graph
from torchlens_core.nodes import BUFFER, CONSTANT, ESCAPE, INPUT, OP, OUTPUT, PARAMETER, Call, Node
from torchlens_core.recording import Recording
from torchlens_core.sites import Frame, frames_of
from torchlens_core.snapshot.build import outline_of
from torchlens_core.snapshot.outline import Outline
from torchlens_core.specs import human_bytes


class ModelHistory:
    """Every op of a forward pass, what it returned, and the graph between them.

    Entries are found by index, label, module address or part of a label: ``history["conv2d_3_7"]``,
    ``history["linear_1_1:2"]``, ``history["features.6"]``, ``history[-1]``. Nothing in here refers back to
    the history for good, so that it is freed, activations and all, when the last name of it goes.
    """

    def __init__(self, recording: Recording) -> None:
        #: The pass as plain data.
        self.recording = recording
        #: What follows from its edges.
        self.graph = Graph(recording)

    def __getitem__(self, key: int | str) -> Any:
        """The entry that ``key`` names; a `Layer` if it names all passes of one.

        Raises `UnknownLayerError` with the nearest keys, or `AmbiguousLayerError` with the candidates.
        """
        return lookup.find(self, key)

    def __contains__(self, key: object) -> bool:
        """Whether ``history[key]`` names an entry or layer."""
        try:
            return bool(lookup.find(self, key))
        except KeyError:
            return False

    def __iter__(self) -> Iterator[Op]:
        """The entries, in the order in which they came."""
        return iter(self.layer_list)

    def __len__(self) -> int:
        """Number of entries listed."""
        return len(self.layer_list)

    def __repr__(self) -> str:
        return printed.history(self)

    def __eq__(self, other: object) -> bool:
        """Whether both are of the same structure; values are not compared.

        What differs between two, `torchlens_core.diff.diff_graphs` says. Passes that did not end are equal
        only to themselves.
        """
        if not isinstance(other, ModelHistory):
            return NotImplemented
        if self is other or self.error is not None or other.error is not None:
            return self is other
        return self.outline == other.outline

    def __hash__(self) -> int:
        return id(self) if self.error is not None else hash(self.outline)

    @cached_property
    def outline(self) -> Outline:
        """The structure of the pass: what snapshots hold."""
        return outline_of(self.recording)

    def picture(self, **options: Any) -> Picture:
        """A picture of the pass; ``options`` are the fields of `torchlens_core.draw.Options`."""
        return picture(self, **options)

    def _repr_html_(self) -> str:
        picture = self.picture(theme="auto")
        return f'<div style="max-height:40em;overflow:auto">{picture.embedded()}</div>'

    # -- entries -----------------------------------------------------------------------------------

    def op_at(self, index: int) -> Op:
        """The entry of node ``index`` of the recording."""
        return Op(self, self.recording.nodes[index])

    def _ops(self, *kinds: str) -> list[Op]:
        return [Op(self, node) for node in self.recording.nodes if node.kind in kinds]

    @property
    def _entries(self) -> list[Op]:
        return [Op(self, self.recording.nodes[index]) for index in self.recording.entries]

    @property
    def layer_list(self) -> list[Op]:
        """The entries, in the order in which they came; only saved ones if unsaved ones are not kept."""
        keeps = self.recording.keeps_unsaved
        return [op for op in self._entries if keeps or op.has_saved_activations]

    @property
    def ops(self) -> list[Op]:
        """The calls alone, escapes left out."""
        return self._ops(OP)

    @property
    def layers(self) -> dict[str, Layer]:
        """Layers with their passes, by label without pass."""
        passes: dict[str, list[Op]] = {}
        for op in self._ops(INPUT, BUFFER, CONSTANT, OP, ESCAPE, OUTPUT):
            passes.setdefault(op.layer_label_no_pass, []).append(op)
        return {label: Layer(self, ops) for label, ops in passes.items()}

    def labels(self, nodes: Iterable[int]) -> list[str]:
        """Labels of the entries of some nodes; parameters have none."""
        recorded = self.recording.nodes
        return [self.op_at(index).layer_label for index in nodes if recorded[index].kind is not PARAMETER]

    @cached_property
    def entries_by_name(self) -> dict[str, list[int]]:
        """Entries by every name but those of modules."""
        return lookup.entries_by_name(self)

    @cached_property
    def entries_by_module(self) -> dict[str, list[int]]:
        """Entries by the modules that returned them."""
        return lookup.entries_by_module(self)

    def keys_of(self, index: int) -> list[int | str]:
        """Every key that finds the entry of node ``index`` alone, parts of labels apart."""
        return lookup.keys_of(self.op_at(index))

    @property
    def layer_labels(self) -> list[str]:
        """Labels of the entries; with the pass where a layer has several."""
        return [op.layer_label for op in self.layer_list]

    @property
    def layer_labels_w_pass(self) -> list[str]:
        """Labels of the entries, all with their pass."""
        return [op.layer_label_w_pass for op in self.layer_list]

    @property
    def layer_labels_no_pass(self) -> list[str]:
        """Labels of the entries, all without their pass."""
        return [op.layer_label_no_pass for op in self.layer_list]

    @property
    def layer_num_passes(self) -> dict[str, int]:
        """How often each layer ran, by label without pass."""
        return {op.layer_label_no_pass: op.layer_passes_total for op in self.layer_list}

    @property
    def layers_with_saved_activations(self) -> list[str]:
        """Labels of the entries whose activations were kept."""
        return [op.layer_label for op in self.layer_list if op.has_saved_activations]

    @property
    def num_operations(self) -> int:
        """Number of entries: inputs, buffers, constants, calls and outputs."""
        return len(self.recording.entries)

    @property
    def input_layers(self) -> list[str]:
        """Labels of the inputs, a tensor each."""
        return [op.layer_label for op in self._ops(INPUT)]

    @property
    def output_layers(self) -> list[str]:
        """Labels of the outputs, a tensor each."""
        return [op.layer_label for op in self._ops(OUTPUT)]

    @property
    def buffer_layers(self) -> list[str]:
        """Labels of the buffers that were used."""
        return [op.layer_label for op in self._ops(BUFFER)]

    @property
    def constant_layers(self) -> list[str]:
        """Labels of the tensors from outside that are no inputs, parameters or buffers."""
        return [op.layer_label for op in self._ops(CONSTANT)]

    @property
    def escapes(self) -> list[Op]:
        """Where values went to Python."""
        return self._ops(ESCAPE)

    @property
    def internally_initialized_layers(self) -> list[str]:
        """Labels of the entries that depend on nothing and are no inputs."""
        ops = self._ops(BUFFER, CONSTANT, OP)
        return [op.layer_label for op in ops if op.initialized_inside_model]

    @property
    def internally_terminated_layers(self) -> list[str]:
        """Labels of the entries on which nothing depends and that are no outputs."""
        children = self.graph.children
        ops = self._ops(INPUT, BUFFER, CONSTANT, OP, ESCAPE)
        return [op.layer_label for op in ops if not children[op._node.index]]

    @property
    def internally_terminated_bool_layers(self) -> list[str]:
        """Labels of the truth values that went to Python."""
        return [op.layer_label for op in self._ops(ESCAPE) if op.is_terminal_bool_layer]

    @property
    def layers_computed_with_params(self) -> dict[str, list[str]]:
        """Layers that read parameters, by label without pass, each with the labels of its passes."""
        found: dict[str, list[str]] = {}
        for op in self._ops(OP):
            if op.computed_with_params:
                found.setdefault(op.layer_label_no_pass, []).append(op.layer_label)
        return found

    @property
    def same_layer_operations(self) -> dict[str, list[str]]:
        """The passes of each layer that ran more than once, by label without pass."""
        found: dict[str, list[str]] = {}
        for op in self._ops(OP, ESCAPE):
            if op.layer_passes_total > 1:
                found.setdefault(op.layer_label_no_pass, []).append(op.layer_label)
        return found

    # -- the pass ----------------------------------------------------------------------------------

    @property
    def model_name(self) -> str:
        """Name of the model's class."""
        return self.recording.model_name

    @property
    def random_seed_used(self) -> int | None:
        """The seed that was asked for; None if the generators were left as they were."""
        return self.recording.random_seed

    @property
    def error(self) -> str | None:
        """If the pass did not end: what was raised."""
        return self.recording.error

    @property
    def elapsed_time_total(self) -> float:
        """Seconds that logging took, forward pass included."""
        return self.recording.seconds

    @property
    def elapsed_time_forward_pass(self) -> float:
        """Seconds that torch's functions took in it."""
        return sum(node.seconds for node in self.recording.nodes)

    @property
    def model_is_recurrent(self) -> bool:
        """Whether some layer ran more than once."""
        return self.model_max_recurrent_loops > 1

    @property
    def model_max_recurrent_loops(self) -> int:
        """The greatest number of passes of a layer."""
        return max((op.layer_passes_total for op in self._ops(OP)), default=1)

    @property
    def model_is_branching(self) -> bool:
        """Whether some result is used in several places."""
        nodes = self.recording.nodes
        return any(
            len(children) > 1 and nodes[index].kind in (INPUT, OP)
            for index, children in enumerate(self.graph.children)
        )

    @property
    def model_has_conditional_branching(self) -> bool:
        """Whether some ``if`` or ``while`` was decided by a tensor."""
        return bool(self.graph.branch_points)

    # -- sizes -------------------------------------------------------------------------------------

    @property
    def num_tensors_total(self) -> int:
        """Number of tensors of all entries, listed or not."""
        return sum(len(op.specs) for op in self._entries)

    @property
    def num_tensors_saved(self) -> int:
        """Number of tensors kept."""
        return sum(len(op.specs) for op in self.layer_list if op.has_saved_activations)

    @property
    def tensor_fsize_total(self) -> int:
        """Bytes of the tensors of all entries, listed or not."""
        return sum(op.tensor_fsize for op in self._entries)

    @property
    def tensor_fsize_total_nice(self) -> str:
        """The same as people write it."""
        return human_bytes(self.tensor_fsize_total)

    @property
    def tensor_fsize_saved(self) -> int:
        """Bytes of the tensors kept; what several entries share is counted once."""
        kept = {
            id(tensor): tensor.numel() * tensor.element_size()
            for node in self.recording.nodes
            for tensor in node.saved or ()
            if isinstance(tensor, Tensor)
        }
        return sum(kept.values())

    @property
    def total_params(self) -> int:
        """Numbers in the model's parameters, shared ones once."""
        return sum(count for count, _ in self._parameters.values())

    @property
    def total_param_tensors(self) -> int:
        """The model's parameters, shared ones once."""
        return len(self._parameters)

    @property
    def total_params_fsize(self) -> int:
        """Bytes of the model's parameters, shared ones once."""
        return sum(size for _, size in self._parameters.values())

    @property
    def _parameters(self) -> dict[int, tuple[int, int]]:
        own = (module.parameters for module in self.recording.modules)
        return {identity: size for parameters in own for identity, size in parameters.items()}

    # -- modules -----------------------------------------------------------------------------------

    @property
    def module_addresses(self) -> list[str]:
        """Addresses of all modules, the model itself left out."""
        return [module.address for module in self.recording.modules if module.address]

    @property
    def module_types(self) -> dict[str, str]:
        """Class names by address."""
        return {m.address: m.class_name for m in self.recording.modules if m.address}

    @property
    def module_children(self) -> dict[str, list[str]]:
        """Addresses of the direct submodules of each module that has some."""
        children: dict[str, list[str]] = {}
        for address in self.module_addresses:
            children.setdefault(address.rpartition(".")[0], []).append(address)
        children.pop("", None)
        return children

    @property
    def top_level_modules(self) -> list[str]:
        """Addresses of the model's direct submodules."""
        return [address for address in self.module_addresses if "." not in address]

    @property
    def module_nparams(self) -> dict[str, int]:
        """Numbers in the parameters of each module, those of its submodules included."""
        inside: dict[str, dict[int, int]] = {address: {} for address in self.module_addresses}
        for module in self.recording.modules:
            own = {identity: count for identity, (count, _) in module.parameters.items()}
            address = module.address
            while own and address:
                inside.setdefault(address, {}).update(own)
                address = address.rpartition(".")[0]
        return {address: sum(counts.values()) for address, counts in inside.items()}

    @property
    def module_calls(self) -> list[ModuleCall]:
        """Every call of a module, that of the model itself first."""
        return [ModuleCall(self, call) for call in self.recording.calls]

    @property
    def module_passes(self) -> list[str]:
        """Every call of a module inside the model: ``features.6:1``."""
        return [f"{call.address}:{call.number}" for call in self.recording.calls if call.address]

    @property
    def module_num_passes(self) -> dict[str, int]:
        """How often each module was called."""
        counts = dict.fromkeys(self.module_addresses, 0)
        for call in self.recording.calls:
            if call.address:
                counts[call.address] = counts.get(call.address, 0) + 1
        return counts

    @property
    def module_layers(self) -> dict[str, list[str]]:
        """Labels of the entries made in each module, those of its submodules included."""
        layers: dict[str, list[str]] = {}
        for op in self._ops(OP, ESCAPE):
            for call in self.calls_around(op._node):
                layers.setdefault(call.address, []).append(op.layer_label)
        return layers

    @property
    def top_level_module_passes(self) -> list[str]:
        """The calls made directly by the model."""
        return self._inner_calls.get("", [])

    @property
    def module_pass_children(self) -> dict[str, list[str]]:
        """For each call of a module, the calls that it made."""
        return {name: inner for name, inner in self._inner_calls.items() if name}

    @property
    def _inner_calls(self) -> dict[str, list[str]]:
        inner: dict[str, list[str]] = {}
        for call in self.recording.calls:
            if call.address:
                outer = call.parent
                while outer is not None and not outer.address and outer.parent is not None:
                    outer = outer.parent
                name = f"{outer.address}:{outer.number}" if outer is not None and outer.address else ""
                inner.setdefault(name, []).append(f"{call.address}:{call.number}")
        return inner

    def short_call_name(self, name: str) -> str:
        """``features`` for ``features:1`` if the module was called but once."""
        address = name.rpartition(":")[0]
        return address if self._call_counts.get(address) == 1 else name

    @cached_property
    def _call_counts(self) -> dict[str, int]:
        return self.module_num_passes

    def call_name(self, call: Call) -> str:
        """A call by its module's address, with its number if there are several."""
        return self.short_call_name(f"{call.address}:{call.number}")

    def calls_around(self, node: Node) -> list[Call]:
        """The module calls around a node, outermost first, that of the model itself left out."""
        calls = []
        call = self.recording.call_of[node.index]
        while call is not None:
            if call.address:
                calls.append(call)
            call = call.parent
        return calls[::-1]

    @cached_property
    def calls_by_value(self) -> tuple[dict[int, list[Call]], dict[int, list[Call]]]:
        """By node: the calls that its results were given to, and those that returned them, in order."""
        entered: dict[int, list[Call]] = {}
        exited: dict[int, list[Call]] = {}
        for call in self.recording.calls:
            if call.address:
                for values, found in ((call.inputs, entered), (call.outputs, exited)):
                    for index in dict.fromkeys(value.node for value in values):
                        found.setdefault(index, []).append(call)
        return entered, exited

    @cached_property
    def calls_with_inner_calls(self) -> set[int]:
        """Numbers of the calls that made others."""
        return {call.parent.index for call in self.recording.calls if call.parent is not None}

    # -- places ------------------------------------------------------------------------------------

    def frames_of(self, node: Node) -> list[Frame]:
        """The call stack of a node, outermost first."""
        stacks = self.recording.stacks
        frames = frames_of(stacks.get(node.site.chain, ()))
        call = self.recording.call_of[node.index]
        while call is not None:
            frames = [*frames_of(stacks.get(call.chain, ())), *frames]
            call = call.parent
        return [*frames_of(self.recording.outer_stack), *frames]
