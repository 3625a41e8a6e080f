"""Read documents of a database from one snapshot, where the server supports it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pymongo.collection import Collection as PyMongoCollection
from pymongo.errors import OperationFailure

from monarch.databases.mongo.catalog.model import CODEC, Collection
from monarch.databases.mongo.catalog.query import Find, size_of
from monarch.databases.mongo.connection.driver_errors import without_values
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.stream.snapshot import (
    SNAPSHOT_ENDED,
    SNAPSHOT_ERRORS,
    Snapshot,
    supports_snapshots,
)
from monarch.errors import MonarchError

_COUNT_MS = 5_000
# An explain reply repeats the filter. A server closes the connection if the reply is too long.
_MOST_EXPLAINED = 4 << 20
_EXCEEDED_TIME = 50
_MISSING_RIGHTS = (13, 18)  # reported elsewhere, with a better message


class SnapshotEnded(Exception):
    """The server no longer keeps the snapshot from which a subset was being resolved."""


@dataclass
class SubsetReader:
    """Reads ``source`` from ``snapshot``. If that is None or fails, it reads the current documents."""

    source: DatabaseHandle
    snapshot: Snapshot | None

    def read(
        self, collection: Collection, find: Find, projection: Mapping[str, Any]
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the documents that ``find`` matches, with the fields of ``projection``.

        :raises MonarchError: with the server's message, if it rejects the query.
        :raises SnapshotEnded: if it took too long.
        """
        with self._explained(collection.name):
            cursor = find.on(self._documents(collection), projection)
            try:
                first = next(cursor, None)
            except OperationFailure as error:
                if error.code not in SNAPSHOT_ERRORS or not self._reads_snapshot(collection):
                    raise
                self.snapshot = None
                cursor = find.on(self._documents(collection), projection)
                first = next(cursor, None)
            if first is not None:
                yield first
                yield from cursor

    def count(self, collection: Collection, find: Find) -> int:
        """Return how many documents ``find`` matches; if counting takes too long, an upper limit."""
        if find.is_all:
            return collection.documents
        more: dict[str, Any] = {"limit": find.limit} if find.limit else {}
        with self._explained(collection.name):
            try:
                documents = self._documents(collection)
                return documents.count_documents(find.filter, maxTimeMS=_COUNT_MS, **more)
            except OperationFailure as error:
                if error.code != _EXCEEDED_TIME and error.code not in SNAPSHOT_ERRORS:
                    # An operator that only find supports, such as $near.
                    return sum(1 for _ in self.read(collection, find, {"_id": 1}))
        return min(find.limit or collection.documents, collection.documents)

    def check(self, collection: Collection, find: Find, projection: Mapping[str, Any] | None) -> None:
        """Check that the server accepts the query. Reads at most one document.

        :raises MonarchError: with the server's message, if it rejects the query.
        """
        command: dict[str, Any] = {"find": collection.data_name, **find.in_command()}
        if projection is not None:
            command["projection"] = dict(projection)
        with self._explained(collection.name):
            if size_of(find.filter) > _MOST_EXPLAINED:
                command |= {"limit": 1, "singleBatch": True}
                self.source.database.command(command, codec_options=CODEC)
            else:
                self.source.database.command(
                    "explain", command, verbosity="queryPlanner", codec_options=CODEC
                )

    def _documents(self, collection: Collection) -> PyMongoCollection[Any]:
        documents = self.source.collection(collection.data_name).with_options(CODEC)
        if self._reads_snapshot(collection):
            return documents.with_options(read_concern=self.snapshot)
        return documents

    def _reads_snapshot(self, collection: Collection) -> bool:
        return self.snapshot is not None and supports_snapshots(collection)

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        with self.source.explained():
            try:
                yield
            except OperationFailure as error:
                if error.code in _MISSING_RIGHTS:
                    raise
                if self.snapshot is not None and error.code in SNAPSHOT_ENDED:
                    raise SnapshotEnded from error
                raise refused_query(self.source, name, error) from error


def with_documents(collection: Collection) -> Collection:
    """Return ``collection`` such that a time series is read as documents, not as buckets."""
    return replace(collection, as_documents=True) if collection.kind == "timeseries" else collection


def refused_query(source: DatabaseHandle, name: str, error: OperationFailure) -> MonarchError:
    """Return the error for a query of the collection ``name`` that the server of ``source`` rejects."""
    reason = without_values(" ".join(str((error.details or {}).get("errmsg", error)).split()))
    return MonarchError(
        f"{source.name!r} rejected the query of {name!r}: {reason[:500]}",
        "Nothing was changed. Fix the query in the query set.",
    )
