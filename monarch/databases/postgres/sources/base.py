"""What a source of PostgreSQL is: an archive of pg_dump, read once, and what it must hold."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, Self

from monarch.databases.postgres.tools.clock import TableClock
from monarch.databases.postgres.tools.installed import Tools
from monarch.databases.selection import Choice
from monarch.databases.transfer import CopiedCollection, Source
from monarch.databases.transform import Transform
from monarch.errors import UsageError
from monarch.progress import Progress

# The server's name for a database that converts and checks no text.
NO_ENCODING = "SQL_ASCII"


@dataclass(frozen=True)
class Needs:
    """What a server must have to hold the contents of a source, by its catalog.

    ``major`` is the version of the server that it comes from, ``program`` that of the oldest pg_restore which
    reads it, if that is another one. ``roles`` own things, ``grantees`` have rights on them, and ``granters``
    have default privileges. ``hidden`` are tables whose row-level security holds for their owners too.
    ``encoding`` and ``locale`` are those of the database; None if they are not known.
    """

    major: int
    extensions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    grantees: tuple[str, ...] = ()
    collations: tuple[str, ...] = ()
    tablespaces: tuple[str, ...] = ()
    encoding: str | None = None
    locale: str | None = None
    program: int = 0
    granters: tuple[str, ...] = ()
    event_triggers: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class Expected:
    """What must have arrived: the rows and indexes of each table by its title, and more of a database.

    ``definitions`` are those of `read_definitions`, ``major`` is the version of the server that printed them.
    A sequence must have come at least as far as in ``sequences``. ``index_definitions`` are those of the
    indexes of each table, by their names.
    """

    rows: Mapping[str, int]
    indexes: Mapping[str, int] = field(default_factory=dict)
    major: int = 0
    definitions: Mapping[str, str] | None = None
    sequences: Mapping[str, int] | None = None
    large_objects: int | None = None
    hashes: Mapping[str, str] | None = None
    index_definitions: Mapping[str, Mapping[str, str]] | None = None


class OpenDump(Protocol):
    """An archive that is being read."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; b"" after its end.

        :raises MonarchError: if it cannot be read to its end.
        """

    def finish(self) -> Expected:
        """Check, once it was read, that it is complete; return what it holds.

        :raises MonarchError: if it is not.
        """


class PostgresSource(Source):
    """The contents of a PostgreSQL database or of an archive of pg_dump."""

    kind = "postgres"
    title = "PostgreSQL"
    # Whether `OpenDump.finish` hashes the rows of each table.
    compares_contents = False
    # What people use instead of `chosen`.
    choose_by: ClassVar[str] = "Use a query set: its only() and exclude() select whose rows are copied."

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name for people."""

    @property
    @abstractmethod
    def needs(self) -> Needs:
        """What it needs of a server."""

    @abstractmethod
    def open(
        self, tools: Tools, alive: Callable[[], None], progress: Progress
    ) -> AbstractContextManager[OpenDump]:
        """Read it as an archive for as long as the context lasts. Leaving it stops what still runs.

        :param tools: chosen by the ``major`` of `needs`.
        :param alive: called every few seconds; an exception ends the wait.
        :raises ServerError: if it cannot be read.
        """

    @abstractmethod
    def copied(self, expected: Expected, clock: TableClock) -> tuple[CopiedCollection, ...]:
        """Return its tables and views as ``expected`` in the target, with the seconds of ``clock``."""

    def transformed(self, transforms: tuple[Transform, ...]) -> Self:
        if transforms:
            raise UsageError("monarch cannot change the rows of a PostgreSQL database on their way yet.")
        return self

    def chosen(self, choice: Choice) -> Self:
        if choice:
            raise UsageError(
                f"monarch cannot choose tables or indexes of a PostgreSQL database by {choice.options}.",
                f"Nothing was changed. {self.choose_by}",
            )
        return self


def require_postgres_source(source: Source) -> PostgresSource:
    """Return ``source`` as one of PostgreSQL.

    :raises UsageError: if it is of another kind of database.
    """
    if not isinstance(source, PostgresSource):
        raise UsageError(f"{source.title} cannot be written into PostgreSQL.")
    return source
