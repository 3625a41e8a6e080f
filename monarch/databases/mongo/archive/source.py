"""Take BSON documents from a stream, one by one or as many as are buffered."""

from __future__ import annotations

from monarch.databases.mongo.archive import TERMINATOR, ArchiveError
from monarch.databases.mongo.stream.batches import LENGTH, LONGEST, SHORTEST, measure_documents
from monarch.system.streams import Stream

CHUNK = 1 << 20
_CUT_OFF = "The archive is cut off: it was truncated, or never finished."


class ArchiveInput:
    """A buffered stream of documents."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._data = b""
        self._start = 0

    def fill(self, need: int) -> bool:
        """Buffer at least ``need`` bytes; return False if the stream ends before."""
        have = len(self._data) - self._start
        if have >= need:
            return True
        # Join once, and read at most a chunk at a time: a wrong length must not allocate memory for bytes
        # that never come.
        parts = [self._data[self._start :]]
        target = max(need, CHUNK)
        while have < target and (part := self._stream.read(min(target - have, CHUNK))):
            parts.append(part)
            have += len(part)
        self._data, self._start = b"".join(parts), 0
        return have >= need

    def take(self, expected: bytes) -> bool:
        """Take the bytes ``expected`` if they come next; return whether they did.

        :raises ArchiveError: if the stream ends before.
        """
        if not self.fill(len(expected)):
            raise ArchiveError(_CUT_OFF)
        if not self._data.startswith(expected, self._start):
            return False
        self._start += len(expected)
        return True

    def document(self) -> bytes | None:
        """Take and return the next document, or take a terminator and return None."""
        if self.take(TERMINATOR):
            return None
        length = self._whole()
        start = self._start
        self._start += length
        return self._data[start : self._start]

    def documents(self) -> tuple[bytes, int]:
        """Take one document and all whole documents buffered after it; return their bytes and number."""
        self._whole()
        start = self._start
        self._start, count = measure_documents(self._data, start)
        return self._data[start : self._start], count

    def _whole(self) -> int:
        """Buffer the whole next document and return its length in bytes."""
        if not self.fill(LENGTH.size):
            raise ArchiveError(_CUT_OFF)
        (length,) = LENGTH.unpack_from(self._data, self._start)
        if not SHORTEST <= length <= LONGEST:
            raise ArchiveError(f"The archive is damaged: a document of {length} bytes.")
        if not self.fill(length):
            raise ArchiveError(_CUT_OFF)
        if self._data[self._start + length - 1]:
            raise ArchiveError("The archive is damaged: a document does not end where it should.")
        return int(length)
