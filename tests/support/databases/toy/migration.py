"""The base class of migrations of the toy kind, and their own connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from monarch.databases.base import MigrationClient, Transaction
from monarch.databases.history import ScanPosition
from monarch.databases.migration import Migration
from tests.support.databases.toy.connection import explained, tables


class ToyMigration(Migration):
    """A migration of a toy database. ``connection`` is the SQLite connection."""

    database_kind = "toy"
    connection: sqlite3.Connection

    def rows(self, table: str, *, batch: int = 100) -> Iterator[Sequence[Any]]:
        """Scan the rows of ``table``, ``batch`` at a time; a later attempt resumes at the last position."""
        return self._scans.scan(table, {}, batch, table)


class ToyTransaction(Transaction):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    @property
    def handles(self) -> Mapping[str, object]:
        return {}

    @property
    def is_open(self) -> bool:
        return self.connection.in_transaction

    def undo(self) -> None:
        if self.is_open:
            with explained():
                self.connection.execute("ROLLBACK")


class ToyMigrationClient(MigrationClient):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def handles(self) -> Mapping[str, object]:
        return {"connection": self._connection}

    @property
    def written(self) -> int:
        return self._connection.total_changes

    @contextmanager
    def transaction(self) -> Iterator[ToyTransaction]:
        with explained():
            self._connection.execute("BEGIN")
        transaction = ToyTransaction(self._connection)
        try:
            yield transaction
        finally:
            transaction.undo()

    def require_collection(self, name: str) -> bool:
        return name in tables(self._connection)

    def count(self, collection: str, filter: Mapping[str, Any]) -> int:
        where, values = _where(filter)
        with explained():
            found = self._connection.execute(f"SELECT count(*) FROM {_quoted(collection)} {where}", values)
            return int(found.fetchone()[0])

    def batches(
        self,
        collection: str,
        filter: Mapping[str, Any],
        size: int,
        start: ScanPosition | None,
        transaction: Transaction | None,
    ) -> Iterator[tuple[Sequence[Any], ScanPosition]]:
        position = start or ScanPosition(-1, 0)
        where, values = _where(filter, "rowid > ?")
        query = f"SELECT rowid, * FROM {_quoted(collection)} {where} ORDER BY rowid LIMIT ?"
        while True:
            with explained():
                rows = self._connection.execute(query, (position.after, *values, size)).fetchall()
            if not rows:
                return
            position = ScanPosition(rows[-1][0], position.documents + len(rows))
            yield [row[1:] for row in rows], position


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _where(filter: Mapping[str, Any], *conditions: str) -> tuple[str, tuple[Any, ...]]:
    terms = [*conditions, *(f"{_quoted(column)} = ?" for column in filter)]
    return ("WHERE " + " AND ".join(terms) if terms else ""), tuple(filter.values())
