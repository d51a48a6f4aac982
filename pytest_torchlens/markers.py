"""The marker ``lens_validate`` and what may stand in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

NAME = "lens_validate"
DESCRIPTION = (
    "lens_validate(checks=None, rtol=0.0, atol=0.0, grad=None, seed=None): validate every forward pass "
    "that the test logs; a test that logs none fails"
)
_ARGUMENTS = ("checks", "rtol", "atol", "grad", "seed")


@dataclass(frozen=True, slots=True)
class Settings:
    """The marker's arguments as those of `torchlens_core.validate_model_activations`."""

    arguments: Mapping[str, Any]


def settings_of(item: pytest.Item) -> Settings | None:
    """The settings of a marked test, None if it is not marked; the closest marker wins.

    Raises `pytest.UsageError` for arguments and checks that do not exist.
    """
    marker = item.get_closest_marker(NAME)
    if marker is None:
        return None
    unknown = [name for name in marker.kwargs if name not in _ARGUMENTS]
    if marker.args or unknown:
        wrong = ", ".join([*map(repr, marker.args), *unknown])
        raise pytest.UsageError(
            f"{item.nodeid}: the marker {NAME} does not take {wrong}. "
            f"It takes {', '.join(f'{name}=' for name in _ARGUMENTS)}."
        )
    given = dict(marker.kwargs)
    _check_checks(item, given.get("checks"))
    if "seed" in given:
        given["random_seed"] = given.pop("seed")
    return Settings(given)


def _check_checks(item: pytest.Item, checks: Any) -> None:
    if checks is None:
        return
    from torchlens_core.validate import CHECKS  # torch is imported only for projects that use the marker

    names = [checks] if isinstance(checks, str) else checks
    is_list = isinstance(names, list | tuple | set | frozenset)
    wrong = [repr(name) for name in names if name not in list(CHECKS)] if is_list else [repr(checks)]
    if wrong or not names:  # a list of none would prove nothing, and pass
        raise pytest.UsageError(
            f"{item.nodeid}: the marker {NAME} names {', '.join(wrong) or 'no check'}"
            f"{', which is no check' if wrong else ''}. The checks are {', '.join(map(repr, CHECKS))}."
        )
