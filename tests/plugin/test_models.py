"""A marked model class: how it is built, what it is run on, and from which seed."""

import random

import numpy as np
import pytest
import torch

NEEDS_INPUTS = [
    "Net is marked to be run, but nothing says on what.",
    "Give its marker inputs=, a shape such as (1, 3, 32, 32) or a callable that",
    "returns the arguments of forward; or return them in conftest.py from",
    "the hook pytest_lens_inputs(model, item).",
]


def net(arguments, base="Scaled", body="pass"):
    return f"@pytest.mark.lens_validate({arguments})\nclass Net({base}):\n    {body}\n"


def said_of(result):
    """What is said of the one failure."""
    lines = result.outlines
    start = next(number for number, line in enumerate(lines) if line.strip("_") == " Net ") + 1
    end = next(number for number, line in enumerate(lines) if number > start and line.startswith("=="))
    return lines[start:end]


# -- what it is built with ---------------------------------------------------------------------------


@pytest.mark.parametrize("init", ["{'size': 2}", "(2,)", "[2, 1.0]", "{'size': 2, 'bias': 1.0}"])
def test_arguments_of_the_class(run, init):
    run(net(f"inputs=(2,), init={init}")).assert_outcomes(passed=1)


@pytest.mark.parametrize("init", ["None", "()", "{}"])
def test_no_arguments_of_the_class(run, init):
    run(net(f"inputs=(2,), init={init}", "Doubled")).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("init", "call", "why"),
    [
        ("None", "Net()", "missing 1 required positional argument: 'size'"),
        ("{'siz': 2}", "Net(siz=2)", "got an unexpected keyword argument 'siz'"),
        ("(2, 3.0, 4)", "Net(2, 3.0, 4)", "takes from 2 to 3 positional arguments but 4 were given"),
    ],
)
def test_a_class_that_cannot_be_built_so(run, init, call, why):
    result = run(net(f"inputs=(2,), init={init}"))
    result.assert_outcomes(failed=1)
    first, second = said_of(result)
    assert first.startswith(f"Net cannot be built by {call}: ")
    assert why in first
    assert second == (
        "Give its marker init=, a dict of named arguments, or a tuple or list of positional ones."
    )


def test_an_abstract_class(run):
    body = "@abc.abstractmethod\n    def forward(self, x): ..."
    result = run("import abc\n" + net("inputs=(2,)", "torch.nn.Module, abc.ABC", body))
    result.assert_outcomes(failed=1)
    assert said_of(result)[0].startswith(
        "Net cannot be built by Net(): Can't instantiate abstract class Net"
    )


@pytest.mark.parametrize(("mode", "outcome"), [("train", "failed"), ("eval", "passed")])
def test_the_mode_is_that_of_the_class(run, mode, outcome):
    body = f"def __init__(self):\n        super().__init__()\n        self.{mode}()"
    forward = "\n    def forward(self, x):\n        assert not self.training\n        return x * 2"
    run(net("inputs=(2,)", "Doubled", body + forward)).assert_outcomes(**{outcome: 1})


# -- what it is run on -------------------------------------------------------------------------------

SAYS = """
def forward(self, *args, **kwargs):
        print("got", [tuple(arg.shape) for arg in args], {k: tuple(v.shape) for k, v in kwargs.items()})
        return sum(args) + sum(kwargs.values())
"""


@pytest.mark.parametrize(
    ("inputs", "got"),
    [
        ("(2, 3)", "[(2, 3)] {}"),
        ("[2]", "[(2,)] {}"),
        ("[(2,)]", "[(2,)] {}"),
        ("((2, 3), (3,))", "[(2, 3), (3,)] {}"),
        ("[()]", "[()] {}"),
        ("lambda: torch.ones(2)", "[(2,)] {}"),
        ("lambda: [torch.ones(2), torch.ones(1)]", "[(2,), (1,)] {}"),
        ("lambda: (torch.ones(2),)", "[(2,)] {}"),
        ("lambda: {'x': torch.ones(2), 'y': torch.ones(1)}", "[] {'x': (2,), 'y': (1,)}"),
    ],
)
def test_forms_of_inputs(run, inputs, got):
    result = run(net(f"inputs={inputs}", "torch.nn.Module", SAYS.strip()), "-s")
    result.assert_outcomes(passed=1)
    assert {line[line.index("got ") :] for line in result.outlines if "got " in line} == {f"got {got}"}


def test_no_inputs_at_all(run):
    run(net("inputs=tuple", "torch.nn.Module", "def forward(self): return torch.ones(2)")).assert_outcomes(
        passed=1
    )


def test_a_shape_is_filled_from_zero_to_one(run):
    source = """
        seen = []

        @pytest.mark.lens_validate(inputs=(1000,))
        class Net(Doubled):
            def forward(self, x):
                seen.append(x.detach())
                return super().forward(x)

        def test_seen():
            assert 0 <= seen[-1].min() < 0.1
            assert 0.9 < seen[-1].max() <= 1
            assert seen[-1].dtype is torch.float32
    """
    run(source).assert_outcomes(passed=2)


def test_nothing_says_what_to_run_it_on(run):
    result = run(net("init=(2,)"))
    result.assert_outcomes(failed=1)
    assert said_of(result) == NEEDS_INPUTS
    assert max(map(len, NEEDS_INPUTS)) < 80


