"""Nothing is left on torch after a pass, however it ends; threads record for themselves."""

import contextlib
import gc
import sys
import threading
import warnings

import pytest
import torch
from models import Of
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import torchlens_core as tl
from torchlens_core import intercept, internals

PACKAGE = tl.__path__[0]


# -- a snapshot of torch's global state --------------------------------------------------------------


def _owners():
    """Whose attributes a pass may replace."""
    functions = [vars(owner) for owner, _ in internals.UNSEEN_FUNCTIONS]
    classes = [nn.Module, Tensor, nn.Parameter, torch.autograd.Function, *internals.script_callables()]
    return [
        *map(vars, classes),
        *functions,
        vars(torch),
        vars(torch.nn.functional),
        vars(torch._C.TensorBase),
    ]


def snapshot() -> dict:
    """What a pass might leave behind, by name."""
    eval_frame = sys.modules.get("torch._dynamo.eval_frame")
    return {
        "attributes": [{name: id(value) for name, value in owner.items()} for owner in _owners()],
        "function modes": internals.function_mode_depth(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "grad": torch.is_grad_enabled(),
        "autocast": internals.is_any_autocast_enabled(),
        "stance": None if eval_frame is None else eval_frame._stance.stance,
        "finders": [id(finder) for finder in sys.meta_path],
        "garbage collection": (gc.isenabled(), gc.get_threshold()),
        "warnings": list(warnings.filters),
        "profiling": (sys.getprofile(), sys.gettrace()),
        "listeners": list(intercept._local.listeners),
        "random": torch.get_rng_state().tolist(),
    }


def differences(before: dict) -> set[str]:
    now = snapshot()
    return {name for name, value in before.items() if now[name] != value}


@pytest.fixture(scope="module", autouse=True)
def imported():
    """The first validation of a process imports parts of torch, and with them sympy, which filters its warnings."""
    tl.validate_model_activations(MLP, torch.ones(3, 2))


@pytest.fixture
def nothing_left():
    """Raises at the end of the test if something is left on torch."""
    before = snapshot()
    yield
    assert differences(before) == set()


class Mode(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def _attribute(owner, name, value):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, value)
        yield


@contextlib.contextmanager
def _threshold():
    before = gc.get_threshold()
    gc.set_threshold(before[0] + 1, *before[1:])
    yield
    gc.set_threshold(*before)


@contextlib.contextmanager
def _draw():
    with torch.random.fork_rng():
        torch.rand(1)
        yield


@pytest.mark.parametrize(
    ("name", "leftover"),
    [
        ("attributes", lambda: _attribute(nn.Module, "__call__", lambda self: None)),
        ("attributes", lambda: _attribute(Tensor, "real", property(lambda self: None))),
        ("attributes", lambda: _attribute(Tensor, "set_", lambda self: None)),
        ("attributes", lambda: _attribute(torch.autograd.Function, "apply", classmethod(lambda cls: None))),
        ("attributes", lambda: _attribute(torch.ScriptFunction, "__call__", lambda self: None)),
        ("attributes", lambda: _attribute(torch._C._nested, "nested_tensor", lambda: None)),
        ("attributes", lambda: _attribute(torch, "relu", lambda x: x)),
        ("function modes", Mode),
        ("grad", torch.no_grad),
        ("autocast", lambda: torch.autocast("cpu", torch.bfloat16)),
        ("stance", lambda: torch.compiler.set_stance("force_eager")),
        ("finders", lambda: _attribute(sys, "meta_path", [object(), *sys.meta_path])),
        ("garbage collection", _threshold),
        ("listeners", lambda: _attribute(intercept._local, "listeners", [1])),
        ("random", _draw),
    ],
)
def test_the_snapshot_sees_a_leftover(name, leftover):
    torch.compiler.is_dynamo_compiling()
    with torch.compiler.set_stance("default"):  # imports the compiler
        before = snapshot()
        with leftover():
            assert name in differences(before)
        assert differences(before) == set()


# -- passes ------------------------------------------------------------------------------------------


#: Made before any snapshot is taken: to make a layer draws random numbers.
MLP = nn.Sequential(nn.Linear(2, 2), nn.ReLU())


def log(function, *args):
    return tl.log_forward_pass(Of(function), list(args))


def _fail(error):
    def forward(x):
        y = nn.ReLU()(x * 2)
        raise error(y)

    return forward


@pytest.mark.usefixtures("nothing_left")
def test_nothing_is_left_after_a_pass():
    inside = []

    def forward(x):
        inside.append(snapshot())
        return MLP(x.relu())

    before = snapshot()
    log(forward, torch.ones(2, 2))
    changed = {name for name, value in before.items() if inside[0][name] != value}
    assert changed >= {"attributes", "function modes", "listeners"}  # so there was something to undo


class Stop(BaseException):
    """Not caught by ``except Exception``."""


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Stop, GeneratorExit, SystemExit])
def test_nothing_is_left_after_a_pass_that_raised(error):
    with pytest.raises(error) as caught:
        log(_fail(error), torch.ones(2))
    labels = caught.value.partial_history.layer_labels
    assert [label.split("_")[0] for label in labels] == ["input", "mul", "relu"]


