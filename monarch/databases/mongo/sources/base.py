"""What one database holds, on its way into another."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import ClassVar

from monarch.databases.base import CollectionSummary, Source
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.stream.batches import Piece
from monarch.databases.mongo.stream.counts import Counts
from monarch.progress import Progress


class MongoSource(Source):
    """A dump of MongoDB, wherever it comes from.

    ``collections`` are what it holds. ``deed`` says for people what is done when it is put into a database.
    """

    deed: ClassVar[str]
    collections: tuple[Collection, ...]

    @property
    def held(self) -> tuple[CollectionSummary, ...]:
        return tuple(as_held(collection) for collection in self.collections)

    @abstractmethod
    def take_series_as_documents(self) -> None:
        """Read every time series as the documents that one sees in it, not as the server's buckets.

        :raises MonarchError: if that cannot be done.
        """

    @abstractmethod
    def pieces(self, alive: Callable[[], None]) -> AbstractContextManager[Iterator[Piece]]:
        """All documents; see `MongoEngine.read`."""

    @abstractmethod
    def check(self) -> None:
        """See, once all pieces have come, that they were all there is, and what there was.

        :raises MonarchError: if not.
        """

    def expect(self, phase: str, progress: Progress) -> Counts:
        """Tell that a phase begins in which all of it comes by; the tallies that count it."""
        held = self.held
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
