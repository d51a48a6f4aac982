"""The tree of errors, and the words in them."""

import pytest

import torchlens_core as tl
from torchlens_core import errors


def _tree():
    return [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)
    ]


def test_one_tree():
    assert len(_tree()) == 12
    assert all(issubclass(kind, tl.TorchLensError) for kind in _tree())


def test_all_are_public():
    assert {kind.__name__ for kind in _tree()} <= set(tl.__all__)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (tl.ArgumentError, TypeError),
        (tl.DeviceMismatchError, TypeError),
        (tl.UnknownLayerError, KeyError),
        (tl.UnknownLayerError, ValueError),
        (tl.LayerIndexError, IndexError),
        (tl.AmbiguousLayerError, KeyError),
        (tl.StaleValueError, RuntimeError),
        (tl.ReplayError, RuntimeError),
        (tl.DrawingError, RuntimeError),
        (tl.UnsupportedTorchError, ImportError),
    ],
)
def test_each_is_also_the_builtin_error_people_catch(kind, builtin):
    with pytest.raises(builtin):
        raise kind("text")


def test_an_unknown_layer_prints_its_message_not_its_repr():
    assert str(tl.UnknownLayerError("no layer 'a'\nnearest: 'b'")) == "no layer 'a'\nnearest: 'b'"
    assert str(KeyError("no layer")) == "'no layer'"  # what it would print otherwise


def test_nearest_leaves_out_what_is_not_alike():
    assert errors.nearest("relu", ["softmax", "relu_1_2", "conv2d_1_1"]) == ["relu_1_2"]
    assert errors.nearest("zzz", ["relu_1_2"]) == []


def test_listing_counts_the_rest():
    assert errors.listing(range(10)) == "0, 1, 2, 3, 4, 5, 6, 7 (and 2 more)"
    assert errors.listing(range(8)) == "0, 1, 2, 3, 4, 5, 6, 7"
    assert errors.listing([]) == ""
