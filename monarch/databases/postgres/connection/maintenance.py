"""Connecting to a server beside the database of an environment, to create, rename and drop databases.

A transfer refuses connections to its target for the moment of its swap. A swap that is killed in that moment
leaves it so; whoever connects next allows connections again. An advisory lock in the database for maintenance
tells a swap that is alive from one that is not: it ends with the session.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress

import psycopg
from psycopg import sql

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.client import UNLIMITED, Connection, connect
from monarch.databases.postgres.connection.errors import explained

# PostgreSQL's manual, "Template Databases": these exist unless somebody has removed them.
_DATABASES = ("postgres", "template1")
_LONGEST_BEGINNING = 30
# Seconds that a swap takes at most, and between two looks.
_SWAP_SECONDS = 30.0
_PAUSE = 0.1


def staging_name(database: str) -> str:
    """Return the name of the database in which a copy into ``database`` is built."""
    return f"{_mark(database)}_new"


def old_name(database: str) -> str:
    """Return the name that the old contents of ``database`` have after a swap, until they are dropped."""
    return f"{_mark(database)}_old"


def _mark(database: str) -> str:
    # A copy may be killed before it can write anything into its database: the name alone says whose it is.
    beginning = database.encode()[:_LONGEST_BEGINNING].decode(errors="ignore")
    return f"{beginning}_monarch_{hashlib.sha256(database.encode()).hexdigest()[:12]}"


def connect_for_maintenance(environment: Environment) -> Connection:
    """Open a connection to another database of the server of ``environment``.

    :raises psycopg.Error: if there is none to which its user may connect.
    """
    connection = _connect_beside(environment)
    connection.execute(UNLIMITED)
    return connection


def _connect_beside(environment: Environment) -> Connection:
    first, *others = (name for name in _DATABASES if name != environment.db_name)
    try:
        return connect(environment, first, name="monarch maintenance", autocommit=True)
    except psycopg.OperationalError:
        if not others:
            raise
        return connect(environment, others[0], name="monarch maintenance", autocommit=True)


def list_databases(environment: Environment) -> tuple[str, ...]:
    """Return the names of all databases of the server of ``environment`` but its templates.

    Also those that accept no connections: a copy may be swapping one at this moment.

    :raises ServerError: if its user may connect to none that every server has.
    """
    query = "SELECT datname FROM pg_database WHERE NOT datistemplate"
    with explained(environment), connect_for_maintenance(environment) as connection:
        return tuple(name for (name,) in connection.execute(query).fetchall())


def find_number(connection: Connection, database: str) -> int | None:
    """Return the server's number of ``database``, which another one of that name would not have."""
    query = "SELECT oid::bigint AS number FROM pg_database WHERE datname = %s"
    row = connection.execute(query, (database,)).fetchone()
    return None if row is None else int(row[0])


def try_lock(connection: Connection, database: str) -> bool:
    """Take the lock of the name ``database``, which is held until ``connection`` ends.

    :return: False if another session has it.
    """
    number = int.from_bytes(hashlib.sha256(database.encode()).digest()[:8], signed=True)
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (number,)).fetchone()
    return row is not None and bool(row[0])


def take_swap_lock(connection: Connection, database: str) -> bool:
    """Wait until no other session swaps ``database``; return False if another one still does at the end.

    The lock is held until ``connection`` ends.
    """
    deadline = time.monotonic() + _SWAP_SECONDS
    while True:
        # Nobody waits for it in the server, where waiting could block others.
        if try_lock(connection, database):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)


def allow_connections(connection: Connection, database: str, *, allowed: bool = True) -> None:
    """Let the server accept connections to ``database``, or refuse them."""
    statement = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    connection.execute(statement.format(sql.Identifier(database), sql.SQL("true" if allowed else "false")))


def end_cut_off_swap(environment: Environment) -> bool:
    """Allow connections to the database of ``environment`` if a swap that was killed has left it refusing.

    It waits for a swap that is alive.

    :return: whether connecting again makes sense.
    """
    with suppress(psycopg.Error), _connect_beside(environment) as connection:
        if not _is_refusing(connection, environment.db_name):
            return False
        if take_swap_lock(connection, environment.db_name):
            if _is_refusing(connection, environment.db_name):
                allow_connections(connection, environment.db_name)
            return True
    return False


def is_swapping(environment: Environment) -> bool:
    """Whether the database of ``environment`` refuses connections: a swap is at its end, or was killed there.

    Changes nothing, and never fails.
    """
    with suppress(psycopg.Error), _connect_beside(environment) as connection:
        return _is_refusing(connection, environment.db_name)
    return False


def _is_refusing(connection: Connection, database: str) -> bool:
    query = """
        SELECT FROM pg_database WHERE datname = %s AND NOT datallowconn
            AND EXISTS (SELECT FROM pg_database WHERE datname = %s)
    """
    return connection.execute(query, (database, staging_name(database))).fetchone() is not None
