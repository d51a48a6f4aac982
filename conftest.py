"""``pytest --lens-gallery=out`` in this repository draws the catalogue, not what the tests of the plugin log."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Leave the tests out unless they are named."""
    if config.getoption("lens_gallery", None) and config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        config.args = ["model_suite"]
