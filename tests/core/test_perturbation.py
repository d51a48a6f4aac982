"""Other values for sources: each element another, none out of its domain, all put back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import torchlens_core as tl
from torchlens_core.perturbation import (
    INSTEAD_OF_ZERO,
    MAX_CHANGED,
    RELATIVE,
    Perturbation,
    change_all,
    change_input,
)

exploring = settings(database=None, deadline=None)
SIZES = [(), (1,), (7,), (3, 5), (2, 3, 4), (MAX_CHANGED,)]
DTYPES = [torch.float32, torch.float64, torch.complex64]


def bits(tensor: torch.Tensor) -> bytes:
    """The bytes of a tensor, which tell NaNs and zeros apart."""
    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def changed(tensor: torch.Tensor) -> torch.Tensor:
    """Which elements `Perturbation` changes."""
    before = tensor.detach().clone()
    assert Perturbation().change(tensor)
    return tensor.detach() != before


# -- what is changed ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "make", [torch.rand, torch.zeros, torch.ones, lambda *a, **k: -torch.ones(*a, **k)]
)
def test_every_element_of_a_small_tensor_is_changed(size, dtype, make):
    assert changed(make(size, dtype=dtype)).all()


@pytest.mark.parametrize("make", [lambda x: x.t(), lambda x: x[:, ::2], lambda x: x[1:, 3:]])
def test_every_element_of_a_view_is_changed_and_none_besides(make):
    whole = torch.rand(40, 40)
    part = make(whole)
    before = whole.clone()
    assert changed(part).all()
    assert int((whole != before).sum()) == part.numel()


@pytest.mark.parametrize("size", [(MAX_CHANGED + 1,), (1000, 3), (64, 64), (1 << 16,)], ids=str)
def test_elements_of_a_large_tensor_are_changed_in_every_column(size):
    x = torch.rand(size)
    where = changed(x)
    assert MAX_CHANGED // 4 <= int(where.sum()) <= MAX_CHANGED
    assert where.view(size[0], -1).any(0).all()


def test_elements_of_a_large_input_are_all_changed():
    x = torch.rand(1000, 3)
    before = x.clone()
    assert change_input(x, with_integers=False)
    assert (x != before).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_every_element_of_coarse_dtypes_is_changed(dtype):
    assert changed(torch.ones(100, dtype=dtype)).all()


def test_every_value_is_changed():
    assert changed(torch.tensor([INSTEAD_OF_ZERO / (RELATIVE / 251)])).all()


def test_elements_are_not_scaled_alike():
    """Many models do not mind their input scaled."""
    x = torch.ones(5)
    changed(x)
    assert len(set(x.tolist())) == 5


@exploring
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=600))
def test_probabilities_stay_probabilities(values):
    x = torch.tensor(values)
    assert change_input(x, with_integers=False)
    assert x.min() >= 0
    assert x.max() <= 1


@exploring
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20))
def test_changes_are_small(values):
    x = torch.tensor(values)
    before = x.clone()
    changed_by = (x - before).abs() if change_input(x, with_integers=False) else None
    assert (changed_by <= before.abs() * 2 * RELATIVE + 2 * INSTEAD_OF_ZERO).all()


# -- undone ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("size", [*SIZES, (1000, 3)], ids=str)
def test_undone_bit_by_bit(dtype, size):
    x = torch.rand(size).to(dtype)
    before = bits(x)
    perturbation = Perturbation()
    assert perturbation.change(x)
    perturbation.undo()
    assert bits(x) == before


def test_odd_values_are_undone_bit_by_bit():
    x = torch.tensor([0.0, -0.0, float("nan"), float("inf"), -float("inf"), 1e-45, 3e38, -3e38])
    before = bits(x)
    perturbation = Perturbation()
    perturbation.change(x)
    assert bits(x) != before, "the control"
    perturbation.undo()
    assert bits(x) == before


def test_what_overlaps_is_undone():
    whole = torch.rand(10)
    before = bits(whole)
    perturbation = Perturbation()
    assert all(perturbation.change(part) for part in (whole, whole[2:6], whole[4:], whole))
    perturbation.undo()
    assert bits(whole) == before


def test_what_was_written_since_is_undone():
    x = torch.rand(4)
    before = bits(x)
    perturbation = Perturbation()
    perturbation.change(x)
    x.fill_(7)
    perturbation.undo()
    assert bits(x) == before


def test_undone_once():
    x = torch.rand(4)
    perturbation = Perturbation()
    perturbation.change(x)
    perturbation.undo()
    x.fill_(7)
    perturbation.undo()
    assert x.tolist() == [7] * 4


def test_autograd_does_not_know():
    leaf = torch.rand(3, requires_grad=True)
    result = (leaf**2).sum()
    version = leaf._version
    perturbation = Perturbation()
    assert perturbation.change(leaf)
    assert (leaf._version, leaf.is_leaf, leaf.requires_grad) == (version, True, True)
    perturbation.undo()
    result.backward()
    assert torch.equal(leaf.grad, 2 * leaf)


# -- integers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.uint8, torch.bool], ids=str)
def test_integers_change_places_among_inputs(dtype):
    x = torch.tensor([[0, 1], [1, 1]]).to(dtype)
    assert change_input(x, with_integers=True)
    assert x.tolist() == torch.tensor([[1, 0], [1, 1]]).to(dtype).tolist()


@pytest.mark.parametrize("x", [torch.tensor([3]), torch.tensor(3), torch.tensor([2, 2, 2])], ids=str)
def test_integers_that_cannot_change_places_are_left(x):
    before = x.clone()
    assert not change_input(x, with_integers=True)
    assert torch.equal(x, before)


def test_integers_are_left_where_that_is_asked():
    x = torch.arange(3)
    assert not change_input(x, with_integers=False)
    assert x.tolist() == [0, 1, 2]


def test_integers_that_are_no_inputs_are_left():
    x = torch.arange(3)
    assert not Perturbation().change(x)
    assert x.tolist() == [0, 1, 2]


# -- odd tensors -------------------------------------------------------------------------------------

ODD = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "csr": lambda: torch.eye(3).to_sparse_csr(),
    "quantized": lambda: torch.quantize_per_tensor(torch.rand(3), 0.1, 0, torch.quint8),
    "meta": lambda: torch.rand(3, device="meta"),
    "nested": lambda: torch.nested.nested_tensor([torch.rand(2), torch.rand(3)]),
    "empty": lambda: torch.rand(0, 3),
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", ODD)
def test_odd_tensors_are_refused(name):
    perturbation = Perturbation()
    assert not perturbation.change(ODD[name]())
    assert not change_input(ODD[name](), with_integers=True)
    perturbation.undo()


#: Tensors that are plain, and cannot be written in place.
UNWRITABLE = {
    "expanded": lambda: torch.rand(1, 3).expand(4, 3),
    "expanded integers": lambda: torch.arange(3).expand(4, 3),
    "float8": lambda: torch.rand(3).to(torch.float8_e4m3fn),
}


@pytest.mark.parametrize("name", UNWRITABLE)
def test_tensors_that_cannot_be_written_are_refused(name):
    tensor = UNWRITABLE[name]()
    before = bits(tensor)
    assert not Perturbation().change(tensor)
    assert bits(tensor) == before


@pytest.mark.parametrize("name", UNWRITABLE)
def test_inputs_that_cannot_be_written_are_refused(name):
    assert not change_input(UNWRITABLE[name](), with_integers=True)


@pytest.mark.parametrize("name", UNWRITABLE)
def test_models_with_inputs_that_cannot_be_written_are_validated(name):
    class Casting(torch.nn.Module):
        def forward(self, x):
            return x.float() * 2

    assert tl.validate_model_activations(Casting(), UNWRITABLE[name]())


@pytest.mark.parametrize("is_inside", [True, False])
def test_inference_tensors_are_put_back(is_inside):
    """They can be written through ``.data``, also outside of inference mode."""
    with torch.inference_mode():
        x = torch.rand(3)
    before = bits(x)
    perturbation = Perturbation()
    with torch.inference_mode(is_inside):
        assert perturbation.change(x)
        assert bits(x) != before
        perturbation.undo()
    assert bits(x) == before


def test_the_keys_of_what_was_changed():
    perturbation = Perturbation()
    tensors = [(4, torch.rand(2)), (5, torch.arange(2)), (9, torch.zeros(()))]
    assert change_all(perturbation, tensors) == {4, 9}
    perturbation.undo()
    assert tensors[2][1] == 0
