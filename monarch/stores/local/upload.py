"""A file that is being written into a folder: a part, which gets its name when it is complete."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from monarch.errors import StoreError
from monarch.stores.base import NameTaken, Upload
from monarch.stores.local.files import sync_folder

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}


class Explain(Protocol):
    """Makes the error of the store from one of the system."""

    def __call__(self, what: str, error: OSError) -> StoreError: ...


class LocalUpload(Upload):
    """A part at ``part`` that becomes the file at ``path``. ``handle`` is open on the part."""

    def __init__(self, handle: int, path: Path, part: Path, explain: Explain) -> None:
        self._file = os.fdopen(handle, "wb", buffering=0)
        self._begun = os.fstat(handle)
        self._path = path
        self._part = part
        self._explain = explain
        self._over = False

    def write(self, data: bytes, /) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            raise self._explain("written to", error) from error

    def finish(self) -> None:
        try:
            os.fsync(self._file.fileno())
            if not self._is_at(self._part):
                raise StoreError(
                    f"{self._part} was taken away while it was written.", "Run the command again."
                )
            _link_or_rename(self._part, self._path)
            with suppress(OSError):  # the file has its name; a part that stays is ignored
                self._part.unlink(missing_ok=True)
            sync_folder(self._path.parent)
        except FileExistsError:
            raise NameTaken(f"{self._path} is there already.") from None
        except OSError as error:
            raise self._explain("written to", error) from error
        self._end()

    def give_up(self) -> None:
        if self._over:
            return
        # It has its name already where fsync of the folder failed, or where Ctrl-C came between.
        for path in (self._path, self._part):
            with suppress(OSError):
                if self._is_at(path):
                    path.unlink()
        self._end()

    def _end(self) -> None:
        with suppress(OSError):
            self._file.close()
        self._over = True

    def _is_at(self, path: Path) -> bool:
        """Whether the file at ``path`` is the one that was begun here, not a later one of another writer."""
        try:
            return os.path.samestat(self._begun, path.lstat())
        except FileNotFoundError:
            return False


def _link_or_rename(part: Path, path: Path) -> None:
    """Give ``part`` the name ``path`` without replacing anything.

    :raises FileExistsError: if the name is taken.
    """
    try:
        os.link(part, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without links. The part keeps the name taken, so no other writer of ours is between.
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        part.rename(path)
