"""Write the history of migrations in PostgreSQL, as the holder of the lease."""

from __future__ import annotations

import time
import uuid

from monarch.databases.history import Action, AttemptStart, HistoryWriter, MigrationState
from monarch.databases.postgres.connection.client import Cursor
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.history.attempt import JournalRow, PostgresOpenAttempt, set_state
from monarch.databases.postgres.lease import PostgresLease
from monarch.databases.postgres.migration_client import SESSIONS, session_name
from monarch.errors import ServerError
from monarch.system.ci import Origin

# Whoever holds the lease runs nothing else: every open attempt is one of a run that is gone.
_CLOSE = (
    "UPDATE monarch_history.journal SET outcome = 'Interrupted', finished_at = clock_timestamp() "
    "WHERE outcome IS NULL AND process ->> 'run' IS DISTINCT FROM %s"
)
# A statement of a run that was killed goes on: with its effects, a retry would do the work twice.
_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND state <> 'idle' AND starts_with(application_name, %s) AND application_name <> %s"
)
# Seconds until a session has undone what it was doing.
_ENDED_WITHIN = 20.0


class PostgresHistoryWriter(HistoryWriter):
    """Writes for the holder of ``lease``."""

    def __init__(self, session: Session, lease: PostgresLease) -> None:
        self._session = session
        self._lease = lease

    def check(self) -> None:
        self._lease.check()

    def settle(self) -> None:
        self._session.transact(self._settle, patiently=True)

    def begin(self, begun: AttemptStart, transaction: object = None) -> PostgresOpenAttempt:
        attempt = PostgresOpenAttempt(self._session, self._lease, begun)

        def write(cursor: Cursor) -> None:
            self._settle(cursor)
            attempt.record_begin(cursor)

        self._session.transact(write, patiently=True)
        return attempt

    def mark(
        self,
        key: str,
        state: MigrationState,
        checksum: str | None,
        origin: Origin,
        repeatable: bool | None = None,
    ) -> None:
        row, identity = JournalRow(key, Action.MARK, checksum, origin, repeatable, state), str(uuid.uuid4())

        def write(cursor: Cursor) -> None:
            self._settle(cursor)
            row.insert(cursor, self._lease, identity, {})
            set_state(cursor, key, state)

        self._session.transact(write, patiently=True)

    def accept(self, key: str, checksum: str | None, origin: Origin, repeatable: bool | None = None) -> None:
        completed, identity = MigrationState.COMPLETED, str(uuid.uuid4())
        row = JournalRow(key, Action.ACCEPT, checksum, origin, repeatable, completed)

        def write(cursor: Cursor) -> None:
            self._lease.require(cursor)
            row.insert(cursor, self._lease, identity, {})

        self._session.transact(write, patiently=True)

    def _settle(self, cursor: Cursor) -> None:
        self._lease.require(cursor)
        _end_others(cursor)
        cursor.execute(_CLOSE, (self._lease.run,))


def _end_others(cursor: Cursor) -> None:
    """End the sessions in which migrations of other runs still work, and wait until they are gone.

    Whoever holds the lease runs alone, so those runs are gone or have lost it.
    """
    deadline = time.monotonic() + _ENDED_WITHIN
    while cursor.execute(_OTHERS, (SESSIONS, session_name())).fetchall():
        if time.monotonic() > deadline:
            raise ServerError(
                "A statement of a migration whose run is gone still works, and does not end.",
                "Look for it in pg_stat_activity. Run this again when it has ended.",
            )
        time.sleep(0.05)
        cursor.execute("SELECT pg_stat_clear_snapshot()")
