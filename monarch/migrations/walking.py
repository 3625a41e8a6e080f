"""Walking through a whole collection, so that a walk that was cut off goes on where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from monarch.errors import UsageError
from monarch.history import OpenAttempt, Places
from monarch.progress import Progress

if TYPE_CHECKING:
    from monarch.databases.base import Transaction, Work


class Walks:
    """The walks of one attempt. ``places`` are where those of an earlier one have come to."""

    def __init__(
        self,
        work: Work,
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
        self._begun = 0

    def walk(self, collection: str, filter: Mapping[str, Any], batch: int) -> Iterator[Any]:
        """See `MongoBackedMigration.each`.

        :raises UsageError: if ``batch`` is not positive.
        """
        if batch < 1:
            raise UsageError(f"batch={batch} is no number of documents.", "1,000 is mostly a good one.")
        self._begun += 1
        # Told apart by their order too, for one migration may go over a collection twice.
        what = hashlib.sha256(f"{collection} {filter!r}".encode()).hexdigest()[:16]
        return self._go(f"{self._begun}_{what}", collection, filter, batch)

    def _go(self, label: str, collection: str, filter: Mapping[str, Any], batch: int) -> Iterator[Any]:
        start = self._places.get(label)
        total = self._work.count(collection, filter)
        if start is not None:
            self._progress.noted(f"{collection}: going on behind the first {start.documents:,} documents")
        for documents, place in self._work.batches(collection, filter, batch, start, self._transaction):
            yield from documents
            if self._transaction is None:  # and renew the lease with it
                self._attempt.remember(label, place)
            self._progress.walked(collection, place.documents, total)
