"""How two tensors differ, and when they do not."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from torchlens_core.compare import (
    EXACT,
    Difference,
    Tolerance,
    default_tolerance,
    difference,
    has_strides_of,
    has_values,
    plain,
)

inf, nan = float("inf"), float("nan")


def t(*values, dtype=torch.float32):
    return torch.tensor(values, dtype=dtype)


KINDS = {
    "floats": lambda: t(1.0, 2.0),
    "nan and inf": lambda: t(nan, inf, -inf),
    "integers": lambda: t(1, 2, dtype=torch.int64),
    "truth": lambda: t(True, False, dtype=torch.bool),
    "complex": lambda: t(1 + 2j, dtype=torch.complex64),
    "empty": lambda: torch.empty(0, 3),
    "scalar": lambda: torch.tensor(1.5),
    "half": lambda: torch.rand(3).half(),
    "float8": lambda: torch.rand(3).to(torch.float8_e4m3fn),
    "sparse": lambda: torch.eye(3).to_sparse(),
    "csr": lambda: torch.eye(3).to_sparse_csr(),
    "quantized": lambda: torch.quantize_per_tensor(torch.rand(3), 0.1, 0, torch.quint8),
    "jagged": lambda: torch.nested.nested_tensor([torch.rand(2), torch.rand(3)], layout=torch.jagged),
    "nested": lambda: torch.nested.nested_tensor([torch.rand(2), torch.rand(3)]),
    "wants gradient": lambda: torch.rand(3, requires_grad=True),
    "transposed": lambda: torch.rand(4, 3).t(),
    "meta": lambda: torch.rand(3, device="meta"),
}
betas = pytest.mark.filterwarnings(
    "ignore:Sparse CSR", "ignore:The PyTorch API of nested", "ignore:torch.quantize_per_tensor"
)


@betas
@pytest.mark.parametrize("kind", KINDS)
def test_a_tensor_is_like_its_clone(kind):
    tensor = KINDS[kind]()
    assert difference(tensor, tensor.detach().clone()) is None


@pytest.mark.parametrize(
    ("one", "other", "expected", "got"),
    [
        (t(1.0, 2.0), t(1.0, 2.5), "2.0 at [1]", "2.5 at [1]; 1 of 2 elements differ, by 0.5 at most"),
        (
            torch.zeros(2, 3),
            torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, -3.0]]),
            "0.0 at [1, 2]",
            "-3.0 at [1, 2]; 2 of 6 elements differ, by 3 at most",
        ),
        (t(1.0, nan), t(1.0, 2.0), "nan at [1]", "2.0 at [1]; 1 of 2 elements differ, by inf at most"),
        pytest.param(
            *(
                t(1.0, inf),
                t(1.0, -inf),
                "inf at [1]",
                "-inf at [1]; 1 of 2 elements differ, by inf at most",
            ),
        ),
        (torch.tensor(1.0), torch.tensor(3.0), "1.0", "3.0; 1 of 1 elements differ, by 2 at most"),
        (
            t(1, 2, dtype=torch.int64),
            t(1, 5, dtype=torch.int64),
            "2 at [1]",
            "5 at [1]; 1 of 2 elements differ, by 3 at most",
        ),
        (
            t(True, dtype=torch.bool),
            t(False, dtype=torch.bool),
            "True at [0]",
            "False at [0]; 1 of 1 elements differ, by 1 at most",
        ),
        (
            t(1j, dtype=torch.complex64),
            t(1, dtype=torch.complex64),
            "1j at [0]",
            "(1+0j) at [0]; 1 of 1 elements differ, by 1.41 at most",
        ),
        (torch.zeros(2), torch.zeros(3), "f32[2]", "f32[3]"),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64), "f32[2]", "f64[2]"),
        (torch.zeros(2, device="meta"), torch.zeros(3, device="meta"), "f32[2]", "f32[3]"),
        (torch.eye(2), torch.eye(2).to_sparse(), "f32[2, 2]", "f32[2, 2] sparse_coo"),
    ],
)
def test_how_tensors_differ(one, other, expected, got):
    assert difference(one, other) == Difference(expected, got)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.to_sparse(),
        lambda x: x.to_sparse_csr(),
        lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.quint8),
        lambda x: torch.nested.nested_tensor([x[0], x[1, :1]], layout=torch.jagged),
        lambda x: x.half(),
        lambda x: x.to(torch.float8_e4m3fn),
        lambda x: x.as_subclass(Subclassed),
        lambda x: x.clone().requires_grad_(),
    ],
    ids="sparse csr quantized nested half float8 subclass leaf".split(),
)
@betas
def test_tensors_of_every_kind_can_differ(make):
    one, other = torch.eye(2), torch.eye(2)
    other[0, 0] = 2.0
    assert difference(make(one), make(one)) is None
    assert difference(make(one), make(other)) is not None


class Subclassed(torch.Tensor):
    """A subclass without behaviour of its own."""


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (1, 1, True),
        (1, 2, False),
        (nan, nan, True),
        (nan, 1.0, False),
        (None, None, True),
        ([1.0, 2.0], [1.0, 2.0], True),
        (True, False, False),
        (None, torch.zeros(1), False),
        (torch.ones(1), 0.0, False),
    ],
)
def test_what_is_no_tensor(one, other, is_same):
    found = difference(one, other)
    assert (found is None) is is_same
    assert found is None or found == Difference(repr(one), repr(other))


@pytest.mark.parametrize("tensor", [torch.zeros(1), torch.zeros(2)])
def test_a_tensor_is_no_number(tensor):
    assert difference(tensor, 0.0) == Difference(repr(tensor), "0.0")


class TestTolerance:
    near, value = t(1.0 + 1e-3), t(1.0)

    def test_none_by_default(self):
        assert EXACT.is_exact
        assert difference(self.value, self.near) is not None

    @pytest.mark.parametrize(
        ("tolerance", "is_same"),
        [
            (Tolerance(atol=1e-2), True),
            (Tolerance(rtol=1e-2), True),
            (Tolerance(atol=1e-4), False),
            (Tolerance(rtol=1e-4), False),
            (Tolerance(rtol=6e-4, atol=6e-4), True),
        ],
    )
    def test_allowed(self, tolerance, is_same):
        assert (difference(self.value, self.near, tolerance) is None) is is_same

    def test_only_what_is_beyond_it_is_counted(self):
        found = difference(t(0.0, 0.0), t(0.5, 2.0), Tolerance(atol=1.0))
        assert found.got == "2.0 at [1]; 1 of 2 elements differ, by 2 at most"

    def test_integers_must_be_equal(self):
        one, other = t(100, dtype=torch.int64), t(101, dtype=torch.int64)
        assert difference(one, other, Tolerance(atol=5.0)) is not None

    def test_complex_numbers(self):
        one, other = t(1j, dtype=torch.complex64), t(1j + 1e-3, dtype=torch.complex64)
        assert difference(one, other, Tolerance(atol=1e-2)) is None
        assert difference(one, other, EXACT) is not None

    def test_nan_and_infinities_are_never_near(self):
        assert difference(t(nan), t(1.0), Tolerance(atol=1e9)) is not None
        assert difference(t(inf), t(1e30), Tolerance(rtol=1.0)) is not None

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_default_is_that_of_torch_testing(self, dtype):
        one = torch.ones(1, dtype=dtype)
        allowed = default_tolerance(dtype)
        for factor, is_near in ((0.5, True), (20, False)):
            other = (one.double() + factor * (allowed.rtol + allowed.atol)).to(dtype)
            assert (difference(one, other, None) is None) is is_near
            assert _is_close(one, other) is is_near

    def test_default_of_other_dtypes_is_exact(self):
        assert default_tolerance(torch.int32) is EXACT


def _is_close(one, other) -> bool:
    try:
        torch.testing.assert_close(other, one)
    except AssertionError:
        return False
    return True


def test_values_that_cannot_be_read():
    with FakeTensorMode():
        fake, other = torch.rand(2), torch.rand(2)
    assert not has_values(fake)
    assert not has_values(torch.rand(2, device="meta"))
    assert has_values(torch.rand(2))
    assert difference(fake, other) is None


def test_plain_is_dense_and_of_no_subclass():
    assert type(plain(torch.eye(2).as_subclass(Subclassed))) is torch.Tensor
    assert plain(torch.eye(2).to_sparse()).layout is torch.strided
    assert not plain(torch.ones(2, requires_grad=True)).requires_grad


# -- how tensors lie in memory -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (torch.zeros(2, 3), torch.ones(2, 3).double(), True),
        (torch.zeros(2, 3), torch.zeros(3, 2).t(), False),
        (torch.zeros(1, 3), torch.zeros(3, 1).t(), True),
        (torch.zeros(2, 3), torch.zeros(2, 6)[:, ::2], False),
        (torch.zeros(2, 3), torch.zeros(4, 3)[2:], True),
        (torch.zeros(3), torch.zeros(1).expand(3), False),
        (torch.zeros(()), torch.zeros(()), True),
        (torch.eye(2).to_sparse(), torch.zeros(2, 2).to_sparse(), True),
    ],
    ids="equal turned one_row gaps offset expanded scalar sparse".split(),
)
def test_strides(one, other, is_same):
    assert has_strides_of(one, other) is is_same
