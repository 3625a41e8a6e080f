"""Poolers, such as PgBouncer, which may give each transaction another session of the server."""

from __future__ import annotations

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.client import Connection, rows_as_dicts
from monarch.databases.postgres.connection.errors import explained
from monarch.errors import UsageError


def server_process(connection: Connection) -> int:
    """Return the number of the process of the server that answers on ``connection``."""
    (row,) = rows_as_dicts(connection).execute("SELECT pg_backend_pid() AS pid").fetchall()
    return int(row["pid"])


def is_pooled(connection: Connection) -> bool:
    """Whether the process that answers is another one than that which ``connection`` was told of."""
    return server_process(connection) != connection.info.backend_pid


def refuse_pooler(connection: Connection, environment: Environment) -> None:
    """Check that ``connection`` leads to the server itself, as pg_dump and pg_restore need it.

    :raises UsageError: if it leads to a pooler.
    """
    with explained(environment):
        if is_pooled(connection):
            raise UsageError(
                f"{environment.label!r} is reached through a pooler, "
                "which pg_dump and pg_restore cannot use.",
                "Use the address of the server itself, in an environment of its own.",
            )
