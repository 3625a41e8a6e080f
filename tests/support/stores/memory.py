"""A store in the memory of this process, for tests of the code that uses stores."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from monarch.errors import LockedError, StoreError
from monarch.stores.base import NameTaken, NotStored, Store, StoredFile, Upload
from monarch.system.streams import Stream


@dataclass
class Memory:
    """The contents that several stores share: finished ``files`` and unfinished ``uploads``.

    Without ``tracks_writers`` it is unknown which writers are alive.
    """

    exists: bool = False
    tracks_writers: bool = True
    files: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    uploads: dict[str, MemoryUpload] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemoryStore(Store):
    """A store in ``memory``, or in a new one."""

    def __init__(self, memory: Memory | None = None) -> None:
        self.memory = memory or Memory()

    @property
    def place(self) -> str:
        return "the memory of this process"

    def prepare(self) -> str | None:
        with self.memory.lock:
            created, self.memory.exists = not self.memory.exists, True
        return "memory was reserved for backups" if created else None

    def create(self, name: str) -> MemoryUpload:
        with self.memory.lock:
            if not self.memory.exists:
                raise StoreError("The store does not exist.", "Prepare it first.")
            if name in self.memory.files or name in self.memory.uploads:
                raise NameTaken(f"{name!r} already exists.")
            upload = self.memory.uploads[name] = MemoryUpload(self.memory, name)
            return upload

    @contextmanager
    def open(self, name: str, start: int = 0) -> Iterator[Stream]:
        with self.memory.lock:
            if name not in self.memory.files:
                raise NotStored(f"There is no {name!r} in {self.place}.")
            data, _ = self.memory.files[name]
        stream = io.BytesIO(data)
        stream.seek(start)
        yield stream

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        with self.memory.lock:
            found = [StoredFile(name, len(data), at) for name, (data, at) in self.memory.files.items()]
            found += [upload.stored() for upload in self.memory.uploads.values()]
        yield from (stored for stored in found if stored.name.startswith(prefix))

    def delete(self, name: str) -> None:
        self._remove(name, self.memory.uploads, self.memory.files)

    def discard(self, name: str) -> None:
        self._remove(name, self.memory.uploads)

    def _remove(self, name: str, *places: dict[str, Any]) -> None:
        with self.memory.lock:
            upload = self.memory.uploads.get(name)
            if upload is not None and upload.alive:
                raise LockedError(f"{name!r} is being written.", "Wait for its writer, or stop it first.")
            removed = [place.pop(name, None) for place in places]
        if not any(removed):
            raise NotStored(f"There is no {name!r} in {self.place}.")


class MemoryUpload(Upload):
    """A file that is being written. ``alive`` is whether its writer is known to be alive."""

    def __init__(self, memory: Memory, name: str) -> None:
        self.alive = memory.tracks_writers
        self._memory = memory
        self._name = name
        self._data = bytearray()
        self._modified = datetime.now(UTC)

    def write(self, data: bytes, /) -> None:
        with self._memory.lock:
            self._data += data
            self._modified = datetime.now(UTC)

    def finish(self) -> None:
        with self._memory.lock:
            if self._memory.uploads.get(self._name) is not self:
                raise StoreError(f"{self._name!r} was removed while it was written.")
            if self._name in self._memory.files:
                raise NameTaken(f"{self._name!r} already exists.")
            del self._memory.uploads[self._name]
            self._memory.files[self._name] = (bytes(self._data), datetime.now(UTC))

    def give_up(self) -> None:
        with self._memory.lock:
            if self._memory.uploads.get(self._name) is self:
                del self._memory.uploads[self._name]

    def stored(self) -> StoredFile:
        """Return its entry in the listing."""
        busy = self.alive if self._memory.tracks_writers else None
        return StoredFile(self._name, len(self._data), self._modified, unfinished=True, busy=busy)
