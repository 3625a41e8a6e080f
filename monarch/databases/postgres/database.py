"""One database of a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from psycopg import sql

from monarch.databases.base import Contents, Database, MigrationClient
from monarch.databases.environment import Environment
from monarch.databases.history import HistoryWriter
from monarch.databases.lease import Holder, Lease
from monarch.databases.postgres import lease as leases
from monarch.databases.postgres.connection.client import Cursor, Session, uri
from monarch.databases.postgres.history.reader import PostgresHistoryReader
from monarch.errors import MonarchError
from monarch.system.ci import UNKNOWN_ORIGIN, Origin

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
        AND has_database_privilege(datname, 'CONNECT') AND pg_database_size(datname) > 8500000
    ORDER BY datname
"""
_IDENTITY = """
    SELECT pg_postmaster_start_time()::text AS began, current_database() AS name,
           (SELECT oid::text FROM pg_database WHERE datname = current_database()) AS number,
           current_setting('port') AS port
"""
_PUBLIC = """
    SELECT nspowner::regrole::text AS owner, array(
        SELECT format('GRANT %%s ON SCHEMA public TO %%s%%s', privilege_type,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
            CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
        FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
    ) AS grants FROM pg_namespace WHERE nspname = 'public'
"""
_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
# Tables whose rows are counted for `contents`: the server's estimates come with its first ANALYZE.
_MOST_COUNTED = 1_000


class PostgresDatabase(Database):
    """The database of one environment, through a connection that monarch keeps for itself."""

    kind = "postgres"
    title = "PostgreSQL"

    def __init__(self, environment: Environment, session: Session) -> None:
        self._environment = environment
        self._session = session
        self._history = PostgresHistoryReader(session)

    @property
    def history(self) -> PostgresHistoryReader:
        return self._history

    def handles(self) -> dict[str, object]:
        return {"connection": self._session.open(), "uri": uri(self._environment)}

    def contents(self) -> Contents:
        tables = self._session.query(_TABLES)[0]["tables"]
        rows = self._session.query(_ROWS)
        unknown = [row for row in rows if row["rows"] < 0][:_MOST_COUNTED]
        counted = sum(self._count(row["name"]) for row in unknown)
        return Contents(tables, counted + sum(max(row["rows"], 0) for row in rows))

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

    def drop(self, check: Callable[[], None] = lambda: None) -> None:
        """Remove every schema with what is in it, in one transaction; the database itself stays.

        Its owner, its settings and the rights on it stay too, and nobody needs the right to create databases.
        """
        check()

        def drop_schemas(cursor: Cursor) -> None:
            public = cursor.execute(_PUBLIC, ()).fetchone()
            cursor.execute(_SCHEMAS)
            for row in cursor.fetchall():
                cursor.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(row["nspname"])))
            cursor.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
            if public is not None:
                cursor.execute("CREATE SCHEMA public")
                owner: Any = public["owner"]  # quoted by the server
                cursor.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.SQL(owner)))
                for grant in public["grants"]:
                    cursor.execute(grant)

        self._session.transact(drop_schemas)

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

    def work(self) -> AbstractContextManager[MigrationClient]:
        from monarch.databases.postgres.migration_client import open_work

        return open_work(self._environment, self._session)

    def require_transactions(self) -> None:
        """Every server has them."""
