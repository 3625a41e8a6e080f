"""A stream of BSON documents, taken one by one or as many as there are."""

from __future__ import annotations

from monarch.databases.mongo.archive import TERMINATOR, ArchiveError
from monarch.databases.mongo.stream.batches import LENGTH, LONGEST, SHORTEST, walk
from monarch.system.streams import Stream

CHUNK = 1 << 20
_CUT_OFF = "The archive is cut off in the middle, or was not finished."


class ArchiveInput:
    """A stream with a buffer, from which documents are taken."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._data = b""
        self._start = 0

    def fill(self, need: int) -> bool:
        """Have ``need`` bytes in the buffer, if the stream has as many."""
        have = len(self._data) - self._start
        if have >= need:
            return True
        # Joined once, and no more than a chunk ahead: a length that is wrong asks for what never comes,
        # and reserves nothing.
        parts = [self._data[self._start :]]
        wanted = max(need, CHUNK)
        while have < wanted and (part := self._stream.read(min(wanted - have, CHUNK))):
            parts.append(part)
            have += len(part)
        self._data, self._start = b"".join(parts), 0
        return have >= need

    def take(self, expected: bytes) -> bool:
        """Take these four bytes, if they come next.

        :raises ArchiveError: if the stream ends before it has four.
        """
        if not self.fill(len(expected)):
            raise ArchiveError(_CUT_OFF)
        if not self._data.startswith(expected, self._start):
            return False
        self._start += len(expected)
        return True

    def document(self) -> bytes | None:
        """Take the next document; None if it is a terminator, which is taken too."""
        if self.take(TERMINATOR):
            return None
        length = self._whole()
        start = self._start
        self._start += length
        return self._data[start : self._start]

    def documents(self) -> tuple[bytes, int]:
        """Take one document, and all that are whole in the buffer behind it; and their number."""
        self._whole()
        start = self._start
        self._start, count = walk(self._data, start)
        return self._data[start : self._start], count

    def _whole(self) -> int:
        """Have the next document in the buffer as a whole: its length."""
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
