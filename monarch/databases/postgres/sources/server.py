"""The contents of an open database, as pg_dump reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from monarch.databases.postgres.catalog.tables import Relation, list_relations, read_relations
from monarch.databases.postgres.connection.client import Cursor
from monarch.databases.postgres.connection.errors import explained
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.connection.settings import lock_timeout_of
from monarch.databases.postgres.sources.base import Expected, Needs
from monarch.databases.postgres.sources.live import PostgresLiveSource
from monarch.databases.postgres.sources.needs import read_needs
from monarch.databases.postgres.sources.snapshot import ExportedSnapshot, Later
from monarch.databases.postgres.tools.clock import TableClock
from monarch.databases.postgres.tools.installed import PostgresEngine, Tools
from monarch.databases.postgres.tools.process import failure, start_tool
from monarch.progress import Progress
from monarch.system.subprocesses import Tool

# What belongs to this database alone. The history goes with the contents.
STAYS = ("journal", "lease", "heartbeat")
DUMPING = "dumping contents of table "


class ServerSource(PostgresLiveSource):
    """The contents of the database of ``session``, which ``engine`` reads."""

    def __init__(self, session: Session, engine: PostgresEngine) -> None:
        super().__init__(session, engine, *session.transact(_read_catalog))

    def comparing_contents(self) -> Self:
        self.compares_contents = True
        return self

    @contextmanager
    def open(self, tools: Tools, alive: Callable[[], None], progress: Progress) -> Iterator[ServerDump]:
        with ExportedSnapshot(self._session.environment) as snapshot:
            # What is there now: the catalog that was read before may be old.
            with explained(self._session.environment):
                self._relations = list_relations(snapshot.cursor())
            self.estimate(progress)
            tables = [one.table for one in self._relations if one.kind == "table"]
            snapshot.lock(tables)
            dump = ServerDump(self._session, tools, snapshot, alive)
            try:
                dump.later = Later(lambda: snapshot.expected(tables, hashes=self.compares_contents))
                yield dump
            finally:
                dump.tool.stop()


class ServerDump:
    """The output of a pg_dump that runs; ``seconds`` are those of each table by its schema and name."""

    later: Later

    def __init__(
        self, session: Session, tools: Tools, snapshot: ExportedSnapshot, alive: Callable[[], None]
    ) -> None:
        self._environment = session.environment
        self._alive = alive
        self.seconds = TableClock(DUMPING)
        self.tool = start_dump(session, tools, snapshot, ["--verbose"], hear=self.seconds.hear, alive=alive)

    def read(self, size: int, /) -> bytes:
        return self.tool.read(size)

    def finish(self) -> Expected:
        if self.tool.wait() != 0:
            self.later.raise_error()  # pg_dump fails too if the snapshot is gone
            raise failure(self.tool, self._environment, "read")
        return self.later.result(self._alive)


def start_dump(
    session: Session,
    tools: Tools,
    snapshot: ExportedSnapshot,
    arguments: Sequence[str],
    *,
    hear: Callable[[str], None] = lambda line: None,
    alive: Callable[[], None],
) -> Tool:
    """Start a pg_dump of the whole database of ``session``, as of ``snapshot``, with more ``arguments``.

    :raises ServerError: if it cannot be started.
    """
    return start_tool(
        tools,
        "pg_dump",
        session.environment,
        snapshot.connection,
        [
            "--format=custom",
            "--compress=0",
            f"--snapshot={snapshot.id}",
            f"--lock-wait-timeout={lock_timeout_of(session.environment)}",
            "--no-publications",
            "--no-subscriptions",
            *(f"--exclude-table=monarch_history.{table}" for table in STAYS),
            *arguments,
        ],
        takes_input=False,
        hear=hear,
        alive=alive,
    )


def _read_catalog(cursor: Cursor) -> tuple[tuple[Relation, ...], Needs]:
    return read_relations(cursor), read_needs(cursor)
