"""The connection of a migration, and its transaction."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus

from monarch.databases.base import MigrationClient, Transaction
from monarch.databases.environment import Environment
from monarch.databases.history import ScanPosition
from monarch.databases.migration import Migration
from monarch.databases.postgres.connection.client import Cursor, connect_as, rows_as_dicts
from monarch.databases.postgres.connection.errors import describe_driver_error, explained
from monarch.databases.postgres.connection.pooler import is_pooled, server_process
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.connection.settings import address_of, uri
from monarch.databases.postgres.connection.written_rows import WrittenRows
from monarch.databases.postgres.lock_watch import LockWatch
from monarch.databases.postgres.table_scan import ScannedTable, count_rows, find_table, read_batches
from monarch.errors import MonarchError, UsageError

# What the names of all sessions in which migrations run begin with.
SESSIONS = "monarch migration"
# Bytes of a name that the server keeps.
_LONGEST_NAME = 63
# What CREATE INDEX CONCURRENTLY leaves when it fails or is cut off. One that is being built is none.
_INVALID = """
    SELECT indexrelid::regclass::text AS name FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE NOT (indisvalid AND indisready AND indislive) AND relkind = 'i' AND relpersistence <> 't'
        AND indexrelid NOT IN (SELECT index_relid FROM pg_stat_progress_create_index)
    ORDER BY 1