def test_a_callable_that_returns_nothing(run):
    result = run(net("inputs=lambda: None", "Doubled"))
    result.assert_outcomes(failed=1)
    assert said_of(result) == [
        "inputs= of Net returned None.",
        "Return one argument, a tuple or list of positional arguments, or a dict of named ones.",
    ]


def test_a_callable_that_wants_arguments(run):
    result = run(net("inputs=lambda item: item", "Doubled"))
    result.assert_outcomes(failed=1)
    assert said_of(result) == [
        "inputs= of Net is called without arguments: <lambda>() missing 1 required positional argument: 'item'."
    ]


@pytest.mark.parametrize(
    ("inputs", "source"),
    [
        ("[(2,), (2,)]", "the shapes in inputs="),
        ("lambda: [torch.ones(2), torch.ones(2)]", "inputs="),
        ("None", "the hook pytest_lens_inputs"),
    ],
)
def test_inputs_that_forward_does_not_take(run, pytester, inputs, source):
    pytester.makeconftest("import torch\ndef pytest_lens_inputs(): return [torch.ones(2), torch.ones(2)]")
    result = run(net(f"inputs={inputs}", "Doubled"))
    result.assert_outcomes(failed=1)
    said = said_of(result)
    assert said[0] == "Net cannot be called with (f32[2], f32[2]): too many positional arguments."
    assert said[1].startswith("Expected Net.forward(x")
    assert said[-1] == f"The arguments come from {source}."


def test_inputs_on_another_device(run):
    body = "def __init__(self): super().__init__(2); self.to('meta')"
    result = run(net("inputs=(2,)", "Scaled", body))
    result.assert_outcomes(failed=1)
    assert said_of(result) == [
        "Net is on meta, and its inputs are on cpu: f32[2]. "
        "Move one of them: model.to('cpu') or inputs.to('meta').",
        "The arguments come from the shape in inputs=.",
    ]


# -- seeds -------------------------------------------------------------------------------------------

DRAWS = """
import random
import numpy

drawn = []

class Base(Doubled):
    def __init__(self):
        super().__init__()
        drawn.append((float(torch.rand(1)), random.random(), float(numpy.random.rand())))

{}

def test_drawn():
    print("drawn", drawn)
"""


def drawn(result):
    (line,) = [line for line in result.outlines if "drawn" in line and "test_drawn" not in line]
    return eval(line[line.index("[") :])


def by_seed(seed):
    values = []
    state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        values = [(float(torch.rand(1)), random.random(), float(np.random.rand()))]
    random.setstate(state[0])
    np.random.set_state(state[1])
    return values


@pytest.mark.parametrize(
    ("arguments", "options", "seed"),
    [
        ("", (), 0),
        (", seed=None", (), 0),
        (", seed=3", (), 3),
        ("", ("--lens-seed=4",), 4),
        (", seed=3", ("--lens-seed=4",), 3),
    ],
)
def test_it_is_built_from_a_seed(run, arguments, options, seed):
    result = run(DRAWS.format(net(f"inputs=(2,){arguments}", "Base")), "-s", *options)
    result.assert_outcomes(passed=2)
    assert drawn(result) == by_seed(seed)
    assert by_seed(seed) != by_seed(seed + 1)


def test_a_negative_seed(run):
    run(net("inputs=(2,), seed=-3", "Doubled")).assert_outcomes(passed=1)


STATES = """
import random
import numpy

def states():
    key, position = numpy.random.get_state()[1:3]
    return torch.get_rng_state().tolist(), random.getstate(), (key.tolist(), position)

before = states()

{}
        torch.rand(1), random.random(), numpy.random.rand()

def test_states():
    assert [one == other for one, other in zip(before, states())] == [{}] * 3
"""


@pytest.mark.parametrize("body", ["pass", "raise ValueError"])
def test_the_generators_are_put_back(run, body):
    init = "def __init__(self):\n        super().__init__()\n        if 1: {}"
    model = net("inputs=(2,)", "Doubled", init.format(body))
    result = run(STATES.format(model, True))
    result.assert_outcomes(**({"passed": 2} if body == "pass" else {"passed": 1, "failed": 1}))
    control = "def test_draws():\n    if 1:"
    run(STATES.format(control, False)).assert_outcomes(passed=2)


def test_inputs_are_drawn_after_the_model(run):
    source = """
        seen = []

        @pytest.mark.lens_validate(inputs=(2,), init=(2,))
        class Net(Scaled):
            def forward(self, x):
                seen[:] = [self.factor.tolist(), x.tolist()]
                return super().forward(x)

        def test_seen():
            torch.manual_seed(0)
            assert seen == [torch.rand(2).tolist(), torch.rand(2).tolist()]
    """
    run(source).assert_outcomes(passed=2)


# -- how it is validated -----------------------------------------------------------------------------


def test_the_settings_are_followed(run):
    source = net("inputs=(2,), {}", "Counter")
    run(source.format("checks='transparency'")).assert_outcomes(failed=1)
    run(source.format("checks='transparency', atol=9")).assert_outcomes(passed=1)
    run(source.format("checks='replay'")).assert_outcomes(passed=1)
    run(source.format("checks='transparency'"), "--lens-atol=9").assert_outcomes(passed=1)
    run(source.format("checks='transparency', atol=0"), "--lens-atol=9").assert_outcomes(failed=1)


def test_one_pass_is_logged(run, summary_of):
    result = run(net("inputs=(2,), init=(2,)"))
    assert summary_of(result) == ["1 forward pass of 1 test logged, 1 validated"]
