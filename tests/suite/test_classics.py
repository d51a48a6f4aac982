"""The models that are written by hand: what their papers promise of them, and how they are listed."""

import importlib
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

import model_suite.classics
from model_suite import cases
from model_suite.classics import (
    attention,
    continuous_time,
    convolution,
    decoding,
    discrete,
    flows_and_energies,
    generative,
    memory,
    mixing,
    nested,
    point_sets,
    recommenders,
    state_space,
)
from model_suite.sources.classics_inputs import make

NAMES = [path.stem for path in Path(model_suite.classics.__file__).parent.glob("[a-z]*.py")]
CASES = cases("classics")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def jacobian(function, x):
    with torch.enable_grad():
        return torch.autograd.functional.jacobian(function, x)


def rotation():
    turned, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.double))
    return turned * turned.det().sign()


# -- the catalogue -----------------------------------------------------------------------------------


def test_there_are_many():
    assert len(CASES) >= 140
    assert len({case.builder.args for case in CASES}) == len(CASES)


@pytest.mark.parametrize("name", NAMES)
def test_each_module_has_models(name):
    assert [case for case in CASES if case.builder.args[0] == name]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_each_cites_its_paper(case):
    module, cls = case.builder.args
    assert re.search(
        r"(19|20)\d\d", getattr(importlib.import_module(f"model_suite.classics.{module}"), cls).__doc__
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_each_gives_numbers(case):
    args, kwargs = case.inputs()
    leaves = torch.utils._pytree.tree_leaves(case.build()(*args, **kwargs))
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    assert tensors
    assert all(tensor.isfinite().all() for tensor in tensors)


def test_listing_imports_no_model():
    code = "import sys, model_suite; model_suite.cases('classics'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = done.stdout.split()
    assert "model_suite.sources.classics" in imported
    assert [name for name in imported if name.startswith("model_suite.classics")] == []


def test_inputs_of_a_text():
    (floats, integers), named = make("f32[2,3] i64[4]<3")
    assert floats.shape == (2, 3)
    assert integers.shape == (4,)
    assert integers.max() < 3
    assert named == {}


# -- two ways to the same numbers --------------------------------------------------------------------


def test_retention_in_parallel_and_step_by_step():
    parallel, recurrent = state_space.RetNet(), state_space.RecurrentRetNet()
    recurrent.load_state_dict(parallel.state_dict())
    x = torch.rand(2, 6, 8)
    assert_close(parallel(x), recurrent(x))


def test_the_kernel_of_s4_is_that_of_its_recurrence():
    model, length = state_space.S4(), 7
    kernel = model.kernel(length)
    b, c, p = (torch.view_as_complex(part) for part in (model.b, model.c, model.p))
    a = torch.diag(torch.complex(-model.log_real.exp(), model.imaginary)) - p[:, None] * p.conj()
    # HiPPO-LegS has the eigenvalues -1, -2, ...
    assert_close(torch.linalg.eigvals(a).real.sort().values, -torch.arange(6.0, 0, -1), atol=1e-2, rtol=0)
    eye = torch.eye(6)
    for channel, step in enumerate(model.log_step.exp()):
        discrete = torch.linalg.solve(eye - step / 2 * a, eye + step / 2 * a)
        drive = torch.linalg.solve(eye - step / 2 * a, step * b)
        read = torch.linalg.solve((eye - torch.linalg.matrix_power(discrete, length)).T, c[channel])
        steps = [read @ torch.linalg.matrix_power(discrete, power) @ drive for power in range(length)]
        assert_close(torch.stack(steps).real, kernel[channel], atol=1e-2, rtol=1e-2)


def test_the_scan_that_doubles_its_reach():
    model, x = state_space.LinearRecurrentUnit(), torch.rand(1, 6, 4)
    decay = torch.exp(torch.complex(-model.nu_log.exp(), model.theta_log.exp()))
    drive = torch.sqrt(1 - decay.abs() ** 2) * (x.to(torch.cfloat) @ torch.view_as_complex(model.b).T)
    state, outputs = torch.zeros_like(drive[:, 0]), []
    for time in range(6):
        state = decay * state + drive[:, time]
        outputs.append((state @ torch.view_as_complex(model.c).T).real + model.d * x[:, time])
    assert_close(model(x), torch.stack(outputs, 1))


def test_time_mixing_without_the_running_maximum():
    model = state_space.RWKV()
    k, v = torch.randn(1, 5, 8), torch.randn(1, 5, 8)
    for time, mean in enumerate(model.wkv(k, v)[0]):
        weights = [torch.exp(k[0, past] - (time - 1 - past) * model.decay.exp()) for past in range(time)]
        weights = torch.stack([*weights, torch.exp(model.bonus + k[0, time])])
        assert_close(mean, (weights * v[0, : time + 1]).sum(0) / weights.sum(0))


def test_a_cache_changes_nothing():
    model, words = decoding.GPT(), torch.randint(12, (2, 7))
    whole, _ = model(words)
    first, cache = model(words[:, :3])
    second, cache = model(words[:, 3:5], cache)
    third, _ = model(words[:, 5:], cache)
    assert_close(whole, torch.cat([first, second, third], 1))


def test_segments_see_the_one_before():
    model, words = attention.TransformerXL(depth=1), torch.randint(20, (1, 8))
    assert_close(model(words, 8), model(words, 4), atol=1e-5, rtol=1e-4)


def test_random_features_come_near_the_softmax():
    model = attention.Performer()
    model.projection = torch.randn(20000, 4)
    q, k = torch.randn(1, 1, 5, 4) / 2, torch.randn(1, 1, 5, 4) / 2
    kernel = model.features(q) @ model.features(k).mT
    assert_close(kernel / kernel.sum(-1, keepdim=True), (q @ k.mT / 2).softmax(-1), atol=1e-2, rtol=0.1)


def test_the_best_product_keys_are_the_best_of_all():
    model, x = memory.ProductKeyMemory(heads=1, keys=4, best=4).eval(), torch.rand(2, 8)
    halves = torch.einsum("npd,pkd->npk", model.query(x).view(2, 2, -1), model.keys[0])
    best, slots = (halves[:, 0, :, None] + halves[:, 1, None]).flatten(1).topk(4)
    assert_close(model(x), x + (best.softmax(-1)[..., None] * model.values.weight[slots]).sum(1))


def test_a_deformable_convolution_without_offsets():
    model, image = convolution.DeformableConvNet(), torch.rand(2, 3, 6, 9)
    model.offsets.weight.zero_()
    model.offsets.bias.zero_()
    plain = F.conv2d(F.relu(model.stem(image)), model.weight.view(8, 8, 3, 3), padding=1)
    assert_close(model(image), plain, atol=1e-5, rtol=1e-4)


# -- all possibilities, counted ----------------------------------------------------------------------


def test_the_field_over_all_paths():
    model, words = decoding.ConditionalRandomField(), torch.randint(20, (1, 4))
    emitted = model.emit(model.lstm(model.embed(words))[0])[0]
    paths = torch.cartesian_prod(*[torch.arange(4)] * 4)
    scores = model.start[paths[:, 0]] + model.end[paths[:, -1]] + emitted[torch.arange(4), paths].sum(1)
    scores = scores + model.move[paths[:, :-1], paths[:, 1:]].sum(1)
    path, likely = model(words)
    assert path[0].tolist() == paths[scores.argmax()].tolist()
    assert_close(likely[0], scores.max() - scores.logsumexp(0))


def test_the_hidden_states_over_all_paths():
    model, symbols = decoding.HiddenMarkovModel(), torch.randint(5, (1, 4))
    paths = torch.cartesian_prod(*[torch.arange(3)] * 4)
    chances = model.start.softmax(0)[paths[:, 0]] * model.emit.softmax(1)[paths, symbols].prod(1)
    chances = chances * model.move.softmax(1)[paths[:, :-1], paths[:, 1:]].prod(1)
    likely, posterior = model(symbols)
    assert_close(likely[0], chances.sum().log())
    assert_close(posterior[0], (F.one_hot(paths) * chances[:, None, None]).sum(0) / chances.sum())


def test_the_beam_finds_the_best_of_two_words():
    model, prompt = decoding.BeamSearch(beams=12, steps=2), torch.randint(12, (1, 3))
    pairs = torch.cartesian_prod(torch.arange(12), torch.arange(12))
    logits, _ = model.model(torch.cat([prompt.expand(144, -1), pairs], 1))
    likely = logits[:, 2:4].log_softmax(-1).gather(2, pairs[..., None]).sum((1, 2))
    found, scores = model(prompt)
    assert found[0].tolist() == pairs[likely.argmax()].tolist()
    assert_close(scores[0], likely.max())


def test_the_mass_of_all_trees():
    model, words = decoding.BiaffineParser(), torch.randint(20, (1, 3))
    scores, total = model(words)
    root = model.root(model.lstm(model.embed(words))[0])[0, :, 0]

    def is_tree(heads):
        places = list(range(3))
        for _ in range(3):
            places = [place if place == -1 else heads[place] for place in places]
        return heads.count(-1) == 1 and set(places) == {-1}

    trees = [heads for heads in itertools.product(range(-1, 3), repeat=3) if is_tree(heads)]
    assert len(trees) == 9
    masses = [
        torch.stack(
            [root[word] if head == -1 else scores[0, head, word] for word, head in enumerate(heads)]
        ).sum()
        for heads in trees
    ]
    assert_close(total[0], torch.stack(masses).logsumexp(0))


# -- densities and orders ----------------------------------------------------------------------------


def test_each_bit_depends_on_those_before():
    model = generative.MADE()
    slopes = jacobian(lambda x: model(x[None])[0][0], torch.rand(8))
    assert torch.all(slopes.triu() == 0)
    assert torch.any(slopes != 0)


def test_each_pixel_depends_on_those_before():
    model = generative.PixelCNN()
    slopes = jacobian(lambda image: model.logits(image)[0].sum(0).flatten(), torch.rand(1, 1, 6, 6)).view(
        36, 36
    )
    assert torch.all(slopes.triu() == 0)
    assert torch.any(slopes != 0)


@pytest.mark.parametrize(
    ("model", "shape"), [(flows_and_energies.RealNVP, (1, 4)), (flows_and_energies.Glow, (1, 1, 4, 4))]
)
def test_a_density_has_the_volume_of_its_map(model, shape):
    flow, x = model(), torch.rand(shape)
    for parameter in flow.parameters():
        parameter += 0.05 * torch.randn_like(parameter)
    size = x.numel()
    *codes, density = flow(x)
    volume = torch.linalg.slogdet(
        jacobian(lambda y: torch.cat(flow(y)[:-1], 1).flatten(), x).view(size, size)
    )
    assert_close(density[0], flows_and_energies.log_normal(torch.cat(codes, 1))[0] + volume.logabsdet)


@pytest.mark.parametrize(
    "model",
    [
        state_space.S4D,
        state_space.LinearRecurrentUnit,
        state_space.Mamba,
        state_space.Hyena,
        lambda: state_space.RWKV(4),
        lambda: state_space.DeltaNet(4),
        lambda: state_space.MatrixLSTM(4),
        lambda: attention.LinearTransformer(4),
    ],
)
def test_the_future_does_not_reach_the_past(model):
    model, x = model(), torch.rand(1, 6, 4)
    other = torch.cat([x[:, :4], torch.rand(1, 2, 4)], 1)
    assert_close(model(x)[:, :4], model(other)[:, :4], atol=1e-5, rtol=1e-4)
    assert (model(x) - model(other))[:, 4:].abs().max() > 1e-4


def test_the_sound_to_come_does_not_reach_the_past():
    model, sound = generative.WaveNet(), torch.arange(12)[None] % 8
    assert_close(model(sound)[..., :8], model(torch.where(torch.arange(12) < 8, sound, 0))[..., :8])


# -- symmetries --------------------------------------------------------------------------------------


def test_a_turned_image_is_the_same():
    model, image = convolution.RotationEquivariantNet(), torch.rand(2, 1, 16, 16)
    assert_close(model(image), model(torch.rot90(image, 1, (2, 3))))


def test_points_turn_with_their_frame():
    model, turn = point_sets.EquivariantGraphNet().double(), rotation()
    h, x = torch.rand(4, 6, dtype=torch.double), torch.rand(4, 3, dtype=torch.double)
    (features, places), (same, turned) = model(h, x), model(h, x @ turn.T + 1)
    assert_close(features, same)
    assert_close(places @ turn.T + 1, turned)


def test_vectors_turn_with_their_frame():
    model, turn = point_sets.TensorFieldNet().double(), rotation()
    shapes = ((4, 4), (4, 4, 3), (4, 3))
    s, v, x = (torch.rand(shape, dtype=torch.double) for shape in shapes)
    (scalars, vectors), (same, turned) = model(s, v, x), model(s, v @ turn.T, x @ turn.T)
    assert_close(scalars, same, atol=1e-4, rtol=1e-3)
    assert_close(vectors @ turn.T, turned, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    "model",
    [point_sets.DeepSets, point_sets.PointNet, point_sets.DynamicGraphCNN, attention.SetTransformer],
)
def test_the_order_of_a_set_does_not_matter(model):
    model, x = model().eval(), torch.rand(2, 8, 3)
    assert_close(model(x), model(x[:, torch.randperm(8)]), atol=1e-5, rtol=1e-4)


# -- laws --------------------------------------------------------------------------------------------


def test_energy_is_kept():
    _, energies = continuous_time.HamiltonianNet()(torch.rand(2, 4), torch.linspace(0, 1, 20))
    assert_close(energies[0], energies[-1], atol=1e-4, rtol=1e-4)


def test_the_equation_of_euler_and_lagrange():
    class Known(continuous_time.LagrangianNet):
        def lagrangian(self, q, v):
            return (v.square().sum(-1) - q.square().sum(-1)) / 2 + q[:, 0] * v[:, 0] * v[:, 1] / 10

    q, v = torch.rand(3, 2), torch.rand(3, 2)
    a = Known()(q, v)
    momentum = (
        a + torch.stack([v[:, 0] * v[:, 1] + q[:, 0] * a[:, 1], v[:, 0] ** 2 + q[:, 0] * a[:, 0]], 1) / 10
    )
    force = -q + torch.stack([v[:, 0] * v[:, 1], torch.zeros(3)], 1) / 10
    assert_close(momentum, force)


def test_a_constant_is_the_first_legendre_polynomial():
    model, state = continuous_time.LegendreMemoryUnit(order=3), torch.zeros(3)
    for _ in range(40):
        state = model.a @ state + model.b
    assert_close(state, torch.tensor([1.0, 0.0, 0.0]), atol=1e-4, rtol=0)


def test_the_equilibrium_stays():
    model, x = nested.DeepEquilibriumNet(most=60, tolerance=1e-4), torch.rand(2, 6)
    z = model(x)
    assert_close(model.f(z, x), z, atol=1e-2, rtol=1e-2)


def test_the_energy_of_a_pattern_falls():
    model, start = memory.ModernHopfield(), torch.randn(4, 6)
    _, energy = model(start)
    assert torch.all(energy <= model.energy(start) + 1e-5)


def test_learning_within_the_pass():
    x = torch.linspace(-1, 1, 10)[:, None]
    _, losses = nested.MAML(steps=20)(x, x.sin(), x)
    assert losses[-1] < losses[0]


def test_splines_add_up_to_one():
    basis = mixing.KolmogorovArnoldNet().basis(torch.rand(5, 2) * 1.9 - 0.95)
    assert_close(basis.sum(-1), torch.ones(5, 2))


def test_sparsemax_is_a_distribution_with_zeros():
    chances = recommenders.sparsemax(torch.randn(4, 6) * 2)
    assert_close(chances.sum(-1), torch.ones(4))
    assert chances.min() == 0


def test_free_memory_is_allocated_first():
    weights = memory.DifferentiableNeuralComputer.allocate(torch.tensor([[0.9, 0.1, 0.5]]))
    assert_close(weights, torch.tensor([[0.1 * 0.1 * 0.5, 0.9, 0.1 * 0.5]]))


def test_a_cold_sort_sorts():
    model, x = discrete.NeuralSort(temperature=1e-4, rounds=1), torch.rand(1, 5, 3)
    in_order, _ = model(x)
    assert model.score(in_order)[0, :, 0].diff().max() <= 1e-5
