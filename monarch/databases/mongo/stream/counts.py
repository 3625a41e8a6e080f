"""How much of each collection has come by, and when."""

from __future__ import annotations

import time
from dataclasses import dataclass

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.stream.batches import Batch, Piece
from monarch.databases.transfer import CopiedCollection
from monarch.progress import Progress


@dataclass
class Count:
    """What came of one collection, from its first documents to its last ones, or to its indexes."""

    documents: int = 0
    bytes: int = 0
    first: float = 0.0
    last: float = 0.0


class Counts:
    """One tally for each of ``collections`` that has documents, by its ``data_name``."""

    def __init__(self, collections: tuple[Collection, ...], progress: Progress) -> None:
        self._collections = collections
        self._progress = progress
        self._tallies = {one.data_name: Count() for one in collections if one.kind != "view"}

    def count(self, piece: Piece) -> None:
        """``piece`` comes by."""
        tally = self._tallies[piece.collection]
        tally.last = time.monotonic()
        tally.first = tally.first or tally.last
        if isinstance(piece, Batch):
            tally.documents += piece.count
            tally.bytes += len(piece.payload)
            self._progress.passed(piece.count, len(piece.payload))

    def add_seconds(self, collection: Collection, seconds: float) -> None:
        """So long have the indexes of ``collection`` taken."""
        self._tallies[collection.data_name].last += seconds

    def documents(self) -> dict[str, int]:
        """How many documents have come of each."""
        return {name: tally.documents for name, tally in self._tallies.items()}

    def copied(self) -> tuple[CopiedCollection, ...]:
        """All of it for people."""
        return tuple(map(self._copied, self._collections))

    def _copied(self, collection: Collection) -> CopiedCollection:
        tally = self._tallies.get(collection.data_name, Count())
        return CopiedCollection(
            name=collection.name,
            kind=collection.kind,
            documents=tally.documents,
            bytes=tally.bytes,
            indexes=len(collection.indexes),
            seconds=round(tally.last - tally.first, 3),
        )
