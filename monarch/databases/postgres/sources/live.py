"""What the sources that are open databases have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from monarch.databases.postgres.catalog.digests import digest
from monarch.databases.postgres.catalog.tables import Relation
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.sources.base import Expected, Needs, OpenDump, PostgresSource
from monarch.databases.postgres.tools.clock import TableClock
from monarch.databases.postgres.tools.installed import PostgresEngine, Tools
from monarch.databases.transfer import CollectionDigest, CollectionSummary, CopiedCollection, LiveSource
from monarch.progress import Progress
from monarch.system.streams import Sink

_BYTES = 1 << 20


class TimedDump(OpenDump, Protocol):
    """A dump that knows how many ``seconds`` each table took."""

    seconds: TableClock


class PostgresLiveSource(LiveSource, PostgresSource):
    """The contents of the database of ``session``, or a part of them, which ``engine`` reads.

    ``relations`` are its tables and views, and ``needs`` is what it needs of a server.
    """

    def __init__(
        self, session: Session, engine: PostgresEngine, relations: tuple[Relation, ...], needs: Needs
    ) -> None:
        self._session = session
        self._engine = engine
        self._relations = relations
        self._needs = needs
        self._digests: tuple[CollectionDigest, ...] = ()
        engine.prefer(needs.major)

    @property
    def name(self) -> str:
        return self._session.environment.label

    @property
    def needs(self) -> Needs:
        return self._needs

    @property
    def summaries(self) -> tuple[CollectionSummary, ...]:
        return tuple(one.summary() for one in self._relations)

    @property
    def server(self) -> str:
        version = self._session.open().info.parameter_status("server_version") or str(self._needs.major)
        return f"PostgreSQL {version.split()[0]}"

    @property
    def filters(self) -> tuple[str, ...]:
        return ()

    @property
    def one_snapshot(self) -> bool:
        return True

    @property
    def digests(self) -> tuple[CollectionDigest, ...]:
        return self._digests

    def prepare_digests(self) -> None:
        """Let `OpenDump.finish` hash the rows, if a copy of them can have the same hashes."""
        self.compares_contents = True

    @abstractmethod
    def open(
        self, tools: Tools, alive: Callable[[], None], progress: Progress
    ) -> AbstractContextManager[TimedDump]: ...

    def copied(self, expected: Expected, clock: TableClock) -> tuple[CopiedCollection, ...]:
        return tuple(
            CopiedCollection(
                **vars(one.summary(expected.rows.get(one.table.title, 0))), seconds=clock.of(one.table)
            )
            for one in self._relations
        )

    def write_archive(
        self, sink: Sink, progress: Progress, *, hashes: bool = True
    ) -> tuple[CopiedCollection, ...]:
        progress.phase("dumping")
        if hashes:
            self.prepare_digests()
        with self.open(self._engine.choose(self._needs.major), lambda: None, progress) as dump:
            while data := dump.read(_BYTES):
                progress.transferred(0, len(data))
                sink.write(data)
            expected = dump.finish()
            if hashes:
                self._digests = digest(
                    self._relations,
                    expected.definitions or {},
                    expected.hashes or {},
                    expected.index_definitions or {},
                    self._session.open(),
                )
            return self.copied(expected, dump.seconds)

    def estimate(self, progress: Progress) -> None:
        """Tell how much is about to be read."""
        relations = self._relations
        progress.estimated(sum(one.rows for one in relations), sum(one.bytes for one in relations))
