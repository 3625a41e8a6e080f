"""An archive of pg_dump as a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from monarch.databases.postgres.archive.contents import read_contents
from monarch.databases.postgres.sources.base import Expected, Needs, OpenDump, PostgresSource
from monarch.databases.postgres.tools.clock import TableClock
from monarch.databases.postgres.tools.installed import PostgresEngine, Tools
from monarch.databases.postgres.tools.process import start_program
from monarch.databases.transfer import ArchiveSource, CollectionSummary, CopiedCollection
from monarch.errors import DamagedError, ServerError
from monarch.progress import Progress
from monarch.system.streams import Stream

_BYTES = 1 << 20


class PgDumpArchive(ArchiveSource, PostgresSource):
    """The archive in ``stream``, which must hold what is ``expected``.

    :raises DamagedError: if it does not begin as an archive of pg_dump.
    """

    choose_by = "Restore all of it into another database, and copy the tables from there: pg_dump --table."

    def __init__(self, stream: Stream, expected: tuple[CollectionSummary, ...]) -> None:
        self._stream = stream
        self._expected = expected
        self._contents = read_contents(stream)

    @property
    def name(self) -> str:
        return "the archive"

    @property
    def needs(self) -> Needs:
        mentioned = self._contents.mentioned
        return Needs(
            self._contents.server,
            mentioned.extensions,
            mentioned.owners,
            mentioned.grantees,
            mentioned.collations,
            mentioned.tablespaces,
            program=self._contents.program,
            granters=mentioned.granters,
            event_triggers=mentioned.event_triggers,
            encoding=self._contents.encoding,
        )

    @property
    def summaries(self) -> tuple[CollectionSummary, ...]:
        return self._expected

    @contextmanager
    def open(self, tools: Tools, alive: Callable[[], None], progress: Progress) -> Iterator[OpenDump]:
        progress.estimated(
            sum(one.documents for one in self._expected), sum(one.bytes for one in self._expected)
        )
        yield ArchiveDump(self._contents.raw, self._stream, self._expected)

    def copied(self, expected: Expected, clock: TableClock) -> tuple[CopiedCollection, ...]:
        return tuple(CopiedCollection(**vars(one), seconds=0.0) for one in self._expected)

    def read_through(self, progress: Progress) -> tuple[CopiedCollection, ...]:
        """Read all of it by pg_restore, which writes nothing."""
        progress.phase("verifying")
        tools = PostgresEngine().choose(self.needs.program)
        reading = start_program(tools, "pg_restore", ["--file=/dev/null"], takes_input=True)
        try:
            with self.open(tools, lambda: None, progress) as dump:
                try:
                    while data := dump.read(_BYTES):
                        progress.transferred(0, len(data))
                        reading.write(data)
                except BrokenPipeError:
                    pass
                reading.close()
                code = reading.wait()
                if (killed := reading.killed_by()) is not None:
                    raise ServerError(
                        f"pg_restore was ended by {killed}, so the archive is not checked.", "Run it again."
                    )
                if code != 0:
                    raise DamagedError(f"pg_restore cannot read it: {reading.last_words()}")
                dump.finish()
        finally:
            reading.stop()
        return self.copied(Expected({}), TableClock(""))


class ArchiveDump:
    """An archive that is being read: its ``head``, which was read before, and the rest of ``stream``."""

    def __init__(self, head: bytes, stream: Stream, expected: tuple[CollectionSummary, ...]) -> None:
        self._head = head
        self._stream = stream
        self._expected = expected

    def read(self, size: int, /) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        return self._stream.read(size)

    def finish(self) -> Expected:
        # pg_restore may stop before the end, which holds the last of what is checked.
        while self._stream.read(_BYTES):
            pass
        tables = [one for one in self._expected if one.kind == "table"]
        return Expected(
            {one.name: one.documents for one in tables}, {one.name: one.indexes for one in tables}
        )
