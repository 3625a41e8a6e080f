"""A source that reads a database of a server, for a copy or a backup."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import bson
from bson import Timestamp
from pymongo.errors import OperationFailure

from monarch.databases.mongo.archive import TOOL_VERSION
from monarch.databases.mongo.archive.prelude import Prelude
from monarch.databases.mongo.catalog.model import CODEC, Collection
from monarch.databases.mongo.catalog.query import Find, Query, redact_values
from monarch.databases.mongo.catalog.read import list_entries, read_catalog, uuid_of
from monarch.databases.mongo.collection_names import HISTORY, JOURNAL
from monarch.databases.mongo.connection.cluster import is_shard, read_placement
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.engines.base import MongoEngine
from monarch.databases.mongo.engines.cursor_bytes import read_raw_batches
from monarch.databases.mongo.extended_json import as_text
from monarch.databases.mongo.sources.base import MongoSource, require_mongo_source
from monarch.databases.mongo.sources.losses import describe_losses, describe_shard
from monarch.databases.mongo.sources.writing import write_all
from monarch.databases.mongo.stream.batches import Batch, End, Piece, split
from monarch.databases.mongo.stream.digests import ContentHashes
from monarch.databases.mongo.stream.snapshot import (
    SNAPSHOT_ENDED,
    Snapshot,
    fits_snapshot_window,
    supports_snapshots,
)
from monarch.databases.mongo.subset.reader import SnapshotEnded, SubsetReader
from monarch.databases.mongo.subset.resolve import Subset
from monarch.databases.mongo.swap_state import read_head, unfinished
from monarch.databases.selection import Selection
from monarch.databases.transfer import ArchiveSource, CollectionDigest, CopiedCollection, LiveSource
from monarch.errors import ServerError
from monarch.progress import Progress
from monarch.system.streams import Sink

_NAMESPACE_NOT_FOUND = 26
_ATTEMPTS, _RETRY_SECONDS = 5, 0.01


class MongoServerSource(MongoSource, LiveSource):
    """The contents of ``source``, or of a ``selection``, read by ``engine``.

    The catalog is read when this is created.
    """

    phase = "copying"

    def __init__(
        self, source: DatabaseHandle, engine: MongoEngine, selection: Selection | None = None
    ) -> None:
        self._source = source
        self._engine = engine
        self._snapshot: Snapshot | None = None
        self._digests: tuple[CollectionDigest, ...] = ()
        self._history = b""  # its hash when the reading began
        self.collections = read_catalog(source)
        if selection is not None:
            reading = SubsetReader(source, engine.take_snapshot(source, self.collections))
            subset = Subset(reading, self.collections, selection)
            try:
                self.collections = subset.collections()
            except SnapshotEnded:
                reading = SubsetReader(source, None)
                subset = Subset(reading, self.collections, selection)
                self.collections = subset.collections()
            self._snapshot, self._notes = reading.snapshot, subset.notes
        self._placement = read_placement(source)
        self._is_shard = self._placement is None and is_shard(source)
        self._partial = selection is not None
        self._counts: Counter[str] = Counter()
        self._snapshots: set[Timestamp | None] = set()

    @property
    def server(self) -> str:
        cluster = "" if self._placement is None else ", a sharded cluster"
        return f"MongoDB {self._server_version()}{cluster}"

    def take_series_as_documents(self) -> None:
        self.collections = tuple(
            replace(collection, as_documents=collection.kind == "timeseries")
            for collection in self.collections
        )

    @property
    def filters(self) -> tuple[str, ...]:
        return tuple(
            f"{one.name}: {' and '.join(map(redact_values, one.query.finds)) or 'nothing'}"
            for one in self.collections
            if one.query is not None
        )

    @property
    def one_snapshot(self) -> bool:
        return len(self._snapshots) <= 1 and None not in self._snapshots

    @property
    def notes(self) -> tuple[str, ...]:
        if self._is_shard:
            return (describe_shard(self._source.name), *self._notes)
        if self._placement is None:
            return self._notes
        return self._notes + tuple(describe_losses(self._placement, self._source.name, self.collections))

    @property
    def digests(self) -> tuple[CollectionDigest, ...]:
        return self._digests

    @contextmanager
    def _pieces(self, alive: Callable[[], None]) -> Iterator[Iterator[Piece]]:
        with_documents = tuple(one for one in self.collections if one.kind != "view")
        if not fits_snapshot_window(with_documents):
            self._snapshot = None
        elif not self._partial:  # a subset has the snapshot in which its queries were resolved
            self._snapshot = self._engine.take_snapshot(self._source, with_documents)
        self._history = self._hash_history()
        with self._engine.read(self._source, with_documents, self._snapshot, alive) as pieces:
            yield self._watched(pieces)

    def _watched(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            if isinstance(piece, Batch):
                self._counts[piece.collection] += piece.count
            else:
                self._end(piece)
                if not self._counts[piece.collection]:
                    self._require_empty(piece.collection, piece.at)
            yield piece

    def _end(self, piece: End) -> None:
        ended = piece.at is None and self._snapshot is not None and None not in self._snapshots
        if ended and supports_snapshots(self._collection(piece.collection)):
            self.progress.message(
                "the server no longer keeps the snapshot from which this was read: "
                f"{piece.collection} and what is read after it are as of their own times"
            )
        self._snapshots.add(piece.at)

    def check(self) -> None:
        """Check that the collections are still those that were read.

        :raises ServerError: if one was dropped, renamed or replaced meanwhile, or if a migration ran and they
            were not read from one snapshot: the history would name changes that some of them lack.
        :raises IncompleteDatabase: if a copy into the source is unfinished.
        """
        if not self.one_snapshot and self._hash_history() != self._history:
            raise ServerError(
                f"A migration ran on {self._source.name!r} while it was read, and not from one snapshot.",
                "Nothing was changed. Try again when no migration runs there.",
            )
        entries = {str(entry["name"]): entry for entry in list_entries(self._source)}
        head = read_head(self._source.on_primary())
        if head is not None:
            raise unfinished(self._source.name, head)
        for collection in self.collections:
            entry = entries.get(collection.name)
            if entry is None or uuid_of(entry, entries) != collection.uuid:
                raise self._changed(collection)

    def documents(self, number: int) -> Iterator[tuple[str, str]]:
        for collection in self.collections:
            if collection.kind == "view" or collection.name in (HISTORY, JOURNAL):
                continue
            query = collection.query or Query((Find(),))
            documents = self._source.collection(collection.data_name)
            for find in query.finds[:1]:
                some = replace(find, limit=min(number, find.limit or number))
                with self._source.explained():
                    for payload, count in read_raw_batches(
                        documents, some, query.projection, number, lambda: None
                    ):
                        masked = self._transform(Batch(collection.data_name, payload, count))
                        yield from ((collection.name, as_text(one)) for one in split(masked.payload))

    def write_archive(
        self, sink: Sink, progress: Progress, *, hashes: bool = True
    ) -> tuple[CopiedCollection, ...]:
        counts = self.begin_phase("dumping", progress)
        hashed = self.collections if hashes else ()
        contents = ContentHashes(hashed, is_sharded=self._placement is not None)
        database = self._source.environment.db_name
        prelude = Prelude(database, self.collections, self._server_version(), TOOL_VERSION)
        write_all(self, prelude, sink, counts, contents)
        self._digests = tuple(map(contents.digest, hashed))
        return counts.copied()

    def check_archive(self, open_written: Callable[[], AbstractContextManager[ArchiveSource]]) -> None:
        for check in self.checks:
            self.progress.phase("checking")
            with open_written() as archive:
                check.check_written(require_mongo_source(archive).read_some)

    def _hash_history(self) -> bytes:
        """Return a hash of the history as it is now."""
        found = hashlib.sha256()
        with self._source.explained():
            history = self._source.on_primary().collection(HISTORY).with_options(CODEC)
            for document in history.find(sort=[("_id", 1)]):
                found.update(bson.encode(document, codec_options=CODEC))
        return found.digest()

    def _require_empty(self, name: str, at: Timestamp | None) -> None:
        """Check that a collection without documents is empty: one that was renamed reads the same."""
        collection = self._collection(name)
        query = collection.query
        # `_count_now` raises if it does not exist.
        if self._count_now(name) == 0 or (query is not None and not query.finds):
            return
        documents = self._source.collection(name)
        if at is not None:
            documents = documents.with_options(read_concern=Snapshot(at))
        # Repeated if documents were expected, because it may be renamed again. And the quick count of a
        # server that died is wrong until the server has validated it.
        for _ in range(_ATTEMPTS if query is None or collection.documents else 1):
            with self._source.explained():
                try:
                    found = documents.find_one(query.finds[0].filter if query else {}, {"_id": 1})
                except OperationFailure as error:
                    if error.code not in SNAPSHOT_ENDED:
                        raise
                    found = {"renamed": "since"}
            if found is not None:
                raise self._changed(collection)
            time.sleep(_RETRY_SECONDS)

    def _count_now(self, name: str) -> int | None:
        """Return how many documents an existing collection has; None if this user may not ask.

        :raises ServerError: if the collection does not exist.
        """
        pipeline: list[dict[str, Any]] = [{"$collStats": {"count": {}}}]
        with self._source.explained():
            try:
                # Each shard answers for its part.
                return sum(int(one["count"]) for one in self._source.collection(name).aggregate(pipeline))
            except OperationFailure as error:
                if error.code == _NAMESPACE_NOT_FOUND:
                    raise self._changed(self._collection(name)) from error
                return None

    def _collection(self, name: str) -> Collection:
        (collection,) = (one for one in self.collections if one.data_name == name)
        return collection

    def _changed(self, collection: Collection) -> ServerError:
        return ServerError(
            f"{collection.name!r} of {self._source.name!r} was dropped, renamed or replaced while it was "
            "read.",
            "Nothing was changed. Try again when no other program changes its collections.",
        )

    def _server_version(self) -> str:
        return str(self._source.command("buildInfo")["version"])
