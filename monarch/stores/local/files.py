"""System calls of the local store: locks, and names that survive a power failure."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ModuleNotFoundError:  # Windows: nothing shows whether a writer is alive
    fcntl = None  # type: ignore[assignment]

_RIGHTS = {"r": os.R_OK, "w": os.W_OK, "x": os.X_OK}
_TRIES, _PAUSE = 100, 0.01
# FS_IOC_GETFLAGS of Linux (ioctl_iflags(2)), and the attributes "immutable" and "append only".
_GET_FLAGS, _FORBIDDING = 0x80086601, 0x10 | 0x20
# Some file systems, mostly of a network, have no fsync for folders and answer with these.
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP}


def lock(handle: int) -> None:
    """Lock a new part. Another process only holds the lock for a moment, to check it."""
    if fcntl is None:
        return
    for _ in range(_TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(_PAUSE)
        except OSError:  # for example a network folder without locks
            return


def is_locked(part: Path) -> bool:
    """Whether a running process writes ``part``."""
    if fcntl is None:
        return False
    try:
        # Without these flags, a pipe would hang, and a link would lead elsewhere.
        handle = os.open(part, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except PermissionError:  # of another user, who may be writing it
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


def is_immutable(path: Path) -> bool:
    """Whether ``path`` has an attribute that forbids to delete it, as far as its file system tells."""
    if fcntl is None or not sys.platform.startswith("linux"):
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        found = fcntl.ioctl(handle, _GET_FLAGS, bytes(8))
    except OSError:  # the file system has no attributes
        return False
    finally:
        os.close(handle)
    return bool(int.from_bytes(found[:4], sys.byteorder) & _FORBIDDING)


def open_regular(path: Path) -> BinaryIO:
    """Open the file ``path`` for reading; a link to a file is followed.

    :raises FileNotFoundError: if it is something else, such as a pipe, which would hang.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def missing_rights(folder: Path, needed: str) -> str | None:
    """Return in words which of the ``needed`` rights this user lacks; None if that is not known.

    :param needed: the letters of those on ``folder``, or on the one in which it has to be created.
    """
    for parent in reversed(folder.parents):
        if os.path.lexists(parent) and not os.access(parent, os.X_OK):
            return f"the right x on {parent}"
    place = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), folder)
    lacking = [letter for letter in needed if not os.access(place, _RIGHTS[letter])]
    return f"the right{'s' * (len(lacking) > 1)} {' and '.join(lacking)} on {place}" if lacking else None


def unlink(path: Path) -> bool:
    """Remove the file at ``path``; return whether there was one."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a power failure, if the system can do that."""
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
