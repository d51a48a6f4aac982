"""What is set for the whole process and tells kernels how to compute: noted where an op runs, set again for a replay.

The default dtype is looked at for each op, which costs 30 ns. The rest is looked at for those functions alone that
choose their kernels by it, and take long enough not to feel it (`family_of`). What is not looked at stands in
``docs/limits.md``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from torchlens_core import internals
from torchlens_core.names import words


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """One of them."""

    #: In words, for messages: ``the default dtype``.
    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]

    @property
    def value(self) -> Any:
        """How it stands; None where torch will not tell, since it was set by ``fp32_precision``, in newer words."""
        try:
            return self.read()
        except RuntimeError:
            return None


#: Settings with the values that they had or are to have.
Standing = Sequence[tuple[Setting, Any]]


class Family:
    """The settings that functions of one kind depend on."""

    def __init__(self, settings: Iterable[Setting]) -> None:
        self.settings = tuple(settings)
        self._readers = tuple(setting.read for setting in self.settings)

    def read(self) -> tuple[Any, ...]:
        """How they stand now."""
        try:
            return tuple(map(operator.call, self._readers))
        except RuntimeError:
            return tuple(setting.value for setting in self.settings)


_get_default_dtype = torch.get_default_dtype
DEFAULT_DTYPE = Setting("the default dtype", _get_default_dtype, torch.set_default_dtype)
#: What convolutions and recurrent layers choose their kernels by.
KERNELS = Family([Setting(*flag) for flag in internals.KERNEL_FLAGS])
_cuda = torch.backends.cuda
#: What `torch.nn.attention.sdpa_kernel` sets, and how attention is summed up in half precision.
ATTENTION = Family(
    [
        Setting("flash attention", _cuda.flash_sdp_enabled, _cuda.enable_flash_sdp),
        Setting(
            "memory-efficient attention", _cuda.mem_efficient_sdp_enabled, _cuda.enable_mem_efficient_sdp
        ),
        Setting("attention by cuDNN", _cuda.cudnn_sdp_enabled, _cuda.enable_cudnn_sdp),
        Setting("attention step by step", _cuda.math_sdp_enabled, _cuda.enable_math_sdp),
        Setting(
            "half precision inside attention",
            _cuda.fp16_bf16_reduction_math_sdp_allowed,
            _cuda.allow_fp16_bf16_reduction_math_sdp,
        ),
        *(Setting(*flag) for flag in internals.ATTENTION_FLAGS),
    ]
)
_FAMILIES = (KERNELS, ATTENTION)

_WITH_KERNELS = words(
    """
    affine_grid affine_grid_generator backward batch_norm conv1d conv2d conv3d conv_tbc conv_transpose1d
    conv_transpose2d conv_transpose3d convolution ctc_loss grad grid_sample grid_sampler gru instance_norm lstm
    rnn_relu rnn_tanh
    """
)


def family_of(name: str) -> Family | None:
    """The settings on which the function of that name depends, besides the default dtype.

    >>> family_of("conv2d") is KERNELS, family_of("scaled_dot_product_attention") is ATTENTION, family_of("add")
    (True, True, None)
    """
    if name == "scaled_dot_product_attention":
        return ATTENTION
    return KERNELS if name in _WITH_KERNELS else None


class Baseline:
    """How all of them stood when a pass began: what an op runs under otherwise is noted with it."""

    def __init__(self) -> None:
        #: Compared at every op, before anything is asked of `changed`.
        self.default_dtype = _get_default_dtype()
        self._values = {family: family.read() for family in _FAMILIES}

    @property
    def standing(self) -> Standing:
        """All of them."""
        families = self._values.items()
        pairs = [pair for family, values in families for pair in zip(family.settings, values, strict=True)]
        return [(DEFAULT_DTYPE, self.default_dtype), *pairs]

    def changed(self, family: Family | None) -> Standing:
        """The default dtype, and those of ``family``, that are another now."""
        found: list[tuple[Setting, Any]] = []
        dtype = _get_default_dtype()
        if dtype is not self.default_dtype:
            found.append((DEFAULT_DTYPE, dtype))
        if family is not None and (now := family.read()) != (before := self._values[family]):
            changes = zip(family.settings, now, before, strict=True)
            found += [(setting, new) for setting, new, old in changes if new != old]
        return found or ()


@contextmanager
def set_to(wanted: Standing) -> Iterator[None]:
    """Inside, settings stand as ``wanted``; afterwards as before.

    >>> with set_to([(DEFAULT_DTYPE, torch.float64)]):
    ...     torch.ones(1).dtype
    torch.float64
    >>> torch.ones(1).dtype
    torch.float32
    """
    before = [(setting, setting.value) for setting, _ in wanted]
    try:
        _write(wanted)
        yield
    finally:
        _write(before)


def _write(wanted: Standing) -> None:
    """Write what is otherwise and can be put back, and nothing else: some writes have effects of their own."""
    for setting, value in wanted:
        if value is not None and setting.value not in (None, value):
            setting.write(value)
