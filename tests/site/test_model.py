"""A model's page: pictures, selection, tree, details, keys."""

import shutil
from contextlib import contextmanager

import pytest
import sample_site
from galleries import called
from odd_data import HOSTILE

from pytest_torchlens.gallery.pages import model_files, script

Keys = pytest.importorskip("selenium.webdriver").Keys

_SELECTED = """
return [...document.querySelectorAll(".stage .is-selected")].map((one) => one.dataset.op || one.dataset.module)
"""
#: Zooms in at the corner of a box: where the corner and how wide the box was, and is then.
_WHEEL = """
const stage = document.getElementById("stage"), box = stage.querySelector('[data-op~="conv2d_1_1"]');
const {left, top, width} = box.getBoundingClientRect();
const given = {deltaY: -300, ctrlKey: true, clientX: left, clientY: top, bubbles: true, cancelable: true};
stage.dispatchEvent(new WheelEvent("wheel", given));
const after = box.getBoundingClientRect();
return [left, top, after.left, after.top, width, after.width];
"""
#: Milliseconds of a search for ops.
_SEARCH = """
const field = document.getElementById("find"), start = performance.now();
field.value = "extra 49";
field.dispatchEvent(new Event("input"));
return performance.now() - start;
"""
_LOADED = "return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


def _shown(page):
    """The title of the picture on the stage."""
    return page.script("return document.querySelector('#stage > svg > title').textContent")


def _view(page):
    return page.script(
        "const view = document.getElementById('view'); return view.selectedOptions[0].textContent"
    ).partition(" · ")[0]


def _box(page, label):
    return page.one(f'#stage [data-op~="{label}"]')


def _module(page, address):
    return page.one(f'#stage [data-module~="{address}"]')


def _double_click(page, element):
    page.mouse.double_click(element).perform()


def _find(page, words):
    page.press("/")
    page.type("#find", words)
    return page.texts("#found [role=option] bdi")


def _pick(page, words):
    """The first match of what is looked for."""
    _find(page, words)
    page.press(Keys.ENTER)


def test_the_first_picture_is_there_at_once_and_not_larger_than_drawn(page):
    page.model()
    assert _shown(page) == "Residual"
    assert page.text("#actual") == "100%"
    assert page.text("#facts").startswith("Residual · ")
    assert f"{sample_site.folder('residual')}/1/pictures" not in str(
        page.script("return performance.getEntries().map(one => one.name)")
    )


def test_a_click_selects_an_op(page):
    page.model()
    _box(page, "relu_1_2").click()
    assert page.script(_SELECTED) == ["relu_1_2"]
    details = page.text("#details")
    assert "relu_1_2" in details
    assert "1×16×16×16" in details
    assert "conv2d_1_1" in details  # it reads it
    assert "self.pool(torch.relu(self.stem(image)))" in details
    assert page.hash == "op=relu_1_2"
    assert page.script(
        "return [...document.querySelectorAll('.is-source')].map(one => one.dataset.op)"
    ) == ["conv2d_1_1"]
    assert page.script(
        "return [...document.querySelectorAll('.is-reader')].map(one => one.dataset.op)"
    ) == ["maxpool2d_1_3"]
    assert page.style("#stage .is-selected", "outlineStyle") == "solid"
    assert len(page.all(".histogram i")) == 16
    page.press(Keys.ESCAPE)
    assert (page.script(_SELECTED), page.hash) == ([], "")


def test_links_of_the_details_lead_on(page):
    page.model(place="#op=relu_1_2")
    page.click("#details .link.op")
    page.wait(lambda: page.script(_SELECTED) == ["conv2d_1_1"])
    page.script(
        "[...document.querySelectorAll('#details .link')].find(one => one.textContent === 'stem').click()"
    )
    page.wait(lambda: page.hash == "module=stem")


def test_down_into_a_module_and_up_again(page):
    page.model()
    _double_click(page, _module(page, "layer2.0"))
    page.wait(lambda: _shown(page) == "layer2.0")
    assert page.texts("#crumbs li") == ["Residual", "layer2", "0"]
    assert page.hash == "picture=4&module=layer2.0"
    page.press("u")
    page.wait(lambda: _shown(page) == "Residual")
    assert page.script(_SELECTED) == ["layer2.0 layer2.1"]
    page.press("o")
    page.wait(lambda: _shown(page) == "layer2.0")
    page.click("#crumbs button")
    page.wait(lambda: _shown(page) == "Residual")


