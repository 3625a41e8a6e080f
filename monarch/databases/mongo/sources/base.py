"""The contract of a source: the contents of a database, read as a stream."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, Self

from monarch.databases.mongo.catalog.choose import choose
from monarch.databases.mongo.catalog.model import BUCKETS, Collection
from monarch.databases.mongo.stream.batches import Batch, Piece, measure_documents
from monarch.databases.mongo.stream.counts import Counts
from monarch.databases.mongo.stream.ordered import change_batches
from monarch.databases.selection import Choice
from monarch.databases.transfer import CollectionSummary, Source
from monarch.databases.transform import Transform, WrittenCheck
from monarch.errors import MonarchError, UsageError
from monarch.progress import SILENT, Progress


class MongoSource(Source):
    """The contents of a MongoDB database: of a server, an archive or a folder.

    ``phase`` is what the progress calls writing it into a database.
    """

    kind = "mongo"
    title = "MongoDB"
    phase: ClassVar[str]
    collections: tuple[Collection, ...]
    _transforms: tuple[Transform, ...] = ()
    # The data names of collections that are not passed on.
    _excluded: frozenset[str] = frozenset()
    _notes: tuple[str, ...] = ()
    # That of the current phase.
    progress: Progress = SILENT

    def transformed(self, transforms: tuple[Transform, ...]) -> Self:
        """See `Source.transformed`. The sizes of `summaries` are those before the transforms.

        :raises UsageError: if it holds the buckets of a time series, and not its documents.
        """
        changed = copy.copy(self)
        changed._transforms = (*self._transforms, *transforms)
        series = [repr(one.name) for one in self.collections if BUCKETS in one.data_name]
        if transforms and series:
            try:
                changed.take_series_as_documents()
            except MonarchError:
                raise UsageError(
                    f"The documents of {', '.join(series)} cannot be masked or changed: these contents hold "
                    "them as the buckets of a time series.",
                    "Leave them out: --exclude COLLECTION. Or copy them from their server.",
                ) from None
        return changed

    def chosen(self, choice: Choice) -> Self:
        chosen = choose(self.collections, choice)
        changed = copy.copy(self)
        changed.collections = chosen.collections
        changed._excluded = self._excluded | chosen.left_out
        changed._notes = (*self._notes, *chosen.notes)
        return changed

    @property
    def notes(self) -> tuple[str, ...]:
        return self._notes

    def pieces(self, alive: Callable[[], None]) -> AbstractContextManager[Iterator[Piece]]:
        """All documents, transformed; see `MongoEngine.read`."""
        return self._with_changes(alive) if self._transforms or self._excluded else self._pieces(alive)

    @contextmanager
    def _with_changes(self, alive: Callable[[], None]) -> Iterator[Iterator[Piece]]:
        with self._pieces(alive) as pieces:
            # An archive is read whole, and what is left out is only not passed on.
            kept = (piece for piece in pieces if piece.collection not in self._excluded)
            if not self._transforms:
                yield kept
                return
            with change_batches(kept, self._transform, alive) as changed:
                yield changed

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
    def is_transformed(self) -> bool:
        """Whether documents pass through transforms."""
        return bool(self._transforms)

    @property
    def checks(self) -> tuple[WrittenCheck, ...]:
        """Those of its transforms that check what was written."""
        return tuple(one for one in self._transforms if isinstance(one, WrittenCheck))

    @property
    def summaries(self) -> tuple[CollectionSummary, ...]:
        return tuple(summarize(collection) for collection in self.collections)

    def read_some(self, is_read: Callable[[str], bool], number: int | None) -> Iterator[tuple[str, bytes]]:
        """Yield documents with their collection, some at a time and concatenated.

        :param is_read: whether a collection is read, by its name.
        :param number: about how many of each collection, from all over it; None for all of them.
        """
        steps = {one.data_name: max(1, one.documents // number) if number else 1 for one in self.collections}
        passed: Counter[str] = Counter()
        with self.pieces(unwatched) as pieces:
            for piece in pieces:
                if isinstance(piece, Batch):
                    if passed[piece.collection] % steps[piece.collection] == 0 and is_read(piece.collection):
                        yield piece.collection, piece.payload
                    passed[piece.collection] += 1

    @abstractmethod
    def take_series_as_documents(self) -> None:
        """Read every time series as documents, not as the server's buckets.

        :raises MonarchError: if this source holds buckets only.
        """

    @abstractmethod
    def _pieces(self, alive: Callable[[], None]) -> AbstractContextManager[Iterator[Piece]]:
        """All documents, before the transforms; see `MongoEngine.read`."""

    @abstractmethod
    def check(self) -> None:
        """Check, after all pieces were read, that they are complete and unchanged.

        :raises MonarchError: if they are not.
        """

    def begin_phase(self, phase: str, progress: Progress) -> Counts:
        """Begin the ``phase`` of the progress in which all pieces are read; return the counts for them."""
        summaries = self.summaries
        self.progress = progress
        progress.phase(phase)
        progress.estimated(sum(one.documents for one in summaries), sum(one.bytes for one in summaries))
        return Counts(self.collections, progress)


def summarize(collection: Collection) -> CollectionSummary:
    """Return the summary of ``collection``."""
    return CollectionSummary(
        collection.name, collection.kind, collection.documents, collection.bytes, len(collection.indexes)
    )


def unwatched() -> None:
    """Do nothing: the ``alive`` of a source for which no lease is held."""


def require_mongo_source(source: Source) -> MongoSource:
    """Return ``source`` as a source of MongoDB documents.

    :raises UsageError: if it is of another kind of database.
    """
    if not isinstance(source, MongoSource):
        raise UsageError(f"{source.title} cannot be written into MongoDB.")
    return source
