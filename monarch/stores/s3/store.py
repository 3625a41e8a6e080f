"""The store whose files are objects of a bucket."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from monarch.errors import StoreError
from monarch.stores.base import NameTaken, NotStored, Store, StoredFile, Upload
from monarch.stores.s3.bucket import Bucket
from monarch.stores.s3.client import HASTE_SECONDS, MOST_AT_ONCE, make_client
from monarch.stores.s3.download import download
from monarch.stores.s3.errors import code_of
from monarch.stores.s3.futures import start
from monarch.stores.s3.upload import S3Upload
from monarch.system.streams import Stream

if TYPE_CHECKING:
    from monarch.stores.s3.settings import S3Settings

_STEP_BACK = 0.05, 0.5  # seconds
_ROUNDS = 30


class S3Store(Store):
    """A store in a bucket, below a prefix. What is unfinished is a multipart upload.

    Nobody can tell there whether its writer is alive. So many names at a time are listed as ``page`` says, of
    which S3 allows a thousand; ``patience`` is for how many seconds the server may be silent.
    """

    def __init__(self, settings: S3Settings, page: int = 1_000, patience: float = 60) -> None:
        self._settings = settings
        self._page = page
        # To import what makes a client takes a while, in which others have something to do.
        self._client = start(make_client, settings, patience)

    @cached_property
    def _at(self) -> Bucket:
        return Bucket(self._client.result(), self._settings)

    def _hasty(self) -> Bucket:
        """The same for who does not want to wait."""
        return Bucket(make_client(self._settings, HASTE_SECONDS), self._settings)

    @property
    def place(self) -> str:
        return f"s3://{self._settings.bucket_name}/{self._settings.prefix}".rstrip("/")

    def prepare(self) -> str | None:
        self._at.list_objects(MaxKeys=1, Prefix=self._settings.prefix)
        return None

    def create(self, name: str) -> Upload:
        seen: set[str] = set()
        for _ in range(_ROUNDS):
            begun = self._begun(name)
            if begun & seen or self._at.find(name) is not None:
                break
            if not begun:
                upload = S3Upload(self._at, self._hasty, name)
                with ExitStack() as undo:
                    undo.push(upload)
                    now = self._begun(name)
                    if upload.id not in now:
                        raise StoreError(
                            f"{self.place} does not list what has just been begun in it.",
                            "This server is not enough like S3: who writes a name at once could not be told.",
                        )
                    # Nobody before us, and whoever comes after us sees us: the name is ours.
                    if now == {upload.id} and self._at.find(name) is None:
                        undo.pop_all()
                        return upload
            # Several who begin at the same moment see each other, and all step back. Who is still there
            # when we look again has not.
            seen |= begun
            time.sleep(random.uniform(*_STEP_BACK))
        raise NameTaken(f"{name!r} is in {self.place} already.")

    def open(self, name: str, start: int = 0) -> AbstractContextManager[Stream]:
        return download(self._at, name, start)

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        # First what has begun: what ends meanwhile is then there twice, and not missed.
        for upload in self._unfinished_uploads(prefix):
            if name := self._name(upload["Key"]):
                yield self._unfinished(name, upload)
        pages: dict[str, Any] = {"Prefix": self._at.key(prefix), "Delimiter": "/", "MaxKeys": self._page}
        more: dict[str, Any] = {}
        while True:
            page = self._at.list_objects(**pages, **more)
            for entry in page.get("Contents", ()):
                if name := self._name(entry["Key"]):
                    yield StoredFile(name, int(entry["Size"]), entry["LastModified"])
            if not page.get("IsTruncated"):
                break
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def read_small(self, names: Iterable[str], largest: int) -> Iterator[tuple[str, bytes | StoreError]]:
        # One at a time, each would cost the way there and back.
        waiting: deque[tuple[str, Future[bytes | StoreError]]] = deque()
        for name in names:
            waiting.append((name, start(self._read_one, name, largest)))
            if len(waiting) >= MOST_AT_ONCE:
                yield from _read(*waiting.popleft())
        while waiting:
            yield from _read(*waiting.popleft())

    def delete(self, name: str) -> None:
        # What begins under this name once it is free is somebody else's.
        begun = self._begun(name)
        there = self._at.find(name) is not None
        if there:
            self._at.call("delete_object", name)
        self._abort(name, begun)
        if not there and not begun:
            raise NotStored(f"There is no {name!r} in {self.place}.")

    def discard(self, name: str) -> None:
        begun = self._begun(name)
        self._abort(name, begun)
        if not begun:
            raise NotStored(f"There is no unfinished {name!r} in {self.place}.")

    def _abort(self, name: str, uploads: set[str]) -> None:
        for upload in uploads:
            with suppress(NotStored):
                self._at.call("abort_multipart_upload", name, UploadId=upload)

    def _begun(self, name: str) -> set[str]:
        """The uploads of a file that have begun and not ended."""
        key = self._at.key(name)
        return {upload["UploadId"] for upload in self._uploads(key) if upload["Key"] == key}

    def _unfinished_uploads(self, prefix: str) -> Sequence[dict[str, Any]]:
        """The uploads of files whose names begin so. Who may not know of any sees none."""
        key = self._at.key(prefix)
        try:
            found = [*self._uploads(key)]
            if not found and key:
                # Some servers take a prefix for a whole name; not so if it is empty.
                found = [upload for upload in self._uploads("") if upload["Key"].startswith(key)]
        except StoreError as error:
            if code_of(error.__cause__) not in ("AccessDenied", "403"):
                raise
            return ()
        return found

    def _uploads(self, key: str) -> Iterator[dict[str, Any]]:
        """The multipart uploads whose keys begin so."""
        more: dict[str, Any] = {"Prefix": key}
        while True:
            # As many at a time as the server likes: some lose count of smaller pages.
            page = self._at.call("list_multipart_uploads", **more)
            yield from page.get("Uploads", ())
            if not page.get("IsTruncated") or not page.get("NextKeyMarker"):
                return
            more |= {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page.get("NextUploadIdMarker", ""),
            }

    def _unfinished(self, name: str, upload: dict[str, Any]) -> StoredFile:
        size, modified = 0, upload.get("Initiated") or datetime.now(UTC)
        more: dict[str, Any] = {"UploadId": upload["UploadId"]}
        with suppress(StoreError):  # done or gone meanwhile
            while True:
                page = self._at.call("list_parts", name, **more)
                parts = page.get("Parts", ())
                size += sum(int(part["Size"]) for part in parts)
                modified = max([modified, *(part["LastModified"] for part in parts)])
                if not page.get("IsTruncated") or not page.get("NextPartNumberMarker"):
                    break
                more["PartNumberMarker"] = page["NextPartNumberMarker"]
        return StoredFile(name, size, modified, unfinished=True, busy=None)

    def _name(self, key: str) -> str | None:
        """What the object of this key is called; None if it is a folder's, or below one."""
        name = key.removeprefix(self._settings.prefix)
        return name if name and "/" not in name else None


def _read(name: str, reading: Future[bytes | StoreError]) -> Iterator[tuple[str, bytes | StoreError]]:
    text = reading.result()
    if not isinstance(text, NotStored):
        yield name, text
