import re
from xml.dom import minidom

import pytest
from painted import HOSTILE, everything, hostile_sheet, many, sheet_of, stacked

from torchlens_core.draw.painting.silhouette import silhouette
from torchlens_core.draw.sheet import Box
from torchlens_core.errors import ArgumentError


def drawn(sheet, **options):
    return silhouette(sheet, stacked(sheet), **options)


def corners(text):
    """Where blocks begin, walking their paths."""
    found = []
    for path in minidom.parseString(text.encode()).getElementsByTagName("path"):
        data, x, y = path.getAttribute("d"), 0.0, 0.0
        if not data.startswith("m"):
            continue
        is_closed = "z" in data
        for dx, dy, across in re.findall(r"m(-?[\d.]+)[ ]?(-?[\d.]+)h([\d.]+)", data):
            x, y = x + float(dx), y + float(dy)
            found.append((x, y, x + float(across)))
            x = x if is_closed else x + float(across)
    return found


@pytest.mark.parametrize("count", [40, 400, 1500])
def test_blocks_lie_within_a_few_kilobytes(count):
    text = drawn(many(count), theme="auto")
    assert len(text.encode()) < 8_000
    blocks = corners(text)
    assert len(blocks) >= min(count, 300)
    assert all(x >= 0 and right <= 320 and 0 <= y <= 200 for x, y, right in blocks)
    assert len({round(x) for x, *_ in blocks}) > 3


def test_blocks_outside_would_be_found():
    assert corners('<svg><path d="m500 10h5v5h-5z"/></svg>') == [(500, 10, 505)]


def test_tall_pictures_are_cut_into_columns_and_short_ones_are_not():
    def columns(sheet):
        return len({round(x / 8) for x, *_ in corners(drawn(sheet))})

    boxes = [Box(key=str(number), category="linear", title="linear") for number in range(40)]
    assert columns(sheet_of(boxes)) > 3
    assert columns(sheet_of(boxes[:2])) == 1


def test_families_have_their_colours():
    boxes = [
        Box(key=kind, category=kind, title=kind) for kind in ("convolution", "attention", "shape", "add")
    ]
    text = drawn(sheet_of(boxes))
    assert len(re.findall(r"<path class=\"[a-z]\"", text)) == 3  # what says little shares one


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names(text):
    written = drawn(hostile_sheet(text))
    assert minidom.parseString(written.encode()).getElementsByTagName("script") == []
    assert len(written) < 4_000


def test_sizes_and_themes():
    text = drawn(everything(), width=640, height=100, theme="dark")
    assert 'width="640" height="100"' in text
    assert "#0d1117" in text
    with pytest.raises(ArgumentError, match="expected at least 32 each way"):
        drawn(everything(), width=10)
    with pytest.raises(ArgumentError, match="Unknown theme"):
        drawn(everything(), theme="pink")


def test_an_empty_sheet():
    assert corners(drawn(sheet_of([]))) == []
