"""Which documents of a collection were passed on, to leave them out when it is read a second time."""

from __future__ import annotations

import hashlib
from collections import Counter

from bson.raw_bson import RawBSONDocument

from monarch.databases.mongo.stream.batches import split
from monarch.databases.mongo.subset.chunks import key_of


class NotUnique(Exception):
    """Two documents of a sharded collection have one ``_id``, so it does not identify them."""


class SentDocuments:
    """The documents of one collection that were passed on.

    They are recognized by their ``_id``; those of a time series as a whole, because their ``_id`` need not be
    unique. In a sharded collection MongoDB checks only within a shard that an ``_id`` is unique.
    """

    def __init__(self, *, is_series: bool, is_sharded: bool) -> None:
        self._is_series = is_series
        self._is_sharded = is_sharded
        self._sent: Counter[bytes] = Counter()
        self._again: set[bytes] = set()

    def add(self, payload: bytes) -> None:
        """Remember the documents in ``payload``."""
        self._sent.update(map(self._key, split(payload)))

    def begin_again(self) -> None:
        """From now on `rest` gets documents that may have been passed on."""
        for key in self._again:
            self._sent.setdefault(key, 1)
        self._again = set()

    def rest(self, payload: bytes) -> tuple[bytes, int]:
        """Return those of the documents in ``payload`` that were not passed on, and their number.

        :raises NotUnique: if it cannot be known which they are.
        """
        kept = [one for one in split(payload) if self._is_new(self._key(one))]
        return b"".join(kept), len(kept)

    def _is_new(self, key: bytes) -> bool:
        if self._is_series:  # equal documents are counted
            self._sent.subtract((key,))
            return self._sent[key] < 0
        if self._is_sharded and (self._sent[key] > 1 or key in self._again):
            raise NotUnique
        new = key not in self._sent and key not in self._again
        self._again.add(key)
        return new

    def _key(self, document: bytes) -> bytes:
        if self._is_series:
            return hashlib.sha256(document).digest()
        return key_of(RawBSONDocument(document).get("_id"))
