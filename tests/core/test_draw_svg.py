import re
from dataclasses import replace
from urllib.parse import unquote
from xml.dom import minidom
from xml.parsers.expat import ExpatError

import pytest
import torch
from painted import HOSTILE, everything, hostile_sheet, many, sheet_of, stacked
from torch import nn

import torchlens_core as tl
from torchlens_core.draw.painting.paint import idents, painting
from torchlens_core.draw.painting.svg import LARGE, png_bytes, svg
from torchlens_core.draw.sheet import Box, Edge, Frame, Raster, Style, frames_of
from torchlens_core.errors import ArgumentError, DrawingError

TAGS = set("svg title desc style defs marker path g use rect text image".split())
BOX = Box(key="a", category="linear", title="linear", shape="1×10", tooltip="linear_1_1")


def parsed(text):
    return minidom.parseString(text.encode())


def drawn(sheet, **options):
    return svg(sheet, stacked(sheet), **options)


def complaints(text):
    """What in an SVG could run, or be fetched from elsewhere."""
    found = []
    for element in parsed(text).getElementsByTagName("*"):
        if element.tagName not in TAGS:
            found.append(f"<{element.tagName}>")
        for name, value in element.attributes.items():
            if name.startswith("on") or (
                name == "href" and not value.startswith(("#", "data:image/png;base64,"))
            ):
                found.append(f"{name}={value}")
        if element.tagName == "style":
            rules = element.firstChild.data
            found += re.findall(r"@import|expression|url\((?!#)|<", rules)
    return found


def data_of(text):
    """The data attributes of each element that has some."""
    found = [
        {name[5:]: value for name, value in one.attributes.items() if name.startswith("data-")}
        for one in parsed(text).getElementsByTagName("*")
    ]
    return [one for one in found if one]


def readable(text):
    """``text`` with what no encoding knows replaced."""
    return text.encode(errors="replace").decode()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("theme", ["light", "auto"])
def test_hostile_names_make_sound_files_in_which_nothing_runs(text, theme):
    written = drawn(hostile_sheet(text), theme=theme)
    assert complaints(written) == []
    assert len(written) < 40_000


@pytest.mark.parametrize(
    "text",
    [
        '<svg xmlns="a"><script/></svg>',
        '<svg onload="x"/>',
        '<svg><use href="http://a"/></svg>',
        "<svg><style>@import 'a'</style></svg>",
    ],
)
def test_the_search_for_what_runs_finds_it(text):
    assert complaints(text)
    with pytest.raises(ExpatError):
        parsed("<svg>\x00</svg>")


def test_names_are_there_to_be_read():
    document = parsed(drawn(hostile_sheet(HOSTILE["markup"])))
    texts = [one.firstChild.data for one in document.getElementsByTagName("text")]
    assert "</svg><script>alert(1)</script>" in texts


def test_everything_is_drawn():
    sheet = everything()
    document = parsed(drawn(sheet))
    ids = {one.getAttribute("id"): one for one in document.getElementsByTagName("*")}
    assert [name for name in idents(sheet).values() if name not in ids] == []
    assert all(f"f{number}" in ids for number, _ in enumerate(frames_of(sheet.root)))
    paths = [one for group in document.getElementsByTagName("g") for one in group.childNodes]
    assert sum(one.tagName == "path" and one.getAttribute("d").startswith("M") for one in paths) >= len(
        sheet.edges
    )
    title, description = (
        document.getElementsByTagName(tag)[0].firstChild.data for tag in ("title", "desc")
    )
    assert title == "model"
    assert f"{len(sheet.boxes)} boxes, {len(sheet.edges)} edges, laid out by stack" in description
    assert "modules open to depth 2 of 4" in description


def test_a_box_says_its_tooltip():
    document = parsed(drawn(sheet_of([BOX])))
    box = next(one for one in document.getElementsByTagName("g") if one.getAttribute("id") == "n0")
    assert box.getElementsByTagName("title")[0].firstChild.data == "linear_1_1"


def test_boxes_that_look_the_same_are_written_once():
    boxes = [replace(BOX, key=str(number)) for number in range(50)]
    assert drawn(sheet_of(boxes)).count(">linear<") == 1
    assert drawn(sheet_of([*boxes, replace(BOX, key="b", name="x")])).count(">linear<") == 2


def test_themes():
    light, dark, both = (drawn(everything(), theme=theme) for theme in ("light", "dark", "auto"))
    assert "#ffffff" in light
    assert "#0d1117" in dark
    assert "prefers-color-scheme" not in light + dark
    assert both.count("@media (prefers-color-scheme:dark)") == 1
    assert len(both) < 1.4 * len(light)
    with pytest.raises(ArgumentError, match="Unknown theme"):
        drawn(everything(), theme="pink")


