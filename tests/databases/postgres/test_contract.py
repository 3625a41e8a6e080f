from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monarch.databases import open_database
from monarch.databases.base import Database, MigrationClient
from monarch.databases.environment import Environment
from tests.databases.contract import DatabaseContract
from tests.support.servers.postgres import PostgresServer, empty_database


class TestPostgresDatabase(DatabaseContract):
    def write_three(self, work: MigrationClient) -> None:
        connection: Any = work.handles["connection"]
        connection.execute("CREATE TABLE written (id text PRIMARY KEY)")
        connection.execute("INSERT INTO written VALUES ('1')")
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO written VALUES (%s)", [("two",)])
            with cursor.copy("COPY written FROM STDIN") as copy:
                copy.write_row(("3.5",))

    @pytest.fixture
    def environment(self, version: PostgresServer) -> Iterator[Environment]:
        with empty_database(version) as made:
            yield made

    @pytest.fixture
    def database(self, environment: Environment) -> Iterator[Database]:
        with open_database(environment, Path()) as opened:
            yield opened

    @pytest.fixture
    def other(self, environment: Environment) -> Iterator[Database]:
        with open_database(environment, Path()) as opened:
            yield opened
