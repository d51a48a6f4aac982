"""Pictures in a real browser: how wide it draws each text, and what in them runs or is fetched."""

from __future__ import annotations

import base64
import html
import itertools
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: ``--no-sandbox`` for containers, whose user is root; the others keep it from asking its makers for anything.
_OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --virtual-time-budget=20000"
).split()

#: Says for each text of each picture where it is, and where what it belongs to is, in the picture's own points.
_SCRIPT = """
function expand(svg) {
  // instances of <use> are not to be measured: each becomes what it shows
  for (let use; (use = svg.querySelector("use"));) {
    const target = svg.getElementById(use.getAttribute("href").slice(1));
    const group = document.createElementNS("http://www.w3.org/2000/svg", "g");
    const copy = target.cloneNode(true);
    copy.removeAttribute("id");
    if (use.id) group.id = use.id;
    group.setAttribute("transform", `translate(${use.getAttribute("x") || 0} ${use.getAttribute("y") || 0})`);
    group.append(copy);
    use.replaceWith(group);
  }
}
function extent(element, svg) {
  const box = element.getBBox(), to = svg.getCTM().inverse().multiply(element.getCTM());
  return [box.x + to.e, box.y + to.f, box.x + to.e + box.width, box.y + to.f + box.height];
}
function measured(svg, prefix) {
  const uses = [...svg.querySelectorAll("use[id]")].map(use => [use.id, extent(use, svg)]);
  expand(svg);
  const of = element => {
    for (let one = element.parentNode; one !== svg; one = one.parentNode)
      if (/^[nf][0-9]+$/.test((one.id || "").slice(prefix.length))) return one;
    return null;
  };
  const texts = [...svg.querySelectorAll("text")].filter(one => !one.closest("defs")).map(text => {
    const box = of(text), plate = box && [...box.querySelectorAll("rect")].pop();
    return {text: text.textContent.slice(0, 80), ident: box ? box.id.slice(prefix.length) : "",
            place: extent(text, svg), room: plate ? extent(plate, svg) : null, length: text.getComputedTextLength(),
            y: +text.getAttribute("y")};
  });
  const frames = [...svg.querySelectorAll("rect[id]")].map(one => extent(one, svg));
  const paper = getComputedStyle([...svg.children].find(one => one.tagName === "path")).fill;
  const runs = [...svg.querySelectorAll("*")].filter(one =>
    ["script", "foreignObject", "iframe", "a"].includes(one.tagName) ||
    [...one.attributes].some(attribute => attribute.name.startsWith("on"))).map(one => one.tagName);
  return {texts, frames, uses, paper, runs, width: +svg.getAttribute("width"), height: +svg.getAttribute("height"),
          font: getComputedStyle(svg).fontFamily};
}
window.addEventListener("load", () => {
  const pictures = {}, errors = [];
  for (const [name, prefix] of Object.entries(PREFIXES))
    try {
      pictures[name] = measured(document.getElementById("at-" + prefix).querySelector("svg"), prefix);
    } catch (error) {
      errors.push(`${name}: ${error}`);
    }
  const images = Object.fromEntries([...document.images].map(one => [one.alt, [one.naturalWidth, one.naturalHeight]]));
  const asked = performance.getEntriesByType("resource").map(one => one.name);
  const fetched = asked.filter(one => !one.startsWith("data:"));
  const strays = [...document.body.children].map(one => one.tagName + "#" + one.id);
  const out = document.createElement("pre");
  out.id = "measured";
  out.textContent = JSON.stringify({pictures, images, fetched, ran: window.ran, strays, errors});
  document.body.append(out);
});
"""


@dataclass(frozen=True)
class Seen:
    """What a browser made of a page of pictures."""

    #: By picture: texts with their places and the room they have, frames, the colour of the paper.
    pictures: Mapping[str, Mapping[str, Any]]
    #: Width and height of each as an image, by name; zero where it could not be read.
    images: Mapping[str, tuple[int, int]]
    #: Addresses that were asked for.
    fetched: list[str]
    #: What scripts of pictures called.
    ran: list[str]
    #: Elements of the page; more than one a picture if a picture broke out of its own.
    strays: list[str]
    #: Pictures that could not be measured, and why.
    errors: list[str]


