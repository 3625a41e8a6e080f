"""The store whose files are objects of a bucket."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import cached_property
from typing import Any

from monarch.errors import StoreError
from monarch.store_settings import S3Settings
from monarch.stores.base import NameTaken, NotStored, Store, Stored, Upload
from monarch.stores.s3.client import MOST_AT_ONCE, make_client
from monarch.stores.s3.download import download
from monarch.stores.s3.place import Place
from monarch.stores.s3.upload import S3Upload
from monarch.streams import Stream

_STEP_BACK = 0.05, 0.5  # seconds


class S3Store(Store):
    """A store in a bucket, below a prefix. What is unfinished is a multipart upload.

    Nobody can tell there whether its writer is alive. So many names at a time are listed as ``page`` says, of
    which S3 allows a thousand; ``patience`` is for how many seconds the server may be silent.
    """

    def __init__(self, settings: S3Settings, page: int = 1_000, patience: float = 60) -> None:
        self._settings = settings
        self._page = page
        self._patience = patience

    @cached_property
    def _at(self) -> Place:
        return Place(make_client(self._settings, self._patience), self._settings)

    @property
    def place(self) -> str:
        return f"s3://{self._settings.bucket_name}/{self._settings.prefix}".rstrip("/")

    def prepare(self) -> str | None:
        self._at.call("list_objects_v2", MaxKeys=1, Prefix=self._settings.prefix)
        return None

    def create(self, name: str) -> Upload:
        seen: set[str] = set()
        while True:
            begun = self._begun(name)
            if begun & seen or self._at.find(name) is not None:
                raise NameTaken(f"{name!r} is in {self.place} already.")
            if not begun:
                upload = S3Upload(self._at, name)
                with ExitStack() as undo:
                    undo.push(upload)
                    # Nobody before us, and whoever comes after us sees us: the name is ours.
                    if self._begun(name) == {upload.id} and self._at.find(name) is None:
                        undo.pop_all()
                        return upload
            # Several who begin at the same moment see each other, and all step back. Who is still there
            # when we look again has not.
            seen |= begun
            time.sleep(random.uniform(*_STEP_BACK))

    def open(self, name: str, start: int = 0) -> AbstractContextManager[Stream]:
        return download(self._at, name, start)

    def list(self, prefix: str = "") -> Iterator[Stored]:
        pages: dict[str, Any] = {"Prefix": self._at.key(prefix), "Delimiter": "/", "MaxKeys": self._page}
        more: dict[str, Any] = {}
        while True:
            page = self._at.call("list_objects_v2", **pages, **more)
            for entry in page.get("Contents", ()):
                if name := self._name(entry["Key"]):
                    yield Stored(name, int(entry["Size"]), entry["LastModified"])
            if not page.get("IsTruncated"):
                break
            more = {"ContinuationToken": page["NextContinuationToken"]}
        for upload in self._uploads(prefix):
            if name := self._name(upload["Key"]):
                yield self._unfinished(name, upload)

    def read_small(self, names: Iterable[str], largest: int) -> Iterator[tuple[str, bytes | StoreError]]:
        # One at a time, each would cost the way there and back.
        waiting: deque[tuple[str, Future[bytes | StoreError]]] = deque()
        with ThreadPoolExecutor(MOST_AT_ONCE, "monarch-read") as pool:
            for name in names:
                waiting.append((name, pool.submit(self._read_one, name, largest)))
                if len(waiting) > 4 * MOST_AT_ONCE:
                    yield from _read(*waiting.popleft())
            while waiting:
                yield from _read(*waiting.popleft())

    def delete(self, name: str) -> None:
        there = self._at.find(name) is not None
        if there:
            self._at.call("delete_object", name)
        begun = self._begun(name)
        for upload in begun:
            with suppress(NotStored):
                self._at.call("abort_multipart_upload", name, UploadId=upload)
        if not there and not begun:
            raise NotStored(f"There is no {name!r} in {self.place}.")

    def _begun(self, name: str) -> set[str]:
        """The uploads of a file that have begun and not ended."""
        key = self._at.key(name)
        return {upload["UploadId"] for upload in self._uploads(name) if upload["Key"] == key}

    def _uploads(self, prefix: str) -> Iterator[dict[str, Any]]:
        """The multipart uploads whose names begin so."""
        more: dict[str, Any] = {"Prefix": self._at.key(prefix)}
        while True:
            # As many at a time as the server likes: some lose count of smaller pages.
            page = self._at.call("list_multipart_uploads", **more)
            yield from page.get("Uploads", ())
            if not page.get("IsTruncated"):
                return
            more |= {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _unfinished(self, name: str, upload: dict[str, Any]) -> Stored:
        size, modified = 0, upload["Initiated"]
        with suppress(StoreError):  # done or gone meanwhile
            parts = self._at.call("list_parts", name, UploadId=upload["UploadId"]).get("Parts", ())
            size = sum(int(part["Size"]) for part in parts)
            modified = max([modified, *(part["LastModified"] for part in parts)])
        return Stored(name, size, modified, unfinished=True)

    def _name(self, key: str) -> str | None:
        """What the object of this key is called; None if it is a folder's, or below one."""
        name = key.removeprefix(self._settings.prefix)
        return name if name and "/" not in name else None


def _read(name: str, reading: Future[bytes | StoreError]) -> Iterator[tuple[str, bytes | StoreError]]:
    text = reading.result()
    if not isinstance(text, NotStored):
        yield name, text
