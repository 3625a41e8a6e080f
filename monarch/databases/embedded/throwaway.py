"""The folder of a server that is thrown away, ``.monarch/.drills/<kind>-<number>/`` in the project.

While its process lives it holds a lock in the folder, which the system releases if that is killed. The next
process then stops the server that is left, and removes the folder.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from monarch.databases.embedded.folder import make_folder
from monarch.errors import ServerError
from monarch.system.atomic_files import open_own

# No environment can have a name that begins with a dot.
DRILLS, _LOCK = ".drills", "lock"


@contextmanager
def throwaway_folder(root: Path, kind: str, stop: Callable[[str, Path], None]) -> Iterator[Path]:
    """Make a folder that only this user can read, and remove it with all of its contents at the end.

    :param kind: that of the database which will be in it.
    :param stop: stops the server of a kind of database in the folder of a process that was killed.
    :raises ServerError: if the folder cannot be made.
    """
    top = make_folder(root, DRILLS)
    try:
        with _locked(top / _LOCK):
            _remove_dead(top, stop)
            folder = top / f"{kind}-{secrets.token_hex(8)}"
            folder.mkdir(mode=0o700)
            lock = _lock(folder / _LOCK)
        assert lock is not None
    except OSError as error:
        raise ServerError(f"Cannot make a folder in {top}: {error.strerror}.", "Fix that.") from error
    try:
        yield folder
    finally:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _remove_dead(top: Path, stop: Callable[[str, Path], None]) -> None:
    for folder in sorted(top.iterdir()):
        if not folder.is_dir() or folder.is_symlink():
            continue
        lock = _lock(folder / _LOCK)
        if lock is not None:
            try:
                stop(folder.name.partition("-")[0], folder)
                shutil.rmtree(folder)
            finally:
                os.close(lock)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    file = open_own(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _lock(path: Path) -> int | None:
    """Lock the file ``path``, and return it open; None if another process has locked it."""
    file = open_own(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file
