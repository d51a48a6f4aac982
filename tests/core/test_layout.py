"""The layout of the sources: imports go down one ladder, torch's private names stand in one file."""

import ast
import inspect
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import torchlens_core as tl
from torchlens_core.functions import FACTS, Role

#: Each module imports only from those above it.
LADDER = """
    errors garbage changes internals specs structure sites memory randomness composites names settings writes functions
    nodes places selection saving provenance origins intercept ledger opaque recorder recording snapshot.naming
    snapshot.outline snapshot.wording snapshot.spelling snapshot.draft snapshot.rolling snapshot.frames
    snapshot.build snapshot.text snapshot.reading snapshot.parse snapshot.snapshot snapshot.fingerprint snapshot
    graph printed entry entries lookup draw.sheet draw.skips draw.placing.layout draw.placing.knots
    draw.placing.graphviz draw.placing.levels draw.placing.rows draw.placing.columns draw.placing.ports
    draw.placing.ranks draw.placing.worker draw.placing.engines draw.placing draw.painting.metrics
    draw.painting.colors draw.painting.themes draw.painting.bezier draw.painting.shapes draw.painting.paint
    draw.painting.glyphs draw.painting.svg draw.painting.png draw.painting.pdf draw.painting.silhouette
    draw.painting draw.words draw.tree draw.walks draw.of_history draw.of_outline draw.backward draw.part
    draw.overrides draw.values draw.folding draw.opening draw.composing draw.model_explorer draw.pictures draw.album
    draw.display draw history assemble inputs shadow kernels hooks threads witness trace compare state replay
    report perturbation trial sweep checks.places checks.repeat checks.transparency checks.replay
    checks.completeness checks.modules checks.edges checks.hidden checks.dependence checks validate diff.sequence
    diff.units diff.unrolled diff.fingerprints diff.matching diff.titles diff.found diff.flow diff.edges
    diff.attributes diff.ops diff.bodies diff.address diff.alignment diff.graph_diff diff.union diff __init__
""".split()

PACKAGE = "torchlens_core"
ROOT = Path(tl.__file__).parent
MAX_LINES, MAX_FUNCTION_LINES = 500, 70

#: Underscored names that are public all the same: named tuples, and `sys._getframe`.
PUBLIC_UNDERSCORES = {"_fields", "_replace", "_make", "_getframe"}
#: What entries know of themselves, read by the modules that look things up in them and print them.
SHARED = {"_node", "_history"}
#: Runs in a process of its own, which imports nothing else.
IMPORTS_INSIDE = {"draw.placing.worker"}


def _name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


SOURCES = {_name(path): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(text) for name, text in SOURCES.items()}


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def walk(tree: ast.AST):
    """Every node but those under TYPE_CHECKING."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if not is_for_types(child):
            yield from walk(child)


def imported(tree: ast.AST) -> list[str]:
    """Full names of what is imported: ``torch.nn``, ``torchlens_core.memory.Region``."""
    names = []
    for node in walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names]
    return names


def climbs(name: str, tree: ast.AST) -> list[str]:
    """Imports of ``name`` that do not go down the ladder."""
    own = [full.split(".")[1:] for full in imported(tree) if full.split(".")[0] == PACKAGE]
    found = []
    for parts in own:
        # a module of a folder counts as the folder where it is no rung itself
        target = next((t for t in (".".join(parts[:n]) for n in (3, 2, 1)) if t in LADDER), "__init__")
        if LADDER.index(target) >= LADDER.index(name):
            found.append(target)
    return found


def private_names(tree: ast.AST) -> set[str]:
    """Underscored names that are imported, or asked of objects that are not the module's own."""
    asked = set()
    for node in walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) != "self":
            asked.add(node.attr)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ASKING:
            asked |= {
                a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)
            }
    paths = {part for full in imported(tree) for part in full.split(".")}
    names = (asked - own_names(tree) - SHARED) | paths
    return {name for name in names if name[:1] == "_" and name[:2] != "__"} - PUBLIC_UNDERSCORES


#: Functions that take the name of an attribute.
ASKING = {"getattr", "hasattr", "setattr", "attrgetter", "methodcaller"}


def own_names(tree: ast.AST) -> set[str]:
    """Attributes that a module gives its own objects: methods, fields, slots, what it assigns."""
    found = set()
    for node in walk(tree):
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr if isinstance(node, ast.Attribute) else node.id)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__":
            found |= set(ast.literal_eval(node.value))
    return found


def lines_of_code(function: ast.AST) -> int:
    """Lines of a function without its docstring."""
    first = function.body[0]
    is_documented = ast.get_docstring(function) is not None
    return function.end_lineno - function.lineno + 1 - is_documented * (first.end_lineno - first.lineno + 1)


