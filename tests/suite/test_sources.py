"""Sources that list what a library has: from records, without the library; built and run with it, from nothing."""

import subprocess
import sys

import pytest
import torch

import torchlens_core as tl
from model_suite import cases, find
from model_suite.records import records_of
from model_suite.registry import discovered, sources
from model_suite.sources import (
    diffusers_exceptions,
    diffusers_models,
    geometric_models,
    listing,
    monai_models,
    open_clip_models,
    pytorchcv_models,
    segmentation_models,
    timm_models,
    x_transformers_models,
)

#: By source: its module here, the library's, and cases of distinct kinds.
SOURCES = {
    "timm": (timm_models, "timm", ["resnet18", "vit_tiny_patch16_224"]),
    "segmentation_models_pytorch": (
        segmentation_models,
        "segmentation_models_pytorch",
        ["unet-resnet18", "segformer-mit_b0"],
    ),
    "pytorchcv": (
        pytorchcv_models,
        "pytorchcv",
        ["resnet10", "enet_cityscapes", "voca8flame"],
    ),
    "torch_geometric": (
        geometric_models,
        "torch_geometric",
        ["GCNConv", "SignedConv", "HGTConv", "DNAConv", "GAT", "GraphUNet", "LPFormer", "JumpingKnowledge"],
    ),
    "diffusers": (
        diffusers_models,
        "diffusers",
        ["FluxTransformer2DModel", "UNet2DModel", "AutoencoderKL", "ControlNetUnionModel", "T5FilmDecoder"],
    ),
    "open_clip": (open_clip_models, "open_clip", ["ViT-S-32", "RN50"]),
    "monai": (monai_models, "monai", ["unet-1d", "mednext", "diffusion_unet-conditioned", "voxel_morph"]),
    "x_transformers": (
        x_transformers_models,
        "x_transformers",
        [
            "vit",
            "encoder_decoder",
            "decoder-cross_attend",
            "decoder-use_adaptive_rmsnorm",
            "decoder-recycling",
        ],
    ),
}
LIBRARIES = ("torchvision", "transformers", *(library for _, library, _ in SOURCES.values()))
EACH = [(source, name) for source, (_, _, names) in SOURCES.items() for name in names]


def test_every_source_is_of_the_registry():
    assert set(sources()) == {"torchvision", "classics", "transformers", *SOURCES}


def test_listing_all_imports_none_of_the_libraries_and_is_quick():
    """Torch is imported before: it takes longer than all else."""
    program = (
        "import sys, time, torch\n"
        "began = time.perf_counter()\n"
        "import model_suite\n"
        "count = len(model_suite.cases())\n"
        f"print(count, time.perf_counter() - began, [one for one in {LIBRARIES} if one in sys.modules])\n"
    )
    least = 1.0
    for _ in range(3):  # others may be at work
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        count, seconds, imported = done.stdout.split(maxsplit=2)
        assert imported.strip() == "[]"
        assert int(count) > 2000
        least = min(least, float(seconds))
        if least < 0.3:
            break
    assert least < 0.3


@pytest.mark.parametrize("source", ["classics", "torchvision"])
def test_cases_are_the_records(source):
    """Those of other sources are made of their records; these stand in tables."""
    listed = {case.name: case for case in cases(source)}
    assert set(listed) == set(records_of(source))
    assert all(
        (case.family, case.task) == (case.record.family, case.record.task) for case in listed.values()
    )


@pytest.mark.parametrize("source", SOURCES)
def test_most_of_what_is_listed_was_traced(source):
    records = records_of(source).values()
    assert sum(bool(record.folded) for record in records) > 0.8 * len(records)
    assert all(record.limits for record in records if not record.folded)


