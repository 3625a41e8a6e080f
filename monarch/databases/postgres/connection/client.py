"""Connecting to PostgreSQL through psycopg, and the connection that monarch keeps for itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg import IsolationLevel, conninfo
from psycopg.rows import DictRow, dict_row

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.errors import explained, is_away
from monarch.databases.postgres.connection.settings import address_of
from monarch.errors import SettingsError

# Seconds to wait for a server that cannot be reached.
PATIENCE = 5
# Seconds in which a server restarts, or another one takes its place.
RESTART = 30.0
# What monarch's own statements may wait for a lock. They touch only its own schema, for moments.
_OWN_LOCK_TIMEOUT = "5s"
_PAUSE = 0.25
# With these a connection that was cut off without a word ends after half a minute.
_DEFAULTS = {
    "application_name": "monarch",
    "connect_timeout": str(PATIENCE),
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
}

Connection = psycopg.Connection[Any]
# Of monarch's own statements, whose rows are dicts.
Cursor = psycopg.Cursor[DictRow]
_Result = TypeVar("_Result")
_Connection = TypeVar("_Connection", bound=psycopg.Connection[Any])


def parameters(environment: Environment, database: str | None = None) -> dict[str, str]:
    """Return libpq's parameters for ``environment``, secrets included.

    Those of its host are always among them, so that no PGHOST of the shell leads to another server.
    """
    given = address_of(environment).reveal()
    place = {} if "service" in given else {"host": "", "hostaddr": "", "port": ""}
    fixed = {"client_encoding": "UTF8", "dbname": database or environment.db_name}
    return {**_DEFAULTS, **place, **given, **fixed}


def uri(environment: Environment) -> str:
    """Return a connection string for another driver, secrets included."""
    from urllib.parse import quote

    given = {name: value for name, value in address_of(environment).reveal().items() if value}
    host, port = given.pop("host", ""), given.pop("port", "")
    user, password = given.pop("user", ""), given.pop("password", "")
    who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    is_plain = "," not in host and not host.startswith("/")
    place = f"{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}" if is_plain else ""
    if not is_plain:
        given |= {"host": host} | ({"port": port} if port else {})
    options = "&".join(f"{name}={quote(value, safe='')}" for name, value in given.items())
    database = quote(environment.db_name, safe="")
    return f"postgresql://{f'{who}@' if who else ''}{place}/{database}{f'?{options}' if options else ''}"


def connect(environment: Environment, database: str | None = None, **arguments: Any) -> Connection:
    """Open a connection to ``environment``, or to another ``database`` of its server.

    Raises what `connect_as` does.
    """
    return connect_as(psycopg.Connection, environment, database, **arguments)


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
            f"Environment {environment.name!r} cannot be used: {' '.join(str(error).split())}",
            "Check its keys in migrations/settings.py.",
        ) from error
    connection = kind.connect(text, prepare_threshold=None, **arguments)
    connection.isolation_level = IsolationLevel.READ_COMMITTED
    return connection


def rows_as_dicts(connection: Connection) -> Cursor:
    """Return a new cursor of ``connection`` whose rows are dicts."""
    return connection.cursor(row_factory=dict_row)


class Session:
    """The connection that monarch keeps for itself: opened when it is needed, and again if it was cut off.

    Several threads may use it; their work is done one after the other.
    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self._connection: Connection | None = None
        self._turn = threading.RLock()

    def close(self) -> None:
        """Close the connection, if it is open."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def rows(self, sql: Any, values: Any = None) -> list[DictRow]:
        """Return the rows of one statement, which writes nothing.

        :raises psycopg.Error: if the server fails or refuses.
        """
        with self._turn:
            return rows_as_dicts(self.open()).execute(sql, values).fetchall()

    def query(self, sql: Any, values: Any = None) -> list[DictRow]:
        """Return the rows of one statement, which writes nothing.

        :raises ServerError: if the server fails or refuses.
        """
        with explained(self.environment):
            return self.rows(sql, values)

    def transact(self, work: Callable[[Cursor], _Result], *, patiently: bool = False) -> _Result:
        """Call ``work`` with a cursor in a transaction of its own, and return its result.

        With ``patiently`` it is called again while the server is unavailable for a moment: repeating it must
        be harmless, because the answer of a commit may be lost.

        :raises ServerError: if the server fails or refuses.
        """
        deadline = time.monotonic() + (RESTART if patiently else 0)
        with self._turn, explained(self.environment):
            while True:
                try:
                    return self._transact(work)
                except psycopg.Error as error:
                    if not is_away(error) or time.monotonic() >= deadline:
                        raise
                time.sleep(_PAUSE)

    def _transact(self, work: Callable[[Cursor], _Result]) -> _Result:
        connection = self.open()
        with connection.transaction(), rows_as_dicts(connection) as cursor:
            # For this transaction only: a pooler gives the session to others. What it writes must be on the
            # disk when it is confirmed.
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, true), set_config('synchronous_commit', "
                "CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' "
                "ELSE current_setting('synchronous_commit') END, true)",
                (_OWN_LOCK_TIMEOUT,),
            )
            return work(cursor)

    def open(self) -> Connection:
        """Return the open connection."""
        if self._connection is None or self._connection.closed:
            self._connection = connect(self.environment, autocommit=True)
        return self._connection
