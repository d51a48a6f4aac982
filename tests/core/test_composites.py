"""Which Python functions of torch compute in several steps: each is opened, or listed here as one op."""

import ast
import inspect
import textwrap
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType

import pytest
import torch
import torch.nn.functional as F
from models import Of
from torch import Tensor
from torch.overrides import get_overridable_functions

import torchlens_core as tl
from torchlens_core.composites import OPENED, OPENED_HIGHER_ORDER
from torchlens_core.functions import FACTS, Role, public_name

pytestmark = pytest.mark.filterwarnings("ignore")

#: One op although their code makes several calls: what else it does prepares arguments, checks them,
#: chooses among overloads, or scales and reduces what one kernel has computed.
ONE_OP = set(
    """
    affine_grid binary_cross_entropy dropout1d dropout2d dropout3d einsum embedding embedding_bag
    fractional_max_pool2d_with_indices fractional_max_pool3d_with_indices grid_sample huber_loss
    interpolate kl_div l1_loss log_softmax max_pool3d_with_indices max_unpool1d max_unpool2d
    max_unpool3d mse_loss pad smooth_l1_loss softmax unravel_index
    """.split()
)
#: Python dunders and copies: the name says the op.
ONE_OP |= {"rdiv", "deepcopy", "module_load"}
#: Algorithms of many steps that are known by name, and are run again as a whole.
ONE_OP |= {"lobpcg", "pca_lowrank"}

MODULES = ("torch", "torch._tensor", "torch.functional", "torch.nn.functional")
#: Names that parameters without annotation have, if they are tensors.
TENSORS = {"self", "input", "other", "x"}


