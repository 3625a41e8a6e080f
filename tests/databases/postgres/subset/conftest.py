from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.settings import uri
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.postgres_parts import Fill


@pytest.fixture
def filled(billing: Environment) -> Fill:
    """A function that runs statements in an empty database, and returns its environment."""

    def fill(statements: str) -> Environment:
        with psycopg.connect(uri(billing)) as connection:
            connection.execute(statements)
        return billing

    return fill


@pytest.fixture
def target(postgres: PostgresServer) -> Iterator[str]:
    """The name of another empty database."""
    name = f"t_{uuid.uuid4().hex}"
    postgres.create(name)
    yield name
    postgres.drop(name)
