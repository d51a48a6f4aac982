"""Every field that `features.md` promises, on every kind of entry, with values known beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import torchlens_core as tl


def _is(*kinds: type) -> Callable[[Any], bool]:
    """Exactly one of the types: a bool is no number here."""
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _list_of(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(isinstance(item, kinds) for item in value)


def _set_of_str(value: Any) -> bool:
    return isinstance(value, set) and all(isinstance(item, str) for item in value)


def _dict_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, dict) and all(isinstance(k, str) and check(v) for k, v in value.items())
    )


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _or_tuple(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """One, or a tuple of several for an op with several outputs."""
    return lambda value: check(value) or (isinstance(value, tuple) and all(map(check, value)))


_text, _count, _flag, _texts = _is(str), _is(int), _is(bool), _list_of(str)
_seconds = _is(float)

ENTRY_FIELDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        ["layer_label", "layer_label_w_pass", "layer_label_no_pass", "layer_label_short", "layer_type"],
        _text,
    ),
    **dict.fromkeys(["layer_type_num", "layer_total_num", "pass_num", "layer_passes_total"], _count),
    "lookup_keys": _list_of(int, str),
    "operation_num": _count,
    "tensor_contents": _or_none(_or_tuple(_is(Tensor))),
    "has_saved_activations": _flag,
    "tensor_shape": _or_none(_or_tuple(_list_of(int))),
    "tensor_dtype": _or_none(_or_tuple(_is(torch.dtype))),
    "tensor_fsize": _count,
    "tensor_fsize_nice": _text,
    "grad_contents": _or_none(_or_tuple(_or_none(_is(Tensor)))),
    "creation_args": _is(tuple),
    "creation_kwargs": _is(dict),
    "func_applied": _or_none(callable),
    "func_applied_name": _text,
    "func_call_stack": _list_of(dict),
    "func_time_elapsed": _seconds,
    "func_rng_states": _is(list, tuple),
    "func_argnames": _list_of(str),
    "function_is_inplace": _flag,
    "gradfunc": _or_none(_text),
    "computed_with_params": _flag,
    "parent_params": _list_of(nn.Parameter),
    "parent_param_shapes": _list_of(tuple),
    "num_params_total": _count,
    "parent_layers": _texts,
    "parent_layer_arg_locs": _dict_of(_is(dict)),
    **dict.fromkeys(["child_layers", "sibling_layers", "spouse_layers"], _texts),
    **dict.fromkeys(["is_input_layer", "is_output_layer", "is_buffer_layer"], _flag),
    "buffer_address": _or_none(_text),
    "initialized_inside_model": _flag,
    **dict.fromkeys(["input_ancestors", "output_descendents"], _set_of_str),
    **dict.fromkeys(
        [f"{most}_distance_from_{end}" for most in ("min", "max") for end in ("input", "output")],
        _or_none(_count),
    ),
    "is_terminal_bool_layer": _flag,
    "atomic_bool_val": _or_none(_flag),
    "in_cond_branch": _flag,
    "is_computed_inside_submodule": _flag,
    "containing_module_origin": _or_none(_text),
    "containing_modules_origin_nested": _texts,
    "module_nesting_depth": _count,
    **dict.fromkeys(["modules_entered", "modules_exited"], _texts),
    **dict.fromkeys(["is_submodule_output", "is_bottom_level_submodule_output"], _flag),
}
HISTORY_FIELDS: dict[str, Callable[[Any], bool]] = {
    "model_name": _text,
    "layer_list": _list_of(tl.Op),
    **dict.fromkeys(
        [
            "layer_labels",
            "layer_labels_w_pass",
            "layer_labels_no_pass",
            "layers_with_saved_activations",
            "input_layers",
            "output_layers",
            "buffer_layers",
            "internally_initialized_layers",
            "internally_terminated_layers",
            "module_addresses",
            "module_passes",
            "top_level_modules",
        ],
        _texts,
    ),
    **dict.fromkeys(["layer_num_passes", "module_num_passes", "module_nparams"], _dict_of(_count)),
    **dict.fromkeys(
        ["layers_computed_with_params", "same_layer_operations", "module_children", "module_layers"],
        _dict_of(_texts),
    ),
    "module_types": _dict_of(_text),
    **dict.fromkeys(["model_is_recurrent", "model_is_branching", "model_has_conditional_branching"], _flag),
    **dict.fromkeys(
        [
            "num_operations",
            "model_max_recurrent_loops",
            "num_tensors_total",
            "tensor_fsize_total",
            "tensor_fsize_saved",
            "total_params",
            "total_param_tensors",
            "total_params_fsize",
        ],
        _count,
    ),
    **dict.fromkeys(["elapsed_time_total", "elapsed_time_forward_pass"], _seconds),
    "random_seed_used": _or_none(_count),
}


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.fc(x))


class EveryKind(nn.Module):
    """An entry of every kind: input, buffer, constant, op, op with two results, escape, output."""

    def __init__(self):
        super().__init__()
        self.block = Block()
        self.head = nn.Linear(3, 3, bias=False)
        self.head.weight = self.block.fc.weight
        self.register_buffer("scale", torch.ones(3))
        self.shift = [torch.ones(3)]

    def forward(self, x, y):
        hidden = self.block(x) * self.scale
        largest, places = torch.max(hidden, 1)
        if largest.sum() > -1.0:
            hidden = self.head(hidden) + self.shift[0]
        return {"sum": hidden + y, "places": places}


@pytest.fixture(scope="module")
def history():
    torch.manual_seed(0)
    return tl.log_forward_pass(EveryKind(), torch.rand(2, 3), {"y": torch.rand(2, 3)})


LABELS = [
    *("input_1", "input_2", "linear_1_1", "relu_1_2", "buffer_1", "mul_1_3", "max_1_4", "sum_1_5"),
    *("gt_1_6", "bool_1_7", "linear_2_8", "constant_1", "add_1_9", "add_2_10", "output_1", "output_2"),
]
ESCAPE, PAIR = "bool_1_7", "max_1_4"


def test_model_has_every_kind(history):
    assert history.layer_labels == LABELS
    assert history[ESCAPE].is_escape
    assert history["constant_1"].is_constant_layer
    assert isinstance(history[PAIR].tensor_contents, tuple)


def test_counts_of_promised_fields():
    """59 of an entry and 36 of a history, as listed in `features.md`."""
    assert len(ENTRY_FIELDS) == 59
    assert len(HISTORY_FIELDS) == 36


@pytest.mark.parametrize("field", ENTRY_FIELDS)
def test_entry_field(history, field):
    values = {label: getattr(history[label], field) for label in LABELS}
    assert {label: value for label, value in values.items() if not ENTRY_FIELDS[field](value)} == {}


@pytest.mark.parametrize("field", HISTORY_FIELDS)
def test_history_field(history, field):
    value = getattr(history, field)
    assert HISTORY_FIELDS[field](value), f"{field} is {value!r}"


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        (_count, True),
        (_count, "3"),
        (_flag, 1),
        (_text, None),
        (_texts, ["a", 1]),
        (_set_of_str, ["a"]),
        (_dict_of(_count), {"a": "b"}),
        (_or_none(_count), 1.0),
        (_or_tuple(_is(Tensor)), (torch.zeros(1), 2)),
    ],
)
def test_checks_of_kinds_can_fail(check, wrong):
    assert not check(wrong)


def test_fields_are_read_only(history):
    with pytest.raises(AttributeError):
        history["linear_1_1"].layer_label = "mine"


# -- names and numbers -------------------------------------------------------------------------------


def test_names(history):
    op = history["max_1_4"]
    assert (op.layer_type, op.layer_type_num, op.layer_total_num) == ("max", 1, 4)
    assert (op.layer_label_short, op.layer_label_w_pass) == ("max_1", "max_1_4:1")
    assert (op.pass_num, op.layer_passes_total) == (1, 1)
    assert op.operation_num == LABELS.index("max_1_4") + 1


def test_every_lookup_key_finds_its_entry(history):
    for op in history:
        assert [history[key] for key in op.lookup_keys] == [op] * len(op.lookup_keys)


def test_numbers_of_sources_and_outputs(history):
    assert history["input_2"].layer_type_num == 2
    assert history["input_2"].layer_total_num == 0
    assert history["output_2"].layer_type_num == 2


def test_addresses(history):
    labels = ("input_1", "input_2", "buffer_1", "output_1", "output_2", "relu_1_2")
    assert [history[label].address for label in labels] == [
        "input.0",
        "input.y",
        "scale",
        'output["sum"]',
        'output["places"]',
        None,
    ]
    assert [op.layer_label for op in history if op.buffer_address] == ["buffer_1"]


# -- tensors -----------------------------------------------------------------------------------------


def test_sizes(history):
    op = history["linear_1_1"]
    assert (op.tensor_shape, op.tensor_dtype, op.tensor_fsize) == ((2, 3), torch.float32, 24)
    assert op.tensor_fsize_nice == "24 B"


def test_several_outputs_are_tuples(history):
    op = history[PAIR]
    assert op.tensor_shape == ((2,), (2,))
    assert op.tensor_dtype == (torch.float32, torch.int64)
    assert op.tensor_fsize == 2 * 4 + 2 * 8
    hidden = history["mul_1_3"].tensor_contents
    assert all(map(torch.equal, op.tensor_contents, torch.max(hidden, 1)))


def test_escape_has_a_value_and_no_tensor(history):
    op = history[ESCAPE]
    assert op.escaped_value is True
    assert (op.tensor_contents, op.tensor_shape, op.tensor_fsize) == (None, None, 0)
    assert op.has_saved_activations is False


def test_activations_are_the_computed_ones(history):
    x = history["input_1"].tensor_contents
    weight, bias = history["linear_1_1"].parent_params
    assert torch.equal(history["linear_1_1"].tensor_contents, nn.functional.linear(x, weight, bias))


def test_sizes_of_the_history(history):
    sizes = [24, 24, 24, 24, 12, 24, 8 + 16, 4, 1, 0, 24, 12, 24, 24, 24, 16]
    assert [op.tensor_fsize for op in history] == sizes
    assert history.tensor_fsize_total == sum(sizes)
    assert history.num_tensors_total == len(sizes)  # one has two, and the escape has none


def test_saved_sizes_count_each_tensor_once(history):
    tensors = {
        id(t): t.numel() * t.element_size()
        for op in history
        for t in _each(op.tensor_contents)
        if isinstance(t, Tensor)
    }
    assert history.tensor_fsize_saved == sum(tensors.values())


def _each(contents: Any) -> tuple[Any, ...]:
    return contents if isinstance(contents, tuple) else (contents,)


# -- functions ---------------------------------------------------------------------------------------


def test_function(history):
    op = history["mul_1_3"]
    assert (op.func_applied, op.func_applied_name) == (Tensor.mul, "mul")
    assert op.gradfunc == "MulBackward0"
    assert op.func_argnames == ("self", "other")
    assert history["input_1"].func_applied is None
    assert history["input_1"].func_argnames == ()


def test_creation_arguments(history):
    x, weight, bias = history["linear_1_1"].creation_args
    assert torch.equal(x, history["input_1"].tensor_contents)
    assert [weight, bias] == history["linear_1_1"].parent_params
    hidden, dim = history[PAIR].creation_args
    assert torch.equal(hidden, history["mul_1_3"].tensor_contents)
    assert dim == 1


def test_creation_argument_not_kept_is_a_spec():
    history = tl.get_model_metadata(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.rand(2, 4))
    (argument, *_) = history["relu"].creation_args
    assert isinstance(argument, tl.TensorSpec)
    assert str(argument) == "f32[2, 3]"


def test_inplace_functions():
    class Net(nn.Module):
        def forward(self, x):
            y = x * 1
            y.add_(1)
            torch.relu_(y)
            return torch.sin(y)

    history = tl.log_forward_pass(Net(), torch.rand(3))
    assert [op.func_applied_name for op in history if op.function_is_inplace] == ["add_", "relu_"]


def test_random_states_are_kept_for_what_drew_only():
    class Net(nn.Module):
        def forward(self, x):
            return x + torch.rand(3)

    history = tl.log_forward_pass(Net(), torch.rand(3))
    assert [op.layer_label for op in history if op.func_rng_states] == ["rand_1_1"]


def test_times_are_seconds(history):
    assert all(op.func_time_elapsed > 0 for op in history.ops)
    assert history["input_1"].func_time_elapsed == 0.0
    assert 0 < history.elapsed_time_forward_pass < history.elapsed_time_total


def test_call_stack_ends_at_the_line(history):
    op = history["max_1_4"]
    innermost = op.func_call_stack[-1]
    assert innermost["function"] == "forward"
    assert innermost["code_context"][9].strip() == "largest, places = torch.max(hidden, 1)"
    assert (op.source.filename, op.source.line) == (__file__, innermost["call_linenum"])


# -- the graph ---------------------------------------------------------------------------------------


class Diamond(nn.Module):
    """Two ways from x to the sum, one of them long; a branch that ends inside."""

    def forward(self, x, y):
        a = x + 1
        b = a * 2
        c = b + x
        torch.exp(a)
        return c * y


@pytest.fixture(scope="module")
def diamond():
    return tl.log_forward_pass(Diamond(), [torch.rand(2), torch.rand(2)])


def test_diamond_labels(diamond):
    assert diamond.layer_labels == [
        *("input_1", "input_2", "add_1_1", "mul_1_2", "add_2_3", "exp_1_4", "mul_2_5", "output_1")
    ]


@pytest.mark.parametrize(
    ("label", "from_input", "to_output"),
    [
        ("input_1", (0, 0), (3, 5)),
        ("input_2", (0, 0), (2, 2)),
        ("add_1_1", (1, 1), (4, 4)),
        ("mul_1_2", (2, 2), (3, 3)),
        ("add_2_3", (1, 3), (2, 2)),
        ("exp_1_4", (2, 2), (None, None)),
        ("mul_2_5", (1, 4), (1, 1)),
        ("output_1", (2, 5), (0, 0)),
    ],
)
def test_distances(diamond, label, from_input, to_output):
    op = diamond[label]
    assert (op.min_distance_from_input, op.max_distance_from_input) == from_input
    assert (op.min_distance_from_output, op.max_distance_from_output) == to_output


@pytest.mark.parametrize(
    ("label", "parents", "children", "siblings", "spouses"),
    [
        ("input_1", [], ["add_1_1", "add_2_3"], [], ["mul_1_2"]),
        ("input_2", [], ["mul_2_5"], [], ["add_2_3"]),
        ("add_1_1", ["input_1"], ["mul_1_2", "exp_1_4"], ["add_2_3"], []),
        ("mul_1_2", ["add_1_1"], ["add_2_3"], ["exp_1_4"], ["input_1"]),
        ("add_2_3", ["mul_1_2", "input_1"], ["mul_2_5"], ["add_1_1"], ["input_2"]),
        ("exp_1_4", ["add_1_1"], [], ["mul_1_2"], []),
        ("mul_2_5", ["add_2_3", "input_2"], ["output_1"], [], []),
        ("output_1", ["mul_2_5"], [], [], []),
    ],
)
def test_family(diamond, label, parents, children, siblings, spouses):
    op = diamond[label]
    assert op.parent_layers == parents
    assert op.child_layers == children
    assert op.sibling_layers == siblings
    assert op.spouse_layers == spouses


@pytest.mark.parametrize(
    ("label", "inputs", "outputs"),
    [
        ("input_2", {"input_2"}, {"output_1"}),
        ("add_2_3", {"input_1"}, {"output_1"}),
        ("exp_1_4", {"input_1"}, set()),
        ("mul_2_5", {"input_1", "input_2"}, {"output_1"}),
        ("output_1", {"input_1", "input_2"}, {"output_1"}),
    ],
)
def test_ends_of_the_way(diamond, label, inputs, outputs):
    assert diamond[label].input_ancestors == inputs
    assert diamond[label].output_descendents == outputs


def test_ancestors(diamond):
    assert diamond["add_2_3"].ancestors == {"input_1", "add_1_1", "mul_1_2"}
    assert diamond["input_1"].ancestors == set()


def test_sources_reach_no_input(history):
    for label in ("buffer_1", "constant_1"):
        op = history[label]
        assert op.initialized_inside_model
        assert (op.min_distance_from_input, op.input_ancestors) == (None, set())
    assert history.internally_initialized_layers == ["buffer_1", "constant_1"]


def test_shared_parameters_make_no_siblings(history):
    assert history["linear_1_1"].parent_layers == ["input_1"]
    assert history["linear_1_1"].sibling_layers == []


def test_branches(diamond, history):
    assert diamond.model_is_branching
    assert diamond.internally_terminated_layers == ["exp_1_4"]
    assert not tl.log_forward_pass(Block(), torch.rand(2, 3)).model_is_branching
    assert history.internally_terminated_layers == [ESCAPE]


class Named(nn.Module):
    """Arguments by position, by name, and in lists of both sorts."""

    def forward(self, x, y):
        joined = torch.cat([x, y])
        return torch.add(joined, other=torch.cat(tensors=[x, y]), alpha=2)


@pytest.mark.parametrize(
    ("label", "positions", "names"),
    [
        ("cat_1_1", {(0, 0): "input_1", (0, 1): "input_2"}, {}),
        ("cat_2_2", {}, {("tensors", 0): "input_1", ("tensors", 1): "input_2"}),
        ("add_1_3", {0: "cat_1_1"}, {"other": "cat_2_2"}),
    ],
)
def test_argument_locations(label, positions, names):
    history = tl.log_forward_pass(Named(), [torch.rand(2), torch.rand(2)])
    assert history[label].parent_layer_arg_locs == {"args": positions, "kwargs": names}


def test_arguments_by_name():
    history = tl.log_forward_pass(Named(), [torch.rand(2), torch.rand(2)])
    other = history["cat_2_2"].tensor_contents
    found = history["add"].creation_kwargs
    assert found.keys() == {"other", "alpha"}
    assert torch.equal(found["other"], other)
    assert found["alpha"] == 2


def test_parameters_are_no_parents(history):
    locations = history["linear_1_1"].parent_layer_arg_locs
    assert locations == {"args": {0: "input_1"}, "kwargs": {}}


# -- control flow ------------------------------------------------------------------------------------


def test_condition(history):
    assert [op.layer_label for op in history if op.in_cond_branch] == ["sum_1_5", "gt_1_6", ESCAPE]
    assert [op.layer_label for op in history if op.is_terminal_bool_layer] == [ESCAPE]
    assert history[ESCAPE].atomic_bool_val is True
    assert history["gt_1_6"].atomic_bool_val is None
    assert history.model_has_conditional_branching


def test_truth_value_that_decides_nothing():
    class Net(nn.Module):
        def forward(self, x):
            self.flag = bool(x.sum() > 1e9)
            return x * 2

    history = tl.log_forward_pass(Net(), torch.rand(3))
    escape = history["bool"]
    assert (escape.is_terminal_bool_layer, escape.atomic_bool_val) == (True, False)
    assert not history.model_has_conditional_branching
    assert not any(op.in_cond_branch for op in history)


# -- recurrence --------------------------------------------------------------------------------------


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 5)

    def forward(self, x):
        for _ in range(4):
            x = self.fc(x)
            x = x + 1
        return x


@pytest.fixture(scope="module")
def loop():
    return tl.log_forward_pass(Loop(), torch.rand(2, 5))


def test_recurrence(loop, diamond):
    assert loop.model_is_recurrent
    assert loop.model_max_recurrent_loops == 4
    assert (diamond.model_is_recurrent, diamond.model_max_recurrent_loops) == (False, 1)


def test_passes(loop):
    assert loop.layer_num_passes == {"input_1": 1, "linear_1_1": 4, "add_1_2": 4, "output_1": 1}
    assert loop.same_layer_operations == {
        label: [f"{label}:{number}" for number in (1, 2, 3, 4)] for label in ("linear_1_1", "add_1_2")
    }
    assert loop.layer_labels[1:5] == ["linear_1_1:1", "add_1_2:1", "linear_1_1:2", "add_1_2:2"]
    assert loop.layer_labels_no_pass[1:5] == ["linear_1_1", "add_1_2"] * 2
    assert loop.layer_labels_w_pass[0] == "input_1:1"
    third = loop["linear_1_1:3"]
    assert (third.pass_num, third.layer_passes_total) == (3, 4)
    assert third.layer_label_short == "linear_1:3"
    assert third.containing_module_origin == "fc:3"


def test_repeated_parameters_are_counted_once(loop):
    assert (loop.total_params, loop.total_param_tensors, loop.total_params_fsize) == (30, 2, 120)
    assert loop.layers_computed_with_params == {
        "linear_1_1": ["linear_1_1:1", "linear_1_1:2", "linear_1_1:3", "linear_1_1:4"]
    }
    assert loop["linear_1_1:2"].num_params_total == 30


# -- parameters and modules --------------------------------------------------------------------------


def test_tied_parameters_are_counted_once(history):
    assert (history.total_params, history.total_param_tensors, history.total_params_fsize) == (12, 2, 48)
    assert history["linear_1_1"].parent_params[0] is history["linear_2_8"].parent_params[0]
    assert history["linear_2_8"].parent_param_shapes == [(3, 3)]
    assert history["linear_2_8"].num_params_total == 9
    assert history.layers_computed_with_params == {
        "linear_1_1": ["linear_1_1"],
        "linear_2_8": ["linear_2_8"],
    }


def test_module_dictionaries(history):
    assert history.module_addresses == ["block", "block.fc", "block.act", "head"]
    assert history.top_level_modules == ["block", "head"]
    assert history.module_types == {
        "block": "Block",
        "block.fc": "Linear",
        "block.act": "ReLU",
        "head": "Linear",
    }
    assert history.module_children == {"block": ["block.fc", "block.act"]}
    assert history.module_nparams == {"block": 12, "block.fc": 12, "block.act": 0, "head": 9}
    assert history.module_passes == ["block:1", "block.fc:1", "block.act:1", "head:1"]
    assert history.module_num_passes == {"block": 1, "block.fc": 1, "block.act": 1, "head": 1}
    assert history.module_layers == {
        "block": ["linear_1_1", "relu_1_2"],
        "block.fc": ["linear_1_1"],
        "block.act": ["relu_1_2"],
        "head": ["linear_2_8"],
    }


def test_parameters_of_modules_are_counted_in_one_walk(monkeypatch):
    """Shared ones once in each module around them, and however many modules there are."""
    shared = nn.Linear(3, 3)
    model = nn.Sequential(nn.Sequential(shared, nn.Linear(3, 3)), nn.Sequential(nn.Linear(3, 3)))
    model[0][1].weight = model[1][0].weight = shared.weight
    history = tl.log_forward_pass(model, torch.rand(2, 3))
    walks = []

    class Modules(list):
        def __iter__(self):
            walks.append(1)
            return super().__iter__()

    modules = Modules(history.recording.modules)
    monkeypatch.setattr(history, "recording", replace(history.recording, modules=modules))
    assert history.module_nparams == {"0": 15, "0.0": 12, "0.1": 12, "1": 12, "1.0": 12}
    assert len(walks) == 2


def test_module_called_several_times(loop):
    assert loop.module_num_passes == {"fc": 4}
    assert loop.module_passes == ["fc:1", "fc:2", "fc:3", "fc:4"]
    assert loop.module_layers == {"fc": [f"linear_1_1:{number}" for number in (1, 2, 3, 4)]}


@pytest.mark.parametrize(
    ("label", "nested", "entered", "exited", "is_bottom"),
    [
        ("input_1", [], ["block", "block.fc"], [], False),
        ("linear_1_1", ["block", "block.fc"], ["block.act"], ["block.fc"], True),
        ("relu_1_2", ["block", "block.act"], [], ["block.act", "block"], True),
        ("mul_1_3", [], ["head"], [], False),
        ("linear_2_8", ["head"], [], ["head"], True),
    ],
)
def test_nesting(history, label, nested, entered, exited, is_bottom):
    op = history[label]
    assert op.containing_modules_origin_nested == nested
    assert op.containing_module_origin == (nested[-1] if nested else None)
    assert op.module_nesting_depth == len(nested)
    assert op.is_computed_inside_submodule == bool(nested)
    assert (op.modules_entered, op.modules_exited) == (entered, exited)
    assert op.is_submodule_output == bool(exited)
    assert op.is_bottom_level_submodule_output == is_bottom


def test_output_of_a_module_that_has_others_only():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Doubled()

        def forward(self, x):
            return self.inner(x)

    class Doubled(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(x) * 2

    history = tl.log_forward_pass(Outer(), torch.rand(3))
    assert history["mul"].is_submodule_output
    assert not history["mul"].is_bottom_level_submodule_output
    assert history["relu"].bottom_level_submodule_exited == "inner.act"
