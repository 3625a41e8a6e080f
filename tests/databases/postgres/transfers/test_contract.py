from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from monarch.databases import open_database
from monarch.databases.transfer import TransferDatabase, as_transfer_database
from tests.databases.transfer_contract import TransferContract
from tests.support.servers.postgres import PostgresServer, empty_database


@contextmanager
def opened(server: PostgresServer) -> Iterator[TransferDatabase]:
    with empty_database(server) as environment, open_database(environment, Path()) as database:
        yield as_transfer_database(database)


class TestPostgresTransfers(TransferContract):
    @pytest.fixture
    def source(self, version: PostgresServer) -> Iterator[TransferDatabase]:
        with opened(version) as database:
            yield database

    @pytest.fixture
    def target(self, version: PostgresServer) -> Iterator[TransferDatabase]:
        with opened(version) as database:
            yield database

    def fill(self, database: TransferDatabase, word: str) -> None:
        connection: Any = database.handles()["connection"]
        table = sql.Identifier(word)
        connection.execute(sql.SQL("CREATE TABLE {} (n int PRIMARY KEY, word text)").format(table))
        rows = sql.SQL("INSERT INTO {} SELECT n, %s FROM generate_series(1, 100) AS n").format(table)
        connection.execute(rows, [word])

    def words(self, database: TransferDatabase) -> set[str]:
        connection: Any = database.handles()["connection"]
        found = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename !~ '^monarch'"
        ).fetchall()
        words = sql.SQL("SELECT DISTINCT word FROM {}")
        return {
            row[0]
            for (name,) in found
            for row in connection.execute(words.format(sql.Identifier(name))).fetchall()
        }
