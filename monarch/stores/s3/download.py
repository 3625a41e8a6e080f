"""A file on its way out of a bucket: in ranges, several ahead, one behind another."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from monarch.errors import StoreError
from monarch.stores.s3 import futures as background
from monarch.stores.s3.bucket import Bucket
from monarch.stores.s3.errors import code_of
from monarch.system.streams import Stream

_FIRST, _LARGEST = 1 << 18, 8 << 20
_CHUNK = 1 << 18
_TRIES = 5
_PAUSE = 0.1


@contextmanager
def download(place: Bucket, name: str, start: int) -> Iterator[Stream]:
    """The object called ``name`` from byte ``start`` on; see `Store.open`."""
    yield _Ranges(place, name, start)


class _Ranges(Stream):
    """An object, of which some ranges ahead have been asked for: one for each that may be under way."""

    def __init__(self, place: Bucket, name: str, start: int) -> None:
        self._place = place
        self._name = name
        # The first range at once: it tells how many bytes there are, and that there is such an object.
        first = Range(place, name, start, _FIRST)
        self._data = memoryview(first.read())
        self._asked = start + len(self._data)
        self._size, self._version = first.size, first.version
        self._next = _FIRST
        self._ahead: deque[Future[bytes]] = deque()
        self._most = place.settings.max_concurrency

    def read(self, size: int, /) -> bytes:
        if not self._data:
            self._ask()
            if not self._ahead:
                return b""
            self._data = memoryview(self._ahead.popleft().result())
            self._ask()
        part = bytes(self._data[:size])
        self._data = self._data[size:]
        return part

    def _ask(self) -> None:
        while self._asked < self._size and len(self._ahead) < self._most:
            # Small at first, for those who read a little here and there.
            self._next = min(self._next * 4, _LARGEST)
            length = min(self._next, self._size - self._asked)
            wanted = Range(self._place, self._name, self._asked, length, self._size, self._version)
            self._ahead.append(background.start(wanted.read))
            self._asked += length


class Range:
    """``length`` bytes of an object from ``start`` on, or fewer where it ends.

    ``size`` is that of the object, once it is known; of another ``version`` of it nothing is read.
    """

    def __init__(
        self,
        place: Bucket,
        name: str,
        start: int,
        length: int,
        size: int | None = None,
        version: str | None = None,
    ) -> None:
        self._place = place
        self._name = name
        self._start = start
        self._end = start + length
        self._known = size
        self.version = version

    @property
    def size(self) -> int:
        """How many bytes the object has, once some have been read."""
        assert self._known is not None
        return self._known

    def read(self) -> bytes:
        """All of them. Where the connection breaks, it goes on from there."""
        data = bytearray()
        tries = 0
        while self._known is None or self._start + len(data) < min(self._end, self._known):
            before = len(data)
            failure = self._read_on(data)
            if failure is None:
                continue
            tries = 1 if len(data) > before else tries + 1
            if tries >= _TRIES:
                raise failure
            time.sleep(_PAUSE * 2**tries)
        return bytes(data)

    def _read_on(self, data: bytearray) -> StoreError | None:
        """Read on behind what is in ``data``; why not to the end, if it was not."""
        first = self._start + len(data)
        answer = self._get(first)
        if answer is None:
            return None
        try:
            for part in answer["Body"].iter_chunks(_CHUNK):
                data += part
        except Exception as error:  # of urllib3, of http.client and of botocore, each in its own words
            return StoreError(
                f"The connection broke while {self._name!r} was read ({type(error).__name__}).",
                "Try again. Is the network all right?",
            )
        finally:
            answer["Body"].close()
        if not data[first - self._start :]:
            return StoreError(f"The server gave nothing of {self._name!r} at byte {first:,}.", "Try again.")
        return None

    def _get(self, first: int) -> dict[str, Any] | None:
        """The answer that has the bytes from ``first`` on; None if there are none."""
        same = {"IfMatch": self.version} if self.version else {}
        try:
            answer = self._place.call(
                "get_object", self._name, Range=f"bytes={first}-{self._end - 1}", **same
            )
        except StoreError as error:
            code = code_of(error.__cause__)
            if code in ("InvalidRange", "416"):  # no byte is there, which is no error
                self._known = first
                return None
            if code in ("PreconditionFailed", "412"):
                raise self._replaced() from error
            raise
        version = str(answer.get("ETag"))
        if self.version not in (None, version):
            raise self._replaced()
        self.version = version
        said = str(answer.get("ContentRange", ""))
        if said.startswith(f"bytes {first}-"):
            self._known = int(said.rpartition("/")[2])
        elif first == 0:  # all of it, from a server that knows no ranges or has a small one
            self._known = int(answer["ContentLength"])
            self._end = max(self._end, self._known)
        else:
            raise StoreError("This server does not read from the middle of an object.", "Use another one.")
        return answer

    def _replaced(self) -> StoreError:
        return StoreError(f"{self._name!r} was replaced while it was read.", "Do that again.")
