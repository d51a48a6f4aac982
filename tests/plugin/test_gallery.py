"""What a run draws: a page a graph, cards with what came of it, and what is kept from run to run."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from galleries import cards_of, check_whole, index_of, page_of, pictures_of, statuses_of

from pytest_torchlens.gallery.store import slug_of

LOG = "def test_net(lens): lens(Doubled(), torch.ones(2))"


@pytest.fixture
def out(pytester):
    return pytester.path / "out"


def drawn(out, count, before=0):
    line = f"{count} graph{'s' if count != 1 else ''} drawn in {out / 'index.html'}"
    return f"{line}, {before} of them before" if before else line


# -- pages -------------------------------------------------------------------------------------------


def test_a_page_of_a_pass(run, out, summary_of):
    result = run(LOG, "--lens-gallery=out")
    assert summary_of(result) == ["1 forward pass of 1 test logged", drawn(out, 1)]
    check_whole(out)
    card = cards_of(out)["test_net"]
    assert (card["model"], card["ops"], card["parameters"], card["passes"]) == ("Doubled", 2, 0, 1)
    assert card["facets"]["status"] == ["passed"]
    page = page_of(out, card)
    assert page["device"] == "cpu"
    assert [layer["name"] for layer in page["layers"]] == ["input", "mul", "add", "output"]
    assert 'data-op="mul_1_1"' in pictures_of(out, card)["overview"]


def test_what_the_page_says_of_a_layer(run, out, line_of):
    run(
        "def test_net(lens): lens(nn.Sequential(Doubled(), nn.Linear(2, 3)), torch.ones(1, 2))",
        "--lens-gallery=out",
    )
    page = page_of(out, cards_of(out)["test_net"])
    layers = {layer["name"]: layer for layer in page["layers"]}
    linear = layers["linear"]
    assert (linear["module"], linear["shape"], linear["dtype"], linear["parameters"]) == (
        "1",
        "1×3",
        "float32",
        9,
    )
    assert linear["reads"] == [layers["add"]["label"]]
    assert layers["add"]["read_by"] == [linear["label"]]
    source = page["sources"][layers["mul"]["sources"][-1]]
    assert source["place"] == f"nets.py:{line_of('return x * 2 + 1')}"
    assert "x * 2" in source["code"]
    assert layers["mul"]["statistics"] == {
        "nan": 0,
        "infinite": 0,
        **dict.fromkeys(("min", "max", "mean"), 2.0),
        "std": 0.0,
        "zeros": 0.0,
        "histogram": [2],
    }
    assert [(one["address"], one["class"], one["parameters"]) for one in page["modules"]] == [
        ("0", "Doubled", 0),
        ("1", "Linear", 9),
    ]


def test_passes_that_are_drawn_one_by_one_have_their_own_place(run, out):
    run(
        """
        class Blocks(nn.Module):
            def __init__(self):
                super().__init__()
                self.blocks = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))

            def forward(self, x):
                for block in self.blocks:
                    x = x + block(x)
                return x

        def test_net(lens):
            lens(Blocks(), torch.ones(1, 2))
        """,
        "--lens-gallery=out",
    )
    card = cards_of(out)["test_net"]
    layers = page_of(out, card)["layers"]
    sums = [layer for layer in layers if layer["name"] == "add"]
    assert [layer["label"].partition(":")[2] for layer in sums] == ["1", "2", "3"]
    assert len({layer["statistics"]["mean"] for layer in sums}) == 3
    svg = pictures_of(out, card)["overview"]
    assert all(layer["label"] in svg for layer in sums)


def test_nothing_is_drawn_without_the_option(run, pytester):
    run(LOG).assert_outcomes(passed=1)
    assert list(pytester.path.rglob("*.svg")) == []


def test_passes_logged_directly_are_drawn_too(run, out):
    run("def test_net(): tl.log_forward_pass(Doubled(), torch.ones(2))", "--lens-gallery=out")
    assert len(cards_of(out)) == 1


def test_each_graph_of_a_test_has_a_page(run, out, summary_of):
    result = run(
        """
        def test_net(lens):
            for _ in range(3):
                lens(Doubled(), torch.ones(2))
            lens(nn.ReLU(), torch.ones(2))
        """,
        "--lens-gallery=out",
    )
    assert summary_of(result) == ["4 forward passes of 1 test logged", drawn(out, 2)]
    check_whole(out)
    cards = cards_of(out)
    assert {title: card["passes"] for title, card in cards.items()} == {
        "test_net Doubled": 3,
        "test_net ReLU": 1,
    }


IDS = ["a/b", "..", "", "<b>&\"'", "ü", "x::y", "z[0]", "l" * 90, "</script>"]


def test_odd_names(run, out):
    result = run(
        f"""
        @pytest.mark.parametrize("name", {IDS!r})
        def test_net(lens, name):
            lens(Doubled(), torch.ones(2))
        """,
        "--lens-gallery=out",
    )
    result.assert_outcomes(passed=len(IDS))
    check_whole(out)
    # pytest itself writes other characters than those of ASCII as escapes
    assert cards_of(out).keys() == {name.encode("unicode_escape").decode() or "test_net" for name in IDS}


def test_nets_with_hostile_names(run, out):
    result = run(
        r"""
        NAME = "<script>alert(1)</script>\u2028"

        def test_net(lens):
            model = nn.Sequential()
            model.add_module(NAME + "\ud800", nn.ReLU())
            lens(type(NAME, (nn.Sequential,), {})(model), torch.ones(2))
        """,
        "--lens-gallery=out",
    )
    result.assert_outcomes(passed=1)
    check_whole(out)
    assert all("<script>alert" not in path.read_text(encoding="utf-8") for path in out.rglob("*.html"))


def test_outcomes(run, out):
    run(
        """
        @pytest.mark.lens_validate
        def test_valid(lens):
            lens(Doubled(), torch.ones(2))

        @pytest.mark.lens_validate
        def test_not_valid(lens):
            lens(Numpy(), torch.ones(2))

        def test_failed(lens):
            lens(Doubled(), torch.ones(2))
            raise ValueError("so it is")

        def test_failed_before(lens):
            raise ValueError("too early")

        @pytest.mark.xfail(reason="known")
        def test_xfailed(lens):
            lens(Doubled(), torch.ones(2))
            assert False

        @pytest.mark.xfail
        def test_xpassed(lens):
            lens(Doubled(), torch.ones(2))

        @pytest.mark.skip(reason="not today")
        def test_skipped(lens):
            lens(Doubled(), torch.ones(2))

        def test_skipped_late(lens):
            lens(Doubled(), torch.ones(2))
            pytest.skip("seen enough")

        @pytest.fixture
        def broken(lens):
            lens(Doubled(), torch.ones(2))
            raise ValueError("broken")

        def test_broken(broken):
            pass

        def test_of_something_else():
            assert False
        """,
        "--lens-gallery=out",
    )
    check_whole(out)
    assert statuses_of(out) == {
        "test_valid": ["passed", "validated"],
        "test_not_valid": ["failed", "not valid"],
        "test_failed": ["failed"],
        "test_failed_before": ["failed"],
        "test_xfailed": ["xfailed"],
        "test_xpassed": ["xpassed"],
        "test_skipped": ["skipped"],
        "test_skipped_late": ["skipped"],
        "test_broken": ["failed"],
    }
    cards = cards_of(out)
    assert {title for title, card in cards.items() if not card["href"]} == {
        "test_failed_before",
        "test_skipped",
    }
    reasons = {title: card["reason"].splitlines()[0] for title, card in cards.items() if card["reason"]}
    assert reasons.pop("test_not_valid").startswith("Validation of Numpy: 1 finding")
    assert reasons == {
        "test_failed": "ValueError: so it is",
        "test_failed_before": "ValueError: too early",
        "test_xfailed": "known",
        "test_skipped": "not today",
        "test_skipped_late": "seen enough",
        "test_broken": "ValueError: broken",
    }
    bad = {title for title, card in cards.items() if card["is_bad"]}
    assert bad == {"test_not_valid", "test_failed", "test_failed_before", "test_xpassed", "test_broken"}


def test_what_cannot_be_drawn_does_not_fail_its_test(run, out, summary_of):
    result = run(
        """
        @pytest.fixture(autouse=True)
        def no_engine(monkeypatch):
            monkeypatch.setattr("pytest_torchlens.gallery.draw.views_of", no_views)
            yield

        def no_views(*args):
            raise tl.DrawingError("no engine")

        def test_net(lens):
            lens(Doubled(), torch.ones(2))
        """,
        "--lens-gallery=out",
    )
    result.assert_outcomes(passed=1)
    assert summary_of(result)[1:] == [drawn(out, 0), "no picture of test_it.py::test_net: no engine"]
    (card,) = index_of(out)["cards"]
    assert (card["href"], card["reason"]) == (None, "not drawn: no engine")
    assert card["facets"]["status"] == ["passed", "not drawn"]


def test_a_run_that_logs_nothing(run, out, summary_of):
    result = run("def test_sum(): assert 1 + 1 == 2", "--lens-gallery=out")
    assert summary_of(result) == ["no forward pass was logged: nothing to draw"]
    check_whole(out)
    assert cards_of(out) == {}


# -- markers -----------------------------------------------------------------------------------------


def test_titles_and_facets(run, out):
    run(
        """
        pytestmark = pytest.mark.lens_gallery(family="nets", tags=["a"])

        @pytest.mark.lens_gallery(title="A net", tags=["b", "a"])
        def test_net(lens):
            lens(Doubled(), torch.ones(2))

        def test_other(lens):
            lens(nn.GRUCell(2, 2), torch.ones(1, 2))
        """,
        "--lens-gallery=out",
    )
    cards = cards_of(out)
    assert cards.keys() == {"A net", "test_other"}
    facets = cards["A net"]["facets"]
    assert (facets["family"], facets["tags"], facets["file"]) == (["nets"], ["a", "b"], ["test_it.py"])
    assert index_of(out)["facets"] == ["tags"]  # the others are the same for both


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (
            "'resnet'",
            "was given 'resnet' without a name. It takes title= and facets such as family='resnet'.",
        ),
        ("family=3", "has family=3. Expected a text, or several."),
        ("title=['a']", "has title=['a']. Expected a text."),
        ("status='fine'", "has status=, a facet that every card has by itself. Choose another name."),
    ],
)
def test_what_the_marker_does_not_take(run, arguments, what):
    result = run(f"@pytest.mark.lens_gallery({arguments})\ndef test_net(lens): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: test_it.py::test_net: the marker lens_gallery {what}".replace("[", "[[]")]
    )


def test_the_title(run, pytester, out):
    run(LOG, "--lens-gallery=out")
    assert index_of(out)["title"] == pytester.path.name
    pytester.makeini("[pytest]\nlens_gallery_title = Our nets")
    run(LOG, "--lens-gallery=out")
    assert index_of(out)["title"] == "Our nets"


# -- from run to run ---------------------------------------------------------------------------------


def written(out):
    """When each picture was written; links share that."""
    return {path.relative_to(out): path.stat().st_mtime_ns for path in out.rglob("pictures/*.js")}


TWO = """
def test_net(lens): lens(Doubled(), torch.rand(2))
def test_other(lens): lens(nn.Sequential(nn.Linear(2, 2), nn.{}()), torch.rand(2))
"""


def test_only_what_changed_is_drawn_again(run, out, summary_of):
    run(TWO.format("ReLU"), "--lens-gallery=out")
    before = written(out)
    again = run(TWO.format("ReLU"), "--lens-gallery=out")
    assert summary_of(again)[1] == drawn(out, 2, before=2)
    assert written(out) == before
    changed = run(TWO.format("GELU"), "--lens-gallery=out")
    assert summary_of(changed)[1] == drawn(out, 2, before=1)
    check_whole(out)
    (moved,) = {path.parts[1] for path in before if written(out).get(path) != before[path]}
    assert moved == slug_of("test_it.py::test_other")
    assert "gelu" in pictures_of(out, cards_of(out)["test_other"])["overview"]


def test_a_new_version_draws_everything_again(run, out, summary_of, monkeypatch):
    run(LOG, "--lens-gallery=out")
    monkeypatch.setattr("pytest_torchlens.gallery.draw.version", lambda: "another")
    assert summary_of(run(LOG, "--lens-gallery=out"))[1] == drawn(out, 1)


def test_what_was_not_run_stays(run, out):
    run(TWO.format("ReLU"), "--lens-gallery=out")
    run(TWO.format("ReLU"), "--lens-gallery=out", "-k", "test_net")
    check_whole(out)
    assert {title: card["is_earlier"] for title, card in cards_of(out).items()} == {
        "test_net": False,
        "test_other": True,
    }


def test_pictures_that_are_gone_are_drawn_again(run, out, summary_of):
    run(LOG, "--lens-gallery=out")
    shutil.rmtree(out / "models")
    assert summary_of(run(LOG, "--lens-gallery=out"))[1] == drawn(out, 1)
    check_whole(out)
    (lost,) = out.rglob("silhouette.svg")
    lost.unlink()
    said = summary_of(run(LOG, "--lens-gallery=out"))[1:]
    assert said[0] == drawn(out, 1)
    check_whole(out)


def test_listing_tests_leaves_the_gallery_as_it_is(run, out, summary_of):
    run(LOG, "--lens-gallery=out")
    before = (out / "cards.js").read_bytes()
    listed = run(LOG, "--lens-gallery=out", "--collect-only")
    assert summary_of(listed) == []
    assert (out / "cards.js").read_bytes() == before


def test_a_test_that_is_run_again_is_drawn_again(run, pytester, out, summary_of):
    pytester.makeconftest(
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            runtestprotocol(item, nextitem=nextitem, log=False)
            item._initrequest()
            for report in runtestprotocol(item, nextitem=nextitem, log=False):
                item.ihook.pytest_runtest_logreport(report=report)
            return True
        """
    )
    result = run(LOG, "--lens-gallery=out")
    result.assert_outcomes(passed=1)
    assert summary_of(result)[0] == "1 forward pass of 1 test logged"
    assert len(cards_of(out)) == 1


