from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from monarch.databases.environment import Environment
from tests.support.servers.postgres import PostgresServer, empty_database
from tests.support.servers.postgres_versions import VERSIONS


@pytest.fixture(scope="session", params=VERSIONS)
def version(request: pytest.FixtureRequest, run_version: Callable[[str], PostgresServer]) -> PostgresServer:
    """The server of each version; its number is in the name of the test."""
    return run_version(request.param)


@pytest.fixture(scope="session", params=["15"])
def postgres_15(
    request: pytest.FixtureRequest, run_version: Callable[[str], PostgresServer]
) -> PostgresServer:
    """The server that accepts TLS; its number is in the name of the test."""
    return run_version(request.param)


@pytest.fixture
def billing(postgres: PostgresServer) -> Iterator[Environment]:
    with empty_database(postgres) as environment:
        yield environment
