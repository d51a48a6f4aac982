"""Every architecture that Hugging Face transformers lists, made small, with random weights; nothing is downloaded.

A case is a model type, with its base model: ``transformers/bert``; or a model type with a head that is more than a
projection: ``transformers/bert-masked-lm``.

Attention is "eager": nearly every architecture has it, and it shows op by op what the fused kernel hides (masks,
sinks, soft caps, relative positions), so that two architectures that differ there have different graphs. Experts are
"batched_mm": the graph does not depend on which experts are chosen, and it can be traced without values.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import nn

from model_suite.case import Inputs, ModelCase
from model_suite.sources import transformers_inputs
from model_suite.sources.listing import case, library, listed
from model_suite.sources.transformers_exceptions import ATTENTIONS, CLASSES
from model_suite.sources.transformers_sessions import SESSIONS
from model_suite.sources.transformers_shrinking import shrunken

_SOURCE = "transformers"
_ATTENTION, _EXPERTS = "eager", "batched_mm"

#: By the end of a case's name: the mapping of model types to classes that has the head.
_HEADS = {
    "masked-lm": "MASKED_LM",
    "object-detection": "OBJECT_DETECTION",
    "instance-segmentation": "INSTANCE_SEGMENTATION",
    "semantic-segmentation": "SEMANTIC_SEGMENTATION",
    "universal-segmentation": "UNIVERSAL_SEGMENTATION",
    "depth-estimation": "DEPTH_ESTIMATION",
    "xvector": "AUDIO_XVECTOR",
    "masked-image": "MASKED_IMAGE_MODELING",
    "pose-estimation": "POSE_ESTIMATION",
    "time-series": "TIME_SERIES_PREDICTION",
    "speech-to-text": "SPEECH_SEQ_2_SEQ",
    "text-to-spectrogram": "TEXT_TO_SPECTROGRAM",
}


class _NoModel(ValueError):
    """There is no model that takes a configuration, only a part of one."""


def cases() -> Iterator[ModelCase]:
    """The cases of this source, as recorded."""
    return listed(_SOURCE, _build, _inputs)


def discover() -> Iterator[ModelCase]:
    """The cases that the installed transformers lists."""
    transformers = _library()
    configurations = importlib.import_module(
        "transformers.models.auto.configuration_auto"
    ).CONFIG_MAPPING_NAMES
    for model_type in configurations:
        try:
            base = _model_class(transformers, model_type, "")
        except _NoModel:
            continue
        if not _has_forward(base):
            continue  # parts beside each other, each run by itself
        yield case(_SOURCE, model_type, _build, _inputs, model_type, "features")
        for head in _HEADS:
            found = _listed_class(model_type, head)
            if found is not None and found != base.__name__:
                yield case(_SOURCE, f"{model_type}-{head}", _build, _inputs, model_type, head)


def _build(name: str) -> nn.Module:
    model_class, config = _class_and_config(name)
    attention = ATTENTIONS.get(config.model_type, _ATTENTION)
    model = model_class._from_config(config, attn_implementation=attention, experts_implementation=_EXPERTS)
    assert isinstance(model, nn.Module)
    return SESSIONS[config.model_type][0](model) if config.model_type in SESSIONS else model


def _inputs(name: str) -> Inputs:
    model_class, config = _class_and_config(name)
    if config.model_type in SESSIONS:
        return (), SESSIONS[config.model_type][1](config)
    return transformers_inputs.made(model_class, config, partial(_build, name))


def _class_and_config(name: str) -> tuple[Any, Any]:
    transformers = _library()
    head = next((head for head in _HEADS if name.endswith(f"-{head}")), "")
    model_type = name.removesuffix(f"-{head}") if head else name
    return _model_class(transformers, model_type, head), shrunken(transformers.CONFIG_MAPPING[model_type])


def _library() -> Any:
    """The package, told to be quiet."""
    transformers = library("transformers", "transformers")
    transformers.logging.set_verbosity_error()
    return transformers


def _has_forward(model_class: Any) -> bool:
    """Whether there is a forward pass; nothing is asked of a class that stands for one that cannot be imported."""
    owner = next((one for one in model_class.__mro__ if "forward" in vars(one)), None)
    return owner is not nn.Module


def _listed_class(model_type: str, head: str) -> str | None:
    """The class that transformers lists for a model type with a head, ``""`` being none."""
    auto = importlib.import_module("transformers.models.auto.modeling_auto")
    mapping = f"MODEL_FOR_{_HEADS[head]}_MAPPING_NAMES" if head else "MODEL_MAPPING_NAMES"
    found = getattr(auto, mapping).get(model_type)
    name: str | None = found[0] if isinstance(found, list | tuple) else found
    return name


def _model_class(transformers: Any, model_type: str, head: str) -> Any:
    """The class of a model type: the listed one if there is one, else the first that takes the configuration."""
    found = _listed_class(model_type, head)
    if found is not None and model_type not in CLASSES and hasattr(transformers, found):
        return getattr(transformers, found)
    config_class = transformers.CONFIG_MAPPING[model_type]
    name = config_class.__module__.replace("configuration_", "modeling_")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise _NoModel(f"transformers has no models of {model_type}: {error}") from error
    if not head and model_type in CLASSES:
        return getattr(module, CLASSES[model_type])
    if found is not None:
        return getattr(module, found)
    own = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == name]
    for one in own:
        is_model = issubclass(one, transformers.PreTrainedModel) and not one.__name__.endswith(
            "PreTrainedModel"
        )
        if is_model and getattr(one, "config_class", None) is config_class:
            return one
    raise _NoModel(f"transformers has no model that takes {config_class.__name__} alone")
