"""What one database holds, on its way into another."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, Self

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.stream.batches import Batch, Piece, measure_documents
from monarch.databases.mongo.stream.counts import Counts
from monarch.databases.transfer import CollectionSummary, Source, Transform
from monarch.errors import MonarchError, UsageError
from monarch.progress import Progress


class MongoSource(Source):
    """A dump of MongoDB, wherever it comes from.

    ``collections`` are what it holds. ``deed`` says for people what is done when it is put into a database.
    """

    kind = "mongo"
    title = "MongoDB"
    deed: ClassVar[str]
    collections: tuple[Collection, ...]
    _transforms: tuple[Transform, ...] = ()

    def transformed(self, transforms: tuple[Transform, ...]) -> Self:
        """See `Source.transformed`. Its bytes are counted before the transforms, its documents may grow."""
        changed = copy.copy(self)
        changed._transforms = (*self._transforms, *transforms)
        return changed

    def pieces(self, alive: Callable[[], None]) -> AbstractContextManager[Iterator[Piece]]:
        """All documents, transformed; see `MongoEngine.read`."""
        return self._transformed(alive) if self._transforms else self._pieces(alive)

    @contextmanager
    def _transformed(self, alive: Callable[[], None]) -> Iterator[Iterator[Piece]]:
        with self._pieces(alive) as pieces:
            yield (self._transform(piece) if isinstance(piece, Batch) else piece for piece in pieces)

    def _transform(self, batch: Batch) -> Batch:
        payload = batch.payload
        for transform in self._transforms:
            payload = transform(batch.collection, payload)
        if measure_documents(payload, 0) != (len(payload), batch.count):
            raise MonarchError(
                f"A transform of {batch.collection!r} returned other than {batch.count:,} whole documents."
            )
        return Batch(batch.collection, payload, batch.count)

    @property
    def summaries(self) -> tuple[CollectionSummary, ...]:
        return tuple(as_held(collection) for collection in self.collections)

    @abstractmethod
    def take_series_as_documents(self) -> None:
        """Read every time series as the documents that one sees in it, not as the server's buckets.

        :raises MonarchError: if that cannot be done.
        """

    @abstractmethod
    def _pieces(self, alive: Callable[[], None]) -> AbstractContextManager[Iterator[Piece]]:
        """All documents as they are read; see `MongoEngine.read`."""

    @abstractmethod
    def check(self) -> None:
        """See, once all pieces have come, that they were all there is, and what there was.

        :raises MonarchError: if not.
        """

    def expect(self, phase: str, progress: Progress) -> Counts:
        """Tell that a phase begins in which all of it comes by; the tallies that count it."""
        held = self.summaries
        progress.phase(phase)
        progress.expects(sum(one.documents for one in held), sum(one.bytes for one in held))
        return Counts(self.collections, progress)


def as_held(collection: Collection) -> CollectionSummary:
    """``collection`` as people see it."""
    return CollectionSummary(
        collection.name, collection.kind, collection.documents, collection.bytes, len(collection.indexes)
    )


def unwatched() -> None:
    """For `MongoSource.pieces` where nobody holds anything that could be lost meanwhile."""


def require_mongo_source(source: Source) -> MongoSource:
    """``source`` as one of MongoDB's documents.

    :raises UsageError: if it is of another kind of database.
    """
    if not isinstance(source, MongoSource):
        raise UsageError(f"{source.title} cannot be written into MongoDB.")
    return source
