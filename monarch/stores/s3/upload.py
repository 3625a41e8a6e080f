"""Writing a file into a bucket in parts, several at once; it appears when all have arrived."""

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
# Seconds that `give_up` waits for parts that are being sent.
_GIVE_UP_SECONDS = 5.0
# The size of a part doubles every thousand parts: 10,000 of them, beginning with 16 MiB, are 13 TB.
_DOUBLE_EVERY = 1_000
_LARGEST_PART = 5 << 30
_MARK = "monarch-upload"
# How servers without conditional writes refuse one.
_UNCONDITIONAL = {"NotImplemented", "InvalidArgument", "InvalidRequest", "MethodNotAllowed"}


def size_of_part(number: int, smallest: int, *, grows: bool) -> int:
    """Return the size in bytes of the part with this number, which counts from 1."""
    return min(smallest << (number - 1) // _DOUBLE_EVERY, _LARGEST_PART) if grows else smallest


@dataclass(frozen=True)
class _Part:
    """A part that the server has."""

    number: int
    etag: str
    md5: bytes
    bytes: int


class S3Upload(Upload):
    """A multipart upload. It needs the memory of the parts that are being sent, and of one more."""

    def __init__(self, bucket: Bucket, impatient: Callable[[], Bucket], name: str) -> None:
        """Begin the upload of the file ``name``; ``impatient`` returns the bucket with short timeouts."""
        self._bucket = bucket
        self._impatient = impatient
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
        """The server's id of the upload."""
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
            self._await_oldest()
        self._complete()
        self._require_whole()
        self._over = True

    def give_up(self) -> None:
        if self._over:
            return
        self._over = True
        # Unless it turns out that nothing is left.
        self.left_over = True
        # A part that arrives after the upload has ended would stay in the bucket.
        wait(self._under_way, _GIVE_UP_SECONDS)
        with suppress(StoreError):
            bucket = self._impatient()
            with suppress(NotStored):
                bucket.call("abort_multipart_upload", self._name, UploadId=self._id)
            # From here on it cannot be completed. It may be complete already if that call was cut off.
            if self._completing and self._is_ours(bucket):
                bucket.call("delete_object", self._name)
            self.left_over = False

    def _begin(self) -> str:
        arguments = {"Metadata": {_MARK: self._mark}, **self._bucket.settings.on_create}
        answer = self._bucket.call("create_multipart_upload", self._name, **arguments)
        return str(answer["UploadId"])

    def _next_size(self) -> int:
        settings = self._bucket.settings
        smallest = settings.part_size or settings.smallest_part
        return size_of_part(self._sent + 1, smallest, grows=settings.part_size is None)

    def _send(self, part: bytes) -> None:
        if self._sent == MOST_PARTS:
            size = f"{self._next_size():,} bytes"
            raise StoreError(
                f"{self._name!r} would have more than {MOST_PARTS:,} parts of {size}.",
                "Set a larger 'part_size' in BACKUPS.",
            )
        self._sent += 1
        while len(self._under_way) >= self._bucket.settings.max_concurrency:
            self._await_oldest()
        self._under_way.append(start(self._upload, self._sent, part))

    def _upload(self, number: int, part: bytes) -> _Part:
        # The one checksum that every server compares, also those without the newer ones.
        md5 = hashlib.md5(part, usedforsecurity=False).digest()
        digest = b64encode(md5).decode()
        arguments = {"UploadId": self._id, "PartNumber": number, "Body": part, "ContentMD5": digest}
        for last in (False, False, True):
            try:
                answer = self._bucket.call("upload_part", self._name, **arguments)
                break
            except StoreError as error:
                # botocore repeats other failures, but not a part that was changed on the way.
                if last or code_of(error.__cause__) != "BadDigest":
                    raise
        return _Part(number, answer["ETag"], md5, len(part))

    def _await_oldest(self) -> None:
        """Wait until the oldest part that is being sent has arrived."""
        self._parts.append(self._under_way.popleft().result())

    def _complete(self) -> None:
        """Complete the upload, unless the name is taken.

        If a reply is lost, botocore repeats the request, and the file exists already: it is ours.
        """
        parts = [{"PartNumber": part.number, "ETag": part.etag} for part in self._parts]
        arguments: dict[str, Any] = {"UploadId": self._id, "MultipartUpload": {"Parts": parts}}
        self._completing = True
        try:
            self._bucket.call("complete_multipart_upload", self._name, **arguments, IfNoneMatch="*")
        except StoreError as error:
            code = code_of(error.__cause__)
            if self._is_complete():
                return
            if code == "PreconditionFailed":
                raise self._taken() from error
            if code not in _UNCONDITIONAL:
                raise
            self._complete_unconditionally(arguments)

    def _complete_unconditionally(self, arguments: dict[str, Any]) -> None:
        """Complete on a server without conditional writes. No writer that keeps the contract interferes."""
        if self._bucket.find(self._name) is not None:
            raise self._taken()
        self._bucket.call("complete_multipart_upload", self._name, **arguments)

    def _taken(self) -> NameTaken:
        return NameTaken(
            f"{self._name!r} already exists: another program has written it.",
            "Use another name: --name",
        )

    def _require_whole(self) -> None:
        """Check that the object is what was sent: the list of its parts may have been changed on the way.

        S3's ETag of an object in parts is the MD5 of their MD5s, and their number. Some servers have another
        one, and so has S3 with a customer's encryption key: then this compares only the size.
        """
        found = self._bucket.find(self._name) or {}
        whole = found.get("ContentLength") == sum(part.bytes for part in self._parts)
        etag = str(found.get("ETag")).strip('"')
        as_usual = all(part.etag.strip('"') == part.md5.hex() for part in self._parts)
        if as_usual and re.fullmatch(r"[0-9a-f]{32}-\d+", etag):
            together = hashlib.md5(b"".join(part.md5 for part in self._parts), usedforsecurity=False)
            whole &= etag == f"{together.hexdigest()}-{len(self._parts)}"
        if not whole:
            raise StoreError(
                f"{self._name!r} is in the bucket, but not as it was sent.",
                "Something on the network changes bytes. Find it, and run the command again.",
            )

    def _is_complete(self) -> bool:
        with suppress(StoreError):
            return self._is_ours(self._bucket)
        return False

    def _is_ours(self, bucket: Bucket) -> bool:
        """Whether the object exists and is of this upload."""
        found = bucket.find(self._name)
        return found is not None and found.get("Metadata", {}).get(_MARK) == self._mark