def test_prefixes_keep_documents_on_one_page_apart():
    one, other = (
        set(re.findall(r'(?:id|class)="(\w+)"', drawn(everything(), prefix=prefix))) for prefix in "pq"
    )
    assert one.isdisjoint(other)
    text = drawn(everything(), prefix="p")
    assert set(re.findall(r'href="#(\w+)"|url\(#(\w+)\)', text))
    for name in re.findall(r'href="#(\w+)"', text) + re.findall(r"url\(#(\w+)\)", text):
        assert f'id="{name}"' in text
    for wrong in ("1", "a b", '"', "a" * 40, "é"):
        with pytest.raises(ArgumentError, match="cannot begin an id"):
            drawn(everything(), prefix=wrong)


@pytest.mark.parametrize("sheet", [everything(), many(LARGE + 40)], ids=["small", "large"])
def test_text_cannot_leave_its_box_in_any_font(sheet):
    """Each text has a length that is kept, or room for letters much wider than Helvetica's."""
    shown = painting(sheet, stacked(sheet))
    document = parsed(drawn(sheet))
    lengths = {}
    for one in document.getElementsByTagName("text"):
        lengths.setdefault(one.firstChild.data, []).append(one.getAttribute("textLength"))
    for stamp in shown.stamps:
        plates = [part.rect for part in stamp.parts if hasattr(part, "rect")]
        for words in (part for part in stamp.parts if hasattr(part, "room")):
            if "" in lengths[words.text]:
                assert (
                    words.room >= len(words.text) * words.size * 0.85 or len(set(lengths[words.text])) > 1
                )
            if plates:
                assert words.x + words.width * 1.02 <= plates[-1].width - 5


def test_fifteen_hundred_boxes_are_small():
    sheet = many(1500)
    text = drawn(sheet, theme="auto")
    assert len(sheet.boxes) >= 1500
    assert len(sheet.edges) >= 1680
    assert len(text.encode()) < 200_000
    assert complaints(text) == []
    ids = set(re.findall(r'id="(n\d+)"', text))
    assert ids == set(idents(sheet).values())


