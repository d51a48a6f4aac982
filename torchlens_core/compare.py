"""Whether two tensors are the same, and if not, where they differ: bare facts, worded elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from torchlens_core.errors import IncomparableError
from torchlens_core.specs import TensorSpec


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Greatest difference allowed, as in `torch.testing.assert_close`; none by default."""

    rtol: float = 0.0
    atol: float = 0.0

    @property
    def is_exact(self) -> bool:
        """Whether only equal values pass."""
        return self.rtol == 0.0 and self.atol == 0.0


EXACT = Tolerance()
#: ``torch.testing``'s tolerances by dtype; integers and the rest must be equal.
_BY_DTYPE = {
    torch.float16: Tolerance(1e-3, 1e-5),
    torch.bfloat16: Tolerance(1.6e-2, 1e-5),
    torch.float32: Tolerance(1.3e-6, 1e-5),
    torch.float64: Tolerance(1e-7, 1e-7),
    torch.complex64: Tolerance(1.3e-6, 1e-5),
    torch.complex128: Tolerance(1e-7, 1e-7),
}


def default_tolerance(dtype: torch.dtype) -> Tolerance:
    """The tolerance of ``torch.testing.assert_close`` for a dtype."""
    return _BY_DTYPE.get(dtype, EXACT)


@dataclass(frozen=True, slots=True)
class Difference:
    """How two tensors differ."""

    expected: str
    got: str


def difference(expected: Any, got: Any, tolerance: Tolerance | None = EXACT) -> Difference | None:
    """How ``got`` differs from ``expected``, or None if it does not; NaN equals NaN.

    ``tolerance`` None means that of ``torch.testing`` for the dtype. Tensors without values (meta, fake)
    are compared by their specs. Raises `IncomparableError` for kinds of tensors whose values cannot be read.

    >>> print(difference(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5])).got)
    2.5 at [1]; 1 of 2 elements differ, by 0.5 at most
    """
    if _are_plainly_equal(expected, got):  # nearly always, so that nothing else need be asked
        return None
    if not isinstance(expected, Tensor) or not isinstance(got, Tensor):
        is_same = (
            not isinstance(expected, Tensor)
            and not isinstance(got, Tensor)
            and _same_objects(expected, got)
        )
        return None if is_same else Difference(repr(expected), repr(got))
    specs = str(TensorSpec.of(expected)), str(TensorSpec.of(got))
    if specs[0] != specs[1] and not (expected.is_nested and got.is_nested):  # ragged sizes have no names
        return Difference(*specs)
    if not has_values(expected) or not has_values(got):
        return None
    if tolerance is None:
        tolerance = default_tolerance(expected.dtype)
    try:
        return _difference(plain(expected), plain(got), tolerance)
    except (NotImplementedError, RuntimeError, TypeError) as error:
        kind = f"{type(expected).__name__} {TensorSpec.of(expected)}"
        raise IncomparableError(f"{kind}: {str(error).splitlines()[0]}") from error


def _are_plainly_equal(expected: Any, got: Any) -> bool:
    return (
        type(expected) is Tensor
        and type(got) is Tensor
        and not (expected.is_nested or got.is_nested)
        and expected.dtype is got.dtype
        and expected.shape == got.shape
        and expected.device == got.device
        and not expected.is_meta
        and expected.layout is torch.strided
        and got.layout is torch.strided
        and not expected.is_quantized
        and _is_equal(expected, got)
    )


def _is_equal(expected: Tensor, got: Tensor) -> bool:
    try:
        return torch.equal(expected, got)
    except (NotImplementedError, RuntimeError):  # dtypes that nothing can be computed with
        return False


def has_strides_of(expected: Tensor, got: Tensor) -> bool:
    """Whether ``got`` lies in memory as ``expected`` does, dimensions of one element left out.

    >>> has_strides_of(torch.zeros(2, 3), torch.zeros(3, 2).t())
    False
    >>> has_strides_of(torch.zeros(1, 3), torch.zeros(3, 1).t())
    True
    """
    try:
        return all(
            one == other or size <= 1
            for one, other, size in zip(expected.stride(), got.stride(), expected.shape, strict=True)
        )
    except (RuntimeError, NotImplementedError, ValueError):  # layouts without strides
        return True


def _same_objects(expected: Any, got: Any) -> bool:
    if isinstance(expected, float) and isinstance(got, float) and expected != expected:
        return got != got
    return bool(expected == got)


def has_values(tensor: Tensor) -> bool:
    """Whether ``tensor`` has values that can be read: not on the meta device, not fake."""
    return not tensor.is_meta and type(tensor).__name__ != "FakeTensor"


def plain(tensor: Tensor) -> Tensor:
    """The values of ``tensor`` as an ordinary dense one."""
    tensor = tensor.detach()
    if tensor.is_nested:
        return torch.cat([part.reshape(-1) for part in tensor.unbind()])
    if tensor.is_quantized:
        return tensor.int_repr()
    if tensor.layout is not torch.strided:
        return tensor.to_dense()
    return tensor.as_subclass(Tensor) if type(tensor) is not Tensor else tensor


def _difference(expected: Tensor, got: Tensor, tolerance: Tolerance) -> Difference | None:
    if expected.shape != got.shape or expected.dtype != got.dtype:
        return Difference(str(TensorSpec.of(expected)), str(TensorSpec.of(got)))
    if torch.equal(expected, got):
        return None
    same = (expected == got) | ((expected != expected) & (got != got))
    if (not tolerance.is_exact and expected.dtype.is_floating_point) or expected.is_complex():
        close = torch.isclose(got, expected, tolerance.rtol, tolerance.atol, equal_nan=True)
        same = same | close
    if bool(same.all()):
        return None
    wrong = ~same
    wide = torch.complex128 if expected.is_complex() else torch.float64
    distance = (expected.to(wide) - got.to(wide)).abs().nan_to_num(nan=float("inf"), posinf=float("inf"))
    worst = torch.where(wrong, distance, torch.zeros_like(distance)).flatten().argmax()
    index = [int(i) for i in torch.unravel_index(worst, expected.shape)] if expected.dim() else []
    at = f" at {index}" if index else ""
    count, total = int(wrong.sum()), expected.numel()
    return Difference(
        f"{expected.flatten()[worst].item()!r}{at}",
        f"{got.flatten()[worst].item()!r}{at}; {count} of {total} elements differ, "
        f"by {distance.flatten()[worst].item():.3g} at most",
    )
