"""The transform that masks the documents of a transfer."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from monarch.databases.mongo.leaks.check import LeakCheck
from monarch.databases.mongo.masking.definitions import describe_values
from monarch.databases.mongo.masking.journal import OWN_RULES
from monarch.databases.mongo.masking.processes.workers import Workers
from monarch.databases.mongo.masking.rules import MongoMasks
from monarch.databases.mongo.sources.base import require_mongo_source
from monarch.databases.transfer import CollectionSummary, Source
from monarch.databases.transform import MaskedField, ReadWritten
from monarch.privacy.masks import CollectionMasks
from monarch.privacy.project_masks import ProjectMasks
from monarch.privacy.rules import MaskingError, WholeRule

# Bytes of documents that are masked in this process. Starting another one takes as long as a part of them.
_FEW = 8 << 20
_KEEPING = ("keep", "public")


class MongoMasking:
    """Masks documents by ``rules``, in up to ``cores`` other processes if there are many."""

    def __init__(self, rules: ProjectMasks, cores: int, few: int = _FEW) -> None:
        self._rules = rules
        self._masks = MongoMasks(rules.masks, rules.key)
        self._workers = Workers(rules, cores) if cores > 1 else None
        self._check = LeakCheck(rules)
        self._few = few
        self._bytes = 0
        self._lock = threading.Lock()

    def __call__(self, collection: str, documents: bytes) -> bytes:
        """See `Transform`. Several threads may call it.

        :raises MaskingError: if a value cannot be masked, or no rule names it.
        """
        if self._masks.keeps(collection):
            return documents
        masked = self._mask(collection, documents)
        if collection not in OWN_RULES:
            self._check.compare(collection, documents, masked)
        return masked

    def _mask(self, collection: str, documents: bytes) -> bytes:
        with self._lock:
            self._bytes += len(documents)
            if self._workers is None or self._bytes <= self._few:
                with self._rules.printed.discard():
                    return self._masks.mask(collection, documents)
        return self._workers.mask(collection, documents)

    def require_rules(self, summaries: tuple[CollectionSummary, ...]) -> None:
        """See `MaskingTransform`."""
        names = [one.name for one in summaries if one.kind != "view" and self._masks.rule(one.name) is None]
        if names:
            raise MaskingError(
                f"migrations/privacy.py does not say what becomes of {', '.join(map(repr, names))}.",
                "Add their rules: monarch suggest_masks ENVIRONMENT. Or leave them out: --exclude COLLECTION",
            )
        self._check.expect(summaries)

    def fields(self, summaries: tuple[CollectionSummary, ...]) -> tuple[MaskedField, ...]:
        """See `MaskingTransform`."""
        found = [
            field
            for one in summaries
            if one.kind != "view" and one.name not in OWN_RULES
            for field in self._fields(one.name)
        ]
        return tuple(sorted(found, key=lambda field: (field.collection, field.path)))

    def notes(self, source: Source) -> tuple[str, ...]:
        """See `MaskingTransform`."""
        return describe_values(require_mongo_source(source).collections)

    def check_written(self, read: ReadWritten) -> None:
        """See `WrittenCheck`."""
        self._check.check_written(read)

    def stop(self) -> None:
        """End all processes."""
        if self._workers is not None:
            self._workers.stop()

    def _fields(self, collection: str) -> Iterator[MaskedField]:
        rule = self._masks.rule(collection)
        if isinstance(rule, CollectionMasks):
            for path, one in rule.items():
                if not isinstance(one, WholeRule) or one.name not in _KEEPING:
                    yield MaskedField(collection, path, repr(one))
        elif rule is not None and not isinstance(rule, WholeRule):
            yield MaskedField(collection, "", f"{getattr(rule, '__name__', 'function')}()")


@contextmanager
def open_masking(rules: ProjectMasks) -> Iterator[MongoMasking]:
    """Mask by ``rules`` for as long as the context lasts."""
    masking = MongoMasking(rules, _cores())
    try:
        yield masking
    finally:
        masking.stop()


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
