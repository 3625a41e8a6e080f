"""A database as it is read for a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

from monarch.databases.base import Dump, Held
from monarch.databases.mongo.catalog import Collection
from monarch.databases.mongo.endpoint import Endpoint
from monarch.databases.mongo.engines.base import MongoEngine
from monarch.databases.mongo.pieces import Piece
from monarch.databases.mongo.survey import list_entries, read_catalog
from monarch.errors import ServerError


class MongoDump(Dump):
    """What ``source`` holds when this is made, as ``engine`` will read it."""

    def __init__(self, source: Endpoint, engine: MongoEngine) -> None:
        self._source = source
        self._engine = engine
        self.collections = read_catalog(source)

    @property
    def held(self) -> tuple[Held, ...]:
        return tuple(as_held(collection) for collection in self.collections)

    def take_series_as_documents(self) -> None:
        """Read every time series as the documents that one sees in it, not as the server's buckets."""
        self.collections = tuple(
            replace(collection, as_documents=collection.kind == "timeseries")
            for collection in self.collections
        )

    def pieces(self, alive: Callable[[], None]) -> AbstractContextManager[Iterator[Piece]]:
        """All documents; see `MongoEngine.read`."""
        with_documents = tuple(one for one in self.collections if one.kind != "view")
        return self._engine.read(self._source, with_documents, alive)

    def check(self) -> None:
        """See that the collections are still those that have been read.

        :raises ServerError: if one has been dropped, renamed or replaced meanwhile.
        """
        now = {str(entry["name"]): entry.get("info", {}).get("uuid") for entry in list_entries(self._source)}
        for collection in self.collections:
            uuid = now.get(collection.name)
            if collection.name not in now or (uuid is not None and bytes(uuid) != collection.uuid):
                raise ServerError(
                    f"{collection.name!r} of {self._source.name!r} was dropped, renamed or replaced while it "
                    "was read.",
                    "Nothing was changed. Try again when nobody does that.",
                )


def as_held(collection: Collection) -> Held:
    """``collection`` as people see it."""
    return Held(
        collection.name, collection.kind, collection.documents, collection.bytes, len(collection.indexes)
    )
