"""A database as an archive holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from monarch.databases.mongo.archive import ArchiveError
from monarch.databases.mongo.archive.reader import ArchiveReader
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.sources.base import MongoSource, unwatched
from monarch.databases.mongo.stream.batches import Batch, Piece
from monarch.databases.transfer import ArchiveSource, CollectionSummary, CopiedCollection
from monarch.errors import ServerError
from monarch.progress import Progress
from monarch.system.streams import Stream


class MongoArchiveSource(MongoSource, ArchiveSource):
    """The archive in ``stream``, which holds what ``expected`` says, or it is damaged."""

    deed = "restoring"

    def __init__(self, stream: Stream, expected: tuple[CollectionSummary, ...]) -> None:
        self._reader = ArchiveReader(stream)
        self._expected = {held.name: held for held in expected}
        collections = self._reader.prelude.collections
        self.collections = tuple(self._sized(collection) for collection in collections)
        if self.summaries != tuple(sorted(expected, key=lambda held: held.name)):
            raise ArchiveError("The archive holds other collections than its manifest says.")
        self._came = dict.fromkeys((one.data_name for one in self.collections if one.kind != "view"), (0, 0))

    def take_series_as_documents(self) -> None:
        refuse_series_as_documents(self.collections)

    def _pieces(self, alive: Callable[[], None]) -> AbstractContextManager[Iterator[Piece]]:
        @contextmanager
        def reading() -> Iterator[Iterator[Piece]]:
            yield self._counted()

        return reading()

    def check(self) -> None:
        for collection in self.collections:
            came = self._came.get(collection.data_name, (0, 0))
            if came != (collection.documents, collection.bytes):
                raise ArchiveError(
                    f"The archive has {came[0]:,} documents of {collection.name!r} in {came[1]:,} bytes, and "
                    f"its manifest says {collection.documents:,} in {collection.bytes:,}."
                )

    def read_through(self, progress: Progress) -> tuple[CopiedCollection, ...]:
        return read_through(self, progress)

    def _sized(self, collection: Collection) -> Collection:
        """``collection`` as large as the manifest says; the archive itself does not."""
        held = self._expected.get(collection.name)
        if held is None:
            raise ArchiveError(f"The archive holds {collection.name!r}, which its manifest does not have.")
        return replace(collection, documents=held.documents, bytes=held.bytes)

    def _counted(self) -> Iterator[Piece]:
        for piece in self._reader:
            if isinstance(piece, Batch):
                documents, size = self._came[piece.collection]
                self._came[piece.collection] = (documents + piece.count, size + len(piece.payload))
            yield piece


def read_through(dump: MongoSource, progress: Progress) -> tuple[CopiedCollection, ...]:
    """Read all of ``dump``, and see that it is what it should be."""
    tallies = dump.expect("verifying", progress)
    with dump.pieces(unwatched) as pieces:
        for piece in pieces:
            tallies.count(piece)
    dump.check()
    return tallies.copied()


def refuse_series_as_documents(collections: tuple[Collection, ...]) -> None:
    """What was written as buckets can be read by a server alone."""
    names = ", ".join(repr(one.name) for one in collections if one.kind == "timeseries")
    raise ServerError(
        f"The backup has {names} in the buckets of a time series, and this user may not write those.",
        "Nothing was changed. Give the user of the target the role `restore`.",
    )
