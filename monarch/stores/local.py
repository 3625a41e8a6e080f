"""Files in a folder of this machine, or of one that is mounted."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from monarch.errors import LockedError, StoreError
from monarch.stores.base import NameTaken, NotStored, Store, StoredFile, Upload
from monarch.system.signals import run_to_its_end
from monarch.system.streams import Stream

try:
    import fcntl
except ModuleNotFoundError:  # not on this system: there nobody can tell whether a writer is alive
    fcntl = None  # type: ignore[assignment]

_TRIES, _MOMENT = 100, 0.01
_IGNORE = ".gitignore"
# What an unfinished file is called behind its name.
PART = ".part"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}
# What some say, those of a network mostly, of a folder that is to be synced: they have no way to do so.
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class LocalStore(Store):
    """A store in ``folder``, which people call ``place``.

    What is unfinished lies there as ``<name>.part``, locked by its writer.
    """

    def __init__(self, folder: Path, place: str | None = None) -> None:
        self._folder = folder
        self._place = place or str(folder)

    @property
    def place(self) -> str:
        return self._place

    def prepare(self) -> str | None:
        missing = [path for path in (self._folder, *self._folder.parents) if not os.path.lexists(path)]
        try:
            for path in reversed(missing[1:]):
                path.mkdir(mode=0o700, exist_ok=True)
                _sync_folder(path.parent)
            if missing:
                self._make()
            self._require_folder()
        except OSError as error:
            for path in missing:
                with suppress(OSError):  # not made, or another uses it by now
                    path.rmdir()
            raise self._failed("made", error) from error
        return f"the folder {self._place} was made, for backups" if missing else None

    def _make(self) -> None:
        """Make the folder. It gets its name last: there is none, or one that has what it should have.

        Who is killed before that leaves another one, with which the next one goes on.
        """
        unfinished = self._folder.with_name(f".{self._folder.name}{PART}")
        ignore = unfinished / _IGNORE
        try:
            unfinished.mkdir(mode=0o700, exist_ok=True)
            _ignore(unfinished)
            unfinished.rename(self._folder)
        except OSError:
            if not self._folder.is_dir():  # else another process has made it meanwhile
                raise
        finally:
            with suppress(OSError):  # there is nothing of it, but where that failed
                ignore.unlink(missing_ok=True)
                unfinished.rmdir()
        _sync_folder(self._folder.parent)

    def create(self, name: str) -> Upload:
        begun: list[Upload] = []
        # Cut short, it would leave a part that nobody gives up.
        if run_to_its_end(lambda: begun.append(self._create(name))):
            begun[0].give_up()
            raise KeyboardInterrupt
        return begun[0]

    def _create(self, name: str) -> Upload:
        path, part = self._folder / name, self._folder / (name + PART)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            # Whoever makes this one has the name; it is in the way of all others until it is gone.
            handle = os.open(part, flags, 0o600)
        except FileExistsError:
            raise NameTaken(f"{part} is there already.") from None
        except OSError as error:
            raise self._failed("written to", error) from error
        upload = _LocalUpload(handle, path, part, self._failed)
        try:
            _lock(handle)
            if os.path.lexists(path):
                raise NameTaken(f"{path} is there already.")
        except BaseException:
            upload.give_up()
            raise
        return upload

    @contextmanager
    def open(self, name: str, start: int = 0) -> Iterator[Stream]:
        try:
            file = (self._folder / name).open("rb")
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
        try:
            self._require_folder()
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    stored = self._stored(entry) if entry.name.startswith(prefix) else None
                    if stored and stored.name.startswith(prefix):  # without what makes it a part
                        yield stored
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failed("read", error) from error

    def delete(self, name: str) -> None:
        # In this order, so that the name is taken until there is nothing more to do: a part that lies
        # there afterwards is that of a writer who has begun since.
        self._remove(name, self._folder / (name + PART), self._folder / name)

    def discard(self, name: str) -> None:
        self._remove(name, self._folder / (name + PART))

    def _remove(self, name: str, part: Path, *others: Path) -> None:
        try:
            if os.path.lexists(part) and _is_locked(part):
                raise LockedError(
                    f"{part} is being written by another process.", "Wait for it, or stop it first."
                )
            gone = [_unlink(path) for path in (part, *others)]
            _sync_folder(self._folder)
        except (FileNotFoundError, NotADirectoryError):
            gone = []
        except OSError as error:
            raise self._failed("written to", error) from error
        if not any(gone):
            raise NotStored(f"There is no {name!r} in {self._folder}.")

    def _stored(self, entry: os.DirEntry[str]) -> StoredFile | None:
        unfinished = entry.name.endswith(PART)
        name = entry.name.removesuffix(PART)
        try:
            found = entry.stat()
            if not stat.S_ISREG(found.st_mode):
                return None
            # A part that has got its name already, and lacked the time to go, is the finished file.
            if unfinished and found.st_nlink > 1 and os.path.lexists(self._folder / name):
                return None
            busy = unfinished and _is_locked(Path(entry.path))
        except FileNotFoundError:  # gone meanwhile, or a link to nothing
            return None
        except OSError:
            if entry.is_symlink():  # to itself, say, or to where one may not look
                return None
            raise
        modified = _moment(found.st_mtime)
        return StoredFile(name, found.st_size, modified, unfinished, busy)

    def _require_folder(self) -> None:
        if os.path.lexists(self._folder) and not self._folder.is_dir():
            raise StoreError(
                f"{self._folder} is not a folder.", "See 'backup_dir' in migrations/settings.py."
            )

    def _failed(self, what: str, error: OSError) -> StoreError:
        if error.errno in _FULL:
            return StoreError(
                f"There is no room left in {self._folder} ({error.strerror}).",
                "Nothing of it was kept. Make room, or set another 'backup_dir' in migrations/settings.py.",
            )
        hint = "It must be a folder that you may read and write, or a place where you may make one."
        return StoreError(f"{self._folder} cannot be {what}: {error.strerror or error}.", hint)

    def _unreadable(self, name: str, error: OSError) -> StoreError:
        return StoreError(
            f"{self._folder / name} cannot be read: {error.strerror or error}.",
            "It must be a file that you may read, on a medium that works.",
        )


class _LocalUpload(Upload):
    """A part that becomes a file."""

    def __init__(self, handle: int, path: Path, part: Path, failed: _Failed) -> None:
        self._file = os.fdopen(handle, "wb", buffering=0)
        self._begun = os.fstat(handle)
        self._path = path
        self._part = part
        self._failed = failed
        self._over = False

    def write(self, data: bytes, /) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            raise self._failed("written to", error) from error

    def finish(self) -> None:
        try:
            os.fsync(self._file.fileno())
            if not self._is_at(self._part):
                raise StoreError(f"{self._part} was taken away while it was written.", "Do that again.")
            _name(self._part, self._path)
            with suppress(OSError):  # it is there, under its name; the rest is tidiness
                self._part.unlink(missing_ok=True)
            _sync_folder(self._path.parent)
        except FileExistsError:
            raise NameTaken(f"{self._path} is there already.") from None
        except OSError as error:
            raise self._failed("written to", error) from error
        self._end()

    def give_up(self) -> None:
        if self._over:
            return
        # It has its name where that could not be made to last, or where Ctrl-C came at that.
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
        """Whether what lies there is the file that was begun here, not one of another writer since."""
        try:
            return os.path.samestat(self._begun, path.lstat())
        except FileNotFoundError:
            return False


class _Failed(Protocol):
    def __call__(self, what: str, error: OSError) -> StoreError: ...


class _LocalStream:
    """A file whose errors name it."""

    def __init__(self, file: BinaryIO, failed: Callable[[OSError], StoreError]) -> None:
        self._file = file
        self._failed = failed

    def read(self, size: int, /) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise self._failed(error) from error


def _name(part: Path, path: Path) -> None:
    """Let ``part`` be called ``path`` as well, unless there is something called so.

    :raises FileExistsError: if there is.
    """
    try:
        os.link(part, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without links. Of those who keep the contract nobody can have come between.
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        part.rename(path)


def _ignore(folder: Path) -> None:
    """Where it lies in a repository, what is in it must not get into that."""
    ignore = folder / _IGNORE
    ignore.touch(mode=0o600)
    ignore.write_text("*\n")


def _moment(seconds: float) -> datetime:
    """A time of a file, who knows who set it."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # beyond the years that Python has
        return datetime.fromtimestamp(0, UTC)


def _lock(handle: int) -> None:
    """Hold the lock of a part that was just made, which is free but for somebody who looks at it."""
    if fcntl is None:
        return
    for _ in range(_TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(_MOMENT)
        except OSError:  # a folder of a network, say, without locks
            return


def _is_locked(part: Path) -> bool:
    """Whether a process that is alive writes it."""
    if fcntl is None:
        return False
    try:
        handle = os.open(part, os.O_RDONLY)
    except PermissionError:  # of somebody else, who may be at it
        return True
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EACCES)
    finally:
        os.close(handle)
    return False


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """Let the names in ``folder`` survive a loss of power, where the system has a way to say so."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)
