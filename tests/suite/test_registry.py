"""All cases under their names, and which are the smoke tier."""

import collections
import subprocess
import sys

import pytest
from torch import nn

from model_suite import ModelCase, SizeClass, cases, find, registry, smoke_cases, standard_cases

LIBRARIES = (
    "torchvision",
    "timm",
    "transformers",
    "diffusers",
    "torch_geometric",
    "pytorchcv",
    "open_clip",
)
TELL = f"import sys; print(any(name in sys.modules for name in {LIBRARIES}))"


def test_names_are_unique():
    counts = collections.Counter(case.name for case in cases())
    assert len(counts) > 100
    assert [name for name, count in counts.items() if count > 1] == []


def test_each_says_where_it_belongs():
    assert [case.name for case in cases() if not (case.family and case.task)] == []
    assert [case.name for case in cases() if case.name.partition("/")[0] != case.source] == []


def test_the_cases_of_a_source():
    assert cases("torchvision")
    assert cases("torchvision") == [case for case in cases() if case.source == "torchvision"]
    with pytest.raises(KeyError, match=r"no source 'torchvison': one of torchvision, "):
        cases("torchvison")
    with pytest.raises(
        KeyError, match=r"no source 'xyz': one of classics, diffusers, .*, x_transformers[?]"
    ):
        cases("xyz")


def test_the_order_stays():
    before = [case.name for case in cases()]
    registry._all.cache_clear()
    assert [case.name for case in cases()] == before


def test_a_list_of_ones_own():
    cases().clear()
    assert cases()


def test_the_smoke_tier_is_small():
    assert 25 <= len(smoke_cases()) <= 35
    assert {case.name for case in smoke_cases()} < {case.name for case in cases()}
    assert all(case.size.value != "large" for case in smoke_cases())


@pytest.mark.parametrize("task", ["classification", "detection", "segmentation", "video", "optical flow"])
def test_the_smoke_tier_has_each_task(task):
    assert any(case.task == task for case in smoke_cases())


@pytest.mark.parametrize("tag", ["attention", "recurrent", "dynamic", "multi-input", "multi-output"])
def test_the_smoke_tier_has_each_kind(tag):
    assert any(tag in case.tags for case in smoke_cases())
    assert any(tag not in case.tags for case in smoke_cases())


def test_the_smoke_tier_has_every_task_of_torchvision():
    assert {case.task for case in smoke_cases()} == {case.task for case in cases("torchvision")}


def test_the_standard_tier_is_varied():
    """Distinct structures, all small, of every source that was measured; the smoke tier is part of it."""
    chosen = standard_cases()
    assert {case.name for case in smoke_cases()} <= {case.name for case in chosen}
    assert len(chosen) == registry.STANDARD
    own = [case for case in chosen if "smoke" not in case.tags]
    folded = [case.record.folded for case in own if case.record is not None]
    assert len(set(folded)) == len(folded) == len(own)
    assert all(case.size is SizeClass.SMALL for case in own)


# -- cases of other packages -------------------------------------------------------------------------


class Point:
    """An entry point."""

    def __init__(self, name, listed):
        self.name = name
        self._listed = listed

    def load(self):
        return lambda: self._listed


@pytest.fixture
def others(monkeypatch):
    """Makes cases those of another package."""

    def install(*listed):
        monkeypatch.setattr(registry, "entry_points", lambda group: [Point("other", listed)])
        registry._all.cache_clear()

    yield install
    registry._all.cache_clear()


def own(name):
    return ModelCase(name=name, source="other", family="net", builder=nn.ReLU, maker=lambda: ((), {}))


def test_other_packages_add_cases(others):
    others(own("other/net"))
    assert find("other/net").source == "other"
    assert cases()[-1].name == "other/net"


def test_a_name_that_is_there_already(others):
    others(own("torchvision/resnet18"))
    with pytest.raises(
        ValueError, match="'other' of torchlens_models lists a case 'torchvision/resnet18', which is"
    ):
        cases()


def test_find():
    assert find("torchvision/vit_b_32").family == "vit"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "torchvision/resnet19",
            "no model 'torchvision/resnet19' in the catalogue; nearest: "
            "torchvision/resnet18, torchvision/resnet152, torchvision/resnet101",
        ),
        ("x", "no model 'x' in the catalogue; nearest: none"),
    ],
)
def test_a_name_that_is_not_there(name, message):
    with pytest.raises(KeyError) as raised:
        find(name)
    assert raised.value.args == (message,)


def test_a_name_without_its_source():
    """What else is near depends on what other libraries list."""
    with pytest.raises(KeyError) as raised:
        find("resnet18")
    nearest = raised.value.args[0].partition("nearest: ")[2].split(", ")
    assert nearest[0] == "torchvision/resnet18"
    assert len(nearest) == 3


@pytest.mark.parametrize(
    ("statement", "imported"),
    [
        ("import model_suite; model_suite.cases(); model_suite.smoke_cases()", False),
        ("import model_suite; model_suite.find('torchvision/squeezenet1_1').inputs()", False),
        ("import model_suite; model_suite.find('torchvision/squeezenet1_1').build()", True),
    ],
)
def test_only_building_imports_the_library(statement, imported):
    if imported:
        pytest.importorskip("torchvision")
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{TELL}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(imported)]
