"""Walking through a whole collection, so that a walk that was cut off goes on where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from monarch.databases.history import OpenAttempt, Places
from monarch.errors import MonarchError, UsageError
from monarch.progress import Progress

if TYPE_CHECKING:
    from monarch.databases.base import MigrationClient, Transaction


class CollectionScans:
    """The walks of one attempt. ``places`` are where those of an earlier one have come to."""

    def __init__(
        self,
        work: MigrationClient,
        attempt: OpenAttempt,
        transaction: Transaction | None,
        places: Places,
        progress: Progress,
    ) -> None:
        self._work = work
        self._attempt = attempt
        self._transaction = transaction
        self._places = places
        self._progress = progress
        self._begun: set[str] = set()
        self._under_way = 0

    def walk(
        self, collection: str, filter: Mapping[str, Any], batch: int, line: str
    ) -> Iterator[Sequence[Any]]:
        """See `MongoBackedMigration.batches`. ``line`` is where in the code it was called.

        :raises UsageError: if ``batch`` is not positive, or the collection cannot be walked through.
        """
        if batch < 1:
            raise UsageError(f"batch={batch} is no number of documents.", "1,000 is mostly a good one.")
        if not self._work.require_collection(collection):
            self._note(f"{collection}: there is no such collection, so there is nothing to go through")
        # By the line too, for one migration may go through a collection twice.
        label = hashlib.sha256(f"{line} {collection} {filter!r}".encode()).hexdigest()[:16]
        return self._go(label, collection, filter, batch)

    def _go(
        self, label: str, collection: str, filter: Mapping[str, Any], batch: int
    ) -> Iterator[Sequence[Any]]:
        # Of one within another, or one that is made again and again, nobody could tell which it was.
        remembers = self._transaction is None and self._under_way == 0
        if label in self._begun and remembers:
            remembers = False
            self._attempt.remember(label, None)
        self._begun.add(label)
        start = self._places.get(label) if remembers else None
        total = self._work.count(collection, filter)
        if start is not None:
            self._note(f"{collection}: going on behind the first {start.documents:,} documents")
        self._under_way += 1
        try:
            for documents, place in self._work.batches(collection, filter, batch, start, self._transaction):
                yield documents
                if remembers:  # and renew the lease with it
                    self._attempt.remember(label, place)
                with suppress(OSError, MonarchError):  # that nobody hears it is for later
                    self._progress.walked(collection, place.documents, total)
        finally:
            self._under_way -= 1

    def _note(self, what: str) -> None:
        with suppress(OSError, MonarchError):
            self._progress.noted(what)
