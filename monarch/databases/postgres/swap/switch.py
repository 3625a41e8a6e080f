"""The swap: a new database takes the name of the old one.

For the moment of two renames in one transaction, the server refuses connections to the old database and ends
those that are open. What belongs to the environment and not to its contents, the journal and the lease, is
taken over into the new database before. A swap that was cut off leaves one of these states:

- connections are refused, and the new database has its own name: whoever connects next allows them again;
- the old database has the name for old ones: the swap is complete, and the next transfer drops it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import psycopg
from psycopg import sql

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.client import UNLIMITED, Connection, Cursor, connect, rows_as_dicts
from monarch.databases.postgres.connection.encoding import storable_json
from monarch.databases.postgres.connection.errors import explained
from monarch.databases.postgres.connection.maintenance import (
    allow_connections,
    connect_for_maintenance,
    find_number,
    old_name,
    staging_name,
    take_swap_lock,
)
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.lease import PostgresLease
from monarch.databases.postgres.schema import create_schema
from monarch.databases.transfer import CopiedCollection
from monarch.errors import LockedError, ServerError

# Seconds in which sessions must end once they are asked to.
_ENDING = 10.0
_PAUSE = 0.05
_END_SESSIONS = """
    SELECT pid, usename AS user, application_name AS program, pg_terminate_backend(pid) AS asked
    FROM pg_stat_activity WHERE datname = ANY(%s) AND pid <> pg_backend_pid()
        AND usesysid IS NOT NULL  -- a worker of autovacuum has none, and ends by itself
"""
_COPIED = ("journal",)
# Returns a statement that adds an entry to the journal, about what was copied. It may be executed on any
# connection to the server.
Recording = Callable[[Cursor, tuple[CopiedCollection, ...]], str]


def take_over_state(
    environment: Environment,
    lease: PostgresLease,
    copied: tuple[CopiedCollection, ...] = (),
    recording: Recording | None = None,
) -> None:
    """Copy the journal and the lease of ``environment`` into its staging database.

    The statement of ``recording`` about what was ``copied`` is executed on the copy of the journal.

    :raises LeaseLost: if another run holds the lease.
    """
    new = staging_name(environment.db_name)
    with (
        explained(environment),
        connect(environment) as old,
        connect(environment, new) as staging,
    ):
        source, target = rows_as_dicts(old), rows_as_dicts(staging)
        for cursor in (source, target):
            cursor.execute(UNLIMITED)
        lease.require(source)
        create_schema(target)
        for table in _COPIED:
            name = sql.Identifier("monarch_history", table)
            reading = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(name)
            writing = sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(name)
            with source.copy(reading) as taken, target.copy(writing) as given:
                for data in taken:
                    given.write(data)
        target.execute(
            "SELECT setval(pg_get_serial_sequence('monarch_history.journal', 'id'), "
            "greatest(1, (SELECT max(id) FROM monarch_history.journal)))"
        )
        if recording is not None:
            target.execute(cast(Any, recording(target, copied)))
        held = source.execute("SELECT * FROM monarch_history.lease JOIN monarch_history.heartbeat USING (id)")
        row = held.fetchone()
        assert row is not None
        target.execute(
            "UPDATE monarch_history.lease SET fence = %s, lineage = %s, run = %s, holder = %s, taken_at = %s",
            (row["fence"], row["lineage"], row["run"], storable_json(target, row["holder"]), row["taken_at"]),
        )
        target.execute("UPDATE monarch_history.heartbeat SET expires_at = %s", (row["expires_at"],))


def switch(session: Session, lease: PostgresLease, staging: int | None) -> None:
    """Let the staging database take the name of that of ``session``, whose ``lease`` is held.

    :param staging: the server's number of the staging database.
    :raises LockedError: if another run swaps it, or has replaced the staging database.
    :raises ServerError: if it cannot be renamed; then it is as it was.
    """
    environment = session.environment
    database, new = environment.db_name, staging_name(environment.db_name)
    lease.renew()
    with session.paused(), explained(environment), connect_for_maintenance(environment) as connection:
        if not take_swap_lock(connection, database) or find_number(connection, new) != staging:
            raise LockedError(f"Another run swaps {environment.label!r} now.", "Wait until it is done.")
        number = find_number(connection, database)
        with _refusing_connections(connection, database):
            _end_sessions(connection, (database, new), environment.label)
            try:
                _rename(connection, database, new)
            except psycopg.Error:
                if not _has_happened(environment, number):
                    raise


@contextmanager
def _refusing_connections(connection: Connection, database: str) -> Iterator[None]:
    """Refuse connections to ``database``; if the context fails, allow them again."""
    try:
        allow_connections(connection, database, allowed=False)
        yield
    except BaseException:
        # If the server is away, whoever connects next allows them.
        with suppress(psycopg.Error):
            allow_connections(connection, database)
        raise


def _end_sessions(connection: Connection, databases: tuple[str, ...], name: str) -> None:
    deadline = time.monotonic() + _ENDING
    while True:
        try:
            found = rows_as_dicts(connection).execute(_END_SESSIONS, (list(databases),)).fetchall()
        except psycopg.errors.InsufficientPrivilege as error:
            raise _occupied(name, "another user's session is open") from error
        if not found:
            return
        if time.monotonic() > deadline:
            who = f"{found[0]['program'] or 'a program'} of user {found[0]['user']!r} (pid {found[0]['pid']})"
            raise _occupied(name, f"{who} does not end its session")
        time.sleep(_PAUSE)


def _occupied(name: str, why: str) -> ServerError:
    return ServerError(
        f"{name!r} cannot be replaced: {why}. It is as it was.",
        "End that session, or use a user who may (pg_signal_backend), or --in-place.",
    )


def _rename(connection: Connection, database: str, new: str) -> None:
    renaming = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    with connection.transaction():
        names = (sql.Identifier(one) for one in (database, old_name(database)))
        connection.execute(renaming.format(*names))
        connection.execute(renaming.format(sql.Identifier(new), sql.Identifier(database)))


def _has_happened(environment: Environment, number: int | None) -> bool:
    """Whether the renames were committed although their answer did not arrive."""
    with connect_for_maintenance(environment) as connection:
        return find_number(connection, environment.db_name) != number
