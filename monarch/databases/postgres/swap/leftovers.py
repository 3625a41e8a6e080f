"""What transfers that were cut off have left on a server: databases with names of monarch's own."""

from __future__ import annotations

from contextlib import suppress

import psycopg
from psycopg import sql

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.client import Connection, connect, rows_as_dicts
from monarch.databases.postgres.connection.deadline import deadline
from monarch.databases.postgres.connection.errors import explained
from monarch.databases.postgres.connection.maintenance import connect_for_maintenance, old_name, staging_name
from monarch.databases.postgres.connection.session import Session

_FOUND = "SELECT datname AS name FROM pg_database WHERE datname = ANY(%s)"
# A moment, and then the rest is left to DROP DATABASE.
_PATIENCE = "SET lock_timeout = '1s'"
_MOST_FREED = 100
# In seconds.
_FREEING = 30.0
_LARGEST = """
    SELECT nspname AS schema, relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'm') AND c.oid >= 16384 AND nspname !~ '^pg_' AND pg_total_relation_size(c.oid) > 0
    ORDER BY pg_total_relation_size(c.oid) DESC LIMIT %s
"""


def find_leftovers(connection: Connection, database: str) -> set[str]:
    """Return the names of databases that transfers into ``database`` have left."""
    names = [staging_name(database), old_name(database)]
    return {row["name"] for row in rows_as_dicts(connection).execute(_FOUND, (names,)).fetchall()}


def drop_leftovers(environment: Environment, seconds: float | None = None) -> set[str]:
    """Drop them, and return their names. The caller holds the lease, so no transfer uses them.

    :raises ServerError: if the server fails, or the rest takes more than ``seconds``.
    """
    with (
        explained(environment),
        connect_for_maintenance(environment) as connection,
        deadline(connection, seconds),
    ):
        found = find_leftovers(connection, environment.db_name)
        for name in sorted(found):
            drop(connection, name)
    return found


def free_room(environment: Environment) -> None:
    """Drop the largest tables of a copy into ``environment`` that has failed. The caller holds the lease.

    DROP DATABASE begins with a checkpoint, which a full disk does not allow; DROP TABLE needs no room.
    """
    with (
        suppress(psycopg.Error),
        connect(environment, staging_name(environment.db_name), autocommit=True) as connection,
        deadline(connection, _FREEING),
    ):
        connection.execute(_PATIENCE)
        for row in rows_as_dicts(connection).execute(_LARGEST, (_MOST_FREED,)).fetchall():
            table = sql.Identifier(row["schema"], row["name"])
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(table))


def recover(session: Session) -> str | None:
    """Drop what transfers into the database of ``session`` have left. The caller holds the lease.

    :return: what was found and done, in words; None if there was nothing.
    """
    environment = session.environment
    # Every database has the list of all of them.
    names = [staging_name(environment.db_name), old_name(environment.db_name)]
    found = {row["name"] for row in session.query(_FOUND, (names,))}
    if not found:
        return None
    drop_leftovers(environment)
    if old_name(environment.db_name) in found:
        return f"a swap of {environment.label!r} was complete, but for its old contents: they are dropped now"
    return f"what a copy into {environment.label!r} had left when it was cut off was dropped"


def drop(connection: Connection, name: str) -> None:
    """Drop the database ``name``, and end its sessions."""
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
