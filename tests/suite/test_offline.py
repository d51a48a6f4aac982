"""Nothing is downloaded while a model is built, and afterwards the libraries are as they were."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from torch import nn

from model_suite import ModelCase
from model_suite.offline import offline

SAYS = (
    "from huggingface_hub import constants as c; print(c.HF_HUB_OFFLINE, os.environ.get('HF_HUB_OFFLINE'))"
)


@pytest.fixture
def constants(monkeypatch):
    """The module that the library asks at each request."""
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return constants


def test_offline_inside_and_as_before_after(constants):
    with offline():
        assert (constants.HF_HUB_OFFLINE, os.environ["HF_HUB_OFFLINE"]) == (True, "1")
    assert (constants.HF_HUB_OFFLINE, os.environ.get("HF_HUB_OFFLINE")) == (False, None)


def test_after_an_error_too(constants, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with pytest.raises(RuntimeError), offline():
        raise RuntimeError
    assert (constants.HF_HUB_OFFLINE, os.environ["HF_HUB_OFFLINE"]) == (False, "0")


@pytest.mark.parametrize(("before", "after"), [(None, "False None"), ("1", "True 1"), ("0", "False 0")])
def test_where_the_library_is_imported_inside(constants, before, after):
    code = f"import os\nfrom model_suite.offline import offline\nwith offline():\n    {SAYS}\n{SAYS}"
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    if before is not None:
        environment["HF_HUB_OFFLINE"] = before
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.splitlines() == ["True 1", after]


def test_models_are_built_offline(constants):
    seen = []

    class Asks(nn.ReLU):
        def __init__(self):
            super().__init__()
            seen.append(constants.HF_HUB_OFFLINE)

    def maker():
        seen.append(constants.HF_HUB_OFFLINE)
        return (), {}

    case = ModelCase(name="own/asks", source="own", family="asks", builder=Asks, maker=maker)
    case.build()
    case.inputs("meta")
    assert (seen, constants.HF_HUB_OFFLINE) == ([True, True], False)
