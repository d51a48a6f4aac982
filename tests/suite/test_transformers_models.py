"""The cases of transformers: listed without it, made small by rules, and run with inputs that are made for them."""

import pickle
import subprocess
import sys

import pytest
import torch

from model_suite import find
from model_suite.records import records_of
from model_suite.sources import transformers_exceptions, transformers_models
from model_suite.sources.transformers_arguments import ARGUMENTS
from model_suite.sources.transformers_bundles import BUNDLES
from model_suite.sources.transformers_sessions import SESSIONS
from model_suite.sources.transformers_shrinking import parts, shrunken

transformers = pytest.importorskip("transformers")

RECORDS = records_of("transformers")


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def small(model_type):
    return shrunken(transformers.CONFIG_MAPPING[model_type])


def test_listing_does_not_import_transformers():
    program = (
        "import sys\n"
        "from model_suite import cases\n"
        "assert len(cases('transformers')) > 400\n"
        "assert 'transformers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_most_are_traced_and_differ():
    traced = [record for record in RECORDS.values() if record.folded]
    assert len(traced) > 400
    assert len({record.folded for record in traced}) > 300


def test_cases_go_to_other_processes():
    case = pickle.loads(pickle.dumps(find("transformers/bert")))
    assert (case.name, case.builder.args) == ("transformers/bert", ("bert",))


def test_widths_are_divided_and_layers_are_few():
    config = small("bert")
    assert (config.hidden_size, config.intermediate_size) == (96, 384)
    assert config.num_hidden_layers == 2
    assert config.hidden_size % config.num_attention_heads == 0


def test_one_layer_of_each_kind_is_left():
    kinds = small("gemma3_text").layer_types
    assert kinds == ["sliding_attention", "full_attention"]
    assert len(transformers.Gemma3TextConfig().layer_types) == 26


def test_parts_stay_as_wide_as_each_other():
    config = small("qwen2_5_vl")
    assert config.vision_config.out_hidden_size == config.text_config.hidden_size


def test_special_tokens_are_in_the_vocabulary():
    config = small("qwen2_5_vl")
    tokens = [config.image_token_id, config.video_token_id, config.vision_start_token_id]
    assert len(set(tokens)) == 3
    assert max(tokens) < config.text_config.vocab_size == 256


def test_stages_and_heads_of_each():
    config = small("swin")
    assert list(config.depths) == [2, 2, 2, 2]
    assert all(config.embed_dim * 2**stage % heads == 0 for stage, heads in enumerate(config.num_heads))


def test_sections_of_rotary_embeddings_fill_half_a_head():
    config = small("qwen2_5_vl").text_config
    head = config.hidden_size // config.num_attention_heads
    assert sum(config.rope_parameters["mrope_section"]) == head // 2


@pytest.mark.parametrize("model_type", ["bert", "llava", "detr", "whisper", "sam"])
def test_small_is_smaller(model_type):
    config_class = transformers.CONFIG_MAPPING[model_type]

    def numbers(config):
        found = [vars(part).get(name) for part in parts(config) for name in ("hidden_size", "d_model")]
        return sum(one for one in found if isinstance(one, int))

    assert 0 < numbers(shrunken(config_class)) < numbers(config_class()) / 3


def test_exceptions_are_of_model_types_that_there_are():
    classes = {name for name in ARGUMENTS if name[0].isupper()}
    assert all(hasattr(transformers, name) for name in classes)
    known = {*transformers.CONFIG_MAPPING, *classes}
    tables = (
        transformers_exceptions.CONFIGURATIONS,
        transformers_exceptions.DIVISORS,
        transformers_exceptions.CLASSES,
        transformers_exceptions.DEFAULTS,
        transformers_exceptions.ATTENTIONS,
        ARGUMENTS,
        BUNDLES,
        SESSIONS,
    )
    for table in tables:
        assert table
        assert set(table) <= known


@pytest.mark.parametrize("name", ["sam2_video", "edgetam_video"])
def test_a_pass_of_a_video_is_a_session_of_its_own(name):
    """What one pass keeps of its frames is not there in the next."""
    case = find(f"transformers/{name}")
    model, (args, kwargs) = case.build(), case.inputs()
    with torch.no_grad():
        once, again = (model(*args, **kwargs) for _ in range(2))
    assert len(once) == len(kwargs["video"]) > 1
    for one, other in zip(once, again, strict=True):
        torch.testing.assert_close(one.pred_masks, other.pred_masks)


@pytest.mark.parametrize("name", ["bert", "llama", "clip", "whisper", "llava"])
def test_models_build_and_run(name):
    case = find(f"transformers/{name}")
    args, kwargs = case.inputs()
    with torch.no_grad():
        result = case.build()(*args, **kwargs)
    assert all(torch.isfinite(one).all() for one in result.values() if isinstance(one, torch.Tensor))


def test_a_text_has_a_place_for_each_feature_of_a_picture():
    _, kwargs = find("transformers/llava").inputs()
    config = small("llava")
    patches = (config.vision_config.image_size // config.vision_config.patch_size) ** 2
    assert (kwargs["input_ids"] == config.image_token_id).sum() == patches


def test_models_are_on_meta_too():
    case = find("transformers/bert")
    assert all(one.is_meta for one in case.build("meta").parameters())
    assert all(one.is_meta for one in case.inputs("meta")[1].values())


def test_a_class_without_a_forward_pass_is_no_case():
    assert not transformers_models._has_forward(transformers.BarkModel)
    assert transformers_models._has_forward(transformers.BertModel)
    assert "transformers/bark" not in RECORDS


def test_a_class_that_cannot_be_imported_is_not_asked():
    class Refuses(type):
        def __getattribute__(cls, name):
            if name == "forward":
                raise ImportError("needs a library")
            return super().__getattribute__(name)

    assert transformers_models._has_forward(Refuses("Dummy", (), {}))


def test_every_head_is_listed_by_transformers():
    for head in transformers_models._HEADS:
        assert any(transformers_models._listed_class(one, head) for one in transformers.CONFIG_MAPPING), (
            head
        )
