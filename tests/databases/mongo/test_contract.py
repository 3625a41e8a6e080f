from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId

from monarch.databases import open_database
from monarch.databases.base import Database, MigrationClient
from monarch.databases.environment import Environment
from monarch.settings.environments import parse_environment
from tests.databases.contract import DatabaseContract
from tests.support.servers.mongod import Server


@pytest.fixture
def environment(server: Server) -> Iterator[Environment]:
    entry: dict[str, Any] = {"uri": server.uri, "db_name": f"t_{ObjectId()}"}
    yield parse_environment("dev", entry)
    with server.client() as client:
        client.drop_database(entry["db_name"])


class TestMongoDatabase(DatabaseContract):
    def write_three(self, work: MigrationClient) -> None:
        database: Any = work.handles["database"]
        database.written.insert_one({"_id": 1})
        database.written.insert_many([{"_id": "two"}, {"_id": 3.5}])

    @pytest.fixture
    def database(self, environment: Environment) -> Iterator[Database]:
        with open_database(environment, Path()) as opened:
            yield opened

    @pytest.fixture
    def other(self, environment: Environment) -> Iterator[Database]:
        with open_database(environment, Path()) as opened:
            yield opened
