"""Scanning a whole collection so that the next attempt continues a scan that was cut off."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from monarch.databases.history import OpenAttempt, Positions
from monarch.databases.migration import ResumableScans
from monarch.errors import MonarchError, UsageError
from monarch.progress import Progress

if TYPE_CHECKING:
    from monarch.databases.base import MigrationClient, Transaction


# Scans whose positions fit into one entry of the journal, however large the ids are.
_MOST_REMEMBERED = 500


class CollectionScans(ResumableScans):
    """The scans of one attempt. ``positions`` are how far those of an earlier attempt came."""

    def __init__(
        self,
        client: MigrationClient,
        attempt: OpenAttempt,
        transaction: Transaction | None,
        positions: Positions,
        progress: Progress,
    ) -> None:
        self._client = client
        self._attempt = attempt
        self._transaction = transaction
        self._positions = positions
        self._progress = progress
        self._begun: set[str] = set()
        self._open = 0

    def scan(
        self, collection: str, filter: Mapping[str, Any], batch: int, line: str
    ) -> Iterator[Sequence[Any]]:
        if batch < 1:
            raise UsageError(f"batch={batch} is not a number of documents.", "Use 1,000, for example.")
        if not self._client.require_collection(collection):
            self._note(f"{collection}: there is no such collection, so there is nothing to scan")
        # The line is part of it because a migration may scan a collection twice.
        label = hashlib.sha256(f"{line} {collection} {filter!r}".encode()).hexdigest()[:16]
        return self._batches(label, collection, filter, batch)

    def _batches(
        self, label: str, collection: str, filter: Mapping[str, Any], batch: int
    ) -> Iterator[Sequence[Any]]:
        # The positions of a scan within another, or of one that is repeated, could not be distinguished.
        remembers = self._transaction is None and self._open == 0 and len(self._begun) < _MOST_REMEMBERED
        if label in self._begun and remembers:
            remembers = False
            self._attempt.remember(label, None)
        self._begun.add(label)
        start = self._positions.get(label) if remembers else None
        total = self._client.count(collection, filter)
        if start is not None:
            self._note(f"{collection}: continuing after the first {start.documents:,} documents")
        elif remembers and label not in self._positions and len(self._begun) <= len(self._positions):
            # The attempt before has begun at least so many scans, and this was none of them.
            self._note(f"{collection}: starting anew, because the line or the filter of the scan has changed")
        self._open += 1
        try:
            for documents, position in self._client.batches(
                collection, filter, batch, start, self._transaction
            ):
                yield documents
                if remembers and self._client.is_settled:  # this renews the lease too
                    self._attempt.remember(label, position)
                with suppress(OSError, MonarchError):  # output that fails is reported after the migration
                    self._progress.scanned(collection, position.documents, total)
        finally:
            self._open -= 1

    def _note(self, what: str) -> None:
        with suppress(OSError, MonarchError):
            self._progress.message(what)
