"""MongoDB, through pymongo, which is imported when a database or an archive is opened."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monarch.databases.environment import Entry, Environment
from monarch.databases.kinds import THROWAWAY, DatabaseKind
from monarch.databases.several import DatabaseSet
from monarch.errors import ServerError

if TYPE_CHECKING:
    from monarch.databases.base import Database
    from monarch.databases.foreign import ForeignFormats
    from monarch.databases.health.observation import Observation
    from monarch.databases.selection import CursorValues
    from monarch.databases.transfer import ArchiveSource, CollectionSummary, FileSet
    from monarch.progress import Progress
    from monarch.system.streams import Stream

_OWN = ("admin", "config", "local")
_SCRATCH = "_scratch_[0-9a-f]{8}$"


class MongoKind(DatabaseKind):
    """MongoDB, version 4.4 or newer."""

    name = "mongo"
    title = "MongoDB"
    schemes = ("mongodb", "mongodb+srv")
    default_port = "27017"
    transfers = True
    migration_base = "monarch.MongoBackedMigration"
    subset_engine = "native"
    masks = True

    def parse(self, name: str, entry: Entry) -> Environment:
        from monarch.databases.mongo.connection.settings import parse_entry

        return parse_entry(name, entry)

    def parse_several(self, name: str, entry: Entry, databases: DatabaseSet) -> Environment:
        from monarch.databases.mongo.connection.settings import check_twins

        check_twins(databases.names)
        if entry.get("username") and not entry.get("authSource") and "host" in entry:
            # With one database the default is that database.
            entry = {**entry, "authSource": "admin"}
        return super().parse_several(name, entry, databases)

    def check_database(self, name: str) -> None:
        from monarch.databases.mongo.connection.settings import check_database_name

        check_database_name(name)

    def is_internal(self, database: str) -> bool:
        return database in _OWN or re.search(_SCRATCH, database) is not None

    def is_own(self, collection: str) -> bool:
        from monarch.databases.mongo.collection_names import HISTORY, JOURNAL

        return collection in (HISTORY, JOURNAL)

    def list_databases(self, environment: Environment, root: Path, progress: Progress) -> tuple[str, ...]:
        from monarch.databases.mongo.database import MongoDatabase

        with self.open(environment.beside("admin"), root, progress) as database:
            assert isinstance(database, MongoDatabase)
            return database.list_databases()

    def migration_template(self) -> str:
        from importlib import resources

        template = resources.files("monarch.migrations_template").joinpath("migration.py.tmpl")
        return template.read_text(encoding="utf-8")

    def query_set_template(self) -> str:
        from importlib import resources

        template = resources.files("monarch.migrations_template").joinpath("queryset.py.tmpl")
        return template.read_text(encoding="utf-8")

    def cursor_values(self) -> CursorValues:
        from monarch.databases.mongo.cursor_values import MongoCursorValues

        return MongoCursorValues()

    def uri(self, environment: Environment) -> str:
        from monarch.databases.mongo.connection.client import full_uri

        return full_uri(environment)

    def public_uri(self, environment: Environment) -> str:
        from monarch.databases.mongo.connection.client import public_uri

        return public_uri(environment)

    @contextmanager
    def open(self, environment: Environment, root: Path, progress: Progress) -> Iterator[Database]:
        from monarch.databases.mongo.connection.client import connect
        from monarch.databases.mongo.database import MongoDatabase

        with ExitStack() as stack:
            if environment.embedded:
                try:
                    from monarch.databases.mongo.embedded import serve
                except ModuleNotFoundError as error:  # fcntl, whose locks end with their process
                    raise ServerError(
                        f"Environment {environment.label!r} is embedded, which needs Linux or macOS.",
                        "Start a mongod yourself, and give the environment a 'host'.",
                    ) from error
                environment = stack.enter_context(serve(environment, root, progress))
            client = stack.enter_context(connect(environment))
            yield MongoDatabase(environment, client)

    def examine_tools(self, servers: Sequence[str]) -> Iterator[Observation]:
        from monarch.databases.mongo.health.tools import examine_tools

        return examine_tools()

    def examine_embedded(self) -> Observation:
        from monarch.databases.mongo.health.tools import examine_embedded

        return examine_embedded()

    @contextmanager
    def open_throwaway(self, folder: Path, db_name: str, progress: Progress) -> Iterator[Database]:
        environment = self.parse(THROWAWAY, {"embedded": True, "db_name": db_name})
        with self.open(environment, folder, progress) as database:
            client: Any = database.handles()["client"]
            client.admin.command("setParameter", 1, ttlMonitorEnabled=False)
            yield database

    def stop_throwaway(self, folder: Path) -> None:
        from monarch.databases.mongo.embedded import stop

        stop(folder, THROWAWAY)

    def open_archive(self, stream: Stream, expected: tuple[CollectionSummary, ...]) -> ArchiveSource:
        """Read an archive in mongodump's format."""
        from monarch.databases.mongo.sources.archive import MongoArchiveSource

        return MongoArchiveSource(stream, expected)

    def open_files(self, files: FileSet) -> ArchiveSource:
        """Read what mongodump writes into a folder."""
        from monarch.databases.mongo.sources.folder import MongoFolderSource

        return MongoFolderSource(files)

    def describe_error(self, error: BaseException) -> str | None:
        if "pymongo" not in sys.modules:
            return None
        from monarch.databases.mongo.connection.driver_errors import describe_driver_error

        return describe_driver_error(error)

    def foreign_formats(self) -> ForeignFormats:
        from monarch.databases.mongo.sources.foreign.formats import MongodumpFormats

        return MongodumpFormats()


KIND = MongoKind()
