"""Command-line options and their twins in the ini file; the command line wins."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_torchlens.arguments import fault, fault_in_checks


@dataclass(frozen=True, slots=True, kw_only=True)
class _Option:
    """An argument of the marker as an option, for all marked tests whose marker does not give it."""

    metavar: str
    help: str
    #: Makes a value of the text; what it cannot read raises.
    read: Callable[[str], Any]
    #: What may be written, in words.
    expected: str


_ANSWERS = {"yes": True, "no": False, "auto": None}
_NUMBER = "a finite number, 0 or more"
_VALIDATION = {
    "checks": _Option(
        metavar="NAMES",
        help="the checks of lens_validate, by comma or space; all by default, and told for a wrong name",
        read=lambda text: re.findall(r"[^\s,]+", text),
        expected="names of checks",
    ),
    "rtol": _Option(
        metavar="NUMBER",
        help="the relative difference that lens_validate allows, 0 by default",
        read=float,
        expected=_NUMBER,
    ),
    "atol": _Option(
        metavar="NUMBER",
        help="the absolute difference that lens_validate allows, 0 by default",
        read=float,
        expected=_NUMBER,
    ),
    "grad": _Option(
        metavar="yes|no|auto",
        help="whether lens_validate compares gradients too; auto, the default, does where there are some",
        read=_ANSWERS.__getitem__,
        expected="yes, no or auto",
    ),
    "seed": _Option(
        metavar="INT",
        help="the seed of torch's generators for the passes of lens_validate",
        read=int,
        expected="an int of 64 bits",
    ),
}


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
    for name, option in _VALIDATION.items():
        group.addoption(f"--lens-{name}", metavar=option.metavar, default=None, help=option.help)
        twin = f"lens_{name}", f"the value of --lens-{name}"
        if name == "checks":
            parser.addini(*twin, type="linelist")
        else:
            parser.addini(*twin, type="string")


def gallery_dir(config: pytest.Config) -> Path | None:
    """Where pictures go; None if none are wanted. Ini values are relative to the ini file."""
    given: str | None = config.getoption("lens_gallery")
    if given:
        return config.invocation_params.dir / given
    ini = str(config.getini("lens_gallery"))
    if not ini:
        return None
    return (config.inipath.parent if config.inipath else config.rootpath) / ini


def validation(config: pytest.Config) -> dict[str, Any]:
    """The arguments of a validation that the command line or the ini file gives, by their names in the marker.

    Raises `pytest.UsageError` for what cannot be read; names of checks are left to `check`.
    """
    given = {name: _given(config, name) for name in _VALIDATION}
    return {name: _value(name, *one) for name, one in given.items() if one is not None}


def _given(config: pytest.Config, name: str) -> tuple[str, str] | None:
    """The text of an option, and how it was given; an empty ini value is none."""
    text: str | None = config.getoption(f"lens_{name}")
    if text is not None:
        return text, f"--lens-{name}={text}"
    try:
        ini = config.getini(f"lens_{name}")
    except TypeError as error:  # pytest's, for the types of a pytest.toml
        raise pytest.UsageError(str(error)) from None
    text = ", ".join(ini) if isinstance(ini, list) else str(ini)
    return (text, f"the ini value lens_{name} = {text}") if text else None


def _value(name: str, text: str, source: str) -> Any:
    option = _VALIDATION[name]
    try:
        value = option.read(text)
        is_good = name == "checks" or fault(name, value) is None
    except (ValueError, KeyError):
        is_good = False
    if not is_good:
        raise pytest.UsageError(f"{source}: expected {option.expected}.")
    return value


def check(config: pytest.Config) -> None:
    """Raise a usage error for options that cannot be followed, before a test runs."""
    validation(config)
    checks = _given(config, "checks")
    wrong = fault_in_checks(_value("checks", *checks)) if checks is not None else None
    if checks is not None and wrong:
        raise pytest.UsageError(f"{checks[1]} {wrong}")
    directory = gallery_dir(config)
    if directory is not None:
        _check_directory(directory)


def _check_directory(directory: Path) -> None:
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
