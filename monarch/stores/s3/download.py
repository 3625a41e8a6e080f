"""Reading an object of a bucket in ranges, of which several are requested ahead."""

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
def download(bucket: Bucket, name: str, start: int) -> Iterator[Stream]:
    """Read the object called ``name`` from byte ``start`` on; see `Store.open`."""
    yield _Ranges(bucket, name, start)


class _Ranges(Stream):
    """An object read from ``start`` on, with up to ``max_concurrency`` ranges requested ahead.

    ``version`` is its ETag.
    """

    def __init__(self, bucket: Bucket, name: str, start: int) -> None:
        self._bucket = bucket
        self._name = name
        # The first range is read at once: its reply has the size, or the error if there is no such object.
        first = Range(bucket, name, start, _FIRST)
        self._data = memoryview(first.read())
        self._requested = start + len(self._data)
        self._size, self.version = first.size, first.version
        self._next = _FIRST
        self._ahead: deque[Future[bytes]] = deque()
        self._most = bucket.settings.max_concurrency

    def read(self, size: int, /) -> bytes:
        if not self._data:
            self._request()
            if not self._ahead:
                return b""
            self._data = memoryview(self._ahead.popleft().result())
            self._request()
        part = bytes(self._data[:size])
        self._data = self._data[size:]
        return part

    def _request(self) -> None:
        while self._requested < self._size and len(self._ahead) < self._most:
            # Small at first, for callers that read little and jump.
            self._next = min(self._next * 4, _LARGEST)
            length = min(self._next, self._size - self._requested)
            following = Range(self._bucket, self._name, self._requested, length, self._size, self.version)
            self._ahead.append(background.start(following.read))
            self._requested += length


class Range:
    """``length`` bytes of an object from ``start`` on, or fewer at its end.

    ``size`` is the size of the object, if that is known. With ``version``, its ETag, a replaced object is an
    error.
    """

    def __init__(
        self,
        bucket: Bucket,
        name: str,
        start: int,
        length: int,
        size: int | None = None,
        version: str | None = None,
    ) -> None:
        self._bucket = bucket
        self._name = name
        self._start = start
        self._end = start + length
        self._known = size
        self.version = version

    @property
    def size(self) -> int:
        """The size of the object in bytes, known once some of it has been read."""
        assert self._known is not None
        return self._known

    def read(self) -> bytes:
        """Read all of the range. After a broken connection it continues where that stopped.

        :raises StoreError: if several tries in a row bring nothing.
        """
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
        """Append to ``data`` what follows it; return the error if that stopped before the end."""
        first = self._start + len(data)
        answer = self._get(first)
        if answer is None:
            return None
        try:
            for part in answer["Body"].iter_chunks(_CHUNK):
                data += part
        except Exception as error:  # of urllib3, http.client or botocore, which share no base class
            return StoreError(
                f"The connection broke while {self._name!r} was read ({type(error).__name__}).",
                "Check the network, and try again.",
            )
        finally:
            answer["Body"].close()
        if not data[first - self._start :]:
            return StoreError(
                f"The server sent nothing of {self._name!r} from byte {first:,} on.", "Try again."
            )
        return None

    def _get(self, first: int) -> dict[str, Any] | None:
        """Return the reply with the bytes from ``first`` on; None if there are none."""
        same = {"IfMatch": self.version} if self.version else {}
        try:
            answer = self._bucket.call(
                "get_object", self._name, Range=f"bytes={first}-{self._end - 1}", **same
            )
        except StoreError as error:
            code = code_of(error.__cause__)
            if code in ("InvalidRange", "416"):  # the object ends here, which is no error
                self._known = first
                return None
            if code in ("PreconditionFailed", "412"):
                raise self._replaced() from error
            raise
        version = str(answer.get("ETag"))
        if self.version not in (None, version):
            raise self._replaced()
        self.version = version
        content_range = str(answer.get("ContentRange", ""))
        if content_range.startswith(f"bytes {first}-"):
            self._known = int(content_range.rpartition("/")[2])
        elif first == 0:  # the whole object: a server without ranges, or a small object
            self._known = int(answer["ContentLength"])
            self._end = max(self._end, self._known)
        else:
            raise StoreError("This server cannot read from the middle of an object.", "Use another server.")
        return answer

    def _replaced(self) -> StoreError:
        return StoreError(f"{self._name!r} was replaced while it was read.", "Run the command again.")
