"""Fixtures for the tests of query sets."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_modules_left() -> Iterator[None]:
    """Remove imported ``querysets`` modules: each project has its own, but Python keeps one."""
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "querysets"]:
        del sys.modules[name]
