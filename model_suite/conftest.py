"""Which part of the catalogue is run."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare ``--lens-tier``."""
    parser.addoption(
        "--lens-tier",
        choices=("smoke", "standard", "all"),
        default="smoke",
        help="models of the catalogue to run: some 30 of all kinds, some 300 of distinct structures, or all",
    )
