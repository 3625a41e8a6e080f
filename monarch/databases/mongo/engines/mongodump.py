"""Run mongodump, and read the documents that it dumps."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from monarch.databases.mongo.archive import ArchiveError
from monarch.databases.mongo.archive.reader import ArchiveReader
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.collection_names import OURS
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.engines.tool_process import USE_QUERY_FILE, start_tool
from monarch.databases.mongo.stream.batches import End, Piece
from monarch.errors import ServerError
from monarch.system.subprocesses import Tool

# With backticks since 100.16, bare before.
DUMPED = re.compile(r"done dumping `?(?P<name>.+?)`? \((?P<count>\d+) documents?\)$")
# Old versions hang for minutes if a server does not answer.
_FIRST_BYTE_SECONDS = 60


def dump_collections(
    source: DatabaseHandle,
    collections: tuple[Collection, ...],
    excluded: Iterable[str],
    alive: Callable[[], None],
) -> MongodumpRun:
    """Dump the database without the collections ``excluded``, which leaves exactly ``collections``."""
    arguments = [f"--excludeCollection={_flag(name)}" for name in dict.fromkeys((*OURS, *excluded))]
    return MongodumpRun(source, collections, arguments, alive)


def dump_query(source: DatabaseHandle, collection: Collection, alive: Callable[[], None]) -> MongodumpRun:
    """Dump the documents that the query of ``collection`` matches; mongodump must support that query."""
    assert collection.query is not None
    arguments = [f"--collection={_flag(collection.name)}", USE_QUERY_FILE]
    return MongodumpRun(source, (collection,), arguments, alive, collection.query.for_mongodump)


def _flag(name: str) -> str:
    """Return ``name`` as mongodump parses it: it unquotes a name that begins with a quotation mark."""
    return json.dumps(name, ensure_ascii=False) if name.startswith('"') else name


class MongodumpRun:
    """A running mongodump of ``collections``, which ``arguments`` and ``query`` select."""

    def __init__(
        self,
        source: DatabaseHandle,
        collections: tuple[Collection, ...],
        arguments: Sequence[str],
        alive: Callable[[], None],
        query: str | None = None,
    ) -> None:
        self._source = source
        self._names = {collection.data_name for collection in collections}
        self._counted: dict[str, int] = {}
        self._has_output = False
        began = time.monotonic()

        def check_alive() -> None:
            alive()
            source.ping()
            if not self._has_output and time.monotonic() - began > _FIRST_BYTE_SECONDS:
                raise ServerError(
                    f"mongodump of {source.name!r} has written nothing for {_FIRST_BYTE_SECONDS} seconds.",
                    f"It probably cannot reach {source.environment.server}. Use --engine native.",
                )

        self._tool = start_tool(
            "mongodump",
            source.environment,
            [f"--db={source.environment.db_name}", "--archive", *arguments],
            takes_input=False,
            hear=self._hear,
            alive=check_alive,
            query=query,
        )

    def pieces(self) -> Iterator[Piece]:
        """Yield what it dumps of the collections; see `MongoEngine.read`."""
        missing = set(self._names)
        counts = dict.fromkeys(self._names, 0)
        try:
            for piece in self._reader():
                if piece.collection not in self._names:
                    continue
                if isinstance(piece, End):
                    missing.discard(piece.collection)
                else:
                    counts[piece.collection] += piece.count
                yield piece
        except ArchiveError as error:
            raise self._broken(error) from error
        self._check(self._tool.wait(), missing, counts)

    def stop(self) -> None:
        """Stop it if it is still running."""
        self._tool.stop()

    def _reader(self) -> ArchiveReader:
        first = self._tool.read(1)
        self._has_output = True
        if not first:
            # It has ended without output. The check fails, even if its exit code is 0.
            self._check(self._tool.wait(), set(self._names), {})
        return ArchiveReader(_Rest(self._tool, first))

    def _broken(self, error: ArchiveError) -> ServerError:
        """Return the error for a broken archive. The usual cause is that mongodump has died."""
        if (code := self._tool.ended()) not in (0, None):
            message = self._tool.last_words()
            return ServerError(
                f"mongodump of {self._source.name!r} ended early with {code}. Its last message: {message}",
                "Try again, or use --engine native.",
            )
        return ServerError(
            f"mongodump of {self._source.name!r} wrote a broken archive: {error.message}",
            "Try again, or use --engine native.",
        )

    def _check(self, code: int, missing: set[str], counts: Mapping[str, int]) -> None:
        what = f"mongodump of {self._source.name!r}"
        if code != 0:
            raise ServerError(
                f"{what} failed: {self._tool.last_words()}",
                "This message is mongodump's. Fix the cause and run it again, or use --engine native.",
            )
        if missing:
            raise ServerError(
                f"{what} succeeded, but did not dump {', '.join(sorted(missing))}.",
                "It may have been dropped or renamed meanwhile. Try again.",
            )
        prefix = f"{self._source.environment.db_name}."
        for name, count in counts.items():
            reported = self._counted.get(prefix + name, count)
            if reported != count:
                raise ServerError(
                    f"{what} reported {reported} documents of {name!r}, but wrote {count}.",
                    "Try again, or use --engine native.",
                )

    def _hear(self, line: str) -> None:
        if found := DUMPED.search(line):
            self._counted[found["name"]] = int(found["count"])


class _Rest:
    """A tool's output, including the first byte, which was read to detect output."""

    def __init__(self, tool: Tool, first: bytes) -> None:
        self._tool = tool
        self._first = first

    def read(self, size: int) -> bytes:
        first, self._first = self._first, b""
        return first or self._tool.read(size)
