"""A mongodump that runs, as pieces of what it dumps."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from monarch.databases.mongo.archive import ArchiveError
from monarch.databases.mongo.archive.reader import ArchiveReader
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.collection_names import OURS
from monarch.databases.mongo.connection.client import tool_config
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.stream.batches import End, Piece
from monarch.errors import ServerError
from monarch.system.subprocesses import CONFIG_FILE, QUERY_FILE, Tool

# With backticks since 100.16, bare before.
DUMPED = re.compile(r"done dumping `?(?P<name>.+?)`? \((?P<count>\d+) documents?\)$")
# Old ones hang for minutes where a server does not answer them.
_FIRST_WORD_SECONDS = 60


def dump_collections(
    source: DatabaseHandle, wanted: tuple[Collection, ...], unwanted: Iterable[str], alive: Callable[[], None]
) -> MongodumpRun:
    """A mongodump of the database, but for those called as in ``unwanted``: all of ``wanted``."""
    left_out = dict.fromkeys((*OURS, *unwanted))
    return MongodumpRun(source, wanted, [f"--excludeCollection={_flag(name)}" for name in left_out], alive)


def dump_query(source: DatabaseHandle, collection: Collection, alive: Callable[[], None]) -> MongodumpRun:
    """A mongodump of what the query of ``collection`` finds, which must be one for the tools."""
    assert collection.query is not None
    arguments = [f"--collection={_flag(collection.name)}", f"--queryFile={QUERY_FILE}"]
    return MongodumpRun(source, (collection,), arguments, alive, collection.query.for_mongodump)


def _flag(name: str) -> str:
    """``name`` as mongodump takes it, which has another opinion of what begins with a quotation mark."""
    return json.dumps(name, ensure_ascii=False) if name.startswith('"') else name


class MongodumpRun:
    """A mongodump of ``wanted`` that runs, told by ``arguments`` what to dump, and by ``query``."""

    def __init__(
        self,
        source: DatabaseHandle,
        wanted: tuple[Collection, ...],
        arguments: Sequence[str],
        alive: Callable[[], None],
        query: str | None = None,
    ) -> None:
        self._source = source
        self._wanted = {collection.data_name for collection in wanted}
        self._counted: dict[str, int] = {}
        self._spoken = False
        began = time.monotonic()

        def still_there() -> None:
            alive()
            source.ping()
            if not self._spoken and time.monotonic() - began > _FIRST_WORD_SECONDS:
                raise ServerError(
                    f"mongodump of {source.name!r} has said nothing for {_FIRST_WORD_SECONDS} seconds.",
                    f"It seems not to reach {source.environment.server}. Use --engine native.",
                )

        self._tool = Tool(
            [
                *("mongodump", f"--config={CONFIG_FILE}", f"--db={source.environment.db_name}", "--archive"),
                *arguments,
            ],
            tool_config(source.environment),
            takes_input=False,
            hear=self._hear,
            alive=still_there,
            query=query,
        )

    def pieces(self) -> Iterator[Piece]:
        """What it dumps of what is wanted; see `MongoEngine.read`."""
        missing = set(self._wanted)
        counts = dict.fromkeys(self._wanted, 0)
        try:
            for piece in self._reader():
                if piece.collection not in self._wanted:
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
        """See that it runs no more."""
        self._tool.stop()

    def _reader(self) -> ArchiveReader:
        first = self._tool.read(1)
        self._spoken = True
        if not first:
            # It has ended before its first word; with 0 it would have had nothing to say.
            self._check(self._tool.wait(), set(self._wanted), {})
        return ArchiveReader(_Rest(self._tool, first))

    def _broken(self, error: ArchiveError) -> ServerError:
        """What to say of an archive that is none: mostly, that its mongodump has died."""
        if (code := self._tool.ended()) not in (0, None):
            words = self._tool.last_words()
            return ServerError(
                f"mongodump of {self._source.name!r} ended early with {code}. Its last message: {words}",
                "Try again, or use --engine native.",
            )
        return ServerError(
            f"mongodump of {self._source.name!r} does not write what it should: {error.message}",
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
                "Was that dropped or renamed meanwhile? Try again.",
            )
        prefix = f"{self._source.environment.db_name}."
        for name, count in counts.items():
            said = self._counted.get(prefix + name, count)
            if said != count:
                raise ServerError(
                    f"{what} says that it has dumped {said} documents of {name!r}, and {count} came.",
                    "Try again, or use --engine native.",
                )

    def _hear(self, line: str) -> None:
        if found := DUMPED.search(line):
            self._counted[found["name"]] = int(found["count"])


class _Rest:
    """A tool's output with the byte that was read to see whether there is any."""

    def __init__(self, tool: Tool, first: bytes) -> None:
        self._tool = tool
        self._first = first

    def read(self, size: int) -> bytes:
        first, self._first = self._first, b""
        return first or self._tool.read(size)