def test_a_module_that_is_drawn_as_one_with_another(page):
    page.model()
    page.click('[data-address="layer2.1"]')
    page.wait(lambda: page.script(_SELECTED) == ["layer2.0 layer2.1"])
    assert page.hash == "module=layer2.1"
    assert page.text("#details .primary").startswith("Open the picture of layer2.0")
    page.press("o")
    page.wait(lambda: _shown(page) == "layer2.0")
    assert page.text("#said") == "layer2.1 is drawn as one with layer2.0, which is shown."
    assert page.hash == "picture=4&module=layer2.0"


def test_the_tree_selects_opens_and_folds(page):
    page.model()
    page.click('[data-address="layer2"]')
    page.wait(lambda: page.script(_SELECTED) == ["layer2"])
    assert page.all(".branch.is-selected [aria-current=true]")
    fold = page.one("#tree [aria-label='Inside layer2']")
    assert page.one('[data-address="layer2.0"]').is_displayed()
    fold.click()
    assert not page.one('[data-address="layer2.0"]').is_displayed()
    page.script("document.querySelector('[aria-label=\"Picture of layer2.3\"]').click()")
    page.wait(lambda: _shown(page) == "layer2.3")


def test_the_tree_offers_the_insides_that_are_drawn(page):
    page.model()
    offered = "return [...document.querySelectorAll('.inside:enabled')].map(one => one.ariaLabel)"
    assert page.script(offered) == [f"Picture of layer2.{number}" for number in (0, 1, 3)]
    assert not page.one("[aria-label='Picture of layer2']").is_displayed()


def test_finding_an_op_goes_to_the_picture_that_shows_it(page):
    page.model()
    assert _find(page, "conv2d layer2.0.convs.3")[0] == "conv2d_7_15"
    page.press(Keys.ENTER)
    page.wait(lambda: page.script(_SELECTED) == ["conv2d_7_15 conv2d_18_28"])
    assert _shown(page) == "layer2.0"
    assert page.hash == "picture=4&op=conv2d_7_15"


def test_passes_with_boxes_of_their_own_are_found_one_by_one(page):
    page.model()
    passes = [f"relu_4_11:{number}" for number in range(1, 11)]
    assert _find(page, "relu_4_11") == passes
    page.press(Keys.ENTER)
    page.wait(lambda: page.script(_SELECTED))
    assert page.text("#details h2") == passes[0]


def test_finding_by_place_and_arguments(page):
    page.model()
    assert _find(page, "sample_site.py k7") == ["conv2d_1_1"]
    assert len(_find(page, "linear.py nothing sample_site.py")) == 0
    assert _find(page, "nothing has this") == []
    assert page.text("#found") == "nothing found"
    page.press(Keys.ESCAPE, Keys.ESCAPE)
    assert not page.one("#found").is_displayed()


def test_an_op_that_no_picture_shows_is_found_in_its_closed_module(page, site, tmp_path):
    with _changed(page, site, tmp_path) as data:
        data["pictures"] = data["pictures"][:1]
    page.model()
    _pick(page, "conv2d_7_15")
    page.wait(lambda: page.script(_SELECTED) == ["layer2.0 layer2.1"])
    assert page.text("#said") == "conv2d_7_15 is inside layer2.0, which is drawn closed."
    assert "conv2d_7_15" in page.text("#details h2")


def test_depth(page):
    page.model()
    is_frame = lambda address: _module(page, address).tag_name == "rect"
    assert (is_frame("layer1"), is_frame("layer2.0")) == (True, False)
    page.choose("#view", "3")
    page.wait(lambda: is_frame("layer2.0"))
    assert (page.hash, _view(page)) == ("picture=3", "everything")
    page.choose("#view", "1")
    page.wait(lambda: not is_frame("layer1"))


def test_rolled_and_unrolled(page):
    page.model("loop")
    assert len(page.all("#stage [data-op^=grucell]")) == 1
    _box(page, "grucell_1_2").click()
    page.click("[data-rolled=false]")
    page.wait(lambda: page.hash.startswith("picture=2"))
    assert len(page.script(_SELECTED)) == 6
    assert page.one("[data-rolled=false]").get_attribute("aria-pressed") == "true"
    page.click("[data-rolled=true]")
    page.wait(lambda: page.script(_SELECTED) == ["grucell_1_2"])


def test_no_switch_where_there_is_nothing_to_unroll(page):
    page.model()
    assert not page.one("#rolling").is_displayed()


def test_a_deep_link(page):
    page.model(place="#picture=5&op=conv2d_26_37")
    page.wait(lambda: page.script(_SELECTED) == ["conv2d_26_37"])
    assert _shown(page) == "layer2.3"
    page.script("location.hash = '#picture=3&op=linear_1_51'")
    page.wait(lambda: _view(page) == "everything")
    page.script("location.hash = '#module=layer2'")
    page.wait(lambda: page.script(_SELECTED) == ["layer2"])


