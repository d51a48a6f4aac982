"""Keeping libraries from loading weights, tokenizers and configurations."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_VARIABLE = "HF_HUB_OFFLINE"


@contextmanager
def offline() -> Iterator[None]:
    """What is run inside gets nothing from the Hugging Face Hub, and is told so at once; afterwards all is as before.

    huggingface_hub reads the variable of the environment when it is imported, and its own constant at each request.
    """
    in_environment, before = os.environ.get(_VARIABLE), _constants()
    was = before.HF_HUB_OFFLINE if before is not None else None
    os.environ[_VARIABLE] = "1"
    if before is not None:
        before.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        if in_environment is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = in_environment
        after = _constants()
        if after is not None:  # imported inside, if not before
            after.HF_HUB_OFFLINE = (in_environment or "").upper() in _TRUE if was is None else was


#: What huggingface_hub takes for a yes.
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})


def _constants() -> Any:
    return sys.modules.get("huggingface_hub.constants")
