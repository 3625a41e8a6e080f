"""The contract of a kind of database: what monarch needs before a database is open."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from monarch.databases.environment import Entry, Environment
from monarch.databases.several import DatabaseSet
from monarch.errors import MonarchError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from monarch.databases.base import Database
    from monarch.databases.foreign import ForeignFormats
    from monarch.databases.health.observation import Observation
    from monarch.databases.migration import Migration
    from monarch.databases.selection import CursorValues
    from monarch.databases.transfer import ArchiveSource, CollectionSummary, FileSet
    from monarch.progress import Progress
    from monarch.system.streams import Stream

# The name of the environment of a database that is thrown away.
THROWAWAY = "drill"
# Stands for a database whose name only the server knows.
_ANY_DATABASE = "any"
_QUERY_SET = '''from monarch import QuerySet


class $class_name(QuerySet):

    def run(self):
        """Select here what is included"""
        raise NotImplementedError
'''
_TEMPLATE = '''from {module} import {base}


class $class_name({base}):

    def run(self):
        """Write the code here that will migrate the database from one state to the next."""
        raise NotImplementedError
'''


class DatabaseKind(ABC):
    """A kind of database. ``name`` is its key in `monarch.databases.KINDS`; ``title`` is for people.

    ``schemes`` are those of its connection strings: a ``uri`` that begins with one of them selects the kind.
    A module that defines a kind must be cheap to import: it imports drivers only where it uses them.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    schemes: ClassVar[tuple[str, ...]] = ()
    # That of a host without one.
    default_port: ClassVar[str] = ""
    # What its databases consist of, and what each of those holds: one of each, for people.
    words: ClassVar[tuple[str, str]] = ("collection", "document")
    # Whether its databases can be copied, backed up and restored, and not only migrated.
    transfers: ClassVar[bool] = False
    # Whether `list_databases` names also those that its user may not use.
    lists_all_databases: ClassVar[bool] = False
    # Whether its contents can be masked on their way.
    masks: ClassVar[bool] = False
    # Where its migrations import their base class from: a module, a dot and the class.
    migration_base: ClassVar[str] = "monarch.Migration"
    # The file of ``migrations_template/`` from which settings for its databases are written.
    settings_template: ClassVar[str] = "settings.py.tmpl"
    # The engine that "auto" means for a subset: the one that reads it as of one snapshot.
    subset_engine: ClassVar[str] = "auto"
    # The method of a query set that selects from its databases, and how to call it, for hints.
    query_method: ClassVar[str] = "dump_collection"
    query_example: ClassVar[str] = "'orders', {'state': 'open'}"

    @abstractmethod
    def parse(self, name: str, entry: Entry) -> Environment:
        """Read the entry of the environment called ``name``, which may lack values on this machine.

        :raises SettingsError: saying what is wrong without showing a value. The caller names the environment.
        """

    def parse_several(self, name: str, entry: Entry, databases: DatabaseSet) -> Environment:
        """Read the entry of the environment called ``name``, whose ``db_name`` means several databases.

        :raises SettingsError: as `parse` does, for each name.
        """
        names = databases.names or (_ANY_DATABASE,)
        parsed = [self.parse_member(name, {**entry, "db_name": one}) for one in names]
        return replace(parsed[0], db_name="", databases=databases)

    def parse_member(self, name: str, entry: Entry) -> Environment:
        """Read the entry of the environment called ``name`` for one of its several databases.

        A database in its ``uri`` is not used, and is no error.
        """
        return self.parse(name, entry)

    def check_database(self, name: str) -> None:
        """Check that a database of this kind may be called ``name``.

        :raises SettingsError: if not.
        """
        return

    def is_internal(self, database: str) -> bool:
        """Whether ``database`` is the server's own, or a temporary one of monarch's: no pattern means it."""
        return False

    def is_own(self, collection: str) -> bool:
        """Whether ``collection`` of a backup holds monarch's own records, as the migration history."""
        return False

    def list_databases(self, environment: Environment, root: Path, progress: Progress) -> tuple[str, ...]:
        """Return the names of the databases on the server of ``environment``, which may have several.

        :raises ServerError: if the server cannot be started or reached.
        :raises UsageError: if this kind cannot list them.
        """
        raise UsageError(f"monarch cannot list the databases of a {self.title} server.", "Name each of them.")

    def uri(self, environment: Environment) -> str:
        """Return the connection string of ``environment``, secrets included.

        :raises UsageError: if this kind has none, or nothing tells its address.
        """
        raise UsageError(f"monarch knows no connection strings of {self.title}.")

    def public_uri(self, environment: Environment) -> str:
        """Return the connection string of ``environment`` without secrets; see `uri`."""
        raise UsageError(f"monarch knows no connection strings of {self.title}.")

    @abstractmethod
    def open(
        self, environment: Environment, root: Path, progress: Progress
    ) -> AbstractContextManager[Database]:
        """Connect to ``environment`` for as long as the context lasts.

        :raises ServerError: if the server cannot be started or reached.
        """

    @contextmanager
    def open_beside(
        self, environment: Environment, name: str, root: Path, progress: Progress
    ) -> Iterator[Database]:
        """Open an empty database called ``name`` on the server of ``environment``, removed at the end.

        :raises AccessDenied: now or later, if its user has no rights on another database.
        :raises ServerError: if the server cannot be started or reached.
        """
        with self.open(replace(environment, db_name=name), root, progress) as database:
            try:
                yield database
            except BaseException:
                with suppress(MonarchError):  # the first error is what counts
                    database.drop()
                raise
            database.drop()

    def examine_tools(self, servers: Sequence[str]) -> Iterator[Observation]:
        """Yield what is found of its programs on this machine. Never fails.

        :param servers: the versions of servers that they are used with.
        """
        return iter(())

    def examine_embedded(self) -> Observation | None:
        """Return whether an embedded server can be started; None if this kind has none. Starts nothing."""
        return None

    def open_throwaway(
        self, folder: Path, db_name: str, progress: Progress
    ) -> AbstractContextManager[Database]:
        """Start an embedded server with its data in ``folder``; open its empty database ``db_name``.

        The server runs for as long as the context lasts. Its documents do not expire.

        :raises ServerError: if there is no server on this machine, or it does not start.
        :raises UsageError: if this kind has no embedded servers.
        """
        raise UsageError(f"monarch has no embedded server for a {self.title} database.")

    def stop_throwaway(self, folder: Path) -> None:
        """Stop the server of `open_throwaway`, if a process that was killed has left it running."""
        return

    def migration_class(self) -> type[Migration]:
        """Return the base class of its migrations, which declares what they find on ``self``."""
        module, _, name = self.migration_base.rpartition(".")
        base: type[Migration] = getattr(import_module(module), name)
        return base

    def migration_template(self) -> str:
        """Return the source of a new migration, a `string.Template` with $class_name and $name."""
        module, _, name = self.migration_base.rpartition(".")
        return _TEMPLATE.format(module=module, base=name)

    def query_set_template(self) -> str:
        """Return the source of a new query set, a `string.Template` with $class_name."""
        return _QUERY_SET

    def cursor_values(self) -> CursorValues:
        """Return how cursors in the queries of a query set are replaced.

        :raises UsageError: if this kind has no query sets.
        """
        raise UsageError(f"monarch has no query sets for a {self.title} database.")

    def local_time(
        self, environment: Environment, handles: Mapping[str, object], moment: datetime
    ) -> datetime:
        """Return ``moment`` without a zone, as the database reads such a time. This is UTC by default.

        :param handles: those of a query set on ``environment``.
        :raises ServerError: if the server does not answer.
        """
        from datetime import UTC

        return moment.astimezone(UTC).replace(tzinfo=None)

    def open_archive(self, stream: Stream, expected: tuple[CollectionSummary, ...]) -> ArchiveSource:
        """Read an archive of such a database, which must hold the ``expected`` collections.

        :raises DamagedError: now or while it is read, if it does not.
        :raises UsageError: if databases of this kind cannot be backed up.
        """
        raise UsageError(f"monarch cannot restore a {self.title} database.")

    def open_files(self, files: FileSet) -> ArchiveSource:
        """Read files that the tools of this kind have written.

        :raises DamagedError: now or while they are read, if they are something else.
        :raises UsageError: if this kind has no such files.
        """
        raise UsageError(f"monarch cannot restore files of a {self.title} database.")

    @abstractmethod
    def describe_error(self, error: BaseException) -> str | None:
        """Return what ``error`` of its driver means, without values of documents; None for other errors."""

    def foreign_formats(self) -> ForeignFormats | None:
        """Return the formats of files that its own tools write; None if monarch knows none."""
        return None

    def dump_tool(self, head: bytes) -> tuple[str, str] | None:
        """Return the tool whose dump begins with ``head``, and a hint how to make a backup of such a dump.

        None if it is none of those that monarch does not read.
        """
        return None
