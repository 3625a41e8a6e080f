"""Writing a file into a folder: as a part, which gets the file's name when it is complete."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from monarch.errors import StoreError
from monarch.log import STORE, log
from monarch.stores.base import NameTaken, Upload
from monarch.stores.local.files import sync_folder

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}


class Explain(Protocol):
    """Turns an error of the system into one of the store."""

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
        log(STORE, f"finishing {self._path}")
        try:
            os.fsync(self._file.fileno())
            if not self._is_at(self._part):
                raise StoreError(f"{self._part} was removed while it was written.", "Run the command again.")
            _link_or_rename(self._part, self._path)
            with suppress(OSError):  # the file has its name; listings ignore a part that stays
                self._part.unlink(missing_ok=True)
            sync_folder(self._path.parent)
        except FileExistsError:
            raise NameTaken(f"{self._path} already exists.") from None
        except OSError as error:
            raise self._explain("written to", error) from error
        self._end()

    def give_up(self) -> None:
        if self._over:
            return
        log(STORE, f"giving up {self._path}")
        # If fsync of the folder failed, or Ctrl-C came in between, the file already has its name.
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
        """Whether the file at ``path`` is this upload's, not a later one of another writer."""
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
        # A file system without links. The part reserves the name, so no other monarch writes to it meanwhile.
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        part.rename(path)