"""


def session_name() -> str:
    """Return the name of the sessions in which this process runs migrations."""
    # Ends of names and characters that the server changes would make our own session look like another's.
    host = socket.gethostname().encode("ascii", "replace").decode()
    return f"{SESSIONS} of {os.getpid()} on {host}"[:_LONGEST_NAME]


class MigrationConnection(psycopg.Connection[Any]):
    """The connection of a migration: while ``is_guarded``, only monarch ends its transaction."""

    is_guarded = False

    def commit(self) -> None:
        self._refuse("commit")
        super().commit()

    def rollback(self) -> None:
        self._refuse("rollback")
        super().rollback()

    def _refuse(self, what: str) -> None:
        if self.is_guarded:
            raise RuntimeError(f"leave the {what} to monarch: it ends the transaction of a migration")


class PostgresTransaction(Transaction):
    """The transaction of a migration on ``connection``. ``session`` is monarch's own.

    The server gives it a number, which another transaction on the same connection would not have.
    """

    def __init__(
        self,
        environment: Environment,
        connection: MigrationConnection,
        session: Session,
        written: WrittenRows,
    ) -> None:
        self._environment = environment
        self._connection = connection
        self._session = session
        self._written = written
        connection.is_guarded = True
        with explained(environment):
            self._number = self._read_number("SELECT pg_current_xact_id()::text AS number")
        written.outside = False

    @property
    def handles(self) -> dict[str, object]:
        return {}

    @property
    def is_open(self) -> bool:
        status = self._connection.info.transaction_status
        if status == TransactionStatus.INERROR:
            # The server has undone it already. It cannot be committed, and the commit says why.
            return self._fate() == "aborted"
        return status == TransactionStatus.INTRANS and self._is_current()

    @property
    def was_ended(self) -> bool:
        status = self._connection.info.transaction_status
        if status == TransactionStatus.IDLE:
            return True
        if status == TransactionStatus.INTRANS:
            with suppress(psycopg.Error):
                return not self._is_current()
        if status == TransactionStatus.INERROR:
            with suppress(MonarchError):  # one that was prepared is in progress
                return self._fate() in ("committed", "in progress")
        # Without the connection nobody knows the number: a server that crashed may have given it away again.
        return self._written.outside

    def commit(self, write: Callable[[Cursor], None]) -> None:
        """Call ``write`` in the transaction, and commit it.

        :raises ServerError: if it could not be committed, or it is unknown whether it was.
        """
        self._connection.is_guarded = False
        with explained(self._environment):
            try:
                with rows_as_dicts(self._connection) as cursor:
                    # What the migration has set must not keep monarch from recording it.
                    cursor.execute("RESET SESSION AUTHORIZATION")
                    cursor.execute("RESET ROLE")
                    cursor.execute("SELECT set_config('lock_timeout', '5s', true)")
                    write(cursor)
                self._connection.commit()
            except BaseException:
                # Its locks would keep monarch from recording that it failed.
                with suppress(psycopg.Error):
                    self._connection.rollback()
                raise

    def _is_current(self) -> bool:
        number = self._read_number("SELECT pg_current_xact_id_if_assigned()::text AS number")
        return number == self._number

    def _fate(self) -> str | None:
        """Return what has become of it, in the words of the server."""
        query = "SELECT pg_xact_status(%s::text::xid8) AS fate"
        (row,) = self._session.query(query, (self._number,))
        fate: str | None = row["fate"]
        return fate

    def _read_number(self, query: str) -> str | None:
        row = rows_as_dicts(self._connection).execute(query).fetchone()
        return None if row is None else row["number"]


class PostgresMigrationClient(MigrationClient):
    """The client of migrations: what they do to it does not disturb monarch's own."""

    def __init__(self, environment: Environment, session: Session, watch: LockWatch) -> None:
        self._environment = environment
        self._session = session
        self._written = WrittenRows()
        self._watch = watch
        self._opened: MigrationConnection | None = None

    @property
    def handles(self) -> dict[str, object]:
        return {"connection": self._connection, "uri": uri(self._environment)}

    @property
    def written(self) -> int:
        return self._written.rows

    def reset(self) -> None:
        """Give the next migration a new connection: the one before may have set roles, paths and more."""
        self.close()

    def close(self) -> None:
        """Close the connection, if it is open; a transaction that is open is undone."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def prepare(self, migration: Migration, transaction: Transaction | None) -> None:
        """Set how many seconds it waits for a lock: what its class says, or else the settings."""
        name, seconds = self._environment.label, getattr(migration, "lock_timeout", None)
        if seconds is None:
            seconds = address_of(self._environment).lock_timeout
        with explained(self._environment):
            if transaction is None and is_pooled(self._connection):
                raise UsageError(
                    f"{name!r} is reached through a pooler, which may run each statement in another session, "
                    "so this needs a transaction.",
                    "Use the address of the server itself, or remove `transaction = False`.",
                )
            # In a transaction only until its end: a pooler gives the session to others then.
            values = (str(round(seconds * 1000)), transaction is not None)
            self._connection.execute("SELECT set_config('lock_timeout', %s, %s)", values)

    @property
    def is_settled(self) -> bool:
        connection = self._connection
        return connection.closed or connection.info.transaction_status == TransactionStatus.IDLE

    @property
    def _connection(self) -> MigrationConnection:
        """The connection, which is opened when it is first needed."""
        if self._opened is None:
            with explained(self._environment):
                self._opened = connect_as(
                    MigrationConnection,
                    self._environment,
                    autocommit=True,
                    name=session_name(),
                    cursor_factory=self._written.cursor_class(),
                )
            self._watch.watch(self._opened, self._opened.info.backend_pid)
        return self._opened

    @contextmanager
    def transaction(self) -> Iterator[PostgresTransaction]:
        connection = self._connection
        with explained(self._environment):
            connection.autocommit = False
            transaction = PostgresTransaction(self._environment, connection, self._session, self._written)
            self._watch.watch(connection, server_process(connection))
        try:
            yield transaction
        finally:
            connection.is_guarded = False
            with suppress(psycopg.Error):
                connection.rollback()
                connection.autocommit = True

    def is_transient(self, error: BaseException) -> bool:
        # One that came with the commit is the cause of what monarch raises.
        while error.__cause__ is not None and not isinstance(error, psycopg.Error):
            error = error.__cause__
        return isinstance(error, errors.SerializationFailure | errors.DeadlockDetected)

    def describe_error(self, error: BaseException) -> str | None:
        said = describe_driver_error(error)
        if isinstance(error, errors.LockNotAvailable):
            return f"{said}{self._watch.describe_holders()}"
        return said

    def describe_leftovers(self) -> str | None:
        with suppress(MonarchError):
            names = [row["name"] for row in self._session.query(_INVALID)]
            if names:
                drop = "drop it with DROP INDEX CONCURRENTLY, and create it again"
                return f"there is an invalid index, which is not used: {', '.join(names)} ({drop})"
        return None

    def require_collection(self, name: str) -> bool:
        return self._find(name) is not None

    def count(self, collection: str, filter: Mapping[str, Any]) -> int:
        table = self._find(collection)
        with explained(self._environment):
            return 0 if table is None else count_rows(self._connection, table, filter)

    def batches(
        self,
        collection: str,
        filter: Mapping[str, Any],
        size: int,
        start: ScanPosition | None,
        transaction: Transaction | None,
    ) -> Iterator[tuple[Sequence[Any], ScanPosition]]:
        table = self._find(collection)
        if table is not None:
            yield from read_batches(self._connection, table, filter, size, start)

    def _find(self, name: str) -> ScannedTable | None:
        with explained(self._environment):
            return find_table(self._connection, name)


@contextmanager
def open_work(environment: Environment, session: Session) -> Iterator[PostgresMigrationClient]:
    """Give migrations a connection to ``environment``. ``session`` is monarch's own."""
    with LockWatch(environment) as watch:
        client = PostgresMigrationClient(environment, session, watch)
        try:
            yield client
        finally:
            client.close()