def test_rounding_does_not_add_up_along_an_edge():
    sheet = sheet_of([BOX, replace(BOX, key="b", title="a_longer_title")])
    layout = stacked(sheet)
    start, *_, end = layout.edges[0]
    points = [start]
    for number in range(30):
        point = points[-1]
        shift = (end.x - start.x) / 90 + (0.04 if number % 2 else 0.033)
        points += [
            point._replace(x=point.x + shift * at, y=point.y + at * 7.77 + (at == 2) * 3)
            for at in (1, 2, 3)
        ]
    layout = replace(layout, edges=(tuple(points),))
    data = max(re.findall(r'<path d="(M[^"]+)" data', svg(sheet, layout, data=True)), key=len)
    x = y = 0.0
    for letter, rest in re.findall(r"([Mchvl])([^Mchvl]*)", data):
        numbers = [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", rest)]
        x += {"h": numbers[-1], "v": 0.0}.get(letter, numbers[-2] if len(numbers) > 1 else 0.0)
        y += 0.0 if letter == "h" else numbers[-1]
    last = painting(sheet, layout).lines[0].curve[-1]
    assert abs(x - last.x) < 0.06
    assert abs(y - last.y) < 0.06


def test_edges_that_pass_by_others_lie_behind_and_have_a_colour():
    boxes = [replace(BOX, key=str(number)) for number in range(8)]
    edges = (Edge(tail="0", head="1"), Edge(tail="1", head="7"), Edge(tail="0", head="7"))
    sheet = sheet_of(boxes, edges)
    strokes = [line.ink.stroke for line in painting(sheet, stacked(sheet)).lines]
    assert strokes == ["@edge.skip", "@edge", "@edge"]


def test_styles_are_followed():
    style = Style(fill="tomato", stroke="#123456", text="rgb(1, 2, 3)", width=3, dashed=True)
    boxes = [replace(BOX, style=style), replace(BOX, key="b")]
    text = drawn(
        sheet_of(
            boxes,
            (Edge(tail="a", head="b", style=Style(stroke="hsl(9 9% 9%)", width=4)),),
            root=Frame(
                key="", inside=(Frame(key="f", title="f", inside=("a", "b"), style=Style(fill="lime")),)
            ),
        )
    )
    assert "fill:tomato;stroke:#123456;stroke-width:3;stroke-dasharray:5 3" in text
    assert "fill:rgb(1, 2, 3)" in text
    assert "stroke:hsl(9 9% 9%);stroke-width:4" in text
    assert "fill:lime" in text


@pytest.mark.parametrize("where", ["box 'a'", "frame 'f'", "the edge from 'a' to 'b'"])
def test_what_is_no_colour_is_refused_where_it_stands(where):
    bad = Style(fill="red}</style>")
    sheet = sheet_of(
        [replace(BOX, style=bad if "box" in where else Style()), replace(BOX, key="b")],
        (Edge(tail="a", head="b", style=bad if "edge" in where else Style()),),
        root=Frame(
            key="", inside=(Frame(key="f", inside=("a", "b"), style=bad if "frame" in where else Style()),)
        ),
    )
    with pytest.raises(
        ArgumentError, match=f"The style of {where} has fill='red}}</style>', which is no colour"
    ):
        drawn(sheet)


def test_the_layout_of_another_sheet_is_refused():
    with pytest.raises(DrawingError, match=r"The layout is not of this sheet: .* Lay the sheet out again"):
        svg(everything(), stacked(sheet_of([BOX])))


def test_what_boxes_frames_and_edges_stand_for():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)

        def forward(self, x):
            return x + self.down(torch.relu(self.up(x)))

    model = nn.Sequential(*(Block() for _ in range(3)))
    model.add_module("the head", nn.Sequential(nn.Linear(4, 2)))
    history = tl.log_forward_pass(model, torch.rand(2, 4))
    blocks = "0 1 2"
    assert data_of(history.picture(engines="ranks").svg(prefix="p", data=True)) == [
        {"module": blocks},
        {"from": "pn0", "to": "pn4"},
        *({"from": f"pn{number}", "to": f"pn{number + 1}"} for number in range(6)),
        {"op": "input_1"},
        {"op": "linear_1_1 linear_3_5 linear_5_9", "module": "0.up 1.up 2.up"},
        {"op": "relu_1_2 relu_2_6 relu_3_10"},
        {"op": "linear_2_3 linear_4_7 linear_6_11", "module": "0.down 1.down 2.down"},
        {"op": "add_1_4 add_2_8 add_3_12"},
        {"op": "linear_7_13", "module": "the%20head the%20head.0"},
        {"op": "output_1"},
    ]
    assert {"module": blocks} in data_of(history.picture(depth=1, engines="ranks").svg(data=True))
    folded, unfolded = (
        data_of(history.picture(fold=fold, engines="ranks").svg(data=True)) for fold in (True, False)
    )
    ops, same = (" ".join(one.get("op", "") for one in found).split() for found in (folded, unfolded))
    assert set(ops) == set(same) == set(history.layers)


def test_a_pass_has_its_own_label_where_each_is_drawn():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.Linear(4, 4)

        def forward(self, x):
            for _ in range(2):
                x = self.cell(x)
            return x

    history = tl.log_forward_pass(Loop(), torch.rand(2, 4))
    for rolled, labels in ((True, ["linear_1_1"]), (False, ["linear_1_1:1", "linear_1_1:2"])):
        found = data_of(history.picture(rolled=rolled, engines="ranks").svg(data=True))
        assert [one["op"] for one in found if one.get("module") == "cell"] == labels


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_are_one_word_each(text):
    text = text[:1000]
    box = replace(BOX, ops=("a", text, "b", text + "x" * 1000), modules=(text,))
    written = drawn(
        sheet_of([box], root=Frame(key="", inside=(Frame(key="f", modules=(text,), inside=("a",)),))),
        data=True,
    )
    assert complaints(written) == []
    frame, found = data_of(written)
    assert [unquote(one) for one in found["op"].split()] == ["a", readable(text), "b"]
    assert unquote(frame["module"]) == unquote(found["module"]) == readable(text)


def test_edges_that_are_part_of_a_box_are_told_there():
    sheet = many(LARGE + 40)
    found = set()
    for element in parsed(drawn(sheet, data=True)).getElementsByTagName("*"):
        head = element.getAttribute("data-to") or element.getAttribute("id")
        found |= {(tail, head) for tail in element.getAttribute("data-from").split()}
    ids = idents(sheet)
    assert found == {(ids[edge.tail], ids[edge.head]) for edge in sheet.edges}


def test_nothing_is_told_unless_asked():
    assert data_of(drawn(many(LARGE + 40))) == data_of(drawn(everything())) == []


def test_an_empty_sheet():
    assert complaints(drawn(sheet_of([], title=""))) == []


def test_images_are_within_the_file():
    text = drawn(everything())
    assert text.count("data:image/png;base64,") == 1
    assert png_bytes(Raster(width=2, height=2, levels=b"")).startswith(b"\x89PNG")


def test_equal_sheets_are_equal_files():
    assert drawn(everything()) == drawn(everything())
