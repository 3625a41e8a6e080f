"""Count the documents and bytes of each collection, and the time that they take."""

from __future__ import annotations

import time
from dataclasses import dataclass

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.stream.batches import Batch, Piece
from monarch.databases.transfer import CopiedCollection
from monarch.progress import Progress


@dataclass
class Count:
    """The documents and bytes of one collection; ``first`` and ``last`` are times of `time.monotonic`."""

    documents: int = 0
    bytes: int = 0
    first: float = 0.0
    last: float = 0.0


class Counts:
    """A `Count` for each of ``collections`` except views, by its ``data_name``."""

    def __init__(self, collections: tuple[Collection, ...], progress: Progress) -> None:
        self._collections = collections
        self._progress = progress
        self._counts = {one.data_name: Count() for one in collections if one.kind != "view"}

    def count(self, piece: Piece) -> None:
        """Count ``piece``, and report it to the progress."""
        count = self._counts[piece.collection]
        count.last = time.monotonic()
        count.first = count.first or count.last
        if isinstance(piece, Batch):
            count.documents += piece.count
            count.bytes += len(piece.payload)
            self._progress.transferred(piece.count, len(piece.payload))

    def add_seconds(self, collection: Collection, seconds: float) -> None:
        """Add the seconds that the indexes of ``collection`` took."""
        self._counts[collection.data_name].last += seconds

    def documents(self) -> dict[str, int]:
        """Return the number of documents of each collection."""
        return {name: count.documents for name, count in self._counts.items()}

    def copied(self) -> tuple[CopiedCollection, ...]:
        """Return all counts, for people."""
        return tuple(map(self._copied, self._collections))

    def _copied(self, collection: Collection) -> CopiedCollection:
        count = self._counts.get(collection.data_name, Count())
        return CopiedCollection(
            name=collection.new_name,
            kind=collection.kind,
            documents=count.documents,
            bytes=count.bytes,
            indexes=len(collection.indexes),
            seconds=round(count.last - count.first, 3),
        )
