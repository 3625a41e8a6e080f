"""The toy kind of the tests fulfils the contract of database kinds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from monarch.databases.base import Database, MigrationClient
from monarch.databases.environment import Environment
from monarch.progress import SILENT
from tests.databases.contract import DatabaseContract
from tests.support.databases.toy import KIND

BLOCKS = Environment("toys", "toy", "blocks", server="the box blocks")


class TestToyDatabase(DatabaseContract):
    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[Database]:
        with KIND.open(BLOCKS, tmp_path, SILENT) as opened:
            yield opened

    @pytest.fixture
    def other(self, tmp_path: Path) -> Iterator[Database]:
        with KIND.open(BLOCKS, tmp_path, SILENT) as opened:
            yield opened

    def write_three(self, work: MigrationClient) -> None:
        connection = cast(sqlite3.Connection, work.handles["connection"])
        connection.execute("CREATE TABLE written (word)")
        connection.execute("INSERT INTO written VALUES (1)")
        connection.executemany("INSERT INTO written VALUES (?)", [("two",), (3.5,)])
