"""A database as the files hold it that mongodump writes into a folder.

``<collection>.bson`` has its documents, one behind another; ``<collection>.metadata.json`` its options and
indexes, in the Extended JSON of its time. A view has no documents, and the oldest tools wrote no metadata for
some collections. ``system.*`` are the server's own, but for ``system.js`` and the buckets of a time series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from monarch.databases.base import Archive, Copied, Files
from monarch.databases.mongo.archive import ArchiveError
from monarch.databases.mongo.archive.metadata import collection_name, read_metadata
from monarch.databases.mongo.archive.source import Source
from monarch.databases.mongo.archived import read_through, refuse_series_as_documents
from monarch.databases.mongo.catalog import BUCKETS, Collection
from monarch.databases.mongo.dump import MongoDump
from monarch.databases.mongo.pieces import Batch, End, Piece
from monarch.databases.mongo.survey import is_copied
from monarch.progress import Progress

_DOCUMENTS, _METADATA = ".bson", ".metadata.json"
_LARGEST_METADATA = 64 << 20
_ID = {"v": 2, "key": {"_id": 1}, "name": "_id_"}
# What today's servers take; those of then took anything.
_OPTIONS_OF_INDEXES = {
    *("2dsphereIndexVersion", "background", "bits", "clustered", "coarsestIndexedLevel", "collation"),
    *("default_language", "expireAfterSeconds", "finestIndexedLevel", "hidden", "key", "language_override"),
    *("max", "min", "name", "partialFilterExpression", "sparse", "storageEngine", "textIndexVersion"),
    *("unique", "weights", "wildcardProjection"),
}
# A guess, for the progress alone.
_BYTES_OF_A_DOCUMENT = 200


class MongoFiles(MongoDump, Archive):
    """What ``files`` hold, whose names are those that mongodump gives."""

    deed = "restoring"

    def __init__(self, files: Files) -> None:
        self._files = files
        sizes = files.sizes()
        names = {
            name.removesuffix(end) for end in (_METADATA, _DOCUMENTS) for name in sizes if name.endswith(end)
        }
        if not names:
            raise ArchiveError("It holds no files of mongodump's, whose names end in .bson.")
        found = [self._collection(name, sizes) for name in sorted(names) if is_copied(name)]
        self.collections = tuple(sorted((one for one, _ in found), key=lambda one: one.name))
        self._sources = {one.data_name: file for one, file in found if one.kind != "view"}
        if len({one.name for one in self.collections}) != len(self.collections):
            raise ArchiveError("It holds two collections of one name.")

    def take_series_as_documents(self) -> None:
        refuse_series_as_documents(self.collections)

    def pieces(self, alive: Callable[[], None]) -> AbstractContextManager[Iterator[Piece]]:
        @contextmanager
        def reading() -> Iterator[Iterator[Piece]]:
            yield self._pieces()

        return reading()

    def check(self) -> None:
        """Each file has been read to its end, with its checksum."""

    def read_through(self, progress: Progress) -> tuple[Copied, ...]:
        return read_through(self, progress)

    def _pieces(self) -> Iterator[Piece]:
        for name, file in self._sources.items():
            if file in self._files.sizes():
                with self._files.open(file) as stream:
                    source = Source(stream)
                    while source.fill(1):
                        yield Batch(name, *source.documents())
            yield End(name)

    def _collection(self, name: str, sizes: Mapping[str, int]) -> tuple[Collection, str]:
        """What is called so among the files, and the file of its documents."""
        text = self._metadata(name) if name + _METADATA in sizes else "{}"
        try:
            collection = read_metadata(collection_name(text) or name, text, None)
        except ArchiveError as error:
            raise ArchiveError(f"{name + _METADATA} says nothing sensible: {error.message}.") from error
        file = (BUCKETS if collection.data_name.startswith(BUCKETS) else "") + name + _DOCUMENTS
        size = sizes.get(file, 0)
        options = {key: value for key, value in collection.options.items() if key != "create"}
        collection = replace(
            collection,
            options=options,
            indexes=_modern(collection),
            documents=size // _BYTES_OF_A_DOCUMENT,
            bytes=size,
        )
        return collection, file

    def _metadata(self, name: str) -> str:
        text = bytearray()
        with self._files.open(name + _METADATA) as stream:
            while (part := stream.read(1 << 16)) and len(text) <= _LARGEST_METADATA:
                text += part
        return text.decode(errors="replace")


def _modern(collection: Collection) -> tuple[Mapping[str, Any], ...]:
    """The indexes of ``collection`` as servers take them today."""
    if collection.kind == "view":
        return ()
    indexes = [_index(index) for index in collection.indexes if index.get("name") != "_id_"]
    if collection.kind == "timeseries":
        return tuple(indexes)
    old = next((index for index in collection.indexes if index.get("name") == "_id_"), {})
    collation = {"collation": old["collation"]} if "collation" in old else {}
    return ({**_ID, **collation}, *indexes)


def _index(index: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in index.items() if key in _OPTIONS_OF_INDEXES}
    # 0, true and "" were taken for 1.
    kept["key"] = {
        field: 1 if isinstance(value, bool) or not value else value for field, value in index["key"].items()
    }
    return kept
