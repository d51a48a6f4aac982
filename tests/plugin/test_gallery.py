"""One picture a pass, and a page with a card for each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from pytest_torchlens.gallery.draw import file_name
from pytest_torchlens.gallery.page import write_page
from pytest_torchlens.records import PassData


@dataclass
class Card:
    """What a card of the page shows."""

    test: str
    href: str | None
    words: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    image: str | None = None


class Cards(HTMLParser):
    """Reads the cards of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.cards: list[Card] = []
        self._is_bad = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self._is_bad = given.get("class") == "bad"
        if given.get("class") == "card":
            self.cards.append(Card(given["title"], given.get("href")))
        elif tag == "img":
            self.cards[-1].image = given["src"]

    def handle_data(self, data):
        if self.cards and data.strip():
            self.cards[-1].words.append(data.strip())
            if self._is_bad:
                self.cards[-1].bad.append(data.strip())


def cards_in(directory):
    return Cards((directory / "index.html").read_text(encoding="utf-8")).cards


def pictures_in(directory):
    return sorted(path.name for path in directory.glob("*.svg"))


def texts_of(picture):
    """The words in an SVG; fails if it is not one."""
    root = ElementTree.parse(picture).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]


def one(
    test="test_it.py::test_net", model="Net", outcome="passed", valid=None, picture="net.svg", trouble=None
):
    return PassData(test, model, 3, 1_234_567, outcome, valid, picture, trouble)


# -- the page ----------------------------------------------------------------------------------------


def test_a_card(tmp_path):
    write_page(tmp_path, [one(valid=True)])
    words = ["test_net", "Net · 3 ops · 1,234,567 params", "passed, valid"]
    assert cards_in(tmp_path) == [
        Card("test_it.py::test_net", "net.svg", words, [], "net.svg"),
    ]


def test_a_card_without_a_picture_says_why(tmp_path):
    write_page(tmp_path, [one(picture=None, trouble="no engine")])
    (card,) = cards_in(tmp_path)
    assert (card.href, card.image, card.words[0]) == (None, None, "no engine")


@pytest.mark.parametrize(
    ("outcome", "valid", "line", "is_bad"),
    [
        ("passed", None, "passed", False),
        ("passed", True, "passed, valid", False),
        ("failed", False, "failed, not valid", True),
        ("failed", True, "failed, valid", True),
        ("xfailed", None, "xfailed", False),
        ("xfailed", False, "xfailed, not valid", True),
        ("skipped", None, "skipped", False),
    ],
)
def test_the_verdict(tmp_path, outcome, valid, line, is_bad):
    write_page(tmp_path, [one(outcome=outcome, valid=valid)])
    (card,) = cards_in(tmp_path)
    assert card.words[-1] == line
    assert card.bad == ([line] if is_bad else [])


def test_no_text_becomes_markup(tmp_path):
    name = "<script>alert(\"1\" & '2')</script>"
    write_page(tmp_path, [one(f"test_it.py::test_net[{name}]", model=name, picture=None, trouble=name)])
    (card,) = cards_in(tmp_path)
    assert card.words[:2] == [name, name]
    assert card.words[2].startswith(name)
    assert "<script" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_the_order_is_that_of_the_titles(tmp_path):
    tests = ["b.py::test_z", "b.py::test_a", "a.py::test_z", "a.py::test_net[m]"]
    write_page(tmp_path, [one(test) for test in tests])
    assert [card.test for card in cards_in(tmp_path)] == [tests[3], tests[1], tests[2], tests[0]]


# -- file names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "stem"),
    [
        ("test_it.py::test_net", "test_net"),
        ("test_it.py::test_net[torchvision/alexnet]", "torchvision-alexnet"),
        ("test_it.py::test_net[..]", "pass"),
        ("test_it.py::test_net[/]", "pass"),
        ("test_it.py::test_net[ü]", "pass"),
        ("test_it.py::test_net[../../x]", "x"),
        ("test_it.py::test_net[C:\\a|b?]", "C-a-b"),
        (f"test_it.py::test_net[{'x' * 300}]", "x" * 80),
    ],
)
def test_file_names_are_safe(test, stem):
    name = file_name(test, 0)
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", name)
    assert re.fullmatch(re.escape(stem) + r"-[0-9a-f]{6}\.svg", name)


def test_file_names_differ_by_test_and_pass():
    tests = ["a.py::test_net", "b.py::test_net", "a.py::test_net[/]", "a.py::test_net[..]"]
    assert len({file_name(test, number) for test in tests for number in range(3)}) == 12


def test_file_names_stay_from_run_to_run():
    assert file_name("a.py::test_net", 1) == file_name("a.py::test_net", 1)


# -- a run -------------------------------------------------------------------------------------------


def test_a_picture_of_a_pass(run, pytester, summary_of):
    result = run("def test_net(lens): lens(Doubled(), torch.ones(2))", "--lens-gallery=out")
    out = pytester.path / "out"
    assert summary_of(result) == ["1 forward pass of 1 test logged", f"1 picture in {out / 'index.html'}"]
    (card,) = cards_in(out)
    assert [card.image] == [card.href] == pictures_in(out)
    assert card.words == ["test_net", "Doubled · 2 ops · 0 params", "passed"]
    assert any("mul" in (text or "") for text in texts_of(out / card.image))


