"""The engine that needs nothing but pymongo.

Batches go from the server's replies into its inserts as raw bytes: split at their length fields,
never decoded. Readers and writers are threads, connected by queues whose size in bytes is limited.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from functools import partial
from typing import Any

import pymongo
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection as PyMongoCollection
from pymongo.errors import OperationFailure

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.catalog.query import Find, Query
from monarch.databases.mongo.connection.cluster import is_connected_to_mongos
from monarch.databases.mongo.connection.driver_errors import without_values
from monarch.databases.mongo.connection.handle import QUICK, DatabaseHandle
from monarch.databases.mongo.engines.base import Destination, MongoEngine, Rights, Writer
from monarch.databases.mongo.engines.byte_queue import ByteQueue, Stopped, gather, start_workers
from monarch.databases.mongo.engines.cursor_bytes import can_read_on, read_raw_batches
from monarch.databases.mongo.engines.sent_documents import NotUnique, SentDocuments
from monarch.databases.mongo.stream.batches import Batch, End, Piece, split
from monarch.databases.mongo.stream.snapshot import (
    SNAPSHOT_ENDED,
    SNAPSHOT_ERRORS,
    Snapshot,
    supports_snapshots,
    take_snapshot,
)
from monarch.databases.mongo.subset.reader import refused_query
from monarch.errors import DuplicateKey, ServerError

READERS, WRITERS = 2, 4
# One reply of the server, and what waits between readers and writers.
_BATCH = 1024 * 1024
_WAITING = 6 * 1024 * 1024
# What one command inserts. A reply has no more bytes than that, but masks may make its documents longer. Each
# document has a key in the command.
_MOST_DOCUMENTS, _MOST_BYTES, _KEY = 10_000, 16 << 20, 8
# Documents whose ids are kept in memory, some 100 bytes each.
_MOST_REMEMBERED = 1_000_000
_INDEX = re.compile(r" index: (\S+) dup key:")
# Why a server refuses a document, apart from duplicate keys.
_FIX = (
    "Fix that document at its source, or the rule that it breaks. To write what a validator refuses, "
    "the user also needs the role dbAdmin."
)


class NativeEngine(MongoEngine):
    """Copies documents with pymongo; see the module."""

    name = "native"

    @property
    def versions(self) -> tuple[str, ...]:
        return (f"pymongo {pymongo.version}",)

    def take_snapshot(self, source: DatabaseHandle, collections: tuple[Collection, ...]) -> Snapshot | None:
        return take_snapshot(source, collections)

    def read(
        self,
        source: DatabaseHandle,
        collections: tuple[Collection, ...],
        snapshot: Snapshot | None,
        alive: Callable[[], None],
    ) -> AbstractContextManager[Iterator[Piece]]:
        largest_first = sorted(collections, key=lambda collection: -collection.bytes)
        return gather(largest_first, partial(_read_one, source, snapshot), READERS, _WAITING)

    def write(
        self,
        target: DatabaseHandle,
        destinations: Mapping[str, Destination],
        rights: Rights,
        alive: Callable[[], None],
    ) -> NativeWriter:
        return NativeWriter(target, destinations, rights)


class NativeWriter(Writer, AbstractContextManager["NativeWriter"]):
    """Inserts documents in several threads, which run while its context lasts.

    Documents whose order must be kept are inserted immediately, in the calling thread.
    """

    def __init__(
        self, target: DatabaseHandle, destinations: Mapping[str, Destination], rights: Rights
    ) -> None:
        self._target = target
        self._destinations = destinations
        self._options = {"ordered": True, "writeConcern": QUICK}
        if rights.bypass_validation:
            self._options["bypassDocumentValidation"] = True
        self._channel: ByteQueue[Batch] = ByteQueue(_WAITING)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> NativeWriter:
        self._threads = start_workers(self._work, WRITERS, self._channel)
        return self

    def __exit__(self, *_: object) -> None:
        """End the threads. One that waits for the server's answer gets it first."""
        self._channel.fail(Stopped())
        for thread in self._threads:
            thread.join()

    def write(self, piece: Piece) -> None:
        if isinstance(piece, End):
            return
        if self._destinations[piece.collection].ordered:
            self._insert(piece)
        else:
            self._channel.put(piece, len(piece.payload))

    def finish(self) -> None:
        self._channel.close()
        for thread in self._threads:
            thread.join()
        self._channel.raise_failure()

    def _work(self) -> None:
        for batch in self._channel.take():
            self._insert(batch)

    def _insert(self, batch: Batch) -> None:
        name = self._destinations[batch.collection].collection
        for some in _commands_of(split(batch.payload)):
            documents = list(map(RawBSONDocument, some))
            reply = self._target.command("insert", name, documents=documents, **self._options)
            refuse_write_errors(self._target, batch.collection, reply, len(some))


def _commands_of(documents: list[bytes]) -> Iterator[list[bytes]]:
    """Yield ``documents`` in parts, each of which one command can insert."""
    first, size = 0, 0
    for number, document in enumerate(documents):
        size += len(document) + _KEY
        if number > first and (size > _MOST_BYTES or number - first == _MOST_DOCUMENTS):
            yield documents[first:number]
            first, size = number, len(document) + _KEY
    if documents:
        yield documents[first:]


