"""The store whose files are in a folder."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from monarch.errors import LockedError, StoreError
from monarch.log import READS, STORE, log
from monarch.stores.base import DeletionDenied, NameTaken, NotStored, Store, StoredFile, Upload
from monarch.stores.local.files import (
    is_immutable,
    is_locked,
    lock,
    missing_rights,
    open_regular,
    sync_folder,
    unlink,
)
from monarch.stores.local.upload import LocalUpload
from monarch.system.atomic_files import is_own, open_new
from monarch.system.signals import defer_signals
from monarch.system.streams import Stream

_IGNORE = ".gitignore"
# The ending of unfinished files.
PART = ".part"
# Somebody else may own it, or the folder; the file may be immutable, or its disk mounted to be read only.
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class LocalStore(Store):
    """A store in ``folder``, which is shown to people as ``place``.

    Unfinished files are there as ``<name>.part``, locked by their writers.
    """

    def __init__(self, folder: Path, place: str | None = None) -> None:
        self._folder = folder
        self._place = place or str(folder)

    @property
    def place(self) -> str:
        return self._place

    def absence(self) -> str | None:
        try:
            self._folder.stat()
        except (FileNotFoundError, NotADirectoryError):
            return f"the folder {self._folder} does not exist"
        except OSError:
            return None
        return None

    def lacking(self) -> str | None:
        self._require_folder()
        return missing_rights(self._folder, "rwx")

    def room(self) -> tuple[int, int] | None:
        import shutil

        place = next((path for path in (self._folder, *self._folder.parents) if path.is_dir()), None)
        try:
            usage = shutil.disk_usage(place or self._folder)
        except OSError:
            return None
        return usage.free, usage.total

    def prepare(self) -> str | None:
        missing = [path for path in (self._folder, *self._folder.parents) if not os.path.lexists(path)]
        try:
            for path in reversed(missing[1:]):
                path.mkdir(mode=0o700, exist_ok=True)
                sync_folder(path.parent)
            if missing:
                with defer_signals() as signals:
                    self._create_folder()
                if signals:
                    raise KeyboardInterrupt
            self._require_folder()
        except OSError as error:
            for path in missing:
                with suppress(OSError):  # not created, or another process uses it by now
                    path.rmdir()
            raise self._explain("created", error) from error
        return f"the folder {self._place} was created for backups" if missing else None

    def _create_folder(self) -> None:
        """Create the folder with its ``.gitignore``. It gets its name last, so it always has that file.

        Until then its name is random, so that nobody else can have prepared it. A process that is killed
        before the end leaves it, and the next process that creates the folder removes it.
        """
        import tempfile

        start = f".{self._folder.name}."
        unfinished = Path(tempfile.mkdtemp(PART, start, self._folder.parent))  # with the mode 0700
        try:
            _ignore(unfinished)
            unfinished.rename(self._folder)
        except OSError:
            if not self._folder.is_dir():  # otherwise another process has just created it
                raise
        finally:
            _remove_unfinished(unfinished)
        # Another process that is at this point too finds the folder created, and goes on with it.
        random_name = re.compile(f"{re.escape(start)}[a-z0-9_]{{8}}{re.escape(PART)}")  # as mkdtemp makes it
        for entry in list(self._folder.parent.iterdir()):
            if random_name.fullmatch(entry.name):
                _remove_unfinished(entry)
        sync_folder(self._folder.parent)

    def create(self, name: str) -> Upload:
        log(STORE, f"creating {self._folder / name}")
        # An interruption in between would leave a part that nobody gives up.
        with defer_signals() as signals:
            upload = self._create(name)
        if signals:
            upload.give_up()
            raise KeyboardInterrupt
        return upload

    def _create(self, name: str) -> Upload:
        path, part = self._folder / name, self._folder / (name + PART)
        try:
            # The part reserves the name: other writers fail here until it is gone.
            handle = open_new(part, 0o600)
        except FileExistsError:
            raise NameTaken(f"{part} already exists.") from None
        except OSError as error:
            raise self._explain("written to", error) from error
        upload = LocalUpload(handle, path, part, self._explain)
        try:
            lock(handle)
            if os.path.lexists(path):
                raise NameTaken(f"{path} already exists.")
        except BaseException:
            upload.give_up()
            raise
        return upload

    @contextmanager
    def open(self, name: str, start: int = 0) -> Iterator[Stream]:
        log(STORE, f"reading {self._folder / name}", READS)
        try:
            file = open_regular(self._folder / name)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotStored(f"There is no {name!r} in {self._folder}.") from None
        except OSError as error:
            raise self._unreadable(name, error) from error
        with file:
            try:
                file.seek(start)
            except OSError as error:
                raise self._unreadable(name, error) from error
            yield _LocalStream(file, lambda error: self._unreadable(name, error))

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        log(STORE, f"listing {self._folder}")
        try:
            self._require_folder()
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    stored = self._stored(entry) if entry.name.startswith(prefix) else None
                    if stored and stored.name.startswith(prefix):  # the ending may be part of the prefix
                        yield stored
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._explain("read", error) from error

    def require_deletable(self, name: str) -> None:
        if is_immutable(self._folder / name):
            raise self._undeletable(name, os.strerror(errno.EPERM))

    def delete(self, name: str) -> None:
        log(STORE, f"deleting {self._folder / name}")
        # In this order the name stays taken until the end. A part that exists after it has a new writer.
        self._remove(name, self._folder / (name + PART), self._folder / name)

    def discard(self, name: str) -> None:
        log(STORE, f"deleting the unfinished {self._folder / name}")
        self._remove(name, self._folder / (name + PART))

    def _remove(self, name: str, part: Path, *others: Path) -> None:
        try:
            if os.path.lexists(part) and is_locked(part):
                raise LockedError(
                    f"{part} is being written by another process.", "Wait until it has ended, or stop it."
                )
            gone = [unlink(path) for path in (part, *others)]
            sync_folder(self._folder)
        except (FileNotFoundError, NotADirectoryError):
            gone = []
        except OSError as error:
            if error.errno in _DENIED:
                raise self._undeletable(name, error.strerror or str(error)) from error
            raise self._explain("written to", error) from error
        if not any(gone):
            raise NotStored(f"There is no {name!r} in {self._folder}.")

    def _stored(self, entry: os.DirEntry[str]) -> StoredFile | None:
        unfinished = entry.name.endswith(PART)
        name = entry.name.removesuffix(PART)
        try:
            found = entry.stat()
            if not stat.S_ISREG(found.st_mode):
                return None
            # A part with two links is the finished file; its writer has not removed this name yet.
            if unfinished and found.st_nlink > 1 and os.path.lexists(self._folder / name):
                return None
            busy = unfinished and is_locked(Path(entry.path))
        except FileNotFoundError:  # just removed, or a broken link
            return None
        except OSError:
            if entry.is_symlink():  # for example to itself, or into a folder without access
                return None
            raise
        modified = _time_of(found.st_mtime)
        return StoredFile(name, found.st_size, modified, unfinished, busy)

    def _require_folder(self) -> None:
        if os.path.lexists(self._folder) and not self._folder.is_dir():
            raise StoreError(
                f"{self._folder} is not a folder.", "Set another 'backup_dir' in migrations/settings.py."
            )

    def _explain(self, what: str, error: OSError) -> StoreError:
        if error.errno in _FULL:
            return StoreError(
                f"There is no room left in {self._folder} ({error.strerror}).",
                "None of it was kept. Make room, or set another 'backup_dir' in migrations/settings.py.",
            )
        message = f"{self._folder} cannot be {what}: {error.strerror or error}."
        lacking = None
        if isinstance(error, PermissionError):
            lacking = missing_rights(self._folder, "rx" if what == "read" else "rwx")
        if what == "read":
            do = f"Give your user {lacking}" if lacking else "Check that folder, its rights and its disk"
            return StoreError(message, f"{do}.")
        do = f"Give your user {lacking}" if lacking else "Use a folder that you may read and write"
        return StoreError(message, f"{do}, or set another 'backup_dir' in migrations/settings.py.")

    def _undeletable(self, name: str, why: str) -> DeletionDenied:
        return DeletionDenied(
            f"{self._folder / name} cannot be deleted: {why}.",
            "Check who owns it, the mode of its folder, and its attributes (lsattr).",
        )

    def _unreadable(self, name: str, error: OSError) -> StoreError:
        return StoreError(
            f"{self._folder / name} cannot be read: {error.strerror or error}.",
            "Make it readable for you, and check its disk.",
        )


class _LocalStream:
    """A file whose read errors become errors of the store."""

    def __init__(self, file: BinaryIO, explain: Callable[[OSError], StoreError]) -> None:
        self._file = file
        self._explain = explain

    def read(self, size: int, /) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise self._explain(error) from error


def _ignore(folder: Path) -> None:
    """Keep the backups out of git if the folder is in a repository."""
    with os.fdopen(open_new(folder / _IGNORE, 0o600), "w") as file:
        file.write("*\n")


def _remove_unfinished(folder: Path) -> None:
    """Remove a folder that never got its name, if it is this user's and holds nothing else."""
    with suppress(OSError):
        if is_own(folder.lstat()) and not folder.is_symlink():
            (folder / _IGNORE).unlink(missing_ok=True)
            folder.rmdir()


def _time_of(seconds: float) -> datetime:
    """Return a file's time in UTC. Anybody may have set it to any number."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # a year that Python does not have
        return datetime.fromtimestamp(0, UTC)
