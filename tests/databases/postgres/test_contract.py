from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monarch.databases import open_database
from monarch.databases.base import Database, MigrationClient
from monarch.databases.environment import Environment
from tests.databases.contract import DatabaseContract


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
    def database(self, billing: Environment) -> Iterator[Database]:
        with open_database(billing, Path()) as opened:
            yield opened

    @pytest.fixture
    def other(self, billing: Environment) -> Iterator[Database]:
        with open_database(billing, Path()) as opened:
            yield opened
