"""Random draws: which ops draw, the states before they did, generators put back."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from models import Of

import torchlens_core as tl
from torchlens_core.functions import FACTS
from torchlens_core.randomness import GeneratorState, draws, tags_of

CPU = torch.device("cpu")


def log(function, **options):
    return tl.log_forward_pass(Of(function), torch.rand(2, 4), **options)


X = torch.rand(2, 4)
#: Calls that draw.
DRAWING = {
    torch.rand: lambda: (3,),
    torch.randn: lambda: (3,),
    torch.randint: lambda: (3, (2,)),
    torch.randperm: lambda: (3,),
    torch.rand_like: lambda: (X,),
    torch.randn_like: lambda: (X,),
    torch.bernoulli: lambda: (X,),
    torch.multinomial: lambda: (X, 2),
    torch.normal: lambda: (X, X),
    torch.poisson: lambda: (X,),
    torch.Tensor.uniform_: lambda: (X.clone(),),
    torch.Tensor.normal_: lambda: (X.clone(),),
    torch.Tensor.random_: lambda: (X.clone(),),
    torch.Tensor.bernoulli_: lambda: (X.clone(),),
    torch.Tensor.exponential_: lambda: (X.clone(),),
    torch.Tensor.cauchy_: lambda: (X.clone(),),
    torch.Tensor.geometric_: lambda: (X.clone(), 0.5),
    torch.Tensor.log_normal_: lambda: (X.clone(),),
    torch.dropout: lambda: (X, 0.5, True),
    torch.feature_dropout: lambda: (X, 0.5, True),
    torch.alpha_dropout: lambda: (X, 0.5, True),
    F.dropout: lambda: (X,),
    F.dropout1d: lambda: (X,),
    F.dropout2d: lambda: (X[None, None],),
    F.dropout3d: lambda: (X[None, None, None],),
    F.alpha_dropout: lambda: (X, 0.5, True),
    F.feature_alpha_dropout: lambda: (X, 0.5, True),
    F.rrelu: lambda: (X - 1, 0.1, 0.3, True),
    F.fractional_max_pool2d: lambda: (torch.rand(1, 4, 4), 2, 2),
    F.scaled_dot_product_attention: lambda: (*[torch.rand(1, 2, 4)] * 3, None, 0.5),
}


def _moves(function, args) -> bool:
    before = torch.get_rng_state()
    function(*args)
    return not torch.equal(before, torch.get_rng_state())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", DRAWING, ids=lambda f: f.__name__)
def test_what_moves_the_generator_is_said_to_draw(function):
    args = DRAWING[function]()
    assert _moves(function, args)
    assert FACTS[function].draws


@pytest.mark.parametrize(
    "function", [torch.relu, torch.add, torch.zeros, F.linear, torch.sort, torch.Tensor.add_]
)
def test_other_functions_do_not(function):
    assert not FACTS[function].draws


def test_tags():
    assert torch.Tag.nondeterministic_seeded in tags_of("bernoulli")
    assert tags_of("no_such_operator") == tags_of("not a name") == set()
    assert draws("bernoulli")
    assert not draws("conv2d")


# -- states of ops -----------------------------------------------------------------------------------


def test_an_op_that_draws_keeps_the_state_before_it():
    states = []

    def forward(x):
        x = x + torch.rand(2, 4)
        states.append(torch.get_rng_state())
        return F.dropout(x)

    history = log(forward)
    (state,) = history["dropout"].func_rng_states
    assert torch.equal(state.state, states[0])
    assert len(history["rand"].func_rng_states) == 1
    assert not torch.equal(history["rand"].func_rng_states[0].state, state.state)


def test_the_state_gives_the_draw_again():
    history = log(lambda x: F.dropout(x * 2))
    op = history["dropout"]
    with torch.random.fork_rng():
        op.func_rng_states[0].restore()
        again = F.dropout(history["mul"].tensor_contents)
    assert torch.equal(op.tensor_contents, again)
    with torch.random.fork_rng():
        torch.manual_seed(12345)
        assert not torch.equal(op.tensor_contents, F.dropout(history["mul"].tensor_contents))


@pytest.mark.parametrize("function", [lambda x: F.dropout(x, training=False), lambda x: x * 2])
def test_an_op_that_did_not_draw_has_no_state(function):
    assert list(log(function).ops[0].func_rng_states) == []


def test_a_generator_of_its_own_is_noted():
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    history = log(lambda x: x + torch.rand(2, 4, generator=generator))
    (state,) = history["rand"].func_rng_states
    assert state.generator is generator
    assert torch.equal(state.state, before)
    state.restore()
    assert torch.equal(generator.get_state(), before)


# -- generators --------------------------------------------------------------------------------------


def test_restored_states():
    with torch.random.fork_rng():
        state = GeneratorState.of(None, CPU)
        assert not state.has_moved()
        first = torch.rand(3)
        assert state.has_moved()
        state.restore()
        assert not state.has_moved()
        assert torch.equal(torch.rand(3), first)


def test_meta_tensors_draw_from_the_generator_of_the_cpu():
    state = GeneratorState.of(None, torch.device("meta"))
    assert state.device == CPU
    assert not state.has_moved()


def test_generators_under_fake_tensors_are_read_for_real():
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode():
        state = GeneratorState.of(None, CPU)
        assert not state.has_moved()
    assert type(state.state) is torch.Tensor


# -- the pass ----------------------------------------------------------------------------------------


def _draw_all(x):
    return x + torch.rand(()) + random.random() + float(np.random.rand())


def _states():
    return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())


def test_a_pass_without_seed_draws_as_an_ordinary_call_would():
    model, x = Of(lambda x: x + torch.rand(())), torch.rand(2)
    torch.manual_seed(4)
    plain = model(x)
    after = torch.get_rng_state()
    torch.manual_seed(4)
    history = tl.log_forward_pass(model, x)
    assert torch.equal(history[history.output_layers[0]].tensor_contents, plain)
    assert torch.equal(torch.get_rng_state(), after)


def test_a_seed_gives_the_same_pass_and_puts_all_generators_back():
    model, x, before = Of(_draw_all), torch.rand(2), _states()
    passes = [tl.log_forward_pass(model, x, random_seed=seed) for seed in (7, 7, 8)]
    assert _states() == before
    results = [history[history.output_layers[0]].tensor_contents for history in passes]
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert passes[0].recording.random_seed == 7


def test_generators_are_put_back_after_an_error():
    def forward(x):
        _draw_all(x)
        raise ValueError("stop")

    before = _states()
    with pytest.raises(ValueError, match="stop"):
        log(forward, random_seed=7)
    log_input = before  # `torch.rand` of the helper draws one tensor before the pass
    with torch.random.fork_rng():
        torch.set_rng_state(torch.tensor(log_input[0], dtype=torch.uint8))
        torch.rand(2, 4)
        expected = torch.get_rng_state().tolist()
    assert _states() == (expected, *before[1:])


def test_the_watch_over_generators_sees_a_draw():
    before = _states()
    with torch.random.fork_rng():
        torch.rand(1)
        assert _states() != before
    assert _states() == before


def test_a_seed_that_is_no_number_is_refused():
    with pytest.raises(tl.ArgumentError) as caught:
        log(lambda x: x, random_seed="7")
    assert str(caught.value) == "random_seed is '7'; expected an int or None."
