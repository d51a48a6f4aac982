"""The index: search, facets, order, cards, keys."""

import shutil

import pytest
import sample_site
from odd_data import HOSTILE

from pytest_torchlens.gallery.store import Store

Keys = pytest.importorskip("selenium.webdriver").Keys

_TITLES = ".card .main"


def _number(page):
    return page.text("#number")


def _count(page, facet, value):
    """What stands behind a value of a facet."""
    return int(page.script(_ROW + "return row.querySelector('.count').textContent", facet, value))


def _tick(page, facet, value):
    page.script(_ROW + "return row.querySelector('input')", facet, value).click()


def _values(page, facet):
    """The values of a facet that are shown."""
    return page.script(_SET + "return [...set.querySelectorAll('bdi')].map(one => one.textContent)", facet)


_SET = (
    "const sets = [...document.querySelectorAll('#facets fieldset')];"
    "const set = sets.find(one => one.firstChild.textContent === arguments[0]);"
)
_ROW = (
    _SET
    + "const row = [...set.querySelectorAll('.row')]"
    + ".find(one => one.querySelector('bdi').textContent === arguments[1]);"
)


def test_all_cards_are_counted_and_few_are_made(page):
    page.open()
    assert _number(page) == "300 models"
    assert 10 < len(page.all(".card")) < 60


def test_only_silhouettes_near_the_window_are_loaded(page):
    page.open()
    page.wait(
        lambda: page.script(
            "return [...document.querySelectorAll('img.face')].some(one => one.naturalWidth)"
        )
    )
    assert page.script("return document.querySelectorAll('img.face[src]').length") < 20
    assert page.script("return document.querySelectorAll('img.face:not([src])').length") > 0


def test_scrolling_shows_more(page):
    page.open()
    before = len(page.all(".card"))
    page.script("window.scrollTo(0, document.body.scrollHeight)")
    page.wait(lambda: len(page.all(".card")) > before)


def test_every_word_must_match(page):
    page.open()
    page.type("#search", "resnet")
    resnets = len(page.texts(_TITLES))
    page.type("#search", "RESNET timm")
    titles = page.texts(_TITLES)
    assert 0 < len(titles) <= resnets
    assert all("timm" in title and "resnet" in title for title in titles)
    assert _number(page).endswith(" of 300")


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("expected scalar", "sample/broken_failed"),
        ("GRU nothing", None),
        ("test_sample.py residual", "sample/residual"),
    ],
    ids=["reason", "nothing", "test"],
)
def test_words_are_looked_for_in(page, words, title):
    page.open()
    page.type("#search", words)
    assert title in page.texts(_TITLES) if title else page.text("#cards").startswith("No model matches")


def test_slash_goes_to_the_search_and_escape_clears_it(page):
    page.open()
    page.press("/")
    page.press("v", "g", "g")
    assert page.one("#search").get_attribute("value") == "vgg"
    assert _number(page) != "300 models"
    page.press(Keys.ESCAPE)
    assert (_number(page), page.one("#search").get_attribute("value")) == ("300 models", "")


def test_values_of_a_facet_add_up_and_facets_narrow(page):
    page.open()
    resnet, vgg = _count(page, "family", "resnet"), _count(page, "family", "vgg")
    _tick(page, "family", "resnet")
    assert _number(page) == f"{resnet} of 300"
    assert _count(page, "family", "vgg") == vgg  # what it would add
    _tick(page, "family", "vgg")
    assert _number(page) == f"{resnet + vgg} of 300"
    both = _count(page, "source", "timm")
    _tick(page, "source", "timm")
    assert _number(page) == f"{both} of 300"
    assert _count(page, "family", "resnet") + _count(page, "family", "vgg") == both
    assert page.texts("#chosen button")[0] == "family: resnet ×"


def test_filters_can_be_taken_away(page):
    page.open("index.html#family=resnet&family=vgg&q=timm")
    page.click("#chosen button")
    assert "family=vgg" in page.hash
    assert "resnet" not in page.hash
    page.open("index.html#family=resnet&family=vgg&q=timm")
    page.click("#chosen .all")
    assert (_number(page), page.hash) == ("300 models", "")


