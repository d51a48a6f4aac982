"""Arguments are checked before anything runs, and what is wrong with them is said."""

import pytest
import torch
from torch import nn

import torchlens_core as tl
from torchlens_core.inputs import arguments_of, check_arguments


class Watched(nn.Module):
    """Counts its calls in a list that the class shares."""

    calls: list[int] = []  # noqa: RUF012

    def __init__(self, device: str = "cpu"):
        super().__init__()
        self.fc = nn.Linear(3, 3, device=device)

    def forward(self, x, mask=None, *, scale: float = 1.0):
        self.calls.append(1)
        return self.fc(x) * scale


@pytest.fixture(autouse=True)
def _nothing_ran():
    Watched.calls.clear()
    yield
    assert not Watched.calls


LOGGERS = [tl.log_forward_pass, tl.get_model_metadata, tl.show_model_graph, tl.validate_model_activations]
each_logger = pytest.mark.parametrize("logger", LOGGERS)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ()),
        ("text", ("text",)),
        (3, (3,)),
        ([1, 2], (1, 2)),
        ((1, 2), (1, 2)),
        ([[1, 2]], ([1, 2],)),
        ([], ()),
        ({"a": 1}, ({"a": 1},)),
    ],
)
def test_forms_of_arguments(given, expected):
    assert arguments_of(given) == (expected, {})


def test_one_tensor_is_one_argument():
    x = torch.rand(2, 3)
    (argument,), _ = arguments_of(x)
    assert argument is x


def test_subclasses_of_tuple_are_one_argument():
    """A packed sequence and other named tuples are arguments, not lists of them."""
    packed = nn.utils.rnn.pack_sequence([torch.rand(2, 3)])
    assert arguments_of(packed) == ((packed,), {})


def test_names_are_copied():
    given = {"mask": None}
    kwargs = arguments_of(1, given)[1]
    kwargs["more"] = 2
    assert given == {"mask": None}


@each_logger
def test_class_instead_of_instance(logger):
    with pytest.raises(tl.ArgumentError) as caught:
        logger(Watched, torch.rand(2, 3))
    assert str(caught.value) == (
        "Expected a torch.nn.Module, got the class Watched. Make an instance of it first."
    )


@each_logger
@pytest.mark.parametrize(("model", "name"), [(torch.relu, "builtin_function_or_method"), ("net", "str")])
def test_no_module(logger, model, name):
    with pytest.raises(tl.ArgumentError) as caught:
        logger(model, torch.rand(2, 3))
    assert str(caught.value) == f"Expected a torch.nn.Module, got an object of type {name}."


@each_logger
@pytest.mark.parametrize(
    ("args", "kwargs", "call", "complaint"),
    [
        ([torch.rand(2, 3)] * 3, None, "f32[2, 3], f32[2, 3], f32[2, 3]", "too many positional arguments"),
        ([], None, "", "missing a required argument: 'x'"),
        (
            torch.rand(2, 3),
            {"mode": [1]},
            "f32[2, 3], mode=list",
            "got an unexpected keyword argument 'mode'",
        ),
        (
            torch.rand(2, 3),
            {"x": torch.zeros(1, dtype=torch.int64)},
            "f32[2, 3], x=i64[1]",
            "multiple values for argument 'x'",
        ),
    ],
    ids=["many", "missing", "unexpected", "twice"],
)
def test_wrong_arguments(logger, args, kwargs, call, complaint):
    with pytest.raises(tl.ArgumentError) as caught:
        logger(Watched(), args, kwargs)
    assert str(caught.value) == (
        f"Watched cannot be called with ({call}): {complaint}.\n"
        "Expected Watched.forward(x, mask=None, *, scale: float = 1.0).\n"
        "A list or tuple is taken as the positional arguments; to hand over one list as a single "
        "argument, put it into another: [inputs]."
    )


def test_argument_errors_are_type_errors():
    with pytest.raises(TypeError):
        tl.log_forward_pass(Watched(), [])


@each_logger
def test_other_device(logger):
    with pytest.raises(tl.DeviceMismatchError) as caught:
        logger(Watched(), torch.rand(2, 3, device="meta"))
    assert str(caught.value) == (
        "Watched is on cpu, and its inputs are on meta: f32[2, 3]. "
        "Move one of them: model.to('meta') or inputs.to('cpu')."
    )


def test_other_device_the_other_way_round():
    with pytest.raises(tl.DeviceMismatchError, match=r"Watched is on meta, and its inputs are on cpu"):
        tl.log_forward_pass(Watched("meta"), torch.rand(2, 3))


def test_many_inputs_are_not_all_listed():
    with pytest.raises(tl.DeviceMismatchError) as caught:
        check_arguments(Watched(), ([torch.rand(n + 1, device="meta") for n in range(9)],), {})
    assert "f32[1], f32[2], f32[3], f32[4]. Move" in str(caught.value)


@pytest.mark.parametrize(
    ("model", "args"),
    [
        (nn.ReLU(), (torch.rand(2, device="meta"),)),  # lives nowhere
        (Watched(), (torch.rand(2), torch.rand(2, device="meta"))),  # one of them is at home
        (Watched(), (torch.tensor(1.0, device="meta"),)),  # scalars travel
        (Watched(), (3,)),
        (nn.Sequential(Watched(), Watched("meta")), (torch.rand(2, device="meta"),)),  # spread over several
    ],
    ids=["no parameters", "some here", "scalar", "no tensor", "spread"],
)
def test_devices_that_may_fit(model, args):
    check_arguments(model, args, {})


def test_signature_that_cannot_be_known():
    """TorchScript modules say themselves what is wrong."""

    class Unknown(nn.Module):
        forward = torch.relu

    check_arguments(Unknown(), (1, 2, 3), {})
