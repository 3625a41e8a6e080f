"""Writing documents in the order of an archive, and reading them in that order again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from monarch.databases.mongo.catalog.query import Find
from monarch.databases.mongo.catalog.read import read_catalog
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.engines.base import Destination, Rights
from monarch.databases.mongo.engines.cursor_bytes import read_raw_batches
from monarch.databases.mongo.engines.native import NativeEngine, NativeWriter
from monarch.databases.mongo.stream.batches import Batch
from monarch.databases.mongo.stream.digests import ContentHashes, is_exact
from monarch.databases.transfer import CollectionSummary, InspectedCollection
from monarch.progress import Progress

_BATCH = 10_000


class OrderedEngine(NativeEngine):
    """Inserts the documents of each collection in their order, by one writer."""

    def write(
        self,
        target: DatabaseHandle,
        destinations: Mapping[str, Destination],
        rights: Rights,
        alive: Callable[[], None],
    ) -> NativeWriter:
        ordered = {name: replace(one, ordered=True) for name, one in destinations.items()}
        return super().write(target, ordered, rights, alive)


def inspect(endpoint: DatabaseHandle, progress: Progress) -> tuple[InspectedCollection, ...]:
    """Read all of the database, and return its collections with the hashes of their contents."""
    collections = read_catalog(endpoint)
    hashes = ContentHashes(collections, is_sharded=False)
    found = []
    for collection in collections:
        documents = size = 0
        unpacked = None
        if collection.kind != "view":
            source = endpoint.collection(collection.data_name)
            with endpoint.explained():
                for payload, count in read_raw_batches(source, Find(), None, _BATCH, lambda: None):
                    documents += count
                    size += len(payload)
                    hashes.add(Batch(collection.data_name, payload, count))
                    progress.transferred(count, len(payload))
                if collection.kind == "timeseries":
                    unpacked = endpoint.collection(collection.name).count_documents({})
        summary = CollectionSummary(
            collection.name, collection.kind, documents, size, len(collection.indexes)
        )
        found.append(InspectedCollection(summary, hashes.digest(collection), is_exact(collection), unpacked))
    return tuple(found)