def test_a_long_facet_shows_the_common_ones_first(page):
    page.open()
    rows = "#facets fieldset:nth-child(3) .row"
    assert len(page.all(rows)) == 10
    counts = [int(text) for text in page.texts(f"{rows} .count")]
    assert counts == sorted(counts, reverse=True)
    page.click("#facets fieldset:nth-child(3) .more")
    assert len(page.all(rows)) > 20


def test_a_long_facet_shows_those_that_count_first(page):
    page.open("index.html#family=bert")
    rows = "#facets fieldset:nth-child(3) .row"
    assert "bert" in page.texts(f"{rows} bdi")  # what is chosen is shown, however rare
    page.type("#search", "gpt")  # of one family, which is not among the ten most common
    assert page.texts(f"{rows} bdi")[0] == "gpt"
    counts = [int(text) for text in page.texts(f"{rows} .count")]
    assert (counts[0] > 0, sum(counts[1:])) == (True, 0)
    assert len(counts) in (10, 11)


def test_a_short_facet_keeps_its_order(page):
    page.open()
    sources = _values(page, "source")
    page.type("#search", "diffusers")
    assert _count(page, "source", sources[0]) == 0
    assert _values(page, "source") == sources


def test_sizes_stand_from_small_to_large(page):
    page.open()
    assert _values(page, "size") == [
        "up to 30 ops",
        "31–100 ops",
        "101–300 ops",
        "301–1,000 ops",
        "over 1,000 ops",
    ]


def test_order(page):
    page.open()
    page.choose("#sort", "ops")
    ops = [
        int(text.partition(" op")[0].replace(",", ""))
        for text in page.texts(".numbers span")
        if " op" in text
    ]
    assert ops == sorted(ops, reverse=True)
    assert len(ops) > 10
    page.choose("#sort", "failures")
    assert page.texts(_TITLES)[:2] == ["sample/broken_crashed", "sample/broken_failed"]
    page.choose("#sort", "title")
    assert page.hash == ""


def test_the_address_holds_it_all(page):
    page.open("index.html#q=timm&family=vit&sort=parameters-up")
    shown = page.texts(_TITLES)
    assert shown
    assert all("timm/vit" in title for title in shown)
    assert page.one("#sort").get_attribute("value") == "parameters-up"
    page.open()
    page.type("#search", "timm")
    _tick(page, "family", "vit")
    page.choose("#sort", "parameters-up")
    assert page.hash == "q=timm&family=vit&sort=parameters-up"
    assert page.texts(_TITLES) == shown


def test_the_back_button_takes_a_filter_back(page):
    page.open()
    _tick(page, "family", "vit")
    _tick(page, "source", "timm")
    page.driver.back()
    page.wait(lambda: page.hash == "family=vit")
    page.driver.back()
    page.wait(lambda: _number(page) == "300 models")


def test_an_address_that_makes_no_sense_shows_everything(page):
    page.open("index.html#family=nothing&sort=odd&%%%=&__proto__=x")
    assert _number(page) == "300 models"


def test_arrows_go_from_card_to_card_and_enter_opens(page):
    page.open("index.html#source=sample")
    active = "return document.activeElement.textContent"
    page.press(Keys.ARROW_DOWN)
    first = page.script(active)
    page.press(Keys.ARROW_RIGHT)
    assert page.script(active) != first
    page.press(Keys.ARROW_LEFT)
    assert page.script(active) == first
    page.press(Keys.ARROW_DOWN)
    columns = page.texts(_TITLES).index(page.script(active))
    assert columns == 4  # at 1440 pixels
    page.press(Keys.ARROW_RIGHT)
    assert page.script(active) == "sample/residual"
    page.press(Keys.ENTER)
    page.wait(lambda: f"{sample_site.folder('residual')}/1/index.html" in page.driver.current_url)


