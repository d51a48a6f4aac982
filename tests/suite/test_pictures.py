"""Pictures of the catalogue: what they show is true, where things stand is right, and all of it can be read."""

from __future__ import annotations

from dataclasses import replace

import placed_texts
import pytest
import torch
import true_sheets
from torch import nn

import torchlens_core as tl
from model_suite import find, smoke_cases
from torchlens_core import draw
from torchlens_core.draw.sheet import Frame, frames_of

pytest.importorskip("torchvision")
pytest.importorskip("reportlab")

#: Nodes up to which whole views are laid out, or compared with the graph, in a quick run.
QUICK, MANY = 160, 400
MEASURES = [placed_texts.helvetica, *filter(None, map(placed_texts.font, ("LiberationSans", "DejaVuSans")))]


def logged(case):
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        # what is computed does not matter here, and random numbers take a second a model
        if "dynamic" not in case.tags:
            for name in [name for name in vars(nn.init) if name.endswith("_") and name[0] != "_"]:
                patch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor.data.fill_(0.01))
        model = case.build()
    args, kwargs = case.inputs()
    with torch.no_grad():
        return tl.log_forward_pass(model, list(args), kwargs or None, layers_to_save=None)


@pytest.fixture(scope="module", params=smoke_cases(), ids=lambda case: case.name.partition("/")[2])
def history(request):
    return logged(request.param)


def sheet_of(history, **options):
    """A sheet alone, for laying out takes longer than all else."""
    return draw.picture(history, **options)._composed(70)


def faults(picture, measures=MEASURES):
    return [
        *placed_texts.geometry(picture),
        *placed_texts.crossings(picture),
        *placed_texts.faults(picture, *measures),
    ]


# -- where things stand ------------------------------------------------------------------------------


def test_default_views(history):
    """By Graphviz, if there is one, and by our own layout: not one edge runs through a box of others."""
    for engines in (None, ["ranks"]):
        picture = draw.picture(history, engines=engines)
        assert picture.layout.said == ()
        assert faults(picture) == []


def test_whole_views_by_ranks(history):
    if len(history.recording.nodes) > QUICK:
        pytest.skip("a large one; run with -m long")
    assert faults(draw.picture(history, depth=99, fold=False, engines=["ranks"]), MEASURES[:1]) == []


@pytest.mark.long
@pytest.mark.parametrize("engines", [None, ["ranks"]], ids=["default", "ranks"])
@pytest.mark.parametrize("rolled", [True, False], ids=["rolled", "unrolled"])
def test_whole_views(history, engines, rolled):
    if not rolled and len(history.recording.nodes) > 1500:
        pytest.skip("thousands of boxes take minutes to compare")
    assert faults(draw.picture(history, depth=99, fold=False, rolled=rolled, engines=engines)) == []


@pytest.mark.parametrize("direction", ["bottomup", "leftright"])
@pytest.mark.parametrize("name", ["resnet18", "swin_t", "ssdlite320_mobilenet_v3_large"])
@pytest.mark.long
def test_other_directions(name, direction):
    history = logged(find(f"torchvision/{name}"))
    for engines in (None, ["ranks"]):
        assert faults(draw.picture(history, direction=direction, engines=engines)) == []


# -- what they say -----------------------------------------------------------------------------------


def test_whole_sheets_are_the_graph(history):
    """Unrolled, a box is an entry and an edge a parent; each box stands in the frames of the modules around it."""
    if len(history.recording.nodes) > MANY:
        pytest.skip("a large one; run with -m long")
    _check_whole(history)


@pytest.mark.long
def test_large_sheets_are_the_graph(history):
    if len(history.recording.nodes) <= MANY:
        pytest.skip("a small one; run without -m long")
    _check_whole(history)


def _check_whole(history):
    sheet = sheet_of(history, depth=99, fold=False, rolled=False)
    assert true_sheets.lies(history, sheet, rolled=False) == []
    assert true_sheets.misplaced(history, sheet) == []


def test_rolled_sheets_are_the_graph_of_layers(history):
    if len(history.recording.nodes) > 2 * MANY:
        pytest.skip("a large one; run with -m long")
    for depth in (99, 2):
        sheet = sheet_of(history, depth=depth, fold=False)
        assert true_sheets.lies(history, sheet, rolled=True) == []


@pytest.mark.long
@pytest.mark.parametrize("rolled", [True, False])
@pytest.mark.parametrize("buffers", [True, False])
@pytest.mark.parametrize("depth", [1, 2, 3, 5, 99])
def test_every_depth_is_the_graph(history, depth, rolled, buffers):
    sheet = sheet_of(history, depth=depth, fold=False, rolled=rolled, buffers=buffers)
    assert true_sheets.lies(history, sheet, rolled=rolled, buffers=buffers) == []


def test_folded_sheets_stand_for_all(history):
    """Marks of folds and loops multiply to what ran."""
    entries = sum(node.kind not in ("parameter", "buffer") for node in history.recording.nodes)
    assert true_sheets.number_of_ops(sheet_of(history, depth=99)) == entries


# -- controls ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)), nn.Tanh())
    return tl.log_forward_pass(model, torch.rand(1, 3))


