"""Sheets in DOT: what goes to Graphviz and how its answer is read, and the source for people."""

from __future__ import annotations

import json
import re

import pictures
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchlens_core.draw.placing import graphviz
from torchlens_core.draw.placing.engines import engines_found, place
from torchlens_core.draw.placing.graphviz import cost_of, dot_source, layout_from, placing_source
from torchlens_core.draw.placing.layout import Point, Rect
from torchlens_core.draw.sheet import ADDED, REMOVED, Box, Edge, Frame, Sheet, Style
from torchlens_core.errors import DrawingError

needs_pygraphviz = pytest.mark.skipif(
    "pygraphviz" not in engines_found(), reason="pygraphviz is not installed"
)


def weights(sheet):
    """The edges with more weight than others, as pairs of keys."""
    source = placing_source(sheet, *pictures.sizes_for(sheet))
    keys = list(sheet.boxes)
    return {
        (keys[int(tail)], keys[int(head)])
        for tail, head in re.findall(r"n(\d+) -> n(\d+) \[id=e\d+ weight=4\]", source)
    }


class TestWhatGraphvizGets:
    def test_no_text_of_the_user_is_in_it(self):
        box = Box(key='"]', category="other", title='"]; evil', tooltip="<b>")
        frame = Frame(key="}", title="} evil", inside=(box.key,))
        sheet = Sheet(title="evil", boxes={box.key: box}, root=Frame(key="evil", inside=(frame,)))
        source = placing_source(sheet, {box.key: (72.0, 36.0)}, {"}": (50.0, 16.0)})
        assert "evil" not in source
        assert "n0 [width=1.0000 height=0.5000]" in source

    def test_the_main_line_has_more_weight_and_ways_around_it_have_not(self):
        draft = pictures.Draft()
        first = draft.box("input")
        last = draft.chain("conv2d relu", first)
        end = draft.box("add", last, first)
        assert weights(draft.sheet()) == {(first, "b1"), ("b1", last), (last, end)}

    def test_branches_have_the_same_weight(self):
        draft = pictures.Draft()
        first = draft.box("input")
        draft.box("cat", draft.chain("conv2d", first), draft.chain("conv2d relu", first))
        assert weights(draft.sheet()) == {("b2", "b3")}

    def test_back_edges_go_the_other_way_round(self):
        sheet = pictures.recurrent()
        keys = list(sheet.boxes)
        source = placing_source(sheet, *pictures.sizes_for(sheet))
        number, edge = next((n, edge) for n, edge in enumerate(sheet.edges) if edge.kind == "back")
        assert f"n{keys.index(edge.head)} -> n{keys.index(edge.tail)} [id=e{number}]" in source


class TestCost:
    def test_boxes_and_ranks_passed(self):
        draft = pictures.Draft()
        first = draft.box("input")
        draft.box("add", draft.chain("a b c", first), first)
        assert cost_of(draft.sheet()) == 5 + 3

    def test_a_parameter_read_late_passes_nothing(self):
        draft = pictures.Draft()
        weight = draft.chain("transpose", draft.box("weight"))
        draft.box("linear", draft.chain("a b c", draft.box("input")), weight)
        assert cost_of(draft.sheet()) == 7

    def test_back_edges_and_cycles_count_nothing(self):
        draft = pictures.Draft()
        last = draft.chain("a b c", draft.box("input"))
        draft.edges += [Edge(tail=last, head="b0", kind="back"), Edge(tail=last, head="b1")]
        assert cost_of(draft.sheet()) == 4


