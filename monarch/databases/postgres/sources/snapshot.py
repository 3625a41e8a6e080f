"""A snapshot of a database, which pg_dump reads too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

import psycopg
from psycopg import IsolationLevel, sql

from monarch.databases.environment import Environment
from monarch.databases.postgres.catalog.definitions import read_definitions
from monarch.databases.postgres.catalog.digests import read_index_definitions
from monarch.databases.postgres.catalog.fingerprint import hash_contents
from monarch.databases.postgres.catalog.tables import Table, batched, count_rows
from monarch.databases.postgres.connection.client import (
    PATIENCE,
    UNLIMITED,
    Connection,
    Cursor,
    connect,
    rows_as_dicts,
)
from monarch.databases.postgres.connection.errors import explained
from monarch.databases.postgres.connection.pooler import refuse_pooler
from monarch.databases.postgres.connection.settings import lock_timeout_of
from monarch.databases.postgres.sources.base import Expected

# Those that fall count from above.
_SEQUENCES = """
    SELECT format('%I.%I', schemaname, sequencename) AS name, last_value * sign(increment_by) AS value
    FROM pg_sequences WHERE last_value IS NOT NULL AND NOT cycle
        AND schemaname !~ '^pg_' AND schemaname NOT IN ('information_schema', 'monarch_history')
"""
_LARGE_OBJECTS = "SELECT count(*) AS number FROM pg_largeobject_metadata"


class ExportedSnapshot:
    """What the database of ``environment`` held at one moment, for as long as the context lasts.

    Its tables cannot be dropped or emptied in the meantime: they are locked as a reader locks them. With
    ``temporary_tables`` its transaction may create such tables, which no replica can.

    :raises ServerError: if the server refuses, or another session holds a table.
    """

    def __init__(self, environment: Environment, *, temporary_tables: bool = False) -> None:
        self._environment = environment
        with explained(environment):
            self.connection: Connection = connect(environment, name="monarch snapshot", autocommit=True)
            try:
                refuse_pooler(self.connection, environment)
                self.connection.execute(UNLIMITED)
                read_only = not temporary_tables or self._is_replica()
                self.connection.autocommit = False
                self.connection.isolation_level = IsolationLevel.REPEATABLE_READ
                self.connection.read_only = read_only
                row = self.cursor().execute("SELECT pg_export_snapshot() AS id").fetchone()
            except BaseException:
                self.connection.close()
                raise
            self.sequences = read_sequences(self.cursor())
        assert row is not None
        self.id = str(row["id"])

    def __enter__(self) -> ExportedSnapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget the snapshot."""
        # Also while another thread waits for an answer.
        with suppress(psycopg.Error):
            self.connection.cancel_safe(timeout=PATIENCE)
        self.connection.close()

    def _is_replica(self) -> bool:
        row = self.cursor().execute("SELECT pg_is_in_recovery() AS is_replica").fetchone()
        return row is not None and bool(row["is_replica"])

    def cursor(self) -> Cursor:
        """Return a cursor that reads it."""
        return rows_as_dicts(self.connection)

    def lock(self, tables: Iterable[Table]) -> None:
        """Keep everybody from dropping or emptying ``tables``.

        :raises ServerError: if another session holds one of them for longer than the settings allow.
        """
        with explained(self._environment):
            cursor = self.cursor()
            # Others wait behind who waits.
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, true)", (f"{lock_timeout_of(self._environment)}ms",)
            )
            for some in batched(tables, 100):
                names = sql.SQL(", ").join(table.identifier for table in some)
                cursor.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS SHARE MODE").format(names))

    def expected(self, tables: Iterable[Table], *, hashes: bool) -> Expected:
        """Return what a copy of it must hold; with ``hashes``, also those of the rows of all tables."""
        tables = list(tables)
        with explained(self._environment):
            cursor = self.cursor()
            counted = count_rows(cursor, tables)
            hashed = hash_contents(cursor, tables) if hashes else None
            return Expected(
                {table.title: rows for table, rows in counted.items()},
                {},
                self.connection.info.server_version // 10_000,
                read_definitions(cursor),
                self.sequences,
                read_large_objects(cursor),
                None if hashed is None else {table.title: hash for table, hash in hashed.items()},
                read_index_definitions(cursor) if hashes else None,
            )


def read_sequences(cursor: Cursor) -> dict[str, int]:
    """Return how far each sequence has come that never begins again."""
    return {row["name"]: int(row["value"]) for row in cursor.execute(_SEQUENCES).fetchall()}


def read_large_objects(cursor: Cursor) -> int:
    """Return the number of large objects."""
    row = cursor.execute(_LARGE_OBJECTS).fetchone()
    return 0 if row is None else int(row["number"])


class Later:
    """The result of ``work``, which runs in a thread beside the caller."""

    def __init__(self, work: Callable[[], Expected]) -> None:
        self._result: Expected | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def result(self, alive: Callable[[], None]) -> Expected:
        """Wait for it, calling ``alive`` every few seconds; raise what ``work`` has raised."""
        while self._thread.is_alive():
            self._thread.join(2)
            alive()
        self.raise_error()
        assert self._result is not None
        return self._result

    def raise_error(self) -> None:
        """Raise what ``work`` has raised until now, if anything."""
        if self._error is not None:
            raise self._error

    def _run(self, work: Callable[[], Expected]) -> None:
        try:
            self._result = work()
        except BaseException as error:
            self._error = error