def long_functions(tree: ast.AST) -> list[str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return [n.name for n in walk(tree) if isinstance(n, kinds) and lines_of_code(n) > MAX_FUNCTION_LINES]


def imports_inside(tree: ast.AST) -> list[str]:
    """What functions import when they run."""
    functions = [node for node in walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda)]
    return [name for function in functions for name in imported(function)]


@pytest.fixture(params=SOURCES)
def module(request):
    return request.param


# -- the ladder --------------------------------------------------------------------------------------


def test_the_ladder_names_every_module_once():
    assert sorted(SOURCES) == sorted(LADDER)


def test_imports_go_down_the_ladder(module):
    assert climbs(module, TREES[module]) == []


@pytest.mark.parametrize(
    "line",
    [
        "from torchlens_core.recorder import Recorder",
        "from torchlens_core import saving, structure",
        "import torchlens_core.trace",
        "from torchlens_core import log_forward_pass",
        "from torchlens_core.draw.pictures import Picture",
        "def f():\n    from torchlens_core.history import ModelHistory",
        "from torchlens_core.memory import Region",  # itself
    ],
)
def test_an_import_that_climbs_is_caught(line):
    assert len(climbs("memory", ast.parse(line))) == 1


def test_imports_for_types_are_free():
    text = "if TYPE_CHECKING:\n    from torchlens_core.history import ModelHistory"
    assert climbs("memory", ast.parse(text)) == []


def test_no_relative_imports(module):
    assert [name for name in imported(TREES[module]) if name[0] == "."] == []


def test_no_imports_inside_functions(module):
    assert imports_inside(TREES[module]) == [] or module in IMPORTS_INSIDE


def test_an_import_inside_a_function_is_caught():
    assert imports_inside(ast.parse("def f():\n    if x:\n        import sys")) == ["sys"]


def test_knows_nothing_of_pytest(module):
    roots = {name.split(".")[0] for name in imported(TREES[module])}
    assert not roots & {"pytest", "_pytest", "pluggy", "pytest_torchlens", "model_suite"}


# -- torch's private names ---------------------------------------------------------------------------


def test_private_names_of_torch_stand_in_internals(module):
    if module == "internals":
        assert "_C" in private_names(TREES[module])
        return
    assert private_names(TREES[module]) == set()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import torch\ndepth = torch._C._len()", "_C"),
        ("from torch._ops import OpOverload", "_ops"),
        ("import torch._dynamo", "_dynamo"),
        ("from torch.utils import _pytree", "_pytree"),
        ("for child in module._modules: pass", "_modules"),
        ("read = attrgetter('_version')", "_version"),
        ("getattr(tensor, '_base', None)", "_base"),
    ],
)
def test_a_private_name_is_caught(line, name):
    assert name in private_names(ast.parse(line))


def test_own_private_names_are_free():
    text = "class A:\n    def __init__(self, b):\n        self._x = b._fields\n"
    assert private_names(ast.parse(text)) == set()


# -- size --------------------------------------------------------------------------------------------


def test_files_are_short(module):
    assert len(SOURCES[module].splitlines()) < MAX_LINES


def test_functions_are_short(module):
    assert long_functions(TREES[module]) == []


def test_a_long_function_is_caught():
    body = "\n".join(["    x = 1"] * (MAX_FUNCTION_LINES + 1))
    assert long_functions(ast.parse(f"def f():\n{body}")) == ["f"]
    documented = 'def f():\n    """' + "\n" * MAX_FUNCTION_LINES + '    """\n    x = 1'
    assert long_functions(ast.parse(documented)) == []


# -- history computes nothing ------------------------------------------------------------------------


def torch_calls(tree: ast.AST) -> list[str]:
    """Calls of names that come from torch."""
    aliases = {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if (node.module if isinstance(node, ast.ImportFrom) else alias.name).split(".")[0] == "torch"
    }
    calls = [ast.unparse(node.func) for node in walk(tree) if isinstance(node, ast.Call)]
    return [call for call in calls if call.split(".")[0] in aliases]


class Ops(TorchFunctionMode):
    """The names of calls that compute."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if FACTS[func].role is not Role.PASS:
            self.names.append(FACTS[func].name)
        return func(*args, **(kwargs or {}))


def test_history_names_no_torch_function():
    assert torch_calls(TREES["history"]) == []
    tree = ast.parse(textwrap.dedent(inspect.getsource(test_history_computes_nothing)))
    tree.body.insert(0, ast.parse("import torch").body[0])
    assert torch_calls(tree) == ["torch.rand"]


def test_history_computes_nothing():
    history = tl.log_forward_pass(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), torch.rand(3, 2))
    names = [name for name, value in vars(type(history)).items() if not callable(value) and name[0] != "_"]
    with Ops() as ops:
        for name in names:
            getattr(history, name)
    assert len(names) > 30
    assert ops.names == []
    with Ops() as ops:
        assert history[1].tensor_contents.sum()
    assert ops.names == ["sum", "bool"]
