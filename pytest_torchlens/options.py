"""Command-line options and their twins in the ini file; the command line wins."""

from __future__ import annotations

from pathlib import Path

import pytest


def add(parser: pytest.Parser) -> None:
    """Declare all options."""
    group = parser.getgroup("torchlens", "forward passes of PyTorch models")
    group.addoption(
        "--lens-gallery",
        metavar="DIR",
        default=None,
        help="draw every forward pass that a test logs into DIR, with an index.html",
    )
    parser.addini("lens_gallery", "the directory of --lens-gallery", default="")


def gallery_dir(config: pytest.Config) -> Path | None:
    """Where pictures go; None if none are wanted. Ini values are relative to the ini file."""
    given: str | None = config.getoption("lens_gallery")
    if given:
        return config.invocation_params.dir / given
    ini = str(config.getini("lens_gallery"))
    if not ini:
        return None
    return (config.inipath.parent if config.inipath else config.rootpath) / ini


def check(config: pytest.Config) -> None:
    """Raise a usage error for options that cannot be followed, before a test runs."""
    directory = gallery_dir(config)
    if directory is None:
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".lens-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise pytest.UsageError(
            f"--lens-gallery={directory}: pictures cannot be written there ({error.strerror or error}). "
            "Name a directory that can be made and written to."
        ) from error
