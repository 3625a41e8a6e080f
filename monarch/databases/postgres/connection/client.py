"""Connecting to PostgreSQL through psycopg."""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from psycopg import IsolationLevel, conninfo
from psycopg.rows import DictRow, dict_row

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.settings import address_of
from monarch.errors import SettingsError
from monarch.log import DATABASE, is_heard

# Seconds to wait for a server that cannot be reached.
PATIENCE = 5
# With these a connection that was cut off without a word ends after half a minute.
_DEFAULTS = {
    "application_name": "monarch",
    "connect_timeout": str(PATIENCE),
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
}
# For a session that works for hours, or waits, and sees every row or says so.
UNLIMITED = (
    "SELECT set_config(name, CASE name WHEN 'row_security' THEN 'off' ELSE '0' END, false) FROM pg_settings "
    "WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout', "
    "'idle_session_timeout', 'row_security')"
)

Connection = psycopg.Connection[Any]
# Of monarch's own statements, whose rows are dicts.
Cursor = psycopg.Cursor[DictRow]
_Connection = TypeVar("_Connection", bound=psycopg.Connection[Any])


def parameters(environment: Environment, database: str | None = None) -> dict[str, str]:
    """Return libpq's parameters for ``environment``, secrets included.

    Those of its host are always among them, so that no PGHOST of the shell leads to another server.
    """
    given = address_of(environment).reveal()
    place = {} if "service" in given else {"host": "", "hostaddr": "", "port": ""}
    fixed = {"client_encoding": "UTF8", "dbname": database or environment.db_name}
    return {**_DEFAULTS, **place, **given, **fixed}


def connect(environment: Environment, database: str | None = None, **arguments: Any) -> Connection:
    """Open a connection of monarch's own to ``environment``, or to another ``database`` of its server.

    Raises what `connect_as` does.
    """
    connection = connect_as(psycopg.Connection, environment, database, **arguments)
    # psycopg reads no times in other styles. The server reports the style, so that asking costs nothing.
    if not (connection.info.parameter_status("DateStyle") or "ISO").startswith("ISO"):
        connection.execute("SET datestyle = ISO")
        if not connection.autocommit:
            connection.commit()
    return connection


def connect_as(
    kind: type[_Connection],
    environment: Environment,
    database: str | None = None,
    *,
    name: str | None = None,
    **arguments: Any,
) -> _Connection:
    """Open a connection of the class ``kind``, with the ``arguments`` of its method ``connect``.

    ``name`` is that of the program, for people who look at the server. Nothing is prepared on the server, so
    that it works through a pooler.

    :raises SettingsError: if libpq does not accept a parameter.
    :raises psycopg.Error: if the server cannot be reached, or refuses.
    """
    given = parameters(environment, database) | ({"application_name": name} if name else {})
    try:
        text = conninfo.make_conninfo("", **given)
    except psycopg.ProgrammingError as error:
        raise SettingsError(
            f"Environment {environment.label!r} cannot be used: {' '.join(str(error).split())}",
            "Check its keys in migrations/settings.py.",
        ) from error
    if is_heard(DATABASE):
        from monarch.databases.postgres.connection.statement_log import log_connection, logged

        log_connection(environment, database)
        arguments["cursor_factory"] = logged(arguments.get("cursor_factory", psycopg.Cursor))
    connection = kind.connect(text, prepare_threshold=None, **arguments)
    connection.isolation_level = IsolationLevel.READ_COMMITTED
    return connection


def rows_as_dicts(connection: Connection) -> Cursor:
    """Return a new cursor of ``connection`` whose rows are dicts."""
    return connection.cursor(row_factory=dict_row)
