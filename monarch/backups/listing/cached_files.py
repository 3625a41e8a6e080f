"""Files of this user that monarch can do without: read if they are there, written if they can be.

They are in ``$XDG_CACHE_HOME/monarch``, or in ``~/.cache/monarch``. Nothing that goes wrong there is an
error. A reader has to expect anything in them.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from monarch.system.atomic_files import is_own, open_new, open_to_read

_LARGEST = 256 << 20
# In seconds: what a writer that was killed has left, and files that nobody has written for long.
_LEFT_OVER, _FORGOTTEN = 3_600, 90 * 86_400
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def read_cached(name: str) -> bytes | None:
    """Return the file called ``name``; None if there is none that only this user can have written."""
    folder = _folder()
    if folder is None or not _is_private(folder):
        return None
    try:
        with os.fdopen(open_to_read(folder / name), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or not _is_ours(found) or found.st_size > _LARGEST:
                return None
            return file.read(_LARGEST)
    except OSError:
        return None


def write_cached(name: str, data: bytes) -> None:
    """Replace the file called ``name``, for this user alone, if that is possible."""
    import secrets  # not needed for --help

    folder = _folder()
    if folder is None or len(data) > _LARGEST:
        return
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_private(folder):
            return
        _clean(folder)
        unfinished = folder / f".{name}.{secrets.token_hex(8)}.tmp"
        handle = open_new(unfinished, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            unfinished.replace(folder / name)
        finally:
            unfinished.unlink(missing_ok=True)


def _folder() -> Path | None:
    top = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (top if top.is_absolute() else Path.home() / ".cache") / "monarch"
    except RuntimeError:  # a user without a home
        return None


def _is_private(folder: Path) -> bool:
    """Whether ``folder`` is one to which only this user can write."""
    try:
        found = folder.lstat()
    except (OSError, ValueError):
        return False
    return stat.S_ISDIR(found.st_mode) and _is_ours(found)


def _is_ours(found: os.stat_result) -> bool:
    # Windows shows rights that it does not have.
    return is_own(found) and not (os.name == "posix" and found.st_mode & _OTHERS_WRITE)


def _clean(folder: Path) -> None:
    """Remove what nobody needs any more."""
    now = time.time()
    for path in folder.iterdir():
        age = _LEFT_OVER if path.name.endswith(".tmp") else _FORGOTTEN
        with suppress(OSError):
            if now - path.lstat().st_mtime > age:
                path.unlink()