@pytest.mark.parametrize(
    "place", ["#picture=99&op=nothing", "#picture=-1", "#op=__proto__", "#picture=x&module=%FF", "#&&=&"]
)
def test_a_deep_link_to_nothing(page, place):
    page.model(place=place)
    assert _shown(page) == "Residual"
    assert page.script(_SELECTED) == []


def test_keys_go_from_box_to_box(page):
    page.model()
    page.press("j")
    assert page.script(_SELECTED) == ["input_1"]
    page.press("j", Keys.ARROW_DOWN)
    assert page.script(_SELECTED) == ["relu_1_2"]
    page.press("k")
    assert page.script(_SELECTED) == ["conv2d_1_1"]
    seen = set()
    for _ in range(len(page.all("#stage [data-op], #stage [data-module]"))):
        page.press("j")
        seen.add(page.hash)
    assert "op=output_1" in seen
    assert "module=layer2.0" in seen


def test_keys_open_help_and_zoom(page):
    page.model(place="#module=layer2")
    page.press("?")
    assert page.one("#help").is_displayed()
    page.press(Keys.ESCAPE)
    page.press("+", "+")
    assert page.text("#actual") == "156%"
    page.press("-")
    assert page.text("#actual") == "125%"
    page.press("0")
    assert page.text("#actual") == "100%"
    page.choose("#view", "3")
    page.wait(lambda: _view(page) == "everything")
    page.press("f")
    assert int(page.text("#actual").rstrip("%")) < 100  # all of it
    page.press("f")
    assert page.text("#actual") == "100%"  # its width, but not larger than drawn


def test_a_wide_picture_can_be_read_at_first_and_begins_at_its_first_box(page, site, tmp_path):
    box = '<g data-op="input_1" transform="translate(3000 10)"><rect width="100" height="30"/></g>'
    wide = f'<svg xmlns="http://www.w3.org/2000/svg" width="4000" height="90" viewBox="0 0 4000 90">{box}</svg>'
    (_copy(site, tmp_path) / "1" / "pictures" / "1.js").write_bytes(script("lens.picture", 1, wide))
    page.site = tmp_path
    page.model()
    page.choose("#view", "1")
    page.wait(lambda: page.hash == "picture=1")
    assert page.text("#actual") == "45%"
    middle = (
        "const {left, width} = document.querySelector(arguments[0]).getBoundingClientRect();"
        "return left + width / 2"
    )
    assert abs(page.script(middle, "#stage g") - page.script(middle, "#stage")) < 2
    page.press("f")
    assert int(page.text("#actual").rstrip("%")) < 30  # its width


def test_what_is_under_the_pointer_stays_there_when_the_wheel_zooms(page):
    page.size(390)
    page.model(place="#picture=3")
    page.wait(lambda: _view(page) == "everything")
    page.press("+", "+", "+")
    left, top, left_after, top_after, width, width_after = page.script(_WHEEL)
    assert width_after > 2 * width
    assert abs(left - left_after) < 3
    assert abs(top - top_after) < 3


def test_dragging_moves_the_picture_and_selects_nothing(page):
    page.model(place="#picture=3")
    page.wait(lambda: _view(page) == "everything")
    before = page.script("return document.getElementById('stage').scrollTop")
    page.mouse.move_to_element(_box(page, "maxpool2d_1_3")).click_and_hold().move_by_offset(
        0, -120
    ).release().perform()
    assert page.script("return document.getElementById('stage').scrollTop") == before + 120
    assert page.script(_SELECTED) == []


def test_the_switch_turns_pictures_dark(page):
    page.model()
    fill = "#stage svg > path"
    light = page.style(fill, "fill")
    page.choose("#theme", "dark")
    dark = page.style(fill, "fill")
    assert dark != light
    page.choose("#view", "3")
    page.wait(lambda: _view(page) == "everything")
    assert page.style(fill, "fill") == dark
    page.choose("#theme", "light")
    assert page.style(fill, "fill") == light


def test_panes_of_a_narrow_window(page):
    page.size(390, 844)
    page.model()
    assert page.one("#stage").is_displayed()
    assert not page.one("#tree").is_displayed()
    assert page.script("return document.documentElement.scrollWidth") == 390
    page.click(".panes-switch [data-pane=tree]")
    page.click("[data-address=stem]")
    page.wait(lambda: page.one("#stage").is_displayed())
    assert page.text("#details-name") == "stem"
    page.click(".panes-switch [data-pane=details]")
    assert "Conv2d" in page.text("#details")


