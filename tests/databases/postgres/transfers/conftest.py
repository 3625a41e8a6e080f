from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.runs.postgres_pair import PostgresPair, make_pair
from tests.support.servers.postgres import PostgresServer


@pytest.fixture
def pair(tmp_path: Path, postgres: PostgresServer) -> Iterator[PostgresPair]:
    """Two databases of the server 18."""
    with make_pair(tmp_path, postgres, postgres) as made:
        yield made


@pytest.fixture
def versions(
    request: pytest.FixtureRequest, tmp_path: Path, run_version: Callable[[str], PostgresServer]
) -> Iterator[PostgresPair]:
    """Two databases, of the versions "FROM to TO" of the parameter."""
    source, target = request.param.split(" to ")
    with make_pair(tmp_path, run_version(source), run_version(target)) as made:
        yield made
