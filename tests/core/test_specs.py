"""Specs: how tensors are written."""

import dataclasses

import pytest
import torch

from torchlens_core.specs import TensorSpec, human_bytes, plain_shape, short_dtype


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (torch.zeros(1, 64, 56, 56, device="meta"), "f32[1, 64, 56, 56]"),
        (torch.tensor(3), "i64[]"),
        (torch.tensor([True]), "bool[1]"),
        (torch.zeros(2, dtype=torch.bfloat16), "bf16[2]"),
        (torch.zeros(2, dtype=torch.complex64), "c64[2]"),
        (torch.zeros(2).to(torch.float8_e5m2), "float8_e5m2[2]"),
        (torch.eye(2).to_sparse(), "f32[2, 2] sparse_coo"),
    ],
)
def test_text(tensor, text):
    assert str(TensorSpec.of(tensor)) == text


def test_every_dtype_has_a_short_name_of_its_own():
    dtypes = {value for value in vars(torch).values() if isinstance(value, torch.dtype)}
    names = {short_dtype(dtype) for dtype in dtypes}
    assert len(names) == len(dtypes) > 20
    assert all("." not in name for name in names)


def test_bytes():
    spec = TensorSpec.of(torch.zeros(3, 5, dtype=torch.float64))
    assert (spec.numel, spec.nbytes) == (15, 120)


def test_sizes_that_are_no_numbers_are_text():
    ragged = torch.nested.nested_tensor([torch.zeros(2, 3), torch.zeros(4, 3)], layout=torch.jagged)
    spec = TensorSpec.of(ragged)
    assert spec.shape[0] == 2
    assert spec.shape[2] == 3
    assert isinstance(spec.shape[1], str)
    assert spec.numel == 0


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nested_tensors_of_the_strided_kind_have_a_first_size_alone():
    assert plain_shape(torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])) == (2, "?")


def test_specs_are_values():
    one, other = TensorSpec.of(torch.zeros(2)), TensorSpec.of(torch.ones(2))
    assert one == other
    assert one != TensorSpec.of(torch.zeros(2, requires_grad=True))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.shape = (3,)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KB"),
        (5 * 1024**3, "5.0 GB"),
        (3000 * 1024**4, "3000.0 TB"),
    ],
)
def test_human_bytes(count, text):
    assert human_bytes(count) == text
