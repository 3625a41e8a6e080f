"""Read documents of a database from one snapshot, where the server supports it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pymongo.collection import Collection as PyMongoCollection
from pymongo.errors import OperationFailure

from monarch.databases.mongo.catalog.model import CODEC, Collection
from monarch.databases.mongo.catalog.query import Find, size_of
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.stream.snapshot import SNAPSHOT_ERRORS, Snapshot, supports_snapshots
from monarch.errors import MonarchError

_COUNT_MS = 5_000
# An explanation repeats the filter, and a server closes the connection where it becomes too long to be sent.
_MOST_EXPLAINED = 4 << 20
_EXCEEDED_TIME = 50
_RIGHTS = (13, 18)  # what may not be read, for which there are better words


@dataclass
class SubsetReader:
    """Reads ``source`` from the snapshot ``moment``, or as it is now once that has become None."""

    source: DatabaseHandle
    moment: Snapshot | None

    def read(
        self, collection: Collection, find: Find, projection: Mapping[str, Any]
    ) -> Iterator[Mapping[str, Any]]:
        """The documents that ``find`` finds, with the fields of ``projection``.

        :raises MonarchError: with the server's words, if it does not take that.
        """
        with self._explained(collection.name):
            cursor = find.on(self._documents(collection), projection)
            try:
                first = next(cursor, None)
            except OperationFailure as error:
                if error.code not in SNAPSHOT_ERRORS or not self._is_of_moment(collection):
                    raise
                self.moment = None
                cursor = find.on(self._documents(collection), projection)
                first = next(cursor, None)
            if first is not None:
                yield first
                yield from cursor

    def count(self, collection: Collection, find: Find) -> int:
        """How many documents ``find`` finds; if that takes long, how many it could be at most."""
        if find.is_all:
            return collection.documents
        more: dict[str, Any] = {"limit": find.limit} if find.limit else {}
        with self._explained(collection.name):
            try:
                documents = self._documents(collection)
                return documents.count_documents(find.filter, maxTimeMS=_COUNT_MS, **more)
            except OperationFailure as error:
                if error.code != _EXCEEDED_TIME and error.code not in SNAPSHOT_ERRORS:
                    # An operator that only find has, such as $near.
                    return sum(1 for _ in self.read(collection, find, {"_id": 1}))
        return min(find.limit or collection.documents, collection.documents)

    def check(self, collection: Collection, find: Find, projection: Mapping[str, Any] | None) -> None:
        """See that the server understands it. Reads one document at most.

        :raises MonarchError: with the server's words.
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
        documents = self.source.database[collection.data_name].with_options(CODEC)
        if self._is_of_moment(collection):
            return documents.with_options(read_concern=self.moment)
        return documents

    def _is_of_moment(self, collection: Collection) -> bool:
        return self.moment is not None and supports_snapshots(collection)

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        with self.source.explained():
            try:
                yield
            except OperationFailure as error:
                if error.code in _RIGHTS:
                    raise
                raise refused_query(self.source, name, error) from error


def refused_query(source: DatabaseHandle, name: str, error: OperationFailure) -> MonarchError:
    """What to say of a query of the collection ``name`` that the server of ``source`` does not take."""
    words = " ".join(str((error.details or {}).get("errmsg", error)).split())
    return MonarchError(
        f"The query of {name!r} is refused by {source.name!r}: {words[:500]}",
        "Nothing was changed. Fix it in the query set.",
    )
