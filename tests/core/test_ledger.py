"""Sources, outputs and module calls as they are written down."""

import pytest
import torch
from models import With
from torch import nn

import torchlens_core as tl
from torchlens_core.ledger import autocast_state

X = torch.rand(2, 3)


def log(function, *args, **modules):
    return tl.log_forward_pass(With(function, **modules), list(args or [X]))


# -- inputs and outputs ------------------------------------------------------------------------------


def test_inputs_and_outputs_say_where_they_stand():
    def forward(m, batch, *, mask):
        return {"logits": batch["ids"] * mask, "rest": (batch["more"][0] + 1, 3)}

    batch = {"ids": torch.rand(2), "more": [torch.rand(2)]}
    history = tl.log_forward_pass(With(forward), [batch], {"mask": torch.rand(2)})
    assert [history[label].address for label in history.input_layers] == [
        'input.0["ids"]',
        'input.0["more"].0',
        "input.mask",
    ]
    assert [history[label].address for label in history.output_layers] == [
        'output["logits"]',
        'output["rest"].0',
    ]


def test_an_input_that_is_returned():
    history = log(lambda m, x: x)
    assert history["output_1"].parent_layers == ["input_1"]
    assert history.ops == []


def test_one_result_returned_twice_is_two_outputs():
    def forward(m, x):
        y = x * 2
        return y, [y]

    history = log(forward)
    assert [history[label].parent_layers for label in history.output_layers] == [["mul_1_1"]] * 2


def test_a_result_that_is_no_tensor_is_no_output():
    history = log(lambda m, x: float((x * 2).sum()))
    assert history.output_layers == []
    assert [op.func_applied_name for op in history.escapes] == ["float"]


def test_inputs_that_share_memory_keep_all_of_it():
    whole = torch.arange(6.0)
    history = log(lambda m, a, b: a + b, whole[:3], whole[3:])
    nodes = [op._node for op in history if op.is_input_layer]
    assert nodes[0].memory[0] is nodes[1].memory[0]
    assert nodes[0].memory[0].nbytes() == 24
    assert [node.memory[3] for node in nodes] == [0, 3]
    assert all(op._node.memory is None for op in log(lambda m, a, b: a + b, X, X + 1) if op.is_input_layer)


# -- parameters and buffers --------------------------------------------------------------------------


def test_parameters_are_noted_once_and_used_ones_alone():
    def forward(m, x):
        return m.used(x) + m.used(x)

    history = log(forward, used=nn.Linear(3, 3), unused=nn.Linear(3, 3))
    kinds = [node.address for node in history.recording.nodes if node.kind == "parameter"]
    assert kinds == ["used.weight", "used.bias"]
    assert [op.parent_param_names for op in history.ops] == [["used.weight", "used.bias"]] * 2 + [[]]


def test_parameters_of_lazy_modules_are_found():
    history = log(lambda m, x: m.lazy(x), lazy=nn.LazyLinear(2))
    assert history["linear"].parent_param_names == ["lazy.weight", "lazy.bias"]


def test_a_replaced_parameter_is_what_was_put_in_its_place():
    model = nn.Sequential(nn.Linear(3, 3, bias=False))
    weight = torch.rand(3, 3)

    class Calls(nn.Module):
        def forward(self, x, weight):
            return torch.func.functional_call(model, {"0.weight": weight * 2}, (x,))

    history = tl.log_forward_pass(Calls(), [X, weight])
    assert history["linear"].parent_layers == ["input_1", "mul_1_1"]
    assert history["linear"].parent_params == []


# -- calls of modules --------------------------------------------------------------------------------


def calls(history) -> list[tuple]:
    return [(call.address, call.number, call.class_name) for call in history.recording.calls]


def test_calls_are_numbered_by_module():
    def forward(m, x):
        return m.act(m.body(m.act(x)))

    history = log(forward, act=nn.ReLU(), body=nn.Sequential(nn.Tanh()))
    assert calls(history) == [
        ("", 1, "With"),
        ("act", 1, "ReLU"),
        ("body", 1, "Sequential"),
        ("body.0", 1, "Tanh"),
        ("act", 2, "ReLU"),
    ]
    parents = [call.parent and call.parent.address for call in history.recording.calls]
    assert parents == [None, "", "", "body", ""]


def test_calls_know_what_went_in_and_out():
    def forward(m, x):
        y = x * 2
        return m.split(y, other=x)

    history = log(forward, split=With(lambda m, a, other: (a.sum(), other + 1)))
    call = history.recording.calls[1]
    nodes = history.recording.nodes
    assert [nodes[v.node].info.name for v in call.inputs] == ["mul", "input"]
    assert [nodes[v.node].info.name for v in call.outputs] == ["sum", "add"]
    assert [nodes[index].info.name for index in range(call.first, call.last)] == ["sum", "add"]


@pytest.mark.parametrize("training", [True, False])
def test_calls_know_the_mode_they_run_in(training):
    history = log(lambda m, x: m.drop(x), drop=nn.Dropout().train(training))
    assert [call.training for call in history.recording.calls] == [True, training]


def test_a_module_made_in_the_pass_has_an_address_of_its_own():
    history = log(lambda m, x: nn.Tanh()(x))
    assert calls(history)[1:] == [("(Tanh)", 1, "Tanh")]


def test_a_forward_called_directly_is_no_call_of_the_module():
    history = log(lambda m, x: m.act.forward(x), act=nn.ReLU())
    assert calls(history) == [("", 1, "With")]


def test_a_call_that_raised_is_closed():
    def failing(m, x):
        raise ValueError("stop")

    def forward(m, x):
        try:
            return m.inner(x * 2)
        except ValueError:
            return x + 1

    history = log(forward, inner=With(failing))
    outer, inner = history.recording.calls
    assert inner.parent is outer
    assert inner.outputs == ()
    assert [op.stable_name for op in history.ops] == [":mul", ":add"]


# -- surroundings ------------------------------------------------------------------------------------


def test_autocast_around_ops():
    def forward(m, x):
        with torch.autocast("cpu", torch.bfloat16):
            y = x @ x.t()
        return y.float() + 1

    assert [op.autocast for op in log(forward).ops] == [(("cpu", torch.bfloat16),)] * 2 + [()] * 2
    assert autocast_state() == ()


def test_grad_mode_around_ops():
    def forward(m, x):
        with torch.no_grad():
            y = x * 2
        return y + 1

    assert [op.grad_enabled for op in log(forward).ops] == [False, True]