def test_a_lost_box_is_found(small):
    sheet = sheet_of(small, depth=99)
    boxes = {key: box for key, box in sheet.boxes.items() if box.title != "relu"}
    lost = next(key for key in sheet.boxes if key not in boxes)
    inner = next(frames_of(sheet.root))
    inside = tuple(
        replace(inner, inside=tuple(key for key in inner.inside if key != lost))
        if isinstance(one, Frame)
        else one
        for one in sheet.root.inside
    )
    edges = tuple(edge for edge in sheet.edges if lost not in (edge.tail, edge.head))
    less = replace(sheet, boxes=boxes, root=replace(sheet.root, inside=inside), edges=edges)
    assert "relu_1_2 is nowhere" in true_sheets.lies(small, less, rolled=True)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda edges: edges[1:], "is missing"),
        (lambda edges: (*edges, replace(edges[0], head=edges[2].head)), "is invented"),
        (lambda edges: (*edges, edges[0]), "is there 2 times"),
        (lambda edges: (*edges, replace(edges[0], tail=edges[-1].head)), "is part of a cycle"),
        (lambda edges: (replace(edges[0], kind="back"), *edges[1:]), "goes back to"),
    ],
)
def test_wrong_edges_are_found(small, change, complaint):
    sheet = sheet_of(small, depth=99, rolled=False)
    assert true_sheets.lies(small, sheet, rolled=False) == []
    wrong = true_sheets.lies(small, replace(sheet, edges=change(sheet.edges)), rolled=False)
    assert any(complaint in one for one in wrong), wrong


def test_a_box_in_another_module_is_found(small):
    sheet = sheet_of(small, depth=99, rolled=False)
    assert true_sheets.misplaced(small, sheet) == []
    root = replace(sheet.root, inside=tuple(sheet.boxes))
    assert len(true_sheets.misplaced(small, replace(sheet, root=root))) == 3


def test_closed_modules_are_compared(small):
    sheet = sheet_of(small, depth=1, fold=False)
    assert true_sheets.lies(small, sheet, rolled=True) == []
    assert true_sheets.lies(small, replace(sheet, edges=sheet.edges[:-1]), rolled=True)
    key, box = next((key, box) for key, box in sheet.boxes.items() if box.category == "module")
    renamed = replace(sheet, boxes={**sheet.boxes, key: replace(box, tooltip="elsewhere")})
    assert true_sheets.lies(small, renamed, rolled=True)


def test_a_wrong_number_of_ops_is_found(small):
    sheet = sheet_of(small, depth=1)
    assert true_sheets.number_of_ops(sheet) == 6
    key, box = next((key, box) for key, box in sheet.boxes.items() if box.category == "module")
    wrong = {**sheet.boxes, key: replace(box, mark="×2")}
    assert true_sheets.number_of_ops(replace(sheet, boxes=wrong)) == 9


class Wrong(draw.Picture):
    """A picture of which something is not as it should be."""

    def __init__(self, picture, svg=None, **changes):
        self.given = replace(picture.layout, **changes)
        self.shown = picture.sheet
        self.text = svg or (lambda text: text)

    layout = property(lambda self: self.given)
    sheet = property(lambda self: self.shown)

    def svg(self):
        return self.text(super().svg("light"))

    @property
    def _drawn(self):
        return self.shown, self.given


def test_wrong_places_are_found(small):
    picture = draw.picture(small, depth=99, engines=["ranks"])
    layout = picture.layout
    assert faults(picture) == []
    first, last = layout.boxes["b0"], layout.boxes["b2"]
    on_another = Wrong(picture, boxes={**layout.boxes, "b2": last._replace(x=first.x, y=first.y)})
    assert any("overlap" in one for one in placed_texts.geometry(on_another))
    loose = tuple(point._replace(x=point.x - 200) for point in layout.edges[0])
    assert any(
        "does not begin" in one
        for one in placed_texts.geometry(Wrong(picture, edges=(loose, *layout.edges[1:])))
    )
    skipping = (layout.edges[0][0], *layout.edges[0][1:3], layout.edges[4][-1])
    assert placed_texts.crossings(Wrong(picture, edges=(skipping, *layout.edges[1:])))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text.replace(">3→2<", f">{'3→2 ' * 9}<"), "reaches from"),
        (lambda text: text.replace(">linear<", ">lin…<"), "is shown as one of"),
        (lambda text: text.replace('id="n2"', 'id="n3"'), "n2 is drawn 0 times"),
        (lambda text: text.replace("<path d=", "<path data-d=").replace("<g class", "<g data-class"), "lines for"),
        (lambda text: text.replace("</svg>", "<script/></svg>"), "<script>"),
        (lambda text: text.replace('id="n2" transform="translate(', 'id="n2" transform="translate(1'), "is moved by"),
    ],
)  # fmt: skip
def test_wrong_drawings_are_found(small, change, complaint):
    picture = draw.picture(small, depth=99, engines=["ranks"])
    found = placed_texts.faults(Wrong(picture, svg=change), *MEASURES)
    assert any(complaint in one for one in found), found


def test_broken_xml_is_found(small):
    from xml.etree.ElementTree import ParseError

    picture = draw.picture(small, depth=99, engines=["ranks"])
    with pytest.raises(ParseError):
        placed_texts.faults(Wrong(picture, svg=lambda text: text.replace("</g>", "", 1)))
