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
    kornia_models,
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
        ["resnet10", "enet_cityscapes", "voca8flame", "quartznet5x5_en_ls"],
    ),
    "torch_geometric": (
        geometric_models,
        "torch_geometric",
        [
            "GCNConv",
            "SignedConv",
            "HGTConv",
            "DNAConv",
            "GAT",
            "GraphUNet",
            "LPFormer",
            "JumpingKnowledge",
            "SchNet",
            "ViSNet",
        ],
    ),
    "diffusers": (
        diffusers_models,
        "diffusers",
        [
            "FluxTransformer2DModel",
            "UNet2DModel",
            "AutoencoderKL",
            "AutoencoderKLAllegro",
            "ControlNetUnionModel",
            "LuminaNextDiT2DModel",
            "SanaWMLTX2RefinerTransformer3DModel",
            "T5FilmDecoder",
            "WanAnimate2Transformer3DModel",
        ],
    ),
    "open_clip": (open_clip_models, "open_clip", ["ViT-S-32", "RN50"]),
    "kornia": (
        kornia_models,
        "kornia",
        ["hardnet", "lightglue-sift", "sam-mobile", "siglip2", "hessian_hardnet"],
    ),
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
    """Torch is imported before: it takes longer than all else. Time of the processor: others may be at work."""
    program = (
        "import sys, time, torch\n"
        "began = time.process_time()\n"
        "import model_suite\n"
        "count = len(model_suite.cases())\n"
        f"print(count, time.process_time() - began, [one for one in {LIBRARIES} if one in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    count, seconds, imported = done.stdout.split(maxsplit=2)
    assert imported.strip() == "[]"
    assert int(count) > 2000
    assert float(seconds) < 0.3


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


def test_a_library_is_imported_on_the_cpu(tmp_path, monkeypatch):
    """Wherever the first of its models is built: what it makes for itself is used by all of them."""
    (tmp_path / "library_with_a_table.py").write_text("import torch\nTABLE = torch.ones(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with torch.device("meta"):
        assert listing.library("library_with_a_table", "it").TABLE.tolist() == [1, 1, 1]


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


def test_methods_that_are_called_are_there():
    diffusers = pytest.importorskip("diffusers")
    for name, method in diffusers_exceptions.CALLED.items():
        assert callable(getattr(getattr(diffusers, name), method))


def test_every_encoder_of_texts_of_another_library_is_known():
    open_clip = pytest.importorskip("open_clip")
    texts = [open_clip.get_model_config(name)["text_cfg"] for name in open_clip.list_models()]
    assert set(open_clip_models._ENCODERS) == {text.get("hf_model_name") for text in texts} - {None}


def test_an_encoder_of_texts_is_not_looked_up(no_network):
    pytest.importorskip("open_clip")
    case = find("open_clip/xlm-roberta-large-ViT-H-14")
    model = case.build("meta")
    assert sum(one.numel() for one in model.parameters()) == case.record.parameters
    shape = model.text.transformer.embeddings.word_embeddings.weight.shape
    assert tuple(shape) == (250002, 1024)


@pytest.mark.parametrize(
    ("encoder", "end", "padding"),
    [("roberta-base", 2, 1), ("google/mt5-base", 1, 0)],
    ids=["roberta", "mt5"],
)
def test_a_text_ends_and_is_padded(encoder, end, padding):
    pytest.importorskip("open_clip")
    (text,) = open_clip_models._text({"hf_model_name": encoder}).tolist()
    assert text[-8:] == [end, *[padding] * 7]
    assert not {end, padding} & set(text[:-8])


def test_a_text_of_the_library_ends_with_its_last_token():
    (text,) = open_clip_models._text({"context_length": 5, "vocab_size": 9000}).tolist()
    assert len(text) == 5
    assert text[-1] == 8999 > max(text[:-1])


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


@pytest.mark.parametrize("with_vectors", [False, True])
def test_atoms_of_one_molecule_that_are_near(with_vectors):
    """The third is far from the first, and the fourth of another molecule."""
    places = torch.tensor([[0.0, 0, 0], [0.5, 0, 0], [1.0, 0, 0], [0.5, 0, 0]])
    found = geometric_models.Near(with_vectors)(places, torch.tensor([0, 0, 0, 1]))
    edges = {
        tuple(edge): length for edge, length in zip(found[0].t().tolist(), found[1].tolist(), strict=True)
    }
    assert {edge: length for edge, length in edges.items() if edge[0] != edge[1]} == {
        (0, 1): 0.5,
        (1, 0): 0.5,
        (1, 2): 0.5,
        (2, 1): 0.5,
    }
    assert {edge for edge in edges if edge[0] == edge[1]} == (
        {(n, n) for n in range(4)} if with_vectors else set()
    )
    assert [one.norm().item() for one in found[2]] == found[1].tolist() if with_vectors else len(found) == 2


def test_an_argument_that_no_table_has():
    with pytest.raises(
        ValueError, match=r"no value is known for the argument 'q' of torch_geometric\.nn\.GCN"
    ):
        geometric_models._known({}, "q", "GCN")


def test_speech_is_given_as_spectra():
    """What makes spectra of a sound is no part of the models, and the end of these is no sound."""
    pytest.importorskip("pytorchcv")
    case = find("pytorchcv/quartznet5x5_en_ls")
    assert not hasattr(case.build("meta"), "preprocessor")
    (spectrum, length), _ = case.inputs()
    assert tuple(spectrum.shape) == (1, 64, 96)
    assert length.tolist() == [80]


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