@pytest.mark.usefixtures("nothing_left")
def test_nothing_is_left_after_an_op_that_raised():
    with pytest.raises(RuntimeError) as caught:
        log(lambda x: x @ x, torch.ones(2, 3))
    assert caught.value.partial_history.recording.failed_call == "matmul"


@pytest.mark.usefixtures("nothing_left")
def test_nothing_is_left_after_refused_arguments():
    with pytest.raises(tl.ArgumentError):
        tl.log_forward_pass(MLP, [1, 2, 3])


@pytest.mark.usefixtures("nothing_left")
def test_a_trace_inside_a_trace():
    inner = []

    def forward(x):
        y = x * 2
        inner.append(log(lambda z: z.relu() + 1, y.detach()))
        return y - 1

    outer = log(forward, torch.ones(2))
    assert [op.func_applied_name for op in inner[0].ops] == ["relu", "add"]
    names = [op.func_applied_name for op in outer.ops]
    assert (names[0], names[-1]) == ("mul", "sub")
    assert outer["sub_1"].tensor_contents.tolist() == [1, 1]


@pytest.mark.usefixtures("nothing_left")
def test_a_trace_inside_a_trace_that_raises():
    def forward(x):
        with contextlib.suppress(ValueError):
            log(_fail(ValueError), x)
        assert len(intercept._local.listeners) == 1
        return x + 1

    assert [op.func_applied_name for op in log(forward, torch.ones(2)).ops][-1] == "add"


@pytest.mark.usefixtures("nothing_left")
def test_modes_around_a_trace_stay():
    with Mode():
        history = log(lambda x: x + 1, torch.ones(2))
        assert internals.function_mode_depth() == 1
    assert len(history.ops) == 1


@pytest.mark.usefixtures("nothing_left")
def test_validation_leaves_nothing():
    assert tl.validate_model_activations(MLP, torch.ones(3, 2))


def test_hooks_run_inside_their_module():
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    model[0].register_forward_hook(lambda module, args, result: result * 2)
    history = tl.log_forward_pass(model, torch.rand(1, 2))
    assert [op.stable_name for op in history.ops] == ["0:add", "0:linear", "0:mul"]


# -- threads -----------------------------------------------------------------------------------------


