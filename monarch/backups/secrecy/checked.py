"""The bytes of an archive in a store: hashed while they are written, and checked while they are read."""

from __future__ import annotations

import hashlib

from monarch.errors import DamagedError
from monarch.stores.base import Upload
from monarch.system.streams import Stream


class CheckedStream(Stream):
    """The bytes of ``stream``; at its end their number and their SHA-256 are checked."""

    def __init__(self, stream: Stream, size: int, sha256: str) -> None:
        self._stream = stream
        self._size = size
        self._sha256 = sha256
        self._read = 0
        self._digest = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._read += len(data)
        self._digest.update(data)
        if not data:
            if self._read != self._size:
                raise DamagedError(f"Its archive has {self._read:,} bytes, not {self._size:,}.")
            if self._digest.hexdigest() != self._sha256:
                raise DamagedError("Its archive is not the one that was written: its SHA-256 differs.")
        return data


class HashedUpload:
    """An upload whose bytes are counted and hashed."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self.bytes = 0
        self.digest = hashlib.sha256()

    def write(self, data: bytes, /) -> None:
        self.bytes += len(data)
        self.digest.update(data)
        self._upload.write(data)