class TestItsAnswer:
    sheet = Sheet(
        title="",
        boxes={key: Box(key=key, category="other", title=key) for key in ("a", "b")},
        root=Frame(key="root", inside=("a", Frame(key="f", inside=("b",)))),
        edges=(Edge(tail="a", head="b"), Edge(tail="b", head="a", kind="back")),
    )

    def answer(self):
        return {
            "objects": [
                {"name": "cluster_0", "bb": "0,0,92,60"},
                {"name": "n0", "pos": "46,100", "width": "1", "height": "0.5"},
                {"name": "n1", "pos": "46,30", "width": "1", "height": "0.5"},
            ],
            "edges": [
                {"id": "e0", "pos": "46,82.3 46,70 46,60 46,47.8"},
                {"id": "e1", "pos": "60,82 60,70 60,60 60,48"},
            ],
        }

    def test_it_grows_downwards_from_the_origin(self):
        layout = layout_from(self.sheet, json.dumps(self.answer()).encode(), "dot")
        assert (layout.width, layout.height) == (92.0, 118.0)
        assert layout.boxes == {"a": Rect(10.0, 0.0, 72.0, 36.0), "b": Rect(10.0, 70.0, 72.0, 36.0)}
        assert layout.frames == {"f": Rect(0.0, 58.0, 92.0, 60.0)}

    def test_curves_go_from_tail_to_head_and_end_on_borders(self):
        layout = layout_from(self.sheet, json.dumps(self.answer()).encode(), "dot")
        assert (layout.edges[0][0], layout.edges[0][-1]) == (Point(46.0, 36.0), Point(46.0, 70.0))
        assert (layout.edges[1][0], layout.edges[1][-1]) == (Point(60.0, 70.0), Point(60.0, 36.0))

    @pytest.mark.parametrize("part", ["objects", "edges"])
    def test_a_missing_place_is_an_error(self, part):
        answer = {**self.answer(), part: []}
        with pytest.raises(KeyError):
            layout_from(self.sheet, json.dumps(answer).encode(), "dot")

    @needs_pygraphviz
    @settings(max_examples=60, deadline=None)
    @given(pictures.sheets())
    def test_any_sheet_is_placed_without_fault(self, case):
        sheet, sizes, headings = case
        layout = place(sheet, sizes, headings, engines=("pygraphviz", "ranks"))
        assert (layout.engine, layout.said) == ("pygraphviz", ())
        assert pictures.faults(sheet, layout, sizes, headings) == []

    @needs_pygraphviz
    @pytest.mark.parametrize(
        "sheet", [pictures.recurrent(), pictures.nested(2, 2)], ids=["recurrent", "nested"]
    )
    def test_loops_and_deep_frames(self, sheet):
        layout = place(sheet, *pictures.sizes_for(sheet), engines=("pygraphviz",))
        assert pictures.faults(sheet, layout, *pictures.sizes_for(sheet)) == []
        assert pictures.against(sheet, layout) == []


HOSTILE = ['"', "\\", "\\N", "<b>", "]", "}", "&amp;", "\0", "\n", "<", "é", "--", "a\\", "\u202e", ""]


@pytest.mark.skipif(graphviz.graphviz is None, reason="the graphviz package is not installed")
class TestSourceForPeople:
    def test_all_text_is_in_it(self):
        box = Box(
            key="k",
            category="linear",
            title="linear",
            details="3→4",
            badge="16",
            mark="×2",
            shape="1×4",
            name="fc",
        )
        frame = Frame(key="f", title="head", class_name="Sequential", badge="16", inside=("k",))
        sheet = Sheet(title="net", subtitle="1 op", boxes={"k": box}, root=Frame(key="r", inside=(frame,)))
        source = dot_source(sheet)
        assert "<B>linear</B>  3→4  16  ×2<BR/>" in source
        assert "1×4  fc" in source
        assert "<B>head</B>  Sequential  16" in source
        assert "<B>net</B>  1 op" in source

    def test_changes_and_styles(self):
        boxes = {key: Box(key=key, category="other", title=key, change=key) for key in (ADDED, REMOVED)}
        boxes["mine"] = Box(
            key="mine",
            category="other",
            title="mine",
            style=Style(fill="#ff0000", stroke="rgb(1,2,3)", width=3.0, dashed=True),
        )
        edge = Edge(tail=ADDED, head="mine", kind="back", label="h")
        source = dot_source(
            Sheet(title="", boxes=boxes, root=Frame(key="r", inside=tuple(boxes)), edges=(edge,))
        )
        lines = {
            re.match(r"\s*(\S+(?: -> \S+)?)", line)[1]: line for line in source.splitlines() if "[" in line
        }
        assert 'color="#15803d"' in lines["n0"]
        assert "style=dashed" in lines["n1"]
        assert 'fillcolor="#ff0000"' in lines["n2"]
        assert "penwidth=3" in lines["n2"]
        assert "rgb" not in source
        assert "constraint=false" in lines["n0 -> n2"]
        assert "label=h" in lines["n0 -> n2"]

    @pytest.mark.parametrize(
        ("direction", "rankdir"), [("topdown", "TB"), ("bottomup", "BT"), ("leftright", "LR")]
    )
    def test_directions(self, direction, rankdir):
        assert f"rankdir={rankdir}" in dot_source(pictures.residual(2, direction))

    @needs_pygraphviz
    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=4).map("".join))
    def test_hostile_names_stay_text(self, name):
        pygraphviz = pytest.importorskip("pygraphviz")
        box = Box(key="k", category="other", title=name, details=name, shape=name, name=name, tooltip=name)
        frame = Frame(key="f", title=name, class_name=name, tooltip=name, inside=("k",))
        edge = Edge(tail="k", head="k", kind="back", label=name)
        sheet = Sheet(title=name, boxes={"k": box}, root=Frame(key="r", inside=(frame,)), edges=(edge,))
        graph = pygraphviz.AGraph(string=dot_source(sheet))
        assert (graph.number_of_nodes(), graph.number_of_edges(), len(graph.subgraphs())) == (1, 1, 1)

    def test_without_the_package(self, monkeypatch):
        monkeypatch.setattr(graphviz, "graphviz", None)
        with pytest.raises(
            DrawingError, match=r"written by the graphviz package.*pip install 'pytest-torchlens\["
        ):
            dot_source(pictures.residual())
