"""Torch's private names: each is there, and does what is said of it. A new release shows here what changed."""

import ast
import importlib
import inspect
import sys
import types
import weakref

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.overrides import TorchFunctionMode

from torchlens_core import internals
from torchlens_core.errors import UnsupportedTorchError

#: Private names that are asked of objects, not of modules or classes of torch.
OF_OBJECTS = {
    "_cdata": lambda: torch.zeros(1).untyped_storage(),
    "_weak_ref": lambda: torch.zeros(1).untyped_storage(),
    "_version": lambda: torch.zeros(1),
    "_use_count": lambda: torch.zeros(1),
    "_modules": nn.Identity,
    "_parameters": nn.Identity,
    "_buffers": nn.Identity,
    "_forward_pre_hooks": nn.Identity,
    "_current_level": lambda: torch.autograd.forward_ad,
    "_schema": lambda: torch.ops.aten.add.Tensor,
    "_name": lambda: torch.ops.higher_order.cond,
    "_set_stance": lambda: importlib.import_module("torch._dynamo.eval_frame"),
}


class Heard(TorchFunctionMode):
    """The functions that a mode is told of."""

    def __init__(self):
        super().__init__()
        self.functions = []
        self.was_on = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.functions.append(func)
        self.was_on.append(internals.is_function_mode_on())
        return func(*args, **(kwargs or {}))


class Sub(Tensor):
    """A subclass that counts what it is told of."""

    heard = 0

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.heard += 1
        return super().__torch_function__(func, types, args, kwargs)


# -- every name is there -----------------------------------------------------------------------------


