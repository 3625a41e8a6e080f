"""A source that reads an archive of mongodump."""

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
    """The archive in ``stream``. ``expected`` are the collections of its manifest.

    :raises ArchiveError: if the archive is damaged, or holds other collections.
    """

    phase = "restoring"

    def __init__(self, stream: Stream, expected: tuple[CollectionSummary, ...]) -> None:
        self._reader = ArchiveReader(stream)
        self._expected = {summary.name: summary for summary in expected}
        collections = self._reader.prelude.collections
        self.collections = tuple(self._sized(collection) for collection in collections)
        if self.summaries != tuple(sorted(expected, key=lambda summary: summary.name)):
            raise ArchiveError("The archive holds other collections than its manifest lists.")
        self._counts = dict.fromkeys(
            (one.data_name for one in self.collections if one.kind != "view"), (0, 0)
        )

    def take_series_as_documents(self) -> None:
        refuse_series_as_documents(self.collections)

    def _pieces(self, alive: Callable[[], None]) -> AbstractContextManager[Iterator[Piece]]:
        @contextmanager
        def reading() -> Iterator[Iterator[Piece]]:
            yield self._watched()

        return reading()

    def check(self) -> None:
        for collection in self.collections:
            found = self._counts.get(collection.data_name, (0, 0))
            if found != (collection.documents, collection.bytes):
                raise ArchiveError(
                    f"The archive has {found[0]:,} documents of {collection.name!r} in {found[1]:,} bytes, "
                    f"and its manifest says {collection.documents:,} in {collection.bytes:,}."
                )

    def read_through(self, progress: Progress) -> tuple[CopiedCollection, ...]:
        return read_through(self, progress)

    def _sized(self, collection: Collection) -> Collection:
        """Return ``collection`` with the sizes of the manifest; the archive has none."""
        summary = self._expected.get(collection.name)
        if summary is None:
            raise ArchiveError(f"The archive holds {collection.name!r}, which its manifest does not have.")
        return replace(collection, documents=summary.documents, bytes=summary.bytes)

    def _watched(self) -> Iterator[Piece]:
        for piece in self._reader:
            if isinstance(piece, Batch):
                documents, size = self._counts[piece.collection]
                self._counts[piece.collection] = (documents + piece.count, size + len(piece.payload))
            yield piece


def read_through(source: MongoSource, progress: Progress) -> tuple[CopiedCollection, ...]:
    """Read all of ``source`` and check it; return its collections.

    :raises MonarchError: if it is damaged.
    """
    counts = source.begin_phase("verifying", progress)
    with source.pieces(unwatched) as pieces:
        for piece in pieces:
            counts.count(piece)
    source.check()
    return counts.copied()


def refuse_series_as_documents(collections: tuple[Collection, ...]) -> None:
    """Raise the error for an archive whose time series are buckets: only a server can read those."""
    names = ", ".join(repr(one.name) for one in collections if one.kind == "timeseries")
    raise ServerError(
        f"The backup has {names} in the buckets of a time series, and this user may not write those.",
        "Nothing was changed. Give the user of the target the role `restore`.",
    )
