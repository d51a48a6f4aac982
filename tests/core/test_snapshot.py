"""Snapshots of every tricky model: read back, the same again, and true to what ran."""

import copy
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
import torch
import tricky
from snapshots import ROWS, checked, model, text, without_notes
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from tricky import ALL, Tricky
from unrolled import Recorded, as_recorded, recorded, unrolled

import model_suite
import torchlens_core as tl
from torchlens_core import structure
from torchlens_core.errors import ArgumentError
from torchlens_core.snapshot import Snapshot, read_snapshot, rolling, take_snapshot
from torchlens_core.snapshot.naming import written_name

pytestmark = pytest.mark.filterwarnings("ignore")


def _id(case: Tricky) -> str:
    return f"{case.name}{'-train' if case.training else ''}{'' if case.grad else '-nograd'}"


BY_ID = {_id(case): case for case in ALL}
_known: dict[str, tuple[str, Recorded]] = {}


def _log(case, grad=None, made=None, **options):
    model, args, kwargs = made or case.make()
    with torch.set_grad_enabled(case.grad if grad is None else grad):
        return tl.log_forward_pass(model, list(args), kwargs, random_seed=0, **options)


def _said(history):
    """The text; that it can be read back is tested once."""
    return without_notes(str(take_snapshot(history)))


def _text(case):
    """The text of a case, recorded once."""
    return _text_and_graph(case)[0]


def _text_and_graph(case):
    name = _id(case)
    if name not in _known:
        _note(case, _log(case))
    return _known[name]


def _note(case, history):
    _known.setdefault(_id(case), (_said(history), recorded(history.recording, written_name)))


@pytest.fixture(params=ALL, ids=_id)
def case(request):
    return request.param


# -- read back, and true -------------------------------------------------------------------------------


def test_the_text_means_what_ran(case, monkeypatch):
    if case.name.startswith(("NestedTensors", "NestedLayers")):
        pytest.skip("sizes of jagged tensors count on from pass to pass; the text numbers them anew")
    history = _log(case)
    _note(case, history)
    written = checked(history)
    said = unrolled(read_snapshot("# lens graph 1\n" + written).outline)
    monkeypatch.setattr(rolling, "rolled", lambda items, returns: (items, returns))
    assert said == unrolled(take_snapshot(history).outline)
    assert as_recorded(said) == recorded(history.recording, written_name)


def test_no_line_holds_what_changes_from_run_to_run(case):
    written = _text(case)
    for word in ("0x", str(Path.home()), "/tmp", "site-packages", "tests.tricky", "torch.nn", "object at"):
        assert word not in written


def test_one_text_means_one_graph():
    """Cases that share a text, but for the class of the model, do the same."""
    known: dict[str, Recorded] = {}
    for one in ALL:
        written, graph = _text_and_graph(one)
        assert known.setdefault(written.split("\n", 1)[1], graph) == graph, _id(one)


# -- the same text, however it was recorded ---------------------------------------------------------------

#: What is not the same, and why.
_RANDOM = {
    "SeedsInside": "numbers drawn by Python are arguments",
    "NestedTensors": "the first jagged tensor of a process makes a dummy inside torch, which is recorded",
}
_FOUND_BY_AUTOGRAD = dict.fromkeys(
    ("OnAThread", "FunctionsDisabled"), "without autograd it is seen as a constant"
)
_COPIES_SEEN = {
    **dict.fromkeys(("LoggedInside", "LoggedInside-nograd"), "the inner trace keeps copies"),
    "WrapperSubclass-nograd": "what is unwrapped is found by what is kept",
}
_FROM_VALUES = dict.fromkeys(
    ("Escapes", "TensorsAsNumbers", "FunctionOfManyKinds"), "numbers read from tensors are arguments"
)
_NO_VERSIONS = dict.fromkeys(
    (
        "VmapWritesOutside-nograd",
        "NumpyInPlaceFunction",
        "ScriptWrites-nograd",
        "ScriptReturnsAView-nograd",
        "TorchScript-train",
    ),
    "tensors made in inference mode have no versions, so that nobody sees writes unseen by dispatch",
)
_NO_GRADIENTS = {"AutogradFunctional": "there is no gradient"}
_SHARE_NO_MORE = dict.fromkeys(
    (
        "ShallowCopied",
        "LoadedFromFile",
        "TiedParameters",
        "SharedBuffer",
        "SharedInputs",
        "ThreeInputsOneMemory",
        "SameTensorNested-nograd",
    ),
    "what shares memory shares none when it was moved",
)
_ALIASED = dict.fromkeys(
    ("RegistersInForward", "ModuleMadeInForward", "ParameterUnderManyNames"),
    "a parameter that is made is a fake's detach",
)
_OF_THE_CPU = {
    "MixedPrecision": "autocast is on for the CPU",
    "OptimizerHeld": "the optimizer holds what was moved",
}


