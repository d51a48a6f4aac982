"""The page that shows all pictures: one static file that opens without a server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from pytest_torchlens.records import PassData, short_name


def write_page(directory: Path, passes: Sequence[PassData]) -> Path:
    """Write ``index.html``; the pictures lie beside it."""
    environment = Environment(
        loader=PackageLoader("pytest_torchlens.gallery", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = directory / "index.html"
    content = environment.get_template("page.html").render(passes=sorted(passes, key=_place), title=_title)
    page.write_text(content, encoding="utf-8")
    return page


def _title(one: PassData) -> str:
    return short_name(one.test)


def _place(one: PassData) -> tuple[str, str]:
    """By title, then by test: workers report tests in any order."""
    return _title(one), one.test
