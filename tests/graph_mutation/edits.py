"""Models of the catalogue, edited as people edit them, and what a diff must say where.

An edit takes two equal models and changes one, or both alike so that there is a place for the change. It is
None where a model has no place for it.
"""

from __future__ import annotations

import copy
import time
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from graph_mutation import matrix
from graph_mutation.matrix import Verdict
from graph_mutation.models import SIZES_IN_PYTHON, traced
from graph_mutation.mutants import BREAKING, SHAPE, Claim
from torchlens_core.diff import GraphDiff
from torchlens_core.snapshot import Snapshot, take_snapshot

Inputs = list[Any]
#: Changes the second of two equal models, or both; says what was done where.
Change = Callable[[nn.Module, nn.Module, Sequence[str]], Claim | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A kind of edit."""

    change: Change
    #: What becomes of the inputs.
    inputs: Callable[[Inputs], Inputs]
    #: Which classes the diff may have, ``shape`` besides ``breaking``.
    classes: frozenset[str]
    #: Whether the first model is changed too.
    prepares: bool

    @property
    def name(self) -> str:
        return self.change.__name__


EDITS: list[Edit] = []


def edit(
    inputs: Callable[[Inputs], Inputs] = lambda given: given,
    classes: Sequence[str] = ("breaking",),
    prepares: bool = False,
) -> Callable[[Change], Change]:
    """Enter an edit."""

    def enter(change: Change) -> Change:
        EDITS.append(Edit(change=change, inputs=inputs, classes=frozenset(classes), prepares=prepares))
        return change

    return enter


# -- places in a model -------------------------------------------------------------------------------


def modules(model: nn.Module, called: Sequence[str], *classes: type) -> Iterator[tuple[str, Any]]:
    """Modules of some classes that are called, with their addresses."""
    known = set(called)
    for address, module in model.named_modules():
        if isinstance(module, classes) and address in known:
            yield address, module


def put(model: nn.Module, address: str, module: nn.Module) -> None:
    """Have another module at an address."""
    parent, _, name = address.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def _claim(address: str, *says: str, effect: str = BREAKING, most: int = 1) -> Claim:
    parent, _, name = address.rpartition(".")
    return Claim(address=parent, says=(name, *says), effect=effect, most=most)


def _with(one: nn.Module, two: nn.Module, found: Iterator[tuple[str, Any]], change: Callable[[Any], None]):
    """The first of the places where a module can be changed: the address."""
    address = next(found, (None, None))[0]
    if address is not None:
        change(two.get_submodule(address))
    return address


_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.GELU)
_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.InstanceNorm2d)


#: Makes a module.
Make = Callable[[], nn.Module]


def _at_activation(
    one: nn.Module,
    two: nn.Module,
    called: Sequence[str],
    before: Callable[[], nn.Module],
    after: Callable[[], nn.Module],
) -> str | None:
    """Have modules in the place of the last activation, in both models."""
    found = [address for address, _ in modules(one, called, *_ACTIVATIONS)]
    if not found:
        return None
    put(one, found[-1], before())
    put(two, found[-1], after())
    return found[-1]


def _behind_head(
    one: nn.Module,
    two: nn.Module,
    called: Sequence[str],
    before: Callable[[], nn.Module],
    after: Callable[[], nn.Module],
) -> str | None:
    """Have modules behind the last linear layer or convolution, in both models."""
    found = [address for address, _ in modules(one, called, nn.Linear, nn.Conv2d, nn.Conv3d)]
    if not found:
        return None
    for model, more in ((one, before), (two, after)):
        put(model, found[-1], nn.Sequential(model.get_submodule(found[-1]), more()))
    return f"{found[-1]}.1"


class Step(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


# -- the edits ---------------------------------------------------------------------------------------


@edit()
def conv_kernel(one, two, called):
    for address, conv in modules(one, called, nn.Conv2d, nn.Conv3d):
        if isinstance(conv.padding, tuple) and set(conv.dilation) == {1}:
            changed = type(conv)(
                conv.in_channels,
                conv.out_channels,
                tuple(size + 2 for size in conv.kernel_size),
                conv.stride,
                tuple(size + 1 for size in conv.padding),
                groups=conv.groups,
                bias=conv.bias is not None,
            )
            put(two, address, changed)
            shapes = [", ".join(map(str, one.weight.shape)) for one in (conv, changed)]
            return _claim(address, "padding", f"weight[{shapes[0]}] → [{shapes[1]}]")
    return None


@edit()
def conv_stride(one, two, called):
    def change(conv: Any) -> None:
        conv.stride = tuple(size + 1 for size in conv.stride)

    address = _with(one, two, modules(one, called, nn.Conv2d, nn.Conv3d), change)
    return address and _claim(address, "stride", "→", most=8)


@edit()
def conv_groups(one, two, called):
    for address, conv in modules(one, called, nn.Conv2d, nn.Conv3d):
        if conv.groups == 1 and conv.in_channels % 2 == 0 and conv.out_channels % 2 == 0:
            changed = two.get_submodule(address)
            changed.groups = 2
            changed.weight = nn.Parameter(changed.weight[:, : conv.in_channels // 2].clone())
            return _claim(
                address, "groups default → 2", f"weight[{', '.join(map(str, conv.weight.shape))}] →"
            )
    return None


@edit(classes=("shape",))
def linear_width(one, two, called):
    found = list(modules(one, called, nn.Linear))
    if not found:
        return None
    address, linear = found[-1]
    put(two, address, nn.Linear(linear.in_features, 17, bias=linear.bias is not None))
    return _claim(
        address,
        f"weight[{linear.out_features}, {linear.in_features}] → [17, {linear.in_features}]",
        effect=SHAPE,
    )


@edit()
def bias_removed(one, two, called):
    for address, module in modules(one, called, nn.Linear, nn.Conv2d, nn.Conv3d):
        if module.bias is not None:
            two.get_submodule(address).bias = None
            return _claim(address, "bias removed")
    return None


@edit(prepares=True)
def leaky_slope(one, two, called):
    address = _at_activation(one, two, called, lambda: nn.LeakyReLU(0.1), lambda: nn.LeakyReLU(0.2))
    return address and _claim(address, "negative_slope 0.1 → 0.2")


@edit(prepares=True)
def softmax_dim(one, two, called):
    address = _behind_head(one, two, called, lambda: nn.Softmax(-1), lambda: nn.Softmax(0))
    return address and _claim(address, "dim -1 → 0")


@edit()
def norm_eps(one, two, called):
    def change(norm: Any) -> None:
        norm.eps = 0.125

    found = ((address, norm) for address, norm in modules(one, called, *_NORMS) if type(norm) in _NORMS)
    address = _with(one, two, found, change)
    return address and _claim(address, "eps", "→ 0.125")


@edit(prepares=True)
def times_three(one, two, called):
    address = _at_activation(one, two, called, lambda: Step(lambda x: x * 2), lambda: Step(lambda x: x * 3))
    return address and _claim(address, "other 2 → 3")


@edit(prepares=True)
def mean_dim(one, two, called):
    before, after = (lambda: Step(lambda x: x.mean(-1, True))), (lambda: Step(lambda x: x.mean(1, True)))
    address = _behind_head(one, two, called, before, after)
    return address and _claim(address, "dim -1 → 1", most=4)


@edit(prepares=True)
def reshape_target(one, two, called):
    before, after = (
        (lambda: Step(lambda x: x.reshape(-1, 1, 1))),
        (lambda: Step(lambda x: x.reshape(1, -1, 1))),
    )
    address = _behind_head(one, two, called, before, after)
    return address and _claim(address, "shape[0] -1 → 1, shape[1] 1 → -1", most=4)


@edit(prepares=True)
def slice_other_end(one, two, called):
    before, after = (lambda: Step(lambda x: x[:, :3])), (lambda: Step(lambda x: x[:, 3:]))
    address = _behind_head(one, two, called, before, after)
    return address and _claim(address, "[:, :3] → [:, 3:]", most=4)


@edit(prepares=True)
def weights_untied(one, two, called):
    found: dict[tuple[type, torch.Size], str] = {}
    for address, module in modules(one, called, nn.Linear, nn.Conv2d, nn.Conv3d):
        key = type(module), module.weight.shape
        if key in found:
            module.weight = one.get_submodule(found[key]).weight
            other = found[key].rpartition(".")[2]
            return _claim(address, "weight untied from", f".{other}.weight|{other}.weight")
        found[key] = address
    return None


@edit(prepares=True)
def weights_tied(one, two, called):
    claim = weights_untied(two, one, called)
    if claim is None:
        return None
    return Claim(address=claim.address, says=(claim.says[0], "weight tied to", claim.says[2]), most=1)


@edit(prepares=True)
def dropout_p(one, two, called):
    address = next((address for address, _ in modules(one, called, nn.Dropout)), None)
    if address is None:
        address = _behind_head(one, two, called, lambda: nn.Dropout(0.25), lambda: nn.Dropout(0.125))
        return address and _claim(address, "p 0.25 → 0.125")
    two.get_submodule(address).p = 0.125
    return _claim(address, "p", "→ 0.125")


@edit(inputs=lambda given: [torch.cat([one, one[..., :32]], -1) for one in given], classes=("shape",))
def input_size(one, two, called):
    return Claim(says=("input", "f32[", "→ f32["), effect=SHAPE, most=2)


@edit()
def module_renamed(one, two, called):
    """A module that is an attribute, or in a Sequential: whoever calls it does so by the new name."""
    for address in dict.fromkeys(called):
        parent, _, name = address.rpartition(".")
        if not name or f"{parent}.renamed" in called:
            continue
        owner = two.get_submodule(parent)
        inside = [a for a, m in owner.named_modules() if a and getattr(owner, name, None) is m]
        if isinstance(owner, nn.ModuleList | nn.ModuleDict) or inside != [name]:
            continue
        if not isinstance(owner, nn.Sequential):
            namespace = {name: property(lambda self: self._modules["renamed"])}
            owner.__class__ = type(type(owner).__name__, (type(owner),), namespace)
        items = [("renamed" if key == name else key, module) for key, module in owner._modules.items()]
        owner._modules = OrderedDict(items)
        return Claim(address=parent, says=(f"{name} renamed to renamed",))
    return None


@edit()
def module_nested(one, two, called):
    for address, module in one.named_modules():
        if address in called and not isinstance(module, nn.Sequential) and "." in address:
            parent = one.get_submodule(address.rpartition(".")[0])
            if isinstance(parent, nn.MultiheadAttention | nn.ModuleList):
                continue
            put(two, address, nn.Sequential(two.get_submodule(address)))
            return _claim(address, "wrapped", f"→ Sequential(0: {type(module).__name__})")
    return None


@edit()
def module_nested_with_dropout(one, two, called):
    for address, module in one.named_modules():
        if address in called and isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            put(two, address, nn.Sequential(two.get_submodule(address), nn.Dropout(0.25)))
            return _claim(address, "wrapped", "Sequential", "Dropout", most=2)
    return None


@edit(prepares=True)
def operand_order(one, two, called):
    before, after = (lambda: Step(lambda x: x.relu() - x)), (lambda: Step(lambda x: x - x.relu()))
    address = _at_activation(one, two, called, before, after)
    return address and Claim(address=address, says=("sub", "inputs 0 and 1 swapped"), most=1)


@edit()
def activation_replaced(one, two, called):
    for address, module in modules(one, called, *_ACTIVATIONS):
        new = nn.GELU() if not isinstance(module, nn.GELU) else nn.ReLU()
        # one module called at several places is replaced at all of them
        count = list(called).count(address)
        put(two, address, new)
        return _claim(address, type(module).__name__, "→", type(new).__name__, most=count)
    return None


@edit(inputs=lambda given: [one.double() for one in given], classes=("shape",))
def float_to_double(one, two, called):
    two.double()
    # ops that read nothing but parameters say so each
    return Claim(says=("input", "→ f64["), effect=SHAPE, most=16)


@edit(prepares=True)
def zeros_to_ones(one, two, called):
    def made(function: Any) -> Callable[[], nn.Module]:
        return lambda: Step(lambda x: x + function(1, device=x.device))

    address = _at_activation(one, two, called, made(torch.zeros), made(torch.ones))
    return address and Claim(address=address, says=("zeros", "→", "ones"), most=1)


@edit(prepares=True)
def branch_detached(one, two, called):
    """What goes around a block is cut: the sum is of one thing twice."""
    before, after = (
        (lambda: Step(lambda x: x.tanh() + x)),
        (lambda: Step(lambda x: (lambda y: y + y)(x.tanh()))),
    )
    address = _at_activation(one, two, called, before, after)
    return address and Claim(address=address, says=("add", "input 1 is tanh"), most=1)


# -- and what must not fail --------------------------------------------------------------------------


class Halves(nn.Module):
    """Two branches, in either order."""

    def __init__(self, is_left_first: bool) -> None:
        super().__init__()
        self.left, self.right = nn.Tanh(), nn.Sequential(nn.ReLU(), nn.Sigmoid())
        self.is_left_first = is_left_first

    def forward(self, x: Tensor) -> Tensor:
        if self.is_left_first:
            left, right = self.left(x), self.right(x)
        else:
            right, left = self.right(x), self.left(x)
        return left - right


@edit(classes=("order",), prepares=True)
def branches_in_another_order(one, two, called):
    address = _at_activation(one, two, called, lambda: Halves(True), lambda: Halves(False))
    return address and Claim(address=address, says=("↕", "left|right"), effect="order", most=2)


@edit(classes=("order",))
def shortcut_first(one, two, called):
    """A residual block computes its shortcut before the rest."""

    def forward(self: Any, x: Tensor) -> Tensor:
        shortcut = self.downsample(x)
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if hasattr(self, "conv3"):
            y = self.bn3(self.conv3(self.relu(y)))
        y += shortcut
        return self.relu(y)

    for address, module in two.named_modules():
        if (
            type(module).__name__ in ("BasicBlock", "Bottleneck")
            and address in called
            and module.downsample
        ):
            if isinstance(getattr(module, "conv1", None), nn.Conv2d):
                module.forward = types.MethodType(forward, module)
                return Claim(address=address, says=("↕", "downsample"), effect="order", most=1)
    return None


# -- running them ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """Graphs before and after, and what is to be said."""

    before: Snapshot
    after: Snapshot
    claim: Claim
    #: How often the most called of the modules that the claim names is called: each call may have a line.
    calls: int


def edited(edit: Edit, model: nn.Module, inputs: Inputs, called: Sequence[str]) -> Edited | None:
    """The graphs of a model and its edited copy; None where it has no place for the edit, or does not run then."""
    one, two = copy.deepcopy(model) if edit.prepares else model, copy.deepcopy(model)
    claim = edit.change(one, two, called)
    if not claim:
        return None
    try:
        before = take_snapshot(traced(one.eval(), inputs))
        after = take_snapshot(traced(two.eval(), edit.inputs(inputs)))
    except (RuntimeError, ValueError, AssertionError):  # sizes do not fit any more
        return None
    named = [claim.address, f"{claim.address}.{claim.says[0]}".strip(".")]
    calls = max(1, *map(list(called).count, named))
    return Edited(before=before, after=after, claim=claim, calls=calls)


def judged(edit: Edit, model: str, graphs: Edited) -> tuple[list[str], GraphDiff]:
    """What is wrong with the diff of an edited model."""
    claim = replace(graphs.claim, most=graphs.claim.most * graphs.calls)
    wrong, diff = matrix.judged(graphs.before, graphs.after, [claim])
    if model in SIZES_IN_PYTHON and edit.name in ("conv_stride", "input_size"):
        # what the model computes from sizes changes too, and that is no consequence that could be seen
        return [one for one in wrong if "changes, more than" not in one], diff
    if diff.classes - edit.classes - ({"shape"} if "breaking" in edit.classes else set()):
        wrong.append(f"classes {sorted(diff.classes)}, not {sorted(edit.classes)}")
    return wrong, diff


def verdict(
    edit: Edit, name: str, model: nn.Module, inputs: Inputs, called: Sequence[str]
) -> Verdict | None:
    """What comes of one edit of one model; None where it has no place for it."""
    graphs = edited(edit, model, inputs, called)
    if graphs is None:
        return None
    start = time.thread_time()
    wrong, diff = judged(edit, name, graphs)
    what = f"@ {graphs.claim.address or 'model'}: {' .. '.join(graphs.claim.says)}"
    seconds = time.thread_time() - start
    return Verdict(
        mutation=edit.name, model=name, what=what, wrong=tuple(wrong), text=str(diff), seconds=seconds
    )