def test_the_way_back_from_a_model_keeps_the_search(page):
    page.open("index.html#q=residual")
    page.click(_TITLES)
    page.wait(lambda: page.all("#home"))
    page.click("#home")
    page.wait(lambda: page.hash == "q=residual")
    assert page.texts(_TITLES) == ["sample/residual"]


def test_what_failed_stays_visible_with_its_reason(page):
    page.open("index.html#status=failed")
    assert "expected scalar type Float" in page.text(".card .why")
    assert "✕ failed" in page.text(".card .badges")
    page.click(_TITLES)
    assert "model_suite/cases/odd.py:31" in page.text("#reason-text")
    page.click("#reason .close")
    assert not page.one("#reason").is_displayed()


def test_a_silhouette_that_is_missing_is_said(unchecked_page):
    page = unchecked_page
    sample_site.write(page.site, 4)
    (page.site / sample_site.folder("residual") / "1" / "silhouette.svg").unlink()
    page.open("index.html#q=residual")
    page.wait(lambda: page.texts(".why p") == ["its silhouette is missing"])


def test_states_are_said_in_words(page):
    page.open("index.html#source=sample")
    words = set(page.texts(".badge"))
    assert {"✓ validated", "~ changed", "✕ crashed", "not drawn", "skipped", "earlier run"} <= words
    change = page.one(".about .badges a").get_attribute("href")
    assert change.endswith(f"{sample_site.folder('loop')}/change-1/index.html")


def test_in_a_narrow_window_filters_fold(page):
    page.size(390)
    page.open()
    assert not page.one("#facets").is_displayed()
    page.click("#fold")
    assert page.one("#facets").is_displayed()
    assert page.one("#fold").get_attribute("aria-expanded") == "true"
    _tick(page, "source", "timm")
    assert page.text("#fold") == "Filters (1)"
    assert page.script("return document.documentElement.scrollWidth") == 390


def test_light_and_dark(page):
    page.open()
    light = page.style("body", "backgroundColor")
    page.choose("#theme", "dark")
    assert page.style("body", "backgroundColor") != light
    page.open()
    assert page.style("body", "backgroundColor") != light  # it was kept
    page.choose("#theme", "light")
    assert page.style("body", "backgroundColor") == light


def test_dark_follows_the_system(page):
    page.open()
    light = page.style("body", "backgroundColor")
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    assert page.style("body", "backgroundColor") != light
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_names_that_mean_harm_are_texts(page):
    page.open("index.html#source=odd")
    assert HOSTILE[0] in page.texts(_TITLES)
    page.type("#search", "<script>")
    assert page.texts(_TITLES) == [HOSTILE[0]]
    assert page.driver.title == "Menagerie"
    assert (
        page.script(
            "return document.querySelectorAll('#cards script, #facets script, img[onerror]').length"
        )
        == 0
    )
    assert page.script("return document.documentElement.scrollWidth") <= 1440


def test_addresses_outside_are_not_followed(page):
    page.open()
    links = page.script("return [...document.querySelectorAll('a')].map(one => one.getAttribute('href'))")
    assert not [link for link in links if link.startswith(("javascript", "http", "//"))]


def test_help_tells_the_keys(page):
    page.open()
    page.press("?")
    assert page.one("#help").is_displayed()
    page.press("/")  # belongs to the dialog now
    page.press(Keys.ESCAPE)
    assert not page.one("#help").is_displayed()


def test_a_run_that_goes_on_says_so(page, tmp_path):
    sample_site.write(tmp_path, 9, finished=False)
    page.site = tmp_path
    page.open()
    assert "not finished" in page.text("#notice")
    assert page.one("footer a").get_attribute("href").endswith("/report.json")


def test_an_empty_gallery_and_one_without_its_cards_say_so(page, tmp_path):
    store = Store(tmp_path)
    store.open()
    store.write_index("Nothing", {"runs": [], "finished": True}, [])
    page.site = tmp_path
    page.open()
    assert page.text("#cards") == "There are no models here yet."
    (tmp_path / "cards.js").write_text("", encoding="utf-8")
    page.open()
    assert "cards.js" in page.text("#notice")
    shutil.rmtree(tmp_path)