def test_an_interrupted_run_says_so(run, out):
    source = f"{LOG}\ndef test_stop(): pytest.exit('enough')"
    run(source, "--lens-gallery=out")
    check_whole(out)
    assert not index_of(out)["finished"]
    run(LOG, "--lens-gallery=out")
    assert index_of(out)["finished"]


# -- snapshots ---------------------------------------------------------------------------------------

SNAPSHOT = """
def test_net(lens, lens_snapshot):
    lens_snapshot.check(lens(nn.Sequential(nn.Linear(2, 2), nn.{}()), torch.ones(2)))
"""


def test_changed_snapshots_have_a_page(run, out):
    run(SNAPSHOT.format("ReLU"), "--lens-gallery=out", "--lens-update")
    assert statuses_of(out) == {"test_net": ["passed", "written"]}
    run(SNAPSHOT.format("ReLU"), "--lens-gallery=out")
    assert statuses_of(out) == {"test_net": ["passed", "same"]}
    run(SNAPSHOT.format("GELU"), "--lens-gallery=out")
    check_whole(out)
    card = cards_of(out)["test_net"]
    assert card["facets"]["status"] == ["failed", "changed"]
    (change,) = card["changes"]
    path = out / change["href"]
    data = json.loads(path.with_name("data.js").read_text(encoding="utf-8")[len("lens.change(") : -3])
    assert data["file"] == "__lens__/test_it/test_net.lens"
    assert "ReLU relu → GELU gelu" in data["text"]
    assert data["accept"] == 'pytest --lens-update "test_it.py::test_net"'
    assert [one["name"] for one in data["pictures"]] == ["both", "before", "after"]
    assert "relu → gelu" in path.read_text(encoding="utf-8")
    run(SNAPSHOT.format("ReLU"), "--lens-gallery=out")
    assert cards_of(out)["test_net"]["changes"] == []
    assert not path.exists()


# -- names of folders --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "stem"),
    [
        ("test_it.py::test_net", "test_net"),
        ("test_it.py::test_net[torchvision/alexnet]", "torchvision-alexnet"),
        ("test_it.py::test_net[..]", "test"),
        ("test_it.py::test_net[/]", "test"),
        ("test_it.py::test_net[ü]", "test"),
        ("test_it.py::test_net[../../x]", "x"),
        ("test_it.py::test_net[C:\\a|b?]", "C-a-b"),
        (f"test_it.py::test_net[{'x' * 300}]", "x" * 80),
    ],
)
def test_names_of_folders_are_safe(test, stem):
    name = slug_of(test)
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", name)
    assert re.fullmatch(re.escape(stem) + r"-[0-9a-f]{6}", name)


def test_names_of_folders_differ():
    tests = ["a.py::test_net", "b.py::test_net", "a.py::test_net[/]", "a.py::test_net[..]"]
    assert len(set(map(slug_of, tests))) == 4
    assert slug_of(tests[0]) == slug_of(tests[0])
