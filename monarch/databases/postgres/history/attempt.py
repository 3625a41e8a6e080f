"""One attempt at a migration, from its beginning to its recorded end."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

import psycopg

from monarch.databases.history import (
    Action,
    AttemptStart,
    AttemptStats,
    Failure,
    MigrationState,
    OpenAttempt,
    Operation,
    ScanPosition,
)
from monarch.databases.postgres.connection.client import Cursor
from monarch.databases.postgres.connection.encoding import storable, storable_json
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.lease import PostgresLease
from monarch.databases.postgres.migration_client import PostgresTransaction
from monarch.errors import NotCommitted, ServerError
from monarch.system import process_identity as owner
from monarch.system.ci import Origin

# Bytes of the position of a scan: hundreds of them must fit into a row of the journal. A scan of rows with a
# longer key begins anew.
_LONGEST_POSITION = 20_000
_END = """
    UPDATE monarch_history.journal SET outcome = %(outcome)s, finished_at = clock_timestamp(),
        seconds = %(seconds)s, rows = %(rows)s, echoed = %(echoed)s, error = %(error)s,
        traceback = %(traceback)s
    WHERE attempt = %(attempt)s
"""
_SET_STATE = """
    INSERT INTO monarch_history.history VALUES (%(key)s, %(state)s, CASE %(state)s WHEN 'New' THEN NULL
        ELSE clock_timestamp() END)
    ON CONFLICT (key) DO UPDATE SET state = excluded.state, processed_at = excluded.processed_at
"""
_BEGIN = """
    INSERT INTO monarch_history.journal (attempt, key, action, outcome, started_at, finished_at, checksum,
        backup, repeatable, positions, process)
    VALUES (%(attempt)s, %(key)s, %(action)s, %(outcome)s, clock_timestamp(),
        CASE WHEN %(outcome)s::text IS NULL THEN NULL ELSE clock_timestamp() END,
        %(checksum)s, %(backup)s, %(repeatable)s, %(positions)s, %(process)s)
    ON CONFLICT (attempt) DO NOTHING
"""
_OPERATION = """
    INSERT INTO monarch_history.journal (attempt, key, action, outcome, started_at, finished_at, seconds,
        rows, backup, process)
    VALUES (%(attempt)s, %(key)s, %(action)s, %(outcome)s,
        clock_timestamp() - make_interval(secs => coalesce(%(seconds)s::float, 0)),
        CASE WHEN %(outcome)s::text IS NULL THEN NULL ELSE clock_timestamp() END, %(seconds)s, %(documents)s,
        %(backup)s, %(process)s)
    ON CONFLICT (attempt) DO UPDATE SET outcome = excluded.outcome, finished_at = excluded.finished_at,
        seconds = excluded.seconds, rows = excluded.rows
"""
FORGET = "DELETE FROM monarch_history.journal WHERE attempt = %s"
# What has no column: the table may have been created by an older monarch.
_IN_PROCESS = ("environment", "query_set", "query_options", "bytes")


def _describe_process(origin: Origin) -> dict[str, Any]:
    known = {name: value for name, value in vars(origin).items() if value is not None}
    return {**owner.identity(), **known}


def _describe_run(lease: PostgresLease) -> dict[str, Any]:
    return {
        "environment": lease.environment,
        "run": lease.run,
        "fence": lease.fence,
        "lineage": lease.lineage,
    }


@dataclass(frozen=True)
class JournalRow:
    """A new row of the journal. ``outcome`` is None for an attempt that begins."""

    key: str
    action: Action
    checksum: str | None
    origin: Origin
    repeatable: bool | None
    outcome: MigrationState | None = None
    backup: str | None = None

    def insert(self, cursor: Cursor, lease: PostgresLease, attempt: str, positions: Any) -> None:
        """Insert it with the id ``attempt``, if it is not there yet."""
        cursor.execute(_BEGIN, self.values(cursor, lease, attempt, positions))

    def values(self, cursor: Cursor, lease: PostgresLease, attempt: str, positions: Any) -> dict[str, Any]:
        """Return its columns, with the id ``attempt``."""
        return {
            "attempt": attempt,
            "key": self.key,
            "action": self.action.value,
            "outcome": self.outcome.value if self.outcome else None,
            "checksum": self.checksum,
            "backup": self.backup,
            "repeatable": self.repeatable,
            "positions": storable_json(cursor, positions),
            "process": storable_json(cursor, {**_describe_process(self.origin), **_describe_run(lease)}),
        }


def operation_statement(cursor: Cursor, operation: Operation, lease: PostgresLease | None = None) -> str:
    """Return the statement that writes the row of ``operation`` as of now into the journal."""
    fields = operation.fields()
    process = {name: fields[name] for name in _IN_PROCESS if name in fields}
    run = _describe_run(lease) if lease else {}
    values = {
        **dict.fromkeys(("backup", "documents", "outcome", "seconds"), None),
        **{name: value for name, value in fields.items() if name not in process},
        "attempt": str(uuid.UUID(operation.id)),
        "process": storable_json(cursor, {**_describe_process(operation.origin), **run, **process}),
    }
    return psycopg.ClientCursor(cursor.connection).mogrify(_OPERATION, values)


def set_state(cursor: Cursor, key: str, state: MigrationState) -> None:
    """Write the state of ``key``, with the server's time."""
    cursor.execute(_SET_STATE, {"key": key, "state": state.value})


