"""One database of a PostgreSQL server."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psycopg import sql

from monarch.databases.base import Contents, Database, Holdings, MigrationClient, Shell
from monarch.databases.environment import Environment
from monarch.databases.history import HistoryWriter, Operation
from monarch.databases.lease import Holder, Lease
from monarch.databases.postgres import lease as leases
from monarch.databases.postgres.connection.client import Connection, Cursor, connect
from monarch.databases.postgres.connection.deadline import deadline
from monarch.databases.postgres.connection.errors import explained
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.connection.settings import uri
from monarch.databases.postgres.emptying import EMPTY
from monarch.databases.postgres.history.reader import PostgresHistoryReader
from monarch.databases.transfer import (
    CopiedCollection,
    Engine,
    InspectedCollection,
    LiveSource,
    Source,
    TransferDatabase,
    measured,
)
from monarch.errors import MonarchError, UsageError
from monarch.progress import Progress
from monarch.system.ci import UNKNOWN_ORIGIN, Origin

if TYPE_CHECKING:
    from monarch.databases.health.observation import Observation
    from monarch.databases.selection import Selection

_TABLES = """
    SELECT count(*) AS tables FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND NOT relispartition
        AND nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'monarch_history')
"""
_ROWS = """
    SELECT format('%I.%I', nspname, relname) AS name, reltuples::bigint AS rows
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind = 'r' AND has_schema_privilege(relnamespace, 'USAGE')
        AND has_table_privilege(pg_class.oid, 'SELECT')
        AND nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'monarch_history')
"""
_OTHERS = """
    SELECT datname FROM pg_database
    WHERE NOT datistemplate AND datallowconn AND datname NOT IN ('postgres', current_database())
        AND datname !~ '_scratch_[0-9a-f]{8}$|_monarch_[0-9a-f]{12}_(new|old)$'
        AND has_database_privilege(datname, 'CONNECT') AND pg_database_size(datname) > 8500000
    ORDER BY datname
"""
_IDENTITY = """
    SELECT pg_postmaster_start_time()::text AS began, current_database() AS name,
           (SELECT oid::text FROM pg_database WHERE datname = current_database()) AS number,
           current_setting('port') AS port
