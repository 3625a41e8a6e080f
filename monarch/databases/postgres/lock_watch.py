"""Who keeps a migration waiting for a lock: the server knows it only while it waits."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC
from types import TracebackType
from typing import Any

import psycopg

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.client import Connection
from monarch.databases.postgres.connection.session import Session
from monarch.errors import MonarchError

# Seconds. A statement that waits for less is not noticed, and ends well.
_EVERY = 0.5
_HOLDERS = """
    SELECT pid, usename, application_name, state, xact_start FROM pg_stat_activity
    WHERE pid = ANY (pg_blocking_pids(%s)) ORDER BY xact_start
"""


class LockWatch:
    """Watches the session of a connection through another one, for as long as its context lasts."""

    def __init__(self, environment: Environment) -> None:
        self._watched: tuple[Connection, int] | None = None
        self._environment = environment
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="monarch lock watch", daemon=True)
        self._holders: list[dict[str, Any]] = []

    def __enter__(self) -> LockWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(1)  # a server that does not answer must not keep the command from ending

    def watch(self, connection: Connection, pid: int) -> None:
        """Watch ``connection`` from now on, and forget what was seen of another one.

        ``pid`` is that of the server's process. Through a pooler the connection does not know it.
        """
        self._watched, self._holders = (connection, pid), []

    def describe_holders(self) -> str:
        """Return who held the lock that was last waited for, for the end of a message; empty if unknown."""
        if not self._holders:
            return ""
        first = self._holders[0]
        since = first["xact_start"]
        when = f", in a transaction since {since.astimezone(UTC):%H:%M:%S} UTC" if since else ""
        program = f" ({first['application_name']})" if first["application_name"] else ""
        others = f" and {len(self._holders) - 1} more" if len(self._holders) > 1 else ""
        return f"; it is held by process {first['pid']} of {first['usename']}{program}{when}{others}"

    def _watch(self) -> None:
        session = Session(self._environment)
        try:
            while not self._ended.wait(_EVERY):
                if self._watched is None:
                    continue
                connection, pid = self._watched
                if connection.closed or not _is_busy(connection):
                    continue
                with suppress(MonarchError):
                    holders = session.query(_HOLDERS, (pid,))
                    self._holders = holders or self._holders
        finally:
            session.close()


def _is_busy(connection: Connection) -> bool:
    return connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE
