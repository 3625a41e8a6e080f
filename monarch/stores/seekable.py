"""A stored file with random access, for formats that need it."""

from __future__ import annotations

import io
from contextlib import ExitStack

from monarch.stores.base import Store
from monarch.system.streams import Stream


class Seekable(io.RawIOBase):
    """The file ``name`` of ``store`` with ``size`` bytes. Each jump opens it again."""

    def __init__(self, store: Store, name: str, size: int) -> None:
        super().__init__()
        self._store = store
        self._name = name
        self._size = size
        self._at = 0
        self._stream: Stream | None = None
        self._opened = ExitStack()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        at = max(0, base + offset)
        if at != self._at:
            self._leave()
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray, /) -> int:  # type: ignore[override]
        if self._at >= self._size:
            return 0
        if self._stream is None:
            self._stream = self._opened.enter_context(self._store.open(self._name, self._at))
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._leave()
        super().close()

    def _leave(self) -> None:
        self._stream = None
        self._opened.close()