def test_a_picture_that_is_missing_is_said(unchecked_page, site, tmp_path):
    page = unchecked_page
    folder = _copy(site, tmp_path) / "1"
    (folder / "pictures" / "3.js").unlink()
    (folder / "pictures" / "1.js").write_text("lens.picture(1, '<svg');", encoding="utf-8")
    page.model()
    for number, name in (("3", "everything"), ("1", "depth 1")):
        page.choose("#view", number)
        page.wait(lambda name=name: f"“{name}” cannot be read: pictures/" in page.text("#said"))
        assert _view(page) == "overview"
    page.choose("#view", "2")
    page.wait(lambda: page.hash == "picture=2")


def test_a_page_without_its_data_shows_the_picture(page, site, tmp_path):
    folder = _copy(site, tmp_path) / "1"
    (folder / "data.js").write_text("", encoding="utf-8")
    page.site = tmp_path
    page.open(f"{sample_site.folder('residual')}/1/index.html")
    assert "data.js" in page.text("#notice")
    assert _shown(page) == "Residual"


def test_a_page_without_a_picture_says_why(page, site, tmp_path):
    shutil.copytree(site / "assets", tmp_path / "assets")
    of_test = {"title": "sample/undrawn", "test": "x", "outcome": "passed", "reason": "why it is not drawn"}
    of_graph = {"trouble": "", "valid": None, "pictures": [], "ops": 0, "is_recurrent": False}
    record = {**of_test, "facets": {}, "file": "x", "snapshots": [], "changes": [], "pages": [of_graph]}
    graph = sample_site.page_of(svgs=[""], pictures=[])
    for name, content in model_files(graph, record, 0).items():
        (tmp_path / sample_site.folder("undrawn") / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / sample_site.folder("undrawn") / name).write_bytes(content)
    page.site = tmp_path
    page.model("undrawn")
    assert page.text("#stage") == "There is no picture"
    assert "why it is not drawn" in page.text("#details")
    assert not page.one(".tools").is_displayed()
    page.press("j", "o", "u", "f", "+")


def test_saving_gives_the_picture_as_it_was_drawn(page):
    page.model(place="#op=relu_1_2")
    page.script(
        "URL.createObjectURL = (blob) => { blob.text().then((text) => (window.saved = text)); return '#'; }"
    )
    page.script("HTMLAnchorElement.prototype.click = function () { window.name = this.download; }")
    page.click("#save")
    text = page.wait(lambda: page.script("return window.saved"))
    assert text.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "is-selected" not in text
    assert page.script("return window.name") == "sample-residual-overview.svg"


def test_names_that_mean_harm_are_texts(page):
    page.model("hostile")
    for number, box in enumerate(page.all("#stage [data-op]")):
        box.click()
        name = HOSTILE[number]
        assert page.script("return document.querySelector('#details h2').textContent") == name
        assert page.script("return document.querySelectorAll('.stage .is-selected').length") == 1
    assert page.driver.title == HOSTILE[0]
    assert page.script("return document.querySelectorAll('body script, [onerror]').length") == 0
    assert _find(page, "__proto__")[0] == "__proto__"
    page.press(Keys.ENTER)
    page.wait(lambda: page.script(_SELECTED) == ["__proto__"])
    assert page.script("return document.documentElement.scrollWidth") <= 1440


def test_a_large_model_is_quick(page, site, tmp_path):
    with _changed(page, site, tmp_path) as data:
        data["modules"] += [
            {"address": f"blocks.{n}" + ".inner" * (n % 5), "class": "Block"} for n in range(4000)
        ]
        data["layers"] += [
            {"label": f"extra_{n}", "module": f"blocks.{n}", "name": "add", "reads": [f"extra_{n - 1}"]}
            for n in range(5000)
        ]
    found, loaded = zip(*(_milliseconds(page) for _ in range(3)), strict=True)  # others may be at work
    assert min(found) < 250
    assert min(loaded) < 5000
    assert "more: say another word" in page.text("#found")


def _milliseconds(page):
    """How long a search and loading the page take."""
    page.model()
    return page.script(_SEARCH), page.script(_LOADED)


def _copy(site, target):
    """The folder of a model in a site of its own, to be changed."""
    folder = sample_site.folder("residual")
    for name in ("assets", folder):
        shutil.copytree(site / name, target / name)
    return target / folder


@contextmanager
def _changed(page, site, target):
    """The data of a model's page, to be changed before the page is opened."""
    path = _copy(site, target) / "1" / "data.js"
    _, (data,) = called(path)
    yield data
    path.write_bytes(script("lens.model", data))
    page.site = target