def find() -> str | None:
    """The program of a Chromium, or None."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def look(pictures: Mapping[str, Any], *, family: str = "", is_dark: bool = False) -> Seen:
    """Open a page with pictures, as part of its HTML and as images, and say what is seen.

    ``pictures`` have ``svg(prefix=…)``. ``family`` is a font for all texts, in place of those that pictures ask for.
    """
    prefixes = {name: f"p{number}" for number, name in enumerate(pictures)}
    rule = f'text{{font-family:"{family}"!important}}' if family else ""
    body = "".join(
        f'<div id="at-{prefix}">{pictures[name].svg(prefix=prefix)}</div>'
        for name, prefix in prefixes.items()
    )
    body += '<div id="images">' + "".join(
        f'<img alt="{html.escape(name)}" src="data:image/svg+xml;base64,{_coded(picture.svg())}">'
        for name, picture in pictures.items()
    )
    page = (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><style>{rule}</style><script>window.ran = [];'
        "for (const name of ['alert', 'confirm', 'prompt', 'open', 'fetch'])"
        " window[name] = (...given) => window.ran.push(name + '(' + given + ')');"
        f"const PREFIXES = {json.dumps(prefixes)};{_SCRIPT}</script></head><body>{body}</div></body></html>"
    )
    answer = re.search(r'<pre id="measured">(.*?)</pre>', _dumped(page, is_dark), re.DOTALL)
    if answer is None:
        raise AssertionError("the browser did not measure")
    return Seen(**json.loads(html.unescape(answer[1])))


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _dumped(page: str, is_dark: bool) -> str:
    """The page as the browser sees it after its scripts ran."""
    program = find()
    assert program is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "page.html")
        path.write_text(page, encoding="utf-8")
        options = [*_OPTIONS, *(["--blink-settings=preferredColorScheme=0"] if is_dark else [])]
        done = subprocess.run(
            [program, *options, f"--user-data-dir={folder}/profile", "--dump-dom", path.as_uri()],
            capture_output=True,
            timeout=120,
            check=True,
        )
    return done.stdout.decode()


def faults(seen: Mapping[str, Any], slack: float = 1.2) -> list[str]:
    """Texts of one picture that are wider than what they have: their box, their frame, the page, up to the next."""
    page = (0.0, 0.0, seen["width"], seen["height"])
    found = [f"<{tag}> may run" for tag in seen["runs"]]
    lines: dict[tuple[str, float], list[tuple[float, float, str]]] = {}
    for one in seen["texts"]:
        left, top, right, bottom = one["place"]
        room = one["room"] or next((f for f in seen["frames"] if _is_heading(one["place"], f)), page)
        if left < room[0] - slack or right > room[2] + slack:
            found.append(
                f"{one['text']!r} reaches from {left:.1f} to {right:.1f} in {room} of {one['ident'] or 'page'}"
            )
        if one["room"] and (top < room[1] - 2 * slack or bottom > room[3] + 2 * slack):
            found.append(f"{one['text']!r} is from {top:.1f} to {bottom:.1f} in {room} of {one['ident']}")
        if one["ident"]:
            lines.setdefault((one["ident"], one["y"]), []).append((left, right, one["text"]))
    for (ident, _), texts in lines.items():
        texts.sort()
        for (_, right, one), (left, _, other) in itertools.pairwise(texts):
            if right > left + slack:
                found.append(f"{one!r} ends at {right:.1f} and {other!r} begins at {left:.1f} in {ident}")
    return found


def _is_heading(place, frame) -> bool:
    """Whether a text stands in the first line of a frame."""
    return frame[0] <= place[0] <= frame[2] and frame[1] <= place[1] and place[3] <= frame[1] + 24
