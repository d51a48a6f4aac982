"""Command-line options and their twins in the ini file; the command line wins."""

from __future__ import annotations

import os
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshots:
    """What the command line and the ini file say of snapshots, but for where they lie."""

    #: What is written: ``"all"``, ``"new"``, or nothing if it is None. It has no twin in the ini file on purpose:
    #: where that wrote, no run would ever fail.
    update: str | None
    #: Whether files that no test uses are removed; no twin either.
    prune: bool
    #: Whether another order of independent ops fails.
    strict: bool
    #: Whether a failure shows every change in full.
    details: bool


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

_FLAGS = {
    "strict": "fail where snapshots differ in the order of independent ops alone",
    "details": "show every change of a graph in full",
}


def add(parser: pytest.Parser) -> None:
    """Declare all options."""
    group = parser.getgroup("torchlens", "forward passes of PyTorch models")
    group.addoption(
        "--lens-gallery",
        metavar="DIR",
        default=None,
        help="draw every graph that a test logs into DIR, as pages that open from index.html",
    )
    parser.addini("lens_gallery", "the directory of --lens-gallery", default="")
    parser.addini(
        "lens_gallery_title",
        "the title of the gallery, by default the name of the project's folder",
        default="",
    )
    _add_snapshots(group, parser)
    _add_catalogue(group)
    for name, option in _VALIDATION.items():
        group.addoption(f"--lens-{name}", metavar=option.metavar, default=None, help=option.help)
        twin = f"lens_{name}", f"the value of --lens-{name}"
        if name == "checks":
            parser.addini(*twin, type="linelist")
        else:
            parser.addini(*twin, type="string")


def _add_snapshots(group: pytest.OptionGroup, parser: pytest.Parser) -> None:
    update = "lens_update"
    # argparse knows an option that is spelled out before it looks for "=", and so takes no test file for a value
    for spellings, value, text in (
        (
            ("--lens-update", "--lens-update=all"),
            "all",
            "write the snapshots of graphs that are missing or have changed; for want of it nothing is ever written, "
            "so it has no twin in the ini file",
        ),
        (("--lens-update=new",), "new", "write those that are missing, and leave the others"),
    ):
        group.addoption(*spellings, dest=update, action="store_const", const=value, default=None, help=text)
    group.addoption(
        "--lens-prune",
        action="store_true",
        help="remove snapshots that no test uses, after a run of all tests; no ini value does",
    )
    group.addoption(
        "--lens-snapshot-dir",
        metavar="DIR",
        default=None,
        help="keep snapshots in DIR, in folders named after those of the tests, and not beside the tests",
    )
    parser.addini("lens_snapshot_dir", "the directory of --lens-snapshot-dir", default="")
    for name, text in _FLAGS.items():
        group.addoption(f"--lens-{name}", action="store_true", default=None, help=text)
        parser.addini(f"lens_{name}", f"the value of --lens-{name}", type="bool", default=False)


def _add_catalogue(group: pytest.OptionGroup) -> None:
    """Options of `model_suite`: they stand here since pytest meets its ``conftest.py`` too late with ``--pyargs``."""
    group.addoption(
        "--lens-tier",
        choices=("smoke", "standard", "all"),
        default=None,
        help="models of the catalogue to run (pytest --pyargs model_suite): some 30 of all kinds, some 300 of "
        "distinct structures, or all; smoke if nothing is said, all for a gallery",
    )
    group.addoption(
        "--lens-values",
        action="store_true",
        help="run the catalogue's models for a gallery with values, and validate them, where they are small enough; "
        "without it they are traced on the meta device, where that goes",
    )


def snapshots(config: pytest.Config) -> Snapshots:
    """What is done with snapshots."""
    strict, details = (
        bool(config.getoption(f"lens_{name}") or config.getini(f"lens_{name}"))
        for name in ("strict", "details")
    )
    update, prune = config.getoption("lens_update"), config.getoption("lens_prune")
    return Snapshots(update=update, prune=prune, strict=strict, details=details)


def snapshot_dir(config: pytest.Config) -> Path | None:
    """Where all snapshots lie; None if they lie beside the tests. Ini values are relative to the ini file."""
    directory = _directory(config, "lens_snapshot_dir")
    return Path(os.path.normpath(directory)) if directory is not None else None


def gallery_dir(config: pytest.Config) -> Path | None:
    """Where pictures go; None if none are wanted. Ini values are relative to the ini file."""
    return _directory(config, "lens_gallery")


def gallery_title(config: pytest.Config) -> str:
    """What stands above the gallery."""
    return str(config.getini("lens_gallery_title")) or config.rootpath.name


def _directory(config: pytest.Config, name: str) -> Path | None:
    given: str | None = config.getoption(name)
    if given:
        return config.invocation_params.dir / given
    ini = str(config.getini(name))
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
    kept = snapshot_dir(config)
    if kept is not None and kept.exists() and not kept.is_dir():
        raise pytest.UsageError(
            f"--lens-snapshot-dir={kept}: there is a file of that name. Name a directory."
        )
