"""The engine that lets MongoDB's own mongodump and mongorestore do the work.

mongodump writes an archive to monarch, and mongorestore reads one from it; monarch checks every block in
between. Their exit codes prove too little: the numbers that they report are compared with the documents
that were transferred, and the caller compares the documents that have arrived.

monarch itself copies what not all versions since 100.3 copy correctly: time series (older versions dump
documents instead of buckets, and none can write buckets under another name), names with a ``$`` (skipped),
and capped collections (written in any order).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.catalog.read import list_entries
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.engines.base import Destination, MongoEngine, Rights, Writer
from monarch.databases.mongo.engines.byte_queue import ByteQueue, gather
from monarch.databases.mongo.engines.mongodump import dump_collections, dump_query
from monarch.databases.mongo.engines.mongorestore import ToolWriter
from monarch.databases.mongo.engines.native import NativeEngine
from monarch.databases.mongo.stream.batches import Batch, Piece
from monarch.databases.mongo.stream.snapshot import Snapshot
from monarch.errors import UsageError
from monarch.system.subprocesses import run_quietly

NAMES = ("mongodump", "mongorestore")
# Concurrent mongodumps: readers of an archive expect no more unfinished collections at once.
_AT_ONCE = 4
_WAITING = 6 * 1024 * 1024
OLDEST = (100, 3)
_HOW_TO_GET = "Get them at mongodb.com/try/download/database-tools, or use --engine native."

_VERSION = re.compile(r"version:?\s+v?r?(\d+)\.(\d+)(\.\d+)?")


class ToolsEngine(MongoEngine):
    """Runs mongodump and mongorestore; see the module.

    :raises UsageError: if the tools are missing. The hint says how to get them.
    """

    name = "tools"

    def __init__(self) -> None:
        if os.name == "nt":  # no pipe can be passed as a file there, and secrets are passed in no other way
            raise UsageError("The tools need Linux or macOS.", "Use --engine native.")
        missing = [name for name in NAMES if shutil.which(name) is None]
        if missing:
            raise UsageError(f"{' and '.join(missing)} cannot be found on the PATH.", _HOW_TO_GET)
        self._native = NativeEngine()

    @cached_property
    def versions(self) -> tuple[str, ...]:
        """The tools with their versions.

        :raises UsageError: if they are too old, or are other programs of the same names.
        """
        return tuple(read_version(name) for name in NAMES)

    def take_snapshot(self, source: DatabaseHandle, collections: tuple[Collection, ...]) -> Snapshot | None:
        return None  # mongodump does not support them

    @contextmanager
    def read(
        self,
        source: DatabaseHandle,
        collections: tuple[Collection, ...],
        snapshot: Snapshot | None,
        alive: Callable[[], None],
    ) -> Iterator[Iterator[Piece]]:
        with ExitStack() as stack:
            yield self._pieces(stack, source, collections, alive)

    def _pieces(
        self,
        stack: ExitStack,
        source: DatabaseHandle,
        collections: tuple[Collection, ...],
        alive: Callable[[], None],
    ) -> Iterator[Piece]:
        theirs = [collection for collection in collections if _can_dump(collection)]
        whole = tuple(collection for collection in theirs if collection.query is None)
        found = tuple(collection for collection in theirs if collection.query is not None)
        if whole:
            dump = dump_collections(source, whole, _others(source, whole), alive)
            stack.callback(dump.stop)
            yield from dump.pieces()
        if found:
            yield from stack.enter_context(_dump_each(source, found, alive))
        ours = tuple(collection for collection in collections if not _can_dump(collection))
        yield from stack.enter_context(self._native.read(source, ours, None, alive))

    @contextmanager
    def write(
        self,
        target: DatabaseHandle,
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


def _can_dump(collection: Collection) -> bool:
    if collection.kind != "collection" or "$" in collection.name:
        return False
    return collection.query is None or collection.query.for_mongodump is not None


def _others(source: DatabaseHandle, whole: tuple[Collection, ...]) -> list[str]:
    """Return the names of the collections besides ``whole``, which mongodump must leave out."""
    names = {collection.name for collection in whole}
    entries = list_entries(source)
    return [
        name
        for entry in entries
        if (name := str(entry["name"])) not in names and not name.startswith("system.")
    ]


def _dump_each(
    source: DatabaseHandle, collections: tuple[Collection, ...], alive: Callable[[], None]
) -> AbstractContextManager[Iterator[Piece]]:
    """Run a mongodump for each of ``collections``, several at once, and join what they dump."""

    def dump_one(collection: Collection, channel: ByteQueue[Piece]) -> None:
        def check_alive() -> None:
            alive()
            channel.raise_failure()

        dump = dump_query(source, collection, check_alive)
        try:
            for piece in dump.pieces():
                channel.put(piece, len(piece.payload) if isinstance(piece, Batch) else 0)
        finally:
            dump.stop()

    largest_first = sorted(collections, key=lambda collection: -collection.bytes)
    return gather(largest_first, dump_one, _AT_ONCE, _WAITING)


def _can_restore(to: Destination) -> bool:
    return not to.ordered and not to.collection.startswith("system.")


def read_version(name: str) -> str:
    """Return the tool ``name`` of the PATH with its version.

    :raises UsageError: if it is too old, or another program of that name.
    """
    found = _VERSION.search(run_quietly([name, "--version"]))
    if found is None:
        raise UsageError(f"The {name} on the PATH does not report its version.", _HOW_TO_GET)
    version = "".join((found[1], ".", found[2], found[3] or ""))
    if (int(found[1]), int(found[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise UsageError(f"{name} {version} is too old: {oldest} or newer is needed.", _HOW_TO_GET)
    return f"{name} {version}"
