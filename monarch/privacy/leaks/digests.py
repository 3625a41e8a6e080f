"""Sets of many keyed hashes in little memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left

_BUCKETS = 4096
_BYTES = 8


class DigestSet:
    """A set of hashes of 8 bytes, of which each takes 8 bytes of memory.

    All are added before the first is looked up.
    """

    def __init__(self) -> None:
        self._buckets: list[array[int]] = [array("Q") for _ in range(_BUCKETS)]
        self._is_sorted = True

    def add_all(self, digests: bytes) -> None:
        """Add hashes, which are concatenated."""
        buckets = self._buckets
        for one in memoryview(digests).cast("Q"):
            buckets[one % _BUCKETS].append(one)
        self._is_sorted = False

    def __contains__(self, digest: bytes) -> bool:
        if not self._is_sorted:
            self._buckets = [array("Q", sorted(set(bucket))) for bucket in self._buckets]
            self._is_sorted = True
        (one,) = memoryview(digest).cast("Q")
        bucket = self._buckets[one % _BUCKETS]
        place = bisect_left(bucket, one)
        return place < len(bucket) and bucket[place] == one
