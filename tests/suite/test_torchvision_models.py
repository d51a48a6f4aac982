"""The cases of torchvision: all of them, and nothing is downloaded."""

import re
import socket
import sys

import pytest
import torch

from model_suite import SizeClass, cases, find
from model_suite.sources import torchvision_models

torchvision = pytest.importorskip("torchvision")

ALL = cases("torchvision")
# Their initialisation reads numbers, which meta tensors have not.
NEEDS_NUMBERS = frozenset(case.name for case in ALL if case.family == "regnet")


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("something is downloaded")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)


def test_the_table_is_what_torchvision_lists():
    listed = sorted(torchvision.models.list_models())
    assert sorted(case.name.removeprefix("torchvision/") for case in ALL) == listed


def test_every_family_has_a_model():
    assert all(names.split() for names, _, _ in torchvision_models._FAMILIES.values())
    assert {case.family for case in ALL} == set(torchvision_models._FAMILIES)


def test_sets_of_names_name_models():
    names = {case.name.removeprefix("torchvision/") for case in ALL}
    assert torchvision_models._SMOKE - names == set()


def test_sizes():
    assert {case.size for case in ALL} == set(SizeClass)


@pytest.mark.parametrize("family", sorted(torchvision_models._FAMILIES))
def test_models_build_in_eval_mode_from_nothing(family, no_network, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # no file of an earlier download helps
    for case in ALL:
        if case.family != family or case.name in NEEDS_NUMBERS:
            continue
        with torch.device("meta"):
            model = case.build()
        assert not any(module.training for module in model.modules()), case.name
    assert list(tmp_path.iterdir()) == []


def test_the_network_is_watched(no_network, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(AssertionError, match="something is downloaded"):
        torchvision.models.get_model("squeezenet1_1", weights="DEFAULT")


def test_a_family_that_needs_numbers_builds(no_network):
    assert not find("torchvision/regnet_y_400mf").build().training


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("alexnet", [(1, 3, 64, 64)]),
        ("inception_v3", [(1, 3, 96, 96)]),
        ("raft_small", [(1, 3, 128, 128), (1, 3, 128, 128)]),
        ("r3d_18", [(1, 3, 4, 32, 32)]),
    ],
)
def test_inputs(name, shapes):
    args, kwargs = find(f"torchvision/{name}").inputs()
    assert [tuple(arg.shape) for arg in args] == shapes
    assert kwargs == {}


def test_detectors_take_a_list_of_pictures():
    (pictures,), _ = find("torchvision/ssd300_vgg16").inputs()
    assert [tuple(picture.shape) for picture in pictures] == [(3, 96, 128), (3, 128, 96)]


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("alexnet", [(1, 3, 224, 224)]),
        ("efficientnet_b3", [(1, 3, 300, 300)]),
        ("fcn_resnet50", [(1, 3, 520, 520)]),
        ("raft_small", [(1, 3, 440, 1024)] * 2),
        ("r3d_18", [(1, 3, 16, 112, 112)]),
    ],
)
def test_canonical_inputs(name, shapes, no_network):
    args, kwargs = find(f"torchvision/{name}").at_canonical_size().inputs("meta")
    assert [tuple(arg.shape) for arg in args] == shapes
    assert kwargs == {}


def test_models_whose_parameters_depend_on_the_size_are_built_for_it():
    case = find("torchvision/vit_h_14")
    small, canonical = case.build("meta"), case.at_canonical_size().build("meta")
    assert (small.image_size, canonical.image_size) == (56, 518)
    (picture,), _ = case.at_canonical_size().inputs("meta")
    assert picture.shape[-1] == 518


def test_detectors_keep_the_size_of_their_authors():
    case = find("torchvision/fcos_resnet50_fpn")
    assert case.build("meta").transform.min_size == (96,)
    assert case.at_canonical_size().build("meta").transform.min_size == (800,)


def test_clips_are_as_long_as_those_of_the_published_accuracies():
    for case in ALL:
        if case.task != "video":
            continue
        weights = torchvision.models.get_model_weights(case.name.removeprefix("torchvision/")).DEFAULT
        said = re.search(r"`clip_len=(\d+)`", weights.meta["_docs"])
        (clip,), _ = case.at_canonical_size().inputs("meta")
        assert clip.shape[2] == int(said[1])


@pytest.mark.parametrize("name", ["alexnet", "vit_b_32", "swin_t", "efficientnet_b0", "mc3_18"])
def test_models_run_at_their_canonical_size(name):
    case = find(f"torchvision/{name}").at_canonical_size()
    args, kwargs = case.inputs("meta")
    assert tuple(case.build("meta")(*args, **kwargs).shape) in {(1, 1000), (1, 400)}


def test_weights_are_random():
    torch.manual_seed(0)
    one = find("torchvision/squeezenet1_1")
    first, second = next(one.build().parameters()), next(one.build().parameters())
    assert not torch.equal(first, second)


def test_without_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(ImportError) as raised:
        find("torchvision/alexnet").build()
    message = str(raised.value)
    assert message.startswith("The torchvision models of the catalogue need torchvision: ")
    assert message.endswith("Install the extra: pip install 'pytest-torchlens[suite]'.")