class Steps:
    """How many computing calls of torch one run of a function makes at most, as its source says."""

    def __init__(self, function: FunctionType):
        (self.tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
        self.globals = function.__globals__
        arguments = [node for node in ast.walk(self.tree) if isinstance(node, ast.arg)]
        self.tensors = {
            node.arg
            for node in arguments
            if ("Tensor" in ast.unparse(node.annotation) if node.annotation else node.arg in TENSORS)
        }

    def count(self) -> int:
        return max(way for way in self.of_block(self.tree.body) if way is not None)

    def of_block(self, body: list[ast.stmt]) -> tuple[int | None, int]:
        """Most steps on a way to the end of ``body`` (None: there is none), and on one that returns."""
        going, returned = 0, 0
        for statement in body:
            if isinstance(statement, ast.Raise):
                return None, returned
            if isinstance(statement, ast.Return):
                return None, max(returned, going + self.of_children(statement))
            if isinstance(statement, ast.If):
                if "has_torch_function" in ast.unparse(statement.test):
                    continue
                ways = [self.of_block(statement.body), self.of_block(statement.orelse)]
                going += self.of_expression(statement.test)
            elif isinstance(statement, ast.For | ast.While | ast.With):
                end, inner = self.of_block(statement.body)
                twice = end if end is None or isinstance(statement, ast.With) else 2 * end
                ways = [(twice, inner)]
            else:
                going += self.of_children(statement)
                self.note_tensors(statement)
                continue
            returned = max(returned, *(going + inner for _, inner in ways))
            ends = [end for end, _ in ways if end is not None]
            if not ends:
                return None, returned
            going += max(ends)
        return going, returned

    def note_tensors(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Assign) and self.is_step(statement.value):
            names = (node for target in statement.targets for node in ast.walk(target))
            self.tensors |= {node.id for node in names if isinstance(node, ast.Name)}

    def of_children(self, node: ast.AST) -> int:
        kinds = ast.expr | ast.comprehension | ast.keyword
        return sum(
            self.of_expression(child) for child in ast.iter_child_nodes(node) if isinstance(child, kinds)
        )

    def of_expression(self, node: ast.AST) -> int:
        if isinstance(node, ast.IfExp):
            arms = max(self.of_expression(node.body), self.of_expression(node.orelse))
            return self.of_expression(node.test) + arms
        runs = 2 if isinstance(node, ast.ListComp | ast.GeneratorExp) else 1
        return self.is_step(node) + runs * self.of_children(node)

    def is_step(self, node: ast.AST) -> bool:
        if isinstance(node, ast.BinOp):
            return self.is_tensor(node.left) or self.is_tensor(node.right)
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
            return False
        if isinstance(node.func, ast.Attribute) and self.is_tensor(node.func.value):
            method = getattr(Tensor, node.func.attr, None)
            return callable(method) and FACTS[method].role is not Role.PASS
        return self.computes(self.target(node.func))

    def is_tensor(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.tensors
        return self.is_tensor(node.value) if isinstance(node, ast.Subscript) else self.is_step(node)

    def target(self, node: ast.expr):
        """What a dotted name stands for."""
        if isinstance(node, ast.Name):
            return self.globals.get(node.id)
        return (
            getattr(self.target(node.value), node.attr, None) if isinstance(node, ast.Attribute) else None
        )

    @staticmethod
    def computes(target) -> bool:
        if not isinstance(target, BuiltinFunctionType | MethodDescriptorType | FunctionType):
            return False
        if isinstance(target, FunctionType) and target.__module__ not in MODULES:
            return False
        name = target.__name__
        is_check = name.startswith(("_verify", "is_", "_set", "_no_grad"))
        return not is_check and target.__module__ != "builtins" and FACTS[target].role is not Role.PASS


def python_functions() -> list[FunctionType]:
    """Every overridable function written in Python that is recorded, the dispatchers of pooling apart."""
    every = dict.fromkeys(f for group in get_overridable_functions().values() for f in group)
    roles = (Role.OP, Role.OPEN)
    return [
        f
        for f in every
        if isinstance(f, FunctionType)
        and FACTS[f].role in roles
        and "boolean_dispatch" not in f.__qualname__
        and f.__module__ != "torch.foreach"
    ]


def steps(function: FunctionType) -> int:
    """How many computing calls of torch one run of ``function`` makes at most; 1 for C functions in a wrapper."""
    if not isinstance(inspect.unwrap(function), FunctionType):
        return 1
    return Steps(function).count()


def test_what_computes_in_several_steps_is_opened_or_listed():
    several = {f for f in python_functions() if steps(f) > 1}
    new = {public_name(f) for f in several - OPENED} - ONE_OP
    assert new == set(), f"new in torch {torch.__version__}: open them in composites.py, or list them here"
    assert len(several) > 30


def test_the_list_names_only_what_computes_in_several_steps():
    assert ONE_OP - {public_name(f) for f in python_functions() if steps(f) > 1} == set()
    assert {public_name(f) for f in OPENED} & ONE_OP == set()


def test_the_table_opens_nothing_that_computes_once():
    assert {public_name(f) for f in OPENED if steps(f) < 1} == set()


def _several(x: Tensor, flag: bool) -> Tensor:
    if flag:
        x = x.exp()
    return torch.log(x) + 1


def _either(x: Tensor, inplace: bool) -> Tensor:
    if torch.overrides.has_torch_function_unary(x):
        return torch.overrides.handle_torch_function(_either, (x,), x.exp().log(), inplace=inplace)
    if x.dim() > 3:
        raise ValueError(f"{x.exp().log()}")
    if inplace:
        return torch.relu_(x)
    return torch.relu(x)


def _looped(x: Tensor) -> Tensor:
    for _ in range(3):
        x = torch.sin(x)
    return x


@pytest.mark.parametrize(("function", "count"), [(_several, 3), (_either, 1), (_looped, 2)])
def test_steps_are_counted(function, count):
    assert steps(function) == count


# -- opened functions --------------------------------------------------------------------------------


def r(*sizes: int) -> Tensor:
    return torch.rand(sizes) + 0.5


CALLS = {
    F.gaussian_nll_loss: lambda: (r(3), r(3), r(3)),
    F.gumbel_softmax: lambda: (r(2, 3),),
    F.local_response_norm: lambda: (r(2, 3, 4), 2),
    F.lp_pool1d: lambda: (r(1, 2, 4), 2.0, 2),
    F.lp_pool2d: lambda: (r(1, 2, 4, 4), 2.0, 2),
    F.lp_pool3d: lambda: (r(1, 2, 4, 4, 4), 2.0, 2),
    F.multi_head_attention_forward: lambda: (
        *(r(3, 1, 4), r(3, 1, 4), r(3, 1, 4), 4, 2, r(12, 4), r(12)),
        *(None, None, False, 0.0, r(4, 4), r(4)),
    ),
    F.multilabel_soft_margin_loss: lambda: (r(2, 3), r(2, 3)),
    F.normalize: lambda: (r(2, 3),),
    F.softmin: lambda: (r(2, 3), 1),
    F.softsign: lambda: (r(3),),
    F.tanhshrink: lambda: (r(3),),
    F.triplet_margin_with_distance_loss: lambda: (r(2, 3), r(2, 3), r(2, 3)),
    torch.stft: lambda: (r(64), 16, None, None, None, True, "reflect", False, None, True),
    Tensor.stft: lambda: (r(64), 16, None, None, None, True, "reflect", False, None, True),
}
if hasattr(F, "linear_cross_entropy"):
    CALLS[F.linear_cross_entropy] = lambda: (r(4, 3), r(5, 3), torch.tensor([0, 1, 2, 3]))


def test_every_opened_function_is_called_here():
    assert set(CALLS) == OPENED


@pytest.mark.parametrize("function", CALLS, ids=lambda f: f"{f.__module__}.{f.__name__}")
def test_opened_functions_are_recorded_as_their_ops(function):
    args = CALLS[function]()
    torch.manual_seed(0)
    expected = function(*args)
    torch.manual_seed(0)
    history = tl.log_forward_pass(Of(function), args)
    name = public_name(function)
    inner = [op for op in history.ops if op.composite]
    assert len(inner) > 1
    assert all(op.composite[0] == name for op in inner)
    assert not any(op.func_applied is function for op in history.ops)
    said = history[history.output_layers[0]].tensor_contents
    assert torch.equal(said, expected[0] if isinstance(expected, tuple) else expected)


def test_a_function_that_is_not_opened_is_one_op():
    history = tl.log_forward_pass(Of(F.mse_loss), (r(3), r(3)))
    assert [op.func_applied_name for op in history.ops] == ["mse_loss"]


@pytest.mark.parametrize("taken", [True, False])
def test_cond_runs_one_branch(taken):
    run = OPENED_HIGHER_ORDER["cond"]
    assert run(torch.tensor(taken), lambda x: x + 1, lambda x: x - 1, (10,)) == (11 if taken else 9)


def test_while_loop_runs_until_its_condition_fails():
    run = OPENED_HIGHER_ORDER["while_loop"]
    assert run(lambda n, limit: n < limit, lambda n, limit: (n + 2,), (0,), (5,)) == (6,)
    assert run(lambda n: False, lambda n: (n + 2,), (0,)) == (0,)


def test_higher_order_ops_of_the_table_exist():
    for name in OPENED_HIGHER_ORDER:
        assert FACTS[getattr(torch.ops.higher_order, name)].body is OPENED_HIGHER_ORDER[name]
