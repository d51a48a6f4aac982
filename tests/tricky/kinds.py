"""Kinds of tensors, and modes: sparse, nested, quantized, subclasses, precisions, devices."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import FlopCounterMode

from .case import Tricky, rand


class MixedPrecision(nn.Module):
    """Autocast and grad mode change inside."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            y = self.fc(x)
        with torch.no_grad():
            z = y * 1
        return y.float(), z.float()


class Sparse(nn.Module):
    """Sparse tensors of two layouts."""

    def forward(self, x):
        sparse = x.to_sparse()
        return torch.sparse.mm(sparse, x), (sparse * 2).to_dense(), x.to_sparse_csr().to_dense()


class NestedTensors(nn.Module):
    """Ragged tensors of both kinds."""

    def forward(self, a, b):
        jagged = torch.nested.nested_tensor([a, b], layout=torch.jagged)
        strided = torch.nested.as_nested_tensor([a, b])
        return (jagged.sin() * 2).unbind()[0], strided.to_padded_tensor(0.0)


class Quantized(nn.Module):
    """Quantised tensors."""

    def forward(self, x):
        return torch.quantize_per_tensor(x, 0.1, 0, torch.quint8).dequantize() * 1


class LowPrecision(nn.Module):
    """Half precisions, and eight bits."""

    def forward(self, x):
        return x.half().float() + x.bfloat16().float() + x.to(torch.float8_e4m3fn).float()


class Subclassed(torch.Tensor):
    """A tensor subclass without behaviour of its own."""

    def new_empty(self, *args, **kwargs):  # deepcopy asks for it
        return torch.empty(*args, **kwargs).as_subclass(Subclassed)


class TensorSubclass(nn.Module):
    """A tensor subclass as input."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        return self.fc(x).relu()


class AutocastTurnedOff(nn.Module):
    """Autocast is turned off inside itself, and its tensors are written."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            y = self.fc(x)
            y.mul_(2)
            z = self.fc(y.clone())
            both = torch.zeros(2, 2, 3)
            both[0] = z
            both[1].copy_(y)
            with torch.autocast("cpu", enabled=False):
                full = self.fc(z.float())
        return both[0] * 1, both[1] * 1, full


class DeviceContext(nn.Module):
    """A device context turns factory functions, and a meta tensor only has a shape."""

    def forward(self, x, w):
        with torch.device("cpu"):
            rows = torch.zeros(2, 3)
            rows[0] = x
            rows[1].copy_(w)
        with torch.device("meta"):
            shape = (torch.empty(2, 3) @ torch.empty(3, 4)).shape
        return rows[0] * shape[0], rows[1] * 1


class OtherModesInside(nn.Module):
    """Function modes and dispatch modes of the model's own."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        with _OwnFunctionMode():
            y = self.fc(x)
        with _OwnDispatchMode():
            z = self.fc(y)
        with FlopCounterMode(display=False):
            return self.fc(z)


class _OwnFunctionMode(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


class _OwnDispatchMode(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


class SparseOfManyKinds(nn.Module):
    """Sparse tensors that are made of indices, coalesced, summed, multiplied and returned."""

    def forward(self, x):
        places = torch.tensor([[0, 1], [2, 0]])
        sparse = torch.sparse_coo_tensor(places, x[0, :2], (3, 3))
        return (
            torch.sparse.sum(sparse, 0).to_dense(),
            sparse.coalesce().values() * 2,
            sparse @ x,
            x.to_sparse_csc().to_dense(),
            x.to_sparse_csr().values() * 1,
        )


class NestedLayers(nn.Module):
    """Layers on ragged tensors, made of values and offsets."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)

    def forward(self, x):
        ragged = torch.nested.nested_tensor_from_jagged(x, torch.tensor([0, 1, 3]))
        y = self.norm(self.fc(ragged)).relu()
        return y.values() * 1, y.to_padded_tensor(0.0), ragged.sum(-1).values()


class QuantizedLayers(nn.Module):
    """Layers quantized as they run, channels quantized apart, and quantization that is only played."""

    def __init__(self):
        super().__init__()
        float_layers = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.layers = torch.ao.quantization.quantize_dynamic(float_layers, {nn.Linear}, torch.qint8)
        self.play = torch.ao.quantization.FakeQuantize()

    def forward(self, x):
        channels = torch.quantize_per_channel(
            x, torch.full((3,), 0.1), torch.zeros(3).long(), 0, torch.qint8
        )
        return self.layers(x), channels.dequantize(), self.play(x)