def _run_threads(*functions) -> None:
    """Run the functions at once; what one of them raises is raised here."""
    errors = []

    def guarded(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


@pytest.mark.usefixtures("nothing_left")
def test_threads_record_each_its_own_history():
    count = 4
    met = threading.Barrier(count, timeout=30)
    histories = {}

    def record(number):
        def forward(x):
            for turn in range(10 + number):
                if turn < 10:
                    met.wait()
                x = nn.Tanh()(x) + number
            return x

        histories[number] = log(forward, torch.zeros(2))

    _run_threads(*(lambda n=n: record(n) for n in range(count)))
    for number, history in histories.items():
        assert [op.func_applied_name for op in history.ops] == ["tanh", "add"] * (10 + number)
        assert len(history.recording.calls) == 11 + number
        expected = torch.zeros(2)
        for _ in range(10 + number):
            expected = expected.tanh() + number
        assert torch.equal(history[history.output_layers[0]].tensor_contents, expected)


@pytest.mark.usefixtures("nothing_left")
def test_one_thread_raises_while_another_records():
    inside, raised = threading.Event(), threading.Event()
    histories = []

    def slow(x):
        inside.set()
        assert raised.wait(30)
        return nn.ReLU()(x) + 1

    def failing():
        assert inside.wait(30)
        with pytest.raises(ValueError, match="tensor"):
            log(_fail(ValueError), torch.ones(2))
        raised.set()

    _run_threads(lambda: histories.append(log(slow, torch.ones(2))), failing)
    assert [op.func_applied_name for op in histories[0].ops] == ["relu", "add"]
    assert [call.address for call in histories[0].recording.calls][1:] == ["(ReLU)"]


def _frames_of_package(function) -> list[str]:
    """Functions of the package that run while ``function`` does, on this thread."""
    found = []

    def profile(frame, event, arg):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            found.append(frame.f_code.co_name)

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.usefixtures("nothing_left")
def test_a_thread_that_records_nothing_is_not_heard_and_pays_one_call_a_module():
    inside, done = threading.Event(), threading.Event()
    found, histories = {}, []
    x = torch.ones(1, 2)

    def slow(x):
        y = x * 2
        inside.set()
        assert done.wait(30)
        return y + 1

    def bystander():
        assert inside.wait(30)
        found["modes"] = internals.function_mode_depth()
        found["ops"] = _frames_of_package(lambda: [torch.relu(x) + 1 for _ in range(5)])
        MLP(x)  # the first call on a thread makes its list of listeners
        found["modules"] = _frames_of_package(lambda: MLP(x))
        done.set()

    _run_threads(lambda: histories.append(log(slow, torch.ones(2))), bystander)
    assert found == {"modes": 0, "ops": [], "modules": ["__call__"] * 3}
    assert [op.func_applied_name for op in histories[0].ops] == ["mul", "add"]
    assert _frames_of_package(lambda: MLP(x)) == []


def test_the_count_of_frames_sees_a_recording():
    found = _frames_of_package(lambda: log(lambda x: x + 1, torch.ones(2)))
    assert "__torch_function__" in found


@pytest.mark.usefixtures("nothing_left")
def test_the_last_of_several_interceptions_undoes_the_wrappers():
    first, second = (_Silent() for _ in range(2))
    original = nn.Module.__call__
    with intercept.Interception(first):
        with intercept.Interception(second):
            assert nn.Module.__call__ is not original
        assert nn.Module.__call__ is not original
        assert intercept._local.listeners == [first]
    assert nn.Module.__call__ is original


class _Silent(intercept.Listener):
    """Listens, and notes the names of what it is told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.told.append(getattr(func, "__name__", "?"))
        return func(*args, **(kwargs or {}))

    def on_script(self, run, called, args, kwargs, frame):
        self.told.append("script")
        return run(called, *args, **kwargs)

    def on_function(self, run, name, args, kwargs):
        self.told.append(name)
        return run(*args, **kwargs)

    def on_enter(self, module, args, kwargs, frame):
        self.told.append(f"enter {type(module).__name__}")
        return module

    def on_exit(self, call, result):
        self.told.append(f"exit {type(call).__name__}")

    def on_abandon(self, call):
        self.told.append(f"abandon {type(call).__name__}")


class _Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.filterwarnings("ignore")
def test_what_a_listener_is_told():
    scripted = torch.jit.trace(torch.neg, torch.zeros(1), check_trace=False)
    x, z, model = torch.zeros(2), torch.zeros(2, dtype=torch.complex64), nn.ReLU()
    failing = Of(_fail(ValueError))
    listener = _Silent()
    with intercept.Interception(listener):
        model(x)
        scripted(x)
        _Double.apply(x)
        z.real = x
        x.set_(x)
        with contextlib.suppress(ValueError):
            failing(x)
    assert listener.told == [
        *("enter ReLU", "relu", "exit ReLU"),
        "script",
        *("_Double", "mul"),
        "__set__",
        "set_",
        *("enter Of", "mul", "enter ReLU", "relu", "exit ReLU", "abandon Of"),
    ]


@pytest.mark.usefixtures("nothing_left")
def test_a_thread_can_record_while_the_main_one_does():
    """Wrappers put on by one thread are taken off by another, the last to leave."""
    first_out, histories = threading.Event(), []

    def long(x):
        assert first_out.wait(30)
        return nn.ReLU()(x)

    def short():
        histories.append(log(lambda x: nn.Tanh()(x), torch.ones(2)))
        first_out.set()

    _run_threads(lambda: histories.append(log(long, torch.ones(2))), short)
    assert [history.ops[0].func_applied_name for history in histories] == ["tanh", "relu"]


def test_a_validation_is_not_told_of_wrappers_that_only_another_thread_needs():
    begin, inside, done = (threading.Event() for _ in range(3))
    calls, reports = [], []

    def slow(x):
        inside.set()
        assert done.wait(30)
        return x + 1

    def validated(x):
        calls.append(internals.function_mode_depth())
        if not begin.is_set():
            begin.set()
            assert inside.wait(30)
        return x * 2

    def other():
        assert begin.wait(30)
        log(slow, torch.ones(2))

    def validate():
        reports.append(tl.validate_model_activations(Of(validated), torch.ones(2), checks=["transparency"]))
        done.set()

    _run_threads(other, validate)
    assert reports[0]
    assert calls == [1, 0]  # so it was in the logged pass that the other thread began


def _standing_while(*opened) -> list[str]:
    """Places at which this thread sees another thing while the interceptions are open."""
    before = intercept.standing()
    with contextlib.ExitStack() as stack:
        for one in opened:
            stack.enter_context(one)
        now = intercept.standing()
    assert intercept.standing() == before
    return [name for name, value in before.items() if now[name] is not value]


@contextlib.contextmanager
def _another_thread_records():
    inside, done = threading.Event(), threading.Event()

    def slow(x):
        inside.set()
        assert done.wait(30)
        return x

    thread = threading.Thread(target=log, args=(slow, torch.ones(2)))
    thread.start()
    assert inside.wait(30)
    yield
    done.set()
    thread.join(30)


def test_what_stands_is_seen_through_wrappers_of_others_alone():
    both = ["nn.Module.__call__", "autograd.Function.apply"]
    assert _standing_while(intercept.Interception(_Silent())) == both
    assert _standing_while(_another_thread_records()) == []
    assert _standing_while(_another_thread_records(), intercept.Interception(_Silent())) == both
    assert _standing_while(_another_thread_records(), _attribute(nn.Module, "__call__", print)) == both[:1]
