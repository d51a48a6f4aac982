"""Which arguments calls write: what is announced, against the counts and bytes that they change."""

import warnings
from types import FunctionType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import get_overridable_functions

from torchlens_core import internals
from torchlens_core.functions import FACTS, FunctionInfo, Role, describe
from torchlens_core.writes import CHANGES_VIEW, Target, WriteRule, out_targets, tensors_in

pytestmark = pytest.mark.filterwarnings("ignore")


def t(*sizes: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return (torch.rand(sizes) + 0.5).to(dtype)


def i(*sizes: int, dtype: torch.dtype = torch.int64) -> Tensor:
    return torch.zeros(sizes, dtype=dtype)


#: Arguments to try until a function takes them.
ARGUMENTS = [
    lambda: (t(3, 3),),
    lambda: (t(3, 3), t(3, 3)),
    lambda: (t(3, 3), 2),
    lambda: (i(3, 3), 2),
    lambda: (i(3, 3),),
    lambda: (i(3, 3) + 4, i(3, 3) + 6),
    lambda: (t(3, 3), 0, 1),
    lambda: (t(3, 3), t(3, 3), t(3, 3)),
    lambda: (t(3, 3), 0, torch.tensor([0, 1, 2]), t(3, 3)),
    lambda: (t(3, 3), 0, i(3, 3), t(3, 3)),
    lambda: (t(3, 3), 0, torch.tensor([0, 1, 2])),
    lambda: (t(3, 3), 0, i(3, 3)),
    lambda: (t(3, 3), t(3, 3) > 1, t(9)),
    lambda: (t(3, 3), t(3, 3) > 1, 2.0),
    lambda: (t(3, 3), 2, 0, 2.0),
    lambda: (t(3), t(3, 3), t(3)),
    lambda: (t(3, 3), t(3)),
    lambda: (t(3), t(3)),
    lambda: (t(3, 3), t(3), t(3)),
    lambda: (t(1, 3, 3), t(1, 3, 3), t(1, 3, 3)),
    lambda: (t(3, 3), t(1, 3, 3), t(1, 3, 3)),
    lambda: (t(3, 3, dtype=torch.bool), t(3, 3, dtype=torch.bool)),
    lambda: (t(3, 3), 0, torch.tensor([0]), 2.0),
    lambda: (t(3, 3), (torch.tensor([0]),), t(3)),
    lambda: (t(3, 3), 0, i(3, 3), t(3, 3), "sum"),
    lambda: (t(3, 3), 0, torch.tensor([0, 1, 2]), t(3, 3), "prod"),
    lambda: (t(3, 3), (3, 3)),
    lambda: (t(3, 3), (3, 3), (3, 1)),
    lambda: (t(3, 3), i(3, 3), t(3, 3)),
    lambda: (t(3, 3, dtype=torch.float64), 0.5),
    lambda: (t(3, 3), 0.5),
    lambda: (t(3, 3), t(3, 3), lambda a, b: a + b),
    lambda: (t(3, 3), lambda a: a + 1),
    lambda: (t(3, 3), (0,)),
    lambda: (t(3, 3), (1, 2), 0),
    lambda: (t(2, 3, 4),),
    lambda: (t(2, 3, 4, 4),),
    lambda: (t(2, 3, 4, 4), 2),
    lambda: (t(2, 3, 4, 4), t(5, 3, 2, 2)),
    lambda: (t(2, 3, 4), t(5, 3, 2)),
    lambda: (t(2, 3), t(5, 3), t(5)),
    lambda: (t(2, 3, 4, 4), t(3), t(3)),
    lambda: (t(2, 4), 2),
    lambda: (t(2, 3), [3]),
    lambda: (t(4, 3), i(2, 2), t(4, 3)),
    lambda: (i(2, 2), t(4, 3)),
    lambda: ([t(3), t(3)],),
    lambda: ([t(3), t(3)], [t(3), t(3)]),
    lambda: ([t(3), t(3)], [t(3), t(3)], [t(3), t(3)]),
    lambda: ([t(3)], 2.0),
    lambda: (t(3, 3, dtype=torch.complex64),),
    lambda: ("ij,jk->ik", t(3, 3), t(3, 3)),
]

#: Functions that are not called here: they read files, run backward passes, or write what no count tells.
NOT_RUN = {"save", "from_file", "set_", "backward", "deepcopy"}


def functions() -> dict:
    """Functions that are recorded, with their facts: those overridable, once a name and kind, and foreach."""
    every = [f for group in get_overridable_functions().values() for f in group]
    every += [getattr(torch, name) for name in dir(torch) if name.startswith("_foreach_")]
    left_out = (Role.PASS, Role.FLAG, Role.MEMORY)
    found = {}
    for function in every:
        info = FACTS[function]
        if info.role not in left_out and info.name not in NOT_RUN:
            found.setdefault((info.name, isinstance(function, FunctionType)), function)
    return {function: FACTS[function] for function in found.values()}


def call(function) -> tuple[tuple, list[Tensor]] | None:
    """The first arguments that ``function`` takes, and the tensors among them that it wrote."""
    for make in ARGUMENTS:
        torch.default_generator.manual_seed(0)
        args = make()
        watch = Watch(args)
        try:
            if function(*args) is NotImplemented:
                continue
        except Exception:  # these are not its arguments
            continue
        return args, watch.written()
    return None


class Watch:
    """Tensors and what they were: their versions and, since not every write is counted, their contents."""

    def __init__(self, arguments):
        self.tensors = list({id(x): x for x in tensors_in(arguments)}.values())
        self.versions = internals.versions(self.tensors)
        self.contents = [x.clone() for x in self.tensors]

    def written(self) -> list[Tensor]:
        before = zip(self.tensors, self.versions, self.contents, strict=True)
        return [x for x, version, content in before if x._version != version or not torch.equal(x, content)]


def announced(info: FunctionInfo, args: tuple, kwargs: dict | None = None) -> list[Tensor]:
    """What the facts say that a call writes."""
    return [target.tensor for target in info.writes(args, kwargs or {})] if info.writes is not None else []


def same_objects(one: list[Tensor], other: list[Tensor]) -> bool:
    return sorted(map(id, one)) == sorted(map(id, other))


# -- all functions -----------------------------------------------------------------------------------

#: Change how a tensor looks at its memory, which counts as no write, and here nothing.
UNCOUNTED = {"detach_", "resize_as_"}


@pytest.fixture(scope="module")
def calls():
    """``(facts, arguments, what was written)`` for every function that takes some of `ARGUMENTS`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [(info, call(function)) for function, info in functions().items()]
    return [(info, *called) for info, called in found if called is not None]


def test_every_function_writes_what_is_announced(calls):
    wrong = {info.name for info, args, written in calls if not same_objects(written, announced(info, args))}
    assert wrong - UNCOUNTED == set()
    assert wrong >= UNCOUNTED
    assert len(calls) > 650
    assert sum(bool(written) for _, _, written in calls) > 140


def test_a_wrong_rule_is_caught():
    args, written = call(Tensor.add_)
    assert same_objects(written, announced(FACTS[Tensor.add_], args))
    assert not same_objects(written, announced(FACTS[Tensor.add], args))
    every = FunctionInfo(
        name="x", role=Role.OP, writes=WriteRule(lambda a, k: [Target(x, True) for x in a])
    )
    assert not same_objects(written, announced(every, (*args, torch.zeros(1))))


def test_view_changers_change_no_byte(calls):
    names = set()
    for info, args, _ in calls:
        if info.name in CHANGES_VIEW - {"resize_", "resize_as_"}:
            names.add(info.name)
            assert announced(info, args)[0] is args[0]
            fresh = next(make for make in ARGUMENTS if same_shapes(make(), args, info))
            base = fresh()
            memory = base[0].untyped_storage().tolist()
            info.func(*base)
            assert base[0].untyped_storage().tolist() == memory
    assert len(names) > 7


def same_shapes(one: tuple, args: tuple, info: FunctionInfo) -> bool:
    """Whether ``info.func`` takes ``one`` as it took ``args``."""
    try:
        info.func(*one)
    except Exception:
        return False
    return len(one) == len(args)


def test_what_is_said_to_be_overwritten_plays_no_part(calls):
    """Called with other contents of the target, the same comes out."""
    names = set()
    for info, args, written in calls:
        targets = info.writes(args, {}) if info.writes is not None else []
        if not written or not all(target.overwritten and target.part is None for target in targets):
            continue
        names.add(info.name)
        results = []
        for filling in (3, 5):
            for target in targets:
                target.tensor.fill_(filling)
            torch.default_generator.manual_seed(0)
            info.func(*args)
            results.append([target.tensor.clone() for target in targets])
        assert all(map(torch.equal, *results)), info.name
    assert names >= {"copy_", "zero_", "fill_", "normal_", "uniform_", "foreach_copy_", "foreach_zero_"}
    assert "add_" not in names


# -- functions with rules of their own ---------------------------------------------------------------


X, MEAN, VAR, WEIGHT = t(4, 3), t(3), t(3), t(3)
RULES = {
    "batch_norm eval": (F.batch_norm, (X, MEAN, VAR), {}, ()),
    "batch_norm train": (F.batch_norm, (X, MEAN, VAR), {"training": True}, (MEAN, VAR)),
    "batch_norm by position": (F.batch_norm, (X, MEAN, VAR, None, None, True), {}, (MEAN, VAR)),
    "batch_norm by name": (
        F.batch_norm,
        (X,),
        {"running_mean": MEAN, "running_var": VAR, "training": True},
        (MEAN, VAR),
    ),
    "batch_norm without": (F.batch_norm, (X, None, None), {"training": True}, ()),
    "torch.batch_norm": (
        torch.batch_norm,
        (X, None, None, MEAN, VAR, True, 0.1, 1e-5, False),
        {},
        (MEAN, VAR),
    ),
    "torch.batch_norm eval": (
        torch.batch_norm,
        (X, None, None, MEAN, VAR, False, 0.1, 1e-5, False),
        {},
        (),
    ),
    "native_batch_norm": (
        torch.native_batch_norm,
        (X, None, None, MEAN, VAR, True, 0.1, 1e-5),
        {},
        (MEAN, VAR),
    ),
    "instance_norm": (F.instance_norm, (X[None], t(4), t(4)), {}, "12"),
    "instance_norm, no statistics": (F.instance_norm, (X[None],), {}, ()),
    "instance_norm eval": (F.instance_norm, (X[None], t(4), t(4)), {"use_input_stats": False}, ()),
    "embedding": (F.embedding, (i(2), t(4, 3)), {}, ()),
    "embedding renormed": (F.embedding, (i(2), t(4, 3)), {"max_norm": 0.1}, "1"),
    "embedding by position": (F.embedding, (i(2), t(4, 3), None, 0.1), {}, "1"),
    "embedding_bag": (F.embedding_bag, (i(2, 2), t(4, 3)), {}, ()),
    "embedding_bag renormed": (F.embedding_bag, (i(2, 2), t(4, 3)), {"max_norm": 0.1}, "1"),
    "torch.embedding": (torch.embedding, (t(4, 3), i(2)), {}, ()),
    "relu": (F.relu, (X,), {}, ()),
    "relu in place": (F.relu, (X,), {"inplace": True}, (X,)),
    "relu in place by position": (F.relu, (X, True), {}, (X,)),
    "dropout in place": (F.dropout, (X, 0.5, True, True), {}, (X,)),
    "hardtanh in place": (F.hardtanh, (X, -1, 1, True), {}, (X,)),
    "target by name": (torch.relu_, (), {"input": X}, (X,)),
    "foreach": (torch._foreach_add, ([X, WEIGHT], 1), {}, ()),
    "foreach in place": (torch._foreach_add_, ([X, WEIGHT], 1), {}, (X, WEIGHT)),
    "foreach copy": (torch._foreach_copy_, ([X], [X + 1]), {}, (X,)),
    "overload": (torch.ops.aten.add_.Tensor, (X, t(4, 3)), {}, (X,)),
    "overload, not in place": (torch.ops.aten.add.Tensor, (X, X), {}, ()),
    "packet, not in place": (torch.ops.aten.mul, (X, t(4, 3)), {}, ()),
    "packet": (torch.ops.aten.mul_, (X, t(4, 3)), {}, (X,)),
    "assignment": (Tensor.__iadd__, (X, 1), {}, (X,)),
}


@pytest.mark.parametrize("name", RULES)
def test_rules(name):
    function, args, kwargs, expected = RULES[name]
    if isinstance(expected, str):  # positions
        expected = [args[int(position)] for position in expected]
    watch = Watch([*args, *kwargs.values()])
    function(*args, **kwargs)
    written = watch.written()
    assert same_objects(written, list(expected))
    assert same_objects(announced(describe(function), args, kwargs), written)


def test_statistics_do_not_reach_the_result():
    targets = describe(F.batch_norm).writes((X, MEAN, VAR), {"training": True})
    assert [target.apart for target in targets] == [True, True]
    assert [target.overwritten for target in targets] == [False, False]


@pytest.mark.parametrize(
    ("function", "args", "outs"),
    [
        (torch.mul, (X, 2), lambda: torch.empty(4, 3)),
        (torch.max, (X, 1), lambda: (torch.empty(4), torch.empty(4, dtype=torch.int64))),
        (torch.cat, ([X, X],), lambda: torch.empty(8, 3)),
        (torch.arange, (3,), lambda: torch.empty(3, dtype=torch.int64)),
    ],
)
def test_out(function, args, outs):
    out = outs()
    function(*args, out=out)
    targets = out_targets({"out": out})
    assert same_objects([target.tensor for target in targets], tensors_in(out))
    assert all(target.overwritten for target in targets)
    assert all(version > 0 for version in internals.versions(tensors_in(out)))
    assert out_targets({}) == out_targets({"out": None}) == []


def changed_bytes(x: Tensor, change) -> set[int]:
    """The bytes of ``x`` that ``change(x)`` writes: what differs from a sentinel, for two of them."""
    found = set()
    for sentinel in (0x55, 0xAA):
        memory = torch.frombuffer(bytearray([sentinel]) * x.untyped_storage().nbytes(), dtype=torch.uint8)
        x.untyped_storage().copy_(memory.untyped_storage())
        change(x)
        now = x.untyped_storage().tolist()
        found |= {place for place, byte in enumerate(now) if byte != sentinel}
    return found


def bytes_of_part(part) -> set[int]:
    if part.strided is None:
        return set(range(part.start, part.stop))
    sizes, strides, width = part.strided
    starts = {part.start}
    for size, stride in zip(sizes, strides, strict=True):
        starts = {start + n * stride for start in starts for n in range(size)}
    return {start + n for start in starts for n in range(width)}


INDICES = [
    0,
    -1,
    ...,
    None,
    slice(1, None),
    slice(None, None, 2),
    (0, 1),
    (slice(None), 2),
    (..., 0),
    (None, 1),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_setitem_names_the_part_that_it_writes(index):
    x = torch.zeros(3, 4).t()
    (target,) = describe(Tensor.__setitem__).writes((x, index, 1.5), {})
    assert target.tensor is x
    assert target.overwritten
    assert bytes_of_part(target.part) == changed_bytes(x, lambda x: x.__setitem__(index, 1.5))


@pytest.mark.parametrize("index", [torch.tensor([0]), [0, 1], torch.zeros(3, dtype=torch.bool)], ids=str)
def test_setitem_by_data_writes_somewhere(index):
    x = torch.zeros(3, 4)
    (target,) = describe(Tensor.__setitem__).writes((x, index, 1.5), {})
    assert (target.part, target.overwritten) == (None, False)


@pytest.mark.parametrize("name", ["real", "imag"])
def test_setters_of_complex_parts(name):
    x = torch.zeros(2, 3, dtype=torch.complex64)
    setter = vars(torch._C.TensorBase)[name].__set__
    (target,) = describe(setter).writes((x, 1.5), {})
    one = torch.tensor(1.5)
    assert bytes_of_part(target.part) == changed_bytes(x, lambda x: setter(x, one))
    assert describe(setter).name == f"set_{name}"


def test_custom_operators_say_what_they_write():
    @torch.library.custom_op("torchlens_tests_functions::fill_second", mutates_args={"b"})
    def fill_second(a: Tensor, b: Tensor) -> None:
        b.copy_(a)

    info = describe(torch.ops.torchlens_tests_functions.fill_second.default)
    args = (t(2), t(2))
    fill_second(*args)
    assert [version > 0 for version in internals.versions(list(args))] == [False, True]
    assert same_objects(announced(info, args), [args[1]])
