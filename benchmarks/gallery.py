"""What the gallery's pages cost in a real Chromium, opened from file://, beside the prototype's figures.

Sites are made up by tests/sample_site.py: an index of so many cards, and the pages of models whose pictures are real.
Needs chromium and chromedriver on the PATH and the selenium package. Figures are medians of the rounds.

    python benchmarks/gallery.py                          # 741, 1,000 and 2,000 cards, 1 min
    python benchmarks/gallery.py --site out/ --rounds 5   # a gallery that was really made
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from validation import table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import sample_site

#: The page of a model in a made-up site.
_MODEL = f"{sample_site.folder('residual')}/1/index.html"
#: Of the prototype, with 741 cards: see shared/pictures.md.
PROTOTYPE = ("prototype, 741", "168", "0.22", "", "15", "170", "", "20", "0.65")
HEAD = (
    "cards",
    "KB",
    "first paint s",
    "cards shown s",
    "key ms",
    "worst",
    "with layout",
    "pictures",
    "model s",
)
_OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --window-size=1440,900 "
    "--disable-background-networking"
).split()
#: Notes when cards, or the picture of a model, are first there as a frame begins: then they are painted.
_WATCH = """
addEventListener("DOMContentLoaded", function look() {
  const there = document.querySelector(".card, #details > *");
  if (there && window.wasThere) window.shownAt = performance.now();
  else { window.wasThere = Boolean(there); requestAnimationFrame(look); }
});
"""
#: Types a word, then takes it away, a key at a time: milliseconds of each key, without and with the layout after it.
_TYPE = """
const field = document.getElementById("search"), word = arguments[0], times = [];
const texts = [...word].map((_, end) => word.slice(0, end + 1));
for (const text of [...texts, ...texts.toReversed().slice(1), ""]) {
  field.value = text;
  const start = performance.now();
  field.dispatchEvent(new Event("input"));
  const done = performance.now();
  document.body.offsetHeight;
  times.push([done - start, performance.now() - start]);
}
return times;
"""
_PAINT = "return (performance.getEntriesByName('first-contentful-paint')[0] || {}).startTime"


@contextmanager
def browser() -> Iterator[Any]:
    chromium, driver = (
        shutil.which("chromium") or shutil.which("google-chrome"),
        shutil.which("chromedriver"),
    )
    if not (chromium and driver):
        raise SystemExit("There is no chromium or no chromedriver on the PATH.")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in _OPTIONS:
        options.add_argument(option)
    running = webdriver.Chrome(options=options, service=Service(driver))
    running.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})
    try:
        yield running
    finally:
        running.quit()


def open_page(driver: Any, path: Path) -> tuple[float, float]:
    """Seconds to the first paint, and until what the page is for is painted."""
    driver.get("about:blank")
    driver.get(path.as_uri())
    driver.execute_async_script(
        "const done = arguments[0]; (function wait() { window.shownAt ? done() : setTimeout(wait, 5) })()"
    )
    return driver.execute_script(_PAINT) / 1000, driver.execute_script("return shownAt") / 1000


def measure(site: Path, rounds: int) -> list[str]:
    """A row of the table for the site in a folder."""
    with browser() as driver:
        index = [open_page(driver, site / "index.html") for _ in range(rounds + 1)][1:]
        number = driver.execute_script("return document.getElementById('number').textContent").partition(
            " "
        )[0]
        pictures = driver.execute_script("return document.querySelectorAll('img.face[src]').length")
        keys = [one for _ in range(rounds) for one in driver.execute_script(_TYPE, "resnet")]
        page = driver.execute_script(
            "return [...document.querySelectorAll('a.main')].map(one => one.getAttribute('href'))"
        )
        pages = [site / one for one in [_MODEL, *page] if (site / one).exists()]
        model = [open_page(driver, pages[0])[0] for _ in range(rounds)]
    size = sum(path.stat().st_size for path in loaded(site))
    bare, whole = zip(*keys, strict=True)
    return [
        number,
        f"{size / 1000:.0f}",
        f"{_median(one for one, _ in index):.2f}",
        f"{_median(one for _, one in index):.2f}",
        f"{_median(bare):.1f}",
        f"{max(bare):.1f}",
        f"{_median(whole):.1f}",
        str(pictures),
        f"{_median(model):.2f}",
    ]


def loaded(site: Path) -> list[Path]:
    """The files of the index, without silhouettes."""
    return [
        site / "index.html",
        site / "cards.js",
        *(site / "assets" / name for name in ("site.css", "site.js", "card.js", "index.js", "icon.svg")),
    ]


def _median(values: Any) -> float:
    return statistics.median(values)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cards", type=int, nargs="+", default=[741, 1000, 2000])
    parser.add_argument(
        "--site", type=Path, nargs="*", default=[], help="galleries to measure in place of made-up ones"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--markdown", action="store_true", help="print a table for the documentation")
    options = parser.parse_args()
    rows = [list(HEAD), list(PROTOTYPE)]
    rows += [measure(site.resolve(), options.rounds) for site in options.site]
    for number in options.cards if not options.site else ():
        with tempfile.TemporaryDirectory() as folder:
            sample_site.write(Path(folder), number, with_hostile=False)
            rows.append(measure(Path(folder), options.rounds))
    print(table(rows, options.markdown))


if __name__ == "__main__":
    main()