class MaskedTensors(nn.Module):
    """Tensors that carry a mask."""

    def forward(self, x):
        masked = torch.masked.masked_tensor(x, x > 0.7)
        return (masked * 2).sum().get_data(), torch.masked.mean(x, mask=x > 0.7), masked.to_tensor(0.0)


class DtypesOfAllKinds(nn.Module):
    """Complex numbers, truth values and half precisions go in."""

    def forward(self, c, truth, half):
        return (
            c.conj() * 2,
            c.abs() + c.angle() + c.real + c.imag,
            truth.float() * half.float(),
            torch.polar(half.float(), half.float()).resolve_conj(),
            torch.view_as_real(c) * 1,
            half.to(torch.float8_e5m2).to(torch.float32),
        )


class IntegersOnly(nn.Module):
    """A model without a floating number: bits and remainders in place."""

    def forward(self, x):
        y = x * 1
        y[0] = 5
        y.bitwise_or_(1)
        y <<= 1
        y ^= x
        z = y // 2
        z //= 2
        return z, y % 3, ~y


class NothingInside(nn.Module):
    """Tensors without elements, and scalars that are written."""

    def __init__(self):
        super().__init__()
        self.none = nn.Linear(0, 4)

    def forward(self, empty, scalar):
        total = scalar * 1
        total.add_(scalar)
        nothing = torch.zeros(0)
        nothing.add_(1)
        return self.none(empty), torch.cat([empty, empty]), total, nothing


class _Tenfold(Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        result = super().__torch_function__(func, types, args, kwargs or {})
        return result * 10 if func is torch.add else result


class SubclassWithRules(nn.Module):
    """A subclass that changes what a function does, and is written."""

    def forward(self, x, w):
        y = torch.add(x.as_subclass(_Tenfold), 1)
        y[0] = w[0]
        y[1:].mul_(w[1:])
        return y.as_subclass(Tensor) * 1


class _Wrapped(Tensor):
    @staticmethod
    def __new__(cls, inner):
        return Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        def opened(value):
            return value.inner if isinstance(value, cls) else value

        result = func(*tree_map(opened, args), **tree_map(opened, kwargs or {}))
        return tree_map(lambda value: cls(value) if isinstance(value, Tensor) else value, result)


class WrapperSubclass(nn.Module):
    """A subclass that holds another tensor, and dispatches to it."""

    def forward(self, x):
        return (_Wrapped(x * 1) * 2 + _Wrapped(x)).inner + 1


_3 = (3,)
_23 = (2, 3)
_33 = (3, 3)

CASES: list[Tricky] = [
    Tricky(MixedPrecision, rand(_23)),
    Tricky(Sparse, rand(_33)),
    Tricky(NestedTensors, rand(_33, _23), blind=frozenset({"input.1"})),
    Tricky(Quantized, rand(_3)),
    Tricky(LowPrecision, rand(_3)),
    Tricky(TensorSubclass, lambda: (torch.rand(2, 3).as_subclass(Subclassed),)),
    Tricky(AutocastTurnedOff, rand(_23)),
    Tricky(AutocastTurnedOff, rand(_23), grad=False),
    Tricky(DeviceContext, rand(_3, _3)),
    Tricky(OtherModesInside, rand(_23)),
    Tricky(SparseOfManyKinds, rand(_33)),
    Tricky(NestedLayers, rand((3, 4)), grad=False),
    Tricky(QuantizedLayers, rand((3, 4)), grad=False),
    Tricky(MaskedTensors, rand(_23), grad=False),
    Tricky(
        DtypesOfAllKinds,
        lambda: (
            torch.rand(3, dtype=torch.complex64),
            torch.tensor([True, False, True]),
            torch.rand(3).bfloat16(),
        ),
    ),
    Tricky(IntegersOnly, lambda: (torch.tensor([3, 4, 6]),)),
    # of a tensor without elements nothing depends
    Tricky(
        NothingInside,
        lambda: (torch.rand(2, 0), torch.tensor(2.0)),
        blind=frozenset({"input.0", "none.weight"}),
    ),
    Tricky(SubclassWithRules, rand(_3, _3)),
    Tricky(WrapperSubclass, rand(_23), grad=False),
]
