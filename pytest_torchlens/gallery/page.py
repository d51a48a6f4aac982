"""The page that shows all pictures: one static file that opens without a server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from pytest_torchlens.records import PassData


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
    content = environment.get_template("page.html").render(passes=sorted(passes, key=title_of), title=title_of)
    page.write_text(content, encoding="utf-8")
    return page


def title_of(one: PassData) -> str:
    """What a card is headed by: the parameters of the test, or its name.

    >>> title_of(PassData("t.py::test_model[torchvision/alexnet]", "AlexNet", 22, 1, "passed", True, None, None))
    'torchvision/alexnet'
    """
    name = one.test.rpartition("::")[2]
    return name.partition("[")[2].removesuffix("]") or name
