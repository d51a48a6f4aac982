"""One Chromium a session, and pages of a made-up gallery that are open in it from file://.

Root gets Debian's packages where they are missing, unless LENS_INSTALL_BROWSER=0 says no; who is not root is told.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sample_site

_OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run "
    "--hide-scrollbars --disable-background-networking --disable-component-update --disable-sync "
    "--force-prefers-reduced-motion"
).split()
#: Seconds that a page has for what is expected of it, on a machine that others use too.
_PATIENCE = 15.0
#: A mirror that cannot be reached is to cost seconds, not the run.
_APT = ["apt-get", "-qq", "-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10"]
_COMMANDS = ([*_APT, "update"], [*_APT, "install", "-y", "chromium", "chromium-driver"])
_APT_TIME = 300
_QUIETLY = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
_LOCK = Path(tempfile.gettempdir(), "lens-browser.lock")


def _programs() -> tuple[str, str] | None:
    chromium = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    driver = shutil.which("chromedriver")
    return (chromium, driver) if chromium and driver else None


def _install() -> str:
    """Install Debian's packages where this may be done, once for all workers; what came of it."""
    if os.environ.get("LENS_INSTALL_BROWSER") == "0":
        return "LENS_INSTALL_BROWSER is 0"
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return "only root can install them, with apt-get"
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _programs() is not None:  # another worker has
            return "installed"
        try:
            for command in _COMMANDS:
                subprocess.run(command, check=True, capture_output=True, timeout=_APT_TIME, env=_QUIETLY)
        except subprocess.CalledProcessError as error:
            return error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        except subprocess.TimeoutExpired as error:
            return f"{' '.join(error.cmd[:2])}: longer than {_APT_TIME} s"
    return "installed"


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    came_of_it = "" if _programs() else _install()
    programs = _programs()
    if programs is None:
        pytest.skip(f"no chromium and chromedriver on the PATH ({came_of_it})")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for option in _OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.add_experimental_option("perfLoggingPrefs", {"enablePage": False})
    running = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs[1]))
    yield running
    running.quit()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gallery with 300 cards."""
    folder = tmp_path_factory.mktemp("site")
    sample_site.write(folder, 300)
    return folder


class Page:
    """The browser, at a page of a site."""

    def __init__(self, driver: Any, site: Path) -> None:
        self.driver = driver
        self.site = site

    # -- going somewhere ---------------------------------------------------------------------------

    def open(self, path: str = "index.html") -> Page:
        address = f"{self.site.as_uri()}/{path}"
        if self.driver.current_url.partition("#")[0] == address.partition("#")[0]:
            self.driver.get("about:blank")  # another place behind the # would load nothing
        self.driver.get(address)
        return self

    def model(self, name: str = "residual", place: str = "") -> Page:
        self.open(f"{sample_site.folder(name)}/1/index.html{place}")
        self.wait(lambda: self.script("return document.querySelector('#details').hasChildNodes()"))
        return self

    def size(self, width: int, height: int = 900) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    @property
    def hash(self) -> str:
        return self.driver.current_url.partition("#")[2]

    # -- what is there -----------------------------------------------------------------------------

    def script(self, code: str, *given: Any) -> Any:
        return self.driver.execute_script(code, *given)

    def all(self, css: str) -> list[Any]:
        return self.driver.find_elements("css selector", css)

    def one(self, css: str) -> Any:
        return self.driver.find_element("css selector", css)

    def text(self, css: str) -> str:
        return self.one(css).text

    def texts(self, css: str) -> list[str]:
        code = "return [...document.querySelectorAll(arguments[0])].map(one => one.textContent)"
        return self.script(code, css)

    def style(self, css: str, name: str) -> str:
        code = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
        return self.script(code, css, name)

    def wait(self, isso: Callable[[], Any]) -> Any:
        """What ``isso`` gives as soon as it is true."""
        end = time.monotonic() + _PATIENCE
        while not (found := isso()) and time.monotonic() < end:
            time.sleep(0.02)
        assert found, f"not so after {_PATIENCE:.0f} s"
        return found

    # -- doing something ---------------------------------------------------------------------------

    def press(self, *keys: str) -> None:
        self.mouse.send_keys(*keys).perform()

    def click(self, css: str) -> None:
        self.one(css).click()

    def choose(self, css: str, value: str) -> None:
        code = "const [one, value] = arguments; one.value = value; one.dispatchEvent(new Event('change'))"
        self.script(code, self.one(css), value)

    def type(self, css: str, words: str) -> None:
        """Put words into a field, all at once; `press` has real keys, which take longer."""
        code = "const [one, words] = arguments; one.focus(); one.value = words; one.dispatchEvent(new Event('input'))"
        self.script(code, self.one(css), words)

    @property
    def mouse(self) -> Any:
        from selenium.webdriver import ActionChains

        return ActionChains(self.driver, duration=0)

    # -- what must not be --------------------------------------------------------------------------

    def faults(self) -> list[str]:
        """Errors in the console, and what was asked for outside the site, since this was last called."""
        found = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith((f"{self.site.as_uri()}/", "data:", "blob:", "about:")):
                    found.append(f"asked for {url}")
        return found


@pytest.fixture
def page(driver: Any, site: Path) -> Iterator[Page]:
    """A page that may not leave an error in the console, or ask for anything outside the site."""
    page = Page(driver, site)
    _clear(page)
    yield page
    assert page.faults() == []


@pytest.fixture
def unchecked_page(driver: Any, tmp_path: Path) -> Iterator[Page]:
    """A page of an empty site, which may have faults."""
    page = Page(driver, tmp_path)
    _clear(page)
    yield page
    page.faults()


def _clear(page: Page) -> None:
    page.size(1440)
    blank = page.site / "blank.html"
    blank.write_text("<!doctype html><title>blank</title>", encoding="utf-8")
    page.driver.get(blank.as_uri())
    page.script("localStorage.clear()")
    page.faults()