def refuse_write_errors(target: DatabaseHandle, collection: str, reply: Mapping[str, Any], sent: int) -> None:
    """Check that an insert wrote all ``sent`` documents. A reply that is ok may report refused ones.

    :raises ServerError: with the server's message about the first refused document.
    """
    problems = [*reply.get("writeErrors", ()), *filter(None, [reply.get("writeConcernError")])]
    if problems or reply.get("n") != sent:
        first = problems[0] if problems else reply
        words = " ".join(str(first.get("errmsg", first)).split())
        message = f"MongoDB of {target.name!r} refused a document of {collection!r}: {words[:500]}"
        raise refusal(message, words, _FIX)


def refusal(message: str, words: str, hint: str) -> ServerError:
    """Return the error ``message`` of a server that refused a document with these ``words``.

    The values of a duplicate key are left out of the message: they are somebody's.
    """
    message = without_values(message.partition(" dup key:")[0])
    if "E11000" not in words:
        return ServerError(message, hint)
    again = "If the source was written to while it was read, try again when it is not."
    index = _INDEX.search(words)
    if index is None or index[1] == "_id_":
        return DuplicateKey(message, again)
    return ServerError(
        message,
        f"{again} Or fix the documents at their source, or leave the index out: "
        f"--exclude-index COLLECTION.{index[1]}",
    )


def _read_one(
    source: DatabaseHandle, snapshot: Snapshot | None, collection: Collection, channel: ByteQueue[Piece]
) -> None:
    """Read ``collection``, from ``snapshot`` if that is possible."""
    documents = source.collection(collection.data_name)
    if not supports_snapshots(collection):
        snapshot = None
    elif not can_read_on(documents) and collection.documents > _MOST_REMEMBERED:
        snapshot = None  # it could end while this is read
    _CollectionReader(source, collection, channel, snapshot).read()


class _SnapshotEnded(Exception):
    """A collection can no longer be read from its snapshot."""


class _CollectionReader:
    """Reads one collection from ``snapshot`` as long as the server keeps that, then without it."""

    def __init__(
        self,
        source: DatabaseHandle,
        collection: Collection,
        channel: ByteQueue[Piece],
        snapshot: Snapshot | None,
    ) -> None:
        self._source = source
        self._collection = collection
        self._channel = channel
        self._snapshot = snapshot
        documents = source.collection(collection.data_name)
        # A scan continues where it was. A query is repeated, without the documents that it had found.
        repeats = collection.query is not None or not can_read_on(documents)
        self._sent: SentDocuments | None = None
        if snapshot is not None and repeats:
            self._sent = SentDocuments(
                is_series=collection.as_documents,
                is_sharded=is_connected_to_mongos(documents.database.client),
            )

    def read(self) -> None:
        """Put all documents into the channel, and the end of the collection."""
        for find in (self._collection.query or Query((Find(),))).finds:
            try:
                self._read_found(find)
            except _SnapshotEnded:
                self._end_snapshot()
                self._read_found(find)
        at = self._snapshot.at if self._snapshot is not None else None
        self._channel.put(End(self._collection.data_name, at), 0)

    def _end_snapshot(self) -> None:
        self._snapshot = None

    def _read_found(self, find: Find) -> None:
        collection, source = self._collection, self._source
        if self._sent is not None and self._snapshot is None:
            self._sent.begin_again()
        average = max(1, collection.bytes // max(1, collection.documents))
        size = max(2, min(100_000, _BATCH // average))
        documents: PyMongoCollection[Any] = source.collection(collection.data_name)
        if self._snapshot is not None:
            documents = documents.with_options(read_concern=self._snapshot)
        projection = collection.query.projection if collection.query else None
        batches = read_raw_batches(documents, find, projection, size, self._end_snapshot)
        begun = False
        with source.explained(), closing(batches) as replies:
            try:
                for payload, count in replies:
                    begun = True
                    self._put(payload, count)
            except OperationFailure as error:
                # Before the first reply: for example, the collection was created after the snapshot.
                ended = SNAPSHOT_ERRORS if not begun else SNAPSHOT_ENDED if self._sent is not None else ()
                if self._snapshot is not None and error.code in ended:
                    raise _SnapshotEnded from error
                if collection.query is not None:
                    raise refused_query(source, collection.name, error) from error
                raise

    def _put(self, payload: bytes, count: int) -> None:
        if self._sent is not None and self._snapshot is None:
            try:
                payload, count = self._sent.rest(payload)
            except NotUnique as error:
                raise ServerError(
                    f"{self._collection.name!r} of {self._source.name!r} has documents with one _id on two "
                    "shards, and cannot be read on after its snapshot has ended.",
                    "Nothing was changed. Let the server keep snapshots for longer: "
                    "minSnapshotHistoryWindowInSeconds.",
                ) from error
        elif self._sent is not None:
            self._sent.add(payload)
        if count:
            self._channel.put(Batch(self._collection.data_name, payload, count), len(payload))
