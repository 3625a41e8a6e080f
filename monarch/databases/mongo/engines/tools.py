"""The engine that lets MongoDB's own mongodump and mongorestore do the work.

mongodump writes an archive to us, mongorestore reads one from us; in between every block is looked
at. Their exit codes prove too little: what they say they have done is compared with what went
through, and the caller compares what has arrived.

What they cannot be trusted with in all versions since 100.3, monarch does itself: a time series
(older ones dump documents in place of its buckets, none can write those under another name), names with
a ``$`` (passed over), and capped collections (written in any order).
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import BinaryIO, cast

from monarch.databases.mongo.archive.prelude import Prelude
from monarch.databases.mongo.archive.reader import ArchiveReader
from monarch.databases.mongo.archive.writer import ArchiveWriter
from monarch.databases.mongo.catalog import Collection
from monarch.databases.mongo.connection import tool_uri
from monarch.databases.mongo.endpoint import Endpoint
from monarch.databases.mongo.engines.base import Destination, MongoEngine, Rights, Writer
from monarch.databases.mongo.engines.native import NativeEngine
from monarch.databases.mongo.names import OURS
from monarch.databases.mongo.pieces import Batch, End, Piece
from monarch.errors import ServerError, UsageError
from monarch.process import Tool, run_quietly
from monarch.secret import Secret

NAMES = ("mongodump", "mongorestore")
OLDEST = (100, 3)
_HOW_TO_GET = "Get them at mongodb.com/try/download/database-tools, or say --engine native."
_WORKERS = 4
# Old ones hang for minutes where a server does not answer them.
_FIRST_WORD_SECONDS = 60
# What the database is called between us and mongorestore.
_BETWEEN = "monarch"

DUMPED = re.compile(r"done dumping `?(?P<name>.+?)`? \((?P<count>\d+) documents?\)$")
_RESTORED = re.compile(r"(\d+) document\(s\) restored successfully\. (\d+) document\(s\) failed")
_VERSION = re.compile(r"version:?\s+v?r?(\d+)\.(\d+)(\.\d+)?")


class ToolsEngine(MongoEngine):
    """See the module. Making one fails where the tools are missing or too old.

    :raises UsageError: with how to get them.
    """

    name = "tools"

    def __init__(self) -> None:
        missing = [name for name in NAMES if shutil.which(name) is None]
        if missing:
            raise UsageError(f"{' and '.join(missing)} cannot be found on the PATH.", _HOW_TO_GET)
        self._native = NativeEngine()

    @cached_property
    def versions(self) -> tuple[str, ...]:
        """The tools with their versions.

        :raises UsageError: if they are too old, or are not what they are called.
        """
        return tuple(_version(name) for name in NAMES)

    @contextmanager
    def read(
        self, source: Endpoint, collections: tuple[Collection, ...], alive: Callable[[], None]
    ) -> Iterator[Iterator[Piece]]:
        ours = tuple(collection for collection in collections if not _can_dump(collection))
        theirs = tuple(collection for collection in collections if _can_dump(collection))
        with ExitStack() as stack:
            yield self._pieces(stack, source, theirs, ours, alive)

    def _pieces(
        self,
        stack: ExitStack,
        source: Endpoint,
        theirs: tuple[Collection, ...],
        ours: tuple[Collection, ...],
        alive: Callable[[], None],
    ) -> Iterator[Piece]:
        if theirs:
            dump = Dumping(source, theirs, ours, alive)
            stack.callback(dump.stop)
            yield from dump.pieces()
        yield from stack.enter_context(self._native.read(source, ours, alive))

    @contextmanager
    def write(
        self,
        target: Endpoint,
        destinations: Mapping[str, Destination],
        rights: Rights,
        alive: Callable[[], None],
    ) -> Iterator[Writer]:
        theirs = {name: to.collection for name, to in destinations.items() if _can_restore(to)}
        with self._native.write(target, destinations, rights, alive) as native:
            writer = ToolWriter(target, theirs, native, rights, alive)
            try:
                yield writer
            finally:
                writer.stop()


class Dumping:
    """A mongodump of one database that runs."""

    def __init__(
        self,
        source: Endpoint,
        wanted: tuple[Collection, ...],
        unwanted: tuple[Collection, ...],
        alive: Callable[[], None],
    ) -> None:
        self._source = source
        self._wanted = {collection.data_name for collection in wanted}
        self._counted: dict[str, int] = {}
        left_out = [*OURS, *(collection.name for collection in unwanted)]

        self._spoken = False
        began = time.monotonic()

        def still_there() -> None:
            alive()
            source.ping()
            if not self._spoken and time.monotonic() - began > _FIRST_WORD_SECONDS:
                raise ServerError(
                    f"mongodump of {source.name!r} has said nothing for {_FIRST_WORD_SECONDS} seconds.",
                    f"It seems not to reach {source.environment.server}. Say --engine native.",
                )

        self._tool = Tool(
            [
                *("mongodump", "--config={config}", f"--db={source.environment.db_name}", "--archive"),
                *(f"--excludeCollection={name}" for name in left_out),
            ],
            config(source),
            takes_input=False,
            hear=self._hear,
            alive=still_there,
        )

    def pieces(self) -> Iterator[Piece]:
        """What it dumps of what is wanted; see `MongoEngine.read`."""
        missing = set(self._wanted)
        counts = dict.fromkeys(self._wanted, 0)
        reader = self._reader()
        for piece in reader:
            if piece.collection not in self._wanted:
                continue
            if isinstance(piece, End):
                missing.discard(piece.collection)
            else:
                counts[piece.collection] += piece.count
            yield piece
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
        return ArchiveReader(cast(BinaryIO, _Rest(self._tool, first)))

    def _check(self, code: int, missing: set[str], counts: Mapping[str, int]) -> None:
        what = f"mongodump of {self._source.name!r}"
        if code != 0:
            raise ServerError(f"{what} failed: {self._tool.last_words()}", "Those are its own words.")
        if missing:
            raise ServerError(
                f"{what} ended well, but has not dumped {', '.join(sorted(missing))}.",
                "Was that dropped or renamed meanwhile? Try again.",
            )
        prefix = f"{self._source.environment.db_name}."
        for name, count in counts.items():
            said = self._counted.get(prefix + name, count)
            if said != count:
                raise ServerError(
                    f"{what} says that it has dumped {said} documents of {name!r}, and {count} came.",
                    "Try again, or say --engine native.",
                )

    def _hear(self, line: str) -> None:
        if found := DUMPED.search(line):
            self._counted[found["name"]] = int(found["count"])


class ToolWriter(Writer):
    """A mongorestore that runs, started by what is first for it, and a native writer for the rest."""

    def __init__(
        self,
        target: Endpoint,
        theirs: Mapping[str, str],
        native: Writer,
        rights: Rights,
        alive: Callable[[], None],
    ) -> None:
        self._target = target
        self._native = native
        self._rights = rights
        self._theirs = theirs
        self._alive = alive
        self._sent = 0
        self._restored = (0, 0)
        self._tool: Tool | None = None
        self._archive: ArchiveWriter | None = None

    def write(self, piece: Piece) -> None:
        staged = self._theirs.get(piece.collection)
        if staged is None:
            self._native.write(piece)
            return
        archive = self._archive or self._start()
        number = _number(staged)
        try:
            if isinstance(piece, End):
                # At once: mongorestore reads four collections at a time, and waits for ever for a fifth.
                archive.write(End(number))
            else:
                self._sent += piece.count
                archive.write(Batch(number, piece.payload, piece.count))
        except BrokenPipeError:
            raise self._failed() from None

    def finish(self) -> None:
        self._native.finish()
        if self._archive is None or self._tool is None:
            return
        self._archive.close()
        self._tool.close()
        if self._tool.wait() != 0 or self._restored != (self._sent, 0):
            raise self._failed()

    def stop(self) -> None:
        """See that it runs no more."""
        if self._tool is not None:
            self._tool.stop()

    def _start(self) -> ArchiveWriter:
        prefix = next(iter(self._theirs.values())).rpartition(".")[0]
        database = self._target.environment.db_name
        arguments = [
            *("mongorestore", "--config={config}", "--archive", "--noIndexRestore", "--stopOnError"),
            f"--numInsertionWorkersPerCollection={_WORKERS}",
            # What is in staging may be lost with its server; the swap sees to it that the rest is not.
            "--writeConcern={w:1}",
            *(f"--nsFrom={_BETWEEN}.*", f"--nsTo={database}.{prefix}.*"),
        ]
        if self._rights.bypass_validation:
            arguments.append("--bypassDocumentValidation")

        def still_there() -> None:
            self._alive()
            self._target.ping()

        self._tool = Tool(
            arguments, config(self._target), takes_input=True, hear=self._hear, alive=still_there
        )
        # A collection is called by its number there, which no version takes for a pattern or an option.
        collections = tuple(
            Collection(_number(staged), "collection", {}, ()) for staged in self._theirs.values()
        )
        self._archive = ArchiveWriter(self._tool, Prelude(_BETWEEN, collections, "6.0.0", "100.3.0"))
        return self._archive

    def _hear(self, line: str) -> None:
        if found := _RESTORED.search(line):
            self._restored = (int(found[1]), int(found[2]))

    def _failed(self) -> ServerError:
        assert self._tool is not None
        self._tool.wait()
        words = self._tool.last_words()
        # The longest first: .1 is the beginning of .10 too.
        for name, staged in sorted(self._theirs.items(), key=lambda item: -len(item[1])):
            words = words.replace(staged, name)
        hint = "Those are its own words; mend that, or say --engine native."
        return ServerError(f"mongorestore into {self._target.name!r} failed: {words}", hint)


class _Rest:
    """A tool's output with the byte that was read to see whether there is any."""

    def __init__(self, tool: Tool, first: bytes) -> None:
        self._tool = tool
        self._first = first

    def read(self, size: int) -> bytes:
        first, self._first = self._first, b""
        return first or self._tool.read(size)


def config(endpoint: Endpoint) -> Secret:
    """What the tools' ``--config`` file says: where to connect, credentials included."""
    import json

    # A JSON string is a YAML string.
    return Secret(f"uri: {json.dumps(tool_uri(endpoint.environment))}\n")


def _number(staged: str) -> str:
    return staged.rpartition(".")[2]


def _can_dump(collection: Collection) -> bool:
    return collection.kind == "collection" and "$" not in collection.name


def _can_restore(to: Destination) -> bool:
    return not to.ordered and not to.collection.startswith("system.")


def _version(name: str) -> str:
    found = _VERSION.search(run_quietly([name, "--version"]))
    if found is None:
        raise UsageError(f"The {name} on the PATH does not tell its version.", _HOW_TO_GET)
    version = "".join((found[1], ".", found[2], found[3] or ""))
    if (int(found[1]), int(found[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise UsageError(f"{name} {version} is too old: {oldest} or newer is needed.", _HOW_TO_GET)
    return f"{name} {version}"
