"""The store whose files are objects of a bucket."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from monarch.errors import StoreError
from monarch.stores.base import NameTaken, NotStored, SmallFile, Store, StoredFile, Upload
from monarch.stores.s3.bucket import Bucket
from monarch.stores.s3.client import HASTE_SECONDS, make_client
from monarch.stores.s3.download import download
from monarch.stores.s3.errors import NOT_LISTED, NOT_SUPPORTED, code_of
from monarch.stores.s3.futures import start
from monarch.stores.s3.quick import read_quickly
from monarch.stores.s3.upload import S3Upload
from monarch.system.streams import Stream

if TYPE_CHECKING:
    from monarch.stores.s3.settings import S3Settings

_PAUSE = 0.05, 0.5  # seconds, the shortest and the longest
_ROUNDS = 30


class S3Store(Store):
    """A store in a bucket, below a prefix. An unfinished file is a multipart upload.

    Nothing shows whether the writer of an upload is alive.

    :param page: the number of names in one page of a listing; S3 allows 1,000.
    :param patience: seconds that the server may take to answer.
    :param few: up to so many small files are read by boto3 alone.
    """

    def __init__(self, settings: S3Settings, page: int = 1_000, patience: float = 60, few: int = 32) -> None:
        self._settings = settings
        self._page = page
        self._few = few
        # Importing boto3 takes a while: other work goes on in the meantime.
        self._client = start(make_client, settings, patience)

    @cached_property
    def _bucket(self) -> Bucket:
        return Bucket(self._client.result(), self._settings)

    def _impatient(self) -> Bucket:
        """Return the same bucket with short timeouts."""
        return Bucket(make_client(self._settings, HASTE_SECONDS), self._settings)

    @property
    def place(self) -> str:
        return f"s3://{self._settings.bucket_name}/{self._settings.prefix}".rstrip("/")

    @property
    def identity(self) -> str:
        return f"{self._bucket.client.meta.endpoint_url} {self.place}"

    def prepare(self) -> str | None:
        self._bucket.list_objects(MaxKeys=1, Prefix=self._settings.prefix)
        return None

    def create(self, name: str) -> Upload:
        try:
            return self._create(name)
        except StoreError as error:
            if code_of(error.__cause__) not in NOT_SUPPORTED:
                raise
            raise StoreError(
                f"{self.place} is on a server that does not support all of S3: {error.message}",
                "Take backups to another server. Those that are here can be listed, verified and restored.",
            ) from error.__cause__

    def _create(self, name: str) -> Upload:
        seen: set[str] = set()
        for _ in range(_ROUNDS):
            begun = self._begun(name)
            if begun & seen or self._bucket.find(name) is not None:
                break
            if not begun:
                upload = S3Upload(self._bucket, self._impatient, name)
                with ExitStack() as undo:
                    undo.push(upload)
                    now = self._begun(name)
                    if upload.id not in now:
                        raise StoreError(
                            f"{self.place} does not list an upload that has just begun.",
                            "Use another server: on this one, writers of one name cannot see each other.",
                        )
                    # Nobody came before, and later writers see this upload: the name is ours.
                    if now == {upload.id} and self._bucket.find(name) is None:
                        undo.pop_all()
                        return upload
            # Writers that begin at the same moment see each other, and all give up. One that is still there
            # at the next look did not, so the name is its own.
            seen |= begun
            time.sleep(random.uniform(*_PAUSE))
        raise NameTaken(f"{name!r} already exists in {self.place}.")

    def open(self, name: str, start: int = 0) -> AbstractContextManager[Stream]:
        return download(self._bucket, name, start)

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        # Uploads first: one that is finished in the meantime is listed twice, not missed.
        for upload in self._unfinished_uploads(prefix):
            if name := self._name(upload["Key"]):
                yield self._unfinished(name, upload)
        pages: dict[str, Any] = {"Prefix": self._bucket.key(prefix), "Delimiter": "/", "MaxKeys": self._page}
        more: dict[str, Any] = {}
        while True:
            page = self._bucket.list_objects(**pages, **more)
            for entry in page.get("Contents", ()):
                if name := self._name(entry["Key"]):
                    yield StoredFile(
                        name, int(entry["Size"]), entry["LastModified"], version=entry.get("ETag")
                    )
            if not page.get("IsTruncated"):
                break
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def read_small(self, names: Iterable[str], largest: int) -> Iterator[SmallFile]:
        for file in read_quickly(self._bucket, list(names), largest, self._read_one, self._few):
            if not isinstance(file.text, NotStored):
                yield file

    def delete(self, name: str) -> None:
        # An upload that begins after this belongs to another writer.
        try:
            begun = self._begun(name)
        except StoreError as error:
            if code_of(error.__cause__) not in NOT_SUPPORTED:
                raise
            begun = set()
        exists = self._bucket.find(name) is not None
        if exists:
            self._bucket.call("delete_object", name)
        self._abort(name, begun)
        if not exists and not begun:
            raise NotStored(f"There is no {name!r} in {self.place}.")

    def discard(self, name: str) -> None:
        begun = self._begun(name)
        self._abort(name, begun)
        if not begun:
            raise NotStored(f"There is no unfinished {name!r} in {self.place}.")

    def _abort(self, name: str, uploads: set[str]) -> None:
        for upload in uploads:
            with suppress(NotStored):
                self._bucket.call("abort_multipart_upload", name, UploadId=upload)

    def _begun(self, name: str) -> set[str]:
        """Return the ids of the unfinished uploads of the file ``name``."""
        key = self._bucket.key(name)
        return {upload["UploadId"] for upload in self._uploads(key) if upload["Key"] == key}

    def _unfinished_uploads(self, prefix: str) -> Sequence[dict[str, Any]]:
        """Return the uploads of files whose names begin with ``prefix``; none if it does not list them."""
        key = self._bucket.key(prefix)
        try:
            found = [*self._uploads(key)]
            if not found and key:
                # Some servers match a prefix only against whole names, but list everything for an empty one.
                found = [upload for upload in self._uploads("") if upload["Key"].startswith(key)]
        except StoreError as error:
            if code_of(error.__cause__) not in NOT_LISTED:
                raise
            return ()
        return found

    def _uploads(self, key: str) -> Iterator[dict[str, Any]]:
        """Yield the multipart uploads whose keys begin with ``key``."""
        more: dict[str, Any] = {"Prefix": key}
        while True:
            # No MaxUploads: some servers skip uploads when pages are smaller than their own.
            page = self._bucket.call("list_multipart_uploads", **more)
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
        with suppress(StoreError):  # finished or removed in the meantime
            while True:
                page = self._bucket.call("list_parts", name, **more)
                parts = page.get("Parts", ())
                size += sum(int(part["Size"]) for part in parts)
                modified = max([modified, *(part["LastModified"] for part in parts)])
                if not page.get("IsTruncated") or not page.get("NextPartNumberMarker"):
                    break
                more["PartNumberMarker"] = page["NextPartNumberMarker"]
        return StoredFile(name, size, modified, unfinished=True, busy=None)

    def _name(self, key: str) -> str | None:
        """Return the file's name for this key; None for folders and what is below them."""
        name = key.removeprefix(self._settings.prefix)
        return name if name and "/" not in name else None
