"""The events of a pass: what becomes an op, and what is kept of it."""

import pytest
import torch
import torch.nn.functional as F
from models import Of
from torch import nn

import torchlens_core as tl


def log(function, *args):
    return tl.log_forward_pass(Of(function), list(args or [torch.ones(2, 3)]))


def names(function, *args) -> list[str]:
    return [op.func_applied_name for op in log(function, *args).ops]


# -- what is an op -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x + 1, ["add"]),
        (lambda x: 1 - x, ["rsub"]),
        (lambda x: -x, ["neg"]),
        (lambda x: x[0], ["getitem"]),
        (lambda x: x.T, ["T"]),
        (lambda x: x.detach().data, ["detach", "data"]),
        (lambda x: F.relu(x), ["relu"]),
        (lambda x: torch.ops.aten.relu(x), ["relu"]),
        (lambda x: torch.zeros(2) + 1, ["zeros", "add"]),
        (lambda x: torch.split(x, 1), ["split"]),
        (lambda x: [*x], ["unbind"]),
        (lambda x: x.max(1), ["max"]),
        (lambda x: torch.linalg.norm(x), ["linalg_norm"]),
        (lambda x: F.max_pool1d(x, 2), ["max_pool1d"]),
        (lambda x: torch.einsum("ij->j", x), ["einsum"]),
    ],
)
def test_calls_that_are_ops(function, expected):
    assert names(function) == expected


@pytest.mark.parametrize(
    "look",
    [
        lambda x: x.shape,
        lambda x: x.size(0),
        lambda x: x.dim(),
        lambda x: len(x),
        lambda x: x.dtype,
        lambda x: x.device,
        lambda x: x.requires_grad,
        lambda x: x.is_contiguous(),
        lambda x: x.stride(),
        lambda x: torch.is_tensor(x),
        lambda x: x.is_leaf,
        lambda x: x.grad_fn,
        lambda x: torch.result_type(x, x),
        lambda x: torch.broadcast_shapes(x.shape, (1,)),
    ],
)
def test_looks_at_metadata_are_none(look):
    seen = []
    history = log(lambda x: (seen.append(look(x)), x + 1)[1])
    assert [op.func_applied_name for op in history.ops] == ["add"]
    assert history.escapes == []
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("escape", "name", "value"),
    [
        (lambda x: x.sum().item(), "item", 6.0),
        (lambda x: x.tolist(), "tolist", [[1, 1, 1], [1, 1, 1]]),
        (lambda x: bool(x.sum() > 3), "bool", True),
        (lambda x: float(x.sum()), "float", 6.0),
        (lambda x: int(x.sum()), "int", 6),
        (lambda x: torch.equal(x, x), "equal", True),
        (lambda x: torch.allclose(x, x), "allclose", True),
        (lambda x: range(3)[x.sum().int() - 5], "index", 1),
    ],
)
def test_values_that_go_to_python(escape, name, value):
    given = []
    history = log(lambda x: (given.append(escape(x)), x + 1)[1])
    (found,) = history.escapes
    assert (found.func_applied_name, found.escaped_value) == (name, value)
    assert given == [value]
    assert not found.child_layers


def test_what_an_escape_gave_is_kept_as_it_was():
    history = log(lambda x: (x.tolist().clear(), x)[1])
    assert history.escapes[0].escaped_value == [[1, 1, 1], [1, 1, 1]]


# -- what is kept of an op ---------------------------------------------------------------------------


def test_arguments_are_kept():
    history = log(lambda x: torch.add(x, x, alpha=2))
    (op,) = history.ops
    assert op.func_applied is torch.add
    assert op.creation_kwargs == {"alpha": 2}
    assert [tuple(arg.shape) for arg in op.creation_args] == [(2, 3), (2, 3)]
    assert op.parent_layer_arg_locs["args"] == {0: "input_1", 1: "input_1"}


def test_several_results_are_values_of_one_op():
    def forward(x):
        values, indices = x.max(1)
        return values * 2, indices + 1

    history = log(forward)
    assert [edge.origin.slot for op in history.ops[1:] for edge in op.edges] == [0, 1]
    assert [str(spec) for spec in history["max"].specs] == ["f32[2]", "i64[2]"]


def test_names_of_autograd_nodes():
    history = log(lambda x: (x * 2).split(1), torch.ones(2, 3, requires_grad=True))
    assert [op.gradfunc for op in history.ops] == ["MulBackward0", "SplitBackward0"]
    assert [op.gradfunc for op in log(lambda x: x * 2).ops] == [None]


def test_times_are_kept():
    assert all(0 < op.func_time_elapsed < 10 for op in log(lambda x: (x + 1).relu()).ops)


def test_flags_are_followed():
    def forward(x):
        y = x * 2
        y.requires_grad_()
        return y + 1

    history = log(forward)
    assert [op.specs[0].requires_grad for op in history.ops] == [True, True]
    assert [op.func_applied_name for op in history.ops] == ["mul", "add"]


def test_ops_in_composites_name_them():
    history = log(lambda x: F.normalize(x) + 1)
    assert {op.composite for op in history.ops[:-1]} == {("normalize",)}
    assert history.ops[-1].composite == ()


def test_results_are_those_of_an_ordinary_call():
    model, x = nn.Sequential(nn.Linear(3, 3), nn.Softmax(-1)), torch.rand(2, 3)
    held = []
    hook = model.register_forward_hook(lambda module, args, result: held.append(result))
    tl.log_forward_pass(model, x)
    hook.remove()
    assert torch.equal(held[0], model(x))


# -- errors ------------------------------------------------------------------------------------------


def test_an_op_that_raised_is_named():
    with pytest.raises(RuntimeError) as caught:
        log(lambda x: torch.cat([x, x[:, :1]]))
    history = caught.value.partial_history
    assert history.recording.failed_call == "cat"
    assert [op.func_applied_name for op in history.ops] == ["getitem"]
    assert caught.value.__notes__ == [
        "torchlens: the pass of Of failed in cat after 1 ops, the last entry being getitem_1_1. "
        "The history up to there is this error's partial_history."
    ]


def test_an_error_that_the_model_catches_is_none():
    def forward(x):
        try:
            return x @ x
        except RuntimeError:
            return x + 1

    assert names(forward) == ["add"]


def test_a_write_that_nothing_announces_is_found_and_values_are_lost_not_wrong():
    """A function of the user's own that takes part in the protocol, and writes."""

    def sneaky(x):
        if torch.overrides.has_torch_function_unary(x):
            return torch.overrides.handle_torch_function(sneaky, (x,), x)
        return x.detach().add_(1)

    def forward(x):
        y = x * 2
        sneaky(y)
        return y * 1

    history = log(forward)
    with pytest.raises(tl.StaleValueError, match="unseen during the pass"):
        _ = history["mul_1"].tensor_contents
    assert history["mul_2"].tensor_contents.unique().tolist() == [3]
    assert history["mul_2"].parent_layers == [history.ops[1].layer_label]
