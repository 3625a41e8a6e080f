"""The errors of a subset that a person can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.client import Cursor
from monarch.databases.postgres.connection.errors import explained, is_away, one_line
from monarch.errors import AccessDenied, MonarchError, UsageError

_STATE = """
    SELECT pg_is_in_recovery() AS is_replica, current_setting('transaction_read_only') = 'on' AS is_read_only,
           has_database_privilege(current_database(), 'TEMPORARY') AS may_create, current_user::text AS me
"""
# Not for the query: a session that is ended, a user without a right, or a server without room.
_OF_THE_SERVER = (
    errors.InsufficientPrivilege,
    errors.QueryCanceled,
    errors.SerializationFailure,
    errors.InsufficientResources,
    errors.SystemError,
)


def require_temporary_tables(cursor: Cursor, environment: Environment) -> None:
    """Check that the transaction of ``cursor`` can keep what is selected in a temporary table.

    :raises UsageError: if the server is a replica, or the transaction is read-only.
    :raises AccessDenied: if this user may not create temporary tables.
    """
    row = cursor.execute(_STATE).fetchone()
    assert row is not None
    if row["is_replica"] or row["is_read_only"]:
        why = "is a replica" if row["is_replica"] else "is read-only"
        raise UsageError(
            f"A query set keeps what it selects in a temporary table, and {environment.label!r} {why}.",
            "Use the address of the primary server.",
        )
    if not row["may_create"]:
        raise AccessDenied(
            f"User {row['me']!r} may not create temporary tables in {environment.label!r}, "
            "as a query set needs.",
            f"Grant it: GRANT TEMPORARY ON DATABASE {environment.db_name} TO {row['me']}",
        )


@contextmanager
def query_explained(environment: Environment, name: str) -> Iterator[None]:
    """Turn what psycopg raises for a query of the table ``name`` into an error for people.

    :raises MonarchError: with the server's message, if it rejects the query.
    """
    with explained(environment):
        try:
            yield
        except psycopg.Error as error:
            if is_away(error) or isinstance(error, _OF_THE_SERVER):
                raise
            raise MonarchError(
                f"{environment.label!r} rejected the query of {name}: {one_line(error)}",
                "Nothing was changed. Fix the query in the query set.",
            ) from error
