"""Which Python functions of torch are opened: recorded as the ops inside, not as one.

Under a function mode, a function of ``torch.nn.functional`` hands itself over whole, and what it calls
inside is not seen. Those that compute in several steps are called once more with the mode on, past their
own question for modes (`torch.overrides.redispatch_function`). The others are one op. The table is
explicit, so that labels do not change with a release of torch; a test walks all Python functions that a
mode can see and tells which of them compute in several steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torchlens_core import internals

#: Functions that compute in several steps, or call a function of the user's.
OPENED: frozenset[Any] = frozenset(
    {
        F.gaussian_nll_loss,
        F.gumbel_softmax,
        F.local_response_norm,
        F.lp_pool1d,
        F.lp_pool2d,
        F.lp_pool3d,
        F.multi_head_attention_forward,
        F.multilabel_soft_margin_loss,
        F.normalize,
        F.softmin,
        F.softsign,
        F.tanhshrink,
        F.triplet_margin_with_distance_loss,
        torch.stft,
        Tensor.stft,
    }
    | ({F.linear_cross_entropy} if hasattr(F, "linear_cross_entropy") else set())
)


def cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], operands: Any) -> Any:
    """`torch.cond` as Python runs it: the branch taken, op by op."""
    return true_fn(*operands) if pred else false_fn(*operands)


def while_loop(
    cond_fn: Callable[..., Any],
    body_fn: Callable[..., Any],
    carried: tuple[Any, ...],
    additional: tuple[Any, ...] = (),
) -> Any:
    """`torch.while_loop` as Python runs it."""
    while cond_fn(*carried, *additional):
        carried = tuple(body_fn(*carried, *additional))
    return carried


#: Higher-order ops that are opened, by name. Run eagerly, torch's own versions of the last two lose the
#: gradients of what their functions close over.
OPENED_HIGHER_ORDER: dict[str, Callable[..., Any]] = {
    "cond": cond,
    "while_loop": while_loop,
    "flex_attention": internals.flex_attention,
}
