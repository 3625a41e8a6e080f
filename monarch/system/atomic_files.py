"""Create files in folders that others may write to, write them atomically, and keep old versions of them."""

from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path

# Windows has none of these: links there are rare, and need rights.
_CAREFUL = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def open_new(path: Path, mode: int = 0o666) -> int:
    """Create the file ``path`` and return it open for reading and writing.

    :raises FileExistsError: if there is anything of that name, also a link that leads nowhere.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _CAREFUL | _BINARY, mode)


def open_own(path: Path, mode: int = 0o600) -> int:
    """Open the file ``path`` for reading and writing, and create it if it is missing.

    :raises PermissionError: if it is not a regular file of this user: somebody else prepared it.
    :raises OSError: if it is a link, or cannot be opened.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | _CAREFUL | _BINARY, mode)
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode) and is_own(found):
        return handle
    os.close(handle)
    raise PermissionError(None, "it is not a regular file of this user", str(path))


def open_to_read(path: Path) -> int:
    """Open the file ``path``, which may be a pipe or a folder that somebody has put there.

    :raises OSError: if it is a link, or cannot be opened.
    """
    return os.open(path, os.O_RDONLY | _CAREFUL | _BINARY)


def is_own(found: os.stat_result) -> bool:
    """Whether ``found`` is a file or folder of the user who runs this process. True on Windows."""
    return not hasattr(os, "getuid") or found.st_uid == os.getuid()


def require_writable(path: Path) -> None:
    """Check that `write_atomically` may write ``path``, which it does not touch.

    :raises OSError: if not.
    """
    unfinished = _unfinished(path)
    os.close(open_new(unfinished))
    unfinished.unlink()


def _unfinished(path: Path) -> Path:
    import secrets  # not needed for --help

    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` to ``path``: afterwards the file has all of it, or is as it was before."""
    unfinished = _unfinished(path)
    handle = open_new(unfinished)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def keep_old_version(settings: Path) -> Path:
    """Copy the existing ``settings`` to the first free name ``settings.py.N.old``, and return its path."""
    import shutil

    for number in itertools.count(1):
        kept = settings.with_name(f"settings.py.{number}.old")
        try:
            with settings.open("rb") as old, kept.open("xb") as new:
                kept.chmod(settings.stat().st_mode & 0o777)
                shutil.copyfileobj(old, new)
                new.flush()
                os.fsync(new.fileno())
            return kept
        except FileExistsError:
            continue
        except OSError:
            kept.unlink(missing_ok=True)
            raise
    raise AssertionError("count() does not end")
