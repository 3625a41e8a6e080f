"""The leak check of MongoDB documents: what the masks have left, before anything is replaced."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from monarch.databases.mongo.leaks.texts import decode_document, text_of
from monarch.databases.mongo.stream.batches import pick, split
from monarch.databases.transfer import CollectionSummary
from monarch.databases.transform import ReadWritten
from monarch.privacy.leaks.check import Leak, LeakComparison, LeakSearch
from monarch.privacy.project_masks import ProjectMasks

# Documents of each collection that are compared and searched, unless all of them are.
SAMPLE = 5_000


class LeakCheck:
    """Compares documents with their masks, and searches what was written. It may be called from threads."""

    def __init__(self, rules: ProjectMasks) -> None:
        self._rules = rules
        self._everything = rules.check_all
        self._lock = threading.Lock()
        self._comparison = LeakComparison(rules.masks, rules.key, text_of)
        self._steps: dict[str, int] = {}
        self._passed: Counter[str] = Counter()
        self._offset = int.from_bytes(rules.key.hasher("leak sample")(b"")[:4], "big")

    def expect(self, summaries: tuple[CollectionSummary, ...]) -> None:
        """Take the numbers of documents that are about to come, to draw the sample."""
        for one in summaries:
            self._steps[one.name] = 1 if self._everything else max(1, one.documents // SAMPLE)

    def compare(self, collection: str, before: bytes, after: bytes) -> None:
        """Compare whole documents of ``collection`` with what the masks have made of them.

        :raises MaskingError: if a masked value is left in one of them.
        """
        if before is after:
            return
        step = self._steps.get(collection, 1)
        with self._lock:
            first = -(self._passed[collection] + self._offset) % step
            olds, count = pick(before, first, step)
            self._passed[collection] += count
            for old, new in zip(olds, pick(after, first, step)[0], strict=True):
                self._comparison.compare(collection, decode_document(old), decode_document(new))

    def gather(self, collection: str, before: bytes, after: bytes) -> None:
        """Take what the masks change in whole documents of ``collection``, to search for it elsewhere."""
        for old, new in zip(split(before), split(after), strict=True):
            self._comparison.compare(collection, decode_document(old), decode_document(new))

    def search(self, documents: Iterator[tuple[str, bytes]]) -> tuple[Leak, ...]:
        """Return where ``documents``, pairs of a collection and whole documents of it, hold what was masked.

        What `compare` has found is not among it.
        """
        findings = replace(self._comparison.findings, found=Counter())
        searching = LeakSearch(self._rules.masks, self._rules.key, text_of, findings)
        self._examine(searching, documents)
        return searching.leaks

    def check_written(self, read: ReadWritten) -> None:
        """Search what was written for everything that was masked.

        :raises MaskingError: naming the fields in which something was found.
        """
        searching = self._searching()
        searching.require_none()
        self._examine(searching, read(searching.searches, None if self._everything else SAMPLE))
        searching.require_none()

    def _examine(self, searching: LeakSearch, documents: Iterator[tuple[str, bytes]]) -> None:
        for collection, some in documents:
            for document in split(some):
                searching.examine(collection, decode_document(document))

    def _searching(self) -> LeakSearch:
        return LeakSearch(self._rules.masks, self._rules.key, text_of, self._comparison.findings)