@pytest.mark.parametrize("source", SOURCES)
def test_a_library_that_is_missing_is_named(source, monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(listing.importlib, "import_module", missing)
    name = SOURCES[source][2][0]
    for act in (find(f"{source}/{name}").build, lambda: discovered(source)):
        with pytest.raises(ImportError, match=r"pip install 'pytest-torchlens\[catalogue\]'") as raised:
            act()
        assert str(raised.value).startswith("Models of the catalogue need ")


@pytest.mark.parametrize(("source", "name"), EACH)
def test_models_build_and_are_traced(source, name, no_network):
    pytest.importorskip(SOURCES[source][1], reason="the library is an extra: pytest-torchlens[catalogue]")
    case = find(f"{source}/{name}")
    device = "meta" if case.record.on_meta else "cpu"
    model = case.build(device)
    args, kwargs = case.inputs(device)
    with torch.no_grad():
        history = tl.log_forward_pass(model, list(args), kwargs, layers_to_save="none")
    assert not any(module.training for module in model.modules())
    assert (len(history.ops), history.total_params) == (case.record.ops, case.record.parameters)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("something is downloaded")

    monkeypatch.setattr("socket.socket.connect", refuse)


# -- what the tables say -----------------------------------------------------------------------------


def test_what_is_left_out_is_there():
    nets = pytest.importorskip("torch_geometric.nn")
    named = {name for names in geometric_models._LEFT_OUT.values() for name in names.split()}
    known = {*nets.conv.classes, *nets.models.classes}
    assert named <= known
    tables = (
        geometric_models._OWN,
        geometric_models._OWN_INPUTS,
        geometric_models._POSITIONAL,
        geometric_models._SECOND,
    )
    for table in tables:
        assert set(table) <= known - named


def test_exceptions_of_diffusers_are_of_its_models():
    diffusers = pytest.importorskip("diffusers")
    left_out = {name for names in diffusers_exceptions.LEFT_OUT.values() for name in names.split()}
    for table in (diffusers_exceptions.CONFIGURATIONS, diffusers_exceptions.ARGUMENTS, left_out):
        assert [name for name in table if not hasattr(diffusers, name)] == []
    assert left_out & {*diffusers_exceptions.CONFIGURATIONS, *diffusers_exceptions.ARGUMENTS} == set()


def test_what_segmentation_refuses_is_refused():
    smp = pytest.importorskip("segmentation_models_pytorch")
    for architecture, encoders in segmentation_models._REFUSED.items():
        for encoder in encoders:
            with pytest.raises(ValueError, match="support"):
                smp.create_model(architecture, encoder_name=encoder, encoder_weights=None)


def test_few_layers_and_heads_of_diffusers():
    pytest.importorskip("diffusers")
    found = diffusers_models._configuration("FluxTransformer2DModel")
    assert (found["num_layers"], found["num_single_layers"], found["num_attention_heads"]) == (2, 2, 2)
    assert found["attention_head_dim"] == 128
    assert diffusers_models._configuration("UNet2DModel")["block_out_channels"] == (32, 64, 96, 128)


def test_two_layers_of_a_convolution():
    pytest.importorskip("torch_geometric")
    model = find("torch_geometric/GCNConv").build()
    assert [type(one).__name__ for one in model.children()] == ["GCNConv", "GCNConv"]


def test_an_argument_that_no_table_has():
    with pytest.raises(
        ValueError, match=r"no value is known for the argument 'q' of torch_geometric\.nn\.GCN"
    ):
        geometric_models._known({}, "q", "GCN")


def test_views_of_streets_are_a_quarter_a_side():
    pytest.importorskip("pytorchcv")
    assert pytorchcv_models._size("enet_cityscapes") == (256, 512)
    assert pytorchcv_models._size("resnet10") == (224, 224)


def test_tables_of_x_transformers_name_options():
    pytest.importorskip("x_transformers")
    options = {option for _, some in x_transformers_models._options() for option in some}
    assert set(x_transformers_models._BESIDE) <= options
    left_out = {name for names in x_transformers_models._LEFT_OUT.values() for name in names.split()}
    assert left_out & options == set()


def test_an_option_is_on_alone():
    pytest.importorskip("x_transformers")
    plain, normed = (find(f"x_transformers/decoder{end}").build() for end in ("", "-use_rmsnorm"))
    kinds = [{type(one).__name__ for one in model.modules()} for model in (plain, normed)]
    assert kinds[1] ^ kinds[0] == {"LayerNorm", "RMSNorm"}
