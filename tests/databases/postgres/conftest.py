from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from monarch.databases.environment import Environment
from monarch.settings.environments import parse_environment
from tests.support.servers.postgres import PostgresServer


@pytest.fixture
def billing(postgres: PostgresServer) -> Iterator[Environment]:
    name = f"t_{uuid.uuid4().hex}"
    postgres.create(name)
    yield parse_environment("billing", {"uri": postgres.uri(name)})
    postgres.drop(name)