"""
# Tables whose rows are counted for `contents`: the server's estimates come with its first ANALYZE.
_MOST_COUNTED = 1_000


class PostgresDatabase(TransferDatabase):
    """The database of one environment, through a connection that monarch keeps for itself.

    Modules that only copies need are imported when they are used: most commands do not need them.
    """

    kind = "postgres"
    title = "PostgreSQL"

    def __init__(self, environment: Environment, session: Session) -> None:
        self._environment = environment
        self._session = session
        self._history = PostgresHistoryReader(session)
        self._handed: Connection | None = None

    @property
    def history(self) -> PostgresHistoryReader:
        return self._history

    def reading(self) -> AbstractContextManager[None]:
        return self._session.reading()

    def handles(self) -> dict[str, object]:
        """Return what a query set finds on ``self``, by attribute.

        Its connection is not the one that monarch keeps for itself, whose transactions it could disturb.
        """
        return {"connection": self._hand_over(), "uri": uri(self._environment)}

    def shell(self, arguments: Sequence[str] = ()) -> Shell:
        from monarch.databases.postgres.tools.shell import shell_of

        return shell_of(self._environment, self._hand_over(), arguments)

    def _hand_over(self) -> Connection:
        """Return a connection for code that is not monarch's."""
        if self._handed is None or self._handed.closed:
            with explained(self._environment):
                self._session.open()
                self._handed = connect(self._environment, autocommit=True)
            self._session.on_close(self._handed.close)
        return self._handed

    def contents(self) -> Contents:
        tables = self._session.query(_TABLES)[0]["tables"]
        rows = self._session.query(_ROWS)
        unknown = [row for row in rows if row["rows"] < 0][:_MOST_COUNTED]
        counted = sum(self._count(row["name"]) for row in unknown)
        return Contents(tables, counted + sum(max(row["rows"], 0) for row in rows))

    def holdings(self, seconds: float) -> Holdings:
        from monarch.databases.postgres.catalog.holdings import read_holdings

        return read_holdings(self._session, seconds)

    def _count(self, table: str) -> int:
        # The estimate is missing, so a row or none is what matters: more than a few are not counted.
        query = sql.SQL("SELECT count(*) AS rows FROM (SELECT 1 FROM {} LIMIT 100000) few")
        name: Any = table  # quoted by the server
        return int(self._session.query(query.format(sql.SQL(name)))[0]["rows"])

    def others(self) -> tuple[str, ...]:
        try:
            return tuple(row["datname"] for row in self._session.query(_OTHERS))
        except MonarchError:
            return ()

    def examine(self, is_far: bool, seconds: float) -> Iterator[Observation]:
        from monarch.databases.postgres.health.examine import examine

        return examine(self._session, self.holder, is_far, seconds)

    @contextmanager
    def hurried(self, seconds: float) -> Iterator[None]:
        with explained(self._environment), deadline(self._session.open(), seconds):
            yield

    def drop(self, check: Callable[[], None] = lambda: None) -> None:
        """Remove everything in it, in one transaction; the database itself stays.

        Its owner, its settings and the rights on it stay too, and nobody needs the right to create databases.
        """
        check()

        def remove(cursor: Cursor) -> None:
            cursor.execute(EMPTY)
            cursor.execute("DROP SCHEMA IF EXISTS monarch_history CASCADE")

        self._session.transact(remove)

    @contextmanager
    def open_beside(self, name: str) -> Iterator[PostgresDatabase]:
        """Create an empty database called ``name`` on the same server; drop it when the context ends.

        :raises AccessDenied: if this user may not create databases.
        """
        from monarch.databases.postgres.swap.beside import created

        environment = replace(self._environment, db_name=name)
        with created(self._session, name):
            session = Session(environment)
            try:
                yield PostgresDatabase(environment, session)
            finally:
                session.close()

    def is_same_as(self, other: Database) -> bool:
        if not isinstance(other, PostgresDatabase):
            return False
        ours, theirs = self._session.query(_IDENTITY), other._session.query(_IDENTITY)
        return ours == theirs

    def lease(self, purpose: str, origin: Origin = UNKNOWN_ORIGIN) -> AbstractContextManager[Lease]:
        return leases.PostgresLease(self._session, purpose, origin)

    def holder(self) -> Holder | None:
        return leases.find_holder(self._session)

    def unlock(self, holder: Holder) -> bool:
        return leases.release(self._session, holder)

    def sees(self, lease: Lease) -> bool:
        holder = self.holder()
        return holder is not None and holder.run == lease.run

    def recorder(self, lease: Lease) -> HistoryWriter:
        from monarch.databases.postgres.history.writer import PostgresHistoryWriter

        assert isinstance(lease, leases.PostgresLease)
        return PostgresHistoryWriter(self._session, lease)

    def record(self, operation: Operation) -> bool:
        from monarch.databases.postgres.history.attempt import operation_statement
        from monarch.databases.postgres.schema import has_schema

        def write(cursor: Cursor) -> bool:
            if not has_schema(cursor):
                return False
            statement: Any = operation_statement(cursor, operation)
            cursor.execute(statement)
            return True

        return self._session.transact(write)

    def forget(self, operation: Operation) -> None:
        from monarch.databases.postgres.history.attempt import FORGET

        identity = uuid.UUID(operation.id)
        self._session.transact(lambda cursor: cursor.execute(FORGET, (identity,)))

    def work(self) -> AbstractContextManager[MigrationClient]:
        from monarch.databases.postgres.migration_client import open_work

        return open_work(self._environment, self._session)

    def require_transactions(self) -> None:
        """Every server has them."""

    def choose_engine(self, name: str) -> Engine:
        from monarch.databases.postgres.tools.installed import choose_engine

        return choose_engine(name)

    def read(self, engine: Engine, selection: Selection | None = None) -> LiveSource:
        from monarch.databases.postgres.sources.server import ServerSource
        from monarch.databases.postgres.tools.installed import require_postgres_engine

        if selection is not None:
            from monarch.databases.postgres.sources.part import PartSource

            return PartSource(self._session, require_postgres_engine(engine), selection)
        return ServerSource(self._session, require_postgres_engine(engine))

    def replace(
        self,
        source: Source,
        engine: Engine,
        lease: Lease,
        purpose: str,
        *,
        in_place: bool = False,
        keep_others: bool = False,
        operation: Operation | None = None,
        progress: Progress,
    ) -> tuple[CopiedCollection, ...]:
        from monarch.databases.postgres.sources.base import require_postgres_source
        from monarch.databases.postgres.swap.replacement import PostgresReplacement
        from monarch.databases.postgres.tools.installed import require_postgres_engine

        if keep_others:  # foreign keys of what stays refer to what would be replaced
            raise UsageError(f"Tables of a {self.title} database cannot be replaced one by one.")
        assert isinstance(lease, leases.PostgresLease)

        def recording(cursor: Cursor, copied: tuple[CopiedCollection, ...]) -> str:
            from monarch.databases.postgres.history.attempt import operation_statement

            assert operation is not None
            return operation_statement(cursor, measured(operation, copied), lease)

        tools, record = require_postgres_engine(engine), recording if operation is not None else None
        record = recording if operation is not None else None
        replacement = PostgresReplacement(self._session, lease, tools, progress, record)
        return replacement.run(require_postgres_source(source), in_place=in_place)

    def missing_rights(self, source: Source) -> str | None:
        from monarch.databases.postgres.sources.base import require_postgres_source
        from monarch.databases.postgres.swap.replacement import describe_plan

        return describe_plan(self._session, require_postgres_source(source))

    def recover(self, lease: Lease, *, refilling: bool = False) -> str | None:
        from monarch.databases.postgres.swap.leftovers import recover

        return recover(self._session)

    def require_whole(self) -> None:
        """It always is: a swap is one transaction."""

    def inspect(self, progress: Progress) -> tuple[InspectedCollection, ...]:
        from monarch.databases.postgres.catalog.digests import inspect

        return self._session.transact(inspect)

    def fingerprint(self) -> Mapping[str, object]:
        from monarch.databases.postgres.catalog.fingerprint import take_fingerprint

        return self._session.transact(take_fingerprint)