def test_nothing_is_drawn_without_the_option(run, pytester):
    run("def test_net(lens): lens(Doubled(), torch.ones(2))").assert_outcomes(passed=1)
    assert list(pytester.path.rglob("*.svg")) == []


def test_passes_logged_directly_are_drawn_too(run, pytester):
    run("def test_net(): tl.log_forward_pass(Doubled(), torch.ones(2))", "--lens-gallery=out")
    assert len(pictures_in(pytester.path / "out")) == 1


def test_two_passes_of_a_test_are_two_pictures(run, pytester, summary_of):
    result = run(
        """
        def test_net(lens):
            model = Doubled()
            lens(model, torch.ones(2))
            lens(model, torch.ones(3))
        """,
        "--lens-gallery=out",
    )
    out = pytester.path / "out"
    assert summary_of(result)[0] == "2 forward passes of 1 test logged"
    assert sorted(card.image for card in cards_in(out)) == pictures_in(out)
    assert len(pictures_in(out)) == 2


IDS = ["a/b", "..", "", "<b>&\"'", "ü", "x::y", "z[0]", "l" * 90]


def test_odd_names(run, pytester):
    result = run(
        f"""
        @pytest.mark.parametrize("name", {IDS!r})
        def test_net(lens, name):
            lens(Doubled(), torch.ones(2))
        """,
        "--lens-gallery=out",
    )
    result.assert_outcomes(passed=len(IDS))
    out = pytester.path / "out"
    cards = cards_in(out)
    assert len(cards) == len(pictures_in(out)) == len(IDS)
    assert sorted(card.image for card in cards) == pictures_in(out)
    # pytest itself writes other characters than those of ASCII as escapes
    expected = {name.encode("unicode_escape").decode() or "test_net" for name in IDS}
    assert {card.words[0] for card in cards} == expected


def test_outcomes(run, pytester):
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
            assert False

        @pytest.mark.xfail
        def test_xfailed(lens):
            lens(Doubled(), torch.ones(2))
            assert False

        @pytest.mark.xfail
        def test_xpassed(lens):
            lens(Doubled(), torch.ones(2))

        @pytest.mark.skip
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
        """,
        "--lens-gallery=out",
    )
    out = pytester.path / "out"
    assert {card.words[0]: card.words[-1] for card in cards_in(out)} == {
        "test_valid": "passed, valid",
        "test_not_valid": "failed, not valid",
        "test_failed": "failed",
        "test_xfailed": "xfailed",
        "test_xpassed": "xpassed",
        "test_skipped_late": "skipped",
        "test_broken": "failed",
    }
    assert len(pictures_in(out)) == 7
    assert {card.words[0] for card in cards_in(out) if card.bad} == {
        "test_not_valid",
        "test_failed",
        "test_broken",
    }


def test_what_cannot_be_drawn_does_not_fail_its_test(run, pytester, summary_of):
    result = run(
        """
        @pytest.fixture(autouse=True)
        def no_engine(monkeypatch):
            monkeypatch.setattr("pytest_torchlens.gallery.draw.picture_of", no_picture)
            yield

        def no_picture(history):
            raise tl.DrawingError("no engine")

        def test_net(lens):
            lens(Doubled(), torch.ones(2))
        """,
        "--lens-gallery=out",
    )
    result.assert_outcomes(passed=1)
    out = pytester.path / "out"
    assert summary_of(result)[1:] == [
        f"0 pictures in {out / 'index.html'}",
        "no picture of test_it.py::test_net: no engine",
    ]
    assert cards_in(out)[0].words[0] == "no engine"


def test_a_run_that_logs_nothing(run, pytester, summary_of):
    result = run("def test_sum(): assert 1 + 1 == 2", "--lens-gallery=out")
    assert summary_of(result) == ["no forward pass was logged: nothing to draw"]
    assert cards_in(pytester.path / "out") == []


def test_listing_tests_leaves_the_gallery_as_it_is(run, pytester, summary_of):
    source = "def test_net(lens): lens(Doubled(), torch.ones(2))"
    run(source, "--lens-gallery=out")
    listed = run(source, "--lens-gallery=out", "--collect-only")
    assert summary_of(listed) == []
    assert len(cards_in(pytester.path / "out")) == 1
    run(source, "--lens-gallery=out", "-k", "nothing")
    assert cards_in(pytester.path / "out") == []


def test_a_test_that_is_run_again_is_drawn_again(run, pytester, summary_of):
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
    result = run("def test_net(lens): lens(Doubled(), torch.ones(2))", "--lens-gallery=out")
    result.assert_outcomes(passed=1)
    assert summary_of(result)[0] == "1 forward pass of 1 test logged"
    assert len(cards_in(pytester.path / "out")) == 1
