"""The base class of migrations of PostgreSQL databases."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from monarch.databases.migration import Migration

if TYPE_CHECKING:
    import psycopg


class PostgresBackedMigration(Migration):
    """A migration of a PostgreSQL database.

    It runs in a transaction, which is committed together with its record: all of it happened and is
    recorded, or nothing. With ``transaction = False`` each statement is committed by itself, as CREATE INDEX
    CONCURRENTLY requires.

    ``connection`` is psycopg's, connected to the environment. ``uri`` is the whole
    connection string, password included, for another library, whose work is not part of the transaction.
    ``lock_timeout`` is how many seconds a statement waits for a lock; None is the setting of the environment.
    """

    database_kind = "postgres"
    transaction = True
    lock_timeout: ClassVar[float | None] = None
    connection: psycopg.Connection[Any]
    uri: str

    def cursor(self) -> psycopg.Cursor[Any]:
        """Return a new cursor of the connection."""
        return self.connection.cursor()

    def each(
        self, table: str, where: str = "true", values: Sequence[object] = (), *, batch: int = 1000
    ) -> Iterator[dict[str, Any]]:
        """Scan the rows of ``table`` that match ``where``, as dicts, in the order of the primary key.

        ``where`` is a condition in SQL, and ``values`` are those of its placeholders. The rows are read
        ``batch`` at a time. Without a transaction the position is recorded after each batch: if the run is
        cut off, the next attempt continues there, as long as the file of the migration is the same; it may
        see the rows of one batch again. So finish with each row before you take the next one.
        """
        return (row for rows in self._scan(table, where, values, batch) for row in rows)

    def batches(
        self, table: str, where: str = "true", values: Sequence[object] = (), *, batch: int = 1000
    ) -> Iterator[Sequence[dict[str, Any]]]:
        """Scan the same rows as `each`, ``batch`` at a time: to write them in bulk."""
        return self._scan(table, where, values, batch)

    def _scan(
        self, table: str, where: str, values: Sequence[object], batch: int
    ) -> Iterator[Sequence[dict[str, Any]]]:
        frame = sys._getframe(2)
        line = f"{Path(frame.f_code.co_filename).name} {frame.f_lineno}"
        return self._scans.scan(table, {"where": where, "values": list(values)}, batch, line)