def private_paths(source: str) -> list[str]:
    """Dotted names of torch with a private part, and private names asked of objects."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            text = ast.unparse(node)
            root = text.split(".")[0]
            if root in ("torch", "nn", "Tensor") and "._" in text:
                found.add(text)
            elif node.attr[0] == "_" and node.attr[1] != "_" and root != "self":
                found.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and "torch._" in str(node.module):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("attrgetter", "methodcaller"):
            found |= {node.args[0].value}
    return sorted(found)


def exists(path: str) -> bool:
    """Whether a name of `private_paths` is in the installed torch."""
    head, *rest = path.split(".")
    if not rest:
        return hasattr(OF_OBJECTS[head](), head)
    found = {"torch": torch, "nn": nn, "Tensor": Tensor}[head]
    for number, name in enumerate(rest, 1):
        if not hasattr(found, name) and isinstance(found, types.ModuleType):
            try:
                importlib.import_module(".".join([head, *rest[:number]]))
            except ImportError:
                return False
        if not hasattr(found, name):
            return False
        found = getattr(found, name)
    return True


PATHS = private_paths(inspect.getsource(internals))


@pytest.mark.parametrize("path", PATHS)
def test_the_name_is_there(path):
    assert exists(path)


def test_a_name_that_went_is_noticed():
    source = "def f(t):\n    return torch._C._went(torch._gone.x, t._version)"
    assert {path: exists(path) for path in private_paths(source) if path != "torch._C"} == {
        "_version": True,
        "torch._C._went": False,
        "torch._gone": False,
        "torch._gone.x": False,
    }
    assert len(PATHS) > 15


# -- memory ------------------------------------------------------------------------------------------


def test_views_share_a_storage_key():
    x = torch.zeros(4)
    assert internals.storage_key(x) == internals.storage_key(x[2:]) == internals.storage_key(x.detach())
    assert internals.storage_key(x) != internals.storage_key(x.clone())
    assert internals.storage_key(x) == internals.address_of(x.untyped_storage()) != internals.NO_STORAGE


@pytest.mark.parametrize(
    "tensor",
    [
        lambda: torch.eye(2).to_sparse(),
        lambda: torch.eye(2).to_sparse_csr(),
        lambda: nn.LazyLinear(2).weight,
    ],
    ids=["sparse", "csr", "lazy"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_has_no_bytes_has_no_storage_key(tensor):
    assert internals.storage_key(tensor()) == internals.NO_STORAGE


def _addresses(count: int) -> set[int]:
    made = [torch.zeros(1) for _ in range(count)]
    return {internals.storage_key(tensor) for tensor in made}


def test_a_held_address_is_not_used_again():
    tensor = torch.zeros(1)
    address = internals.hold_address(tensor.untyped_storage())
    assert address == internals.storage_key(tensor)
    del tensor
    assert torch.UntypedStorage._expired(address)  # its bytes are gone
    assert address not in _addresses(2000)
    internals.release_addresses([address])
    assert address in _addresses(2000)


def test_versions_count_writes_through_every_alias():
    x = torch.zeros(4)
    assert internals.read_version(x) == 0
    x[:2].add_(1)
    x.detach().mul_(2)
    assert internals.read_version(x) == internals.version(x) == 2
    x.data.mul_(2)  # the one alias with a count of its own
    assert internals.read_version(x) == 2


def test_inference_tensors_have_no_version():
    with torch.inference_mode():
        x = torch.zeros(1)
    with pytest.raises(RuntimeError, match="version"):
        internals.read_version(x)
    assert internals.version(x) is None
    y = torch.zeros(1).add_(1)
    assert internals.versions([x, y, 3]) == [None, 1, None]
    assert internals.versions([y, y]) == [1, 1]


def test_what_torch_holds_counts_as_one_reference():
    x = torch.rand(2, requires_grad=True) * 1
    alone = sys.getrefcount(x)
    assert not internals.is_held_by_torch(x)
    view = x.view(1, 2)
    assert internals.is_held_by_torch(x)
    square = x * x  # autograd keeps it, twice
    assert internals.is_held_by_torch(x)
    assert sys.getrefcount(x) == alone + 1
    del view, square
    assert not internals.is_held_by_torch(x)
    assert sys.getrefcount(x) == alone


# -- modes -------------------------------------------------------------------------------------------


def test_without_torch_function_nobody_hears():
    x = torch.zeros(1).as_subclass(Sub)
    Sub.heard = 0
    with Heard() as mode:
        with internals.WithoutTorchFunction():
            x.add(1)
        assert (mode.functions, Sub.heard) == ([], 0)
        with torch._C.DisableTorchFunctionSubclass():
            x.add(1)
        assert (len(mode.functions), Sub.heard) == (1, 0)
        x.add(1)
        assert (len(mode.functions), Sub.heard) == (2, 1)


def test_depth_of_function_modes():
    assert internals.function_mode_depth() == 0
    with Heard(), Heard():
        assert internals.function_mode_depth() == 2
    assert internals.function_mode_depth() == 0


def test_a_mode_is_off_while_it_handles_a_call():
    assert not internals.is_function_mode_on()
    with Heard() as mode:
        assert internals.is_function_mode_on()
        torch.zeros(1)
    assert mode.was_on == [False]


def test_any_autocast():
    assert not internals.is_any_autocast_enabled()
    with torch.autocast("cpu", torch.bfloat16):
        assert internals.is_any_autocast_enabled()


FLAGS = [*internals.KERNEL_FLAGS, *internals.ATTENTION_FLAGS]


def test_all_flags_are_there():
    assert (len(internals.KERNEL_FLAGS), len(internals.ATTENTION_FLAGS)) == (6, 2)


def test_flags_that_went_are_left_out():
    kept = ("_get_cudnn_enabled", "_set_cudnn_enabled")
    gone = {"reader": ("_gone", kept[1]), "writer": (kept[0], "_gone"), "kept": kept}
    assert [name for name, _, _ in internals._flags(gone)] == ["kept"]


@pytest.mark.parametrize(("name", "read", "write"), FLAGS, ids=[name for name, _, _ in FLAGS])
def test_flags_are_read_and_written(name, read, write):
    before = read()
    other = not before if isinstance(before, bool) else before[::-1]
    try:
        write(other)
        assert read() == other
    finally:
        write(before)
    assert read() == before


@pytest.mark.parametrize(
    ("number", "owner", "name"),
    [
        (0, "mkldnn", "enabled"),
        (1, "mkldnn", "deterministic"),
        (2, "cudnn", "enabled"),
        (3, "cudnn", "benchmark"),
        (4, "cudnn", "deterministic"),
        (5, "cudnn", "allow_tf32"),
    ],
)
def test_flags_are_what_torch_shows(number, owner, name):
    _, read, write = internals.KERNEL_FLAGS[number]
    before = read()
    try:
        for value in (True, False):
            write(value)
            assert getattr(getattr(torch.backends, owner), name) is value
    finally:
        write(before)


def test_flags_are_written_where_global_flags_are_disabled(monkeypatch):
    facts = torch.backends.flags_frozen.__globals__
    monkeypatch.setitem(facts, "__allow_nonbracketed_mutation_flag", False)
    with pytest.raises(RuntimeError, match="disable_global_flags"):
        torch.backends.cudnn.enabled = False
    _, read, write = internals.KERNEL_FLAGS[2]
    write(read())


def test_attention_flags_are_what_sdpa_kernel_sets():
    first, *others = torch.nn.attention.SDPBackend.MATH, torch.nn.attention.SDPBackend.EFFICIENT_ATTENTION
    (_, is_other, _), (_, order, _) = internals.ATTENTION_FLAGS
    before = is_other(), order()
    with torch.nn.attention.sdpa_kernel([first, *others], set_priority=True):
        assert not is_other()
        assert order()[:2] == [int(first), *map(int, others)]
    assert (is_other(), order()) == before


def test_holders_of_hooks():
    """Each way to register a hook puts it into some of them, and into nothing else."""
    module, before = nn.ReLU(), {}
    for register in (
        *(module.register_forward_hook, module.register_forward_pre_hook),
        *(module.register_full_backward_hook, module.register_full_backward_pre_hook),
        *(module.register_state_dict_post_hook, module.register_state_dict_pre_hook),
        *(module.register_load_state_dict_pre_hook, module.register_load_state_dict_post_hook),
    ):
        before = {name: dict(held) for name, held in vars(module).items() if isinstance(held, dict)}
        register(lambda *_: None)
        after = {name: dict(held) for name, held in vars(module).items() if isinstance(held, dict)}
        changed = {name for name in after if after[name] != before[name]}
        assert changed
        assert changed <= internals.HOOK_HOLDERS
    assert not internals.HOOK_HOLDERS & internals.MODULE_HOLDERS


def test_without_dispatch_modes_tensors_are_real():
    with FakeTensorMode():
        assert type(torch.zeros(1)) is not Tensor
        with internals.without_dispatch_modes():
            assert type(torch.zeros(1)) is Tensor
        assert type(torch.zeros(1)) is not Tensor
    with internals.without_dispatch_modes():
        assert type(torch.zeros(1)) is Tensor


# -- functorch ---------------------------------------------------------------------------------------


def test_tensors_of_transforms():
    seen = []

    def inner(row):
        seen.append((internals.is_transformed(row), internals.transform_depth()))
        plain = internals.untransformed(row)
        seen.append((internals.is_transformed(plain), plain.shape))
        return row.sum()

    x = torch.rand(2, 3)
    torch.vmap(torch.func.grad(inner))(x)
    assert seen == [(True, 2), (False, (2, 3))]
    assert not internals.is_transformed(x)
    assert internals.untransformed(x) is x
    assert internals.transform_depth() == 0


def test_levels_of_forward_mode_count_as_transforms():
    with torch.autograd.forward_ad.dual_level():
        assert internals.transform_depth() == 1
    assert internals.transform_depth() == 0


# -- higher-order ops, TorchScript -------------------------------------------------------------------


def test_dense_flex_attention():
    module = importlib.import_module("torch._higher_order_ops.flex_attention")
    assert callable(module.sdpa_dense)
    assert list(inspect.signature(module.sdpa_dense).parameters)[:4] == [
        "query",
        "key",
        "value",
        "score_mod",
    ]


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_script_callables():
    scripted = torch.jit.trace(torch.neg, torch.zeros(1), check_trace=False)
    assert isinstance(scripted, internals.script_callables())
    assert len(internals.script_callables()) == 2
    assert all("__call__" in dir(kind) for kind in internals.script_callables())


def _scripts_writing(x):
    return (x * 2).add_(1)


def _scripts_plain(x):
    return x * 2 + 1


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_script_code_that_writes():
    traced = [torch.jit.trace(f, torch.zeros(1)) for f in (_scripts_writing, _scripts_plain)]
    assert [internals.script_writes(one) for one in traced] == [True, False]
    assert internals.script_writes(object())


# -- what no mode sees -------------------------------------------------------------------------------


def _set_part(name: str):
    z, ones = torch.zeros(2, dtype=torch.complex64), torch.ones(2)
    with Heard() as mode:
        setattr(z, name, ones)
    return mode.functions, getattr(z, name)


@pytest.mark.parametrize("name", internals.UNSEEN_SETTERS)
def test_no_mode_sees_these_setters(name):
    heard, part = _set_part(name)
    assert part.tolist() == [1, 1]
    assert heard == []


@pytest.mark.parametrize("name", internals.UNSEEN_METHODS)
def test_no_mode_sees_these_methods(name):
    x, other = torch.zeros(2), torch.ones(3)
    with Heard() as mode:
        getattr(x, name)(other)
    assert x.data_ptr() == other.data_ptr()
    assert mode.functions == []


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("owner", "name"), internals.UNSEEN_FUNCTIONS)
def test_no_mode_sees_these_functions(owner, name):
    row = torch.ones(2)
    with Heard() as mode:
        made = getattr(owner, name)([row])
    assert made.is_nested
    assert mode.functions == []


def test_a_mode_sees_the_setter_of_data():
    x = torch.zeros(2)
    with Heard() as mode:
        x.data = torch.ones(2)
    assert Tensor.data.__set__ in mode.functions


def test_descriptors_behind_tensors_work():
    z = torch.zeros(2, dtype=torch.complex64)
    internals.attribute_of_tensors("imag").__set__(z, torch.ones(2))
    assert z.imag.tolist() == [1, 1]
    x = torch.zeros(4)
    look = internals.set_memory(torch.empty(0), x.untyped_storage(), 1, (2,), (1,))
    assert look.data_ptr() == x[1:].data_ptr()


# -- compiled code -----------------------------------------------------------------------------------


def _stance() -> str:
    return sys.modules["torch._dynamo.eval_frame"]._stance.stance


def test_the_stance_is_set_and_set_back():
    importlib.import_module("torch._dynamo.eval_frame")
    forced = internals.ForcedEager()
    before = _stance()
    forced.open()
    assert _stance() == "force_eager" != before
    forced.close()
    assert _stance() == before
    forced.close()  # once more changes nothing


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """A stand-in for torch's compiler that nobody has imported yet."""
    (tmp_path / "stand_in_compiler.py").write_text(
        "stances = ['default']\n"
        "def DynamoStance(name):\n    return name\n"
        "def _set_stance(new):\n    stances.append(new)\n    return stances[-2]\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(internals, "_EVAL_FRAME", "stand_in_compiler")
    yield lambda: importlib.import_module("stand_in_compiler").stances
    sys.modules.pop("stand_in_compiler", None)


def test_the_stance_is_set_when_the_compiler_is_imported_meanwhile(compiler):
    finders = list(sys.meta_path)
    forced = internals.ForcedEager()
    forced.open()
    assert "stand_in_compiler" not in sys.modules
    assert compiler() == ["default", "force_eager"]
    forced.close()
    assert compiler() == ["default", "force_eager", "default"]
    assert sys.meta_path == finders


def test_no_stance_if_the_compiler_is_never_imported(compiler):
    finders = list(sys.meta_path)
    forced = internals.ForcedEager()
    forced.open()
    assert sys.meta_path != finders
    forced.close()
    assert sys.meta_path == finders
    assert compiler() == ["default"]


def test_names_of_operators():
    name = "torchlens_tests_internals::a_custom_operator"
    library = torch.library.Library(name.split("::")[0], "DEF")
    assert "a_custom_operator" not in internals.operator_names()
    library.define("a_custom_operator(Tensor x) -> Tensor")
    assert {"conv2d", "add_", "a_custom_operator"} <= internals.operator_names()
    library._destroy()


# -- modules, autograd -------------------------------------------------------------------------------


def test_parts_of_a_module():
    norm = nn.BatchNorm1d(2)
    model = nn.Sequential(norm, nn.ReLU())
    assert internals.own_modules(model) == dict(model.named_children())
    assert internals.own_parameters(norm) == dict(norm.named_parameters())
    assert internals.own_buffers(norm) == dict(norm.named_buffers())
    assert internals.own_parameters(model) == {}


def test_the_frame_that_calls_forward():
    class Looks(nn.Module):
        def forward(self):
            return sys._getframe(1).f_code

    assert Looks()() is internals.MODULE_CALL_IMPL
    hooked = Looks()
    hooked.register_forward_hook(lambda *_: None)
    callers = [hooked()]
    assert callers[0].co_qualname.startswith(internals.MODULE_CALL_IMPL.co_qualname)


def test_what_stands_between_a_call_and_forward():
    class Called(nn.Identity):
        def __call__(self, x):
            return x

    assert not internals.changes_arguments(nn.Identity())
    assert internals.changes_arguments(Called())
    hooked = nn.Identity()
    handle = hooked.register_forward_pre_hook(lambda module, args: None)
    assert internals.changes_arguments(hooked)
    handle.remove()
    assert not internals.changes_arguments(hooked)
    everywhere = nn.modules.module.register_module_forward_pre_hook(lambda module, args: None)
    assert internals.changes_arguments(hooked)
    everywhere.remove()
    assert not internals.changes_arguments(hooked)


def test_backward_hooks_of_modules_hang_on_one_function():
    model = nn.Identity()
    model.register_full_backward_hook(lambda *_: None)
    result = model(torch.rand(1, requires_grad=True))
    assert internals.grad_fn_name(result) == f"{internals.BACKWARD_HOOKS}Backward"


def test_autograd_nodes_and_their_names():
    x = torch.rand(2, requires_grad=True)
    assert internals.grad_fn_name(x * 2) == "MulBackward0"
    assert internals.grad_fn_of(x) is internals.grad_fn_name(x) is None


def test_autograd_will_not_tell_of_some_views():
    base = torch.rand(2, requires_grad=True) * 1
    with torch.no_grad():
        view = base.view(2)
    base.mul_(2)
    with pytest.raises(RuntimeError, match="no_grad"):
        _ = view.grad_fn
    assert internals.grad_fn_of(view) is internals.grad_fn_name(view) is None


def test_a_negated_view_shares_its_memory():
    x = torch.ones(2)
    view = internals.negated_view(x)
    x.mul_(3)
    assert view.tolist() == [-3, -3]
    assert view.is_neg()


def test_autograd_parents():
    a, b = torch.rand(2, requires_grad=True), torch.rand(2, requires_grad=True)
    c = (a * b).sum()
    (product,) = internals.graph_parents(c.grad_fn)
    assert product.name() == "MulBackward0"
    assert [leaf.variable for leaf in internals.graph_parents(product)] == [a, b]
    assert next(internals.graph_parents((a * 2).grad_fn)).variable is a


def test_storages_are_not_kept_alive_by_their_key():
    x = torch.zeros(1)
    key, alive = internals.storage_key(x), weakref.ref(x)
    del x
    assert alive() is None
    assert key


# -- what recording cannot do without ----------------------------------------------------------------


def test_the_installed_torch_will_do():
    assert internals.require_torch() is None


@pytest.mark.parametrize("name", ["_len_torch_function_stack", "DisableTorchFunction"])
def test_a_torch_that_lacks_something_is_refused(name, monkeypatch):
    monkeypatch.delattr(torch._C, name)
    with pytest.raises(UnsupportedTorchError) as caught:
        internals.require_torch()
    assert str(caught.value) == (
        f"torch {torch.__version__} lacks {name}, on which recording stands. "
        "Expected torch 2.13 or newer: install one with `pip install -U torch`."
    )


def test_all_that_lacks_is_named(monkeypatch):
    monkeypatch.setattr(internals, "Tensor", object)
    monkeypatch.delattr(torch._C, "_len_torch_function_stack")
    with pytest.raises(UnsupportedTorchError, match="lacks _len_torch_function_stack, _version, on which"):
        internals.require_torch()
