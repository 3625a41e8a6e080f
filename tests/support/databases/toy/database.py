"""A database of the toy kind: an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from monarch.databases.base import Contents, Database, MigrationClient
from monarch.databases.environment import Environment
from monarch.databases.history import HistoryReader, HistoryWriter, Operation
from monarch.databases.lease import Holder, Lease
from monarch.system.ci import UNKNOWN_ORIGIN, Origin
from tests.support.databases.toy.connection import connect, explained, tables, writing
from tests.support.databases.toy.history import (
    ToyHistoryReader,
    ToyHistoryWriter,
    add_operation,
    forget_operation,
)
from tests.support.databases.toy.lease import ToyLease, find_holder, free
from tests.support.databases.toy.migration import ToyMigrationClient


class ToyDatabase(Database):
    kind = "toy"
    title = "Toy"

    def __init__(self, environment: Environment, path: Path, connection: sqlite3.Connection) -> None:
        self._environment = environment
        self._path = path
        self._connection = connection

    @property
    def history(self) -> HistoryReader:
        return ToyHistoryReader(self._connection)

    def handles(self) -> dict[str, object]:
        return {"connection": self._connection}

    def contents(self) -> Contents:
        names = [name for name in tables(self._connection) if not name.startswith("monarch_")]
        with explained():
            rows = [self._connection.execute(f'SELECT count(*) FROM "{name}"').fetchone() for name in names]
        return Contents(len(names), sum(count for (count,) in rows))

    def drop(self, check: Callable[[], None] = lambda: None) -> None:
        check()
        with writing(self._connection):
            for name in tables(self._connection):
                if name != "monarch_lease":  # its fence must not decrease
                    self._connection.execute(f'DROP TABLE "{name}"')

    def is_same_as(self, other: Database) -> bool:
        return isinstance(other, ToyDatabase) and self._path == other._path

    def recorder(self, lease: Lease) -> HistoryWriter:
        assert isinstance(lease, ToyLease)
        return ToyHistoryWriter(self._connection, lease)

    def record(self, operation: Operation) -> bool:
        if "monarch_journal" not in tables(self._connection):
            return False
        with writing(self._connection):
            add_operation(self._connection, operation)
        return True

    def forget(self, operation: Operation) -> None:
        with writing(self._connection):
            forget_operation(self._connection, operation)

    @contextmanager
    def work(self) -> Iterator[MigrationClient]:
        with connect(self._path) as connection:
            yield ToyMigrationClient(connection)

    def require_transactions(self) -> None:
        """Do nothing: SQLite has transactions."""

    def lease(self, purpose: str, origin: Origin = UNKNOWN_ORIGIN) -> AbstractContextManager[Lease]:
        return ToyLease(self._environment.name, self._connection, purpose, origin)

    def holder(self) -> Holder | None:
        return find_holder(self._connection)

    def unlock(self, holder: Holder) -> bool:
        return free(self._connection, holder.run)

    def sees(self, lease: Lease) -> bool:
        holder = self.holder()
        return holder is not None and holder.run == lease.run
