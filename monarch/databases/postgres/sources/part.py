"""The part of an open database that a query set selects, as a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

from monarch.databases.postgres.archive.contents import ArchiveContents, TableData, read_contents
from monarch.databases.postgres.catalog.definitions import read_definitions
from monarch.databases.postgres.catalog.digests import read_index_definitions
from monarch.databases.postgres.catalog.fingerprint import hash_rows
from monarch.databases.postgres.catalog.tables import Relation, Table, list_relations
from monarch.databases.postgres.connection.errors import explained
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.sources.base import Expected
from monarch.databases.postgres.sources.live import PostgresLiveSource
from monarch.databases.postgres.sources.needs import read_needs
from monarch.databases.postgres.sources.server import DUMPING, start_dump
from monarch.databases.postgres.sources.snapshot import ExportedSnapshot
from monarch.databases.postgres.subset.part import Part
from monarch.databases.postgres.tools.clock import TableClock
from monarch.databases.postgres.tools.installed import PostgresEngine, Tools
from monarch.databases.postgres.tools.process import failure
from monarch.databases.selection import Selection
from monarch.errors import DamagedError, UsageError
from monarch.progress import Progress


class PartSource(PostgresLiveSource):
    """The part of the database of ``session`` that ``selection`` selects.

    It is resolved when this is created. Its snapshot lasts until it was read, or ``session`` is closed.
    """

    def __init__(self, session: Session, engine: PostgresEngine, selection: Selection) -> None:
        environment = session.environment
        self._snapshot = ExportedSnapshot(environment, temporary_tables=True)
        session.on_close(self._snapshot.close)
        with explained(environment):
            relations = list_relations(self._snapshot.cursor())
            needs = read_needs(self._snapshot.cursor())
        self._snapshot.lock(one.table for one in relations if one.kind == "table")
        self._part = Part(self._snapshot.connection, selection, environment)
        rows = {Table(one.schema, one.name): one.rows for one in self._part.tables}
        relations = tuple(_with_rows(one, rows.get(one.table, 0)) for one in relations)
        super().__init__(session, engine, relations, needs)

    @property
    def filters(self) -> tuple[str, ...]:
        return self._part.filters

    @property
    def notes(self) -> tuple[str, ...]:
        return self._part.notes

    def comparing_contents(self) -> Self:
        if self._part.shortened:
            raise UsageError(
                f"Rows of {self._part.shortened[0]} lack columns, so that they cannot be compared by hashes.",
                "Leave out --compare-contents, or columns= in the query set.",
            )
        self.compares_contents = True
        return self

    def prepare_digests(self) -> None:
        self.compares_contents = not self._part.shortened

    @contextmanager
    def open(self, tools: Tools, alive: Callable[[], None], progress: Progress) -> Iterator[PartDump]:
        self.estimate(progress)
        with self._snapshot:
            yield self._dump(tools, alive)

    def _dump(self, tools: Tools, alive: Callable[[], None]) -> PartDump:
        contents = self._read_contents(tools, alive)
        rows = {one.table.title: one.rows for one in self._relations if one.kind == "table"}
        return PartDump(
            self._part, contents, self._snapshot, self._session, rows, hashes=self.compares_contents
        )

    def _read_contents(self, tools: Tools, alive: Callable[[], None]) -> ArchiveContents:
        """Let pg_dump describe the whole database, and stop it before it reads rows."""
        dump = start_dump(self._session, tools, self._snapshot, ["-B"], alive=alive)
        try:
            try:
                return read_contents(dump)
            except DamagedError as error:
                if dump.wait() == 0:
                    raise
                raise failure(dump, self._session.environment, "read") from error
        finally:
            dump.stop()


class PartDump:
    """An archive of ``part`` that is being read; ``seconds`` are those of each table.

    :param contents: what pg_dump says of the whole database, from the same ``snapshot``.
    :param rows: the number of selected rows of each table, by its title.
    :param hashes: whether `finish` hashes these rows.
    """

    def __init__(
        self,
        part: Part,
        contents: ArchiveContents,
        snapshot: ExportedSnapshot,
        session: Session,
        rows: dict[str, int],
        *,
        hashes: bool,
    ) -> None:
        self.seconds = TableClock(DUMPING)
        self._chunks = part.read(contents, self._begin)
        self._chunk = memoryview(b"")
        self._snapshot = snapshot
        self._session = session
        self._rows = rows
        self._part = part
        self._hashes = hashes

    def read(self, size: int, /) -> bytes:
        if not self._chunk:
            self._chunk = memoryview(next(self._chunks, b""))
        data, self._chunk = bytes(self._chunk[:size]), self._chunk[size:]
        return data

    def finish(self) -> Expected:
        self.seconds.hear("")
        with explained(self._session.environment):
            return Expected(
                self._rows,
                {},
                self._snapshot.connection.info.server_version // 10_000,
                read_definitions(self._snapshot.cursor()),
                self._snapshot.sequences,
                large_objects=0,
                hashes=self._hash_rows() if self._hashes else None,
                index_definitions=read_index_definitions(self._snapshot.cursor()),
            )

    def _hash_rows(self) -> dict[str, str]:
        sources = {Table(schema, name): rows for (schema, name), rows in self._part.sources("row").items()}
        compared = {table: rows for table, rows in sources.items() if table.title in self._rows}
        hashed = hash_rows(self._snapshot.cursor(), compared)
        return {table.title: hash for table, hash in hashed.items()}

    def _begin(self, table: TableData) -> None:
        self.seconds.hear(f'{DUMPING}"{table.schema}.{table.table}"')


def _with_rows(relation: Relation, rows: int) -> Relation:
    """Return ``relation`` with that number of ``rows``, and about as many of its bytes."""
    share = min(1.0, rows / max(relation.rows, 1))
    return replace(relation, rows=rows, bytes=round(relation.bytes * share))
