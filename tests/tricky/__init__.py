"""Models that provoke what a tracer gets wrong, one line each on what: a module for each theme.

`ALL` lists them with their inputs. ``blind`` names sources whose dependence no oracle can see (a zero
gradient, an integer, a value taken through Python), or for which the graph says more than the truth, since
an op depends on all of an argument.
"""

from . import (
    arguments,
    compiled,
    gradients,
    kinds,
    layers,
    memory,
    modules,
    program,
    randomness,
    saving,
    state,
    storage,
    transforms,
    writers,
)
from .case import Tricky
from .compiled import Cond, FlexAttention, FlexAttentionMasked, NestedCond, WhileLoop

__all__ = ["ALL", "Cond", "FlexAttention", "FlexAttentionMasked", "NestedCond", "Tricky", "WhileLoop"]

_THEMES = (
    memory,
    writers,
    storage,
    saving,
    state,
    gradients,
    randomness,
    program,
    modules,
    layers,
    arguments,
    transforms,
    compiled,
    kinds,
)

ALL: list[Tricky] = [case for theme in _THEMES for case in theme.CASES]