class PostgresOpenAttempt(OpenAttempt):
    """An attempt that has begun with ``begun``, which the holder of ``lease`` records."""

    def __init__(self, session: Session, lease: PostgresLease, begun: AttemptStart) -> None:
        self._session = session
        self._lease = lease
        self._begun = begun
        self._id = str(uuid.uuid4())
        self._positions = {label: _recorded(position) for label, position in begun.positions.items()}

    def record_begin(self, cursor: Cursor) -> None:
        """Record that it begins."""
        begun = self._begun
        row = JournalRow(
            begun.key, begun.action, begun.checksum, begun.origin, begun.repeatable, backup=begun.backup
        )
        row.insert(cursor, self._lease, self._id, self._positions)
        set_state(cursor, begun.key, MigrationState.PROCESSING)

    def complete(self, stats: AttemptStats, transaction: object = None) -> None:
        state = MigrationState.NEW if self._begun.action is Action.ROLLBACK else MigrationState.COMPLETED

        def write(cursor: Cursor) -> None:
            self._lease.require(cursor)
            self._end(cursor, MigrationState.COMPLETED, stats)
            set_state(cursor, self._begun.key, state)

        if transaction is None:
            self._session.transact(write, patiently=True)
            return
        assert isinstance(transaction, PostgresTransaction)
        self._lease.renew()
        try:
            transaction.commit(write)
        except ServerError as error:
            # It may have been committed, and only the answer was lost.
            if not self._session.transact(self._has_completed, patiently=True):
                raise NotCommitted(error.message, error.hint) from error

    def fail(self, failure: Failure, stats: AttemptStats) -> None:
        outcome = MigrationState.INTERRUPTED if failure.interrupted else MigrationState.FAILED

        def write(cursor: Cursor) -> None:
            self._lease.require(cursor)
            self._end(cursor, outcome, stats, failure)
            set_state(cursor, self._begun.key, MigrationState.FAILED)

        self._session.transact(write, patiently=True)

    def remember(self, label: str, position: ScanPosition | None) -> None:
        recorded = None if position is None else _recorded(position)
        if recorded is None or len(json.dumps(recorded)) > _LONGEST_POSITION:
            self._positions.pop(label, None)
        else:
            self._positions[label] = recorded

        def write(cursor: Cursor) -> None:
            self._lease.require(cursor)
            values = (storable_json(cursor, self._positions), self._id)
            cursor.execute("UPDATE monarch_history.journal SET positions = %s WHERE attempt = %s", values)

        self._session.transact(write, patiently=True)

    def _end(
        self, cursor: Cursor, outcome: MigrationState, stats: AttemptStats, failure: Failure | None = None
    ) -> None:
        values = {
            "attempt": self._id,
            "outcome": outcome.value,
            "seconds": stats.seconds,
            "rows": stats.documents,
            "echoed": storable(cursor, stats.echoed),
            "error": storable(cursor, failure.error) if failure else None,
            "traceback": storable(cursor, failure.traceback) if failure else None,
        }
        if cursor.execute(_END, values).rowcount == 0:
            raise ServerError(
                f"The journal of {self._session.environment.label!r} has lost this attempt.",
                "Check whether the migration changed the schema 'monarch_history'.",
            )

    def _has_completed(self, cursor: Cursor) -> bool:
        # Waits for a commit that is still under way: that transaction has locked the row.
        found = cursor.execute(
            "SELECT outcome FROM monarch_history.journal WHERE attempt = %s FOR UPDATE", (self._id,)
        )
        row = found.fetchone()
        return row is not None and row["outcome"] == MigrationState.COMPLETED.value


def _recorded(position: ScanPosition) -> dict[str, Any]:
    return {"after": position.after, "documents": position.documents, "until": list(position.until)}
