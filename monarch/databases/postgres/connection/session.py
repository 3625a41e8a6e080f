"""The connection that monarch keeps for itself, beside those of migrations."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import psycopg
from psycopg.rows import DictRow

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.client import Connection, Cursor, connect, rows_as_dicts
from monarch.databases.postgres.connection.deadline import cut_off, deadline
from monarch.databases.postgres.connection.errors import explained, is_away

# Seconds in which a server restarts, or another one takes its place.
RESTART = 30.0
# What monarch's own statements may wait for a lock. They touch only its own schema, for moments.
_OWN_LOCK_TIMEOUT = "5s"
_PAUSE = 0.25

_Result = TypeVar("_Result")


class Session:
    """The connection that monarch keeps for itself: opened when it is needed, and again if it was cut off.

    Several threads may use it; their work is done one after the other.
    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self._connection: Connection | None = None
        self._turn = threading.RLock()
        self._is_reading = False
        self._closing: list[Callable[[], None]] = []
        self._limit: float | None = None
        self._given_up: psycopg.Error | None = None

    def on_close(self, closing: Callable[[], None]) -> None:
        """Let `close` call ``closing``, too; calling that twice is harmless."""
        self._closing.append(closing)

    def close(self) -> None:
        """Close the connection, if it is open."""
        with self._turn:
            while self._closing:
                self._closing.pop()()
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def rows(self, sql: Any, values: Any = None) -> list[DictRow]:
        """Return the rows of one statement, which writes nothing.

        :raises psycopg.Error: if the server fails or refuses.
        """
        with self._turn:
            try:
                return self._rows(sql, values)
            except psycopg.Error as error:
                if self._is_reading or not _was_idle(error):
                    raise
            return self._rows(sql, values)

    def _rows(self, sql: Any, values: Any) -> list[DictRow]:
        connection = self.open()
        with connection.transaction() if self._is_reading else nullcontext():
            return rows_as_dicts(connection).execute(sql, values).fetchall()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let all that is done in the context be done in transactions which are READ ONLY."""
        with self._turn, explained(self.environment):
            connection = self.open()
            self._is_reading = connection.read_only = True
            try:
                yield
            finally:
                self._is_reading = False
                if not connection.closed:
                    connection.read_only = None

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
        end = time.monotonic() + (RESTART if patiently else 0)
        with self._turn, explained(self.environment):
            while True:
                try:
                    return self._transact(work) if self._limit is None else self._transact_in_time(work)
                except psycopg.Error as error:
                    is_late = self._limit is not None or time.monotonic() >= end
                    # A session that was idle had begun nothing.
                    if not _was_idle(error) and (not is_away(error) or is_late):
                        raise
                time.sleep(_PAUSE)

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Let no transaction in the context take more than ``seconds``: a silent server is given up.

        One that another thread has begun must end in that time too.
        """
        before, self._limit = self._limit, seconds
        try:
            if self._turn.acquire(timeout=seconds):
                self._turn.release()
            elif self._connection is not None:
                cut_off(self._connection)
            yield
        finally:
            self._limit = before

    def _transact_in_time(self, work: Callable[[Cursor], _Result]) -> _Result:
        if self._given_up is not None:
            raise self._given_up
        try:
            connection = self.open()
        except psycopg.OperationalError as error:
            self._given_up = error
            raise
        with deadline(connection, self._limit) as passed:
            try:
                return self._transact(work)
            except psycopg.OperationalError as error:
                if passed.is_set():
                    self._given_up = error
                raise

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
            self._connection = self._connect()
            self._given_up = None
        return self._connection

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Close the connection, and let whoever needs it wait until the context ends."""
        with self._turn:
            self.close()
            yield

    def _connect(self) -> Connection:
        try:
            return connect(self.environment, autocommit=True)
        except psycopg.OperationalError as error:
            from monarch.databases.postgres.connection.maintenance import end_cut_off_swap

            # The server has said no to this database; in which language is unknown.
            if self.environment.db_name not in str(error) or not end_cut_off_swap(self.environment):
                raise
        return connect(self.environment, autocommit=True)


def _was_idle(error: psycopg.Error) -> bool:
    """Whether the server has ended a session because nothing was sent on it for a while."""
    return isinstance(error, psycopg.errors.IdleSessionTimeout)