def _again(case):
    return _log(case)


def _with_other_weights(case):
    model, args, kwargs = case.make()
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point() and not nn.parameter.is_lazy(parameter):
                parameter.add_(torch.rand_like(parameter) * 0.1)
    return _log(case, made=(model, args, kwargs))


def _without_activations(case):
    return _log(case, layers_to_save="none", keep_unsaved_layers=False)


def _with_grad_flipped(case):
    return _log(case, grad=not case.grad)


def _in_inference_mode(case):
    with torch.inference_mode():
        return _log(case, grad=False)


def _of_a_copy(case):
    model, args, kwargs = case.make()
    return _log(case, made=(copy.deepcopy(model), args, kwargs))


def _on_meta(case):
    model, args, kwargs = case.make()
    args, kwargs = (structure.replace(one, lambda tensor: tensor.to("meta")) for one in (args, kwargs))
    return _log(case, made=(model.to("meta"), args, kwargs), layers_to_save="none")


_WITHOUT_MEMORY = [*tricky.layers.CASES, *tricky.modules.CASES, *tricky.program.CASES, *tricky.state.CASES]


def _of_fakes(case):
    if case not in _WITHOUT_MEMORY:
        raise NotImplementedError(
            "torch itself crashes where Python or C reads the memory of a fake tensor"
        )
    with FakeTensorMode():
        return _log(case, layers_to_save="none")


@pytest.mark.parametrize(
    ("record", "other", "at_least"),
    [
        (_again, {}, 300),
        (_with_other_weights, _FROM_VALUES, 290),
        (_without_activations, _COPIES_SEEN, 290),
        (_with_grad_flipped, _FOUND_BY_AUTOGRAD, 280),
        (_in_inference_mode, {**_FOUND_BY_AUTOGRAD, **_NO_VERSIONS, **_NO_GRADIENTS}, 270),
        (_of_a_copy, {"FxGraph": "its class is another", "FxInterpreted": "its class is another"}, 280),
        (_on_meta, {**_SHARE_NO_MORE, **_OF_THE_CPU, **_COPIES_SEEN}, 180),
        (_of_fakes, {**_ALIASED, **_COPIES_SEEN}, 50),
    ],
    ids=lambda value: value.__name__.strip("_") if isinstance(value, types.FunctionType) else "",
)
@pytest.mark.parametrize("part", [4, pytest.param(1, marks=pytest.mark.long)], ids=["some", "all"])
def test_the_same_text_however_it_was_recorded(record, other, at_least, part):
    """Models that cannot run so are left out; at least ``at_least`` of all can."""
    compared, differing = 0, []
    for name, one in list(BY_ID.items())[::part]:
        try:
            history = record(one)
        except Exception:
            continue
        compared += 1
        if _said(history) != _text(one):
            differing.append(name)
    assert set(differing) <= {*other, *_RANDOM}
    assert compared >= at_least / part * 0.8


_SCRIPT = """
import sys, warnings
warnings.filterwarnings("ignore")
sys.path[:0] = sys.argv[1:3]
import torch
from core.test_snapshot import BY_ID, _text
for name in sys.argv[3:]:
    print(f"## {name}\\n{_text(BY_ID[name])}", end="")
"""


def test_the_same_text_in_another_process():
    names = [name for name in list(BY_ID)[::16] if name not in _RANDOM]
    folder = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(folder), str(folder.parent), *names],
        env={"PYTHONHASHSEED": "12345", "OMP_NUM_THREADS": "1", "HOME": "/nowhere"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(f"## {name}\n{_text(BY_ID[name])}" for name in names)


@pytest.mark.parametrize("name", ["resnet18", "shufflenet_v2_x0_5", "swin_v2_t", "r3d_18"])
def test_models_of_the_catalogue(name, monkeypatch):
    """Built on the meta device, the text is the one of the real model, and means what ran."""
    pytest.importorskip("torchvision")
    case = model_suite.find(f"torchvision/{name}")
    args, kwargs = case.inputs()
    with torch.no_grad():
        history = tl.get_model_metadata(case.build(), list(args), kwargs)
        with torch.device("meta"):
            meta = case.build()
        args = structure.replace(args, lambda tensor: tensor.to("meta"))
        assert checked(tl.get_model_metadata(meta, list(args), kwargs)) == checked(history)
    said = unrolled(take_snapshot(history).outline)
    monkeypatch.setattr(rolling, "rolled", lambda items, returns: (items, returns))
    assert said == unrolled(take_snapshot(history).outline)
    assert as_recorded(said) == recorded(history.recording, written_name)


# -- the object ---------------------------------------------------------------------------------------------


def test_notes_are_never_compared():
    one = take_snapshot(tl.log_forward_pass(nn.Linear(3, 2), ROWS))
    other = one.with_notes(**{"recorded with": "torch 9", "by": "a  b\nc"})
    assert other == one
    assert hash(other.outline) == hash(one.outline)
    assert "# recorded with: torch 9\n# by: a b c\nmodel Linear" in str(other)
    assert dict(read_snapshot(str(other)).notes) == {"recorded with": "torch 9", "by": "a b c"}


def test_the_version_that_recorded_it_is_noted():
    written = str(take_snapshot(tl.log_forward_pass(nn.Linear(3, 2), ROWS)))
    assert written.split("\n")[1] == f"# recorded with: torch {torch.__version__.partition('+')[0]}"


def test_addresses_of_the_modules_called():
    shared = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    snapshot = take_snapshot(tl.log_forward_pass(nn.Sequential(shared, nn.Tanh(), shared), ROWS))
    assert isinstance(snapshot, Snapshot)
    assert snapshot.addresses() == ["0", "0.0", "0.1", "1"]


def test_a_pass_that_did_not_end_is_no_snapshot():
    with pytest.raises(RuntimeError) as caught:
        tl.log_forward_pass(nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 6)), ROWS)
    with pytest.raises(
        ArgumentError, match=r"The pass of Sequential did not end .* half a graph is no snapshot"
    ):
        take_snapshot(caught.value.partial_history)


def test_a_batch_size_is_written_where_it_leads():
    forward = model(lambda self, x: (x.reshape(7, 21) @ torch.zeros(21, 7)).sum(0))
    assert text(forward, torch.rand(7, 7, 3)) != text(forward, torch.rand(7, 7, 3), batch=7)
    assert "f32[B, 7, 3]" in text(forward, torch.rand(7, 7, 3), batch=7)


def test_two_batch_sizes_one_text():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2)).eval()
    texts = {text(layers, torch.rand(batch, 3, 4, 4), batch=batch) for batch in (5, 9)}
    assert len(texts) == 1


# -- size ---------------------------------------------------------------------------------------------------


def _straight(count):
    source = "\n".join(
        f"  x = x.{('sin', 'cos', 'neg', 'abs', 'tanh')[n * n % 7 % 5]}()" for n in range(count)
    )
    names = {}
    exec(f"def forward(self, x):\n{source}\n  return x", names)
    return model(names["forward"])


def _looped(count):
    def forward(self, x):
        rows = []
        for _ in range(count):
            x = x.sin()
            rows.append(x)
        return torch.stack(rows)

    return model(forward)


def _listed(count):
    return model(lambda self, x: list(x[0].expand(count, 3).unbind()))


def _blocks(count):
    return nn.Sequential(*[nn.Sequential(nn.Linear(3, 3), nn.ReLU()) for _ in range(count // 2)])


@pytest.mark.parametrize("make", [_straight, _looped, _listed, _blocks])
@pytest.mark.parametrize("count", [1000, pytest.param(20_000, marks=pytest.mark.long)])
def test_time_grows_with_the_size(make, count):
    """Within two milliseconds an op, whatever else the machine does."""
    with torch.no_grad():
        history = tl.get_model_metadata(make(count), ROWS)
    started = time.process_time()
    checked(history)
    assert time.process_time() - started < count * 0.004


def test_a_deep_nest_is_read_back():
    deep: nn.Module = nn.Linear(3, 3)
    for _ in range(100):
        deep = nn.Sequential(deep, nn.ReLU())
    assert text(deep.eval(), ROWS).count("\n") > 200


def test_notes_do_not_reach_the_helper():
    """Control: what the helper leaves out are the header and the notes alone."""
    assert without_notes("# lens graph 1\n# by: me\nmodel M\nend\n") == "model M\nend\n"
