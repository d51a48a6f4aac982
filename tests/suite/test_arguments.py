"""Texts that mean arguments."""

import re

import pytest
import torch

from model_suite.sources.arguments import read


@pytest.mark.parametrize(
    ("text", "shape", "kind"),
    [
        ("f32[1, 3, 8, 8]", (1, 3, 8, 8), torch.float32),
        ("i64[1, 12] < 5", (1, 12), torch.int64),
        ("i64[1,12]<5", (1, 12), torch.int64),
        ("ones[2]", (2,), torch.int64),
        ("bool[1, 4]", (1, 4), torch.bool),
        ("first[1, 4] < 2", (1, 4), torch.bool),
        ("[[1, 4, 4]]", (1, 3), torch.int64),
    ],
)
def test_texts_of_arguments(text, shape, kind):
    value = read(text)
    assert (tuple(value.shape), value.dtype) == (shape, kind)


@pytest.mark.parametrize("text", ["f16[1]", "first[4]", "f32"])
def test_a_text_that_means_nothing_is_refused(text):
    with pytest.raises(ValueError, match=re.escape(f"'{text}' means no argument")):
        read(text)


def test_values_and_lists():
    assert read("= (4, 'wide')") == (4, "wide")
    (one,) = read("list f32[2]")
    assert one.shape == (2,)


def test_on_the_device_of_the_context():
    with torch.device("meta"):
        assert read("f32[2]").is_meta
