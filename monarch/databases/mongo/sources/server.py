"""A database as it is read for a copy or a backup."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from bson import Timestamp
from pymongo.errors import OperationFailure

from monarch.databases.mongo.archive.prelude import Prelude
from monarch.databases.mongo.archive.writer import ArchiveWriter
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.catalog.query import redact_values
from monarch.databases.mongo.catalog.read import list_entries, read_catalog, uuid_of
from monarch.databases.mongo.engines.base import MongoEngine
from monarch.databases.mongo.handle import DatabaseHandle
from monarch.databases.mongo.sources.base import MongoSource, unwatched
from monarch.databases.mongo.stream.batches import Batch, Piece
from monarch.databases.mongo.stream.snapshot import SNAPSHOT_UNAVAILABLE, Snapshot, fits_snapshot_window
from monarch.databases.mongo.subset.reader import SubsetReader
from monarch.databases.mongo.subset.resolve import Subset
from monarch.databases.mongo.swap_state import read_head, unfinished
from monarch.databases.selection import Selection
from monarch.databases.transfer import CopiedCollection, LiveSource
from monarch.errors import ServerError
from monarch.progress import Progress
from monarch.system.streams import Sink

# The tool whose archives ours are like; mongorestore reads it, and wants a number.
_LIKE_TOOL = "100.3.1"
_NAMESPACE_NOT_FOUND = 26
_LOOKS, _BETWEEN_LOOKS = 5, 0.01


class MongoServerSource(MongoSource, LiveSource):
    """What ``source`` holds when this is made, as ``engine`` will read it."""

    deed = "copying"

    def __init__(
        self, source: DatabaseHandle, engine: MongoEngine, selection: Selection | None = None
    ) -> None:
        self._source = source
        self._engine = engine
        self._moment: Snapshot | None = None
        self.collections = read_catalog(source)
        if selection is not None:
            reading = SubsetReader(source, engine.take_snapshot(source, self.collections))
            self.collections = Subset(reading, self.collections, selection).collections()
            self._moment = reading.moment
        self._partial = selection is not None
        self._came: Counter[str] = Counter()
        self._moments: set[Timestamp | None] = set()

    @property
    def server(self) -> str:
        return f"MongoDB {self._server_version()}"

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
        return len(self._moments) <= 1 and None not in self._moments

    @contextmanager
    def _pieces(self, alive: Callable[[], None]) -> Iterator[Iterator[Piece]]:
        with_documents = tuple(one for one in self.collections if one.kind != "view")
        if not fits_snapshot_window(with_documents):
            self._moment = None
        elif not self._partial:  # then it is the one of which its queries are
            self._moment = self._engine.take_snapshot(self._source, with_documents)
        with self._engine.read(self._source, with_documents, self._moment, alive) as pieces:
            yield self._noted(pieces)

    def _noted(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            if isinstance(piece, Batch):
                self._came[piece.collection] += piece.count
            else:
                self._moments.add(piece.at)
                if not self._came[piece.collection]:
                    self._see_that_it_is_empty(piece.collection, piece.at)
            yield piece

    def check(self) -> None:
        """See that the collections are still those that have been read.

        :raises ServerError: if one has been dropped, renamed or replaced meanwhile.
        :raises NotWhole: if the source is in the middle of being replaced itself.
        """
        entries = {str(entry["name"]): entry for entry in list_entries(self._source)}
        head = read_head(self._source.on_primary())
        if head is not None:
            raise unfinished(self._source.name, head)
        for collection in self.collections:
            entry = entries.get(collection.name)
            if entry is None or uuid_of(entry, entries) != collection.uuid:
                raise self._gone(collection)

    def write_archive(self, sink: Sink, progress: Progress) -> tuple[CopiedCollection, ...]:
        tallies = self.expect("dumping", progress)
        database = self._source.environment.db_name
        writer = ArchiveWriter(sink, Prelude(database, self.collections, self._server_version(), _LIKE_TOOL))
        with self.pieces(unwatched) as pieces:
            for piece in pieces:
                tallies.count(piece)
                writer.write(piece)
        writer.close()
        self.check()
        return tallies.copied()

    def _see_that_it_is_empty(self, name: str, at: Timestamp | None) -> None:
        """A collection that was renamed away for a moment reads like an empty one."""
        collection = self._called(name)
        query = collection.query
        # That it is there, the first tells in any case.
        if self._holds_now(name) == 0 or (query is not None and not query.finds):
            return
        documents = self._source.database[name]
        if at is not None:
            documents = documents.with_options(read_concern=Snapshot(at))
        # Not only once, where something was expected: it may be away again. And a server that has died counts
        # wrongly until it has looked.
        for _ in range(_LOOKS if query is None or collection.documents else 1):
            with self._source.explained():
                try:
                    found = documents.find_one(query.finds[0].filter if query else {}, {"_id": 1})
                except OperationFailure as error:
                    if error.code != SNAPSHOT_UNAVAILABLE:
                        raise
                    found = {"renamed": "since"}
            if found is not None:
                raise self._gone(collection)
            time.sleep(_BETWEEN_LOOKS)

    def _holds_now(self, name: str) -> int | None:
        """How many documents it has, which only one that is there can tell; None if it cannot."""
        pipeline: list[dict[str, Any]] = [{"$collStats": {"count": {}}}]
        with self._source.explained():
            try:
                return int(next(self._source.database[name].aggregate(pipeline))["count"])
            except OperationFailure as error:
                if error.code == _NAMESPACE_NOT_FOUND:
                    raise self._gone(self._called(name)) from error
                return None

    def _called(self, name: str) -> Collection:
        (collection,) = (one for one in self.collections if one.data_name == name)
        return collection

    def _gone(self, collection: Collection) -> ServerError:
        return ServerError(
            f"{collection.name!r} of {self._source.name!r} was dropped, renamed or replaced while it was "
            "read.",
            "Nothing was changed. Try again when nobody does that.",
        )

    def _server_version(self) -> str:
        return str(self._source.command("buildInfo")["version"])
