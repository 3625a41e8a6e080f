"""A file on its way into a bucket: in parts, several at once, none of it there before the last."""

from __future__ import annotations

import hashlib
import re
import uuid
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from monarch.errors import StoreError
from monarch.stores.base import NameTaken, NotStored, Upload
from monarch.stores.s3.bucket import Bucket
from monarch.stores.s3.errors import code_of
from monarch.stores.s3.futures import start

MOST_PARTS = 10_000
# So many seconds it waits for what is under way when it gives up.
_PATIENCE = 5.0
# Each thousand parts are twice as large as those before: from 16 MiB on, 10,000 of them are 13 TB.
_DOUBLE_EVERY = 1_000
_LARGEST_PART = 5 << 30
_MARK = "monarch-upload"
# What a server says that has no conditional writes.
_UNCONDITIONAL = {"NotImplemented", "InvalidArgument", "InvalidRequest", "MethodNotAllowed"}


def size_of_part(number: int, smallest: int, *, grows: bool) -> int:
    """How many bytes the part of this number has, counted from 1."""
    return min(smallest << (number - 1) // _DOUBLE_EVERY, _LARGEST_PART) if grows else smallest


@dataclass(frozen=True)
class _Part:
    """A part that has arrived."""

    number: int
    etag: str
    md5: bytes
    bytes: int


class S3Upload(Upload):
    """A multipart upload that has begun. Memory is that of the parts under way, and of one more."""

    def __init__(self, place: Bucket, hasty: Callable[[], Bucket], name: str) -> None:
        """``hasty`` makes the same place for who does not want to wait."""
        self._place = place
        self._hasty = hasty
        self._name = name
        self._mark = uuid.uuid4().hex
        self._waiting = bytearray()
        self._parts: list[_Part] = []
        self._sent = 0
        self._under_way: deque[Future[_Part]] = deque()
        self._over = False
        self._completing = False
        self._id = self._begin()

    @property
    def id(self) -> str:
        """What the server calls it."""
        return self._id

    def write(self, data: bytes, /) -> None:
        self._waiting += data
        while len(self._waiting) >= (size := self._next_size()):
            self._send(bytes(memoryview(self._waiting)[:size]))
            del self._waiting[:size]

    def finish(self) -> None:
        if self._waiting or not self._sent:
            self._send(bytes(self._waiting))
            self._waiting.clear()
        while self._under_way:
            self._arrived()
        self._complete()
        self._require_whole()
        self._over = True

    def give_up(self) -> None:
        if self._over:
            return
        self._over = True
        # Until it is known that nothing is.
        self.left_over = True
        # What is under way would become a leftover if it arrived after the end.
        wait(self._under_way, _PATIENCE)
        with suppress(StoreError):
            place = self._hasty()
            with suppress(NotStored):
                place.call("abort_multipart_upload", self._name, UploadId=self._id)
            # From here on it cannot be completed any more; it may have been, if that was cut off.
            if self._completing and self._is_ours(place):
                place.call("delete_object", self._name)
            self.left_over = False

    def _begin(self) -> str:
        arguments = {"Metadata": {_MARK: self._mark}, **self._place.settings.on_create}
        answer = self._place.call("create_multipart_upload", self._name, **arguments)
        return str(answer["UploadId"])

    def _next_size(self) -> int:
        settings = self._place.settings
        smallest = settings.part_size or settings.smallest_part
        return size_of_part(self._sent + 1, smallest, grows=settings.part_size is None)

    def _send(self, part: bytes) -> None:
        if self._sent == MOST_PARTS:
            size = f"{self._next_size():,} bytes"
            raise StoreError(
                f"{self._name!r} would have more than {MOST_PARTS:,} parts of {size}.",
                "Say a larger 'part_size' in BACKUPS.",
            )
        self._sent += 1
        while len(self._under_way) >= self._place.settings.max_concurrency:
            self._arrived()
        self._under_way.append(start(self._upload, self._sent, part))

    def _upload(self, number: int, part: bytes) -> _Part:
        # A sum that every server compares, those too that know none of the newer ones.
        md5 = hashlib.md5(part, usedforsecurity=False).digest()
        digest = b64encode(md5).decode()
        arguments = {"UploadId": self._id, "PartNumber": number, "Body": part, "ContentMD5": digest}
        for last in (False, False, True):
            try:
                answer = self._place.call("upload_part", self._name, **arguments)
                break
            except StoreError as error:
                # botocore tries all else again, but not what was changed on the way.
                if last or code_of(error.__cause__) != "BadDigest":
                    raise
        return _Part(number, answer["ETag"], md5, len(part))

    def _arrived(self) -> None:
        """Wait for the oldest part that is under way."""
        self._parts.append(self._under_way.popleft().result())

    def _complete(self) -> None:
        """Let it be there, unless something is.

        An answer may get lost, and the question be repeated: then it is there, and ours.
        """
        parts = [{"PartNumber": part.number, "ETag": part.etag} for part in self._parts]
        arguments: dict[str, Any] = {"UploadId": self._id, "MultipartUpload": {"Parts": parts}}
        self._completing = True
        try:
            self._place.call("complete_multipart_upload", self._name, **arguments, IfNoneMatch="*")
        except StoreError as error:
            code = code_of(error.__cause__)
            if self._is_there():
                return
            if code == "PreconditionFailed":
                raise self._taken() from error
            if code not in _UNCONDITIONAL:
                raise
            self._complete_unconditionally(arguments)

    def _complete_unconditionally(self, arguments: dict[str, Any]) -> None:
        """Where the server has no conditional writes: those who keep the contract do not come between."""
        if self._place.find(self._name) is not None:
            raise self._taken()
        self._place.call("complete_multipart_upload", self._name, **arguments)

    def _taken(self) -> NameTaken:
        return NameTaken(
            f"{self._name!r} is there already: another program has written it.",
            "Say another name: --name",
        )

    def _require_whole(self) -> None:
        """See that what is there is what was sent: the list of its parts may have been changed on the way.

        S3's ETag of an object in parts is the MD5 of their MD5s, and how many they are. Some servers have
        another one, and so has S3 where a key of one's own encrypts it: then the size must do.
        """
        found = self._place.find(self._name) or {}
        whole = found.get("ContentLength") == sum(part.bytes for part in self._parts)
        etag = str(found.get("ETag")).strip('"')
        as_usual = all(part.etag.strip('"') == part.md5.hex() for part in self._parts)
        if as_usual and re.fullmatch(r"[0-9a-f]{32}-\d+", etag):
            together = hashlib.md5(b"".join(part.md5 for part in self._parts), usedforsecurity=False)
            whole &= etag == f"{together.hexdigest()}-{len(self._parts)}"
        if not whole:
            raise StoreError(
                f"{self._name!r} is in the bucket, but not as it was sent.",
                "Something changes bytes on the way. Try again, and mend that.",
            )

    def _is_there(self) -> bool:
        with suppress(StoreError):
            return self._is_ours(self._place)
        return False

    def _is_ours(self, place: Bucket) -> bool:
        """Whether it is there, and nobody else's."""
        found = place.find(self._name)
        return found is not None and found.get("Metadata", {}).get(_MARK) == self._mark
